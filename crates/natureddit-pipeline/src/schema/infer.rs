//! A schema from statistics: what SchemaGen makes, with TFDV's rules for types, presence, shapes and sets of values.

use super::{
    Comparator, DerivedSource, Dimension, Feature, FeaturePath, IntDomain, Mass, PresenceMin, Range, Schema,
    SchemaKind, Shape, Stage, TextDomain, Threshold,
};
use crate::statistics::{FeatureKind, FeatureStatistics, SplitStatistics, TextStatistics, ValueStatistics};

/// How a schema is inferred.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct InferConfig {
    /// A feature with at most so many different texts is a set of values, where they come back often enough.
    pub values_max: u64,
    /// How far a span may differ from the one before, as an L-infinity distance or a Jensen-Shannon divergence.
    pub drift_max: f64,
    /// How far the eval and test split may differ from the training split.
    pub skew_max: f64,
    /// The feature the model is to tell, and all that is known only with it: not there when the model is asked.
    pub labels: Vec<String>,
    /// Features of which every split and span has others by nature: they are no sets of values, and drift and skew mean
    /// nothing.
    pub identities: Vec<String>,
    /// More features whose drift and skew mean nothing.
    pub not_compared: Vec<String>,
}

/// The environment in which the label is known.
pub const TRAINING: &str = "TRAINING";

/// The environment in which the label is what is asked for.
pub const SERVING: &str = "SERVING";

/// A set of values is worth naming when each comes back so often on average: names of people or posts do not.
const REPEATED_MIN: u64 = 10;

/// The share of values that must be in an inferred set of any feature but the label: a rare value is no mistake.
const MASS_MIN: f64 = 0.95;

/// The schema that these statistics meet.
#[must_use]
pub fn infer_schema(statistics: &SplitStatistics, config: &InferConfig) -> Schema {
    let mut schema =
        Schema { default_environments: vec![TRAINING.to_owned(), SERVING.to_owned()], ..Schema::default() };
    for stats in &statistics.features {
        let mut feature = infer_feature(stats, config);
        if let Some(domain) = infer_text_domain(stats, config) {
            feature.domain.clone_from(&domain.name);
            if !config.labels.contains(&stats.name) {
                feature.domain_mass_min = Some(Mass { min: Some(MASS_MIN) });
            }
            schema.text_domains.push(domain);
        }
        compare(&mut feature, stats, config);
        schema.features.push(feature);
    }
    schema
}

fn infer_feature(stats: &FeatureStatistics, config: &InferConfig) -> Feature {
    let kind = match stats.kind {
        FeatureKind::Int => SchemaKind::Int,
        FeatureKind::Float => SchemaKind::Float,
        FeatureKind::String | FeatureKind::Bytes => SchemaKind::Bytes,
    };
    let is_label = config.labels.contains(&stats.name);
    let mut feature = Feature {
        name: Some(stats.name.clone()),
        kind: Some(kind),
        int_domain: infer_int_domain(stats),
        not_in_environments: if is_label { vec![SERVING.to_owned()] } else { Vec::new() },
        ..Feature::default()
    };
    if let Some(derived) = &stats.derived {
        let source = |name: &String| FeaturePath { steps: vec![name.clone()] };
        feature.stage = Some(Stage::ValidationDerived);
        feature.derived = Some(DerivedSource {
            deriver: Some(derived.deriver.clone()),
            description: Some(derived.description.clone()),
            sources: derived.sources.iter().map(source).collect(),
        });
    } else {
        // What is derived is in our statistics and not in the examples, so that nobody may ask for it there.
        infer_presence(&mut feature, stats);
    }
    feature
}

/// As TFDV: always there or sometimes, and one value each or several.
fn infer_presence(feature: &mut Feature, stats: &FeatureStatistics) {
    let presence = &stats.presence;
    let (low, high) = (presence.values_min, presence.values_max);
    let is_always = presence.missing == 0;
    feature.presence = Some(PresenceMin {
        fraction: (presence.present > 0 && is_always).then_some(1.0),
        count: Some(i64::from(presence.present > 0)),
    });
    if presence.present == 0 || low == 0 {
        return;
    }
    let count = |count| i64::try_from(count).ok();
    if is_always && low == high {
        feature.shape = Some(Shape { dimensions: vec![Dimension { size: count(low), name: None }] });
    } else {
        feature.value_count = Some(if low == high {
            Range { min: count(low), max: count(high) }
        } else {
            Range { min: Some(1), max: None }
        });
    }
}

/// Numbers that are never below 0 (or 1) should stay so; a flag has nothing but 0 and 1.
fn infer_int_domain(stats: &FeatureStatistics) -> Option<IntDomain> {
    let ValueStatistics::Numeric(numbers) = &stats.values else { return None };
    let has_values = stats.presence.values_total > 0;
    if stats.kind != FeatureKind::Int || !has_values || numbers.min < 0.0 {
        return None;
    }
    let is_flag = numbers.max <= 1.0;
    let min = if is_flag || numbers.min < 1.0 { 0 } else { 1 };
    Some(IntDomain { min: Some(min), max: is_flag.then_some(1), ..IntDomain::default() })
}

fn infer_text_domain(stats: &FeatureStatistics, config: &InferConfig) -> Option<TextDomain> {
    let ValueStatistics::Text(texts) = &stats.values else { return None };
    let is_text = stats.kind == FeatureKind::String && texts.invalid_utf8 == 0;
    if !is_text || texts.unique == 0 || texts.unique > config.values_max || !is_repeated(stats, texts, config) {
        return None;
    }
    let mut values: Vec<String> = texts.ranks.iter().map(|rank| rank.label.clone()).collect();
    values.sort_unstable();
    // Where the statistics do not hold every value, the set would be wrong.
    (values.len() as u64 == texts.unique).then(|| TextDomain { name: Some(stats.name.clone()), values })
}

fn is_repeated(stats: &FeatureStatistics, texts: &TextStatistics, config: &InferConfig) -> bool {
    config.labels.contains(&stats.name)
        || !config.identities.contains(&stats.name)
            && stats.presence.values_total >= REPEATED_MIN.saturating_mul(texts.unique)
}

/// Sets the thresholds of drift and skew where they mean something: of sets of values and of numbers.
fn compare(feature: &mut Feature, stats: &FeatureStatistics, config: &InferConfig) {
    // Histograms of few different numbers lie on points, and two that share no point are as far apart as can be.
    let is_flat = match &stats.values {
        ValueStatistics::Numeric(numbers) => numbers.max - numbers.min <= 1.0,
        ValueStatistics::Text(_) => false,
    };
    if is_flat || config.identities.contains(&stats.name) || config.not_compared.contains(&stats.name) {
        return;
    }
    let comparator = |max| {
        let threshold = Some(Threshold { max: Some(max) });
        match &stats.values {
            ValueStatistics::Text(_) if feature.domain.is_none() => None,
            ValueStatistics::Text(_) => Some(Comparator { infinity_norm: threshold, jensen_shannon: None }),
            ValueStatistics::Numeric(_) => Some(Comparator { infinity_norm: None, jensen_shannon: threshold }),
        }
    };
    let (drift, skew) = (comparator(config.drift_max), comparator(config.skew_max));
    (feature.drift, feature.skew) = (drift, skew);
}
