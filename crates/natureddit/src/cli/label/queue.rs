//! `natureddit label queue`: what to label next.

use std::fmt;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::ValueEnum;
use natureddit_core::fs;
use natureddit_data::{Dataset, Labels};
use natureddit_model::ModelVersions;
use natureddit_pipeline::RunOptions;
use natureddit_pipeline::components::bulk_inferrer::{PredictedPost, read_predictions};
use natureddit_pipeline::components::example_gen::NothingLabelled;
use natureddit_pipeline::cross_validation::{ClassTooSmall, TooManyFolds};
use natureddit_pipeline::training_graph::{TrainingConfig, inference_graph};
use natureddit_pipeline::unlabelled::LabellingNeed;
use serde::Serialize;

use super::check;
use super::rows::{Reason, Row, brief, of_quality, table};
use crate::cli::error::CliError;
use crate::cli::model::Answering;
use crate::cli::out_file::{Kept, OutFile};
use crate::cli::session::Session;
use crate::cli::words::counted;
use crate::config::Config;
use crate::wiring;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The most posts
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Posts of one kind alone [default: those to check first, then those without a label]
    #[arg(long, value_name = "KIND")]
    only: Option<Kind>,
    /// Also write the posts as a table; fill in or mend its column choice, and import it
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
}

/// Which posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Without a label, those first that the model is least sure of
    Unlabelled,
    /// With a label that is likely wrong, or that differs from that of a post that is alike
    Suspect,
}

