//! Which files of a project are data, which are versioned by git, and where both repositories are.

use std::path::{Path, PathBuf};

use crate::dataset::{DROPPED_FILE, Dataset, POSTS_FILE, RECORD_FILE};
use crate::dvc::pointer::Pointer;
use crate::dvc::{DvcError, DvcOptions, DvcRepo};
use crate::gap::GAPS_FILE;
use crate::git::Git;
use crate::labels::LABELS_FILE;
use crate::titles::TITLES_FILE;
use crate::tombstones::TOMBSTONES_FILE;

/// A dataset whose data DVC versions, and git the rest.
#[derive(Clone, Debug)]
pub struct VersionedDataset {
    /// The project's folder, in a repository of DVC.
    pub root: PathBuf,
    /// Holds the dataset.
    pub data_dir: PathBuf,
    /// Holds the labels.
    pub labels_dir: PathBuf,
    /// How DVC's repository is worked on.
    pub dvc: DvcOptions,
}

impl VersionedDataset {
    pub(super) fn repo(&self) -> Result<DvcRepo, DvcError> {
        DvcRepo::open(&self.root, self.dvc.clone())
    }

    pub(super) fn git(&self) -> Option<Git> {
        Git::of(&self.root)
    }

    /// The files and folders that DVC versions.
    pub(super) fn data(&self) -> [PathBuf; 3] {
        let file = |name: &str| self.data_dir.join(name);
        [file(POSTS_FILE), file(DROPPED_FILE), Dataset::images_dir(&self.data_dir)]
    }

    /// Of these, those that have a pointer.
    pub(super) fn tracked(&self) -> Vec<PathBuf> {
        self.data().into_iter().filter(|path| Pointer::path_of(path).exists()).collect()
    }

    /// The files that git versions.
    pub(super) fn committed(&self) -> Vec<PathBuf> {
        let pointers = self.data().into_iter().map(|path| Pointer::path_of(&path));
        let of_data = [".gitignore", RECORD_FILE, TOMBSTONES_FILE, GAPS_FILE].map(|name| self.data_dir.join(name));
        let of_labels = [LABELS_FILE, TITLES_FILE].map(|name| self.labels_dir.join(name));
        pointers.chain(of_data).chain(of_labels).collect()
    }

    /// Whether a file is one that the daily update commits.
    pub(super) fn is_committed(&self, path: &Path) -> bool {
        self.committed().iter().any(|own| own == path)
    }
}
