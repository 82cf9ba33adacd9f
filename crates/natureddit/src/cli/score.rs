//! `natureddit score`: a table of posts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use natureddit_core::fs::FsError;
use natureddit_core::{ClassNames, fs};
use natureddit_model::{ModelInput, NotFinite, Prediction, Predictor, Prepared};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::{CliError, Exit, HintExt};
use super::model::{Answering, pushed_bundle};
use super::out_file::{Kept, OutFile};
use super::session::Session;
use super::words::counted;
use crate::config::Config;
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit score data/posts.csv --images data/images --out scores.csv
  natureddit score titles.csv --images . --out scores.csv    where img_name is empty: by the title";

/// Posts read and decoded at once.
const ROWS_AT_ONCE: usize = 64;

/// How many of the skipped rows are named; `--json` names all.
const IDS_SHOWN: usize = 5;

/// Say what each post of a table shows
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A CSV file with the columns id, title and img_name; others are passed over
    table: PathBuf,
    /// The folder that img_name is looked for in
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// The CSV file to write: id, label, and p_<class> for each class
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Which pushed version answers [default: the one `natureddit model list` marks]
    #[arg(long, value_name = "VERSION")]
    model_version: Option<u64>,
}

/// A row of the table; a column that is not there at all is an error, for a misspelt one would go unnoticed.
#[derive(Deserialize)]
struct Row {
    id: String,
    title: String,
    img_name: String,
}

#[derive(Serialize)]
struct Scored {
    out: PathBuf,
    scored: usize,
    /// The ids of rows without an answer, by reason; they are left out of the file.
    skipped: BTreeMap<&'static str, Vec<String>>,
    model: Answering,
}

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scored {} into {}", counted(self.scored as u64, "post"), self.out.display())?;
        self.skipped.iter().try_for_each(|(reason, ids)| {
            let more = if ids.len() > IDS_SHOWN { ", ..." } else { "" };
            let shown = ids[..ids.len().min(IDS_SHOWN)].join(", ");
            write!(f, "\n  skipped {}: {reason} ({shown}{more})", ids.len())
        })
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let out = check_out(args, &config)?;
    let rows = read_table(&args.table)?;
    let images = Images::open(&args.images)?;
    let (version, bundle) = pushed_bundle(&config, args.model_version)?;
    let progress = session.output.progress();
    let runtime = wiring::load_runtime(&config, &progress)?;
    let mut predictor = Predictor::load(&bundle, &runtime, &wiring::predictor_options(&config))?;
    let bytes_max = wiring::input_limits(&config).image.bytes_max;

    let mut skipped: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header(predictor.classes()))?;
    let mut scored = 0;
    progress.start("scoring posts", Some(rows.len() as u64));
    for chunk in rows.chunks(ROWS_AT_ONCE) {
        let prepare = |row| prepare(row, &images, bytes_max, &predictor);
        let prepared: Vec<Result<Prepared, &'static str>> = chunk.par_iter().map(prepare).collect();
        let mut answerable = Vec::with_capacity(chunk.len());
        let mut inputs = Vec::with_capacity(chunk.len());
        for (row, prepared) in chunk.iter().zip(prepared) {
            match prepared {
                Ok(prepared) => {
                    answerable.push(row);
                    inputs.push(prepared);
                }
                Err(reason) => skipped.entry(reason).or_default().push(row.id.clone()),
            }
        }
        for (row, answer) in answerable.into_iter().zip(predictor.predict_finite(&inputs)?) {
            match answer {
                Ok(answer) => {
                    writer.write_record(record(row, &answer, predictor.classes()))?;
                    scored += 1;
                }
                Err(_) => skipped.entry(NotFinite::CODE).or_default().push(row.id.clone()),
            }
        }
        progress.advance(chunk.len() as u64);
    }
    progress.finish();
    if scored == 0 && !rows.is_empty() {
        let reasons: Vec<String> = skipped.iter().map(|(reason, ids)| format!("{} {reason}", ids.len())).collect();
        let error = anyhow!("none of the {} posts could be scored: {}", rows.len(), reasons.join(", "));
        let hints = hints(skipped.into_keys(), &args.images);
        return hints.into_iter().fold(Err(error.into()), HintExt::hint);
    }
    let model = Answering { name: bundle.manifest.name.clone(), version };
    let bytes = writer.into_inner().map_err(|e| anyhow!("could not finish the table: {}", e.error()))?;
    fs::write_atomic_with(&out, |file| file.write_all(&bytes))?;
    session.output.result(&Scored { out: args.out.clone(), scored, skipped, model })?;
    Ok(Exit::Ok)
}

