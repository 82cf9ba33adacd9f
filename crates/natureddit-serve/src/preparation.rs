//! Where bodies are taken apart, photos decoded and titles tokenised: on a few blocking threads.

use std::sync::Arc;

use natureddit_model::ModelInput;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::request::{PredictionInput, Received};

/// Limits on decoding and tokenising.
#[derive(Clone, Debug)]
pub struct PreparationLimits {
    /// How many inputs are prepared at a time, each on a thread of its own; at least 1.
    pub threads: usize,
    /// How many pixels are decoded at a time. A photo with more is decoded when it is the only one.
    pub pixels_max: u32,
}

/// The threads and what they may use.
pub(crate) struct Preparation {
    /// One permit a thread.
    threads: Arc<Semaphore>,
    bench: Bench,
}

impl Preparation {
    /// Within these limits.
    pub(crate) fn new(limits: &PreparationLimits) -> Self {
        let threads = Arc::new(Semaphore::new(limits.threads.clamp(1, Semaphore::MAX_PERMITS)));
        let pixels = Arc::new(Semaphore::new(limits.pixels_max as usize));
        Self { threads, bench: Bench { pixels, pixels_max: limits.pixels_max } }
    }

    /// Runs `work` on one of the threads, when one is free. Work of a request that was given up goes on, and counts until it
    /// has ended.
    ///
    /// # Errors
    /// As `work`, and when it panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Bench) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.threads).acquire_owned().await.map_err(|_closed| ApiError::ShuttingDown)?;
        let bench = self.bench.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&bench)
        });
        worked.await.unwrap_or_else(|error| {
            tracing::error!("an input could not be prepared: {error}");
            Err(ApiError::Internal)
        })
    }
}

/// What work on a thread of its own may use.
#[derive(Clone)]
pub(crate) struct Bench {
    /// One permit a pixel that is being decoded.
    pixels: Arc<Semaphore>,
    pixels_max: u32,
}

impl Bench {
    /// The post in a body.
    ///
    /// # Errors
    /// As [`Received::into_input`].
    pub(crate) fn input(&self, received: Received) -> Result<PredictionInput, ApiError> {
        Handle::current().block_on(received.into_input())
    }

    /// Calls what decodes the photo of `input`, when there is room for its pixels.
    pub(crate) fn decode<T>(&self, input: &PredictionInput, decode: impl FnOnce(&ModelInput<'_>) -> T) -> T {
        let asked = input.as_model_input();
        let count = u32::try_from(asked.pixels(self.pixels_max.into())).unwrap_or(self.pixels_max);
        // Never closed, and never asked for more than it has.
        let _pixels = Handle::current().block_on(self.pixels.acquire_many(count));
        decode(&asked)
    }
}
