//! What is told of a run: read from its report and from the folders of its artifacts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, is_plain_name};
use natureddit_model::ModelBundle;
use natureddit_model::train::{HeadKind, TrainerConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::local::{LocalError, OpenRun, RunFiles};
use super::run::{Metric, Registration, RunStatus, TrackedModel, TrackedRun};
use super::{Models, TrackingConfig};
use crate::components::evaluator::EVALUATION_FILE;
use crate::components::pusher::{PUSHED_FILE, Pushed};
use crate::components::trainer::{EPOCH_ENDS_DETAIL, TRAINING_FILE, Training};
use crate::runner::{Outcome, RunReport, Runner};
use crate::training_graph::TrainingConfig;

/// A file of JSON that tells figures is no longer.
const JSON_BYTES_MAX: u64 = 16 << 20;
/// More figures of one evaluation are not told.
const EVALUATION_METRICS_MAX: usize = 900;

/// What the recorder knows of a run.
pub(super) struct Told<'a> {
    pub(super) open: &'a OpenRun,
    pub(super) ended_ms: i64,
    /// When the Trainer began, if it ran.
    pub(super) training_ms: Option<i64>,
    /// What was pushed by a run that was killed is this one's: whether that was told of already.
    pub(super) recovers: bool,
}

/// The settings of a pipeline, under the names that the original system logged where it had them too.
#[must_use]
pub fn settings_params(config: &TrainingConfig) -> BTreeMap<String, String> {
    let mut params = trainer_params(&config.trainer, config.extra_title_weight);
    let buckets = config.hash_buckets;
    let more = [
        ("model_name", config.model_name.clone()),
        ("image_encoder", config.encoders.image.name.clone()),
        ("text_encoder", config.encoders.text.name.clone()),
        ("precision", config.precision.name().to_owned()),
        ("title_tokens_max", config.encoders.title_tokens_max.to_string()),
        ("out_classes", config.classes.len().to_string()),
        ("classes", config.classes.names().collect::<Vec<_>>().join(",")),
        ("hash_buckets", format!("{}:{}:{}", buckets.train, buckets.eval, buckets.test)),
        ("split_by", config.split_by.name().to_owned()),
        ("near_duplicate_distance_max", config.near_duplicate_distance_max.to_string()),
    ];
    params.extend(more.map(|(key, value)| (key.to_owned(), value)));
    params
}

fn trainer_params(config: &TrainerConfig, extra_title_weight: f32) -> BTreeMap<String, String> {
    let class_weights = if config.class_weights { "balanced" } else { "none" };
    let (head, hidden_units, dropout) = match config.head {
        HeadKind::Linear => ("linear", 0, 0.0),
        HeadKind::Mlp { hidden, dropout } => ("mlp", hidden, dropout),
    };
    let params = [
        ("n_epochs", config.epochs_max.to_string()),
        ("batch_size", config.batch_size.to_string()),
        ("opt_name", "adamw".to_owned()),
        ("opt_lr", config.learning_rate.to_string()),
        ("opt_weight_decay", config.weight_decay.to_string()),
        ("image_dropout", config.image_dropout.to_string()),
        ("text_dropout", config.text_dropout.to_string()),
        ("label_smoothing", config.label_smoothing.to_string()),
        ("head", head.to_owned()),
        ("hidden_units", hidden_units.to_string()),
        ("hidden_dropout", dropout.to_string()),
        ("class_weights", class_weights.to_owned()),
        ("early_stopping_patience", config.patience.to_string()),
        ("extra_title_weight", extra_title_weight.to_string()),
        ("seed", config.seed.to_string()),
    ];
    params.map(|(key, value)| (key.to_owned(), value)).into()
}

