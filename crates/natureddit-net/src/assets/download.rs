//! A file pulled by its address, from where a run before stopped.

use std::path::{Path, PathBuf};

use natureddit_core::Progress;
use natureddit_core::fs::{self, FsError};
use tokio::io::AsyncWriteExt;

use super::error::SourceError;
use crate::{Client, Download, NetError};

/// How often a broken connection is taken up again.
const RESUMES_MAX: u32 = 5;

/// The longest file of which nobody knows the size beforehand.
const BYTES_MAX: u64 = 1 << 30;

/// A file that is wanted.
pub(super) struct Wanted<'a> {
    /// What people watch: `pulling all-MiniLM-L6-v2`.
    pub(super) what: &'a str,
    /// Where its bytes are gathered; what is there already is continued.
    pub(super) partial: PathBuf,
    /// Its size, where that is known.
    pub(super) bytes: Option<u64>,
}

/// Gathers the whole file. What it contains is for the caller to verify.
pub(super) async fn download(
    client: &Client,
    url: &str,
    wanted: &Wanted<'_>,
    progress: &Progress,
) -> Result<(), SourceError> {
    let partial = &wanted.partial;
    let mut bytes = fs::optional(fs::metadata(partial))?.map_or(0, |metadata| metadata.len());
    let mut bytes_expected = wanted.bytes;
    let mut step = Step { progress, begun: false };
    let mut resumes = 0;
    while bytes_expected.is_none_or(|expected| bytes < expected) {
        // One byte over the size is enough to see that it is another file.
        let bytes_max = bytes_expected.map_or(BYTES_MAX, |expected| expected + 1);
        let download = client.get(url).bytes_from(bytes).bytes_max(bytes_max).open().await?;
        let kept = match download.status {
            206 => bytes,
            200 => 0,
            // What there is cannot be continued; the next attempt starts anew.
            416 if bytes > 0 => {
                fs::remove_file(partial)?;
                bytes = 0;
                continue;
            }
            status => return Err(SourceError::Status { status }),
        };
        bytes_expected = bytes_expected.or(download.content_length.map(|length| kept + length));
        step.begin(wanted.what, bytes_expected, kept);
        let broken = append(download, partial, kept, &mut bytes, progress).await?;
        if bytes_expected.is_some_and(|expected| bytes > expected) {
            fs::remove_file(partial)?;
            return Err(SourceError::TooLong { bytes_expected: bytes_expected.unwrap_or_default() });
        }
        match (bytes_expected, broken) {
            // A body of unknown length that ends without an error is whole.
            (None, None) => break,
            (None, Some(error)) if resumes == RESUMES_MAX => return Err(error.into()),
            (Some(bytes_expected), _) if bytes < bytes_expected && resumes == RESUMES_MAX => {
                return Err(SourceError::CutOff { bytes, bytes_expected });
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
) -> Result<Option<NetError>, SourceError> {
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
