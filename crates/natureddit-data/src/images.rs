//! Photos: fetched, checked, normalised and stored as `images/{post id}_{media id, or 0}.{extension}`.
//!
//! Fetching waits on the network and runs with others; checking and encoding is the processor's work and runs on as many
//! threads as there are cores.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use futures_util::future::try_join_all;
use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, PostId};
use natureddit_image::{
    Format, ImageError, ImageInfo, ImageLimits, Normalised, PerceptualHash, examine, inspect, normalise,
};
use natureddit_net::{Client, NetError, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::again::Again;
use crate::placeholder::is_placeholder;

/// Hosts that negotiate answer other wishes with WebP, or with a web page about the photo.
const ACCEPT: &str = "image/jpeg,image/png;q=0.9,*/*;q=0.1";

/// Which photos are taken and how they are stored.
#[derive(Clone, Copy, Debug)]
pub struct PhotoConfig {
    /// Smaller files are dropped: nearly always a placeholder for a photo that is gone.
    pub bytes_min: u64,
    /// Larger ones are dropped, and not fetched to their end.
    pub limits: ImageLimits,
    /// How photos are made smaller before they are stored; `None`: they stay as they came, whatever their format.
    pub shrink: Option<Shrink>,
    /// Photos under way at the same time, over all hosts.
    pub in_flight_max: usize,
}

/// How photos are made smaller.
#[derive(Clone, Copy, Debug)]
pub struct Shrink {
    /// The most pixels on the long side of a stored photo.
    pub long_side_max: u32,
    /// Of the JPEG files made here, 1 to 100.
    pub jpeg_quality: u8,
}

/// A photo that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredPhoto {
    pub(crate) img_name: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) sha256: ContentHash,
    pub(crate) phash: PerceptualHash,
    /// The size of its file.
    pub(crate) bytes: u64,
}

/// Why a photo was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhotoError {
    #[error(transparent)]
    Net(NetError),
    #[error("the site shows a placeholder for a photo that is gone")]
    Placeholder,
    #[error("the file has {bytes} bytes, less than {bytes_min}")]
    TooFewBytes { bytes: u64, bytes_min: u64 },
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A fault of the decoder, which must not take the other photos with it.
    #[error("the decoder panicked")]
    DecoderPanic,
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
            Self::Placeholder => "placeholder".into(),
            Self::TooFewBytes { .. } => "too_few_bytes".into(),
            Self::Image(error) => error.code().into(),
            Self::DecoderPanic => "decoder_panic".into(),
            Self::Fs(_) => "file".into(),
        }
    }

    /// Whether the photo may be had at another time.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Net(NetError::Timeout { .. } | NetError::Connection { .. } | NetError::WaitTooLong { .. }) => true,
            Self::Net(NetError::Status { status, .. }) => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the host may have spoilt a photo that it has: the same request may bring it a moment later.
    pub(crate) fn may_be_spoilt(&self) -> bool {
        use ImageError::{Corrupt, Empty, Html, NotAnImage, Truncated};
        matches!(self, Self::Image(Empty | Html | NotAnImage { .. } | Truncated { .. } | Corrupt { .. }))
    }

    /// Whether the site says that the photo is not there any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Placeholder | Self::Net(NetError::Status { status: 404 | 410, .. }))
    }
}

/// Threads that wait for the disk at the same time, which then writes more at once.
const SYNCS_MAX: usize = 8;

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
    placeholders: Vec<ContentHash>,
    client: Client,
    cores: Arc<Semaphore>,
    /// What was stored since the last [`PhotoStore::sync`].
    unsynced: Mutex<Vec<PathBuf>>,
}

