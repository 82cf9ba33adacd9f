//! Pushshift and the APIs that took over its shape, such as PullPush:
//! `GET /reddit/search/submission/?subreddit=&after=&before=&size=&sort=asc&sort_type=created_utc` answers
//! `{"data": [post, ...]}` (README of pushshift/api). Texts come with HTML entities.

use natureddit_core::ContentHash;
use natureddit_net::Client;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::reddit_json::RedditPost;
use super::{Page, SourceError};
use crate::paging::PageRequest;
use crate::submission::{Media, Submission};

/// How the dataset names this source.
pub const NAME: &str = "pushshift";

/// The largest page such an API gives, whatever is asked for.
pub const PAGE_SIZE_MAX: u32 = 100;

/// An API in the shape of Pushshift.
#[derive(Clone, Debug)]
pub struct Pushshift {
    search_url: Url,
    page_bytes_max: u64,
    client: Client,
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

impl Pushshift {
    pub(super) fn new(base_url: &Url, page_bytes_max: u64, client: Client) -> Self {
        let mut search_url = base_url.clone();
        search_url.set_path(&format!("{}/reddit/search/submission/", base_url.path().trim_end_matches('/')));
        Self { search_url, page_bytes_max, client }
    }

    pub(super) async fn page(&self, subreddit: &str, request: PageRequest) -> Result<Page, SourceError> {
        let PageRequest { after, before, size } = request;
        let mut url = self.search_url.clone();
        url.query_pairs_mut()
            .append_pair("subreddit", subreddit)
            .append_pair("after", &after.to_string())
            .append_pair("before", &before.to_string())
            .append_pair("size", &size.to_string())
            // Without these the newest posts come first, and which hundred of a window is up to the server.
            .append_pair("sort", "asc")
            .append_pair("sort_type", "created_utc");
        let answer = self.client.get(url.as_str()).accept("application/json").bytes_max(self.page_bytes_max).send();
        let answer = answer.await.and_then(natureddit_net::Response::require_success);
        let answer = answer.map_err(|source| SourceError::Net { subreddit: subreddit.to_owned(), after, source })?;
        read_page(&answer.body, subreddit).map_err(|problem| SourceError::Answer {
            subreddit: subreddit.to_owned(),
            after,
            problem,
        })
    }
}

/// The posts of an answer, or what it is instead of a list of posts.
pub(super) fn read_page(body: &[u8], subreddit: &str) -> Result<Page, String> {
    let records = read_records(body)?;
    let mut page = Page::default();
    for record in &records {
        match read_post(record, subreddit) {
            Some(post) => page.submissions.push(post),
            None => {
                let id = record.get("id").and_then(Value::as_str);
                tracing::warn!(subreddit, id, "a record without a usable id or time");
                page.unreadable.push(ContentHash::of(record.to_string().as_bytes()));
            }
        }
    }
    if page.submissions.is_empty() && !records.is_empty() {
        return Err(format!("none of its {} records is a post", records.len()));
    }
    Ok(page)
}

/// A post; one with a field that cannot be read is kept as that, so that it is dropped with a reason.
fn read_post(record: &Value, subreddit: &str) -> Option<Submission> {
    match RedditPost::deserialize(record) {
        Ok(post) => post.into_submission(subreddit),
        Err(error) => {
            let unreadable = RedditPost::unreadable(record).into_submission(subreddit)?;
            tracing::warn!(subreddit, id = %unreadable.post.id, %error, "a post that cannot be read");
            Some(Submission { media: Media::Unreadable, is_removed: false, ..unreadable })
        }
    }
}

fn read_records(body: &[u8]) -> Result<Vec<Value>, String> {
    if body.is_empty() {
        return Err("it is empty".to_owned());
    }
    if body.trim_ascii_start().first() == Some(&b'<') {
        return Err("it is a web page".to_owned());
    }
    let answer: Answer = serde_json::from_slice(body)
        .or_else(|_| serde_json::from_slice(&without_lone_surrogates(body)))
        .map_err(|e| e.to_string())?;
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

/// Half of a UTF-16 pair, escaped as `\ud83d`, is no character and would make the whole page unreadable; U+FFFD takes
/// its place.
fn without_lone_surrogates(json: &[u8]) -> Vec<u8> {
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
    use crate::media::photo_url;

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
            assert_eq!(read_page(body.as_bytes(), "flowers").unwrap_err(), problem);
        }
        for body in [r#"{"data": [{"id": "a", "created"#, r#"{"data": 7}"#, "[]", "null"] {
            assert!(read_page(body.as_bytes(), "flowers").is_err(), "{body}");
        }
    }

    #[test]
    fn a_bad_record_does_not_take_the_others_with_it() {
        let body =
            r#"{"data": [{"id": "a", "created_utc": 1}, {"id": "b"}, {"id": "c", "created_utc": 2, "title": 7}]}"#;
        let page = read_page(body.as_bytes(), "flowers").unwrap();
        assert_eq!((page.records(), page.submissions.len()), (3, 2));
        assert_eq!(photo_url(&page.submissions[1], false).unwrap_err().code(), "unreadable");
        let whole = r#"{"data": [], "error": null, "metadata": {"shards": {"total": 8, "successful": 8}}}"#;
        assert_eq!(read_page(whole.as_bytes(), "flowers").unwrap().records(), 0);
    }

    #[test]
    fn half_a_character_does_not_spoil_the_page() {
        let body = r#"{"data": [{"id": "a", "created_utc": 1, "title": "\ud83d\ude00 \ud83d \\ud83d \u0041"}]}"#;
        let page = read_page(body.as_bytes(), "flowers").unwrap();
        assert_eq!(page.submissions[0].post.title, "\u{1f600} \u{fffd} \\ud83d A");
    }
}
