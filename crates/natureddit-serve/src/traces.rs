//! OpenTelemetry's traces: a span of each request that is sampled, and one of each stage it went through, sent to a collector
//! over OTLP/HTTP, as `docs/interop/torchserve.md` describes it.
//!
//! Requests hand over what was measured and go on. One task makes messages of it; where the collector does not keep up, or
//! is not there, spans are left out and counted. This crate opens no connection: who sends is given by the program.

mod context;
mod exporter;
mod span;
mod stages;
mod wire;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use bytes::Bytes;
use natureddit_core::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use self::context::Ids;
use self::exporter::{Exporter, Message};
use self::span::{Arrived, Finished};
use crate::access::Answered;
use crate::metrics::SpanCounts;

pub(crate) use self::stages::Stages;

/// Which requests are traced, and where that goes.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The share of requests that are traced, from 0 to 1, of those whose caller does not say whether its trace is sampled.
    pub sample: f64,
    /// What the server is called in traces.
    pub service_name: String,
    /// Requests whose spans wait; those of one more are left out. At least 1.
    pub queue_len_max: usize,
    /// Requests in one message; at least 1.
    pub batch_len_max: usize,
    /// How long the first request of a message waits for others.
    pub delay_max: Duration,
    /// How long a server that is shut down waits for what it sends.
    pub flush_timeout: Duration,
    /// Sends a message.
    pub send: SendSpans,
}

type Sending = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;

/// Posts an `ExportTraceServiceRequest` of OTLP to a collector and gives the body of its answer, or says why it was not taken.
#[derive(Clone)]
pub struct SendSpans(Arc<dyn Fn(Bytes) -> Sending + Send + Sync>);

impl SendSpans {
    /// By this function, which is called from one task, and for the next message when it is done.
    pub fn new<F>(send: impl Fn(Bytes) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Bytes, String>> + Send + 'static,
    {
        Self(Arc::new(move |message| Box::pin(send(message))))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// With the reason, where it was not taken.
    pub fn call(&self, message: Bytes) -> impl Future<Output = Result<Bytes, String>> + Send + use<> {
        (self.0)(message)
    }
}

impl fmt::Debug for SendSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendSpans")
    }
}

/// Traces requests.
pub(crate) struct Traces {
    sample: f64,
    scheme: &'static str,
    ids: Ids,
    queue: mpsc::Sender<Message>,
    pub(crate) counts: Arc<SpanCounts>,
    flush_timeout: Duration,
    clock: Clock,
}

impl Traces {
    /// Starts the task that sends, of a server that is asked over `https`, or over `http`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn start(
        config: &TracesConfig,
        scheme: &'static str,
        clock: Clock,
    ) -> Result<(Self, AbortHandle), rustls::Error> {
        let (ids, counts) = (Ids::new()?, Arc::new(SpanCounts::new()));
        let (queue, messages) = mpsc::channel(config.queue_len_max.max(1));
        let exporter =
            Exporter { config: config.clone(), counts: Arc::clone(&counts), queue: messages, is_failing: false };
        let task = tokio::spawn(exporter.run()).abort_handle();
        let (sample, flush_timeout) = (config.sample, config.flush_timeout);
        Ok((Self { sample, scheme, ids, queue, counts, flush_timeout, clock }, task))
    }

    /// A request comes; `None` where it is not sampled. What happens to it is noted by what it has with it from here on.
    pub(crate) fn begin(self: &Arc<Self>, request: &mut Request) -> Option<Traced> {
        let context = self.ids.sampled(request.headers(), self.sample)?;
        let arrived = Arrived::new(request, context, self.scheme);
        let stages = Stages::kept();
        request.extensions_mut().insert(stages.clone());
        Some(Traced { arrived, stages, traces: Arc::clone(self) })
    }

    /// Waits until all is sent that was finished, though not for ever.
    pub(crate) async fn flush(&self) {
        let (flushed, done) = oneshot::channel();
        let all = async {
            // A task that has ended has nothing to send.
            if self.queue.send(Message::Flush(flushed)).await.is_ok() {
                let _ = done.await;
            }
        };
        if tokio::time::timeout(self.flush_timeout, all).await.is_err() {
            tracing::warn!("some traces were not sent before the end");
        }
    }
}

/// A request that is traced.
pub(crate) struct Traced {
    arrived: Arrived,
    stages: Stages,
    traces: Arc<Traces>,
}

impl Traced {
    /// It was answered, or its client left. Waits for nothing.
    pub(crate) fn finish(self, answered: Answered, started: Instant) {
        let Self { arrived, stages, traces } = self;
        let (ended, ended_at, stages) = (Instant::now(), traces.clock.now(), stages.take());
        let finished = Finished { arrived, answered, started, ended, ended_at, stages };
        let spans = finished.len() as u64;
        if traces.queue.try_send(Message::Finished(Box::new(finished))).is_err() {
            traces.counts.queue_full.inc_by(spans);
        }
    }
}
