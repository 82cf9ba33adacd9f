//! Reddit's own API: the token, listings that end too early, look-ups, deletions.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;

use natureddit_core::{Clock, Progress, Secret, fs};
use natureddit_data::gap::{GapReason, Ledger};
use natureddit_data::source::RedditOauthConfig;
use natureddit_data::{
    CollectConfig, CollectError, Dataset, Deletions, PendingDeletion, SourceConfig, Window, sync_deletions,
};
use serde_json::json;

use crate::reddit::{Reddit, Running, SINCE, config, files, run};

fn reddit_oauth(secret: &str) -> RedditOauthConfig {
    RedditOauthConfig {
        token_base_url: "https://www.example".parse().unwrap(),
        base_url: "https://oauth.example".parse().unwrap(),
        client_id: "app".into(),
        client_secret: Secret::new(secret.to_owned()),
        page_bytes_max: 16_000_000,
    }
}

fn config_of(dir: &Path) -> CollectConfig {
    CollectConfig { source: SourceConfig::RedditOauth(reddit_oauth("hush")), ..config(dir) }
}

/// Posts without a photo, one each `apart` seconds, in one subreddit.
fn videos(reddit: &mut Reddit, subreddit: &str, count: usize, apart: i64) {
    for number in 0..count {
        let id = format!("{}{number:04}", subreddit.to_lowercase());
        reddit.post(subreddit, &id, number as i64 * apart, "https://v.redd.it/x");
    }
}

fn open_gaps(dir: &Path) -> Vec<(String, i64, i64, GapReason)> {
    let open = Ledger::read(dir).unwrap().open_gaps().into_iter();
    open.map(|open| {
        let window = open.gap.window;
        (open.subreddit, window.since() - SINCE, window.until() - SINCE, open.gap.reason)
    })
    .collect()
}

#[tokio::test]
async fn listings_give_the_same_rows_as_searches() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(30)).await;
    let (listed, searched) = (folder.path().join("listed"), folder.path().join("searched"));
    let mut config = config_of(&listed);
    config.page_size = 7;
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_seen, report.posts_new, report.gaps.len()), (30, 30, 0));
    server.collect(&crate::reddit::config(&searched)).await.unwrap();
    let table = |dir: &Path, source: &str| fs::read_to_string(&dir.join("posts.csv")).unwrap().replace(source, "-");
    assert_eq!(table(&listed, "reddit_oauth"), table(&searched, "pushshift"));
    let before = files(&listed);
    server.collect(&config).await.unwrap();
    assert!(files(&listed) == before);
    assert!(server.reddit.log().iter().filter(|line| line.contains("/new")).all(|line| line.contains("raw_json=1")));
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::with_photos(30);
    reddit.token_uses = 2;
    let server = run(reddit).await;
    let mut config = config_of(folder.path());
    config.page_size = 5;
    assert_eq!(server.collect(&config).await.unwrap().posts_seen, 30);
    let log = server.reddit.log();
    let pages: Vec<_> = log.iter().filter(|line| line.contains("/new")).collect();
    assert_eq!(pages.iter().collect::<BTreeSet<_>>().len(), 6, "{pages:?}");
    // Each token is good for two pages; the third is refused and asked for again.
    assert_eq!((pages.len(), log.iter().filter(|line| line.contains("access_token")).count()), (8, 3));

    // One that is refused when it is used for the first time is as good as none.
    let again = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::with_photos(3);
    reddit.tokens_revoked = 1;
    let revoking = run(reddit).await;
    assert_eq!(revoking.collect(&config_of(again.path())).await.unwrap().posts_seen, 3);
    assert_eq!(revoking.reddit.log().iter().filter(|line| line.contains("access_token")).count(), 2);

    let wrong = CollectConfig { source: SourceConfig::RedditOauth(reddit_oauth("wrong")), ..config };
    let error = server.collect(&wrong).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "Reddit gives no token: it answers with status 401");
    assert!(!format!("{error:?}").contains("wrong"));
}

