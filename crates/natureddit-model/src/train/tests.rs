use std::sync::{Arc, Mutex};

use rand::Rng;

use super::network::Mean;
use super::*;
use crate::encoder::{image_encoder_from_config, text_encoder_from_config};

fn encoders() -> EncoderPair {
    EncoderPair {
        image: image_encoder_from_config("efficientnet_lite0").unwrap().into(),
        text: text_encoder_from_config("all-MiniLM-L6-v2").unwrap().into(),
        title_tokens_max: 64,
    }
}

fn classes() -> ClassNames {
    ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec()).unwrap()
}

fn config() -> TrainerConfig {
    TrainerConfig {
        epochs_max: 12,
        batch_size: 32,
        learning_rate: 0.003,
        weight_decay: 0.01,
        image_dropout: 0.15,
        text_dropout: 0.15,
        label_smoothing: 0.0,
        head: HeadKind::Linear,
        class_weights: true,
        patience: 12,
        seed: 7,
    }
}

fn mlp() -> TrainerConfig {
    TrainerConfig { head: HeadKind::Mlp { hidden: 48, dropout: 0.2 }, ..config() }
}

/// Noise in every feature, and in some of both modalities something of the class.
fn rows(count: usize, seed: u64) -> Vec<(Features, Class)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut part = |width: usize, class: usize| -> Vec<f32> {
        let noise = (0..width).map(|_| rng.random_range(-1.0..1.0));
        noise.enumerate().map(|(at, noise)| noise + if at % 40 == class { 0.5 } else { 0.0 }).collect()
    };
    let row = |at: usize| (Features { image: Some(part(1280, at % 3)), text: Some(part(384, at % 3)) }, Class(at % 3));
    (0..count).map(row).collect()
}

fn samples(rows: &[(Features, Class)]) -> Vec<Sample<'_>> {
    rows.iter().map(|(features, class)| Sample { features, class: *class, weight: 1.0 }).collect()
}

fn train(rows: &[(Features, Class)], eval: usize, config: &TrainerConfig) -> Result<Trained, TrainError> {
    train_watched(rows, eval, config, &Control::new(&Progress::silent()))
}

fn train_watched(
    rows: &[(Features, Class)],
    eval: usize,
    config: &TrainerConfig,
    control: &Control<'_>,
) -> Result<Trained, TrainError> {
    let samples = samples(rows);
    let (train, eval) = samples.split_at(samples.len() - eval);
    train_head(train, eval, &classes(), &encoders(), config, control)
}

fn right(head: &Head, rows: &[(Features, Class)]) -> usize {
    let answer = |features| crate::predictor::Prediction::new(head.probabilities(features)).class;
    rows.iter().filter(|(features, class)| answer(features) == *class).count()
}

fn bytes(head: &Head) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.safetensors");
    head.write(&path).unwrap();
    natureddit_core::fs::read(&path).unwrap()
}

#[test]
fn both_kinds_of_head_learn_what_is_to_be_learnt_and_a_part_alone_is_answered() {
    let (known, unseen) = (rows(360, 1), rows(120, 2));
    let title_alone: Vec<_> = unseen.iter().map(|(f, c)| (Features { image: None, ..f.clone() }, *c)).collect();
    for config in [config(), mlp()] {
        let trained = train(&known, 60, &config).unwrap();
        let (whole, alone) = (right(&trained.head, &unseen), right(&trained.head, &title_alone));
        assert!(whole > 110 && alone > 80, "{whole} and {alone} of 120 with {:?}", config.head);
        assert_eq!(trained.epochs.len(), trained.epoch_ends.len());
        assert!(trained.epochs.iter().all(|epoch| epoch.train_loss.is_finite()) && !trained.stopped);
    }
}

/// The head answers as the network it was made of: the accuracy of its epoch is that of its answers.
#[test]
fn the_head_is_the_network_of_the_best_epoch() {
    let known = rows(300, 3);
    for config in [config(), mlp()] {
        let trained = train(&known, 90, &config).unwrap();
        let best = trained.epochs[trained.best_epoch];
        assert_eq!(right(&trained.head, &known[210..]) as f64 / 90.0, best.eval_accuracy.unwrap());
        let lowest = trained.epochs.iter().filter_map(|epoch| epoch.eval_loss).fold(f64::INFINITY, f64::min);
        assert_eq!(best.eval_loss, Some(lowest));
    }
}

#[test]
fn what_is_kept_of_a_pass_is_the_mean_over_its_steps() {
    let mut mean = Mean::default();
    for value in [1.0, 3.0, 2.0, 6.0] {
        mean.add(&[vec![value, -value], vec![0.0; 2]]);
    }
    assert_eq!(mean.parameters(), [vec![3.0, -3.0], vec![0.0; 2]]);
}

