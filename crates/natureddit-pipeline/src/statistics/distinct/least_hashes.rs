//! How many different values there are, from the least of their hashes: Bar-Yossef et al., "Counting distinct elements
//! in a data stream" (2002); also known as KMV. Of `n` hashes spread evenly over an interval, the k-th least lies at
//! `k / n` of it. Neither the order nor repetitions matter, so that parts merge into exactly the whole.

/// So many hashes are kept; the standard error is one over the root of it: 0.4 %.
const KEPT: usize = 1 << 16;

/// The least hashes of those that come one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct LeastHashes {
    /// The least ones and, unsorted behind them, candidates; all below `bound`.
    hashes: Vec<u64>,
    /// The greatest that is kept, once enough are.
    bound: Option<u64>,
}

impl LeastHashes {
    pub(super) fn push(&mut self, hash: u64) {
        if self.bound.is_some_and(|bound| hash >= bound) {
            return;
        }
        self.hashes.push(hash);
        if self.hashes.len() >= 2 * KEPT {
            let (hashes, bound) = self.sorted();
            (self.hashes, self.bound) = (hashes, bound);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.hashes.iter().chain(&other.bound).for_each(|&hash| self.push(hash));
    }

    /// The least ones in order, without the last of them where there are enough: that is the bound.
    fn sorted(&self) -> (Vec<u64>, Option<u64>) {
        let mut hashes: Vec<u64> = self.hashes.iter().copied().chain(self.bound).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.truncate(KEPT);
        let bound = if hashes.len() == KEPT { hashes.pop() } else { None };
        (hashes, bound)
    }

    /// How many different hashes there were; exact as long as all of them are kept.
    pub(super) fn estimate(&self) -> u64 {
        match self.sorted() {
            (_, Some(bound)) => ((KEPT - 1) as f64 * 2_f64.powi(64) / bound as f64).round() as u64,
            (hashes, None) => hashes.len() as u64,
        }
    }
}

impl FromIterator<u64> for LeastHashes {
    fn from_iter<I: IntoIterator<Item = u64>>(hashes: I) -> Self {
        let mut least = Self::default();
        hashes.into_iter().for_each(|hash| least.push(hash));
        least
    }
}

/// A hash whose 64 bits are all as good: eight bytes at a time, each multiplied in, and the final mix of MurmurHash3. It
/// is the same on every machine, for an estimate depends on it.
pub(super) fn hash(value: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = value.len() as u64;
    for chunk in value.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 29;
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: u64, to: u64) -> LeastHashes {
        (from..to).map(|at| hash(format!("post {at}").as_bytes())).collect()
    }

    #[test]
    fn the_estimate_is_within_three_standard_errors_and_parts_merge_into_the_whole() {
        assert_eq!(of(0, 1_000).estimate(), 1_000);
        for total in [100_000, 700_000] {
            let whole = of(0, total);
            assert!((whole.estimate() as f64 / total as f64 - 1.0).abs() < 0.012, "{}", whole.estimate());
            let mut merged = of(total / 3, total);
            merged.merge(&of(0, total / 2));
            assert_eq!(merged.sorted(), whole.sorted());
            let before = merged.estimate();
            merged.merge(&whole);
            assert_eq!(merged.estimate(), before);
        }
    }

    #[test]
    fn values_that_are_much_alike_have_hashes_that_are_not() {
        let mut hashes: Vec<u64> = (0..100_000_u64).map(|at| hash(&at.to_le_bytes())).collect();
        hashes.extend((0..100_usize).map(|len| hash(&vec![0; len + 9])));
        let ones: u32 = hashes.iter().map(|hash| hash.count_ones()).sum();
        assert!((f64::from(ones) / hashes.len() as f64 - 32.0).abs() < 0.1);
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 100_100);
    }
}
