//! Writing an execution that is over, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use natureddit_core::ContentHash;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};

use super::{
    ARTIFACT_LIVE, CACHE_KEY, COMPONENT_VERSION, CONTENT_HASH, ERROR, EVENT_INPUT, EVENT_OUTPUT, EXEC_PROPERTIES,
    INPUT_HASHES, IS_EXTERNAL, KIND_ARTIFACT, KIND_CONTEXT, KIND_EXECUTION, Metadata, MetadataError, StoredArtifact,
};
use crate::artifact::{ArtifactId, ArtifactType, ExecutionId, PropertyValue};
use crate::cache::{Fingerprint, canonical_json};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// How an execution ended, with ML Metadata's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExecutionState {
    /// It ran and its outputs are in place.
    Complete = 3,
    /// It ran and failed.
    Failed = 4,
    /// It did not run: an earlier one's outputs stand for its own.
    Cached = 5,
}

/// An execution that is over.
pub(crate) struct ExecutionRecord<'a> {
    pub(crate) id: ExecutionId,
    pub(crate) pipeline: &'a str,
    pub(crate) run: &'a str,
    pub(crate) component: &'static str,
    pub(crate) state: ExecutionState,
    pub(crate) cache_key: ContentHash,
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) details: &'a BTreeMap<String, PropertyValue>,
    pub(crate) error: Option<&'a str>,
    pub(crate) inputs: Vec<(&'static str, ArtifactRecord)>,
    pub(crate) outputs: Vec<(&'static str, ArtifactRecord)>,
    pub(crate) started: Timestamp,
    pub(crate) finished: Timestamp,
}

/// An artifact of an execution: one the store has, or one to be added.
#[derive(Clone)]
pub(crate) enum ArtifactRecord {
    /// An artifact of an earlier execution.
    Known(StoredArtifact),
    /// Something outside the pipeline: found again by type, URI and content, or added.
    External { artifact_type: ArtifactType, uri: String, hash: ContentHash },
    /// A new output.
    New { artifact_type: ArtifactType, uri: String, hash: ContentHash, properties: BTreeMap<String, PropertyValue> },
}

impl Metadata {
    /// The id of the execution that is recorded next. Ids are never given twice.
    pub(crate) fn next_execution_id(&mut self) -> std::result::Result<ExecutionId, MetadataError> {
        let sql = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'Execution'";
        self.wait(async |connection| sqlx::query_scalar(sql).fetch_one(connection).await).map(ExecutionId)
    }

    /// Writes an execution; gives its outputs by key, as they are stored.
    pub(crate) fn record(
        &mut self,
        record: ExecutionRecord<'_>,
    ) -> std::result::Result<BTreeMap<String, StoredArtifact>, MetadataError> {
        self.wait(async |connection| {
            // The lock of a writer at once: SQLite waits for it only before anything was read.
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let outputs = insert(&mut transaction, record).await?;
            transaction.commit().await?;
            Ok(outputs)
        })
    }
}

async fn insert(db: &mut SqliteConnection, record: ExecutionRecord<'_>) -> Result<BTreeMap<String, StoredArtifact>> {
    let now = record.finished.as_millisecond();
    insert_execution(db, &record).await?;
    let node = format!("{}.{}", record.pipeline, record.component);
    let mut contexts = Vec::new();
    for (kind, name) in [("pipeline", record.pipeline), ("pipeline_run", record.run), ("node", &node)] {
        let context = context_id(db, kind, name, now).await?;
        let sql = "INSERT INTO Association (context_id, execution_id) VALUES (?, ?)";
        sqlx::query(sql).bind(context).bind(record.id.0).execute(&mut *db).await?;
        contexts.push(context);
    }
    let mut seen = BTreeSet::new();
    for (key, artifact) in record.inputs {
        let artifact = stored_artifact(db, artifact, now).await?.id;
        // The same folder at two inputs is one event: ML Metadata has room for one path only.
        if seen.insert(artifact) {
            insert_event(db, record.id, artifact, EVENT_INPUT, key, record.started.as_millisecond()).await?;
        }
        attribute(db, &contexts, artifact).await?;
    }
    let mut outputs = BTreeMap::new();
    for (key, artifact) in record.outputs {
        let artifact = stored_artifact(db, artifact, now).await?;
        insert_event(db, record.id, artifact.id, EVENT_OUTPUT, key, now).await?;
        attribute(db, &contexts, artifact.id).await?;
        outputs.insert(key.to_owned(), artifact);
    }
    Ok(outputs)
}

async fn insert_execution(db: &mut SqliteConnection, record: &ExecutionRecord<'_>) -> Result<()> {
    let type_id = type_id(db, record.component, KIND_EXECUTION).await?;
    let sql = "INSERT INTO Execution (id, type_id, last_known_state, create_time_since_epoch, \
               last_update_time_since_epoch) VALUES (?, ?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(record.id.0).bind(type_id).bind(record.state as i64);
    let query = query.bind(record.started.as_millisecond()).bind(record.finished.as_millisecond());
    query.execute(&mut *db).await?;
    let inputs = serde_json::to_value(&record.fingerprint.inputs).map_err(super::damaged)?;
    let own = [
        (CACHE_KEY, PropertyValue::Text(record.cache_key.to_string())),
        (COMPONENT_VERSION, PropertyValue::Int(record.fingerprint.version.into())),
        (EXEC_PROPERTIES, PropertyValue::Text(canonical_json(&record.fingerprint.exec_properties))),
        (INPUT_HASHES, PropertyValue::Text(inputs.to_string())),
    ];
    let error = record.error.map(|message| (ERROR, PropertyValue::Text(message.to_owned())));
    for (name, value) in own.iter().chain(&error) {
        insert_execution_property(db, record.id, name, value).await?;
    }
    for (name, value) in record.details {
        insert_execution_property(db, record.id, name, value).await?;
    }
    Ok(())
}

async fn insert_execution_property(
    db: &mut SqliteConnection,
    execution: ExecutionId,
    name: &str,
    value: &PropertyValue,
) -> Result<()> {
    let sql = "INSERT INTO ExecutionProperty (execution_id, name, is_custom_property, int_value, double_value, \
               string_value) VALUES (?, ?, 1, ?, ?, ?)";
    let (int, double, text) = columns(value);
    let query = sqlx::query(sql).bind(execution.0).bind(name.to_owned()).bind(int).bind(double).bind(text);
    query.execute(db).await.map(|_| ())
}

/// The value in ML Metadata's columns `int_value`, `double_value`, `string_value`.
fn columns(value: &PropertyValue) -> (Option<i64>, Option<f64>, Option<String>) {
    match value {
        PropertyValue::Int(value) => (Some(*value), None, None),
        PropertyValue::Double(value) => (None, Some(*value), None),
        PropertyValue::Text(value) => (None, None, Some(value.clone())),
    }
}

async fn stored_artifact(db: &mut SqliteConnection, artifact: ArtifactRecord, now: i64) -> Result<StoredArtifact> {
    match artifact {
        ArtifactRecord::Known(stored) => Ok(stored),
        ArtifactRecord::New { artifact_type, uri, hash, properties } => {
            let id = insert_artifact(db, artifact_type, &uri, hash, false, &properties, now).await?;
            Ok(StoredArtifact { id, uri, hash })
        }
        ArtifactRecord::External { artifact_type, uri, hash } => {
            let id = match external_artifact(db, artifact_type, &uri, hash).await? {
                Some(id) => id,
                None => insert_artifact(db, artifact_type, &uri, hash, true, &BTreeMap::new(), now).await?,
            };
            Ok(StoredArtifact { id, uri, hash })
        }
    }
}

async fn external_artifact(
    db: &mut SqliteConnection,
    artifact_type: ArtifactType,
    uri: &str,
    hash: ContentHash,
) -> Result<Option<ArtifactId>> {
    let sql = "SELECT a.id FROM Artifact a JOIN Type t ON t.id = a.type_id \
               JOIN ArtifactProperty h ON h.artifact_id = a.id AND h.name = 'content_hash' AND h.string_value = ? \
               JOIN ArtifactProperty x ON x.artifact_id = a.id AND x.name = 'is_external' AND x.int_value = 1 \
               WHERE a.uri = ? AND t.name = ? AND t.type_kind = 1 ORDER BY a.id DESC LIMIT 1";
    let query = sqlx::query_scalar(sql).bind(hash.to_string()).bind(uri.to_owned()).bind(artifact_type.name());
    Ok(query.fetch_optional(db).await?.map(ArtifactId))
}

async fn insert_artifact(
    db: &mut SqliteConnection,
    artifact_type: ArtifactType,
    uri: &str,
    hash: ContentHash,
    external: bool,
    properties: &BTreeMap<String, PropertyValue>,
    now: i64,
) -> Result<ArtifactId> {
    let type_id = artifact_type_id(db, artifact_type).await?;
    let sql = "INSERT INTO Artifact (type_id, uri, state, create_time_since_epoch, last_update_time_since_epoch) \
               VALUES (?, ?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(type_id).bind(uri.to_owned()).bind(ARTIFACT_LIVE).bind(now).bind(now);
    let id = ArtifactId(query.execute(&mut *db).await?.last_insert_rowid());
    let own = [(CONTENT_HASH, PropertyValue::Text(hash.to_string())), (IS_EXTERNAL, PropertyValue::from(external))];
    for (name, value) in &own {
        insert_artifact_property(db, id, name, true, value).await?;
    }
    for (name, value) in properties {
        let declared = artifact_type.declared_properties().iter().any(|(declared, _)| declared == name);
        insert_artifact_property(db, id, name, !declared, value).await?;
    }
    Ok(id)
}

async fn insert_artifact_property(
    db: &mut SqliteConnection,
    artifact: ArtifactId,
    name: &str,
    custom: bool,
    value: &PropertyValue,
) -> Result<()> {
    let sql = "INSERT INTO ArtifactProperty (artifact_id, name, is_custom_property, int_value, double_value, \
               string_value) VALUES (?, ?, ?, ?, ?, ?)";
    let (int, double, text) = columns(value);
    let query = sqlx::query(sql).bind(artifact.0).bind(name.to_owned()).bind(custom);
    query.bind(int).bind(double).bind(text).execute(db).await.map(|_| ())
}

/// Adds the event and its path: the key of the input or output, then index 0, for each is one artifact.
async fn insert_event(
    db: &mut SqliteConnection,
    execution: ExecutionId,
    artifact: ArtifactId,
    kind: i64,
    key: &str,
    when: i64,
) -> Result<()> {
    let sql = "INSERT INTO Event (artifact_id, execution_id, type, milliseconds_since_epoch) VALUES (?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(artifact.0).bind(execution.0).bind(kind).bind(when);
    let event = query.execute(&mut *db).await?.last_insert_rowid();
    let sql = "INSERT INTO EventPath (event_id, is_index_step, step_index, step_key) VALUES (?1, 0, NULL, ?2), \
               (?1, 1, 0, NULL)";
    sqlx::query(sql).bind(event).bind(key.to_owned()).execute(db).await.map(|_| ())
}

async fn attribute(db: &mut SqliteConnection, contexts: &[i64], artifact: ArtifactId) -> Result<()> {
    for &context in contexts {
        let sql = "INSERT OR IGNORE INTO Attribution (context_id, artifact_id) VALUES (?, ?)";
        sqlx::query(sql).bind(context).bind(artifact.0).execute(&mut *db).await?;
    }
    Ok(())
}

/// The id of a type, added where the store does not have it.
async fn type_id(db: &mut SqliteConnection, name: &str, kind: i64) -> Result<i64> {
    let sql = "SELECT id FROM Type WHERE name = ? AND type_kind = ? AND version IS NULL";
    let known = sqlx::query_scalar(sql).bind(name.to_owned()).bind(kind).fetch_optional(&mut *db).await?;
    if let Some(id) = known {
        return Ok(id);
    }
    let sql = "INSERT INTO Type (name, type_kind) VALUES (?, ?)";
    Ok(sqlx::query(sql).bind(name.to_owned()).bind(kind).execute(db).await?.last_insert_rowid())
}

async fn artifact_type_id(db: &mut SqliteConnection, artifact_type: ArtifactType) -> Result<i64> {
    let id = type_id(db, artifact_type.name(), KIND_ARTIFACT).await?;
    for &(name, data_type) in artifact_type.declared_properties() {
        let sql = "INSERT OR IGNORE INTO TypeProperty (type_id, name, data_type) VALUES (?, ?, ?)";
        sqlx::query(sql).bind(id).bind(name).bind(data_type as i64).execute(&mut *db).await?;
    }
    Ok(id)
}

async fn context_id(db: &mut SqliteConnection, kind: &str, name: &str, now: i64) -> Result<i64> {
    let type_id = type_id(db, kind, KIND_CONTEXT).await?;
    let sql = "INSERT INTO Context (type_id, name, create_time_since_epoch, last_update_time_since_epoch) \
               VALUES (?1, ?2, ?3, ?3) ON CONFLICT (type_id, name) DO UPDATE SET last_update_time_since_epoch = ?3 \
               RETURNING id";
    sqlx::query_scalar(sql).bind(type_id).bind(name.to_owned()).bind(now).fetch_one(db).await
}
