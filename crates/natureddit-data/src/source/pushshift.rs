//! Pushshift and the APIs that took over its shape, such as PullPush:
//! `GET /reddit/search/submission/?subreddit=&after=&before=&size=&sort=asc&sort_type=created_utc` answers
//! `{"data": [post, ...]}` (README of pushshift/api). Texts come with HTML entities.

use natureddit_net::Client;
use url::Url;

use super::SourceError;
use super::answer::{Page, read_page};
use super::reddit_json::Escaping;
use crate::again::Again;
use crate::paging::PageRequest;

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
        let mut again = Again::new(&self.client, url.as_str());
        loop {
            let answer = self.client.get(url.as_str()).accept("application/json").bytes_max(self.page_bytes_max).send();
            let answer = answer.await.and_then(natureddit_net::Response::require_success);
            let answer =
                answer.map_err(|source| SourceError::Net { subreddit: subreddit.to_owned(), after, source })?;
            match read_page(&answer.body, subreddit, Escaping::Entities) {
                Ok(page) => return Ok(Page { size, ..page }),
                Err(problem) if again.asks(&problem).await => {}
                Err(problem) => return Err(SourceError::Answer { subreddit: subreddit.to_owned(), after, problem }),
            }
        }
    }
}