#[tokio::test]
async fn trap_04_a_listing_that_ends_at_its_cap_is_a_gap_of_its_own_subreddit() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::new();
    videos(&mut reddit, "flowers", 1_500, 20);
    videos(&mut reddit, "EarthPorn", 900, 20);
    let server = run(reddit).await;
    let report = server.collect(&config_of(folder.path())).await.unwrap();
    // Of each alone a thousand can be listed, of both together no more.
    assert_eq!(report.posts_seen, 1_900);
    let oldest = 500 * 20;
    let capped = [
        // So long a listing may have been cut.
        ("EarthPorn".to_owned(), 0, 1, GapReason::ListingCap),
        ("flowers".to_owned(), 0, oldest + 1, GapReason::ListingCap),
    ];
    assert_eq!(open_gaps(folder.path()), capped);
    // The next daily run lists no further back than its own window.
    let before = server.reddit.log().len();
    let mut next = config_of(folder.path());
    next.window = Window::new(SINCE + 29_000, SINCE + 40_000).unwrap();
    server.collect(&next).await.unwrap();
    let pages = server.reddit.log().len() - before;
    assert!(pages <= 4, "{pages}");
    assert_eq!(open_gaps(folder.path()), capped);
    // A source of the past fills it.
    let mut archive = config(folder.path());
    archive.window = next.window;
    server.collect(&archive).await.unwrap();
    assert_eq!(open_gaps(folder.path()), []);
    assert_eq!(Dataset::read(folder.path()).unwrap().dropped.len(), 2_400);
}

#[tokio::test]
async fn a_post_that_is_gone_between_pages_loses_nothing() {
    for restarts in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut reddit = Reddit::new();
        videos(&mut reddit, "flowers", 60, 20);
        reddit.lost_anchor = Some(("t3_flowers0040".into(), restarts));
        let server = run(reddit).await;
        let mut config = config_of(folder.path());
        (config.page_size, config.subreddits) = (20, vec!["flowers".into()]);
        let report = server.collect(&config).await.unwrap();
        assert_eq!((report.posts_seen, report.gaps.len()), (60, 0), "restarts: {restarts}");
    }
}

#[tokio::test]
async fn a_subreddit_that_is_not_shown_is_a_gap_and_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::new();
    videos(&mut reddit, "flowers", 30, 20);
    reddit.refused = Some("EarthPorn".into());
    let report = run(reddit).await.collect(&config_of(folder.path())).await.unwrap();
    assert_eq!(report.posts_seen, 30);
    assert_eq!(open_gaps(folder.path()), [("EarthPorn".to_owned(), 0, 86_400, GapReason::Refused)]);
}

async fn sync(server: &Running, dir: &Path, take_many: bool) -> Result<Deletions, CollectError> {
    let source = SourceConfig::RedditOauth(reddit_oauth("hush"));
    let dirs = (dir, &*dir.join("labels"));
    sync_deletions(&source, dirs, take_many, &server.client, &Clock::fixed(SINCE + 99), &Progress::silent()).await
}

/// A dataset of thirty photos, two of them labelled.
async fn collected(dir: &Path) -> Running {
    let server = run(Reddit::with_photos(30)).await;
    server.collect(&config(dir)).await.unwrap();
    let labels = "id,img_name,choice,labelled_by,labelled_at\n\
        p003,p003_0.png,flora,ann,2022-05-01T00:00:00\np004,p004_0.png,flora,ann,2022-05-01T00:00:00\n";
    fs::write_atomic(&dir.join("labels/labels.csv"), labels).unwrap();
    fs::write_atomic(&dir.join("labels/titles.csv"), "id,title,choice\np003,A rose,flora\nx,A tree,flora\n").unwrap();
    server
}

