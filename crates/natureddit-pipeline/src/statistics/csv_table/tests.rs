use proptest::prelude::*;

use super::*;
use crate::statistics::{SplitStatistics, ValueStatistics};

fn write(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    fs::write_atomic(&path, text).unwrap();
    (folder, path)
}

fn summary(text: &str) -> SplitStatistics {
    let (_folder, path) = write(text.as_bytes());
    summarise_csv(&path).unwrap().statistics()
}

fn error(text: &[u8]) -> String {
    let (_folder, path) = write(text);
    let error = summarise_csv(&path).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "FILE")
}

#[test]
fn columns_have_the_types_that_tfdv_infers() {
    let statistics = summary("id,n,ratio,empty,long\na,1,0.5,,1\n\nb,,2,,99999999999999999999\n\"c\nd\",-3,,,2\n");
    let kinds: Vec<_> = statistics.features.iter().map(|feature| (feature.name.as_str(), feature.kind)).collect();
    let expected = [
        ("id", FeatureKind::String),
        ("n", FeatureKind::Int),
        ("ratio", FeatureKind::Float),
        ("empty", FeatureKind::String),
        ("long", FeatureKind::String),
    ];
    assert_eq!((statistics.examples, kinds.as_slice()), (3, expected.as_slice()));
    let presence: Vec<_> = statistics.features.iter().map(|f| (f.presence.present, f.presence.missing)).collect();
    assert_eq!(presence, [(3, 0), (2, 1), (2, 1), (0, 3), (3, 0)]);
    let ValueStatistics::Text(ids) = &statistics.feature("id").unwrap().values else { panic!("not texts") };
    assert_eq!(ids.top_values[0].value, "c\nd");
}

/// More than one piece, and a type that only the last row shows.
#[test]
fn a_type_that_shows_late_is_the_type_of_the_whole_column() {
    let rows: u64 = 150_000;
    let table = |last: &str| {
        let body: String = (0..rows).map(|at| format!("{at},x{at},{}\n", at % 7)).collect();
        summary(&format!("n,id,day\n{body}{last}\n"))
    };
    let whole = table("1,y,3");
    assert_eq!(
        whole.features.iter().map(|f| f.kind).collect::<Vec<_>>(),
        [FeatureKind::Int, FeatureKind::String, FeatureKind::Int]
    );
    for (last, kind) in [("0.5,y,3", FeatureKind::Float), ("many,y,3", FeatureKind::String)] {
        let other = table(last);
        assert_eq!((other.examples, other.features[0].kind), (rows + 1, kind));
        assert_eq!(other.features[0].presence.present, rows + 1);
        assert_eq!(other.features[1..], whole.features[1..]);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let body: String = (0..200_000).map(|at| format!("{at},title {}\n", at % 1000)).collect();
    let (_folder, path) = write(format!("n,title\n{body}").as_bytes());
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| summarise_csv(&path).unwrap().statistics())
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn a_table_without_rows_has_columns_without_values() {
    let statistics = summary("\u{feff}a,b\r\n");
    assert_eq!((statistics.examples, statistics.features.len()), (0, 2));
    assert_eq!(statistics.features[0].name, "a");
}

#[test]
fn what_is_no_table_is_refused_with_the_reason() {
    assert_eq!(error(b""), "FILE is empty: its first line should name the columns");
    assert_eq!(error(b"\n\n"), "FILE is empty: its first line should name the columns");
    assert_eq!(error(b"a,b,a\n1,2,3\n"), "FILE: two columns are named \"a\"");
    assert_eq!(error(b"a,b\n1,2\n\n3\n"), "FILE: row 2 has 1 cells, not 2");
    let many = format!("{}x\n", "x,".repeat(10_000));
    assert_eq!(error(many.as_bytes()), "FILE: 10001 columns are more than 10000");
    let (_folder, path) = write(b"");
    fs::remove_file(&path).unwrap();
    assert!(matches!(summarise_csv(&path).unwrap_err(), TableError::Fs(e) if e.is_not_found()));
}

proptest! {
    #[test]
    fn any_bytes_are_a_table_or_an_error(bytes in proptest::collection::vec(prop_oneof![
        Just(b','), Just(b'"'), Just(b'\n'), Just(b'\r'), Just(b'1'), Just(b'.'), any::<u8>(),
    ], 0..80)) {
        let (_folder, path) = write(&bytes);
        if let Ok(summary) = summarise_csv(&path) {
            let statistics = summary.statistics();
            for feature in &statistics.features {
                prop_assert_eq!(feature.presence.present + feature.presence.missing, statistics.examples);
            }
        }
    }
}

#[test]
fn a_quote_that_is_not_closed_is_refused_before_it_fills_the_memory() {
    let text = format!("a\n\"{}\n", "x\n".repeat(ROW_BYTES_MAX / 2 + 1));
    assert_eq!(error(text.as_bytes()), "FILE: a row is longer than 67108864 bytes; is a quote not closed?");
}
