//! A remote that is a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use natureddit_core::fs::{self, FsError};
use rayon::prelude::*;

use super::incoming::Target;
use super::{JOBS, Received, Remote, RemoteError, folder_of};
use crate::dvc::hash::ObjectId;
use crate::dvc::lanes::md5_of_each;
use crate::images::on_a_thread;

/// What is read of an object at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Objects up to this length are held in memory whole.
const SMALL_BYTES: u64 = 1 << 20;

/// So many objects are looked for one by one; of more, the folders they would lie in are listed.
const LOOKUPS_MAX: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Local {
    folder: PathBuf,
    shown: String,
    /// What was put and is not synced yet.
    unsynced: Mutex<Vec<PathBuf>>,
}

impl Local {
    pub(super) fn new(folder: PathBuf) -> Self {
        let shown = folder.display().to_string();
        Self { folder, shown, unsynced: Mutex::default() }
    }

    fn path(&self, id: ObjectId) -> PathBuf {
        self.folder.join(id.path())
    }

    fn received(&self, id: ObjectId, outcome: Outcome, bytes_max: u64) -> Result<Option<Received>, RemoteError> {
        match outcome {
            Outcome::Whole(received) => Ok(Some(received)),
            Outcome::Absent => Ok(None),
            Outcome::TooLong => Err(RemoteError::TooManyBytes { url: self.shown.clone(), id, bytes_max }),
        }
    }

    async fn sync_all(&self) -> Result<(), RemoteError> {
        let paths = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        let (is_synced, paths) = on_a_thread(move || (fs::sync_file_system_of(&paths), paths)).await;
        if is_synced? {
            return Ok(());
        }
        let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for path in paths {
            folders.entry(path.parent().unwrap_or(&path).to_owned()).or_default().push(path);
        }
        // Each folder once, with its files; then the folders' own names, for some are new.
        let above: BTreeSet<PathBuf> = folders
            .keys()
            .flat_map(|folder| folder.ancestors().take_while(|above| *above != self.folder))
            .map(Path::to_owned)
            .collect();
        let synced = stream::iter(folders.into_values()).map(|files| on_a_thread(move || fs::sync_files(&files)));
        synced.buffer_unordered(JOBS).try_collect::<()>().await?;
        Ok(on_a_thread(move || fs::sync_files(&Vec::from_iter(above))).await?)
    }
}

impl Remote for Local {
    fn is_near(&self) -> bool {
        true
    }

    fn url(&self) -> &str {
        &self.shown
    }

    fn existing<'a>(&'a self, ids: &'a BTreeSet<ObjectId>) -> BoxFuture<'a, Result<BTreeSet<ObjectId>, RemoteError>> {
        let (folder, ids) = (self.folder.clone(), ids.clone());
        on_a_thread(move || existing(&folder, &ids)).map(|found| Ok(found?)).boxed()
    }

    fn put<'a>(&'a self, id: ObjectId, from: &'a Path) -> BoxFuture<'a, Result<(), RemoteError>> {
        let (from, to) = (from.to_owned(), self.path(id));
        let put = async move {
            let to = on_a_thread(move || copy(&from, &to).map(|()| to)).await?;
            self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).push(to);
            Ok(())
        };
        put.boxed()
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), RemoteError>> {
        self.sync_all().boxed()
    }

    fn get<'a>(
        &'a self,
        id: ObjectId,
        to: &'a Path,
        bytes_max: u64,
    ) -> BoxFuture<'a, Result<Option<Received>, RemoteError>> {
        let (from, target) = (self.path(id), Target::new(id, to));
        let get = async move {
            let outcome = on_a_thread(move || receive(&from, target, bytes_max)).await?;
            self.received(id, outcome, bytes_max)
        };
        get.boxed()
    }

    fn get_each<'a>(
        &'a self,
        wanted: &'a [(ObjectId, PathBuf)],
        bytes_max: u64,
    ) -> BoxFuture<'a, Vec<Result<Option<Received>, RemoteError>>> {
        let named = wanted.iter().map(|(id, to)| (*id, self.path(*id), to.clone())).collect::<Vec<_>>();
        let get = async move {
            let received = on_a_thread(move || receive_each(&named, bytes_max)).await;
            received.into_iter().zip(wanted).map(|(outcome, (id, _))| self.received(*id, outcome?, bytes_max)).collect()
        };
        get.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<BTreeSet<ObjectId>, RemoteError>> {
        let folder = self.folder.clone();
        on_a_thread(move || list(&folder)).map(|found| Ok(found?)).boxed()
    }

    fn remove(&self, id: ObjectId) -> BoxFuture<'_, Result<(), RemoteError>> {
        let path = self.path(id);
        on_a_thread(move || fs::remove_file(&path)).map(|removed| Ok(removed?)).boxed()
    }
}

