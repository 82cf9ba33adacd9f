//! A post in Reddit's JSON, as Reddit's own API, Pushshift, Arctic Shift and the dumps write it; fields differ by age
//! and source, and nearly all can be missing or null.

use std::collections::HashMap;

use jiff::Timestamp;
use natureddit_core::{Post, PostId};
use serde::Deserialize;
use serde_json::Value;

use super::answer::read_json;
use crate::submission::{GalleryItem, GalleryItemState, Media, Submission};

/// Whether a source writes `&`, `<` and `>` as HTML entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// It does.
    Entities,
    /// It does not.
    Plain,
    /// Archives differ by age: it does, unless an address of the record shows that it does not.
    EntitiesUnlessSeen,
    /// It does not, unless an address of the record shows that it does.
    PlainUnlessSeen,
}

/// A record of a source: a post, or at least what tells which.
#[derive(Debug)]
pub(super) struct Record {
    post: RedditPost,
    /// Whether all of its fields have the types they should have.
    is_readable: bool,
}

impl Record {
    /// A record of an answer.
    pub(super) fn of(record: &Value) -> Self {
        match RedditPost::deserialize(record) {
            Ok(post) => Self { post, is_readable: true },
            Err(error) => {
                let post = RedditPost::unreadable(record);
                tracing::info!(id = post.id, %error, "a post that cannot be read");
                Self { post, is_readable: false }
            }
        }
    }

    /// A record in a line of its own; an error is one that is no JSON.
    pub(super) fn of_line(line: &[u8]) -> Result<Self, ()> {
        match serde_json::from_slice(line) {
            Ok(post) => Ok(Self { post, is_readable: true }),
            Err(_) => read_json(line).map(|record: Value| Self::of(&record)).map_err(drop),
        }
    }

    /// The subreddit it names.
    pub(super) fn subreddit(&self) -> &str {
        self.post.subreddit.as_deref().unwrap_or_default()
    }

    /// The post, or `None` when it has no usable id or time. One with a field that cannot be read is kept as that, so that
    /// it is dropped with a reason. `subreddit` is the one that was asked for.
    pub(super) fn into_submission(self, subreddit: &str, escaping: Escaping) -> Option<Submission> {
        let submission = self.post.into_submission(subreddit, escaping)?;
        if self.is_readable {
            return Some(submission);
        }
        Some(Submission { media: Media::Unreadable, is_removed: false, ..submission })
    }
}

/// A post as it is on the wire.
#[derive(Debug, Default, Deserialize)]
struct RedditPost {
    id: Option<String>,
    /// `t3_` and the id.
    name: Option<String>,
    /// `None` where there is no such key, which says nothing; null where the author is gone.
    #[serde(default, deserialize_with = "there_or_null")]
    author: Option<Option<String>>,
    created_utc: Option<Value>,
    full_link: Option<String>,
    permalink: Option<String>,
    subreddit: Option<String>,
    title: Option<String>,
    url: Option<String>,
    url_overridden_by_dest: Option<String>,
    selftext: Option<String>,
    link_flair_text: Option<String>,
    over_18: Option<bool>,
    promoted: Option<bool>,
    quarantine: Option<bool>,
    /// Null, or who removed it.
    removed_by_category: Option<Value>,
    is_self: Option<bool>,
    is_video: Option<bool>,
    is_gallery: Option<bool>,
    /// Absent in 63 % of posts, so never relied on alone.
    post_hint: Option<String>,
    gallery_data: Option<GalleryData>,
    media_metadata: Option<HashMap<String, Option<MediaMetadata>>>,
    crosspost_parent_list: Option<Vec<RedditPost>>,
    /// What Arctic Shift found when it looked again.
    #[serde(rename = "_meta")]
    meta: Option<ArchiveMeta>,
}

#[derive(Debug, Deserialize)]
struct ArchiveMeta {
    /// Absent, or who removed it by then.
    removal_type: Option<Value>,
    was_deleted_later: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct GalleryData {
    items: Option<Vec<GalleryDataItem>>,
}

#[derive(Debug, Deserialize)]
struct GalleryDataItem {
    media_id: Option<String>,
    is_deleted: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct MediaMetadata {
    /// `valid`, `unprocessed` or `failed`.
    status: Option<String>,
    /// The largest version; has no `u` when animated.
    s: Option<MediaSource>,
}

#[derive(Debug, Deserialize)]
struct MediaSource {
    u: Option<String>,
}

impl RedditPost {
    /// Of a record that is no post as a whole what tells which and when it is.
    fn unreadable(record: &Value) -> Self {
        let text = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
        let created_utc = record.get("created_utc").cloned();
        Self { id: text("id"), name: text("name"), subreddit: text("subreddit"), created_utc, ..Self::default() }
    }

