//! The inference API: `/ping` and `/predictions/{model}[/{version}]`, as TorchServe has them.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use natureddit_model::{Prediction, Prepared};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{self, RequestId, RequestIds};
use crate::batcher::panic_message;
use crate::bodies::BodyBudget;
use crate::error::ApiError;
use crate::keys::{AccessKeys, KeyKind};
use crate::loaded::{LoadedModel, ModelHold};
use crate::models::Models;
use crate::registry::Chosen;
use crate::reply::{self, ReplyForm};
use crate::request::{self, PredictionInput, RequestLimits};

/// Limits on decoding and tokenising.
#[derive(Clone, Debug)]
pub struct PreparationLimits {
    /// How many inputs are prepared at a time, each on a thread of its own; at least 1.
    pub threads: usize,
    /// How many pixels are decoded at a time. A photo with more is decoded when it is the only one.
    pub pixels_max: u32,
}

/// What the handlers share.
pub(crate) struct Inference {
    pub(crate) models: Models,
    /// What clients must show; `None` where predictions are for everybody.
    keys: Option<Arc<AccessKeys>>,
    limits: RequestLimits,
    bodies: BodyBudget,
    /// One permit a request whose body is there and whose answer is not.
    admissions: Semaphore,
    admissions_max: usize,
    /// One permit a request that is being decoded and tokenised.
    preparations: Arc<Semaphore>,
    /// One permit a pixel that is being decoded.
    pixels: Arc<Semaphore>,
    pixels_max: u32,
    /// One permit a request that is repeated to a shadow.
    shadows: Arc<Semaphore>,
}

impl Inference {
    /// Serves `models`.
    pub(crate) fn new(
        models: Models,
        keys: Option<Arc<AccessKeys>>,
        limits: RequestLimits,
        preparation: &PreparationLimits,
    ) -> Self {
        let bodies = BodyBudget::new(&limits);
        let admissions_max = limits.requests_max.min(Semaphore::MAX_PERMITS);
        let admissions = Semaphore::new(admissions_max);
        let preparations = Arc::new(Semaphore::new(preparation.threads.clamp(1, Semaphore::MAX_PERMITS)));
        let pixels = Arc::new(Semaphore::new(preparation.pixels_max as usize));
        let pixels_max = preparation.pixels_max;
        let shadows = Arc::new(Semaphore::new(SHADOWS_MAX));
        Self { models, keys, shadows, limits, bodies, admissions, admissions_max, preparations, pixels, pixels_max }
    }

    pub(crate) fn limits(&self) -> &RequestLimits {
        &self.limits
    }

    /// How many requests for a prediction are read, worked on or answered.
    pub(crate) fn requests_under_way(&self) -> usize {
        let admitted = self.admissions_max.saturating_sub(self.admissions.available_permits());
        self.bodies.being_read() + admitted
    }

    /// The model asked for and leave to read the body.
    fn begin(
        &self,
        target: &Target,
        headers: &HeaderMap,
        id: &RequestId,
    ) -> Result<(Chosen, SemaphorePermit<'_>), ApiError> {
        self.check_key(headers)?;
        let chosen = self.models.registry.choose(&target.model, target.version.as_deref(), id)?;
        Ok((chosen, self.bodies.begin()?))
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        self.keys.as_ref().map_or(Ok(()), |keys| keys.check(KeyKind::Inference, headers))
    }

    /// Reads the body and gives leave to work on it. Only what has arrived counts as admitted: a client that sends
    /// slowly holds up no other.
    async fn admit(
        &self,
        reading: SemaphorePermit<'_>,
        request: Request,
    ) -> Result<(PredictionInput, SemaphorePermit<'_>), ApiError> {
        let input = PredictionInput::read(request, &self.limits, &self.bodies).await?;
        let admission = self.admissions.try_acquire().map_err(|_| ApiError::Busy)?;
        drop(reading);
        Ok((input, admission))
    }

