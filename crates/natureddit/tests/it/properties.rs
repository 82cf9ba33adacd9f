//! Collecting loses nothing: cases drawn from a seed (a corpus with ties, a source and its habits, sizes of pages, a schedule
//! of faults, deaths of the process, a time zone) against the simulator's truth.
//!
//! After **every** run, also one that failed or was killed, each post of the truth is in `posts.csv` or `dropped.csv`, or in a
//! gap that `gaps.jsonl` tells; no id is there twice, and none that the truth does not know. As soon as a run ends well and
//! leaves no gap, the tables and photos are, byte for byte, those of a collection with pages of another size and without a
//! fault. What is promised of each kind of fault of an API:
//!
//! | fault | promise |
//! |---|---|
//! | statuses, three kinds of 429, revoked tokens, broken, cut, stalled and slow answers, empty ones, web pages, JSON without its end | the request is repeated or the run ends and says so; what was not covered is a gap, and the next run fills it |
//! | gzip, chunked, shuffled pages, records that come twice | nothing changes |
//! | a page cut short, or without one of its records, and no word of it | a page that is shorter than asked for is asked for twice, and both answers count: nothing is lost unless both lack the same post. Where the source counts its posts (`arctic_shift`), even that is told as a gap of that day |
//! | an answer with no record at all | asked for again where it contradicts what came; if it stays so, a gap |
//! | a full page of `limit=auto`, whose size nobody knows, without one of its records | told by the source's own counts as a gap |
//!
//! What no client can see stays out: a post that a source without counts never shows. A listing promises what it holds, so
//! that its truth is the posts that are listed; what lies beyond its thousand is a gap. A photo's host cannot hide a photo
//! without a word, but lie about it once: the post is dropped with that reason, and the next run over its window brings
//! it, so that cases with photos end with one more run without faults. The daily look-up of posts that wait does not ask for
//! those again: a host that stands by its lie would be asked for ever, as nothing notes how often it was.
//!
//! The tests run a few seeds. `NATUREDDIT_TEST_SEEDS=all`, which `cargo xtask ci --full` sets, runs all, with 100,000 posts
//! from every source; they are texts, videos, links and what is gone, which are judged without a fetch, so that every one
//! must be in `dropped.csv` with its own reason. A case that fails tells its seed, and `NATUREDDIT_TEST_SEEDS=17 cargo test
//! --release --workspace --test it -- properties::NAME` runs that seed of that test alone.

mod daily;
mod draw;
mod killed;
mod oracle;
mod seeds;
mod whole;
mod world;

use natureddit_sandbox::Fault;

use crate::truth::in_a_runtime;
use draw::{Case, From, hiding, rng, told};
use seeds::{each_seed, is_full};
use world::{World, content};

#[test]
fn a_dataset_is_the_same_whatever_goes_wrong() {
    each_seed(60, 1_000, |seed| in_a_runtime(check(Case::drawn(seed))));
}

#[test]
fn every_fault_alone_changes_nothing() {
    for from in From::ASKED {
        let path = if from == From::RedditOauth { "/new?" } else { "search" };
        let faults = told(&mut rng(1)).into_iter().chain(hiding(&mut rng(2), 8));
        for (number, action) in faults.enumerate() {
            let mut case = Case::new(&mut rng(number as u64), number as u64, from);
            let times = if number % 3 == 0 && !is_hiding(&action) { 4 } else { 1 };
            case.faults = vec![Fault::new(path, number as u64 % 9 + 1, times, action)];
            in_a_runtime(check(case));
        }
    }
}

fn is_hiding(action: &natureddit_sandbox::FaultAction) -> bool {
    use natureddit_sandbox::FaultAction::{MissingRecord, ShortPage};
    matches!(action, ShortPage { .. } | MissingRecord { .. })
}

/// Collects without and with the faults of a case; both datasets are the same.
async fn check(case: Case) {
    let world = World::new(case).await;
    let expected = world.reference().await;
    let folder = tempfile::tempdir().unwrap();
    world.break_it();
    world.collect_until_whole(folder.path()).await;
    if !world.case.posts_only {
        world.sandbox.mend();
        world.collect(folder.path(), world.case.page_size).await.unwrap();
    }
    assert!(content(folder.path()) == expected, "{:?}", world.case);
}

#[test]
fn a_program_that_is_killed_anywhere_leaves_nothing_out() {
    each_seed(8, 120, |seed| in_a_runtime(killed::run(seed)));
}

#[test]
fn daily_runs_of_a_listing_miss_no_post() {
    each_seed(12, 60, |seed| in_a_runtime(daily::run_daily(seed)));
}

#[test]
fn what_a_listing_does_not_hold_lies_in_a_gap() {
    in_a_runtime(daily::run_over_the_cap(1));
}

#[test]
fn the_run_after_an_outage_brings_what_that_missed() {
    each_seed(4, 40, |seed| {
        for from in From::ASKED {
            in_a_runtime(daily::run_with_an_outage(seed, from));
        }
    });
}

#[test]
fn a_hundred_thousand_posts_are_all_there() {
    for from in From::ALL.into_iter().filter(|from| is_full() || *from == From::Pushshift) {
        in_a_runtime(whole::run_posts(from));
    }
}

#[test]
fn the_photos_of_two_thousand_posts_are_all_there() {
    if is_full() {
        in_a_runtime(whole::run_photos());
    }
}
