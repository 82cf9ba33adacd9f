//! Quantiles in bounded memory: exact up to [`LEVEL_LEN`] numbers, then a sketch whose error has a proven bound.
//!
//! The sketch is a stack of buffers (Manku, Rajagopalan and Lindsay, "Approximate medians and other quantiles in one
//! pass and with limited memory", 1998): a number in buffer `h` stands for `2^h` numbers. A full buffer is sorted and
//! every second number of it goes to the next one; first the even ones, next time the odd ones, so that errors cancel.
//! No chance is involved, so that the same numbers in the same order give the same quantiles, which those of KLL sketches,
//! whose coins are flipped anew each time, do not.

/// How long a buffer is at most: 512 KiB.
pub(super) const LEVEL_LEN: usize = 1 << 16;

/// What is known of the distribution of numbers that come one by one. NaN must not be among them.
#[derive(Clone, Debug, Default)]
pub(super) struct QuantileSketch {
    levels: Vec<Level>,
    count: u64,
}

#[derive(Clone, Debug, Default)]
struct Level {
    values: Vec<f64>,
    /// Whether the next compaction keeps the odd ones.
    odd: bool,
    compactions: u64,
}

impl QuantileSketch {
    pub(super) fn push(&mut self, value: f64) {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        self.levels[0].values.push(value);
        self.count += 1;
        if self.levels[0].values.len() >= LEVEL_LEN {
            self.compact();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (at, level) in other.levels.iter().enumerate() {
            if self.levels.len() == at {
                self.levels.push(Level::default());
            }
            self.levels[at].values.extend_from_slice(&level.values);
            self.levels[at].compactions += level.compactions;
        }
        self.count += other.count;
        self.compact();
    }

    /// Halves every full buffer into the next one.
    fn compact(&mut self) {
        let mut at = 0;
        while at < self.levels.len() {
            if self.levels[at].values.len() >= LEVEL_LEN {
                let kept = self.levels[at].halve();
                if self.levels.len() == at + 1 {
                    self.levels.push(Level::default());
                }
                self.levels[at + 1].values.extend(kept);
            }
            at += 1;
        }
    }

    /// How many numbers a rank may be off: a compaction of buffer `h` moves a rank by at most `2^h`. Each takes nearly
    /// `LEVEL_LEN` numbers of weight `2^h`, so that this is at most `count / 65535` for each buffer but the last: 0.01 %
    /// of a million numbers, 0.03 % of a hundred million.
    #[cfg(test)]
    pub(super) fn rank_error(&self) -> u64 {
        self.levels.iter().enumerate().map(|(at, level)| level.compactions << at).sum()
    }

    /// The numbers kept, ascending, and how many each stands for.
    pub(super) fn distribution(&self) -> Distribution {
        let weighted = |(at, level): (usize, &Level)| -> Vec<(f64, u64)> {
            level.values.iter().map(|&value| (value, 1 << at)).collect()
        };
        let mut values: Vec<(f64, u64)> = self.levels.iter().enumerate().flat_map(weighted).collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Distribution { values, count: self.count }
    }
}

impl Level {
    /// Takes out an even number of values, and gives every second of them in their order.
    fn halve(&mut self) -> Vec<f64> {
        self.values.sort_unstable_by(f64::total_cmp);
        let left_over = if self.values.len() % 2 == 1 { self.values.pop() } else { None };
        let kept = self.values.iter().copied().skip(usize::from(self.odd)).step_by(2).collect();
        self.values.clear();
        self.values.extend(left_over);
        self.odd = !self.odd;
        self.compactions += 1;
        kept
    }
}

/// Numbers in ascending order, each with how many it stands for.
#[derive(Debug)]
pub(super) struct Distribution {
    values: Vec<(f64, u64)>,
    count: u64,
}

impl Distribution {
    /// For each share of the numbers, ascending from 0 to 1, the least number that at least so many are not above.
    pub(super) fn quantiles(&self, shares: &[f64]) -> Vec<f64> {
        let mut values = self.values.iter();
        let mut current = values.next();
        let mut below = 0;
        let mut quantiles = Vec::with_capacity(shares.len());
        for share in shares {
            let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
            while let Some((_, weight)) = current
                && below + weight < rank
                && let Some(next) = values.next()
            {
                below += weight;
                current = Some(next);
            }
            quantiles.push(current.map_or(f64::NAN, |(value, _)| *value));
        }
        quantiles
    }

    /// For each of some numbers, ascending, how many are not above it.
    pub(super) fn counts_up_to(&self, limits: &[f64]) -> Vec<u64> {
        let mut values = self.values.iter().peekable();
        let mut count = 0;
        let mut up_to = |limit: &f64| {
            while let Some((_, weight)) = values.next_if(|(value, _)| value <= limit) {
                count += weight;
            }
            count
        };
        limits.iter().map(&mut up_to).collect()
    }

