//! `/explanations/{model}[/{version}]`: a prediction, and which words and which parts of the photo it hangs on.
//!
//! The model is asked some sixty times. Its thread knows nothing of that: the variants of the post are inputs as any other,
//! a few of which wait at a time, so that predictions of others come in between.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use natureddit_model::{ExplainOptions, Explanation, ModelInput, OcclusionMap, Variants, WordWeight};
use serde::Serialize;

use super::together::Together;
use super::{Admitted, Inference, Target};
use crate::access::RequestId;
use crate::compat::Compat;
use crate::error::ApiError;
use crate::loaded::LoadedModel;
use crate::reply::{self, PredictionBody};
use crate::request::Received;
use crate::traces::Stages;

pub(super) async fn explain(
    State(inference): State<Arc<Inference>>,
    Extension(id): Extension<RequestId>,
    target: Result<Path<Target>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let model = inference.model(target, &id);
    if inference.compat == Compat::Strict {
        // TorchServe asks the handler, and the original's handler answers what it always does.
        return inference.answer(model, &id, request).await;
    }
    let Admitted { model, received, admission: _admission, .. } = inference.admit(model, request).await?;
    let explaining = inference.explanations.try_acquire().map_err(|_| ApiError::Busy);
    let _explaining = explaining.inspect_err(|error| model.metrics.refused(error))?;
    let explanation = inference.asked(&model, inference.explain(&model, received)).await?;
    model.metrics.predicted(&explanation.prediction);
    let response = reply::json(StatusCode::OK, &ExplanationBody::new(&model, &explanation, &id));
    Ok(reply::with_origin(response, &model, &id))
}

impl Inference {
    async fn explain(&self, model: &Arc<LoadedModel>, received: Received) -> Result<Explanation, ApiError> {
        let preparing = Arc::clone(model);
        let variants = self.preparation.run(move |bench| {
            let input = bench.input(received)?;
            let options = ExplainOptions::default();
            let prepare = |variant: &ModelInput<'_>| preparing.prepare(variant);
            Ok(bench.decode(&input, |asked| Variants::new(asked, &options, preparing.middle, prepare))?)
        });
        let variants = variants.await?;
        // Sixty questions are told as none.
        let untold = Stages::default();
        let mut together = Together::new(model, &untold);
        together.submit(variants.whole().clone()).await?;
        for index in 0..variants.len() {
            together.submit(variants.variant(index)).await?;
        }
        let mut answers = together.finish().await?;
        let prediction = answers.remove(0);
        Ok(variants.explanation(prediction, &answers))
    }
}

/// The body of an explanation.
#[derive(Serialize)]
struct ExplanationBody<'a> {
    #[serde(flatten)]
    prediction: PredictionBody<'a>,
    /// `null` where there is no title.
    words: Option<Vec<Word<'a>>>,
    /// `null` where there is no photo.
    photo: Option<Map<'a>>,
}

#[derive(Serialize)]
struct Word<'a> {
    word: &'a str,
    /// Where it begins in the title, in bytes.
    start: usize,
    end: usize,
    weight: f32,
}

#[derive(Serialize)]
struct Map<'a> {
    cells_a_side: usize,
    /// Row by row from the top.
    weights: Vec<&'a [f32]>,
    /// The grid covers the square in the middle whose side is this share of the photo's short side; `null`: all of it.
    middle: Option<f32>,
}

impl<'a> ExplanationBody<'a> {
    fn new(model: &'a LoadedModel, explanation: &'a Explanation, id: &'a RequestId) -> Self {
        let Explanation { prediction, words, photo } = explanation;
        let word = |WordWeight { word, at, weight }: &'a WordWeight| Word {
            word,
            start: at.start,
            end: at.end,
            weight: *weight,
        };
        let map = |map: &'a OcclusionMap| Map {
            cells_a_side: map.cells_a_side,
            weights: map.rows().collect(),
            middle: map.middle,
        };
        Self {
            prediction: PredictionBody::new(model, prediction, id),
            words: words.as_ref().map(|words| words.iter().map(word).collect()),
            photo: photo.as_ref().map(map),
        }
    }
}
