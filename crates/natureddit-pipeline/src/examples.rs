//! Labelled examples, and where they lie: a gzip TFRecord of `tf.train.Example` a split, as TFX has them.

pub mod columns;
mod parquet;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::text::normalise_title;
use natureddit_core::{ContentHash, PostId};
use natureddit_image::PerceptualHash;
use rayon::prelude::*;

use crate::split::Split;
use crate::wire::example::Features;
use crate::wire::tfrecord;
pub use crate::wire::{ExampleBytesError, TfRecordError};
use columns::ColumnError;

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

/// The file of a split in an Examples artifact, below its folder: the only shard of one.
pub const TFRECORD_FILE: &str = "data_tfrecord-00000-of-00001.gz";

/// The same examples for tools that read tables, where the settings ask for it.
pub const PARQUET_FILE: &str = "data_parquet-00000-of-00001.parquet";

/// The examples of one split of an Examples artifact.
///
/// # Errors
/// When `Split-<name>/data_tfrecord-00000-of-00001.gz` is not there, damaged, or holds something else.
pub fn read_split(examples_dir: &Path, split: Split) -> Result<Vec<Example>, ExamplesError> {
    let path = examples_dir.join(split.folder_name()).join(TFRECORD_FILE);
    let parse = |(at, bytes): (usize, Vec<u8>)| {
        let record = at + 1;
        let features = Features::from_bytes(&bytes).map_err(|source| {
            let path = path.clone();
            ExamplesError::Bytes { path, record, source }
        })?;
        columns::from_features(features).map_err(|source| ExamplesError::Column { path: path.clone(), record, source })
    };
    let mut records = tfrecord::read(&path)?.enumerate().map(|(at, bytes)| Ok((at, bytes?)));
    let mut examples = Vec::new();
    loop {
        let part: Vec<(usize, Vec<u8>)> = records.by_ref().take(AT_ONCE).collect::<Result<_, TfRecordError>>()?;
        if part.is_empty() {
            return Ok(examples);
        }
        examples.extend(part.into_par_iter().map(parse).collect::<Result<Vec<_>, _>>()?);
    }
}

/// So many examples are turned into bytes or read from them on all cores before the next are.
const AT_ONCE: usize = 4096;

/// Writes the examples of one split, in their order.
///
/// # Errors
/// When the file cannot be written.
pub fn write_split(examples_dir: &Path, split: Split, examples: &[Example]) -> Result<(), ExamplesError> {
    let path = examples_dir.join(split.folder_name()).join(TFRECORD_FILE);
    let records = examples.chunks(AT_ONCE).flat_map(|part| part.par_iter().map(columns::to_bytes).collect::<Vec<_>>());
    Ok(tfrecord::write(&path, records)?)
}

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
    use crate::wire::example::Feature;

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

    #[test]
    fn the_error_names_the_file_and_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Split-train").join(TFRECORD_FILE);
        let good = columns::to_bytes(&Example::title_alone("a".parse().unwrap(), "A fox".into(), "fauna".into()));
        let id: &[u8] = b"a/b";
        let bad = Features::new([("id", Feature::Bytes([id].into_iter().collect()))]).to_bytes();
        let error = |second: Vec<u8>| {
            tfrecord::write(&path, [good.clone(), second].into_iter()).unwrap();
            read_split(folder.path(), Split::Train).unwrap_err()
        };
        let column = error(bad);
        assert_eq!(column.to_string(), format!("{}, record 2: not a labelled post or title", path.display()));
        let source = std::error::Error::source(&column).unwrap().to_string();
        assert!(source.starts_with("id: not a post id"), "{source}");
        let bytes = error(vec![0x0a, 9]).to_string();
        assert_eq!(bytes, format!("{}, record 2: not a tf.train.Example", path.display()));
    }
}
