//! The budget of request bodies: how many are read at a time, and how much memory all of them take together.
//!
//! It is apart from the admission of requests, so that clients that send slowly keep nobody out who has sent.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::error::ApiError;
use crate::request::RequestLimits;

/// What bodies may take.
pub(crate) struct BodyBudget {
    /// One permit a body that is being read.
    reading: Semaphore,
    reading_max: usize,
    /// One permit a byte that is kept.
    memory: Arc<Semaphore>,
}

impl BodyBudget {
    pub(crate) fn new(limits: &RequestLimits) -> Self {
        let reading_max = limits.bodies_max.min(Semaphore::MAX_PERMITS);
        let memory = Arc::new(Semaphore::new(limits.bodies_bytes_max.min(Semaphore::MAX_PERMITS)));
        Self { reading: Semaphore::new(reading_max), reading_max, memory }
    }

    /// Leave to read a body, until it is dropped.
    ///
    /// # Errors
    /// When as many are read as may.
    pub(crate) fn begin(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        self.reading.try_acquire().map_err(|_| ApiError::Busy)
    }

    /// How many bodies are being read.
    pub(crate) fn being_read(&self) -> usize {
        self.reading_max.saturating_sub(self.reading.available_permits())
    }
}

/// The part of a body that has arrived. Memory is counted as it is filled: what a client only announces costs nothing.
#[derive(Default)]
pub(crate) struct ArrivingBody {
    bytes: BytesMut,
    memory: Option<OwnedSemaphorePermit>,
}

impl ArrivingBody {
    /// Keeps more of the body.
    ///
    /// # Errors
    /// When there is no memory left for it.
    pub(crate) fn push(&mut self, data: &[u8], budget: &BodyBudget) -> Result<(), ApiError> {
        let count = u32::try_from(data.len()).map_err(|_| ApiError::Busy)?;
        let more = Arc::clone(&budget.memory).try_acquire_many_owned(count).map_err(|_| ApiError::Busy)?;
        match &mut self.memory {
            Some(memory) => memory.merge(more),
            None => self.memory = Some(more),
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// How much has arrived.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The body, now that it is whole, and its share of the budget.
    pub(crate) fn finish(self) -> (Bytes, BodyMemory) {
        (self.bytes.freeze(), BodyMemory { _permit: self.memory })
    }
}

/// A body's share of the budget: dropped together with the body.
#[derive(Debug, Default)]
pub(crate) struct BodyMemory {
    _permit: Option<OwnedSemaphorePermit>,
}
