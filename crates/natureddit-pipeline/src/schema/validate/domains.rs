//! Whether values are what a feature's domain says.

use std::collections::BTreeSet;

use super::{reason, six_digits};
use crate::anomalies::{Reason, ReasonKind};
use crate::schema::{BoolDomain, Feature, FloatDomain, IntDomain, Schema, TextDomain};
use crate::statistics::{FeatureStatistics, NumericStatistics, TextStatistics, ValueStatistics};

pub(super) fn check(stats: &FeatureStatistics, feature: &Feature, schema: &Schema) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(domain) = schema.text_domain(feature)
        && let ValueStatistics::Text(texts) = &stats.values
    {
        let mass_min = feature.domain_mass_min.as_ref().and_then(|mass| mass.min).unwrap_or(1.0);
        reasons.extend(unexpected_texts(texts, stats.presence.values_total, domain, 1.0 - mass_min));
    }
    if let Some(domain) = &feature.int_domain {
        match &stats.values {
            ValueStatistics::Numeric(numbers) => reasons.extend(ints(numbers, domain)),
            ValueStatistics::Text(texts) => reasons.extend(ints_in_texts(texts, domain)),
        }
    }
    if let (Some(domain), ValueStatistics::Numeric(numbers)) = (&feature.float_domain, &stats.values) {
        reasons.extend(floats(numbers, domain));
    }
    if let Some(domain) = &feature.bool_domain {
        match &stats.values {
            ValueStatistics::Numeric(numbers) => reasons.extend(flags(numbers)),
            ValueStatistics::Text(texts) => reasons.extend(flags_in_texts(texts, domain)),
        }
    }
    reasons
}

/// Texts that are not in their set, when they are more than `off_max` of all values.
fn unexpected_texts(texts: &TextStatistics, total: u64, domain: &TextDomain, off_max: f64) -> Option<Reason> {
    if texts.invalid_utf8 > 0 {
        let sentence = "Found strings that were not valid UTF8 strings.";
        return Some(reason(ReasonKind::EnumTypeInvalidUtf8, "Invalid UTF8 strings", sentence));
    }
    let known: BTreeSet<&str> = domain.values.iter().map(String::as_str).collect();
    let mut missing: Vec<(&str, u64)> = value_counts(texts).filter(|(value, _)| !known.contains(value)).collect();
    missing.sort_unstable();
    let count: u64 = missing.iter().map(|(_, count)| count).sum();
    if missing.is_empty() || count as f64 / total as f64 <= off_max && off_max > 0.0 {
        return None;
    }
    let listed: Vec<String> =
        missing.iter().map(|(value, count)| format!("{} ({})", escaped(value), percent(*count, total))).collect();
    let sentence = format!("Examples contain values missing from the schema: {}. ", listed.join(", "));
    Some(reason(ReasonKind::EnumTypeUnexpectedStringValues, "Unexpected string values", sentence))
}

/// Every text the statistics hold, with how often it is there.
pub(super) fn value_counts(texts: &TextStatistics) -> impl Iterator<Item = (&str, u64)> {
    texts.ranks.iter().map(|rank| (rank.label.as_str(), rank.count))
}

fn percent(count: u64, total: u64) -> String {
    if total == 0 {
        return "?".to_owned();
    }
    let percent = count * 100 / total;
    if percent < 1 { "<1%".to_owned() } else { format!("~{percent}%") }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => escaped.extend(['\\', letter]),
            control if control.is_ascii_control() => escaped.extend(control.escape_default()),
            other => escaped.push(other),
        }
    }
    escaped
}

fn ints(numbers: &NumericStatistics, domain: &IntDomain) -> Vec<Reason> {
    let (low, high) = (numbers.min, numbers.max);
    out_of_range(
        domain.min.filter(|&min| low < min as f64).map(|_| format!("{low:.0}")),
        domain.max.filter(|&max| high > max as f64).map(|_| format!("{high:.0}")),
    )
}

