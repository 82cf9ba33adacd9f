//! The file system: every error names the path, and what must not be torn is written beside and renamed.

#![expect(clippy::disallowed_methods, reason = "this module is what the rest of the program calls instead of std::fs")]

mod tree;

pub use tree::{
    Fingerprint, Kind, OpenFolder, entries, entries_up_to, fingerprint, hard_link, is_executable, kind, link_count,
    new_file_mode, permissions, read_link, remove_empty_dir, set_modified, set_permissions, symlink,
};

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A failed operation on a path.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {path}", path = path.display())]
pub struct FsError {
    /// What was tried, a verb: `read`, `write`, `rename`.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// An error of `operation` on `path`.
    #[must_use]
    pub fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }

    /// Whether the path was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether the file is over the limit of [`read_limited`].
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.source.kind() == io::ErrorKind::FileTooLarge
    }
}

/// The result of a file operation.
pub type Result<T> = std::result::Result<T, FsError>;

/// Turns an absent file into `None`.
///
/// # Errors
/// Every error but "not found".
pub fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// The whole file.
///
/// # Errors
/// With the path.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| FsError::new("read", path, e))
}

/// The whole file, at most `bytes_max` bytes of it: a longer file is an error, not a part. What is read is counted and
/// not what the file system says, for a device has no length and may have no end.
///
/// # Errors
/// With the path.
pub fn read_limited(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let failed = |e| FsError::new("read", path, e);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    if length <= bytes_max {
        bytes.reserve_exact(usize::try_from(length).unwrap_or_default());
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    }
    if length.max(bytes.len() as u64) > bytes_max {
        let why = format!("it has more than {bytes_max} bytes, which is the limit");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, why)));
    }
    Ok(bytes)
}

/// The whole file as UTF-8.
///
/// # Errors
/// With the path; also when it is not UTF-8.
pub fn read_to_string(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| FsError::new("read", path, e))
}

/// Opens a file for reading.
///
/// # Errors
/// With the path.
pub fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| FsError::new("open", path, e))
}

/// Creates or empties a file for writing. What must not be torn goes through [`write_atomic`].
///
/// # Errors
/// With the path.
pub fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|e| FsError::new("create", path, e))
}

/// Opens a file for appending, creating it.
///
/// # Errors
/// With the path.
pub fn append(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| FsError::new("open", path, e))
}

/// As [`append`]; a file that is made is for its owner alone.
///
/// # Errors
/// With the path.
pub fn append_private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| FsError::new("open", path, e))
}

/// Replaces a file's content so that a reader, or a crash, sees the old bytes or the new ones: written to a
/// temporary name beside it, synced, renamed, and the folder synced. Missing parent folders are made.
///
/// # Errors
/// With the path; the old content is then untouched, unless it was the last step, syncing the folder, that failed.
pub fn write_atomic(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes.as_ref()))
}

/// As [`write_atomic`], with a writer: what `write` puts into the file appears whole or not at all.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_atomic_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    write_whole(path, OpenOptions::new().write(true).create_new(true), write)
}

/// Writes into a new file beside `path`, made with `options`, and moves that into its place.
fn write_whole(path: &Path, options: &OpenOptions, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    replace(path, options, |file| {
        write(file)?;
        file.sync_data()
    })?;
    sync_parent(path)
}

/// As [`write_atomic`] for many small files: a killed process leaves the old or the new bytes, but only [`sync_files`]
/// makes them last, and until then a power cut may leave an empty file. To be told of only after that.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_unsynced(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_unsynced_with(path, |file| file.write_all(bytes.as_ref()))
}

/// As [`write_unsynced`], with a writer: what `write` puts into the file appears whole or not at all.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_unsynced_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    replace(path, OpenOptions::new().write(true).create_new(true), write)
}

/// Moves a file within one file system; only [`sync_files`] or [`sync_many`] makes that last.
///
/// # Errors
/// With the destination.
pub fn rename_unsynced(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| FsError::new("rename to", to, e))
}

/// As [`sync_files`], for so many files that the whole file system is synced in less time, where there is a way to.
///
/// # Errors
/// As [`sync_files`].
pub fn sync_many(paths: &[PathBuf]) -> Result<()> {
    if sync_file_system_of(paths)? { Ok(()) } else { sync_files(paths) }
}

