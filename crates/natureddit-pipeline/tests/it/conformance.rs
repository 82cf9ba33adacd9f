//! What every kind of metadata store does alike: the same story in a file and on a server.

use natureddit_pipeline::metadata::{Direction, NodeId};
use natureddit_pipeline::{ArtifactId, MetadataLocation, PropertyValue};

use crate::postgres::{self, Database};
use crate::project::{Failure, Project};

/// A project's life, told so that it can be compared.
fn story(mut project: Project) -> String {
    let mut told = String::new();
    for (what, epochs, failure) in [
        ("new", 30, Failure::None),
        ("again", 30, Failure::None),
        ("a setting that fails", 40, Failure::Error),
        ("the old setting", 30, Failure::None),
    ] {
        (project.settings.epochs, project.settings.failure) = (epochs, failure);
        told += &format!("# {what}\n{}", project.report());
    }
    let mut metadata = project.metadata();
    let pushed = metadata.artifact_at("pipeline/Pusher/pushed_model/3").unwrap().unwrap();
    for (start, direction) in [(pushed, Direction::Up), (ArtifactId(1), Direction::Down)] {
        told += &format!("# {direction:?} from {start}\n");
        for node in metadata.walk(NodeId::Artifact(start), direction).unwrap().unwrap().nodes {
            told += &format!("{:depth$}{} {} {:?}\n", "", node.id, node.type_name, node.key, depth = node.depth);
        }
    }
    told += "# live outputs\n";
    for artifact in metadata.live_outputs("natureddit").unwrap() {
        let from: Vec<_> = artifact.made_from.iter().map(ToString::to_string).collect();
        told += &format!("{} {} {} from {}\n", artifact.id, artifact.type_name, artifact.uri, from.join(", "));
    }
    assert_eq!(metadata.live_outputs("another").unwrap(), [], "another pipeline of the store has none of these");
    assert_eq!(metadata.walk(NodeId::Artifact(ArtifactId(999)), Direction::Up).unwrap(), None);
    metadata.close().unwrap();
    told
}

#[test]
fn a_file_and_a_server_tell_the_same_story() {
    let in_a_file = story(Project::new());
    insta::assert_snapshot!(in_a_file, @r#"
    # new
    ExampleGen: ran because it never ran before
    Trainer: ran because it never ran before
    Pusher: ran because it never ran before
    # again
    ExampleGen: cached from execution 1
    Trainer: cached from execution 2
    Pusher: cached from execution 3
    # a setting that fails
    ExampleGen: cached from execution 1
    Trainer: failed: the loss is not a number (ran because setting head.epochs changed)
    Pusher: not reached
    # the old setting
    ExampleGen: cached from execution 1
    Trainer: cached from execution 2
    Pusher: cached from execution 3
    # Up from 5
    artifact:5 PushedModel None
     execution:3 Pusher Some("pushed_model")
      artifact:3 Model Some("model")
       execution:2 Trainer Some("model")
        artifact:2 Examples Some("examples")
         execution:1 ExampleGen Some("examples")
          artifact:1 Dataset Some("dataset")
    # Down from 1
    artifact:1 Dataset None
     execution:1 ExampleGen Some("dataset")
      artifact:2 Examples Some("examples")
       execution:2 Trainer Some("examples")
        artifact:4 ModelEvaluation Some("evaluation")
        artifact:3 Model Some("model")
         execution:3 Pusher Some("model")
          artifact:5 PushedModel Some("pushed_model")
    # live outputs
    2 Examples pipeline/ExampleGen/examples/1 from 1
    3 Model pipeline/Trainer/model/2 from 2
    4 ModelEvaluation pipeline/Trainer/evaluation/2 from 2
    5 PushedModel pipeline/Pusher/pushed_model/3 from 3
    "#);
    let Some(database) = Database::new() else { return postgres::skip() };
    assert_eq!(story(Project::with_metadata(database.location())), in_a_file);
}

/// Longer than PostgreSQL's index takes, and a number that its columns do not.
fn keeps_long_texts_and_large_numbers(mut project: Project) {
    project.settings.note = "ä long note, and änother ".repeat(400);
    project.run();
    let mut metadata = project.metadata();
    let trainer = NodeId::Execution(natureddit_pipeline::ExecutionId(2));
    let lineage = metadata.walk(trainer, Direction::Up).unwrap().unwrap();
    let properties = &lineage.nodes[0].properties;
    let PropertyValue::Text(settings) = &properties["exec_properties"] else { panic!("{properties:?}") };
    assert!(settings.contains(&project.settings.note), "{settings}");
    let large = match &properties["large"] {
        PropertyValue::Int(large) => *large as f64,
        PropertyValue::Double(large) => *large,
        PropertyValue::Text(text) => panic!("{text}"),
    };
    assert_eq!(large, (1_i64 << 40) as f64);
    metadata.close().unwrap();
    project.settings.epochs += 1;
    let report = project.report();
    assert!(report.to_string().contains("setting head.epochs changed"), "{report}");
}

#[test]
fn long_texts_and_large_numbers_are_kept() {
    keeps_long_texts_and_large_numbers(Project::new());
    let Some(database) = Database::new() else { return postgres::skip() };
    keeps_long_texts_and_large_numbers(Project::with_metadata(database.location()));
}

#[test]
fn two_machines_at_once_share_a_store() {
    let Some(database) = Database::new() else { return postgres::skip() };
    let ids = |location: MetadataLocation| {
        move || {
            let project = Project::with_metadata(location);
            let mut ids = Vec::new();
            for _ in 0..5 {
                let report = project.report();
                assert_eq!(report.failure(), None);
                ids.extend(report.components.iter().map(|component| component.execution.unwrap()));
            }
            ids
        }
    };
    let machines = [ids(database.location()), ids(database.location())].map(std::thread::spawn);
    let mut ids: Vec<_> = machines.into_iter().flat_map(|machine| machine.join().unwrap()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (30, 30), "no id is given twice");
    assert_eq!(database.query("SELECT count(*) FROM Execution"), "30");
    let twice = "SELECT count(*) FROM (SELECT name FROM Type GROUP BY name, type_kind HAVING count(*) > 1) t";
    assert_eq!(database.query(twice), "0", "both add the same types");
}
