use std::collections::BTreeSet;

use natureddit_core::ClassNames;
use natureddit_model::train::TrainerConfig;
use natureddit_model::{EncoderPair, Features, image_encoder_from_config, text_encoder_from_config};
use natureddit_testkit::trainer;
use proptest::prelude::*;

use super::*;
use crate::cross_validation::Row;
use crate::examples::{Example, ExampleSource};

fn classes() -> ClassNames {
    ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec()).unwrap()
}

fn post(at: usize, given: &str) -> Example {
    let id = format!("p{at}");
    Example {
        img_name: format!("{id}.jpg"),
        group: id.clone(),
        source: ExampleSource::Post,
        ..Example::title_alone(id.parse().unwrap(), format!("Title {at}"), given.to_owned())
    }
}

/// Made-up labels and probabilities; every seventh label is not that of the class that was made likely.
fn made_up() -> (Vec<Class>, Vec<Vec<f32>>) {
    let row = |i: usize| {
        let shows = i % 3;
        let given = if i % 7 == 3 { (shows + 1 + (i / 7) % 2) % 3 } else { shows };
        let mut parts = [0, 1, 2].map(|k| 10 + (i * 37 + k * 53) % 40);
        parts[shows] += 20 + (i * 29) % 60;
        let sum = parts.iter().sum::<usize>() as f32;
        (Class(given), parts.map(|part| part as f32 / sum).to_vec())
    };
    (0..240).map(row).unzip()
}

/// The numbers are those of cleanlab 2.9.0 on the same labels and probabilities: `get_confident_thresholds`,
/// `compute_confident_joint` and `find_label_issues(..., return_indices_ranked_by="normalized_margin")` with their defaults.
#[test]
fn the_figures_are_those_of_cleanlab() {
    let (labels, probabilities) = made_up();
    let rows: Vec<&[f32]> = probabilities.iter().map(Vec::as_slice).collect();
    let found = ConfidentLearning::new(&labels, &rows, 3);
    for (threshold, expected) in found.thresholds.iter().zip([0.516_350_88, 0.524_112_27, 0.519_815_24]) {
        assert!((threshold - expected).abs() < 1e-8, "{threshold} is not {expected}");
    }
    assert_eq!(found.confident_joint, [[68, 5, 7], [4, 70, 6], [5, 6, 69]]);
    let issues = [
        115, 3, 80, 185, 122, 73, 150, 10, 192, 164, 31, 213, 38, 220, 143, 52, 101, 234, 108, 157, 66, 171, 45, 227,
        178, 59, 136, 206, 17, 199,
    ];
    let wrong: Vec<usize> = found.likely_wrong(&labels, &rows).iter().map(|wrong| wrong.at).collect();
    assert_eq!(wrong, issues);
    assert!((found.noise() - 33.0 / 240.0).abs() < 1e-12 && (found.noise_of(Class(1)) - 10.0 / 80.0).abs() < 1e-12);
}

#[test]
fn a_class_that_nobody_gave_is_suggested_to_nobody() {
    let rows: Vec<&[f32]> = vec![&[0.2, 0.1, 0.7], &[0.6, 0.3, 0.1], &[0.1, 0.8, 0.1]];
    let found = ConfidentLearning::new(&[Class(0), Class(0), Class(1)], &rows, 3);
    assert_eq!(found.thresholds[2], 2.0);
    assert!(found.confident_joint.iter().all(|row| row[2] == 0), "{found:?}");
    let nothing = ConfidentLearning::new(&[], &[], 3);
    assert_eq!((nothing.noise(), nothing.noise_of(Class(0))), (0.0, 0.0));
    assert!(nothing.likely_wrong(&[], &[]).is_empty());
}

proptest! {
    #[test]
    fn each_row_of_the_joint_sums_to_the_labels_given(
        posts in proptest::collection::vec((0_usize..4, proptest::array::uniform4(0.01_f32..1.0)), 0..80),
    ) {
        let labels: Vec<Class> = posts.iter().map(|(label, _)| Class(*label)).collect();
        let normalised = |row: &[f32; 4]| row.map(|p| p / row.iter().sum::<f32>()).to_vec();
        let probabilities: Vec<Vec<f32>> = posts.iter().map(|(_, row)| normalised(row)).collect();
        let rows: Vec<&[f32]> = probabilities.iter().map(Vec::as_slice).collect();
        let found = ConfidentLearning::new(&labels, &rows, 4);
        for (class, row) in found.confident_joint.iter().enumerate() {
            prop_assert_eq!(row.iter().sum::<u64>() as usize, labels.iter().filter(|label| label.0 == class).count());
        }
        let wrong = found.likely_wrong(&labels, &rows);
        prop_assert!(wrong.windows(2).all(|pair| pair[0].margin <= pair[1].margin));
        prop_assert!(wrong.iter().all(|wrong| wrong.margin < 0.5));
    }
}

