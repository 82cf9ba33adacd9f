//! The loop on a small drawn corpus: one demo, and the other commands on the project it made.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use natureddit_pipeline::{Split, read_split};
use natureddit_testkit::{bundle, cache_dir};
use reqwest::blocking::multipart::{Form, Part};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::Value;
use tempfile::TempDir;

use crate::natureddit::{Natureddit, Run, Running};

/// A project made by `natureddit demo`, once for all tests; they only read it.
struct Project {
    _folder: TempDir,
    dir: PathBuf,
    report: Value,
}

fn project() -> &'static Project {
    static PROJECT: OnceLock<Project> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("project");
        let args = ["demo", "--no-serve", "--json", "--posts", "420", "--labelled", "0.9", "--dir"];
        let mut demo = with_assets().args(args).args([dir.to_str().unwrap()]);
        let Run { code, stdout, stderr } = demo.run();
        assert_eq!(code, Some(0), "{stderr}");
        Project { report: serde_json::from_str(&stdout).unwrap(), dir, _folder: folder }
    })
}

/// The program with the machine's own assets, which the tests of the model have pulled or pull now.
pub(crate) fn with_assets() -> Natureddit {
    Natureddit::new().env("XDG_CACHE_HOME", cache_dir().parent().unwrap().to_str().unwrap())
}

/// The program in the project's folder.
pub(crate) fn in_project() -> Natureddit {
    with_assets().in_dir(&project().dir)
}

pub(crate) fn json(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

pub(crate) fn a_photo() -> PathBuf {
    let photos = fs::read_dir(project().dir.join("data/images")).unwrap();
    photos.map(|entry| entry.unwrap().path()).min().unwrap()
}

#[test]
fn the_demo_ends_with_a_judged_model_and_an_answer_over_https() {
    let report = &project().report;
    assert_eq!(report["ran"]["evaluation"]["blessed"], true, "{}", report["ran"]["evaluation"]["reasons"]);
    assert_eq!(report["ran"]["pushed"]["version"], 1);
    assert!(report["ran"]["evaluation"]["metrics"]["macro_f1"].as_f64().unwrap() > 0.8);
    let answer = &report["prediction"]["answer"];
    assert!(["fauna", "flora", "landscape"].contains(&answer["label"].as_str().unwrap()), "{answer}");
    assert_eq!((&report["prediction"]["labelled"], &report["kept_version"]), (&Value::Bool(false), &Value::Null));
    let curl = report["curl"].as_str().unwrap();
    assert!(curl.starts_with("curl -k https://127.0.0.1:8080/predictions/naturedditTI "), "as `serve` listens: {curl}");
    let dropped = report["collected"]["dropped"].as_object().unwrap();
    assert!(dropped.len() > 5, "the corpus has many kinds of posts that are no photos: {dropped:?}");
}

/// A copy of the project, for a test that changes it.
pub(crate) fn copied() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("copy");
    assert!(Command::new("cp").arg("-a").arg(&project().dir).arg(&dir).status().unwrap().success());
    (folder, dir)
}

pub(crate) fn run_pipeline(dir: &Path) -> Value {
    json(&with_assets().in_dir(dir).args(["run", "--json"]).run())
}

/// What a report says of a component.
pub(crate) fn component<'r>(report: &'r Value, name: &str) -> &'r Value {
    let components = report["components"].as_array().unwrap();
    components.iter().find(|component| component["component"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))
}

/// The components that were not taken from an earlier run.
fn ran(report: &Value) -> Vec<&str> {
    let components = report["components"].as_array().unwrap();
    assert!(components.len() >= 6, "{report}");
    let ran = components.iter().filter(|component| component["outcome"] != "cached");
    ran.map(|component| component["component"].as_str().unwrap()).collect()
}

const NOTHING: [&str; 0] = [];

fn assert_photos_are_read_again(report: &Value) {
    assert_eq!(component(report, "ExampleGen")["outcome"], "cached");
    for name in ["StatisticsGen", "Transform"] {
        assert_eq!(component(report, name)["outcome"], "ran", "{name}");
    }
}

/// `Trainer ran`, `Pusher cached`.
pub(crate) fn outcomes(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let outcome = |c: &Value| format!("{} {}", text(&c["component"]), text(&c["outcome"]));
    report["components"].as_array().unwrap().iter().map(outcome).collect()
}

