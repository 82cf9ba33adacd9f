//! Statistics against a schema: TFDV's rules and wording
//! ([`anomalies/`](https://github.com/tensorflow/data-validation/tree/master/tensorflow_data_validation/anomalies)).

mod distance;
mod domains;

use serde::Serialize;

pub use distance::{equally_wide, jensen_shannon, l_infty};

use super::{Comparator, Feature, Schema, SchemaKind};
use crate::anomalies::{Anomalies, Comparison, DistanceKind, Measurement, Reason, ReasonKind, Severity};
use crate::statistics::{FeatureKind, FeatureStatistics, Presence, SplitStatistics, ValueStatistics};

/// How bad anomalies are taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Severities {
    /// A feature that is missing or of another type.
    pub columns: Severity,
    /// Everything else.
    pub values: Severity,
}

impl Severities {
    fn of(self, kind: ReasonKind) -> Severity {
        match kind {
            ReasonKind::SchemaMissingColumn | ReasonKind::FeatureTypeNotPresent | ReasonKind::UnexpectedDataType => {
                self.columns
            }
            _ => self.values,
        }
    }
}

/// Where the statistics are not as the schema says. Features that do not belong to the environment may be missing.
#[must_use]
pub fn validate(
    statistics: &SplitStatistics,
    schema: &Schema,
    environment: Option<&str>,
    severities: Severities,
) -> Anomalies {
    let mut found = Found { anomalies: Anomalies::default(), severities };
    found.add(None, example_count(statistics, schema));
    for stats in &statistics.features {
        let name = stats.name.as_str();
        match schema.feature(name) {
            None => {
                let description = "New column (column in data but not in schema)";
                found.add(Some(name), vec![reason(ReasonKind::SchemaNewColumn, "New column", description)]);
            }
            Some(feature) if feature.is_checked() => {
                found.add(Some(name), check(stats, feature, schema, environment));
            }
            Some(_) => {}
        }
    }
    for feature in schema.features.iter().filter(|feature| feature.is_checked() && feature.is_required()) {
        if schema.is_in_environment(feature, environment) && statistics.feature(feature.name()).is_none() {
            let missing = ReasonKind::SchemaMissingColumn;
            found.add(Some(feature.name()), vec![reason(missing, "Column dropped", "Column is completely missing")]);
        }
    }
    found.anomalies
}

/// Compares the features for which the schema has a threshold: `now` with `before`, by the names of both in sentences.
/// Nothing is judged where either has fewer than `examples_min` examples.
#[must_use]
pub fn compare(
    comparison: Comparison,
    (now, now_name): (&SplitStatistics, &str),
    (before, before_name): (&SplitStatistics, &str),
    schema: &Schema,
    examples_min: u64,
    severities: Severities,
) -> Anomalies {
    let mut found = Found { anomalies: Anomalies::default(), severities };
    if now.examples.min(before.examples) < examples_min {
        return found.anomalies;
    }
    for stats in &now.features {
        let Some(feature) = schema.feature(&stats.name).filter(|feature| feature.is_checked()) else { continue };
        let comparator = match comparison {
            Comparison::Drift => &feature.drift,
            Comparison::Skew => &feature.skew,
        };
        let Some(comparator) = comparator else { continue };
        let Some(control) = before.feature(&stats.name) else {
            let (short, sentence) = (format!("{before_name} data missing"), format!("{before_name} data is missing."));
            found.add(Some(&stats.name), vec![reason(ReasonKind::ComparatorControlDataMissing, short, sentence)]);
            continue;
        };
        let (measurements, reasons) = distances(stats, control, comparator, (now_name, before_name));
        match comparison {
            Comparison::Drift => found.anomalies.drift.extend(measurements),
            Comparison::Skew => found.anomalies.skew.extend(measurements),
        }
        found.add(Some(&stats.name), reasons);
    }
    found.anomalies
}

struct Found {
    anomalies: Anomalies,
    severities: Severities,
}

impl Found {
    fn add(&mut self, feature: Option<&str>, reasons: Vec<Reason>) {
        for reason in reasons {
            self.anomalies.add(feature, self.severities.of(reason.kind), reason);
        }
    }
}

fn reason(kind: ReasonKind, short: impl Into<String>, description: impl Into<String>) -> Reason {
    Reason { kind, short: short.into(), description: description.into() }
}

