//! The dataset in a folder, to be changed: what collects, merges and forgets goes through here. Its rows stay on disk.

use std::path::{Path, PathBuf};

use natureddit_core::{ContentHash, Post, PostId};

use super::row::{DroppedPost, PostRow};
use super::stored_table::StoredTable;
use super::{DatasetError, POSTS_FILE, RECORD_FILE, read_record};
use crate::images::img_stem;
use crate::record::{Collected, DatasetRecord};
use crate::table::{TableError, without_control, write_if_changed};
use crate::tombstones::Tombstones;

/// A dataset on disk and what is not written yet. Whoever has one holds the lock of its folder.
#[derive(Debug)]
pub(crate) struct DatasetStore {
    dir: PathBuf,
    posts: StoredTable<PostRow>,
    dropped: StoredTable<DroppedPost>,
    /// Of the table of posts as this store has written it.
    posts_sha256: Option<ContentHash>,
    /// The posts that were deleted and shall not come back.
    pub(crate) tombstones: Tombstones,
    /// What was collected when; `None` where nobody did.
    pub(crate) record: Option<DatasetRecord>,
}

impl DatasetStore {
    /// The dataset in a folder; files that are not there are empty.
    pub(crate) fn open(dir: &Path) -> Result<Self, DatasetError> {
        let mut store = Self {
            posts: StoredTable::open(dir)?,
            dropped: StoredTable::open(dir)?,
            tombstones: Tombstones::read(dir)?,
            record: read_record(dir)?,
            ..Self::empty(dir)
        };
        // Both files cannot change at one moment: a crash in between leaves a photo in both.
        let mut moot = Vec::new();
        for dropped in store.dropped.rows()? {
            let dropped = dropped?;
            if store.has(&dropped)? {
                moot.push(dropped);
            }
        }
        moot.iter().try_for_each(|dropped| store.dropped.remove(dropped))?;
        Ok(store)
    }

