//! The cache: every content once, under its hash, and never changed again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use natureddit_core::Clock;
use natureddit_core::fs::{self, Fingerprint, FsError};

use super::config::LinkType;
use super::error::DvcError;
use super::hash::{HashKind, Hasher, Md5, ObjectId};
use super::lanes;
use super::scan::Storing;
use super::state::{self, State};
use super::tree::Tree;

/// The mode of objects: nobody writes to them.
const OBJECT_MODE: u32 = 0o444;
/// Smaller files are held in memory whole, so that one that is in the cache already is not written again.
pub(super) const WHOLE_BYTES_MAX: u64 = 16 << 20;
const PART_BYTES: usize = 1 << 20;

/// The objects of a repository on this machine.
#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
    folder: PathBuf,
    pub(super) links: Vec<LinkType>,
    clock: Clock,
    /// Read when it is asked for the first time, or before.
    state: Arc<OnceLock<Mutex<State>>>,
    /// Those that were read.
    lists: Mutex<BTreeMap<ObjectId, Arc<Tree>>>,
    /// What was written since the last [`Cache::sync`].
    unsynced: Mutex<Vec<PathBuf>>,
    /// Whether the file system said that it has no reflinks: it need not say so again of each file.
    pub(super) has_no_reflinks: AtomicBool,
}

/// What is known of a file of the work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) md5: Md5,
    pub(super) print: Fingerprint,
    /// Whether a later change is sure to show.
    is_settled: bool,
}

impl Cache {
    pub(super) fn new(root: &Path, folder: PathBuf, links: Vec<LinkType>, clock: Clock) -> Self {
        let state = Arc::<OnceLock<_>>::default();
        let (early, path) = (Arc::clone(&state), state_path(root));
        // While this thread reads the settings and the pointers, for nearly all commands ask for it.
        rayon::spawn(move || _ = early.get_or_init(|| Mutex::new(State::read(path))));
        Self {
            root: root.to_owned(),
            folder,
            links,
            clock,
            state,
            lists: Mutex::default(),
            unsynced: Mutex::default(),
            has_no_reflinks: AtomicBool::new(false),
        }
    }

    pub(super) fn path(&self, id: ObjectId) -> PathBuf {
        self.folder.join(id.path())
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        let state = self.state.get_or_init(|| Mutex::new(State::read(state_path(&self.root))));
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lists(&self) -> std::sync::MutexGuard<'_, BTreeMap<ObjectId, Arc<Tree>>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By what a path is remembered.
    pub(super) fn key(&self, path: &Path) -> String {
        state::key(&self.root, path)
    }

    /// The hash of a file of the work tree, if it is known without reading it.
    pub(super) fn known(&self, key: &str, print: Fingerprint, kind: HashKind) -> Option<Md5> {
        self.state().get(key, print, kind)
    }

    /// As [`Cache::known`] for files below a folder, by their paths below it, which are sorted.
    pub(super) fn known_below<'a>(
        &self,
        folder: &Path,
        files: impl Iterator<Item = (&'a str, Fingerprint)>,
        kind: HashKind,
    ) -> Vec<Option<Md5>> {
        self.state().get_below(&self.key(folder), files, kind)
    }

    /// Remembers the hash of a file of the work tree.
    pub(super) fn remember(&self, key: &str, kind: HashKind, hashed: &Hashed) {
        if hashed.is_settled {
            self.state().set(key.to_owned(), hashed.print, kind, hashed.md5);
        }
    }

    /// Remembers a file that was put into the work tree as an object is: its time was set back, or it is the object.
    pub(super) fn remember_placed(&self, path: &Path, print: Fingerprint, id: ObjectId) {
        self.state().set(self.key(path), print, id.kind, id.md5);
    }

    /// Forgets the files below a folder that are not among `names`, paths below it, which are sorted.
    pub(super) fn remember_only<'a>(&self, folder: &Path, names: impl Iterator<Item = &'a str>) {
        self.state().keep_below(&self.key(folder), names);
    }

    /// Writes what was remembered. It is only a memory: to go without it is slower and nothing else.
    pub(super) fn write_state(&self) {
        if let Err(error) = self.state().write() {
            tracing::warn!(%error, cause = %error.source, "what was hashed is not remembered");
        }
    }

    /// Hashes a file of the work tree.
    pub(super) fn hash(&self, path: &Path, kind: HashKind) -> Result<Hashed, DvcError> {
        let reading = self.begin(path)?;
        let mut hasher = Hasher::of_kind(kind);
        copy_to(&reading.file, path, |part| {
            hasher.update(part);
            Ok(())
        })?;
        reading.finish(hasher.finish())
    }

