//! What fine-tuning takes and brings on real photos and titles: one split, the head alone beside tuned encoders.
//!
//! usage: `tune PHOTOS LAYERS [key=value ...]`
//!
//! PHOTOS is a folder with `posts.csv` (`id,title,img_name,choice,...`) and its photos; LAYERS is `last_blocks` or `all`. One
//! row in five is judged, one in nine of the others stops the training. Keys: `rows` (the first so many), `learning_rate`,
//! `epochs_max`, `batch_size`, `threads`, `seed`.

use std::collections::BTreeMap;
use std::env::args;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use natureddit_core::{Class, ClassNames, Progress, fs};
use natureddit_model::metrics::{Judged, macro_f1};
use natureddit_model::train::{
    Control, HeadKind, Sample, TrainerConfig, TuneConfig, TuneSetting, TuneSplit, Tuned, TunedLayers, train_head,
    tune_encoders,
};
use natureddit_model::{
    BundleParts, Embedder, Features, ModelBundle, ModelInput, Precision, Prediction, Predictor, PredictorOptions,
    Prepared,
};
use natureddit_testkit::{LIMITS, assets};

type Failure = Box<dyn Error>;

struct Row {
    prepared: Prepared,
    features: Features,
    class: Class,
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = args().skip(1).collect();
    let [photos, layers, settings @ ..] = args.as_slice() else { return Err("give PHOTOS LAYERS".into()) };
    let pairs = settings.iter().filter_map(|word| word.split_once('='));
    let settings: BTreeMap<&str, f64> =
        pairs.map(|(key, value)| Ok((key, value.parse()?))).collect::<Result<_, Failure>>()?;
    let setting = |key: &str, otherwise: f64| settings.get(key).copied().unwrap_or(otherwise);
    let layers = match layers.as_str() {
        "last_blocks" => TunedLayers::LastBlocks,
        "all" => TunedLayers::All,
        other => return Err(format!("there are no layers {other:?}").into()),
    };
    let classes = ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec())?;
    let rows = read(Path::new(photos), &classes, setting("rows", 1e9) as usize)?;
    let seed = setting("seed", 1.0) as usize;
    let [train, eval, judged] = deal(&rows, seed);

    let trainer = trainer(seed as u64);
    let tune = TuneConfig {
        layers,
        learning_rate: setting("learning_rate", 3e-5),
        epochs_max: setting("epochs_max", 5.0) as usize,
        batch_size: setting("batch_size", 32.0) as usize,
    };
    let (progress, assets) = (Progress::silent(), assets());
    let control = Control::new(&progress);
    let [train_samples, eval_samples] = [&train, &eval].map(|rows| samples(rows));
    let trained = train_head(&train_samples, &eval_samples, &classes, &assets.pair, &trainer, &control)?;
    let by_head = judged.iter().map(|row| Prediction::new(trained.head.probabilities(&row.features))).collect();
    println!(
        "head alone: macro-F1 {:.4} on {} of {} rows",
        score(&judged, by_head, &classes),
        judged.len(),
        rows.len()
    );

    let began = Instant::now();
    let of_train = |at: usize| Ok(train[at].prepared.clone());
    let of_eval = |at: usize| Ok(eval[at].prepared.clone());
    let splits = [
        TuneSplit { samples: &train_samples, prepare: &of_train },
        TuneSplit { samples: &eval_samples, prepare: &of_eval },
    ];
    let (encoders, files, runtime) = (&assets.pair, &assets.files, &assets.runtime);
    let threads = setting("threads", 2.0) as usize;
    let how = TuneSetting { classes: &classes, encoders, files, runtime, trainer: &trainer, tune: &tune, threads };
    let tuned = tune_encoders(&trained, splits, &how, &control)?;
    let seconds = began.elapsed().as_secs_f64();
    let passes = (tuned.epochs.len() * train.len()).max(1) as f64;
    let epochs = tuned.epochs.len();
    println!("{seconds:.1} s for {epochs} epochs of {} rows: {:.0} ms a row", train.len(), 1e3 * seconds / passes);
    tell(&tuned);
    let Some(tuned_encoders) = &tuned.encoders else {
        println!("no epoch was better");
        return Ok(());
    };

    let folder = tempfile::tempdir()?;
    let lineage = BTreeMap::new();
    let parts = BundleParts {
        name: "tuned",
        classes: &classes,
        encoders,
        precision: &Precision::default(),
        files,
        head: &tuned.head,
        lineage,
    };
    let bundle = ModelBundle::write_tuned(folder.path(), parts, tuned_encoders)?;
    let mut predictor = Predictor::load(&bundle, runtime, &PredictorOptions { limits: LIMITS, threads })?;
    let prepared: Vec<Prepared> = judged.iter().map(|row| row.prepared.clone()).collect();
    println!("tuned: macro-F1 {:.4}", score(&judged, predictor.predict(&prepared)?, &classes));
    Ok(())
}

