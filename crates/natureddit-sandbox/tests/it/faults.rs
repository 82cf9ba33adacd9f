//! Planned faults and the request log.

use std::time::{Duration, Instant};

use natureddit_sandbox::{Fault, FaultAction, Sandbox, SandboxConfig, Script};
use serde_json::Value;

use crate::oauth::{Reddit, children};
use crate::{Client, config};

const SEARCH: &str = "https://api.pullpush.io/reddit/search/submission/?size=50";

fn fault(path: &str, nth: u64, times: u64, action: FaultAction) -> Fault {
    Fault::new(path, nth, times, action)
}

#[tokio::test]
async fn planned_faults_come_once_each_and_in_order() {
    let faults = vec![
        fault("search", 2, 1, FaultAction::Status { code: 429, retry_after: Some(7) }),
        fault("search", 3, 1, FaultAction::Reset),
        fault("search", 4, 1, FaultAction::Truncated),
        fault("search", 5, 1, FaultAction::Empty),
    ];
    let sandbox = Sandbox::start(SandboxConfig { faults, ..config(31, 50) }).await.unwrap();
    let client = Client::new(&sandbox);
    assert_eq!(client.search("size=50").await.len(), 50);
    let busy = client.get(SEARCH).await.unwrap();
    assert_eq!((busy.status().as_u16(), &busy.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert!(client.get(SEARCH).await.is_err(), "a reset connection gives no answer");
    let cut = client.get(SEARCH).await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err(), "a truncated body is an error");
    let empty = client.get(SEARCH).await.unwrap();
    assert!(empty.status() == 200 && empty.bytes().await.unwrap().is_empty());
    assert_eq!(client.search("size=50").await.len(), 50);
    sandbox.stop().await;
}

#[tokio::test]
async fn the_log_tells_who_asked_for_what() {
    let faults = vec![fault("/media/", 1, 1, FaultAction::Status { code: 503, retry_after: None })];
    let sandbox = Sandbox::start(SandboxConfig { faults, ..config(32, 10) }).await.unwrap();
    let client = Client::new(&sandbox);
    client.search("size=3").await;
    for status in [503, 404] {
        assert_eq!(client.get("https://i.redd.it/nosuchfile.jpg").await.unwrap().status(), status);
    }
    let log = sandbox.log();
    let seen: Vec<_> = log.iter().map(|entry| (entry.path.as_str(), entry.status)).collect();
    let search = "/pullpush/reddit/search/submission/?size=3";
    assert_eq!(
        seen,
        [(search, 200), ("/media/i.redd.it/nosuchfile.jpg", 503), ("/media/i.redd.it/nosuchfile.jpg", 404)]
    );
    assert!(log.iter().all(|entry| entry.user_agent == "sandbox-test/1 (by /u/nobody)"));
    assert_eq!(client.simulator("/_sim/log").await, serde_json::to_value(&log).unwrap());
    sandbox.stop().await;
}

#[tokio::test]
async fn a_script_brings_every_kind_of_answer() {
    let sandbox = Sandbox::start(config(33, 60)).await.unwrap();
    let reddit = Reddit::new(&sandbox).await;
    let script = r#"{"faults": [
        {"path_contains": "/r/*/new", "nth": 1, "do": {"too_many_page": {"retry_after": 4}}},
        {"path_contains": "/r/*/new", "nth": 2, "do": "too_many_json"},
        {"path_contains": "/r/*/new", "nth": 3, "do": {"too_many_headers": {"reset": 42}}},
        {"path_contains": "/r/*/new", "nth": 4, "do": "html"},
        {"path_contains": "/r/*/new", "nth": 5, "do": "malformed_json"},
        {"path_contains": "/r/*/new", "nth": 6, "do": {"short_page": {"keep": 2}}},
        {"path_contains": "/r/*/new", "nth": 7, "do": "twice"},
        {"path_contains": "/r/*/new", "nth": 8, "do": {"answer": {"code": 451, "headers": {"x-why": "law"}, "body": "{}"}}},
        {"path_contains": "/r/*/new", "nth": 9, "do": {"drip": {"milliseconds": 1}}},
        {"host": "oauth.reddit.com", "path_contains": "/r/*/new", "nth": 10, "do": "revoke"}]}"#;
    let url = format!("http://{}/_sim/script", sandbox.address());
    assert_eq!(reddit.client.http.post(&url).body(script).send().await.unwrap().status(), 204);
    assert_eq!(reddit.client.http.post(&url).body("{}}").send().await.unwrap().status(), 400);
    let ask = async || {
        let answer = reddit.get("/r/flowers+EarthPorn/new?limit=5").await;
        let headers = answer.headers().clone();
        (answer.status().as_u16(), headers, answer.text().await.unwrap())
    };
    let (status, headers, body) = ask().await;
    assert_eq!((status, &headers["retry-after"], body.contains("pardner")), (429, &"4".parse().unwrap(), true));
    let (status, headers, body) = ask().await;
    assert_eq!((status, headers.get("retry-after")), (429, None));
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["error"], 429);
    let (status, headers, _) = ask().await;
    assert_eq!((status, &headers["x-ratelimit-reset"]), (429, &"42".parse().unwrap()));
    assert!(ask().await.2.contains("blocked"));
    let (status, _, body) = ask().await;
    assert!(status == 200 && body.len() > 1_000 && serde_json::from_str::<Value>(&body).is_err());
    for count in [2, 10] {
        let page: Value = serde_json::from_str(&ask().await.2).unwrap();
        assert_eq!(children(&page).len(), count);
        assert!(page["data"]["after"].is_string());
    }
    let (status, headers, body) = ask().await;
    assert_eq!((status, &headers["x-why"], &*body), (451, &"law".parse().unwrap(), "{}"));
    assert_eq!(children(&serde_json::from_str(&ask().await.2).unwrap()).len(), 5);
    assert_eq!([ask().await.0, ask().await.0], [401, 401]);
    assert_eq!(children(&Reddit::new(&sandbox).await.json("/r/flowers/new?limit=3").await).len(), 3);
}