fn existing(remote: &Path, ids: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, FsError> {
    if ids.len() <= LOOKUPS_MAX {
        let is_there = |id: &ObjectId| fs::optional(fs::metadata(&remote.join(id.path()))).map(|found| found.is_some());
        let found = ids.iter().map(|id| Ok(is_there(id)?.then_some(*id)));
        return found.filter_map(Result::transpose).collect();
    }
    // Sorted as they are, those of one folder stand together.
    let ids: Vec<ObjectId> = ids.iter().copied().collect();
    let folders: Vec<&[ObjectId]> = ids.chunk_by(|a, b| a.prefix() == b.prefix()).collect();
    let there = folders.into_par_iter().map(|ids| {
        let names = ids.first().map_or(Ok(Vec::new()), |id| names_in(&remote.join(folder_of(*id))))?;
        Ok(ids.iter().copied().filter(|id| names.binary_search(&id.name()).is_ok()).collect())
    });
    let there: Vec<Vec<ObjectId>> = there.collect::<Result<_, FsError>>()?;
    Ok(there.into_iter().flatten().collect())
}

fn list(remote: &Path) -> Result<BTreeSet<ObjectId>, FsError> {
    let mut objects = BTreeSet::new();
    for layout in ["files/md5", ""] {
        for folder in names_in(&remote.join(layout))? {
            let is_object_folder = folder.len() == 2 && folder.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_object_folder && remote.join(layout).join(&folder).is_dir() {
                let separator = if layout.is_empty() { "" } else { "/" };
                objects.extend(objects_in(remote, &format!("{layout}{separator}{folder}"))?);
            }
        }
    }
    Ok(objects)
}

fn objects_in(remote: &Path, folder: &str) -> Result<Vec<ObjectId>, FsError> {
    let names = names_in(&remote.join(folder))?;
    Ok(names.iter().filter_map(|name| ObjectId::from_path(&format!("{folder}/{name}"))).collect())
}

/// Those that are text, sorted; of a folder that is not there, none.
fn names_in(folder: &Path) -> Result<Vec<String>, FsError> {
    let entries = fs::optional(fs::entries(folder))?.unwrap_or_default();
    let mut names: Vec<String> = entries.into_iter().filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

/// Copies without reading where the file system can. Objects are read-only, as the real tool makes them.
fn copy(from: &Path, to: &Path) -> Result<(), FsError> {
    let mut source = fs::open(from)?;
    fs::write_unsynced_with(to, |file| {
        io::copy(&mut source, file)?;
        make_read_only(file)
    })
}

fn make_read_only(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    let permissions: Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    #[cfg(not(unix))]
    let permissions: Permissions = file.metadata().map(|found| {
        let mut permissions = found.permissions();
        permissions.set_readonly(true);
        permissions
    })?;
    file.set_permissions(permissions)
}

enum Outcome {
    Whole(Received),
    Absent,
    TooLong,
}

/// Reads, hashes and writes in one pass.
fn receive(from: &Path, mut target: Target, bytes_max: u64) -> Result<Outcome, FsError> {
    let Some(mut source) = fs::optional(fs::open(from))? else { return Ok(Outcome::Absent) };
    let failed = |e| FsError::new("read", from, e);
    let length = source.metadata().map_err(failed)?.len();
    if length > bytes_max {
        return Ok(Outcome::TooLong);
    }
    let mut piece = vec![0; usize::try_from(length).unwrap_or(PIECE_BYTES).clamp(1, PIECE_BYTES)];
    let mut left = bytes_max;
    loop {
        let read = source.read(&mut piece).map_err(failed)?;
        if read == 0 {
            return target.keep().map(Outcome::Whole);
        }
        // It may have grown since.
        let Some(rest) = left.checked_sub(read as u64) else { return Ok(Outcome::TooLong) };
        left = rest;
        target.write(&piece[..read])?;
    }
}

/// As [`receive`]; small ones are hashed side by side.
fn receive_each(wanted: &[(ObjectId, PathBuf, PathBuf)], bytes_max: u64) -> Vec<Result<Outcome, FsError>> {
    // What cannot be read is tried again, and told of, as if it were alone.
    let read = |(id, from, _): &(ObjectId, PathBuf, PathBuf)| {
        if id.is_plain() { fs::read_limited(from, bytes_max.min(SMALL_BYTES)).ok() } else { None }
    };
    let contents: Vec<Option<Vec<u8>>> = wanted.iter().map(read).collect();
    let small: Vec<&[u8]> = contents.iter().flatten().map(Vec::as_slice).collect();
    let mut hashes = md5_of_each(&small).into_iter();
    let outcomes = wanted.iter().zip(&contents).map(|((id, from, to), content)| {
        match content.as_ref().and_then(|content| Some((content, hashes.next()?))) {
            Some((content, md5)) => {
                let received = Received { md5, bytes: content.len() as u64 };
                Target::put(to, content).map(|()| Outcome::Whole(received))
            }
            None => receive(from, Target::new(*id, to), bytes_max),
        }
    });
    outcomes.collect()
}
