//! Which values there are and how often, in bounded memory.
//!
//! Exact up to [`VALUES_MAX`] different values of [`BYTES_MAX`] bytes together. Beyond, the rarer half is dropped each
//! time the table is full: a value that comes again counts from one again, and by how much a count may be too low is
//! kept ([`ValueCounts::count_error`]). How many different values there are is then estimated from the least of their
//! hashes ([`LeastHashes`]): the standard error is 0.4 %.

mod least_hashes;

use std::cmp::Reverse;

use natureddit_core::ContentHash;

use self::least_hashes::{LeastHashes, hash};

/// So many different values are counted exactly.
pub(super) const VALUES_MAX: usize = 1 << 17;
/// Their bytes together: 16 MiB.
const BYTES_MAX: usize = 16 << 20;
/// Of a longer value only the start is kept, with its hash, so that different ones stay different.
pub(super) const VALUE_BYTES_MAX: usize = 1024;

/// The different values among those that come one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueCounts {
    /// The values, one after the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Where the entries are, by hash, open addressing: the index plus one, 0 for none. A power of two long.
    table: Vec<u32>,
    /// All values that ever were there, once some were dropped.
    seen: Option<LeastHashes>,
    count_error: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    len: u32,
    hash: u64,
    count: u64,
}

impl ValueCounts {
    pub(super) fn push(&mut self, value: &[u8]) {
        if value.len() > VALUE_BYTES_MAX {
            self.add(&shortened(value), 1);
        } else {
            self.add(value, 1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.seen {
            self.seen().merge(theirs);
            self.count_error += other.count_error;
        }
        for entry in &other.entries {
            self.add(other.value(entry), entry.count);
        }
    }

    fn add(&mut self, value: &[u8], count: u64) {
        if self.table.len() < 2 * (self.entries.len() + 1) {
            self.rebuild_table();
        }
        let hash = hash(value);
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(at) = self.table[slot].checked_sub(1) {
            let entry = &mut self.entries[at as usize];
            let (start, len) = (entry.start as usize, entry.len as usize);
            if entry.hash == hash && self.bytes[start..start + len] == *value {
                entry.count += count;
                return;
            }
            slot = (slot + 1) & mask;
        }
        // Both limits are far below 2^32.
        let entry = Entry { start: self.bytes.len() as u32, len: value.len() as u32, hash, count };
        self.bytes.extend_from_slice(value);
        self.entries.push(entry);
        self.table[slot] = self.entries.len() as u32;
        if let Some(seen) = &mut self.seen {
            seen.push(hash);
        }
        if self.entries.len() > VALUES_MAX || self.bytes.len() > BYTES_MAX {
            self.drop_rare();
        }
    }

    fn rebuild_table(&mut self) {
        let len = (4 * (self.entries.len() + 1)).next_power_of_two().max(64);
        self.table = vec![0; len];
        for (at, entry) in self.entries.iter().enumerate() {
            let mut slot = entry.hash as usize & (len - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (len - 1);
            }
            self.table[slot] = at as u32 + 1;
        }
    }

    /// Keeps the most frequent values: half as many, and half as many bytes, as there may be.
    fn drop_rare(&mut self) {
        self.seen();
        let mut order = std::mem::take(&mut self.entries);
        let bytes = std::mem::take(&mut self.bytes);
        let value = |entry: &Entry| &bytes[entry.start as usize..][..entry.len as usize];
        order.sort_unstable_by_key(|entry| (Reverse(entry.count), Reverse(value(entry))));
        for entry in &order {
            let len = entry.len as usize;
            if self.entries.len() >= VALUES_MAX / 2 || self.bytes.len() + len > BYTES_MAX / 2 {
                self.count_error += entry.count;
                break;
            }
            self.entries.push(Entry { start: self.bytes.len() as u32, ..*entry });
            self.bytes.extend_from_slice(value(entry));
        }
        self.rebuild_table();
    }

    /// The hashes of all values there were; from now on those of all that come.
    fn seen(&mut self) -> &mut LeastHashes {
        let entries = &self.entries;
        self.seen.get_or_insert_with(|| entries.iter().map(|entry| entry.hash).collect())
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start as usize..][..entry.len as usize]
    }

    /// How many different values there are.
    pub(super) fn unique(&self) -> u64 {
        let kept = self.entries.len() as u64;
        self.seen.as_ref().map_or(kept, |seen| seen.estimate().max(kept))
    }

    /// By how much a count may be too low; 0 while nothing was dropped.
    pub(super) fn count_error(&self) -> u64 {
        self.count_error
    }

    /// The most frequent values and their counts; of equally frequent ones the greater bytes come first, as in TFDV.
    pub(super) fn top(&self, count: usize) -> Vec<(&[u8], u64)> {
        let key = |entry: &Entry| (Reverse(entry.count), Reverse(self.value(entry)));
        let mut order: Vec<&Entry> = self.entries.iter().collect();
        if order.len() > count {
            order.select_nth_unstable_by(count, |a, b| key(a).cmp(&key(b)));
            order.truncate(count);
        }
        order.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        order.into_iter().map(|entry| (self.value(entry), entry.count)).collect()
    }
}

/// Its start, not cut within a character, and its hash.
fn shortened(value: &[u8]) -> Vec<u8> {
    const HASH_BYTES: usize = 64 + "...".len();
    let mut len = VALUE_BYTES_MAX - HASH_BYTES;
    while len > 0 && value[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    [&value[..len], b"...", ContentHash::of(value).to_string().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn of<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> ValueCounts {
        let mut counts = ValueCounts::default();
        values.into_iter().for_each(|value| counts.push(value.as_ref()));
        counts
    }

    proptest! {
        #[test]
        fn few_values_are_exact_whole_or_merged(
            values in proptest::collection::vec("[a-d]{0,3}", 0..200),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut exact: BTreeMap<&str, u64> = BTreeMap::new();
            values.iter().for_each(|value| *exact.entry(value).or_default() += 1);
            let mut expected: Vec<(&[u8], u64)> = exact.iter().map(|(value, count)| (value.as_bytes(), *count)).collect();
            expected.sort_by(|a, b| (b.1, b.0).cmp(&(a.1, a.0)));
            expected.truncate(5);
            let (left, right) = values.split_at(if values.is_empty() { 0 } else { cut.index(values.len()) });
            let mut merged = of(left);
            merged.merge(&of(right));
            for counts in [of(&values), merged] {
                prop_assert_eq!(counts.top(5), expected.as_slice());
                prop_assert_eq!((counts.unique(), counts.count_error()), (exact.len() as u64, 0));
            }
        }
    }

    /// Every number once, but each fifth value is one of three.
    fn many(from: u64, to: u64) -> impl Iterator<Item = String> {
        (from..to).map(|at| if at % 5 == 0 { format!("frequent{}", at % 3) } else { format!("value{at}") })
    }

    #[test]
    fn a_million_values_are_told_apart_within_the_stated_error_whole_or_merged() {
        let total = 1_000_000;
        let mut merged = of(many(0, 300_000));
        merged.merge(&of(many(300_000, total)));
        for counts in [of(many(0, total)), merged] {
            assert!(counts.entries.len() <= VALUES_MAX && counts.table.len() <= 8 * VALUES_MAX);
            let unique = counts.unique() as f64;
            // Three standard errors.
            assert!((unique / 800_003.0 - 1.0).abs() < 0.012, "{unique}");
            assert!(counts.count_error() > 0 && counts.count_error() < 100, "{}", counts.count_error());
            for (value, count) in counts.top(3) {
                assert!(value.starts_with(b"frequent"));
                assert!((66_666 - counts.count_error()..=66_667).contains(&count), "{count}");
            }
        }
    }

    #[test]
    fn long_values_stay_different_and_cost_no_more_than_a_limit() {
        let long = |last: &str| "ä".repeat(40_000) + last;
        let counts = of([long("1"), long("2"), long("1")]);
        let top = counts.top(9);
        assert_eq!((counts.unique(), top[0].1, top[1].1), (2, 2, 1));
        for (value, _) in top {
            let text = str::from_utf8(value).unwrap();
            assert!(text.starts_with("ää") && text.contains("...") && value.len() <= VALUE_BYTES_MAX);
        }
        let many = of((0..40_000).map(|at| format!("{at:01000}")));
        assert!(many.bytes.len() <= BYTES_MAX && many.count_error() > 0);
    }
}
