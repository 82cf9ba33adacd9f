//! Each reason, found where it was planted and with TFDV's words.

use proptest::prelude::*;

use super::*;
use crate::schema::{
    BoolDomain, Dimension, ExampleCountRange, FloatDomain, IntDomain, Mass, PresenceMin, Range, Shape, Stage,
    TextDomain, Threshold,
};
use crate::statistics::{Bucket, Histogram, HistogramKind, NumericStatistics, RankBucket, TextStatistics};

const BOTH: Severities = Severities { columns: Severity::Error, values: Severity::Warning };

fn texts(name: &str, counts: &[(&str, u64)]) -> FeatureStatistics {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let rank = |(rank, &(label, count)): (u64, &(&str, u64))| RankBucket {
        rank_low: rank,
        rank_high: rank,
        label: label.to_owned(),
        count,
    };
    let values = TextStatistics {
        unique: counts.len() as u64,
        ranks: (0..).zip(counts).map(rank).collect(),
        ..TextStatistics::default()
    };
    let presence = one_each(total);
    FeatureStatistics {
        name: name.to_owned(),
        kind: FeatureKind::String,
        presence,
        values: ValueStatistics::Text(values),
        derived: None,
    }
}

fn numbers(name: &str, kind: FeatureKind, values: &[f64]) -> FeatureStatistics {
    let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    let statistics = NumericStatistics { min, max, histograms: vec![equally_wide(values)], ..Default::default() };
    FeatureStatistics {
        name: name.to_owned(),
        kind,
        presence: one_each(values.len() as u64),
        values: ValueStatistics::Numeric(statistics),
        derived: None,
    }
}

fn one_each(present: u64) -> Presence {
    Presence { present, values_min: 1, values_max: 1, values_total: present, ..Presence::default() }
}

fn split(features: Vec<FeatureStatistics>) -> SplitStatistics {
    SplitStatistics {
        examples: features.iter().map(|f| f.presence.present + f.presence.missing).max().unwrap_or(0),
        features,
    }
}

fn feature(name: &str, kind: SchemaKind) -> Feature {
    Feature { name: Some(name.to_owned()), kind: Some(kind), ..Feature::default() }
}

/// The kinds and sentences of a feature's anomaly.
fn found(stats: FeatureStatistics, feature: Feature) -> Vec<(ReasonKind, String)> {
    let schema = Schema { features: vec![feature], ..Schema::default() };
    let anomalies = validate(&split(vec![stats]), &schema, None, BOTH).anomalies;
    anomalies.into_iter().flat_map(|anomaly| anomaly.reasons).map(|reason| (reason.kind, reason.description)).collect()
}

fn required() -> Option<PresenceMin> {
    Some(PresenceMin { fraction: Some(1.0), count: Some(1) })
}

#[test]
fn columns_that_are_missing_new_or_of_another_type() {
    let mut schema = Schema {
        features: vec![
            Feature { presence: required(), ..feature("gone", SchemaKind::Int) },
            feature("not_required", SchemaKind::Int),
            Feature { presence: required(), stage: Some(Stage::Deprecated), ..feature("old", SchemaKind::Int) },
            Feature { presence: required(), ..feature("width", SchemaKind::Bytes) },
            Feature { presence: required(), ..feature("flair", SchemaKind::Bytes) },
        ],
        ..Schema::default()
    };
    let mut nowhere = texts("flair", &[]);
    nowhere.presence = Presence { missing: 2, ..Presence::default() };
    let statistics = split(vec![numbers("width", FeatureKind::Int, &[1.0, 2.0]), nowhere, texts("new", &[("a", 2)])]);
    let anomalies = validate(&statistics, &schema, None, BOTH).anomalies;
    let told: Vec<String> = anomalies.iter().map(|anomaly| format!("{:?} {anomaly}", anomaly.severity)).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    Error width: Expected data of type: BYTES but got INT
    Error flair: The feature was not present in any examples.
    Warning new: New column (column in data but not in schema)
    Error gone: Column is completely missing
    ");

    schema.default_environments = vec!["SERVING".to_owned(), "TRAINING".to_owned()];
    schema.features[0].not_in_environments = vec!["SERVING".to_owned()];
    let has_gone = |environment| {
        let anomalies = validate(&statistics, &schema, Some(environment), BOTH).anomalies;
        anomalies.iter().any(|anomaly| anomaly.feature.as_deref() == Some("gone"))
    };
    assert!(has_gone("TRAINING") && !has_gone("SERVING"));
    schema.features[3].kind = Some(SchemaKind::Int);
    schema.features[3].not_in_environments = vec!["SERVING".to_owned()];
    let anomalies = validate(&statistics, &schema, Some("SERVING"), BOTH).anomalies;
    let sentence = "width: New column width found in data but not in the environment SERVING in the schema.";
    assert_eq!(anomalies[0].to_string(), sentence);
}

