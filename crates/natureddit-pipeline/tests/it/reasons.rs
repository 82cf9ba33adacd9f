//! What runs, what is cached, and why.

use natureddit_core::fs;
use natureddit_pipeline::{Outcome, RunError, RunOptions, StaleReason};

use crate::project::{Failure, Project, force, tamper_unseen, verify};

#[test]
fn a_second_run_finds_everything_in_the_cache() {
    let project = Project::new();
    let first = project.report();
    assert_eq!(project.ran(), ["ExampleGen", "Trainer", "Pusher"]);
    let second = project.report();
    assert_eq!(project.ran(), [""; 0]);
    for (one, two) in first.components.iter().zip(&second.components) {
        assert_eq!(one.outputs, two.outputs);
        assert_eq!(two.outcome, Outcome::Cached { of: one.execution.unwrap() });
    }
    let model = &second.component("Trainer").unwrap().outputs["model"].uri;
    assert_eq!(project.read(&format!("{model}/deep/text")), "Trainer 1 <examples ExampleGen 1 <dataset some posts>>");
}

/// The whole story of a project, as the reports tell it.
#[test]
fn every_reason_is_told() {
    let mut project = Project::new();
    let mut story = String::new();
    let mut tell = |project: &Project, what: &str, options: &RunOptions| {
        story += &format!("# {what}\n{}", project.run_with(options));
    };
    let plain = RunOptions::default();
    tell(&project, "new", &plain);
    tell(&project, "again", &plain);
    project.settings.epochs = 40;
    tell(&project, "a setting", &plain);
    project.settings.epochs = 30;
    tell(&project, "the old setting", &plain);
    project.settings.trainer_version = 2;
    tell(&project, "a new version", &plain);
    project.write("data/posts.csv", "more posts");
    tell(&project, "more posts", &plain);
    project.write("models/champion/text", "champion");
    tell(&project, "an optional input comes", &plain);
    tell(&project, "forced", &force("Trainer"));
    fs::remove_dir_all(&project.path("pipeline/Trainer/evaluation/23")).unwrap();
    fs::remove_dir_all(&project.path("pipeline/Trainer/evaluation/20")).unwrap();
    tell(&project, "outputs deleted", &plain);
    fs::remove_file(&project.path("models/pushed")).unwrap();
    tell(&project, "the pushed model deleted", &plain);
    insta::assert_snapshot!(story);
}

#[test]
fn an_output_that_was_changed_is_made_again() {
    let project = Project::new();
    let report = project.report();
    let uri = report.component("ExampleGen").unwrap().outputs["examples"].uri.clone();
    project.ran();
    project.write(&format!("{uri}/deep/text"), "something of another size");
    let report = project.report();
    assert_eq!(report.components[0].outcome, Outcome::Ran { reason: StaleReason::OutputChanged { uri } });
    // What it makes is the same as before, so nothing after it runs.
    assert_eq!(project.ran(), ["ExampleGen"]);
}

#[test]
fn a_file_more_or_less_in_an_output_is_seen() {
    let project = Project::new();
    let uri = project.report().component("Trainer").unwrap().outputs["model"].uri.clone();
    project.write(&format!("{uri}/more"), "");
    let report = project.report();
    assert_eq!(
        report.component("Trainer").unwrap().outcome,
        Outcome::Ran { reason: StaleReason::OutputChanged { uri } }
    );
}

#[test]
fn a_change_that_keeps_size_time_and_inode_is_seen_by_verify_only() {
    let project = Project::new();
    let uri = project.report().component("Trainer").unwrap().outputs["model"].uri.clone();
    project.ran();
    tamper_unseen(&project.path(&format!("{uri}/deep/text")));
    project.run();
    assert_eq!(project.ran(), [""; 0]);
    let report = project.run_with(&verify());
    assert_eq!(project.ran(), ["Trainer"]);
    assert_eq!(
        report.component("Trainer").unwrap().outcome,
        Outcome::Ran { reason: StaleReason::OutputChanged { uri } }
    );
    assert_eq!(project.run_with(&verify()).failure(), None);
    assert_eq!(project.ran(), [""; 0]);
}

#[test]
fn a_lost_or_damaged_table_of_files_changes_nothing() {
    let project = Project::new();
    project.run();
    project.ran();
    fs::remove_file(&project.path("pipeline/file_states.json")).unwrap();
    project.run();
    project.write("pipeline/file_states.json", "{ half");
    project.run();
    assert_eq!(project.ran(), [""; 0]);
}

#[test]
fn a_project_that_moves_keeps_its_cache() {
    let project = Project::new();
    project.run();
    let project = project.moved();
    project.ran();
    let report = project.report();
    assert_eq!(project.ran(), [""; 0], "{report}");
}

