//! Datasets as one: of several rows of one photo one wins, whatever the order of the datasets, and merging again changes
//! nothing. No input is changed, but for the dataset that is merged into, which is an input itself.
//!
//! The row that wins has its photo as it was stored, then the larger photo, then more to tell than the original form can,
//! then the text that sorts first. A tombstone of any dataset counts for all. A post has a row or is dropped, never both;
//! of two reasons the one stays that does not pass by itself, then the one that sorts first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs;
use natureddit_core::{Clock, ContentHash, PostId, Progress};
use natureddit_image::ImageLimits;
use serde::{Deserialize, Serialize};

use crate::collect::may_pass;
use crate::dataset::{
    self, DROPPED_FILE, Dataset, DatasetError, DatasetStore, DroppedPost, POSTS_FILE, PhotoKey, PostRow, TableRow,
};
use crate::forget::bury;
use crate::gap::{Ask, GAPS_FILE, Ledger};
use crate::journal::{self, Journal};
use crate::original::{self, Original};
use crate::record::{Collected, DatasetRecord};
use crate::tombstones::TOMBSTONES_FILE;

/// What a merge did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Rows of the result.
    pub rows: u64,
    /// Rows that were not in the dataset that was merged into.
    pub rows_new: u64,
    /// Rows that another row of the same photo took the place of.
    pub rows_replaced: u64,
    /// Rows without a photo that can be read: they stay where they are and are not in the result.
    pub photos_missing: u64,
    /// Rows of posts with a tombstone, which were left out.
    pub forgotten: u64,
    /// Photos of tables of the original form that cannot be used, and why.
    pub refused: Vec<(PathBuf, String)>,
}

/// A dataset to merge into another.
struct Part {
    dataset: Dataset,
    asks: Vec<Ask>,
    photos: BTreeMap<PhotoKey, PathBuf>,
}

/// A row and what decides whether it wins.
struct Candidate {
    row: PostRow,
    photo: PathBuf,
    /// Whether the file is there as it was stored.
    is_sound: bool,
}

/// Merges datasets into the one in `data_dir`, which may be empty. An input is the folder of a dataset or, in the original
/// form, a table with a folder of its name beside it. What it costs follows the inputs: of the dataset that is merged into
/// only photos are read of which an input has another.
///
/// # Errors
/// [`DatasetError`] of the first input that cannot be read; then nothing is changed.
pub fn merge(
    inputs: &[PathBuf],
    data_dir: &Path,
    limits: &ImageLimits,
    clock: &Clock,
    progress: &Progress,
) -> Result<Merged, DatasetError> {
    let _lock = dataset::lock(data_dir)?;
    let mut merged = Merged::default();
    let mut parts = Vec::new();
    for input in inputs {
        let files = [POSTS_FILE, DROPPED_FILE, GAPS_FILE, TOMBSTONES_FILE];
        if !input.is_file() && !files.iter().any(|file| input.join(file).exists()) {
            return Err(DatasetError::NoDataset { path: input.clone() });
        }
        parts.push(read_part(input, limits, progress, &mut merged)?);
    }
    let mut target = DatasetStore::open(data_dir)?;
    let ledger = Ledger::read(data_dir)?;
    // What a killed collection did there is part of it.
    journal::take_up(&mut target, data_dir)?;
    parts.iter().for_each(|part| target.tombstones.merge(&part.dataset.tombstones));
    target.tombstones.write(data_dir)?;
    merged.forgotten += bury(&mut target, data_dir)?.rows;
    take_rows(&mut target, &parts, data_dir, &mut merged)?;
    take_dropped(&mut target, &parts)?;
    target.write(collected(target.record.as_ref(), &parts, clock))?;
    target.backdate(parts.iter().filter_map(|part| part.dataset.record.as_ref()))?;
    merged.rows = target.record.as_ref().map_or(0, |record| record.photos);
    let asks = parts.iter().flat_map(|part| &part.asks).chain(ledger.asks());
    Ledger::merged(data_dir, asks.cloned()).write()?;
    Journal::new(data_dir).remove()?;
    Ok(merged)
}

/// Puts the rows that win, and their photos, into the dataset that is merged into.
fn take_rows(
    target: &mut DatasetStore,
    parts: &[Part],
    data_dir: &Path,
    merged: &mut Merged,
) -> Result<(), DatasetError> {
    let images = Dataset::images_dir(data_dir);
    let (mut photos, mut rows) = (Vec::new(), Vec::new());
    for winner in winners(parts, target, merged)? {
        let there = target.photos_of(&winner.row.post.id)?.into_iter().find(|row| row.stem() == winner.row.stem());
        if let Some(row) = there {
            let photo = Dataset::image_path(data_dir, &row);
            let is_sound = fs::optional(ContentHash::of_file(&photo))? == Some(row.sha256);
            if !winner.beats(&Candidate { row, photo, is_sound }) {
                continue;
            }
            merged.rows_replaced += 1;
        } else {
            merged.rows_new += 1;
        }
        let path = Dataset::image_path(data_dir, &winner.row);
        fs::write_unsynced(&path, fs::read(&winner.photo)?)?;
        photos.push(path);
        rows.push(winner.row);
    }
    // Before the rows, which say that they are there.
    fs::sync_files(&photos)?;
    rows.into_iter().try_for_each(|row| journal::insert(target, &images, row).map(|_| ()))
}

