//! What must be true of a dataset after every run, by the simulator's truth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use natureddit_core::PostId;
use natureddit_core::fs;
use natureddit_data::gap::{GapReason, Ledger, OpenGap};
use natureddit_data::{Dataset, Window};
use natureddit_sandbox::{Outcome, TruthPost};

use super::draw::From;
use super::world::World;
use crate::truth::code;

/// The posts that the source of a case can show at all.
pub(super) fn truth(world: &World) -> impl Iterator<Item = &TruthPost> {
    let is_listing = world.case.from == From::RedditOauth;
    world.sandbox.truth().posts.iter().filter(move |post| post.is_listed || !is_listing)
}

/// Every post is in the dataset or in a gap that its ledger tells; nothing else is, and nothing twice.
pub(super) fn check(dir: &Path, world: &World) {
    check_times(dir, world, |_| true);
}

/// As [`check`], where only posts of some times were asked for.
pub(super) fn check_times(dir: &Path, world: &World, asked: impl Fn(i64) -> bool) {
    let ids = ids(dir);
    let known: BTreeSet<_> = world.sandbox.truth().posts.iter().map(|post| post.id.as_str()).collect();
    let invented: Vec<_> = ids.iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(invented.is_empty(), "invented: {invented:?}\n{:?}", world.case);
    let gaps = Ledger::read(dir).unwrap().open_gaps();
    let mut by_subreddit: BTreeMap<&str, Vec<Window>> = BTreeMap::new();
    for open in &gaps {
        by_subreddit.entry(&open.subreddit).or_default().push(open.gap.window);
    }
    let in_gap = |post: &TruthPost| {
        let gaps = by_subreddit.get(post.subreddit.as_str());
        gaps.is_some_and(|gaps| gaps.iter().any(|gap| gap.contains(post.created_utc)))
    };
    let lost = truth(world).filter(|post| asked(post.created_utc) && !ids.contains(post.id.as_str()) && !in_gap(post));
    let lost: Vec<_> = lost.map(|post| (&post.id, &post.subreddit, post.created_utc)).collect();
    assert!(lost.is_empty(), "{} posts are lost: {:?}\n{:?}", lost.len(), &lost[..lost.len().min(9)], world.case);
}

/// Every post of a kind is in the dataset, whatever the ledger says.
pub(super) fn check_posts(dir: &Path, world: &World, wanted: impl Fn(&TruthPost) -> bool) {
    let ids = ids(dir);
    let lost = truth(world).filter(|post| wanted(post) && !ids.contains(post.id.as_str()));
    let lost: Vec<_> = lost.map(|post| (&post.id, &post.subreddit, post.created_utc)).collect();
    assert!(lost.is_empty(), "{} posts are lost: {:?}\n{:?}", lost.len(), &lost[..lost.len().min(9)], world.case);
}

/// The ids of the tables as their lines have them, which a dataset that was read cannot hold twice.
fn ids(dir: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for table in ["posts.csv", "dropped.csv"] {
        let Some(bytes) = fs::optional(fs::read(&dir.join(table))).unwrap() else { continue };
        let mut lines = csv::Reader::from_reader(bytes.as_slice());
        let column = lines.headers().unwrap().iter().position(|name| name == "id").unwrap();
        for line in lines.records() {
            let id = line.unwrap()[column].to_owned();
            assert!(ids.insert(id.clone()), "{id} is twice in {}", dir.join(table).display());
        }
    }
    ids
}

/// The gaps that a later run can close.
pub(super) fn gaps(dir: &Path, world: &World) -> Vec<OpenGap> {
    let mut gaps = Ledger::read(dir).unwrap().open_gaps();
    // A dump ends with its last post, whatever the window says.
    gaps.retain(|open| world.case.from != From::Dump || open.gap.reason != GapReason::OutsideDump);
    gaps
}

/// Every post is what the truth says: a row, or dropped for that reason.
pub(super) fn check_reasons(dir: &Path, world: &World) {
    let dataset = Dataset::read(dir).unwrap();
    let (mut rows, mut dropped): (BTreeSet<PostId>, BTreeMap<PostId, &str>) = Default::default();
    for post in truth(world) {
        match post.outcome {
            Outcome::Row { .. } => _ = rows.insert(post.id.clone()),
            Outcome::Drop { reason } => _ = dropped.insert(post.id.clone(), code(reason)),
        }
    }
    let found: BTreeSet<_> = dataset.posts.values().map(|row| row.post.id.clone()).collect();
    assert!(found == rows, "{:?}", world.case);
    let found: BTreeMap<_, _> = dataset.dropped.values().map(|post| (post.id.clone(), post.reason.as_str())).collect();
    assert!(found == dropped, "{:?}", world.case);
}
