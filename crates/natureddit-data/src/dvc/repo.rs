//! A repository: where it is, what it tracks, and that only one works on it at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use natureddit_core::fs::{self, Kind, Lock};
use natureddit_core::{Clock, Progress};
use serde::Deserialize;

use super::cache::Cache;
use super::config::{DvcConfig, normal};
use super::error::DvcError;
use super::hash::ObjectId;
use super::ignored::Ignored;
use super::pointer::{Out, Pointer, PointerError, SUFFIX};
use super::remote::Access;
use super::tree::Tree;

/// How to work on a repository.
#[derive(Clone, Debug)]
pub struct DvcOptions {
    /// Whether what a pointer points to is sure to outlive a power cut before the pointer is written.
    pub fsync: bool,
    /// The most objects under way to or from a remote that is not told otherwise; 0: by the kind of remote.
    pub jobs: usize,
    /// How long to wait for another process that works on the repository.
    pub lock_wait: Duration,
    /// Larger objects are not received.
    pub object_bytes_max: u64,
    /// The settings files above the repository's own: the machine's, then the user's.
    pub config_files: Vec<PathBuf>,
    /// How servers are asked.
    pub access: Access,
    /// The time.
    pub clock: Clock,
    /// Who watches.
    pub progress: Progress,
}

/// A DVC repository.
#[derive(Debug)]
pub struct DvcRepo {
    pub(super) root: PathBuf,
    pub(super) config: DvcConfig,
    pub(super) ignored: Ignored,
    pub(super) cache: Cache,
    pub(super) options: DvcOptions,
    _lock: Lock,
}

/// What of a repository a command is about.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) pointer: Pointer,
    /// Which of its outs.
    pub(super) at: usize,
}

impl Tracked {
    pub(super) fn out(&self) -> &Out {
        &self.pointer.outs[self.at]
    }
}

