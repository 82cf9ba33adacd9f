//! What is counted of one version of a model. Counting takes no lock and makes no text: each place that counts has its
//! series in its hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use natureddit_core::ClassNames;
use natureddit_model::Prediction;
use prometheus::core::Collector;
use prometheus::{Counter, Gauge, Histogram, IntCounter};

use super::exposition::{Exposition, count, gauge, histogram, number, sum};
use crate::error::ApiError;
use crate::loaded::LoadedModel;

/// Upper bounds in seconds: from half a millisecond, which is what preparing a title takes, to the default response timeout.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

const BATCH_SIZES: [f64; 11] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0];

/// Finer where a model is sure, which is where most predictions are.
const CONFIDENCES: [f64; 11] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0];

/// The way of a request through the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// The body arrives.
    ReadBody,
    /// It waits for a thread that prepares it.
    AwaitThread,
    /// It is taken apart, decoded and tokenised.
    Prepare,
    /// It waits for its batch to begin.
    Queue,
    /// Its batch runs; once for each batch.
    Encode,
}

impl Stage {
    const ALL: [(Self, &'static str); 5] = [
        (Self::ReadBody, "read_body"),
        (Self::AwaitThread, "await_thread"),
        (Self::Prepare, "prepare"),
        (Self::Queue, "queue"),
        (Self::Encode, "encode"),
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// What became of a request that was repeated to a shadow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ShadowOutcome {
    Agrees,
    Differs,
    Failed,
    /// The server had no room for it.
    Skipped,
}

impl ShadowOutcome {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Agrees, "agrees"), (Self::Differs, "differs"), (Self::Failed, "failed"), (Self::Skipped, "skipped")];
}

/// Why a request was turned away that could have been answered at another time.
const SHED: [&str; 4] = ["busy", "queue_full", "no_worker", "shutting_down"];

/// Why a request failed that was taken.
const FAILED: [&str; 3] = ["input", "model", "timeout"];

/// The series of one version of a model.
pub(crate) struct ModelMetrics {
    requests: IntCounter,
    inference_microseconds: Counter,
    queue_microseconds: Counter,
    prediction_milliseconds: Gauge,
    queue_milliseconds: Gauge,
    stages: [Histogram; Stage::ALL.len()],
    batch_size: Histogram,
    /// In the order of the classes.
    predictions: Vec<IntCounter>,
    confidence: Histogram,
    shed: [IntCounter; SHED.len()],
    failed: [IntCounter; FAILED.len()],
    shadow: [IntCounter; ShadowOutcome::ALL.len()],
    /// Requests in batches that run and not answered yet.
    in_batches: AtomicUsize,
}

impl ModelMetrics {
    /// Of a model with these classes.
    pub(crate) fn new(classes: &ClassNames) -> Self {
        let counts = |name, help, label: &'static str| move |value: &str| count(name, help, Some((label, value)));
        let stage = |(_, stage): (Stage, &str)| {
            let help = "Time that requests spent in a stage, in seconds; encode: that batches took";
            histogram("natureddit_stage_duration_seconds", help, &SECONDS, Some(("stage", stage)))
        };
        let shed = counts("natureddit_requests_shed_total", "Requests answered 503, by reason", "reason");
        let failed =
            counts("natureddit_requests_failed_total", "Requests that were taken and failed, by reason", "reason");
        let shadow =
            counts("natureddit_shadow_requests_total", "Requests repeated to this version as a shadow", "outcome");
        let class = counts("natureddit_predictions_total", "Predictions answered, by class", "class");
        Self {
            requests: count("ts_inference_requests_total", &help("counter", "Count"), None),
            inference_microseconds: sum("ts_inference_latency_microseconds", &help("counter", "Microseconds")),
            queue_microseconds: sum("ts_queue_latency_microseconds", &help("counter", "Microseconds")),
            prediction_milliseconds: gauge("PredictionTime", &help("gauge", "ms")),
            queue_milliseconds: gauge("QueueTime", &help("gauge", "Milliseconds")),
            stages: Stage::ALL.map(stage),
            batch_size: histogram("natureddit_batch_size", "Requests in a batch", &BATCH_SIZES, None),
            predictions: classes.names().map(class).collect(),
            confidence: histogram(
                "natureddit_prediction_confidence_ratio",
                "Probability of the class that was answered",
                &CONFIDENCES,
                None,
            ),
            shed: SHED.map(shed),
            failed: FAILED.map(failed),
            shadow: ShadowOutcome::ALL.map(|(_, outcome)| shadow(outcome)),
            in_batches: AtomicUsize::new(0),
        }
    }

    /// A request is worked on.
    pub(crate) fn asked(&self) {
        self.requests.inc();
    }

    /// It was answered, this long after it was read.
    pub(crate) fn answered(&self, took: Duration) {
        self.inference_microseconds.inc_by(took.as_secs_f64() * 1e6);
    }