#[test]
fn a_file_that_comes_beside_the_dataset_counts_only_if_it_is_named() {
    let project = Project::new();
    project.run();
    project.ran();
    project.write("data/notes.txt", "not named");
    project.run();
    assert_eq!(project.ran(), [""; 0]);
    project.write("data/labels.csv", "");
    project.run();
    assert_eq!(project.ran()[0], "ExampleGen");
}

#[test]
fn a_part_of_the_pipeline_runs_on_what_the_rest_made_last() {
    let project = Project::new();
    project.run();
    project.ran();
    project.write("data/posts.csv", "other posts");
    let only = RunOptions { only: Some("Trainer".into()), ..force("Trainer") };
    let report = project.run_with(&only);
    assert_eq!(project.ran(), ["Trainer"]);
    insta::assert_snapshot!(report, @r"
    ExampleGen: not selected
    Trainer: ran because it was forced
    Pusher: not selected
    ");
    let from = RunOptions { from: Some("Trainer".into()), ..force("Trainer") };
    insta::assert_snapshot!(project.run_with(&from), @r"
    ExampleGen: not selected
    Trainer: ran because it was forced
    Pusher: cached from execution 3
    ");
}

#[test]
fn a_part_cannot_run_on_what_is_not_there() {
    let project = Project::new();
    let only = RunOptions { only: Some("Trainer".into()), ..RunOptions::default() };
    let error = project.try_run(&only).unwrap_err();
    assert_eq!(error.to_string(), "Trainer needs the output of ExampleGen, which has not run yet");
    project.run();
    fs::remove_dir_all(&project.path("pipeline/ExampleGen/examples/1")).unwrap();
    let error = project.try_run(&only).unwrap_err().to_string();
    let expected = "Trainer needs the output of ExampleGen, and output pipeline/ExampleGen/examples/1 is missing";
    assert_eq!(error, expected);
}

#[test]
fn a_part_cannot_run_on_outputs_that_do_not_go_together() {
    let project = Project::new();
    project.run();
    project.write("data/posts.csv", "other posts");
    let only = |component: &str| RunOptions { only: Some(component.into()), ..RunOptions::default() };
    let from = |component: &str| RunOptions { from: Some(component.into()), ..RunOptions::default() };
    assert_eq!(project.run_with(&only("ExampleGen")).failure(), None);
    project.ran();
    let expected = "Trainer comes before Pusher, and its input examples is not what ExampleGen made last";
    for options in [only("Pusher"), from("Pusher")] {
        assert_eq!(project.try_run(&options).unwrap_err().to_string(), expected);
        assert_eq!(project.runner().plan(&project.graph(), &options).unwrap_err().to_string(), expected);
    }
    assert_eq!(project.ran(), [""; 0]);
    assert_eq!(project.run_with(&from("Trainer")).failure(), None);
    assert_eq!(project.ran(), ["Trainer", "Pusher"]);
    assert_eq!(project.run_with(&only("Pusher")).failure(), None);
}

#[test]
fn a_part_cannot_run_behind_what_failed() {
    let mut project = Project::new();
    project.run();
    project.settings.failure = Failure::Error;
    project.settings.epochs = 40;
    assert!(project.report().failure().is_some());
    let from = RunOptions { from: Some("Pusher".into()), ..RunOptions::default() };
    let error = project.try_run(&from).unwrap_err().to_string();
    assert_eq!(error, "Trainer comes before Pusher, and failed when it last ran");
    project.settings.failure = Failure::None;
    project.run();
    assert_eq!(project.run_with(&from).failure(), None);
}

#[test]
fn to_force_what_is_not_selected_is_refused() {
    let project = Project::new();
    project.run();
    project.ran();
    let only = RunOptions { only: Some("Trainer".into()), ..force("Pusher") };
    let from = RunOptions { from: Some("Trainer".into()), ..force("ExampleGen") };
    for (options, expected) in [
        (only, "Pusher is to be forced and is not selected; selected are Trainer"),
        (from, "ExampleGen is to be forced and is not selected; selected are Trainer, Pusher"),
    ] {
        let error = project.try_run(&options).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.is_usage());
    }
    assert_eq!(project.ran(), [""; 0]);
}

#[test]
fn an_unknown_component_is_named_with_those_there_are() {
    let project = Project::new();
    let only = RunOptions { only: Some("trainer".into()), ..RunOptions::default() };
    for options in [only, force("trainer")] {
        let error = project.try_run(&options).unwrap_err();
        assert!(matches!(error, RunError::UnknownComponent { .. }));
        let expected = r#"there is no component "trainer"; there are ExampleGen, Trainer, Pusher"#;
        assert_eq!(error.to_string(), expected);
    }
}
