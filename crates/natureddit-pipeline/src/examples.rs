//! Labelled examples on disk: one `examples.csv` a split.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::text::normalise_title;
use natureddit_core::{ContentHash, PostId};
use natureddit_image::PerceptualHash;
use serde::{Deserialize, Serialize};

use crate::split::Split;

/// A labelled post with its photo, or a labelled title alone. Its fields are the columns of `examples.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// What is in it.
    #[error("{} does not hold examples", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// Which row, and why.
        source: csv::Error,
    },
}

/// The examples of one split of an Examples artifact.
///
/// # Errors
/// When `Split-<name>/examples.csv` is not there or holds something else.
pub fn read_split(examples_dir: &Path, split: Split) -> Result<Vec<Example>, ExamplesError> {
    let path = path(examples_dir, split);
    let bytes = fs::read(&path)?;
    let rows: Result<_, csv::Error> = csv::Reader::from_reader(bytes.as_slice()).into_deserialize().collect();
    rows.map_err(|source| ExamplesError::Csv { path, source })
}

/// Writes the examples of one split, in their order.
///
/// # Errors
/// When the file cannot be written.
pub fn write_split(examples_dir: &Path, split: Split, examples: &[Example]) -> Result<(), ExamplesError> {
    let path = path(examples_dir, split);
    let bad = |source| ExamplesError::Csv { path: path.clone(), source };
    // The header is written by hand, so that a split without examples has it too.
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(bad)?;
    for example in examples {
        writer.serialize(example).map_err(bad)?;
    }
    let bytes = writer.into_inner().map_err(|e| bad(e.into_error().into()))?;
    Ok(fs::write_atomic(&path, bytes)?)
}

const COLUMNS: [&str; 16] = [
    "id",
    "title",
    "img_name",
    "sha256",
    "choice",
    "group",
    "source",
    "author",
    "subreddit",
    "flair",
    "created_utc",
    "over_18",
    "width",
    "height",
    "phash",
    "label_source",
];

fn path(examples_dir: &Path, split: Split) -> PathBuf {
    examples_dir.join(split.folder_name()).join("examples.csv")
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

    #[test]
    fn the_error_names_the_file_and_the_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Split-train/examples.csv");
        fs::write_atomic(&path, format!("{}\na/b,x,,,flora,a,post,,,,0,false,0,0,,\n", COLUMNS.join(","))).unwrap();
        let error = read_split(folder.path(), Split::Train).unwrap_err();
        assert_eq!(error.to_string(), format!("{} does not hold examples", path.display()));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("line: 2") && source.contains("not a post id"), "{source}");
    }
}