/// The record of a run that is over, and the files that go with it.
pub(super) fn record(
    told: &Told<'_>,
    report: &RunReport,
    runner: &Runner,
    config: &TrackingConfig,
) -> Result<(TrackedRun, RunFiles), LocalError> {
    let made = Made { report, runner };
    let model = made.model();
    let training: Option<Training> = model.as_deref().map(|dir| read(&dir.join(TRAINING_FILE))).transpose()?.flatten();
    let evaluation = made.output("Evaluator", "evaluation");
    let figures: Option<Value> =
        evaluation.as_deref().map(|dir| read(&dir.join(EVALUATION_FILE))).transpose()?.flatten();

    let mut params = told.open.context.params.clone();
    let mut metrics = Vec::new();
    if let Some(training) = &training {
        params.extend(trainer_params(&training.config, training.extra_title_weight));
        metrics.extend(training_metrics(training, told, report));
    }
    if let Some(figures) = &figures {
        metrics.extend(evaluation_metrics(figures, told.ended_ms));
    }
    let tracked_model = made.tracked_model(config, told.recovers)?;
    let bundle = tracked_model.as_ref().filter(|_| config.server.is_some());
    let files = RunFiles {
        artifacts: artifacts([evaluation.as_deref(), model.as_deref()], config)?,
        bundle: bundle.map(|model| runner.path(&model.bundle)),
    };
    let run = TrackedRun {
        id: told.open.id.clone(),
        name: report.run.clone(),
        experiment: config.experiment.clone(),
        started_ms: told.open.started_ms,
        ended_ms: told.ended_ms,
        status: if report.failure().is_some() { RunStatus::Failed } else { RunStatus::Finished },
        failure: report.failure().map(|(component, message)| format!("{component}: {message}")),
        params,
        metrics,
        tags: tags(told, report, figures.as_ref(), tracked_model.as_ref()),
        artifacts: files.artifacts.iter().map(|(_, name)| name.clone()).collect(),
        model: tracked_model,
    };
    Ok((run, files))
}

/// What a run made, or took as it was.
struct Made<'a> {
    report: &'a RunReport,
    runner: &'a Runner,
}

impl Made<'_> {
    fn output(&self, component: &str, key: &str) -> Option<PathBuf> {
        let output = self.report.component(component)?.outputs.get(key)?;
        Some(self.runner.path(&output.uri))
    }

    /// The model of the run: the Trainer's, or where it was left out the one that the components after it read.
    fn model(&self) -> Option<PathBuf> {
        let read = |report: &crate::runner::ComponentReport| report.inputs.get("model").cloned();
        let trained = || self.report.components.iter().find_map(read).map(|uri| self.runner.path(&uri));
        self.output("Trainer", "model").or_else(trained)
    }

    /// The model that is kept: the one that was pushed now, or every one that was trained.
    /// With `recovers` also one that was pushed before.
    fn tracked_model(&self, config: &TrackingConfig, recovers: bool) -> Result<Option<TrackedModel>, LocalError> {
        if config.models == Models::None {
            return Ok(None);
        }
        let is_made_now = |component: &str| {
            let report = self.report.component(component);
            report.is_some_and(|report| matches!(report.outcome, Outcome::Ran { .. }))
        };
        let pushed: Option<Pushed> = match self.output("Pusher", "pushed_model") {
            Some(dir) => read(&dir.join(PUSHED_FILE))?,
            None => None,
        };
        let (dir, registration) = match pushed.filter(|_| is_made_now("Pusher") || recovers) {
            Some(Pushed { name, version }) => {
                let registration = Registration {
                    name: config.registered_model.clone(),
                    pushed_version: version,
                    alias: config.alias.clone(),
                };
                (config.models_dir.join(name).join(version.to_string()), Some(registration))
            }
            None if config.models == Models::All && is_made_now("Trainer") => match self.model() {
                Some(dir) => (dir, None),
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        let Some(manifest) = fs::optional(fs::read(&dir.join(ModelBundle::MANIFEST)))? else { return Ok(None) };
        let bundle = self.runner.uri(&dir);
        Ok(Some(TrackedModel { bundle, manifest_sha256: ContentHash::of(&manifest), registration }))
    }
}

/// The files of these folders that the settings name.
fn artifacts(folders: [Option<&Path>; 2], config: &TrackingConfig) -> Result<Vec<(PathBuf, String)>, FsError> {
    let mut found = Vec::new();
    for path in folders.into_iter().flatten().map(fs::read_dir).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let metadata = fs::metadata(&path)?;
        let is_wanted = is_plain_name(&name) && config.artifacts.contains(&name);
        if is_wanted && metadata.is_file() && metadata.len() <= config.artifact_bytes_max {
            found.push((path, name));
        }
    }
    Ok(found)
}

