//! Statistics of values that come one by one, mergeable, in bounded memory.
//!
//! | of a feature | exact up to | beyond |
//! |---|---|---|
//! | counts, zeros, least, greatest, mean, deviation, mean length | always (means to rounding) | |
//! | median, quantiles, histograms | 65,535 numbers | rank off by at most 0.01 % of a million, 0.03 % of 10^8 numbers |
//! | different values | 131,072 values of 16 MiB | estimated, standard error 0.4 % |
//! | top values and ranks | 131,072 values of 16 MiB | counts too low by at most a known number |
//!
//! NaN is counted in the histograms and nowhere else. An infinite number makes the mean infinite and the deviation NaN,
//! and has a bucket of its own at the end of the standard histogram. Of a value over 1,024 bytes only the start is kept,
//! with its hash. A feature without a value has no statistics but how often it is missing.

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::distinct::ValueCounts;
use super::moments::Moments;
use super::quantiles::{Distribution, QuantileSketch};
use super::{
    Bucket, Derivation, FeatureKind, FeatureStatistics, Histogram, HistogramKind, NumericStatistics, Presence,
    RankBucket, SplitStatistics, TextStatistics, TopValue, ValueStatistics,
};

/// As many buckets as TFDV makes, of each kind of histogram.
const BUCKETS: usize = 10;
/// As many top values as TFDV names.
const TOP_VALUES: usize = 20;
/// As many ranks as TFDV writes.
const RANKS: usize = 1000;
/// What TFDV writes for a value that is not UTF-8.
const NOT_UTF8: &str = "__BYTES_VALUE__";

/// The statistics of a table, feature by feature.
#[derive(Clone, Debug, Default)]
pub struct SplitAccumulator {
    /// How many examples there were.
    pub examples: u64,
    /// The features, in the order of the columns.
    pub features: Vec<FeatureAccumulator>,
}

impl SplitAccumulator {
    /// Adds another part of the same table: what is known then is what is known of the whole, within the errors above.
    ///
    /// # Panics
    /// When the other one has other features.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.features.len(), other.features.len(), "parts of one table have the same features");
        self.examples += other.examples;
        for (ours, theirs) in self.features.iter_mut().zip(&other.features) {
            ours.merge(theirs);
        }
    }

    /// The features with too many different values to count each, and by how much the counts of their top values may be
    /// too low.
    pub fn estimated(&self) -> impl Iterator<Item = (&str, u64)> {
        let errors = self.features.iter().map(|feature| (feature.name.as_str(), feature.top_count_error()));
        errors.filter(|(_, error)| *error > 0)
    }

    /// What is known so far.
    #[must_use]
    pub fn statistics(&self) -> SplitStatistics {
        let features = self.features.par_iter().map(FeatureAccumulator::statistics).collect();
        SplitStatistics { examples: self.examples, features }
    }
}

/// The statistics of one feature, value by value.
#[derive(Clone, Debug)]
pub struct FeatureAccumulator {
    name: String,
    kind: FeatureKind,
    derived: Option<Derivation>,
    present: u64,
    missing: u64,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Numbers(Box<Numbers>),
    Texts(Box<Texts>),
}

#[derive(Clone, Debug, Default)]
struct Numbers {
    nan: u64,
    moments: Moments,
    quantiles: QuantileSketch,
}

#[derive(Clone, Debug, Default)]
struct Texts {
    bytes: u64,
    invalid_utf8: u64,
    counts: ValueCounts,
}

impl FeatureAccumulator {
    /// Without a value yet.
    #[must_use]
    pub fn new(name: &str, kind: FeatureKind) -> Self {
        let values = match kind {
            FeatureKind::Int | FeatureKind::Float => Values::Numbers(Box::default()),
            FeatureKind::String | FeatureKind::Bytes => Values::Texts(Box::default()),
        };
        Self { name: name.to_owned(), kind, derived: None, present: 0, missing: 0, values }
    }

    /// Says that the feature is derived from others.
    #[must_use]
    pub fn derived(mut self, derivation: Derivation) -> Self {
        self.derived = Some(derivation);
        self
    }

    /// An example without the feature.
    pub fn push_missing(&mut self) {
        self.missing += 1;
    }

    /// An example with this number.
    ///
    /// # Panics
    /// When the feature is of texts.
    pub fn push_number(&mut self, value: f64) {
        let Values::Numbers(numbers) = &mut self.values else { panic!("{}: a number among texts", self.name) };
        self.present += 1;
        if value.is_nan() {
            numbers.nan += 1;
        } else {
            numbers.moments.push(value);
            numbers.quantiles.push(value);
        }
    }

    /// An example with this text.
    ///
    /// # Panics
    /// When the feature is of numbers.
    pub fn push_text(&mut self, value: &[u8]) {
        let Values::Texts(texts) = &mut self.values else { panic!("{}: a text among numbers", self.name) };
        self.present += 1;
        texts.bytes += value.len() as u64;
        texts.invalid_utf8 += u64::from(str::from_utf8(value).is_err());
        texts.counts.push(value);
    }

    /// Adds the examples of another part of the same table.
    ///
    /// # Panics
    /// When the other one is of another kind.
    pub fn merge(&mut self, other: &Self) {
        self.present += other.present;
        self.missing += other.missing;
        match (&mut self.values, &other.values) {
            (Values::Numbers(ours), Values::Numbers(theirs)) => {
                ours.nan += theirs.nan;
                ours.moments.merge(&theirs.moments);
                ours.quantiles.merge(&theirs.quantiles);
            }
            (Values::Texts(ours), Values::Texts(theirs)) => {
                ours.bytes += theirs.bytes;
                ours.invalid_utf8 += theirs.invalid_utf8;
                ours.counts.merge(&theirs.counts);
            }
            _ => panic!("{}: numbers and texts cannot be merged", self.name),
        }
    }

