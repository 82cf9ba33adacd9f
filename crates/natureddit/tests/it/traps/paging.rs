//! Pages that lose, repeat or hide posts.

use std::collections::BTreeSet;

use natureddit_core::fs;
use natureddit_core::progress::{Progress, ProgressEvent};
use natureddit_data::gap::GapReason;
use natureddit_data::{CollectError, Window};
use natureddit_sandbox::{
    AfterMode, Anonymous, Change, Fault, FaultAction, LostAnchor, OauthConfig, PostEvent, SandboxConfig, Script,
};
use serde_json::Value;

use super::{Trial, number, small, trial_of_small};
use crate::truth::{arctic_shift, files, pushshift, reddit_oauth};

const SEARCH: &str = "https://api.pullpush.io/reddit/search/submission/?subreddit=flowers";

impl Trial {
    async fn search(&self, query: &str) -> Vec<Value> {
        self.json(&format!("{SEARCH}&{query}")).await["data"].as_array().unwrap().clone()
    }
}

fn second(post: &Value) -> i64 {
    post["created_utc"].as_i64().unwrap()
}

fn ids(posts: &[Value]) -> BTreeSet<&str> {
    posts.iter().map(|post| post["id"].as_str().unwrap()).collect()
}

/// `after = last + 1` on an exclusive `after` loses the rest of the last second of a page, and all of the next.
#[tokio::test(flavor = "multi_thread")]
async fn trap_01_an_exclusive_after_loses_no_post_of_the_last_second() {
    let (_photos, of) = small(140);
    let trial = trial_of_small(SandboxConfig { after: AfterMode::Exclusive, ..of }, pushshift()).await;
    let first = trial.search("sort=asc&size=100").await;
    let rest = trial.search(&format!("sort=asc&size=100&after={}", second(&first[99]) + 1)).await;
    assert!(ids(&first).union(&ids(&rest)).count() < 140, "the trap is set");

    let report = trial.collect().await.unwrap();
    assert_eq!((trial.known(), report.gaps.len()), (trial.all(), 0));
}

/// Where `after` includes its own second, asking after the last post gives that post again, for ever; and a page that is
/// all of one second moves nobody on.
#[tokio::test(flavor = "multi_thread")]
async fn trap_02_an_inclusive_after_ends_and_a_page_of_one_second_is_widened_or_told() {
    for (page_size, size_max, hidden) in [(100, 100, false), (7, 100, false), (7, 12, true)] {
        let (_photos, of) = small(140);
        let of = SandboxConfig { after: AfterMode::Inclusive, size_max, ..of };
        let mut trial = trial_of_small(of, pushshift()).await;
        let last = trial.search("sort=desc&size=1").await;
        let again = trial.search(&format!("sort=asc&after={}", second(&last[0]))).await;
        assert!(ids(&again).contains(ids(&last).first().unwrap()), "the trap is set");

        trial.config.page_size = page_size;
        let before = trial.requests("/pullpush/").len();
        let report = trial.collect().await.unwrap();
        let asked = &trial.requests("/pullpush/")[before..];
        assert!(asked.len() < 2 * 140 / page_size as usize + 20, "{} requests", asked.len());
        let widened = asked.iter().any(|entry| number(&entry.path, "size") > i64::from(page_size));
        assert_eq!(widened, page_size == 7);

        let (known, all) = (trial.known(), trial.sandbox.truth().posts.iter());
        let lost: Vec<_> = all.filter(|post| !known.contains(&post.id)).collect();
        assert_eq!(lost.is_empty(), !hidden);
        let told = |second| report.gaps.iter().any(|gap| gap.window == Window::new(second, second + 1).unwrap());
        assert!(lost.iter().all(|post| told(post.created_utc)), "what no request can bring is told: {:?}", report.gaps);
    }
}

/// Without `sort` the newest posts come first, so that the last of a page is the oldest of the newest.
#[tokio::test(flavor = "multi_thread")]
async fn trap_03_the_order_is_asked_for_and_never_relied_on() {
    let (_photos, of) = small(140);
    let mut trial = trial_of_small(of, pushshift()).await;
    let first = trial.search("after=1&size=100").await;
    assert!(second(&first[0]) > second(&first[99]), "the trap is set");

    let before = trial.requests("/pullpush/").len();
    trial.collect().await.unwrap();
    for entry in &trial.requests("/pullpush/")[before..] {
        assert!(entry.path.contains("sort=asc") && entry.path.contains("sort_type=created_utc"), "{}", entry.path);
    }
    let clean = files(trial.dir());
    // A server that does not keep to it costs nothing.
    trial
        .sandbox
        .play(Script { faults: vec![Fault::new("/pullpush/", 1, 1_000, FaultAction::Shuffled)], events: vec![] });
    let report = trial.collect_anew(pushshift()).await.unwrap();
    assert_eq!((trial.known(), report.gaps.len()), (trial.all(), 0));
    let table = |files: &std::collections::BTreeMap<String, Vec<u8>>| files["posts.csv"].clone();
    assert_eq!(table(&files(trial.dir())), table(&clean));
}