#[tokio::test]
async fn a_stalled_answer_ends_with_the_simulator() {
    let hour = FaultAction::Stall { milliseconds: 3_600_000 };
    let sandbox = Sandbox::start(SandboxConfig { faults: vec![fault("search", 1, 1, hour)], ..config(34, 20) });
    let sandbox = sandbox.await.unwrap();
    let client = Client::new(&sandbox);
    let answer = client.get(SEARCH).await.unwrap();
    let start = Instant::now();
    let (_, body) = tokio::join!(sandbox.stop(), answer.bytes());
    assert!(body.is_err() && start.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn faults_that_are_played_later_count_from_then_on() {
    let sandbox = Sandbox::start(config(35, 20)).await.unwrap();
    let client = Client::new(&sandbox);
    client.search("size=1").await;
    sandbox.play(Script { faults: vec![fault("search", 1, 1, FaultAction::Empty)], events: Vec::new() });
    assert!(client.get(SEARCH).await.unwrap().bytes().await.unwrap().is_empty());
    assert_eq!(client.search("size=1").await.len(), 1);
}

#[tokio::test]
async fn an_answer_may_come_compressed_or_without_its_length() {
    let faults = vec![fault("search", 1, 1, FaultAction::Gzip), fault("search", 2, 1, FaultAction::Chunked)];
    let sandbox = Sandbox::start(SandboxConfig { faults, ..config(36, 20) }).await.unwrap();
    let client = Client::new(&sandbox);
    let url = format!("{SEARCH}&sort=asc");
    let packed = client.get(&url).await.unwrap();
    assert_eq!(packed.headers().get("content-length"), None);
    let packed: Value = packed.json().await.unwrap();
    let chunked = client.get(&url).await.unwrap();
    assert_eq!(chunked.headers()["transfer-encoding"], "chunked");
    let chunked: Value = chunked.json().await.unwrap();
    let plain: Value = client.get(&url).await.unwrap().json().await.unwrap();
    assert!(packed == plain && chunked == plain && plain["data"].as_array().unwrap().len() == 20);
}
