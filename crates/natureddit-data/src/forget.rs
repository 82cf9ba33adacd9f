//! Forgetting a post: its rows, photos, labels and titles go, and a tombstone stays.
//!
//! The tombstone is written first. When the rest is cut off, every later command sees rows of a post that has a
//! tombstone, and finishes the work: see [`bury`].

use std::collections::BTreeSet;
use std::path::Path;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{Clock, PostId};
use serde::Serialize;

use crate::daily;
use crate::dataset::{self, Dataset, DatasetError, DatasetStore, PostRow};
use crate::journal::{self, Journal};
use crate::labels::Labels;
use crate::pending_deletion::PendingDeletion;
use crate::record::Collected;
use crate::titles::Titles;
use crate::tombstones::Tombstones;

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Posts with a tombstone that is new.
    pub posts: u64,
    /// Posts that were to be forgotten and of which the dataset had a row or a reason why there is none.
    pub known: u64,
    /// Those of which it had neither.
    pub absent: Vec<PostId>,
    /// Rows that are gone.
    pub rows: u64,
    /// Files that are gone.
    pub photos: u64,
    /// Choices that are gone.
    pub labels: u64,
    /// Labelled titles that are gone.
    pub titles: u64,
}

/// Forgets posts in the dataset and labels of these folders. Ids that the dataset does not have get a tombstone all the
/// same: they shall not come back. What was computed from them is the caller's: [`PendingDeletion`] names it until the
/// caller says that it is gone too.
///
/// # Errors
/// [`DatasetError`]; doing it again finishes what was begun.
pub fn forget_posts(
    data_dir: &Path,
    labels_dir: &Path,
    ids: &BTreeSet<PostId>,
    clock: &Clock,
) -> Result<Forgotten, DatasetError> {
    let _lock = dataset::lock(data_dir)?;
    forget(data_dir, labels_dir, ids, clock)
}

/// Removes what writers that were killed left half written in the folders of the dataset and of the labels, where nobody is
/// writing now.
///
/// # Errors
/// With the path.
pub fn sweep_half_written(data_dir: &Path, labels_dir: &Path) -> Result<(), FsError> {
    for folder in [data_dir, labels_dir].into_iter().filter(|folder| folder.is_dir()) {
        drop(dataset::lock_swept(folder)?);
    }
    Ok(())
}

/// As [`forget_posts`], for a caller who holds the dataset's lock.
///
/// # Errors
/// [`DatasetError`]; doing it again finishes what was begun.
pub(crate) fn forget(
    data_dir: &Path,
    labels_dir: &Path,
    ids: &BTreeSet<PostId>,
    clock: &Clock,
) -> Result<Forgotten, DatasetError> {
    let mut dataset = DatasetStore::open(data_dir)?;
    // What a collection was killed over has its posts too.
    journal::take_up(&mut dataset, data_dir)?;
    let before = dataset.tombstones.len();
    let mut absent = Vec::new();
    for id in ids {
        if !dataset.knows(id)? {
            absent.push(id.clone());
        }
    }
    // A tombstone is for good and may be published: it must not hold a name that somebody took for an id.
    if let Some(id) = absent.iter().find(|id| !id.is_reddits() && !dataset.tombstones.has(id)) {
        return Err(DatasetError::NoSuchPost { id: id.clone() });
    }
    let mut pending = PendingDeletion::read(data_dir)?.unwrap_or_default();
    for id in ids {
        pending.add(id, &dataset.photos_of(id)?);
    }
    // Tombstones that came from elsewhere may stand for rows that are buried only now.
    for id in dataset.tombstones.ids() {
        let rows = dataset.photos_of(id)?;
        if !rows.is_empty() {
            pending.add(id, &rows);
        }
    }
    pending.write(data_dir)?;
    for id in ids {
        dataset.tombstones.add(id.clone(), clock.now().as_second());
    }
    dataset.tombstones.write(data_dir)?;
    let mut forgotten = bury(&mut dataset, data_dir)?;
    (forgotten.known, forgotten.absent) = ((ids.len() - absent.len()) as u64, absent);
    forgotten.posts = (dataset.tombstones.len() - before) as u64;
    let buried: BTreeSet<PostId> = dataset.tombstones.ids().cloned().collect();
    forgotten.labels = Labels::forget(labels_dir, &buried)?;
    forgotten.titles = Titles::forget(labels_dir, &buried)?;
    dataset.write(Collected::nothing(dataset.record.as_ref(), clock))?;
    Journal::new(data_dir).remove()?;
    for posts in daily::unmerged(data_dir)? {
        forget_unmerged(&posts, &dataset.tombstones, clock)?;
    }
    Ok(forgotten)
}

/// Removes posts with a tombstone from what a daily update has obtained and not merged yet.
fn forget_unmerged(posts_dir: &Path, tombstones: &Tombstones, clock: &Clock) -> Result<(), DatasetError> {
    let _lock = dataset::lock(posts_dir)?;
    let mut dataset = DatasetStore::open(posts_dir)?;
    journal::take_up(&mut dataset, posts_dir)?;
    dataset.tombstones.merge(tombstones);
    bury(&mut dataset, posts_dir)?;
    dataset.write(Collected::nothing(dataset.record.as_ref(), clock))?;
    Ok(Journal::new(posts_dir).remove()?)
}

/// Removes what a dataset has of posts with a tombstone, and their photos. The tables are still to be written.
pub(crate) fn bury(dataset: &mut DatasetStore, data_dir: &Path) -> Result<Forgotten, DatasetError> {
    let mut gone = Vec::new();
    let ids: Vec<PostId> = dataset.tombstones.ids().cloned().collect();
    for id in ids {
        gone.extend(dataset.remove_post(&id)?);
    }
    let mut names: BTreeSet<&str> = gone.iter().map(|row| row.img_name.as_str()).collect();
    if !names.is_empty() {
        // In datasets of other origin two posts may share a file.
        for row in dataset.rows()? {
            names.remove(row?.img_name.as_str());
        }
    }
    Ok(remove_photos(&gone, |name| names.contains(name), data_dir)?)
}

/// Removes the photos of rows that are gone, but for those that others need.
pub(crate) fn remove_photos(
    gone: &[PostRow],
    is_unneeded: impl Fn(&str) -> bool,
    data_dir: &Path,
) -> Result<Forgotten, FsError> {
    let mut forgotten = Forgotten::default();
    for row in gone {
        forgotten.rows += 1;
        if is_unneeded(&row.img_name) {
            let path = Dataset::image_path(data_dir, row);
            forgotten.photos += u64::from(path.exists());
            fs::remove_file(&path)?;
        }
    }
    Ok(forgotten)
}
