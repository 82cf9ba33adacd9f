//! Resamples of whole groups, and the intervals that follow from them.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Bootstrap;

/// Which group each row belongs to. Groups are numbered in the order of their names, so that resamples do not depend on
/// the order of the rows.
pub(super) struct Groups {
    of_row: Vec<usize>,
    len: usize,
}

impl Groups {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut numbers: BTreeMap<&str, usize> = names.clone().map(|name| (name, 0)).collect();
        (0..).zip(numbers.values_mut()).for_each(|(number, group)| *group = number);
        Self { of_row: names.map(|name| numbers[name]).collect(), len: numbers.len() }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Resamples: how often each group is in each of them. As many groups are drawn as there are.
    pub(super) fn resamples(&self, bootstrap: &Bootstrap) -> impl Iterator<Item = Vec<u64>> + use<> {
        let mut rng = ChaCha8Rng::seed_from_u64(bootstrap.seed);
        let groups = self.len;
        let samples = if groups == 0 { 0 } else { bootstrap.samples };
        (0..samples).map(move |_| {
            let mut drawn = vec![0; groups];
            (0..groups).for_each(|_| drawn[rng.random_range(0..groups)] += 1);
            drawn
        })
    }

    /// How often each row is in a resample of the groups.
    pub(super) fn of_rows(&self, drawn: &[u64]) -> Vec<u64> {
        self.of_row.iter().map(|&group| drawn[group]).collect()
    }
}

/// Where the middle share of `confidence` of the values lies. Values that are not numbers do not count; zeros where
/// there is none.
pub(super) fn interval(values: impl Iterator<Item = f64>, confidence: f64) -> [f64; 2] {
    let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    if values.is_empty() {
        return [0.0, 0.0];
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    let tail = (1.0 - confidence) / 2.0;
    [at(tail), at(1.0 - tail)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_leaves_half_of_the_rest_out_at_either_end() {
        assert_eq!(interval((0..=100).map(f64::from), 0.9), [5.0, 95.0]);
        assert_eq!(interval([2.0, f64::NAN, 1.0].into_iter(), 0.95), [1.0, 2.0]);
        assert_eq!(interval([f64::NAN].into_iter(), 0.95), [0.0, 0.0]);
    }

    #[test]
    fn whole_groups_are_drawn_as_many_as_there_are() {
        let groups = Groups::new(["b", "a", "b", "c"].into_iter());
        let bootstrap = Bootstrap { samples: 50, confidence: 0.95, seed: 3 };
        for drawn in groups.resamples(&bootstrap) {
            assert_eq!(drawn.iter().sum::<u64>(), 3);
            assert_eq!(groups.of_rows(&drawn), [drawn[1], drawn[0], drawn[1], drawn[2]]);
        }
    }
}
