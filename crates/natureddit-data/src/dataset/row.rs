//! The rows of a dataset's tables and their cells.

use natureddit_core::{ContentHash, Post, PostId};
use natureddit_image::PerceptualHash;

use super::{DROPPED_FILE, POSTS_FILE};
use crate::record::{DropTally, PostTally};
use crate::table::{Header, Row, TableError, format_utc, parse_utc};

/// A row of one of the tables of a dataset: of a post, and of something of it.
pub(crate) trait TableRow: Clone + PartialEq + Send {
    /// The name of the table's file.
    const FILE: &'static str;
    /// Its columns, in order.
    const COLUMNS: &'static [&'static str];
    /// Where they are in a file, whose columns may be in another order.
    type Columns: Copy + Sync;
    /// What its rows add up to.
    type Tally: Clone + Default + std::fmt::Debug;

    fn columns(header: Header<'_>) -> Result<Self::Columns, TableError>;
    fn read(row: Row<'_>, columns: Self::Columns) -> Result<Self, TableError>;
    /// From cells in the order of the columns.
    fn read_cells(row: Row<'_>) -> Result<Self, TableError>;
    fn cells(&self) -> Vec<String>;
    /// What tells it from all others.
    fn key(&self) -> (&PostId, &str);
    /// In seconds since the epoch.
    fn created_utc(&self) -> i64;
    /// Counts it; rows come in the order of the file.
    fn tally(&self, tally: &mut Self::Tally);
}

impl TableRow for PostRow {
    const FILE: &'static str = POSTS_FILE;
    const COLUMNS: &'static [&'static str] = &POST_COLUMNS;
    type Columns = [usize; 15];
    type Tally = PostTally;

    fn columns(header: Header<'_>) -> Result<Self::Columns, TableError> {
        header.only_columns(POST_COLUMNS)
    }

    fn read(row: Row<'_>, columns: Self::Columns) -> Result<Self, TableError> {
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
        Ok(Self {
            post,
            img_name: read_file_name(row, img_name)?,
            source: text(source),
            width: row.parse(width, "width")?,
            height: row.parse(height, "height")?,
            sha256: row.parse(sha256, "sha256")?,
            phash: row.parse(phash, "phash")?,
        })
    }

    fn read_cells(row: Row<'_>) -> Result<Self, TableError> {
        Self::read(row, std::array::from_fn(|column| column))
    }

    fn cells(&self) -> Vec<String> {
        let post = &self.post;
        vec![
            post.author.clone(),
            format_utc(post.created_utc),
            post.full_link.clone(),
            post.id.to_string(),
            post.subreddit.clone(),
            post.title.clone(),
            post.url.clone(),
            self.img_name.clone(),
            self.source.clone(),
            post.flair.clone(),
            post.over_18.to_string(),
            self.width.to_string(),
            self.height.to_string(),
            self.sha256.to_string(),
            self.phash.to_string(),
        ]
    }

    fn key(&self) -> (&PostId, &str) {
        (&self.post.id, &self.img_name)
    }

    fn created_utc(&self) -> i64 {
        self.post.created_utc
    }

    fn tally(&self, tally: &mut PostTally) {
        tally.add(self);
    }
}

impl TableRow for DroppedPost {
    const FILE: &'static str = DROPPED_FILE;
    const COLUMNS: &'static [&'static str] = &DROPPED_COLUMNS;
    type Columns = [usize; 5];
    type Tally = DropTally;

    fn columns(header: Header<'_>) -> Result<Self::Columns, TableError> {
        header.only_columns(DROPPED_COLUMNS)
    }

    fn read(row: Row<'_>, columns: Self::Columns) -> Result<Self, TableError> {
        let [id, media_id, subreddit, created_utc, reason] = columns;
        Ok(Self {
            id: row.parse(id, "id")?,
            media_id: row.text(media_id).to_owned(),
            subreddit: row.text(subreddit).to_owned(),
            created_utc: read_time(row, created_utc)?,
            reason: row.text(reason).to_owned(),
        })
    }

    fn read_cells(row: Row<'_>) -> Result<Self, TableError> {
        Self::read(row, std::array::from_fn(|column| column))
    }

    fn cells(&self) -> Vec<String> {
        let DroppedPost { id, media_id, subreddit, created_utc, reason } = self;
        vec![id.to_string(), media_id.clone(), subreddit.clone(), format_utc(*created_utc), reason.clone()]
    }

    fn key(&self) -> (&PostId, &str) {
        (&self.id, &self.media_id)
    }

    fn created_utc(&self) -> i64 {
        self.created_utc
    }

    fn tally(&self, tally: &mut DropTally) {
        tally.add(self);
    }
}

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

impl PostRow {
    /// What tells it from all other rows.
    #[must_use]
    pub fn photo_key(&self) -> PhotoKey {
        PhotoKey { id: self.post.id.clone(), img_name: self.img_name.clone() }
    }

    /// The name of the photo without its extension.
    #[must_use]
    pub fn stem(&self) -> &str {
        stem(&self.img_name)
    }
}

/// A file name without its extension.
pub(crate) fn stem(img_name: &str) -> &str {
    img_name.rsplit_once('.').map_or(img_name, |(stem, _)| stem)
}

fn read_time(row: Row<'_>, column: usize) -> Result<i64, TableError> {
    let text = row.text(column);
    parse_utc(text).ok_or_else(|| row.error(format!("created_utc: not a time such as 2022-05-01T00:00:00: {text:?}")))
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
