//! The stages that a request went through, as they are measured for the metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::metrics::Stage;

/// Stages of one request that are kept; a request of many posts has more, and they are left out.
const STAGES_MAX: usize = 128;

/// Takes note of the stages of a request that is traced, and of nothing of one that is not.
#[derive(Clone, Default)]
pub(crate) struct Stages(Option<Arc<Mutex<Vec<Passed>>>>);

/// A stage that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    pub(super) stage: &'static str,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    /// Requests in the batch that it was.
    pub(super) batch_size: Option<usize>,
}

impl Stages {
    /// Of a request that is traced.
    pub(super) fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    /// One is over now.
    pub(crate) fn passed(&self, stage: Stage, begun: Instant) {
        self.between(stage, begun, Instant::now);
    }

    /// An input that was there at `arrived` has been prepared since `begun`.
    pub(crate) fn prepared(&self, arrived: Instant, begun: Instant) {
        self.between(Stage::AwaitThread, arrived, || begun);
        self.passed(Stage::Prepare, begun);
    }

    /// It waited for its batch from `submitted` to `begun`.
    pub(crate) fn queued(&self, submitted: Instant, begun: Instant) {
        self.between(Stage::Queue, submitted, || begun);
    }

    /// It was answered in a batch of so many that has run since `begun`.
    pub(crate) fn encoded(&self, begun: Instant, batch_size: usize) {
        self.keep(|| Passed {
            stage: Stage::Encode.name(),
            begun,
            ended: Instant::now(),
            batch_size: Some(batch_size),
        });
    }

    fn between(&self, stage: Stage, begun: Instant, ended: impl FnOnce() -> Instant) {
        self.keep(|| Passed { stage: stage.name(), begun, ended: ended(), batch_size: None });
    }

    fn keep(&self, passed: impl FnOnce() -> Passed) {
        if let Some(kept) = &self.0 {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < STAGES_MAX {
                kept.push(passed());
            }
        }
    }

    /// Those that are over; what a batch says of a request that was answered before it has nobody to hear it.
    pub(super) fn take(&self) -> Vec<Passed> {
        self.0
            .as_ref()
            .map(|kept| std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner)))
            .unwrap_or_default()
    }
}
