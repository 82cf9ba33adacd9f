//! What one request asks a model several times, beside the requests of others.

use std::collections::VecDeque;

use natureddit_model::{Prediction, Prepared};

use crate::batcher::{BatchError, Reply, SubmitError};
use crate::error::ApiError;
use crate::loaded::LoadedModel;
use crate::traces::Stages;

/// How much of it waits at a time. Few, so that others are answered in between.
const WAITING_MAX: usize = 4;

/// Inputs that are submitted one after the other and whose answers are gathered in order. They are queued as everybody's
/// are: a batch mixes them with those of other requests.
pub(super) struct Together<'a> {
    model: &'a LoadedModel,
    stages: &'a Stages,
    waiting: VecDeque<Reply<Prediction>>,
    answers: Vec<Prediction>,
}

impl<'a> Together<'a> {
    pub(super) fn new(model: &'a LoadedModel, stages: &'a Stages) -> Self {
        Self { model, stages, waiting: VecDeque::new(), answers: Vec::new() }
    }

    /// Queues an input, when there is room for it.
    ///
    /// # Errors
    /// When the queue is full of what others have submitted, and when an input before it failed.
    pub(super) async fn submit(&mut self, input: Prepared) -> Result<(), ApiError> {
        if self.waiting.len() >= WAITING_MAX {
            self.gather().await?;
        }
        // A queue that is full in part with what was submitted here has room when that is answered.
        while !self.waiting.is_empty() {
            match self.model.submit(input.clone(), self.stages) {
                Err(SubmitError::Full) => self.gather().await?,
                submitted => return self.wait_for(submitted),
            }
        }
        self.wait_for(self.model.submit(input, self.stages))
    }

    /// Waits for the rest of the answers.
    ///
    /// # Errors
    /// When one of the inputs failed.
    pub(super) async fn finish(mut self) -> Result<Vec<Prediction>, ApiError> {
        while !self.waiting.is_empty() {
            self.gather().await?;
        }
        Ok(self.answers)
    }

    fn wait_for(&mut self, submitted: Result<Reply<Prediction>, SubmitError>) -> Result<(), ApiError> {
        let reply = submitted.map_err(|error| ApiError::not_queued(error, self.model.name()))?;
        self.waiting.push_back(reply);
        Ok(())
    }

    /// Waits for the answer to what has waited longest.
    async fn gather(&mut self) -> Result<(), ApiError> {
        if let Some(reply) = self.waiting.pop_front() {
            let answer: Result<Prediction, BatchError> = reply.await.map_err(|_closed| ApiError::ShuttingDown)?;
            self.answers.push(answer?);
        }
        Ok(())
    }
}