/// Syncs the whole file system that the paths are in, with all folders above them, if there are so many that this takes less
/// time than each for itself; whether it did.
///
/// # Errors
/// With the folder that could not be synced.
pub fn sync_file_system_of(paths: &[PathBuf]) -> Result<bool> {
    /// Each file for itself takes longer from some such number on.
    #[cfg(target_os = "linux")]
    const FILES_MAX: usize = 32;
    #[cfg(target_os = "linux")]
    if let Some(first) = paths.first().filter(|_| paths.len() > FILES_MAX) {
        let folder = first.parent().unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
        return synced.map(|()| true).map_err(|e| FsError::new("sync", folder, e));
    }
    let _ = paths;
    Ok(false)
}

/// Makes what [`write_unsynced`] wrote last, and the names in the folders. A file that is gone needs nothing.
///
/// # Errors
/// With the path that could not be synced.
pub fn sync_files(paths: &[PathBuf]) -> Result<()> {
    // Only on Unix can a file be synced that is open for reading.
    for path in paths.iter().filter(|_| cfg!(unix)) {
        let synced = File::open(path).and_then(|file| file.sync_data());
        optional(synced.map_err(|e| FsError::new("sync", path, e)))?;
    }
    let folders: BTreeSet<_> = paths.iter().filter_map(|path| path.parent()).collect();
    folders.into_iter().try_for_each(sync_folder)
}

fn replace(path: &Path, options: &OpenOptions, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let partial = beside(path);
    let opened = match (options.open(&partial), path.parent()) {
        // Of many files the folder is there for nearly all.
        (Err(e), Some(parent)) if e.kind() == io::ErrorKind::NotFound => {
            create_dir_all(parent)?;
            options.open(&partial)
        }
        (opened, _) => opened,
    };
    let written = opened.and_then(|mut file| write(&mut file));
    let renamed = written.and_then(|()| fs::rename(&partial, path));
    renamed.map_err(|e| {
        // The partial file is of no use to anybody; that it could not be removed changes nothing for the caller.
        let _ = fs::remove_file(&partial);
        FsError::new("write", path, e)
    })
}

/// Makes a rename lasting.
fn sync_parent(path: &Path) -> Result<()> {
    sync_folder(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes the names in a folder lasting: they are its content, which is synced for itself.
fn sync_folder(folder: &Path) -> Result<()> {
    // Where folders cannot be opened (Windows, a folder that may be written and not read) there is no way to sync them.
    let Ok(opened) = File::open(folder) else { return Ok(()) };
    match opened.sync_all() {
        // File systems that cannot sync a folder say so in these two ways.
        Err(e) if !matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Err(FsError::new("sync", folder, e))
        }
        _ => Ok(()),
    }
}

/// A name beside `path` that no other writer uses: hidden, with a number of this process and a counter. The number is
/// drawn, for process ids come back: in a container every run has the same one, and finds what a killed one left. Of a long
/// name it has the beginning: file systems take 255 bytes.
#[must_use]
pub fn beside(path: &Path) -> PathBuf {
    const NAME_BYTES_MAX: usize = 180;
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{:016x}-{unique}.partial", *PROCESS))
}

/// Makes a folder and its parents.
///
/// # Errors
/// With the path.
pub fn create_dir_all(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(|e| FsError::new("create", path, e))
}

/// Makes a folder that only its owner may look into, and its parents; one that is there already stays as it is.
///
/// # Errors
/// With the path.
pub fn create_private_dir(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    // Unless it is told to make the parents too, this fails where the folder is.
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(e) if !path.is_dir() => Err(FsError::new("create", path, e)),
        _ => Ok(()),
    }
}

/// The paths in a folder, sorted by name.
///
/// # Errors
/// With the path.
pub fn read_dir(path: &Path) -> Result<Vec<PathBuf>> {
    let wrap = |e| FsError::new("list", path, e);
    let entries = fs::read_dir(path).map_err(wrap)?;
    let mut paths = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>().map_err(wrap)?;
    paths.sort();
    Ok(paths)
}