/// The rows to learn from, to stop by and to judge by.
fn deal(rows: &[Row], seed: usize) -> [Vec<&Row>; 3] {
    let (judged, others): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(at, _)| at % 5 == seed % 5);
    let (eval, train): (Vec<_>, Vec<_>) = others.into_iter().enumerate().partition(|(at, _)| at % 9 == 0);
    let [train, eval] = [train, eval].map(|rows| rows.into_iter().map(|(_, (_, row))| row).collect());
    [train, eval, judged.into_iter().map(|(_, row)| row).collect()]
}

fn tell(tuned: &Tuned) {
    let losses: Vec<_> = tuned.epochs.iter().map(|epoch| epoch.eval_loss).collect();
    println!("eval loss {:.4?} before; {losses:.4?}", tuned.eval_loss_before);
    let (before, after) = (tuned.difference_before, tuned.difference_after);
    println!("burn and ONNX Runtime differ by {before:.1e} before and {after:.1e} after");
}

fn trainer(seed: u64) -> TrainerConfig {
    TrainerConfig {
        epochs_max: 200,
        batch_size: 64,
        learning_rate: 0.001,
        weight_decay: 0.01,
        image_dropout: 0.3,
        text_dropout: 0.15,
        label_smoothing: 0.0,
        head: HeadKind::Linear,
        class_weights: true,
        patience: 20,
        seed,
    }
}

fn read(photos: &Path, classes: &ClassNames, rows: usize) -> Result<Vec<Row>, Failure> {
    let content = fs::read(&photos.join("posts.csv"))?;
    let table = csv::Reader::from_reader(content.as_slice()).into_deserialize().take(rows);
    let table: Vec<BTreeMap<String, String>> = table.collect::<Result<_, _>>()?;
    let files = table.iter().map(|line| fs::read(&photos.join(&line["img_name"]))).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<ModelInput<'_>> = table
        .iter()
        .zip(&files)
        .map(|(line, file)| ModelInput { text: Some(&line["title"]), image: Some(file) })
        .collect();
    let assets = assets();
    let mut embedder = Embedder::build(&assets.pair, &assets.files, &assets.runtime, LIMITS, 2)?;
    let features = embedder.embed(&inputs)?;
    let row = |((line, input), features): ((&BTreeMap<String, String>, &ModelInput<'_>), Result<Features, _>)| {
        let class = classes.class(&line["choice"]).ok_or("an unknown class")?;
        Ok(Row { prepared: embedder.preprocessor().prepare(input)?, features: features?, class })
    };
    table.iter().zip(&inputs).zip(features).map(row).collect()
}

fn samples<'a>(rows: &[&'a Row]) -> Vec<Sample<'a>> {
    rows.iter().map(|row| Sample { features: &row.features, class: row.class, weight: 1.0 }).collect()
}

fn score(rows: &[&Row], answers: Vec<Prediction>, classes: &ClassNames) -> f64 {
    let judge = |(at, (row, prediction)): (usize, (&&Row, Prediction))| Judged {
        truth: row.class,
        prediction,
        group: at.to_string(),
    };
    let judged: Vec<Judged> = rows.iter().zip(answers).enumerate().map(judge).collect();
    macro_f1(&judged, classes)
}
