//! A Reddit of a few posts: a Pushshift-shaped API and the photos, on a free port, with a switch that breaks it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use natureddit_core::{Clock, Progress, fs};
use natureddit_data::{
    AuthorMode, CollectConfig, CollectError, CollectReport, GalleryMode, PhotoConfig, Shrink, SourceConfig, Window,
    collect,
};
use natureddit_image::ImageLimits;
use natureddit_net::{Client, ClientConfig, HostMap, RetryPolicy};
use serde_json::{Value, json};
use url::Url;

use crate::pictures;

pub(crate) const SINCE: i64 = 1_651_363_200;

/// What one photo's address answers.
#[derive(Clone)]
pub(crate) enum Answer {
    File(Vec<u8>),
    Status(u16),
    /// A redirect.
    To(String),
}

/// What the server knows and how it behaves.
pub(crate) struct Reddit {
    pub(crate) posts: Vec<Value>,
    pub(crate) photos: BTreeMap<String, Answer>,
    /// The largest page.
    pub(crate) size_max: usize,
    /// What `limit=auto` of the Arctic-Shift-shaped API stands for.
    pub(crate) auto_limit: usize,
    /// Larger pages take that API too long.
    pub(crate) slow_above: usize,
    /// Whether it counts its posts by day when it is asked.
    pub(crate) counts: bool,
    /// The ids of posts that it counts and does not give.
    pub(crate) hidden: Vec<String>,
    /// Requests that are answered before every other one fails with 500; negative: all are answered.
    pub(crate) answers_left: AtomicI64,
    /// Every request is answered with 500 the first time it comes.
    pub(crate) fails_first: AtomicBool,
    /// Requests that a token of Reddit's own API is good for.
    pub(crate) token_uses: usize,
    /// The first so many tokens are refused when they are used.
    pub(crate) tokens_revoked: usize,
    /// The name of a post after which that API lists nothing, or begins anew.
    pub(crate) lost_anchor: Option<(String, bool)>,
    /// A subreddit that it does not show.
    pub(crate) refused: Option<String>,
    /// Look-ups of which only the second half is answered.
    pub(crate) short_infos: usize,
    /// What it knows of posts, where that is not what the archives know.
    pub(crate) fresh: Vec<Value>,
    tokens: AtomicUsize,
    token_used: AtomicUsize,
    infos: AtomicUsize,
    seen: Mutex<Vec<String>>,
    pub(crate) photo_requests: AtomicUsize,
}

impl Reddit {
    pub(crate) fn new() -> Self {
        Self {
            posts: Vec::new(),
            photos: BTreeMap::new(),
            size_max: 100,
            auto_limit: 660,
            slow_above: usize::MAX,
            counts: false,
            hidden: Vec::new(),
            answers_left: AtomicI64::new(-1),
            fails_first: AtomicBool::new(false),
            token_uses: usize::MAX,
            tokens_revoked: 0,
            lost_anchor: None,
            refused: None,
            short_infos: 0,
            fresh: Vec::new(),
            tokens: AtomicUsize::new(0),
            token_used: AtomicUsize::new(0),
            infos: AtomicUsize::new(0),
            seen: Mutex::default(),
            photo_requests: AtomicUsize::new(0),
        }
    }

    /// Adds a post with a link, `seconds` after the start of the window.
    pub(crate) fn post(&mut self, subreddit: &str, id: &str, seconds: i64, url: &str) -> &mut Value {
        self.posts.push(json!({
            "id": id, "author": format!("author_{id}"), "created_utc": SINCE + seconds, "subreddit": subreddit,
            "title": format!("Photo &amp; title of {id}"), "url": url,
            "permalink": format!("/r/{subreddit}/comments/{id}/"), "is_self": false, "over_18": false,
        }));
        self.posts.last_mut().unwrap()
    }

    /// Adds a post and the file its photo is.
    pub(crate) fn photo(&mut self, subreddit: &str, id: &str, seconds: i64, answer: Answer) {
        let url = format!("https://i.redd.it/{id}.jpg");
        self.post(subreddit, id, seconds, &url);
        self.photos.insert(format!("/media/i.redd.it/{id}.jpg"), answer);
    }

    /// `count` good posts in two subreddits, several a second so that pages end within seconds.
    pub(crate) fn with_photos(count: usize) -> Self {
        let mut reddit = Self::new();
        for number in 0..count {
            let subreddit = ["flowers", "EarthPorn"][number % 2];
            let photo = pictures::png(24, number as u8);
            reddit.photo(subreddit, &format!("p{number:03}"), number as i64 / 7, Answer::File(photo));
        }
        reddit
    }

    fn is_broken(&self, request: &str) -> bool {
        let left = self.answers_left.load(Ordering::SeqCst);
        if left == 0 {
            return true;
        }
        if left > 0 {
            self.answers_left.fetch_sub(1, Ordering::SeqCst);
        }
        let mut seen = self.seen.lock().unwrap();
        let is_first = !seen.iter().any(|old| old == request);
        seen.push(request.to_owned());
        is_first && self.fails_first.load(Ordering::SeqCst)
    }

