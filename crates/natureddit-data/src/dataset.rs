//! The dataset on disk: `posts.csv` (one row a photo), `images/` (one file a photo), `dropped.csv` (why a post is not in
//! it) and `dataset.toml` (what was collected when). The bytes of `posts.csv` and `images/` depend on posts and photos
//! only; `dropped.csv` also holds reasons that may pass, such as `timeout`, and `dataset.toml` times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError, Lock};
use natureddit_core::{ContentHash, Post, PostId};
use natureddit_image::PerceptualHash;

use crate::images::img_stem;
use crate::record::{self, DatasetRecord};
use crate::table::{Row, Table, TableError, format_utc, parse_utc, without_control, write_if_changed, write_table};
use crate::tombstones::Tombstones;

pub(crate) const POSTS_FILE: &str = "posts.csv";
pub(crate) const DROPPED_FILE: &str = "dropped.csv";
const RECORD_FILE: &str = "dataset.toml";
const IMAGES_FOLDER: &str = "images";

/// The columns of `posts.csv`: those of the original system first, with its names and meaning.
pub const POST_COLUMNS: [&str; 15] = [
    "author",
    "created_utc",
    "full_link",
    "id",
    "subreddit",
    "title",
    "url",
    "img_name",
    "source",
    "flair",
    "over_18",
    "width",
    "height",
    "sha256",
    "phash",
];

/// The columns of `dropped.csv`.
pub const DROPPED_COLUMNS: [&str; 5] = ["id", "media_id", "subreddit", "created_utc", "reason"];

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

/// What tells a row from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhotoKey {
    /// The post.
    pub id: PostId,
    /// The photo's file name below `images/`.
    pub img_name: String,
}

/// One post and one of its photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostRow {
    /// The post.
    pub post: Post,
    /// The photo's file name below `images/`.
    pub img_name: String,
    /// The source it came from.
    pub source: String,
    /// Of the photo, in pixels.
    pub width: u32,
    /// Of the photo, in pixels.
    pub height: u32,
    /// Of the photo's file.
    pub sha256: ContentHash,
    /// Of the photo.
    pub phash: PerceptualHash,
}

/// A post that is not in the dataset, or one picture of a gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedPost {
    /// The post's id.
    pub id: PostId,
    /// What Reddit calls the gallery's picture; empty for a post as a whole.
    pub media_id: String,
    /// The subreddit's name without `r/`.
    pub subreddit: String,
    /// In seconds since the epoch.
    pub created_utc: i64,
    /// A word in snake_case: `self_post`, `http_404`, `truncated`.
    pub reason: String,
}