    /// A dataset of nothing, which replaces whatever is in the folder when it is written.
    pub(crate) fn empty(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            posts: StoredTable::empty(dir),
            dropped: StoredTable::empty(dir),
            posts_sha256: None,
            tombstones: Tombstones::default(),
            record: None,
        }
    }

    /// The rows of a post, one for each of its photos.
    pub(crate) fn photos_of(&self, id: &PostId) -> Result<Vec<PostRow>, TableError> {
        self.posts.of(id)
    }

    /// Whether there is a row of this post.
    pub(crate) fn has_post(&self, id: &PostId) -> Result<bool, TableError> {
        Ok(!self.posts.of(id)?.is_empty())
    }

    /// Whether there is a row of this post, or a reason why there is none.
    pub(crate) fn knows(&self, id: &PostId) -> Result<bool, TableError> {
        Ok(self.has_post(id)? || !self.dropped.of(id)?.is_empty())
    }

    /// Whether there is a row of what was dropped.
    pub(crate) fn has(&self, dropped: &DroppedPost) -> Result<bool, TableError> {
        let photos = self.posts.of(&dropped.id)?;
        let stem = img_stem(&dropped.id, &dropped.media_id);
        Ok(photos.iter().any(|row| dropped.media_id.is_empty() || row.stem() == stem))
    }

    /// Why there is no row of a post, or of pictures of it.
    pub(crate) fn dropped_of(&self, id: &PostId) -> Result<Vec<DroppedPost>, TableError> {
        self.dropped.of(id)
    }

    /// Every row, in the order of the file.
    pub(crate) fn rows(&self) -> Result<impl Iterator<Item = Result<PostRow, TableError>>, TableError> {
        self.posts.rows()
    }

    /// Everything that was dropped, in the order of the file.
    pub(crate) fn dropped(&self) -> Result<impl Iterator<Item = Result<DroppedPost, TableError>>, TableError> {
        self.dropped.rows()
    }

    /// How many rows of both tables are to be written.
    pub(crate) fn changes(&self) -> usize {
        self.posts.changes() + self.dropped.changes()
    }

    /// How many rows both tables had when they were last written.
    pub(crate) fn written(&self) -> usize {
        self.posts.written() + self.dropped.written()
    }

    /// Adds a row, its texts cleaned of control characters, in place of the one of the same photo, whose file may be of
    /// another format.
    pub(crate) fn insert(&mut self, mut row: PostRow) -> Result<Option<PostRow>, TableError> {
        let Post { author, full_link, subreddit, title, url, flair, .. } = &mut row.post;
        for text in [author, full_link, subreddit, title, url, flair] {
            *text = without_control(text);
        }
        let id = row.post.id.clone();
        self.undrop(&id, |media_id| media_id.is_empty() || img_stem(&id, media_id) == row.stem())?;
        let old = self.posts.of(&id)?.into_iter().find(|old| old.stem() == row.stem());
        if let Some(old) = old.as_ref().filter(|old| old.img_name != row.img_name) {
            self.posts.remove(old)?;
        }
        self.posts.put(row)?;
        Ok(old)
    }

    /// Puts a row in place of the one of the same photo's file.
    pub(crate) fn replace(&mut self, row: PostRow) -> Result<(), TableError> {
        self.posts.put(row)
    }

    /// Notes why there is no row of a post or picture. What is said of a post as a whole and of its pictures do not go
    /// together.
    pub(crate) fn drop_post(&mut self, post: DroppedPost) -> Result<(), TableError> {
        let (is_whole, own) = (post.media_id.is_empty(), post.media_id.clone());
        self.undrop(&post.id, |media_id| media_id != own && (is_whole || media_id.is_empty()))?;
        self.dropped.put(post)
    }

    /// Forgets what was said of some pictures of a post, or of the post as a whole.
    fn undrop(&mut self, id: &PostId, is_moot: impl Fn(&str) -> bool) -> Result<(), TableError> {
        let said = self.dropped.of(id)?;
        said.iter().filter(|post| is_moot(&post.media_id)).try_for_each(|post| self.dropped.remove(post))
    }

    /// Removes all there is of a post, and gives the rows it had.
    pub(crate) fn remove_post(&mut self, id: &PostId) -> Result<Vec<PostRow>, TableError> {
        self.undrop(id, |_| true)?;
        let rows = self.posts.of(id)?;
        rows.iter().try_for_each(|row| self.posts.remove(row))?;
        Ok(rows)
    }

    /// Writes the tables, and the record with the hashes of what was written. The photos are there already.
    pub(crate) fn write(&mut self, collected: Collected) -> Result<(), DatasetError> {
        let is_changed = self.posts.write()?;
        self.dropped.write()?;
        // What this store wrote itself nobody else has changed meanwhile.
        let posts_sha256 = match self.posts_sha256.filter(|_| !is_changed) {
            Some(hash) => hash,
            None => ContentHash::of_file(&self.dir.join(POSTS_FILE))?,
        };
        self.posts_sha256 = Some(posts_sha256);
        let tallies = (self.posts.tally(), self.dropped.tally());
        let record = DatasetRecord::new(self.record.as_ref(), tallies, posts_sha256, collected);
        self.write_record(&record)?;
        self.record = Some(record);
        Ok(())
    }

    /// Where another record says the same of an earlier time, that is when it was first seen to be so.
    pub(crate) fn backdate<'a>(&mut self, others: impl Iterator<Item = &'a DatasetRecord>) -> Result<(), DatasetError> {
        let Some(record) = self.record.clone() else { return Ok(()) };
        let same =
            others.filter(|other| DatasetRecord { retrieved_at: record.retrieved_at, ..(*other).clone() } == record);
        let first = same.map(|other| other.retrieved_at).min().filter(|first| *first < record.retrieved_at);
        let Some(retrieved_at) = first else { return Ok(()) };
        let record = DatasetRecord { retrieved_at, ..record };
        self.write_record(&record)?;
        self.record = Some(record);
        Ok(())
    }

    fn write_record(&self, record: &DatasetRecord) -> Result<(), DatasetError> {
        let path = self.dir.join(RECORD_FILE);
        match toml::to_string(record) {
            Ok(text) => Ok(write_if_changed(&path, text.as_bytes())?),
            Err(source) => Err(DatasetError::RecordWrite { path, source }),
        }
    }
}
