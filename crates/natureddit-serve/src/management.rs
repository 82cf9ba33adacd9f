//! The management API, as TorchServe has it: registering, scaling, listing, describing, the default and unregistering of
//! models. Ours besides: shares of the traffic. It has a port of its own and needs a key.

mod description;
mod openapi;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, options, put};
use axum::{Json, Router};
use natureddit_model::version_number;
use serde::{Deserialize, Serialize};

use crate::access::{self, Access};
use crate::error::ApiError;
use crate::inference::Inference;
use crate::keys::{AccessKeys, KeyKind};
use crate::models::{Registered, Registration, TrafficChange};
use crate::registry::Traffic;
use crate::{reply, request};

/// Models that are listed where no limit is asked for, and the most that are.
const LISTED: usize = 100;

/// What the handlers share.
struct Management {
    inference: Arc<Inference>,
    /// What clients must show; `None` where nobody must show anything.
    keys: Option<Arc<AccessKeys>>,
    /// Whether models are neither registered nor unregistered here.
    models_fixed: bool,
}

type Shared = State<Arc<Management>>;

/// The routes.
pub(crate) fn router(
    inference: Arc<Inference>,
    keys: Option<Arc<AccessKeys>>,
    models_fixed: bool,
    access: Arc<Access>,
) -> Router {
    let management = Arc::new(Management { inference, keys, models_fixed });
    Router::new()
        .route("/", options(openapi::of_management))
        .route("/api-description", get(openapi::of_management))
        .route("/models", get(list).post(register))
        .route("/models/{model}", get(describe).put(scale).delete(unregister))
        .route("/models/{model}/{version}", get(describe).put(scale).delete(unregister))
        .route("/models/{model}/{version}/set-default", put(set_default))
        .route("/models/{model}/{version}/traffic", put(set_traffic))
        .layer(middleware::from_fn_with_state(Arc::clone(&management), need_key))
        // This one shows another key.
        .route("/token", get(renew_key))
        .fallback(async || ApiError::ResourceNotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&management.inference), request::read_first))
        .layer(middleware::from_fn_with_state(access, access::record))
        .with_state(management)
}

async fn need_key(State(management): Shared, request: Request, next: Next) -> Response {
    let shown = management.keys.as_ref().map_or(Ok(()), |keys| keys.check(KeyKind::Management, request.headers()));
    match shown {
        // As TorchServe without its model API: what there is can be looked at and scaled.
        Ok(()) if management.models_fixed && [Method::POST, Method::DELETE].contains(request.method()) => {
            ApiError::MethodNotAllowed.into_response()
        }
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// What became of a change.
#[derive(Serialize)]
struct Status {
    status: String,
}

fn done(status: String) -> Response {
    reply::json(StatusCode::OK, &Status { status })
}

fn accepted() -> Response {
    reply::json(StatusCode::ACCEPTED, &Status { status: "Processing worker updates...".to_owned() })
}

/// Changes models off the async threads, which loading would hold up.
async fn change<T: Send + 'static>(
    management: Arc<Management>,
    change: impl FnOnce(&Inference) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let changed = tokio::task::spawn_blocking(move || change(&management.inference)).await;
    changed.unwrap_or_else(|error| {
        tracing::error!("a change of models failed: {error}");
        Err(ApiError::Internal)
    })
}

/// The change goes on when the client is not waiting for it; the log tells how it ended.
fn in_background(
    management: Arc<Management>,
    change_models: impl FnOnce(&Inference) -> Result<(), ApiError> + Send + 'static,
) -> Response {
    tokio::spawn(async move {
        if let Err(error) = change(management, change_models).await {
            tracing::error!("a change of models in the background failed: {error}");
        }
    });
    accepted()
}

#[derive(Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

impl Target {
    fn version(&self) -> Result<Option<u64>, ApiError> {
        let unknown =
            |version: &String| ApiError::ModelVersionNotFound { model: self.model.clone(), version: version.clone() };
        self.version.as_ref().map(|text| version_number(text).ok_or_else(|| unknown(text))).transpose()
    }
}

fn target(path: Result<Path<Target>, PathRejection>) -> Result<Target, ApiError> {
    path.map(|Path(target)| target).map_err(|_| ApiError::ResourceNotFound)
}

fn parameters<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query.map(|Query(parameters)| parameters).map_err(|error| ApiError::Parameter(error.body_text()))
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<usize>,
    next_page_token: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    models: Vec<Listed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    model_name: String,
    model_url: String,
}

