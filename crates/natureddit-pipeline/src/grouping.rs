//! Which examples belong together: an author's photos, copies of one photo, posts of one title.
//!
//! What belongs together stays on one side of every split, for otherwise the model is judged by what it has learned.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use natureddit_core::PostId;
use natureddit_core::text::normalise_title;
use rayon::prelude::*;

/// What grouping looks at of one example.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// The post.
    pub id: &'a PostId,
    /// When it was posted, in seconds since the epoch.
    pub created_utc: i64,
    /// Its author; an empty one and those in brackets (`[deleted]`) join nothing.
    pub author: &'a str,
    /// Its title; one that is empty when normalised joins nothing.
    pub title: &'a str,
    /// The photo's 64-bit perceptual hash.
    pub perceptual_hash: Option<u64>,
}

/// The group of each member, by the id of its oldest post (the smallest id among equally old ones).
///
/// Two members are in one group when a chain of equal authors, equal normalised titles, equal ids, or photos of at most
/// `distance_max` different bits leads from one to the other. The key does not depend on the members' order, and stays
/// when newer posts join; only two groups that grow into one give the newer one's members another key.
#[must_use]
pub fn group<'a>(members: &[Member<'a>], distance_max: u32) -> Vec<&'a PostId> {
    let mut sets = DisjointSets::new(members.len());
    let titles: Vec<String> = members.par_iter().map(|member| normalise_title(member.title)).collect();
    join_equal(&mut sets, members.iter().map(|member| Some(member.id)));
    join_equal(&mut sets, members.iter().map(|member| is_person(member.author).then_some(member.author)));
    join_equal(&mut sets, titles.iter().map(|title| (!title.is_empty()).then_some(title)));
    let hashes: Vec<Option<u64>> = members.iter().map(|member| member.perceptual_hash).collect();
    join_near(&mut sets, &hashes, distance_max);
    let age = |at: usize| (members[at].created_utc, members[at].id);
    // By the set's root, the oldest of its members seen so far.
    let mut oldest: Vec<Option<usize>> = vec![None; members.len()];
    for at in 0..members.len() {
        let first = oldest[sets.find(at)].get_or_insert(at);
        if age(at) < age(*first) {
            *first = at;
        }
    }
    (0..members.len()).map(|at| members[oldest[sets.find(at)].unwrap_or(at)].id).collect()
}

/// Whether a name is that of one person: an empty one and those in brackets (`[deleted]`) are not.
pub(crate) fn is_person(author: &str) -> bool {
    !author.trim().is_empty() && !author.starts_with('[')
}

/// Joins the members with equal keys; `None` joins nothing.
fn join_equal<K: std::hash::Hash + Eq>(sets: &mut DisjointSets, keys: impl Iterator<Item = Option<K>>) {
    let mut first = HashMap::with_capacity(sets.parents.len());
    for (at, key) in keys.enumerate() {
        let Some(key) = key else { continue };
        match first.entry(key) {
            Entry::Occupied(other) => sets.join(*other.get(), at),
            Entry::Vacant(free) => _ = free.insert(at),
        }
    }
}

/// For each photo the number of its set: a chain of photos of at most `distance_max` different bits leads from any of a set
/// to any other.
pub(crate) fn near_photos(hashes: &[Option<u64>], distance_max: u32) -> Vec<usize> {
    let mut sets = DisjointSets::new(hashes.len());
    join_near(&mut sets, hashes, distance_max);
    (0..hashes.len()).map(|at| sets.find(at)).collect()
}

fn join_near(sets: &mut DisjointSets, hashes: &[Option<u64>], distance_max: u32) {
    join_equal(sets, hashes.iter().copied());
    let mut hashes: Vec<(u64, usize)> =
        hashes.iter().enumerate().filter_map(|(at, hash)| Some(((*hash)?, at))).collect();
    hashes.sort_unstable();
    hashes.dedup_by_key(|(hash, _)| *hash);
    near_pairs(&hashes, distance_max, |one, other| sets.join(one, other));
}

