//! The component on examples, statistics and a schema in folders.

use natureddit_core::{ContentHash, Progress, fs};
use tempfile::TempDir;

use super::*;
use crate::anomalies::ANOMALIES_FILE;
use crate::component::InputFolder;
use crate::examples::{ExampleSource, write_split};
use crate::schema::infer::{InferConfig, infer_schema};
use crate::schema::write_schema;
use crate::statistics::write_statistics;

const DAY: i64 = 86_400;

fn config() -> ValidatorConfig {
    ValidatorConfig {
        severities: Severities { columns: Severity::Error, values: Severity::Warning },
        leakage: Severity::Error,
        environment: None,
        near_duplicate_distance_max: 6,
        drift_days: 1,
        compared_examples_min: 20,
        shortcut_accuracy_max: 0.9,
    }
}

/// Forty posts of each of two days in the training split and twenty in each other one, no two alike.
fn examples() -> BTreeMap<Split, Vec<Example>> {
    let counts = [(Split::Train, 80), (Split::Eval, 20), (Split::Test, 20)];
    let mut number = 0_u64;
    counts
        .into_iter()
        .map(|(split, count)| {
            let posts = (0..count).map(|at| {
                number += 1;
                let id = format!("p{number}");
                let hash = ContentHash::of(id.as_bytes()).to_string();
                Example {
                    source: ExampleSource::Post,
                    author: format!("author{number}"),
                    subreddit: ["earth", "pics"][at % 2].into(),
                    created_utc: 10 * DAY + (at as i64 % 4 / 2) * DAY,
                    width: 640 + 10 * (at as u32 % 7),
                    height: 480,
                    img_name: format!("{id}.jpg"),
                    phash: hash[..16].parse().ok(),
                    ..Example::title_alone(
                        id.parse().unwrap(),
                        format!("Title {id}"),
                        ["fauna", "flora", "x"][at % 3].into(),
                    )
                }
            });
            (split, posts.collect())
        })
        .collect()
}

/// Runs the component on these examples, with the schema of the training split unless there is another.
fn run(
    examples: &BTreeMap<Split, Vec<Example>>,
    config: ValidatorConfig,
    schema: Option<Schema>,
) -> (TempDir, anyhow::Result<Validation>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut train = SplitStatistics::default();
    for (&split, examples) in examples {
        write_split(&path("examples"), split, examples).unwrap();
        let statistics = span::statistics(&examples.iter().collect::<Vec<_>>());
        write_statistics(&path("statistics"), split, &statistics).unwrap();
        if split == Split::Train {
            train = statistics;
        }
    }
    let infer = InferConfig {
        values_max: 100,
        drift_max: 0.3,
        skew_max: 0.3,
        labels: vec!["choice".into()],
        identities: ["id", "title", "group", "author", "img_name", "created_utc", "phash"].map(String::from).to_vec(),
        not_compared: vec!["source".into()],
    };
    let schema = schema.unwrap_or_else(|| infer_schema(&train, &infer));
    write_schema(&path("schema").join(SCHEMA_FILE), &schema).unwrap();
    let input = |name: &str| InputFolder { path: path(name), hash: ContentHash::of(b"") };
    let io = ExecutionIo {
        inputs: ["examples", "statistics", "schema"].map(|name| (name, input(name))).into(),
        outputs: [("anomalies", path("anomalies"))].into(),
    };
    let component = ExampleValidator { config: config.clone() };
    let mut cx = ExecutionContext::new(component.spec(), Progress::silent());
    let result = component.execute(&io, &mut cx).and_then(|()| cx.refusal.take().map_or(Ok(()), Err)).map(|()| {
        let statistics = Split::ALL.map(|split| (split, read_statistics(&path("statistics"), split).unwrap())).into();
        let examples = examples.iter().map(|(&split, examples)| (split, examples.as_slice().into())).collect();
        ExampleValidator { config }.judge(&schema, &statistics, &examples)
    });
    (folder, result)
}

