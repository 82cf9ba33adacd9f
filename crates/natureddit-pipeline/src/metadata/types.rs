//! Types as TFX registers them, so that its readers find ours: names, and the types of ML Metadata above them.
//!
//! TFX names an execution's type by the Python class of the component; its notebooks and dashboards ask for
//! `tfx.components.trainer.component.Trainer`. A component that does what TFX's does bears the same name here; one that
//! TFX does not have is `natureddit.<Component>`. Nothing of ours looks executions up by type: the node context,
//! `<pipeline>.<Component>`, says which component it was. Taken from TFX 1.16.0's `component.py` and
//! `standard_artifacts.py`, and from a store that it wrote.

use super::db::Db;
use super::{KIND_ARTIFACT, KIND_CONTEXT, KIND_EXECUTION};
use crate::artifact::ArtifactType;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The module of TFX that has a component of this name, and its class there.
fn tfx_class(component: &str) -> Option<&'static str> {
    Some(match component {
        "ExampleGen" => "tfx.components.example_gen.csv_example_gen.component.CsvExampleGen",
        "StatisticsGen" => "tfx.components.statistics_gen.component.StatisticsGen",
        "SchemaGen" => "tfx.components.schema_gen.component.SchemaGen",
        "ImportSchema" => "tfx.components.schema_gen.import_schema_gen.component.ImportSchemaGen",
        "ExampleValidator" => "tfx.components.example_validator.component.ExampleValidator",
        "Transform" => "tfx.components.transform.component.Transform",
        "Tuner" => "tfx.components.tuner.component.Tuner",
        "Trainer" => "tfx.components.trainer.component.Trainer",
        "Evaluator" => "tfx.components.evaluator.component.Evaluator",
        "InfraValidator" => "tfx.components.infra_validator.component.InfraValidator",
        "Pusher" => "tfx.components.pusher.component.Pusher",
        "BulkInferrer" => "tfx.components.bulk_inferrer.component.BulkInferrer",
        _ => return None,
    })
}

/// The name of a component's execution type.
fn execution_type_name(component: &str) -> String {
    tfx_class(component).map_or_else(|| format!("natureddit.{component}"), str::to_owned)
}

/// The type of ML Metadata that TFX puts above an execution's.
fn execution_parent(component: &str) -> Option<&'static str> {
    Some(match component {
        "StatisticsGen" | "SchemaGen" => "mlmd.Process",
        "Transform" => "mlmd.Transform",
        "Trainer" => "mlmd.Train",
        "Evaluator" => "mlmd.Evaluate",
        "Pusher" => "mlmd.Deploy",
        _ => return None,
    })
}

/// The type of ML Metadata that TFX puts above an artifact's.
fn artifact_parent(artifact_type: ArtifactType) -> Option<&'static str> {
    Some(match artifact_type {
        ArtifactType::Examples => "mlmd.Dataset",
        ArtifactType::ExampleStatistics => "mlmd.Statistics",
        ArtifactType::Model | ArtifactType::PushedModel => "mlmd.Model",
        _ => return None,
    })
}

/// Whether TFX has the type and its readers find the files of ours where they look for those of their own.
pub(super) fn is_laid_out_as_in_tfx(artifact_type: ArtifactType) -> bool {
    matches!(
        artifact_type,
        ArtifactType::Examples
            | ArtifactType::ExampleStatistics
            | ArtifactType::Schema
            | ArtifactType::ExampleAnomalies
    )
}

/// The id of a component's execution type, added where the store does not have it.
pub(super) async fn execution_type_id(db: &mut Db, component: &str) -> Result<i64> {
    type_id(db, &execution_type_name(component), KIND_EXECUTION, execution_parent(component)).await
}

/// The id of a context type, added where the store does not have it.
pub(super) async fn context_type_id(db: &mut Db, name: &str) -> Result<i64> {
    type_id(db, name, KIND_CONTEXT, None).await
}

/// The id of an artifact type, added with its properties where the store does not have it.
pub(super) async fn artifact_type_id(db: &mut Db, artifact_type: ArtifactType) -> Result<i64> {
    let id = type_id(db, artifact_type.name(), KIND_ARTIFACT, artifact_parent(artifact_type)).await?;
    for &(name, data_type) in artifact_type.declared_properties() {
        let sql = "INSERT INTO TypeProperty (type_id, name, data_type) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        db.execute(sql, [id.into(), name.into(), (data_type as i64).into()]).await?;
    }
    Ok(id)
}

async fn type_id(db: &mut Db, name: &str, kind: i64, parent: Option<&str>) -> Result<i64> {
    let sql = "SELECT CAST(id AS BIGINT) FROM Type WHERE name = $1 AND type_kind = $2 AND version IS NULL";
    if let Some(id) = db.number(sql, [name.into(), kind.into()]).await? {
        return Ok(id);
    }
    let insert = "INSERT INTO Type (name, type_kind) VALUES ($1, $2) RETURNING CAST(id AS BIGINT)";
    let id = db.id(insert, [name.into(), kind.into()]).await?;
    if let Some(parent) = parent
        && let Some(parent) = db.number(sql, [parent.into(), kind.into()]).await?
    {
        let sql = "INSERT INTO ParentType (type_id, parent_type_id) VALUES ($1, $2)";
        db.execute(sql, [id.into(), parent.into()]).await?;
    }
    Ok(id)
}