/// What is to be labelled next, and of how much that is a part.
#[derive(Serialize)]
struct Queue {
    /// Labels that are likely wrong; none where labels were not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspects: Option<Suspects>,
    /// Posts without a label; none where they were not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    unlabelled: Option<Open>,
    /// The posts, the most useful first.
    rows: Vec<Row>,
    /// The table that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

/// How many labels should be looked at again.
#[derive(Serialize)]
struct Suspects {
    likely_wrong: usize,
    /// Others of posts that are alike with different labels.
    conflicting: usize,
}

/// How many posts have no label.
#[derive(Serialize)]
struct Open {
    /// Of near-duplicates one.
    posts: usize,
    near_duplicates: usize,
    /// Their photo is gone, or the model cannot read it.
    unreadable: usize,
    /// The model that was asked; none where none was pushed yet.
    model: Option<Answering>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), CliError> {
    let config = session.config()?;
    let out = args.out.as_deref().map(|path| OutFile { option: "--out", path, example: "queue.csv" });
    let out = out.map(|out| out.resolve(&[], &Kept::of(&config).and_data(&config))).transpose()?;
    let training = wiring::training(&config, &session.output.progress())?;
    let mut rows = Vec::new();
    let suspects = if args.only == Some(Kind::Unlabelled) {
        None
    } else {
        suspects(args, &config, &training, session)?.map(|found| add_suspects(found, &mut rows))
    };
    let unlabelled = if args.only == Some(Kind::Suspect) {
        None
    } else {
        Some(add_unlabelled(&config, &training, session, &mut rows)?)
    };
    rows.truncate(args.limit as usize);
    if let Some(file) = &out {
        fs::write_atomic(file, table(&rows)?)?;
    }
    Ok(session.output.result(&Queue { suspects, unlabelled, rows, file: args.out.clone() })?)
}

/// Posts whose label should be looked at again. Where nobody asked for these alone, too few labels to check are no error:
/// then there is the more to label.
fn suspects(
    args: &Args,
    config: &Config,
    training: &TrainingConfig,
    session: &Session,
) -> Result<Option<Vec<Row>>, CliError> {
    let quality = match check::quality(config, training, check::FOLDS, session) {
        Err(error) if args.only.is_none() && is_of_few_labels(&error) => {
            let why = error.messages().pop().unwrap_or_default();
            session.output.note(&format!("the labels are not checked: {why}"));
            return Ok(None);
        }
        checked => checked?,
    };
    // The rows of a post that is to be forgotten may still be there.
    let tombstones = Dataset::read(&config.project.data_dir)?.tombstones;
    Ok(Some(of_quality(&quality).into_iter().filter(|row| !tombstones.has(&row.id)).collect()))
}

fn is_of_few_labels(error: &CliError) -> bool {
    error.cause::<NothingLabelled>().is_some()
        || error.cause::<TooManyFolds>().is_some()
        || error.cause::<ClassTooSmall>().is_some()
}

fn add_suspects(found: Vec<Row>, rows: &mut Vec<Row>) -> Suspects {
    let likely_wrong = found.iter().filter(|row| row.reason == Reason::LikelyWrong).count();
    let conflicting = found.len() - likely_wrong;
    rows.extend(found);
    Suspects { likely_wrong, conflicting }
}

fn add_unlabelled(
    config: &Config,
    training: &TrainingConfig,
    session: &Session,
    rows: &mut Vec<Row>,
) -> Result<Open, CliError> {
    let name = &config.model.name;
    let versions = ModelVersions::read(&config.project.models_dir.join(name))?;
    let model = versions.default_version().map(|(version, _)| Answering { name: name.clone(), version });
    let answers = match &model {
        Some(_) => Some(answers(config, training, session)?),
        None => {
            session.output.note(&format!(
                "no version of {name} was pushed yet, so nobody knows which posts teach it most: they come as they are drawn; \
                 label some, and `natureddit run` trains one"
            ));
            None
        }
    };
    let need = LabellingNeed {
        // Read after the model was asked: what was forgotten or labelled meanwhile is left out.
        dataset: &Dataset::read(&config.project.data_dir)?,
        labels: &Labels::read(&config.project.labels_dir)?,
        images_dir: &config.project.data_dir.join("images"),
        answers: answers.as_deref(),
        near_duplicate_distance_max: config.examples.near_duplicate_distance_max,
    };
    let found = need.unlabelled();
    let (near_duplicates, unreadable, posts) = (found.near_duplicates, found.unreadable, found.posts.len());
    rows.extend(found.posts.into_iter().map(Row::of_unlabelled));
    Ok(Open { posts, near_duplicates, unreadable, model })
}

/// What the model in use says of the posts without a label; it is asked about new ones only.
fn answers(config: &Config, training: &TrainingConfig, session: &Session) -> Result<Vec<PredictedPost>, CliError> {
    const COMPONENT: &str = "BulkInferrer";
    let runner = wiring::pipeline_runner(config, &session.clock, session.output.progress_of_tasks());
    let report = runner.run(&inference_graph(training)?, &RunOptions::default(), &mut |_| {})?.succeeded()?;
    let made = report.component(COMPONENT).and_then(|component| component.outputs.get("inference_result"));
    let made = made.ok_or_else(|| anyhow!("{COMPONENT} left no answers"))?;
    Ok(read_predictions(&runner.path(&made.uri))?)
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Suspects { likely_wrong, conflicting }) = &self.suspects {
            write!(f, "{} likely wrong", counted(*likely_wrong as u64, "label"))?;
            writeln!(f, ", {conflicting} more of posts that are alike with different labels")?;
        }
        if let Some(open) = &self.unlabelled {
            writeln!(f, "{open}")?;
        }
        if self.rows.is_empty() {
            return writeln!(f, "\nthere is nothing to label");
        }
        let count = self.rows.len() as u64;
        writeln!(f, "\nnext, the most useful first: {}", counted(count, "post"))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{}", Told(row)))?;
        match &self.file {
            Some(file) => {
                writeln!(f, "\n{}: fill in the column choice, then `natureddit label import`", file.display())
            }
            None => writeln!(f, "\n--out FILE.csv writes a table of them, to be filled in and imported"),
        }
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} without a label", counted(self.posts as u64, "post"))?;
        if self.near_duplicates > 0 {
            write!(f, ", beside {} of them", counted(self.near_duplicates as u64, "near-duplicate"))?;
        }
        if self.unreadable > 0 {
            write!(f, ", and {} whose photo is gone or cannot be read", self.unreadable)?;
        }
        match &self.model {
            Some(Answering { name, version }) => write!(f, "; {name} {version} was asked"),
            None => Ok(()),
        }
    }
}

