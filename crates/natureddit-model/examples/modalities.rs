//! How good the head is on real photos and titles, with either part alone, and how well calibrated: grouped five-fold
//! cross-validation over several seeds.
//!
//! usage: `modalities PHOTOS CACHE [key=value ...]`
//!
//! PHOTOS is a folder with `posts.csv` (`id,title,img_name,choice,...`), its photos, and `titles_reddit.csv`
//! (`id,subreddit,title,choice,...`). All are embedded once, with the default encoders, and kept in CACHE. Keys: those of
//! `[trainer]` (`head`, `hidden_units`, `dropout`, `label_smoothing`, `learning_rate`, `weight_decay`, `image_dropout`,
//! `text_dropout`, `batch_size`, `epochs_max`, `patience`), `extra_title_weight` (0: without the titles), `seeds`, and
//! `calibration_posts` (0: the encoders are in floats; else in eight bits, calibrated on so many posts without their labels).
//!
//! A title alone and a photo alone are asked of the head that learnt both, and of one that learnt that part only.

use std::collections::BTreeMap;
use std::env::args;
use std::error::Error;
use std::path::Path;

use natureddit_core::{Class, ClassNames, Progress, fs};
use natureddit_model::metrics::{Bootstrap, Judged, evaluate, macro_f1};
use natureddit_model::train::{Control, HeadKind, Sample, Trained, TrainerConfig, train_head};
use natureddit_model::{
    Embedder, Features, ModelInput, Precision, Prediction, calibrate_image, calibrate_text, read_features,
    write_features,
};
use natureddit_testkit::{Assets, LIMITS, assets};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

type Failure = Box<dyn Error>;

const FOLDS: usize = 5;
/// One in so many groups that a fold learns from stops the training instead, as in the program's cross-validation.
const EVAL_SHARE: usize = 9;

struct Row {
    features: Features,
    class: Class,
    /// The normalised title, or of an extra title an id of its own.
    group: String,
    weight: f32,
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = args().skip(1).collect();
    let [photos, cache, settings @ ..] = args.as_slice() else { return Err("give PHOTOS CACHE".into()) };
    let settings = Settings::new(settings)?;
    let classes = ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec())?;
    let (posts, mut titles) = read(Path::new(photos), Path::new(cache), &classes, &settings)?;
    titles.iter_mut().for_each(|title| title.weight = settings.number("extra_title_weight", 0.0) as f32);
    titles.retain(|title| title.weight > 0.0);

    let mut figures = Figures::default();
    for seed in 0..settings.number("seeds", 3.0) as u64 {
        figures.add(&validate(&posts, &titles, &classes, &settings.config(seed)?)?, &classes);
    }
    figures.print();
    Ok(())
}

struct Settings(BTreeMap<String, String>);

impl Settings {
    fn new(words: &[String]) -> Result<Self, Failure> {
        let pair = |word: &String| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Self(words.iter().map(pair).collect::<Option<_>>().ok_or("settings are key=value")?))
    }

    fn number(&self, key: &str, otherwise: f64) -> f64 {
        self.0.get(key).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }

    fn config(&self, seed: u64) -> Result<TrainerConfig, Failure> {
        let head = match self.0.get("head").map_or("linear", String::as_str) {
            "linear" => HeadKind::Linear,
            "mlp" => HeadKind::Mlp {
                hidden: self.number("hidden_units", 512.0) as usize,
                dropout: self.number("dropout", 0.5),
            },
            other => return Err(format!("there is no head {other:?}").into()),
        };
        Ok(TrainerConfig {
            epochs_max: self.number("epochs_max", 200.0) as usize,
            batch_size: self.number("batch_size", 64.0) as usize,
            learning_rate: self.number("learning_rate", 0.001),
            weight_decay: self.number("weight_decay", 0.01) as f32,
            image_dropout: self.number("image_dropout", 0.3),
            text_dropout: self.number("text_dropout", 0.15),
            label_smoothing: self.number("label_smoothing", 0.0),
            head,
            class_weights: true,
            patience: self.number("patience", 20.0) as usize,
            seed,
        })
    }
}

