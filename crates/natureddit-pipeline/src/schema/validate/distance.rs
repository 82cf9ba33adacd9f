//! How far two distributions lie apart, measured as TFDV does (`anomalies/metrics.cc`).

use std::collections::{BTreeMap, BTreeSet};

use super::domains::value_counts;
use crate::statistics::{Bucket, FeatureStatistics, Histogram, HistogramKind, ValueStatistics};

/// The greatest difference between the shares that a value has on both sides, and that value; `None` for numbers, and
/// where a side has no values.
#[must_use]
pub fn l_infty(now: &FeatureStatistics, before: &FeatureStatistics) -> Option<(String, f64)> {
    let (now, before) = (shares(now)?, shares(before)?);
    let values: BTreeSet<&str> = now.keys().chain(before.keys()).copied().collect();
    let share = |of: &BTreeMap<&str, f64>, value: &str| of.get(value).copied().unwrap_or_default();
    let distances = values.into_iter().map(|value| (value, (share(&now, value) - share(&before, value)).abs()));
    let greatest = distances.max_by(|one, other| one.1.total_cmp(&other.1));
    greatest.map(|(value, distance)| (value.to_owned(), distance))
}

fn shares(stats: &FeatureStatistics) -> Option<BTreeMap<&str, f64>> {
    let ValueStatistics::Text(texts) = &stats.values else { return None };
    let total: u64 = value_counts(texts).map(|(_, count)| count).sum();
    (total > 0).then(|| value_counts(texts).map(|(value, count)| (value, count as f64 / total as f64)).collect())
}

/// The divergence of Jensen and Shannon to base 2, from 0 to 1: of numbers from their histograms of equally wide
/// intervals, each cut where the other's begin; of texts from their counts. `None` where a side has no values, or one has
/// numbers and the other texts.
#[must_use]
pub fn jensen_shannon(now: &FeatureStatistics, before: &FeatureStatistics) -> Option<f64> {
    let pairs = match (&now.values, &before.values) {
        (ValueStatistics::Numeric(now), ValueStatistics::Numeric(before)) => {
            aligned(now.histogram(HistogramKind::Standard)?, before.histogram(HistogramKind::Standard)?)
        }
        (ValueStatistics::Text(_), ValueStatistics::Text(_)) => {
            let (now, before) = (shares(now)?, shares(before)?);
            let values: BTreeSet<&str> = now.keys().chain(before.keys()).copied().collect();
            let share = |of: &BTreeMap<&str, f64>, value: &str| of.get(value).copied().unwrap_or_default();
            values.into_iter().map(|value| (share(&now, value), share(&before, value))).collect()
        }
        _ => return None,
    };
    divergence(&pairs)
}

fn divergence(pairs: &[(f64, f64)]) -> Option<f64> {
    let (now, before) = pairs.iter().fold((0.0, 0.0), |(now, before), pair| (now + pair.0, before + pair.1));
    if now <= 0.0 || before <= 0.0 {
        return None;
    }
    let part = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
    let sum: f64 = pairs
        .iter()
        .map(|pair| {
            let (now, before) = (pair.0 / now, pair.1 / before);
            let middle = f64::midpoint(now, before);
            part(now, middle) + part(before, middle)
        })
        .sum();
    // Rounding may leave a little more or less.
    Some((sum / 2.0).clamp(0.0, 1.0))
}

/// The counts of both histograms in common intervals. Within an interval values are taken to lie evenly. A value on its
/// own, what is infinite and what is no number have places of their own.
fn aligned(now: &Histogram, before: &Histogram) -> Vec<(f64, f64)> {
    let (now, before) = (Parts::of(now), Parts::of(before));
    let edges: BTreeSet<Edge> = now.edges().chain(before.edges()).collect();
    let edges: Vec<f64> = edges.into_iter().map(|edge| edge.0).collect();
    let mut pairs: Vec<(f64, f64)> =
        edges.windows(2).map(|edge| (now.between(edge[0], edge[1]), before.between(edge[0], edge[1]))).collect();
    let points: BTreeSet<Edge> = now.points.keys().chain(before.points.keys()).copied().collect();
    pairs.extend(points.iter().map(|point| (now.point(point), before.point(point))));
    // As TFDV: what is infinite on one side is not the same as on the other.
    pairs.extend([(now.infinite, 0.0), (0.0, before.infinite), (now.nan, 0.0), (0.0, before.nan)]);
    pairs
}

/// A number that can be sorted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge(f64);

impl Eq for Edge {}

impl PartialOrd for Edge {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Edge {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

struct Parts<'a> {
    /// Intervals with a width.
    wide: Vec<&'a Bucket>,
    /// Values on their own.
    points: BTreeMap<Edge, f64>,
    infinite: f64,
    nan: f64,
}

impl<'a> Parts<'a> {
    fn of(histogram: &'a Histogram) -> Self {
        let mut parts = Self { wide: Vec::new(), points: BTreeMap::new(), infinite: 0.0, nan: histogram.nan as f64 };
        for bucket in &histogram.buckets {
            if !bucket.low.is_finite() || !bucket.high.is_finite() {
                parts.infinite += bucket.count;
            } else if bucket.high <= bucket.low {
                *parts.points.entry(Edge(bucket.low)).or_default() += bucket.count;
            } else {
                parts.wide.push(bucket);
            }
        }
        parts
    }

    fn edges(&self) -> impl Iterator<Item = Edge> {
        self.wide.iter().flat_map(|bucket| [Edge(bucket.low), Edge(bucket.high)])
    }

    /// How many values lie between two edges beside each other.
    fn between(&self, low: f64, high: f64) -> f64 {
        let inside = self.wide.iter().filter(|bucket| bucket.low <= low && high <= bucket.high);
        inside.map(|bucket| bucket.count * (high - low) / (bucket.high - bucket.low)).sum()
    }

    fn point(&self, point: &Edge) -> f64 {
        self.points.get(point).copied().unwrap_or_default()
    }
}

/// A histogram of ten equally wide intervals, as TFDV's standard one; the last holds its upper end too.
#[must_use]
pub fn equally_wide(values: &[f64]) -> Histogram {
    const BUCKETS: usize = 10;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut buckets = Vec::new();
    if low == high {
        buckets.push(Bucket { low, high, count: values.len() as f64 });
    } else if low < high {
        let width = (high - low) / BUCKETS as f64;
        let edge = |at: usize| if at == BUCKETS { high } else { low + width * at as f64 };
        let mut counts = [0_u64; BUCKETS];
        for value in values {
            counts[(((value - low) / width) as usize).min(BUCKETS - 1)] += 1;
        }
        buckets.extend(counts.iter().enumerate().map(|(at, &count)| Bucket {
            low: edge(at),
            high: edge(at + 1),
            count: count as f64,
        }));
    }
    Histogram { kind: HistogramKind::Standard, nan: 0, buckets }
}