#[test]
fn good_examples_are_left_alone() {
    let (folder, validation) = run(&examples(), config(), None);
    let validation = validation.unwrap();
    assert_eq!(validation.warnings, [""; 0]);
    assert!(matches!(validation.drift, Drift::Judged { span: 11, newest: 60, before: 60, .. }), "{validation:?}");
    for name in ["Split-train", "Split-eval", "Split-test", "Span-11"] {
        assert!(!fs::read(&folder.path().join("anomalies").join(name).join(ANOMALIES_FILE)).unwrap().is_empty());
    }
    let measured: Vec<&str> = validation.splits[&Split::Eval].skew.iter().map(|at| at.feature.as_str()).collect();
    assert_eq!(measured, ["choice", "subreddit", "width"]);
}

#[test]
fn a_split_without_examples_has_no_anomalies() {
    let mut few = examples();
    few.get_mut(&Split::Eval).unwrap().clear();
    let (_, validation) = run(&few, config(), None);
    let validation = validation.unwrap();
    assert!(validation.splits[&Split::Eval].anomalies.is_empty());
    assert_eq!(validation.warnings, [""; 0]);
}

#[test]
fn an_environment_that_the_schema_does_not_name_is_refused() {
    let of = |name: &str| ValidatorConfig { environment: Some(name.to_owned()), ..config() };
    assert!(run(&examples(), of("TRAINING"), None).1.is_ok());
    let message = run(&examples(), of("TRAINNING"), None).1.unwrap_err().to_string();
    assert_eq!(message, r#"the schema has no environment "TRAINNING"; it names SERVING, TRAINING"#);
    let message = run(&examples(), of("TRAINING"), Some(Schema::default())).1.unwrap_err().to_string();
    assert_eq!(message, r#"the schema has no environment "TRAINING"; it names none"#);
}

#[test]
fn a_leak_stops_the_run_or_is_only_told() {
    let mut leaky = examples();
    leaky.get_mut(&Split::Test).unwrap()[0].author = "author1".into();
    let (_, stopped) = run(&leaky, config(), None);
    let message = stopped.unwrap_err().to_string();
    let leak = "1 author lies in more than one split: author author1 (train p1, test p101)";
    assert_eq!(message, format!("the examples must not be used: {leak}"));
    let (_, told) = run(&leaky, ValidatorConfig { leakage: Severity::Warning, ..config() }, None);
    assert_eq!(told.unwrap().warnings, [leak]);
}

#[test]
fn drift_skew_and_shortcuts_are_told() {
    let mut examples = examples();
    for post in examples.values_mut().flatten() {
        if post.created_utc >= 11 * DAY {
            post.width = 4_000;
        }
        post.choice = if post.subreddit == "pics" { "flora" } else { "fauna" }.into();
    }
    for post in examples.get_mut(&Split::Test).unwrap() {
        post.subreddit = "pics".into();
        post.choice = "flora".into();
    }
    let (_, validation) = run(&examples, config(), None);
    let warnings = validation.unwrap().warnings;
    let said =
        |beginning: &str| assert!(warnings.iter().any(|w| w.starts_with(beginning)), "{beginning}: {warnings:?}");
    said("newest span: width: The approximate Jensen-Shannon divergence between current and previous is ");
    said("test: subreddit: The Linfty distance between test and train is 0.5 (up to six significant digits), above");
    said("subreddit alone tells the class of 100.0 % of the posts (the most frequent class: ");
    assert!(!warnings.iter().any(|warning| warning.starts_with("eval")), "{warnings:?}");
}

#[test]
fn a_missing_column_stops_the_run() {
    let gone = crate::schema::Feature {
        name: Some("gone".into()),
        kind: Some(crate::schema::SchemaKind::Int),
        presence: Some(crate::schema::PresenceMin { fraction: None, count: Some(1) }),
        ..Default::default()
    };
    let schema = Schema { features: vec![gone], ..Schema::default() };
    let (_, stopped) = run(&examples(), config(), Some(schema.clone()));
    let message = stopped.unwrap_err().to_string();
    let beginning = "the examples must not be used: train: gone: Column is completely missing; eval: gone: Column";
    assert!(message.starts_with(beginning), "{message}");
    let severities = Severities { columns: Severity::Warning, values: Severity::Warning };
    let (_, told) = run(&examples(), ValidatorConfig { severities, ..config() }, Some(schema));
    assert_eq!(told.unwrap().warnings.len(), 3 * 17, "and each column of the examples is new to that schema");
}
