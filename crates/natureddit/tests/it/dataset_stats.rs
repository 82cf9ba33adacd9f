//! `natureddit dataset stats`, and the statistics that TFDV wrote.

use insta::assert_snapshot;
use natureddit_pipeline::statistics::{FeatureKind, ValueStatistics, read_statistics_file, statistics_to_bytes};

use crate::natureddit::Natureddit;

/// Texts of every kind: all different, few, long, wide and with characters that would steer a terminal.
fn table() -> String {
    let row = |at: u32| {
        let title = match at % 10 {
            0 => "A red fox in the first snow of a very long winter that did not want to end".to_owned(),
            1 => "雪の中の狐".to_owned(),
            2 => "\u{1b}[31mred".to_owned(),
            _ => format!("a title {}", at % 7),
        };
        let ratio = if at.is_multiple_of(4) { String::new() } else { format!("0.{:02}", at * at % 100) };
        let score = at * at % 1000 * (1 + at % 3);
        let choice = ["fauna", "flora", "fauna", "landscape"][(at % 4) as usize];
        format!("id{at},{title},{score},{ratio},{choice},\n")
    };
    let rows: String = (0..60).map(row).collect();
    format!("id,title,score,ratio,choice,flair\n{rows}")
}

fn stats() -> Natureddit {
    Natureddit::new().file("posts.csv", table()).args(["dataset", "stats", "--table", "posts.csv"])
}

#[test]
fn a_table_is_summarised_a_line_a_column() {
    assert_snapshot!(stats().snapshot());
}

#[test]
fn a_table_is_drawn() {
    let run = stats().args(["--plot"]).run();
    assert!(!run.stdout.contains('\u{1b}'), "nothing steers the terminal: {:?}", run.stdout);
    assert!(run.stdout.lines().all(|line| console_width(line) <= 100), "{}", run.stdout);
    assert_snapshot!(run.stdout);
}

/// How many columns of a terminal a line takes: the characters of the east take two.
fn console_width(line: &str) -> usize {
    line.chars().map(|c| if ('\u{3000}'..'\u{a000}').contains(&c) { 2 } else { 1 }).sum()
}

#[test]
fn the_summary_as_json_names_every_figure() {
    let small = Natureddit::new().file("t.csv", "id,n\na,1\nb,3\nc,\n");
    assert_snapshot!(small.args(["dataset", "stats", "--table", "t.csv", "--json"]).snapshot());
}

#[test]
fn the_same_statistics_are_written_as_the_same_bytes() {
    let out = |name| stats().args(["--out", name]);
    let bytes = |mut command: Natureddit, name: &str| {
        let path = command.dir().join(name);
        let run = command.run();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        natureddit_core::fs::read(&path).unwrap()
    };
    let first = bytes(out("FeatureStats.pb"), "FeatureStats.pb");
    assert!(first.len() > 100 && first == bytes(out("other.pb"), "other.pb"));
}

#[test]
fn what_cannot_be_summarised_is_an_error_that_says_what_to_do() {
    let errors = |mut command: Natureddit, code: i32, words: &[&str]| {
        let run = command.run();
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        assert!(run.stdout.is_empty(), "{}", run.stdout);
        words.iter().for_each(|word| assert!(run.stderr.contains(word), "{word}: {}", run.stderr));
    };
    let broken = Natureddit::new().file("t.csv", "a,b\n1,2\n3\n");
    let words = ["error: t.csv: row 2 has 1 cells, not 2", "hint: rows are counted without the header"];
    errors(broken.args(["dataset", "stats", "--table", "t.csv"]), 1, &words);
    let project = || Natureddit::new().file("natureddit.toml", "").args(["dataset", "stats"]);
    errors(project(), 1, &["error: there is no ", "posts.csv", "hint: `natureddit collect --last 1d` makes it"]);
    errors(project().args(["--split", "train"]), 1, &["error: ", "hint: `natureddit run` makes them"]);
    errors(project().args(["--split", "dev"]), 2, &["'dev'", "the splits are train, eval, test"]);
    errors(project().args(["--split", "eval", "--table", "t.csv"]), 2, &["cannot be used with"]);
}

#[test]
fn what_else_separates_cells_is_told_and_nothing_turns_the_writing() {
    let told = |table: &str| {
        let run = Natureddit::new().file("t.csv", table).args(["dataset", "stats", "--table", "t.csv"]).run();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let hint = "hint: cells are separated by commas, and the header of this table has";
    assert!(told("id;n\na;1\n").contains(&format!("{hint} semicolons\n")));
    assert!(told("id\tn\na\t1\n").contains(&format!("{hint} tabs\n")));
    assert!(!told("id,n;m\na,1\n").contains("hint: "));
    let turned = told("id,\u{2066}n\n\u{202e}gpj.exe,1\n");
    assert!(turned.contains(r"\u{202e}gpj.exe") && !turned.contains(['\u{202e}', '\u{2066}']), "{turned}");
}

/// TFDV 1.16.1 and TFX 1.16.0 wrote these files.
#[test]
fn the_files_of_tfdv_are_read_and_written_again_as_the_same_bytes() {
    let Some(shared) = natureddit_testkit::shared("statistics of TFDV") else { return };
    let of_tfx = ["train", "eval", "test"]
        .map(|split| format!("tfx_out/StatisticsGen/statistics/2/Split-{split}/FeatureStats.pb"));
    for file in of_tfx.iter().map(String::as_str).chain(["tfdv/FeatureStats.pb"]) {
        let path = shared.join("captures").join(file);
        let statistics = read_statistics_file(&path).unwrap();
        assert_eq!(statistics_to_bytes(&statistics), natureddit_core::fs::read(&path).unwrap(), "{file}");
    }
    let statistics = read_statistics_file(&shared.join("captures/tfdv/FeatureStats.pb")).unwrap();
    assert_eq!((statistics.examples, statistics.features.len()), (200, 7));
    let ratio = statistics.feature("ratio").unwrap();
    assert_eq!((ratio.kind, ratio.presence.present, ratio.presence.missing), (FeatureKind::Float, 188, 12));
    let ValueStatistics::Text(choice) = &statistics.feature("choice").unwrap().values else { panic!("not texts") };
    assert_eq!((choice.unique, choice.top_values[0].value.as_str(), choice.top_values[0].count), (3, "fauna", 77));
}
