//! `/predictions/{model}[/{version}]` and `/invocations`, as TorchServe has them.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use natureddit_model::{Prediction, Prepared};

use super::together::Together;
use super::{Admitted, Inference, Target};
use crate::access::RequestId;
use crate::error::ApiError;
use crate::loaded::{LoadedModel, ModelHold};
use crate::metrics::ShadowOutcome;
use crate::registry::Chosen;
use crate::reply::{self, ReplyForm};
use crate::request::{PredictionInput, Received};
use crate::traces::Stages;

pub(super) async fn predict(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    target: Result<Path<Target>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    inference.answer(inference.model(target, &id), &id, request).await
}

pub(super) async fn invoke(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, ApiError> {
    inference.answer(inference.invoked_model(&request, &id), &id, request).await
}

impl Inference {
    /// Answers a request for one prediction.
    pub(super) async fn answer(
        self: &Arc<Self>,
        model: Result<Chosen, ApiError>,
        id: &RequestId,
        request: Request,
    ) -> Result<Response, ApiError> {
        let form = ReplyForm::of(request.headers(), self.compat);
        let Admitted { model, shadow, received, admission, stages } = self.admit(model, request).await?;
        let predicting = admission.unless_passed_over(self.predict(&model, received, &stages));
        let (mut prediction, input) = self.asked(&model, predicting).await?;
        self.predicted((id, None), &model, &mut prediction, self.sampled(id, &input));
        if let Some(shadow) = shadow {
            self.ask_shadow(shadow, input, model.classes.name(prediction.class));
        }
        Ok(reply::prediction(form, &model, &prediction, id))
    }

    /// Prepares the input, queues it and waits for its batch.
    async fn predict(
        &self,
        model: &Arc<LoadedModel>,
        received: Received,
        stages: &Stages,
    ) -> Result<(Prediction, PredictionInput), ApiError> {
        let (preparing, noting, arrived) = (Arc::clone(model), stages.clone(), Instant::now());
        let prepared = self.preparation.run(move |bench| {
            let begun = Instant::now();
            let input = bench.input(received)?;
            let prepared = bench.decode(&input, |asked| preparing.recall(asked))?;
            preparing.metrics.prepared(arrived, begun);
            noting.prepared(arrived, begun);
            Ok((prepared, input))
        });
        let (prepared, input) = prepared.await?;
        Ok((queued(model, prepared, stages).await?, input))
    }

    /// Asks a shadow what it would have answered, where the server has room for that, and holds up nobody.
    fn ask_shadow(self: &Arc<Self>, shadow: ModelHold, input: PredictionInput, answered: &str) {
        let Ok(permit) = Arc::clone(&self.shadows).try_acquire_owned() else {
            return shadow.metrics.shadowed(ShadowOutcome::Skipped);
        };
        let (inference, answered) = (Arc::clone(self), answered.to_owned());
        tokio::spawn(async move {
            let _permit = permit;
            let preparing = Arc::clone(&shadow);
            let asked = async {
                let prepared =
                    inference.preparation.run(move |bench| Ok(bench.decode(&input, |asked| preparing.recall(asked))?));
                // The request that it repeats is answered.
                queued(&shadow, prepared.await?, &Stages::default()).await
            };
            let (model, version) = (shadow.name(), shadow.version());
            match inference.in_time(&shadow, asked).await {
                Ok(prediction) => {
                    let agrees = shadow.classes.name(prediction.class) == answered;
                    tracing::info!(model, version, agrees, "shadow");
                    shadow.metrics.shadowed(if agrees { ShadowOutcome::Agrees } else { ShadowOutcome::Differs });
                }
                Err(error) => {
                    tracing::info!(model, version, "shadow: {error}");
                    shadow.metrics.shadowed(ShadowOutcome::Failed);
                }
            }
        });
    }

    /// A prediction of each input, in their order.
    pub(super) async fn predict_all(
        &self,
        model: &Arc<LoadedModel>,
        inputs: Vec<PredictionInput>,
        id: &RequestId,
        stages: &Stages,
    ) -> Result<Vec<Prediction>, ApiError> {
        let mut together = Together::new(model, stages);
        let given: Vec<_> = inputs.iter().map(|input| self.sampled(id, input)).collect();
        for (index, input) in inputs.into_iter().enumerate() {
            let (preparing, noting, arrived) = (Arc::clone(model), stages.clone(), Instant::now());
            let prepared = self.preparation.run(move |bench| {
                let begun = Instant::now();
                let prepared = bench.decode(&input, |asked| preparing.recall(asked));
                preparing.metrics.prepared(arrived, begun);
                noting.prepared(arrived, begun);
                prepared.map_err(|source| ApiError::Instance { index, source })
            });
            together.submit(prepared.await?).await?;
        }
        let mut predictions = together.finish().await?;
        for (index, (prediction, given)) in predictions.iter_mut().zip(given).enumerate() {
            self.predicted((id, Some(index)), model, prediction, given);
        }
        Ok(predictions)
    }
}

/// The model's answer to a prepared input.
async fn queued(model: &LoadedModel, prepared: Prepared, stages: &Stages) -> Result<Prediction, ApiError> {
    let queued = model.submit(prepared, stages).map_err(|error| ApiError::not_queued(error, model.name()))?;
    Ok(queued.await.map_err(|_closed| ApiError::ShuttingDown)??)
}
