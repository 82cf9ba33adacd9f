//! Arctic Shift: `GET /api/posts/search?subreddit=&after=&before=&sort=asc&limit=auto` answers `{"data": [post, ...]}`
//! (`api/README.md` of ArthurHeitmann/arctic_shift). `limit=auto` gives 100 to 1,000 posts, by the server's load. A
//! server that is too slow for a page says so with status 422; then half as many are asked for. `fields` is never sent: it
//! knows no galleries.

use std::collections::BTreeMap;

use natureddit_net::{Client, NetError, Response};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::SourceError;
use super::answer::{Page, read_json, read_page, read_records};
use super::reddit_json::{Escaping, Record};
use crate::again::Again;
use crate::paging::PageRequest;
use crate::submission::Submission;
use crate::table::parse_utc;
use crate::window::Window;

/// How the dataset names this source.
pub const NAME: &str = "arctic_shift";

/// The least number of posts that `limit=auto` stands for, and the largest that can be named.
pub const PAGE_SIZE_MAX: u32 = 100;

/// Ids that one look-up takes.
pub const IDS_MAX: usize = 500;

/// What it answers with when a page takes it too long.
const TOO_SLOW: u16 = 422;

/// An API in the shape of Arctic Shift.
#[derive(Clone, Debug)]
pub struct ArcticShift {
    base_url: Url,
    page_bytes_max: u64,
    client: Client,
    /// The limit in place of `auto` since the server was too slow for more.
    limit: Option<u32>,
}

impl ArcticShift {
    pub(super) fn new(base_url: &Url, page_bytes_max: u64, client: Client) -> Self {
        Self { base_url: base_url.clone(), page_bytes_max, client, limit: None }
    }

    pub(super) async fn page(&mut self, subreddit: &str, request: PageRequest) -> Result<Page, SourceError> {
        let PageRequest { after, before, size } = request;
        let mut again = Again::new(&self.client, self.base_url.as_str());
        loop {
            // A page as large as can be wished for may as well be larger.
            let limit = self.limit.or((size < PAGE_SIZE_MAX).then_some(size));
            let mut url = self.url("/api/posts/search");
            url.query_pairs_mut()
                .append_pair("subreddit", subreddit)
                .append_pair("after", &after.to_string())
                .append_pair("before", &before.to_string())
                .append_pair("sort", "asc")
                .append_pair("limit", &limit.map_or("auto".to_owned(), |limit| limit.to_string()));
            let net = |source| SourceError::Net { subreddit: subreddit.to_owned(), after, source };
            let answer = self.get(&url).await.map_err(net)?;
            if answer.status == TOO_SLOW && limit != Some(1) {
                self.limit = Some(limit.map_or(PAGE_SIZE_MAX, |limit| limit / 2));
                tracing::info!(subreddit, limit = self.limit, "the server is too slow for larger pages");
                continue;
            }
            let page = match answer.require_success() {
                Ok(answer) => read_page(&answer.body, subreddit, Escaping::PlainUnlessSeen),
                Err(error) => return Err(net(error)),
            };
            match page {
                Ok(page) => return Ok(Page { size: limit.unwrap_or(PAGE_SIZE_MAX), ..page }),
                Err(problem) if again.asks(&problem).await => {}
                Err(problem) => return Err(SourceError::Answer { subreddit: subreddit.to_owned(), after, problem }),
            }
        }
    }

    /// How many posts the server itself counts for each day of a window, by the day's first second; `None` when it does
    /// not say, which for large subreddits is the rule.
    pub(super) async fn counts(&self, subreddit: &str, window: Window) -> Option<BTreeMap<i64, u64>> {
        let mut url = self.url("/api/posts/search/aggregate");
        url.query_pairs_mut()
            .append_pair("subreddit", subreddit)
            .append_pair("after", &(window.since() - 1).to_string())
            .append_pair("before", &window.until().to_string())
            .append_pair("aggregate", "created_utc")
            .append_pair("frequency", "day");
        let answer = self.get(&url).await.and_then(Response::require_success);
        let counts = answer.map_err(|e| e.to_string()).and_then(|answer| read_counts(&answer.body));
        counts.map_err(|problem| tracing::info!(subreddit, problem, "the server does not count its posts")).ok()
    }

    /// The posts of these ids that the archive has, at most [`IDS_MAX`].
    ///
    /// # Errors
    /// What the answer is instead of a list, or why there is none.
    pub async fn look_up(&self, ids: &[&str]) -> Result<Vec<Submission>, String> {
        let mut url = self.url("/api/posts/ids");
        url.query_pairs_mut().append_pair("ids", &ids.join(","));
        let mut again = Again::new(&self.client, self.base_url.as_str());
        let records = loop {
            let answer = self.get(&url).await.and_then(Response::require_success).map_err(|e| e.to_string())?;
            match read_records(&answer.body) {
                Err(problem) if again.asks(&problem).await => {}
                records => break records?,
            }
        };
        Ok(records
            .iter()
            .filter_map(|record| Record::of(record).into_submission("", Escaping::PlainUnlessSeen))
            .collect())
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", self.base_url.path().trim_end_matches('/')));
        url
    }

    async fn get(&self, url: &Url) -> Result<Response, NetError> {
        self.client.get(url.as_str()).accept("application/json").bytes_max(self.page_bytes_max).send().await
    }
}

fn read_counts(body: &[u8]) -> Result<BTreeMap<i64, u64>, String> {
    #[derive(Deserialize)]
    struct Counts {
        data: Option<Vec<Count>>,
        error: Option<String>,
    }
    #[derive(Deserialize)]
    struct Count {
        created_utc: Value,
        count: Value,
    }
    // Both come as numbers or as texts.
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let counts: Counts = read_json(body)?;
    let data = counts.data.ok_or_else(|| counts.error.unwrap_or_else(|| "it has no \"data\"".to_owned()))?;
    let read = |count: &Count| Some((parse_utc(&text(&count.created_utc))?, text(&count.count).parse().ok()?));
    data.iter().map(read).collect::<Option<_>>().ok_or_else(|| "it has a count that is none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_numbers_or_texts() {
        let body = br#"{"data": [{"created_utc": "2022-05-01T00:00:00.000Z", "count": "12"}, {"created_utc": 1651449600, "count": 3}]}"#;
        assert_eq!(read_counts(body), Ok(BTreeMap::from([(1_651_363_200, 12), (1_651_449_600, 3)])));
        for bad in [
            &br#"{"data": null, "error": "Timeout. Maybe slow down a bit"}"#[..],
            br#"{"data": [{"created_utc": "today", "count": 1}]}"#,
            br#"{"data": [{"created_utc": 1, "count": -1}]}"#,
            b"",
            b"<html>",
        ] {
            assert!(read_counts(bad).is_err());
        }
    }
}