#[test]
fn a_demo_again_counts_what_an_earlier_one_labelled() {
    let (_folder, dir) = copied();
    let told = |natureddit: Natureddit| natureddit.args(["dataset", "status"]).run().stdout;
    let before = told(with_assets().in_dir(&dir));
    let labelled = before.split(' ').zip(before.split(' ').skip(1)).find(|(_, word)| word.starts_with("labelled"));
    let (labelled, _) = labelled.unwrap();
    let again = with_assets().args(["demo", "--labelled", "0.5", "--no-serve", "--dir", dir.to_str().unwrap()]).run();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stderr.contains(&format!("{labelled} posts labelled, ")), "{before}{}", again.stderr);
}

#[test]
fn a_demo_again_keeps_the_settings_and_serves_the_pushed_model_where_the_new_one_is_not_blessed() {
    let (_folder, dir) = copied();
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    let settings = format!("{settings}\n[evaluator]\ntest_examples_min = 1_000_000\n");
    fs::write(dir.join("natureddit.toml"), &settings).unwrap();
    let demo = with_assets().args(["demo", "--labelled", "1", "--dir", dir.to_str().unwrap()]);
    let mut running = demo.spawn(Stdio::piped());
    let mut told = Vec::new();
    for line in BufReader::new(running.child.stdout.take().unwrap()).lines() {
        told.push(line.unwrap());
        if told.last().is_some_and(|line| line.starts_with("curl -k https://127.0.0.1:")) {
            running.interrupt();
        }
    }
    let mut stderr = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(0), "{stderr}");
    for expected in [
        "  the new model was not pushed; version 1, pushed earlier, answers",
        "drawn pictures are easy to tell apart, real photos are harder: try --photos DIR",
    ] {
        assert!(told.iter().any(|line| line == expected), "{told:?}");
    }
    assert!(told.iter().any(|line| line.starts_with("asked over HTTPS about a labelled post, for ")), "{told:?}");
    assert!(stderr.contains("natureddit.toml is kept as it is"), "{stderr}");
    let last = stderr.lines().next_back().unwrap_or_default();
    assert!(last.starts_with("stopped; `natureddit serve` in ") && last.ends_with(" goes on answering"), "{stderr}");
    assert_eq!(fs::read_to_string(dir.join("natureddit.toml")).unwrap(), settings);
}

#[test]
fn running_again_finds_everything_cached_and_a_missing_version_is_pushed_again() {
    let (_folder, dir) = copied();
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING);

    fs::remove_dir_all(dir.join("models/naturedditTI/1")).unwrap();
    let report = run_pipeline(&dir);
    assert_eq!(ran(&report), ["Pusher"]);
    assert_eq!(component(&report, "Pusher")["reason"]["uri"], "models/naturedditTI/1");
    // The number of what is gone is not used again.
    assert!(dir.join("models/naturedditTI/2/manifest.json").is_file());
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING);
}

#[test]
fn a_damaged_file_of_the_pushed_model_is_noticed_and_the_model_pushed_again() {
    let (_folder, dir) = copied();
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING);
    let head = dir.join("models/naturedditTI/1/head.safetensors");
    let mut bytes = fs::read(&head).unwrap();
    fs::write(&head, &bytes[..1000]).unwrap();
    let report = run_pipeline(&dir);
    assert_eq!(ran(&report), ["Pusher"]);
    assert_eq!(component(&report, "Pusher")["reason"]["because"], "output_changed");
    assert_eq!(component(&report, "Pusher")["reason"]["uri"], "models/naturedditTI/1/head.safetensors");
    assert_eq!(report["pushed"]["version"], 2);
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING);

    // A change that keeps size and time is seen by --verify only.
    let head = dir.join("models/naturedditTI/2/head.safetensors");
    let modified = fs::metadata(&head).unwrap().modified().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let mut file = fs::OpenOptions::new().write(true).open(&head).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(modified).unwrap();
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING);
    let report = json(&with_assets().in_dir(&dir).args(["run", "--verify", "--json"]).run());
    assert_eq!(component(&report, "Pusher")["reason"]["uri"], "models/naturedditTI/2/head.safetensors");
    assert_eq!(report["pushed"]["version"], 3);
    let a_post = ["predict", "--text", "A fox in the forest", "--json"];
    assert_eq!(json(&with_assets().in_dir(&dir).args(a_post).run())["model"]["version"], 3);
}

