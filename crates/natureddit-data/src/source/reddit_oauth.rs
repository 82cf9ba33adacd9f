//! Reddit's own API with an app's token: `POST /api/v1/access_token`, `GET /r/a+b/new`, `GET /api/info`. Listings are newest
//! first and reach back over some thousand posts. `raw_json=1` goes with every request, or texts come with HTML entities.

use std::collections::HashSet;

use natureddit_core::{PostId, Secret};
use natureddit_net::{Client, NetError, Response, basic_credentials, masked};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::answer::read_json;
use super::reddit_json::{Escaping, Record};
use crate::again::Again;
use crate::submission::Submission;

/// How the dataset names this source.
pub const NAME: &str = "reddit_oauth";

/// The largest page of a listing.
pub const PAGE_SIZE_MAX: u32 = 100;

/// The grant of an app with a secret.
const APP_GRANT: &str = "client_credentials";

/// The grant of an installed app, which has no secret that it could keep.
const INSTALLED_APP_GRANT: &str = "https://oauth.reddit.com/grants/installed_client";

/// What an installed app calls the device that asks: the name that Reddit documents for one that is not to be tracked.
const DEVICE_ID: &str = "DO_NOT_TRACK_THIS_DEVICE";

/// Names that one look-up takes.
pub const NAMES_MAX: usize = 100;

/// Where Reddit's API is, and who asks.
#[derive(Clone, Debug)]
pub struct RedditOauthConfig {
    /// Where tokens are given: `https://www.reddit.com`.
    pub token_base_url: Url,
    /// Where everything else is: `https://oauth.reddit.com`.
    pub base_url: Url,
    /// The app's id.
    pub client_id: String,
    /// The app's secret; empty for an installed app.
    pub client_secret: Secret,
    /// The largest answer that is read, in bytes.
    pub page_bytes_max: u64,
}

/// An answer of Reddit's API that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// No answer, or a refusal.
    #[error("could not ask Reddit for {what}")]
    Net {
        /// What was asked for: `r/flowers/new`.
        what: String,
        /// Why.
        #[source]
        source: NetError,
    },
    /// The app is not known, or its secret is wrong.
    #[error("Reddit gives no token: {problem}")]
    Token {
        /// What it says.
        problem: String,
    },
    /// An answer of another kind.
    #[error("the answer for {what} is no listing: {problem}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What it is instead.
        problem: String,
    },
}

/// Reddit's API with the app's token.
#[derive(Clone, Debug)]
pub struct RedditOauth {
    config: RedditOauthConfig,
    client: Client,
    token: Option<Secret>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ListingPage {
    pub(super) submissions: Vec<Submission>,
    /// Records that are posts without a usable id or time.
    pub(super) unreadable: u64,
    /// The full names of all records, in order.
    pub(super) names: Vec<String>,
    /// What the next page follows; `None` at the end.
    pub(super) after: Option<String>,
}

impl ListingPage {
    /// Two answers for one page as one, in the order of the longer one; what it lacks comes before it, so that its last
    /// post stays the last.
    pub(super) fn joined(self, second: Self) -> Self {
        let after = second.after.clone();
        let (longer, shorter) = if second.names.len() >= self.names.len() { (second, self) } else { (self, second) };
        let known: HashSet<_> = longer.submissions.iter().map(|post| post.post.id.clone()).collect();
        let mut page = Self { after, unreadable: longer.unreadable.max(shorter.unreadable), ..Self::default() };
        for (name, post) in shorter.names.into_iter().zip(shorter.submissions) {
            if !known.contains(&post.post.id) {
                page.names.push(name);
                page.submissions.push(post);
            }
        }
        page.names.extend(longer.names);
        page.submissions.extend(longer.submissions);
        page
    }
}

#[derive(Deserialize)]
struct Listing {
    kind: String,
    data: ListingData,
}

#[derive(Deserialize)]
struct ListingData {
    after: Option<String>,
    children: Vec<Thing>,
}

#[derive(Deserialize)]
struct Thing {
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct Token {
    access_token: Option<String>,
    error: Option<Value>,
}

impl RedditOauth {
    pub(super) fn new(config: &RedditOauthConfig, client: &Client) -> Self {
        Self { config: config.clone(), client: client.clone(), token: None }
    }

