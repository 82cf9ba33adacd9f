//! `update_dvc`: a version of the dataset: its data in DVC's cache, the pointers and the record of it in a commit.

use std::path::PathBuf;

use natureddit_core::{ContentHash, fs};
use serde::Serialize;

use super::versioned::VersionedDataset;
use super::{DailyError, Day, MergedDay, Task};
use crate::dataset::{POSTS_FILE, RECORD_FILE, read_record};
use crate::dvc::Added;
use crate::record::DatasetRecord;

/// The version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdatedDvc {
    /// What DVC has now.
    pub added: Vec<Added>,
    /// The commit; `None` where nothing changed, or without git.
    pub commit: Option<String>,
}

/// Versions the dataset as it is. Nothing but the dataset and the labels is committed, whatever else was changed.
///
/// # Errors
/// [`DailyError`]; doing it again finishes what was begun.
pub fn update_dvc(day: &Day, dataset: &VersionedDataset) -> Result<UpdatedDvc, DailyError> {
    day.begin(Task::UpdateDvc)?;
    let repo = dataset.repo()?;
    let (table, record) = (dataset.data_dir.join(POSTS_FILE), dataset.data_dir.join(RECORD_FILE));
    let recorded = read_record(&dataset.data_dir)?;
    let hash = fs::optional(ContentHash::of_file(&table))?;
    if hash != recorded.as_ref().map(|record| record.posts_sha256) {
        return Err(DailyError::Unrecorded { path: table, record });
    }
    let there: Vec<PathBuf> = dataset.data().into_iter().filter(|path| path.exists()).collect();
    let mut done = UpdatedDvc { added: repo.add(&there)?, commit: None };
    if let Some(git) = dataset.git() {
        let committed: Option<DatasetRecord> =
            git.at_head(&record)?.and_then(|record| toml::from_str(&String::from_utf8_lossy(&record)).ok());
        let posts = (recorded.map_or(0, |record| record.posts), committed.map_or(0, |record| record.posts));
        done.commit = git.commit(&dataset.committed(), &message(day, posts)?)?;
    }
    day.finish(Task::UpdateDvc, &done)?;
    Ok(done)
}

/// States the window and the counts. What an earlier run merged and could not commit is new too: it is told by the posts
/// there are now and in the last commit.
fn message(day: &Day, (posts_now, posts_committed): (u64, u64)) -> Result<String, DailyError> {
    let date = day.date();
    let Some(MergedDay { posts_new, posts, photos, .. }) = day.read(Task::MergeDatasets)? else {
        return Ok(format!("Dataset as of {date}"));
    };
    let posts_new = posts_new.max(posts_now.saturating_sub(posts_committed));
    let window = day.window().map_or_else(String::new, |window| window.to_string());
    let plural = if posts_new == 1 { "" } else { "s" };
    Ok(format!(
        "Dataset of {date}: {posts_new} new post{plural}\n\nPosts from {window}; {posts} posts and {photos} photos in all.\n"
    ))
}
