//! Files of a repository of the Hugging Face hub that the user names, of which nobody wrote down the hash beforehand.
//!
//! They are trusted at first use: what comes first is written down in `pins.json` beside the files, with its SHA-256, and
//! from then on only that content is taken. To take a newer one, the folder is removed. Where weights are in several files,
//! their index is the file that is wanted, and the files it names come with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, Progress, WEIGHT_INDEX_BYTES_MAX, WEIGHT_INDEX_FILE, WeightIndex};
use serde::{Deserialize, Serialize};

use super::error::{AssetError, SourceError};
use super::{AssetStore, blocking};
use crate::{DownloadError, FileDownload};

const PINS: &str = "pins.json";
/// A line or two a file.
const PINS_BYTES_MAX: u64 = 1 << 20;
/// What the hub answers of a file that a repository does not have.
const NOT_FOUND: u16 = 404;

/// A repository, and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct HubRepo<'a> {
    /// `owner/name`, of letters, digits, `-`, `_` and `.`.
    pub repo: &'a str,
    /// A branch, tag or commit, of the same characters.
    pub revision: &'a str,
    /// The files.
    pub files: &'a [HubFile],
}

/// A file of a repository, or others that do in its place.
#[derive(Clone, Copy, Debug)]
pub struct HubFile {
    /// The first of these that the repository has is taken.
    pub names: &'static [&'static str],
    /// Whether the repository may have none of them.
    pub is_optional: bool,
}

/// What is known of a repository's files by their names; `None`: it does not have that one.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Pins(BTreeMap<String, Option<ContentHash>>);

impl Pins {
    fn read(folder: &Path) -> Result<Self, AssetError> {
        let path = folder.join(PINS);
        let Some(bytes) = fs::optional(fs::read_limited(&path, PINS_BYTES_MAX))? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|e| AssetError::Pins { path, reason: e.to_string() })
    }

    fn write(&self, folder: &Path) -> Result<(), AssetError> {
        let path = folder.join(PINS);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| AssetError::Pins { path: path.clone(), reason: e.to_string() })?;
        text.push('\n');
        Ok(fs::write_atomic(&path, text)?)
    }

    /// Whether all that is wanted is there and as it was.
    fn are_met(&self, folder: &Path, files: &[HubFile]) -> Result<bool, AssetError> {
        for file in files {
            let mut taken = None;
            for name in file.names {
                match self.0.get(*name) {
                    Some(None) => {}
                    Some(Some(pin)) => {
                        taken = Some((name, pin));
                        break;
                    }
                    None => return Ok(false),
                }
            }
            match taken {
                Some((name, pin)) if !is_pinned(folder, name, pin)? => return Ok(false),
                Some((name, _)) if *name == WEIGHT_INDEX_FILE => {
                    for shard in read_index(folder)?.files() {
                        match self.0.get(shard) {
                            Some(Some(pin)) if is_pinned(folder, shard, pin)? => {}
                            _ => return Ok(false),
                        }
                    }
                }
                None if !file.is_optional => return Ok(false),
                _ => {}
            }
        }
        Ok(true)
    }
}

fn is_pinned(folder: &Path, name: &str, pin: &ContentHash) -> Result<bool, FsError> {
    Ok(fs::optional(ContentHash::of_file(&folder.join(name)))? == Some(*pin))
}

/// The index of weights that was pulled.
fn read_index(folder: &Path) -> Result<WeightIndex, AssetError> {
    let path = folder.join(WEIGHT_INDEX_FILE);
    let bytes = fs::read_limited(&path, WEIGHT_INDEX_BYTES_MAX)?;
    WeightIndex::parse(&bytes).map_err(|source| AssetError::Index { path, source })
}

impl AssetStore {
    /// The folder with a repository's files, all verified against what was pulled first; `None` where one is missing or has
    /// changed. Nothing is asked for from the network.
    ///
    /// # Errors
    /// [`AssetError::Fs`], [`AssetError::Pins`].
    pub async fn cached_repo(&self, wanted: &HubRepo<'_>) -> Result<Option<PathBuf>, AssetError> {
        let (folder, files) = (self.repo_folder(wanted), wanted.files.to_vec());
        blocking(move || {
            let met = Pins::read(&folder)?.are_met(&folder, &files)?;
            Ok(met.then_some(folder))
        })
        .await
    }

