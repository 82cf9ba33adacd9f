//! How fast the encoders are in eight bits and in floats, and how close.
//!
//! usage: `quantised PHOTOS TITLES [CALIBRATION]`
//!
//! PHOTOS is a folder of photos in folders, TITLES a text file of one title a line. The first CALIBRATION of each (150),
//! evenly spread, calibrate; as many others, in between, are judged. Latencies are the median of rounds in which the forms
//! take turns, of the encoder alone, in milliseconds a call.

use std::path::{Path, PathBuf};
use std::time::Instant;

use natureddit_core::fs;
use natureddit_model::{
    Embedder, Encoders, ModelInput, Precision, Prepared, Preprocessor, calibrate_image, calibrate_text,
};
use natureddit_testkit::{LIMITS, assets};

const ROUNDS: usize = 15;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [photos, titles, rest @ ..] = args.as_slice() else { return Err("give PHOTOS TITLES [CALIBRATION]".into()) };
    let count: usize = rest.first().map_or(Ok(150), |count| count.parse())?;
    let assets = assets();
    let embedder = Embedder::build(&assets.pair, &assets.files, &assets.runtime, LIMITS, 1)?;
    let photos = read_photos(embedder.preprocessor(), Path::new(photos), 2 * count)?;
    let titles = read_titles(embedder.preprocessor(), Path::new(titles), 2 * count)?;

    let half = |all: &[Prepared], first: usize| all.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>();
    let started = Instant::now();
    let image = calibrate_image(&assets.pair, &assets.files, &assets.runtime, half(&photos, 0).into_iter(), 2)?;
    let text = calibrate_text(&assets.pair, &assets.files, &assets.runtime, half(&titles, 0).into_iter(), 2)?;
    println!("calibrated on {count} photos and {count} titles in {:.1} s", started.elapsed().as_secs_f64());
    let floats = Precision::default();
    let int8 = Precision { image: Some(image), text: Some(text) };
    let kib = |graph: Vec<u8>| graph.len() / 1024;
    for (name, precision) in [("floats", &floats), ("int8", &int8)] {
        let image = kib(precision.image_graph(&assets.pair, &assets.files)?);
        let text = kib(precision.text_graph(&assets.pair, &assets.files)?);
        println!("{name}: image encoder {image} KiB, text encoder {text} KiB");
    }
    for (what, judged) in [("photos", half(&photos, 1)), ("titles", half(&titles, 1))] {
        closeness(what, &judged, &floats, &int8)?;
        latencies(what, &judged, &floats, &int8)?;
    }
    Ok(())
}

/// So many of the photos, evenly spread.
fn read_photos(preprocessor: &Preprocessor, folder: &Path, count: usize) -> Outcome<Vec<Prepared>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for kind in fs::read_dir(folder)?.into_iter().filter(|path| path.is_dir()) {
        files.extend(fs::read_dir(&kind)?);
    }
    let prepare = |path: &PathBuf| -> Outcome<Prepared> {
        let bytes = fs::read(path)?;
        Ok(preprocessor.prepare(&ModelInput { text: None, image: Some(&bytes) })?)
    };
    files.iter().step_by((files.len() / count).max(1)).take(count).map(prepare).collect()
}

/// So many of the titles, evenly spread.
fn read_titles(preprocessor: &Preprocessor, file: &Path, count: usize) -> Outcome<Vec<Prepared>> {
    let text = fs::read_to_string(file)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let prepare = |title: &&str| Ok(preprocessor.prepare(&ModelInput { text: Some(title), image: None })?);
    lines.iter().step_by((lines.len() / count).max(1)).take(count).map(prepare).collect()
}

fn load(precision: &Precision, threads: usize) -> Outcome<Encoders> {
    let assets = assets();
    Ok(Encoders::build(&assets.pair, &assets.files, precision, &assets.runtime, threads)?)
}

fn encode(encoders: &mut Encoders, inputs: &[Prepared]) -> Outcome<Vec<Vec<f32>>> {
    let features = encoders.encode(inputs)?.into_iter();
    Ok(features.map(|features| features.image.or(features.text).unwrap_or_default()).collect())
}

/// The cosines between the features of both forms.
fn closeness(what: &str, judged: &[Prepared], floats: &Precision, int8: &Precision) -> Outcome<()> {
    let floats = encode(&mut load(floats, 2)?, judged)?;
    let mut encoders = load(int8, 2)?;
    let together = encode(&mut encoders, judged)?;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let mut cosines: Vec<f32> = floats.iter().zip(&together).map(cosine).collect();
    cosines.sort_by(f32::total_cmp);
    let at = |share: f64| cosines[((cosines.len() - 1) as f64 * share) as usize];
    println!("{what}: cosine min {:.4}, 5 % {:.4}, median {:.4} of {}", at(0.0), at(0.05), at(0.5), cosines.len());

    let mut gap = 0.0_f32;
    for (one, together) in judged.iter().zip(&together) {
        let alone = encode(&mut encoders, std::slice::from_ref(one))?.remove(0);
        gap = alone.iter().zip(together).map(|(a, b)| (a - b).abs()).fold(gap, f32::max);
    }
    println!("{what}: alone and among others the features differ by {gap:e} at most");
    Ok(())
}

/// The time of a call of both forms, for one and eight inputs and one and two threads.
fn latencies(what: &str, judged: &[Prepared], floats: &Precision, int8: &Precision) -> Outcome<()> {
    println!("{what}: batch threads floats int8 ratio");
    for threads in [1, 2] {
        let mut forms = [load(floats, threads)?, load(int8, threads)?];
        for batch in [1, 8] {
            let mut times = [Vec::new(), Vec::new()];
            for round in 0..ROUNDS {
                for (form, times) in forms.iter_mut().zip(&mut times) {
                    let calls = 16 / batch;
                    let started = Instant::now();
                    for call in 0..calls {
                        let first = (round * calls + call) * batch % (judged.len() + 1 - batch);
                        encode(form, &judged[first..first + batch])?;
                    }
                    times.push(started.elapsed().as_secs_f64() * 1e3 / calls as f64);
                }
            }
            let [floats, int8] = times.map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[ROUNDS / 2]
            });
            println!("{what}: {batch} {threads} {floats:.2} {int8:.2} {:.2}", floats / int8);
        }
    }
    Ok(())
}
