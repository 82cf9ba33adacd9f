//! What a tool that versions a tree of files asks of the file system: kinds, fingerprints, links and permissions.

#![expect(clippy::disallowed_methods, reason = "this module is what the rest of the program calls instead of std::fs")]

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{FsError, Result};

/// What a name in a folder stands for; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, to whatever.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

impl Kind {
    fn of(kind: fs::FileType) -> Self {
        match () {
            () if kind.is_symlink() => Self::Link,
            () if kind.is_dir() => Self::Folder,
            () if kind.is_file() => Self::File,
            () => Self::Other,
        }
    }
}

/// The names in a folder and what each stands for, in no order.
///
/// # Errors
/// With the path.
pub fn entries(folder: &Path) -> Result<Vec<(OsString, Kind)>> {
    Ok(entries_up_to(folder, usize::MAX)?.unwrap_or_default())
}

/// As [`entries`]; `None` where there are more than `count_max`.
///
/// # Errors
/// With the path.
pub fn entries_up_to(folder: &Path, count_max: usize) -> Result<Option<Vec<(OsString, Kind)>>> {
    let wrap = |e| FsError::new("list", folder, e);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrap)? {
        let entry = entry.map_err(wrap)?;
        if entries.len() == count_max {
            return Ok(None);
        }
        entries.push((entry.file_name(), Kind::of(entry.file_type().map_err(wrap)?)));
    }
    Ok(Some(entries))
}

/// What a path stands for; a link is not followed.
///
/// # Errors
/// With the path.
pub fn kind(path: &Path) -> Result<Kind> {
    fs::symlink_metadata(path).map(|found| Kind::of(found.file_type())).map_err(|e| FsError::new("inspect", path, e))
}

/// By what a change of a file's content shows without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Its size.
    pub bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its number in the file system; 0 where there is none.
    pub inode: u64,
}

/// Coarse clocks of file systems tick so often at least (Linux at 250 Hz and more, FAT apart).
const TICK_NS: i64 = 20_000_000;
/// Where times have no fractions, the file system may keep even seconds only.
const COARSE_TICK_NS: i64 = 2_000_000_000;

impl Fingerprint {
    /// Of what the file system told.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        let modified_ns = metadata.modified().map_or(0, nanoseconds);
        Self { bytes: metadata.len(), modified_ns, inode }
    }

    /// Whether any change after `then` would show: one in the same tick of the file system's clock would not.
    #[must_use]
    pub fn tells_changes_since(&self, then: jiff::Timestamp) -> bool {
        let tick = if self.modified_ns % 1_000_000_000 == 0 { COARSE_TICK_NS } else { TICK_NS };
        let then = i64::try_from(then.as_nanosecond()).unwrap_or(i64::MAX);
        self.modified_ns.saturating_add(tick) < then
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let signed = |length: Duration| i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}

/// Of a file, links followed.
///
/// # Errors
/// With the path.
pub fn fingerprint(path: &Path) -> Result<Fingerprint> {
    super::metadata(path).map(|metadata| Fingerprint::of(&metadata))
}

/// A folder that is held open: to ask for many names in it spares the system the way to the folder each time.
#[derive(Debug)]
pub struct OpenFolder {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    opened: File,
}

impl OpenFolder {
    /// Opens a folder.
    ///
    /// # Errors
    /// With the path.
    pub fn open(path: &Path) -> Result<Self> {
        #[cfg(target_os = "linux")]
        let opened = File::open(path).map_err(|e| FsError::new("open", path, e))?;
        Ok(Self {
            path: path.to_owned(),
            #[cfg(target_os = "linux")]
            opened,
        })
    }

    /// What a path below the folder stands for, links followed, and its fingerprint.
    ///
    /// # Errors
    /// With the path.
    pub fn inspect(&self, name: &str) -> Result<(Kind, Fingerprint)> {
        #[cfg(target_os = "linux")]
        if let Some(found) = self.inspect_quickly(name) {
            return Ok(found);
        }
        let metadata = super::metadata(&self.path.join(name))?;
        Ok((Kind::of(metadata.file_type()), Fingerprint::of(&metadata)))
    }

    /// `None` for every error, and from kernels that do not know the call.
    #[cfg(target_os = "linux")]
    fn inspect_quickly(&self, name: &str) -> Option<(Kind, Fingerprint)> {
        use rustix::fs::{AtFlags, FileType, StatxFlags, statx};
        let mask = StatxFlags::TYPE | StatxFlags::SIZE | StatxFlags::MTIME | StatxFlags::INO;
        let found = statx(&self.opened, name, AtFlags::empty(), mask).ok()?;
        let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        let time = found.stx_mtime;
        let modified_ns = time.tv_sec.checked_mul(1_000_000_000)?.checked_add(time.tv_nsec.into())?;
        Some((kind, Fingerprint { bytes: found.stx_size, modified_ns, inode: found.stx_ino }))
    }
}

/// Puts a new file's time a little back, so that whoever changes it next, even in the same tick, changes its time.
///
/// # Errors
/// With the path.
pub fn set_modified(file: &File, path: &Path, time: jiff::Timestamp) -> Result<()> {
    let since_1970 = Duration::from_nanos(u64::try_from(time.as_nanosecond()).unwrap_or_default());
    file.set_modified(SystemTime::UNIX_EPOCH + since_1970).map_err(|e| FsError::new("set the time of", path, e))
}

/// Whether the owner may run it.
#[must_use]
pub fn is_executable(metadata: &Metadata) -> bool {
    permissions(metadata) & 0o100 != 0
}

/// The permissions, as on Unix; elsewhere as near as can be.
#[must_use]
pub fn permissions(metadata: &Metadata) -> u32 {
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    #[cfg(not(unix))]
    let mode = if metadata.permissions().readonly() { 0o444 } else { 0o644 };
    mode
}