    /// As [`AssetStore::cached_repo`], and what is missing is pulled. A repository that is seen for the first time is
    /// trusted, and its files are pinned.
    ///
    /// # Errors
    /// [`AssetError::Repo`] when the hub does not have a file that is needed, cannot be reached, or has another content
    /// than at first; [`AssetError::Fs`], [`AssetError::Pins`].
    pub async fn pull_repo(&self, wanted: &HubRepo<'_>, progress: &Progress) -> Result<PathBuf, AssetError> {
        if let Some(folder) = self.cached_repo(wanted).await? {
            return Ok(folder);
        }
        let _lock = self.lock(progress).await?;
        let folder = self.repo_folder(wanted);
        fs::create_dir_all(&folder)?;
        let mut pins = Pins::read(&folder)?;
        for file in wanted.files {
            let mut is_there = false;
            for name in file.names {
                is_there = self.pull_file(wanted, name, (&folder, &mut pins), progress).await?;
                pins.write(&folder)?;
                if is_there && *name == WEIGHT_INDEX_FILE {
                    self.pull_shards(wanted, (&folder, &mut pins), progress).await?;
                }
                if is_there {
                    break;
                }
            }
            if !is_there && !file.is_optional {
                let url = self.repo_url(wanted, file.names.last().copied().unwrap_or_default());
                return Err(AssetError::Repo { url, source: Box::new(SourceError::Status { status: NOT_FOUND }) });
            }
        }
        Ok(folder)
    }

    /// Pulls the files that the index in the folder names.
    async fn pull_shards(
        &self,
        wanted: &HubRepo<'_>,
        (folder, pins): (&Path, &mut Pins),
        progress: &Progress,
    ) -> Result<(), AssetError> {
        for shard in read_index(folder)?.files() {
            let is_there = self.pull_file(wanted, shard, (folder, &mut *pins), progress).await?;
            pins.write(folder)?;
            if !is_there {
                let url = self.repo_url(wanted, shard);
                return Err(AssetError::Repo { url, source: Box::new(SourceError::Status { status: NOT_FOUND }) });
            }
        }
        Ok(())
    }

    /// Whether the repository has the file, which is then in the folder.
    async fn pull_file(
        &self,
        wanted: &HubRepo<'_>,
        name: &str,
        (folder, pins): (&Path, &mut Pins),
        progress: &Progress,
    ) -> Result<bool, AssetError> {
        let path = folder.join(name);
        let pin = pins.0.get(name).copied().flatten();
        if pin.is_some() && hash(path.clone()).await? == pin {
            return Ok(true);
        }
        let url = self.repo_url(wanted, name);
        let partial = folder.join(format!("{name}.partial"));
        let what = format!("pulling {name} of {}", wanted.repo);
        let file = FileDownload::of_asset(&what, partial.clone(), None);
        match file.run(&self.hub, &url, progress).await {
            Ok(()) => {}
            Err(DownloadError::Status { status: NOT_FOUND }) if pin.is_none() => {
                pins.0.insert(name.to_owned(), None);
                return Ok(false);
            }
            Err(source) => return Err(AssetError::Repo { url, source: Box::new(source.into()) }),
        }
        // A file without a byte is none that was written.
        let found = hash(partial.clone()).await?.unwrap_or_else(|| ContentHash::of(b""));
        if let Some(expected) = pin.filter(|expected| *expected != found) {
            fs::remove_file(&partial)?;
            let source = Box::new(SourceError::WrongContent { expected, found });
            return Err(AssetError::Repo { url, source });
        }
        match fs::optional(fs::metadata(&partial))? {
            Some(_) => fs::rename(&partial, &path)?,
            None => fs::write_atomic(&path, "")?,
        }
        tracing::info!(%url, sha256 = %found, "pinned a file of the hub");
        pins.0.insert(name.to_owned(), Some(found));
        Ok(true)
    }

    fn repo_folder(&self, wanted: &HubRepo<'_>) -> PathBuf {
        self.root.join("hub").join(wanted.repo).join(wanted.revision)
    }

    fn repo_url(&self, wanted: &HubRepo<'_>, name: &str) -> String {
        let hub_url = self.config.hub_url.as_str().trim_end_matches('/');
        format!("{hub_url}/{}/resolve/{}/{name}", wanted.repo, wanted.revision)
    }
}

async fn hash(path: PathBuf) -> Result<Option<ContentHash>, AssetError> {
    Ok(blocking(move || fs::optional(ContentHash::of_file(&path))).await?)
}
