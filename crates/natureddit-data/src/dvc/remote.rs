//! Where objects are pushed to and pulled from.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use futures_util::future::BoxFuture;

use super::hash::{Md5, ObjectId};

/// What a remote does. Whoever transfers decides how many of these run at the same time, compares hashes, and sends the
/// lists of folders after their files.
pub trait Remote: fmt::Debug + Send + Sync {
    /// The address, without secrets.
    fn url(&self) -> &str;

    /// Those of `ids` that are there.
    fn existing<'a>(&'a self, ids: &'a BTreeSet<ObjectId>) -> BoxFuture<'a, Result<BTreeSet<ObjectId>, RemoteError>>;

    /// Uploads the content of a file. The object appears whole or not at all; one that is there is replaced.
    fn put<'a>(&'a self, id: ObjectId, from: &'a Path) -> BoxFuture<'a, Result<(), RemoteError>>;

    /// Downloads an object of at most `bytes_max` bytes into the new file `to`, hashing it on the way; `None` where the
    /// remote does not have it. What it says of itself proves nothing: the caller compares the hash.
    fn get<'a>(
        &'a self,
        id: ObjectId,
        to: &'a Path,
        bytes_max: u64,
    ) -> BoxFuture<'a, Result<Option<Received>, RemoteError>>;

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

/// Why a remote could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address of a kind that is not spoken here.
    #[error("{url} is no address of a folder, of S3 (s3://) or of a web server (https://)")]
    Scheme {
        /// As it is configured.
        url: String,
    },
    /// A file of this machine, or of a remote that is a folder.
    #[error(transparent)]
    Fs(#[from] natureddit_core::fs::FsError),
}
