//! What becomes of one photo of a post: it is there, is fetched and stored, or is dropped with a reason.

use std::path::Path;

use natureddit_core::fs::FsError;
use natureddit_core::{Post, PostId};
use natureddit_net::NetError;

use super::Collection;
use crate::dataset::{DatasetError, DatasetStore, DroppedPost, PostRow};
use crate::images::{FileState, PhotoError, StoredPhoto, img_stem};
use crate::journal::Entry;
use crate::media::{self, GalleryMode, PhotoAddress, SkipReason};
use crate::table::TableError;

/// One photo that is to be had.
pub(super) struct Wanted<'a> {
    pub(super) post: &'a Post,
    pub(super) photo: PhotoAddress,
    /// Whether it is the last of its post.
    pub(super) is_last: bool,
}

/// What became of one photo.
pub(super) struct Judged {
    pub(super) id: PostId,
    pub(super) subreddit: String,
    pub(super) outcome: Outcome,
    /// How its fetch ended, if there was one.
    pub(super) fetch: Option<Fetch>,
    /// Whether there is no photo for a reason that may pass.
    pub(super) may_come: bool,
    /// The size of the file that was stored; 0 where none was.
    pub(super) photo_bytes: u64,
    /// Whether it was the last of its post.
    pub(super) ends_post: bool,
}

pub(super) enum Outcome {
    /// Its row and file were there.
    Present,
    Stored(Box<PostRow>),
    /// The file is not the one that was fetched, which cannot be had again; the row describes it.
    Changed(Box<PostRow>),
    /// Its row was there and the photo cannot be had.
    Missing,
    Dropped(DroppedPost),
}

pub(super) enum Fetch {
    Answered,
    Gone,
    Failed(String),
}

/// Why there is no photo.
enum NoPhoto {
    Skipped(SkipReason),
    Failed(PhotoError),
}

impl NoPhoto {
    fn code(&self) -> String {
        match self {
            Self::Skipped(reason) => reason.code().to_owned(),
            Self::Failed(error) => error.code().into_owned(),
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Skipped(reason) => *reason == SkipReason::GalleryPending,
            Self::Failed(error) => error.may_pass(),
        }
    }

    fn fetch(&self) -> Option<Fetch> {
        match self {
            Self::Skipped(_) => None,
            Self::Failed(PhotoError::Net(NetError::Status { status: 404 | 410, .. })) => Some(Fetch::Gone),
            Self::Failed(PhotoError::Net(_)) => Some(Fetch::Failed(self.code())),
            Self::Failed(_) => Some(Fetch::Answered),
        }
    }
}

/// The row of a photo. The only photo of a post is known by its post, whatever its file is called; one of several by the
/// name of its file, which in datasets of the original form is what Reddit calls the picture.
fn row_of(
    dataset: &DatasetStore,
    id: &PostId,
    photo: &PhotoAddress,
    mode: GalleryMode,
) -> Result<Option<PostRow>, TableError> {
    let mut rows = dataset.photos_of(id)?.into_iter();
    if photo.media_id.is_empty() || mode == GalleryMode::First {
        return Ok(rows.next());
    }
    let stem = img_stem(id, &photo.media_id);
    Ok(rows.find(|row| row.stem() == stem || row.stem() == photo.media_id))
}

