//! Weights as plain `f32` tensors, whatever file they came in.

mod half;
mod pickle;
mod pth;
mod safetensors_file;
mod seeded;
mod shards;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::ContentHash;
use natureddit_core::fs::{self, FsError};

use pth::parse_pth;
use safetensors_file::parse_safetensors;
pub(crate) use safetensors_file::{read_described, read_safetensors, write_described, write_safetensors};
use seeded::seeded;
pub(crate) use shards::Shards;

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
    /// The file is not the one that was looked at before.
    #[error("{path} has changed since it was looked at", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// An asset that is needed was not handed in.
    #[error("the asset {0} is needed and was not pulled")]
    NotPulled(&'static str),
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

/// The tensors that a network is built from.
#[derive(Debug)]
pub(crate) enum Weights {
    /// Those of a file.
    Given(Tensors),
    /// Random ones of the names and shapes that are asked for, which follow from this seed.
    Seeded(u64),
}

impl Weights {
    /// The tensor of that name, checked against the shape the network expects.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, Tensor>, WeightsError> {
        match self {
            Self::Given(tensors) => expect(tensors, name, shape).map(Cow::Borrowed),
            Self::Seeded(seed) => Ok(Cow::Owned(seeded(*seed, name, shape))),
        }
    }

    /// The same with other names; two tensors that get one name are one.
    pub(crate) fn renamed(self, name: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Given(tensors) => {
                Self::Given(tensors.into_iter().map(|(old, tensor)| (name(&old), tensor)).collect())
            }
            seeded @ Self::Seeded(_) => seeded,
        }
    }
}

/// No weights file that fits into one ONNX graph is larger: protobuf holds 2 GB.
pub(crate) const FILE_BYTES_MAX: u64 = 2 << 30;

/// Reads a file whole and makes sure that it is the one of this hash.
pub(crate) fn read_verified(path: &Path, expected: ContentHash) -> Result<Vec<u8>, WeightsError> {
    let bytes = fs::read_limited(path, FILE_BYTES_MAX)?;
    if ContentHash::of(&bytes) != expected {
        return Err(WeightsError::Changed { path: path.to_owned() });
    }
    Ok(bytes)
}

/// The `f32` tensors of a weights file: safetensors where the name ends so, else PyTorch's own form (`.pth`, `.bin`).
pub(crate) fn parse_weights(path: &Path, bytes: &[u8]) -> Result<Tensors, WeightsError> {
    let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let tensors = if is_safetensors { parse_safetensors(bytes) } else { parse_pth(bytes) };
    tensors.map_err(|reason| WeightsError::format(path, reason))
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
