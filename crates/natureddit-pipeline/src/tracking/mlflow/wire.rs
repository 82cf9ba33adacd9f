//! MLflow's JSON, as far as it is sent and read here; the rest of an answer is passed over. Numbers that JSON has not are
//! texts: see [`super::super::number`].

use serde::{Deserialize, Serialize};

use crate::tracking::number;

#[derive(Debug, Serialize)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateExperiment<'a> {
    pub(super) name: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct CreatedExperiment {
    pub(super) experiment_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundExperiment {
    pub(super) experiment: Experiment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Experiment {
    pub(super) experiment_id: String,
    #[serde(default)]
    pub(super) lifecycle_stage: String,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateRun<'a> {
    pub(super) experiment_id: &'a str,
    pub(super) start_time: i64,
    pub(super) run_name: &'a str,
    pub(super) tags: Vec<Pair<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CreatedRun {
    pub(super) run: Run,
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) info: RunInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunInfo {
    pub(super) run_id: String,
    #[serde(default)]
    pub(super) artifact_uri: String,
}

#[derive(Debug, Serialize)]
pub(super) struct SearchRuns<'a> {
    pub(super) experiment_ids: [&'a str; 1],
    pub(super) filter: String,
    pub(super) run_view_type: &'static str,
    pub(super) max_results: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundRuns {
    #[serde(default)]
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
pub(super) struct RunId<'a> {
    pub(super) run_id: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct LogBatch<'a> {
    pub(super) run_id: &'a str,
    pub(super) params: Vec<Pair<'a>>,
    pub(super) tags: Vec<Pair<'a>>,
    pub(super) metrics: Vec<Metric<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Metric<'a> {
    pub(super) key: &'a str,
    #[serde(with = "number")]
    pub(super) value: f64,
    pub(super) timestamp: i64,
    pub(super) step: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct UpdateRun<'a> {
    pub(super) run_id: &'a str,
    pub(super) status: &'static str,
    pub(super) end_time: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateRegisteredModel<'a> {
    pub(super) name: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateModelVersion<'a> {
    pub(super) name: &'a str,
    pub(super) source: String,
    pub(super) run_id: &'a str,
    pub(super) tags: Vec<Pair<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FoundModelVersions {
    #[serde(default)]
    pub(super) model_versions: Vec<ModelVersion>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CreatedModelVersion {
    pub(super) model_version: ModelVersion,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelVersion {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) run_id: String,
}

#[derive(Debug, Serialize)]
pub(super) struct NamedVersion<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct SetAlias<'a> {
    pub(super) name: &'a str,
    pub(super) alias: &'a str,
    pub(super) version: &'a str,
}

/// An answer without content.
#[derive(Debug, Deserialize)]
pub(super) struct Empty {}

#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) error_code: String,
    #[serde(default)]
    pub(super) message: String,
}
