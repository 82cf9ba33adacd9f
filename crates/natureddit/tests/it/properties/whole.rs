//! The large corpora: 100,000 posts, of which no photo is fetched, and 2,000 with their photos.

use natureddit_sandbox::Fault;

use super::draw::{Case, From, hiding, rng, told};
use super::world::{World, content};
use super::{is_hiding, oracle};

/// How far apart the faults are that hide posts: a page and its repetition must not both be hit.
const HIDING_APART: u64 = 40;

/// Every fault of the script: those that may stop a run among its first requests, so that it is not begun anew too late,
/// those that hide posts everywhere.
fn all_faults(path: &str, requests: u64) -> Vec<Fault> {
    let mut rng = rng(9);
    let mut faults: Vec<_> =
        told(&mut rng).into_iter().zip(1..).map(|(action, at)| Fault::new(path, 3 * at, 1 + at % 2, action)).collect();
    let first = 3 * faults.len() as u64 + 10;
    for at in (first..requests).step_by(HIDING_APART as usize) {
        let kinds = hiding(&mut rng, 90);
        let action = kinds[(at / HIDING_APART) as usize % kinds.len()].clone();
        faults.push(Fault::new(path, at, 1, action));
    }
    faults
}

pub(super) async fn run_posts(from: From) {
    let mut case = Case::new(&mut rng(100), 100, from);
    (case.posts, case.page_size, case.page_size_of_reference) = (100_000, 90, 100);
    case.timeout_above = None;
    let path = if from == From::RedditOauth { "/new?" } else { "search" };
    if from != From::Dump {
        case.faults = all_faults(path, 2_000);
    }
    assert!(from == From::Dump || case.faults.iter().any(|fault| is_hiding(&fault.action)));
    let world = World::new(case).await;
    let folder = tempfile::tempdir().unwrap();
    world.break_it();
    if from == From::RedditOauth {
        // Only its newest thousand are listed; what is older is a gap that stays.
        world.sandbox.mend();
        world.collect(folder.path(), world.case.page_size).await.unwrap();
        oracle::check(folder.path(), &world);
        return;
    }
    world.collect_until_whole(folder.path()).await;
    oracle::check_posts(folder.path(), &world, |_| true);
    oracle::check_reasons(folder.path(), &world);
}

pub(super) async fn run_photos() {
    let mut case = Case::new(&mut rng(200), 200, From::Pushshift);
    (case.posts, case.posts_only) = (2_000, false);
    case.faults = all_faults("/pullpush/", 1);
    case.faults.extend(all_faults("/media/", 1_500));
    let world = World::new(case).await;
    let expected = world.reference().await;
    let folder = tempfile::tempdir().unwrap();
    world.break_it();
    world.collect_until_whole(folder.path()).await;
    world.sandbox.mend();
    world.collect(folder.path(), world.case.page_size).await.unwrap();
    oracle::check_reasons(folder.path(), &world);
    assert!(content(folder.path()) == expected);
}
