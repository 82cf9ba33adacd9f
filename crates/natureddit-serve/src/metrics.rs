//! What is counted while predictions are served, and the metrics API: TorchServe's names and our own, in the text format of
//! Prometheus.

mod exposition;
mod host;
mod model;
mod routes;

use std::sync::Arc;

use axum::http::StatusCode;
use prometheus::IntCounter;

use self::exposition::{Exposition, count, number};
use self::model::help;
use crate::connection::Door;
use crate::inference::Inference;
use crate::loaded::LoadedModel;

pub(crate) use host::Host;
pub(crate) use model::{ModelMetrics, ShadowOutcome, Stage};
pub(crate) use routes::{log_every_so_often, router};

/// Where metrics go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsMode {
    /// Whoever asks at the metrics address is answered.
    #[default]
    Prometheus,
    /// Into the log, once a minute; the metrics address answers nothing, as TorchServe's does.
    Log,
}

/// Answers by the class of their status.
pub(crate) struct ResponseCounts([IntCounter; 3]);

impl ResponseCounts {
    pub(crate) fn new() -> Self {
        Self(["Requests2XX", "Requests4XX", "Requests5XX"].map(|name| count(name, &help("counter", "Count"), None)))
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        let [success, client_error, server_error] = &self.0;
        match status.as_u16() {
            200..=299 => success.inc(),
            400..=499 => client_error.inc(),
            500..=599 => server_error.inc(),
            _ => {}
        }
    }
}

/// What became of predictions that were to be written down.
pub(crate) struct LogCounts {
    pub(crate) written: IntCounter,
    /// Left out because too many waited.
    pub(crate) queue_full: IntCounter,
    /// Left out because the disk took none.
    pub(crate) not_written: IntCounter,
}

impl LogCounts {
    pub(crate) fn new() -> Self {
        let dropped = |reason| {
            let help = "Predictions left out of the log, by reason";
            count("natureddit_prediction_log_dropped_total", help, Some(("reason", reason)))
        };
        Self {
            written: count("natureddit_prediction_log_written_total", "Predictions written into the log", None),
            queue_full: dropped("queue_full"),
            not_written: dropped("not_written"),
        }
    }
}

/// What became of spans of requests that are traced.
pub(crate) struct SpanCounts {
    pub(crate) sent: IntCounter,
    /// Left out because too many requests waited.
    pub(crate) queue_full: IntCounter,
    /// Left out because the collector could not be reached, or took nothing.
    pub(crate) not_sent: IntCounter,
    /// Refused by the collector.
    pub(crate) rejected: IntCounter,
}

impl SpanCounts {
    pub(crate) fn new() -> Self {
        let dropped = |reason| {
            let help = "Spans that no collector has, by reason";
            count("natureddit_trace_spans_dropped_total", help, Some(("reason", reason)))
        };
        Self {
            sent: count("natureddit_trace_spans_sent_total", "Spans that a collector has taken", None),
            queue_full: dropped("queue_full"),
            not_sent: dropped("not_sent"),
            rejected: dropped("rejected"),
        }
    }
}

/// Everything that there is to tell.
pub(crate) struct Metrics {
    pub(crate) inference: Arc<Inference>,
    pub(crate) responses: Arc<ResponseCounts>,
    /// `None` where nothing is traced.
    pub(crate) spans: Option<Arc<SpanCounts>>,
    /// Where predictions are asked for, and where models are managed.
    pub(crate) doors: [Door; 2],
    pub(crate) host: Host,
}

impl Metrics {
    /// The text of the families of these names; with no names of all of them. Reads files: not for an async thread.
    fn text(&self, names: &[String]) -> prometheus::Result<String> {
        let mut exposition = Exposition::default();
        self.expose_server(&mut exposition);
        self.host.expose(&mut exposition);
        let (hostname, all) = (self.host.name.as_str(), self.inference.models.registry.all());
        let host = [("Level", "Host"), ("Hostname", hostname)];
        // TorchServe has one value for all models: here the largest.
        let mut queue_milliseconds: Option<f64> = None;
        for versions in all.values() {
            for (version, model) in &versions.loaded {
                model.metrics.expose(model, *version == versions.default, hostname, &mut exposition);
                expose_load_time(model, hostname, &mut exposition);
                let waited = model.metrics.last_queue_milliseconds();
                queue_milliseconds = queue_milliseconds.into_iter().chain(waited).reduce(f64::max);
            }
        }
        if let Some(milliseconds) = queue_milliseconds {
            exposition.add_now(("QueueTime", &help("gauge", "Milliseconds")), milliseconds, &host);
        }
        exposition.only(names);
        exposition.text()
    }

    fn expose_server(&self, exposition: &mut Exposition) {
        let host = [("Level", "Host"), ("Hostname", self.host.name.as_str())];
        self.responses.0.iter().for_each(|count| exposition.add(count, &host));
        let open = ("natureddit_connections", "Connections to the ports for predictions and for management");
        exposition.add_now(open, number(self.doors.iter().map(Door::open).sum()), &[]);
        // They count together.
        exposition.add(&self.doors[0].turned_away, &[]);
        if let Some(log) = &self.inference.prediction_log {
            [&log.counts.written, &log.counts.queue_full, &log.counts.not_written]
                .into_iter()
                .for_each(|count| exposition.add(count, &[]));
        }
        if let Some(spans) = &self.spans {
            [&spans.sent, &spans.queue_full, &spans.not_sent, &spans.rejected]
                .into_iter()
                .for_each(|count| exposition.add(count, &[]));
        }
        let under_way =
            ("natureddit_requests_under_way", "Requests for predictions that are read, worked on or answered");
        exposition.add_now(under_way, number(self.inference.requests_under_way()), &[]);
    }
}

/// How long the model's first worker took to load; TorchServe numbers its workers from 9000.
fn expose_load_time(model: &LoadedModel, hostname: &str, exposition: &mut Exposition) {
    let Some(took) = model.origin().load_time else { return };
    let worker = format!("W-9000-{}_{}", model.name(), model.version());
    let labels = [("WorkerName", worker.as_str()), ("Level", "Host"), ("Hostname", hostname)];
    exposition.add_now(("WorkerLoadTime", &help("gauge", "Milliseconds")), took.as_secs_f64() * 1e3, &labels);
}

/// Connections that were not taken because there were too many.
pub(crate) fn turned_away() -> IntCounter {
    count("natureddit_connections_turned_away_total", "Connections closed at once because too many were open", None)
}