#[test]
fn new_labels_embed_only_new_photos_and_the_pushed_model_is_the_one_to_beat() {
    let (_folder, dir) = copied();
    let posts = fs::read_to_string(dir.join("data/posts.csv")).unwrap();
    let labels = fs::read_to_string(dir.join("labels/labels.csv")).unwrap();
    let ids = csv_column(&posts, "id");
    let labelled = csv_column(&labels, "id");
    let new: Vec<&String> = ids.iter().filter(|id| !labelled.contains(id)).take(5).collect();
    let choices: String = new.iter().map(|id| format!("{id},fauna\n")).collect();
    fs::write(dir.join("choices.csv"), format!("id,choice\n{choices}")).unwrap();
    let imported = json(&with_assets().in_dir(&dir).args(["label", "import", "choices.csv", "--json"]).run());
    assert_eq!(imported["added"], 5);

    let report = run_pipeline(&dir);
    for name in ["ExampleGen", "StatisticsGen", "Transform", "Trainer", "Evaluator", "InfraValidator"] {
        assert_eq!(component(&report, name)["outcome"], "ran", "{name}");
    }
    assert_eq!(component(&report, "ExampleGen")["reason"]["key"], "labels");
    let details = &component(&report, "Transform")["details"];
    assert!(details["photos_to_embed"].as_u64().unwrap() <= 5, "{report}");
    assert_eq!(details["encoders_calibrated"], 0, "labels for old posts change nothing that was measured");
    let champion = &report["evaluation"]["champion"]["macro_f1"];
    assert!(champion.as_f64().unwrap() > 0.8, "judged on the same posts as the candidate: {champion}");
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING, "having pushed changes nothing");
}

/// Puts version 2 there by hand and lets it answer: version 1 under a manifest that says something else.
pub(crate) fn push_second(dir: &Path, say: impl Fn(&mut Value)) -> PathBuf {
    let store = dir.join("models/naturedditTI");
    let second = store.join("2");
    assert!(Command::new("cp").arg("-a").arg(store.join("1")).arg(&second).status().unwrap().success());
    let mut manifest: Value = serde_json::from_slice(&fs::read(second.join("manifest.json")).unwrap()).unwrap();
    say(&mut manifest);
    fs::write(second.join("manifest.json"), manifest.to_string()).unwrap();
    let promoted = with_assets().in_dir(dir).args(["model", "promote", "2"]).run();
    assert_eq!(promoted.code, Some(0), "{}", promoted.stderr);
    second
}

#[test]
fn a_pushed_model_with_other_encoders_is_asked_about_the_posts_whose_photos_are_there() {
    let (_folder, dir) = copied();
    push_second(&dir, |manifest| manifest["text_encoder"]["hash"] = Value::from("ab".repeat(32)));
    let test = read_split(&dir.join(examples_uri()), Split::Test).unwrap();
    fs::remove_file(dir.join("data/images").join(&test[0].img_name)).unwrap();
    fs::write(dir.join("data/images").join(&test[1].img_name), "another").unwrap();

    let evaluation = &run_pipeline(&dir)["evaluation"];
    let count = |value: &Value| value["examples"].as_u64().unwrap();
    assert_eq!(count(&evaluation["champion"]) + 2, count(&evaluation["metrics"]), "{evaluation}");
    // It is the same model, and on the same posts it answers the same.
    assert_eq!(evaluation["champion"]["macro_f1"], evaluation["champion"]["candidate_macro_f1"]);

    let table = with_assets().in_dir(&dir).args(["run", "--only", "Evaluator"]).run();
    assert!(table.stdout.contains("\npushed model v2: macro-F1 "), "{}", table.stdout);
    assert!(table.stdout.contains(" (95 % interval "), "{}", table.stdout);
    assert!(!table.stdout.contains("pushed: "), "the Pusher was not asked: {}", table.stdout);
}

fn examples_uri() -> String {
    component(&project().report["ran"], "ExampleGen")["outputs"]["examples"]["uri"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_is_blessed_beside_a_pushed_model_that_is_corrupted() {
    let (_folder, dir) = copied();
    let second = push_second(&dir, |manifest| manifest["producer"] = Value::from("another"));
    fs::write(second.join("head.safetensors"), "half of head").unwrap();
    let Run { code, stderr, .. } = with_assets().in_dir(&dir).args(["run", "--quiet"]).run();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("head.safetensors is corrupted: it has 12 bytes, the manifest says "), "{stderr}");
    assert!(stderr.contains(&format!("\nhint: move {} out of the models folder", second.display())), "{stderr}");
    fs::remove_dir_all(&second).unwrap();
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING, "the advice is right");
}

