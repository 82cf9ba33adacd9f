//! Posts that look or read the same and have different labels: one of the labels is wrong, or the classes are not clear.

use std::collections::{BTreeMap, BTreeSet};

use natureddit_core::PostId;
use natureddit_core::text::normalise_title;
use natureddit_image::PerceptualHash;
use serde::Serialize;

use crate::examples::Example;
use crate::grouping::near_photos;

/// What some posts have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Photos that are near-duplicates.
    Photo,
    /// Titles that are equal but for case, punctuation and the like.
    Title,
}

/// Posts that are alike with different labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// What they have in common.
    pub kind: ConflictKind,
    /// The posts, two or more.
    pub posts: Vec<Conflicting>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflicting {
    /// The post.
    pub id: PostId,
    /// Its photo.
    pub img_name: String,
    /// Its title.
    pub title: String,
    /// Its label.
    pub given: String,
}

/// Every set of posts whose photos differ in at most so many bits from the next, or whose titles are equal, and that have
/// more than one label; in the order of their first post.
pub(super) fn conflicts(examples: &[&Example], distance_max: u32) -> Vec<Conflict> {
    let hashes: Vec<Option<u64>> = examples.iter().map(|example| example.phash.map(PerceptualHash::bits)).collect();
    // A photo whose hash is not known is a set of its own.
    let photos = near_photos(&hashes, distance_max);
    let titles: Vec<String> = examples.iter().map(|example| normalise_title(&example.title)).collect();
    let photos = photos.into_iter().map(Some);
    let titles = titles.iter().map(|title| Some(title).filter(|title| !title.is_empty()));
    let mut found = of_kind(ConflictKind::Photo, photos, examples);
    found.extend(of_kind(ConflictKind::Title, titles, examples));
    found
}

/// The sets of equal keys; `None` is in no set.
fn of_kind<K: Ord>(kind: ConflictKind, keys: impl Iterator<Item = Option<K>>, examples: &[&Example]) -> Vec<Conflict> {
    let mut sets: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (at, key) in keys.enumerate() {
        if let Some(key) = key {
            sets.entry(key).or_default().push(at);
        }
    }
    let differ = |set: &&Vec<usize>| set.iter().map(|&at| &examples[at].choice).collect::<BTreeSet<_>>().len() > 1;
    let mut sets: Vec<&Vec<usize>> = sets.values().filter(differ).collect();
    sets.sort_unstable();
    let conflicting = |&at: &usize| Conflicting {
        id: examples[at].id.clone(),
        img_name: examples[at].img_name.clone(),
        title: examples[at].title.clone(),
        given: examples[at].choice.clone(),
    };
    sets.into_iter().map(|set| Conflict { kind, posts: set.iter().map(conflicting).collect() }).collect()
}
