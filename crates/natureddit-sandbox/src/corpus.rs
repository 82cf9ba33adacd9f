//! The posts, their media and what is true of them.

mod authors;
mod drawn;
pub(crate) mod later;
mod photos;
mod times;
mod variety;

use std::collections::BTreeMap;
use std::path::PathBuf;

use natureddit_core::PostId;
use natureddit_core::fs::FsError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::SandboxConfig;
use crate::picture::{Picture, Spoilt};
use crate::truth::Truth;

/// Everything a simulator serves.
pub(crate) struct Corpus {
    /// Oldest first; posts of one second by id.
    pub(crate) posts: Vec<SimPost>,
    /// By file name, as in `https://i.redd.it/{name}`. A name that a post gives and that is absent here is a
    /// dead link.
    pub(crate) media: BTreeMap<String, Media>,
    pub(crate) truth: Truth,
}

/// A post as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SimPost {
    pub(crate) id: PostId,
    pub(crate) subreddit: String,
    pub(crate) author: String,
    pub(crate) created_utc: i64,
    /// As its author wrote it.
    pub(crate) title: String,
    pub(crate) over_18: bool,
    /// Reddit's `removed_by_category`.
    pub(crate) removed_by: Option<&'static str>,
    pub(crate) edited_at: Option<i64>,
    /// A field that is `true` in this post alone, such as `promoted`.
    pub(crate) mark: Option<&'static str>,
    /// The post that this one repeats.
    pub(crate) crosspost_of: Option<Box<SimPost>>,
    pub(crate) content: Content,
}

impl SimPost {
    /// A text post without words, for its maker to fill.
    pub(crate) fn new(id: PostId, subreddit: String, author: String, created_utc: i64) -> Self {
        let content = Content::Text(String::new());
        let (title, over_18, removed_by) = (String::new(), false, None);
        let (edited_at, mark, crosspost_of) = (None, None, None);
        Self { id, subreddit, author, created_utc, title, over_18, removed_by, edited_at, mark, crosspost_of, content }
    }

    /// The files that are gone when the post is.
    pub(crate) fn files(&self) -> Vec<String> {
        match &self.content {
            Content::Photo { file, .. } => vec![file.clone()],
            Content::Gallery(items) => items.iter().map(|item| format!("{}.jpg", item.media_id)).collect(),
            Content::Video(_) | Content::Text(_) | Content::Link(_) => Vec::new(),
        }
    }
}

/// What a post carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// A file on i.redd.it with its width and height where they are known.
    Photo { file: String, size: Option<(u32, u32)> },
    /// Several files in the order their author gave them.
    Gallery(Vec<GalleryItem>),
    /// The id of a video on v.redd.it.
    Video(String),
    /// A text.
    Text(String),
    /// The address of a page elsewhere.
    Link(String),
}

/// One photo of a gallery.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GalleryItem {
    pub(crate) media_id: String,
    pub(crate) size: (u32, u32),
    pub(crate) state: ItemState,
}

/// What Reddit made of a photo of a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemState {
    Valid,
    /// It could not be processed, so that it has no address.
    Failed,
    /// It is not processed yet.
    Unprocessed,
    /// It moves, and has the address of a film only.
    Animated,
    /// It is said to be valid and has no address.
    NoSource,
    /// Its author took it out of the gallery.
    Deleted,
}

/// A file that can be fetched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Media {
    Drawn(Picture),
    Spoilt(Picture, Spoilt),
    File(PathBuf),
    /// The place of a file of the zoo.
    Zoo(usize),
    /// The notice that a picture is gone.
    Removed,
}

/// A corpus that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// `posts` is 0.
    #[error("a corpus needs at least one post")]
    NoPosts,
    /// `subreddits` is empty.
    #[error("a corpus needs at least one subreddit")]
    NoSubreddits,
    /// A class that cannot be drawn.
    #[error("no pictures of class {class:?} can be drawn, only of fauna, flora and landscape")]
    NoScene {
        /// The class's name.
        class: String,
    },
    /// A class has no folder of photos, or nothing in it.
    #[error("no photos of class {class:?} in {}", folder.display())]
    NoPhotos {
        /// The class's name.
        class: String,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A class has a folder with nothing but links to photos: these may lead to anything of this machine.
    #[error("the photos of class {class:?} in {} are symbolic links, which are not followed", folder.display())]
    OnlyLinks {
        /// The class's name.
        class: String,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A folder or file that cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A table that cannot be read.
    #[error("cannot read {}", path.display())]
    Table {
        /// The table's path.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// A row that cannot be served.
    #[error("row {row} of {}: {reason}", path.display())]
    Row {
        /// The table's path.
        path: PathBuf,
        /// Counted from 1 without the header.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl Corpus {
    /// Makes the corpus that the configuration asks for; reads the folder of photos when one is given.
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, CorpusError> {
        if config.subreddits.is_empty() {
            return Err(CorpusError::NoSubreddits);
        }
        match &config.photos {
            Some(folder) => photos::corpus(config, folder),
            None => drawn::corpus(config),
        }
    }
}

/// Separate streams of random numbers, so that a change in one part of the corpus leaves the others as they are.
#[derive(Clone, Copy)]
enum Stream {
    Plan,
    Titles,
    Authors,
    Times,
    Ids,
    Pictures,
    Later,
    Variety,
}

fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64 + 1);
    rng
}

/// Where a post about the n-th class is put: mostly the n-th subreddit.
fn subreddit(rng: &mut ChaCha8Rng, subreddits: &[String], class: usize) -> usize {
    if rng.random_bool(0.6) { class % subreddits.len() } else { rng.random_range(0..subreddits.len()) }
}

/// A number as Reddit writes its ids.
fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// The post id of that number.
fn post_id(number: u64) -> PostId {
    base36(number).parse().expect("every number in base 36 is a post id")
}

/// The name of a file on Reddit's picture host: 13 letters and digits.
fn media_id(rng: &mut ChaCha8Rng) -> String {
    (0..13).map(|_| char::from_digit(rng.random_range(0..36), 36).unwrap_or('0')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_base_36() {
        assert_eq!([0, 35, 36, 46_655].map(base36), ["0", "z", "10", "zzz"]);
    }
}
