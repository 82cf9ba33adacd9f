//! An answer `{"data": [post, ...]}`, as Pushshift and Arctic Shift give it.

use natureddit_core::ContentHash;
use serde::Deserialize;
use serde_json::Value;

use super::reddit_json::{Escaping, Record};
use crate::submission::Submission;

/// One page of posts.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// The records that could be read, in the order they came.
    pub(super) submissions: Vec<Submission>,
    /// The hashes of those that could not.
    pub(super) unreadable: Vec<ContentHash>,
    /// How many records were asked for.
    pub(super) size: u32,
}

impl Page {
    /// How many records came.
    pub(super) fn records(&self) -> usize {
        self.submissions.len() + self.unreadable.len()
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Vec<Value>>,
    error: Option<Value>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    shards: Option<Shards>,
}

/// How many parts of the server's index there are, and how many of them answered.
#[derive(Deserialize)]
struct Shards {
    total: Option<u64>,
    successful: Option<u64>,
}

/// The posts of an answer, or what it is instead of a list of posts.
pub(super) fn read_page(body: &[u8], subreddit: &str, escaping: Escaping) -> Result<Page, String> {
    let records = read_records(body)?;
    let mut page = Page::default();
    for record in &records {
        match Record::of(record).into_submission(subreddit, escaping) {
            Some(post) => page.submissions.push(post),
            None => {
                let id = record.get("id").and_then(Value::as_str);
                tracing::info!(subreddit, id, "a record without a usable id or time");
                page.unreadable.push(ContentHash::of(record.to_string().as_bytes()));
            }
        }
    }
    if page.submissions.is_empty() && !records.is_empty() {
        return Err(format!("none of its {} records is a post", records.len()));
    }
    Ok(page)
}

/// The records of an answer, or what it is instead of a list.
pub(super) fn read_records(body: &[u8]) -> Result<Vec<Value>, String> {
    let answer: Answer = read_json(body)?;
    if let Some(error) = answer.error.filter(|error| !error.is_null()) {
        return Err(format!("it says {error}"));
    }
    // With parts of the index down, posts are missing and the answer looks like any other.
    if let Some(Shards { total: Some(total), successful: Some(successful) }) = answer.metadata.and_then(|m| m.shards)
        && successful < total
    {
        return Err(format!("only {successful} of the server's {total} shards answered"));
    }
    answer.data.ok_or_else(|| "it has no \"data\"".to_owned())
}

/// An answer as JSON, or what it is instead.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if body.is_empty() {
        return Err("it is empty".to_owned());
    }
    if body.trim_ascii_start().first() == Some(&b'<') {
        return Err("it is a web page".to_owned());
    }
    serde_json::from_slice(body)
        .or_else(|_| serde_json::from_slice(&without_lone_surrogates(body)))
        .map_err(|e| e.to_string())
}

/// Half of a UTF-16 pair, escaped as `\ud83d`, is no character and would make the whole page unreadable; U+FFFD takes
/// its place.
pub(super) fn without_lone_surrogates(json: &[u8]) -> Vec<u8> {
    let unit = |at: usize| -> Option<u16> {
        let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut out = Vec::with_capacity(json.len());
    let mut at = 0;
    while at < json.len() {
        let length = match (unit(at), unit(at + 6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                out.extend_from_slice(b"\\ufffd");
                at += 6;
                continue;
            }
            (Some(_), _) => 6,
            // An escaped backslash must not be taken for the start of an escape.
            (None, _) if json[at..].starts_with(b"\\\\") => 2,
            (None, _) => 1,
        };
        out.extend_from_slice(&json[at..at + length]);
        at += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{GalleryMode, photos};

    #[test]
    fn what_is_no_list_of_posts_is_an_error() {
        let problems = [
            ("", "it is empty"),
            (" <!doctype html><p>blocked", "it is a web page"),
            (
                r#"{"data": null, "error": "Timeout. Maybe slow down a bit"}"#,
                "it says \"Timeout. Maybe slow down a bit\"",
            ),
            (r#"{"data": [], "error": "search failed"}"#, "it says \"search failed\""),
            (
                r#"{"data": [], "error": null, "metadata": {"shards": {"total": 8, "successful": 5, "failed": 3}}}"#,
                "only 5 of the server's 8 shards answered",
            ),
            (r#"{"data": null}"#, "it has no \"data\""),
            ("{}", "it has no \"data\""),
            (r#"{"data": [{"id": "a"}, 7]}"#, "none of its 2 records is a post"),
        ];
        for (body, problem) in problems {
            assert_eq!(read_page(body.as_bytes(), "flowers", Escaping::Entities).unwrap_err(), problem);
        }
        for body in [r#"{"data": [{"id": "a", "created"#, r#"{"data": 7}"#, "[]", "null"] {
            assert!(read_page(body.as_bytes(), "flowers", Escaping::Entities).is_err(), "{body}");
        }
    }

    #[test]
    fn a_bad_record_does_not_take_the_others_with_it() {
        let body =
            r#"{"data": [{"id": "a", "created_utc": 1}, {"id": "b"}, {"id": "c", "created_utc": 2, "title": 7}]}"#;
        let page = read_page(body.as_bytes(), "flowers", Escaping::Entities).unwrap();
        assert_eq!((page.records(), page.submissions.len()), (3, 2));
        let reason = photos(&page.submissions[1], false, GalleryMode::First).remove(0).url.unwrap_err();
        assert_eq!(reason.code(), "unreadable");
        let whole = r#"{"data": [], "error": null, "metadata": {"shards": {"total": 8, "successful": 8}}}"#;
        assert_eq!(read_page(whole.as_bytes(), "flowers", Escaping::Entities).unwrap().records(), 0);
    }

    #[test]
    fn half_a_character_does_not_spoil_the_page() {
        let body = r#"{"data": [{"id": "a", "created_utc": 1, "title": "\ud83d\ude00 \ud83d \\ud83d \u0041"}]}"#;
        let page = read_page(body.as_bytes(), "flowers", Escaping::Entities).unwrap();
        assert_eq!(page.submissions[0].post.title, "\u{1f600} \u{fffd} \\ud83d A");
    }
}