    /// As [`Cache::hash`] or [`Cache::store`] for files that are hashed side by side, held in memory whole: those of one
    /// of [`lanes::groups`]. What `memory` held is of no interest to anybody; to use it again is faster.
    pub(super) fn take_together(
        &self,
        paths: &[PathBuf],
        storing: Storing,
        memory: &mut Vec<u8>,
    ) -> Result<Vec<Hashed>, DvcError> {
        memory.clear();
        let mut readings = Vec::new();
        for path in paths {
            let (reading, start) = (self.begin(path)?, memory.len());
            memory.reserve(reading.before.bytes as usize + 1);
            let read = (&reading.file).take(WHOLE_BYTES_MAX + 1).read_to_end(memory);
            read.map_err(|e| FsError::new("read", path, e))?;
            readings.push((reading, start..memory.len()));
        }
        let contents: Vec<&[u8]> = readings.iter().map(|(_, range)| &memory[range.clone()]).collect();
        let finished = readings.into_iter().zip(lanes::md5_of_each(&contents));
        let finished = finished.map(|((reading, range), md5)| reading.finish((md5, range.len() as u64)));
        let hashed = finished.collect::<Result<Vec<_>, _>>()?;
        if storing == Storing::Yes {
            for (hashed, content) in hashed.iter().zip(contents) {
                self.put_unless_there(ObjectId { kind: HashKind::Md5, md5: hashed.md5, is_dir: false }, content)?;
            }
        }
        Ok(hashed)
    }

    fn put_unless_there(&self, id: ObjectId, content: &[u8]) -> Result<(), FsError> {
        if self.has_right(id, content.len() as u64)? { Ok(()) } else { self.put(id, content) }
    }

    /// Hashes a file of the work tree and stores its content.
    pub(super) fn store(&self, path: &Path, kind: HashKind) -> Result<Hashed, DvcError> {
        let reading = self.begin(path)?;
        let mut hasher = Hasher::of_kind(kind);
        if reading.before.bytes <= WHOLE_BYTES_MAX {
            let mut content = Vec::with_capacity(reading.before.bytes as usize + 1);
            let read = (&reading.file).take(WHOLE_BYTES_MAX + 1).read_to_end(&mut content);
            read.map_err(|e| FsError::new("read", path, e))?;
            hasher.update(&content);
            let hashed = reading.finish(hasher.finish())?;
            self.put_unless_there(ObjectId { kind, md5: hashed.md5, is_dir: false }, &content)?;
            return Ok(hashed);
        }
        // Written before its name is known.
        let partial = fs::beside(&self.folder.join("files/md5/new"));
        let new = self.create(&partial)?;
        let copied = copy_to(&reading.file, path, |part| {
            hasher.update(part);
            (&new).write_all(part).map_err(|e| FsError::new("write", &partial, e))
        });
        let hashed = copied.map_err(DvcError::from).and_then(|()| reading.finish(hasher.finish()));
        let hashed = hashed.inspect_err(|_| {
            // It is of no use to anybody; that it could not be removed changes nothing for the caller.
            let _ = fs::remove_file(&partial);
        })?;
        self.adopt(ObjectId { kind, md5: hashed.md5, is_dir: false }, &partial, &new)?;
        Ok(hashed)
    }

    fn begin(&self, path: &Path) -> Result<Reading, DvcError> {
        let file = fs::open(path)?;
        let metadata = file.metadata().map_err(|e| FsError::new("inspect", path, e))?;
        let before = Fingerprint::of(&metadata);
        let is_settled = before.tells_changes_since(self.clock.now());
        Ok(Reading { path: path.to_owned(), file, before, is_settled })
    }

    /// Whether an object is there and as long as it must be: one that a full disk cut is stored again.
    fn has_right(&self, id: ObjectId, bytes: u64) -> Result<bool, FsError> {
        fs::optional(fs::metadata(&self.path(id))).map(|found| found.is_some_and(|found| found.len() == bytes))
    }

    /// Stores bytes whose hash is known.
    pub(super) fn put(&self, id: ObjectId, content: &[u8]) -> Result<(), FsError> {
        let partial = fs::beside(&self.path(id));
        let file = self.create(&partial)?;
        let written = (&file).write_all(content).map_err(|e| FsError::new("write", &partial, e));
        written.and_then(|()| self.adopt(id, &partial, &file)).inspect_err(|_| {
            let _ = fs::remove_file(&partial);
        })
    }

    /// A new file in the cache, in a folder that is made.
    fn create(&self, path: &Path) -> Result<File, FsError> {
        in_folder(path, fs::create)
    }

