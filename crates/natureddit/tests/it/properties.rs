//! Collecting loses nothing.

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
    each_seed(60, 2_000, |seed| in_a_runtime(check(Case::drawn(seed))));
}

#[test]
fn every_fault_alone_changes_nothing() {
    for from in From::ASKED {
        let path = if from == From::RedditOauth { "/new?" } else { "search" };
        let faults = told(&mut rng(1)).into_iter().chain(hiding(&mut rng(2)));
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
    each_seed(16, 400, |seed| in_a_runtime(killed::run(seed)));
}

#[test]
fn daily_runs_of_a_listing_miss_no_post() {
    each_seed(6, 60, |seed| in_a_runtime(daily::run_daily(seed)));
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