/// Calls `found` for every pair of hashes that differ in at most `distance_max` bits; the hashes are distinct.
///
/// Not every pair is compared: of four 16-bit chunks, one must differ in at most a quarter of `distance_max` bits, so
/// each hash is compared only with those that share such a chunk.
fn near_pairs(hashes: &[(u64, usize)], distance_max: u32, mut found: impl FnMut(usize, usize)) {
    let flips = flips(distance_max / CHUNKS);
    let pairs = |chunk| {
        let buckets = Buckets::new(hashes, chunk);
        let mut pairs = Vec::new();
        for &(hash, at) in hashes {
            for flip in &flips {
                let near = buckets.of(chunk_of(hash, chunk) ^ flip).iter();
                let close = near.filter(|(other, _)| *other < hash && (hash ^ other).count_ones() <= distance_max);
                pairs.extend(close.map(|&(_, other)| (other, at)));
            }
        }
        pairs
    };
    let pairs: Vec<Vec<(usize, usize)>> = (0..CHUNKS).into_par_iter().map(pairs).collect();
    pairs.into_iter().flatten().for_each(|(one, other)| found(one, other));
}

/// Hashes by one of their chunks, all in one list: many small ones would be all over the memory.
struct Buckets {
    hashes: Vec<(u64, usize)>,
    /// Where those with a chunk begin, and with the one after it.
    starts: Vec<usize>,
}

impl Buckets {
    fn new(hashes: &[(u64, usize)], chunk: u32) -> Self {
        let mut hashes = hashes.to_vec();
        hashes.sort_by_key(|(hash, _)| chunk_of(*hash, chunk));
        let mut starts = vec![0; (1 << 16) + 1];
        hashes.iter().for_each(|(hash, _)| starts[usize::from(chunk_of(*hash, chunk)) + 1] += 1);
        for chunk in 1..starts.len() {
            starts[chunk] += starts[chunk - 1];
        }
        Self { hashes, starts }
    }

    fn of(&self, chunk: u16) -> &[(u64, usize)] {
        &self.hashes[self.starts[usize::from(chunk)]..self.starts[usize::from(chunk) + 1]]
    }
}

const CHUNKS: u32 = 4;

#[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is wanted")]
fn chunk_of(hash: u64, chunk: u32) -> u16 {
    (hash >> (16 * chunk)) as u16
}

/// Every 16-bit number with at most that many bits set.
fn flips(bits_max: u32) -> Vec<u16> {
    (0..=u16::MAX).filter(|flip| flip.count_ones() <= bits_max).collect()
}

/// Union-find with path halving, smaller sets joined to larger ones.
struct DisjointSets {
    parents: Vec<usize>,
    sizes: Vec<usize>,
}

impl DisjointSets {
    fn new(length: usize) -> Self {
        Self { parents: (0..length).collect(), sizes: vec![1; length] }
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.find(one), self.find(other));
        if one == other {
            return;
        }
        let (small, large) = if self.sizes[one] < self.sizes[other] { (one, other) } else { (other, one) };
        self.parents[small] = large;
        self.sizes[large] += self.sizes[small];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Owned parts of a member: number, author, title, perceptual hash.
    type Parts = (u32, String, String, Option<u64>);

    fn keys(rows: &[Parts], distance_max: u32) -> Vec<String> {
        let ids: Vec<PostId> = rows.iter().map(|(number, ..)| format!("p{number:05}").parse().unwrap()).collect();
        let members: Vec<Member<'_>> = rows
            .iter()
            .zip(&ids)
            .map(|((number, author, title, perceptual_hash), id)| Member {
                id,
                created_utc: i64::from(*number),
                author,
                title,
                perceptual_hash: *perceptual_hash,
            })
            .collect();
        group(&members, distance_max).into_iter().map(ToString::to_string).collect()
    }

    fn row(number: u32, author: &str, title: &str, hash: Option<u64>) -> Parts {
        (number, author.into(), title.into(), hash)
    }

    #[test]
    fn author_title_and_photo_each_join_and_chains_count() {
        let rows = [
            row(5, "ann", "a lake", Some(0)),
            row(4, "ann", "a hill", Some(u64::MAX)),
            row(3, "bob", "A HILL! [OC]", None),
            row(2, "cid", "a tree", Some(0b111)),
            row(1, "dee", "a crow", Some(0xff00)),
        ];
        assert_eq!(keys(&rows, 6), ["p00002", "p00002", "p00002", "p00002", "p00001"]);
        assert_eq!(keys(&rows, 2), ["p00003", "p00003", "p00003", "p00002", "p00001"]);
    }

