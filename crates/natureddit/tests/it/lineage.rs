//! `natureddit lineage` from whatever one has in hand, `natureddit gc`, and what a forgotten post leaves behind.

#![expect(clippy::disallowed_methods, reason = "a test looks at files itself")]

use std::fs;
use std::path::{Path, PathBuf};

use natureddit_pipeline::{Split, read_split};
use serde_json::{Value, json};

use crate::natureddit::Run;
use crate::the_loop::{copied, run_pipeline, with_assets};

fn stdout<const N: usize>(dir: &Path, args: [&str; N]) -> String {
    let Run { code, stdout, stderr } = with_assets().in_dir(dir).args(args).run();
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

fn json<const N: usize>(dir: &Path, args: [&str; N]) -> Value {
    serde_json::from_str(&stdout(dir, args)).unwrap()
}

/// A labelled post with its photo.
fn a_labelled_post(dir: &Path) -> String {
    let labels = fs::read_to_string(dir.join("labels/labels.csv")).unwrap();
    labels.lines().nth(1).unwrap().split(',').next().unwrap().to_owned()
}

#[test]
fn a_model_is_traced_from_its_name_a_prediction_or_a_folder_up_and_from_a_post_down() {
    let (_folder, dir) = copied();
    let tree = stdout(&dir, ["lineage", "naturedditTI/1"]);
    for expected in ["PushedModel artifact:", "└─ Pusher execution:", "dataset: Dataset ", "labels: Labels "] {
        assert!(tree.contains(expected), "{tree}");
    }
    let prediction = "naturedditTI/1/11111111-2222-4333-8444-555555555555";
    for id in [prediction, "models/naturedditTI/1", "models/naturedditTI/1/"] {
        assert_eq!(stdout(&dir, ["lineage", id]), tree, "{id}");
    }
    let model = run_pipeline(&dir)["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["component"] == "Trainer")
        .unwrap()["outputs"]["model"]["uri"]
        .as_str()
        .unwrap()
        .to_owned();
    let up = json(&dir, ["lineage", &model, "--json"]);
    assert_eq!(up["up"]["nodes"][0]["uri"], model.as_str());
    let both = json(&dir, ["lineage", &model, "--up", "--down", "--json"]);
    let down = both["down"]["nodes"].as_array().unwrap();
    assert!(down.iter().any(|node| node["type_name"] == "PushedModel"), "{both}");

    let examples = dir.join(up["up"]["nodes"].as_array().unwrap().iter().find_map(examples_uri).unwrap());
    for (split, learnt, judged, pushed) in
        [(Split::Train, vec![&model], vec![], 1), (Split::Test, vec![], vec![&model], 0)]
    {
        let post = &read_split(&examples, split).unwrap()[0].id;
        let traced = json(&dir, ["lineage", &format!("post:{post}"), "--json"]);
        assert_eq!(traced["examples"].as_array().unwrap().len(), 1, "{traced}");
        assert_eq!((&traced["models"], &traced["judged"]), (&json!(learnt), &json!(judged)), "{traced}");
        assert_eq!(traced["pushed"].as_array().unwrap().len(), pushed, "{traced}");
        let link = format!("https://www.reddit.com/r/any/comments/{post}/any_title/");
        let (learnt, judged) = (
            if learnt.is_empty() { "0 models" } else { "1 model" },
            if judged.is_empty() { "0 models" } else { "1 model" },
        );
        let told = format!("post {post}: in 1 folder of examples, learnt by {learnt}, judges {judged}\n");
        assert!(stdout(&dir, ["lineage", &link]).starts_with(&told));
    }
}

fn examples_uri(node: &Value) -> Option<&str> {
    (node["type_name"] == "Examples").then(|| node["uri"].as_str()).flatten()
}

#[test]
fn what_nobody_knows_is_told_with_what_can_be_asked() {
    let (_folder, dir) = copied();
    for (id, expected) in [
        ("99999", "error: there is no artifact:99999 in the metadata store\nhint: `natureddit run --json`"),
        ("naturedditTI/77", "error: \"naturedditTI/77\" is no model, output, artifact, execution or post"),
    ] {
        let Run { code, stderr, .. } = with_assets().in_dir(&dir).args(["lineage", id]).run();
        assert_eq!(code, Some(1));
        assert!(stderr.starts_with(expected), "{stderr}");
    }
}

#[test]
fn garbage_collection_keeps_what_the_next_run_and_the_server_need() {
    let (_folder, dir) = copied();
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    fs::write(dir.join("natureddit.toml"), format!("{settings}\n[trainer]\nepochs_max = 3\n")).unwrap();
    run_pipeline(&dir);
    assert!(stdout(&dir, ["gc"]).starts_with("0 outputs removed"));
    let told = json(&dir, ["gc", "--older-than", "0d", "--dry-run", "--json"]);
    let gone = json(&dir, ["gc", "--older-than", "0d", "--json"]);
    assert_eq!(told["removed"], gone["removed"]);
    assert!(stdout(&dir, ["lineage", "naturedditTI/1"]).contains("Dataset "), "lineage stays");
    let report = run_pipeline(&dir);
    let outcomes: Vec<_> = report["components"].as_array().unwrap().iter().map(|c| &c["outcome"]).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == "cached"), "{report}");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The files of the pipeline that hold a post's id.
fn mentioning(dir: &Path, post: &str) -> Vec<PathBuf> {
    let mentions = |path: &PathBuf| fs::read(path).unwrap().windows(post.len()).any(|part| part == post.as_bytes());
    files(&dir.join("pipeline")).into_iter().filter(mentions).collect()
}

#[test]
fn a_forgotten_post_is_in_no_file_of_the_pipeline() {
    let (_folder, dir) = copied();
    let post = a_labelled_post(&dir);
    let mentioning = || mentioning(&dir, &post);
    assert!(!mentioning().is_empty());
    let forgotten = json(&dir, ["dataset", "forget", &post, "--json"]);
    assert!(forgotten["outputs"].as_u64().unwrap() >= 1, "{forgotten}");
    assert_eq!(mentioning(), Vec::<PathBuf>::new());
    let report = run_pipeline(&dir);
    assert_eq!(report["components"][0]["outcome"], "ran");
    assert_eq!(mentioning(), Vec::<PathBuf>::new());
    let traced = json(&dir, ["lineage", &format!("post:{post}"), "--json"]);
    assert_eq!((&traced["examples"], &traced["examples_removed"]), (&json!([]), &Value::from(1)));
}

#[test]
fn a_deletion_that_was_cut_off_is_told_and_finished_by_the_next_command() {
    let (_folder, dir) = copied();
    let post = a_labelled_post(&dir);
    let mentioning = || mentioning(&dir, &post);
    // As if it was killed when the dataset had changed and the pipeline had not.
    let ids = [post.parse().unwrap()].into();
    natureddit_data::forget_posts(&dir.join("data"), &dir.join("labels"), &ids, &natureddit_core::Clock::fixed(0))
        .unwrap();
    assert!(!mentioning().is_empty());
    assert!(stdout(&dir, ["dataset", "status"]).contains("a deletion was cut off"));
    let forgotten = dir.join("data/forgetting.json");
    assert!(forgotten.exists());
    stdout(&dir, ["gc"]);
    assert!(!forgotten.exists());
    assert_eq!(mentioning(), Vec::<PathBuf>::new());
}
