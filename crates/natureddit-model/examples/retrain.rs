//! How long a retraining on cached embeddings takes, and how good it is.
//!
//! usage: `retrain [ROWS] [FOLDER] [key=value ...]`
//!
//! Makes ROWS (default 50,000) rows of the default encoders' widths, 1,280 + 384 features, from one seed: normal noise
//! around a centre for each class, so near each other that the best possible answer is sometimes wrong. Nine tenths are
//! learnt, one tenth stops the training; another fifth as many judge it. Prints one line: seconds, epochs, macro-F1. With
//! FOLDER the same rows are written there as raw little-endian numbers, for another program to learn from:
//! `{train,eval,test}.f32` [rows, 1664] and `{train,eval,test}.u8` [rows], and `answers.u8`, the answers to the last.
//! Training has the program's defaults, or what is set in their place, such as `head='"mlp"'`.

use std::env::args;
use std::error::Error;
use std::f64::consts::TAU;
use std::path::Path;
use std::time::Instant;

use natureddit_core::{Class, ClassNames, Progress, fs};
use natureddit_model::metrics::{Judged, macro_f1};
use natureddit_model::train::{Control, Sample, train_head};
use natureddit_model::{EncoderPair, Features, Prediction, image_encoder_from_config, text_encoder_from_config};
use natureddit_testkit::default_trainer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CLASSES: [&str; 3] = ["fauna", "flora", "landscape"];
/// The deviation of the centres' coordinates, where that of the noise is 1: some 4 % of the rows lie nearer to the centre
/// of another class than to their own.
const CENTRES: f32 = 0.07;

type Rows = Vec<(Features, Class)>;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = args().skip(1).collect();
    let rows: usize = args.first().map_or(Ok(50_000), |rows| rows.parse())?;
    let config = default_trainer(args.get(2..).unwrap_or_default()).config;
    let encoders = EncoderPair {
        image: image_encoder_from_config("efficientnet_lite0").ok_or("no image encoder")?.into(),
        text: text_encoder_from_config("all-MiniLM-L6-v2").ok_or("no text encoder")?.into(),
        title_tokens_max: 64,
    };
    let classes = ClassNames::new(CLASSES.map(str::to_owned).to_vec())?;
    let mut noise = Noise(ChaCha8Rng::seed_from_u64(1));
    let widths = (encoders.image.features, encoders.text.features);
    let centres: Vec<Vec<f32>> = CLASSES.iter().map(|_| noise.row(widths.0 + widths.1)).collect();
    let [train, eval, test] =
        [rows - rows / 10, rows / 10, rows / 5].map(|count| noise.rows(count, &centres, widths.0));
    if let Some(folder) = args.get(1) {
        for (name, rows) in [("train", &train), ("eval", &eval), ("test", &test)] {
            write(Path::new(folder), name, rows)?;
        }
    }

    let [train, eval] = [&train, &eval].map(samples);
    let began = Instant::now();
    let trained = train_head(&train, &eval, &classes, &encoders, &config, &Control::new(&Progress::silent()))?;
    let seconds = began.elapsed().as_secs_f64();
    let judge = |(features, class): &(Features, Class)| Judged {
        truth: *class,
        prediction: Prediction::new(trained.head.probabilities(features)),
        group: String::new(),
    };
    let judged: Vec<Judged> = test.iter().map(judge).collect();
    if let Some(folder) = args.get(1) {
        let answers: Vec<u8> = judged.iter().map(|judged| judged.prediction.class.0 as u8).collect();
        fs::write_atomic(&Path::new(folder).join("answers.u8"), answers)?;
    }
    let (epochs, best, f1) = (trained.epochs.len(), trained.best_epoch + 1, macro_f1(&judged, &classes));
    println!("rows {rows} seconds {seconds:.2} epochs {epochs} best_epoch {best} macro_f1 {f1:.4}");
    Ok(())
}

fn samples(rows: &Rows) -> Vec<Sample<'_>> {
    rows.iter().map(|(features, class)| Sample { features, class: *class, weight: 1.0 }).collect()
}

struct Noise(ChaCha8Rng);

impl Noise {
    /// Normal numbers, two from two uniform ones (Box and Muller 1958).
    fn row(&mut self, width: usize) -> Vec<f32> {
        let pair = |rng: &mut ChaCha8Rng| {
            let (radius, angle) = ((-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt(), TAU * rng.random::<f64>());
            [(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]
        };
        (0..width.div_ceil(2)).flat_map(|_| pair(&mut self.0)).take(width).collect()
    }

    fn rows(&mut self, count: usize, centres: &[Vec<f32>], image: usize) -> Rows {
        let row = |at: usize| {
            let class = Class(at % centres.len());
            let noise = self.row(centres[class.0].len()).into_iter();
            let mut photo: Vec<f32> = noise.zip(&centres[class.0]).map(|(x, centre)| x + CENTRES * centre).collect();
            let title = photo.split_off(image);
            (Features { image: Some(photo), text: Some(title) }, class)
        };
        (0..count).map(row).collect()
    }
}

fn write(folder: &Path, name: &str, rows: &Rows) -> Result<(), Box<dyn Error>> {
    let numbers =
        rows.iter().flat_map(|(features, _)| [&features.image, &features.text].into_iter().flatten().flatten());
    let numbers: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
    fs::create_dir_all(folder)?;
    fs::write_atomic(&folder.join(format!("{name}.f32")), numbers)?;
    let classes: Vec<u8> = rows.iter().map(|(_, class)| class.0 as u8).collect();
    fs::write_atomic(&folder.join(format!("{name}.u8")), classes)?;
    Ok(())
}