/// Every file below a folder, sorted by path; links are not followed.
///
/// # Errors
/// With the path that failed.
pub fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in read_dir(&folder)? {
            let kind = fs::symlink_metadata(&path).map_err(|e| FsError::new("inspect", &path, e))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Size, times and kind of a path.
///
/// # Errors
/// With the path.
pub fn metadata(path: &Path) -> Result<Metadata> {
    fs::metadata(path).map_err(|e| FsError::new("inspect", path, e))
}

/// Moves a file or folder within one file system, for good: a crash afterwards does not undo it, nor lose the names in the
/// folder (those in folders below it are whoever's that wrote them).
///
/// # Errors
/// With the destination.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        sync_folder(from)?;
    }
    fs::rename(from, to).map_err(|e| FsError::new("rename to", to, e))?;
    sync_parent(to)
}

/// Copies a file with its permissions. The copy is synced, for the folder it is in may be renamed into place next, and
/// after a crash the name must not stand for an empty file.
///
/// # Errors
/// With the destination.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = |e| FsError::new("copy to", to, e);
    fs::copy(from, to).map_err(failed)?;
    // Only on Unix can a file be synced that is open for reading, and the copy of a read-only file is read-only.
    if cfg!(unix) { File::open(to).and_then(|copy| copy.sync_data()).map_err(failed) } else { Ok(()) }
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// With the path.
pub fn remove_file(path: &Path) -> Result<()> {
    optional(fs::remove_file(path).map_err(|e| FsError::new("remove", path, e))).map(|_| ())
}

/// Removes a folder and all below it; one that is not there is no error.
///
/// # Errors
/// With the path.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    optional(fs::remove_dir_all(path).map_err(|e| FsError::new("remove", path, e))).map(|_| ())
}

/// Writes a file that only its owner may read, never readable by others in between.
///
/// # Errors
/// With the path.
pub fn write_private(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_private_with(path, |file| file.write_all(bytes.as_ref()))
}

fn write_private_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        // At creation: who opens a file while it may be read can read what is written to it later.
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    write_whole(path, &options, write)
}

/// The lock of a file, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Whether the locked file has no name any more: somebody else may lock another one at its path.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| tree::link_count(&metadata) == 0)
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a process that another thread is just starting holds a copy of it for a moment,
    /// and with that the lock.
    fn drop(&mut self) {
        // Fails only where there is no lock to give back.
        let _ = self.file.unlock();
    }
}

/// Takes the lock of a file without waiting, making the file and its folder; `None` while somebody else holds it, in this
/// process or another. The file stays: its presence means nothing.
///
/// # Errors
/// With the path.
pub fn try_lock(path: &Path) -> Result<Option<Lock>> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    let file = append(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(FsError::new("lock", path, e)),
    }
}

/// As [`try_lock`], but waits while somebody else holds it: for work that is done in moments.
///
/// # Errors
/// With the path.
pub fn lock(path: &Path) -> Result<Lock> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    let file = append(path)?;
    file.lock().map_err(|e| FsError::new("lock", path, e))?;
    Ok(Lock { file })
}

/// The files that a killed [`write_atomic`] left in a folder (not below it), and those that are being written there.
///
/// # Errors
/// With the path; a folder that is not there is no error.
pub fn partials(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_partial = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.') && name.ends_with(".partial") && !path.is_dir()
    };
    Ok(optional(read_dir(folder))?.unwrap_or_default().into_iter().filter(is_partial).collect())
}