/// Classes are equally frequent in both splits, so that the eval loss is the plain one where nothing is hidden, and otherwise
/// that of whole rows and of parts in the shares of training.
#[test]
fn the_eval_loss_is_of_whole_rows_and_of_parts_as_often_as_training_hides_the_others() {
    let known = rows(300, 3);
    for (image_dropout, text_dropout) in [(0.0, 0.0), (0.3, 0.1)] {
        let trained = train(&known, 90, &TrainerConfig { image_dropout, text_dropout, ..config() }).unwrap();
        let plain = Head { temperature: 1.0, ..trained.head.clone() };
        let loss = |part: fn(&Features) -> Features| {
            let loss = |(features, class): &(Features, Class)| -plain.probabilities(&part(features))[class.0].ln();
            f64::from(known[210..].iter().map(loss).sum::<f32>()) / 90.0
        };
        let title_alone = image_dropout * loss(|features| Features { image: None, ..features.clone() });
        let photo_alone = text_dropout * loss(|features| Features { text: None, ..features.clone() });
        let whole = (1.0 - image_dropout - text_dropout) * loss(Features::clone);
        let expected = trained.epochs[trained.best_epoch].eval_loss.unwrap();
        assert!((title_alone + photo_alone + whole - expected).abs() < 1e-4);
    }
}

#[test]
fn one_and_two_threads_train_the_same_bytes() {
    let known = rows(420, 4);
    // Multiplications of this size are shared among threads.
    let wide = TrainerConfig { head: HeadKind::Mlp { hidden: 192, dropout: 0.1 }, batch_size: 128, ..config() };
    for config in [config(), wide] {
        let [one, two] = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(&known, 60, &config).unwrap())
        });
        assert!(bytes(&one.head) == bytes(&two.head), "{:?}", config.head);
        assert_eq!(one.epochs, two.epochs);
    }
}

#[test]
fn an_interrupted_training_ends_with_the_bytes_of_one_that_was_not() {
    let (known, folder) = (rows(240, 5), tempfile::tempdir().unwrap());
    for (name, config) in [("linear", config()), ("mlp", mlp())] {
        let whole = train(&known, 45, &config).unwrap();
        let checkpoints = Checkpoints { path: folder.path().join(name).join("training"), every_epochs: 4 };
        let (stop, progress) = (AtomicBool::new(true), Progress::silent());
        let control = Control { progress: &progress, stop: Some(&stop), checkpoints: Some(&checkpoints) };
        // Each call is stopped after one epoch, and the last one is not.
        for epochs in 1..=5 {
            let part = train_watched(&known, 45, &config, &control).unwrap();
            assert!(part.stopped && part.epochs.len() == epochs && part.epochs[..] == whole.epochs[..epochs]);
            assert!(part.best_epoch < epochs && checkpoints.path.exists());
        }
        stop.store(false, Ordering::Relaxed);
        let resumed = train_watched(&known, 45, &config, &control).unwrap();
        assert!(!resumed.stopped && !checkpoints.path.exists());
        assert_eq!(resumed.epochs, whole.epochs);
        assert!(resumed.epoch_ends.is_sorted() && resumed.epoch_ends.len() == whole.epoch_ends.len());
        assert!(bytes(&resumed.head) == bytes(&whole.head), "{name}");
    }
}

#[test]
fn a_checkpoint_of_other_rows_or_settings_or_a_broken_one_is_not_gone_on_from() {
    let (known, folder) = (rows(120, 6), tempfile::tempdir().unwrap());
    let checkpoints = Checkpoints { path: folder.path().join("training"), every_epochs: 1 };
    let (stop, progress) = (AtomicBool::new(true), Progress::silent());
    let control = Control { progress: &progress, stop: Some(&stop), checkpoints: Some(&checkpoints) };
    let epochs = |rows: &[_], config: &_| train_watched(rows, 30, config, &control).unwrap().epochs.len();
    assert_eq!(epochs(&known, &config()), 1);
    assert_eq!(epochs(&known, &config()), 2);
    assert_eq!(epochs(&known, &TrainerConfig { seed: 8, ..config() }), 1);
    assert_eq!(epochs(&rows(120, 7), &config()), 1);
    assert_eq!(epochs(&known, &mlp()), 1);
    natureddit_core::fs::write_atomic(&checkpoints.path, b"no checkpoint").unwrap();
    assert_eq!(epochs(&known, &mlp()), 1);
    assert_eq!(epochs(&known, &mlp()), 2);
}