#[test]
fn a_photo_that_is_missing_is_told_and_used_when_it_is_back() {
    let (_folder, dir) = copied();
    let labels = fs::read_to_string(dir.join("labels/labels.csv")).unwrap();
    // The encoders are calibrated on the first ones, and with another photo there all would be embedded anew.
    let name = csv_column(&labels, "img_name").pop().unwrap();
    let photo = dir.join("data/images").join(name);
    let bytes = fs::read(&photo).unwrap();
    fs::remove_file(&photo).unwrap();
    // As on another machine, where nothing was embedded yet.
    fs::remove_dir_all(dir.join("pipeline")).unwrap();
    let without = run_pipeline(&dir);
    assert_eq!(without["photos_skipped"], serde_json::json!({ "missing": 1 }));
    assert_eq!(run_pipeline(&dir)["photos_skipped"], without["photos_skipped"], "also when it was cached");
    fs::write(&photo, "another").unwrap();
    assert_eq!(ran(&run_pipeline(&dir)), NOTHING, "another photo is not the one that is missing");

    fs::write(&photo, bytes).unwrap();
    let with = run_pipeline(&dir);
    assert_photos_are_read_again(&with);
    assert_eq!(with["photos_skipped"], serde_json::json!({}));
    assert_eq!(component(&with, "Transform")["details"]["photos_to_embed"], 1);
}

#[test]
fn photos_over_a_limit_are_told_whether_it_is_raised_or_lowered() {
    let (_folder, dir) = copied();
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    // In floats: encoders in eight bits are calibrated on photos within the limit, and follow from it.
    let with_limit = |bytes: u64| {
        let model = format!("[model]\nprecision = \"fp32\"\nimage_bytes_max = {bytes}\n");
        fs::write(dir.join("natureddit.toml"), format!("{settings}\n{model}")).unwrap();
    };
    let sizes = fs::read_dir(dir.join("data/images")).unwrap().map(|photo| photo.unwrap().metadata().unwrap().len());
    let half = sizes.max().unwrap() / 2;
    with_limit(half);
    // As on another machine, where nothing was embedded yet.
    fs::remove_dir_all(dir.join("pipeline")).unwrap();
    let skipped = run_pipeline(&dir)["photos_skipped"]["too_many_bytes"].as_u64();
    assert!(skipped.is_some_and(|skipped| skipped > 0), "{skipped:?}");

    with_limit(20_000_000);
    let report = run_pipeline(&dir);
    assert_photos_are_read_again(&report);
    assert_eq!(component(&report, "Transform")["details"]["photos_to_embed"].as_u64(), skipped);
    assert_eq!(report["photos_skipped"], serde_json::json!({}));

    // The server would refuse these photos, so nothing is to be learnt from what was once embedded of them. The first
    // run under this limit is cached, so that only a limit a little lower shows it.
    with_limit(half - 1);
    let report = run_pipeline(&dir);
    assert_eq!(component(&report, "Transform")["outcome"], "ran");
    let now = report["photos_skipped"]["too_many_bytes"].as_u64();
    assert!(now >= skipped, "{now:?} of {skipped:?}");
}

#[test]
fn a_table_that_cannot_be_scored_is_an_error_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (table, out) = (folder.path().join("table.csv"), folder.path().join("scores.csv"));
    let score = |text: &str| {
        fs::write(&table, text).unwrap();
        let args = ["score", table.to_str().unwrap(), "--images", ".", "--out", out.to_str().unwrap()];
        let Run { code, stderr, .. } = in_project().args(args).run();
        assert_eq!((code, out.exists()), (Some(1), false), "{stderr}");
        stderr
    };
    assert!(score("").contains("is empty"));
    let misspelt = score("id,title,image\na,A fox,a.jpg\n");
    assert!(misspelt.contains("img_name"), "{misspelt}");
    let nowhere = score("id,title,img_name\na,A fox,a.jpg\nb,x,../b.jpg\nc,x,/dev/zero\n");
    assert!(nowhere.contains("3 posts could be scored: 1 photo_missing, 2 photo_outside_folder"), "{nowhere}");
    assert!(nowhere.contains("hint: img_name is looked for in ., the folder of --images"), "{nowhere}");
    let nothing = score("id,title,img_name\na,,\n");
    assert!(nothing.contains("hint: each row needs a title, an img_name, or both"), "{nothing}");
    assert!(!nothing.contains("--images"), "{nothing}");
    let uneven = score("id,title,img_name\na,A fox, red,a.jpg\n");
    assert!(uneven.contains("hint: a title with a comma or a line break stands in double quotes"), "{uneven}");
}