    /// It was in a stage for so long.
    pub(crate) fn passed(&self, stage: Stage, took: Duration) {
        self.stages[stage as usize].observe(took.as_secs_f64());
    }

    /// An input that was there at `arrived` has been prepared since `begun`.
    pub(crate) fn prepared(&self, arrived: Instant, begun: Instant) {
        self.passed(Stage::AwaitThread, begun.duration_since(arrived));
        self.passed(Stage::Prepare, begun.elapsed());
    }

    /// A client was answered this.
    pub(crate) fn predicted(&self, prediction: &Prediction) {
        let class = prediction.class.0;
        if let (Some(count), Some(probability)) = (self.predictions.get(class), prediction.probabilities.get(class)) {
            count.inc();
            self.confidence.observe(f64::from(*probability));
        }
    }

    /// A request was not answered with a prediction.
    pub(crate) fn refused(&self, error: &ApiError) {
        let [busy, queue_full, no_worker, shutting_down] = &self.shed;
        let [input, model, timeout] = &self.failed;
        match error {
            // As where it leaves later: there is nobody to have failed.
            ApiError::ClientLeft => return,
            ApiError::Busy => busy,
            ApiError::QueueFull(_) => queue_full,
            ApiError::NoWorker(_) => no_worker,
            ApiError::ShuttingDown => shutting_down,
            ApiError::ResponseTimeout(_) => timeout,
            _ if error.status().0.is_client_error() => input,
            _ => model,
        }
        .inc();
    }

    /// This version was a shadow of another.
    pub(crate) fn shadowed(&self, outcome: ShadowOutcome) {
        self.shadow[outcome as usize].inc();
    }

    /// A batch begins of requests that have waited for so long.
    pub(crate) fn batch_began(&self, waited: impl ExactSizeIterator<Item = Duration>) {
        self.in_batches.fetch_add(waited.len(), Ordering::Relaxed);
        for waited in waited {
            self.passed(Stage::Queue, waited);
            self.queue_microseconds.inc_by(waited.as_secs_f64() * 1e6);
            self.queue_milliseconds.set(waited.as_secs_f64() * 1e3);
        }
    }

    /// A request of a batch was answered.
    pub(crate) fn left_batch(&self) {
        self.in_batches.fetch_sub(1, Ordering::Relaxed);
    }

    /// A batch of so many ends that ran for so long.
    pub(crate) fn batch_ended(&self, size: usize, took: Duration) {
        self.batch_size.observe(number(size));
        self.passed(Stage::Encode, took);
        self.prediction_milliseconds.set(took.as_secs_f64() * 1e3);
    }

    /// How long the request waited that was last taken out of the queue, in milliseconds; `None` before the first.
    pub(super) fn last_queue_milliseconds(&self) -> Option<f64> {
        (self.batch_size.get_sample_count() > 0).then(|| self.queue_milliseconds.get())
    }

    /// Adds the series of `model`, which counts here and answers where no version is asked for, or not.
    pub(super) fn expose(&self, model: &LoadedModel, is_default: bool, hostname: &str, exposition: &mut Exposition) {
        let (name, version) = (model.name(), model.version().to_string());
        let own = [("model_name", name), ("model_version", version.as_str())];
        let torchserve = [own[0], own[1], ("hostname", hostname)];
        let counters: [&dyn Collector; 3] = [&self.requests, &self.inference_microseconds, &self.queue_microseconds];
        counters.into_iter().for_each(|counter| exposition.add(counter, &torchserve));
        let of_model = [("ModelName", name), ("Level", "Model"), ("Hostname", hostname)];
        // Of several versions of a name TorchServe has one value.
        if is_default && self.batch_size.get_sample_count() > 0 {
            exposition.add(&self.prediction_milliseconds, &of_model);
        }
        self.stages.iter().for_each(|stage| exposition.add(stage, &own));
        exposition.add(&self.batch_size, &own);
        exposition.add(&self.confidence, &own);
        let counts = self.predictions.iter().chain(&self.shed).chain(&self.failed).chain(&self.shadow);
        counts.for_each(|count| exposition.add(count, &own));
        let queued = model.under_way().saturating_sub(self.in_batches.load(Ordering::Relaxed));
        for (outcome, found) in model.cache().into_iter().flat_map(|c| [("hit", c.hits()), ("miss", c.misses())]) {
            let help = "Photos and titles looked up in the embedding cache, by outcome";
            let lookups = count("natureddit_embedding_cache_lookups_total", help, Some(("outcome", outcome)));
            lookups.inc_by(found);
            exposition.add(&lookups, &own);
        }
        exposition.add_now(("natureddit_queue_depth", "Requests that wait for a batch"), number(queued), &own);
    }
}

/// What TorchServe says of its metrics.
pub(super) fn help(kind: &str, unit: &str) -> String {
    format!("Torchserve prometheus {kind} metric with unit: {unit}")
}
