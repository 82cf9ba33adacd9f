//! A run as trackers know it.

use std::collections::BTreeMap;

use natureddit_core::ContentHash;
use serde::{Deserialize, Serialize};

use super::number;

/// A run of the pipeline, with all that is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackedRun {
    /// 32 hexadecimal digits that no other run has; they begin with the time, so that their order is that of the runs.
    pub id: String,
    /// The run's name in the metadata store, or of a run that was killed the moment it began.
    pub name: String,
    /// The experiment it belongs to.
    pub experiment: String,
    /// When it began: milliseconds since the epoch.
    pub started_ms: i64,
    /// When it ended, or was last heard of.
    pub ended_ms: i64,
    /// How it ended.
    pub status: RunStatus,
    /// Why it failed; stays on this machine, for it may name what is on it.
    pub failure: Option<String>,
    /// Its settings.
    pub params: BTreeMap<String, String>,
    /// Its figures.
    pub metrics: Vec<Metric>,
    /// What else is known of it.
    pub tags: BTreeMap<String, String>,
    /// The names of its files, below `artifacts/`.
    pub artifacts: Vec<String>,
    /// Its model.
    pub model: Option<TrackedModel>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every component did what it had to.
    Finished,
    /// A component failed.
    Failed,
    /// Its process was ended before it could tell.
    Killed,
}

/// A figure at a step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name: `train_loss`.
    pub key: String,
    /// Its value.
    #[serde(with = "number")]
    pub value: f64,
    /// When it was so: milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The epoch, from 1; 0 for what belongs to none.
    pub step: i64,
}

/// The model of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedModel {
    /// The folder of its bundle, relative to the project where it lies in it.
    pub bundle: String,
    /// Of the bundle's manifest, which names every file by its hash.
    pub manifest_sha256: ContentHash,
    /// What it is registered as; `None` where it was not pushed.
    pub registration: Option<Registration>,
}

/// A pushed model in the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The registered model.
    pub name: String,
    /// The version in the model store.
    pub pushed_version: u64,
    /// What the version is called by from now on.
    pub alias: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_survives_its_json(bits in any::<u64>()) {
            let metric = Metric { key: "loss".into(), value: f64::from_bits(bits), timestamp_ms: 1, step: 2 };
            let text = serde_json::to_string(&metric).unwrap();
            let read: Metric = serde_json::from_str(&text).unwrap();
            let same = read.value == metric.value || (read.value.is_nan() && metric.value.is_nan());
            prop_assert!(same, "{text}");
        }
    }

    #[test]
    fn what_json_has_no_number_for_is_a_text() {
        let metric = |value| Metric { key: "m".into(), value, timestamp_ms: 0, step: 0 };
        let text = serde_json::to_string(&[metric(f64::NAN), metric(f64::NEG_INFINITY)]).unwrap();
        assert!(text.contains(r#""value":"NaN""#) && text.contains(r#""value":"-Infinity""#), "{text}");
    }
}