/// Removes the [`partials`] of a folder. Nothing else may be writing there.
///
/// # Errors
/// With the path; a folder that is not there is no error.
pub fn remove_partials(folder: &Path) -> Result<()> {
    partials(folder)?.iter().try_for_each(|path| remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_as_long_as_the_file_system_takes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["z".repeat(255), "é".repeat(127)] {
            let path = folder.path().join(&name);
            write_atomic(&path, "content").unwrap();
            assert_eq!(read_to_string(&path).unwrap(), "content");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file.txt");
        write_atomic(&path, "old").unwrap();
        let error = write_atomic_with(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "no space"))
        });
        assert_eq!(error.unwrap_err().path, path);
        assert_eq!(read_to_string(&path).unwrap(), "old");
        assert_eq!(read_dir(path.parent().unwrap()).unwrap(), std::slice::from_ref(&path));
    }

    #[test]
    fn files_are_synced_later_and_one_that_is_gone_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join("deep").join(name));
        write_unsynced(&paths[0], "one").unwrap();
        write_unsynced(&paths[0], "two").unwrap();
        sync_files(&paths).unwrap();
        assert_eq!(read_to_string(&paths[0]).unwrap(), "two");
        assert_eq!(read_dir(&folder.path().join("deep")).unwrap(), paths[..1]);
        // Below a file nothing can be, and that is not the same as not being there.
        assert!(sync_files(&[paths[0].join("c")]).is_err());
    }

    #[test]
    fn what_a_killed_write_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("photo.jpg");
        write_atomic(&kept, "whole").unwrap();
        let foreign = folder.path().join(".bundle.partial");
        create_dir_all(&foreign).unwrap();
        create(&beside(&kept)).unwrap();
        remove_partials(folder.path()).unwrap();
        assert_eq!(read_dir(folder.path()).unwrap(), [foreign, kept]);
        remove_partials(&folder.path().join("absent")).unwrap();
    }

    /// Process ids come back: in a container the first process has number 1 at every start.
    #[test]
    fn what_a_killed_process_left_is_in_nobodys_way() {
        let partial = beside(Path::new("data/posts.csv"));
        let name = partial.file_name().unwrap().to_str().unwrap();
        let writer = name.strip_prefix(".posts.csv.").unwrap().split_once('-').unwrap().0;
        assert_eq!(writer.len(), 16, "{name}");
        assert_ne!(writer, std::process::id().to_string());
        assert_ne!(beside(Path::new("data/posts.csv")), partial);
    }

    #[test]
    fn a_copy_has_the_content_and_the_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        write_private(&from, "weights").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(read(&to).unwrap(), b"weights");
        assert_eq!(metadata(&to).unwrap().permissions(), metadata(&from).unwrap().permissions());
        assert_eq!(copy(&folder.path().join("absent"), &to).unwrap_err().path, to);
    }

    #[test]
    fn a_lock_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/.lock");
        let lock = try_lock(&path).unwrap();
        assert!(lock.is_some());
        assert!(try_lock(&path).unwrap().is_none());
        drop(lock);
        assert!(try_lock(&path).unwrap().is_some());
        let lock = super::lock(&path).unwrap();
        assert!(try_lock(&path).unwrap().is_none());
        drop(lock);
    }

    #[test]
    fn a_lock_is_given_back_although_a_copy_of_its_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let lock = try_lock(&path).unwrap().unwrap();
        // As a child process has it between fork and exec.
        let _copy = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn the_error_names_the_path() {
        let missing = Path::new("/nowhere/at all");
        let error = read(missing).unwrap_err();
        assert_eq!(error.to_string(), "could not read /nowhere/at all");
        assert!(optional::<Vec<u8>>(Err(error)).unwrap().is_none());
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        write_atomic(&path, [0; 100]).unwrap();
        assert!(read_limited(&path, 99).is_err());
        assert_eq!(read_limited(&path, 100).unwrap().len(), 100);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_without_an_end_is_over_every_limit() {
        assert!(read_limited(Path::new("/dev/zero"), 100).unwrap_err().is_too_large());
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_its_owners() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let mode = |metadata: Metadata| metadata.permissions().mode() & 0o777;
        // Before there is anything to read: made private afterwards, it would be open for a moment.
        let write = |file: &mut File| {
            assert_eq!(mode(file.metadata()?), 0o600);
            file.write_all(b"secret")
        };
        write_private_with(&path, write).unwrap();
        assert_eq!(mode(metadata(&path).unwrap()), 0o600);
        assert_eq!(read(&path).unwrap(), b"secret");
        let log = folder.path().join("log");
        append_private(&log).unwrap().write_all(b"one").unwrap();
        append_private(&log).unwrap().write_all(b"two").unwrap();
        assert_eq!((mode(metadata(&log).unwrap()), read(&log).unwrap().as_slice()), (0o600, &b"onetwo"[..]));
        write_private(&path, "another").unwrap();
        assert_eq!(mode(metadata(&path).unwrap()), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_private_folder_is_its_owners_and_one_that_is_there_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/private");
        let mode = |path: &Path| metadata(path).unwrap().permissions().mode() & 0o777;
        create_private_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        let open = folder.path().join("open");
        create_dir_all(&open).unwrap();
        let before = mode(&open);
        create_private_dir(&open).unwrap();
        assert_eq!(mode(&open), before);
        let file = folder.path().join("file");
        write_atomic(&file, "").unwrap();
        assert_eq!(create_private_dir(&file).unwrap_err().path, file);
    }
}
