//! A file of the Hugging Face hub, by its plain address.

use std::path::PathBuf;

use natureddit_core::Progress;

use super::blocking;
use super::cache::Entry;
use super::error::SourceError;
use crate::{Client, FileDownload};

/// Fetches the file, from where a run before stopped.
pub(super) async fn fetch(
    client: &Client,
    url: &str,
    entry: &Entry,
    progress: &Progress,
) -> Result<PathBuf, SourceError> {
    let what = format!("pulling {}", entry.name);
    FileDownload::of_asset(&what, entry.partial(), Some(entry.bytes)).run(client, url, progress).await?;
    let entry = entry.clone();
    blocking(move || entry.accept()).await
}