    #[test]
    fn nobody_and_nothing_join_nothing() {
        let rows = [
            row(1, "[deleted]", "🌲", None),
            row(2, "[deleted]", "🌲🌲", None),
            row(3, "", "", None),
            row(4, "", "", None),
        ];
        assert_eq!(keys(&rows, 64).into_iter().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn a_newer_post_does_not_change_the_key_of_the_group_it_joins() {
        let mut rows = vec![row(10, "ann", "x", None), row(20, "ann", "y", None)];
        let before = keys(&rows, 0);
        rows.push(row(30, "ann", "z", None));
        assert_eq!(keys(&rows, 0)[..2], before);
    }

    #[test]
    fn photos_of_one_post_stay_together() {
        let rows = [row(1, "", "", Some(0)), row(1, "", "", Some(u64::MAX))];
        assert_eq!(keys(&rows, 0), ["p00001", "p00001"]);
    }

    fn rows() -> impl Strategy<Value = Vec<Parts>> {
        // Few authors and titles, and hashes that differ in few bits, so that chains are common.
        let hash = prop_oneof![
            3 => proptest::collection::vec(0_u32..64, 0..9).prop_map(|bits| Some(bits.iter().fold(0, |h, b| h ^ (1 << b)))),
            1 => Just(None),
        ];
        let row = ("[a-h]|\\[deleted\\]|", "[a-h]|", hash).prop_map(|(author, title, hash)| (0, author, title, hash));
        proptest::collection::vec(row, 0..25).prop_map(|mut rows| {
            (1..).zip(&mut rows).for_each(|(number, row)| row.0 = number);
            rows
        })
    }

    proptest! {
        #[test]
        fn the_pairs_found_are_those_of_comparing_all(
            hashes in proptest::collection::btree_set(any::<[u8; 8]>().prop_map(|b| u64::from_le_bytes(b) & 0x0303_0101_0707_1111), 0..60),
            distance_max in 0_u32..20,
        ) {
            let hashes: Vec<(u64, usize)> = hashes.into_iter().zip(0..).collect();
            let mut pairs = BTreeSet::new();
            near_pairs(&hashes, distance_max, |one, other| _ = pairs.insert((one, other)));
            let mut all = BTreeSet::new();
            for &(one, at) in &hashes {
                for &(other, later) in &hashes[at + 1..] {
                    if (one ^ other).count_ones() <= distance_max {
                        all.insert((at, later));
                    }
                }
            }
            prop_assert_eq!(pairs, all);
        }

        #[test]
        fn groups_do_not_depend_on_the_order_of_rows(rows in rows(), by in any::<proptest::sample::Index>()) {
            let mut expected = keys(&rows, 6);
            let mut turned = rows.clone();
            if !rows.is_empty() {
                turned.rotate_left(by.index(rows.len()));
                expected.rotate_left(by.index(rows.len()));
                turned.reverse();
                expected.reverse();
            }
            prop_assert_eq!(keys(&turned, 6), expected);
        }

        #[test]
        fn a_row_that_comes_later_moves_nobody_but_those_it_merges(rows in rows()) {
            let Some((_, older)) = rows.split_last() else { return Ok(()) };
            let (before, after) = (keys(older, 6), keys(&rows, 6));
            // The newest row's group may be several old groups in one; all other keys stay.
            let merged: BTreeSet<&String> =
                before.iter().zip(&after).filter(|(_, now)| *now == &after[older.len()]).map(|(was, _)| was).collect();
            for (was, now) in before.iter().zip(&after) {
                if merged.contains(was) {
                    prop_assert_eq!(now, merged.iter().next().copied().unwrap());
                } else {
                    prop_assert_eq!(was, now);
                }
            }
        }

        #[test]
        fn what_must_stay_together_does(rows in rows()) {
            let keys = keys(&rows, 6);
            for (one, key) in rows.iter().zip(&keys) {
                for (other, other_key) in rows.iter().zip(&keys) {
                    let author = one.1 == other.1 && is_person(&one.1);
                    let title = one.2 == other.2 && !one.2.is_empty();
                    let near = one.3.zip(other.3).is_some_and(|(a, b)| (a ^ b).count_ones() <= 6);
                    if author || title || near {
                        prop_assert_eq!(key, other_key);
                    }
                }
            }
        }
    }
}
