//! What a correct client makes of the simulated posts.

use std::collections::BTreeMap;

use natureddit_core::PostId;
use serde::Serialize;

/// What a correct client makes of every post. Written as JSON at `/_sim/truth.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The seed of the corpus.
    pub seed: u64,
    /// The times between which all posts lie.
    pub window: Window,
    /// Every post, oldest first.
    pub posts: Vec<TruthPost>,
    /// Posts with a row in the dataset, by class.
    pub counts: BTreeMap<String, usize>,
    /// Posts to drop, by reason.
    pub drops: BTreeMap<DropReason, usize>,
}

/// Seconds since the epoch, UTC: every post was made at or after `since` and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// A full hour before the first post.
    pub since: i64,
    /// A full hour after the last post.
    pub until: i64,
}

/// What is true of one post.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthPost {
    /// The post's id.
    pub id: PostId,
    /// Where it was posted.
    pub subreddit: String,
    /// When it was posted, seconds since the epoch.
    pub created_utc: i64,
    /// The title as its author wrote it, without the escapes it has on the wire.
    pub title: String,
    /// What the picture shows, in a word or two; empty for photos that are not drawn.
    pub subject: String,
    /// The class's name; `None` for a post that must be dropped.
    pub choice: Option<String>,
    /// What becomes of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The earlier post that shows the same picture, encoded anew.
    pub same_picture_as: Option<PostId>,
    /// Whether a listing of Reddit's own API has it, until it is gone: one that is gone from the start is in none.
    pub is_listed: bool,
    /// When it is deleted, removed or lost, by the simulator's time: from then on nothing of it may be kept.
    pub gone_at: Option<i64>,
}

/// What a correct client does with a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It goes into the dataset with so many photos; only galleries have more than one.
    Row {
        /// How many of its photos can be had.
        photos: usize,
    },
    /// It is left out.
    Drop {
        /// Why.
        reason: DropReason,
    },
}

/// Why a post must be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// A video on v.redd.it.
    Video,
    /// Text only.
    SelfPost,
    /// A link to a page that is no picture.
    Link,
    /// Marked as not safe for work.
    Over18,
    /// Removed by a moderator.
    Removed,
    /// Deleted by its author.
    Deleted,
    /// The picture's host answers 404.
    NotFound,
    /// The picture's host answers with a web page under a `.jpg` name.
    Html,
    /// A JPEG cut off in the middle.
    Truncated,
    /// A picture of less than 5,000 bytes.
    TooSmall,
    /// No byte at all.
    Empty,
    /// A header that promises 50,000 x 50,000 pixels.
    TooManyPixels,
    /// An animated GIF, or an animated WebP under a `.jpg` name.
    Animated,
    /// A page with several pictures.
    Album,
    /// A picture that its host has replaced by a notice that it is gone.
    Placeholder,
    /// An advertisement.
    Promoted,
    /// From a quarantined subreddit.
    Quarantined,
    /// A gallery without a picture that can be had.
    GalleryEmpty,
}

impl DropReason {
    /// The reasons that only a varied corpus has.
    pub const VARIED: [Self; 5] =
        [Self::Album, Self::Placeholder, Self::Promoted, Self::Quarantined, Self::GalleryEmpty];

    /// The reasons that the post itself tells, so that no photo is fetched.
    pub const WITHOUT_FETCH: [Self; 6] =
        [Self::Video, Self::SelfPost, Self::Link, Self::Over18, Self::Removed, Self::Deleted];

    /// The reasons that every corpus has.
    pub const ALL: [Self; 13] = [
        Self::Video,
        Self::SelfPost,
        Self::Link,
        Self::Over18,
        Self::Removed,
        Self::Deleted,
        Self::NotFound,
        Self::Html,
        Self::Truncated,
        Self::TooSmall,
        Self::Empty,
        Self::TooManyPixels,
        Self::Animated,
    ];
}

impl Truth {
    /// Counts what the posts say.
    pub(crate) fn new(seed: u64, window: Window, posts: Vec<TruthPost>) -> Self {
        let mut counts = BTreeMap::new();
        let mut drops = BTreeMap::new();
        for post in &posts {
            match (&post.choice, post.outcome) {
                (_, Outcome::Drop { reason }) => *drops.entry(reason).or_default() += 1,
                (Some(choice), Outcome::Row { .. }) => *counts.entry(choice.clone()).or_default() += 1,
                (None, Outcome::Row { .. }) => {}
            }
        }
        Self { seed, window, posts, counts, drops }
    }

    /// The id and the class name of every post that belongs in the dataset, oldest first.
    pub fn labels(&self) -> impl Iterator<Item = (&PostId, &str)> {
        self.posts.iter().filter_map(|post| Some((&post.id, post.choice.as_deref()?)))
    }
}