#[cfg(unix)]
#[test]
fn a_table_leads_to_no_file_outside_the_folder_and_waits_for_no_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    assert!(Command::new("mkfifo").arg(images.join("pipe.jpg")).status().unwrap().success());
    std::os::unix::fs::symlink(a_photo(), images.join("outside.jpg")).unwrap();
    fs::copy(a_photo(), images.join("photo.jpg")).unwrap();
    std::os::unix::fs::symlink("photo.jpg", images.join("inside.jpg")).unwrap();
    let (table, out) = (folder.path().join("table.csv"), folder.path().join("scores.csv"));
    fs::write(&table, "id,title,img_name\na,,pipe.jpg\nb,,outside.jpg\nc,,inside.jpg\n").unwrap();
    let [table, images, out] = [&table, &images, &out].map(|path| path.to_str().unwrap());
    let report = json(&in_project().args(["score", table, "--images", images, "--out", out, "--json"]).run());
    assert_eq!(report["skipped"], serde_json::json!({ "photo_outside_folder": ["b"], "photo_unreadable": ["a"] }));
    assert_eq!((&report["scored"], &report["model"]["version"]), (&1.into(), &1.into()));
}

#[test]
fn scores_never_replace_what_cannot_be_made_again() {
    let (_folder, dir) = copied();
    fs::write(dir.join("mine.csv"), "id,title,img_name\na,A fox,\n").unwrap();
    let score = |table: &str, out: &str| {
        let args = ["score", table, "--images", "data/images", "--out", out];
        let Run { code, stderr, .. } = with_assets().in_dir(&dir).args(args).run();
        (code, stderr)
    };
    for (table, out, expected) in [
        ("data/posts.csv", "data/posts.csv", 2),
        ("data/posts.csv", "./data/../data/images/scores.csv", 2),
        ("mine.csv", "labels/labels.csv", 2),
        ("mine.csv", "natureddit.toml", 2),
        ("mine.csv", "./mine.csv", 2),
        ("mine.csv", "nowhere/scores.csv", 1),
    ] {
        let before = files_below(&dir).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>();
        let (code, stderr) = score(table, out);
        assert!(code == Some(expected) && stderr.contains("hint: "), "{out}: {stderr}");
        let after = files_below(&dir).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>();
        assert!(before == after, "{out} changed something");
    }
    assert_eq!(score("mine.csv", "scores.csv").0, Some(0));
}

#[cfg(unix)]
#[test]
fn scores_go_through_a_link_and_into_nothing_but_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("table.csv"), "id,title,img_name\na,A fox,\n").unwrap();
    fs::write(path("real.csv"), "old").unwrap();
    std::os::unix::fs::symlink("real.csv", path("link.csv")).unwrap();
    std::os::unix::fs::symlink("nowhere.csv", path("dangling.csv")).unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe.csv")).status().unwrap().success());
    let score = |out: &str| {
        let (table, out) = (path("table.csv"), path(out));
        in_project().args(["score", &table, "--images", &path(""), "--out", &out]).run()
    };
    for out in ["pipe.csv", "dangling.csv", ""] {
        let Run { code, stderr, .. } = score(out);
        assert!(code == Some(1) && stderr.contains(" is no regular file\nhint: name a file"), "{out}: {stderr}");
    }
    assert_eq!(score("link.csv").code, Some(0));
    assert!(fs::read_to_string(path("real.csv")).unwrap().starts_with("id,label,"));
    assert!(Path::new(&path("link.csv")).is_symlink() && Path::new(&path("dangling.csv")).is_symlink());
}

/// A column of a CSV file.
fn csv_column(text: &str, column: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let at = reader.headers().unwrap().iter().position(|name| name == column).unwrap();
    reader.records().map(|record| record.unwrap()[at].to_owned()).collect()
}

#[test]
fn a_title_a_photo_or_both_are_predicted() {
    let photo = a_photo();
    for args in [
        vec!["--text", "Sunrise over the mountains"],
        vec!["--image", photo.to_str().unwrap()],
        vec!["--text", "Sunrise over the mountains", "--image", photo.to_str().unwrap()],
    ] {
        let mut command = in_project().args(["predict", "--json"]);
        for arg in args {
            command = command.args([arg]);
        }
        let answer = json(&command.run());
        let sum: f64 = answer["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{answer}");
    }
}