    /// Every request that came, in order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn token(&self, headers: &HeaderMap) -> Response {
        // "app:hush"
        if headers["authorization"] != "Basic YXBwOmh1c2g=" {
            return (StatusCode::UNAUTHORIZED, axum::Json(json!({"message": "Unauthorized", "error": 401})))
                .into_response();
        }
        let number = self.tokens.fetch_add(1, Ordering::SeqCst) + 1;
        self.token_used.store(0, Ordering::SeqCst);
        let token = json!({"access_token": format!("token{number}"), "token_type": "bearer", "expires_in": 86_400, "scope": "*"});
        axum::Json(token).into_response()
    }

    /// Reddit's own API.
    fn oauth(&self, path: &str, query: &BTreeMap<String, String>, headers: &HeaderMap) -> Response {
        let token = format!("Bearer token{}", self.tokens.load(Ordering::SeqCst));
        if headers["authorization"] != token.as_str()
            || self.tokens.load(Ordering::SeqCst) <= self.tokens_revoked
            || self.token_used.fetch_add(1, Ordering::SeqCst) >= self.token_uses
        {
            return (StatusCode::UNAUTHORIZED, axum::Json(json!({"error": 401}))).into_response();
        }
        let posts = if self.fresh.is_empty() { &self.posts } else { &self.fresh };
        if path == "/oauth/api/info" {
            return self.info(posts, &query["id"]);
        }
        let subreddits: Vec<_> =
            path.strip_prefix("/oauth/r/").unwrap().strip_suffix("/new").unwrap().split(['+', '%']).collect();
        if self.refused.as_ref().is_some_and(|name| subreddits.contains(&name.as_str())) {
            return (StatusCode::FORBIDDEN, axum::Json(json!({"reason": "private", "error": 403}))).into_response();
        }
        let mut listed: Vec<_> =
            posts.iter().filter(|post| subreddits.iter().any(|name| post["subreddit"] == *name)).collect();
        listed.sort_by_key(|post| std::cmp::Reverse(post["created_utc"].as_i64()));
        listed.truncate(1_000);
        let name = |post: &Value| format!("t3_{}", post["id"].as_str().unwrap());
        let first = match query.get("after") {
            None => 0,
            Some(after) => match &self.lost_anchor {
                Some((lost, restarts)) if lost == after => {
                    if *restarts {
                        0
                    } else {
                        listed.len()
                    }
                }
                _ => listed.iter().position(|post| name(post) == *after).map_or(listed.len(), |at| at + 1),
            },
        };
        let last = listed.len().min(first + query["limit"].parse::<usize>().unwrap());
        let after = listed[first..last].last().filter(|_| last < listed.len()).map(|post| name(post));
        listing(listed[first..last].iter().copied(), after)
    }

    fn info(&self, posts: &[Value], names: &str) -> Response {
        let names: Vec<_> = names.split(',').collect();
        assert!(names.len() <= 100);
        let is_short = self.infos.fetch_add(1, Ordering::SeqCst) < self.short_infos;
        let known = |name: &&str| posts.iter().find(|post| name.strip_prefix("t3_") == post["id"].as_str());
        let from = if is_short { names.len() / 2 } else { 0 };
        listing(names[from..].iter().filter_map(known), None)
    }

    fn arctic_search(&self, query: &BTreeMap<String, String>) -> Response {
        assert_eq!((query["sort"].as_str(), query.get("fields")), ("asc", None));
        let limit = query["limit"].parse().unwrap_or(self.auto_limit);
        assert!(query["limit"] == "auto" || (1..=100).contains(&limit));
        if limit > self.slow_above {
            let body = json!({"data": null, "error": "Timeout. Maybe slow down a bit"});
            return (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response();
        }
        let mut posts = self.between(query);
        posts.retain(|post| !self.hidden.iter().any(|id| post["id"] == id.as_str()));
        posts.truncate(limit);
        for post in &mut posts {
            post["title"] = post["title"].as_str().unwrap().replace("&amp;", "&").into();
        }
        axum::Json(json!({ "data": posts })).into_response()
    }

    fn arctic_ids(&self, ids: &str) -> Response {
        let posts: Vec<_> = ids.split(',').filter_map(|id| self.posts.iter().find(|post| post["id"] == id)).collect();
        axum::Json(json!({ "data": posts })).into_response()
    }

    /// How many posts each day has.
    fn arctic_counts(&self, query: &BTreeMap<String, String>) -> Response {
        if !self.counts {
            let body = json!({"data": null, "error": "Timeout. Maybe slow down a bit"});
            return (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response();
        }
        assert_eq!((query["aggregate"].as_str(), query["frequency"].as_str()), ("created_utc", "day"));
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for post in self.between(query) {
            *counts.entry(post["created_utc"].as_i64().unwrap() / 86_400 * 86_400).or_default() += 1;
        }
        let counts = counts.into_iter().map(|(day, count)| json!({"created_utc": day, "count": count.to_string()}));
        axum::Json(json!({"data": counts.collect::<Vec<_>>()})).into_response()
    }

    fn search(&self, query: &BTreeMap<String, String>) -> Value {
        assert_eq!((query["sort"].as_str(), query["sort_type"].as_str()), ("asc", "created_utc"));
        let mut posts = self.between(query);
        posts.truncate(self.size_max.min(query["size"].parse().unwrap()));
        json!({ "data": posts })
    }

    /// The posts of a subreddit between two moments, oldest first.
    fn between(&self, query: &BTreeMap<String, String>) -> Vec<Value> {
        let number = |name: &str| query[name].parse::<i64>().unwrap();
        let (after, before) = (number("after"), number("before"));
        let time = |post: &Value| post["created_utc"].as_i64().unwrap();
        let wanted = |post: &&Value| {
            post["subreddit"] == query["subreddit"].as_str() && after < time(post) && time(post) < before
        };
        let mut posts: Vec<_> = self.posts.iter().filter(wanted).cloned().collect();
        posts.sort_by_key(time);
        posts
    }
}

/// A page of Reddit's own API, which escapes nothing.
fn listing<'a>(posts: impl Iterator<Item = &'a Value>, after: Option<String>) -> Response {
    let plain = |post: &Value| {
        let mut post = post.clone();
        post["title"] = post["title"].as_str().unwrap().replace("&amp;", "&").into();
        post["name"] = format!("t3_{}", post["id"].as_str().unwrap()).into();
        json!({"kind": "t3", "data": post})
    };
    let children: Vec<_> = posts.map(plain).collect();
    let data = json!({"after": after, "before": null, "dist": children.len(), "children": children});
    axum::Json(json!({"kind": "Listing", "data": data})).into_response()
}

