//! Weights as plain `f32` tensors, whatever file they came in.

mod pickle;
mod pth;
mod safetensors_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::FsError;

pub(crate) use pth::read_pth;
pub(crate) use safetensors_file::{read_described, read_safetensors, write_described, write_safetensors};

/// A dense tensor: row-major `data`, as many values as the product of `shape`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    /// The size of each dimension.
    pub(crate) shape: Vec<usize>,
    /// The values, last dimension fastest.
    pub(crate) data: Vec<f32>,
}

/// Named tensors.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// Why a weights file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// The file is not what it should be.
    #[error("{path} is not a usable weights file: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor the network needs is missing or has another shape.
    #[error("weights lack {name} with shape {expected:?}, found {found:?}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// The shape it must have.
        expected: Vec<usize>,
        /// The shape it has; `None` when it is not there.
        found: Option<Vec<usize>>,
    },
}

impl WeightsError {
    fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }
}

/// The tensor of that name, checked against the shape the network expects.
pub(crate) fn expect<'a>(tensors: &'a Tensors, name: &str, shape: &[usize]) -> Result<&'a Tensor, WeightsError> {
    let found = tensors.get(name);
    found.filter(|tensor| tensor.shape == shape).ok_or_else(|| WeightsError::Tensor {
        name: name.to_owned(),
        expected: shape.to_vec(),
        found: found.map(|tensor| tensor.shape.clone()),
    })
}
