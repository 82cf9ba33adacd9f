//! The daily update: seven tasks that hand over to each other in files, so that each can be run by itself, again, and by
//! whatever scheduler.
//!
//! | task | reads | writes |
//! |---|---|---|
//! | `pull_dataset` | the branch and the remote that are followed | the dataset |
//! | `load_settings` | `natureddit.toml` | `settings.toml` |
//! | `obtain_posts` | `settings.toml`, the sources, what the dataset has | `posts/`, a dataset of what is new |
//! | `resize_images` | `posts/` | the photos of `posts/` |
//! | `merge_datasets` | `posts/` | the dataset; `posts/` is then gone |
//! | `update_dvc` | the dataset | pointers, and a commit |
//! | `push` | the cache, the commit | the remotes of DVC and git |
//!
//! All but the dataset lies in `.daily/DATE` in its folder, with what each task did in `TASK.json`. A task that is run again
//! begins anew what comes after it.

mod merge_datasets;
mod pull_dataset;
mod push;
mod resize_images;
mod update_dvc;
mod versioned;

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use natureddit_core::fs::{self, FsError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dataset::DatasetError;
use crate::dvc::DvcError;
use crate::git::GitError;
use crate::window::Window;

pub use merge_datasets::{MergedDay, merge_datasets};
pub use pull_dataset::{PulledDataset, pull_dataset};
pub use push::{Pushed, push};
pub use resize_images::{Resized, resize_images};
pub use update_dvc::{UpdatedDvc, update_dvc};
pub use versioned::VersionedDataset;

/// A step of the daily update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Gets what others pushed.
    PullDataset,
    /// Keeps the settings of the day, which the later tasks read.
    LoadSettings,
    /// Collects the posts of the day and their photos as they come.
    ObtainPosts,
    /// Makes these photos as small as the dataset wants them.
    ResizeImages,
    /// Puts posts and photos into the dataset.
    MergeDatasets,
    /// Versions the dataset and commits the version.
    UpdateDvc,
    /// Sends the version to the remotes.
    Push,
}

impl Task {
    /// All, in their order.
    pub const ALL: [Self; 7] = [
        Self::PullDataset,
        Self::LoadSettings,
        Self::ObtainPosts,
        Self::ResizeImages,
        Self::MergeDatasets,
        Self::UpdateDvc,
        Self::Push,
    ];

    /// Its name: `pull_dataset`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PullDataset => "pull_dataset",
            Self::LoadSettings => "load_settings",
            Self::ObtainPosts => "obtain_posts",
            Self::ResizeImages => "resize_images",
            Self::MergeDatasets => "merge_datasets",
            Self::UpdateDvc => "update_dvc",
            Self::Push => "push",
        }
    }

    /// What it does, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::PullDataset => "get what others pushed",
            Self::LoadSettings => "keep the settings of the day",
            Self::ObtainPosts => "collect the day's posts and photos",
            Self::ResizeImages => "make the photos as small as the dataset wants them",
            Self::MergeDatasets => "put posts and photos into the dataset",
            Self::UpdateDvc => "version the dataset and commit the version",
            Self::Push => "send data and commit to the remotes",
        }
    }
}