    /// The page of the newest posts that follows a post.
    pub(super) async fn new_posts(
        &mut self,
        subreddits: &str,
        after: Option<&str>,
        size: u32,
    ) -> Result<ListingPage, OauthError> {
        let size = size.to_string();
        let mut pairs = vec![("limit", size.as_str())];
        pairs.extend(after.map(|after| ("after", after)));
        self.listing(&format!("r/{subreddits}/new"), &pairs).await
    }

    /// The posts of these ids that Reddit knows, at most [`NAMES_MAX`].
    pub(super) async fn info(&mut self, ids: &[PostId]) -> Result<Vec<Submission>, OauthError> {
        let names: Vec<_> = ids.iter().map(|id| format!("t3_{id}")).collect();
        self.listing("api/info", &[("id", &names.join(","))]).await.map(|page| page.submissions)
    }

    async fn listing(&mut self, path: &str, pairs: &[(&str, &str)]) -> Result<ListingPage, OauthError> {
        let (client, base_url) = (self.client.clone(), self.config.base_url.clone());
        let mut again = Again::new(&client, base_url.as_str());
        loop {
            let net = |source| OauthError::Net { what: path.to_owned(), source };
            let answer = self.get(path, pairs).await?.require_success().map_err(net)?;
            match read_listing(&answer.body) {
                Ok(page) => return Ok(page),
                Err(problem) if again.asks(&problem).await => {}
                Err(problem) => return Err(OauthError::Answer { what: path.to_owned(), problem }),
            }
        }
    }

    /// Asks with the token that is there; one that is not accepted is replaced once.
    async fn get(&mut self, path: &str, pairs: &[(&str, &str)]) -> Result<Response, OauthError> {
        let mut url = below(&self.config.base_url, path);
        url.query_pairs_mut().extend_pairs(pairs).append_pair("raw_json", "1");
        let mut is_replaced = false;
        loop {
            let token = match &self.token {
                Some(token) => token.clone(),
                None => self.fetch_token().await?,
            };
            let request = self.client.get(url.as_str()).bearer_auth(&token).accept("application/json");
            // An unknown subreddit leads to a search, whose answer is a listing of something else.
            let answer = request.without_redirects().bytes_max(self.config.page_bytes_max).send().await;
            let answer = answer.map_err(|source| OauthError::Net { what: path.to_owned(), source })?;
            if answer.status != 401 || is_replaced {
                return Ok(answer);
            }
            (self.token, is_replaced) = (None, true);
        }
    }

