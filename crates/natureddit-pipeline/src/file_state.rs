//! Content hashes of files that have not been touched since they were last read.
//!
//! A file is known by (path, size, mtime, inode); while these stay, so does its hash, and it is not read; nor is another
//! name (a hard link) of a file that is known. A change that keeps all of them goes unseen: whoever doubts reads everything
//! with `verify`. The table is a cache: a lost or damaged one costs only reading.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};

/// The table of known files, read from and written to one JSON file.
#[derive(Debug)]
pub struct FileStates {
    table_path: PathBuf,
    /// Read every file, whatever the table says.
    verify: bool,
    table: BTreeMap<PathBuf, FileState>,
    /// What the table knows, by what is the same for all names of a file.
    by_inode: HashMap<Looks, ContentHash>,
    changed: bool,
}

/// What tells that a file is still the one that was read: size, mtime in nanoseconds, inode.
pub(crate) type Looks = (u64, u64, u64);

/// What a file looks like now.
pub(crate) fn looks(path: &Path) -> Result<Looks, FsError> {
    let metadata = fs::metadata(path)?;
    let mtime = metadata.modified().map_err(|e| FsError::new("inspect", path, e))?;
    // A time from before 1970 or after 2554 is 0 here: such a file is known by its size and inode alone.
    let mtime_ns = mtime.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
    Ok((metadata.len(), mtime_ns, inode(&metadata)))
}

/// What a file looked like when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    size: u64,
    mtime_ns: u64,
    inode: u64,
    hash: ContentHash,
}

impl FileState {
    fn looks(&self) -> Looks {
        (self.size, self.mtime_ns, self.inode)
    }
}

impl FileStates {
    /// Reads the table; an absent or damaged one is empty. With `verify`, every file is read again.
    #[must_use]
    pub fn read(table_path: &Path, verify: bool) -> Self {
        let table = match fs::optional(fs::read(table_path)) {
            Ok(bytes) => bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "the table of known files is not readable, so files are read again");
                BTreeMap::new()
            }
        };
        let table: BTreeMap<PathBuf, FileState> = table;
        let by_inode = table.values().map(|state| (state.looks(), state.hash)).collect();
        Self { table_path: table_path.to_owned(), verify, table, by_inode, changed: false }
    }

    /// A table that knows no file.
    pub(crate) fn empty() -> Self {
        Self {
            table_path: PathBuf::new(),
            verify: false,
            table: BTreeMap::new(),
            by_inode: HashMap::new(),
            changed: false,
        }
    }

    /// The hash of a file's content.
    ///
    /// # Errors
    /// When it cannot be inspected or read; the error says whether it is not there.
    pub fn hash_file(&mut self, path: &Path) -> Result<ContentHash, FsError> {
        let (size, mtime_ns, inode) = looks(path)?;
        if let Some(known) = self.table.get(path)
            && !self.verify
            && known.looks() == (size, mtime_ns, inode)
        {
            return Ok(known.hash);
        }
        // Without inodes, two files that look alike may be two.
        let linked = self.by_inode.get(&(size, mtime_ns, inode)).filter(|_| inode != 0 && !self.verify);
        let hash = linked.copied().map_or_else(|| ContentHash::of_file(path), Ok)?;
        let state = FileState { size, mtime_ns, inode, hash };
        self.by_inode.insert(state.looks(), hash);
        if self.table.insert(path.to_owned(), state) != Some(state) {
            self.changed = true;
        }
        Ok(hash)
    }

    /// The hash of all files below a folder, by their relative paths and contents; empty folders and links do not count.
    ///
    /// # Errors
    /// When the folder is not there or a file cannot be read.
    pub fn hash_folder(&mut self, folder: &Path) -> Result<ContentHash, FsError> {
        let mut hasher = ContentHasher::new();
        for path in fs::walk(folder)? {
            let hash = self.hash_file(&path)?;
            let relative = path.strip_prefix(folder).unwrap_or(&path);
            for name in relative.components() {
                hasher.part(name.as_os_str().as_encoded_bytes());
            }
            // Names are never empty, so an empty part ends the path.
            hasher.part("").part(hash.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// The hash of some files of a folder; one that is not there counts as absent, which differs from empty.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn hash_files(&mut self, folder: &Path, names: &[&str]) -> Result<ContentHash, FsError> {
        let mut hasher = ContentHasher::new();
        for name in names {
            if let Some(hash) = fs::optional(self.hash_file(&folder.join(name)))? {
                hasher.part(name).part(hash.as_bytes());
            }
        }
        Ok(hasher.finish())
    }

    /// A table that knows what this one knows, for another thread; [`FileStates::absorb`] brings back what that one read.
    pub(crate) fn fork(&self) -> Self {
        Self {
            table_path: self.table_path.clone(),
            verify: self.verify,
            table: self.table.clone(),
            by_inode: self.by_inode.clone(),
            changed: false,
        }
    }

    /// Takes over what a fork read. What both know is true of the file as each found it, and is looked at again anyway.
    pub(crate) fn absorb(&mut self, fork: Self) {
        if fork.changed {
            self.table.extend(fork.table);
            self.by_inode.extend(fork.by_inode);
            self.changed = true;
        }
    }

    /// Tells the table that a folder was renamed, so that its files need not be read again.
    pub(crate) fn folder_renamed(&mut self, from: &Path, to: &Path) {
        let inside: Vec<PathBuf> = self.table.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in inside {
            if let (Some(state), Ok(relative)) = (self.table.remove(&path), path.strip_prefix(from)) {
                self.table.insert(to.join(relative), state);
                self.changed = true;
            }
        }
    }

    /// Writes the table if it changed, without the files that are gone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self) -> Result<(), FsError> {
        if !self.changed {
            return Ok(());
        }
        self.table.retain(|path, _| path.exists());
        let entries: serde_json::Map<_, _> = self.table.iter().filter_map(table_entry).collect();
        fs::write_atomic(&self.table_path, serde_json::Value::Object(entries).to_string())?;
        self.changed = false;
        Ok(())
    }
}

/// A second name for a file that nobody changes; a copy where the file system has no such names.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<(), FsError> {
    match fs::hard_link(from, to, &fs::beside(to)) {
        Ok(()) => Ok(()),
        Err(error) if error.is_not_found() => Err(error),
        Err(_) => fs::copy(from, to),
    }
}

/// A row of the table; a path that is not UTF-8 has no JSON text and is left out.
fn table_entry((path, state): (&PathBuf, &FileState)) -> Option<(String, serde_json::Value)> {
    Some((path.to_str()?.to_owned(), serde_json::to_value(state).ok()?))
}

/// Fills `bytes` from a place in a file that others may be reading too.
#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Fills `bytes` from a place in a file that others may be reading too.
#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (bytes, at) = (&mut bytes[read..], at + read as u64);
    }
    Ok(())
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}