/// Sets the permissions of an open file.
///
/// # Errors
/// With the path.
pub fn set_permissions(file: &File, path: &Path, mode: u32) -> Result<()> {
    let set = || -> io::Result<()> {
        let mut permissions = file.metadata()?.permissions();
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, mode);
        #[cfg(not(unix))]
        permissions.set_readonly(mode & 0o200 == 0);
        file.set_permissions(permissions)
    };
    set().map_err(|e| FsError::new("set the permissions of", path, e))
}

/// The permissions that a new file gets here: everybody's but those that the process does not give away.
#[must_use]
pub fn new_file_mode() -> u32 {
    static MODE: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        #[cfg(target_os = "linux")]
        let mode = umask_of_this_process().map_or(0o644, |umask| 0o666 & !umask);
        #[cfg(not(target_os = "linux"))]
        let mode = 0o644;
        mode
    });
    *MODE
}

/// To ask the system for it would set it for a moment, for every thread.
#[cfg(target_os = "linux")]
fn umask_of_this_process() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(umask.trim(), 8).ok()
}

/// How many names a file has.
#[must_use]
pub fn link_count(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    let count = std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    let count = {
        let _ = metadata;
        1
    };
    count
}

/// Makes `to` another name of the file `from`, in place of what it was; `partial` is a name for a moment, of nothing yet and
/// in the same file system.
///
/// # Errors
/// With the new name; also where the file system knows no such links.
pub fn hard_link(from: &Path, to: &Path, partial: &Path) -> Result<()> {
    replace_by(to, partial, fs::hard_link(from, partial))
}

/// Makes `to` a symbolic link to `from`, in place of what it was; `partial` as in [`hard_link`].
///
/// # Errors
/// With the new name; also where the file system knows no such links.
pub fn symlink(from: &Path, to: &Path, partial: &Path) -> Result<()> {
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(from, partial);
    #[cfg(windows)]
    let made = std::os::windows::fs::symlink_file(from, partial);
    replace_by(to, partial, made)
}

/// Where a symbolic link leads, as it is written.
///
/// # Errors
/// With the path.
pub fn read_link(path: &Path) -> Result<PathBuf> {
    fs::read_link(path).map_err(|e| FsError::new("read the link", path, e))
}

fn replace_by(to: &Path, partial: &Path, made: io::Result<()>) -> Result<()> {
    let renamed = made.and_then(|()| fs::rename(partial, to));
    renamed.map_err(|e| {
        // It is of no use to anybody; that it could not be removed changes nothing for the caller.
        let _ = fs::remove_file(partial);
        FsError::new("link", to, e)
    })?;
    // To rename one name of a file to another of the same file does nothing, and leaves both.
    super::remove_file(partial)
}

/// Removes an empty folder.
///
/// # Errors
/// With the path.
pub fn remove_empty_dir(path: &Path) -> Result<()> {
    fs::remove_dir(path).map_err(|e| FsError::new("remove", path, e))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_change_in_the_same_tick_is_not_trusted_to_show() {
        let at = |modified_ns| Fingerprint { bytes: 1, modified_ns, inode: 1 };
        let then = Timestamp::from_nanosecond(5_000_000_000).unwrap();
        assert!(at(4_900_000_001).tells_changes_since(then));
        assert!(!at(4_990_000_001).tells_changes_since(then));
        // Whole seconds: the clock may be a coarse one.
        assert!(!at(4_000_000_000).tells_changes_since(then));
        assert!(at(2_000_000_000).tells_changes_since(then));
    }

    #[test]
    fn an_open_folder_tells_what_the_paths_in_it_would() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/old.jpg");
        super::super::write_atomic(&path, "photo").unwrap();
        // Before 1970, and with a fraction.
        let time = Timestamp::from_nanosecond(-1_500_000_007).unwrap();
        let opened = OpenFolder::open(folder.path()).unwrap();
        for time in [time, Timestamp::from_nanosecond(1_700_000_000_000_000_123).unwrap()] {
            let file = File::options().write(true).open(&path).unwrap();
            let since_1970 = Duration::from_nanos(time.as_nanosecond().unsigned_abs() as u64);
            let epoch = SystemTime::UNIX_EPOCH;
            let time = if time < Timestamp::UNIX_EPOCH { epoch - since_1970 } else { epoch + since_1970 };
            file.set_modified(time).unwrap();
            assert_eq!(opened.inspect("sub/old.jpg").unwrap(), (Kind::File, fingerprint(&path).unwrap()));
        }
        assert_eq!(opened.inspect("sub").unwrap().0, Kind::Folder);
        assert!(opened.inspect("absent").unwrap_err().is_not_found());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("sub/old.jpg", folder.path().join("link")).unwrap();
            assert_eq!(opened.inspect("link").unwrap(), opened.inspect("sub/old.jpg").unwrap());
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_take_the_place_of_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let partial = folder.path().join("partial");
        symlink(&from, &to, &partial).unwrap();
        assert_eq!((kind(&to).unwrap(), read_link(&to).unwrap()), (Kind::Link, from.clone()));
        hard_link(&from, &to, &partial).unwrap();
        // A second time it is a link already.
        hard_link(&from, &to, &partial).unwrap();
        assert_eq!(link_count(&fs::metadata(&to).unwrap()), 2);
        assert_eq!(fingerprint(&to).unwrap(), fingerprint(&from).unwrap());
        let mut names: Vec<_> = entries(folder.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["from", "to"]);
        assert_eq!(entries_up_to(folder.path(), 2).unwrap().map(|entries| entries.len()), Some(2));
        assert_eq!(entries_up_to(folder.path(), 1).unwrap(), None);
    }
}