async fn list(
    State(management): Shared,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let ListQuery { limit, next_page_token } = parameters(query)?;
    let (first, limit) = (next_page_token.unwrap_or(0), limit.unwrap_or(LISTED).clamp(1, LISTED));
    let all = management.inference.models.registry.all();
    let end = first.saturating_add(limit);
    let page = all.iter().skip(first).take(limit).map(|(name, versions)| {
        let model_url = versions.default_model().map(|model| model.origin().url.clone()).unwrap_or_default();
        Listed { model_name: name.clone(), model_url }
    });
    // TorchServe names a next page also where the last one is full.
    let full = first < all.len() && end <= all.len() && limit < LISTED;
    let listing = Listing { next_page_token: full.then(|| end.to_string()), models: page.collect() };
    Ok(reply::json(StatusCode::OK, &listing))
}

#[derive(Deserialize)]
struct DescribeQuery {
    #[serde(default)]
    customized: bool,
}

async fn describe(
    State(management): Shared,
    path: Result<Path<Target>, PathRejection>,
    query: Result<Query<DescribeQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let target = target(path)?;
    let DescribeQuery { customized } = parameters(query)?;
    let models = &management.inference.models;
    let versions = models.registry.versions(&target.model)?;
    let limits = &management.inference.limits;
    let described: Vec<_> = if target.version.as_deref() == Some("all") {
        versions.loaded.values().map(|model| description::of(model, &versions, limits, customized)).collect()
    } else {
        let number = target.version()?.unwrap_or(versions.default);
        let found = versions.loaded.get(&number).ok_or_else(|| ApiError::ModelVersionNotFound {
            model: target.model.clone(),
            version: target.version.clone().unwrap_or_else(|| number.to_string()),
        })?;
        vec![description::of(found, &versions, limits, customized)]
    };
    Ok(reply::json(StatusCode::OK, &described))
}

#[derive(Deserialize)]
struct RegisterQuery {
    url: Option<String>,
    model_name: Option<String>,
    batch_size: Option<usize>,
    max_batch_delay: Option<u64>,
    response_timeout: Option<u64>,
    initial_workers: Option<usize>,
    synchronous: Option<bool>,
}

async fn register(
    State(management): Shared,
    query: Result<Query<RegisterQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    // As TorchServe: what stands in a body of JSON, or else in the query.
    let wanted = match request::small_json(request).await? {
        Some(wanted) => wanted,
        None => parameters(query)?,
    };
    let url = wanted.url.filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| ApiError::Parameter("Parameter url is required.".to_owned()))?;
    let at_least_1 =
        [("batch_size", wanted.batch_size == Some(0)), ("response_timeout", wanted.response_timeout == Some(0))];
    if let Some((parameter, _)) = at_least_1.iter().find(|(_, is_0)| *is_0) {
        return Err(ApiError::Parameter(format!("{parameter} must be at least 1")));
    }
    let registration = Registration {
        url,
        name: wanted.model_name,
        batch_size: wanted.batch_size,
        batch_delay: wanted.max_batch_delay.map(Duration::from_millis),
        response_timeout: wanted.response_timeout.map(Duration::from_secs),
        workers: wanted.initial_workers,
    };
    if wanted.synchronous == Some(false) {
        return Ok(in_background(management, move |inference| inference.models.register(&registration).map(drop)));
    }
    let registered = change(management, move |inference| inference.models.register(&registration)).await?;
    let Registered { name, version, workers } = registered;
    Ok(done(format!("Model \"{name}\" Version: {version} registered with {workers} initial workers")))
}

#[derive(Deserialize)]
struct ScaleQuery {
    /// TorchServe's other place for it.
    model_version: Option<String>,
    min_worker: Option<usize>,
    max_worker: Option<usize>,
    #[serde(default)]
    synchronous: bool,
}