/// An archive may keep a record back that lies inside the range, and nothing in the page tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn trap_04_a_record_that_is_counted_and_missing_is_told_as_a_gap() {
    let (_photos, of) = small(60);
    let of = SandboxConfig {
        faults: vec![Fault::new("posts/search?", 1, 1_000, FaultAction::MissingRecord { at: 1 })],
        ..of
    };
    let mut trial = trial_of_small(of, arctic_shift()).await;
    let report = trial.collect().await.unwrap();
    let lost: Vec<_> = trial.all().difference(&trial.known()).cloned().collect();
    assert!(!lost.is_empty(), "the trap is set");
    for post in trial.sandbox.truth().posts.iter().filter(|post| lost.contains(&post.id)) {
        let told = |gap: &natureddit_data::SubredditGap| gap.window.contains(post.created_utc);
        assert!(report.gaps.iter().any(told), "{}: {:?}", post.id, report.gaps);
    }
    assert!(report.gaps.iter().all(|gap| gap.reason == GapReason::FewerThanCounted), "{:?}", report.gaps);
    // What a source of other posts brings closes it.
    let source = pushshift();
    trial.config.source = source;
    assert_eq!(trial.collect().await.unwrap().gaps.len(), 0);
    assert_eq!(trial.known(), trial.all());
}

/// An error in the middle of the pages throws away what came before it.
#[tokio::test(flavor = "multi_thread")]
async fn trap_05_an_error_between_pages_keeps_what_came() {
    let (_photos, of) = small(60);
    let mut trial = trial_of_small(of, pushshift()).await;
    trial.config.page_size = 20;
    trial.collect().await.unwrap();
    let clean = files(trial.dir());

    let down = FaultAction::Status { code: 500, retry_after: None };
    // As often as one request is repeated.
    trial.sandbox.play(Script { faults: vec![Fault::new("/pullpush/", 3, 3, down)], events: vec![] });
    let error = trial.collect_anew(pushshift()).await.unwrap_err();
    let CollectError::Source { report, .. } = &error else { panic!("{error}") };
    assert!(report.posts_new >= 20, "{report:?}");
    assert_eq!(trial.dataset().posts.len() as u64, report.posts_new);
    assert!(fs::read_to_string(&trial.dir().join("gaps.jsonl")).unwrap().contains("stopped"));

    trial.collect().await.unwrap();
    assert!(files(trial.dir()) == clean, "the next run goes on from there");
}

/// Calls `then` when the first post of the first page is dealt with, before a second page is asked for.
fn after_the_first_page(then: impl Fn() + Send + Sync + 'static) -> Progress {
    let once = std::sync::Once::new();
    Progress::new(move |event| {
        if matches!(event, ProgressEvent::Advance(1..)) {
            once.call_once(&then);
        }
    })
}

/// The post after which the next page is asked for may be deleted meanwhile, and new posts push the others down.
#[tokio::test(flavor = "multi_thread")]
async fn trap_24_a_deleted_anchor_and_new_posts_lose_nothing() {
    for lost_anchor in [LostAnchor::Continues, LostAnchor::Ends, LostAnchor::Restarts] {
        let (_photos, of) = small(60);
        let of = SandboxConfig { oauth: OauthConfig { lost_anchor, ..OauthConfig::default() }, ..of };
        let mut trial = trial_of_small(of, reddit_oauth()).await;
        trial.config.page_size = 20;
        let newest: Vec<_> = trial.sandbox.truth().posts.iter().rev().map(|post| post.id.to_string()).collect();
        let event = |post: &String, seconds, change| PostEvent {
            post: post.clone(),
            at: trial.sandbox.now() + seconds,
            change,
        };
        // Three posts come to be seen, and the last of the first page goes.
        let mut events: Vec<_> = newest[..3].iter().map(|post| event(post, 500, Change::Appear)).collect();
        events.push(event(&newest[22], 500, Change::Delete));
        trial.sandbox.play(Script { faults: vec![], events });
        let sandbox = std::sync::Arc::clone(&trial.sandbox);
        let report = trial.collect_watched(&after_the_first_page(move || sandbox.advance(1_000))).await.unwrap();

        let second_page = trial.requests("/new?limit=20&after=");
        assert!(second_page[0].path.contains(&format!("after=t3_{}", newest[22])), "the trap is set");
        let known = trial.known();
        let lost: Vec<_> = newest[3..].iter().filter(|id| !known.contains(&id.parse().unwrap())).collect();
        assert_eq!((lost, report.gaps.len()), (vec![], 0), "{lost_anchor:?}");
        assert!(second_page.len() < 12, "{lost_anchor:?}: {} pages", second_page.len());
    }
}

/// A pinned or promoted post is out of the order of time: an old one says nothing of those that follow it.
#[tokio::test(flavor = "multi_thread")]
async fn trap_24_old_posts_at_the_top_of_a_listing_do_not_end_it() {
    let (_photos, of) = small(60);
    let of = SandboxConfig { oauth: OauthConfig { anonymous: Anonymous::Allowed, ..OauthConfig::default() }, ..of };
    let mut trial = trial_of_small(of, reddit_oauth()).await;
    trial.config.page_size = 20;
    let posts = trial.sandbox.truth().posts.clone();
    let since = posts[15].created_utc;
    trial.config.window = Window::new(since, trial.config.window.until()).unwrap();
    let listing = "https://www.reddit.com/r/flowers/new.json?raw_json=1&limit";
    let mut page = trial.json(&format!("{listing}=20")).await;
    let oldest = trial.json(&format!("{listing}=5&after=t3_{}", posts[5].id)).await;
    let pinned = oldest["data"]["children"].as_array().unwrap().clone();
    assert_eq!(pinned.len(), 5);
    page["data"]["children"].as_array_mut().unwrap().splice(0..0, pinned);
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    let answer = FaultAction::Answer { code: 200, headers: json.into(), body: page.to_string() };
    trial.sandbox.play(Script { faults: vec![Fault::new("/r/flowers/new?", 1, 1, answer)], events: vec![] });

    trial.collect().await.unwrap();
    let wanted: BTreeSet<_> =
        posts.iter().filter(|post| post.created_utc >= since).map(|post| post.id.clone()).collect();
    assert_eq!(trial.known(), wanted);
}