fn example_count(statistics: &SplitStatistics, schema: &Schema) -> Vec<Reason> {
    let Some(range) = &schema.examples else { return Vec::new() };
    let count = i64::try_from(statistics.examples).unwrap_or(i64::MAX);
    let mut reasons = Vec::new();
    let mut add = |kind, short, than| {
        reasons.push(reason(kind, short, format!("The dataset has {count} examples, which is {than} than expected.")));
    };
    if range.min.is_some_and(|min| count < min) {
        add(ReasonKind::DatasetLowNumExamples, "Low num examples in dataset.", "fewer");
    }
    if range.max.is_some_and(|max| count > max) {
        add(ReasonKind::DatasetHighNumExamples, "High num examples in dataset.", "more");
    }
    reasons
}

fn check(stats: &FeatureStatistics, feature: &Feature, schema: &Schema, environment: Option<&str>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let is_expected = schema.is_in_environment(feature, environment);
    if stats.presence.present == 0 {
        if feature.is_required() && is_expected {
            let sentence = "The feature was not present in any examples.";
            reasons.push(reason(ReasonKind::FeatureTypeNotPresent, "Column dropped", sentence));
        }
        return reasons;
    }
    if let Some(environment) = environment.filter(|_| !is_expected) {
        let name = &stats.name;
        let sentence =
            format!("New column {name} found in data but not in the environment {environment} in the schema.");
        reasons.push(reason(ReasonKind::SchemaNewColumn, "Column missing in environment", sentence));
    }
    reasons.extend(value_count(&stats.presence, feature));
    reasons.extend(shape(&stats.presence, feature));
    reasons.extend(presence(&stats.presence, feature));
    if let Some(expected) = feature.kind.filter(|&kind| !is_of(stats.kind, kind)) {
        let got = stats.kind.name().to_ascii_uppercase();
        let sentence = format!("Expected data of type: {} but got {got}", kind_name(expected));
        reasons.push(reason(ReasonKind::UnexpectedDataType, "Unexpected data type", sentence));
        // Values of another type have no place in the feature's domain.
        return reasons;
    }
    reasons.extend(domains::check(stats, feature, schema));
    reasons.extend(unique(stats, feature));
    if stats.derived.is_some() && feature.derived.is_none() {
        let sentence = "Derived source not set in schema.";
        reasons.push(reason(ReasonKind::DerivedFeatureInvalidSource, sentence, sentence));
    }
    reasons
}

fn is_of(found: FeatureKind, expected: SchemaKind) -> bool {
    match expected {
        SchemaKind::Bytes => matches!(found, FeatureKind::String | FeatureKind::Bytes),
        SchemaKind::Int => found == FeatureKind::Int,
        SchemaKind::Float => found == FeatureKind::Float,
    }
}

fn kind_name(kind: SchemaKind) -> &'static str {
    match kind {
        SchemaKind::Bytes => "BYTES",
        SchemaKind::Int => "INT",
        SchemaKind::Float => "FLOAT",
    }
}

fn value_count(presence: &Presence, feature: &Feature) -> Vec<Reason> {
    let Some(range) = &feature.value_count else { return Vec::new() };
    let mut reasons = Vec::new();
    if range.min.is_some_and(|min| i128::from(presence.values_min) < i128::from(min)) {
        let sentence = "Some examples have fewer values than expected.";
        reasons.push(reason(ReasonKind::FeatureTypeLowNumberValues, "Missing values", sentence));
    }
    if range.max.is_some_and(|max| i128::from(presence.values_max) > i128::from(max)) {
        let sentence = "Some examples have more values than expected.";
        reasons.push(reason(ReasonKind::FeatureTypeHighNumberValues, "Superfluous values", sentence));
    }
    reasons
}

fn shape(presence: &Presence, feature: &Feature) -> Option<Reason> {
    let shape = feature.shape.as_ref()?;
    let expected: i64 = shape.dimensions.iter().map(|dimension| dimension.size.unwrap_or_default()).product();
    let (low, high) = (presence.values_min, presence.values_max);
    let sentence = if presence.missing > 0 || low != high || low == 0 {
        "The feature has a shape, but it's not always present (if the feature is nested, then it should always be \
         present at each nested level) or its value lengths vary."
            .to_owned()
    } else if i128::from(low) != i128::from(expected) {
        format!("The feature has fixed value length {low} but it's not compatible with the specified shape.")
    } else {
        return None;
    };
    Some(reason(ReasonKind::InvalidFeatureShape, "Feature shape dropped", sentence))
}

