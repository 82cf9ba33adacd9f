//! Datasets as one: of several rows of one photo one wins, whatever the order of the datasets, and merging again changes
//! nothing. No input is changed, but for the dataset that is merged into, which is an input itself.
//!
//! The row that wins has its photo as it was stored, then the larger photo, then more to tell than the original form can,
//! then the text that sorts first. A tombstone of
//! any dataset counts for all. A post has a row or is dropped, never both; of two reasons the one that sorts first stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use natureddit_core::fs;
use natureddit_core::{Clock, ContentHash};
use natureddit_image::ImageLimits;
use serde::Serialize;

use crate::dataset::{
    self, DROPPED_FILE, Dataset, DatasetError, DatasetStore, POSTS_FILE, PhotoKey, PostRow, TableRow,
};
use crate::forget::remove_photos;
use crate::gap::{Ask, GAPS_FILE, Ledger};
use crate::original::{self, Original};
use crate::record::{Collected, DatasetRecord};
use crate::tombstones::{TOMBSTONES_FILE, Tombstones};
use crate::window;

/// What a merge did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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

/// A dataset to merge.
struct Part {
    dataset: Dataset,
    asks: Vec<Ask>,
    photos: BTreeMap<PhotoKey, PathBuf>,
}

/// A row and what decides whether it wins.
struct Candidate<'a> {
    row: &'a PostRow,
    photo: PathBuf,
    /// Whether the file is there as it was stored.
    is_sound: bool,
    is_of_target: bool,
}

/// Merges datasets into the one in `data_dir`, which may be empty. An input is the folder of a dataset or, in the original
/// form, a table with a folder of its name beside it.
///
/// # Errors
/// [`DatasetError`] of the first input that cannot be read; then nothing is changed.
pub fn merge(inputs: &[PathBuf], data_dir: &Path, limits: &ImageLimits, clock: &Clock) -> Result<Merged, DatasetError> {
    let _lock = dataset::lock(data_dir)?;
    let mut merged = Merged::default();
    let mut parts = vec![read_part(data_dir, limits, &mut merged)?];
    for input in inputs {
        let files = [POSTS_FILE, DROPPED_FILE, GAPS_FILE, TOMBSTONES_FILE];
        if !input.is_file() && !files.iter().any(|file| input.join(file).exists()) {
            return Err(DatasetError::NoDataset { path: input.clone() });
        }
        parts.push(read_part(input, limits, &mut merged)?);
    }
    let mut result = DatasetStore::empty(data_dir);
    result.record = record(&parts);
    parts.iter().for_each(|part| result.tombstones.merge(&part.dataset.tombstones));
    let winners = winners(&parts, &result.tombstones, &mut merged)?;
    merged.rows = winners.len() as u64;
    for winner in winners {
        let path = Dataset::image_path(data_dir, winner.row);
        if winner.photo != path {
            let is_there = fs::optional(ContentHash::of_file(&path))?.is_some_and(|hash| hash == winner.row.sha256);
            if !is_there {
                fs::write_atomic(&path, fs::read(&winner.photo)?)?;
            }
        }
        merged.rows_new +=
            u64::from(!winner.is_of_target && !parts[0].dataset.posts.contains_key(&winner.row.photo_key()));
        result.insert(winner.row.clone())?;
    }
    let mut dropped: Vec<_> = parts.iter().flat_map(|part| part.dataset.dropped.values()).collect();
    dropped.sort_by_key(|post| (&post.id, &post.media_id, std::cmp::Reverse((&post.reason, &post.subreddit))));
    for post in dropped {
        if !result.has(post)? && !result.tombstones.has(&post.id) {
            result.drop_post(post.clone())?;
        }
    }
    write(&mut result, &parts, data_dir, clock)?;
    Ok(merged)
}

fn write(result: &mut DatasetStore, parts: &[Part], data_dir: &Path, clock: &Clock) -> Result<(), DatasetError> {
    result.tombstones.write(data_dir)?;
    result.write(Collected::nothing(result.record.as_ref(), clock))?;
    let mut asks: Vec<Ask> = parts.iter().flat_map(|part| part.asks.clone()).collect();
    asks.sort_by_cached_key(Ask::order);
    asks.dedup();
    Ledger::of(data_dir, asks).write()?;
    // What the target had and the result has not: photos under another extension, and those of posts with a tombstone.
    let rows = parts[0].dataset.posts.values().cloned();
    let (gone, kept): (Vec<_>, Vec<_>) = rows.partition(|row| result.tombstones.has(&row.post.id));
    let names: BTreeSet<&str> = kept.iter().map(|row| row.img_name.as_str()).collect();
    remove_photos(&gone, |name| !names.contains(name), data_dir)?;
    for row in &kept {
        let photos = result.photos_of(&row.post.id)?;
        let is_replaced = photos.iter().any(|other| other.stem() == row.stem());
        // Where its photo cannot be read, the file stays for its owner to look at.
        if is_replaced && !photos.iter().any(|other| other.img_name == row.img_name) {
            fs::remove_file(&Dataset::image_path(data_dir, row))?;
        }
    }
    Ok(())
}

fn read_part(input: &Path, limits: &ImageLimits, merged: &mut Merged) -> Result<Part, DatasetError> {
    if input.is_file() {
        let Original { rows, photos, refused } = Original::read(input, limits)?;
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

/// The rows that win, each of another photo.
fn winners<'a>(
    parts: &'a [Part],
    tombstones: &Tombstones,
    merged: &mut Merged,
) -> Result<Vec<Candidate<'a>>, DatasetError> {
    let mut winners: BTreeMap<(String, String), Candidate<'a>> = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        for (key, row) in &part.dataset.posts {
            if tombstones.has(&key.id) {
                merged.forgotten += 1;
                continue;
            }
            let photo = part.photos[key].clone();
            let hash = fs::optional(ContentHash::of_file(&photo))?;
            let is_sound = hash == Some(row.sha256);
            // The target keeps what it has, so that a collection can fetch the photo again.
            if !is_sound && at > 0 {
                merged.photos_missing += 1;
                continue;
            }
            let candidate = Candidate { row, photo, is_sound, is_of_target: at == 0 };
            let name = (key.id.to_string(), row.stem().to_owned());
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

impl Candidate<'_> {
    fn beats(&self, other: &Self) -> bool {
        let pixels = |row: &PostRow| u64::from(row.width) * u64::from(row.height);
        let rank =
            |candidate: &Self| (candidate.is_sound, pixels(candidate.row), candidate.row.source != original::NAME);
        let (mine, theirs) = (rank(self), rank(other));
        mine > theirs || (mine == theirs && self.row.cells() < other.row.cells())
    }
}

/// The record of the result before it is counted: all windows, and the latest collection.
fn record(parts: &[Part]) -> Option<DatasetRecord> {
    let records = || parts.iter().filter_map(|part| part.dataset.record.as_ref());
    let mut latest = records().max_by_key(|record| (record.retrieved_at, &record.source))?.clone();
    for (subreddit, windows) in records().flat_map(|record| &record.windows) {
        let known = latest.windows.entry(subreddit.clone()).or_default();
        windows.iter().for_each(|part| window::add(known, *part));
    }
    Some(latest)
}