async fn scale(
    State(management): Shared,
    path: Result<Path<Target>, PathRejection>,
    query: Result<Query<ScaleQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let mut target = target(path)?;
    let ScaleQuery { model_version, min_worker, max_worker, synchronous } = parameters(query)?;
    target.version = target.version.or(model_version);
    let version = target.version()?;
    let workers = min_worker.unwrap_or(1);
    if max_worker.is_some_and(|max| max < workers) {
        return Err(ApiError::Parameter("max_worker cannot be less than min_worker.".to_owned()));
    }
    // What is not there is told at once, also to who does not wait.
    let versions = management.inference.models.registry.versions(&target.model)?;
    let Target { model, version: text } = target;
    if version.is_some_and(|version| !versions.loaded.contains_key(&version)) {
        return Err(ApiError::ModelVersionNotFound { model, version: text.unwrap_or_default() });
    }
    let name = model.clone();
    let scaling = move |inference: &Inference| inference.models.scale(&name, version, workers);
    if !synchronous {
        return Ok(in_background(management, move |inference| scaling(inference).map(drop)));
    }
    let workers = change(management, scaling).await?;
    Ok(done(format!("Workers scaled to {workers} for model: {model}")))
}

async fn unregister(
    State(management): Shared,
    path: Result<Path<Target>, PathRejection>,
) -> Result<Response, ApiError> {
    let target = target(path)?;
    let version = target.version()?;
    let name = target.model.clone();
    change(management, move |inference| inference.models.unregister(&name, version)).await?;
    Ok(done(format!("Model \"{}\" unregistered", target.model)))
}

async fn set_default(
    State(management): Shared,
    path: Result<Path<Target>, PathRejection>,
) -> Result<Response, ApiError> {
    let (model, version, text) = one_version(target(path)?)?;
    let name = model.clone();
    let changed = change(management, move |inference| inference.models.set_default(&name, version)).await;
    changed.map_err(|error| as_written(error, &text))?;
    Ok(done(format!("Default version successfully updated for model \"{model}\" to \"{text}\"")))
}

fn one_version(target: Target) -> Result<(String, u64, String), ApiError> {
    let text = target.version.unwrap_or_default();
    match version_number(&text) {
        Some(version) => Ok((target.model, version, text)),
        None => Err(ApiError::NoSuchVersion { model: target.model, version: text }),
    }
}

/// Names a version that is not there as the client wrote it.
fn as_written(error: ApiError, text: &str) -> ApiError {
    match error {
        ApiError::NoSuchVersion { model, .. } => ApiError::NoSuchVersion { model, version: text.to_owned() },
        other => other,
    }
}

#[derive(Deserialize)]
struct TrafficQuery {
    canary: Option<f64>,
    shadow: Option<f64>,
}

async fn set_traffic(
    State(management): Shared,
    path: Result<Path<Target>, PathRejection>,
    query: Result<Query<TrafficQuery>, QueryRejection>,
) -> Result<Json<Traffic>, ApiError> {
    let (name, version, _) = one_version(target(path)?)?;
    let TrafficQuery { canary, shadow } = parameters(query)?;
    let shares = [("canary", canary), ("shadow", shadow)];
    if shares.iter().all(|(_, percent)| percent.is_none()) {
        return Err(ApiError::Parameter("canary or shadow is required: a percentage of the requests".to_owned()));
    }
    if let Some((bad, _)) = shares.iter().find(|(_, percent)| percent.is_some_and(|p| !(0.0..=100.0).contains(&p))) {
        return Err(ApiError::Parameter(format!("{bad} must be a percentage from 0 to 100")));
    }
    let traffic = TrafficChange { canary, shadow };
    change(management, move |inference| inference.models.set_traffic(&name, version, traffic)).await.map(Json)
}

#[derive(Deserialize)]
struct TokenQuery {
    r#type: Option<String>,
}

/// Makes a new key. It stands in the key file and not in the answer, as TorchServe does it: what travels can be logged.
async fn renew_key(
    State(management): Shared,
    query: Result<Query<TokenQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(keys) = management.keys.clone() else { return Err(ApiError::ResourceNotFound) };
    keys.check(KeyKind::Api, request.headers())?;
    let kind = match parameters(query)?.r#type.as_deref() {
        Some("inference") => KeyKind::Inference,
        Some("management") => KeyKind::Management,
        _ => return Err(ApiError::Parameter("type must be inference or management".to_owned())),
    };
    let renewed = tokio::task::spawn_blocking(move || keys.renew(kind)).await;
    match renewed {
        Ok(Ok(())) => Ok(done("the key file has the new key".to_owned())),
        Ok(Err(error)) => {
            tracing::error!("no new key: {error}");
            Err(ApiError::Internal)
        }
        Err(error) => {
            tracing::error!("no new key: {error}");
            Err(ApiError::Internal)
        }
    }
}
