//! Posts as JSON, one module for each way of writing them.

pub(crate) mod arctic_shift;
pub(crate) mod media;
pub(crate) mod pullpush;
pub(crate) mod reddit;

use natureddit_core::ContentHash;
use serde_json::Value;

use crate::corpus::SimPost;

/// A number that follows from a post's id alone.
fn number_of(post: &SimPost) -> u64 {
    ContentHash::of(post.id.as_str().as_bytes()).leading_u64()
}

/// A subreddit's id.
fn subreddit_id(name: &str) -> String {
    format!("t5_{:x}", ContentHash::of(name.as_bytes()).leading_u64() % (1 << 24))
}

/// An author's id.
fn author_fullname(name: &str) -> String {
    format!("t2_{:x}", ContentHash::of(name.as_bytes()).leading_u64() % (1 << 36))
}

/// The path of a post's own page.
fn permalink(post: &SimPost) -> String {
    format!("/r/{}/comments/{}/{}/", post.subreddit, post.id, slug(&post.title))
}

/// Every text in it as Reddit writes it without `raw_json=1`.
pub(crate) fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(escape(&text)),
        Value::Array(items) => items.into_iter().map(escaped).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, escaped(value))).collect(),
        other => other,
    }
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
