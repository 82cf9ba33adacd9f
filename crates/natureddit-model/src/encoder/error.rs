//! Why there is no such encoder.

use std::path::{Path, PathBuf};

use natureddit_core::fs::FsError;

/// Why there is no such encoder.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// A file of it cannot be read.
    #[error(transparent)]
    File(#[from] FsError),
    /// A file of it says what is not understood.
    #[error("{path} is no encoder that can be used: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder lacks a file.
    #[error("{folder} is no encoder that can be used: it has no {wanted}", folder = folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// Which file, or which of several would do.
        wanted: String,
    },
    /// There is no network of that name with random weights.
    #[error("there is no network {name} with random weights: it must be {known}")]
    NoArchitecture {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
}

impl EncoderError {
    pub(super) fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn no_architecture(name: &str, known: &[&str]) -> Self {
        Self::NoArchitecture { name: name.to_owned(), known: known.join(" or ") }
    }
}
