//! `natureddit run`, ended by `kill -9` when each component begins and when each is done: what was finished is found in the
//! cache, nothing half made is left, and the next run ends well. Also what a run tells while it works.

#![expect(clippy::disallowed_methods, reason = "a test looks at files itself")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::natureddit::Run;
use crate::the_loop::{copied, run_pipeline, with_assets};

/// Takes all outputs of the pipeline away; the features of the embedding cache stay.
fn empty_pipeline(dir: &Path) {
    for entry in fs::read_dir(dir.join("pipeline")).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "embeddings" => {}
            _ if path.is_dir() => fs::remove_dir_all(&path).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
    }
}

/// Runs the pipeline until it tells this event of this component, and kills it then; the components that were done.
fn killed_at(dir: &Path, event: &str, component: &str) -> BTreeSet<String> {
    let mut running = with_assets().in_dir(dir).args(["run", "--json"]).spawn(Stdio::null());
    let mut done = BTreeSet::new();
    for line in BufReader::new(running.child.stderr.take().unwrap()).lines() {
        // Warnings of the log are lines as well.
        let Ok(told) = serde_json::from_str::<Value>(&line.unwrap()) else { continue };
        if told["event"] == "component_finished" {
            done.insert(told["component"].as_str().unwrap().to_owned());
        }
        if told["event"] == event && told["component"] == component {
            running.child.kill().unwrap();
            running.child.wait().unwrap();
            return done;
        }
    }
    panic!("the run ended before {event} of {component}");
}

fn outcomes(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let components = report["components"].as_array().unwrap().iter();
    components.map(|component| (text(&component["component"]), text(&component["outcome"]))).collect()
}

fn partials(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".partial") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(partials(&path));
        }
    }
    found
}

#[test]
fn a_run_that_is_killed_anywhere_goes_on_from_what_was_finished() {
    let (_folder, dir) = copied();
    // How long it trains and how exact the intervals are is not what is tested.
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    let settings = format!("{settings}\n[trainer]\nepochs_max = 2\n[evaluator]\nbootstrap_samples = 100\n");
    fs::write(dir.join("natureddit.toml"), settings).unwrap();
    let components: Vec<String> = {
        let report = run_pipeline(&dir);
        let names = report["components"].as_array().unwrap().iter();
        names.map(|component| component["component"].as_str().unwrap().to_owned()).collect()
    };
    // When each component begins, and when it has just been written down: every other one, as the next one begins then.
    let starts = components.iter().map(|component| ("component_started", component));
    let ends = components.iter().step_by(2).map(|component| ("component_finished", component));
    for (event, component) in starts.chain(ends) {
        empty_pipeline(&dir);
        let done = killed_at(&dir, event, component);
        let report = run_pipeline(&dir);
        for (name, outcome) in outcomes(&report) {
            let allowed: &[&str] = if done.contains(&name) { &["cached"] } else { &["ran", "cached"] };
            assert!(allowed.contains(&outcome.as_str()), "{name} after a kill at {event} of {component}: {report}");
        }
        assert_eq!(partials(&dir.join("pipeline")), Vec::<PathBuf>::new());
        let again = run_pipeline(&dir);
        assert!(outcomes(&again).values().all(|outcome| outcome == "cached"), "{again}");
    }
}

/// Runs the pipeline and interrupts it, as Ctrl-C does, when the Trainer begins; how many epochs the model has had.
fn interrupted(dir: &Path) -> usize {
    let mut running = with_assets().in_dir(dir).args(["run", "--json"]).spawn(Stdio::null());
    let mut stopped = false;
    for line in BufReader::new(running.child.stderr.take().unwrap()).lines() {
        let Ok(told) = serde_json::from_str::<Value>(&line.unwrap()) else { continue };
        if told["event"] == "component_started" && told["component"] == "Trainer" {
            let pid = running.child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        }
        if told["event"] == "component_finished" && told["component"] == "Trainer" {
            stopped = told["details"]["stopped"] == 1;
        }
    }
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(stopped, "the training was not stopped");
    let models = fs::read_dir(dir.join("pipeline/Trainer/model")).unwrap();
    let id = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let newest = models.map(|entry| entry.unwrap().path()).max_by_key(id).unwrap();
    let training: Value = serde_json::from_slice(&fs::read(newest.join("training.json")).unwrap()).unwrap();
    let epochs = training["epochs"].as_array().unwrap().len();
    let manifest: Value = serde_json::from_slice(&fs::read(newest.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["lineage"]["stopped_after_epochs"], epochs.to_string());
    epochs
}

#[test]
fn a_training_that_is_interrupted_keeps_its_best_goes_on_to_the_end_of_the_pipeline_and_the_next_run_trains_on() {
    let (_folder, dir) = copied();
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    let trainer =
        "[trainer]\nepochs_max = 10000\nearly_stopping_patience = 10000\n[evaluator]\nbootstrap_samples = 100\n";
    fs::write(dir.join("natureddit.toml"), format!("{settings}\n{trainer}")).unwrap();
    let first = interrupted(&dir);
    assert!((1..10_000).contains(&first), "{first}");
    let plan = with_assets().in_dir(&dir).args(["run", "--plan"]).run();
    assert!(plan.stdout.contains("was stopped before its time"), "{}", plan.stdout);
    let half_written = dir.join("pipeline/checkpoints/.head.safetensors.0-0.partial");
    fs::write(&half_written, "cut").unwrap();
    let second = interrupted(&dir);
    assert!(!half_written.exists());
    assert!(second > first, "{second} after {first}");
}

#[test]
fn a_run_tells_programs_what_happens_and_people_the_graph() {
    let (_folder, dir) = copied();
    let Run { code, stdout, stderr } = with_assets().in_dir(&dir).args(["run", "--plan"]).run();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.lines().count() >= 5 && stdout.contains("○   ExampleGen") && !stdout.contains("would run"),
        "{stdout}"
    );

    let Run { code, stdout, stderr } = with_assets().in_dir(&dir).args(["run", "--force", "Evaluator"]).run();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("○ ") && stdout.contains("● ") && stdout.contains("it was forced"), "{stdout}");

    let run = with_assets().in_dir(&dir).args(["run", "--json", "--force", "Evaluator"]).run();
    let lines: Vec<Value> = run.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |event: &'static str| move |line: &Value| line["event"] == event;
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let started: Vec<_> = lines.iter().filter(|line| of("component_started")(line)).collect();
    assert_eq!(started[0]["component"], "Evaluator");
    assert_eq!(started[0]["reason"]["because"], "forced");
    let finished = lines.iter().filter(|line| of("component_finished")(line)).count();
    assert_eq!(finished, report["components"].as_array().unwrap().len());
}
