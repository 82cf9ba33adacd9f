//! A bundle as one file: a model archive of TorchServe (`.mar`).
//!
//! ```text
//! MAR-INF/MANIFEST.json   what TorchServe asks first: name, version, handler
//! handler.py              answers in TorchServe from the files beside it; never run by this program
//! manifest.json, ...      the files of the bundle, as in its folder
//! ```
//!
//! It is a ZIP archive. The same bundle gives the same bytes: entries are in their order, and times are all the same.
//! Graphs and weights are stored as they are, for to deflate them takes seconds and saves a twelfth.

mod manifest;
mod read;
mod write;

use std::path::PathBuf;

use natureddit_core::fs::FsError;
use zip::result::ZipError;

pub use manifest::version_number;
pub use read::{ArchivedModel, is_archive};

use crate::bundle::BundleError;

/// The name of the archive's own manifest in it.
const ARCHIVE_MANIFEST: &str = "MAR-INF/MANIFEST.json";
/// The name of the handler in it.
const HANDLER: &str = "handler.py";

/// Why a file is not taken as a model archive with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// It is no ZIP archive, or a damaged one.
    #[error("{path} is no model archive that can be read", path = path.display())]
    Zip {
        /// The archive.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: ZipError,
    },
    /// Something in it that no model archive of good will has.
    #[error("{path} is not unpacked: {reason}", path = path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// What it has.
        reason: String,
    },
    /// A manifest in it is not what it should be.
    #[error("{entry} in {path} is not valid: {reason}", path = path.display())]
    Manifest {
        /// The archive.
        path: PathBuf,
        /// The manifest's name in it.
        entry: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Its bundle is not what its manifest says.
    #[error("the bundle in {path} is not whole", path = path.display())]
    Bundle {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it, once unpacked.
        #[source]
        source: Box<BundleError>,
    },
    /// An archive of TorchServe whose answers are given by a program in it.
    #[error(
        "{path} answers by its own Python program {handler:?}: code of a model archive is not run here, and it holds no bundle",
        path = path.display()
    )]
    ForeignCode {
        /// The archive.
        path: PathBuf,
        /// What its manifest names as the handler.
        handler: String,
    },
}

#[cfg(test)]
mod tests;
