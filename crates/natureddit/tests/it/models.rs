//! The model store from outside: which versions there are, and which of them answers.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use natureddit_testkit::tiny_bundle;
use serde_json::Value;

use crate::natureddit::{Natureddit, Run};
use crate::the_loop::{copied, json, outcomes, push_second, run_pipeline, with_assets};

const HISTORY: &str = r#"{"at":"2026-11-28T08:00:00Z","change":"push","version":1,"manifest":"MANIFEST_1","metrics":{"accuracy":0.9,"examples":210.0,"macro_f1":0.8875}}
{"at":"2026-11-29T08:00:00Z","change":"push","version":2,"before":1,"metrics":{"accuracy":0.9,"examples":210.0,"macro_f1":0.9125}}
{"at":"2026-11-30T17:30:00Z","change":"rollback","version":1,"before":2,"reason":"2 takes foxes for flowers"}
"#;

/// A project with three versions, of which the first answers and the last was put there by hand.
fn project() -> Natureddit {
    let history = HISTORY.replace("MANIFEST_1", &"1f".repeat(32));
    let natureddit = Natureddit::new().file("natureddit.toml", "").file("models/naturedditTI/history.jsonl", history);
    (1..=3).for_each(|version| put(&natureddit.dir(), version));
    natureddit
}

fn put(dir: &Path, version: u8) {
    tiny_bundle(&dir.join("models/naturedditTI").join(version.to_string()), "naturedditTI", version);
}

fn history(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("models/naturedditTI/history.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_versions_are_listed_with_the_one_that_answers() {
    assert_snapshot!(project().args(["model", "list"]).snapshot());
}

#[test]
fn the_versions_are_listed_as_json() {
    assert_snapshot!(project().args(["model", "list", "--json"]).snapshot());
}

#[test]
fn without_a_version_the_list_says_how_to_get_one() {
    assert_snapshot!(Natureddit::new().file("natureddit.toml", "").args(["model", "list"]).snapshot());
}

#[test]
fn a_version_whose_manifest_is_damaged_is_listed_as_that() {
    let natureddit =
        project().file("models/naturedditTI/2/manifest.json", "{").file("models/other/1/manifest.json", "");
    assert_snapshot!(natureddit.args(["model", "list"]).snapshot());
}

#[test]
fn the_version_that_answers_is_shown() {
    assert_snapshot!(project().args(["model", "show"]).snapshot());
}

#[test]
fn any_version_is_shown_by_name_and_number_as_json() {
    assert_snapshot!(project().args(["model", "show", "naturedditTI/2", "--json"]).snapshot());
}

#[test]
fn a_version_that_was_never_pushed_is_not_shown() {
    assert_snapshot!(project().args(["model", "show", "7"]).snapshot());
}

#[test]
fn what_is_no_model_is_a_usage_error() {
    assert_snapshot!(project().args(["model", "show", "../secret"]).snapshot());
}

#[test]
fn help_of_promote_has_its_examples() {
    assert_snapshot!(Natureddit::new().args(["model", "promote", "--help"]).snapshot());
}

/// The program in the folder of a project that is kept elsewhere.
fn at<const N: usize>(dir: &Path, args: [&str; N]) -> Natureddit {
    Natureddit::new().in_dir(dir).args(args)
}

#[test]
fn a_promoted_version_answers_and_the_change_is_kept_with_its_reason() {
    let kept = project();
    let dir = kept.dir();
    assert_snapshot!(at(&dir, ["model", "promote", "3", "--reason", " better on birds "]).snapshot());
    let last = history(&dir).pop().unwrap();
    assert_eq!((&last["change"], &last["version"], &last["before"]), (&"promote".into(), &3.into(), &1.into()));
    assert_eq!(last["reason"], "better on birds");
    let again = at(&dir, ["model", "promote", "naturedditTI/3"]).run();
    assert_eq!(again.stdout, "naturedditTI 3 answers already; nothing was changed\n");
    assert_eq!((again.code, history(&dir).len()), (Some(0), 4));
}

#[test]
fn going_back_leads_to_what_answered_before() {
    let kept = Natureddit::new().file("natureddit.toml", "");
    let dir = kept.dir();
    (1..=3).for_each(|version| put(&dir, version));
    let back = json(&at(&dir, ["model", "rollback", "--json", "--reason", "birds"]).run());
    assert_eq!(
        back,
        serde_json::json!({
            "name": "naturedditTI", "version": 2, "before": 3, "changed": true, "reason": "birds"
        })
    );
    assert_snapshot!(at(&dir, ["model", "rollback"]).snapshot());
    let changes: Vec<(Value, Value)> =
        history(&dir).iter().map(|c| (c["version"].clone(), c["before"].clone())).collect();
    assert_eq!(changes, [(2.into(), 3.into()), (1.into(), 2.into())]);
    assert!(!dir.join("models/naturedditTI/3/.partial").exists());
}

#[test]
fn where_there_is_nothing_to_go_back_to_the_way_out_is_told() {
    let kept = project();
    assert_snapshot!("nothing_before", at(&kept.dir(), ["model", "rollback"]).snapshot());
    assert_snapshot!("never_answered", at(&kept.dir(), ["model", "rollback", "--to", "3"]).snapshot());
    assert_snapshot!("no_version", at(&kept.dir(), ["model", "promote", "9"]).snapshot());
    assert_snapshot!("no_model", at(&kept.dir(), ["model", "promote", "typo/1"]).snapshot());
    assert_snapshot!("no_number", at(&kept.dir(), ["model", "promote", "naturedditTI"]).snapshot());
    assert_eq!(history(&kept.dir()).len(), 3);
    assert!(!kept.dir().join("models/typo").exists(), "a wrong name leaves nothing behind");
}

#[test]
fn a_damaged_version_is_not_promoted() {
    let natureddit = project().file("models/naturedditTI/3/head.safetensors", "half a head");
    assert_snapshot!(natureddit.args(["model", "promote", "3"]).snapshot());
}

#[test]
fn who_asks_a_damaged_version_is_told_of_the_others_and_what_removing_it_means() {
    let natureddit = project().file("models/naturedditTI/1/head.safetensors", "half a head");
    let folder = natureddit.dir().join("models/naturedditTI/1");
    let Run { code, stderr, .. } = natureddit.args(["predict", "--text", "A fox"]).run();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("hint: `natureddit model rollback` or `natureddit model promote VERSION` makes"),
        "{stderr}"
    );
    assert!(stderr.contains(&format!("when you remove {} and", folder.display())), "{stderr}");
    assert!(stderr.contains("any other is lost"), "{stderr}");
}