    /// Prepares the input, queues it and waits for its batch. When this is dropped, because the client left or the
    /// time is over, the batcher drops the request too.
    async fn predict(&self, model: &Arc<LoadedModel>, input: Arc<PredictionInput>) -> Result<Prediction, ApiError> {
        let prepared = self.prepare(model, input).await?;
        let answer = model.submit(prepared)?.await;
        Ok(answer.map_err(|_closed| ApiError::ShuttingDown)??)
    }

    /// Decodes and tokenises on a blocking thread. The permits are there: of a request that was given up the decoding
    /// goes on, and counts until it has ended.
    async fn prepare(&self, model: &Arc<LoadedModel>, input: Arc<PredictionInput>) -> Result<Prepared, ApiError> {
        let permit = Arc::clone(&self.preparations).acquire_owned().await.map_err(|_closed| ApiError::ShuttingDown)?;
        let preparing = Arc::clone(model);
        let (pixels, pixels_max) = (Arc::clone(&self.pixels), self.pixels_max);
        let runtime = Handle::current();
        let prepared = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let asked = input.as_model_input();
            let count = u32::try_from(asked.pixels(pixels_max.into())).unwrap_or(pixels_max);
            // Never closed, and never asked for more than it has.
            let _pixels = runtime.block_on(pixels.acquire_many(count));
            preparing.prepare(&asked)
        });
        match prepared.await {
            Ok(prepared) => Ok(prepared?),
            Err(error) => {
                tracing::error!(model = model.name(), "an input could not be prepared: {error}");
                Err(ApiError::Internal)
            }
        }
    }

    /// Asks a shadow what it would have answered, where the server has room for that, and holds up nobody.
    fn ask_shadow(self: &Arc<Self>, shadow: ModelHold, input: Arc<PredictionInput>, answered: &str) {
        let Ok(permit) = Arc::clone(&self.shadows).try_acquire_owned() else { return };
        let (inference, answered) = (Arc::clone(self), answered.to_owned());
        tokio::spawn(async move {
            let _permit = permit;
            let limit = inference.limits.response_timeout;
            match tokio::time::timeout(limit, inference.predict(&shadow, input)).await {
                Ok(Ok(prediction)) => {
                    let agrees = shadow.classes.name(prediction.class) == answered;
                    tracing::debug!(model = shadow.name(), version = shadow.version(), agrees, "shadow");
                }
                Ok(Err(error)) => tracing::debug!(model = shadow.name(), version = shadow.version(), "shadow: {error}"),
                Err(_elapsed) => {}
            }
        });
    }
}

/// Requests that are repeated to shadows at a time; others are not repeated.
const SHADOWS_MAX: usize = 16;

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

async fn ping(State(inference): State<Arc<Inference>>, headers: HeaderMap) -> Result<Response, ApiError> {
    inference.check_key(&headers)?;
    Ok(if inference.models.registry.healthy() {
        reply::json(StatusCode::OK, &Health { status: "Healthy" })
    } else {
        reply::json(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "Unhealthy" })
    })
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
    let begun = match target {
        Ok(Path(target)) => inference.begin(&target, request.headers(), &id),
        Err(_) => Err(ApiError::ResourceNotFound),
    };
    let (Chosen { model, shadow }, reading) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            request::discard(request, limits).await;
            return Err(error);
        }
    };
    let form = ReplyForm::of(request.headers());
    let (input, _admission) = inference.admit(reading, request).await?;
    let input = Arc::new(input);
    let again = shadow.map(|shadow| (shadow, Arc::clone(&input)));
    let answer = tokio::time::timeout(limits.response_timeout, inference.predict(&model, input)).await;
    let prediction = answer.map_err(|_elapsed| ApiError::ResponseTimeout(limits.response_timeout))??;
    if let Some((shadow, input)) = again {
        inference.ask_shadow(shadow, input, model.classes.name(prediction.class));
    }
    Ok(reply::prediction(form, &model, &prediction, &id))
}
