//! Between which values activations lie, as seen on calibration inputs.

use std::collections::BTreeMap;

use natureddit_core::{ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};

/// The smallest and the largest value of each activation of one graph. It decides the bytes of the quantised graph, together
/// with the graph itself, so it is stored and hashed with what is made from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActivationRanges(BTreeMap<String, Range>);

/// From the smallest to the largest value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    pub(crate) min: f32,
    pub(crate) max: f32,
}

impl ActivationRanges {
    /// What decides the quantised graph besides the graph: equal ranges have equal hashes.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        let mut hasher = ContentHasher::new();
        for (value, Range { min, max }) in &self.0 {
            hasher.part(value).part(min.to_le_bytes()).part(max.to_le_bytes());
        }
        hasher.finish()
    }

    /// Widens the range of a value.
    pub(crate) fn widen(&mut self, value: &str, seen: Range) {
        let widen = |range: &mut Range| {
            *range = Range { min: range.min.min(seen.min), max: range.max.max(seen.max) };
        };
        self.0.entry(value.to_owned()).and_modify(widen).or_insert(seen);
    }

    /// Widens every range by those of others, in whatever order they come.
    pub(crate) fn merge(&mut self, others: &Self) {
        others.0.iter().for_each(|(value, &seen)| self.widen(value, seen));
    }

    pub(crate) fn get(&self, value: &str) -> Option<Range> {
        self.0.get(value).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_in_any_order_and_come_back_from_text_to_the_last_bit() {
        let seen = [("a", -0.1, 0.3), ("b", 0.0, 1.0 / 3.0), ("a", 0.2, 7.7), ("b", -1e-30, 0.1)];
        let one = |&(value, min, max): &(&str, f32, f32)| {
            let mut ranges = ActivationRanges::default();
            ranges.widen(value, Range { min, max });
            ranges
        };
        let mut forth = ActivationRanges::default();
        seen.iter().for_each(|item| forth.merge(&one(item)));
        let mut back = ActivationRanges::default();
        seen.iter().rev().for_each(|item| back.merge(&one(item)));
        assert_eq!(forth, back);
        assert_eq!(forth.get("a"), Some(Range { min: -0.1, max: 7.7 }));

        let text = serde_json::to_string(&forth).unwrap();
        let read: ActivationRanges = serde_json::from_str(&text).unwrap();
        assert_eq!((read.hash(), &read), (forth.hash(), &forth));
        let mut wider = forth.clone();
        wider.widen("b", Range { min: 0.0, max: 0.34 });
        assert_ne!(wider.hash(), forth.hash());
    }
}