/// Numbers that a disk has changed are numbers still: only the content hash tells.
#[test]
fn a_checkpoint_with_a_flipped_bit_or_other_content_of_its_length_is_not_gone_on_from() {
    let (known, folder) = (rows(120, 6), tempfile::tempdir().unwrap());
    let checkpoints = Checkpoints { path: folder.path().join("training"), every_epochs: 1 };
    let (stop, progress) = (AtomicBool::new(true), Progress::silent());
    let control = Control { progress: &progress, stop: Some(&stop), checkpoints: Some(&checkpoints) };
    let epochs = || train_watched(&known, 30, &config(), &control).unwrap().epochs.len();
    assert_eq!(epochs(), 1);
    let good = natureddit_core::fs::read(&checkpoints.path).unwrap();
    let record = good.windows(9).position(|bytes| bytes == b"best_loss").unwrap();
    // A loss and a place among the numbers, the last one and those before.
    for at in [record + 13, good.len() - 1, good.len() - 4, good.len() / 2] {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        natureddit_core::fs::write_atomic(&checkpoints.path, &damaged).unwrap();
        assert_eq!(epochs(), 1, "byte {at}");
    }
    let start = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let mut garbage = good.clone();
    garbage[start..].fill(0xff);
    natureddit_core::fs::write_atomic(&checkpoints.path, &garbage).unwrap();
    assert_eq!(epochs(), 1);
    natureddit_core::fs::write_atomic(&checkpoints.path, &good).unwrap();
    assert_eq!(epochs(), 2);
}

/// Keeps every warning as its fields are shown.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Those of what is done.
    fn of(what: impl FnOnce()) -> Vec<String> {
        let warnings = Self::default();
        tracing::subscriber::with_default(warnings.clone(), what);
        warnings.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line += &format!("{field}={value:?} ");
        });
        self.0.lock().unwrap().push(line);
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}

#[test]
fn a_checkpoint_that_cannot_be_written_or_read_is_told_with_the_cause_and_the_same_only_once() {
    let (known, folder) = (rows(120, 6), tempfile::tempdir().unwrap());
    let progress = Progress::silent();
    // A folder can be neither read as a file nor written over by one, and below a file there is no place.
    let (taken, file) = (folder.path().join("training"), folder.path().join("file"));
    natureddit_core::fs::create_dir_all(&taken.join("below")).unwrap();
    natureddit_core::fs::write_atomic(&file, b"").unwrap();
    for (path, cause) in [(taken, "Is a directory"), (file.join("training"), "Not a directory")] {
        let checkpoints = Checkpoints { path, every_epochs: 2 };
        let control = Control { checkpoints: Some(&checkpoints), ..Control::new(&progress) };
        let warnings = Warnings::of(|| {
            assert_eq!(train_watched(&known, 30, &config(), &control).unwrap().epochs.len(), 12);
        });
        let [not_used, not_kept, stays] = ["not used", "the training is not kept", "has ended stays"]
            .map(|what| warnings.iter().filter(|line| line.contains(what)).collect::<Vec<_>>());
        assert_eq!((not_used.len(), not_kept.len(), stays.len()), (1, 1, 1), "{warnings:?}");
        assert!(warnings.iter().all(|line| line.contains(cause)), "{warnings:?}");
    }
}

#[test]
fn another_reason_why_a_training_is_not_kept_is_told_again() {
    let mut reason = checkpoint::Reason::default();
    let mut news = |kind: std::io::ErrorKind| {
        let (operation, path) = ("write", "training".into());
        reason.news(&natureddit_core::fs::FsError { operation, path, source: kind.into() }.into())
    };
    let (full, denied) = (std::io::ErrorKind::StorageFull, std::io::ErrorKind::PermissionDenied);
    assert_eq!(news(full).as_deref(), Some("could not write training: no storage space"));
    assert_eq!(news(full), None);
    assert_eq!(news(denied).as_deref(), Some("could not write training: permission denied"));
    assert_eq!(news(denied), None);
    assert!(news(full).is_some());
}

#[test]
fn smoothed_labels_keep_answers_from_being_certain() {
    let known = rows(240, 8);
    let sure = |label_smoothing: f64| {
        let config = TrainerConfig { label_smoothing, epochs_max: 40, ..config() };
        let trained = train(&known, 0, &config).unwrap();
        known.iter().map(|(features, class)| trained.head.probabilities(features)[class.0]).sum::<f32>() / 240.0
    };
    let (plain, smoothed) = (sure(0.0), sure(0.2));
    assert!(plain > 0.95 && smoothed < plain - 0.03, "{plain} and {smoothed}");
}