#[test]
fn classes_are_told_in_the_order_of_the_model_with_its_name_and_version() {
    let mut people =
        with_assets().file("natureddit.toml", "").args(["predict", "--text", "a pattern of upright stripes"]);
    let _ = bundle(&people.dir().join("models/naturedditTI/4"), "naturedditTI");
    let models = people.dir().join("models");
    let answer = people.run();
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let names = |text: &str| text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    let told: Vec<String> = names(&answer.stdout);
    assert_eq!(told[1..], ["discs", "stripes", "horizon"]);

    let settings = format!("[project]\nmodels_dir = {:?}\n", models.to_str().unwrap());
    let machines = with_assets().file("natureddit.toml", settings).args(["predict", "--text", "x", "--json"]).run();
    assert_eq!(json(&machines)["model"], serde_json::json!({ "name": "naturedditTI", "version": 4 }));
    let at = ["discs", "stripes", "horizon"].map(|class| machines.stdout.find(&format!("{class:?}:")));
    assert!(at.is_sorted() && at[0].is_some(), "{}", machines.stdout);
}

#[test]
fn what_cannot_be_predicted_is_said() {
    let dir = project().dir.join("data");
    let nothing = in_project().args(["predict"]).snapshot();
    let no_photo = in_project().args(["predict", "--image", "posts.csv"]).in_dir(&dir).snapshot();
    let missing = in_project().args(["predict", "--image", "no.jpg"]).snapshot();
    let version = in_project().args(["predict", "--text", "x", "--model-version", "9"]).snapshot();
    let empty = in_project().args(["predict", "--text", ""]).snapshot();
    let long = in_project().args(["predict", "--text", &"x".repeat(9_000)]).snapshot();
    let bytes = fs::read(a_photo()).unwrap();
    let half = with_assets().file("half.jpg", &bytes[..bytes.len() / 2]);
    let settings = format!("[project]\nmodels_dir = {:?}\n", project().dir.join("models").to_str().unwrap());
    let cut = half.file("natureddit.toml", settings).args(["predict", "--image", "half.jpg"]).snapshot();
    insta::assert_snapshot!([nothing, no_photo, missing, version, empty, long, cut].join("\n\n"));
}

#[test]
fn a_table_is_scored_and_what_is_skipped_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (table, out) = (folder.path().join("table.csv"), folder.path().join("scores.csv"));
    let photo = a_photo();
    let name = photo.file_name().unwrap().to_str().unwrap();
    fs::write(
        &table,
        format!("title,id,img_name\n\"A fox, \"\"red\"\"\",a,{name}\nonly a title,b,\n,c,\nx,d,no.jpg\n"),
    )
    .unwrap();
    let images = photo.parent().unwrap().to_str().unwrap();
    let args = ["score", table.to_str().unwrap(), "--images", images, "--out", out.to_str().unwrap(), "--json"];
    let report = json(&in_project().args(args).run());
    assert_eq!(report["scored"], 2);
    assert_eq!(report["skipped"], serde_json::json!({ "empty_input": ["c"], "photo_missing": ["d"] }));
    let scores = fs::read_to_string(out).unwrap();
    let lines: Vec<&str> = scores.lines().collect();
    assert_eq!(lines[0], "id,label,p_fauna,p_flora,p_landscape");
    assert!(lines.len() == 3 && lines[1].starts_with("a,") && lines[2].starts_with("b,"), "{scores}");
}

#[test]
fn the_project_tells_of_itself() {
    let status = json(&in_project().args(["dataset", "status", "--json"]).run());
    assert_eq!(status["posts"], status["record"]["posts"]);
    assert!(status["labelled"]["fauna"].as_u64().unwrap() > 50, "{status}");

    let listed = json(&in_project().args(["model", "list", "--json"]).run());
    let version = &listed["models"][0]["versions"][0];
    assert_eq!((&version["version"], &version["default"]), (&1.into(), &true.into()));
    let evaluation = &project().report["ran"]["evaluation"]["metrics"];
    assert_eq!(version["metrics"]["macro_f1"], evaluation["macro_f1"], "{listed}");
    let shown = json(&in_project().args(["model", "show", "--json"]).run());
    assert_eq!(shown["classes"], serde_json::json!(["fauna", "flora", "landscape"]));
    assert!(shown["lineage"]["trainer"]["epochs_max"].is_u64(), "settings are JSON, not a text: {shown}");

    let pushed = &component(&project().report["ran"], "Pusher")["outputs"]["pushed_model"]["artifact"];
    let lineage = in_project().args(["lineage", &pushed.to_string()]).run();
    assert!(lineage.stdout.contains("Dataset") && lineage.stdout.contains("Trainer"), "{}", lineage.stdout);

    let crossed = json(&in_project().args(["model", "cross-validate", "--folds", "3", "--json"]).run());
    assert!(crossed["macro_f1_mean"].as_f64().unwrap() > 0.8, "{crossed}");
}