/// A post on a line.
struct Told<'a>(&'a Row);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { img_name, choice, suggested, probability, margin, reason, set, title, .. } = self.0;
        let [choice, suggested] = [choice, suggested].map(|text| text.as_deref().unwrap_or_default());
        let [probability, margin] = [probability, margin].map(|number| number.unwrap_or_default());
        let set = set.unwrap_or_default();
        write!(f, "  {img_name}  ")?;
        match reason {
            Reason::LikelyWrong => write!(f, "{choice}, more likely {suggested} ({probability:.3})")?,
            Reason::NearPhotos => write!(f, "{choice}, near-duplicate photos with different labels (set {set})")?,
            Reason::SameTitle => write!(f, "{choice}, one title with different labels (set {set})")?,
            Reason::Unsure => write!(f, "unsure: {suggested} ({probability:.3}), ahead by {margin:.3}")?,
            Reason::Unlabelled => write!(f, "no label")?,
        }
        write!(f, "  {}", brief(title))
    }
}

#[cfg(test)]
mod tests {
    use natureddit_pipeline::unlabelled::{UnlabelledPost, UnsureAnswer};

    use super::*;

    fn queue() -> Queue {
        let post = |id: &str, answer| UnlabelledPost {
            id: id.parse().unwrap(),
            img_name: format!("{id}.jpg"),
            title: "A \u{1b}[2J rose".to_owned(),
            answer,
        };
        let unsure = UnsureAnswer { suggested: "flora".to_owned(), probability: 0.5, margin: 0.125 };
        let mut rows = vec![Row::of_unlabelled(post("b", Some(unsure))), Row::of_unlabelled(post("c", None))];
        let suspect = Row {
            choice: Some("fauna".to_owned()),
            reason: Reason::LikelyWrong,
            probability: Some(0.875),
            ..rows[0].clone()
        };
        let alike = Row { reason: Reason::NearPhotos, set: Some(2), suggested: None, ..suspect.clone() };
        rows.splice(0..0, [suspect, alike]);
        let model = Some(Answering { name: "m".to_owned(), version: 3 });
        Queue {
            suspects: Some(Suspects { likely_wrong: 1, conflicting: 1 }),
            unlabelled: Some(Open { posts: 2, near_duplicates: 4, unreadable: 1, model }),
            rows,
            file: None,
        }
    }

    #[test]
    fn each_post_is_told_with_what_to_do_about_it() {
        let expected = "\
1 label likely wrong, 1 more of posts that are alike with different labels
2 posts without a label, beside 4 near-duplicates of them, and 1 whose photo is gone or cannot be read; m 3 was asked

next, the most useful first: 4 posts
  b.jpg  fauna, more likely flora (0.875)  A \\u{1b}[2J rose
  b.jpg  fauna, near-duplicate photos with different labels (set 2)  A \\u{1b}[2J rose
  b.jpg  unsure: flora (0.500), ahead by 0.125  A \\u{1b}[2J rose
  c.jpg  no label  A \\u{1b}[2J rose

--out FILE.csv writes a table of them, to be filled in and imported
";
        assert_eq!(queue().to_string(), expected);
        let nothing = Queue { suspects: None, unlabelled: None, rows: Vec::new(), file: None };
        assert!(nothing.to_string().ends_with("there is nothing to label\n"));
    }

    #[test]
    fn a_post_without_a_label_waits_for_its_choice() {
        let table = String::from_utf8(table(&queue().rows).unwrap()).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "id,img_name,choice,suggested,probability,margin,reason,set,title");
        assert!(lines[3].starts_with("b,b.jpg,,flora,0.500000,0.125000,unsure,,"), "{}", lines[3]);
        assert!(lines[4].starts_with("c,c.jpg,,,,,unlabelled,,"), "{}", lines[4]);
    }
}
