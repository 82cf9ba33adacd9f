//! What to label next, and a table of it that goes back in: on the project of the demo.

#![expect(clippy::disallowed_methods, reason = "a test reads and changes its own files")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::natureddit::{Natureddit, Run};
use crate::the_loop::{copied, json, with_assets};

fn queue(dir: &Path, args: &[&str]) -> Value {
    json(&with_assets().in_dir(dir).args(["label", "queue", "--json"]).arguments(args).run())
}

fn rows(told: &Value) -> Vec<&Value> {
    told["rows"].as_array().unwrap().iter().collect()
}

fn text<'r>(row: &'r Value, key: &str) -> &'r str {
    row[key].as_str().unwrap()
}

/// The cells of a table of the project, header first.
fn cells(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn help_of_the_queue_has_its_examples() {
    assert_snapshot!(Natureddit::new().args(["label", "queue", "--help"]).snapshot());
}

#[test]
fn posts_without_a_label_come_by_how_unsure_the_model_is_and_their_choices_are_imported() {
    let (_folder, dir) = copied();
    let labelled: BTreeSet<String> =
        cells(&dir.join("labels/labels.csv")).into_iter().map(|row| row[0].clone()).collect();
    let told = queue(&dir, &["--only", "unlabelled", "--limit", "1000", "--out", "queue.csv"]);
    let all = rows(&told);
    assert!(all.len() >= 10 && all.len() as u64 == told["unlabelled"]["posts"].as_u64().unwrap(), "{told}");
    assert_eq!(told["unlabelled"]["model"]["version"], 1);
    assert!(told.get("suspects").is_none());
    assert!(all.iter().all(|row| !labelled.contains(text(row, "id")) && row["choice"].is_null()));
    let margins: Vec<f64> = all.iter().map(|row| row["margin"].as_f64().unwrap()).collect();
    assert!(margins.is_sorted() && margins.iter().all(|margin| (0.0..=1.0).contains(margin)), "{margins:?}");
    // The answers are those of the model.
    let score = ["score", "data/posts.csv", "--images", "data/images", "--out", "scores.csv", "--quiet"];
    assert_eq!(with_assets().in_dir(&dir).args(score).run().code, Some(0));
    let scores = cells(&dir.join("scores.csv"));
    for row in &all {
        let score = scores.iter().find(|score| score[0] == text(row, "id")).unwrap();
        assert_eq!(score[1], text(row, "suggested"));
    }

    // Nobody decided anything yet; then of the first two.
    let import = || json(&with_assets().in_dir(&dir).args(["label", "import", "queue.csv", "--json"]).run());
    let imported = import();
    assert_eq!((&imported["added"], &imported["undecided"]), (&0.into(), &all.len().into()), "{imported}");
    let mut table = cells(&dir.join("queue.csv"));
    assert_eq!(table[0], ["id", "img_name", "choice", "suggested", "probability", "margin", "reason", "set", "title"]);
    table[1][2] = "fauna".to_owned();
    table[2][2] = "landscape".to_owned();
    let mut writer = csv::Writer::from_path(dir.join("queue.csv")).unwrap();
    table.iter().for_each(|row| writer.write_record(row).unwrap());
    drop(writer);
    let imported = import();
    assert_eq!((&imported["added"], &imported["undecided"]), (&2.into(), &(all.len() - 2).into()), "{imported}");
    let again = queue(&dir, &["--only", "unlabelled", "--limit", "3"]);
    assert_eq!(again["unlabelled"]["posts"], Value::from(all.len() - 2));
    let next: Vec<&str> = rows(&again).iter().map(|row| text(row, "id")).collect();
    assert_eq!(next, [text(all[2], "id"), text(all[3], "id"), text(all[4], "id")]);
}

#[test]
fn forgotten_posts_and_photos_that_are_gone_are_not_queued() {
    let (_folder, dir) = copied();
    let unlabelled = ["--only", "unlabelled", "--limit", "1000"];
    let before = queue(&dir, &unlabelled);
    let [forgotten, gone, deleted] = [0, 1, 2].map(|at| rows(&before)[at]);
    let forget = ["dataset", "forget", text(forgotten, "id")];
    assert_eq!(with_assets().in_dir(&dir).args(forget).run().code, Some(0));
    fs::remove_file(dir.join("data/images").join(text(gone, "img_name"))).unwrap();
    // A deletion that is not finished: the rows are still there.
    let tombstones = fs::read_to_string(dir.join("data/tombstones.csv")).unwrap();
    let added = format!("{tombstones}{},2022-05-01T00:00:00\n", text(deleted, "id"));
    fs::write(dir.join("data/tombstones.csv"), added).unwrap();
    let after = queue(&dir, &unlabelled);
    let left: Vec<&str> = rows(&after).iter().map(|row| text(row, "id")).collect();
    for row in [forgotten, gone, deleted] {
        assert!(!left.contains(&text(row, "id")), "{row}");
    }
    assert_eq!(after["unlabelled"]["unreadable"], 1);
    // What was left out as a near-duplicate of one of them may have come in its place.
    let copies = before["unlabelled"]["near_duplicates"].as_u64().unwrap() as usize;
    assert!((rows(&before).len() - 3..=rows(&before).len() - 3 + copies).contains(&left.len()), "{left:?}");
}

#[test]
fn labels_to_check_come_first_and_are_those_of_the_check() {
    let (_folder, dir) = copied();
    let labels = dir.join("labels/labels.csv");
    let table = fs::read_to_string(&labels).unwrap();
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    // One fauna in eight becomes flora.
    let fauna: Vec<usize> = (1..lines.len()).filter(|&at| lines[at].contains(",fauna,")).collect();
    fauna.iter().step_by(8).for_each(|&at| lines[at] = lines[at].replace(",fauna,", ",flora,"));
    fs::write(&labels, lines.join("\n") + "\n").unwrap();
    let check = json(&with_assets().in_dir(&dir).args(["label", "check", "--json", "--out", "check.csv"]).run());
    let wrong = check["likely_wrong"].as_array().unwrap();
    let told = queue(&dir, &["--limit", "1000", "--out", "queue.csv"]);
    assert_eq!(told["suspects"]["likely_wrong"], Value::from(wrong.len()));
    let (checked, queued) = (cells(&dir.join("check.csv")), cells(&dir.join("queue.csv")));
    assert_eq!(checked, queued[..checked.len()], "the same rows");
    let unlabelled = told["unlabelled"]["posts"].as_u64().unwrap() as usize;
    assert_eq!(queued.len(), checked.len() + unlabelled);
    assert!(queued[checked.len()..].iter().all(|row| row[2].is_empty() && row[6] == "unsure"));
    let suspects = queue(&dir, &["--only", "suspect", "--limit", "1"]);
    assert_eq!((rows(&suspects).len(), suspects.get("unlabelled")), (1, None));
    assert_eq!(text(rows(&suspects)[0], "id"), text(&wrong[0], "id"));
    // Nobody mended a row: nothing is imported.
    let imported = json(&with_assets().in_dir(&dir).args(["label", "import", "queue.csv", "--json"]).run());
    assert_eq!((&imported["added"], &imported["undecided"]), (&0.into(), &unlabelled.into()));
}

#[test]
fn a_project_without_labels_and_model_has_a_queue_as_well() {
    let (_folder, dir) = copied();
    fs::remove_dir_all(dir.join("models")).unwrap();
    fs::remove_file(dir.join("labels/labels.csv")).unwrap();
    let Run { code, stdout, stderr } = with_assets().in_dir(&dir).args(["label", "queue", "--limit", "5"]).run();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("the labels are not checked: ") && stderr.contains("`natureddit run` trains one"),
        "{stderr}"
    );
    assert!(stdout.contains("next, the most useful first: 5 posts\n") && stdout.contains("  no label  "), "{stdout}");
    // Who asks for labels to check is told why there are none.
    let suspect = with_assets().in_dir(&dir).args(["label", "queue", "--only", "suspect"]).run();
    assert!(suspect.code == Some(1) && suspect.stderr.contains("hint: "), "{}", suspect.stderr);
}