#[test]
fn a_post_with_a_feature_that_is_no_number_has_no_answer() {
    let known = rows(120, 8);
    let head = train(&known, 0, &config()).unwrap().head;
    let mut features = known[0].0.clone();
    assert!(crate::predictor::Prediction::of(&head, &features).is_ok());
    features.image.as_mut().unwrap()[3] = f32::NAN;
    assert_eq!(crate::predictor::Prediction::of(&head, &features), Err(NotFinite("photo")));
    let title_alone = Features { image: None, ..features };
    assert!(crate::predictor::Prediction::of(&head, &title_alone).is_ok());
}

#[test]
fn a_feature_that_is_no_number_is_refused_with_its_row() {
    for (broken, value) in [(4, f32::NAN), (7, f32::INFINITY), (88, f32::NEG_INFINITY)] {
        let mut known = rows(90, 9);
        let features = &mut known[broken].0;
        let part = if broken == 7 { &mut features.image } else { &mut features.text };
        part.as_mut().unwrap()[100] = value;
        let error = train(&known, 10, &config()).unwrap_err();
        let (split, row) = if broken < 80 { ("train", broken) } else { ("eval", broken - 80) };
        let part = if broken == 7 { "photo" } else { "title" };
        assert_eq!(error, TrainError::NotFinite { split, row, part });
        let told = format!("the {part} features of row {row} of the {split} split are not all finite numbers");
        assert_eq!(error.to_string(), told);
    }
}

#[test]
fn with_one_class_only_the_first_that_is_missing_is_named() {
    let known: Vec<_> = rows(60, 10).into_iter().filter(|(_, class)| *class == Class(1)).collect();
    assert_eq!(train(&known, 5, &config()).unwrap_err(), TrainError::ClassMissing("fauna".to_owned()));
    assert_eq!(train(&[], 0, &config()).unwrap_err(), TrainError::ClassMissing("fauna".to_owned()));
}

#[test]
fn a_class_with_one_example_is_learnt() {
    let mut known = rows(90, 11);
    known.retain({
        let mut seen = 0;
        move |(_, class)| {
            seen += usize::from(*class == Class(2));
            *class != Class(2) || seen == 1
        }
    });
    for config in [config(), mlp()] {
        let trained = train(&known, 0, &TrainerConfig { epochs_max: 40, ..config }).unwrap();
        assert_eq!(right(&trained.head, &known), known.len());
    }
}

#[test]
fn without_enough_eval_rows_there_is_no_temperature_and_without_any_the_last_epoch_counts() {
    let known = rows(150, 12);
    let none = train(&known, 0, &config()).unwrap();
    assert_eq!((none.epochs.len(), none.best_epoch, none.calibration), (12, 11, None));
    assert!(none.epochs.iter().all(|epoch| epoch.eval_loss.is_none()) && none.head.temperature() == 1.0);
    let few = train(&known, CALIBRATION_ROWS_MIN - 1, &config()).unwrap();
    assert!(few.calibration.is_none() && few.head.temperature() == 1.0 && few.epochs[0].eval_loss.is_some());
    let enough = train(&known, CALIBRATION_ROWS_MIN, &config()).unwrap();
    let fitted = enough.calibration.unwrap();
    assert_eq!((fitted.rows, fitted.temperature), (CALIBRATION_ROWS_MIN, enough.head.temperature()));
    assert!(fitted.log_loss_after <= fitted.log_loss_before);
}

/// What the fit promises holds for what the head answers.
#[test]
fn the_temperature_is_in_the_probabilities_and_changes_no_answer() {
    let known = rows(240, 13);
    let trained = train(&known, 90, &config()).unwrap();
    let plain = Head { temperature: 1.0, ..trained.head.clone() };
    let log_loss = |head: &Head| {
        let loss = |(features, class): &(Features, Class)| -f64::from(head.probabilities(features)[class.0]).ln();
        known[150..].iter().map(loss).sum::<f64>() / 90.0
    };
    let fitted = trained.calibration.unwrap();
    assert!((log_loss(&plain) - fitted.log_loss_before).abs() < 1e-5);
    assert!((log_loss(&trained.head) - fitted.log_loss_after).abs() < 1e-5);
    assert_eq!(right(&plain, &known), right(&trained.head, &known));
}

#[test]
fn a_rate_that_is_too_high_is_told_and_not_learnt_from() {
    let config = TrainerConfig { learning_rate: 1e30, ..config() };
    assert!(matches!(train(&rows(90, 14), 30, &config), Err(TrainError::Diverged(_))));
}

#[test]
fn settings_of_before_are_read_as_they_were_meant() {
    let mut old = serde_json::to_value(config()).unwrap();
    let fields = old.as_object_mut().unwrap();
    assert!(fields.remove("head").is_some() && fields.remove("label_smoothing").is_some());
    assert_eq!(serde_json::from_value::<TrainerConfig>(old).unwrap(), config());
}
