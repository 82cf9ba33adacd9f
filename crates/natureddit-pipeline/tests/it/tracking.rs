//! What is recorded of runs.

use natureddit_core::{Clock, fs};
use natureddit_pipeline::tracking::{
    Models, Recorder, RunContext, RunStatus, TrackedRun, Tracking, TrackingConfig, from_config,
};
use natureddit_pipeline::{RunOptions, RunReport};

use crate::project::{Failure, Project, force};

fn tracking(project: &Project) -> Tracking {
    from_config(TrackingConfig {
        dir: project.path("pipeline/tracking"),
        project_dir: project.path(""),
        models_dir: project.path("models"),
        experiment: "birds".into(),
        registered_model: "m".into(),
        alias: "champion".into(),
        models: Models::Pushed,
        artifacts: vec!["training.json".into()],
        artifact_bytes_max: 1_000,
        server: None,
    })
    .unwrap()
}

fn context() -> RunContext {
    RunContext { params: [("seed".to_owned(), "42".to_owned())].into(), ..RunContext::default() }
}

/// A run of the project with a recorder beside it.
fn watched(project: &Project, tracking: &Tracking, options: &RunOptions) -> (RunReport, Option<TrackedRun>) {
    let mut recorder = Recorder::new(tracking, Clock::fixed(1_800_000_000), context);
    let runner = project.runner();
    let report = runner.run(&project.graph(), options, &mut |event| recorder.watch(&event)).unwrap();
    let run = recorder.finish(&report, &runner).unwrap();
    (report, run)
}

#[test]
fn a_run_is_recorded_once_and_a_run_in_which_nothing_was_done_not_at_all() {
    let project = Project::new();
    let tracking = tracking(&project);
    let (report, run) = watched(&project, &tracking, &RunOptions::default());
    let run = run.unwrap();
    assert_eq!((&run.name, run.status), (&report.run, RunStatus::Finished));
    assert_eq!(run.params["seed"], "42");
    assert_eq!(run.tags["natureddit.component.Trainer"], "ran");
    let (_, again) = watched(&project, &tracking, &RunOptions::default());
    assert_eq!(again, None);
    let (_, forced) = watched(&project, &tracking, &force("Pusher"));
    assert_eq!(forced.unwrap().tags["natureddit.component.Trainer"], "cached");
    let stored = tracking.store.runs().unwrap();
    assert_eq!(stored.len(), 2);
    let first = stored.iter().find(|stored| stored.run.id == run.id).unwrap();
    assert_eq!(first.run, run);
    assert_eq!(first.sending, None);
    assert!(fs::read_dir(&project.path("pipeline/tracking/open")).unwrap().is_empty());
}

#[test]
fn a_run_that_failed_is_recorded_and_its_message_stays_here() {
    let mut project = Project::new();
    project.settings.failure = Failure::Error;
    let tracking = tracking(&project);
    let run = watched(&project, &tracking, &RunOptions::default()).1.unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.failure.unwrap(), "Trainer: the loss is not a number");
    assert_eq!(run.tags["natureddit.failed"], "Trainer");
    assert_eq!(run.tags["natureddit.component.Pusher"], "not reached");
    assert!(!run.tags.values().any(|tag| tag.contains("the loss")));
}

#[test]
fn a_run_that_was_killed_is_told_of_by_the_next_even_if_that_has_nothing_to_do() {
    let project = Project::new();
    let tracking = tracking(&project);
    {
        let mut recorder = Recorder::new(&tracking, Clock::fixed(1_700_000_000), context);
        let _report =
            project.runner().run(&project.graph(), &RunOptions::default(), &mut |event| recorder.watch(&event));
        // Here its process ends.
    }
    assert_eq!(tracking.store.ids().unwrap().len(), 0);
    let (_, run) = watched(&project, &tracking, &RunOptions::default());
    let stored = tracking.store.runs().unwrap();
    let statuses: Vec<RunStatus> = stored.iter().map(|stored| stored.run.status).collect();
    assert_eq!(statuses, [RunStatus::Killed, RunStatus::Finished]);
    assert_eq!(stored[0].run.params["seed"], "42");
    assert_eq!(run.unwrap().tags["natureddit.component.Trainer"], "cached");
    assert_eq!(watched(&project, &tracking, &RunOptions::default()).1, None);
}
