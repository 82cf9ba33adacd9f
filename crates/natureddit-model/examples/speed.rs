//! How fast photos are embedded and single posts are answered, in floats and in eight bits, for `cargo xtask bench model`.
//!
//! usage: `speed photos PHOTOS FOLDER`   prints `floats N int8 N cosine N`: photos a second with two threads, decoding
//!                                       included, in the median of rounds in which the forms take turns, and the lowest
//!                                       cosine between the features of a photo in both forms
//!        `speed answer FOLDER PRECISION` answers each line `PHOTO<tab>TITLE` of the standard input on one thread, with a line
//!                                       of the milliseconds it took and the probabilities
//!
//! PHOTOS is a folder of JPEG files in folders. `photos` makes FOLDER, for `answer` and for another program to do the same:
//! `floats/` is a bundle whose head has learnt drawn pictures, `int8/` has its two graphs in eight bits, calibrated on PHOTOS.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use natureddit_core::fs;
use natureddit_model::{
    Embedder, Encoders, Features, InputError, ModelBundle, ModelInput, Precision, Prediction, Prepared, Preprocessor,
    calibrate_image, calibrate_text,
};
use natureddit_testkit::{LIMITS, assets};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const ROUNDS: usize = 5;
const THREADS: usize = 2;
/// So many photos calibrate, as in the program.
const CALIBRATION: usize = 150;
/// What the text encoder is calibrated on; how close it comes is not measured here.
const TITLES: [&str; 6] = [
    "A red fox in the snow this morning",
    "Sunrise over the Dolomites, Italy [OC] [4000x3000]",
    "First orchid of the year!",
    "Can anybody tell me what kind of spider this is?",
    "Oak",
    "The view from our tent after three days of rain in the north of Norway, and nobody else for miles",
];

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["photos", photos, folder] => measure_photos(Path::new(photos), Path::new(folder)),
        ["answer", folder, precision] => answer(Path::new(folder), precision),
        _ => Err("give photos PHOTOS FOLDER, or answer FOLDER floats|int8".into()),
    }
}

fn measure_photos(photos: &Path, folder: &Path) -> Outcome<()> {
    let photos = files(photos)?;
    let int8 = prepare(&photos, folder)?;
    let mut forms = [open(&Precision::default())?, open(&int8)?];
    let mut rates = [Vec::new(), Vec::new()];
    let mut features = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (at, embedder) in forms.iter_mut().enumerate() {
            let started = Instant::now();
            features[at] = embedder.embed_photos(&photos, |path| Ok::<_, Unreadable>(fs::read(path)?))?;
            rates[at].push(photos.len() as f64 / started.elapsed().as_secs_f64());
        }
    }
    let [floats, int8] = features.map(|rows| rows.into_iter().collect::<Result<Vec<Features>, _>>());
    let image = |features: &Features| features.image.clone().unwrap_or_default();
    let cosines = floats?.iter().zip(&int8?).map(|(a, b)| cosine(&image(a), &image(b))).collect::<Vec<_>>();
    let lowest = cosines.into_iter().fold(1.0, f32::min);
    let [floats, int8] = rates.map(median);
    println!("floats {floats:.1} int8 {int8:.1} cosine {lowest:.4}");
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    File(#[from] fs::FsError),
    #[error(transparent)]
    Input(#[from] InputError),
}

fn open(precision: &Precision) -> Outcome<Embedder> {
    let assets = assets();
    Ok(Embedder::build_at(&assets.pair, &assets.files, precision, &assets.runtime, LIMITS, THREADS)?)
}

/// Every file two folders deep.
fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for kind in fs::read_dir(folder)?.into_iter().filter(|path| path.is_dir()) {
        files.extend(fs::read_dir(&kind)?);
    }
    files.sort();
    Ok(files)
}

/// Writes both forms of a model.
fn prepare(photos: &[PathBuf], folder: &Path) -> Outcome<Precision> {
    let assets = assets();
    let _ = natureddit_testkit::bundle(&folder.join("floats"), "speed");
    let embedder = Embedder::build(&assets.pair, &assets.files, &assets.runtime, LIMITS, 1)?;
    let preprocessor = embedder.preprocessor();
    let photo = |path: &PathBuf| -> Outcome<Prepared> {
        let bytes = fs::read(path)?;
        Ok(preprocessor.prepare(&ModelInput { text: None, image: Some(&bytes) })?)
    };
    let photos = photos.iter().take(CALIBRATION).map(photo).collect::<Outcome<Vec<_>>>()?;
    let title = |title| preprocessor.prepare(&ModelInput { text: Some(title), image: None });
    let titles = TITLES.into_iter().map(title).collect::<Result<Vec<_>, _>>()?;
    let (pair, files, runtime) = (&assets.pair, &assets.files, &assets.runtime);
    let image = calibrate_image(pair, files, runtime, photos.into_iter(), THREADS)?;
    let text = calibrate_text(pair, files, runtime, titles.into_iter(), THREADS)?;
    let int8 = Precision { image: Some(image), text: Some(text) };
    let into = folder.join("int8");
    fs::create_dir_all(&into)?;
    fs::write_atomic(&into.join("image_encoder.onnx"), int8.image_graph(pair, files)?)?;
    fs::write_atomic(&into.join("text_encoder.onnx"), int8.text_graph(pair, files)?)?;
    fs::write_atomic(&into.join("precision.json"), serde_json::to_vec(&int8)?)?;
    Ok(int8)
}

/// The same steps as the program's predictor, for a precision that need not be a bundle's.
fn answer(folder: &Path, precision: &str) -> Outcome<()> {
    let precision = match precision {
        "floats" => Precision::default(),
        "int8" => serde_json::from_slice(&fs::read(&folder.join("int8/precision.json"))?)?,
        other => return Err(format!("there is no precision {other:?}").into()),
    };
    let assets = assets();
    let head = ModelBundle::read(&folder.join("floats"))?.head()?;
    let mut encoders = Encoders::build(&assets.pair, &assets.files, &precision, &assets.runtime, 1)?;
    let embedder = Embedder::build(&assets.pair, &assets.files, &assets.runtime, LIMITS, 1)?;
    let preprocessor: Preprocessor = embedder.preprocessor().clone();
    drop(embedder);
    for line in stdin().lock().lines() {
        let line = line?;
        let (photo, title) = line.split_once('\t').ok_or("a line is PHOTO<tab>TITLE")?;
        let bytes = fs::read(Path::new(photo))?;
        let started = Instant::now();
        let prepared = preprocessor.prepare(&ModelInput { text: Some(title), image: Some(&bytes) })?;
        let features = encoders.encode(&[prepared])?;
        let predictions: Vec<Prediction> =
            features.iter().map(|features| Prediction::new(head.probabilities(features))).collect();
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        let probabilities = predictions.iter().flat_map(|prediction| &prediction.probabilities);
        let words: Vec<String> = probabilities.map(f32::to_string).collect();
        writeln!(stdout(), "{milliseconds} {}", words.join(" "))?;
        stdout().flush()?;
    }
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
