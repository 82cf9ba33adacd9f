//! Posts as Pushshift writes them (fields of `pushshift/api`'s submission search, with Reddit's own for galleries).
//!
//! As Pushshift took its posts from Reddit without `raw_json=1`, titles, texts and addresses come with `&`, `<` and
//! `>` escaped.

use natureddit_core::ContentHash;
use serde_json::{Map, Value, json};

use crate::corpus::{Content, GalleryItem, SimPost};

/// A post as one object of `data`.
pub(crate) fn submission(post: &SimPost) -> Value {
    let permalink = format!("/r/{}/comments/{}/{}/", post.subreddit, post.id, slug(&post.title));
    let number = ContentHash::of(post.id.as_str().as_bytes()).leading_u64();
    let deleted = post.author == "[deleted]";
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| {
        object.insert(key.to_owned(), value);
    };
    set("author", json!(post.author));
    if !deleted {
        let since = ContentHash::of(post.author.as_bytes()).leading_u64();
        set("author_fullname", json!(format!("t2_{:x}", since % (1 << 36))));
        set("author_created_utc", json!(1_262_304_000 + since % 300_000_000));
    }
    set("author_flair_css_class", Value::Null);
    set("author_flair_text", Value::Null);
    set("contest_mode", json!(false));
    set("created_utc", json!(post.created_utc));
    set("full_link", json!(format!("https://www.reddit.com{permalink}")));
    set("id", json!(post.id));
    set("is_original_content", json!(post.title.contains("[OC]")));
    set("link_flair_text", if number.is_multiple_of(4) { json!("Photography") } else { Value::Null });
    set("locked", json!(false));
    set("media_embed", json!({}));
    set("num_comments", json!(number % 90));
    set("over_18", json!(post.over_18));
    set("permalink", json!(permalink));
    set("retrieved_on", json!(post.created_utc + 40));
    set("score", json!(1));
    set("spoiler", json!(false));
    set("stickied", json!(false));
    set("subreddit", json!(post.subreddit));
    set(
        "subreddit_id",
        json!(format!("t5_{:x}", ContentHash::of(post.subreddit.as_bytes()).leading_u64() % (1 << 24))),
    );
    set("title", json!(escape(&post.title)));
    if let Some(by) = post.removed_by {
        set("removed_by_category", json!(by));
    }
    add_content(&mut object, post);
    Value::Object(object)
}

fn add_content(object: &mut Map<String, Value>, post: &SimPost) {
    let gone = if post.removed_by == Some("moderator") { "[removed]" } else { "" };
    let (url, domain, thumbnail, text) = match &post.content {
        Content::Photo { file, size } => {
            object.insert("post_hint".into(), json!("image"));
            if let Some((width, height)) = size {
                let source = json!({"url": escape(&preview_url(file, *width)), "width": width, "height": height});
                let image = json!({"id": file, "source": source, "resolutions": [], "variants": {}});
                object.insert("preview".into(), json!({"enabled": true, "images": [image]}));
            }
            (format!("https://i.redd.it/{file}"), "i.redd.it", "default", gone)
        }
        Content::Gallery(items) => {
            object.insert("is_gallery".into(), json!(true));
            object.insert("gallery_data".into(), gallery_data(items));
            object.insert("media_metadata".into(), media_metadata(items));
            (format!("https://www.reddit.com/gallery/{}", post.id), "reddit.com", "default", gone)
        }
        Content::Video(id) => {
            let fallback = format!("https://v.redd.it/{id}/DASH_720.mp4?source=fallback");
            object.insert("post_hint".into(), json!("hosted:video"));
            object.insert("media".into(), json!({"reddit_video": {"duration": 14, "fallback_url": fallback}}));
            (format!("https://v.redd.it/{id}"), "v.redd.it", "default", gone)
        }
        Content::Text(text) => {
            let own =
                format!("https://www.reddit.com/r/{}/comments/{}/{}/", post.subreddit, post.id, slug(&post.title));
            (own, "self", "self", text.as_str())
        }
        Content::Link(url) => {
            object.insert("post_hint".into(), json!("link"));
            (url.clone(), "flickr.com", "default", gone)
        }
    };
    let is_self = matches!(post.content, Content::Text(_));
    object.insert("is_self".into(), json!(is_self));
    object.insert("is_video".into(), json!(matches!(post.content, Content::Video(_))));
    object.insert("is_reddit_media_domain".into(), json!(matches!(domain, "i.redd.it" | "v.redd.it")));
    let domain = if is_self { format!("self.{}", post.subreddit) } else { domain.to_owned() };
    object.insert("domain".into(), json!(domain));
    object.insert("selftext".into(), json!(escape(text)));
    object.insert("thumbnail".into(), json!(thumbnail));
    object.insert("url".into(), json!(escape(&url)));
    if !is_self {
        object.insert("url_overridden_by_dest".into(), json!(escape(&url)));
    }
}