#[test]
fn more_folds_than_groups_are_refused() {
    let (_folder, dir) = copied();
    let labels = fs::read_to_string(dir.join("labels/labels.csv")).unwrap();
    let few: String = labels.lines().take(4).map(|line| format!("{line}\n")).collect();
    fs::write(dir.join("labels/labels.csv"), few).unwrap();
    let args = ["model", "cross-validate", "--folds", "50", "--quiet"];
    let Run { code, stderr, .. } = with_assets().in_dir(&dir).args(args).run();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(" groups of labelled posts, too few for 50 folds\nhint: label more posts"), "{stderr}");
}

#[test]
fn a_source_that_is_gone_keeps_the_dataset() {
    let before = fs::read(project().dir.join("data/posts.csv")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = "[net]\nretries_max = 0\n[net.host_map]\n\"api.pullpush.io\" = \"http://127.0.0.1:9\"\n";
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("natureddit.toml"), settings).unwrap();
    fs::write(folder.path().join("data/posts.csv"), &before).unwrap();
    let collect =
        Natureddit::new().in_dir(folder.path()).args(["collect", "--since", "2022-05-01", "--until", "2022-05-02"]);
    let Run { code, stderr, .. } = { collect }.run();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("hint: what was collected is kept"), "{stderr}");
    assert_eq!(fs::read(folder.path().join("data/posts.csv")).unwrap(), before);
}

#[test]
fn labels_are_checked_before_any_is_added() {
    let dataset = fs::read(project().dir.join("data/posts.csv")).unwrap();
    let natureddit = Natureddit::new()
        .file("natureddit.toml", "")
        .file("data/posts.csv", dataset)
        .file("choices.csv", "id,choice\nabc,fauna\nabd,fungi\n")
        .args(["label", "import", "choices.csv"]);
    insta::assert_snapshot!(natureddit.snapshot());
}

/// A running `natureddit serve`.
struct Serving {
    running: Running,
    url: String,
}

impl Serving {
    fn start(natureddit: Natureddit) -> Self {
        let mut running = natureddit.args(["serve", "--address", "127.0.0.1:0"]).spawn(Stdio::piped());
        let line = BufReader::new(running.child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = line.split(' ').find(|word| word.starts_with("https://")).unwrap().to_owned();
        Self { running, url }
    }
}

/// A client that takes the server's self-signed certificate.
fn client() -> reqwest::blocking::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::blocking::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap()
}

#[test]
fn the_server_answers_as_the_original_did_and_stops_when_told() {
    let photo = fs::read(a_photo()).unwrap();
    let natureddit = in_project();
    let mut serving = Serving::start(natureddit);
    let client = client();
    let url = format!("{}/predictions/naturedditTI", serving.url);
    let form = || Form::new().text("text", "A fox").part("image", Part::bytes(photo.clone()).file_name("a.jpg"));
    let plain = client.post(&url).multipart(form()).send().unwrap();
    assert_eq!(plain.status(), 200);
    let label = plain.text().unwrap();
    assert!(["fauna", "flora", "landscape"].contains(&label.as_str()), "{label:?}");

    let answer: Value = client
        .post(format!("{url}/1"))
        .header("accept", "application/json")
        .multipart(form())
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(answer["label"], label);
    let empty = client.post(&url).multipart(Form::new().text("other", "x")).send().unwrap();
    assert_eq!(empty.status(), 400);
    let error: Value = empty.json().unwrap();
    assert!(error["message"].as_str().unwrap().contains("neither"), "{error}");

    assert!(Command::new("kill").arg(serving.running.child.id().to_string()).status().unwrap().success());
    assert_eq!(serving.running.child.wait().unwrap().code(), Some(0));
}