/// The figures of each epoch, under the original system's names, the first epoch being 1; and what there was to learn from.
fn training_metrics(training: &Training, told: &Told<'_>, report: &RunReport) -> Vec<Metric> {
    let ends = epoch_ends(told, report);
    let mut metrics = Vec::new();
    for (at, epoch) in training.epochs.iter().enumerate() {
        let timestamp_ms = ends.get(at).copied().unwrap_or(told.ended_ms);
        let figures = [
            ("train_loss", Some(epoch.train_loss)),
            ("train_accuracy", Some(epoch.train_accuracy)),
            ("validation_loss", epoch.eval_loss),
            ("validation_accuracy", epoch.eval_accuracy),
        ];
        let step = i64::try_from(at + 1).unwrap_or(i64::MAX);
        let metric =
            |(key, value): (&str, Option<f64>)| Some(Metric { key: key.into(), value: value?, timestamp_ms, step });
        metrics.extend(figures.into_iter().filter_map(metric));
    }
    let whole = [
        ("best_epoch", training.best_epoch),
        ("train_rows", training.train_rows),
        ("validation_rows", training.eval_rows),
    ];
    let fitted = training.calibration.map(|fitted| ("temperature", f64::from(fitted.temperature)));
    let whole = whole.map(|(key, count)| (key, count as f64)).into_iter().chain(fitted);
    let timestamp_ms = told.ended_ms;
    metrics.extend(whole.map(|(key, value)| Metric { key: key.into(), value, timestamp_ms, step: 0 }));
    metrics
}

/// When the epochs ended, if they were run now: after the start of the Trainer by as much as after that of training.
fn epoch_ends(told: &Told<'_>, report: &RunReport) -> Vec<i64> {
    let detail = report.component("Trainer").and_then(|trainer| trainer.details.get(EPOCH_ENDS_DETAIL));
    let (Some(detail), Some(began)) = (detail, told.training_ms) else { return Vec::new() };
    let since: Option<Vec<i64>> = detail.to_string().split(',').map(|end| end.parse().ok()).collect();
    since.unwrap_or_default().into_iter().map(|end| (began + end).min(told.ended_ms)).collect()
}

/// Every figure of an evaluation by its path: `eval_macro_f1`, `eval_macro_f1_interval_low`, `eval_recall_fauna`,
/// `champion_accuracy`. Tables, such as the confusion, and slices stay in its file.
fn evaluation_metrics(evaluation: &Value, timestamp_ms: i64) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for (key, prefix) in [("metrics", "eval"), ("champion", "champion")] {
        if let Some(figures) = evaluation.get(key) {
            flatten(prefix, figures, timestamp_ms, &mut metrics);
        }
    }
    if let Some(blessed) = evaluation.get("blessed").and_then(Value::as_bool) {
        flatten("eval_blessed", &Value::from(u8::from(blessed)), timestamp_ms, &mut metrics);
    }
    metrics.truncate(EVALUATION_METRICS_MAX);
    metrics
}

