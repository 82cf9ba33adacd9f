//! Encoders that learn with the head: by burn, and back in ONNX.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use natureddit_core::{Class, Progress, fs};
use natureddit_model::train::{
    Checkpoints, Control, Sample, Trained, TrainerConfig, TuneConfig, TuneError, TuneSetting, TuneSplit, Tuned,
    TunedLayers, train_head, tune_encoders,
};
use natureddit_model::{
    BundleParts, Embedder, EncoderFiles, EncoderPair, Features, ImageEncoder, ModelBundle, ModelInput, Precision,
    Predictor, PredictorOptions, Prepared, TextEncoder, TextPooling,
};
use natureddit_testkit::{LIMITS, assets, classes, photo, trainer};

use super::TOLERANCE;
use super::encoders::{PROCESSOR, normed, write_model};

/// A small ResNet and a small BERT.
fn tiny(folder: &Path) -> EncoderPair {
    let mut tensors = Vec::new();
    normed(&mut tensors, "embedder.embedder", 8, 3, 7);
    for (stage, at, outputs, inputs) in [(0, 0, 8, 8), (0, 1, 8, 8), (1, 0, 12, 8), (1, 1, 12, 12)] {
        normed(&mut tensors, &format!("encoder.stages.{stage}.layers.0.layer.{at}"), outputs, inputs, 3);
    }
    normed(&mut tensors, "encoder.stages.1.layers.0.shortcut", 12, 8, 1);
    let config =
        r#"{"model_type":"resnet","embedding_size":8,"hidden_sizes":[8,12],"depths":[1,1],"layer_type":"basic"}"#;
    write_model(folder, config, "", &tensors);
    fs::write_atomic(&folder.join("preprocessor_config.json"), PROCESSOR).unwrap();
    let image = Arc::new(ImageEncoder::from_folder("tiny", folder).unwrap());
    let text = Arc::new(TextEncoder::random("t", "bert-tiny", 3, TextPooling::Mean).unwrap());
    EncoderPair { image, text, title_tokens_max: 64 }
}

/// Some posts: every fifth without a photo, every seventh without a title.
struct Posts {
    pair: EncoderPair,
    files: EncoderFiles,
    prepared: Vec<Prepared>,
    features: Vec<Features>,
}

impl Posts {
    fn new(pair: EncoderPair, files: EncoderFiles, count: usize) -> Self {
        let titles = ["many round discs", "a pattern of upright stripes", "the horizon"];
        let photos: Vec<Vec<u8>> = (0..count).map(|at| photo(Class(at % 3), at as u64)).collect();
        let input = |at: usize| ModelInput {
            text: (at % 7 != 6).then_some(titles[at % 3]),
            image: (at % 5 != 4 || at % 7 == 6).then_some(photos[at].as_slice()),
        };
        let inputs: Vec<ModelInput<'_>> = (0..count).map(input).collect();
        let mut embedder = Embedder::build(&pair, &files, &assets().runtime, LIMITS, 2).unwrap();
        let prepared = inputs.iter().map(|input| embedder.preprocessor().prepare(input).unwrap()).collect();
        let features = embedder.embed(&inputs).unwrap().into_iter().map(Result::unwrap).collect();
        Self { pair, files, prepared, features }
    }

    fn samples(&self) -> Vec<Sample<'_>> {
        let sample = |(at, features)| Sample { features, class: Class(at % 3), weight: 1.0 };
        self.features.iter().enumerate().map(sample).collect()
    }

    fn head(&self, trainer: &TrainerConfig) -> Trained {
        let (samples, progress) = (self.samples(), Progress::silent());
        train_head(&samples, &samples, &classes(), &self.pair, trainer, &Control::new(&progress)).unwrap()
    }

    /// Learns from all posts and watches the same ones, so that what is learnt shows.
    fn tune(
        &self,
        trainer: &TrainerConfig,
        tune: &TuneConfig,
        threads: usize,
        (control, read): (&Control<'_>, &(dyn Fn() + Sync)),
    ) -> Result<Tuned, TuneError> {
        let (samples, classes) = (self.samples(), classes());
        let prepare = |at: usize| {
            read();
            Ok(self.prepared[at].clone())
        };
        let split = TuneSplit { samples: &samples, prepare: &prepare };
        let (encoders, files, runtime) = (&self.pair, &self.files, &assets().runtime);
        let setting = TuneSetting { classes: &classes, encoders, files, runtime, trainer, tune, threads };
        tune_encoders(&self.head(trainer), [split; 2], &setting, control)
    }

    fn tuned(&self, tune: &TuneConfig, threads: usize) -> Tuned {
        let progress = Progress::silent();
        self.tune(&short(), tune, threads, (&Control::new(&progress), &|| {})).unwrap()
    }

    fn bundle(&self, dir: &Path, tuned: &Tuned) -> ModelBundle {
        let (classes, lineage) = (classes(), BTreeMap::new());
        let (encoders, files) = (&self.pair, &self.files);
        let (precision, head) = (&Precision::default(), &tuned.head);
        let parts = BundleParts { name: "tuned", classes: &classes, encoders, precision, files, head, lineage };
        ModelBundle::write_tuned(dir, parts, tuned.encoders.as_ref().unwrap()).unwrap()
    }
}

