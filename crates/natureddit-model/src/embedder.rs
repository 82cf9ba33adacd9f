//! Features for training: many inputs at once, on every core.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::encoder::{EncoderFiles, EncoderPair, Encoders, Features};
use crate::error::ModelError;
use crate::input::{InputError, ModelInput};
use crate::parallel::in_parallel;
use crate::preprocess::{InputLimits, Prepared, Preprocessor};
use crate::quantization::Precision;
use crate::runtime::{Runtime, RuntimeError};

/// An encoder pair built from its assets, with the preprocessing that goes with it.
///
/// Each core has encoders of its own that run on one thread: for many inputs that is faster than one pair of encoders
/// on all cores, because nothing waits for the slowest part of an operator.
#[derive(Debug)]
pub struct Embedder {
    preprocessor: Preprocessor,
    lanes: Vec<Encoders>,
}

/// What became of an input, and its place among the inputs.
type Placed<E> = (usize, Result<Features, E>);

impl Embedder {
    /// Builds both graphs from the weights and loads them once a thread.
    ///
    /// # Errors
    /// [`ModelError`] when a file is not what it should be, or the runtime refuses a graph.
    pub fn build(
        pair: &EncoderPair,
        files: &EncoderFiles,
        runtime: &Runtime,
        limits: InputLimits,
        threads: usize,
    ) -> Result<Self, ModelError> {
        Self::build_at(pair, files, &Precision::default(), runtime, limits, threads)
    }

    /// As [`Embedder::build`], with the encoders in the form that `precision` says.
    ///
    /// # Errors
    /// Also when the ranges are not those of the encoders.
    pub fn build_at(
        pair: &EncoderPair,
        files: &EncoderFiles,
        precision: &Precision,
        runtime: &Runtime,
        limits: InputLimits,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let preprocess = pair.preprocess();
        let graphs = precision.graphs(pair, files)?;
        let open = || Encoders::open(runtime, &graphs, &preprocess, (pair.widths(), pair.ports()), 1);
        let lanes = in_parallel((0..threads.max(1)).map(|_| open)).into_iter().collect::<Result<_, _>>()?;
        Ok(Self { preprocessor: pair.preprocessor(files, limits)?, lanes })
    }

    /// How its inputs are prepared.
    #[must_use]
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// The features of each input, in order. An input that cannot be read gets its error and does not disturb the
    /// others. `inputs` are all in memory at once, so callers pass a few dozen photos a call.
    ///
    /// # Errors
    /// [`ModelError`] when an encoder itself fails.
    pub fn embed(&mut self, inputs: &[ModelInput<'_>]) -> Result<Vec<Result<Features, InputError>>, ModelError> {
        let Self { preprocessor, lanes } = self;
        embed_all(lanes, inputs, &|input| preprocessor.prepare(input))
    }

    /// The features of each photo, in order, each read when its turn comes: no thread holds the bytes of more than one.
    ///
    /// # Errors
    /// As [`Embedder::embed`].
    pub fn embed_photos<T: Sync, E: From<InputError> + Send>(
        &mut self,
        photos: &[T],
        read: impl Fn(&T) -> Result<Vec<u8>, E> + Sync,
    ) -> Result<Vec<Result<Features, E>>, ModelError> {
        let Self { preprocessor, lanes } = self;
        embed_all(lanes, photos, &|photo| {
            let bytes = read(photo)?;
            Ok(preprocessor.prepare(&ModelInput { text: None, image: Some(&bytes) })?)
        })
    }
}

/// Deals the inputs to the lanes; the outcomes are in the order of the inputs.
fn embed_all<T: Sync, E: Send>(
    lanes: &mut [Encoders],
    inputs: &[T],
    prepare: &(impl Fn(&T) -> Result<Prepared, E> + Sync),
) -> Result<Vec<Result<Features, E>>, ModelError> {
    let next = &AtomicUsize::new(0);
    let work = |lane| move || embed_some(lane, inputs, next, prepare);
    let mut placed = Vec::with_capacity(inputs.len());
    for done in in_parallel(lanes.iter_mut().map(work)) {
        placed.extend(done?);
    }
    placed.sort_by_key(|(at, _)| *at);
    Ok(placed.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Takes inputs until none is left.
fn embed_some<T, E>(
    encoders: &mut Encoders,
    inputs: &[T],
    next: &AtomicUsize,
    prepare: &impl Fn(&T) -> Result<Prepared, E>,
) -> Result<Vec<Placed<E>>, RuntimeError> {
    let mut placed = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(input) = inputs.get(at) else { return Ok(placed) };
        let outcome = match prepare(input) {
            Ok(prepared) => Ok(encoders.encode(&[prepared])?.swap_remove(0)),
            Err(error) => Err(error),
        };
        placed.push((at, outcome));
    }
}