fn presence(presence: &Presence, feature: &Feature) -> Vec<Reason> {
    const SHORT: &str = "Column dropped";
    let Some(min) = &feature.presence else { return Vec::new() };
    let mut reasons = Vec::new();
    let fewer = "The feature was present in fewer examples than expected: minimum";
    if let Some(count) = min.count.filter(|&count| i128::from(presence.present) < i128::from(count)) {
        let sentence = format!("{fewer} count = {count}, actual = {}", presence.present);
        reasons.push(reason(ReasonKind::FeatureTypeLowNumberPresent, SHORT, sentence));
    }
    let actual = 1.0 - presence.missing_fraction();
    if let Some(fraction) = min.fraction {
        if actual < fraction {
            let sentence = format!("{fewer} fraction = {fraction:.6}, actual = {actual:.6}");
            reasons.push(reason(ReasonKind::FeatureTypeLowFractionPresent, SHORT, sentence));
        } else if fraction >= 1.0 && presence.missing > 0 {
            let missing = presence.missing;
            let sentence = format!("The feature was expected everywhere, but was missing in {missing} examples.");
            reasons.push(reason(ReasonKind::FeatureTypeLowFractionPresent, SHORT, sentence));
        }
    }
    reasons
}

fn unique(stats: &FeatureStatistics, feature: &Feature) -> Vec<Reason> {
    let Some(range) = &feature.unique else { return Vec::new() };
    let ValueStatistics::Text(texts) = &stats.values else {
        let sentence = "UniqueConstraints specified for the feature, but unique values were not counted (i.e., feature \
                        is not string or categorical).";
        return vec![reason(ReasonKind::FeatureTypeNoUnique, "No unique values", sentence)];
    };
    let mut reasons = Vec::new();
    let count = texts.unique;
    if let Some(min) = range.min.filter(|&min| i128::from(count) < i128::from(min)) {
        let sentence = format!("Expected at least {min} unique values but found only {count}.");
        reasons.push(reason(ReasonKind::FeatureTypeLowUnique, "Low number of unique values", sentence));
    }
    if let Some(max) = range.max.filter(|&max| i128::from(count) > i128::from(max)) {
        let sentence = format!("Expected no more than {max} unique values but found {count}.");
        reasons.push(reason(ReasonKind::FeatureTypeHighUnique, "High number of unique values", sentence));
    }
    reasons
}

/// The distances that have a threshold, and what is wrong where one is greater.
fn distances(
    now: &FeatureStatistics,
    before: &FeatureStatistics,
    comparator: &Comparator,
    (now_name, before_name): (&str, &str),
) -> (Vec<Measurement>, Vec<Reason>) {
    let (mut measurements, mut reasons) = (Vec::new(), Vec::new());
    let mut measured = |kind, value, threshold| {
        measurements.push(Measurement { feature: now.name.clone(), kind, value, threshold });
        value > threshold
    };
    let between = format!("between {now_name} and {before_name}");
    let is_above = |value, threshold| {
        let (value, threshold) = (six_digits(value), six_digits(threshold));
        format!("is {value} (up to six significant digits), above the threshold {threshold}.")
    };
    let threshold = |slot: &Option<super::Threshold>| slot.as_ref().and_then(|threshold| threshold.max);
    if let Some(max) = threshold(&comparator.infinity_norm)
        && let Some((value, distance)) = l_infty(now, before)
        && measured(DistanceKind::LInfty, distance, max)
    {
        let above = is_above(distance, max);
        let sentence =
            format!("The Linfty distance {between} {above} The feature value with maximum difference is: {value}");
        reasons.push(reason(ReasonKind::ComparatorLInftyHigh, format!("High Linfty distance {between}"), sentence));
    }
    if let Some(max) = threshold(&comparator.jensen_shannon)
        && let Some(divergence) = jensen_shannon(now, before)
        && measured(DistanceKind::JensenShannonDivergence, divergence, max)
    {
        let short = format!("High approximate Jensen-Shannon divergence {between}");
        let sentence = format!("The approximate Jensen-Shannon divergence {between} {}", is_above(divergence, max));
        reasons.push(reason(ReasonKind::ComparatorJensenShannonDivergenceHigh, short, sentence));
    }
    (measurements, reasons)
}

/// A number with six digits, as `printf`'s `%g`.
fn six_digits(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_ascii_lowercase();
    }
    let scientific = format!("{value:.5e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..6) => {
            let decimals = usize::try_from(5 - exponent).unwrap_or_default();
            trimmed(&format!("{value:.decimals$}"))
        }
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
        }
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests;