/// A head that has something left to learn.
fn short() -> TrainerConfig {
    TrainerConfig { epochs_max: 2, ..trainer() }
}

/// The features of random weights lie close together: what they are standardised by makes each step a hundred times longer.
fn config(layers: TunedLayers) -> TuneConfig {
    TuneConfig { layers, learning_rate: 1e-5, epochs_max: 3, batch_size: 10 }
}

fn file_hashes(bundle: &ModelBundle) -> Vec<String> {
    bundle.manifest.files.iter().map(|(name, file)| format!("{name} {}", file.sha256)).collect()
}

#[test]
fn tuned_encoders_answer_better_and_onnx_runtime_calculates_what_was_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let posts = Posts::new(tiny(&folder.path().join("resnet")), EncoderFiles::default(), 36);
    for layers in [TunedLayers::LastBlocks, TunedLayers::All] {
        let tuned = posts.tuned(&config(layers), 2);
        let differences = [tuned.difference_before, tuned.difference_after];
        assert!(differences.iter().all(|difference| *difference < TOLERANCE), "{differences:?}");
        assert!(tuned.best_epoch.is_some(), "{:?} before, {:?}", tuned.eval_loss_before, tuned.epochs);
        let best = tuned.epochs[tuned.best_epoch.unwrap()];
        assert!(best.eval_loss < tuned.eval_loss_before && !tuned.stopped);

        let bundle = posts.bundle(&folder.path().join(format!("{layers:?}")), &tuned);
        assert_ne!(bundle.manifest.image_encoder.hash, posts.pair.image_hash());
        assert_ne!(bundle.manifest.text_encoder.hash, posts.pair.text_hash());
        let bundle = ModelBundle::read(bundle.dir()).unwrap();
        let options = PredictorOptions { limits: LIMITS, threads: 1 };
        let mut predictor = Predictor::load(&bundle, &assets().runtime, &options).unwrap();
        let answers = predictor.predict(&posts.prepared).unwrap();
        let right = answers.iter().enumerate().filter(|(at, answer)| answer.class == Class(at % 3)).count();
        let told = best.eval_accuracy.unwrap() * answers.len() as f64;
        assert!((right as f64 - told).abs() < 1.5, "{right} right answers, {told} told");
    }
}

#[test]
fn tuning_gives_the_same_bytes_on_one_thread_and_on_two() {
    let folder = tempfile::tempdir().unwrap();
    let posts = Posts::new(tiny(&folder.path().join("resnet")), EncoderFiles::default(), 30);
    for layers in [TunedLayers::LastBlocks, TunedLayers::All] {
        let config = TuneConfig { epochs_max: 2, ..config(layers) };
        let [one, two] = [1, 2].map(|threads| {
            let tuned = posts.tuned(&config, threads);
            let dir = folder.path().join(format!("{layers:?}{threads}"));
            (file_hashes(&posts.bundle(&dir, &tuned)), tuned.epochs)
        });
        assert_eq!(one, two);
    }
}