    fn into_submission(self, subreddit: &str, escaping: Escaping) -> Option<Submission> {
        let has_entities = self.has_entities(escaping);
        let plain = |text: &str| if has_entities { unescape(text) } else { text.to_owned() };
        let id: PostId = self.id.as_deref().or(self.name.as_deref())?.parse().ok()?;
        let created_utc = seconds(self.created_utc.as_ref()?)?;
        let is_removed = self.is_removed();
        let media = match self.crosspost_parent_list.as_deref().and_then(<[_]>::last) {
            Some(parent) if parent.is_removed() => Media::RemovedParent,
            Some(parent) => parent.media(&plain),
            None => self.media(&plain),
        };
        let permalink = self.permalink.map(|path| format!("https://www.reddit.com{path}"));
        let full_link = self.full_link.or(permalink);
        let url = self.url_overridden_by_dest.or(self.url).unwrap_or_default();
        let post = Post {
            full_link: full_link.unwrap_or_else(|| format!("https://www.reddit.com/comments/{id}")),
            id,
            author: self.author.map_or_else(String::new, |author| author.unwrap_or_else(|| DELETED.to_owned())),
            created_utc,
            subreddit: spelled_as(subreddit, self.subreddit),
            title: plain(&self.title.unwrap_or_default()),
            url: plain(&url),
            flair: plain(&self.link_flair_text.unwrap_or_default()),
            over_18: self.over_18.unwrap_or_default(),
        };
        Some(Submission {
            post,
            is_removed,
            is_promoted: self.promoted.unwrap_or_default(),
            is_quarantined: self.quarantine.unwrap_or_default(),
            media,
        })
    }

    /// Whether the record's texts are escaped. No address holds `&amp;` by itself, so that one which does tells of all.
    fn has_entities(&self, escaping: Escaping) -> bool {
        let otherwise = match escaping {
            Escaping::Entities => return true,
            Escaping::Plain => return false,
            Escaping::EntitiesUnlessSeen => true,
            Escaping::PlainUnlessSeen => false,
        };
        let (mut entities, mut plain) = (false, false);
        self.for_each_address(&mut |address| {
            let is_escaped = address.contains("&amp;");
            entities |= is_escaped;
            plain |= !is_escaped && address.contains('&');
        });
        entities || (otherwise && !plain)
    }

    fn for_each_address(&self, see: &mut impl FnMut(&str)) {
        [&self.url, &self.url_overridden_by_dest].into_iter().flatten().for_each(|address| see(address));
        let media = self.media_metadata.iter().flat_map(HashMap::values).flatten();
        media.filter_map(|media| media.s.as_ref()?.u.as_deref()).for_each(&mut *see);
        let parents = self.crosspost_parent_list.iter().flatten();
        // Not by recursion, which would be an endless type.
        for address in parents.flat_map(|parent| [&parent.url, &parent.url_overridden_by_dest]).flatten() {
            see(address);
        }
    }

    /// Older records say it only by the author or the text that is gone.
    fn is_removed(&self) -> bool {
        let category = self.removed_by_category.as_ref().is_some_and(|category| !category.is_null());
        let text = matches!(self.selftext.as_deref(), Some("[removed]" | DELETED));
        let meta = self.meta.as_ref();
        let later = meta.is_some_and(|meta| {
            meta.was_deleted_later == Some(true) || meta.removal_type.as_ref().is_some_and(|by| !by.is_null())
        });
        let author = self.author.as_ref().is_some_and(|author| author.as_deref().is_none_or(|name| name == DELETED));
        category || later || text || author
    }

    fn media(&self, plain: &impl Fn(&str) -> String) -> Media {
        let url = self.url_overridden_by_dest.as_deref().or(self.url.as_deref()).unwrap_or_default();
        if self.is_gallery == Some(true) || url.contains("reddit.com/gallery/") {
            return self.gallery(plain);
        }
        let hint = self.post_hint.as_deref().unwrap_or_default();
        if self.is_video == Some(true) || hint.ends_with(":video") || url.contains("//v.redd.it/") {
            return Media::Video;
        }
        if self.is_self == Some(true) {
            return Media::Text;
        }
        Media::Link(plain(url))
    }