async fn answer(
    State(reddit): State<Arc<Reddit>>,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if reddit.is_broken(&uri.to_string()) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if uri.path() == "/pullpush/reddit/search/submission/" {
        return axum::Json(reddit.search(&query)).into_response();
    }
    match uri.path() {
        "/arctic/api/posts/search" => return reddit.arctic_search(&query),
        "/arctic/api/posts/ids" => return reddit.arctic_ids(&query["ids"]),
        "/arctic/api/posts/search/aggregate" => return reddit.arctic_counts(&query),
        "/www/api/v1/access_token" => return reddit.token(&headers),
        path if path.starts_with("/oauth/") => return reddit.oauth(path, &query, &headers),
        _ => {}
    }
    reddit.photo_requests.fetch_add(1, Ordering::SeqCst);
    match reddit.photos.get(uri.path()) {
        Some(Answer::File(bytes)) => bytes.clone().into_response(),
        Some(Answer::Status(status)) => StatusCode::from_u16(*status).unwrap().into_response(),
        Some(Answer::To(address)) => Redirect::temporary(address).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A running server and the client that reaches it.
pub(crate) struct Running {
    pub(crate) reddit: Arc<Reddit>,
    pub(crate) client: Client,
}

pub(crate) async fn run(reddit: Reddit) -> Running {
    let reddit = Arc::new(reddit);
    let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&reddit));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let to = |host: &str, path: &str| (host.to_owned(), Url::parse(&format!("{base}{path}")).unwrap());
    let client = Client::new(ClientConfig {
        user_agent: "natureddit-test/1.0".into(),
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(30),
        read_timeout: Duration::from_secs(30),
        retry: RetryPolicy { retries_max: 2, backoff: Duration::from_millis(1), backoff_max: Duration::from_millis(1) },
        redirects_max: 3,
        requests_per_host_max: 4,
        host_map: HostMap::new([
            to("api.example", "/pullpush"),
            to("arctic.example", "/arctic"),
            to("www.example", "/www"),
            to("oauth.example", "/oauth"),
            to("i.redd.it", "/media/i.redd.it"),
            to("preview.redd.it", "/media/preview.redd.it"),
            to("i.imgur.com", "/media/i.imgur.com"),
        ]),
    });
    Running { reddit, client: client.unwrap() }
}

pub(crate) fn config(data_dir: &Path) -> CollectConfig {
    CollectConfig {
        source: SourceConfig::Pushshift {
            base_url: Url::parse("https://api.example").unwrap(),
            page_bytes_max: 1_000_000,
        },
        subreddits: vec!["flowers".into(), "EarthPorn".into()],
        window: Window::new(SINCE, SINCE + 86_400).unwrap(),
        page_size: 100,
        include_over_18: false,
        hydrate: None,
        author: AuthorMode::Keep,
        gallery: GalleryMode::First,
        photos: PhotoConfig {
            bytes_min: 1_000,
            limits: ImageLimits { bytes_max: 1_000_000, pixels_max: 1_000_000 },
            shrink: Some(Shrink { long_side_max: 1980, jpeg_quality: 90 }),
            in_flight_max: 4,
        },
        placeholders: Vec::new(),
        data_dir: data_dir.to_owned(),
        base_dir: None,
    }
}

impl Running {
    pub(crate) async fn collect(&self, config: &CollectConfig) -> Result<CollectReport, CollectError> {
        collect(config, &self.client, &Clock::fixed(1_700_000_000), &Progress::silent()).await
    }
}

/// Every file below a folder with its content.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
    fs::walk(dir).unwrap().iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}
