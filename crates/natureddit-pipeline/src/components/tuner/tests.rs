use std::path::Path;
use std::sync::Arc;

use natureddit_core::{ContentHash, PostId};
use natureddit_model::train::HeadKind;
use natureddit_model::{Features, image_encoder_from_config, text_encoder_from_config, write_features};

use super::*;
use crate::component::InputFolder;
use crate::components::read_json;
use crate::examples::{Example, ExampleSource, write_split};
use crate::feature_shards::shards;

fn hyperparameters(learning_rate: f64) -> HyperParameters {
    HyperParameters {
        learning_rate,
        weight_decay: 0.0,
        image_dropout: 0.0,
        text_dropout: 0.0,
        batch_size: 8,
        label_smoothing: 0.0,
    }
}

fn trial(learning_rate: f64, score: Option<(f64, f64)>) -> Trial {
    let score = score.map(|(macro_f1_mean, log_loss)| Score {
        macro_f1_mean,
        macro_f1_deviation: 0.0,
        macro_f1_folds: vec![],
        log_loss,
    });
    Trial { hyperparameters: hyperparameters(learning_rate), score }
}

#[test]
fn the_best_is_of_the_highest_score_then_of_the_lowest_loss_then_the_first() {
    let of = |trials: &[Trial]| best(trials).map(|best| best.learning_rate);
    let trials = [
        trial(0.1, Some((0.8, 0.3))),
        trial(0.2, None),
        trial(0.3, Some((0.9, 0.5))),
        trial(0.4, Some((0.9, 0.4))),
        trial(0.5, Some((0.9, 0.4))),
    ];
    assert_eq!(of(&trials), Some(0.4));
    assert_eq!(of(&trials[1..2]), None);
}

#[test]
fn a_trial_of_which_a_fold_diverged_has_no_score() {
    let fold = FoldScore { macro_f1: 0.5, log_loss_sum: 4.0, examples: 2 };
    let other = FoldScore { macro_f1: 0.7, log_loss_sum: 2.0, examples: 1 };
    assert_eq!(Score::of(&[Some(fold), None]), None);
    let score = Score::of(&[Some(fold), Some(other)]).unwrap();
    assert!((score.macro_f1_mean - 0.6).abs() < 1e-12 && (score.macro_f1_deviation - 0.1).abs() < 1e-12);
    assert!((score.log_loss - 2.0).abs() < 1e-12);
}

fn tuner() -> Tuner {
    let image = image_encoder_from_config("efficientnet_lite0").unwrap();
    let text = text_encoder_from_config("all-MiniLM-L6-v2").unwrap();
    Tuner {
        classes: ClassNames::new(["fauna", "flora"].map(str::to_owned).to_vec()).unwrap(),
        encoders: EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 },
        trainer: TrainerConfig {
            epochs_max: 15,
            batch_size: 16,
            // So small that nothing is learnt: the grid must find the larger one.
            learning_rate: 1e-9,
            weight_decay: 0.0,
            image_dropout: 0.0,
            text_dropout: 0.0,
            label_smoothing: 0.0,
            head: HeadKind::Linear,
            class_weights: true,
            patience: 15,
            seed: 7,
        },
        extra_title_weight: 0.5,
        config: TunerConfig {
            method: SearchMethod::Grid,
            trials_max: 3,
            folds: 2,
            search: SearchSpace {
                learning_rate: vec![1e-9, 0.01],
                weight_decay: vec![],
                image_dropout: vec![],
                text_dropout: vec![],
                batch_size: vec![],
                label_smoothing: vec![],
            },
        },
    }
}

/// Posts of two classes that one feature of the title tells apart, as the components before would leave them. There is no
/// test split.
fn write_inputs(dir: &Path, encoders: &EncoderPair) {
    let post = |at: usize| {
        let id: PostId = format!("p{at}").parse().unwrap();
        let choice = ["fauna", "flora", "fauna"][at % 3].to_owned();
        let title = Example::title_alone(id, "A title".to_owned(), choice);
        let mut text = vec![0.0; encoders.text.features];
        text[0] = if at % 3 == 1 { 1.0 } else { -1.0 };
        text[1] = (at % 7) as f32;
        (Example { source: ExampleSource::Post, ..title }, Features { image: None, text: Some(text) })
    };
    for (split, places) in [(Split::Train, 0..48), (Split::Eval, 48..60)] {
        let (examples, features): (Vec<Example>, Vec<Features>) = places.map(post).unzip();
        write_split(&dir.join("examples"), split, &examples).unwrap();
        let folder = dir.join("transformed").join(split.folder_name());
        let (path, _) = shards(&folder, &examples).unwrap().remove(0);
        write_features(&path, &features, encoders.image.features, encoders.text.features).unwrap();
    }
}

#[test]
fn a_search_finds_the_settings_that_learn_and_never_reads_the_test_split() {
    let folder = tempfile::tempdir().unwrap();
    let tuner = tuner();
    write_inputs(folder.path(), &tuner.encoders);
    let search = |name: &str| -> Tuning {
        let input = |name: &str| InputFolder { path: folder.path().join(name), hash: ContentHash::of(b"") };
        let output = folder.path().join(name);
        let io = ExecutionIo {
            inputs: [("examples", input("examples")), ("transformed_examples", input("transformed"))].into(),
            outputs: [("hyperparameters", output.clone())].into(),
        };
        tuner.execute(&io, &mut ExecutionContext::new(tuner.spec(), Progress::silent())).unwrap();
        read_json(&output.join(HYPERPARAMETERS_FILE)).unwrap().unwrap()
    };
    let found = search("one");
    assert_eq!((found.trials.len(), found.folds), (2, 2));
    assert!((found.best.learning_rate - 0.01).abs() < 1e-12, "{found:?}");
    let scores: Vec<&Score> = found.trials.iter().map(|trial| trial.score.as_ref().unwrap()).collect();
    assert!(scores[1].macro_f1_mean > 0.9 && scores[0].log_loss > scores[1].log_loss, "{found:?}");
    assert_eq!(scores[0].macro_f1_folds.len(), 2);
    assert_eq!(search("two"), found);
}
