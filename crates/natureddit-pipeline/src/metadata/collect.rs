//! What the store knows of artifacts as such: for lineage by path, and for garbage collection.

use std::collections::{BTreeMap, BTreeSet};

use super::property::{Owner, properties};
use super::{ARTIFACT_DELETED, ARTIFACT_LIVE, ERROR, EVENT_INPUT, EVENT_OUTPUT, Metadata, MetadataError};
use crate::artifact::{ArtifactId, ArtifactType, ExecutionId, PropertyValue};

/// An artifact that a component of a pipeline made and that was not removed.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownArtifact {
    /// Its id.
    pub id: ArtifactId,
    /// `Model`.
    pub type_name: String,
    /// Its folder, relative to the project folder.
    pub uri: String,
    /// When an execution last made it or found it in the cache, in milliseconds since the epoch.
    pub used_ms: i64,
    /// The execution that made it.
    pub made_by: ExecutionId,
    /// What that execution read.
    pub made_from: BTreeSet<ArtifactId>,
    /// Its properties.
    pub properties: BTreeMap<String, PropertyValue>,
}

impl Metadata {
    /// Every artifact that components of a pipeline made and that is still there by the store, in the order of ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn live_outputs(&mut self, pipeline: &str) -> Result<Vec<KnownArtifact>, MetadataError> {
        let sql = "SELECT CAST(a.id AS BIGINT), t.name, a.uri, \
                   CAST(max(x.last_update_time_since_epoch) AS BIGINT), CAST(min(x.id) AS BIGINT) FROM Artifact a \
                   JOIN Type t ON t.id = a.type_id JOIN Event e ON e.artifact_id = a.id AND e.type = $1 \
                   JOIN Execution x ON x.id = e.execution_id JOIN Association s ON s.execution_id = x.id \
                   JOIN Context c ON c.id = s.context_id AND c.name = $2 \
                   JOIN Type k ON k.id = c.type_id AND k.name = 'pipeline' \
                   WHERE a.state = $3 AND a.uri IS NOT NULL GROUP BY a.id, t.name, a.uri \
                   ORDER BY a.id";
        type Cells = (i64, String, String, i64, i64);
        self.wait(async |db| {
            let args = [EVENT_OUTPUT.into(), pipeline.into(), ARTIFACT_LIVE.into()];
            let rows: Vec<Cells> = db.rows(sql, args).await?;
            let mut artifacts = Vec::with_capacity(rows.len());
            for (id, type_name, uri, used_ms, made_by) in rows {
                let (id, made_by) = (ArtifactId(id), ExecutionId(made_by));
                let inputs = "SELECT CAST(artifact_id AS BIGINT) FROM Event WHERE execution_id = $1 AND type = $2";
                let read: Vec<(i64,)> = db.rows(inputs, [made_by.0.into(), EVENT_INPUT.into()]).await?;
                let made_from = read.into_iter().map(|(id,)| ArtifactId(id)).collect();
                let properties = properties(db, Owner::Artifact(id)).await?;
                artifacts.push(KnownArtifact { id, type_name, uri, used_ms, made_by, made_from, properties });
            }
            Ok(artifacts)
        })
    }

    /// Where the artifacts of all pipelines lie that are still there by the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn live_uris(&mut self) -> Result<Vec<String>, MetadataError> {
        let sql = "SELECT uri FROM Artifact WHERE state = $1 AND uri IS NOT NULL";
        self.wait(async |db| {
            let rows: Vec<(String,)> = db.rows(sql, [ARTIFACT_LIVE.into()]).await?;
            Ok(rows.into_iter().map(|(uri,)| uri).collect())
        })
    }

    /// Removes the messages of executions that failed.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn forget_messages(&mut self) -> Result<(), MetadataError> {
        self.write(async |db| {
            db.execute("DELETE FROM ExecutionProperty WHERE name = $1", [ERROR.into()]).await?;
            Ok(())
        })
    }

    /// The newest artifact at a URI, `None` where there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn artifact_at(&mut self, uri: &str) -> Result<Option<ArtifactId>, MetadataError> {
        // Earlier versions wrote none down for what lay in the project's folder itself.
        let sql = "SELECT CAST(id AS BIGINT) FROM Artifact WHERE uri = $1 AND uri <> '' ORDER BY id DESC LIMIT 1";
        self.wait(async |db| Ok(db.number(sql, [uri.into()]).await?.map(ArtifactId)))
    }

    /// The artifacts of a type whose property has this value, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn artifacts_with(
        &mut self,
        artifact_type: ArtifactType,
        property: (&str, &str),
    ) -> Result<Vec<ArtifactId>, MetadataError> {
        let sql = "SELECT CAST(a.id AS BIGINT) FROM Artifact a JOIN Type t ON t.id = a.type_id \
                   JOIN ArtifactProperty p ON p.artifact_id = a.id AND p.name = $2 AND p.string_value = $3 \
                   WHERE t.name = $1 AND t.type_kind = 1 ORDER BY a.id DESC";
        let (name, value) = property;
        let args = [artifact_type.name(), name, value].map(Into::into);
        self.wait(async |db| {
            let rows: Vec<(i64,)> = db.rows(sql, args).await?;
            Ok(rows.into_iter().map(|(id,)| ArtifactId(id)).collect())
        })
    }

    /// Every artifact of a type that a pipeline knows, removed ones among them, with its URI and in the order of ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all_of(
        &mut self,
        pipeline: &str,
        artifact_type: ArtifactType,
    ) -> Result<Vec<(ArtifactId, String)>, MetadataError> {
        let sql = "SELECT CAST(a.id AS BIGINT), a.uri FROM Artifact a JOIN Type t ON t.id = a.type_id \
                   JOIN Attribution s ON s.artifact_id = a.id JOIN Context c ON c.id = s.context_id AND c.name = $2 \
                   JOIN Type k ON k.id = c.type_id AND k.name = 'pipeline' \
                   WHERE t.name = $1 AND t.type_kind = 1 AND a.uri IS NOT NULL ORDER BY a.id";
        self.wait(async |db| {
            let rows: Vec<(i64, String)> = db.rows(sql, [artifact_type.name().into(), pipeline.into()]).await?;
            Ok(rows.into_iter().map(|(id, uri)| (ArtifactId(id), uri)).collect())
        })
    }

    /// Says of artifacts that they are no longer there; what they were and came from stays known.
    ///
    /// # Errors
    /// When the store cannot be written; then none of them is marked.
    pub fn mark_deleted(&mut self, artifacts: &[ArtifactId], now_ms: i64) -> Result<(), MetadataError> {
        let sql = "UPDATE Artifact SET state = $1, last_update_time_since_epoch = $2 WHERE id = $3";
        self.write(async |db| {
            for artifact in artifacts {
                db.execute(sql, [ARTIFACT_DELETED, now_ms, artifact.0].map(Into::into)).await?;
            }
            Ok(())
        })
    }
}
