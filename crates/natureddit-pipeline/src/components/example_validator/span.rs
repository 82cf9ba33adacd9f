//! Drift: the posts of the newest days against those of as many days before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ValidatorConfig;
use super::report::Drift;
use crate::anomalies::Comparison;
use crate::examples::columns::{COLUMNS, Cell, ColumnKind, cells};
use crate::examples::{Example, ExampleSource};
use crate::schema::Schema;
use crate::schema::validate::{compare, equally_wide};
use crate::split::Split;
use crate::statistics::{
    FeatureKind, FeatureStatistics, NumericStatistics, Presence, RankBucket, SplitStatistics, TextStatistics,
    ValueStatistics,
};

const SECONDS_A_DAY: i64 = 86_400;

/// Compares the newest span of all splits together with the one before.
pub(super) fn drift(examples: &BTreeMap<Split, Arc<[Example]>>, schema: &Schema, config: &ValidatorConfig) -> Drift {
    let posts: Vec<&Example> =
        examples.values().flat_map(|all| all.iter()).filter(|example| example.source == ExampleSource::Post).collect();
    let day = |example: &Example| example.created_utc.div_euclid(SECONDS_A_DAY);
    let span = posts.iter().map(|post| day(post)).max().unwrap_or_default();
    let days = i64::from(config.drift_days);
    let within = |last: i64| -> Vec<&Example> {
        posts.iter().copied().filter(|post| (last - days + 1..=last).contains(&day(post))).collect()
    };
    let (newest, before) = (statistics(&within(span)), statistics(&within(span - days)));
    let counts = (newest.examples, before.examples);
    if counts.0.min(counts.1) < config.compared_examples_min {
        return Drift::TooFew { newest: counts.0, before: counts.1 };
    }
    let min = config.compared_examples_min;
    let (now, then) = ((&newest, "current"), (&before, "previous"));
    let found = compare(Comparison::Drift, now, then, schema, min, config.severities);
    Drift::Judged { span, newest: counts.0, before: counts.1, found }
}

/// As much of the statistics as a comparison and most checks look at.
pub(super) fn statistics(examples: &[&Example]) -> SplitStatistics {
    let rows: Vec<[Cell<'_>; COLUMNS.len()]> = examples.iter().map(|example| cells(example)).collect();
    let features = COLUMNS.iter().enumerate().map(|(at, column)| {
        let column_cells = rows.iter().map(|row| &row[at]).filter(|cell| **cell != Cell::Missing);
        let (kind, values) = match column.kind {
            ColumnKind::Text => (FeatureKind::String, texts(column_cells.clone())),
            ColumnKind::Int => (FeatureKind::Int, numbers(column_cells.clone())),
        };
        let present = column_cells.count() as u64;
        let missing = examples.len() as u64 - present;
        let each = u64::from(present > 0);
        let (values_min, values_max, values_total) = (each, each, present);
        let presence = Presence { present, missing, values_min, values_max, values_total, ..Presence::default() };
        FeatureStatistics { name: column.name.to_owned(), kind, presence, values, derived: None }
    });
    SplitStatistics { examples: examples.len() as u64, features: features.collect() }
}

fn texts<'a>(cells: impl Iterator<Item = &'a Cell<'a>>) -> ValueStatistics {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for cell in cells {
        if let Cell::Text(text) = cell {
            *counts.entry(text).or_default() += 1;
        }
    }
    let rank = |(rank, (label, count)): (u64, (&str, u64))| RankBucket {
        rank_low: rank,
        rank_high: rank,
        label: label.to_owned(),
        count,
    };
    let unique = counts.len() as u64;
    let ranks = (0..).zip(counts).map(rank).collect();
    ValueStatistics::Text(TextStatistics { unique, ranks, ..TextStatistics::default() })
}

fn numbers<'a>(cells: impl Iterator<Item = &'a Cell<'a>>) -> ValueStatistics {
    let number = |cell: &Cell<'_>| match cell {
        Cell::Int(value) => Some(*value as f64),
        _ => None,
    };
    let values: Vec<f64> = cells.filter_map(number).collect();
    let histograms = vec![equally_wide(&values)];
    let min = values.iter().copied().reduce(f64::min).unwrap_or_default();
    let max = values.iter().copied().reduce(f64::max).unwrap_or_default();
    ValueStatistics::Numeric(NumericStatistics { min, max, histograms, ..NumericStatistics::default() })
}