impl PhotoStore {
    pub(crate) fn new(folder: PathBuf, config: PhotoConfig, placeholders: &[ContentHash], client: Client) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let placeholders = placeholders.to_owned();
        let cores = Arc::new(Semaphore::new(cores));
        Self { folder, config, placeholders, client, cores, unsynced: Mutex::default() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names that a photo may get, one for each format that is stored.
    pub(crate) fn names(stem: &str) -> [String; 5] {
        [Format::Jpeg, Format::Png, Format::WebP, Format::Gif, Format::Bmp]
            .map(|format| img_name(stem, format.extension()))
    }

    /// Fetches a photo and stores it under `stem` and its extension; one that comes spoilt is fetched again a few times. The
    /// file appears whole or not at all, and lasts when [`PhotoStore::sync`] was called.
    pub(crate) async fn fetch(&self, stem: &str, url: &str) -> Result<StoredPhoto, PhotoError> {
        let mut again = Again::new(&self.client, url);
        loop {
            match self.fetch_once(stem, url).await {
                Err(error) if error.may_be_spoilt() && again.asks(&error.to_string()).await => {}
                result => return result,
            }
        }
    }

    async fn fetch_once(&self, stem: &str, url: &str) -> Result<StoredPhoto, PhotoError> {
        let request = self.client.get(url).accept(ACCEPT).bytes_max(self.config.limits.bytes_max);
        let response = request.send().await.and_then(require_ok).map_err(PhotoError::Net)?;
        let is_named = || self.placeholders.contains(&ContentHash::of(&response.body));
        if is_placeholder(&response.final_url, &response.body) || (!self.placeholders.is_empty() && is_named()) {
            return Err(PhotoError::Placeholder);
        }
        let (config, stem) = (self.config, stem.to_owned());
        let (photo, bytes) = self.decode(move || check(&config, &stem, response.body)).await?;
        // Without a core: the disk is waited for, and meanwhile others are decoded.
        let path = self.folder.join(&photo.img_name);
        let path = on_a_thread(move || fs::write_unsynced(&path, bytes).map(|()| path)).await?;
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).push(path);
        Ok(photo)
    }

    /// Makes what was stored last: before anything that outlives a power cut says that it is there. To sync each photo for
    /// itself would take longer than to decode it.
    pub(crate) async fn sync(&self) -> Result<(), FsError> {
        let paths = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let part = paths.len().div_ceil(SYNCS_MAX).max(1);
        let syncs = paths.chunks(part).map(|part| {
            let part = part.to_vec();
            on_a_thread(move || fs::sync_files(&part))
        });
        try_join_all(syncs).await?;
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).drain(..paths.len());
        Ok(())
    }

    /// Describes the photo in a file of the folder, which stays as it is.
    pub(crate) async fn read(&self, img_name: &str) -> Result<StoredPhoto, PhotoError> {
        let (path, limits, img_name) = (self.folder.join(img_name), self.config.limits, img_name.to_owned());
        self.decode(move || {
            let bytes = fs::read_limited(&path, limits.bytes_max)?;
            Ok(StoredPhoto { img_name, ..as_it_is("", &bytes, &limits)? })
        })
        .await
    }

    /// Whether a file is there and unchanged.
    pub(crate) async fn state(&self, path: PathBuf, sha256: ContentHash) -> Result<FileState, FsError> {
        let core = self.core().await;
        let hash = on_a_thread(move || with(core, || fs::optional(ContentHash::of_file(&path)))).await?;
        Ok(match hash {
            Some(hash) if hash == sha256 => FileState::Same,
            Some(_) => FileState::Changed,
            None => FileState::Missing,
        })
    }

    /// Runs what decodes a photo, at most one piece a core. A panic is an error of that photo.
    async fn decode<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PhotoError> + Send + 'static,
    ) -> Result<T, PhotoError> {
        let core = self.core().await;
        match tokio::task::spawn_blocking(move || with(core, work)).await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(%error, "a photo's decoder failed; please report the photo");
                Err(PhotoError::DecoderPanic)
            }
        }
    }

    async fn core(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.cores).acquire_owned().await.expect("the semaphore is never closed")
    }
}

/// Runs work that holds a core itself, for it goes on when nobody waits for it any more.
fn with<T>(core: OwnedSemaphorePermit, work: impl FnOnce() -> T) -> T {
    let result = work();
    drop(core);
    result
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
    let url = natureddit_net::redacted(&response.final_url);
    Err(NetError::Status { url, status: response.status, wait: None })
}