    /// `media_metadata` is a map whose order means nothing; the order is that of `gallery_data`.
    fn gallery(&self, plain: &impl Fn(&str) -> String) -> Media {
        let Some(items) = self.gallery_data.as_ref().and_then(|data| data.items.as_deref()) else {
            return Media::PendingGallery;
        };
        let Some(metadata) = &self.media_metadata else { return Media::PendingGallery };
        let state = |item: &GalleryDataItem| {
            let id = item.media_id.as_deref().unwrap_or_default();
            let Some(Some(media)) = metadata.get(id) else { return GalleryItemState::Unusable };
            let address = media.s.as_ref().and_then(|source| source.u.as_deref());
            match (media.status.as_deref(), address) {
                _ if item.is_deleted == Some(true) => GalleryItemState::Unusable,
                (Some("unprocessed"), _) => GalleryItemState::Pending,
                (Some("valid"), Some(address)) => GalleryItemState::Photo(plain(address)),
                _ => GalleryItemState::Unusable,
            }
        };
        let item = |(position, item): (usize, &GalleryDataItem)| {
            let id = item.media_id.as_deref().filter(|id| is_plain(id));
            let media_id = id.map_or_else(|| format!("item{position}"), str::to_owned);
            GalleryItem { media_id, state: state(item) }
        };
        Media::Gallery(items.iter().enumerate().map(item).collect())
    }
}

/// The value of a key that is there.
fn there_or_null<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Whether an id that came from elsewhere is fit for a file name.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Names differ by more than their case; the one that was asked for is also the one that is counted.
fn spelled_as(asked: &str, named: Option<String>) -> String {
    named.filter(|named| !named.eq_ignore_ascii_case(asked)).unwrap_or_else(|| asked.to_owned())
}

/// What Reddit shows in place of an author or text that is gone.
const DELETED: &str = "[deleted]";

/// A time as an integer, a float or a text of either, in seconds; one that no calendar holds is none.
fn seconds(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float.floor() as i64))?,
        Value::String(text) => match text.trim().parse() {
            Ok(seconds) => seconds,
            Err(_) => text.trim().parse::<f64>().ok().filter(|float| float.is_finite())?.floor() as i64,
        },
        _ => return None,
    };
    (seconds >= 0 && Timestamp::from_second(seconds).is_ok()).then_some(seconds)
}

