//! The dataset on disk: `posts.csv` (one row a photo), `images/` (one file a photo), `dropped.csv` (why a post is not in
//! it) and `dataset.toml` (what was collected when). The bytes of `posts.csv` and `images/` depend on posts and photos
//! only; `dropped.csv` also holds reasons that may pass, such as `timeout`, and `dataset.toml` times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, Post, PostId};
use natureddit_image::PerceptualHash;

use crate::record::{self, DatasetRecord};
use crate::table::{Row, Table, TableError, format_utc, parse_utc, without_control, write_if_changed, write_table};

const POSTS_FILE: &str = "posts.csv";
const DROPPED_FILE: &str = "dropped.csv";
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
pub const DROPPED_COLUMNS: [&str; 4] = ["id", "subreddit", "created_utc", "reason"];

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

/// One post and its photo.
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

/// A post that is not in the dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedPost {
    /// Its id.
    pub id: PostId,
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
    /// Every row by the id of its post.
    pub posts: BTreeMap<PostId, PostRow>,
    /// Every dropped post by its id.
    pub dropped: BTreeMap<PostId, DroppedPost>,
    /// What was collected when; `None` where nobody did.
    pub record: Option<DatasetRecord>,
}

impl Dataset {
    /// Reads the dataset in a folder; files that are not there are empty.
    ///
    /// # Errors
    /// [`DatasetError`] with the file and line of the first thing that is wrong.
    pub fn read(dir: &Path) -> Result<Self, DatasetError> {
        let posts = read_unique(&dir.join(POSTS_FILE), POST_COLUMNS, read_post, |row| &row.post.id)?;
        let mut dropped = read_unique(&dir.join(DROPPED_FILE), DROPPED_COLUMNS, read_dropped, |post| &post.id)?;
        // Both files cannot change at one moment: a crash in between leaves a post in both.
        dropped.retain(|id, _| !posts.contains_key(id));
        let path = dir.join(RECORD_FILE);
        let record = match fs::optional(fs::read_to_string(&path))? {
            Some(text) => Some(toml::from_str(&text).map_err(|source| DatasetError::Record { path, source })?),
            None => None,
        };
        Ok(Self { posts, dropped, record })
    }

    /// The rows in the order of the file: by time, then id.
    #[must_use]
    pub fn rows(&self) -> Vec<&PostRow> {
        let mut rows: Vec<_> = self.posts.values().collect();
        rows.sort_by_key(|row| (row.post.created_utc, &row.post.id));
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

    /// Adds a post, its texts cleaned of control characters, or replaces it.
    pub(crate) fn insert(&mut self, mut row: PostRow) -> Option<PostRow> {
        let Post { author, full_link, subreddit, title, url, flair, .. } = &mut row.post;
        for text in [author, full_link, subreddit, title, url, flair] {
            *text = without_control(text);
        }
        self.dropped.remove(&row.post.id);
        self.posts.insert(row.post.id.clone(), row)
    }

    /// Writes the tables, and the record with the hashes of what was written. The photos are there already.
    pub(crate) fn write(&mut self, dir: &Path, collected: record::Collected) -> Result<(), DatasetError> {
        write_table(&dir.join(POSTS_FILE), POST_COLUMNS, self.rows().into_iter().map(post_cells))?;
        let mut dropped: Vec<_> = self.dropped.values().collect();
        dropped.sort_by_key(|post| (post.created_utc, &post.id));
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

/// Reads a table whose rows have an id each, and none twice; one that is not there has no rows.
fn read_unique<T, const N: usize>(
    path: &Path,
    names: [&str; N],
    read: impl Fn(Row<'_>, [usize; N]) -> Result<T, TableError>,
    id: impl Fn(&T) -> &PostId,
) -> Result<BTreeMap<PostId, T>, TableError> {
    let mut all = BTreeMap::new();
    let Some(table) = Table::read_optional(path)? else { return Ok(all) };
    let columns = table.only_columns(names)?;
    for row in table.rows() {
        let value = read(row, columns)?;
        let key = id(&value).clone();
        if all.contains_key(&key) {
            return Err(row.error(format!("the post {key} is there twice")));
        }
        all.insert(key, value);
    }
    Ok(all)
}

fn read_post(row: Row<'_>, columns: [usize; 15]) -> Result<PostRow, TableError> {
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

fn read_dropped(row: Row<'_>, [id, subreddit, created_utc, reason]: [usize; 4]) -> Result<DroppedPost, TableError> {
    Ok(DroppedPost {
        id: row.parse(id, "id")?,
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
    if text.is_empty() || text.starts_with('.') || text.contains(['/', '\\', '\0']) {
        return Err(row.error(format!("img_name: not a file name: {text:?}")));
    }
    Ok(text.to_owned())
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
pub(crate) fn dropped_cells(post: &DroppedPost) -> [String; 4] {
    [post.id.to_string(), post.subreddit.clone(), format_utc(post.created_utc), post.reason.clone()]
}

#[cfg(test)]
pub(crate) mod tests;
