//! A post in Reddit's JSON, as Reddit's own API, Pushshift, Arctic Shift and the dumps write it; fields differ by age
//! and source, and nearly all can be missing or null.

use std::collections::HashMap;

use jiff::Timestamp;
use natureddit_core::{Post, PostId};
use serde::Deserialize;
use serde_json::Value;

use crate::submission::{GalleryItem, Media, Submission};

/// A post as it is on the wire.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RedditPost {
    id: Option<String>,
    /// `t3_` and the id.
    name: Option<String>,
    author: Option<String>,
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
    pub(super) fn unreadable(record: &Value) -> Self {
        let text = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
        let created_utc = record.get("created_utc").cloned();
        Self { id: text("id"), name: text("name"), subreddit: text("subreddit"), created_utc, ..Self::default() }
    }

    /// The post, or `None` when it has no usable id or time. `subreddit` is the one that was asked for.
    pub(super) fn into_submission(self, subreddit: &str) -> Option<Submission> {
        let id: PostId = self.id.as_deref().or(self.name.as_deref())?.parse().ok()?;
        let created_utc = seconds(self.created_utc.as_ref()?)?;
        let is_removed = self.is_removed();
        let media = match self.crosspost_parent_list.as_deref().and_then(<[_]>::last) {
            Some(parent) if parent.is_removed() => Media::RemovedParent,
            Some(parent) => parent.media(),
            None => self.media(),
        };
        let permalink = self.permalink.map(|path| format!("https://www.reddit.com{path}"));
        let full_link = self.full_link.or(permalink);
        let url = self.url_overridden_by_dest.or(self.url).unwrap_or_default();
        let post = Post {
            full_link: full_link.unwrap_or_else(|| format!("https://www.reddit.com/comments/{id}")),
            id,
            author: self.author.unwrap_or_else(|| DELETED.to_owned()),
            created_utc,
            subreddit: spelled_as(subreddit, self.subreddit),
            title: unescape(&self.title.unwrap_or_default()),
            url: unescape(&url),
            flair: unescape(&self.link_flair_text.unwrap_or_default()),
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

    /// Older records say it only by the author or the text that is gone.
    fn is_removed(&self) -> bool {
        let category = self.removed_by_category.as_ref().is_some_and(|category| !category.is_null());
        let text = matches!(self.selftext.as_deref(), Some("[removed]" | DELETED));
        category || text || self.author.as_deref().is_none_or(|author| author == DELETED)
    }

    fn media(&self) -> Media {
        let url = self.url_overridden_by_dest.as_deref().or(self.url.as_deref()).unwrap_or_default();
        if self.is_gallery == Some(true) || url.contains("reddit.com/gallery/") {
            return self.gallery();
        }
        let hint = self.post_hint.as_deref().unwrap_or_default();
        if self.is_video == Some(true) || hint.ends_with(":video") || url.contains("//v.redd.it/") {
            return Media::Video;
        }
        if self.is_self == Some(true) {
            return Media::Text;
        }
        Media::Link(unescape(url))
    }

    /// `media_metadata` is a map whose order means nothing; the order is that of `gallery_data`.
    fn gallery(&self) -> Media {
        let Some(items) = self.gallery_data.as_ref().and_then(|data| data.items.as_deref()) else {
            return Media::PendingGallery;
        };
        let Some(metadata) = &self.media_metadata else { return Media::PendingGallery };
        let item = |item: &GalleryDataItem| {
            let id = item.media_id.as_deref().unwrap_or_default();
            let Some(Some(media)) = metadata.get(id) else { return GalleryItem::Unusable };
            let address = media.s.as_ref().and_then(|source| source.u.as_deref());
            match (media.status.as_deref(), address) {
                _ if item.is_deleted == Some(true) => GalleryItem::Unusable,
                (Some("unprocessed"), _) => GalleryItem::Pending,
                (Some("valid"), Some(address)) => GalleryItem::Photo(unescape(address)),
                _ => GalleryItem::Unusable,
            }
        };
        Media::Gallery(items.iter().map(item).collect())
    }
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
        serde_json::from_value::<RedditPost>(value).unwrap().into_submission("flowers")
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
        assert_eq!((post.id.as_str(), post.subreddit.as_str(), post.author.as_str()), ("a1", "flowers", "[deleted]"));
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
    fn a_gallery_is_in_the_order_of_its_items() {
        let media = submission(json!({"id": "a", "created_utc": 1, "author": "x", "is_gallery": true,
            "gallery_data": {"items": [{"media_id": "z"}, {"media_id": "y"}, {"media_id": "x", "is_deleted": true},
                {"media_id": "w"}, {"media_id": "v"}, {"media_id": "nowhere"}]},
            "media_metadata": {
                "v": {"status": "valid", "s": {"u": "https://v?a=1&amp;b=2"}},
                "w": {"status": "valid", "s": {"gif": "https://w"}},
                "x": {"status": "valid", "s": {"u": "https://x"}},
                "y": {"status": "failed"},
                "z": {"status": "unprocessed"}}}));
        use GalleryItem::{Pending, Photo, Unusable};
        let expected = vec![Pending, Unusable, Unusable, Unusable, Photo("https://v?a=1&b=2".into()), Unusable];
        assert_eq!(media.unwrap().media, Media::Gallery(expected));
    }

    #[test]
    fn a_post_is_removed_by_category_author_or_text() {
        for gone in [
            json!({"removed_by_category": "moderator", "author": "x"}),
            json!({"author": "[deleted]"}),
            json!({"author": null}),
            json!({"author": "x", "selftext": "[removed]"}),
        ] {
            let mut record = json!({"id": "a", "created_utc": 1});
            record.as_object_mut().unwrap().extend(gone.as_object().unwrap().clone());
            assert!(submission(record).unwrap().is_removed, "{gone}");
        }
        let kept = json!({"id": "a", "created_utc": 1, "author": "x", "removed_by_category": null, "selftext": ""});
        assert!(!submission(kept).unwrap().is_removed);
    }
}
