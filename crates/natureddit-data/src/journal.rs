//! `.collect.jsonl`: what a collection did since the tables were last written, one line each, so that a killed run costs
//! no photo twice and leaves none that nobody names.
//!
//! A line is appended before a photo is fetched and another when it is known what became of the post. The next run takes
//! the rows over and removes the photos of those fetches that have no end. It is removed when the tables are written, so
//! that it is never longer than the rows between two writes. It is not synced: a killed process loses nothing of it, and
//! after a power cut the photos it would have named are only fetched again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use natureddit_core::fs::{self, FsError};
use serde::{Deserialize, Serialize};

use crate::dataset::{self, Dataset, DatasetError, DatasetStore, DroppedPost, PostRow, TableRow};
use crate::images::{PhotoStore, img_stem};
use crate::table::Row;

const FILE_NAME: &str = ".collect.jsonl";
/// Far over the rows between two writes of the tables.
const JOURNAL_BYTES_MAX: u64 = 1 << 30;

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Opened with the first line.
    file: Mutex<Option<File>>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// A photo is about to be fetched, to be stored under this name and an extension.
    Fetch(String),
    Row(Box<PostRow>),
    Dropped(DroppedPost),
}

/// A line as the file holds it; rows as the cells of their tables.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Fetch(String),
    Row(Vec<String>),
    Dropped(Vec<String>),
}

impl Journal {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE_NAME), file: Mutex::new(None) }
    }

    /// The entries a killed run left, up to the first torn line.
    pub(crate) fn read(&self) -> Result<Vec<Entry>, FsError> {
        let bytes = fs::optional(fs::read_limited(&self.path, JOURNAL_BYTES_MAX))?.unwrap_or_default();
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let mut entries = Vec::new();
        for (number, line) in (1..).zip(bytes[..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty())) {
            let Some(entry) = self.entry(number, line) else {
                tracing::warn!(path = %self.path.display(), line = number, "what follows in the journal is lost");
                break;
            };
            entries.push(entry);
        }
        Ok(entries)
    }

    fn entry(&self, line: u64, json: &[u8]) -> Option<Entry> {
        let row = |cells: Vec<String>| (cells.len(), cells.into());
        match serde_json::from_slice(json).ok()? {
            // A file elsewhere is never removed.
            Line::Fetch(stem) => dataset::is_file_name(&stem).then_some(Entry::Fetch(stem)),
            Line::Row(cells) => {
                let (columns, record) = row(cells);
                let row = Row::new(&self.path, line, &record);
                let row = (columns == dataset::POST_COLUMNS.len()).then(|| PostRow::read_cells(row))?;
                row.ok().map(|row| Entry::Row(Box::new(row)))
            }
            Line::Dropped(cells) => {
                let (columns, record) = row(cells);
                let row = Row::new(&self.path, line, &record);
                let post = (columns == dataset::DROPPED_COLUMNS.len()).then(|| DroppedPost::read_cells(row))?;
                post.ok().map(Entry::Dropped)
            }
        }
    }

    /// Appends a line.
    pub(crate) fn push(&self, entry: &Entry) -> Result<(), FsError> {
        let line = match entry {
            Entry::Fetch(stem) => Line::Fetch(stem.clone()),
            Entry::Row(row) => Line::Row(row.cells()),
            Entry::Dropped(post) => Line::Dropped(post.cells()),
        };
        let write = |file: &mut File| {
            let mut bytes = serde_json::to_vec(&line)?;
            bytes.push(b'\n');
            // One write, so that lines of posts that end at the same time do not mix.
            file.write_all(&bytes)
        };
        // A panic elsewhere cannot leave the file half open.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match file.as_mut() {
            Some(file) => file,
            None => file.insert(fs::append(&self.path)?),
        };
        write(file).map_err(|e| FsError::new("write", &self.path, e))
    }

    /// Removes it: what it says is in the tables.
    pub(crate) fn remove(&self) -> Result<(), FsError> {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        fs::remove_file(&self.path)
    }
}

/// Whether a collection in this folder was stopped, so that the tables do not hold all that it did. The next one, and
/// whatever forgets posts, takes that over.
#[must_use]
pub fn is_unfinished(data_dir: &Path) -> bool {
    data_dir.join(FILE_NAME).exists()
}

