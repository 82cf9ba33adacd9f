use natureddit_core::{Class, ClassNames, fs};
use natureddit_model::metrics::{Bootstrap, Judged, evaluate, evaluate_part};
use natureddit_model::{Manifest, ModelBundle, Prediction};
use natureddit_testkit::tiny_bundle;
use serde_json::json;

use super::*;
use crate::components::evaluator::{Slice, SliceKind};
use crate::examples::{Example, ExampleSource};
use crate::split::Split;

fn example(at: usize, subreddit: &str) -> Example {
    Example {
        source: ExampleSource::Post,
        author: "somebody_secret".to_owned(),
        subreddit: subreddit.to_owned(),
        created_utc: 1_609_668_000 + at as i64 * 86_400,
        over_18: at == 3,
        label_source: "anna_the_labeller".to_owned(),
        ..Example::title_alone(
            format!("secretid{at}").parse().unwrap(),
            "A secret title".to_owned(),
            ["discs", "stripes", "horizon"][at % 3].to_owned(),
        )
    }
}

fn counts() -> Counts {
    let mut counts = Counts::default();
    for at in 0..12 {
        let subreddit = ["birds", "<b>flowers", "u_somebody_secret"][at % 3];
        counts.add(&example(at, subreddit), Split::ALL[at / 2 % 3]);
    }
    let title = Example::title_alone("secrettitle".parse().unwrap(), "Another secret".to_owned(), "discs".to_owned());
    counts.add(&title, Split::Train);
    counts
}

fn evaluation(classes: &ClassNames) -> Evaluation {
    let judged: Vec<Judged> = (0..12)
        .map(|at| {
            let sure = 0.9 - at as f32 * 0.02;
            let answer = if at % 6 == 1 { 0 } else { at % 3 };
            let probabilities = (0..3).map(|class| if class == answer { sure } else { (1.0 - sure) / 2.0 }).collect();
            Judged {
                truth: Class(at % 3),
                prediction: Prediction::new(probabilities),
                group: format!("secretgroup{at}"),
            }
        })
        .collect();
    let bootstrap = Bootstrap { samples: 20, confidence: 0.95, seed: 1 };
    let slice = |kind, name: &str, judged_part: &[Judged]| Slice {
        kind,
        name: name.to_owned(),
        judged: judged_part.len() >= 4,
        metrics: evaluate_part(judged_part, classes, &bootstrap),
    };
    Evaluation {
        slices: vec![
            slice(SliceKind::Subreddit, "birds", &judged[..4]),
            slice(SliceKind::Subreddit, "u_somebody_secret", &judged[4..8]),
            slice(SliceKind::Title, "missing", &judged[8..10]),
            slice(SliceKind::LabelSource, "anna_the_labeller", &judged),
        ],
        metrics: evaluate(&judged, classes, &bootstrap),
        champion: None,
        quantisation: None,
        blessed: true,
        reasons: Vec::new(),
        refused_by: Vec::new(),
    }
}

/// Both forms of the card of a model whose name is markup.
fn card() -> [String; 2] {
    let folder = tempfile::tempdir().unwrap();
    tiny_bundle(folder.path(), "shapes", 1);
    let mut manifest = ModelBundle::read(folder.path()).unwrap().manifest;
    manifest.name = "shapes<i>".to_owned();
    let dataset = DatasetVersion {
        git_revision: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        posts_md5: Some("fedcba9876543210fedcba9876543210".to_owned()),
        images_md5: None,
    };
    let card = ModelCard {
        version: 3,
        pushed_at: Timestamp::from_second(1_800_000_000).unwrap(),
        dataset,
        counts: Some(counts()),
        training: None,
        evaluation: Some(evaluation(&manifest.classes)),
        manifest: &manifest,
    };
    assert!(!ModelCard::is_in(folder.path()).unwrap());
    card.write(folder.path()).unwrap();
    assert!(ModelCard::is_in(folder.path()).unwrap());
    assert!(ModelBundle::read(folder.path()).is_ok(), "a bundle with a card is a bundle");
    [MODEL_CARD_FILE, MODEL_CARD_PAGE].map(|name| fs::read_to_string(&folder.path().join(name)).unwrap())
}

