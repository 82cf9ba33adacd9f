//! The local store of runs: one folder a run, there whole or not at all.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use natureddit_core::PostId;
use natureddit_core::fs::{self, FsError, Lock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::outbox::Sending;
use super::run::TrackedRun;
use crate::file_state::link_or_copy;

const RUN_FILE: &str = "run.json";
const OUTBOX_FILE: &str = "outbox.json";
const ARTIFACTS: &str = "artifacts";
const BUNDLE: &str = "bundle";
const COMPOSED: &str = "mlmodel";
/// Far above any run: a thousand epochs take 400 kB.
const RUN_BYTES_MAX: u64 = 64 << 20;

/// A run in the store, or one that is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A file holds something else than was written.
    #[error("{path} is not valid: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The folder of tracked runs.
#[derive(Clone, Debug)]
pub struct LocalStore {
    dir: PathBuf,
}

/// A run, and how far it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    /// Its folder.
    pub dir: PathBuf,
    /// What is told of it.
    pub run: TrackedRun,
    /// How far it was sent; `None` where it is kept here only.
    pub sending: Option<Sending>,
}

/// A folder of the store that holds no run that can be read: a file was cut short, or is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedRun {
    /// Its folder.
    pub dir: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// What may be done about it.
    pub remedy: String,
}

/// What a run leaves in the store besides its record.
#[derive(Debug, Default)]
pub(crate) struct RunFiles {
    /// Files, and their names below `artifacts/`.
    pub(crate) artifacts: Vec<(PathBuf, String)>,
    /// The bundle whose files are kept until they are sent.
    pub(crate) bundle: Option<PathBuf>,
}

/// A run that began; what is known of one that was killed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenRun {
    pub(crate) id: String,
    pub(crate) started_ms: i64,
    /// When it was last heard of.
    pub(crate) seen_ms: i64,
    pub(crate) context: super::RunContext,
}

impl StoredRun {
    /// Where one of its files lies.
    #[must_use]
    pub fn artifact(&self, name: &str) -> PathBuf {
        self.dir.join(ARTIFACTS).join(name)
    }

    /// Where its model's files were kept.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.dir.join(BUNDLE)
    }

    /// Where its model is made ready to be sent.
    pub(crate) fn composed(&self) -> PathBuf {
        self.dir.join(COMPOSED)
    }

    /// Writes down how far it was sent. What is kept for sending goes with the end of it.
    pub(crate) fn write_sending(&self, sending: &Sending) -> Result<(), LocalError> {
        write_json(&self.dir.join(OUTBOX_FILE), sending)?;
        if sending.is_done {
            fs::remove_dir_all(&self.bundle())?;
            fs::remove_dir_all(&self.composed())?;
        }
        Ok(())
    }
}

impl LocalStore {
    /// The store in a folder, which need not be there yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The runs that can be read, oldest first. One that cannot does not keep the others back: see
    /// [`LocalStore::damaged`].
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn runs(&self) -> Result<Vec<StoredRun>, FsError> {
        Ok(self.ids()?.iter().filter_map(|id| self.read(id).ok()).collect())
    }

    /// The folders that hold no run that can be read.
    ///
    /// # Errors
    /// When the folder of runs cannot be listed.
    pub fn damaged(&self) -> Result<Vec<DamagedRun>, FsError> {
        Ok(self.ids()?.iter().filter_map(|id| self.damage(id)).collect())
    }

    /// What is wrong with one run; `None` where it can be read.
    pub(crate) fn damage(&self, id: &str) -> Option<DamagedRun> {
        let (dir, reason) = (self.folder(id), self.read(id).err()?.to_string());
        let remedy = match read_json::<TrackedRun>(&dir.join(RUN_FILE)) {
            Ok(_) => format!(
                "remove {}: `natureddit tracking send --all` then sends the run, a second time if it was there",
                dir.join(OUTBOX_FILE).display()
            ),
            Err(_) => format!("remove {}", dir.display()),
        };
        Some(DamagedRun { dir, reason, remedy })
    }

