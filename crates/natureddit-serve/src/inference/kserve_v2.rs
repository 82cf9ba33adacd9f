//! KServe's second protocol, the Open Inference Protocol over HTTP: health, metadata and
//! `POST /v2/models/{model}[/versions/{version}]/infer` with tensors of texts and images.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use natureddit_model::Prediction;
use serde::Serialize;

use super::kserve_v1::readiness;
use super::{Admitted, Inference, Target};
use crate::access::RequestId;
use crate::error::ApiError;
use crate::loaded::LoadedModel;
use crate::reply;
use crate::request::{InferRequest, PredictionInput, Received};
use crate::traces::Stages;

/// An error in the form of this protocol.
pub(super) struct Error(ApiError);

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        let body = Body { error: self.0.to_string() };
        self.0.with_body(&body)
    }
}

#[derive(Serialize)]
struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 0],
}

pub(super) async fn server() -> Response {
    let metadata = ServerMetadata { name: "natureddit", version: env!("CARGO_PKG_VERSION"), extensions: [] };
    reply::json(StatusCode::OK, &metadata)
}

#[derive(Serialize)]
struct Live {
    live: bool,
}

pub(super) async fn live() -> Response {
    reply::json(StatusCode::OK, &Live { live: true })
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
}

pub(super) async fn ready(State(inference): State<Arc<Inference>>) -> Response {
    let ready = inference.models.registry.healthy();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(status, &Ready { ready })
}

pub(super) async fn model_ready(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    target: Result<Path<Target>, PathRejection>,
) -> Result<Response, Error> {
    Ok(readiness(&inference.model(target, &id)?.model))
}

/// What a model takes and gives.
#[derive(Serialize)]
struct ModelMetadata<'a> {
    name: &'a str,
    versions: Vec<String>,
    platform: &'static str,
    inputs: [TensorMetadata; 2],
    outputs: [TensorMetadata; 2],
    /// No part of the protocol: the order of the probabilities.
    classes: Vec<&'a str>,
}

/// A side of -1 is as long as there are posts.
#[derive(Serialize)]
struct TensorMetadata {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<i64>,
}

pub(super) async fn model(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    target: Result<Path<Target>, PathRejection>,
) -> Result<Response, Error> {
    let model = inference.model(target, &id)?.model;
    let classes: Vec<&str> = model.classes.names().collect();
    let tensor = |name, datatype, shape: &[i64]| TensorMetadata { name, datatype, shape: shape.to_vec() };
    let class_count = i64::try_from(classes.len()).unwrap_or(i64::MAX);
    let versions = inference.models.registry.versions(model.name())?.loaded.keys().map(u64::to_string).collect();
    let metadata = ModelMetadata {
        name: model.name(),
        versions,
        platform: "natureddit",
        inputs: [tensor("text", "BYTES", &[-1]), tensor("image", "BYTES", &[-1])],
        outputs: [tensor("label", "BYTES", &[-1]), tensor("probabilities", "FP32", &[-1, class_count])],
        classes,
    };
    Ok(reply::json(StatusCode::OK, &metadata))
}

pub(super) async fn infer(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    target: Result<Path<Target>, PathRejection>,
    request: Request,
) -> Result<Response, Error> {
    let Admitted { model, received, admission: _admission, stages, .. } =
        inference.admit(inference.model(target, &id), request).await?;
    let Inferred { id: given, outputs, predictions } =
        inference.asked(&model, inference.infer(&model, received, &id, &stages)).await?;
    let tensors = outputs.into_iter().map(|name| OutputTensor::new(name, &model, &predictions)).collect();
    let body = InferBody {
        model_name: model.name(),
        model_version: model.version().to_string(),
        id: given.as_deref().unwrap_or(id.as_str()),
        outputs: tensors,
    };
    Ok(reply::with_origin(reply::json(StatusCode::OK, &body), &model, &id))
}

/// What came of a request.
struct Inferred {
    id: Option<String>,
    outputs: Vec<&'static str>,
    predictions: Vec<Prediction>,
}

impl Inference {
    async fn infer(
        &self,
        model: &Arc<LoadedModel>,
        received: Received,
        request_id: &RequestId,
        stages: &Stages,
    ) -> Result<Inferred, ApiError> {
        let instances_max = self.limits.instances_max;
        let read = self.preparation.run(move |_| {
            let (body, memory) = received.into_json()?;
            let mut request = InferRequest::read(&body)?;
            let (id, outputs) = (request.id.take(), request.outputs()?);
            let posts = request.into_posts(instances_max)?;
            let inputs = posts.into_iter().map(|post| PredictionInput::new(post, Arc::clone(&memory))).collect();
            Ok((id, outputs, inputs))
        });
        let (id, outputs, inputs) = read.await?;
        Ok(Inferred { id, outputs, predictions: self.predict_all(model, inputs, request_id, stages).await? })
    }
}

#[derive(Serialize)]
struct InferBody<'a> {
    model_name: &'a str,
    model_version: String,
    id: &'a str,
    outputs: Vec<OutputTensor<'a>>,
}

/// An element a post, or a row a post one after the other.
#[derive(Serialize)]
struct OutputTensor<'a> {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Labels(Vec<&'a str>),
    Probabilities(Vec<f32>),
}

impl<'a> OutputTensor<'a> {
    fn new(name: &'static str, model: &'a LoadedModel, predictions: &'a [Prediction]) -> Self {
        let count = predictions.len();
        if name == "label" {
            let labels = predictions.iter().map(|answer| model.classes.name(answer.class)).collect();
            return Self { name, datatype: "BYTES", shape: vec![count], data: Data::Labels(labels) };
        }
        let probabilities = predictions.iter().flat_map(|answer| answer.probabilities.iter().copied()).collect();
        let shape = vec![count, model.classes.names().count()];
        Self { name, datatype: "FP32", shape, data: Data::Probabilities(probabilities) }
    }
}
