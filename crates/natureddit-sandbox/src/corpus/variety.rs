//! Posts of every kind that Reddit has, for a corpus that asks for them.

use natureddit_core::PostId;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::drawn::Studio;
use super::{Content, GalleryItem, ItemState, Media, SimPost, media_id};
use crate::media::imgur_key;
use crate::picture::{Encoding, Picture};
use crate::truth::{DropReason, Outcome};

/// A kind of post that only a varied corpus has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Variety {
    /// A picture on imgur's picture host, its ending in capitals and with a query.
    ImgurPicture,
    /// The page of one picture on imgur, which says nothing of its format.
    ImgurPage,
    ImgurAlbum,
    /// A page that plays a film.
    Gifv,
    /// A picture on imgur that is gone.
    Placeholder,
    Promoted,
    Quarantined,
    /// A post that repeats another's picture.
    Crosspost,
    CrosspostOfRemoved,
    /// A post that was removed by another than its author and the moderators.
    Removed,
    /// A gallery with items of every state, two of them photos.
    MixedGallery,
    EmptyGallery,
    /// A title that is hard on tables.
    Title,
}

impl Variety {
    pub(super) const ALL: [Self; 13] = [
        Self::ImgurPicture,
        Self::ImgurPage,
        Self::ImgurAlbum,
        Self::Gifv,
        Self::Placeholder,
        Self::Promoted,
        Self::Quarantined,
        Self::Crosspost,
        Self::CrosspostOfRemoved,
        Self::Removed,
        Self::MixedGallery,
        Self::EmptyGallery,
        Self::Title,
    ];
}

/// Who removes posts, beside their authors and the moderators.
const REMOVERS: [&str; 7] = [
    "reddit",
    "automod_filtered",
    "content_takedown",
    "copyright_takedown",
    "community_ops",
    "anti_evil_ops",
    "author",
];

/// Titles that are hard on tables: formulas, quotes, controls, marks without width, other directions and scripts.
const TITLES: [&str; 10] = [
    "=HYPERLINK(\"https://example.com\",\"a fox\")",
    "A \"quoted\" fox, and a comma; and a tab\there",
    "two\r\nlines of a mountain",
    "\u{feff}full-width \u{ff26}\u{ff4f}\u{ff58}",
    "a bell \u{7} and a null-like \u{1} in a meadow",
    "\u{202e}backwards\u{202c} and no\u{200b}thing",
    "e\u{301}te\u{301} dans les Alpes",
    "\u{1f98a} \u{1f468}\u{200d}\u{1f33e} \u{1f3d4}\u{fe0f}",
    "\u{5bcc}\u{58eb}\u{5c71}\u{3068}\u{685c}",
    "&amp; was typed &lt;so&gt; by its author",
];

impl Studio {
    /// Makes the post one of that kind, and says what becomes of it.
    pub(super) fn vary(&mut self, post: &mut SimPost, kind: Variety, picture: &Picture) -> Outcome {
        let row = Outcome::Row { photos: 1 };
        let drop = |reason| Outcome::Drop { reason };
        let imgur = imgur_id(&mut self.variety);
        match kind {
            Variety::ImgurPicture => {
                self.media.insert(imgur_key(&imgur), Media::Drawn(picture.clone()));
                post.content = Content::Link(format!("http://i.imgur.com/{imgur}.JPG?1"));
                row
            }
            Variety::ImgurPage => {
                self.media.insert(imgur_key(&imgur), Media::Drawn(picture.clone()));
                post.content = Content::Link(format!("https://imgur.com/{imgur}"));
                row
            }
            Variety::ImgurAlbum => {
                post.content = Content::Link(format!("https://imgur.com/a/{}", &imgur[..5]));
                drop(DropReason::Album)
            }
            Variety::Gifv => {
                post.content = Content::Link(format!("https://i.imgur.com/{imgur}.gifv"));
                drop(DropReason::Animated)
            }
            // What imgur does not have is gone.
            Variety::Placeholder => {
                post.content = Content::Link(format!("https://i.imgur.com/{imgur}.jpg"));
                drop(DropReason::Placeholder)
            }
            Variety::Promoted | Variety::Quarantined => {
                let is_promoted = kind == Variety::Promoted;
                post.mark = Some(if is_promoted { "promoted" } else { "quarantine" });
                post.content = self.photo(picture);
                drop(if is_promoted { DropReason::Promoted } else { DropReason::Quarantined })
            }
            Variety::Crosspost | Variety::CrosspostOfRemoved => {
                post.content = self.photo(picture);
                let mut parent = parent(post);
                let is_removed = kind == Variety::CrosspostOfRemoved;
                parent.removed_by = is_removed.then_some("moderator");
                post.crosspost_of = Some(Box::new(parent));
                if is_removed { drop(DropReason::Removed) } else { row }
            }
            Variety::Removed => {
                post.removed_by = Some(REMOVERS[self.removed % REMOVERS.len()]);
                self.removed += 1;
                post.content = self.photo(picture);
                drop(DropReason::Removed)
            }
            Variety::MixedGallery => {
                use ItemState::{Animated, Deleted, Failed, NoSource, Valid};
                post.content = self.gallery_of(picture, &[Deleted, Animated, NoSource, Valid, Failed, Valid]);
                Outcome::Row { photos: 2 }
            }
            Variety::EmptyGallery => {
                post.content = self.gallery_of(picture, &[ItemState::Failed, ItemState::NoSource, ItemState::Animated]);
                drop(DropReason::GalleryEmpty)
            }
            Variety::Title => {
                post.title = TITLES[self.titled % TITLES.len()].to_owned();
                self.titled += 1;
                post.content = self.photo(picture);
                row
            }
        }
    }

    /// A gallery with items of these states, each with a picture of its own.
    fn gallery_of(&mut self, first: &Picture, states: &[ItemState]) -> Content {
        let mut items = Vec::new();
        for &state in states {
            let (width, height) = (first.width.min(900), first.height.min(900));
            let encoding = Encoding::Jpeg { quality: 85 };
            let picture = Picture { seed: self.variety.random(), encoding, width, height, ..first.clone() };
            let media_id = media_id(&mut self.variety);
            self.media.insert(format!("{media_id}.jpg"), Media::Drawn(picture));
            items.push(GalleryItem { media_id, size: (width, height), state });
        }
        Content::Gallery(items)
    }
}

/// An id as imgur gives them.
fn imgur_id(rng: &mut ChaCha8Rng) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..7).map(|_| char::from(*LETTERS.choose(rng).unwrap_or(&b'a'))).collect()
}

/// The post that `post` repeats, which is in a subreddit that nobody collects.
fn parent(post: &SimPost) -> SimPost {
    let id: PostId = format!("1{}", post.id).parse().unwrap_or_else(|_| post.id.clone());
    let new = SimPost::new(id, "pics".into(), format!("{}_too", post.author), post.created_utc - 600);
    SimPost { title: post.title.clone(), content: post.content.clone(), ..new }
}
