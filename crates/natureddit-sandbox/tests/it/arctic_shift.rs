//! The archive in the shape of Arctic Shift.

use std::collections::BTreeMap;

use natureddit_core::Clock;
use natureddit_sandbox::{AfterMode, ArcticShiftConfig, Sandbox, SandboxConfig};
use serde_json::{Value, json};

use crate::{Client, config};

async fn ask(client: &Client, path: &str) -> (u16, Value) {
    let answer = client.get(&format!("https://arctic-shift.photon-reddit.com/api/posts/{path}")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn found(client: &Client, path: &str) -> Vec<Value> {
    let (status, body) = ask(client, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    body["data"].as_array().unwrap().clone()
}

fn created(post: &Value) -> i64 {
    post["created_utc"].as_i64().unwrap()
}

#[tokio::test]
async fn one_subreddit_is_searched_in_either_direction() {
    let sandbox = Sandbox::start(config(61, 700)).await.unwrap();
    let client = Client::new(&sandbox);
    let own: Vec<_> = sandbox.truth().posts.iter().filter(|post| post.subreddit == "flowers").collect();
    let posts = found(&client, "search?subreddit=Flowers&sort=asc&limit=auto").await;
    let ids: Vec<_> = posts.iter().map(|post| post["id"].as_str().unwrap()).collect();
    assert_eq!(ids, own.iter().map(|post| post.id.as_str()).collect::<Vec<_>>());
    assert_eq!(posts[0]["title"], own[0].title.as_str());
    assert!(posts[0]["_meta"]["retrieved_2nd_on"].as_i64().unwrap() > created(&posts[0]));

    let newest = found(&client, "search?subreddit=flowers").await;
    assert_eq!((newest.len(), &newest[0]["id"]), (25, &posts[posts.len() - 1]["id"]));
    assert!(found(&client, "search?subreddit=flowers,EarthPorn&limit=100").await.is_empty());

    let middle = created(&posts[40]);
    for after in [middle.to_string(), (middle * 1_000 + 999).to_string()] {
        let later = found(&client, &format!("search?subreddit=flowers&sort=asc&limit=auto&after={after}")).await;
        assert_eq!(later.len(), own.iter().filter(|post| post.created_utc > middle).count(), "{after}");
    }
    let arctic_shift =
        ArcticShiftConfig { after: AfterMode::Inclusive, auto_limit: 30, ..ArcticShiftConfig::default() };
    let sandbox = Sandbox::start(SandboxConfig { arctic_shift, ..config(61, 700) }).await.unwrap();
    let client = Client::new(&sandbox);
    let page = found(&client, &format!("search?subreddit=flowers&sort=asc&limit=auto&after={middle}")).await;
    assert_eq!((page.len(), created(&page[0])), (30, middle));
}

#[tokio::test]
async fn look_ups_and_fields_have_their_limits() {
    let sandbox = Sandbox::start(config(62, 600)).await.unwrap();
    let client = Client::new(&sandbox);
    let ids: Vec<_> = sandbox.truth().posts.iter().map(|post| post.id.to_string()).collect();
    let posts = found(&client, &format!("ids?ids=t3_{}&fields=id,title", ids[..500].join(","))).await;
    assert_eq!((posts.len(), posts[0].as_object().unwrap().len()), (500, 2));
    let (status, body) = ask(&client, &format!("ids?ids={}", ids[..501].join(","))).await;
    assert_eq!((status, &body["data"]), (400, &Value::Null));
    for wrong in ["ids", "search?limit=101", "search?limit=0", "search?after=yesterday", "search?fields=permalink"] {
        let (status, body) = ask(&client, wrong).await;
        assert!(status == 400 && body["error"].is_string(), "{wrong}: {body}");
    }
}

#[tokio::test]
async fn what_takes_too_long_ends_with_422_and_what_comes_too_fast_with_429() {
    let arctic_shift = ArcticShiftConfig { timeout_above: Some(200), requests_max: 3, ..ArcticShiftConfig::default() };
    let clock = Clock::fixed(1_700_000_000);
    let config = SandboxConfig { arctic_shift, clock: clock.clone(), ..config(63, 20) };
    let sandbox = Sandbox::start(config).await.unwrap();
    let client = Client::new(&sandbox);
    let (status, body) = ask(&client, "search?subreddit=flowers&limit=auto").await;
    assert_eq!((status, body), (422, json!({"data": null, "error": "Timeout. Maybe slow down a bit"})));
    found(&client, "search?subreddit=flowers&limit=100").await;
    found(&client, "search?subreddit=flowers&limit=100").await;
    let answer = client.get("https://arctic-shift.photon-reddit.com/api/posts/ids?ids=a").await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-ratelimit-remaining"]), (429, &"0".parse().unwrap()));
    clock.advance(answer.headers()["x-ratelimit-reset"].to_str().unwrap().parse().unwrap());
    found(&client, "search?subreddit=flowers").await;
}

#[tokio::test]
async fn counts_are_those_of_the_truth() {
    let sandbox = Sandbox::start(config(64, 900)).await.unwrap();
    let client = Client::new(&sandbox);
    let days = found(&client, "search/aggregate?aggregate=created_utc&frequency=day&subreddit=EarthPorn").await;
    let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
    for post in sandbox.truth().posts.iter().filter(|post| post.subreddit == "EarthPorn") {
        *expected.entry(post.created_utc.div_euclid(86_400)).or_default() += 1;
    }
    let counts: Vec<_> = days.iter().map(|day| day["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, expected.into_values().collect::<Vec<_>>());
    assert!(days[0]["created_utc"].as_str().unwrap().ends_with("T00:00:00.000Z"), "{}", days[0]);
    let names = found(&client, "search/aggregate?aggregate=subreddit&limit=2").await;
    assert!(names.len() == 2 && names[0]["count"].as_u64() >= names[1]["count"].as_u64(), "{names:?}");
    assert_eq!(ask(&client, "search/aggregate?aggregate=created_utc").await.0, 400);
}