/// Begins a request over TLS and sends it no further: its body is being read, for the server has asked for it.
fn stalled_request(url: &str, certificate: &Path) -> (ClientConnection, TcpStream) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut socket = TcpStream::connect(url.trim_start_matches("https://")).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    let head =
        "POST /predictions/naturedditTI HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "));
    (connection, socket)
}

#[test]
fn what_the_program_asks_its_own_servers_is_not_written_down() {
    let (_folder, dir) = copied();
    let mut settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    settings.push_str("\n[serve.prediction_log]\ndir = \"asked\"\ncontent = true\n");
    fs::write(dir.join("natureddit.toml"), settings).unwrap();
    // As a server of the project holds it that runs meanwhile.
    fs::create_dir(dir.join("asked")).unwrap();
    let _held = natureddit_core::fs::try_lock(&dir.join("asked/.lock")).unwrap().unwrap();
    let run = with_assets().in_dir(&dir).args(["run", "--json", "--force", "InfraValidator"]).run();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(component(&report, "InfraValidator")["outcome"], "ran");
    assert_eq!(report["infra"]["blessed"], true, "{}", report["infra"]["reasons"]);
    let skew = with_assets().in_dir(&dir).args(["model", "verify-skew", "--rows", "5"]).run();
    assert_eq!(skew.code, Some(0), "{}", skew.stderr);
    assert_eq!(fs::read_dir(dir.join("asked")).unwrap().count(), 1, "only the lock is there");
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_what_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: PathBuf| format!("{:?}", path.to_str().unwrap());
    let settings = format!(
        "[project]\nmodels_dir = {}\n[assets]\ncache_dir = {}\n[serve]\nbody_timeout = \"1h\"\ndrain_timeout = \"1h\"\n\
         [serve.tls]\ndir = {}\n",
        text(project().dir.join("models")),
        text(cache_dir()),
        text(folder.path().join("tls"))
    );
    fs::write(folder.path().join("natureddit.toml"), settings).unwrap();
    let mut serving = Serving::start(with_assets().in_dir(folder.path()));
    let request = stalled_request(&serving.url, &folder.path().join("tls/certificate.pem"));
    serving.running.interrupt();
    let mut told = BufReader::new(serving.running.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = told.find(|line| line.contains("Ctrl-C")).unwrap();
    assert_eq!(line.trim(), "finishing 1 request; Ctrl-C again to stop now");
    serving.running.interrupt();
    assert_eq!(serving.running.child.wait().unwrap().code(), Some(130));
    drop(request);
}

#[test]
fn a_corrupted_bundle_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = project().dir.join("models/naturedditTI/1");
    let copied = Command::new("cp").arg("-a").arg(&bundle).arg(folder.path().join("7")).status().unwrap();
    assert!(copied.success());
    let head = folder.path().join("7/head.safetensors");
    let mut bytes = fs::read(&head).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&head, bytes).unwrap();
    let choice = format!("bad={}", folder.path().join("7").display());
    let Run { code, stderr, .. } = in_project().args(["serve", "--models", &choice]).run();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("head.safetensors is corrupted: its SHA-256 is "), "{stderr}");
    // It is no version in the model store, and nobody is told to remove it.
    let hint = format!("hint: name another bundle, or make the one in {} anew", folder.path().join("7").display());
    assert!(stderr.contains(&hint) && !stderr.contains("remove"), "{stderr}");
}

#[test]
fn no_telemetry_file_appears() {
    let cache = cache_dir();
    let settings = format!("[assets]\ncache_dir = {:?}\n", cache.to_str().unwrap());
    let home = tempfile::tempdir().unwrap();
    let home_text = home.path().to_str().unwrap().to_owned();
    let models = project().dir.join("models");
    let settings = format!("[project]\nmodels_dir = {:?}\n{settings}", models.to_str().unwrap());
    let mut predict = Natureddit::new()
        .file("natureddit.toml", settings)
        .env("HOME", &home_text)
        .env("XDG_CACHE_HOME", &format!("{home_text}/cache"))
        .args(["predict", "--text", "A fox in the snow"]);
    let Run { code, stderr, .. } = predict.run();
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(files_below(home.path()), Vec::<PathBuf>::new());
    assert_eq!(files_below(&predict.dir()), [predict.dir().join("natureddit.toml")]);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_pipe_that_closes_early_is_no_error() {
    let mut running = in_project().args(["model", "show", "--json"]).spawn(Stdio::piped());
    let child = &mut running.child;
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}
