//! A post as a source delivers it: what the dataset keeps of it, and where its photo may be.

use natureddit_core::Post;

/// A post and what decides about its photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// What the dataset keeps.
    pub post: Post,
    /// Deleted by its author or removed by a moderator, Reddit or a lawyer.
    pub is_removed: bool,
    /// An advertisement.
    pub is_promoted: bool,
    /// From a subreddit that Reddit hides from people who did not ask for it.
    pub is_quarantined: bool,
    /// What was posted; of a crosspost what the original post holds.
    pub media: Media,
}

/// What a post holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// Text only.
    Text,
    /// A video.
    Video,
    /// The address of a picture or of anything else.
    Link(String),
    /// A Reddit gallery in its own order.
    Gallery(Vec<GalleryItem>),
    /// A gallery that Reddit has not listed yet.
    PendingGallery,
    /// Nobody knows: a field of the record has a type it should not have.
    Unreadable,
    /// A crosspost of a post that is gone.
    RemovedParent,
}

/// One picture of a gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GalleryItem {
    /// What Reddit calls the picture; fit for a file name.
    pub media_id: String,
    /// Whether it can be had.
    pub state: GalleryItemState,
}

/// Whether a picture of a gallery can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GalleryItemState {
    /// The address of a still picture, signed: no character of it may change.
    Photo(String),
    /// Reddit has not processed it yet.
    Pending,
    /// Deleted, failed or animated.
    Unusable,
}
