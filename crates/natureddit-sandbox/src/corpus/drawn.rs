//! A corpus of drawn pictures, with the posts among them that must be dropped.

use std::collections::BTreeMap;

use natureddit_core::PostId;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::authors::Authors;
use super::variety::Variety;
use super::{
    Content, Corpus, CorpusError, GalleryItem, ItemState, Media, SimPost, Stream, media_id, post_id, stream, times,
};
use crate::caption::Captions;
use crate::config::SandboxConfig;
use crate::picture::{Encoding, Picture, Spoilt};
use crate::scene::Kind;
use crate::truth::{DropReason, Outcome, Truth, TruthPost};

/// What a post is to be, before it has a time, a name or a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Photo,
    /// The picture of an earlier post, smaller and encoded anew.
    Repost,
    Gallery,
    Drop(DropReason),
    Varied(Variety),
}

/// Makes everything a post needs, one after the other.
pub(super) struct Studio {
    plan: ChaCha8Rng,
    titles: ChaCha8Rng,
    pictures: ChaCha8Rng,
    pub(super) variety: ChaCha8Rng,
    captions: Captions,
    pub(super) media: BTreeMap<String, Media>,
    /// Posts with one photo, for reposts.
    shown: Vec<(PostId, Picture)>,
    /// How many posts were removed by others than their authors and the moderators.
    pub(super) removed: usize,
    /// How many titles that are hard on tables there are.
    pub(super) titled: usize,
    /// How many moving pictures there are.
    animated: usize,
}

pub(super) fn corpus(config: &SandboxConfig) -> Result<Corpus, CorpusError> {
    if config.posts == 0 {
        return Err(CorpusError::NoPosts);
    }
    let known = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let kinds: Vec<Kind> = config
        .classes
        .names()
        .map(|name| known(name).ok_or_else(|| CorpusError::NoScene { class: name.to_owned() }))
        .collect::<Result<_, _>>()?;
    let mut studio = Studio {
        plan: stream(config.seed, Stream::Plan),
        titles: stream(config.seed, Stream::Titles),
        pictures: stream(config.seed, Stream::Pictures),
        variety: stream(config.seed, Stream::Variety),
        captions: Captions::default(),
        media: BTreeMap::new(),
        shown: Vec::new(),
        removed: 0,
        titled: 0,
        animated: 0,
    };
    let mut parts = match config.posts_only {
        true => plan_without_photos(&mut studio.plan, config.posts),
        false => plan(&mut studio.plan, config.posts),
    };
    if config.varied {
        vary(&mut studio.variety, &mut parts);
    }
    let classes: Vec<usize> = parts.iter().map(|_| studio.plan.random_range(0..kinds.len())).collect();
    let subreddits: Vec<usize> =
        classes.iter().map(|&class| super::subreddit(&mut studio.plan, &config.subreddits, class)).collect();
    let times = times::times(&mut stream(config.seed, Stream::Times), &subreddits);
    let mut authors = Authors::new(stream(config.seed, Stream::Authors));
    let mut ids = stream(config.seed, Stream::Ids);
    let mut number = 36u64.pow(5) * 20 + ids.random_range(0..36u64.pow(5));
    let (mut posts, mut truths) = (Vec::new(), Vec::new());
    for (at, &part) in parts.iter().enumerate() {
        number += ids.random_range(1..4_000);
        let subreddit = config.subreddits[subreddits[at]].clone();
        let mut post = SimPost::new(post_id(number), subreddit, authors.next(), times[at]);
        truths.push(studio.fill(&mut post, part, kinds[classes[at]]));
        posts.push(post);
    }
    let window = times::window(times.iter().copied());
    Ok(Corpus { posts, media: studio.media, truth: Truth::new(config.seed, window, truths) })
}

/// Which posts are what: every reason to drop a post at least once as soon as there are enough posts.
fn plan(rng: &mut ChaCha8Rng, posts: usize) -> Vec<Part> {
    let each = (posts / 150).max(1);
    let drops = DropReason::ALL.into_iter().cycle().take((each * DropReason::ALL.len()).min(posts / 4)).map(Part::Drop);
    let mut parts: Vec<Part> = drops.collect();
    parts.extend(vec![Part::Repost; posts / 40]);
    parts.extend(vec![Part::Gallery; (posts / 60).min(12)]);
    parts.resize(posts, Part::Photo);
    parts.shuffle(rng);
    parts
}