fn flatten(path: &str, value: &Value, timestamp_ms: i64, metrics: &mut Vec<Metric>) {
    match value {
        Value::Number(number) => {
            let value = number.as_f64().unwrap_or(f64::NAN);
            metrics.push(Metric { key: name(path), value, timestamp_ms, step: 0 });
        }
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "slices") {
                flatten(&format!("{path}_{key}"), value, timestamp_ms, metrics);
            }
        }
        Value::Array(items) if path.ends_with("interval") && items.len() == 2 => {
            for (end, value) in ["low", "high"].iter().zip(items) {
                flatten(&format!("{path}_{end}"), value, timestamp_ms, metrics);
            }
        }
        Value::Array(items) => {
            let prefix = path.strip_suffix("_per_class").unwrap_or(path);
            for fields in items.iter().filter_map(Value::as_object) {
                let Some(of) = what_of(fields) else { continue };
                for (key, value) in fields {
                    // An interval is named as such at its end.
                    let path = match key.strip_suffix("_interval") {
                        Some(figure) => format!("{prefix}_{figure}_{of}_interval"),
                        None if key == "interval" => format!("{prefix}_{of}_interval"),
                        None => format!("{prefix}_{key}_{of}"),
                    };
                    flatten(&path, value, timestamp_ms, metrics);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// What a row of figures is about: a class, or a share of the posts.
fn what_of(fields: &serde_json::Map<String, Value>) -> Option<String> {
    if let Some(class) = fields.get("name").and_then(Value::as_str) {
        return Some(class.to_owned());
    }
    let coverage = fields.get("coverage").and_then(Value::as_f64)?;
    Some(format!("at_{:.0}", coverage * 100.0))
}

/// A name as MLflow takes it.
fn name(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '/');
    path.chars().map(|c| if plain(c) { c } else { '_' }).take(250).collect()
}

fn tags(
    told: &Told<'_>,
    report: &RunReport,
    evaluation: Option<&Value>,
    model: Option<&TrackedModel>,
) -> BTreeMap<String, String> {
    let mut tags = told.open.context.tags.clone();
    let mut tag = |key: &str, value: String| _ = tags.insert(key.to_owned(), value);
    tag("natureddit.run", report.run.clone());
    for component in &report.components {
        let outcome = match component.outcome {
            Outcome::Ran { .. } => "ran",
            Outcome::Cached { .. } => "cached",
            Outcome::Failed { .. } => "failed",
            Outcome::NotSelected => "not selected",
            Outcome::NotReached => "not reached",
        };
        tag(&format!("natureddit.component.{}", component.component), outcome.to_owned());
    }
    let examples = report.component("ExampleGen").and_then(|component| component.outputs.get("examples"));
    if let Some(examples) = examples {
        tag("natureddit.examples.sha256", examples.hash.to_string());
    }
    if let Some((component, _)) = report.failure() {
        tag("natureddit.failed", component.to_owned());
    }
    if let Some(reasons) = evaluation.and_then(|evaluation| evaluation.get("reasons")).and_then(Value::as_array) {
        let lines: Vec<String> = reasons.iter().filter_map(Value::as_str).map(|why| format!("- {why}")).collect();
        tag("mlflow.note.content", lines.join("\n"));
    }
    if let Some(model) = model {
        tag("natureddit.model.sha256", model.manifest_sha256.to_string());
        if let Some(registration) = &model.registration {
            tag("natureddit.model.version", registration.pushed_version.to_string());
        }
    }
    tags
}

/// A JSON file of an artifact; `None` where there is none.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LocalError> {
    let Some(bytes) = fs::optional(fs::read_limited(path, JSON_BYTES_MAX))? else { return Ok(None) };
    let format = |e: serde_json::Error| LocalError::Format { path: path.to_owned(), reason: e.to_string() };
    serde_json::from_slice(&bytes).map_err(format).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_figures_of_an_evaluation_are_named_by_their_path() {
        let evaluation = json!({
            "metrics": {
                "macro_f1": 0.9, "macro_f1_interval": [0.8, 0.95], "confusion": [[1, 2], [3, 4]],
                "per_class": [{"name": "fauna", "recall": 0.7, "recall_interval": [0.5, 0.9], "support": 3}],
                "selective": [{"coverage": 0.8, "accuracy": 0.99}], "slices": {"subreddit": {"pics": 0.3}},
            },
            "slices": [{"name": "subreddit", "accuracy": 0.1}],
            "champion": {"accuracy": 0.5, "candidate_macro_f1": null},
            "blessed": true,
            "reasons": ["met: enough"],
        });
        let found: BTreeMap<String, f64> =
            evaluation_metrics(&evaluation, 7).into_iter().map(|metric| (metric.key, metric.value)).collect();
        let expected = [
            ("champion_accuracy", 0.5),
            ("eval_blessed", 1.0),
            ("eval_macro_f1", 0.9),
            ("eval_macro_f1_interval_high", 0.95),
            ("eval_macro_f1_interval_low", 0.8),
            ("eval_recall_fauna", 0.7),
            ("eval_recall_fauna_interval_high", 0.9),
            ("eval_recall_fauna_interval_low", 0.5),
            ("eval_selective_accuracy_at_80", 0.99),
            ("eval_selective_coverage_at_80", 0.8),
            ("eval_support_fauna", 3.0),
        ];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)).into());
    }

    #[test]
    fn a_name_that_mlflow_would_refuse_is_made_one_that_it_takes() {
        assert_eq!(name("eval_recall_it's (a) class"), "eval_recall_it_s _a_ class");
        assert_eq!(name(&"x".repeat(300)).len(), 250);
    }
}