/// The card of a model of which nothing else is known.
fn bare(manifest: &Manifest) -> ModelCard<'_> {
    ModelCard {
        manifest,
        version: 1,
        pushed_at: Timestamp::UNIX_EPOCH,
        dataset: DatasetVersion::default(),
        counts: None,
        training: None,
        evaluation: None,
    }
}

#[test]
fn the_card_says_what_it_said() {
    let [markdown, _] = card();
    insta::assert_snapshot!(markdown);
}

#[test]
fn of_a_tuning_that_was_stopped_it_tells_which_epochs_are_whose() {
    let folder = tempfile::tempdir().unwrap();
    tiny_bundle(folder.path(), "shapes", 1);
    let mut manifest = ModelBundle::read(folder.path()).unwrap().manifest;
    manifest.lineage.insert("stopped_after_tune_epochs".to_owned(), "3".to_owned());
    let epoch = json!({"train_loss": 0.5, "train_accuracy": 0.5, "eval_loss": 0.5, "eval_accuracy": 0.5});
    let tune = json!({"layers": "all", "learning_rate": 1e-4, "epochs_max": 12, "batch_size": 8});
    let tuning = json!({"config": tune, "eval_loss_before": 0.6, "best_epoch": 2, "epochs": [epoch, epoch, epoch]});
    let training = json!({
        "config": natureddit_testkit::trainer(), "extra_title_weight": 0.1, "train_rows": 8, "eval_rows": 2,
        "best_epoch": 5, "epochs": [epoch, epoch, epoch, epoch, epoch], "tuning": tuning, "stopped": true,
    });
    let training = Some(serde_json::from_value(training).unwrap());
    ModelCard { training, ..bare(&manifest) }.write(folder.path()).unwrap();
    let card = fs::read_to_string(&folder.path().join(MODEL_CARD_FILE)).unwrap();
    for told in ["epoch taken: 5 of 5\n", "tuning epoch taken: 2 of 3\n", "stopped after tune epochs: 3\n"] {
        assert!(card.contains(told), "{told} in {card}");
    }
}

#[test]
fn nobody_and_no_post_is_named() {
    for form in card() {
        for secret in ["secret", "anna"] {
            assert!(!form.contains(secret), "{secret} in {form}");
        }
        assert!(form.contains("pages of users"));
    }
}

#[test]
fn both_forms_say_the_same_and_neither_obeys_a_name() {
    let [markdown, page] = card();
    assert!(page.contains("&lt;b&gt;flowers") && !page.contains("<b>") && !page.contains("<i>"));
    assert!(markdown.contains("\\<b\\>flowers") && markdown.starts_with("# Model card: shapes\\<i\\> 3\n"));
    for told in ["CC0-1.0", "0123456789abcdef0123456789abcdef01234567", "2021-01-03", "2021-01-14", "were taken for"] {
        assert!(markdown.contains(told) && page.contains(told), "{told}");
    }
}

#[test]
fn encoders_with_random_weights_are_not_called_pretrained() {
    let folder = tempfile::tempdir().unwrap();
    tiny_bundle(folder.path(), "shapes", 1);
    let mut manifest = ModelBundle::read(folder.path()).unwrap().manifest;
    let mut told = |image: &str, text: &str| {
        (manifest.image_encoder.name, manifest.text_encoder.name) = (image.to_owned(), text.to_owned());
        bare(&manifest).document().markdown()
    };
    assert!(told("resnet", "bert").contains("Pretrained encoders turn photo and title"));
    let both = told("random:resnet-18?seed=1", "random:bert-tiny");
    assert!(both.contains("Encoders that began with random weights") && !both.contains("Pretrained"), "{both}");
    let one = told("random:resnet-18", "bert");
    assert!(one.contains("that of photos begun with random weights and that of titles pretrained"), "{one}");
}

#[test]
fn what_is_not_known_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    tiny_bundle(folder.path(), "shapes", 1);
    let manifest = ModelBundle::read(folder.path()).unwrap().manifest;
    let text = bare(&manifest).document().markdown();
    assert!(!text.contains("## Quality") && !text.contains("## Data") && !text.contains("git revision"), "{text}");
    assert!(text.contains("## Limits and known failures"));
}
