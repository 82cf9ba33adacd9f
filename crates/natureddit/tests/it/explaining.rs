//! Why a model answers so, which labels are likely wrong, and whether a server answers as the training did: on the project
//! of the demo.

#![expect(clippy::disallowed_methods, reason = "a test reads and changes its own files")]

use std::fs;

use natureddit_image::ImageLimits;
use serde_json::Value;

use crate::natureddit::Run;
use crate::the_loop::{a_photo, copied, in_project, json, with_assets};

fn weights(explanation: &Value) -> Vec<f64> {
    let rows = explanation["photo"]["weights"].as_array().unwrap().iter();
    rows.flat_map(|row| row.as_array().unwrap()).map(|weight| weight.as_f64().unwrap()).collect()
}

#[test]
fn an_answer_is_explained_by_its_words_and_its_parts_and_drawn() {
    let (folder, photo) = (tempfile::tempdir().unwrap(), a_photo());
    let (photo, map) = (photo.to_str().unwrap(), folder.path().join("map.png"));
    let post = ["predict", "--text", "A fox in the forest", "--image", photo, "--explain"];
    let told = json(&in_project().args(post).args(["--heat-map", map.to_str().unwrap(), "--json"]).run());
    let explanation = &told["explanation"];
    assert_eq!(explanation["class"], told["label"]);
    let words: Vec<&str> =
        explanation["words"].as_array().unwrap().iter().map(|word| word["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["A", "fox", "in", "the", "forest"]);
    assert_eq!(weights(explanation).len(), 49);
    assert!(weights(explanation).iter().all(|weight| (-1.0..=1.0).contains(weight)));
    let limits = ImageLimits { bytes_max: 1 << 26, pixels_max: 1 << 24 };
    assert!(natureddit_image::decode(&fs::read(&map).unwrap(), &limits).is_ok());

    // The answer is that of a question without an explanation, which is the same each time.
    let plain =
        json(&in_project().args(["predict", "--text", "A fox in the forest", "--image", photo, "--json"]).run());
    assert_eq!(plain["probabilities"], told["probabilities"]);
    assert_eq!(plain.get("explanation"), None);
    let again = json(&in_project().args(post).args(["--grid", "7", "--json"]).run());
    assert_eq!(again["explanation"]["photo"], explanation["photo"]);
    let Run { stdout, .. } = in_project().args(post).run();
    assert!(stdout.contains("the title: how far") && stdout.contains("the photo: how far"), "{stdout}");
}

#[test]
fn a_title_alone_is_explained_by_its_words() {
    let told = json(&in_project().args(["predict", "--text", "A fox", "--explain", "--json"]).run());
    assert_eq!(told["explanation"]["words"].as_array().unwrap().len(), 2);
    assert_eq!(told["explanation"].get("photo"), None);
}

#[test]
fn labels_that_were_changed_are_found_and_can_be_mended() {
    let (_folder, dir) = copied();
    let table = fs::read_to_string(dir.join("labels/labels.csv")).unwrap();
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    // One fauna in eight becomes flora.
    let fauna: Vec<usize> = (1..lines.len()).filter(|&at| lines[at].contains(",fauna,")).collect();
    let changed: Vec<String> =
        fauna.iter().step_by(8).map(|&at| lines[at].split(',').next().unwrap().to_owned()).collect();
    fauna.iter().step_by(8).for_each(|&at| lines[at] = lines[at].replace(",fauna,", ",flora,"));
    fs::write(dir.join("labels/labels.csv"), lines.join("\n") + "\n").unwrap();
    let out = dir.join("check.csv");
    let check = ["label", "check", "--json", "--out", out.to_str().unwrap()];
    let told = json(&with_assets().in_dir(&dir).args(check).run());
    let wrong: Vec<&str> =
        told["likely_wrong"].as_array().unwrap().iter().map(|suspect| suspect["id"].as_str().unwrap()).collect();
    let found = changed.iter().filter(|id| wrong.contains(&id.as_str())).count();
    assert!(changed.len() >= 5 && found * 10 >= changed.len() * 7, "{found} of {} in {wrong:?}", changed.len());
    // Nobody mended a row: nothing is imported.
    let import = ["label", "import", out.to_str().unwrap(), "--json"];
    let imported = json(&with_assets().in_dir(&dir).args(import).run());
    assert_eq!(imported["added"], 0);
    assert!(imported["unchanged"].as_u64().unwrap() >= wrong.len() as u64);
}

#[test]
fn a_server_answers_training_rows_as_their_stored_features_do() {
    let (_folder, dir) = copied();
    let verify = ["model", "verify-skew", "--rows", "20", "--json"];
    let told = json(&with_assets().in_dir(&dir).args(verify).run());
    assert_eq!((&told["holds"], &told["rows"]), (&Value::Bool(true), &Value::from(20)), "{told}");
    assert!(told["difference_max"].as_f64().unwrap() <= 1e-4, "{told}");
    assert_eq!(told["reference"], "stored_features");
    let left = fs::read_dir(dir.join("pipeline")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("verify-skew")), "its scratch folder is left");
    let nobody = with_assets().in_dir(&dir).args(["model", "verify-skew", "--url", "http://127.0.0.1:9"]).run();
    assert_eq!(nobody.code, Some(1));
    assert!(
        nobody.stderr.contains("the server cannot be asked") && nobody.stderr.contains("hint:"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn a_model_with_encoders_of_its_own_is_verified_by_what_it_says_itself() {
    let (_folder, dir) = copied();
    // Features of another form than the pushed model's, as those of the encoders before they were tuned are.
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    fs::write(dir.join("natureddit.toml"), format!("{settings}\n[model]\nprecision = \"fp32\"\n")).unwrap();
    let verify = ["model", "verify-skew", "--rows", "20", "--json"];
    let told = json(&with_assets().in_dir(&dir).args(verify).run());
    assert_eq!((&told["holds"], &told["rows"]), (&Value::Bool(true), &Value::from(20)), "{told}");
    assert_eq!(told["reference"], "bundle");
    assert!(told["difference_max"].as_f64().unwrap() <= 1e-4, "{told}");
}

#[test]
fn a_pushed_model_has_a_card_that_names_nobody() {
    let Run { code, stdout, .. } = in_project().args(["model", "card"]).run();
    assert_eq!(code, Some(0));
    for section in
        ["# Model card: naturedditTI 1", "## Data", "## Quality", "## Limits and known failures", "## Lineage"]
    {
        assert!(stdout.contains(section), "{section} in {stdout}");
    }
    let posts = fs::read_to_string(in_project_file("data/posts.csv")).unwrap();
    let mut reader = csv_rows(&posts);
    let header = reader.next().unwrap();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (author, title) = (column("author"), column("title"));
    for row in reader.take(50) {
        // A short one may be a word of the card.
        let is_named = |column: usize| row[column].len() > 4 && stdout.contains(&row[column]);
        assert!(!is_named(author) && !is_named(title), "{row:?}");
    }
}

fn in_project_file(name: &str) -> std::path::PathBuf {
    a_photo().ancestors().nth(3).unwrap().join(name)
}

/// The rows of a table as the program writes it.
fn csv_rows(text: &str) -> impl Iterator<Item = Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    rows.into_iter()
}
