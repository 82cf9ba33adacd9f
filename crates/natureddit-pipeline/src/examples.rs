//! Labelled examples, and where they lie: gzip TFRecords of `tf.train.Example`, as TFX has them.

pub mod columns;
mod kept;
mod parquet;
mod shards;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::text::normalise_title;
use natureddit_core::{ContentHash, PostId};
use natureddit_image::PerceptualHash;

use crate::split::Split;
pub use crate::wire::{ExampleBytesError, TfRecordError};
use columns::ColumnError;
pub(crate) use kept::KeptExamples;
pub use shards::{read_split, write_split};

/// A labelled post with its photo, or a labelled title alone. Its fields are the [columns](columns::COLUMNS) of the
/// file, a text that is empty and a number of a title alone that is 0 a missing cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The post.
    pub id: PostId,
    /// Its title, unescaped; may be empty.
    pub title: String,
    /// The photo's name in `data/images`; empty for a title alone.
    pub img_name: String,
    /// The hash of the photo's bytes.
    pub sha256: Option<ContentHash>,
    /// The name of its class.
    pub choice: String,
    /// The key of its group: the id of the group's oldest post. A title alone is a group of its own.
    pub group: String,
    /// Whether it has a photo.
    pub source: ExampleSource,
    /// The post's author as Reddit gives it; empty for a title alone, as all that follows.
    pub author: String,
    /// The subreddit's name without `r/`.
    pub subreddit: String,
    /// The link flair's text; empty when there is none.
    pub flair: String,
    /// When it was posted, in seconds since the epoch, UTC; 0 for a title alone.
    pub created_utc: i64,
    /// Marked as not safe for work; `false` for a title alone.
    pub over_18: bool,
    /// Of the photo, in pixels; 0 for a title alone.
    pub width: u32,
    /// Of the photo, in pixels; 0 for a title alone.
    pub height: u32,
    /// Of the photo.
    pub phash: Option<PerceptualHash>,
    /// Who chose the class.
    pub label_source: String,
}

impl Example {
    /// A labelled title without a photo: a group of its own.
    #[must_use]
    pub fn title_alone(id: PostId, title: String, choice: String) -> Self {
        Self {
            group: id.to_string(),
            id,
            title,
            img_name: String::new(),
            sha256: None,
            choice,
            source: ExampleSource::Title,
            author: String::new(),
            subreddit: String::new(),
            flair: String::new(),
            created_utc: 0,
            over_18: false,
            width: 0,
            height: 0,
            phash: None,
            label_source: String::new(),
        }
    }
}

/// Where an example is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExampleSource {
    /// A post with its photo.
    Post,
    /// A title without a photo.
    Title,
}

/// Posts that a model is judged by, or that stop its training: no title without a photo may give them away.
pub(crate) struct JudgedPosts<'a> {
    ids: HashSet<&'a PostId>,
    /// Normalised.
    titles: HashSet<String>,
}

impl<'a> JudgedPosts<'a> {
    pub(crate) fn new(posts: impl Iterator<Item = &'a Example>) -> Self {
        let (ids, titles) = posts.map(|post| (&post.id, normalise_title(&post.title))).unzip();
        Self { ids, titles }
    }

    /// Whether a title is of one of these posts, or equals the title of one.
    pub(crate) fn are_told_by(&self, id: &PostId, title: &str) -> bool {
        self.ids.contains(id) || self.titles.contains(&normalise_title(title))
    }
}

/// A file of examples that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ExamplesError {
    /// The file itself.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It holds no whole records.
    #[error(transparent)]
    Records(#[from] TfRecordError),
    /// A record is no `tf.train.Example`.
    #[error("{}, record {record}: not a tf.train.Example", path.display())]
    Bytes {
        /// The file.
        path: PathBuf,
        /// Which record, from 1.
        record: usize,
        /// What is wrong with it.
        source: ExampleBytesError,
    },
    /// A record is an example of something else.
    #[error("{}, record {record}: not a labelled post or title", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// Which record, from 1.
        record: usize,
        /// Which column, and why.
        source: ColumnError,
    },
    /// The Parquet file could not be written.
    #[error("could not write {}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ::parquet::errors::ParquetError,
    },
}

/// The same examples for tools that read tables, where the settings ask for it.
pub const PARQUET_FILE: &str = "data_parquet-00000-of-00001.parquet";

/// Writes the examples of one split as Parquet as well, one column a column, missing cells as null.
///
/// # Errors
/// When the file cannot be written.
pub fn write_parquet(examples_dir: &Path, split: Split, examples: &[Example]) -> Result<(), ExamplesError> {
    let path = examples_dir.join(split.folder_name()).join(PARQUET_FILE);
    let bytes = parquet::to_bytes(examples).map_err(|source| ExamplesError::Parquet { path: path.clone(), source })?;
    Ok(fs::write_atomic(&path, bytes)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> impl Strategy<Value = Example> {
        let source = prop_oneof![Just(ExampleSource::Post), Just(ExampleSource::Title)];
        let texts = proptest::collection::vec(any::<String>(), 6);
        let numbers = (any::<i64>(), any::<bool>(), any::<u32>(), any::<u32>(), any::<Option<u8>>());
        ("[a-z0-9]{1,8}", texts, numbers, source).prop_map(|(id, texts, numbers, source)| {
            let [title, img_name, author, subreddit, flair, label_source] = texts.try_into().unwrap();
            let (created_utc, over_18, width, height, hash) = numbers;
            let id: PostId = id.parse().unwrap();
            Example {
                img_name,
                sha256: hash.map(|byte| ContentHash::of(&[byte])),
                source,
                author,
                subreddit,
                flair,
                created_utc,
                over_18,
                width,
                height,
                phash: hash.map(|byte| format!("{byte:016x}").parse().unwrap()),
                label_source,
                ..Example::title_alone(id, title, "flora".into())
            }
        })
    }

    proptest! {
        #[test]
        fn examples_survive_their_file(examples in proptest::collection::vec(example(), 0..6)) {
            let folder = tempfile::tempdir().unwrap();
            write_split(folder.path(), Split::Eval, &examples).unwrap();
            prop_assert_eq!(read_split(folder.path(), Split::Eval).unwrap(), examples);
        }
    }
}
