use proptest::prelude::*;

use super::*;

fn bucket() -> impl Strategy<Value = Bucket> {
    (-1e9..1e9, -1e9..1e9, 0.0..1e6).prop_map(|(low, high, count)| Bucket { low, high, count })
}

fn histogram(kind: HistogramKind) -> impl Strategy<Value = Histogram> {
    (0_u64..9, proptest::collection::vec(bucket(), 0..4)).prop_map(move |(nan, buckets)| Histogram {
        kind,
        nan,
        buckets,
    })
}

fn presence() -> impl Strategy<Value = Presence> {
    let histogram = proptest::option::of(histogram(HistogramKind::Quantiles));
    (0_u64..1000, 0_u64..1000, 0_u64..3, 0_u64..9, histogram).prop_map(|(present, missing, min, more, histogram)| {
        Presence {
            present,
            missing,
            values_min: min,
            values_max: min + more,
            values_mean: min as f32 + 0.5,
            values_total: present * min,
            values_histogram: histogram,
        }
    })
}

fn numbers() -> impl Strategy<Value = ValueStatistics> {
    let histograms = (histogram(HistogramKind::Standard), histogram(HistogramKind::Quantiles));
    ((any::<f64>(), any::<f64>(), any::<f64>()), 0_u64..9, histograms).prop_filter_map(
        "NaN does not equal itself",
        |((mean, min, max), zeros, (standard, quantiles))| {
            let numbers = NumericStatistics {
                mean,
                std_dev: mean.abs(),
                zeros,
                min,
                median: mean,
                max,
                histograms: vec![standard, quantiles],
            };
            (!(mean.is_nan() || min.is_nan() || max.is_nan())).then_some(ValueStatistics::Numeric(numbers))
        },
    )
}

fn texts() -> impl Strategy<Value = ValueStatistics> {
    (0_u64..1000, proptest::collection::vec((any::<String>(), 0_u64..1 << 50), 0..4), 0_f32..99.0, 0_u64..9).prop_map(
        |(unique, values, bytes_mean, invalid_utf8)| {
            let rank = |(rank, (label, count)): (usize, &(String, u64))| RankBucket {
                rank_low: rank as u64,
                rank_high: rank as u64,
                label: label.clone(),
                count: *count,
            };
            ValueStatistics::Text(TextStatistics {
                unique,
                ranks: values.iter().enumerate().map(rank).collect(),
                top_values: values.into_iter().map(|(value, count)| TopValue { value, count }).collect(),
                bytes_mean,
                invalid_utf8,
            })
        },
    )
}

fn feature() -> impl Strategy<Value = FeatureStatistics> {
    let kind = prop_oneof![
        Just(FeatureKind::Int),
        Just(FeatureKind::Float),
        Just(FeatureKind::String),
        Just(FeatureKind::Bytes)
    ];
    let derived = proptest::option::of(Just(Derivation {
        deriver: "natureddit".into(),
        description: "its length".into(),
        sources: vec!["title".into()],
    }));
    ("[a-z_]{0,8}", kind, presence(), prop_oneof![numbers(), texts()], derived)
        .prop_map(|(name, kind, presence, values, derived)| FeatureStatistics { name, kind, presence, values, derived })
}

proptest! {
    #[test]
    fn statistics_survive_their_file(examples in any::<u64>(), features in proptest::collection::vec(feature(), 0..4)) {
        let folder = tempfile::tempdir().unwrap();
        let statistics = SplitStatistics { examples, features };
        write_statistics(folder.path(), Split::Eval, &statistics).unwrap();
        prop_assert_eq!(read_statistics(folder.path(), Split::Eval).unwrap(), statistics);
    }

    #[test]
    fn any_bytes_are_statistics_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STATISTICS_FILE);
        fs::write_atomic(&path, bytes).unwrap();
        let _ = read_statistics_file(&path);
    }
}

#[test]
fn the_error_names_the_file_and_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Split-train").join(STATISTICS_FILE);
    let error = |bytes: &[u8]| {
        fs::write_atomic(&path, bytes).unwrap();
        let error = read_statistics(folder.path(), Split::Train).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        (error.to_string(), source)
    };
    assert_eq!(error(b"").0, format!("{} holds the statistics of 0 datasets, not of one", path.display()));
    assert_eq!(error(b"\xff").0, format!("{} does not hold statistics", path.display()));
    // One dataset with one feature of type STRUCT at the path `a`.
    let (message, source) = error(&[10, 9, 26, 7, 16, 4, 66, 3, 10, 1, b'a']);
    assert_eq!(message, format!("{} holds statistics that are not known here", path.display()));
    assert_eq!(source.as_deref(), Some(r#"feature "a": a structure"#));
}

#[test]
fn the_missing_fraction_of_nothing_is_zero() {
    assert_eq!(Presence::default().missing_fraction(), 0.0);
    assert_eq!(Presence { present: 3, missing: 1, ..Presence::default() }.missing_fraction(), 0.25);
}
