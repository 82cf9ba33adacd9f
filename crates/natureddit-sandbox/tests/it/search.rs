//! Paging and the window.

use std::collections::BTreeSet;

use natureddit_sandbox::{AfterMode, SUBREDDITS, Sandbox, SandboxConfig};

use crate::{Client, config};

#[tokio::test]
async fn careful_paging_finds_every_post_in_both_modes() {
    for after in [AfterMode::Exclusive, AfterMode::Inclusive] {
        let sandbox = Sandbox::start(SandboxConfig { after, ..config(11, 420) }).await.unwrap();
        let client = Client::new(&sandbox);
        let mut found = BTreeSet::new();
        for subreddit in SUBREDDITS {
            let posts = client.subreddit(subreddit, 100).await;
            assert!(posts.iter().all(|post| post["subreddit"] == subreddit));
            assert!(posts.is_sorted_by_key(|post| post["created_utc"].as_i64()));
            found.extend(posts.iter().map(|post| post["id"].as_str().unwrap().to_owned()));
        }
        let truth: BTreeSet<_> = sandbox.truth().posts.iter().map(|post| post.id.to_string()).collect();
        assert_eq!(found, truth);
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn the_window_holds_all_posts_and_careless_paging_loses_some() {
    let sandbox = Sandbox::start(config(12, 420)).await.unwrap();
    let client = Client::new(&sandbox);
    let window = sandbox.window();
    assert!(client.search(&format!("before={}", window.since)).await.is_empty());
    assert!(client.search(&format!("after={}", window.until)).await.is_empty());
    // What the tie across the first page's edge is for: an exclusive `after` at the last time skips the rest of it.
    let (mut careless, mut after) = (0, window.since - 1);
    loop {
        let page = client.search(&format!("sort=asc&size=100&after={after}")).await;
        let Some(last) = page.last() else { break };
        after = last["created_utc"].as_i64().unwrap();
        careless += page.len();
    }
    assert!(careless < 420, "{careless}");
    sandbox.stop().await;
}

#[tokio::test]
async fn the_search_keeps_to_its_defaults_and_limits() {
    let sandbox = Sandbox::start(config(13, 150)).await.unwrap();
    let client = Client::new(&sandbox);
    let newest = client.search("").await;
    assert_eq!(newest.len(), 25);
    assert_eq!(newest[0]["id"], sandbox.truth().posts[149].id.as_str());
    assert_eq!(client.search("size=500").await.len(), 100);
    let ids: Vec<_> = sandbox.truth().posts[..3].iter().map(|post| post.id.to_string()).collect();
    assert_eq!(client.search(&format!("ids={}", ids.join(","))).await.len(), 3);
    let bad = client.get("https://api.pullpush.io/reddit/search/submission/?after=soon").await.unwrap();
    assert_eq!(bad.status(), 400);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_service_of_earlier_years_gives_larger_pages() {
    let sandbox = Sandbox::start(SandboxConfig { size_max: 500, ..config(14, 700) }).await.unwrap();
    let client = Client::new(&sandbox);
    assert_eq!(client.search("size=1000").await.len(), 500);
    assert_eq!(client.search("size=120").await.len(), 120);
    sandbox.stop().await;
}
