//! The task that sends what was traced, some requests at a time.

use axum::body::Bytes;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::TracesConfig;
use super::span::Finished;
use super::wire::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope, KeyValue, Resource, ResourceSpans,
    ScopeSpans, Span,
};
use crate::metrics::SpanCounts;

/// What waits in the queue.
pub(super) enum Message {
    Finished(Box<Finished>),
    /// Tell when all that stands before this was sent.
    Flush(oneshot::Sender<()>),
}

/// Owns the end of the queue.
pub(super) struct Exporter {
    pub(super) config: TracesConfig,
    pub(super) counts: std::sync::Arc<SpanCounts>,
    pub(super) queue: mpsc::Receiver<Message>,
    /// Whether the last message was not taken, so that a collector that is down is warned of once.
    pub(super) is_failing: bool,
}

impl Exporter {
    pub(super) async fn run(mut self) {
        while let Some(message) = self.queue.recv().await {
            let (batch, flushed) = self.gather(message).await;
            if !batch.is_empty() {
                self.send(batch).await;
            }
            if let Some(flushed) = flushed {
                // Whoever waited for it may have no more patience.
                let _ = flushed.send(());
            }
        }
    }

    /// More of what is finished, until it is enough, or has waited long enough, or is wanted at once.
    async fn gather(&mut self, first: Message) -> (Vec<Finished>, Option<oneshot::Sender<()>>) {
        let until = Instant::now() + self.config.delay_max;
        let (mut batch, mut next) = (Vec::new(), Some(first));
        while let Some(message) = next {
            match message {
                Message::Flush(flushed) => return (batch, Some(flushed)),
                Message::Finished(finished) => batch.push(*finished),
            }
            next = match batch.len() < self.config.batch_len_max {
                true => timeout_at(until, self.queue.recv()).await.ok().flatten(),
                false => None,
            };
        }
        (batch, None)
    }

    async fn send(&mut self, batch: Vec<Finished>) {
        let spans: Vec<Span> = batch.into_iter().flat_map(Finished::spans).collect();
        let count = spans.len() as u64;
        let message = Bytes::from(self.message(spans).encode_to_vec());
        match self.config.send.call(message).await {
            Ok(answer) => {
                // What cannot be read says nothing of spans that were refused.
                let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
                let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
                let rejected = u64::try_from(rejected).unwrap_or(0).min(count);
                self.counts.sent.inc_by(count - rejected);
                self.counts.rejected.inc_by(rejected);
                if rejected > 0 {
                    tracing::warn!(rejected, "the collector of traces has not taken all spans");
                }
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("traces are sent again");
                }
            }
            Err(reason) => {
                self.counts.not_sent.inc_by(count);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!("traces are not sent until this is over: {reason}");
                }
            }
        }
    }

    fn message(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource {
            attributes: vec![
                KeyValue::text("service.name", self.config.service_name.as_str()),
                KeyValue::text("service.version", version),
                KeyValue::text("telemetry.sdk.language", "rust"),
                KeyValue::text("telemetry.sdk.name", "natureddit"),
                KeyValue::text("telemetry.sdk.version", version),
            ],
        };
        let scope = InstrumentationScope { name: "natureddit-serve".to_owned(), version: version.to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
    }
}
