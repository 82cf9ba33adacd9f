//! What the runner asks: how a component last ran, and whose outputs can stand for a new execution's.
//!
//! A component is found by its node, `<pipeline>.<Component>`: a shared store holds those of other pipelines too.

use std::collections::BTreeMap;

use natureddit_core::ContentHash;

use super::db::Db;
use super::property::{Owner, properties};
use super::record::{ExecutionState, node_name};
use super::{COMPONENT_VERSION, EVENT_OUTPUT, EXEC_PROPERTIES, INPUT_HASHES, Metadata, MetadataError, damaged};
use crate::artifact::{ArtifactId, ExecutionId, PropertyValue};
use crate::cache::Fingerprint;

/// How a component last ran.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LastExecution {
    pub(crate) failed: bool,
    pub(crate) fingerprint: Fingerprint,
}

/// An execution whose outputs were in place when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedExecution {
    pub(crate) id: ExecutionId,
    pub(crate) outputs: BTreeMap<String, StoredArtifact>,
}

/// An artifact as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredArtifact {
    pub(crate) id: ArtifactId,
    pub(crate) uri: String,
    pub(crate) hash: ContentHash,
}

impl Metadata {
    /// The newest execution of a node, however it ended; `None` when it never ran.
    pub(crate) fn last_execution(&mut self, node: &str) -> Result<Option<LastExecution>, MetadataError> {
        let sql = "SELECT CAST(e.id AS BIGINT), CAST(e.last_known_state AS BIGINT) FROM Context c \
                   JOIN Type t ON t.id = c.type_id AND t.name = 'node' \
                   JOIN Association s ON s.context_id = c.id JOIN Execution e ON e.id = s.execution_id \
                   WHERE c.name = $1 AND e.last_known_state IN (3, 4, 5) ORDER BY e.id DESC LIMIT 1";
        self.wait(async |db| {
            let Some((id, state)) = db.row::<(i64, i64)>(sql, [node.into()]).await? else { return Ok(None) };
            let failed = state == ExecutionState::Failed as i64;
            Ok(fingerprint(db, id).await?.map(|fingerprint| LastExecution { failed, fingerprint }))
        })
    }

    /// The executions of a node with this cache key that ran to their end, newest first.
    pub(crate) fn finished_with_key(
        &mut self,
        node: &str,
        key: ContentHash,
    ) -> Result<Vec<FinishedExecution>, MetadataError> {
        let sql = "SELECT CAST(e.id AS BIGINT) FROM ExecutionProperty p JOIN Execution e ON e.id = p.execution_id \
                   JOIN Association s ON s.execution_id = e.id JOIN Context c ON c.id = s.context_id AND c.name = $2 \
                   JOIN Type t ON t.id = c.type_id AND t.name = 'node' \
                   WHERE p.name = 'cache_key' AND p.is_custom_property = TRUE AND p.string_value = $1 \
                   AND e.last_known_state = 3 ORDER BY e.id DESC";
        self.wait(async |db| {
            let ids: Vec<(i64,)> = db.rows(sql, [key.to_string().into(), node.into()]).await?;
            let mut executions = Vec::with_capacity(ids.len());
            for (id,) in ids {
                executions.push(FinishedExecution { id: ExecutionId(id), outputs: outputs(db, id).await? });
            }
            Ok(executions)
        })
    }

    /// Where the newest output of a pipeline's component lies, as the store has it: a path relative to the project folder.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_output(
        &mut self,
        pipeline: &str,
        component: &str,
        key: &str,
    ) -> Result<Option<String>, MetadataError> {
        let newest = self.last_finished(&node_name(pipeline, component))?;
        Ok(newest.and_then(|execution| execution.outputs.get(key).map(|stored| stored.uri.clone())))
    }

    /// The newest execution of a node that has outputs, its own or an earlier one's.
    pub(crate) fn last_finished(&mut self, node: &str) -> Result<Option<FinishedExecution>, MetadataError> {
        let sql = "SELECT CAST(e.id AS BIGINT) FROM Context c JOIN Type t ON t.id = c.type_id AND t.name = 'node' \
                   JOIN Association s ON s.context_id = c.id JOIN Execution e ON e.id = s.execution_id \
                   WHERE c.name = $1 AND e.last_known_state IN (3, 5) ORDER BY e.id DESC LIMIT 1";
        self.wait(async |db| {
            let Some(id) = db.number(sql, [node.into()]).await? else { return Ok(None) };
            Ok(Some(FinishedExecution { id: ExecutionId(id), outputs: outputs(db, id).await? }))
        })
    }
}

/// What an execution's cache key was made of; `None` for one that another program wrote.
async fn fingerprint(db: &mut Db, execution: i64) -> Result<Option<Fingerprint>, sqlx::Error> {
    let properties = properties(db, Owner::Execution(ExecutionId(execution))).await?;
    let (Some(PropertyValue::Int(version)), Some(PropertyValue::Text(settings)), Some(PropertyValue::Text(inputs))) =
        (properties.get(COMPONENT_VERSION), properties.get(EXEC_PROPERTIES), properties.get(INPUT_HASHES))
    else {
        return Ok(None);
    };
    Ok(Some(Fingerprint {
        version: u32::try_from(*version).map_err(damaged)?,
        exec_properties: serde_json::from_str(settings).map_err(damaged)?,
        inputs: serde_json::from_str(inputs).map_err(damaged)?,
    }))
}

async fn outputs(db: &mut Db, execution: i64) -> Result<BTreeMap<String, StoredArtifact>, sqlx::Error> {
    let sql = "SELECT k.step_key, CAST(a.id AS BIGINT), a.uri, p.string_value FROM Event e \
               JOIN Artifact a ON a.id = e.artifact_id \
               JOIN EventPath k ON k.event_id = e.id AND k.is_index_step = FALSE \
               JOIN ArtifactProperty p ON p.artifact_id = a.id AND p.name = 'content_hash' \
               AND p.is_custom_property = TRUE WHERE e.execution_id = $1 AND e.type = $2";
    let rows: Vec<(String, i64, String, String)> = db.rows(sql, [execution.into(), EVENT_OUTPUT.into()]).await?;
    let stored = |(key, id, uri, hash): (String, i64, String, String)| {
        let hash = hash.parse().map_err(damaged)?;
        Ok((key, StoredArtifact { id: ArtifactId(id), uri, hash }))
    };
    rows.into_iter().map(stored).collect()
}
