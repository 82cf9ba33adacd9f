//! A file pulled by its address, from where it broke off.

use std::path::{Path, PathBuf};

use natureddit_core::Progress;
use natureddit_core::fs::{self, FsError};
use tokio::io::AsyncWriteExt;

use crate::request::JudgeAddress;
use crate::{Client, Download, NetError};

/// How often a broken connection is taken up again.
const RESUMES_MAX: u32 = 5;

/// A file that is wanted.
pub struct FileDownload<'a> {
    /// What people watch: `pulling all-MiniLM-L6-v2`.
    pub what: &'a str,
    /// Where its bytes are gathered; what is there already is continued.
    pub partial: PathBuf,
    /// Its size, where that is known.
    pub bytes: Option<u64>,
    /// The longest file that is taken where it is not.
    pub bytes_max: u64,
    /// Which addresses may be asked; `None`: every public one.
    pub judge: Option<JudgeAddress>,
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server cannot be reached, or not be asked.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The server answered, and not with the file.
    #[error("the server answered with status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The connection broke again and again.
    #[error("the connection broke after {bytes} of {bytes_expected} bytes")]
    CutOff {
        /// How much there is.
        bytes: u64,
        /// The size of the file.
        bytes_expected: u64,
    },
    /// The file is longer than it should be.
    #[error("it has more than the expected {bytes_expected} bytes")]
    TooLong {
        /// The size that was expected, or the limit.
        bytes_expected: u64,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// The longest asset of which nobody knows the size beforehand.
const ASSET_BYTES_MAX: u64 = 1 << 30;

impl<'a> FileDownload<'a> {
    /// An asset, which may come from anywhere.
    pub(crate) fn of_asset(what: &'a str, partial: PathBuf, bytes: Option<u64>) -> Self {
        Self { what, partial, bytes, bytes_max: ASSET_BYTES_MAX, judge: None }
    }

    /// Gathers the whole file. What it contains is for the caller to verify.
    ///
    /// # Errors
    /// [`DownloadError`]; what had come by then stays, but for a file that is too long.
    pub async fn run(&self, client: &Client, url: &str, progress: &Progress) -> Result<(), DownloadError> {
        download(client, url, self, progress).await
    }
}

async fn download(
    client: &Client,
    url: &str,
    wanted: &FileDownload<'_>,
    progress: &Progress,
) -> Result<(), DownloadError> {
    let partial = &wanted.partial;
    let mut bytes = fs::optional(fs::metadata(partial))?.map_or(0, |metadata| metadata.len());
    let mut bytes_expected = wanted.bytes;
    let mut step = Step { progress, begun: false };
    let mut resumes = 0;
    while bytes_expected.is_none_or(|expected| bytes < expected) {
        // One byte over the size is enough to see that it is another file.
        let bytes_max = bytes_expected.map_or(wanted.bytes_max, |expected| expected + 1);
        // What is compressed on the way could not be continued by its length.
        let request = client.get(url).verbatim().bytes_from(bytes).bytes_max(bytes_max);
        let request = wanted.judge.iter().fold(request, |request, judge| request.judged_by(judge.clone()));
        let download = request.open().await?;
        let kept = match download.status {
            206 => bytes,
            200 => 0,
            // What there is cannot be continued; the next attempt starts anew.
            416 if bytes > 0 => {
                fs::remove_file(partial)?;
                bytes = 0;
                continue;
            }
            status => return Err(DownloadError::Status { status }),
        };
        bytes_expected = bytes_expected.or(download.content_length.map(|length| kept + length));
        step.begin(wanted.what, bytes_expected, kept);
        let broken = append(download, partial, kept, &mut bytes, progress).await?;
        // Of a file whose length nobody knows, the parts together have the limit.
        let bytes_most = bytes_expected.unwrap_or(wanted.bytes_max);
        if bytes > bytes_most {
            fs::remove_file(partial)?;
            return Err(DownloadError::TooLong { bytes_expected: bytes_most });
        }
        match (bytes_expected, broken) {
            // A body of unknown length that ends without an error is whole.
            (None, None) => break,
            (None, Some(error)) if resumes == RESUMES_MAX => return Err(error.into()),
            (Some(bytes_expected), _) if bytes < bytes_expected && resumes == RESUMES_MAX => {
                return Err(DownloadError::CutOff { bytes, bytes_expected });
            }
            _ => resumes += 1,
        }
    }
    Ok(())
}

/// Writes a body behind the first `kept` bytes of a file until it ends or breaks; `bytes` becomes the size of the file.
/// Returns why it broke.
async fn append(
    mut download: Download,
    path: &Path,
    kept: u64,
    bytes: &mut u64,
    progress: &Progress,
) -> Result<Option<NetError>, DownloadError> {
    let failed = |e| FsError::new("write", path, e);
    let file = fs::append(path)?;
    if file.metadata().map_err(failed)?.len() != kept {
        file.set_len(kept).map_err(failed)?;
    }
    let mut file = tokio::fs::File::from_std(file);
    *bytes = kept;
    let broken = loop {
        match download.chunk().await {
            Ok(Some(chunk)) => {
                file.write_all(&chunk).await.map_err(failed)?;
                *bytes += chunk.len() as u64;
                progress.advance(chunk.len() as u64);
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    file.flush().await.map_err(failed)?;
    match broken {
        // Nothing came at all: asking again at once would not help.
        Some(error) if *bytes == kept => Err(error.into()),
        Some(error) => {
            tracing::info!(%error, bytes, "a download broke off");
            Ok(Some(error))
        }
        None => Ok(None),
    }
}

/// The step that people watch, ended however the download ends.
struct Step<'a> {
    progress: &'a Progress,
    begun: bool,
}

impl Step<'_> {
    fn begin(&mut self, what: &str, total: Option<u64>, bytes: u64) {
        if !self.begun {
            self.progress.start_bytes(what, total);
            self.progress.advance(bytes);
            self.begun = true;
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if self.begun {
            self.progress.finish();
        }
    }
}
