//! What becomes of posts, as each service shows it.

use natureddit_core::Clock;
use natureddit_sandbox::{Change, LaterConfig, Outcome, PostEvent, Sandbox, SandboxConfig, Script, TruthPost};
use serde_json::Value;

use crate::oauth::{Reddit, children};
use crate::{Client, config};

const HOUR: i64 = 3_600;

/// A simulator whose time stands at its last post.
async fn at_the_last_post(config: SandboxConfig) -> Sandbox {
    let until = Sandbox::start(config.clone()).await.unwrap().window().until;
    Sandbox::start(SandboxConfig { starts_at: Some(until), clock: Clock::fixed(0), ..config }).await.unwrap()
}

fn photos(sandbox: &Sandbox) -> impl Iterator<Item = &TruthPost> {
    sandbox.truth().posts.iter().filter(|post| matches!(post.outcome, Outcome::Row { .. }))
}

fn event(post: &TruthPost, at: i64, change: Change) -> PostEvent {
    PostEvent { post: post.id.to_string(), at, change }
}

async fn looked_up(reddit: &Reddit, post: &TruthPost) -> Option<Value> {
    children(&reddit.json(&format!("/api/info?raw_json=1&id=t3_{}", post.id)).await).pop()
}

async fn archived(client: &Client, post: &TruthPost) -> Value {
    let url = format!("https://arctic-shift.photon-reddit.com/api/posts/ids?ids={}", post.id);
    client.get(&url).await.unwrap().json::<Value>().await.unwrap()["data"][0].clone()
}

#[tokio::test]
async fn a_post_that_is_deleted_leaves_reddit_and_stays_in_the_archives() {
    let sandbox = at_the_last_post(config(71, 60)).await;
    let now = sandbox.now();
    let last: Vec<_> = photos(&sandbox).filter(|post| post.created_utc > now - 20 * HOUR).take(4).cloned().collect();
    let [deleted, removed, vanished, edited] = &last[..] else { panic!("{} posts", last.len()) };
    let at = now + 2 * HOUR;
    sandbox.play(Script {
        faults: Vec::new(),
        events: vec![
            event(deleted, at, Change::Delete),
            event(removed, at, Change::Remove),
            event(vanished, at, Change::Vanish),
            event(edited, at, Change::Edit),
        ],
    });
    let reddit = Reddit::new(&sandbox).await;
    let listing = format!("/r/{}/new", deleted.subreddit);
    let name = format!("t3_{}", deleted.id);
    let url = looked_up(&reddit, deleted).await.unwrap()["url"].as_str().unwrap().to_owned();
    assert!(reddit.names(&listing).await.contains(&name));
    assert_eq!(archived(&reddit.client, deleted).await["_meta"], serde_json::json!({}));

    sandbox.advance(2 * HOUR);
    let found = looked_up(&reddit, deleted).await.unwrap();
    assert_eq!((&found["author"], &found["removed_by_category"]), (&"[deleted]".into(), &"deleted".into()));
    assert!(found.get("author_fullname").is_none() && found["title"] == deleted.title.as_str());
    assert!(!reddit.names(&listing).await.contains(&name));
    if url.starts_with("https://i.redd.it/") {
        assert_eq!(reddit.client.get(&url).await.unwrap().status(), 404);
    }
    assert_eq!(looked_up(&reddit, removed).await.unwrap()["removed_by_category"], "moderator");
    assert!(looked_up(&reddit, vanished).await.is_none());
    assert_eq!(looked_up(&reddit, edited).await.unwrap()["edited"], at as f64);
    assert!(archived(&reddit.client, deleted).await["removed_by_category"].is_null());

    sandbox.advance(36 * HOUR);
    let found = archived(&reddit.client, deleted).await;
    assert_eq!(found["_meta"]["removal_type"], "deleted");
    assert!(found["_meta"]["was_deleted_later"] == true && found["author"] != "[deleted]", "{}", found["_meta"]);
    let search = reddit.client.search(&format!("ids={}", deleted.id)).await;
    assert_eq!(search[0]["removed_by_category"], Value::Null);
}

#[tokio::test]
async fn chance_follows_from_the_seed_and_is_in_the_truth() {
    let later = LaterConfig {
        deleted: 0.15,
        removed: 0.1,
        vanished: 0.05,
        within_seconds: 36 * HOUR,
        ..LaterConfig::default()
    };
    let config = SandboxConfig { later, ..config(72, 400) };
    let sandbox = Sandbox::start(config.clone()).await.unwrap();
    let gone: Vec<_> = photos(&sandbox).filter(|post| post.gone_at.is_some()).cloned().collect();
    assert!((60..140).contains(&gone.len()), "{}", gone.len());
    assert_eq!(Sandbox::start(config).await.unwrap().truth(), sandbox.truth());
    let reddit = Reddit::new(&sandbox).await;
    let listed = reddit.names("/r/wildlifephotography+flowers+EarthPorn+NatureIsFuckingLit/new").await;
    let expected: Vec<_> =
        sandbox.truth().posts.iter().filter(|post| post.is_listed && post.gone_at.is_none()).collect();
    assert_eq!(listed.len(), expected.len());
    let mut absent = 0;
    for post in &gone {
        assert!(!listed.contains(&format!("t3_{}", post.id)));
        absent += usize::from(looked_up(&reddit, post).await.is_none());
    }
    assert!(absent > 0 && absent < gone.len(), "{absent} of {}", gone.len());
}

#[tokio::test]
async fn a_post_may_come_late_and_a_gallery_be_made_later() {
    let later = LaterConfig { processing_seconds: 100 * 24 * HOUR, ..LaterConfig::default() };
    let sandbox = at_the_last_post(SandboxConfig { later, ..config(73, 500) }).await;
    let reddit = Reddit::new(&sandbox).await;
    let (mut galleries, mut untold) = (0, 0);
    for post in photos(&sandbox) {
        let found = looked_up(&reddit, post).await.unwrap();
        if found["is_gallery"] == true {
            galleries += 1;
            untold += usize::from(found["gallery_data"].is_null());
            let states: Vec<_> = found["media_metadata"].as_object().unwrap().values().map(|m| &m["status"]).collect();
            assert!(states.iter().all(|state| *state == "unprocessed"), "{states:?}");
        }
    }
    assert!(untold > 0 && untold < galleries, "{untold} of {galleries}");
    sandbox.advance(200 * 24 * HOUR);
    let reddit = Reddit::new(&sandbox).await;
    let post = photos(&sandbox).next().unwrap().clone();
    sandbox.play(Script { faults: Vec::new(), events: vec![event(&post, sandbox.now() + 60, Change::Appear)] });
    assert!(
        looked_up(&reddit, &post).await.is_none() && reddit.client.search(&format!("ids={}", post.id)).await.is_empty()
    );
    sandbox.advance(60);
    assert!(looked_up(&reddit, &post).await.is_some());
    assert_eq!(reddit.client.search(&format!("ids={}", post.id)).await.len(), 1);
}