/// A number between 0 and 1 for each counter, always the same (splitmix64).
fn uniform(counter: u64) -> f64 {
    let mut bits = counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Box and Muller's: normally distributed.
fn normal(counter: u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(2 * counter)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(2 * counter + 1)).cos()
}

/// The quality of 600 labels over Gaussian features, of which one in `one_in` was changed; and which those are.
fn with_flips(one_in: Option<usize>) -> (LabelQuality, BTreeSet<String>) {
    const POSTS: usize = 600;
    const WIDTH: usize = 384;
    let classes = classes();
    let flipped = |at: usize| one_in.is_some_and(|one_in| at % one_in == one_in / 2);
    let row = |at: usize| -> Row {
        let shows = at % 3;
        let given = if flipped(at) { (shows + 1 + (at / 10) % 2) % 3 } else { shows };
        // The first three features say what the post shows, the next seventeen nothing, and the others are always the same.
        let mean = |feature: usize| if feature == shows { 3.0 } else { 0.0 };
        let feature = |feature: usize| mean(feature) + normal((at * WIDTH + feature) as u64);
        let text = (0..WIDTH).map(|at| if at < 20 { feature(at) as f32 } else { 0.0 }).collect();
        (post(at, classes.name(Class(given))), Features { image: None, text: Some(text) })
    };
    let pair = EncoderPair {
        image: image_encoder_from_config("efficientnet_lite0").unwrap().into(),
        text: text_encoder_from_config("all-MiniLM-L6-v2").unwrap().into(),
        title_tokens_max: 64,
    };
    let trainer = TrainerConfig { weight_decay: 0.1, ..trainer() };
    let method = Method { classes: &classes, encoders: &pair, trainer: &trainer, extra_title_weight: 0.0 };
    let folds = Folds::deal((0..POSTS).map(row).collect(), Vec::new(), 5);
    let judged = folds.out_of_fold(&method, &Progress::silent()).unwrap();
    let flips = (0..POSTS).filter(|&at| flipped(at)).map(|at| format!("p{at}")).collect();
    (quality_of(&judged, &method, 5, 4), flips)
}

#[test]
fn labels_that_were_changed_are_found() {
    let (quality, flips) = with_flips(Some(10));
    assert_eq!((quality.posts, flips.len()), (600, 60));
    let found: BTreeSet<String> = quality.likely_wrong.iter().map(|suspect| suspect.id.to_string()).collect();
    let right = found.intersection(&flips).count() as f64;
    let (precision, recall) = (right / found.len() as f64, right / flips.len() as f64);
    assert!(precision >= 0.8 && recall >= 0.7, "precision {precision}, recall {recall}");
    assert!((quality.noise - 0.1).abs() < 0.03, "estimated noise {}", quality.noise);
    let surest = &quality.likely_wrong[0];
    assert!(surest.given != surest.suggested && surest.probability > surest.given_probability, "{surest:?}");
}

#[test]
fn right_labels_are_left_alone() {
    let (quality, _) = with_flips(None);
    assert!(quality.noise < 0.03, "estimated noise {}", quality.noise);
    assert!(quality.likely_wrong.len() <= 12, "{:?}", quality.likely_wrong);
}

#[test]
fn posts_that_are_alike_with_different_labels_are_told() {
    let example = |at: usize, given: &str, title: &str, phash: &str| Example {
        title: title.to_owned(),
        phash: Some(phash.parse().unwrap()),
        ..post(at, given)
    };
    let posts = [
        example(0, "fauna", "A fox", "00000000000000ff"),
        example(1, "flora", "A rose", "0f0f0f0f0f0f0f0f"),
        example(2, "flora", "Another", "00000000000000fe"),
        example(3, "landscape", "a ROSE!", "ff00ff00ff00ff00"),
        example(4, "fauna", "a hare", "ff00ff00ff00ff01"),
        example(5, "landscape", "", "123456789abcdef0"),
        example(6, "fauna", "", "fedcba9876543210"),
    ];
    let posts: Vec<&Example> = posts.iter().collect();
    let told = |distance_max: u32| -> Vec<(ConflictKind, Vec<String>)> {
        let ids = |conflict: Conflict| conflict.posts.iter().map(|post| post.id.to_string()).collect();
        conflicts::conflicts(&posts, distance_max).into_iter().map(|found| (found.kind, ids(found))).collect()
    };
    let set = |kind, ids: [&str; 2]| (kind, ids.map(str::to_owned).to_vec());
    let (photo, title) = (ConflictKind::Photo, ConflictKind::Title);
    assert_eq!(told(0), [set(title, ["p1", "p3"])]);
    assert_eq!(told(1), [set(photo, ["p0", "p2"]), set(photo, ["p3", "p4"]), set(title, ["p1", "p3"])]);
}