/// The photos with their titles, and the titles without a photo.
fn read(
    photos: &Path,
    cache: &Path,
    classes: &ClassNames,
    settings: &Settings,
) -> Result<(Vec<Row>, Vec<Row>), Failure> {
    let table = |name: &str| -> Result<Vec<BTreeMap<String, String>>, Failure> {
        let content = fs::read(&photos.join(name))?;
        Ok(csv::Reader::from_reader(content.as_slice()).deserialize().collect::<Result<_, _>>()?)
    };
    let (posts, titles) = (table("posts.csv")?, table("titles_reddit.csv")?);
    let pair = &assets().pair;
    let (image, text) = (pair.image.features, pair.text.features);
    if fs::optional(fs::metadata(cache))?.is_none() {
        let calibration_posts = settings.number("calibration_posts", 0.0) as usize;
        write_features(cache, &embed(photos, &posts, &titles, calibration_posts)?, image, text)?;
    }
    let mut features = read_features(cache, image, text)?.into_iter();
    let mut rows = |table: &[BTreeMap<String, String>], own_groups: bool| -> Result<Vec<Row>, Failure> {
        let row = |line: &BTreeMap<String, String>| {
            let class = classes.class(&line["choice"]).ok_or("an unknown class")?;
            let title = normalised(&line["title"]);
            let group = if own_groups { title } else { format!("title {title}") };
            Ok(Row { features: features.next().ok_or("the cache is of other photos")?, class, group, weight: 1.0 })
        };
        table.iter().map(row).collect()
    };
    let posts = rows(&posts, true)?;
    Ok((posts, rows(&titles, false)?))
}

fn embed(
    photos: &Path,
    posts: &[BTreeMap<String, String>],
    titles: &[BTreeMap<String, String>],
    calibration_posts: usize,
) -> Result<Vec<Features>, Failure> {
    let Assets { pair, files, runtime, .. } = assets();
    let bytes = posts.iter().map(|line| fs::read(&photos.join(&line["img_name"]))).collect::<Result<Vec<_>, _>>()?;
    let both =
        posts.iter().zip(&bytes).map(|(line, file)| ModelInput { text: Some(&line["title"]), image: Some(file) });
    let mut precision = Precision::default();
    if let Some(step) = posts.len().checked_div(calibration_posts) {
        let embedder = Embedder::build(pair, files, runtime, LIMITS, 1)?;
        let some = both.clone().step_by(step.max(1)).take(calibration_posts);
        let some: Vec<_> = some.map(|input| embedder.preprocessor().prepare(&input)).collect::<Result<_, _>>()?;
        precision.image = Some(calibrate_image(pair, files, runtime, some.iter().cloned(), 2)?);
        precision.text = Some(calibrate_text(pair, files, runtime, some.into_iter(), 2)?);
    }
    let mut embedder = Embedder::build_at(pair, files, &precision, runtime, LIMITS, 2)?;
    let alone = titles.iter().map(|line| ModelInput { text: Some(&line["title"]), image: None });
    let inputs: Vec<ModelInput<'_>> = both.chain(alone).collect();
    Ok(embedder.embed(&inputs)?.into_iter().collect::<Result<_, _>>()?)
}

