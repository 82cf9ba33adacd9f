//! How many examples a model was made of, and judged by. No id, title or name of an author leaves here.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use crate::examples::{Example, ExampleSource, read_split};
use crate::split::Split;

/// What subreddits are called that are somebody's own page: their names are names of authors.
const PROFILES: &str = "pages of users";

/// Counts of the labelled examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::components::pusher) struct Counts {
    /// Posts by class and split.
    pub(super) classes: BTreeMap<String, BTreeMap<Split, u64>>,
    /// Titles without a photo by class, which are all learnt from.
    pub(super) titles: BTreeMap<String, u64>,
    /// Posts by subreddit and split.
    pub(super) subreddits: BTreeMap<String, BTreeMap<Split, u64>>,
    /// The seconds of the oldest and the newest post.
    window: Option<(i64, i64)>,
    /// Posts that are not safe for work.
    pub(super) over_18: u64,
}

impl Counts {
    /// Of an Examples artifact.
    pub(in crate::components::pusher) fn read(examples: &Path) -> anyhow::Result<Self> {
        let mut counts = Self::default();
        for split in Split::ALL {
            read_split(examples, split)?.iter().for_each(|example| counts.add(example, split));
        }
        Ok(counts)
    }

    pub(super) fn add(&mut self, example: &Example, split: Split) {
        if example.source == ExampleSource::Title {
            *self.titles.entry(example.choice.clone()).or_default() += 1;
            return;
        }
        let count = |table: &mut BTreeMap<String, BTreeMap<Split, u64>>, name: &str| {
            *table.entry(name.to_owned()).or_default().entry(split).or_default() += 1;
        };
        count(&mut self.classes, &example.choice);
        count(&mut self.subreddits, subreddit(&example.subreddit));
        let at = example.created_utc;
        self.window = Some(self.window.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        self.over_18 += u64::from(example.over_18);
    }

    /// The posts of a split.
    pub(super) fn of_split(&self, split: Split) -> u64 {
        self.classes.values().filter_map(|splits| splits.get(&split)).sum()
    }

    /// The days of the oldest and the newest post, UTC.
    pub(super) fn window(&self) -> Option<[String; 2]> {
        let day = |second| Timestamp::from_second(second).ok().map(|at| at.strftime("%Y-%m-%d").to_string());
        let (first, last) = self.window?;
        Some([day(first)?, day(last)?])
    }
}

/// A subreddit as it may be named.
pub(super) fn subreddit(name: &str) -> &str {
    let is_profile = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("u_"));
    match name {
        _ if is_profile => PROFILES,
        "" => "(not told)",
        name => name,
    }
}