fn ints_in_texts(texts: &TextStatistics, domain: &IntDomain) -> Vec<Reason> {
    let mut values = Vec::new();
    for (text, _) in value_counts(texts) {
        match text.trim().parse::<i64>() {
            Ok(value) => values.push(value),
            Err(_) => {
                let sentence = format!("String values that were not ints were found, such as \"{text}\".");
                return vec![reason(ReasonKind::IntTypeNotIntString, "Invalid values", sentence)];
            }
        }
    }
    let (low, high) = (values.iter().min(), values.iter().max());
    out_of_range(
        low.filter(|&&low| domain.min.is_some_and(|min| low < min)).map(ToString::to_string),
        high.filter(|&&high| domain.max.is_some_and(|max| high > max)).map(ToString::to_string),
    )
}

fn out_of_range(small: Option<String>, large: Option<String>) -> Vec<Reason> {
    const SHORT: &str = "Out-of-range values";
    let small =
        small.map(|value| reason(ReasonKind::IntTypeSmallInt, SHORT, format!("Unexpectedly small value: {value}.")));
    let large =
        large.map(|value| reason(ReasonKind::IntTypeBigInt, SHORT, format!("Unexpectedly large value: {value}.")));
    small.into_iter().chain(large).collect()
}

fn floats(numbers: &NumericStatistics, domain: &FloatDomain) -> Vec<Reason> {
    const OUT: &str = "Out-of-range values";
    const INVALID: &str = "Invalid values";
    let mut reasons = Vec::new();
    let (low, high) = (numbers.min, numbers.max);
    if let Some(min) = domain.min.map(f64::from).filter(|&min| low < min) {
        let sentence =
            format!("Unexpectedly low values: {}<{}(upto six significant digits)", six_digits(low), six_digits(min));
        reasons.push(reason(ReasonKind::FloatTypeSmallFloat, OUT, sentence));
    }
    if let Some(max) = domain.max.map(f64::from).filter(|&max| high > max) {
        let sentence =
            format!("Unexpectedly high value: {}>{}(upto six significant digits)", six_digits(high), six_digits(max));
        reasons.push(reason(ReasonKind::FloatTypeBigFloat, OUT, sentence));
    }
    if domain.disallow_nan == Some(true) && numbers.histograms.iter().any(|histogram| histogram.nan > 0) {
        reasons.push(reason(ReasonKind::FloatTypeHasNan, INVALID, "Float feature has NaN values."));
    }
    if domain.disallow_inf == Some(true) && (low.is_infinite() || high.is_infinite()) {
        reasons.push(reason(ReasonKind::FloatTypeHasInf, INVALID, "Float feature has Inf values."));
    }
    reasons
}

const NO_FLAG: &str = "Non-boolean values";

fn flags(numbers: &NumericStatistics) -> Option<Reason> {
    let (kind, value) = if numbers.min < 0.0 {
        (ReasonKind::BoolTypeSmallInt, numbers.min)
    } else if numbers.max > 1.0 {
        (ReasonKind::BoolTypeBigInt, numbers.max)
    } else {
        return None;
    };
    let sentence = format!("Integers (such as {}) not in {{0, 1}}: converting to an integer.", six_digits(value));
    Some(reason(kind, NO_FLAG, sentence))
}

fn flags_in_texts(texts: &TextStatistics, domain: &BoolDomain) -> Option<Reason> {
    let valid: BTreeSet<&str> =
        [&domain.true_value, &domain.false_value].into_iter().filter_map(|value| value.as_deref()).collect();
    let (unexpected, _) = value_counts(texts).find(|(value, _)| !valid.contains(value))?;
    let quoted: Vec<String> = valid.iter().map(|value| format!("\"{value}\"")).collect();
    let sentence = format!("Saw unexpected value \"{unexpected}\" instead of {{{}}}.", quoted.join(", "));
    Some(reason(ReasonKind::BoolTypeUnexpectedString, NO_FLAG, sentence))
}
