//! An object on its way into a file: hashed and written as it comes, away from the threads on which others wait.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use natureddit_core::fs::{self, FsError};
use natureddit_net::BodySink;

use super::{Received, RemoteError};
use crate::dvc::hash::{HashKind, Hasher, ObjectId};
use crate::images::on_a_thread;

/// What is gathered before a thread is asked for.
const PIECE_BYTES: usize = 1 << 20;

/// The file that an object is written into. Dropped before it is kept, it removes what it made.
pub(super) struct Target {
    path: PathBuf,
    file: Option<File>,
    hasher: Hasher,
    is_kept: bool,
}

impl Target {
    /// Makes no file yet.
    pub(super) fn new(id: ObjectId, path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, hasher: Hasher::new(id), is_kept: false }
    }

    /// Writes an object at once whose hash is known; the file stays if all of it was written.
    pub(super) fn put(path: &Path, content: &[u8]) -> Result<(), FsError> {
        let mut file = fs::create(path)?;
        file.write_all(content).map_err(|e| {
            // Half an object is of no use; that it could not be removed changes nothing for the caller.
            let _ = fs::remove_file(path);
            FsError::new("write", path, e)
        })
    }

    pub(super) fn write(&mut self, part: &[u8]) -> Result<(), FsError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(fs::create(&self.path)?),
        };
        self.hasher.update(part);
        file.write_all(part).map_err(|e| FsError::new("write", &self.path, e))
    }

    /// The file stays.
    pub(super) fn keep(mut self) -> Result<Received, FsError> {
        // Of an empty object too there is a file.
        self.write(&[])?;
        self.is_kept = true;
        let hasher = std::mem::replace(&mut self.hasher, Hasher::of_kind(HashKind::Md5));
        let (md5, bytes) = hasher.finish();
        Ok(Received { md5, bytes })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.file.take().is_some() && !self.is_kept {
            // Half an object is of no use; that it could not be removed changes nothing for the caller.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Gathers what comes from a server for a [`Target`].
pub(super) struct Incoming<'a> {
    id: ObjectId,
    /// The remote's address.
    url: &'a str,
    to: &'a Path,
    bytes_max: u64,
    bytes: u64,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    target: Option<Target>,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(id: ObjectId, url: &'a str, to: &'a Path, bytes_max: u64) -> Self {
        let target = Some(Target::new(id, to));
        Self { id, url, to, bytes_max, bytes: 0, waiting: Vec::new(), waiting_bytes: 0, target }
    }

    pub(super) fn too_many_bytes(&self) -> RemoteError {
        RemoteError::TooManyBytes { url: self.url.to_owned(), id: self.id, bytes_max: self.bytes_max }
    }

    /// What came so far, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the rest; the file stays.
    pub(super) async fn finish(mut self) -> Result<Received, RemoteError> {
        let (parts, target) = (std::mem::take(&mut self.waiting), self.take_target());
        let finished = on_a_thread(move || write(target, &parts)?.keep()).await;
        Ok(finished?)
    }

    async fn flush(&mut self) -> Result<(), RemoteError> {
        let (parts, target) = (std::mem::take(&mut self.waiting), self.take_target());
        self.waiting_bytes = 0;
        self.target = Some(on_a_thread(move || write(target, &parts)).await?);
        Ok(())
    }

    /// It is away only while a thread writes, and for good after an error, when its file is gone.
    fn take_target(&mut self) -> Target {
        self.target.take().unwrap_or_else(|| Target::new(self.id, self.to))
    }
}

fn write(mut target: Target, parts: &[Bytes]) -> Result<Target, FsError> {
    parts.iter().try_for_each(|part| target.write(part))?;
    Ok(target)
}

impl BodySink for Incoming<'_> {
    type Error = RemoteError;

    async fn restart(&mut self) -> Result<(), RemoteError> {
        (self.bytes, self.waiting_bytes) = (0, 0);
        self.waiting.clear();
        // The old one removes its file before the new one makes it.
        self.target = None;
        self.target = Some(Target::new(self.id, self.to));
        Ok(())
    }

    async fn take(&mut self, part: Bytes) -> Result<(), RemoteError> {
        self.bytes += part.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(self.too_many_bytes());
        }
        self.waiting_bytes += part.len();
        self.waiting.push(part);
        if self.waiting_bytes < PIECE_BYTES { Ok(()) } else { self.flush().await }
    }
}