    /// By how much the counts of top values may be too low; 0 while all different values fit into the memory.
    #[must_use]
    pub fn top_count_error(&self) -> u64 {
        match &self.values {
            Values::Numbers(_) => 0,
            Values::Texts(texts) => texts.counts.count_error(),
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn statistics(&self) -> FeatureStatistics {
        FeatureStatistics {
            name: self.name.clone(),
            kind: self.kind,
            presence: self.presence(),
            values: match &self.values {
                Values::Numbers(numbers) => ValueStatistics::Numeric(numbers.statistics()),
                Values::Texts(texts) => ValueStatistics::Text(texts.statistics(self.present)),
            },
            derived: self.derived.clone(),
        }
    }

    /// An example that has the feature has one value of it.
    fn presence(&self) -> Presence {
        let one = u64::from(self.present > 0);
        let bucket = Bucket { low: 1.0, high: 1.0, count: self.present as f64 / BUCKETS as f64 };
        let histogram = Histogram { kind: HistogramKind::Quantiles, nan: 0, buckets: vec![bucket; BUCKETS] };
        Presence {
            present: self.present,
            missing: self.missing,
            values_min: one,
            values_max: one,
            values_mean: one as f32,
            values_total: self.present,
            values_histogram: (self.present > 0).then_some(histogram),
        }
    }
}

impl Numbers {
    fn statistics(&self) -> NumericStatistics {
        let moments = &self.moments;
        let histogram = |kind, buckets| Histogram { kind, nan: self.nan, buckets };
        if moments.count() == 0 {
            let kinds = [HistogramKind::Standard, HistogramKind::Quantiles];
            let histograms = if self.nan > 0 { kinds.map(|kind| histogram(kind, Vec::new())).to_vec() } else { vec![] };
            return NumericStatistics { histograms, ..NumericStatistics::default() };
        }
        let distribution = self.quantiles.distribution();
        NumericStatistics {
            mean: moments.mean(),
            std_dev: moments.std_dev(),
            zeros: moments.zeros,
            min: moments.min(),
            median: distribution.quantiles(&[0.5])[0],
            max: moments.max(),
            histograms: vec![
                histogram(HistogramKind::Standard, equally_wide(moments, &distribution)),
                histogram(HistogramKind::Quantiles, equally_full(moments, &distribution)),
            ],
        }
    }
}

/// Ten buckets from the least to the greatest finite number; one where these are equal.
fn equally_wide(moments: &Moments, distribution: &Distribution) -> Vec<Bucket> {
    let (min, max) = (moments.finite_min, moments.finite_max);
    let mut buckets = Vec::with_capacity(BUCKETS + 2);
    let infinite = |value, count: u64| Bucket { low: value, high: value, count: count as f64 };
    if moments.minus_infinite > 0 {
        buckets.push(infinite(f64::NEG_INFINITY, moments.minus_infinite));
    }
    // Also the least and the greatest that there can be are not infinitely apart so.
    let edge = |at: usize| {
        let share = at as f64 / BUCKETS as f64;
        if at == BUCKETS { max } else { min * (1.0 - share) + max * share }
    };
    let edges: Vec<f64> = if min < max { (0..=BUCKETS).map(edge).collect() } else { vec![min, max] };
    if min <= max {
        let counts = distribution.counts_between(&edges);
        let bucket = |(edges, count): (&[f64], u64)| Bucket { low: edges[0], high: edges[1], count: count as f64 };
        buckets.extend(edges.windows(2).zip(counts).map(bucket));
    }
    if moments.plus_infinite > 0 {
        buckets.push(infinite(f64::INFINITY, moments.plus_infinite));
    }
    buckets
}

/// Ten buckets with a tenth of the numbers each, or as near to it as numbers that are there often allow: a bucket counts
/// those above its lower end up to its upper one, the first one also the least number. Buckets with the same upper end
/// share alike, as in TFDV.
fn equally_full(moments: &Moments, distribution: &Distribution) -> Vec<Bucket> {
    let shares: Vec<f64> = (0..=BUCKETS).map(|at| at as f64 / BUCKETS as f64).collect();
    let mut edges = distribution.quantiles(&shares);
    // A sketch may have lost the ends.
    (edges[0], edges[BUCKETS]) = (moments.min(), moments.max());
    let up_to = distribution.counts_up_to(&edges);
    let bucket = |at: usize| {
        let same: Vec<usize> = (0..BUCKETS).filter(|&other| edges[other + 1] == edges[at + 1]).collect();
        let (first, last) = (same[0], same[same.len() - 1]);
        let before = if first == 0 { 0 } else { up_to[first] };
        let count = (up_to[last + 1] - before) as f64 / same.len() as f64;
        Bucket { low: edges[at], high: edges[at + 1], count }
    };
    (0..BUCKETS).map(bucket).collect()
}

impl Texts {
    fn statistics(&self, present: u64) -> TextStatistics {
        let text = |value: &[u8]| str::from_utf8(value).unwrap_or(NOT_UTF8).to_owned();
        let ranks: Vec<RankBucket> = (0..)
            .zip(self.counts.top(RANKS))
            .map(|(rank, (value, count))| RankBucket { rank_low: rank, rank_high: rank, label: text(value), count })
            .collect();
        let top = |rank: &RankBucket| TopValue { value: rank.label.clone(), count: rank.count };
        TextStatistics {
            unique: self.counts.unique(),
            top_values: ranks.iter().take(TOP_VALUES).map(top).collect(),
            bytes_mean: if present == 0 { 0.0 } else { (self.bytes as f64 / present as f64) as f32 },
            ranks,
            invalid_utf8: self.invalid_utf8,
        }
    }
}

#[cfg(test)]
mod tests;