/// Takes over what a killed run noted, and removes the photos of which it noted nothing but that they were to come. The
/// journal stays until the dataset is written.
pub(crate) fn take_up(dataset: &mut DatasetStore, data_dir: &Path) -> Result<(), DatasetError> {
    let images = Dataset::images_dir(data_dir);
    let (mut without_end, mut photos) = (BTreeSet::new(), Vec::new());
    for entry in Journal::new(data_dir).read()? {
        match entry {
            Entry::Fetch(stem) => _ = without_end.insert(stem),
            Entry::Dropped(post) => {
                without_end.remove(&img_stem(&post.id, &post.media_id));
                if !dataset.has(&post)? {
                    dataset.drop_post(post)?;
                }
            }
            Entry::Row(row) => {
                without_end.remove(row.stem());
                let rows = dataset.photos_of(&row.post.id)?;
                let old = rows.iter().find(|old| old.img_name == row.img_name);
                // Where the tables were written and only the journal was not removed, a row may have been edited since.
                if old.is_none_or(|old| old.sha256 != row.sha256) {
                    photos.push(images.join(&row.img_name));
                    insert(dataset, &images, *row)?;
                }
            }
        }
    }
    fs::sync_files(&photos)?;
    remove_unnamed(dataset, &images, without_end.iter().flat_map(|stem| PhotoStore::names(stem)).collect())
}

/// Puts a row into a dataset, removes the file it does without, and says whether the post is new.
pub(crate) fn insert(dataset: &mut DatasetStore, images: &Path, row: PostRow) -> Result<bool, DatasetError> {
    let img_name = row.img_name.clone();
    let is_new = !dataset.has_post(&row.post.id)?;
    if let Some(old) = dataset.insert(row)?
        && old.img_name != img_name
    {
        fs::remove_file(&images.join(&old.img_name))?;
    }
    Ok(is_new)
}

/// Removes photos that no row names.
fn remove_unnamed(dataset: &DatasetStore, images: &Path, mut names: BTreeSet<String>) -> Result<(), DatasetError> {
    if names.is_empty() {
        return Ok(());
    }
    for row in dataset.rows()? {
        names.remove(&row?.img_name);
    }
    Ok(names.into_iter().try_for_each(|name| fs::remove_file(&images.join(name)))?)
}

#[cfg(test)]
mod tests {
    use natureddit_core::Clock;

    use super::*;
    use crate::dataset::tests::{dropped, row};
    use crate::forget::forget_posts;

    #[test]
    fn a_journal_is_read_up_to_its_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        assert_eq!(journal.read().unwrap(), []);
        let mut row = row("b", 7);
        row.post.title = "two\nlines, \"quoted\" \u{1f339}".into();
        let entries = [Entry::Fetch("b_0".into()), Entry::Row(Box::new(row)), Entry::Dropped(dropped("d"))];
        entries.iter().for_each(|entry| journal.push(entry).unwrap());
        assert_eq!(journal.read().unwrap(), entries);

        let whole = fs::read(&journal.path).unwrap();
        let starts: Vec<_> =
            std::iter::once(0).chain((0..whole.len()).filter(|&at| whole[at] == b'\n').map(|at| at + 1)).collect();
        for end in 0..whole.len() {
            fs::write_atomic(&journal.path, &whole[..end]).unwrap();
            let complete = starts.iter().filter(|&&start| start > 0 && start <= end).count();
            assert_eq!(journal.read().unwrap(), entries[..complete], "torn after {end} bytes");
        }
        fs::write_atomic(&journal.path, b"{\"fetch\":\"a\"}\n{\"row\":[\"x\"]}\n{\"fetch\":\"c\"}\n").unwrap();
        assert_eq!(journal.read().unwrap(), [Entry::Fetch("a".into())], "after a row that is none");

        fs::write_atomic(&journal.path, b"{\"fetch\":\"../a\"}\n").unwrap();
        assert_eq!(journal.read().unwrap(), [], "no file outside of the folder is removed");

        journal.remove().unwrap();
        assert!(!journal.path.exists());
        journal.push(&entries[0]).unwrap();
        assert_eq!(journal.read().unwrap(), entries[..1]);
    }

    #[test]
    fn what_a_killed_collection_noted_is_forgotten_too() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, images) = (folder.path(), Dataset::images_dir(folder.path()));
        let journal = Journal::new(dir);
        for id in ["a", "b"] {
            journal.push(&Entry::Fetch(format!("{id}_0"))).unwrap();
            fs::write_atomic(&images.join(format!("{id}_0.jpg")), id).unwrap();
            journal.push(&Entry::Row(Box::new(row(id, 7)))).unwrap();
        }
        assert!(is_unfinished(dir));
        let ids = BTreeSet::from(["a".parse().unwrap()]);
        let forgotten = forget_posts(dir, &dir.join("labels"), &ids, &Clock::fixed(9)).unwrap();
        assert_eq!((forgotten.posts, forgotten.rows, forgotten.photos), (1, 1, 1));
        assert!(!is_unfinished(dir), "what it noted is in the tables");
        let left: Vec<_> = Dataset::read(dir).unwrap().posts.into_keys().map(|key| key.img_name).collect();
        assert_eq!(left, ["b_0.jpg"]);
        assert_eq!(fs::read_dir(&images).unwrap(), [images.join("b_0.jpg")]);
    }
}