/// Puts the reasons that win into the dataset that is merged into. A reason that may pass gives way to one that does not;
/// of others the one that sorts first stays.
fn take_dropped(target: &mut DatasetStore, parts: &[Part]) -> Result<(), DatasetError> {
    let mut by_post: BTreeMap<&PostId, Vec<DroppedPost>> = BTreeMap::new();
    for post in parts.iter().flat_map(|part| part.dataset.dropped.values()) {
        by_post.entry(&post.id).or_default().push(post.clone());
    }
    for (id, mut dropped) in by_post {
        if target.tombstones.has(id) {
            continue;
        }
        dropped.extend(target.dropped_of(id)?);
        let rank = |post: &DroppedPost| (may_pass(&post.reason), post.reason.clone(), post.subreddit.clone());
        dropped.sort_by(|a, b| a.media_id.cmp(&b.media_id).then_with(|| rank(b).cmp(&rank(a))));
        for post in dropped {
            if !target.has(&post)? {
                target.drop_post(post)?;
            }
        }
    }
    Ok(())
}

fn read_part(
    input: &Path,
    limits: &ImageLimits,
    progress: &Progress,
    merged: &mut Merged,
) -> Result<Part, DatasetError> {
    if input.is_file() {
        let Original { rows, photos, refused } = Original::read(input, limits, progress)?;
        merged.refused.extend(refused);
        // Of rows of one photo the later wins there as well.
        let rows = rows.into_iter().map(|row| ((row.post.id.clone(), row.stem().to_owned()), row));
        let rows: BTreeMap<_, PostRow> = rows.collect();
        let posts = rows.into_values().map(|row| (row.photo_key(), row)).collect();
        let dataset = Dataset { posts, ..Dataset::default() };
        return Ok(Part { dataset, asks: Vec::new(), photos });
    }
    let dataset = Dataset::read(input)?;
    let photos = dataset.posts.iter().map(|(key, row)| (key.clone(), Dataset::image_path(input, row))).collect();
    Ok(Part { dataset, asks: Ledger::read(input)?.asks().to_vec(), photos })
}

/// The rows of the inputs that win among them, each of another photo.
fn winners(parts: &[Part], target: &DatasetStore, merged: &mut Merged) -> Result<Vec<Candidate>, DatasetError> {
    let mut winners: BTreeMap<(PostId, String), Candidate> = BTreeMap::new();
    for part in parts {
        for (key, row) in &part.dataset.posts {
            if target.tombstones.has(&key.id) {
                merged.forgotten += 1;
                continue;
            }
            let photo = part.photos[key].clone();
            let is_sound = fs::optional(ContentHash::of_file(&photo))? == Some(row.sha256);
            if !is_sound {
                merged.photos_missing += 1;
                continue;
            }
            let candidate = Candidate { row: row.clone(), photo, is_sound };
            let name = (key.id.clone(), row.stem().to_owned());
            match winners.get(&name) {
                Some(old) if !candidate.beats(old) => {}
                old => {
                    merged.rows_replaced += u64::from(old.is_some());
                    winners.insert(name, candidate);
                }
            }
        }
    }
    Ok(winners.into_values().collect())
}

impl Candidate {
    fn beats(&self, other: &Self) -> bool {
        let pixels = |row: &PostRow| u64::from(row.width) * u64::from(row.height);
        let rank =
            |candidate: &Self| (candidate.is_sound, pixels(&candidate.row), candidate.row.source != original::NAME);
        let (mine, theirs) = (rank(self), rank(other));
        mine > theirs || (mine == theirs && self.row.cells() < other.row.cells())
    }
}

/// What the result is a collection of: all windows, by the latest that was recorded.
fn collected(of_target: Option<&DatasetRecord>, parts: &[Part], clock: &Clock) -> Collected {
    let records = || of_target.into_iter().chain(parts.iter().filter_map(|part| part.dataset.record.as_ref()));
    let Some(latest) = records().max_by_key(|record| (record.retrieved_at, &record.source)) else {
        return Collected::nothing(None, clock);
    };
    let covered = records().flat_map(|record| record.windows.clone()).collect();
    Collected { retrieved_at: latest.retrieved_at, source: latest.source.clone(), covered }
}
