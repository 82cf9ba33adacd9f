//! A file of the Hugging Face hub, by its plain address.

use std::path::{Path, PathBuf};

use natureddit_core::Progress;
use natureddit_core::fs::{self, FsError};
use tokio::io::AsyncWriteExt;

use super::blocking;
use super::cache::Entry;
use super::error::SourceError;
use crate::{Client, Download};

/// How often a broken connection is taken up again.
const RESUMES_MAX: u32 = 5;

/// Fetches the file, from where a run before stopped.
pub(super) async fn fetch(
    client: &Client,
    url: &str,
    entry: &Entry,
    progress: &Progress,
) -> Result<PathBuf, SourceError> {
    let partial = entry.partial();
    let mut bytes = fs::optional(fs::metadata(&partial))?.map_or(0, |metadata| metadata.len());
    let mut step = Step { progress, begun: false };
    let mut resumes = 0;
    while bytes < entry.bytes {
        // One byte over the size is enough to see that it is another file.
        let download = client.get(url).bytes_from(bytes).bytes_max(entry.bytes + 1).open().await?;
        let kept = match download.status {
            206 => bytes,
            200 => 0,
            // What there is cannot be continued; the next attempt starts anew.
            416 if bytes > 0 => {
                fs::remove_file(&partial)?;
                bytes = 0;
                continue;
            }
            status => return Err(SourceError::Status { status }),
        };
        step.begin(entry, kept);
        bytes = append(download, &partial, kept, &step).await?;
        if bytes > entry.bytes {
            fs::remove_file(&partial)?;
            return Err(SourceError::TooLong { bytes_expected: entry.bytes });
        }
        if bytes < entry.bytes && resumes == RESUMES_MAX {
            return Err(SourceError::CutOff { bytes, bytes_expected: entry.bytes });
        }
        resumes += 1;
    }
    drop(step);
    let entry = entry.clone();
    blocking(move || entry.accept()).await
}

/// Writes a body behind the first `kept` bytes of a file, until it ends or breaks. Returns the size of the file.
async fn append(mut download: Download, path: &Path, kept: u64, step: &Step<'_>) -> Result<u64, SourceError> {
    let failed = |e| FsError::new("write", path, e);
    let file = fs::append(path)?;
    file.set_len(kept).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = kept;
    let broken = loop {
        match download.chunk().await {
            Ok(Some(chunk)) => {
                file.write_all(&chunk).await.map_err(failed)?;
                bytes += chunk.len() as u64;
                step.progress.advance(chunk.len() as u64);
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    file.flush().await.map_err(failed)?;
    match broken {
        // Nothing came at all: asking again at once would not help.
        Some(error) if bytes == kept => Err(error.into()),
        Some(error) => {
            tracing::info!(%error, bytes, "a download broke off");
            Ok(bytes)
        }
        None => Ok(bytes),
    }
}

/// The step that people watch, ended however the download ends.
struct Step<'a> {
    progress: &'a Progress,
    begun: bool,
}

impl Step<'_> {
    fn begin(&mut self, entry: &Entry, bytes: u64) {
        if !self.begun {
            self.progress.start_bytes(&format!("pulling {}", entry.name), Some(entry.bytes));
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
