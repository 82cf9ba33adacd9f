//! The dataset on disk: `posts.csv` (one row a photo), `images/` (one file a photo), `dropped.csv` (why a post is not in
//! it) and `dataset.toml` (what was collected when). The bytes of `posts.csv` and `images/` depend on posts and photos
//! only; `dropped.csv` also holds reasons that may pass, such as `timeout`, and `dataset.toml` times.

mod row;
mod store;
mod stored_table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use natureddit_core::PostId;
use natureddit_core::fs::{self, FsError, Lock};
use rayon::prelude::*;

use crate::images::img_stem;
use crate::record::DatasetRecord;
use crate::table::{Row, STREAM_BYTES_MAX, TableError, TableReader};
use crate::tombstones::Tombstones;

pub use row::{DROPPED_COLUMNS, DroppedPost, POST_COLUMNS, PhotoKey, PostRow};
pub(crate) use row::{TableRow, is_file_name, stem};
pub(crate) use store::DatasetStore;

/// The table of a dataset, one row a photo.
pub const POSTS_FILE: &str = "posts.csv";
/// The table of what is not in a dataset, and why.
pub const DROPPED_FILE: &str = "dropped.csv";
pub(crate) const RECORD_FILE: &str = "dataset.toml";
const IMAGES_FOLDER: &str = "images";

/// A dataset that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// One of its tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// One of its files.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// `dataset.toml` is not what this program writes.
    #[error("{path} cannot be read", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        #[source]
        source: toml::de::Error,
    },
    /// A folder without the files of a dataset.
    #[error("there is no dataset at {path}", path = path.display())]
    NoDataset {
        /// What was named.
        path: PathBuf,
    },
    /// An id that is neither in the dataset nor one of Reddit's.
    #[error("the dataset has no post {id}, and Reddit has no such id")]
    NoSuchPost {
        /// As it was named.
        id: PostId,
    },
    /// A file or folder that is, or has, no table of the original form.
    #[error("there is no table of the original form at {path}", path = path.display())]
    NoTables {
        /// What was named.
        path: PathBuf,
    },
    /// A dataset without a row, where one is needed.
    #[error("the dataset in {path} has no posts", path = path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A table of the original form stands where one is to be written, and holds posts that the dataset has not.
    #[error("{path} holds the post {id}, which the dataset has not: it is not replaced", path = path.display())]
    WouldLose {
        /// The table.
        path: PathBuf,
        /// One of its posts.
        id: PostId,
    },
    /// A folder of photos that is to be written into holds other files: of an earlier export, whose posts may have been
    /// deleted since.
    #[error("files in {folder} are not of this dataset ({count}): {names}", folder = folder.display())]
    Strangers {
        /// The folder.
        folder: PathBuf,
        /// How many.
        count: usize,
        /// The names of the first few.
        names: String,
    },
    /// Somebody else is writing into the folder.
    #[error("{folder} is in use by another collection", folder = folder.display())]
    Locked {
        /// The folder of the dataset.
        folder: PathBuf,
    },
    /// A line of `gaps.jsonl` is not what this program writes.
    #[error("{path}, line {line} cannot be read", path = path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// `dataset.toml` cannot be made.
    #[error("{path} cannot be written", path = path.display())]
    RecordWrite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: toml::ser::Error,
    },
}

/// A whole dataset but for its photos, in memory, to be looked at. What changes one is [`DatasetStore`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Every row.
    pub posts: BTreeMap<PhotoKey, PostRow>,
    /// Every dropped post or picture by the ids of both.
    pub dropped: BTreeMap<(PostId, String), DroppedPost>,
    /// The posts that were deleted and shall not come back.
    pub tombstones: Tombstones,
    /// What was collected when; `None` where nobody did.
    pub record: Option<DatasetRecord>,
}

impl Dataset {
    /// Reads the dataset in a folder; files that are not there are empty.
    ///
    /// # Errors
    /// [`DatasetError`] with the file and line of the first thing that is wrong.
    pub fn read(dir: &Path) -> Result<Self, DatasetError> {
        let posts = read_unique(&dir.join(POSTS_FILE), PostRow::photo_key)?;
        let dropped: BTreeMap<_, DroppedPost> =
            read_unique(&dir.join(DROPPED_FILE), |row: &DroppedPost| (row.id.clone(), row.media_id.clone()))?;
        let (tombstones, record) = (Tombstones::read(dir)?, read_record(dir)?);
        let mut dataset = Self { posts, dropped: BTreeMap::new(), tombstones, record };
        // Both files cannot change at one moment: a crash in between leaves a photo in both.
        dataset.dropped = dropped.into_iter().filter(|(_, dropped)| !dataset.has(dropped)).collect();
        Ok(dataset)
    }

    /// Whether there is a row of what was dropped.
    fn has(&self, dropped: &DroppedPost) -> bool {
        if dropped.media_id.is_empty() {
            return self.has_post(&dropped.id);
        }
        let stem = img_stem(&dropped.id, &dropped.media_id);
        self.photos_of(&dropped.id).any(|row| row.stem() == stem)
    }

