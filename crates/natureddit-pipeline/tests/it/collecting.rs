//! Garbage collection, and what goes when a post is forgotten.

use std::time::Duration;

use natureddit_pipeline::collect::{CollectOptions, Collected};
use natureddit_pipeline::metadata::{Direction, NodeId};
use natureddit_pipeline::{ArtifactId, RunError, RunEvent, RunOptions};

use crate::project::Project;

const DAY: Duration = Duration::from_secs(86_400);

fn collect(project: &Project, keep_days: u32, dry_run: bool) -> Collected {
    let models_dir = project.path("models");
    let options = CollectOptions { keep: DAY * keep_days, models_dir, dry_run };
    project.runner().collect(&project.graph(), &options).unwrap()
}

fn uris(collected: &Collected) -> Vec<&str> {
    collected.removed.iter().map(|output| output.uri.as_str()).collect()
}

#[test]
fn what_is_old_and_not_the_newest_goes_and_is_made_again_when_it_is_asked_for() {
    let mut project = Project::new();
    project.run();
    project.settings.epochs = 40;
    project.run();
    assert_eq!(uris(&collect(&project, 30, false)), [""; 0], "all of it is young");
    project.wait_days(31);
    let old = ["pipeline/Trainer/model/2", "pipeline/Trainer/evaluation/2"];
    let told = collect(&project, 30, true);
    assert_eq!((uris(&told), told.kept), (old.to_vec(), 4));
    assert!(told.bytes > 0 && project.path(old[0]).exists(), "a dry run removes nothing");
    assert_eq!(uris(&collect(&project, 30, false)), old);
    assert!(!project.path(old[0]).exists());
    assert_eq!(uris(&collect(&project, 30, false)), [""; 0]);

    // Its lineage stays.
    let mut metadata = project.metadata();
    let model = metadata.artifact_at(old[0]).unwrap().unwrap();
    let nodes = metadata.walk(NodeId::Artifact(model), Direction::Up).unwrap().unwrap().nodes;
    assert!(nodes[0].is_deleted && nodes.last().unwrap().type_name == "Dataset");
    metadata.close().unwrap();
    project.ran();
    project.run();
    assert_eq!(project.ran(), [""; 0], "nothing that is needed went");
    project.settings.epochs = 30;
    project.run();
    assert_eq!(project.ran(), ["Trainer"]);
}

#[test]
fn what_was_used_of_late_stays_although_it_is_old() {
    let mut project = Project::new();
    project.run();
    project.settings.epochs = 40;
    project.run();
    project.wait_days(31);
    // Found in the cache, and so used, today.
    project.settings.epochs = 30;
    project.run();
    let old = ["pipeline/Trainer/model/5", "pipeline/Trainer/evaluation/5"];
    assert_eq!(uris(&collect(&project, 30, false)), old);
}

#[test]
fn folders_that_no_execution_made_go_when_they_are_old() {
    let project = Project::new();
    project.run();
    project.write("pipeline/Trainer/model/77/deep/text", "of a run that was killed");
    project.write("pipeline/Trainer/model/notes/text", "mine");
    project.write("pipeline/Other/model/78/text", "of no component of the graph");
    // The project's clock is in the future, so that every file is old.
    let collected = collect(&project, 30, false);
    assert_eq!(collected.orphans, ["pipeline/Trainer/model/77"]);
    assert!(project.path("pipeline/Trainer/model/notes/text").exists());
    assert!(project.path("pipeline/Other/model/78/text").exists());
}

#[test]
fn nothing_is_collected_while_a_run_is_at_work_or_before_the_first() {
    let project = Project::new();
    let options = CollectOptions { keep: DAY, models_dir: project.path("models"), dry_run: false };
    assert_eq!(collect(&project, 0, false), Collected::default());
    let mut refused = 0;
    let report = project.runner().run(&project.graph(), &RunOptions::default(), &mut |event| {
        if let RunEvent::Started { .. } = event {
            let error = project.runner().collect(&project.graph(), &options).unwrap_err();
            assert!(matches!(error, RunError::Locked(_)), "{error}");
            refused += 1;
        }
    });
    assert_eq!((report.unwrap().failure(), refused), (None, 3));
}

#[test]
fn a_forgotten_post_takes_along_what_shows_it_and_leaves_the_models() {
    let project = Project::new();
    project.run();
    project.write("pipeline/Trainer/evaluation/77/deep/text", "of a run that was killed");
    project.write("pipeline/Trainer/evaluation/.78.partial/text", "of another");
    // These examples are no table of examples: whether they hold the post cannot be told.
    let collected = {
        let runner = project.runner();
        let held = runner.lock().unwrap();
        runner.forget(&project.graph(), &["abc".parse().unwrap()].into(), &held).unwrap()
    };
    assert_eq!(uris(&collected), ["pipeline/ExampleGen/examples/1", "pipeline/Trainer/evaluation/2"]);
    assert!(project.path("pipeline/Trainer/model/2").exists());
    assert_eq!(project.files("pipeline/Trainer/evaluation"), [""; 0]);
    let mut metadata = project.metadata();
    let nodes = metadata.walk(NodeId::Artifact(ArtifactId(2)), Direction::Up).unwrap().unwrap().nodes;
    assert!(nodes[0].is_deleted, "{nodes:?}");
    metadata.close().unwrap();
    project.ran();
    project.run();
    assert_eq!(project.ran(), ["ExampleGen", "Trainer"], "what is needed of it is made anew");
}