#[tokio::test]
async fn what_is_gone_on_reddit_is_forgotten_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    collected(folder.path()).await;
    let mut reddit = Reddit::with_photos(30);
    reddit.posts.retain(|post| post["id"] != "p003");
    reddit.posts[10]["removed_by_category"] = json!("moderator");
    let removed = reddit.posts[10]["id"].as_str().unwrap().to_owned();
    let server = run(reddit).await;
    let deletions = sync(&server, folder.path(), false).await.unwrap();
    assert_eq!((deletions.checked, deletions.present, deletions.unsure), (30, 28, 0));
    let forgotten = deletions.forgotten.unwrap();
    assert_eq!((forgotten.posts, forgotten.rows, forgotten.photos), (2, 2, 2));
    assert_eq!((forgotten.labels, forgotten.titles), (1, 1));
    // What was computed from them is named until it is gone, too.
    let pending = PendingDeletion::read(folder.path()).unwrap().unwrap();
    assert_eq!((pending.posts.len(), pending.content.len()), (2, 4));
    PendingDeletion::done(folder.path()).unwrap();
    let tombstones = fs::read_to_string(&folder.path().join("tombstones.csv")).unwrap();
    assert_eq!(tombstones, format!("id,deleted_at\np003,2022-05-01T00:01:39\n{removed},2022-05-01T00:01:39\n"));
    for (path, bytes) in files(folder.path()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(path == "tombstones.csv" || !(path.contains("p003") || text.contains("p003")), "{path}");
    }
    // The archive still has both.
    let archive = run(Reddit::with_photos(30)).await;
    let report = archive.collect(&config(folder.path())).await.unwrap();
    assert_eq!((report.posts_new, report.posts_forgotten), (0, 2));
    assert_eq!(Dataset::read(folder.path()).unwrap().posts.len(), 28);
    assert_eq!(sync(&server, folder.path(), false).await.unwrap().gone.len(), 0);
}

#[tokio::test]
async fn a_look_up_that_says_little_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    collected(folder.path()).await;
    let before = files(folder.path());
    // Nobody knows any post: that is no answer at all.
    let deletions = sync(&run(Reddit::new()).await, folder.path(), true).await.unwrap();
    assert_eq!((deletions.unsure, deletions.gone.len(), deletions.forgotten.is_none()), (30, 0, true));
    // Half an answer, and the second question is answered whole.
    let mut reddit = Reddit::with_photos(30);
    reddit.short_infos = 1;
    let deletions = sync(&run(reddit).await, folder.path(), true).await.unwrap();
    assert_eq!((deletions.present, deletions.gone.len()), (30, 0));
    // A failure stops it.
    let server = run(Reddit::with_photos(30)).await;
    server.reddit.answers_left.store(1, Ordering::SeqCst);
    assert!(matches!(sync(&server, folder.path(), true).await, Err(CollectError::LookUp { .. })));
    assert!(files(folder.path()) == before);
}

#[tokio::test]
async fn when_too_many_vanish_at_once_the_user_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    collected(folder.path()).await;
    let before = files(folder.path());
    let mut reddit = Reddit::with_photos(30);
    reddit.posts.truncate(23);
    let server = run(reddit).await;
    let deletions = sync(&server, folder.path(), false).await.unwrap();
    assert!(deletions.are_too_many() && deletions.forgotten.is_none());
    assert_eq!(deletions.gone.len(), 7);
    assert!(files(folder.path()) == before);
    assert!(sync(&server, folder.path(), true).await.unwrap().forgotten.is_some());
    assert_eq!(Dataset::read(folder.path()).unwrap().posts.len(), 23);
    // Fewer may go unasked.
    let mut reddit = Reddit::with_photos(23);
    reddit.posts.truncate(19);
    let deletions = sync(&run(reddit).await, folder.path(), false).await.unwrap();
    assert_eq!((deletions.gone.len(), deletions.forgotten.is_some()), (4, true));
}

#[tokio::test]
async fn posts_of_other_sources_are_looked_up_on_reddit_when_it_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut archived = Reddit::with_photos(10);
    archived.fresh = archived.posts.clone();
    archived.fresh.retain(|post| post["id"] != "p002");
    archived.fresh[4]["removed_by_category"] = json!("deleted");
    archived.fresh[5]["title"] = json!("A better title");
    let (gone, changed) = (archived.fresh[4]["id"].clone(), archived.fresh[5]["id"].clone());
    let server = run(archived).await;
    let mut config = config(folder.path());
    config.hydrate = Some(reddit_oauth("hush"));
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_new, report.dropped["removed"]), (8, 2));
    let dataset = Dataset::read(folder.path()).unwrap();
    let key = |id: &str| (id.parse().unwrap(), String::new());
    assert!(dataset.dropped.contains_key(&key("p002")) && dataset.dropped.contains_key(&key(gone.as_str().unwrap())));
    let id = changed.as_str().unwrap().parse().unwrap();
    let row = dataset.photos_of(&id).next().unwrap();
    assert_eq!((row.post.title.as_str(), row.source.as_str()), ("A better title", "pushshift"));
}
