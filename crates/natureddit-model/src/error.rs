//! What can go wrong between the files of a model and its answer.

use crate::archive::ArchiveError;
use crate::bundle::BundleError;
use crate::encoder::NotFinite;
use crate::preprocess::TokenizerError;
use crate::quantization::QuantizeError;
use crate::runtime::RuntimeError;
use crate::weights::WeightsError;

/// A model that cannot be built, loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A bundle folder is not usable.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A model archive is not usable.
    #[error(transparent)]
    Archive(Box<ArchiveError>),
    /// A weights file is not usable.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A tokenizer file is not usable.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// ONNX Runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// An encoder gives no numbers for an input.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// An encoder cannot be put into eight bits.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
}

impl From<ArchiveError> for ModelError {
    /// In a box, for it would make every error longer.
    fn from(error: ArchiveError) -> Self {
        Self::Archive(Box::new(error))
    }
}
