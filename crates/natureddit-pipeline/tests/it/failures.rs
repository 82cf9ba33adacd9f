//! What failed, was killed, or ran into another run.

use natureddit_core::fs;
use natureddit_pipeline::{RunError, RunEvent, RunOptions};

use crate::project::{Failure, Project};

#[test]
fn a_failure_is_recorded_leaves_what_was_done_and_is_taken_up_again() {
    let mut project = Project::new();
    project.settings.failure = Failure::Error;
    let report = project.report();
    assert_eq!(report.failure(), Some(("Trainer", "the loss is not a number")));
    insta::assert_snapshot!(report, @r"
    ExampleGen: ran because it never ran before
    Trainer: failed: the loss is not a number (ran because it never ran before)
    Pusher: not reached
    ");
    assert_eq!(project.files("pipeline/Trainer"), [""; 0], "nothing is left of what was half made");
    insta::assert_snapshot!(project.report(), @r"
    ExampleGen: cached from execution 1
    Trainer: failed: the loss is not a number (ran because its last run failed)
    Pusher: not reached
    ");
    project.settings.failure = Failure::None;
    let report = project.report();
    assert_eq!(report.failure(), None);
    insta::assert_snapshot!(report, @r"
    ExampleGen: cached from execution 1
    Trainer: ran because its last run failed
    Pusher: ran because it never ran before
    ");
}

#[test]
fn a_failed_run_leaves_the_results_of_an_earlier_one() {
    let mut project = Project::new();
    let first = project.report();
    let model = first.component("Trainer").unwrap().outputs["model"].uri.clone();
    project.settings.failure = Failure::Error;
    project.settings.epochs = 40;
    assert!(project.report().failure().is_some());
    assert!(project.path(&model).join("deep/text").exists());
    project.settings.epochs = 30;
    project.ran();
    assert_eq!(project.report().failure(), None);
    assert_eq!(project.ran(), [""; 0]);
}

#[test]
fn what_a_component_refuses_is_kept_and_used_by_nobody() {
    let mut project = Project::new();
    project.settings.failure = Failure::Refusal;
    let report = project.report();
    assert_eq!(report.failure(), Some(("Trainer", "nobody should use it")));
    let uri = report.component("Trainer").unwrap().outputs["model"].uri.clone();
    assert!(project.path(&uri).join("deep/text").exists());
    let from = RunOptions { from: Some("Pusher".into()), ..RunOptions::default() };
    assert!(matches!(project.try_run(&from), Err(RunError::FailedBefore { .. })));
    project.settings.failure = Failure::None;
    project.ran();
    project.run();
    assert_eq!(project.ran(), ["Trainer", "Pusher"]);
}

#[test]
fn a_panic_is_a_failure_like_others() {
    let mut project = Project::new();
    project.settings.failure = Failure::Panic;
    let report = project.report();
    assert_eq!(report.failure(), Some(("Trainer", "it panicked: the trainer panics")));
    assert_eq!(project.files("pipeline/Trainer"), [""; 0], "nothing is left of what was half made");
    project.settings.failure = Failure::None;
    project.ran();
    assert_eq!(project.report().failure(), None);
    assert_eq!(project.ran(), ["Trainer", "Pusher"]);
}

#[test]
fn outputs_that_were_moved_but_not_written_down_are_neither_used_nor_overwritten() {
    let project = Project::new();
    project.write("pipeline/ExampleGen/examples/1/deep/text", "by a run that was killed");
    let report = project.report();
    assert_eq!(report.components[0].outputs["examples"].uri, "pipeline/ExampleGen/examples/2");
    assert_eq!(project.read("pipeline/ExampleGen/examples/1/deep/text"), "by a run that was killed");
}

#[test]
fn sweeping_removes_nothing_else() {
    let project = Project::new();
    let kept =
        ["pipeline/Trainer/model/.notes", "pipeline/Trainer/model/.x.partial", "pipeline/Other/key/.1.partial/x"];
    kept.iter().for_each(|path| project.write(path, "mine"));
    project.write("pipeline/Trainer/model/.77.partial/x", "left over");
    project.write("pipeline/.file_states.json.1234-5.partial", "[half of it");
    project.run();
    kept.iter().for_each(|path| assert_eq!(project.read(path), "mine"));
    for gone in ["pipeline/Trainer/model/.77.partial", "pipeline/.file_states.json.1234-5.partial"] {
        assert!(!project.path(gone).exists(), "{gone}");
    }
}

#[test]
fn two_runs_at_once_are_refused() {
    let project = Project::new();
    let (runner, graph, options) = (project.runner(), project.graph(), RunOptions::default());
    let mut refused = 0;
    let report = runner.run(&graph, &options, &mut |event| {
        if let RunEvent::Started { .. } = event {
            let error = project.try_run(&RunOptions::default()).unwrap_err();
            let expected = format!("another run is at work in {}", project.path("pipeline").display());
            assert_eq!(error.to_string(), expected);
            refused += 1;
        }
    });
    assert_eq!(report.unwrap().failure(), None);
    assert_eq!(refused, 3);
    project.run();
}

#[test]
fn an_external_input_that_cannot_be_read_stops_the_run() {
    let project = Project::new();
    fs::remove_file(&project.path("data/posts.csv")).unwrap();
    fs::create_dir_all(&project.path("data/posts.csv")).unwrap();
    let error = project.try_run(&RunOptions::default()).unwrap_err();
    assert!(matches!(error, RunError::Resolve { component: "ExampleGen", key: "dataset", .. }), "{error}");
    assert_eq!(project.ran(), [""; 0]);
}