/// As many posts of each kind that nobody fetches a photo for.
fn plan_without_photos(rng: &mut ChaCha8Rng, posts: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = DropReason::WITHOUT_FETCH.into_iter().cycle().take(posts).map(Part::Drop).collect();
    parts.shuffle(rng);
    parts
}

/// Makes some of the photos posts of other kinds, as many of each.
fn vary(rng: &mut ChaCha8Rng, parts: &mut [Part]) {
    let mut photos: Vec<usize> = (0..parts.len()).filter(|&at| parts[at] == Part::Photo).collect();
    photos.shuffle(rng);
    let each = (parts.len() / 100).max(1);
    let kinds = Variety::ALL.into_iter().cycle().take((each * Variety::ALL.len()).min(photos.len() / 2));
    photos.into_iter().zip(kinds).for_each(|(at, kind)| parts[at] = Part::Varied(kind));
}

impl Studio {
    /// Gives the post its title and content, and says what is true of it.
    fn fill(&mut self, post: &mut SimPost, part: Part, kind: Kind) -> TruthPost {
        let earlier = self.shown.choose(&mut self.plan).cloned();
        let (part, original) = match (part, earlier) {
            (Part::Repost, Some(earlier)) => (part, Some(earlier)),
            // Nothing to repeat yet.
            (Part::Repost, None) => (Part::Photo, None),
            (part, _) => (part, None),
        };
        let picture = match &original {
            Some((_, first)) => reduced(first),
            None => self.picture(kind),
        };
        let subject = self.subject(&picture);
        post.title = self.captions.title(&mut self.titles, Some(picture.kind), &subject);
        let outcome = match part {
            Part::Photo | Part::Repost => {
                if part == Part::Photo {
                    self.shown.push((post.id.clone(), picture.clone()));
                }
                post.content = self.photo(&picture);
                Outcome::Row { photos: 1 }
            }
            Part::Gallery => {
                let items = self.gallery(&picture);
                let photos = items.iter().filter(|item| item.state == ItemState::Valid).count();
                post.content = Content::Gallery(items);
                Outcome::Row { photos }
            }
            Part::Varied(kind) => self.vary(post, kind, &picture),
            Part::Drop(reason) => {
                self.spoil(post, reason, picture.clone());
                Outcome::Drop { reason }
            }
        };
        let kept = matches!(outcome, Outcome::Row { .. });
        TruthPost {
            id: post.id.clone(),
            subreddit: post.subreddit.clone(),
            created_utc: post.created_utc,
            title: post.title.clone(),
            subject,
            choice: kept.then(|| picture.kind.name().to_owned()),
            outcome,
            same_picture_as: original.map(|(id, _)| id),
            gone_at: None,
            is_listed: post.removed_by.is_none(),
        }
    }

    /// One of the words for what a picture shows.
    fn subject(&mut self, picture: &Picture) -> String {
        let names = picture.kind.subjects()[picture.subject].names;
        names.choose(&mut self.titles).copied().unwrap_or_default().to_owned()
    }

    fn picture(&mut self, kind: Kind) -> Picture {
        let rng = &mut self.pictures;
        let subject = rng.random_range(0..kind.subjects().len());
        let encoding = match rng.random_range(0..100) {
            0..82 => Encoding::Jpeg { quality: rng.random_range(78..93) },
            82..88 => Encoding::TurnedJpeg { orientation: *[3, 6, 8].choose(rng).unwrap_or(&6) },
            88..92 => Encoding::Png,
            92..96 => Encoding::AlphaPng,
            _ => Encoding::WebP,
        };
        let long: u32 = match rng.random_range(0..100) {
            // Without loss a large picture would be many megabytes.
            _ if !matches!(encoding, Encoding::Jpeg { .. } | Encoding::TurnedJpeg { .. }) => rng.random_range(480..800),
            0..20 => rng.random_range(480..640),
            20..60 => rng.random_range(640..900),
            60..90 => rng.random_range(900..1200),
            90..96 => rng.random_range(1200..1900),
            _ => rng.random_range(1981..2200),
        };
        let (wide, high) =
            *[(3, 2), (4, 3), (16, 9), (5, 4), (1, 1), (2, 3), (3, 4), (4, 5)].choose(rng).unwrap_or(&(3, 2));
        let side = |part: u32| long * part / wide.max(high);
        Picture { seed: rng.random(), kind, subject, width: side(wide), height: side(high), encoding }
    }