impl DvcRepo {
    /// Opens the nearest repository from `folder` upwards, which must be absolute, and locks it.
    ///
    /// # Errors
    /// [`DvcError`].
    pub fn open(folder: &Path, options: DvcOptions) -> Result<Self, DvcError> {
        let above = folder.ancestors().find(|folder| folder.join(".dvc").is_dir());
        let root = above.ok_or_else(|| DvcError::NoRepository { path: folder.to_owned() })?.to_owned();
        let dvc = root.join(".dvc");
        let mut layers = options.config_files.clone();
        layers.extend([dvc.join("config"), dvc.join("config.local")]);
        let config = DvcConfig::read(&layers)?;
        if config.hardlink_lock() {
            return Err(DvcError::Setting("core.hardlink_lock"));
        }
        let lock = lock(&dvc, options.lock_wait, &options.progress)?;
        // Nobody else is at work.
        fs::create_dir_all(&dvc.join(PARTIALS))?;
        fs::remove_partials(&dvc.join(PARTIALS))?;
        let folder = config.cache_dir().map_or_else(|| dvc.join("cache"), Path::to_owned);
        let cache = Cache::new(&root, folder, config.link_types()?, options.clock.clone());
        Ok(Self { ignored: Ignored::new(&root), root, config, cache, options, _lock: lock })
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where files are made that are moved into the work tree next.
    pub(super) fn partials(&self) -> PathBuf {
        self.root.join(".dvc").join(PARTIALS)
    }

    /// A path as seen from the root, for messages.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Every pointer of the work tree.
    pub(super) fn pointers(&self) -> Result<Vec<Pointer>, DvcError> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let mut below = Vec::new();
            let first = found.len();
            let patterns = self.ignored.of(&folder)?;
            for (name, kind) in fs::entries(&folder)? {
                let path = folder.join(&name);
                let is_pointer = name.to_string_lossy().ends_with(SUFFIX) && name != ".dvc";
                match kind {
                    Kind::Folder if !patterns.is_ignored(&path, true) => below.push(path),
                    Kind::File if is_pointer && !patterns.is_ignored(&path, false) => {
                        found.push(self.checked(Pointer::read(&path)?)?);
                    }
                    _ => {}
                }
            }
            // What is tracked holds no pointers, and may hold a hundred thousand files.
            let tracked: BTreeSet<&Path> =
                found[first..].iter().flat_map(|pointer| &pointer.outs).map(|out| out.path.as_path()).collect();
            below.retain(|folder| !tracked.contains(folder.as_path()));
            folders.extend(below);
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// A pointer may come from anybody: what it points to must be data of this repository, and nothing that git or DVC, and
    /// with them whoever works here, would run or believe.
    fn checked(&self, pointer: Pointer) -> Result<Pointer, DvcError> {
        for out in &pointer.outs {
            let inner = out.path.strip_prefix(&self.root).ok();
            let is_own = |name: &std::ffi::OsStr| name != ".git" && name != ".dvc" && name != "..";
            let is_data = inner.is_some_and(|inner| inner.file_name().is_some() && inner.iter().all(is_own));
            if !is_data {
                let what = format!("to point to {}", out.path.display());
                return Err(PointerError::Unsupported { path: pointer.path, what }.into());
            }
            for folder in out.path.ancestors().skip(1).take_while(|folder| *folder != self.root) {
                if fs::optional(fs::kind(folder))? == Some(Kind::Link) {
                    return Err(DvcError::InTheWay { path: folder.to_owned() });
                }
            }
        }
        Ok(pointer)
    }

    /// The files in which stages keep what they made, which is not seen here.
    pub(super) fn lock_of_stages(&self) -> Result<Option<PathBuf>, DvcError> {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let patterns = self.ignored.of(&folder)?;
            for (name, kind) in fs::entries(&folder)? {
                let path = folder.join(&name);
                match kind {
                    Kind::File if name == STAGES_LOCK => return Ok(Some(path)),
                    Kind::Folder if !patterns.is_ignored(&path, true) => folders.push(path),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// What the targets name, pointers or what they point to or files in it; everything if there are none.
    pub(super) fn tracked(&self, targets: &[PathBuf]) -> Result<Vec<Tracked>, DvcError> {
        let pointers = self.pointers()?;
        let all = pointers
            .into_iter()
            .flat_map(|pointer| (0..pointer.outs.len()).map(move |at| Tracked { pointer: pointer.clone(), at }));
        let all: Vec<Tracked> = all.collect();
        if targets.is_empty() {
            return Ok(all);
        }
        let mut wanted = BTreeSet::new();
        for target in targets {
            let is_meant = |tracked: &Tracked| {
                let out = &tracked.out().path;
                tracked.pointer.path == *target || target.starts_with(out) || out.starts_with(target)
            };
            let meant: Vec<usize> = (0..all.len()).filter(|&at| is_meant(&all[at])).collect();
            if meant.is_empty() {
                return Err(DvcError::NotTracked { path: target.clone() });
            }
            wanted.extend(meant);
        }
        Ok(wanted.into_iter().map(|at| all[at].clone()).collect())
    }

    /// The lists of the folders among outs; those that the cache lacks are `None`.
    pub(super) fn trees(&self, outs: &[Tracked]) -> Result<BTreeMap<ObjectId, Option<Arc<Tree>>>, DvcError> {
        let mut trees = BTreeMap::new();
        for id in outs.iter().filter_map(|tracked| tracked.out().content.as_ref()).map(|content| content.id) {
            if id.is_dir && !trees.contains_key(&id) {
                trees.insert(id, self.cache.tree(id)?);
            }
        }
        Ok(trees)
    }

    /// A path as the command line names it, absolute.
    #[must_use]
    pub fn absolute(here: &Path, target: &Path) -> PathBuf {
        normal(&here.join(target))
    }
}

/// The real tool's record of the stages of `dvc.yaml`.
/// Whether a path in an out is among the targets: where some of them lie in the out, they alone are meant of it.
pub(super) fn is_meant(targets: &[PathBuf], out: &Path, path: &Path) -> bool {
    let mut inner = targets.iter().filter(|target| *target != out && target.starts_with(out)).peekable();
    inner.peek().is_none() || inner.any(|target| path.starts_with(target))
}

pub(super) const STAGES_LOCK: &str = "dvc.lock";
const PARTIALS: &str = "tmp/natureddit";
const LOCK_FILE: &str = "tmp/lock";
const LOCK_POLL: Duration = Duration::from_millis(20);

/// What the real tool keeps of those that read and write while they do not hold the lock.
#[derive(Default, Deserialize)]
struct RwLock {
    #[serde(default)]
    write: BTreeMap<String, Holder>,
    #[serde(default)]
    read: BTreeMap<String, Vec<Holder>>,
}

#[derive(Clone, Deserialize)]
struct Holder {
    pid: u32,
    cmd: String,
}

/// Takes the lock that the real tool takes.
fn lock(dvc: &Path, wait: Duration, progress: &Progress) -> Result<Lock, DvcError> {
    let path = dvc.join(LOCK_FILE);
    let lock = match fs::try_lock(&path)? {
        Some(lock) => lock,
        None => wait_for_lock(&path, wait, progress)?,
    };
    let rwlock = dvc.join("tmp/rwlock");
    let text = fs::optional(fs::read_to_string(&rwlock))?.unwrap_or_default();
    // One that is broken says nothing; the real tool complains of it by itself.
    let held: RwLock = serde_json::from_str(&text).unwrap_or_default();
    let holders = held.write.into_values().chain(held.read.into_values().flatten());
    match holders.into_iter().find(|holder| is_alive(holder.pid)) {
        Some(holder) => Err(DvcError::Busy { lock: rwlock, by: format!(" by process {}: {}", holder.pid, holder.cmd) }),
        None => Ok(lock),
    }
}

fn wait_for_lock(path: &Path, wait: Duration, progress: &Progress) -> Result<Lock, DvcError> {
    // The real tool writes its number into the lock file.
    let pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let by = pid.map_or_else(String::new, |pid| format!(" by process {pid}"));
    progress.start(&format!("waiting: {} is held{by}", path.display()), None);
    let mut left = wait;
    while !left.is_zero() {
        thread::sleep(LOCK_POLL.min(left));
        left = left.saturating_sub(LOCK_POLL);
        if let Some(lock) = fs::try_lock(path)? {
            progress.finish();
            return Ok(lock);
        }
    }
    progress.finish();
    Err(DvcError::Busy { lock: path.to_owned(), by })
}

/// Where there is no way to know, yes.
fn is_alive(pid: u32) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(pid.to_string()).exists()
}

/// The number of other processes is not known here: only whether one holds the lock.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_another_is_waited_for_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path(), Duration::ZERO, &Progress::silent()).unwrap();
        let error = lock(folder.path(), Duration::from_millis(30), &Progress::silent()).unwrap_err();
        assert!(matches!(error, DvcError::Busy { .. }), "{error}");
        drop(held);
        let rwlock = format!(r#"{{"write": {{"/x": {{"pid": {}, "cmd": "dvc repro"}}}}}}"#, std::process::id());
        fs::write_atomic(&folder.path().join("tmp/rwlock"), rwlock).unwrap();
        let error = lock(folder.path(), Duration::ZERO, &Progress::silent()).unwrap_err().to_string();
        assert!(error.ends_with(": dvc repro"), "{error}");
        fs::write_atomic(
            &folder.path().join("tmp/rwlock"),
            r#"{"read": {"/x": [{"pid": 4294967295, "cmd": "gone"}]}}"#,
        )
        .unwrap();
        lock(folder.path(), Duration::ZERO, &Progress::silent()).unwrap();
    }
}