    /// How many finite numbers lie in each of the intervals between the edges, the last edge belonging to the last one.
    pub(super) fn counts_between(&self, edges: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; edges.len().saturating_sub(1)];
        let mut at = 0;
        for (value, weight) in self.values.iter().filter(|(value, _)| value.is_finite()) {
            while at + 1 < counts.len() && *value >= edges[at + 1] {
                at += 1;
            }
            if let Some(count) = counts.get_mut(at) {
                *count += weight;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl Iterator<Item = f64>) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        values.for_each(|value| sketch.push(value));
        sketch
    }

    /// The numbers 0 to `count - 1` in an order without order.
    fn shuffled(count: u64) -> impl Iterator<Item = f64> {
        // A step that shares no factor with the count visits every number once.
        (0..count).map(move |at| ((at * 7_368_787 + 12_345) % count) as f64)
    }

    #[test]
    fn a_million_numbers_have_quantiles_within_the_bound_and_the_bound_is_small() {
        let count = 1_000_000;
        let sketch = of(shuffled(count));
        let error = sketch.rank_error();
        assert!(error > 0 && error <= count / 10_000, "{error}");
        let shares: Vec<f64> = (0..=100).map(|at| f64::from(at) / 100.0).collect();
        for (share, value) in shares.iter().zip(sketch.distribution().quantiles(&shares)) {
            let off = (value - share * count as f64).abs();
            // What the sketch errs by, and a rank of what it keeps stands for.
            assert!(off <= (error + 32) as f64, "{share}: {value}");
        }
        let kept: usize = sketch.levels.iter().map(|level| level.values.len()).sum();
        assert!(kept <= sketch.levels.len() * LEVEL_LEN);
    }

    #[test]
    fn parts_merged_are_the_whole_within_the_bound() {
        let count = 500_000;
        let values: Vec<f64> = shuffled(count).collect();
        for cut in [1, 1_000, 70_000, 250_001] {
            let mut merged = of(values[..cut].iter().copied());
            merged.merge(&of(values[cut..].iter().copied()));
            let shares = [0.0, 0.1, 0.5, 0.99, 1.0];
            for (share, value) in shares.iter().zip(merged.distribution().quantiles(&shares)) {
                let off = (value - share * count as f64).abs();
                assert!(off <= (merged.rank_error() + 16) as f64, "{cut} {share}: {value}");
            }
            assert_eq!(merged.distribution().values.iter().map(|(_, weight)| weight).sum::<u64>(), count);
            assert!(merged.rank_error() <= count / 5_000);
        }
    }

    proptest! {
        #[test]
        fn few_numbers_are_exact_whole_or_merged(
            mut values in proptest::collection::vec(-100.0..100.0_f64, 1..60),
            cut in any::<proptest::sample::Index>(),
        ) {
            let (left, right) = values.split_at(cut.index(values.len()));
            let mut merged = of(left.iter().copied());
            merged.merge(&of(right.iter().copied()));
            values.sort_by(f64::total_cmp);
            let shares = [0.0, 0.25, 0.5, 0.75, 1.0];
            let expected = shares.map(|share| {
                let rank = (share * values.len() as f64).ceil().max(1.0) as usize;
                values[rank - 1]
            });
            prop_assert_eq!(merged.distribution().quantiles(&shares), expected);
            let edges = [-100.0, -50.0, 0.0, 100.0];
            let between = |low: f64, high: f64| values.iter().filter(|&&value| low <= value && value < high).count() as u64;
            let up_to = |limit: f64| values.iter().filter(|&&value| value <= limit).count() as u64;
            prop_assert_eq!(merged.distribution().counts_up_to(&edges), edges.map(up_to));
            let counts = merged.distribution().counts_between(&edges);
            prop_assert_eq!(counts, [between(-100.0, -50.0), between(-50.0, 0.0), between(0.0, 100.1)]);
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_infinite_numbers_are_in_no_interval() {
        let nothing = QuantileSketch::default().distribution();
        assert!(nothing.quantiles(&[0.5])[0].is_nan());
        assert_eq!(nothing.counts_between(&[0.0, 1.0]), [0]);
        let sketch = of([f64::NEG_INFINITY, 1.0, f64::INFINITY].into_iter());
        assert_eq!(sketch.distribution().quantiles(&[0.0, 0.5, 1.0]), [f64::NEG_INFINITY, 1.0, f64::INFINITY]);
        assert_eq!(sketch.distribution().counts_between(&[1.0, 1.0]), [1]);
    }
}
