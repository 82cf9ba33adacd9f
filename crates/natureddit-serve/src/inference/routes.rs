//! Which path leads where, and what all answers have in common.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, options, post};
use axum::{Router, middleware};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;

use super::{Inference, description, explanations, kserve_v1, kserve_v2, predictions};
use crate::access::{self, Access};
use crate::batcher::panic_message;
use crate::compat::{self, Compat};
use crate::error::ApiError;
use crate::keys::KeyKind;
use crate::{reply, request};

type Routes = Router<Arc<Inference>>;

/// The routes.
pub(crate) fn router(inference: Arc<Inference>, access: Arc<Access>) -> Router {
    let strict = inference.compat == Compat::Strict;
    let routes = torchserve(strict).merge(if strict { kserve_of_torchserve() } else { kserve() });
    let routes = routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Bodies are limited where they are read, with an error in JSON.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(|payload: Box<dyn Any + Send>| {
            tracing::error!("a handler panicked: {}", panic_message(&*payload));
            ApiError::Internal.into_response()
        }));
    let routes = routes.layer(middleware::from_fn_with_state(Arc::clone(&inference), need_key));
    let routes = if strict { routes.layer(middleware::from_fn(compat::to_the_letter)) } else { routes };
    routes.layer(middleware::from_fn_with_state(access, access::record)).with_state(inference)
}

/// TorchServe hands a `GET` to its handler, which finds nothing in it.
fn torchserve(get_is_a_prediction: bool) -> Routes {
    let predict = || -> MethodRouter<_> {
        let methods = post(predictions::predict).put(predictions::predict).options(description::of_model);
        if get_is_a_prediction { methods.get(predictions::predict) } else { methods }
    };
    let explain = || post(explanations::explain).put(explanations::explain);
    Router::new()
        .route("/", options(description::of_server))
        .route("/api-description", get(description::of_server))
        .route("/ping", get(ping))
        .route("/predictions/{model}", predict())
        .route("/predictions/{model}/{version}", predict())
        .route("/explanations/{model}", explain())
        .route("/explanations/{model}/{version}", explain())
        .route("/invocations", post(predictions::invoke).put(predictions::invoke))
}

/// The two of their paths that TorchServe has. To a `GET` it says that there is no such path.
fn kserve_of_torchserve() -> Routes {
    Router::new()
        .route("/v1/models/{call}", post(kserve_v1::predict).get(not_found).fallback(kserve_v1::method_not_allowed))
        .route("/v2/models/{model}/infer", post(kserve_v2::infer))
}

fn kserve() -> Routes {
    Router::new()
        .route("/v1/models", get(kserve_v1::models))
        .route(
            "/v1/models/{call}",
            get(kserve_v1::model).post(kserve_v1::predict).fallback(kserve_v1::method_not_allowed),
        )
        .route("/v2", get(kserve_v2::server))
        .route("/v2/health/live", get(kserve_v2::live))
        .route("/v2/health/ready", get(kserve_v2::ready))
        .route("/v2/models/{model}", get(kserve_v2::model))
        .route("/v2/models/{model}/ready", get(kserve_v2::model_ready))
        .route("/v2/models/{model}/infer", post(kserve_v2::infer))
        .route("/v2/models/{model}/versions/{version}", get(kserve_v2::model))
        .route("/v2/models/{model}/versions/{version}/ready", get(kserve_v2::model_ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(kserve_v2::infer))
}

/// Who must show a key and does not is answered when the body is read: see [`not_found`].
async fn need_key(State(inference): State<Arc<Inference>>, request: Request, next: Next) -> Response {
    let shown = inference.keys.as_ref().map_or(Ok(()), |keys| keys.check(KeyKind::Inference, request.headers()));
    match shown {
        Ok(()) => next.run(request).await,
        Err(error) => {
            request::discard(request, &inference.limits).await;
            error.into_response()
        }
    }
}

/// The body of `/ping`.
#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn ping(State(inference): State<Arc<Inference>>) -> Response {
    if inference.models.registry.healthy() {
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
