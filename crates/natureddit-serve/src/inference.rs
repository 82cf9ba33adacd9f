//! The inference API: TorchServe's paths, and those of the two KServe protocols.

mod description;
mod explanations;
mod kserve_v1;
mod kserve_v2;
mod predictions;
mod routes;
mod together;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query};
use natureddit_model::Prediction;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::access::RequestId;
use crate::admissions::{Admission, Admissions};
use crate::bodies::BodyBudget;
use crate::compat::Compat;
use crate::error::ApiError;
use crate::keys::AccessKeys;
use crate::loaded::{LoadedModel, ModelHold};
use crate::metrics::Stage;
use crate::models::Models;
use crate::prediction_log::{Given, PredictionLog};
use crate::preparation::Preparation;
use crate::registry::Chosen;
use crate::request::{self, PredictionInput, Received, RequestLimits};
use crate::server::ServeConfig;
use crate::traces::Stages;

pub(crate) use routes::router;

/// What the handlers share.
pub(crate) struct Inference {
    pub(crate) models: Models,
    /// What clients must show; `None` where predictions are for everybody.
    keys: Option<Arc<AccessKeys>>,
    compat: Compat,
    pub(crate) limits: RequestLimits,
    bodies: BodyBudget,
    /// For requests whose body is there and whose answer is not.
    admissions: Arc<Admissions>,
    /// One permit an explanation that is worked on.
    explanations: Semaphore,
    preparation: Preparation,
    /// One permit a request that is repeated to a shadow.
    shadows: Arc<Semaphore>,
    /// Where predictions are written down; `None` is nowhere.
    pub(crate) prediction_log: Option<PredictionLog>,
}

/// Requests that are repeated to shadows at a time; others are not repeated.
const SHADOWS_MAX: usize = 16;

/// A request whose body is there, and leave to work on it until this is dropped.
struct Admitted {
    model: ModelHold,
    /// Who is asked as well.
    shadow: Option<ModelHold>,
    received: Received,
    admission: Admission,
    /// Where its stages are noted.
    stages: Stages,
}

impl Inference {
    /// Serves `models`.
    pub(crate) fn new(
        models: Models,
        keys: Option<Arc<AccessKeys>>,
        prediction_log: Option<PredictionLog>,
        config: &ServeConfig,
    ) -> Self {
        let limits = config.limits.clone();
        let bodies = BodyBudget::new(&limits);
        let admissions = Admissions::new(limits.requests_max, limits.requests_crowded_max);
        let explanations = Semaphore::new(limits.explanations_max.min(Semaphore::MAX_PERMITS));
        let preparation = Preparation::new(&config.preparation);
        let compat = config.compat;
        let shadows = Arc::new(Semaphore::new(SHADOWS_MAX));
        Self { models, keys, compat, limits, bodies, admissions, explanations, preparation, shadows, prediction_log }
    }

    /// How many requests for a prediction are read, worked on or answered.
    pub(crate) fn requests_under_way(&self) -> usize {
        self.bodies.being_read() + self.admissions.under_way()
    }

    /// The model that a path names.
    fn model(&self, target: Result<Path<Target>, PathRejection>, id: &RequestId) -> Result<Chosen, ApiError> {
        // A name that is no UTF-8 is no model's.
        let Path(target) = target.map_err(|_| ApiError::ResourceNotFound)?;
        self.models.registry.choose(&target.model, target.version.as_deref(), id)
    }

    /// The model that the query names, or the only one there is.
    fn invoked_model(&self, request: &Request, id: &RequestId) -> Result<Chosen, ApiError> {
        let asked = Query::<Invoked>::try_from_uri(request.uri()).ok().and_then(|Query(asked)| asked.model_name);
        let name = match asked.filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => match <[String; 1]>::try_from(self.models.names()) {
                Ok([only]) => only,
                Err(names) => return Err(ApiError::ModelNameRequired(names)),
            },
        };
        self.models.registry.choose(&name, None, id)
    }

    /// Reads the body and gives leave to work on it. Only what has arrived counts as admitted: a client that sends slowly
    /// holds up no other. Who asks for what is not there is read on to the end, and then told.
    async fn admit(&self, model: Result<Chosen, ApiError>, request: Request) -> Result<Admitted, ApiError> {
        let begin = |chosen: Chosen| match self.bodies.begin() {
            Ok(reading) => Ok((chosen, reading)),
            Err(error) => {
                chosen.model.metrics.refused(&error);
                Err(error)
            }
        };
        let begun = model.and_then(begin);
        let (Chosen { model, shadow }, reading) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                request::discard(request, &self.limits).await;
                return Err(error);
            }
        };
        let (begun, stages) = (Instant::now(), request.extensions().get::<Stages>().cloned().unwrap_or_default());
        let received = Received::read(request, &self.limits, &self.bodies).await;
        stages.passed(Stage::ReadBody, begun);
        let received = received.inspect_err(|error| model.metrics.refused(error))?;
        model.metrics.passed(Stage::ReadBody, begun.elapsed());
        let admission = self.admissions.enter();
        let admission = admission.inspect_err(|error| model.metrics.refused(error))?;
        drop(reading);
        Ok(Admitted { model, shadow, received, admission, stages })
    }

    /// Works on what a client asked `model`, in time, and counts how it ended.
    async fn asked<T>(
        &self,
        model: &LoadedModel,
        answer: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let begun = Instant::now();
        model.metrics.asked();
        let answered = self.in_time(model, answer).await;
        match &answered {
            Ok(_) => model.metrics.answered(begun.elapsed()),
            Err(error) => model.metrics.refused(error),
        }
        answered
    }

    /// What is to be written down of an input, where that is.
    fn sampled(&self, id: &RequestId, input: &PredictionInput) -> Option<Given> {
        self.prediction_log.as_ref()?.sampled(id, input)
    }

    /// Counts a prediction that a client is answered, and has it written down.
    fn predicted(
        &self,
        (id, index): (&RequestId, Option<usize>),
        model: &LoadedModel,
        prediction: &mut Prediction,
        given: Option<Given>,
    ) {
        model.metrics.predicted(prediction);
        if let (Some(log), Some(given)) = (&self.prediction_log, given) {
            log.write(id, index, model, prediction, given);
        }
    }

    /// Waits for an answer of a model, but not for ever. When the wait is dropped, because the client left or the time is
    /// over, the batcher drops the request too.
    async fn in_time<T>(
        &self,
        model: &LoadedModel,
        answer: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let limit = model.response_timeout().unwrap_or(self.limits.response_timeout);
        tokio::time::timeout(limit, answer).await.map_err(|_elapsed| ApiError::ResponseTimeout(limit))?
    }
}

/// Which model a path names.
#[derive(Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

/// Which model a query names.
#[derive(Deserialize)]
struct Invoked {
    model_name: Option<String>,
}
