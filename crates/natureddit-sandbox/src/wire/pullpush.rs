//! Posts as Pushshift writes them (fields of `pushshift/api`'s submission search, with Reddit's own for galleries).
//!
//! As Pushshift took its posts from Reddit without `raw_json=1`, titles, texts and addresses come with `&`, `<` and
//! `>` escaped.

use natureddit_core::ContentHash;
use serde_json::{Map, Value, json};

use super::{author_fullname, escaped, media, number_of, permalink, reddit, subreddit_id};
use crate::corpus::SimPost;

/// A post as one object of `data`.
pub(crate) fn submission(post: &SimPost) -> Value {
    let permalink = permalink(post);
    let number = number_of(post);
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| {
        object.insert(key.to_owned(), value);
    };
    set("author", json!(post.author));
    if post.author != "[deleted]" {
        let since = ContentHash::of(post.author.as_bytes()).leading_u64();
        set("author_fullname", json!(author_fullname(&post.author)));
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
    set("subreddit_id", json!(subreddit_id(&post.subreddit)));
    set("title", json!(post.title));
    if let Some(by) = post.removed_by {
        set("removed_by_category", json!(by));
    }
    if let Some(mark) = post.mark {
        set(mark, json!(true));
    }
    media::add(&mut object, post);
    if let Some(parent) = &post.crosspost_of {
        object.insert("crosspost_parent".into(), json!(format!("t3_{}", parent.id)));
        object.insert("crosspost_parent_list".into(), json!([reddit::fields(parent, post.created_utc)]));
    }
    escaped(Value::Object(object))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::corpus::{Content, GalleryItem, ItemState};

    fn post(content: Content) -> SimPost {
        let title = "Lilies & <3\nroses [OC]".into();
        let new = SimPost::new("k1x2y3".parse().unwrap(), "flowers".into(), "QuietLens17".into(), 1_650_000_000);
        SimPost { title, content, ..new }
    }

    #[test]
    fn text_and_addresses_are_escaped_once() {
        let photo = submission(&post(Content::Photo { file: "abc.jpg".into(), size: Some((900, 600)) }));
        assert_eq!(photo["title"], "Lilies &amp; &lt;3\nroses [OC]");
        assert_eq!(photo["url"], "https://i.redd.it/abc.jpg");
        let source = photo["preview"]["images"][0]["source"]["url"].as_str().unwrap();
        assert!(source.contains("?auto=webp&amp;s="), "{source}");
        assert_eq!(photo["full_link"], "https://www.reddit.com/r/flowers/comments/k1x2y3/lilies_3_roses_oc/");
    }

    #[test]
    fn a_gallery_names_its_order_and_its_failures() {
        let item = |id: &str, state| GalleryItem { media_id: id.into(), size: (8, 6), state };
        let gallery =
            submission(&post(Content::Gallery(vec![item("z", ItemState::Valid), item("a", ItemState::Failed)])));
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
