//! Where objects are pushed to and pulled from.

mod aws;
mod config;
mod http;
mod incoming;
mod local;
mod s3;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use futures_util::future::{self, BoxFuture};
use natureddit_core::Secret;
use natureddit_net::{ClientConfig, NetError, Pacing};

use super::hash::{Md5, ObjectId};

pub use aws::{AwsAccess, AwsFiles};
pub use config::{HttpAuth, Place, RemoteConfig, S3Place};

/// Requests under way to a remote at the same time, where its `jobs` says nothing else.
pub const JOBS: usize = 16;

/// What a remote does. Whoever transfers decides how many of these run at the same time, compares hashes, and sends the
/// lists of folders after their files, with a [`Remote::sync`] between.
pub trait Remote: fmt::Debug + Send + Sync {
    /// The address, without secrets.
    fn url(&self) -> &str;

    /// Those of `ids` that are there.
    fn existing<'a>(&'a self, ids: &'a BTreeSet<ObjectId>) -> BoxFuture<'a, Result<BTreeSet<ObjectId>, RemoteError>>;

    /// Whether it takes no time to ask for many objects.
    fn is_near(&self) -> bool {
        false
    }

    /// Whether a few requests tell which of many objects are there, so that the files of a list need not be taken for granted
    /// where the list is.
    fn lists(&self) -> bool {
        self.is_near()
    }

    /// Uploads the content of a file. The object appears whole or not at all; one that is there is replaced.
    fn put<'a>(&'a self, id: ObjectId, from: &'a Path) -> BoxFuture<'a, Result<(), RemoteError>>;

    /// Makes what was put so far outlast a power cut. Only a folder needs it: servers answer when they have an object.
    fn sync(&self) -> BoxFuture<'_, Result<(), RemoteError>> {
        Box::pin(future::ready(Ok(())))
    }

    /// Downloads an object of at most `bytes_max` bytes into the new file `to`, hashing it on the way; `None` where the
    /// remote does not have it. Unless it comes whole, there is no file. What it says of itself proves nothing: the caller
    /// compares the hash.
    fn get<'a>(
        &'a self,
        id: ObjectId,
        to: &'a Path,
        bytes_max: u64,
    ) -> BoxFuture<'a, Result<Option<Received>, RemoteError>>;

    /// As [`Remote::get`] for several objects: what came of each.
    fn get_each<'a>(
        &'a self,
        wanted: &'a [(ObjectId, PathBuf)],
        bytes_max: u64,
    ) -> BoxFuture<'a, Vec<Result<Option<Received>, RemoteError>>> {
        Box::pin(future::join_all(wanted.iter().map(move |(id, to)| self.get(*id, to, bytes_max))))
    }

    /// Every object of both layouts; files that are none are passed over.
    fn list(&self) -> BoxFuture<'_, Result<BTreeSet<ObjectId>, RemoteError>>;

    /// Removes an object; one that is not there is no error.
    fn remove(&self, id: ObjectId) -> BoxFuture<'_, Result<(), RemoteError>>;
}

/// What came of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// By [`Hasher::new`](super::hash::Hasher::new) of the object's id.
    pub md5: Md5,
    /// How long it is.
    pub bytes: u64,
}

/// How servers are asked, and by whom: what the settings of a remote do not say.
#[derive(Clone, Debug)]
pub struct Access {
    /// Its limits of time and of requests give way to the remote's own; its limit of a whole transfer is not used, for an
    /// object may be of any length.
    pub client: ClientConfig,
    /// By which clock is waited, and who is told.
    pub pacing: Pacing,
    /// From the environment, for remotes on S3 with neither keys nor a profile in their settings.
    pub aws: Option<AwsAccess>,
    /// Where AWS's own tools keep keys.
    pub aws_files: AwsFiles,
    /// Sent to web servers without `auth` in their settings, as `Authorization: Bearer`.
    pub token: Option<Secret>,
}

/// The remote that is configured. Nothing is asked yet.
///
/// # Errors
/// [`RemoteError::Credentials`], and [`RemoteError::Option`] for what the kind of remote cannot do.
pub fn from_config(config: &RemoteConfig, access: &Access) -> Result<Box<dyn Remote>, RemoteError> {
    Ok(match &config.place {
        Place::Folder(folder) => Box::new(local::Local::new(folder.clone())),
        Place::Http { url, auth, method } => Box::new(http::Http::new(config, url, auth, *method, access)?),
        Place::S3(place) => Box::new(s3::S3::new(config, place, access)?),
    })
}

/// Why a remote could not do what it was asked for. No secret is in any of it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address of a kind that is not spoken here.
    #[error("{url} is no address of a folder, of S3 (s3://) or of a web server (https://)")]
    Scheme {
        /// As it is configured, without its user and password.
        url: String,
    },
    /// A setting that cannot be honoured.
    #[error("the setting {option} of the remote {remote:?}: {why}")]
    Option {
        /// The remote's name.
        remote: String,
        /// The setting's name.
        option: String,
        /// What is wrong with it.
        why: String,
    },
    /// S3 without a key.
    #[error("no AWS credentials for the remote {remote:?} at {url}")]
    Credentials {
        /// The remote's name.
        remote: String,
        /// Its address.
        url: String,
    },
    /// The server does not know who asks, or does not let them.
    #[error("{url} refuses access with status {status}")]
    Access {
        /// What was asked for.
        url: String,
        /// 401, 403 or 407.
        status: u16,
    },
    /// What web servers cannot do.
    #[error("{url} is a web server, and those do not {what}")]
    Unsupported {
        /// The remote's address.
        url: String,
        /// A verb and what it is about.
        what: &'static str,
    },
    /// An object that is longer than it should be.
    #[error("the object {id} at {url} is over the limit of {bytes_max} bytes")]
    TooManyBytes {
        /// The remote's address.
        url: String,
        /// The object.
        id: ObjectId,
        /// The limit.
        bytes_max: u64,
    },
    /// An object that ended early.
    #[error("the object {id} at {url} was cut short: {bytes} of {bytes_expected} bytes")]
    CutShort {
        /// The remote's address.
        url: String,
        /// The object.
        id: ObjectId,
        /// What came.
        bytes: u64,
        /// What was announced.
        bytes_expected: u64,
    },
    /// A web server that was not reached, or answered otherwise than it should.
    #[error(transparent)]
    Net(#[from] NetError),
    /// S3, the same.
    #[error("{url}: {reason}")]
    S3 {
        /// The remote's address.
        url: String,
        /// In the words of the library or of the server.
        reason: String,
    },
    /// A file of this machine, or of a remote that is a folder.
    #[error(transparent)]
    Fs(#[from] natureddit_core::fs::FsError),
}

/// The two-letter folders in which objects lie, in both layouts: `files/md5/5d/` and `5d/`.
fn folder_of(id: ObjectId) -> String {
    let path = id.path();
    path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default()
}