/// A whole dataset but for its photos.
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
        let posts = read_unique(&dir.join(POSTS_FILE), POST_COLUMNS, read_post, |row| (&row.post.id, &row.img_name))?;
        let path = dir.join(DROPPED_FILE);
        let dropped = read_unique(&path, DROPPED_COLUMNS, read_dropped, |post| (&post.id, &post.media_id))?;
        let posts = posts.into_iter().map(|((id, img_name), row)| (PhotoKey { id, img_name }, row)).collect();
        let path = dir.join(RECORD_FILE);
        let record = match fs::optional(fs::read_to_string(&path))? {
            Some(text) => Some(toml::from_str(&text).map_err(|source| DatasetError::Record { path, source })?),
            None => None,
        };
        let mut dataset = Self { posts, dropped: BTreeMap::new(), tombstones: Tombstones::read(dir)?, record };
        // Both files cannot change at one moment: a crash in between leaves a photo in both.
        dataset.dropped = dropped.into_iter().filter(|(_, dropped)| !dataset.has(dropped)).collect();
        Ok(dataset)
    }

    /// Whether there is a row of what was dropped.
    pub(crate) fn has(&self, dropped: &DroppedPost) -> bool {
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

    /// Adds a row, its texts cleaned of control characters, in place of the one of the same photo, whose file may be of
    /// another format.
    pub(crate) fn insert(&mut self, mut row: PostRow) -> Option<PostRow> {
        let Post { author, full_link, subreddit, title, url, flair, .. } = &mut row.post;
        for text in [author, full_link, subreddit, title, url, flair] {
            *text = without_control(text);
        }
        let id = row.post.id.clone();
        let is_moot = |media_id: &str| media_id.is_empty() || img_stem(&id, media_id) == row.stem();
        self.undrop(&id, is_moot);
        let old = self.photos_of(&id).find(|old| old.stem() == row.stem()).map(PostRow::key);
        let old = old.and_then(|key| self.posts.remove(&key));
        self.posts.insert(row.key(), row);
        old
    }

    /// Notes why there is no row of a post or picture. What is said of a post as a whole and of its pictures do not go
    /// together.
    pub(crate) fn drop_post(&mut self, post: DroppedPost) {
        let is_whole = post.media_id.is_empty();
        self.undrop(&post.id, |media_id| is_whole || media_id.is_empty());
        self.dropped.insert((post.id.clone(), post.media_id.clone()), post);
    }

    /// Forgets what was said of some pictures of a post, or of the post as a whole.
    fn undrop(&mut self, id: &PostId, is_moot: impl Fn(&str) -> bool) {
        let first = (id.clone(), String::new());
        let said = self.dropped.range(first..).map(|(key, _)| key).take_while(|key| key.0 == *id);
        let moot: Vec<_> = said.filter(|(_, media_id)| is_moot(media_id)).cloned().collect();
        for key in moot {
            self.dropped.remove(&key);
        }
    }

    /// Writes the tables, and the record with the hashes of what was written. The photos are there already.
    pub(crate) fn write(&mut self, dir: &Path, collected: record::Collected) -> Result<(), DatasetError> {
        write_table(&dir.join(POSTS_FILE), POST_COLUMNS, self.rows().into_iter().map(post_cells))?;
        let mut dropped: Vec<_> = self.dropped.values().collect();
        dropped.sort_by_key(|post| (post.created_utc, &post.id, &post.media_id));
        write_table(&dir.join(DROPPED_FILE), DROPPED_COLUMNS, dropped.into_iter().map(dropped_cells))?;
        let posts_sha256 = ContentHash::of_file(&dir.join(POSTS_FILE))?;
        let record = DatasetRecord::new(self, posts_sha256, collected);
        let path = dir.join(RECORD_FILE);
        let text =
            toml::to_string(&record).map_err(|source| DatasetError::RecordWrite { path: path.clone(), source })?;
        write_if_changed(&path, text.as_bytes())?;
        self.record = Some(record);
        Ok(())
    }
}

/// The file whose lock whoever writes into the folder of a dataset holds.
const LOCK_FILE: &str = ".lock";

/// Keeps others from writing into the folder of a dataset.
pub(crate) fn lock(dir: &Path) -> Result<Lock, DatasetError> {
    let lock = fs::try_lock(&dir.join(LOCK_FILE))?;
    lock.ok_or_else(|| DatasetError::Locked { folder: dir.to_owned() })
}

impl PostRow {
    /// What tells it from all other rows.
    #[must_use]
    pub fn key(&self) -> PhotoKey {
        PhotoKey { id: self.post.id.clone(), img_name: self.img_name.clone() }
    }

    /// The name of the photo without its extension.
    pub(crate) fn stem(&self) -> &str {
        stem(&self.img_name)
    }
}

/// A file name without its extension.
pub(crate) fn stem(img_name: &str) -> &str {
    img_name.rsplit_once('.').map_or(img_name, |(stem, _)| stem)
}