#[test]
fn a_damaged_history_is_told_with_its_line() {
    let good = HISTORY.replace("MANIFEST_1", &"1f".repeat(32));
    let natureddit = project().file("models/naturedditTI/history.jsonl", format!("{good}{{\n"));
    assert_snapshot!(natureddit.args(["model", "rollback"]).snapshot());
}

fn answering(dir: &Path) -> Value {
    let predict = ["predict", "--text", "A fox in the forest", "--json"];
    json(&with_assets().in_dir(dir).args(predict).run())["model"]["version"].clone()
}

fn model(dir: &Path, args: &[&str]) {
    let Run { code, stderr, .. } = with_assets().in_dir(dir).args(["model"]).arguments(args).run();
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn what_somebody_chose_answers_until_a_new_model_is_pushed() {
    let (_folder, dir) = copied();
    let pusher = |report: &Value| outcomes(report).into_iter().find(|outcome| outcome.starts_with("Pusher")).unwrap();
    push_second(&dir, |manifest| manifest["producer"] = Value::from("another"));
    assert_eq!(answering(&dir), 2);
    // The candidate is judged beside it again, is no new model, and stays back.
    let report = run_pipeline(&dir);
    assert!(report["evaluation"]["champion"].is_object(), "{report}");
    assert_eq!((report["pushed"]["version"].as_u64(), answering(&dir)), (Some(1), 2.into()));
    assert_eq!(pusher(&run_pipeline(&dir)), "Pusher cached");
    model(&dir, &["rollback", "--reason", "back to the first"]);
    assert_eq!(answering(&dir), 1);
    assert_eq!(pusher(&run_pipeline(&dir)), "Pusher cached");

    // Other settings make another model, and that answers.
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    let loose = "\n[trainer]\nseed = 7\n[evaluator]\nchampion_loss_max = 1.0\n";
    fs::write(dir.join("natureddit.toml"), format!("{settings}{loose}")).unwrap();
    assert_eq!(run_pipeline(&dir)["pushed"]["version"], 3);
    assert_eq!(answering(&dir), 3);
    // And gone back from, it stays so.
    model(&dir, &["rollback"]);
    let report = run_pipeline(&dir);
    assert_eq!((pusher(&report).as_str(), answering(&dir)), ("Pusher cached", 1.into()));
    let listed = json(&with_assets().in_dir(&dir).args(["model", "list", "--json"]).run());
    let changes = listed["models"][0]["changes"].as_array().unwrap();
    let told: Vec<&str> = changes.iter().map(|change| change["change"].as_str().unwrap()).collect();
    assert_eq!(told, ["push", "promote", "rollback", "push", "rollback"]);
    assert!(changes[0]["metrics"]["macro_f1"].as_f64().unwrap() > 0.8, "{changes:?}");
}

#[test]
fn a_pushed_model_that_may_know_the_test_posts_is_not_compared_with() {
    let (_folder, dir) = copied();
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    let split = "\n[examples.hash_buckets]\ntrain = 7\neval = 1\ntest = 2\n";
    fs::write(dir.join("natureddit.toml"), format!("{settings}{split}")).unwrap();
    let evaluation = &run_pipeline(&dir)["evaluation"];
    assert_eq!(evaluation["champion"], Value::Null, "{evaluation}");
    assert!(evaluation["reasons"].to_string().contains("split in another way"), "{evaluation}");
}

#[test]
fn a_model_that_no_server_can_serve_is_not_pushed() {
    let (_folder, dir) = copied();
    let first = json(&with_assets().in_dir(&dir).args(["run", "--json"]).run());
    assert_eq!(first["infra"]["blessed"], true, "{}", first["infra"]);
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    fs::write(dir.join("natureddit.toml"), format!("{settings}\n[serve]\nbody_bytes_max = 400\n")).unwrap();
    let report = run_pipeline(&dir);
    let ran: Vec<String> = outcomes(&report).into_iter().filter(|outcome| outcome.ends_with(" ran")).collect();
    assert_eq!(ran, ["InfraValidator ran", "Pusher ran"]);
    assert_eq!((&report["infra"]["blessed"], &report["pushed"]), (&Value::Bool(false), &Value::Null));
    let reasons = report["infra"]["reasons"].to_string();
    assert!(reasons.contains("not met: a photo alone: the answer is 413"), "{reasons}");
    let told = with_assets().in_dir(&dir).args(["run"]).run().stdout;
    assert!(told.contains("no server can serve it\n  met: the server was ready within 60 s\n"), "{told}");
    assert_eq!(answering(&dir), 1, "what was pushed stays");
}

#[test]
fn a_server_ends_with_the_program_that_started_it_even_when_that_is_killed() {
    let (_folder, dir) = copied();
    // It holds the server's standard input, and does nothing else.
    let mut owner = Command::new("sleep").arg("600").stdout(Stdio::piped()).spawn().unwrap();
    let alive = owner.stdout.take().unwrap();
    let serve = ["serve", "--json", "--until-stdin-closes", "--address", "127.0.0.1:0", "--self-signed", "tls"];
    let mut serving = with_assets().in_dir(&dir).args(serve).stdin(alive.into()).spawn(Stdio::piped());
    let mut ready = serde_json::Deserializer::from_reader(serving.child.stdout.take().unwrap()).into_iter::<Value>();
    let ready = ready.next().unwrap().unwrap();
    assert_eq!(ready["certificate"], dir.join("tls/certificate.pem").to_str().unwrap());
    assert_eq!(serving.child.try_wait().unwrap(), None);
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_photo_to_predict_is_a_file_and_no_pipe_that_nobody_writes_into() {
    let kept = Natureddit::new().file("natureddit.toml", "");
    assert!(Command::new("mkfifo").arg(kept.dir().join("pipe.jpg")).status().unwrap().success());
    assert_snapshot!(at(&kept.dir(), ["predict", "--image", "pipe.jpg"]).snapshot());
}

#[test]
fn posts_without_a_label_are_answered_by_the_model_in_use() {
    let (_folder, dir) = copied();
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    fs::write(dir.join("natureddit.toml"), format!("{settings}\n[bulk_inferrer]\nenabled = true\n")).unwrap();
    let rows = |text: &str| csv::Reader::from_reader(text.as_bytes()).into_records().count();
    let posts = rows(&fs::read_to_string(dir.join("data/posts.csv")).unwrap());
    let labels = rows(&fs::read_to_string(dir.join("labels/labels.csv")).unwrap());
    let output = |report: &Value, file: &str| {
        let components = report["components"].as_array().unwrap();
        let inferrer = components.iter().find(|component| component["component"] == "BulkInferrer").unwrap();
        let uri = inferrer["outputs"]["inference_result"]["uri"].as_str().unwrap();
        (inferrer.clone(), fs::read_to_string(dir.join(uri).join(file)).unwrap())
    };
    let report = run_pipeline(&dir);
    let (inferrer, table) = output(&report, "predictions.csv");
    assert!(table.starts_with("id,img_name,label,p_fauna,p_flora,p_landscape,confidence\n"), "{table}");
    assert_eq!(rows(&table), posts - labels);
    assert_eq!(inferrer["details"]["photos_to_embed"].as_u64(), Some((posts - labels) as u64));

    // As `score` answers, which asks the model itself.
    let score = ["score", "data/posts.csv", "--images", "data/images", "--out", "scores.csv", "--quiet"];
    assert_eq!(with_assets().in_dir(&dir).args(score).run().code, Some(0));
    let scores = fs::read_to_string(dir.join("scores.csv")).unwrap();
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let score = scores.lines().find(|line| line.starts_with(&format!("{},", cells[0]))).unwrap();
        assert_eq!(score.split(',').nth(1), Some(cells[2]), "{line}: {score}");
        let own = |text: &str| text.parse::<f64>().unwrap();
        let apart = (own(score.split(',').nth(2).unwrap()) - own(cells[3])).abs();
        assert!(apart < 1e-3, "{line}: {score}");
    }

    // Nothing changed: nothing is read; and a run whose output was lost embeds nothing again.
    assert!(outcomes(&run_pipeline(&dir)).iter().all(|outcome| outcome.ends_with(" cached")));
    fs::remove_dir_all(dir.join("pipeline/BulkInferrer")).unwrap();
    let photos = fs::read_dir(dir.join("data/images")).unwrap().map(|entry| entry.unwrap().path());
    let unlabelled = table.lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned();
    assert!(photos.into_iter().any(|photo| photo.ends_with(&unlabelled)));
    let (inferrer, again) = output(&run_pipeline(&dir), "predictions.csv");
    assert_eq!((again, inferrer["details"]["photos_to_embed"].as_u64()), (table.clone(), Some(0)));

    // A photo that is gone is told, and answered when it is back.
    let photo = dir.join("data/images").join(&unlabelled);
    let bytes = fs::read(&photo).unwrap();
    fs::remove_file(&photo).unwrap();
    fs::remove_dir_all(dir.join("pipeline/embeddings")).unwrap();
    fs::remove_dir_all(dir.join("pipeline/BulkInferrer")).unwrap();
    let report = run_pipeline(&dir);
    let (_, skipped) = output(&report, "skipped.csv");
    assert_eq!(skipped.lines().count(), 2, "{skipped}");
    assert!(skipped.lines().nth(1).unwrap().ends_with(",missing"), "{skipped}");
    fs::write(&photo, bytes).unwrap();
    let (inferrer, again) = output(&run_pipeline(&dir), "predictions.csv");
    assert_eq!((&inferrer["reason"]["because"], again), (&"readable".into(), table));
}

#[test]
fn a_version_without_a_model_card_is_told_as_that() {
    assert_snapshot!(project().args(["model", "card", "2"]).snapshot());
}

#[test]
fn the_model_card_is_printed_and_shown() {
    let file = |name: &str| format!("models/naturedditTI/1/{name}");
    let with_card = || {
        let card = "# Model card: naturedditTI 1\n\n## Data\n";
        project().file(&file("MODEL_CARD.md"), card).file(&file("model_card.html"), "<!DOCTYPE html>")
    };
    assert_snapshot!("model_card", with_card().args(["model", "card"]).snapshot());
    assert_snapshot!("model_card_as_json", with_card().args(["model", "card", "naturedditTI/1", "--json"]).snapshot());
    let shown = with_card().args(["model", "show"]).run();
    assert!(shown.stdout.contains("model card: ") && shown.stdout.contains("MODEL_CARD.md"), "{}", shown.stdout);
}

#[test]
fn what_cannot_be_verified_or_explained_is_a_usage_error() {
    let usage = |args: &[&str], why: &str| {
        let run = project().arguments(args).run();
        assert!(run.code == Some(2) && run.stderr.contains(why), "{args:?}: {}", run.stderr);
    };
    usage(&["model", "verify-skew", "--url", "localhost:8080"], "https://");
    usage(&["model", "verify-skew", "--rows", "0"], "--rows");
    usage(&["model", "verify-skew", "--certificate", "c.pem"], "--url");
    usage(&["predict", "--text", "A fox", "--heat-map", "map.png"], "--explain");
    usage(&["predict", "--text", "A fox", "--explain", "--heat-map", "map.png"], "--image");
    usage(&["predict", "--text", "A fox", "--explain", "--grid", "1"], "--grid");
    let picture = ["predict", "--text", "A fox", "--image", "fox.jpg", "--explain", "--heat-map", "map.webp"];
    usage(&picture, "no name of a picture");
    usage(&["label", "check", "--out", "labels/labels.csv"], "would replace what the project keeps");
}