/// The file to write: nothing in the project's own folders.
fn check_out(args: &Args, config: &Config) -> Result<PathBuf, CliError> {
    let file = OutFile { option: "--out", path: &args.out, example: "scores.csv" };
    file.resolve(&[args.table.as_path()], &Kept::of(config).and_data(config))
}

fn read_table(path: &Path) -> Result<Vec<Row>, CliError> {
    const COLUMNS: &str = "the table needs a header line with the columns id, title and img_name";
    let bytes = fs::read(path)?;
    if bytes.is_empty() {
        return Err(anyhow!("{} is empty", path.display())).hint(COLUMNS);
    }
    let rows: Result<Vec<Row>, csv::Error> = csv::Reader::from_reader(bytes.as_slice()).into_deserialize().collect();
    let hint = match rows.as_ref().map_err(csv::Error::kind) {
        Err(csv::ErrorKind::UnequalLengths { .. }) => "a title with a comma or a line break stands in double quotes",
        Err(csv::ErrorKind::Utf8 { .. }) => "save the table as UTF-8",
        _ => COLUMNS,
    };
    rows.with_context(|| format!("{} is not a table of posts", path.display())).hint(hint)
}

/// The folder of photos: nothing outside of it is read, for the table and the links in it may be somebody else's.
struct Images {
    /// Without links.
    folder: PathBuf,
}

impl Images {
    fn open(folder: &Path) -> Result<Self, CliError> {
        let found = folder.canonicalize().map_err(|e| FsError::new("find", folder, e));
        let found = found.hint("--images names the folder that img_name is looked for in")?;
        Ok(Self { folder: found })
    }

    /// The photo of that name; the reason where it is not read.
    fn read(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, &'static str> {
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err("photo_outside_folder");
        }
        let unread = |e: &FsError| if e.is_not_found() { "photo_missing" } else { "photo_unreadable" };
        let path = self.folder.join(name);
        let real = path.canonicalize().map_err(|e| unread(&FsError::new("find", &path, e)))?;
        if !real.starts_with(&self.folder) {
            return Err("photo_outside_folder");
        }
        // Opening a pipe waits for somebody to write into it.
        if !fs::metadata(&real).map_err(|e| unread(&e))?.is_file() {
            return Err("photo_unreadable");
        }
        fs::read_limited(&real, bytes_max).map_err(|e| if e.is_too_large() { "too_many_bytes" } else { unread(&e) })
    }
}

/// Reads the row's photo and prepares both; the reason where there is nothing to answer.
fn prepare(row: &Row, images: &Images, bytes_max: u64, predictor: &Predictor) -> Result<Prepared, &'static str> {
    let named = Some(row.img_name.as_str()).filter(|name| !name.is_empty());
    let photo = named.map(|name| images.read(name, bytes_max)).transpose()?;
    let input = ModelInput { text: Some(&row.title), image: photo.as_deref() };
    predictor.preprocessor().prepare(&input).map_err(|e| e.code())
}

/// What to do about the reasons for which no row was answered, each once.
fn hints(reasons: impl Iterator<Item = &'static str>, images: &Path) -> Vec<String> {
    let images = images.display();
    let hints = reasons.map(|reason| match reason {
        "photo_missing" => format!("img_name is looked for in {images}, the folder of --images: is it the right one?"),
        "photo_outside_folder" => format!(
            "img_name is the name of a file in {images}, the folder of --images; a symbolic link that leads out of it is not \
             followed: copy what it leads to, or name the folder that has the photos themselves"
        ),
        "photo_unreadable" => "each img_name must be a file that you may read".to_owned(),
        "empty_input" => "each row needs a title, an img_name, or both".to_owned(),
        "text_too_long" => "shorten the titles, or raise model.title_bytes_max".to_owned(),
        "too_many_bytes" => "use smaller photos, or raise model.image_bytes_max".to_owned(),
        "too_many_pixels" | "decoded_too_large" => "use smaller photos, or raise model.image_pixels_max".to_owned(),
        NotFinite::CODE => "the image encoder or the text encoder is not fit for such posts: name others in [model]".to_owned(),
        _ => format!("`natureddit predict --image {images}/...` says what is wrong with one of the photos"),
    });
    hints.collect::<BTreeSet<_>>().into_iter().collect()
}

fn header(classes: &ClassNames) -> Vec<String> {
    let probabilities = classes.names().map(|name| format!("p_{name}"));
    ["id".to_owned(), "label".to_owned()].into_iter().chain(probabilities).collect()
}

fn record(row: &Row, answer: &Prediction, classes: &ClassNames) -> Vec<String> {
    let probabilities = answer.probabilities.iter().map(|p| format!("{p:.6}"));
    [row.id.clone(), classes.name(answer.class).to_owned()].into_iter().chain(probabilities).collect()
}
