//! `pull_dataset`: what others committed and pushed since. What was changed here and is not versioned yet stays.

use serde::Serialize;

use super::versioned::VersionedDataset;
use super::{DailyError, Day, Task};
use crate::dvc::{CheckedOut, DvcError, OutStatus, Pulled};
use crate::git::GitError;

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PulledDataset {
    /// The commit that is checked out; `None` without git.
    pub commit: Option<String>,
    /// Whether it came from the remote just now.
    pub is_forwarded: bool,
    /// What of the dataset has changes that no version holds yet, and was left as it is.
    pub changed: Vec<String>,
    /// What of the data came.
    #[serde(flatten)]
    pub pulled: Pulled,
}

/// Takes over what the branch that is followed has more, and gets the data that the pointers name.
///
/// # Errors
/// [`DailyError`]; the dataset is then as it was.
pub async fn pull_dataset(day: &Day, dataset: &VersionedDataset) -> Result<PulledDataset, DailyError> {
    day.begin(Task::PullDataset)?;
    let mut done = PulledDataset::default();
    let changed = tokio::task::block_in_place(|| {
        let changed = changed(dataset)?;
        if let Some(git) = dataset.git() {
            if let Some(upstream) = git.upstream()? {
                let is_touched = || git.touches(&upstream, |path| dataset.is_committed(path));
                git.fetch(&upstream)?;
                if !changed.is_empty() && is_touched()? {
                    let (upstream, names) = (upstream.name, changed.join(", "));
                    return Err(DailyError::BothChanged { upstream, names });
                }
                // Each further commit would make it worse.
                let both = git.changed_by_both(&upstream)?;
                if both.iter().any(|file| dataset.is_committed(&git.top().join(file))) {
                    return Err(GitError::Conflict { upstream: upstream.name, files: both.join(", ") }.into());
                }
                done.is_forwarded = git.fast_forward(&upstream)?;
            }
            done.commit = git.head()?;
        }
        Ok(changed)
    })?;
    let repo = dataset.repo()?;
    let shown = |path: &std::path::Path| repo.shown(path);
    let targets: Vec<_> = dataset.tracked().into_iter().filter(|path| !changed.contains(&shown(path))).collect();
    if !targets.is_empty() {
        done.pulled = match repo.pull(&targets, None, false).await {
            // Then the data is what is here, in the work tree or the cache.
            Err(DvcError::NoRemote) => {
                let checked_out: CheckedOut = tokio::task::block_in_place(|| repo.checkout(&targets, false))?;
                Pulled { checked_out, ..Pulled::default() }
            }
            pulled => pulled?,
        };
    }
    done.changed = changed;
    day.finish(Task::PullDataset, &done)?;
    Ok(done)
}

/// What of the dataset differs from its pointers because it was changed here: not what was only removed, not what a checkout
/// left half done, and not an older version, as `git pull` alone leaves it, which a commit still has.
fn changed(dataset: &VersionedDataset) -> Result<Vec<String>, DailyError> {
    let tracked = dataset.tracked();
    if tracked.is_empty() {
        // Also tells where there is no repository.
        dataset.repo()?;
        return Ok(Vec::new());
    }
    let (repo, git) = (dataset.repo()?, dataset.git());
    let mut changed = Vec::new();
    for status in repo.status(&tracked)?.into_iter().filter(OutStatus::is_change_of_data) {
        let (out, pointer) = (repo.root().join(&status.path), repo.root().join(&status.pointer));
        let is_older = || match (&git, &status.now) {
            (Some(git), Some(now)) => git.had(&pointer, &format!("md5: {now}")),
            _ => Ok(false),
        };
        if !repo.is_half_checked_out(&out)? && !is_older()? {
            changed.push(status.path);
        }
    }
    Ok(changed)
}
