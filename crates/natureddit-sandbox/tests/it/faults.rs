//! Planned faults and the request log.

use natureddit_sandbox::{Fault, FaultAction, Sandbox, SandboxConfig};

use crate::{Client, config};

const SEARCH: &str = "https://api.pullpush.io/reddit/search/submission/?size=50";

fn fault(path: &str, nth: u64, times: u64, action: FaultAction) -> Fault {
    Fault { path_contains: path.into(), nth, times, action }
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