/// What is to be stored of a file that came, and the bytes of it.
fn check(config: &PhotoConfig, stem: &str, bytes: Bytes) -> Result<(StoredPhoto, Bytes), PhotoError> {
    let size = bytes.len() as u64;
    if size < config.bytes_min {
        // Before the size, for "a web page" says more than "too small".
        inspect(&bytes, &config.limits)?;
        return Err(PhotoError::TooFewBytes { bytes: size, bytes_min: config.bytes_min });
    }
    let Some(shrink) = config.shrink else { return Ok((as_it_is(stem, &bytes, &config.limits)?, bytes)) };
    let (photo, smaller) = shrunk(stem, &bytes, &config.limits, shrink)?;
    Ok((photo, smaller.map_or(bytes, Bytes::from)))
}

/// A photo as it is stored without changing it.
fn as_it_is(stem: &str, bytes: &[u8], limits: &ImageLimits) -> Result<StoredPhoto, ImageError> {
    let (ImageInfo { width, height, format, .. }, phash) = examine(bytes, limits)?;
    let (img_name, sha256) = (img_name(stem, format.extension()), ContentHash::of(bytes));
    Ok(StoredPhoto { img_name, width, height, sha256, phash, bytes: bytes.len() as u64 })
}

/// A photo as it is to be stored, and its bytes where they are other ones.
pub(crate) fn shrunk(
    stem: &str,
    bytes: &[u8],
    limits: &ImageLimits,
    shrink: Shrink,
) -> Result<(StoredPhoto, Option<Vec<u8>>), ImageError> {
    let photo = normalise(bytes, limits, shrink.long_side_max, shrink.jpeg_quality)?;
    let Normalised { width, height, content_hash: sha256, perceptual_hash: phash, .. } = photo;
    let (img_name, bytes) = (img_name(stem, photo.extension), photo.bytes.len() as u64);
    let smaller = match photo.bytes {
        Cow::Borrowed(_) => None,
        Cow::Owned(jpeg) => Some(jpeg),
    };
    Ok((StoredPhoto { img_name, width, height, sha256, phash, bytes }, smaller))
}

fn img_name(stem: &str, extension: &str) -> String {
    format!("{stem}.{extension}")
}

/// The name of a photo's file without its extension. The id of the post makes it unlike that of any other post; `0`
/// stands for the only photo of one.
pub(crate) fn img_stem(id: &PostId, media_id: &str) -> String {
    let media_id = if media_id.is_empty() { "0" } else { media_id };
    format!("{id}_{media_id}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use natureddit_net::{ClientConfig, HostMap, RetryPolicy};

    use super::*;

    fn store_in(folder: &Path) -> PhotoStore {
        let config = PhotoConfig {
            bytes_min: 1,
            limits: ImageLimits { bytes_max: 1_000_000, pixels_max: 1_000_000 },
            shrink: Some(Shrink { long_side_max: 64, jpeg_quality: 90 }),
            in_flight_max: 1,
        };
        let client = Client::new(ClientConfig {
            user_agent: "test".into(),
            connect_timeout: Duration::from_secs(1),
            total_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            retry: RetryPolicy { retries_max: 0, backoff: Duration::ZERO, backoff_max: Duration::ZERO },
            redirects_max: 0,
            requests_per_host_max: 1,
            host_map: HostMap::default(),
        });
        PhotoStore::new(folder.to_owned(), config, &[], client.unwrap())
    }

    #[tokio::test]
    async fn a_panic_of_a_decoder_is_an_error_of_its_photo() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(folder.path());
        // More often than there are cores: each gives its core back.
        for _ in 0..100 {
            let error = store.decode(|| -> Result<(), _> { panic!("index out of bounds") }).await.unwrap_err();
            assert_eq!((error.code().as_ref(), error.may_pass()), ("decoder_panic", false));
        }
        assert_eq!(store.decode(|| Ok(7)).await.unwrap(), 7);
    }

    #[test]
    fn every_format_that_is_stored_has_its_name() {
        let rgb = vec![90; 8 * 6 * 3];
        let limits = ImageLimits { bytes_max: 1_000_000, pixels_max: 1_000_000 };
        let jpeg = natureddit_image::Photo { width: 8, height: 6, rgb }.to_jpeg(90);
        let extension = normalise(&jpeg, &limits, 64, 90).unwrap().extension;
        assert!(PhotoStore::names("a_0").contains(&img_name("a_0", extension)));
        assert_eq!(BTreeSet::from(PhotoStore::names("a_0")).len(), 5);
    }
}
