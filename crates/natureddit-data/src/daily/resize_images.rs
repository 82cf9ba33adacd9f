//! `resize_images`: the photos of the day as small as the dataset wants them.

use std::path::PathBuf;

use natureddit_core::fs;
use natureddit_core::{Clock, Progress};
use natureddit_image::ImageLimits;
use rayon::prelude::*;
use serde::Serialize;

use super::{DailyError, Day, Task};
use crate::dataset::{self, Dataset, DatasetError, DatasetStore, PostRow};
use crate::images::{Shrink, StoredPhoto, shrunk};
use crate::journal;
use crate::record::Collected;

/// What became of the photos.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resized {
    /// How many there are.
    pub photos: u64,
    /// Those that were made smaller, or are of another format now.
    pub shrunk: u64,
    /// The size of all before.
    pub bytes_before: u64,
    /// The size of all now.
    pub bytes: u64,
}

/// A photo that was looked at.
struct Seen {
    row: PostRow,
    is_changed: bool,
    /// Its file, where it was written anew.
    written: Option<PathBuf>,
    bytes_before: u64,
    bytes: u64,
}

/// Shrinks the photos of the day that are too large, and brings them into a format that the dataset stores.
///
/// # Errors
/// [`DailyError`]; doing it again finishes what was begun.
pub fn resize_images(
    day: &Day,
    limits: &ImageLimits,
    shrink: Shrink,
    clock: &Clock,
    progress: &Progress,
) -> Result<Resized, DailyError> {
    day.begin(Task::ResizeImages)?;
    day.require(Task::ObtainPosts)?;
    let posts_dir = day.posts_dir();
    let _lock = dataset::lock(&posts_dir)?;
    let mut store = DatasetStore::open(&posts_dir)?;
    let rows = store.rows().map_err(DatasetError::from)?.collect::<Result<Vec<_>, _>>().map_err(DatasetError::from)?;
    progress.start("resizing photos", Some(rows.len() as u64));
    let look = |row: PostRow| {
        let seen = look(day, row, limits, shrink);
        progress.advance(1);
        seen
    };
    let seen: Vec<Seen> = rows.into_par_iter().map(look).collect::<Result<_, _>>()?;
    progress.finish();
    let mut done = Resized::default();
    let written: Vec<PathBuf> = seen.iter().filter_map(|seen| seen.written.clone()).collect();
    // Before the rows, which describe them.
    fs::sync_files(&written)?;
    let images = Dataset::images_dir(&posts_dir);
    for Seen { row, is_changed, written, bytes_before, bytes } in seen {
        done.photos += 1;
        done.shrunk += u64::from(written.is_some());
        done.bytes_before += bytes_before;
        done.bytes += bytes;
        if is_changed {
            journal::insert(&mut store, &images, row)?;
        }
    }
    store.write(Collected::nothing(store.record.as_ref(), clock))?;
    day.finish(Task::ResizeImages, &done)?;
    Ok(done)
}

fn look(day: &Day, row: PostRow, limits: &ImageLimits, shrink: Shrink) -> Result<Seen, DailyError> {
    let images = Dataset::images_dir(&day.posts_dir());
    let path = images.join(&row.img_name);
    let file = fs::read_limited(&path, limits.bytes_max)?;
    let photo = shrunk(row.stem(), &file, limits, shrink);
    let (photo, smaller) = photo.map_err(|error| DailyError::Photo { path, why: error.to_string() })?;
    let StoredPhoto { img_name, width, height, sha256, phash, bytes } = photo;
    let written = match smaller {
        Some(smaller) => {
            let path = images.join(&img_name);
            fs::write_unsynced(&path, smaller)?;
            Some(path)
        }
        None => None,
    };
    // Also where a run before this one was cut off between a photo and its row.
    let described = PostRow { img_name, width, height, sha256, phash, ..row.clone() };
    Ok(Seen { is_changed: described != row, row: described, written, bytes_before: file.len() as u64, bytes })
}