#[test]
fn a_tuning_that_is_stopped_keeps_its_best_and_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let posts = Posts::new(tiny(&folder.path().join("resnet")), EncoderFiles::default(), 30);
    let config = config(TunedLayers::All);
    let whole = posts.tuned(&config, 2);
    let checkpoints = Checkpoints { path: folder.path().join("tuning"), every_epochs: 1 };
    let (stop, progress, read) = (AtomicBool::new(true), Progress::silent(), AtomicUsize::new(0));
    let control = Control { progress: &progress, stop: Some(&stop), checkpoints: Some(&checkpoints) };
    let at_once = posts.tune(&short(), &config, 1, (&control, &|| {})).unwrap();
    assert!(at_once.stopped && at_once.epochs.is_empty() && at_once.encoders.is_none());

    stop.store(false, Ordering::Relaxed);
    // Rows are read to compare eight, to judge 30 before and after each pass, and to learn from 30 in a pass.
    let in_the_second_pass = 8 + 30 + 30 + 30 + 15;
    let told = || stop.store(read.fetch_add(1, Ordering::Relaxed) >= in_the_second_pass, Ordering::Relaxed);
    let part = posts.tune(&short(), &config, 1, (&control, &told)).unwrap();
    assert!(part.stopped && part.encoders.is_some(), "{:?} before, {:?}", part.eval_loss_before, part.epochs);
    assert_eq!(part.epochs, whole.epochs[..1]);
    assert!(checkpoints.path.exists());

    stop.store(false, Ordering::Relaxed);
    let resumed = posts.tune(&short(), &config, 2, (&control, &|| {})).unwrap();
    assert!(!resumed.stopped && !checkpoints.path.exists());
    assert_eq!(resumed.epochs, whole.epochs);
    let hashes = |name, tuned| file_hashes(&posts.bundle(&folder.path().join(name), tuned));
    assert_eq!(hashes("resumed", &resumed), hashes("whole", &whole));
}

/// The encoders that are the default, all of them in burn against ONNX Runtime.
#[test]
fn the_default_encoders_can_be_tuned() {
    let assets = assets();
    let posts = Posts::new(assets.pair.clone(), assets.files.clone(), 6);
    let folder = tempfile::tempdir().unwrap();
    for layers in [TunedLayers::LastBlocks, TunedLayers::All] {
        let config = TuneConfig { layers, learning_rate: 1e-4, epochs_max: 1, batch_size: 6 };
        let tuned = posts.tuned(&config, 2);
        let differences = [tuned.difference_before, tuned.difference_after];
        assert!(differences.iter().all(|difference| *difference < TOLERANCE), "{differences:?}");
        assert!(tuned.encoders.is_some(), "{:?} before, {:?}", tuned.eval_loss_before, tuned.epochs);
        let bundle = posts.bundle(&folder.path().join(format!("{layers:?}")), &tuned);
        // What was not tuned is as it was: only the graphs and the head are others.
        assert_eq!(bundle.preprocess(), &posts.pair.preprocess());
    }
}

#[test]
fn what_cannot_be_tuned_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let posts = Posts::new(tiny(&folder.path().join("resnet")), EncoderFiles::default(), 12);
    let samples = posts.samples();
    let (classes, trainer, tune, progress) = (classes(), short(), config(TunedLayers::All), Progress::silent());
    let refused = |pair: &EncoderPair, prepare: &natureddit_model::train::Prepare<'_>| {
        let split = TuneSplit { samples: &samples, prepare };
        let (encoders, files, runtime) = (pair, &posts.files, &assets().runtime);
        let (classes, trainer, tune) = (&classes, &trainer, &tune);
        let setting = TuneSetting { classes, encoders, files, runtime, trainer, tune, threads: 1 };
        let control = Control::new(&progress);
        tune_encoders(&posts.head(trainer), [split; 2], &setting, &control).unwrap_err().to_string()
    };
    assert_eq!(refused(&posts.pair, &|_| Err("it is gone".into())), "row 0 of the train split cannot be read");
    let empty = refused(&posts.pair, &|_| Ok(Prepared::default()));
    assert_eq!(empty, "row 0 of the train split has features of a photo and no photo");
    // Features of other encoders than those that are to be tuned.
    let text = Arc::new(TextEncoder::random("t", "bert-tiny", 4, TextPooling::Mean).unwrap());
    let other = refused(&EncoderPair { text, ..posts.pair.clone() }, &|at| Ok(posts.prepared[at].clone()));
    assert!(other.starts_with("the text encoder and its ONNX graph differ by "), "{other}");
}