    /// Where an object may be received to, in the file system of the cache.
    pub(super) fn partial(&self, id: ObjectId) -> Result<PathBuf, FsError> {
        let path = self.path(id);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::beside(&path))
    }

    /// Takes a file whose hash was compared as an object.
    pub(super) fn adopt_received(&self, id: ObjectId, partial: &Path) -> Result<(), FsError> {
        self.adopt(id, partial, &fs::open(partial)?)
    }

    fn adopt(&self, id: ObjectId, partial: &Path, file: &File) -> Result<(), FsError> {
        let path = self.path(id);
        fs::set_permissions(file, partial, OBJECT_MODE)?;
        let print = Fingerprint::of(&file.metadata().map_err(|e| FsError::new("inspect", partial, e))?);
        in_folder(&path, |path| fs::rename_unsynced(partial, path))?;
        // Nobody changes an object, so that its time need not be waited for.
        self.state().set(self.key(&path), print, id.kind, id.md5);
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).push(path);
        Ok(())
    }

    /// Makes the objects last that were written: before anything that points to them.
    pub(super) fn sync(&self) -> Result<(), FsError> {
        let paths = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        fs::sync_many(&paths)
    }

    /// Names the objects that were written since the last time without waiting for the disk.
    pub(super) fn forget_unsynced(&self) {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The list of a folder; `None` where the cache does not have it.
    pub(super) fn tree(&self, id: ObjectId) -> Result<Option<Arc<Tree>>, DvcError> {
        if let Some(tree) = self.known_tree(id) {
            return Ok(Some(tree));
        }
        let Some(bytes) = fs::optional(fs::read(&self.path(id)))? else { return Ok(None) };
        let (found, tree) = rayon::join(|| Md5::of(&bytes), || Tree::parse(&bytes));
        if found != id.md5 {
            return Err(self.set_aside(id, found)?);
        }
        let tree = Arc::new(tree.map_err(|source| DvcError::Tree { id, source })?);
        self.lists().insert(id, Arc::clone(&tree));
        Ok(Some(tree))
    }

    /// The list of a folder, if it was read already.
    pub(super) fn known_tree(&self, id: ObjectId) -> Option<Arc<Tree>> {
        self.lists().get(&id).cloned()
    }

    /// Every object.
    pub(super) fn list(&self) -> Result<BTreeSet<ObjectId>, FsError> {
        let mut ids = BTreeSet::new();
        for folder in self.folders()? {
            for (object, _) in fs::entries(&self.folder.join(&folder))? {
                ids.extend(ObjectId::from_path(&format!("{folder}/{}", object.to_string_lossy())));
            }
        }
        Ok(ids)
    }

    /// The folders in which objects lie, in both layouts: `files/md5/5d` and `5d`.
    fn folders(&self) -> Result<Vec<String>, FsError> {
        let mut folders = Vec::new();
        for top in ["files/md5/", ""] {
            for (name, kind) in fs::optional(fs::entries(&self.folder.join(top)))?.unwrap_or_default() {
                if kind == fs::Kind::Folder && name.len() == 2 {
                    folders.push(format!("{top}{}", name.to_string_lossy()));
                }
            }
        }
        Ok(folders)
    }

    /// What was being written when a run was killed, and what is being written now.
    pub(super) fn partials(&self) -> Result<Vec<PathBuf>, FsError> {
        // Those of large files lie above the others, for their names are not known yet.
        let mut partials = fs::partials(&self.folder.join("files/md5"))?;
        for folder in self.folders()? {
            partials.extend(fs::partials(&self.folder.join(folder))?);
        }
        Ok(partials)
    }

    /// Removes an object.
    pub(super) fn remove(&self, id: ObjectId) -> Result<(), FsError> {
        let path = self.path(id);
        self.lists().remove(&id);
        fs::remove_file(&path)?;
        self.state().remove(&self.key(&path));
        Ok(())
    }
}

fn state_path(root: &Path) -> PathBuf {
    root.join(".dvc/tmp/natureddit.state")
}

/// Makes something at a path, and its folder where there is none: of many it is there for nearly all.
fn in_folder<T>(path: &Path, make: impl Fn(&Path) -> Result<T, FsError>) -> Result<T, FsError> {
    match make(path) {
        Err(error) if error.is_not_found() => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            make(path)
        }
        made => made,
    }
}

/// A file that is being read.
struct Reading {
    path: PathBuf,
    file: File,
    before: Fingerprint,
    is_settled: bool,
}

impl Reading {
    /// Takes the hash of what was read, and its length, unless the file changed meanwhile.
    fn finish(self, (md5, bytes): (Md5, u64)) -> Result<Hashed, DvcError> {
        let after = Fingerprint::of(&self.file.metadata().map_err(|e| FsError::new("inspect", &self.path, e))?);
        if after != self.before || bytes != after.bytes {
            return Err(DvcError::Changing { path: self.path });
        }
        Ok(Hashed { md5, print: after, is_settled: self.is_settled })
    }
}

/// Hands over a file part by part.
pub(super) fn copy_to(
    mut file: &File,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), FsError>,
) -> Result<(), FsError> {
    let mut part = vec![0; PART_BYTES];
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&part[..length])?,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(FsError::new("read", path, e)),
        }
    }
}