fn normalised(title: &str) -> String {
    title.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What is asked of which head.
const ASKED: [&str; 5] = ["both", "title of both", "title alone", "photo of both", "photo alone"];

/// The answers to each of [`ASKED`], to all posts.
fn validate(
    posts: &[Row],
    titles: &[Row],
    classes: &ClassNames,
    config: &TrainerConfig,
) -> Result<[Vec<(Judged, f32)>; 5], Failure> {
    let mut groups: Vec<&str> = posts.iter().map(|row| row.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    let place: BTreeMap<&str, usize> = groups.iter().enumerate().map(|(at, group)| (*group, at)).collect();
    let mut answers: [Vec<(Judged, f32)>; 5] = Default::default();
    for fold in 0..FOLDS {
        let is_held = |group: &str| place.get(group).is_some_and(|at| at % FOLDS == fold);
        let is_eval = |group: &str| place.get(group).is_some_and(|at| (at / FOLDS).is_multiple_of(EVAL_SHARE));
        let is_told = |row: &&Row| row.group.strip_prefix("title ").is_none_or(|t| !is_held(t) && !is_eval(t));
        let (held, others): (Vec<&Row>, Vec<&Row>) = posts.iter().partition(|row| is_held(&row.group));
        let (eval, mut train): (Vec<&Row>, Vec<&Row>) = others.into_iter().partition(|row| is_eval(&row.group));
        train.extend(titles.iter().filter(is_told));
        for (part, asked) in [(Part::Both, &[0, 1, 3][..]), (Part::Title, &[2]), (Part::Photo, &[4])] {
            let trained = learn(&train, &eval, part, classes, config)?;
            for &at in asked {
                let part = [Part::Both, Part::Title, Part::Title, Part::Photo, Part::Photo][at];
                answers[at].extend(held.iter().map(|row| judge(row, part, &trained)));
            }
        }
    }
    Ok(answers)
}

#[derive(Clone, Copy)]
enum Part {
    Both,
    Title,
    Photo,
}

fn part_of(row: &Row, part: Part) -> Features {
    let Features { image, text } = row.features.clone();
    match part {
        Part::Both => Features { image, text },
        Part::Title => Features { image: None, text },
        Part::Photo => Features { image, text: None },
    }
}

fn learn(
    train: &[&Row],
    eval: &[&Row],
    part: Part,
    classes: &ClassNames,
    config: &TrainerConfig,
) -> Result<Trained, Failure> {
    let [train, eval] = [train, eval].map(|rows| {
        let rows = rows.iter().map(|row| (part_of(row, part), *row));
        rows.filter(|(features, _)| features.image.is_some() || features.text.is_some()).collect::<Vec<_>>()
    });
    let [train, eval] = [&train, &eval].map(|rows| {
        rows.iter().map(|(features, row)| Sample { features, class: row.class, weight: row.weight }).collect::<Vec<_>>()
    });
    let progress = Progress::silent();
    Ok(train_head(&train, &eval, classes, &assets().pair, config, &Control::new(&progress))?)
}

/// An answer, and the temperature that is in it.
fn judge(row: &Row, part: Part, trained: &Trained) -> (Judged, f32) {
    let prediction = Prediction::new(trained.head.probabilities(&part_of(row, part)));
    (Judged { truth: row.class, prediction, group: row.group.clone() }, trained.head.temperature())
}

/// The answer as it would be without its temperature.
fn without_temperature((judged, temperature): &(Judged, f32)) -> Judged {
    let raised: Vec<f32> = judged.prediction.probabilities.iter().map(|p| p.powf(*temperature)).collect();
    let sum: f32 = raised.iter().sum();
    let prediction = Prediction::new(raised.iter().map(|p| p / sum).collect());
    Judged { prediction, ..judged.clone() }
}

/// Means over the seeds.
#[derive(Default)]
struct Figures {
    seeds: f64,
    macro_f1: [f64; 5],
    ece: [[f64; 2]; 5],
    log_loss: [[f64; 2]; 5],
    temperature: f64,
}

impl Figures {
    fn add(&mut self, answers: &[Vec<(Judged, f32)>; 5], classes: &ClassNames) {
        self.seeds += 1.0;
        for (at, answers) in answers.iter().enumerate() {
            let with: Vec<Judged> = answers.iter().map(|(judged, _)| judged.clone()).collect();
            let without: Vec<Judged> = answers.iter().map(without_temperature).collect();
            self.macro_f1[at] += macro_f1(&with, classes);
            for (side, judged) in [&without, &with].into_iter().enumerate() {
                let bootstrap = Bootstrap { samples: 1, confidence: 0.95, seed: 1 };
                self.ece[at][side] += evaluate(judged, classes, &bootstrap).ece;
                let loss = |judged: &Judged| -f64::from(judged.prediction.probabilities[judged.truth.0].max(1e-7)).ln();
                self.log_loss[at][side] += judged.iter().map(loss).sum::<f64>() / judged.len() as f64;
            }
        }
        self.temperature += answers[0].iter().map(|(_, t)| f64::from(*t)).sum::<f64>() / answers[0].len() as f64;
    }

    fn print(&self) {
        let mean = |sum: f64| sum / self.seeds;
        println!("{:<15} macro-F1  ECE T=1  ECE      loss T=1 loss", "");
        for (at, name) in ASKED.iter().enumerate() {
            let ([e1, e], [l1, l]) = (self.ece[at].map(mean), self.log_loss[at].map(mean));
            println!("{name:<15} {:.4}    {e1:.4}   {e:.4}   {l1:.4}   {l:.4}", mean(self.macro_f1[at]));
        }
        println!("mean temperature {:.3} over {} seeds", mean(self.temperature), self.seeds);
    }
}
