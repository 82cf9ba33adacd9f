//! A Reddit of a few posts: a Pushshift-shaped API and the photos, on a free port, with a switch that breaks it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use natureddit_core::{Clock, Progress, fs};
use natureddit_data::{CollectConfig, CollectError, CollectReport, PhotoConfig, SourceConfig, Window, collect};
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
}

/// What the server knows and how it behaves.
pub(crate) struct Reddit {
    pub(crate) posts: Vec<Value>,
    pub(crate) photos: BTreeMap<String, Answer>,
    /// The largest page.
    pub(crate) size_max: usize,
    /// Requests that are answered before every other one fails with 500; negative: all are answered.
    pub(crate) answers_left: AtomicI64,
    /// Every request is answered with 500 the first time it comes.
    pub(crate) fails_first: AtomicBool,
    seen: Mutex<Vec<String>>,
    pub(crate) photo_requests: AtomicUsize,
}

impl Reddit {
    pub(crate) fn new() -> Self {
        Self {
            posts: Vec::new(),
            photos: BTreeMap::new(),
            size_max: 100,
            answers_left: AtomicI64::new(-1),
            fails_first: AtomicBool::new(false),
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

    fn search(&self, query: &BTreeMap<String, String>) -> Value {
        assert_eq!((query["sort"].as_str(), query["sort_type"].as_str()), ("asc", "created_utc"));
        let number = |name: &str| query[name].parse::<i64>().unwrap();
        let (after, before) = (number("after"), number("before"));
        let time = |post: &Value| post["created_utc"].as_i64().unwrap();
        let wanted = |post: &&Value| {
            post["subreddit"] == query["subreddit"].as_str() && after < time(post) && time(post) < before
        };
        let mut posts: Vec<_> = self.posts.iter().filter(wanted).cloned().collect();
        posts.sort_by_key(time);
        posts.truncate(self.size_max.min(number("size") as usize));
        json!({ "data": posts })
    }
}

async fn answer(
    State(reddit): State<Arc<Reddit>>,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    if reddit.is_broken(&uri.to_string()) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if uri.path() == "/pullpush/reddit/search/submission/" {
        return axum::Json(reddit.search(&query)).into_response();
    }
    reddit.photo_requests.fetch_add(1, Ordering::SeqCst);
    match reddit.photos.get(uri.path()) {
        Some(Answer::File(bytes)) => bytes.clone().into_response(),
        Some(Answer::Status(status)) => StatusCode::from_u16(*status).unwrap().into_response(),
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
    let router = Router::new().fallback(get(answer)).with_state(Arc::clone(&reddit));
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
        host_map: HostMap::new([to("api.example", "/pullpush"), to("i.redd.it", "/media/i.redd.it")]),
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
        photos: PhotoConfig {
            bytes_min: 1_000,
            limits: ImageLimits { bytes_max: 1_000_000, pixels_max: 1_000_000 },
            long_side_max: 1980,
            jpeg_quality: 90,
            in_flight_max: 4,
        },
        data_dir: data_dir.to_owned(),
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