/// Reads a table whose rows have a post and something of it each, and none twice; one that is not there has no rows.
fn read_unique<T, const N: usize>(
    path: &Path,
    names: [&str; N],
    read: impl Fn(Row<'_>, [usize; N]) -> Result<T, TableError>,
    key: impl Fn(&T) -> (&PostId, &String),
) -> Result<BTreeMap<(PostId, String), T>, TableError> {
    let mut all = BTreeMap::new();
    let Some(table) = Table::read_optional(path)? else { return Ok(all) };
    let columns = table.only_columns(names)?;
    for row in table.rows() {
        let value = read(row, columns)?;
        let (id, of_it) = key(&value);
        let key = (id.clone(), of_it.clone());
        if all.contains_key(&key) {
            let (id, of_it) = key;
            return Err(row.error(format!("the post {id} is there twice with {of_it:?}")));
        }
        all.insert(key, value);
    }
    Ok(all)
}

pub(crate) fn read_post(row: Row<'_>, columns: [usize; 15]) -> Result<PostRow, TableError> {
    let [
        author,
        created_utc,
        full_link,
        id,
        subreddit,
        title,
        url,
        img_name,
        source,
        flair,
        over_18,
        width,
        height,
        sha256,
        phash,
    ] = columns;
    let text = |column| row.text(column).to_owned();
    let post = Post {
        id: row.parse(id, "id")?,
        author: text(author),
        created_utc: read_time(row, created_utc)?,
        full_link: text(full_link),
        subreddit: text(subreddit),
        title: text(title),
        url: text(url),
        flair: text(flair),
        over_18: row.text(over_18).to_ascii_lowercase().parse().map_err(|e| row.error(format!("over_18: {e}")))?,
    };
    Ok(PostRow {
        post,
        img_name: read_file_name(row, img_name)?,
        source: text(source),
        width: row.parse(width, "width")?,
        height: row.parse(height, "height")?,
        sha256: row.parse(sha256, "sha256")?,
        phash: row.parse(phash, "phash")?,
    })
}

pub(crate) fn read_dropped(row: Row<'_>, columns: [usize; 5]) -> Result<DroppedPost, TableError> {
    let [id, media_id, subreddit, created_utc, reason] = columns;
    Ok(DroppedPost {
        id: row.parse(id, "id")?,
        media_id: row.text(media_id).to_owned(),
        subreddit: row.text(subreddit).to_owned(),
        created_utc: read_time(row, created_utc)?,
        reason: row.text(reason).to_owned(),
    })
}

fn read_time(row: Row<'_>, column: usize) -> Result<i64, TableError> {
    let text = row.text(column);
    parse_utc(text).ok_or_else(|| row.error(format!("created_utc: not a time such as 2022-05-01T00:00:00: {text:?}")))
}

/// A post from cells in the order of [`POST_COLUMNS`].
pub(crate) fn read_post_cells(row: Row<'_>) -> Result<PostRow, TableError> {
    read_post(row, std::array::from_fn(|column| column))
}

/// A dropped post from cells in the order of [`DROPPED_COLUMNS`].
pub(crate) fn read_dropped_cells(row: Row<'_>) -> Result<DroppedPost, TableError> {
    read_dropped(row, std::array::from_fn(|column| column))
}

/// The name of a file in `images/`; one that would lead out of it is refused.
fn read_file_name(row: Row<'_>, column: usize) -> Result<String, TableError> {
    let text = row.text(column);
    if !is_file_name(text) {
        return Err(row.error(format!("img_name: not a file name: {text:?}")));
    }
    Ok(text.to_owned())
}

/// Whether a text names a file in a folder, and none outside of it and no hidden one.
pub(crate) fn is_file_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.contains(['/', '\\', '\0'])
}

/// A post as the cells of its table.
pub(crate) fn post_cells(row: &PostRow) -> [String; 15] {
    let post = &row.post;
    [
        post.author.clone(),
        format_utc(post.created_utc),
        post.full_link.clone(),
        post.id.to_string(),
        post.subreddit.clone(),
        post.title.clone(),
        post.url.clone(),
        row.img_name.clone(),
        row.source.clone(),
        post.flair.clone(),
        post.over_18.to_string(),
        row.width.to_string(),
        row.height.to_string(),
        row.sha256.to_string(),
        row.phash.to_string(),
    ]
}

/// A dropped post as the cells of its table.
pub(crate) fn dropped_cells(post: &DroppedPost) -> [String; 5] {
    let DroppedPost { id, media_id, subreddit, created_utc, reason } = post;
    [id.to_string(), media_id.clone(), subreddit.clone(), format_utc(*created_utc), reason.clone()]
}

#[cfg(test)]
pub(crate) mod tests;
