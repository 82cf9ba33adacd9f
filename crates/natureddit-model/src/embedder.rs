//! Features for training: many inputs at once, on every core.

use rayon::prelude::*;

use crate::encoder::{EncoderFiles, EncoderPair, Encoders, Features};
use crate::error::ModelError;
use crate::input::{InputError, ModelInput};
use crate::preprocess::{InputLimits, Preprocessor};
use crate::runtime::Runtime;

/// An encoder pair built from its assets, with the preprocessing that goes with it.
#[derive(Debug)]
pub struct Embedder {
    preprocessor: Preprocessor,
    encoders: Encoders,
}

impl Embedder {
    /// Builds both graphs from the weights and loads them.
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
        let preprocess = pair.preprocess();
        let encoders = Encoders::open(runtime, &pair.build(files)?, &preprocess, threads)?;
        let preprocessor = Preprocessor::read(preprocess, &files.tokenizer, limits)?;
        Ok(Self { preprocessor, encoders })
    }

    /// The features of each input, in order: photos are decoded on every core, then encoded in batches. An input
    /// that cannot be read gets its error and does not disturb the others. `inputs` are all in memory at once, so
    /// callers pass a few dozen photos a call.
    ///
    /// # Errors
    /// [`ModelError`] when an encoder itself fails.
    pub fn embed(&mut self, inputs: &[ModelInput<'_>]) -> Result<Vec<Result<Features, InputError>>, ModelError> {
        let prepared: Vec<_> = inputs.par_iter().map(|input| self.preprocessor.prepare(input)).collect();
        let mut readable = Vec::with_capacity(inputs.len());
        let mut outcomes = Vec::with_capacity(inputs.len());
        for input in prepared {
            outcomes.push(input.map(|prepared| {
                readable.push(prepared);
                Features::default()
            }));
        }
        let features = self.encoders.encode(&readable)?;
        for (outcome, features) in outcomes.iter_mut().flatten().zip(features) {
            *outcome = features;
        }
        Ok(outcomes)
    }
}