/// The order of the photos, which `media_metadata` does not keep.
fn gallery_data(items: &[GalleryItem]) -> Value {
    let items: Vec<Value> =
        items.iter().enumerate().map(|(at, item)| json!({"id": 80_000_000 + at, "media_id": item.media_id})).collect();
    json!({ "items": items })
}

fn media_metadata(items: &[GalleryItem]) -> Value {
    let one = |item: &GalleryItem| {
        if item.failed {
            return json!({"status": "failed"});
        }
        let (width, height) = item.size;
        let url = escape(&preview_url(&format!("{}.jpg", item.media_id), width));
        json!({"e": "Image", "id": item.media_id, "m": "image/jpg", "p": [], "status": "valid",
               "s": {"u": url, "x": width, "y": height}})
    };
    Value::Object(items.iter().map(|item| (item.media_id.clone(), one(item))).collect())
}

/// The signed address of a file on the preview host.
fn preview_url(file: &str, width: u32) -> String {
    format!("https://preview.redd.it/{file}?width={width}&format=pjpg&auto=webp&s={}", signature(file))
}

/// What an address on the preview host must end with.
pub(crate) fn signature(file: &str) -> String {
    format!("{:016x}", ContentHash::of(file.as_bytes()).leading_u64())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The title as a part of an address: lower case, underscores, at most 50 letters.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    joined.chars().take(50).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn post(content: Content) -> SimPost {
        SimPost {
            id: "k1x2y3".parse().unwrap(),
            subreddit: "flowers".into(),
            author: "QuietLens17".into(),
            created_utc: 1_650_000_000,
            title: "Lilies & <3\nroses [OC]".into(),
            over_18: false,
            removed_by: None,
            content,
        }
    }

    #[test]
    fn text_and_addresses_are_escaped_once() {
        let photo = submission(&post(Content::Photo { file: "abc.jpg".into(), size: Some((900, 600)) }));
        assert_eq!(photo["title"], "Lilies &amp; &lt;3\nroses [OC]");
        assert_eq!(photo["url"], "https://i.redd.it/abc.jpg");
        let source = photo["preview"]["images"][0]["source"]["url"].as_str().unwrap();
        assert!(source.contains("?width=900&amp;format=pjpg&amp;"), "{source}");
        assert_eq!(photo["full_link"], "https://www.reddit.com/r/flowers/comments/k1x2y3/lilies_3_roses_oc/");
    }

    #[test]
    fn a_gallery_names_its_order_and_its_failures() {
        let item = |id: &str, failed| GalleryItem { media_id: id.into(), size: (8, 6), failed };
        let gallery = submission(&post(Content::Gallery(vec![item("z", false), item("a", true)])));
        assert_eq!(gallery["gallery_data"]["items"][0]["media_id"], "z");
        assert_eq!(gallery["media_metadata"]["a"], json!({"status": "failed"}));
        assert!(gallery["media_metadata"]["z"]["s"]["u"].is_string());
    }

    #[test]
    fn a_submission_has_every_field_of_a_recorded_one() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reddit/http/pushshift_submission_search_body.json");
        let Ok(recorded) = natureddit_core::fs::read(path.as_ref()) else {
            // Past the capture of a passing test's output.
            let _ = writeln!(std::io::stderr(), "skipped: {path} is absent");
            return;
        };
        let recorded: Value = serde_json::from_slice(&recorded).unwrap();
        let ours = submission(&post(Content::Photo { file: "abc.jpg".into(), size: None }));
        for (key, value) in recorded["data"][0].as_object().unwrap() {
            let own = ours.get(key).unwrap_or_else(|| panic!("no field {key}"));
            assert_eq!(std::mem::discriminant(own), std::mem::discriminant(value), "{key}");
        }
    }
}
