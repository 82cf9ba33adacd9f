use std::path::Path;
use std::sync::Arc;

use natureddit_image::ImageLimits;
use natureddit_model::metrics::Bootstrap;
use natureddit_model::{EncoderPair, InputLimits, image_encoder_from_config, text_encoder_from_config};
use natureddit_testkit::trainer;

use super::*;
use crate::components::AssetLoader;
use crate::components::transform::{PrecisionConfig, Transform};
use crate::examples::{Example, ExampleSource};

const CONFIG: EvaluatorConfig = EvaluatorConfig {
    bootstrap: Bootstrap { samples: 200, confidence: 0.95, seed: 1 },
    test_examples_min: 1,
    class_examples_min: 1,
    slice_examples_min: 1,
    majority_gain_min: 0.0,
    macro_f1_min: None,
    accuracy_min: None,
    recall_min: None,
    ece_max: None,
    slice_macro_f1_min: None,
    slice_accuracy_min: None,
    champion_loss_max: 0.0,
    champion_p_max: 1.0,
    quantisation_loss_max: 0.01,
    quantisation_p_max: 0.05,
    quantisation_posts_max: 10,
    mistakes_max: 0,
    thumbnail_side_max: 16,
};

fn classes() -> ClassNames {
    ClassNames::new(["fauna", "flora"].map(str::to_owned).to_vec()).unwrap()
}

fn evaluator() -> Evaluator {
    let image = image_encoder_from_config("efficientnet_lite0").unwrap();
    let text = text_encoder_from_config("all-MiniLM-L6-v2").unwrap();
    let encoders = EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 };
    let limits = InputLimits { image: ImageLimits { bytes_max: 10, pixels_max: 10 }, text_bytes_max: 10 };
    let nowhere = Path::new("nowhere").to_path_buf();
    let assets: AssetLoader = Arc::new(|_| anyhow::bail!("nothing is embedded"));
    let floats = Transform {
        encoders: encoders.clone(),
        precision: PrecisionConfig::Fp32,
        images_dir: nowhere.clone(),
        cache_dir: nowhere.clone(),
        limits,
        threads: 1,
        assets: assets.clone(),
    };
    Evaluator { classes: classes(), encoders, config: CONFIG, images_dir: nowhere, limits, threads: 1, assets, floats }
}

fn training() -> Training {
    Training {
        config: trainer(),
        extra_title_weight: 0.1,
        train_rows: 1,
        eval_rows: 0,
        best_epoch: 1,
        calibration: None,
        unknown_labels: BTreeMap::new(),
        epochs: Vec::new(),
        tuning: None,
        stopped: false,
    }
}

fn post(name: &str, class: usize) -> Example {
    let choice = ["fauna", "flora"][class].to_owned();
    let title = Example::title_alone(name.parse().unwrap(), name.to_owned(), choice);
    Example { source: ExampleSource::Post, ..title }
}

/// Posts by turns of both classes. A title's features are noise between -1 and 1, moved by the signal to its class's side.
fn posts(split: &str, count: usize, signal: f32) -> Vec<Post> {
    let noise = |name: &str| {
        let hashes = (0..12).map(|part| ContentHash::of(format!("{name} {part} {signal}").as_bytes()));
        hashes.flat_map(|hash| *hash.as_bytes()).map(|byte| f32::from(byte) / 127.5 - 1.0).collect::<Vec<f32>>()
    };
    let post = |at: usize| {
        let (name, class) = (format!("{split}{at}"), at % 2);
        let side = if class == 0 { -signal } else { signal };
        let text = noise(&name).into_iter().map(|value| value + side).collect();
        (post(&name, class), Features { image: None, text: Some(text) })
    };
    (0..count).map(post).collect()
}