impl Collection<'_> {
    /// The row of a photo and the folder its file is in: of this dataset or, where it has none, of the one it adds to.
    fn row_of(&self, id: &PostId, photo: &PhotoAddress) -> Result<(Option<PostRow>, &Path), TableError> {
        let own = row_of(&self.dataset, id, photo, self.config.gallery)?;
        match (own, &self.base) {
            (None, Some(base)) => Ok((row_of(&base.dataset, id, photo, self.config.gallery)?, &base.images)),
            (own, _) => Ok((own, self.store.folder())),
        }
    }

    /// Decides about one photo; stores it if there is one to store, and notes what became of it. An error is this
    /// machine's.
    pub(super) async fn judge(&self, wanted: &Wanted<'_>) -> Result<Judged, DatasetError> {
        let Wanted { post, photo, is_last: ends_post } = wanted;
        let ends_post = *ends_post;
        let (row, images) = self.row_of(&post.id, photo)?;
        let state = match &row {
            Some(row) => self.store.state(images.join(&row.img_name), row.sha256).await?,
            None => FileState::Missing,
        };
        if state == FileState::Same {
            let (id, subreddit) = (post.id.clone(), post.subreddit.clone());
            let (outcome, fetch, may_come, photo_bytes) = (Outcome::Present, None, false, 0);
            return Ok(Judged { id, subreddit, outcome, fetch, may_come, photo_bytes, ends_post });
        }
        // A file that is fetched again keeps its name.
        let stem = row.as_ref().map_or_else(|| img_stem(&post.id, &photo.media_id), |row| row.stem().to_owned());
        let fetched = self.fetch_photo(stem, photo).await?;
        let (fetch, may_come) = match &fetched {
            Ok(_) => (Some(Fetch::Answered), false),
            Err(reason) => (reason.fetch(), reason.may_pass()),
        };
        let photo_bytes = fetched.as_ref().map_or(0, |photo| photo.bytes);
        let outcome = match (fetched, &row) {
            (Ok(photo), row) => Outcome::Stored(Box::new(self.new_row(post, row.as_ref(), photo))),
            (Err(reason), Some(row)) => {
                let reason = reason.code();
                tracing::info!(id = %post.id, reason, "the photo is gone or changed and cannot be had again");
                let is_here = images == self.store.folder();
                self.without_original(row, if is_here { state } else { FileState::Missing }).await?
            }
            (Err(reason), None) => Outcome::Dropped(DroppedPost {
                id: post.id.clone(),
                media_id: photo.media_id.clone(),
                subreddit: post.subreddit.clone(),
                created_utc: post.created_utc,
                reason: reason.code(),
            }),
        };
        match &outcome {
            Outcome::Stored(row) | Outcome::Changed(row) => self.journal.push(&Entry::Row(row.clone()))?,
            Outcome::Dropped(post) => self.journal.push(&Entry::Dropped(post.clone()))?,
            Outcome::Present | Outcome::Missing => {}
        }
        let (id, subreddit) = (post.id.clone(), post.subreddit.clone());
        Ok(Judged { id, subreddit, outcome, fetch, may_come, photo_bytes, ends_post })
    }

    /// What to do about a row whose photo is gone or changed while the original cannot be had. The row stays: that a photo
    /// cannot be had says nothing about its post.
    async fn without_original(&self, row: &PostRow, state: FileState) -> Result<Outcome, FsError> {
        if state == FileState::Missing {
            return Ok(Outcome::Missing);
        }
        match self.store.read(&row.img_name).await {
            Ok(photo) => Ok(Outcome::Changed(Box::new(self.new_row(&row.post, Some(row), photo)))),
            Err(PhotoError::Fs(error)) => Err(error),
            Err(error) => {
                tracing::info!(id = %row.post.id, %error, "the file in the photo's place cannot be read");
                Ok(Outcome::Missing)
            }
        }
    }

    /// A photo, stored; or the reason why there is none.
    async fn fetch_photo(&self, stem: String, photo: &PhotoAddress) -> Result<Result<StoredPhoto, NoPhoto>, FsError> {
        let url = match &photo.url {
            Ok(url) => url,
            Err(reason) => return Ok(Err(NoPhoto::Skipped(*reason))),
        };
        self.journal.push(&Entry::Fetch(stem.clone()))?;
        let mut addresses = media::addresses(url).into_iter().peekable();
        loop {
            let Some(address) = addresses.next() else { return Ok(Err(NoPhoto::Skipped(SkipReason::NotAPhoto))) };
            match self.store.fetch(&stem, &address).await {
                Ok(photo) => return Ok(Ok(photo)),
                Err(PhotoError::Fs(error)) => return Err(error),
                // Any other failure may be another one next time, and which of the files is stored must not depend on the
                // weather. Whoever is refused takes no other route.
                Err(error) if error.is_gone() && addresses.peek().is_some() => {
                    tracing::debug!(stem, %error, "the original is gone, and the preview is asked for");
                }
                Err(error) => {
                    tracing::debug!(stem, %error, "photo dropped");
                    return Ok(Err(NoPhoto::Failed(error)));
                }
            }
        }
    }

    /// A row that was there wins; only what describes its file is new.
    fn new_row(&self, post: &Post, old: Option<&PostRow>, photo: StoredPhoto) -> PostRow {
        let StoredPhoto { img_name, width, height, sha256, phash, .. } = photo;
        let (post, source) = match old {
            Some(old) => (old.post.clone(), old.source.clone()),
            None => (post.clone(), self.config.source.name().to_owned()),
        };
        PostRow { post, img_name, source, width, height, sha256, phash }
    }
}
