//! `merge_datasets`: the posts and photos of the day into the dataset.

use std::path::Path;

use natureddit_core::fs;
use natureddit_core::{Clock, Progress};
use natureddit_image::ImageLimits;
use serde::{Deserialize, Serialize};

use super::{DailyError, Day, Task};
use crate::collect::{AuthorMode, reapply_authors};
use crate::dataset::read_record;
use crate::merge::{Merged, merge};

/// What the day added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedDay {
    /// Posts of the dataset that it had not before.
    pub posts_new: u64,
    /// Posts of the dataset.
    pub posts: u64,
    /// Photos of the dataset.
    pub photos: u64,
    /// How many rows were of the day, and what became of them.
    #[serde(flatten)]
    pub merged: Merged,
}

/// Merges the posts of the day into the dataset, after which they are only there.
///
/// # Errors
/// [`DailyError`]; doing it again finishes what was begun.
pub fn merge_datasets(
    day: &Day,
    limits: &ImageLimits,
    author: AuthorMode,
    clock: &Clock,
) -> Result<MergedDay, DailyError> {
    let posts_dir = day.posts_dir();
    if fs::optional(fs::metadata(&posts_dir))?.is_none()
        && let Some(done) = day.read(Task::MergeDatasets)?
    {
        return Ok(done);
    }
    day.begin(Task::MergeDatasets)?;
    day.require(Task::ResizeImages)?;
    reapply_authors(&day.data_dir, author, clock)?;
    let (posts_before, _) = counts(&day.data_dir)?;
    let merged = merge(std::slice::from_ref(&posts_dir), &day.data_dir, limits, clock, &Progress::silent())?;
    let (posts, photos) = counts(&day.data_dir)?;
    let done = MergedDay { posts_new: posts.saturating_sub(posts_before), posts, photos, merged };
    day.finish(Task::MergeDatasets, &done)?;
    fs::remove_dir_all(&posts_dir)?;
    Ok(done)
}

/// The posts and the photos of a dataset.
fn counts(data_dir: &Path) -> Result<(u64, u64), DailyError> {
    Ok(read_record(data_dir)?.map_or((0, 0), |record| (record.posts, record.photos)))
}
