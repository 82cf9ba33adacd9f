//! What the runner asks: how a component last ran, and whose outputs can stand for a new execution's.

use std::collections::BTreeMap;

use natureddit_core::ContentHash;
use sqlx::SqliteConnection;

use super::record::ExecutionState;
use super::{COMPONENT_VERSION, EVENT_OUTPUT, EXEC_PROPERTIES, INPUT_HASHES, Metadata, MetadataError, damaged};
use crate::artifact::{ArtifactId, ExecutionId};
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
    /// The newest execution of a component, however it ended; `None` when it never ran.
    pub(crate) fn last_execution(&mut self, component: &str) -> Result<Option<LastExecution>, MetadataError> {
        let sql = "SELECT e.id, e.last_known_state FROM Execution e JOIN Type t ON t.id = e.type_id \
                   WHERE t.name = ? AND t.type_kind = 0 AND e.last_known_state IN (3, 4, 5) ORDER BY e.id DESC LIMIT 1";
        self.wait(async |db| {
            let newest = sqlx::query_as(sql).bind(component.to_owned()).fetch_optional(&mut *db).await?;
            let Some((id, state)): Option<(i64, i64)> = newest else { return Ok(None) };
            let failed = state == ExecutionState::Failed as i64;
            Ok(fingerprint(db, id).await?.map(|fingerprint| LastExecution { failed, fingerprint }))
        })
    }

    /// The executions with this cache key that ran to their end, newest first.
    pub(crate) fn finished_with_key(&mut self, key: ContentHash) -> Result<Vec<FinishedExecution>, MetadataError> {
        let sql = "SELECT e.id FROM ExecutionProperty p JOIN Execution e ON e.id = p.execution_id \
                   WHERE p.name = 'cache_key' AND p.is_custom_property = 1 AND p.string_value = ? \
                   AND e.last_known_state = 3 ORDER BY e.id DESC";
        self.wait(async |db| {
            let ids: Vec<i64> = sqlx::query_scalar(sql).bind(key.to_string()).fetch_all(&mut *db).await?;
            let mut executions = Vec::with_capacity(ids.len());
            for id in ids {
                executions.push(FinishedExecution { id: ExecutionId(id), outputs: outputs(db, id).await? });
            }
            Ok(executions)
        })
    }

    /// Where the newest output of a component lies, as the store has it: a path relative to the project folder.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_output(&mut self, component: &str, key: &str) -> Result<Option<String>, MetadataError> {
        let newest = self.last_finished(component)?;
        Ok(newest.and_then(|execution| execution.outputs.get(key).map(|stored| stored.uri.clone())))
    }

    /// The newest execution of a component that has outputs, its own or an earlier one's.
    pub(crate) fn last_finished(&mut self, component: &str) -> Result<Option<FinishedExecution>, MetadataError> {
        let sql = "SELECT e.id FROM Execution e JOIN Type t ON t.id = e.type_id \
                   WHERE t.name = ? AND t.type_kind = 0 AND e.last_known_state IN (3, 5) ORDER BY e.id DESC LIMIT 1";
        self.wait(async |db| {
            let newest = sqlx::query_scalar(sql).bind(component.to_owned()).fetch_optional(&mut *db).await?;
            let Some(id): Option<i64> = newest else { return Ok(None) };
            Ok(Some(FinishedExecution { id: ExecutionId(id), outputs: outputs(db, id).await? }))
        })
    }
}

/// What an execution's cache key was made of; `None` for one that another program wrote.
async fn fingerprint(db: &mut SqliteConnection, execution: i64) -> Result<Option<Fingerprint>, sqlx::Error> {
    let sql = "SELECT name, int_value, string_value FROM ExecutionProperty \
               WHERE execution_id = ? AND is_custom_property = 1";
    let rows: Vec<(String, Option<i64>, Option<String>)> = sqlx::query_as(sql).bind(execution).fetch_all(db).await?;
    let int = |wanted: &str| rows.iter().find(|(name, ..)| name == wanted).and_then(|(_, int, _)| *int);
    let text = |wanted: &str| rows.iter().find(|(name, ..)| name == wanted).and_then(|(.., text)| text.as_deref());
    let (Some(version), Some(properties), Some(inputs)) =
        (int(COMPONENT_VERSION), text(EXEC_PROPERTIES), text(INPUT_HASHES))
    else {
        return Ok(None);
    };
    Ok(Some(Fingerprint {
        version: u32::try_from(version).map_err(damaged)?,
        exec_properties: serde_json::from_str(properties).map_err(damaged)?,
        inputs: serde_json::from_str(inputs).map_err(damaged)?,
    }))
}

async fn outputs(db: &mut SqliteConnection, execution: i64) -> Result<BTreeMap<String, StoredArtifact>, sqlx::Error> {
    let sql = "SELECT k.step_key, a.id, a.uri, p.string_value FROM Event e \
               JOIN Artifact a ON a.id = e.artifact_id \
               JOIN EventPath k ON k.event_id = e.id AND k.is_index_step = 0 \
               JOIN ArtifactProperty p ON p.artifact_id = a.id AND p.name = 'content_hash' AND p.is_custom_property = 1 \
               WHERE e.execution_id = ? AND e.type = ?";
    let query = sqlx::query_as(sql).bind(execution).bind(EVENT_OUTPUT);
    let rows: Vec<(String, i64, String, String)> = query.fetch_all(db).await?;
    let stored = |(key, id, uri, hash): (String, i64, String, String)| {
        let hash = hash.parse().map_err(damaged)?;
        Ok((key, StoredArtifact { id: ArtifactId(id), uri, hash }))
    };
    rows.into_iter().map(stored).collect()
}
