//! `push`: data to the remote of DVC, then the commits that point to it to that of git.

use serde::Serialize;

use super::versioned::VersionedDataset;
use super::{DailyError, Day, Task};
use crate::dvc::Transferred;

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// What of the data.
    #[serde(flatten)]
    pub data: Transferred,
    /// How many commits.
    pub commits: usize,
    /// The branch they went to; `None` where none is followed.
    pub upstream: Option<String>,
    /// Whether the current commit is on a branch; `None` without git.
    pub is_on_branch: Option<bool>,
}

/// Sends the version of the dataset. Commits of others that the branch of the remote got meanwhile are put below.
///
/// # Errors
/// [`DailyError`]; what was sent stays sent.
pub async fn push(day: &Day, dataset: &VersionedDataset) -> Result<Pushed, DailyError> {
    day.begin(Task::Push)?;
    let mut done = Pushed::default();
    let targets = dataset.tracked();
    if !targets.is_empty() {
        done.data = dataset.repo()?.push(&targets, None).await?;
    }
    tokio::task::block_in_place(|| -> Result<(), DailyError> {
        let Some(git) = dataset.git() else { return Ok(()) };
        done.is_on_branch = Some(git.is_on_branch()?);
        let Some(upstream) = git.upstream()? else { return Ok(()) };
        done.commits = git.push(&upstream, |path| dataset.is_committed(path))?;
        done.upstream = Some(upstream.name);
        Ok(())
    })?;
    day.finish(Task::Push, &done)?;
    Ok(done)
}