    async fn fetch_token(&mut self) -> Result<Secret, OauthError> {
        let url = below(&self.config.token_base_url, "api/v1/access_token");
        let RedditOauthConfig { client_id, client_secret, .. } = &self.config;
        let fields: &[_] = if client_secret.expose().is_empty() {
            &[("grant_type", INSTALLED_APP_GRANT), ("device_id", DEVICE_ID)]
        } else {
            &[("grant_type", APP_GRANT)]
        };
        let request = self.client.post_form(url.as_str(), fields);
        let answer = request.basic_auth(client_id, client_secret).accept("application/json").send().await;
        let answer = answer.map_err(|source| OauthError::Net { what: "a token".to_owned(), source })?;
        if matches!(answer.status, 400 | 401 | 403) {
            return Err(OauthError::Token { problem: format!("it answers with status {}", answer.status) });
        }
        let net = |source| OauthError::Net { what: "a token".to_owned(), source };
        let answer = answer.require_success().map_err(net)?;
        let secrets = [basic_credentials(client_id, client_secret), client_secret.clone()];
        let token = read_token(&answer.body, &secrets).map_err(|problem| OauthError::Token { problem })?;
        self.token = Some(token.clone());
        Ok(token)
    }
}

/// The token that an answer gives, or why there is none. Of what the server says nothing is kept that may be secret.
fn read_token(body: &[u8], secrets: &[Secret]) -> Result<Secret, String> {
    // A refusal may come with status 200.
    let token = read_json::<Token>(body).and_then(|token| match (token.access_token, token.error) {
        (Some(token), None) => Ok(Secret::new(token)),
        (_, Some(error)) => Err(format!("it says {error}")),
        _ => Err("the answer has none".to_owned()),
    });
    token.map_err(|problem| masked(&problem, secrets))
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// The posts of a listing, or what an answer is instead.
pub(super) fn read_listing(body: &[u8]) -> Result<ListingPage, String> {
    let listing: Listing = read_json(body)?;
    if listing.kind != "Listing" {
        return Err(format!("it is of the kind {:?}", listing.kind));
    }
    let mut page = ListingPage { after: listing.data.after, ..ListingPage::default() };
    for thing in listing.data.children {
        if thing.kind != "t3" {
            return Err(format!("it lists things of the kind {:?}", thing.kind));
        }
        let name = thing.data.get("name").and_then(Value::as_str).map(str::to_owned);
        match Record::of(&thing.data).into_submission("", Escaping::Plain) {
            Some(post) => {
                page.names.push(name.unwrap_or_else(|| format!("t3_{}", post.post.id)));
                page.submissions.push(post);
            }
            None => page.unreadable += 1,
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use natureddit_core::fs;

    use super::*;

    #[test]
    fn a_refusal_that_repeats_the_secret_of_the_app_does_not_tell_it() {
        let secrets = [Secret::new("hunter2".to_owned())];
        let told = read_token(br#"{"error": "no app has hunter2"}"#, &secrets).unwrap_err();
        assert_eq!(told, r#"it says "no app has ***""#);
        let token = read_token(br#"{"access_token": "tok"}"#, &secrets).unwrap();
        assert_eq!(token.expose(), "tok");
    }

    #[test]
    fn what_is_no_listing_is_an_error() {
        for (body, problem) in [
            ("", "it is empty"),
            ("<html>whoa there, pardner!</html>", "it is a web page"),
            (r#"{"kind": "t2", "data": {"after": null, "children": []}}"#, "it is of the kind \"t2\""),
            (
                r#"{"kind": "Listing", "data": {"after": null, "children": [{"kind": "t5", "data": {}}]}}"#,
                "it lists things of the kind \"t5\"",
            ),
        ] {
            assert_eq!(read_listing(body.as_bytes()).unwrap_err(), problem);
        }
        assert!(read_listing(br#"{"message": "Too Many Requests", "error": 429}"#).is_err());
        assert!(read_listing(br#"{"kind": "Listing", "data": {"after": null}}"#).is_err());
        let empty = read_listing(br#"{"kind": "Listing", "data": {"after": null, "children": []}}"#).unwrap();
        assert_eq!(empty, ListingPage::default());
    }

    #[test]
    fn recorded_listings_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reddit/http");
        if !folder.is_dir() {
            // Past the capture of a passing test's output.
            let _ =
                writeln!(std::io::stderr(), "skipped: recorded listings: there is no shared folder beside the project");
            return;
        }
        for name in ["oauth_2026_listing.json", "listing_empty.json"] {
            let recorded: Value = serde_json::from_slice(&fs::read(&folder.join(name)).unwrap()).unwrap();
            let body = recorded["response"]["json"].to_string();
            let page = read_listing(body.as_bytes()).unwrap();
            let count = recorded["response"]["json"]["data"]["children"].as_array().unwrap().len();
            assert_eq!((page.submissions.len(), page.names.len(), page.unreadable), (count, count, 0), "{name}");
        }
    }
}
