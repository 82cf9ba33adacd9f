//! How often is asked, with what, and what an answer that says nothing means.

use std::sync::{Arc, Once};

use natureddit_core::fs;
use natureddit_core::progress::{Progress, ProgressEvent};
use natureddit_data::CollectError;
use natureddit_sandbox::{Fault, FaultAction, OauthConfig, SandboxConfig, Script};

use super::{Trial, small, trial_of_small, varied};
use crate::truth::{arctic_shift, files, pushshift, reddit_oauth};

/// To look at a field that a listing does not give fetches the whole post, for every post.
#[tokio::test(flavor = "multi_thread")]
async fn trap_21_no_post_is_asked_for_by_itself() {
    let mut trial = Trial::new(varied(13), reddit_oauth()).await;
    trial.config.page_size = 100;
    trial.collect().await.unwrap();
    let listed = trial.sandbox.truth().posts.iter().filter(|post| post.is_listed).count();
    assert!(listed > 100, "more than a page");
    let asked: Vec<_> =
        trial.sandbox.log().into_iter().map(|entry| entry.path).filter(|path| !path.starts_with("/media/")).collect();
    let (tokens, pages): (Vec<_>, Vec<_>) = asked.iter().partition(|path| *path == "/api/v1/access_token");
    // Two pages, of which the shorter is asked for twice.
    assert_eq!((tokens.len(), pages.len()), (1, 3), "{asked:?}");
    assert!(pages.iter().all(|path| path.contains("/new?limit=100")), "{asked:?}");
    // And each photo once, with the way over a redirect; what is no photo three times, for its host may be unwell.
    let media = trial.requests("/media/").len();
    let is_spoilt = |reason: &str| ["html", "truncated", "empty", "not_an_image", "corrupt"].contains(&reason);
    let spoilt = trial.dataset().dropped.values().filter(|post| is_spoilt(&post.reason)).count();
    assert!(
        media <= listed + 3 + 2 * spoilt,
        "{media} requests for the photos of {listed} posts, {spoilt} of them spoilt"
    );
}

/// Status 200 and no byte is no empty day.
#[tokio::test(flavor = "multi_thread")]
async fn trap_22_an_answer_of_no_bytes_is_an_error_and_not_an_empty_listing() {
    for (source, path) in [
        (pushshift(), "/pullpush/"),
        (arctic_shift(), "/arctic/api/posts/search?"),
        (reddit_oauth(), "/new?"),
        (reddit_oauth(), "access_token"),
    ] {
        let (_photos, of) = small(30);
        let mut trial = trial_of_small(of, source.clone()).await;
        trial.collect().await.unwrap();
        let clean = files(trial.dir());
        trial.config.data_dir = trial.dir().with_file_name("again");
        trial.sandbox.play(Script { faults: vec![Fault::new(path, 1, 1_000, FaultAction::Empty)], events: vec![] });
        let before = trial.requests(path).len();
        let error = trial.collect().await.unwrap_err();
        assert!(matches!(error, CollectError::Source { .. }), "{path}: {error}");
        let asked = trial.requests(path).len() - before;
        assert_eq!(asked, if path == "access_token" { 1 } else { 3 }, "{path}: and not for ever");
        let empty = trial.requests(path).pop().unwrap();
        assert_eq!(empty.status, 200, "the trap is set");
        let record = trial.dataset().record;
        assert!(record.is_none_or(|record| record.windows.values().all(Vec::is_empty)), "{path}: nothing is covered");
        let ledger = fs::read_to_string(&trial.dir().join("gaps.jsonl")).unwrap();
        assert!(ledger.contains("stopped"), "{path}: {ledger}");
        assert!(!files(trial.dir()).keys().any(|name| name.starts_with("images/")), "{path}");
        assert!(!clean.is_empty());
    }
}

/// What is no list, as it comes from a server that is not well for a moment, ends no run.
#[tokio::test(flavor = "multi_thread")]
async fn trap_22_an_answer_that_is_spoilt_twice_is_asked_for_again() {
    for (source, path) in
        [(pushshift(), "/pullpush/"), (arctic_shift(), "/arctic/api/posts/search?"), (reddit_oauth(), "/new?")]
    {
        for action in [FaultAction::Empty, FaultAction::Html, FaultAction::MalformedJson] {
            let (_photos, of) = small(30);
            let trial = trial_of_small(of, source.clone()).await;
            trial.sandbox.play(Script { faults: vec![Fault::new(path, 2, 2, action.clone())], events: vec![] });
            let report = trial.collect().await.unwrap();
            assert_eq!((trial.known(), report.gaps.len()), (trial.all(), 0), "{path} {action:?}");
        }
    }
}

/// A token holds for an hour or a day, and may end between two pages: the page is asked for again, not the one after.
#[tokio::test(flavor = "multi_thread")]
async fn trap_23_a_token_that_ends_between_pages_repeats_the_same_page() {
    for token_seconds in [3_600, 86_400] {
        let (_photos, of) = small(60);
        let of = SandboxConfig { oauth: OauthConfig { token_seconds, ..OauthConfig::default() }, ..of };
        let mut trial = trial_of_small(of, reddit_oauth()).await;
        trial.config.page_size = 20;
        let (once, sandbox) = (Once::new(), Arc::clone(&trial.sandbox));
        let progress = Progress::new(move |event| {
            if matches!(event, ProgressEvent::Advance(1..)) {
                once.call_once(|| sandbox.advance(token_seconds));
            }
        });
        let report = trial.collect_watched(&progress).await.unwrap();
        assert_eq!((trial.known(), report.gaps.len()), (trial.all(), 0));

        let log: Vec<_> = trial.sandbox.log().into_iter().filter(|entry| !entry.path.starts_with("/media/")).collect();
        let refused = log.iter().position(|entry| entry.status == 401).expect("the trap is set");
        assert!(log[refused].path.contains("&after=t3_"), "{}", log[refused].path);
        assert_eq!(log[refused + 1].path, "/api/v1/access_token");
        assert_eq!((&log[refused + 2].path, log[refused + 2].status), (&log[refused].path, 200));
        assert_eq!(log.iter().filter(|entry| entry.status == 401).count(), 1);
    }
}