    pub(super) fn photo(&mut self, picture: &Picture) -> Content {
        let file = format!("{}.{}", media_id(&mut self.pictures), picture.encoding.extension());
        self.media.insert(file.clone(), Media::Drawn(picture.clone()));
        Content::Photo { file, size: Some((picture.width, picture.height)) }
    }

    /// Two to four pictures of one subject; in every second gallery one more that Reddit could not process.
    fn gallery(&mut self, first: &Picture) -> Vec<GalleryItem> {
        let count = self.pictures.random_range(2..5);
        let mut items = Vec::new();
        for _ in 0..count {
            let picture = Picture {
                seed: self.pictures.random(),
                encoding: Encoding::Jpeg { quality: 85 },
                width: first.width.min(1100),
                height: first.height.min(1100),
                ..first.clone()
            };
            let media_id = media_id(&mut self.pictures);
            let size = (picture.width, picture.height);
            self.media.insert(format!("{media_id}.jpg"), Media::Drawn(picture));
            items.push(GalleryItem { media_id, size, state: ItemState::Valid });
        }
        if self.pictures.random_bool(0.5) {
            let at = self.pictures.random_range(0..=items.len());
            let failed = GalleryItem { media_id: media_id(&mut self.pictures), size: (0, 0), state: ItemState::Failed };
            items.insert(at, failed);
        }
        items
    }

    /// Makes the post one that must be dropped.
    fn spoil(&mut self, post: &mut SimPost, reason: DropReason, picture: Picture) {
        let picture = Picture { width: 900, height: 600, encoding: Encoding::Jpeg { quality: 90 }, ..picture };
        let rng = &mut self.pictures;
        let name = media_id(rng);
        let spoilt = match reason {
            DropReason::Video => return post.content = Content::Video(name),
            DropReason::SelfPost => {
                return post.content = Content::Text("Where do you all go & take your photos?".into());
            }
            DropReason::Link => {
                return post.content = Content::Link(format!("https://www.flickr.com/photos/{name}/?a=1&b=2"));
            }
            DropReason::Over18 => {
                post.over_18 = true;
                return post.content = self.photo(&picture);
            }
            DropReason::Removed => {
                post.removed_by = Some("moderator");
                return post.content = self.photo(&picture);
            }
            DropReason::Deleted => {
                post.removed_by = Some("deleted");
                post.author = "[deleted]".into();
                return post.content = self.photo(&picture);
            }
            // What only a varied corpus has is made elsewhere.
            DropReason::Album
            | DropReason::Placeholder
            | DropReason::Promoted
            | DropReason::Quarantined
            | DropReason::GalleryEmpty
            | DropReason::NotFound => None,
            DropReason::Html => Some(Spoilt::Html { honest: rng.random_bool(0.5) }),
            DropReason::Truncated => Some(Spoilt::Truncated),
            DropReason::TooSmall => Some(Spoilt::Tiny),
            DropReason::Empty => Some(Spoilt::Empty),
            DropReason::TooManyPixels => Some(Spoilt::Bomb),
            // Half of them by another name, which only their bytes give away.
            DropReason::Animated if self.animated.is_multiple_of(2) => Some(Spoilt::AnimatedWebP),
            DropReason::Animated => Some(Spoilt::Animated),
        };
        self.animated += usize::from(reason == DropReason::Animated);
        let file = format!("{name}.{}", if spoilt == Some(Spoilt::Animated) { "gif" } else { "jpg" });
        post.content = Content::Photo { file: file.clone(), size: Some((picture.width, picture.height)) };
        if let Some(how) = spoilt {
            self.media.insert(file, Media::Spoilt(picture, how));
        }
    }
}

/// The same picture four fifths the size, at another quality.
fn reduced(first: &Picture) -> Picture {
    Picture {
        width: first.width * 4 / 5,
        height: first.height * 4 / 5,
        encoding: Encoding::Jpeg { quality: 72 },
        ..first.clone()
    }
}
