//! `GET /metrics`, and the same in the log.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::exposition::CONTENT_TYPE as PROMETHEUS;
use super::{Metrics, MetricsMode};
use crate::access::{self, Access};
use crate::error::ApiError;
use crate::keys::{AccessKeys, KeyKind};
use crate::request;

/// How often metrics are logged, as TorchServe does by default.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// What the handlers share.
struct Shared {
    metrics: Arc<Metrics>,
    mode: MetricsMode,
    /// What clients must show; `None` where nobody must show anything.
    keys: Option<Arc<AccessKeys>>,
}

/// The routes.
pub(crate) fn router(
    metrics: Arc<Metrics>,
    mode: MetricsMode,
    keys: Option<Arc<AccessKeys>>,
    access: Arc<Access>,
) -> Router {
    let inference = Arc::clone(&metrics.inference);
    let shared = Arc::new(Shared { metrics, mode, keys });
    Router::new()
        .route("/metrics", get(read))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), need_key))
        .fallback(async || ApiError::ResourceNotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(inference, request::read_first))
        .layer(middleware::from_fn_with_state(access, access::record))
        .with_state(shared)
}

/// The key for predictions: a scraper needs none that changes models.
async fn need_key(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let shown = shared.keys.as_ref().map_or(Ok(()), |keys| keys.check(KeyKind::Inference, request.headers()));
    match shown {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn read(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    let text = match shared.mode {
        MetricsMode::Log => String::new(),
        MetricsMode::Prometheus => {
            let pairs = query.map(|Query(pairs)| pairs).unwrap_or_default();
            let names = pairs.into_iter().filter(|(key, _)| key == "name[]").map(|(_, name)| name).collect();
            text(Arc::clone(&shared.metrics), names).await?
        }
    };
    Ok(([(CONTENT_TYPE, PROMETHEUS)], text).into_response())
}

async fn text(metrics: Arc<Metrics>, names: Vec<String>) -> Result<String, ApiError> {
    let read = tokio::task::spawn_blocking(move || metrics.text(&names).map_err(|error| error.to_string())).await;
    read.unwrap_or_else(|error| Err(error.to_string())).map_err(|error| {
        tracing::error!("the metrics could not be told: {error}");
        ApiError::Internal
    })
}

/// Logs every series once a minute, until it is aborted.
pub(crate) fn log_every_so_often(metrics: Arc<Metrics>) -> AbortHandle {
    let task = tokio::spawn(async move {
        let mut ticks = interval(LOG_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(text) = text(Arc::clone(&metrics), Vec::new()).await else { continue };
            for series in text.lines().filter(|line| !line.starts_with('#')) {
                tracing::info!(series, "metric");
            }
        }
    });
    task.abort_handle()
}
