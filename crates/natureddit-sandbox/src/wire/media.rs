//! The fields that tell a post's media, which all services take over from Reddit.

use natureddit_core::ContentHash;
use serde_json::{Map, Value, json};

use super::{number_of, permalink};
use crate::corpus::{Content, GalleryItem, ItemState, SimPost};

/// The widths at which Reddit offers previews.
const PREVIEW_WIDTHS: [u32; 6] = [108, 216, 320, 640, 960, 1080];

/// Adds the address of what a post carries, and what is known of it.
pub(super) fn add(object: &mut Map<String, Value>, post: &SimPost) {
    let gone = match post.removed_by {
        Some("moderator") => "[removed]",
        Some("deleted") => "[deleted]",
        _ => "",
    };
    let mut set = |key: &str, value: Value| {
        object.insert(key.to_owned(), value);
    };
    let (url, domain, text) = match &post.content {
        Content::Photo { file, size } => {
            set("post_hint", json!("image"));
            if let Some(size) = size {
                set("preview", preview(file, *size));
            }
            (format!("https://i.redd.it/{file}"), "i.redd.it".to_owned(), gone)
        }
        Content::Gallery(items) => {
            set("is_gallery", json!(true));
            // Of some galleries that are not processed yet not even the order is told.
            let is_untold =
                number_of(post).is_multiple_of(2) && items.iter().all(|item| item.state == ItemState::Unprocessed);
            set("gallery_data", if is_untold { Value::Null } else { gallery_data(items) });
            set("media_metadata", media_metadata(items));
            (format!("https://www.reddit.com/gallery/{}", post.id), "reddit.com".to_owned(), gone)
        }
        Content::Video(id) => {
            let fallback = format!("https://v.redd.it/{id}/DASH_720.mp4?source=fallback");
            set("post_hint", json!("hosted:video"));
            set("media", json!({"reddit_video": {"duration": 14, "fallback_url": fallback}}));
            (format!("https://v.redd.it/{id}"), "v.redd.it".to_owned(), gone)
        }
        Content::Text(text) => {
            let own = format!("https://www.reddit.com{}", permalink(post));
            (own, format!("self.{}", post.subreddit), text.as_str())
        }
        Content::Link(url) => {
            let is_picture = url.starts_with("https://i.") || url.starts_with("http://i.");
            set("post_hint", json!(if is_picture { "image" } else { "link" }));
            (url.clone(), host(url).to_owned(), gone)
        }
    };
    let is_self = matches!(post.content, Content::Text(_));
    set("is_self", json!(is_self));
    set("is_video", json!(matches!(post.content, Content::Video(_))));
    set("is_reddit_media_domain", json!(matches!(domain.as_str(), "i.redd.it" | "v.redd.it")));
    set("domain", json!(domain));
    set("selftext", json!(text));
    set("thumbnail", json!(if is_self { "self" } else { "default" }));
    set("url", json!(url));
    if !is_self {
        set("url_overridden_by_dest", json!(url));
    }
}

/// The host of an address without `www.`.
fn host(url: &str) -> &str {
    let host = url.split("//").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    host.strip_prefix("www.").unwrap_or(host)
}

fn preview(file: &str, (width, height): (u32, u32)) -> Value {
    let smaller = PREVIEW_WIDTHS.into_iter().filter(|&side| side < width).map(|side| {
        let url = signed(file, &format!("width={side}&crop=smart&auto=webp"));
        json!({"url": url, "width": side, "height": height * side / width})
    });
    let source = json!({"url": signed(file, "auto=webp"), "width": width, "height": height});
    let id = file.split('.').next();
    let image = json!({"id": id, "source": source, "resolutions": smaller.collect::<Vec<_>>(), "variants": {}});
    json!({"enabled": true, "images": [image]})
}

/// The order of the photos, which `media_metadata` does not keep.
fn gallery_data(items: &[GalleryItem]) -> Value {
    let one = |(at, item): (usize, &GalleryItem)| {
        let mut one = json!({"id": 80_000_000 + at, "media_id": item.media_id});
        if item.state == ItemState::Deleted {
            one["is_deleted"] = json!(true);
        }
        one
    };
    json!({"items": items.iter().enumerate().map(one).collect::<Vec<_>>()})
}

fn media_metadata(items: &[GalleryItem]) -> Value {
    Value::Object(items.iter().map(|item| (item.media_id.clone(), metadata(item))).collect())
}

fn metadata(item: &GalleryItem) -> Value {
    let (width, height) = item.size;
    match item.state {
        ItemState::Failed => return json!({"status": "failed"}),
        ItemState::Unprocessed => return json!({"status": "unprocessed"}),
        ItemState::Animated => {
            let gif = format!("https://i.redd.it/{}.gif", item.media_id);
            let mp4 = signed(&format!("{}.gif", item.media_id), "format=mp4");
            return json!({"e": "AnimatedImage", "id": item.media_id, "m": "image/gif", "p": [],
                          "s": {"gif": gif, "mp4": mp4, "x": width, "y": height}, "status": "valid"});
        }
        ItemState::NoSource => {
            return json!({"e": "Image", "id": item.media_id, "m": "image/jpg", "p": [], "status": "valid"});
        }
        ItemState::Valid | ItemState::Deleted => {}
    }
    let file = format!("{}.jpg", item.media_id);
    let smaller = PREVIEW_WIDTHS.into_iter().filter(|&side| side < width).map(|side| {
        let url = signed(&file, &format!("width={side}&crop=smart&auto=webp"));
        json!({"u": url, "x": side, "y": height * side / width})
    });
    let source = signed(&file, &format!("width={width}&format=pjpg&auto=webp"));
    json!({"e": "Image", "id": item.media_id, "m": "image/jpg", "p": smaller.collect::<Vec<_>>(),
           "s": {"u": source, "x": width, "y": height}, "status": "valid"})
}

/// An address on the preview host: the whole query is signed, so that none of it may be altered or left out.
fn signed(file: &str, query: &str) -> String {
    format!("https://preview.redd.it/{file}?{query}&s={}", signature(file, query))
}

/// What an address on the preview host must end with, given its file and the query before.
pub(crate) fn signature(file: &str, query: &str) -> String {
    let number = ContentHash::of(format!("{file}?{query}").as_bytes()).leading_u64();
    format!("{number:016x}")
}
