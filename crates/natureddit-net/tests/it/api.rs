//! What an API wants of its clients, by a clock that moves only when the client waits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use natureddit_core::{Clock, Progress, Secret};
use natureddit_net::{Client, HostMap, NetError, Pacing, RateLimit};
use url::Url;

use crate::server::{config, serve};

const API: &str = "https://api.example/new";
const PHOTO: &str = "https://photos.example/a.jpg";
const START: i64 = 1_700_000_000;

type Answer = (u16, &'static [(&'static str, &'static str)], &'static str);

/// A server for `api.example` and `photos.example`, which remembers what it was asked.
#[derive(Clone)]
struct Server {
    /// The last one is repeated.
    answers: Arc<Mutex<Vec<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    clock: Clock,
}

#[derive(Clone, Debug)]
struct Asked {
    line: String,
    authorization: String,
    body: String,
    second: i64,
}

impl Server {
    /// The server and a client that waits at most a quarter of an hour.
    async fn start(answers: &[Answer]) -> (Self, Client) {
        let clock = Clock::fixed(START);
        let answers = Arc::new(Mutex::new(answers.to_vec()));
        let server = Self { answers, asked: Arc::default(), clock: clock.clone() };
        let address = serve(Router::new().fallback(answer).with_state(server.clone())).await;
        let mut config = config(address);
        let base = |host: &str| (host.to_owned(), Url::parse(&format!("http://{address}/{host}")).unwrap());
        config.host_map = HostMap::new([base("api.example"), base("photos.example")]);
        let pacing = Pacing { clock, ..Pacing::none().api_host("api.example", Duration::from_secs(1)) };
        (server, Client::with_pacing(config, pacing).unwrap())
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// When it was asked, in seconds since the start.
    fn seconds(&self) -> Vec<i64> {
        self.asked().iter().map(|asked| asked.second).collect()
    }

    fn now(&self) -> i64 {
        self.clock.now().as_second() - START
    }
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    let line = format!("{method} {uri}");
    server.asked.lock().unwrap().push(Asked { line, authorization, body, second: server.now() });
    let mut answers = server.answers.lock().unwrap();
    let (status, lines, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
    let lines = lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    (StatusCode::from_u16(status).unwrap(), lines.collect::<HeaderMap>(), body)
}

#[tokio::test]
async fn a_token_is_asked_for_with_a_form_and_a_password_and_sent_with_every_call() {
    const LIMITS: &[(&str, &str)] =
        &[("x-ratelimit-used", "3"), ("x-ratelimit-remaining", "997.0"), ("x-ratelimit-reset", "281")];
    let (server, client) = Server::start(&[(200, LIMITS, "token"), (200, &[], "")]).await;
    let secret = Secret::new("hunter2".into());
    let fields = [("grant_type", "client_credentials"), ("device_id", "a b&c")];
    let request = client.post_form("https://api.example/token", &fields).basic_auth("id", &secret);
    assert!(!format!("{request:?}").contains("hunter2") && !format!("{request:?}").contains("client_credentials"));
    let response = request.send().await.unwrap();
    assert_eq!((response.body.as_ref(), response.header("x-ratelimit-used")), (&b"token"[..], Some("3")));
    let limit = RateLimit { used: Some(3.0), remaining: 997.0, reset: 281.0 };
    assert_eq!((response.rate_limit(), response.header("retry-after")), (Some(limit), None));
    client.get(API).bearer_auth(&Secret::new("T".into())).send().await.unwrap();

    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /api.example/token");
    assert_eq!(asked[0].authorization, "Basic aWQ6aHVudGVyMg==");
    assert_eq!(asked[0].body, "grant_type=client_credentials&device_id=a+b%26c");
    assert_eq!((&asked[1].line[..], &asked[1].authorization[..]), ("GET /api.example/new", "Bearer T"));
}

#[tokio::test]
async fn credentials_and_forms_stay_with_the_server_that_was_named() {
    const ELSEWHERE: &[(&str, &str)] = &[("location", PHOTO)];
    let (server, client) = Server::start(&[(302, ELSEWHERE, ""), (200, &[], "")]).await;
    let token = Secret::new("T".into());
    client.get(API).bearer_auth(&token).send().await.unwrap();
    let asked = server.asked();
    let authorizations: Vec<&str> = asked.iter().map(|asked| asked.authorization.as_str()).collect();
    assert_eq!((authorizations, &asked[1].line[..]), (vec!["Bearer T", ""], "GET /photos.example/a.jpg"));

    let (server, client) = Server::start(&[(307, ELSEWHERE, "")]).await;
    assert_eq!(client.post_form(API, &[("a", "b")]).send().await.unwrap().status, 307);
    let response = client.get(API).without_redirects().send().await.unwrap();
    assert_eq!((response.status, response.header("location")), (307, Some(PHOTO)));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn an_api_has_its_own_pace_and_photos_have_theirs() {
    let (server, client) = Server::start(&[(200, &[], "")]).await;
    for _ in 0..3 {
        client.get(API).send().await.unwrap();
        client.get(PHOTO).send().await.unwrap();
        client.get(PHOTO).send().await.unwrap();
    }
    assert_eq!(server.seconds(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

#[tokio::test]
async fn each_kind_of_too_many_requests_is_waited_for_as_it_asks() {
    const AFTER: &[(&str, &str)] = &[("retry-after", "600")];
    const LIMIT: &[(&str, &str)] =
        &[("x-ratelimit-used", "1"), ("x-ratelimit-remaining", "0.0"), ("x-ratelimit-reset", "42")];
    let answers: [Answer; 4] = [
        (429, AFTER, "<title>whoa there, pardner!</title>"),
        (429, LIMIT, ""),
        (429, &[], "{\"message\": \"Too Many Requests\", \"error\": 429}"),
        (200, &[], "at last"),
    ];
    let (server, client) = Server::start(&answers).await;
    assert_eq!(client.get(API).send().await.unwrap().body, "at last");
    // The last wait is the back-off of some milliseconds, which is a second by this clock.
    assert_eq!(server.seconds(), [0, 600, 642, 643]);
}

#[tokio::test]
async fn a_wait_over_the_budget_is_not_begun_and_nobody_else_knocks() {
    const AFTER: &[(&str, &str)] = &[("retry-after", "86400")];
    let (server, client) = Server::start(&[(429, AFTER, "come back tomorrow"), (200, &[], "")]).await;
    let response = client.get(API).send().await.unwrap();
    assert_eq!((response.status, response.header("retry-after")), (429, Some("86400")));
    let refused = response.require_success().unwrap_err().to_string();
    assert_eq!(refused, "https://api.example/new answered with status 429 and asks to be left alone for 86400 s");
    let error = client.get(API).send().await.unwrap_err();
    assert_eq!(error.to_string(), "https://api.example/new may not be asked for another 86400 s");
    assert_eq!((error.code(), server.asked().len(), server.now()), ("wait_too_long", 1, 0));
    server.clock.advance(86_400);
    assert_eq!(client.get(API).send().await.unwrap().status, 200);
}

#[tokio::test]
async fn the_budget_is_for_all_waits_of_a_request_together() {
    const AFTER: &[(&str, &str)] = &[("retry-after", "400")];
    let (server, client) = Server::start(&[(503, AFTER, "")]).await;
    assert_eq!(client.get(PHOTO).send().await.unwrap().status, 503);
    assert_eq!(server.seconds(), [0, 400, 800], "a third wait would be over a quarter of an hour");
}

#[tokio::test]
async fn who_asks_again_on_his_own_waits_as_after_a_failure_and_no_more_often() {
    let (server, client) = Server::start(&[(200, &[], "")]).await;
    let mut repetitions = 0;
    while client.back_off(API, repetitions).await {
        repetitions += 1;
        assert_eq!(server.now(), i64::from(repetitions), "a back-off of milliseconds, which is a second by this clock");
    }
    assert_eq!(repetitions, config("127.0.0.1:1".parse().unwrap()).retry.retries_max);
    assert!(repetitions > 0);
}

#[tokio::test]
async fn who_has_used_up_a_window_waits_for_the_next_before_asking() {
    const LAST: &[(&str, &str)] = &[("x-ratelimit-remaining", "0.0"), ("x-ratelimit-reset", "3")];
    let (server, client) = Server::start(&[(200, LAST, ""), (200, LAST, ""), (200, &[], "")]).await;
    client.get(API).send().await.unwrap();
    client.get(API).send().await.unwrap();
    // Others are not the API, whatever their headers say.
    client.get(PHOTO).send().await.unwrap();
    client.get(PHOTO).send().await.unwrap();
    assert_eq!(server.seconds(), [0, 3, 3, 3]);
}

#[tokio::test]
async fn what_is_forbidden_is_asked_for_once_and_nowhere_else() {
    let (server, client) = Server::start(&[(403, &[], "blocked by network security")]).await;
    let response = client.get(API).send().await.unwrap();
    assert_eq!((response.status, &response.body[..]), (403, &b"blocked by network security"[..]));
    let lines: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["GET /api.example/new"]);
    assert!(matches!(response.require_success(), Err(NetError::Status { status: 403, .. })));
}

#[tokio::test]
async fn a_failing_proxy_is_asked_again_and_a_missing_feature_is_not() {
    for (status, times) in [(520, 4), (522, 4), (504, 4), (501, 1), (521, 1), (401, 1)] {
        let (server, client) = Server::start(&[(status, &[], "")]).await;
        assert_eq!(client.get(PHOTO).send().await.unwrap().status, status);
        assert_eq!(server.asked().len(), times, "{status}");
    }
}

#[tokio::test]
async fn a_slower_pace_can_be_set_for_each_kind_of_host() {
    let address = serve(Router::new().fallback(async || "")).await;
    let mut config = config(address);
    let base = Url::parse(&format!("http://{address}/")).unwrap();
    config.host_map = HostMap::new(["api.example", "photos.example"].map(|host| (host.to_owned(), base.clone())));
    let clock = Clock::fixed(START);
    let pacing = Pacing {
        clock: clock.clone(),
        api_hosts: [("api.example".to_owned(), Duration::from_secs(6))].into(),
        interval: Duration::from_secs(2),
        wait_max: Duration::from_secs(7),
        progress: Progress::silent(),
    };
    let client = Client::with_pacing(config, pacing).unwrap();
    for (url, second) in [(API, 0), (API, 6), (PHOTO, 6), (PHOTO, 8), (API, 12)] {
        client.get(url).send().await.unwrap();
        assert_eq!(clock.now().as_second() - START, second, "{url}");
    }
}
