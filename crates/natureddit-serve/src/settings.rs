//! How models run: as is set for all, and what is set for single versions in the place of that.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::batcher::BatchLimits;

/// What is set for one version of a model; `None` is as for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionSettings {
    /// Whether it answers where no version is asked for.
    pub is_default: bool,
    /// Requests in one batch; at least 1.
    pub batch_size_max: Option<usize>,
    /// How long the first request of a batch waits for others.
    pub batch_delay_max: Option<Duration>,
    /// The longest an answer may take.
    pub response_timeout: Option<Duration>,
    /// Its workers, each with a copy of the model.
    pub workers: Option<usize>,
}

/// By name and version.
pub type SettingsByVersion = BTreeMap<String, BTreeMap<u64, VersionSettings>>;

/// How a model runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) batch: BatchLimits,
    pub(crate) workers: usize,
    /// The longest an answer may take; `None`: as the server's limits say.
    pub(crate) response_timeout: Option<Duration>,
}

impl VersionSettings {
    /// With these settings in the place of others.
    pub(crate) fn above(&self, others: Running) -> Running {
        let Running { batch, workers, response_timeout } = others;
        Running {
            batch: BatchLimits {
                batch_size_max: self.batch_size_max.unwrap_or(batch.batch_size_max),
                batch_delay_max: self.batch_delay_max.unwrap_or(batch.batch_delay_max),
                ..batch
            },
            workers: self.workers.unwrap_or(workers),
            response_timeout: self.response_timeout.or(response_timeout),
        }
    }
}