/// Forms of the same posts whose features tell so much.
fn pairs([int8, fp32]: [f32; 2], test_chosen: usize) -> BTreeMap<Split, Pairs> {
    let of = |(split, name, count)| {
        let [int8, fp32] = [int8, fp32].map(|signal| posts(name, count, signal));
        let chosen = if split == Split::Test { test_chosen } else { count };
        (split, Pairs { int8, fp32, chosen })
    };
    [(Split::Train, "a", 40), (Split::Eval, "b", 10), (Split::Test, "c", 60)].map(of).into()
}

#[test]
fn encoders_that_eight_bits_have_spoilt_are_refused_and_others_are_not() {
    let ruling = |signals| {
        let found = evaluator().compare_forms(&pairs(signals, 60), &training());
        assert_eq!(found.compared().map(|found| (found.train_posts, found.test_posts)), Some((40, 60)));
        found.ruling(&CONFIG).unwrap()
    };
    assert!(ruling([1.0, 1.0]).met && ruling([1.0, 0.0]).met);
    let spoilt = ruling([0.0, 1.0]);
    assert_eq!((spoilt.rule, spoilt.met), (Rule::QuantisationLoss, false));
    let reason = spoilt.reason();
    assert!(reason.contains("against 1.0000 in floats (both learnt from 40 posts and are judged by 60)"), "{reason}");
    assert!(reason.contains("and more is no chance: p = 0.0"), "{reason}");
}

#[test]
fn a_loss_that_may_be_chance_counts_only_where_the_settings_say_so() {
    let found = |loss_p_value| {
        let BesideFloats::Compared(found) = evaluator().compare_forms(&pairs([1.0, 1.0], 60), &training()) else {
            panic!("both have their features")
        };
        let paired = PairedTest { loss_p_value, ..found.paired };
        BesideFloats::Compared(Quantisation { int8_macro_f1: 0.9, fp32_macro_f1: 0.95, paired, ..found })
    };
    assert!(found(0.06).ruling(&CONFIG).unwrap().met && !found(0.05).ruling(&CONFIG).unwrap().met);
    let strict = EvaluatorConfig { quantisation_p_max: 1.0, ..CONFIG };
    let reason = found(0.9).ruling(&strict).unwrap().reason();
    assert!(reason.starts_with("not met: macro-F1 0.9000 with encoders in eight bits against 0.9500"), "{reason}");
    assert!(reason.ends_with("at most 0.0100 less is allowed"), "{reason}");
}

#[test]
fn what_cannot_be_compared_is_not_taken_for_equal() {
    let reason = |pairs: &BTreeMap<Split, Pairs>| {
        let ruling = evaluator().compare_forms(pairs, &training()).ruling(&CONFIG).unwrap();
        assert!(!ruling.met);
        ruling.reason()
    };
    assert!(reason(&pairs([1.0, 1.0], 121)).ends_with("60 of 121 test posts have features of both"));
    let mut pairs = pairs([1.0, 1.0], 60);
    pairs.insert(Split::Train, Pairs::default());
    assert!(reason(&pairs).ends_with("in floats: no training row of class \"fauna\""));
    assert!(BesideFloats::Same.ruling(&CONFIG).is_none());
}

#[test]
fn the_posts_are_shared_out_among_the_classes_and_stay_when_others_come() {
    let names = |posts: Vec<Post>| -> Vec<String> {
        choose(posts.into_iter(), &classes(), 10).iter().map(|(example, _)| example.id.to_string()).collect()
    };
    let rare = || (0..3).map(|at| (post(&format!("r{at}"), 1), Features::default()));
    let many = |count: usize| (0..count).map(|at| (post(&format!("m{at}"), 0), Features::default())).chain(rare());
    let (before, after) = (names(many(100).collect()), names(many(103).collect()));
    assert_eq!((before.len(), before.iter().filter(|name| name.starts_with('r')).count()), (8, 3));
    assert!(before.iter().filter(|name| !after.contains(name)).count() <= 3, "{before:?} {after:?}");
    let mut backwards: Vec<Post> = many(100).collect();
    backwards.reverse();
    assert_eq!(names(backwards), before);
}
