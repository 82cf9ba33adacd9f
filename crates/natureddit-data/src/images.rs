//! Photos: fetched, checked, normalised and stored as `images/{post id}_0.{extension}`.
//!
//! Fetching waits on the network and runs with others; checking and encoding is the processor's work and runs on as many
//! threads as there are cores.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, PostId};
use natureddit_image::{ImageError, ImageLimits, Normalised, PerceptualHash, inspect, normalise};
use natureddit_net::{Client, NetError, Response};
use tokio::sync::Semaphore;

/// Hosts that negotiate answer other wishes with WebP, or with a web page about the photo.
const ACCEPT: &str = "image/jpeg,image/png;q=0.9,*/*;q=0.1";

/// Which photos are taken and how they are stored.
#[derive(Clone, Copy, Debug)]
pub struct PhotoConfig {
    /// Smaller files are dropped: nearly always a placeholder for a photo that is gone.
    pub bytes_min: u64,
    /// Larger ones are dropped, and not fetched to their end.
    pub limits: ImageLimits,
    /// The most pixels on the long side of a stored photo.
    pub long_side_max: u32,
    /// Of the JPEG files made here, 1 to 100.
    pub jpeg_quality: u8,
    /// Photos under way at the same time, over all hosts.
    pub in_flight_max: usize,
}

/// A photo that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredPhoto {
    pub(crate) img_name: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) sha256: ContentHash,
    pub(crate) phash: PerceptualHash,
}

/// Why a photo was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhotoError {
    #[error(transparent)]
    Net(NetError),
    #[error("the file has {bytes} bytes, less than {bytes_min}")]
    TooFewBytes { bytes: u64, bytes_min: u64 },
    #[error(transparent)]
    Image(#[from] ImageError),
    /// This machine's own trouble, which no other photo will escape.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl PhotoError {
    /// A stable name of the reason, for counting: `http_404`, `truncated`.
    pub(crate) fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Net(NetError::Status { status, .. }) => format!("http_{status}").into(),
            Self::Net(error) => error.code().into(),
            Self::TooFewBytes { .. } => "too_few_bytes".into(),
            Self::Image(error) => error.code().into(),
            Self::Fs(_) => "file".into(),
        }
    }
}

/// What is known of a file that a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileState {
    Same,
    Changed,
    Missing,
}

/// The folder of photos and the way into it.
#[derive(Debug)]
pub(crate) struct PhotoStore {
    folder: PathBuf,
    config: PhotoConfig,
    client: Client,
    cores: Arc<Semaphore>,
}

impl PhotoStore {
    pub(crate) fn new(folder: PathBuf, config: PhotoConfig, client: Client) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { folder, config, client, cores: Arc::new(Semaphore::new(cores)) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fetches the photo of a post and stores it. The file appears whole or not at all.
    pub(crate) async fn fetch(&self, id: &PostId, url: &str) -> Result<StoredPhoto, PhotoError> {
        let request = self.client.get(url).accept(ACCEPT).bytes_max(self.config.limits.bytes_max);
        let response = request.send().await.and_then(require_ok).map_err(PhotoError::Net)?;
        let (folder, config, id) = (self.folder.clone(), self.config, id.clone());
        self.compute(move || store(&folder, &config, &id, &response.body)).await
    }

    /// Whether the file of a row is there and unchanged.
    pub(crate) async fn state(&self, img_name: &str, sha256: ContentHash) -> Result<FileState, FsError> {
        let path = self.folder.join(img_name);
        let hash = self.compute(move || fs::optional(ContentHash::of_file(&path))).await?;
        Ok(match hash {
            Some(hash) if hash == sha256 => FileState::Same,
            Some(_) => FileState::Changed,
            None => FileState::Missing,
        })
    }

    /// Runs work for the processor, at most one piece a core.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let core = Arc::clone(&self.cores).acquire_owned().await.expect("the semaphore is never closed");
        on_a_thread(move || {
            let result = work();
            // Held by the work itself, which goes on when nobody waits for it any more.
            drop(core);
            result
        })
        .await
    }
}

/// Runs what takes long away from the threads on which others wait. A panic of the work goes on here.
pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Other 2xx statuses carry no photo.
fn require_ok(response: Response) -> Result<Response, NetError> {
    let response = response.require_success()?;
    if response.status == 200 {
        return Ok(response);
    }
    Err(NetError::Status { url: natureddit_net::redacted(&response.final_url), status: response.status })
}

fn store(folder: &Path, config: &PhotoConfig, id: &PostId, bytes: &[u8]) -> Result<StoredPhoto, PhotoError> {
    // Before the size, for "a web page" says more than "too small".
    inspect(bytes, &config.limits)?;
    let size = bytes.len() as u64;
    if size < config.bytes_min {
        return Err(PhotoError::TooFewBytes { bytes: size, bytes_min: config.bytes_min });
    }
    let photo = normalise(bytes, &config.limits, config.long_side_max, config.jpeg_quality)?;
    let Normalised { width, height, content_hash, perceptual_hash, .. } = photo;
    let img_name = format!("{id}_0.{}", photo.extension);
    fs::write_atomic(&folder.join(&img_name), &photo.bytes)?;
    Ok(StoredPhoto { img_name, width, height, sha256: content_hash, phash: perceptual_hash })
}