    /// The rows of a post, one for each of its photos.
    pub fn photos_of<'a>(&'a self, id: &'a PostId) -> impl Iterator<Item = &'a PostRow> {
        let first = PhotoKey { id: id.clone(), img_name: String::new() };
        self.posts.range(first..).take_while(move |(key, _)| key.id == *id).map(|(_, row)| row)
    }

    /// Whether there is a row of this post.
    #[must_use]
    pub fn has_post(&self, id: &PostId) -> bool {
        self.photos_of(id).next().is_some()
    }

    /// How many posts there are; one with several photos counts once.
    #[must_use]
    pub fn post_count(&self) -> usize {
        let mut ids: Vec<_> = self.posts.keys().map(|key| &key.id).collect();
        ids.dedup();
        ids.len()
    }

    /// The rows in the order of the file: by time, then id, then the name of the photo.
    #[must_use]
    pub fn rows(&self) -> Vec<&PostRow> {
        let mut rows: Vec<_> = self.posts.values().collect();
        rows.sort_by_key(|row| (row.post.created_utc, &row.post.id, &row.img_name));
        rows
    }

    /// Where the photo of a row is, for a dataset in `dir`.
    #[must_use]
    pub fn image_path(dir: &Path, row: &PostRow) -> PathBuf {
        Self::images_dir(dir).join(&row.img_name)
    }

    /// The folder of the photos of a dataset in `dir`.
    #[must_use]
    pub fn images_dir(dir: &Path) -> PathBuf {
        dir.join(IMAGES_FOLDER)
    }
}

/// Reads the record of a dataset, if there is one.
pub(crate) fn read_record(dir: &Path) -> Result<Option<DatasetRecord>, DatasetError> {
    let path = dir.join(RECORD_FILE);
    let Some(text) = fs::optional(fs::read_to_string(&path))? else { return Ok(None) };
    Ok(Some(toml::from_str(&text).map_err(|source| DatasetError::Record { path, source })?))
}

/// The file whose lock whoever writes into the folder of a dataset or of labels holds.
const LOCK_FILE: &str = ".lock";

/// The lock of a folder, where nobody has it. What a writer that was killed left half written is removed: it may hold posts
/// that were forgotten since.
pub(crate) fn lock_swept(dir: &Path) -> Result<Option<Lock>, FsError> {
    let lock = fs::try_lock(&dir.join(LOCK_FILE))?;
    if lock.is_some() {
        fs::remove_partials(dir)?;
    }
    Ok(lock)
}

/// Keeps others from writing into the folder of a dataset.
pub(crate) fn lock(dir: &Path) -> Result<Lock, DatasetError> {
    let lock = lock_swept(dir)?;
    lock.ok_or_else(|| DatasetError::Locked { folder: dir.to_owned() })
}

/// So many rows are read from their text on all cores while the next are read from the file.
const ROWS_AT_ONCE: usize = 4096;

/// Reads a table in which no row is twice, by what `key` makes of the rows; one that is not there has no rows.
fn read_unique<R: TableRow, K: Ord>(path: &Path, key: impl Fn(&R) -> K) -> Result<BTreeMap<K, R>, TableError> {
    let mut rows: Vec<Option<(u64, R)>> = read_rows(path)?.into_iter().map(Some).collect();
    let key_at = |at: usize| rows[at].as_ref().map(|(_, row)| row.key());
    // Rows are large, so that only their places are sorted; mostly they are in order.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&one, &other| key_at(one).cmp(&key_at(other)));
    let twice = order.windows(2).filter(|pair| key_at(pair[0]) == key_at(pair[1])).map(|pair| pair[1]).min();
    if let Some((line, row)) = twice.and_then(|at| rows[at].as_ref()) {
        let (id, of_it) = row.key();
        let problem = format!("the post {id} is there twice with {of_it:?}");
        return Err(TableError::Line { path: path.to_owned(), line: *line, problem });
    }
    Ok(order.into_iter().filter_map(|at| rows[at].take()).map(|(_, row)| (key(&row), row)).collect())
}

/// The rows of a table in their order, each with its line.
fn read_rows<R: TableRow>(path: &Path) -> Result<Vec<(u64, R)>, TableError> {
    let Some(mut table) = TableReader::open(path, STREAM_BYTES_MAX)? else { return Ok(Vec::new()) };
    let columns = R::columns(table.header())?;
    let read = |(line, record): &(u64, StringRecord)| {
        Ok::<_, TableError>((*line, R::read(Row::new(path, *line, record), columns)?))
    };
    let (mut rows, mut error) = (Vec::new(), None);
    let [mut records, mut next] = [const { Vec::new() }; 2];
    loop {
        // Nothing is read behind what could not be.
        next.resize_with(if error.is_none() { ROWS_AT_ONCE } else { 0 }, Default::default);
        let (read, filled): (Vec<Result<_, TableError>>, _) =
            rayon::join(|| records.par_iter().map(read).collect(), || table.fill(&mut next));
        for row in read {
            rows.push(row?);
        }
        error = error.or(filled.err());
        std::mem::swap(&mut records, &mut next);
        if records.is_empty() {
            return error.map_or(Ok(rows), Err);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