#[test]
fn too_few_and_too_many() {
    let mut stats = texts("flair", &[("a", 60)]);
    stats.presence.missing = 40;
    stats.presence.values_max = 3;
    stats.presence.values_min = 0;
    let strict = Feature {
        presence: Some(PresenceMin { fraction: Some(0.75), count: Some(70) }),
        value_count: Some(Range { min: Some(1), max: Some(2) }),
        unique: Some(Range { min: Some(2), max: None }),
        ..feature("flair", SchemaKind::Bytes)
    };
    insta::assert_snapshot!(format!("{:#?}", found(stats.clone(), strict)), @r#"
    [
        (
            FeatureTypeLowNumberValues,
            "Some examples have fewer values than expected.",
        ),
        (
            FeatureTypeHighNumberValues,
            "Some examples have more values than expected.",
        ),
        (
            FeatureTypeLowNumberPresent,
            "The feature was present in fewer examples than expected: minimum count = 70, actual = 60",
        ),
        (
            FeatureTypeLowFractionPresent,
            "The feature was present in fewer examples than expected: minimum fraction = 0.750000, actual = 0.600000",
        ),
        (
            FeatureTypeLowUnique,
            "Expected at least 2 unique values but found only 1.",
        ),
    ]
    "#);
    let shape = |size| Some(Shape { dimensions: vec![Dimension { size: Some(size), name: None }] });
    let kinds =
        |stats, feature| -> Vec<ReasonKind> { found(stats, feature).into_iter().map(|(kind, _)| kind).collect() };
    let shaped = |size| Feature { shape: shape(size), ..feature("flair", SchemaKind::Bytes) };
    assert_eq!(kinds(stats, shaped(1)), [ReasonKind::InvalidFeatureShape]);
    assert_eq!(kinds(texts("flair", &[("a", 1)]), shaped(2)), [ReasonKind::InvalidFeatureShape]);
    assert_eq!(kinds(texts("flair", &[("a", 1)]), shaped(1)), []);
    let many = Feature { unique: Some(Range { min: None, max: Some(1) }), ..feature("flair", SchemaKind::Bytes) };
    assert_eq!(kinds(texts("flair", &[("a", 1), ("b", 1)]), many.clone()), [ReasonKind::FeatureTypeHighUnique]);
    let counted = Feature { kind: Some(SchemaKind::Int), ..many };
    assert_eq!(kinds(numbers("flair", FeatureKind::Int, &[1.0]), counted), [ReasonKind::FeatureTypeNoUnique]);

    let range = ExampleCountRange { min: Some(3), max: None };
    let mut schema = Schema { examples: Some(range), ..Schema::default() };
    let statistics = SplitStatistics { examples: 2, features: Vec::new() };
    let told = |schema: &Schema| validate(&statistics, schema, None, BOTH).anomalies[0].to_string();
    assert_eq!(told(&schema), "examples: The dataset has 2 examples, which is fewer than expected.");
    schema.examples = Some(ExampleCountRange { min: None, max: Some(1) });
    assert_eq!(told(&schema), "examples: The dataset has 2 examples, which is more than expected.");
}

#[test]
fn texts_that_are_not_in_their_set() {
    let domain = TextDomain { name: None, values: vec!["fauna".to_owned(), "flora".to_owned()] };
    let choice = Feature { text_domain: Some(domain), ..feature("choice", SchemaKind::Bytes) };
    let wrong = texts("choice", &[("fauna", 740), ("Invalid", 250), ("it's", 9), ("x\ny", 1)]);
    let sentence = "Examples contain values missing from the schema: Invalid (~25%), it\\'s (<1%), x\\ny (<1%). ";
    let expected = vec![(ReasonKind::EnumTypeUnexpectedStringValues, sentence.to_owned())];
    assert_eq!(found(wrong.clone(), choice.clone()), expected);
    let lenient = |min| Feature { domain_mass_min: Some(Mass { min: Some(min) }), ..choice.clone() };
    assert_eq!(found(wrong.clone(), lenient(0.7)), []);
    assert_eq!(found(wrong, lenient(0.8)), expected);
    let mut bytes = texts("choice", &[("fauna", 1)]);
    if let ValueStatistics::Text(texts) = &mut bytes.values {
        texts.invalid_utf8 = 1;
    }
    assert_eq!(found(bytes, choice)[0].0, ReasonKind::EnumTypeInvalidUtf8);
}

#[test]
fn numbers_that_are_out_of_range() {
    let int = IntDomain { min: Some(1), max: Some(10), ..IntDomain::default() };
    let width = Feature { int_domain: Some(int.clone()), ..feature("width", SchemaKind::Int) };
    let (small, big) = (ReasonKind::IntTypeSmallInt, ReasonKind::IntTypeBigInt);
    let expected =
        vec![(small, "Unexpectedly small value: 0.".to_owned()), (big, "Unexpectedly large value: 11.".to_owned())];
    assert_eq!(found(numbers("width", FeatureKind::Int, &[0.0, 11.0]), width.clone()), expected);
    assert_eq!(found(numbers("width", FeatureKind::Int, &[1.0, 10.0]), width), []);
    let written = Feature { int_domain: Some(int), ..feature("width", SchemaKind::Bytes) };
    assert_eq!(found(texts("width", &[("0", 1), ("11", 1)]), written.clone()), expected);
    let no_int = found(texts("width", &[("ten", 1)]), written);
    let sentence = "String values that were not ints were found, such as \"ten\".";
    assert_eq!(no_int, [(ReasonKind::IntTypeNotIntString, sentence.to_owned())]);

    let float =
        FloatDomain { min: Some(0.0), max: Some(1.0), disallow_nan: Some(true), disallow_inf: Some(true), name: None };
    let ratio = Feature { float_domain: Some(float), ..feature("ratio", SchemaKind::Float) };
    let mut odd = numbers("ratio", FeatureKind::Float, &[-0.25, 1.5]);
    if let ValueStatistics::Numeric(numbers) = &mut odd.values {
        numbers.histograms[0].nan = 1;
        numbers.max = f64::INFINITY;
    }
    let told: Vec<String> = found(odd, ratio).into_iter().map(|(_, sentence)| sentence).collect();
    let low = "Unexpectedly low values: -0.25<0(upto six significant digits)";
    let high = "Unexpectedly high value: inf>1(upto six significant digits)";
    assert_eq!(told, [low, high, "Float feature has NaN values.", "Float feature has Inf values."]);
}

#[test]
fn the_schema_says_what_is_derived_for_the_statistics() {
    let mut length = numbers("title_length", FeatureKind::Int, &[5.0]);
    let derivation = crate::statistics::Derivation {
        deriver: "natureddit".to_owned(),
        description: String::new(),
        sources: vec!["title".to_owned()],
    };
    length.derived = Some(derivation);
    let plain = feature("title_length", SchemaKind::Int);
    assert_eq!(found(length.clone(), plain.clone())[0].0, ReasonKind::DerivedFeatureInvalidSource);
    let derived = Feature { derived: Some(crate::schema::DerivedSource::default()), ..plain };
    assert_eq!(found(length, derived), []);
}

#[test]
fn flags_are_two_values() {
    let flag = |kind| Feature { bool_domain: Some(BoolDomain::default()), ..feature("over_18", kind) };
    let kinds = |values: &[f64]| found(numbers("over_18", FeatureKind::Int, values), flag(SchemaKind::Int));
    assert_eq!(kinds(&[0.0, 1.0]), []);
    assert_eq!(kinds(&[0.0, 2.0])[0].0, ReasonKind::BoolTypeBigInt);
    assert_eq!(kinds(&[-1.0])[0].1, "Integers (such as -1) not in {0, 1}: converting to an integer.");
    let words = BoolDomain { true_value: Some("yes".into()), false_value: Some("no".into()), name: None };
    let flag = Feature { bool_domain: Some(words), ..flag(SchemaKind::Bytes) };
    let odd = found(texts("over_18", &[("yes", 1), ("maybe", 1)]), flag);
    let sentence = "Saw unexpected value \"maybe\" instead of {\"no\", \"yes\"}.";
    assert_eq!(odd, [(ReasonKind::BoolTypeUnexpectedString, sentence.to_owned())]);
}

fn comparing(feature: Feature, now: FeatureStatistics, before: FeatureStatistics) -> Anomalies {
    let schema = Schema { features: vec![feature], ..Schema::default() };
    let (now, before) = (split(vec![now]), split(vec![before]));
    compare(Comparison::Drift, (&now, "current"), (&before, "previous"), &schema, 10, BOTH)
}

fn thresholds(linf: Option<f64>, divergence: Option<f64>) -> Option<Comparator> {
    let threshold = |max: Option<f64>| max.map(|max| Threshold { max: Some(max) });
    Some(Comparator { infinity_norm: threshold(linf), jensen_shannon: threshold(divergence) })
}

#[test]
fn drift_is_found_where_it_is_and_not_between_equals() {
    let flair = Feature { drift: thresholds(Some(0.2), None), ..feature("flair", SchemaKind::Bytes) };
    let before = texts("flair", &[("a", 50), ("b", 50)]);
    let same = comparing(flair.clone(), before.clone(), before.clone());
    assert_eq!((same.anomalies.len(), same.drift[0].value), (0, 0.0));
    let drifted = comparing(flair.clone(), texts("flair", &[("a", 15), ("c", 5)]), before.clone());
    assert_eq!(drifted.drift[0].value, 0.5);
    let sentence = "flair: The Linfty distance between current and previous is 0.5 (up to six significant digits), above \
                    the threshold 0.2. The feature value with maximum difference is: b";
    assert_eq!(drifted.anomalies[0].to_string(), sentence);
    let few = comparing(flair, texts("flair", &[("c", 9)]), before);
    assert_eq!(few, Anomalies::default(), "nine examples say nothing");

    let width = Feature { drift: thresholds(None, Some(0.1)), ..feature("width", SchemaKind::Int) };
    let range =
        |low: u32, high: u32| numbers("width", FeatureKind::Int, &(low..high).map(f64::from).collect::<Vec<_>>());
    assert_eq!(comparing(width.clone(), range(0, 100), range(0, 100)).anomalies, []);
    let drifted = comparing(width, range(500, 600), range(0, 100));
    assert_eq!(drifted.drift[0].value, 1.0);
    let reason = &drifted.anomalies[0].reasons[0];
    assert_eq!(reason.kind, ReasonKind::ComparatorJensenShannonDivergenceHigh);
    assert_eq!(reason.short, "High approximate Jensen-Shannon divergence between current and previous");
}

#[test]
fn a_side_without_the_feature_cannot_be_compared() {
    let flair = Feature { drift: thresholds(Some(0.2), None), ..feature("flair", SchemaKind::Bytes) };
    let found = comparing(flair, texts("flair", &[("a", 50)]), texts("other", &[("a", 50)]));
    let reason = &found.anomalies[0].reasons[0];
    assert_eq!(
        (reason.kind, reason.short.as_str()),
        (ReasonKind::ComparatorControlDataMissing, "previous data missing")
    );
}

/// The examples of `metrics_test.cc`'s kind, worked out by hand: two halves that do not meet have divergence 1, and equal
/// ones 0, whatever their intervals.
#[test]
fn the_divergence_of_histograms_with_other_edges() {
    let of = |buckets: &[(f64, f64, f64)]| {
        let bucket = |&(low, high, count): &(f64, f64, f64)| Bucket { low, high, count };
        let histogram =
            Histogram { kind: HistogramKind::Standard, nan: 0, buckets: buckets.iter().map(bucket).collect() };
        let mut stats = numbers("x", FeatureKind::Float, &[0.0]);
        stats.values =
            ValueStatistics::Numeric(NumericStatistics { histograms: vec![histogram], ..Default::default() });
        stats
    };
    let whole = of(&[(0.0, 10.0, 100.0)]);
    let halves = of(&[(0.0, 5.0, 7.0), (5.0, 10.0, 7.0)]);
    assert_eq!(jensen_shannon(&whole, &halves), Some(0.0));
    assert_eq!(jensen_shannon(&of(&[(0.0, 1.0, 3.0)]), &of(&[(2.0, 3.0, 5.0)])), Some(1.0));
    // 1/2 (log2(1 / 0.75) + 0.5 log2(0.5 / 0.75) + 0.5 log2(0.5 / 0.25)) = 0.311278...
    let half = jensen_shannon(&of(&[(0.0, 5.0, 9.0)]), &of(&[(0.0, 10.0, 9.0)])).unwrap();
    assert!((half - 0.311_278_124_459_132_8).abs() < 1e-12, "{half}");
    assert_eq!(jensen_shannon(&of(&[(1.0, 1.0, 4.0)]), &of(&[(1.0, 1.0, 9.0)])), Some(0.0));
    assert_eq!(jensen_shannon(&of(&[]), &whole), None);
}

#[test]
fn numbers_are_told_with_six_digits() {
    let told = [0.5, 0.0, 1.0, 1_234_567.0, 0.000_012_345_678, -0.25, 123_456.0, 0.1 + 0.2, 100.0].map(six_digits);
    assert_eq!(told, ["0.5", "0", "1", "1.23457e+06", "1.23457e-05", "-0.25", "123456", "0.3", "100"]);
}

proptest! {
    #[test]
    fn distances_are_between_0_and_1_and_alike_both_ways(
        one in proptest::collection::vec(-1e3_f64..1e3, 1..40),
        other in proptest::collection::vec(-1e3_f64..1e3, 1..40),
    ) {
        let (one, other) = (numbers("x", FeatureKind::Float, &one), numbers("x", FeatureKind::Float, &other));
        let there = jensen_shannon(&one, &other).unwrap();
        prop_assert!((0.0..=1.0).contains(&there));
        prop_assert!((there - jensen_shannon(&other, &one).unwrap()).abs() < 1e-9);
        prop_assert!(jensen_shannon(&one, &one).unwrap() < 1e-9);
    }

    #[test]
    fn a_histogram_counts_every_value(values in proptest::collection::vec(-1e6_f64..1e6, 0..200)) {
        let histogram = equally_wide(&values);
        let counted: f64 = histogram.buckets.iter().map(|bucket| bucket.count).sum();
        prop_assert_eq!(counted, values.len() as f64);
    }
}
