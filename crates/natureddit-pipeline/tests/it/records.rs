//! What the metadata store says afterwards.

use natureddit_core::fs;
use natureddit_pipeline::metadata::NodeId;
use natureddit_pipeline::{ArtifactId, PropertyValue};
use sqlx::{Connection, Row, SqliteConnection};

use crate::project::{Failure, Project};

#[test]
fn the_lineage_of_a_model_leads_to_the_dataset() {
    let project = Project::new();
    project.run();
    // A run from the cache adds executions, but nobody is made by them.
    let report = project.report();
    let pushed = report.component("Pusher").unwrap().outputs["pushed_model"].artifact;
    let mut metadata = project.metadata();
    let lineage = metadata.lineage(NodeId::Artifact(pushed)).unwrap().unwrap();
    let line = |node: &natureddit_pipeline::metadata::LineageNode| {
        let (key, uri) = (node.key.as_deref().unwrap_or("-"), node.uri.as_deref().unwrap_or("-"));
        format!("{} {} {} {key} {uri}\n", node.depth, node.id, node.type_name)
    };
    let text: String = lineage.nodes.iter().map(line).collect();
    insta::assert_snapshot!(text, @r"
    0 artifact:5 PushedModel - pipeline/Pusher/pushed_model/3
    1 execution:3 Pusher pushed_model -
    2 artifact:3 Model model pipeline/Trainer/model/2
    3 execution:2 Trainer model -
    4 artifact:2 Examples examples pipeline/ExampleGen/examples/1
    5 execution:1 ExampleGen examples -
    6 artifact:1 Dataset dataset data
    ");
    let trainer = lineage.nodes.iter().find(|node| node.type_name == "Trainer").unwrap();
    assert_eq!(trainer.properties["epochs"], PropertyValue::Int(30));
    assert_eq!(trainer.properties["exec_properties"], PropertyValue::from(r#"{"head":{"epochs":30}}"#));
    assert_eq!(metadata.lineage(NodeId::Artifact(ArtifactId(999))).unwrap(), None);
}

#[test]
fn the_report_is_json() {
    let project = Project::new();
    let mut report = project.report();
    report.duration_ms = 0;
    report.components.iter_mut().for_each(|component| component.duration_ms = 0);
    insta::assert_json_snapshot!(report);
}

/// The whole store after a run, a run from the cache and a failure.
#[tokio::test]
async fn the_store_holds_what_ml_metadata_expects() {
    let project = tokio::task::spawn_blocking(|| {
        let mut project = Project::new();
        project.run();
        project.run();
        project.settings.failure = Failure::Error;
        project.settings.epochs = 40;
        let _ = project.report();
        project
    });
    let project = project.await.unwrap();
    let store = fs::read_dir(&project.path("pipeline")).unwrap();
    let store: Vec<_> = store.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let store: Vec<_> = store.into_iter().filter(|name| name.starts_with("metadata.db")).collect();
    assert_eq!(store, ["metadata.db"], "nothing of the store waits in a log beside it");
    let url = format!("sqlite://{}", project.path("pipeline/metadata.db").display());
    let mut db = SqliteConnection::connect(&url).await.unwrap();
    let mut text = String::new();
    for (title, sql) in DUMPS {
        text += &format!("# {title}\n");
        for row in sqlx::query(sql).fetch_all(&mut db).await.unwrap() {
            text += &format!("{}\n", row.get::<String, _>(0));
        }
    }
    insta::assert_snapshot!(text);
}

const DUMPS: [(&str, &str); 8] = [
    ("types", "SELECT concat_ws('|', id, name, type_kind) FROM Type ORDER BY id"),
    ("declared properties", "SELECT concat_ws('|', type_id, name, data_type) FROM TypeProperty ORDER BY 1"),
    ("artifacts", "SELECT concat_ws('|', id, type_id, uri, state, create_time_since_epoch) FROM Artifact ORDER BY id"),
    (
        "artifact properties",
        "SELECT concat_ws('|', artifact_id, name, is_custom_property, int_value, double_value, \
         substr(string_value, 1, 28)) FROM ArtifactProperty ORDER BY artifact_id, name",
    ),
    (
        "executions",
        "SELECT concat_ws('|', id, type_id, last_known_state, create_time_since_epoch) FROM Execution ORDER BY id",
    ),
    (
        "execution properties",
        "SELECT concat_ws('|', execution_id, name, is_custom_property, int_value, substr(string_value, 1, 28)) \
         FROM ExecutionProperty ORDER BY execution_id, name",
    ),
    (
        "events",
        "SELECT concat_ws('|', e.id, artifact_id, execution_id, type, k.step_key, i.step_index) FROM Event e \
         JOIN EventPath k ON k.event_id = e.id AND k.is_index_step = 0 \
         JOIN EventPath i ON i.event_id = e.id AND i.is_index_step = 1 ORDER BY e.id",
    ),
    (
        "contexts",
        "SELECT concat_ws('|', id, type_id, name, \
         (SELECT group_concat(execution_id) FROM Association WHERE context_id = c.id), \
         (SELECT group_concat(artifact_id) FROM Attribution WHERE context_id = c.id)) FROM Context c ORDER BY id",
    ),
];