/// Undoes HTML's entities once: undoing twice would corrupt a title that speaks of `&amp;`.
fn unescape(text: &str) -> String {
    const ENTITIES: [(&str, char); 6] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\''), ("&#x27;", '\'')];
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity));
        let (entity, character) = known.copied().unwrap_or(("&", '&'));
        plain.push(character);
        rest = &rest[entity.len()..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn submission(value: Value) -> Option<Submission> {
        serde_json::from_value::<RedditPost>(value).unwrap().into_submission("flowers", Escaping::Entities)
    }

    #[test]
    fn the_time_may_be_an_integer_a_float_or_a_text() {
        for time in [json!(1_651_363_200), json!(1_651_363_200.0), json!("1651363200"), json!("1651363200.0")] {
            let submission = submission(json!({"id": "a1", "created_utc": time})).unwrap();
            assert_eq!(submission.post.created_utc, 1_651_363_200);
        }
        for time in [json!(null), json!("today"), json!(-1), json!(1e300), json!("nan"), json!([])] {
            assert_eq!(submission(json!({"id": "a1", "created_utc": time})), None, "{time}");
        }
    }

    #[test]
    fn what_is_missing_is_filled_in() {
        let sparse = json!({"name": "t3_a1", "created_utc": 1, "permalink": "/r/flowers/comments/a1/a_rose/"});
        let post = submission(sparse).unwrap().post;
        assert_eq!(post.full_link, "https://www.reddit.com/r/flowers/comments/a1/a_rose/");
        assert_eq!((post.id.as_str(), post.subreddit.as_str(), post.author.as_str()), ("a1", "flowers", ""));
        let bare = submission(json!({"id": "a1", "created_utc": 1})).unwrap().post;
        assert_eq!(bare.full_link, "https://www.reddit.com/comments/a1");
        assert_eq!(submission(json!({"id": "../a", "created_utc": 1})), None);
    }

    #[test]
    fn a_subreddit_is_spelled_as_it_was_asked_for() {
        for (named, kept) in [("Flowers", "flowers"), ("u_someone", "u_someone")] {
            let post = submission(json!({"id": "a", "created_utc": 1, "subreddit": named})).unwrap().post;
            assert_eq!(post.subreddit, kept);
        }
    }

    #[test]
    fn entities_are_undone_once() {
        let escaped = json!({"id": "a", "created_utc": 1, "title": "&lt;3 &amp;amp; &quot;x&quot; R&D &amp",
            "url": "https://preview.redd.it/a.jpg?width=1&amp;s=2"});
        let post = submission(escaped).unwrap().post;
        assert_eq!(post.title, "<3 &amp; \"x\" R&D &amp");
        assert_eq!(post.url, "https://preview.redd.it/a.jpg?width=1&s=2");
    }

    #[test]
    fn an_address_tells_whether_the_record_is_escaped() {
        let title = |escaping, url: &str| {
            let record = json!({"id": "a", "created_utc": 1, "author": "x", "title": "R&amp;D", "url": url});
            Record::of(&record).into_submission("flowers", escaping).unwrap().post.title
        };
        use Escaping::{Entities, EntitiesUnlessSeen, PlainUnlessSeen};
        let (escaped, plain, silent) = ("https://x/?a=1&amp;s=2", "https://x/?a=1&s=2", "https://x/a.jpg");
        for (escaping, url, expected) in [
            (Entities, plain, "R&D"),
            (Escaping::Plain, escaped, "R&amp;D"),
            (EntitiesUnlessSeen, silent, "R&D"),
            (EntitiesUnlessSeen, plain, "R&amp;D"),
            (PlainUnlessSeen, silent, "R&amp;D"),
            (PlainUnlessSeen, escaped, "R&D"),
        ] {
            assert_eq!(title(escaping, url), expected, "{escaping:?} {url}");
        }
    }

    #[test]
    fn a_gallery_is_in_the_order_of_its_items() {
        let media = submission(json!({"id": "a", "created_utc": 1, "author": "x", "is_gallery": true,
            "gallery_data": {"items": [{"media_id": "z"}, {"media_id": "y"}, {"media_id": "x", "is_deleted": true},
                {"media_id": "w"}, {"media_id": "v"}, {"media_id": "../no"}]},
            "media_metadata": {
                "v": {"status": "valid", "s": {"u": "https://v?a=1&amp;b=2"}},
                "w": {"status": "valid", "s": {"gif": "https://w"}},
                "x": {"status": "valid", "s": {"u": "https://x"}},
                "y": {"status": "failed"},
                "z": {"status": "unprocessed"}}}));
        use GalleryItemState::{Pending, Photo, Unusable};
        let photo = Photo("https://v?a=1&b=2".into());
        let expected = [
            ("z", Pending),
            ("y", Unusable),
            ("x", Unusable),
            ("w", Unusable),
            ("v", photo),
            // Its id would lead out of the folder of photos.
            ("item5", Unusable),
        ];
        let item = |(media_id, state): (&str, _)| GalleryItem { media_id: media_id.to_owned(), state };
        assert_eq!(media.unwrap().media, Media::Gallery(expected.map(item).to_vec()));
    }

    #[test]
    fn a_post_is_removed_by_category_author_or_text() {
        for gone in [
            json!({"removed_by_category": "moderator", "author": "x"}),
            json!({"author": "[deleted]"}),
            json!({"author": null}),
            json!({"author": "x", "selftext": "[removed]"}),
            json!({"author": "x", "_meta": {"removal_type": "moderator"}}),
            json!({"author": "x", "_meta": {"was_deleted_later": true}}),
        ] {
            let mut record = json!({"id": "a", "created_utc": 1});
            record.as_object_mut().unwrap().extend(gone.as_object().unwrap().clone());
            assert!(submission(record).unwrap().is_removed, "{gone}");
        }
        let kept = json!({"id": "a", "created_utc": 1, "author": "x", "removed_by_category": null, "selftext": "",
            "_meta": {"removal_type": null, "was_deleted_later": false}});
        assert!(!submission(kept).unwrap().is_removed);
        // Some archives leave authors out.
        let nameless = submission(json!({"id": "a", "created_utc": 1})).unwrap();
        assert_eq!((nameless.is_removed, nameless.post.author.as_str()), (false, ""));
    }
}