/// A task that failed.
#[derive(Debug, thiserror::Error)]
pub enum DailyError {
    /// What it needs is not there.
    #[error("the task {} of {date} is not done", task.name())]
    NotDone {
        /// The task before it.
        task: Task,
        /// The day.
        date: Date,
    },
    /// The dataset was changed here and by others.
    #[error("{upstream} has another version of the dataset, and the one here has changes of its own: {names}")]
    BothChanged {
        /// The branch of the remote.
        upstream: String,
        /// What was changed here.
        names: String,
    },
    /// The dataset's table is not the one its record describes.
    #[error("{path} was changed since {record} was written", path = path.display(), record = record.display())]
    Unrecorded {
        /// The table.
        path: PathBuf,
        /// The record.
        record: PathBuf,
    },
    /// A photo of the day cannot be read.
    #[error("{path} is no photo that can be used: {why}", path = path.display())]
    Photo {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// What a task left behind is not what it writes.
    #[error("{path} cannot be read: {why}", path = path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// DVC.
    #[error(transparent)]
    Dvc(#[from] DvcError),
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// The longest report that is read.
const REPORT_BYTES_MAX: u64 = 1 << 26;
const FOLDER: &str = ".daily";
const POSTS: &str = "posts";

/// One day's update of the dataset in a folder.
#[derive(Clone, Debug)]
pub struct Day {
    date: Date,
    data_dir: PathBuf,
    folder: PathBuf,
}

impl Day {
    /// The update of a day, in UTC.
    #[must_use]
    pub fn new(data_dir: &Path, date: Date) -> Self {
        Self { date, data_dir: data_dir.to_owned(), folder: data_dir.join(FOLDER).join(date.to_string()) }
    }

    /// The day.
    #[must_use]
    pub fn date(&self) -> Date {
        self.date
    }

    /// From its first second to its last; `None` for days before 1970 or after 9999.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        let second = |date: Date| Some(TimeZone::UTC.to_timestamp(date.into()).ok()?.as_second());
        Window::new(second(self.date)?, second(self.date.tomorrow().ok()?)?).ok()
    }

    /// Where the settings of the day are kept.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.folder.join("settings.toml")
    }

    /// The dataset of what is new.
    #[must_use]
    pub fn posts_dir(&self) -> PathBuf {
        self.folder.join(POSTS)
    }

    /// Forgets that a task, and those after it, were done.
    ///
    /// # Errors
    /// [`DailyError::Fs`].
    pub fn begin(&self, task: Task) -> Result<(), DailyError> {
        // What is in there is of no use to anybody else.
        let ignored = self.data_dir.join(FOLDER).join(".gitignore");
        if fs::optional(fs::metadata(&ignored))?.is_none() {
            fs::write_atomic(&ignored, "*\n")?;
        }
        Task::ALL
            .iter()
            .filter(|later| **later >= task)
            .try_for_each(|later| Ok(fs::remove_file(&self.report(*later))?))
    }

    /// Notes that a task is done, and what it did.
    ///
    /// # Errors
    /// [`DailyError::Fs`].
    pub fn finish(&self, task: Task, done: &impl Serialize) -> Result<(), DailyError> {
        let path = self.report(task);
        let json = serde_json::to_vec_pretty(done);
        let json = json.map_err(|error| DailyError::Report { path: path.clone(), why: error.to_string() })?;
        Ok(fs::write_atomic(&path, json)?)
    }

    /// An error unless a task is done.
    ///
    /// # Errors
    /// [`DailyError::NotDone`].
    pub fn require(&self, task: Task) -> Result<(), DailyError> {
        match fs::optional(fs::metadata(&self.report(task)))? {
            Some(_) => Ok(()),
            None => Err(DailyError::NotDone { task, date: self.date }),
        }
    }

    /// What a task did, if it is done.
    fn read<T: DeserializeOwned>(&self, task: Task) -> Result<Option<T>, DailyError> {
        let path = self.report(task);
        let Some(json) = fs::optional(fs::read_limited(&path, REPORT_BYTES_MAX))? else { return Ok(None) };
        let report = serde_json::from_slice(&json);
        report.map(Some).map_err(|error| DailyError::Report { path, why: error.to_string() })
    }

    fn report(&self, task: Task) -> PathBuf {
        self.folder.join(format!("{}.json", task.name()))
    }
}

/// The datasets of days whose posts are not merged into the one in this folder.
pub(crate) fn unmerged(data_dir: &Path) -> Result<Vec<PathBuf>, FsError> {
    let days = fs::optional(fs::read_dir(&data_dir.join(FOLDER)))?.unwrap_or_default();
    Ok(days.into_iter().map(|day| day.join(POSTS)).filter(|posts| posts.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_utc_and_its_tasks_depend_on_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let day = Day::new(folder.path(), "2026-11-28".parse().unwrap());
        let window = day.window().unwrap();
        assert_eq!(window.to_string(), Window::new(1_795_824_000, 1_795_910_400).unwrap().to_string());
        assert!(Day::new(folder.path(), "1969-12-31".parse().unwrap()).window().is_none());

        for task in Task::ALL {
            day.begin(task).unwrap();
            day.finish(task, &task.name()).unwrap();
        }
        assert_eq!(day.read::<String>(Task::Push).unwrap().as_deref(), Some("push"));
        day.begin(Task::ResizeImages).unwrap();
        day.require(Task::ObtainPosts).unwrap();
        let error = day.require(Task::MergeDatasets).unwrap_err().to_string();
        assert_eq!(error, "the task merge_datasets of 2026-11-28 is not done");
        assert_eq!(fs::read_to_string(&folder.path().join(".daily/.gitignore")).unwrap(), "*\n");
    }
}
