//! The inference API: `/ping` and `/predictions/{model}[/{version}]`, as TorchServe has them.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use natureddit_model::{Prediction, Prepared};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{self, RequestId, RequestIds};
use crate::batcher::panic_message;
use crate::error::ApiError;
use crate::registry::{LoadedModel, Registry};
use crate::reply::{self, ReplyForm};
use crate::request::{self, PredictionInput, RequestLimits};

/// What the handlers share.
pub(crate) struct Inference {
    registry: Registry,
    limits: RequestLimits,
    /// One permit a request that is under way.
    admissions: Semaphore,
    /// One permit a request that is being decoded and tokenised.
    preparations: Arc<Semaphore>,
}

impl Inference {
    /// Serves `registry`, preparing inputs on at most `threads` threads at a time.
    pub(crate) fn new(registry: Registry, limits: RequestLimits, threads: usize) -> Self {
        let admissions = Semaphore::new(limits.requests_max.min(Semaphore::MAX_PERMITS));
        Self { registry, limits, admissions, preparations: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// The model asked for and leave to work on it.
    fn admit(&self, target: &Target) -> Result<(&Arc<LoadedModel>, SemaphorePermit<'_>), ApiError> {
        let model = self.registry.model(&target.model, target.version.as_deref())?;
        match self.admissions.try_acquire() {
            Ok(permit) => Ok((model, permit)),
            Err(TryAcquireError::NoPermits) => Err(ApiError::Busy),
            Err(TryAcquireError::Closed) => Err(ApiError::ShuttingDown),
        }
    }

    /// Prepares the input, queues it and waits for its batch. When this is dropped, because the client left or the
    /// time is over, the batcher drops the request too.
    async fn predict(&self, model: &Arc<LoadedModel>, input: PredictionInput) -> Result<Prediction, ApiError> {
        let prepared = self.prepare(model, input).await?;
        let answer = model.batcher.submit(prepared)?.await;
        Ok(answer.map_err(|_closed| ApiError::ShuttingDown)??)
    }

    /// Decodes and tokenises on a blocking thread. The permit moves there: of a request that was given up the
    /// decoding goes on, and counts until it has ended.
    async fn prepare(&self, model: &Arc<LoadedModel>, input: PredictionInput) -> Result<Prepared, ApiError> {
        let permit = Arc::clone(&self.preparations).acquire_owned().await.map_err(|_closed| ApiError::ShuttingDown)?;
        let preparing = Arc::clone(model);
        let prepared = tokio::task::spawn_blocking(move || {
            let prepared = (preparing.prepare)(&input.as_model_input());
            drop(permit);
            prepared
        });
        match prepared.await {
            Ok(prepared) => Ok(prepared?),
            Err(error) => {
                tracing::error!(model = model.name, "an input could not be prepared: {error}");
                Err(ApiError::Internal)
            }
        }
    }
}

/// The routes.
pub(crate) fn router(inference: Arc<Inference>, ids: Arc<RequestIds>) -> Router {
    Router::new()
        .route("/ping", get(ping))
        .route("/predictions/{model}", post(predict).put(predict))
        .route("/predictions/{model}/{version}", post(predict).put(predict))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Bodies are limited where they are read, with an error in JSON.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(|payload: Box<dyn std::any::Any + Send>| {
            tracing::error!("a handler panicked: {}", panic_message(&*payload));
            ApiError::Internal.into_response()
        }))
        .layer(middleware::from_fn_with_state(ids, access::record))
        .with_state(inference)
}

/// The body of `/ping`.
#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn ping(State(inference): State<Arc<Inference>>) -> Response {
    if inference.registry.healthy() {
        reply::json(StatusCode::OK, &Health { status: "Healthy" })
    } else {
        reply::json(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "Unhealthy" })
    }
}

/// The body is read first: a client that is still sending when the stream ends never sees the answer.
async fn not_found(State(inference): State<Arc<Inference>>, request: Request) -> ApiError {
    request::discard(request, &inference.limits).await;
    ApiError::ResourceNotFound
}

/// As [`not_found`], for a path that knows other methods.
async fn method_not_allowed(State(inference): State<Arc<Inference>>, request: Request) -> ApiError {
    request::discard(request, &inference.limits).await;
    ApiError::MethodNotAllowed
}

/// Which model a path names.
#[derive(Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

async fn predict(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    target: Result<Path<Target>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let limits = &inference.limits;
    // A name that is no UTF-8 is no model's.
    let admitted = match target {
        Ok(Path(target)) => inference.admit(&target),
        Err(_) => Err(ApiError::ResourceNotFound),
    };
    let (model, _permit) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            request::discard(request, limits).await;
            return Err(error);
        }
    };
    let form = ReplyForm::of(request.headers());
    let input = PredictionInput::read(request, limits).await?;
    let answer = tokio::time::timeout(limits.response_timeout, inference.predict(model, input)).await;
    let prediction = answer.map_err(|_elapsed| ApiError::ResponseTimeout(limits.response_timeout))??;
    Ok(reply::prediction(form, model, &prediction, &id))
}
