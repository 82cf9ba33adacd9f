use proptest::prelude::*;

use super::*;

fn numbers(values: &[Option<f64>]) -> FeatureAccumulator {
    let mut feature = FeatureAccumulator::new("x", FeatureKind::Float);
    for value in values {
        match value {
            Some(value) => feature.push_number(*value),
            None => feature.push_missing(),
        }
    }
    feature
}

fn texts<T: AsRef<[u8]>>(values: &[Option<T>]) -> FeatureAccumulator {
    let mut feature = FeatureAccumulator::new("x", FeatureKind::String);
    for value in values {
        match value {
            Some(value) => feature.push_text(value.as_ref()),
            None => feature.push_missing(),
        }
    }
    feature
}

fn numeric(feature: &FeatureAccumulator) -> NumericStatistics {
    let ValueStatistics::Numeric(numbers) = feature.statistics().values else { panic!("not numbers") };
    numbers
}

fn text(feature: &FeatureAccumulator) -> TextStatistics {
    let ValueStatistics::Text(texts) = feature.statistics().values else { panic!("not texts") };
    texts
}

fn number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        6 => (-1e3..1e3).prop_map(Some),
        2 => (-3_i32..3).prop_map(|value| Some(f64::from(value))),
        1 => Just(None),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(f64::INFINITY)),
    ]
}

proptest! {
    #[test]
    fn parts_merged_are_the_whole(
        values in proptest::collection::vec((number(), proptest::option::of("[a-c]{0,2}")), 0..80),
        cut in 0_usize..80,
    ) {
        let cut = cut.min(values.len());
        let table = |rows: &[(Option<f64>, Option<String>)]| {
            let (left, right): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            SplitAccumulator { examples: rows.len() as u64, features: vec![numbers(&left), texts(&right)] }
        };
        let whole = table(&values);
        let mut merged = table(&values[..cut]);
        merged.merge(&table(&values[cut..]));
        let (whole_numbers, merged_numbers) = (numeric(&whole.features[0]), numeric(&merged.features[0]));
        // All is equal but what is rounded.
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9;
        prop_assert!(same(whole_numbers.mean, merged_numbers.mean));
        prop_assert!(same(whole_numbers.std_dev, merged_numbers.std_dev));
        let (mut whole, mut merged) = (whole.statistics(), merged.statistics());
        for statistics in [&mut whole, &mut merged] {
            let ValueStatistics::Numeric(numbers) = &mut statistics.features[0].values else { panic!("not numbers") };
            (numbers.mean, numbers.std_dev) = (0.0, 0.0);
        }
        prop_assert_eq!(whole, merged);
    }
}

#[test]
fn numbers_have_the_statistics_that_tfdv_gives() {
    let values: Vec<Option<f64>> = (0..20).map(|at| Some(f64::from(at % 5))).chain([None, Some(f64::NAN)]).collect();
    let feature = numbers(&values);
    let statistics = feature.statistics();
    assert_eq!((statistics.presence.present, statistics.presence.missing), (21, 1));
    assert_eq!((statistics.presence.values_min, statistics.presence.values_total), (1, 21));
    let found = numeric(&feature);
    assert_eq!((found.mean, found.zeros, found.min, found.median, found.max), (2.0, 4, 0.0, 2.0, 4.0));
    assert!((found.std_dev - 2_f64.sqrt()).abs() < 1e-12);
    let standard = found.histogram(HistogramKind::Standard).unwrap();
    assert_eq!(standard.nan, 1);
    let counts: Vec<f64> = standard.buckets.iter().map(|bucket| bucket.count).collect();
    assert_eq!(counts, [4.0, 0.0, 4.0, 0.0, 0.0, 4.0, 0.0, 4.0, 0.0, 4.0]);
    let full = found.histogram(HistogramKind::Quantiles).unwrap();
    assert!(full.buckets.iter().all(|bucket| bucket.count == 2.0));
    assert_eq!((full.buckets[0].low, full.buckets[9].high), (0.0, 4.0));
    let skewed = numbers(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(Some));
    let full = numeric(&skewed).histogram(HistogramKind::Quantiles).unwrap().clone();
    let ends: Vec<(f64, f64)> = full.buckets.iter().map(|bucket| (bucket.high, bucket.count)).collect();
    assert_eq!(ends, [[(1.0, 1.0); 6].as_slice(), &[(2.0, 1.0), (3.0, 1.0), (4.0, 1.0), (5.0, 1.0)]].concat());
}

#[test]
fn equal_numbers_lie_in_one_bucket_and_infinite_ones_in_buckets_of_their_own() {
    let bucket = |low, high, count| Bucket { low, high, count };
    let standard = |values: &[f64]| {
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        numeric(&numbers(&values)).histogram(HistogramKind::Standard).unwrap().buckets.clone()
    };
    assert_eq!(standard(&[3.0, 3.0]), [bucket(3.0, 3.0, 2.0)]);
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    let expected = [bucket(low, low, 1.0), bucket(3.0, 3.0, 1.0), bucket(high, high, 2.0)];
    assert_eq!(standard(&[high, low, 3.0, high]), expected);
    assert_eq!(standard(&[high]), [bucket(high, high, 1.0)]);
    let widest = standard(&[f64::MIN, f64::MAX]);
    assert!(widest.len() == 10 && widest.iter().all(|bucket| bucket.low.is_finite() && bucket.high.is_finite()));
}

#[test]
fn without_a_value_there_is_nothing_but_how_often_it_is_missing() {
    let feature = numbers(&[None, None]);
    assert_eq!(numeric(&feature), NumericStatistics::default());
    let presence = feature.statistics().presence;
    assert_eq!(presence, Presence { missing: 2, ..Presence::default() });
    assert_eq!(text(&texts::<&str>(&[None])), TextStatistics::default());
    // NaN alone is counted in both histograms, which have no bucket.
    let histograms = numeric(&numbers(&[Some(f64::NAN)])).histograms;
    assert!(histograms.len() == 2 && histograms.iter().all(|h| h.nan == 1 && h.buckets.is_empty()));
}

#[test]
fn texts_are_ranked_by_frequency_and_those_that_are_no_text_are_counted() {
    let values: [&[u8]; 6] = [b"flora", b"fauna", b"fauna", b"\xff", b"", b"zoo"];
    let statistics = text(&texts(&values.map(Some)));
    assert_eq!((statistics.unique, statistics.invalid_utf8, statistics.bytes_mean), (5, 1, 19.0 / 6.0));
    let top: Vec<(&str, u64)> = statistics.top_values.iter().map(|top| (top.value.as_str(), top.count)).collect();
    assert_eq!(top, [("fauna", 2), ("__BYTES_VALUE__", 1), ("zoo", 1), ("flora", 1), ("", 1)]);
    assert_eq!((statistics.ranks[4].rank_low, statistics.ranks[4].count), (4, 1));
}

#[test]
#[should_panic(expected = "numbers and texts cannot be merged")]
fn parts_of_other_kinds_are_not_merged() {
    numbers(&[]).merge(&texts::<&str>(&[]));
}
