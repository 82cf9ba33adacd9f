//! KServe's first protocol, which is that of TensorFlow Serving: `GET /v1/models`, `GET /v1/models/{model}` and
//! `POST /v1/models/{model}:predict`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use natureddit_model::Prediction;
use serde::Serialize;

use super::{Admitted, Inference};
use crate::access::RequestId;
use crate::compat::Compat;
use crate::error::ApiError;
use crate::loaded::LoadedModel;
use crate::reply::{self, AnswerBody};
use crate::request::{self, PredictionInput, Received, read_instances};
use crate::traces::Stages;

/// What stands behind the name of a model that is asked.
const PREDICT: &str = ":predict";

#[derive(Serialize)]
struct Models {
    models: Vec<String>,
}

pub(super) async fn models(State(inference): State<Arc<Inference>>) -> Response {
    reply::json(StatusCode::OK, &Models { models: inference.models.names() })
}

/// Whether a model can be asked.
#[derive(Serialize)]
pub(super) struct Readiness<'a> {
    name: &'a str,
    ready: bool,
}

pub(super) async fn model(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    call: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(name) = call.map_err(|_| ApiError::ResourceNotFound)?;
    if name.ends_with(PREDICT) {
        return Ok(only("POST"));
    }
    Ok(readiness(&inference.models.registry.choose(&name, None, &id)?.model))
}

/// 200 where the model can be asked, 503 where it cannot.
pub(super) fn readiness(model: &LoadedModel) -> Response {
    let ready = model.healthy() && model.workers() > 0;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(status, &Readiness { name: model.name(), ready })
}

/// The path of a model and that with `:predict` are one to the router, and know different methods.
pub(super) async fn method_not_allowed(State(inference): State<Arc<Inference>>, request: Request) -> Response {
    let asks = request.uri().path().ends_with(PREDICT);
    request::discard(request, &inference.limits).await;
    match inference.compat {
        _ if asks => only("POST"),
        Compat::Own => only("GET,HEAD"),
        Compat::Strict => ApiError::ResourceNotFound.into_response(),
    }
}

fn only(methods: &'static str) -> Response {
    let mut response = ApiError::MethodNotAllowed.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

pub(super) async fn predict(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    call: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = call.map_err(|_| ApiError::ResourceNotFound);
    let name = call.map(|Path(call)| call.strip_suffix(PREDICT).map(str::to_owned));
    if let Ok(None) = name {
        return Ok(method_not_allowed(State(inference), request).await);
    }
    let model = name.and_then(|name| inference.models.registry.choose(&name.unwrap_or_default(), None, &id));
    let Admitted { model, received, admission: _admission, stages, .. } = inference.admit(model, request).await?;
    let predictions = inference.asked(&model, inference.predict_instances(&model, received, &id, &stages)).await?;
    let response = reply::json(StatusCode::OK, &Predictions::new(inference.compat, &model, &predictions));
    Ok(reply::with_origin(response, &model, &id))
}

impl Inference {
    async fn predict_instances(
        &self,
        model: &Arc<LoadedModel>,
        received: Received,
        id: &RequestId,
        stages: &Stages,
    ) -> Result<Vec<Prediction>, ApiError> {
        let instances_max = self.limits.instances_max;
        let read = self.preparation.run(move |_| {
            let (body, memory) = received.into_json()?;
            let posts = read_instances(&body, instances_max)?;
            Ok(posts.into_iter().map(|post| PredictionInput::new(post, Arc::clone(&memory))).collect())
        });
        self.predict_all(model, read.await?, id, stages).await
    }
}

/// The answers in the order of the instances.
#[derive(Serialize)]
#[serde(untagged)]
enum Predictions<'a> {
    Answers {
        predictions: Vec<AnswerBody<'a>>,
    },
    /// What the original's handler gives.
    Labels {
        predictions: Vec<&'a str>,
    },
}

impl<'a> Predictions<'a> {
    fn new(compat: Compat, model: &'a LoadedModel, predictions: &'a [Prediction]) -> Self {
        match compat {
            Compat::Own => {
                Self::Answers { predictions: predictions.iter().map(|answer| AnswerBody::new(model, answer)).collect() }
            }
            Compat::Strict => Self::Labels {
                predictions: predictions.iter().map(|answer| model.classes.name(answer.class)).collect(),
            },
        }
    }
}