    /// The ids of the runs, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn ids(&self) -> Result<Vec<String>, FsError> {
        let folders = fs::optional(fs::read_dir(&self.dir.join("runs")))?.unwrap_or_default();
        let id = |folder: PathBuf| Some(folder.file_name()?.to_str()?.to_owned()).filter(|name| is_id(name));
        Ok(folders.into_iter().filter_map(id).collect())
    }

    /// One run.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn read(&self, id: &str) -> Result<StoredRun, LocalError> {
        let dir = self.folder(id);
        Ok(StoredRun { run: read_json(&dir.join(RUN_FILE))?, sending: self.sending(id)?, dir })
    }

    /// How far a run was sent; `None` where it is kept here only.
    pub(crate) fn sending(&self, id: &str) -> Result<Option<Sending>, LocalError> {
        match read_json(&self.folder(id).join(OUTBOX_FILE)) {
            Ok(sending) => Ok(Some(sending)),
            Err(LocalError::Fs(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.dir.join("runs").join(id)
    }

    /// Writes a run with its files. What is written when a process ends is a whole run or nothing of it.
    pub(crate) fn write(
        &self,
        run: &TrackedRun,
        files: &RunFiles,
        sending: Option<&Sending>,
    ) -> Result<(), LocalError> {
        let dir = self.folder(&run.id);
        let partial = fs::beside(&dir);
        let written = Self::fill(&partial, run, files, sending);
        if written.is_err() {
            // The failure that matters is the first one.
            let _ = fs::remove_dir_all(&partial);
        }
        written?;
        Ok(fs::rename(&partial, &dir)?)
    }

    fn fill(dir: &Path, run: &TrackedRun, files: &RunFiles, sending: Option<&Sending>) -> Result<(), LocalError> {
        fs::create_dir_all(dir)?;
        for (from, name) in &files.artifacts {
            let to = dir.join(ARTIFACTS).join(name);
            fs::create_dir_all(to.parent().unwrap_or(dir))?;
            link_or_copy(from, &to)?;
        }
        if let Some(bundle) = &files.bundle {
            let folder = dir.join(BUNDLE);
            fs::create_dir_all(&folder)?;
            for file in fs::read_dir(bundle)? {
                link_or_copy(&file, &folder.join(file.file_name().unwrap_or_default()))?;
            }
        }
        if let Some(sending) = sending {
            write_json(&dir.join(OUTBOX_FILE), sending)?;
        }
        write_json(&dir.join(RUN_FILE), run)
    }

    /// Removes the files of runs that name one of these posts, as a report with its photo does, and those that are too long
    /// to tell, and why a run failed where that names one; gives how many. What a server has of them stays there.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub fn forget(&self, posts: &BTreeSet<PostId>) -> Result<usize, FsError> {
        if !self.dir.is_dir() {
            return Ok(0);
        }
        // A run that is being told of copies such files.
        let _lock = self.lock_recording()?;
        let ids: Vec<String> = posts.iter().map(PostId::to_string).collect();
        let mut removed = 0;
        for id in self.ids()? {
            removed += self.forget_failure(&id, &ids)?;
            for path in fs::optional(fs::walk(&self.folder(&id).join(ARTIFACTS)))?.unwrap_or_default() {
                let names_one = match fs::read_limited(&path, RUN_BYTES_MAX) {
                    Ok(bytes) => ids.iter().any(|id| names(&String::from_utf8_lossy(&bytes), id)),
                    Err(error) if error.is_too_large() => true,
                    Err(error) => return Err(error),
                };
                if names_one {
                    fs::remove_file(&path)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Takes out why a run failed if it names one of these posts; 1 where it did.
    fn forget_failure(&self, run: &str, ids: &[String]) -> Result<usize, FsError> {
        let path = self.folder(run).join(RUN_FILE);
        let Some(text) = fs::optional(fs::read_limited(&path, RUN_BYTES_MAX))? else { return Ok(0) };
        let Ok(mut run) = serde_json::from_slice::<TrackedRun>(&text) else { return Ok(0) };
        if !run.failure.as_ref().is_some_and(|failure| ids.iter().any(|id| names(failure, id))) {
            return Ok(0);
        }
        run.failure = Some("what it told named a post that was forgotten".to_owned());
        let Ok(text) = serde_json::to_string_pretty(&run) else { return Ok(0) };
        fs::write_atomic(&path, text + "\n")?;
        Ok(1)
    }

    /// Held while a run is told of: whoever holds it knows that every other open run was killed.
    pub(crate) fn lock_recording(&self) -> Result<Lock, FsError> {
        fs::lock(&self.dir.join("recording.lock"))
    }

    /// Held while runs are sent; `None` while somebody else sends.
    pub(crate) fn lock_sending(&self) -> Result<Option<Lock>, FsError> {
        fs::try_lock(&self.dir.join("sending.lock"))
    }

    fn open_path(&self, id: &str) -> PathBuf {
        self.dir.join("open").join(format!("{id}.json"))
    }

    /// Writes down that a run is under way.
    pub(crate) fn write_open(&self, open: &OpenRun) -> Result<(), LocalError> {
        let path = self.open_path(&open.id);
        // A power cut may take it: then there is nothing to tell of that run anyway.
        Ok(fs::write_unsynced(&path, to_json(&path, open)?)?)
    }

    /// The run is over, and told of.
    pub(crate) fn close(&self, id: &str) -> Result<(), FsError> {
        fs::remove_file(&self.open_path(id))
    }

    /// Whether a run is under way, or was killed.
    pub(crate) fn has_open(&self) -> bool {
        fs::read_dir(&self.dir.join("open")).is_ok_and(|files| !files.is_empty())
    }

    /// The runs that were killed, oldest first. Only to be called under the lock of recording; what cannot be read is
    /// removed, for it tells nothing.
    pub(crate) fn killed(&self) -> Result<Vec<OpenRun>, FsError> {
        let mut killed = Vec::new();
        for path in fs::optional(fs::read_dir(&self.dir.join("open")))?.unwrap_or_default() {
            match read_json::<OpenRun>(&path) {
                Ok(open) if is_id(&open.id) && self.open_path(&open.id) == path => killed.push(open),
                _ => fs::remove_file(&path)?,
            }
        }
        Ok(killed)
    }

    /// Removes what a killed process left half written. Only to be called under the lock of recording.
    pub(crate) fn sweep(&self) -> Result<(), FsError> {
        for path in fs::optional(fs::read_dir(&self.dir.join("runs")))?.unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') && name.ends_with(".partial") {
                fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
    }
}

/// A new id: 12 digits of time, then 20 that are drawn.
pub(crate) fn new_id(started_ms: i64) -> String {
    let drawn = || RandomState::new().hash_one(std::process::id());
    let time = u64::try_from(started_ms).unwrap_or_default() & 0xffff_ffff_ffff;
    format!("{time:012x}{:016x}{:04x}", drawn(), drawn() & 0xffff)
}

fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text has an id that is no part of a longer word.
fn names(text: &str, id: &str) -> bool {
    let is_inside = |end: Option<char>| end.is_some_and(char::is_alphanumeric);
    text.match_indices(id)
        .any(|(at, _)| !is_inside(text[..at].chars().next_back()) && !is_inside(text[at + id.len()..].chars().next()))
}

fn to_json(path: &Path, value: &impl Serialize) -> Result<String, LocalError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|e| LocalError::Format { path: path.to_owned(), reason: e.to_string() })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), LocalError> {
    Ok(fs::write_atomic(path, to_json(path, value)?)?)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, LocalError> {
    let bytes = fs::read_limited(path, RUN_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|e| LocalError::Format { path: path.to_owned(), reason: e.to_string() })
}
