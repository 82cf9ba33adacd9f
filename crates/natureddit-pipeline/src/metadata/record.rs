//! Writing an execution that is over, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use natureddit_core::ContentHash;
use serde::{Deserialize, Serialize};

use super::db::Db;
use super::property::{self, Owner};
use super::types::{artifact_type_id, context_type_id, execution_type_id, is_laid_out_as_in_tfx};
use super::{
    ARTIFACT_LIVE, CACHE_KEY, COMPONENT_VERSION, CONTENT_HASH, ERROR, EVENT_INPUT, EVENT_OUTPUT, EXEC_PROPERTIES,
    INPUT_HASHES, IS_EXTERNAL, Metadata, MetadataError, StoredArtifact, TFX_VERSION,
};
use crate::artifact::{ArtifactId, ArtifactType, ExecutionId, PropertyValue};
use crate::cache::{Fingerprint, canonical_json};

type Result<T> = std::result::Result<T, sqlx::Error>;
type Properties = BTreeMap<String, PropertyValue>;

/// The version of TFX whose layout and formats its own artifacts have here. Its readers look into `Split-train` rather
/// than `train`, and for `FeatureStats.pb`, only where an artifact says that it is of 0.29 or newer.
const TFX_LAYOUT_OF: &str = "1.16.0";

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
    /// What is known of the run itself, written with its first execution.
    pub(crate) run_properties: &'a Properties,
    pub(crate) component: &'static str,
    pub(crate) state: ExecutionState,
    pub(crate) cache_key: ContentHash,
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) details: &'a Properties,
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
    /// Something outside the pipeline: found again by type, URI and content, or added with these properties.
    External { artifact_type: ArtifactType, uri: String, hash: ContentHash, properties: Properties },
    /// A new output.
    New { artifact_type: ArtifactType, uri: String, hash: ContentHash, properties: Properties },
}

/// The node context of a component.
pub(crate) fn node_name(pipeline: &str, component: &str) -> String {
    format!("{pipeline}.{component}")
}

impl Metadata {
    /// Takes so many ids for executions to come, in rising order and none below `least`. No id is ever given twice, also
    /// not to two machines or after a run that was killed.
    pub(crate) fn reserve_execution_ids(
        &mut self,
        count: usize,
        least: ExecutionId,
    ) -> std::result::Result<Vec<ExecutionId>, MetadataError> {
        self.write(async |db| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let ids = match db {
                Db::Sqlite(_) => reserve_in_sqlite(db, count, least.0).await?,
                Db::Postgres(_) => reserve_in_postgres(db, count, least.0).await?,
            };
            Ok(ids.into_iter().map(ExecutionId).collect())
        })
    }

    /// Whether the store has this external artifact already, so that nothing need be found out about it.
    pub(crate) fn has_external(
        &mut self,
        artifact_type: ArtifactType,
        uri: &str,
        hash: ContentHash,
    ) -> std::result::Result<bool, MetadataError> {
        self.wait(async |db| Ok(external_artifact(db, artifact_type, uri, hash).await?.is_some()))
    }

    /// Writes an execution; gives its outputs by key, as they are stored.
    pub(crate) fn record(
        &mut self,
        record: ExecutionRecord<'_>,
    ) -> std::result::Result<BTreeMap<String, StoredArtifact>, MetadataError> {
        self.write(async |db| insert(db, record).await)
    }
}

async fn reserve_in_sqlite(db: &mut Db, count: i64, least: i64) -> Result<Vec<i64>> {
    let last = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'Execution'";
    let first = least.max(db.number(last, []).await?.unwrap_or(0) + 1);
    // The row is there from the first execution on, or from here.
    let update = "UPDATE sqlite_sequence SET seq = $1 WHERE name = 'Execution'";
    let insert = "INSERT INTO sqlite_sequence (name, seq) SELECT 'Execution', $1 \
                  WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'Execution')";
    for sql in [update, insert] {
        db.execute(sql, [(first + count - 1).into()]).await?;
    }
    Ok((first..first + count).collect())
}

async fn reserve_in_postgres(db: &mut Db, count: i64, least: i64) -> Result<Vec<i64>> {
    let skip = "SELECT setval(pg_get_serial_sequence('execution', 'id'), $1 - 1) WHERE \
                coalesce(pg_sequence_last_value(pg_get_serial_sequence('execution', 'id')::regclass), 0) < $1 - 1";
    db.number(skip, [least.into()]).await?;
    let next = "SELECT nextval(pg_get_serial_sequence('execution', 'id')) FROM generate_series(1, $1)";
    let mut ids: Vec<(i64,)> = db.rows(next, [count.into()]).await?;
    ids.sort_unstable();
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

async fn insert(db: &mut Db, record: ExecutionRecord<'_>) -> Result<BTreeMap<String, StoredArtifact>> {
    let now = record.finished.as_millisecond();
    insert_execution(db, &record).await?;
    let contexts = insert_contexts(db, &record, now).await?;
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

async fn insert_contexts(db: &mut Db, record: &ExecutionRecord<'_>, now: i64) -> Result<Vec<i64>> {
    let node = node_name(record.pipeline, record.component);
    let mut contexts = Vec::new();
    for (kind, name) in [("pipeline", record.pipeline), ("pipeline_run", record.run), ("node", &node)] {
        let context = context_id(db, kind, name, now).await?;
        let sql = "INSERT INTO Association (context_id, execution_id) VALUES ($1, $2)";
        db.execute(sql, [context.into(), record.id.0.into()]).await?;
        if kind == "pipeline_run" {
            for (name, value) in record.run_properties {
                property::insert(db, Owner::Context(context), name, true, value).await?;
            }
        }
        contexts.push(context);
    }
    Ok(contexts)
}

async fn insert_execution(db: &mut Db, record: &ExecutionRecord<'_>) -> Result<()> {
    let type_id = execution_type_id(db, record.component).await?;
    let sql = "INSERT INTO Execution (id, type_id, last_known_state, create_time_since_epoch, \
               last_update_time_since_epoch) VALUES ($1, $2, $3, $4, $5)";
    let (started, finished) = (record.started.as_millisecond(), record.finished.as_millisecond());
    let state = record.state as i64;
    db.execute(sql, [record.id.0, type_id, state, started, finished].map(Into::into)).await?;
    let inputs = serde_json::to_value(&record.fingerprint.inputs).map_err(super::damaged)?;
    let own = [
        (CACHE_KEY, PropertyValue::Text(record.cache_key.to_string())),
        (COMPONENT_VERSION, PropertyValue::Int(record.fingerprint.version.into())),
        (EXEC_PROPERTIES, PropertyValue::Text(canonical_json(&record.fingerprint.exec_properties))),
        (INPUT_HASHES, PropertyValue::Text(inputs.to_string())),
    ];
    let error = record.error.map(|message| (ERROR, PropertyValue::Text(message.to_owned())));
    let details = record.details.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in own.iter().chain(&error).map(|(name, value)| (*name, value)).chain(details) {
        property::insert(db, Owner::Execution(record.id), name, true, value).await?;
    }
    Ok(())
}

async fn stored_artifact(db: &mut Db, artifact: ArtifactRecord, now: i64) -> Result<StoredArtifact> {
    let (artifact_type, uri, hash, properties, is_external) = match artifact {
        ArtifactRecord::Known(stored) => return Ok(stored),
        ArtifactRecord::New { artifact_type, uri, hash, properties } => (artifact_type, uri, hash, properties, false),
        ArtifactRecord::External { artifact_type, uri, hash, properties } => {
            if let Some(id) = external_artifact(db, artifact_type, &uri, hash).await? {
                return Ok(StoredArtifact { id, uri, hash });
            }
            (artifact_type, uri, hash, properties, true)
        }
    };
    let type_id = artifact_type_id(db, artifact_type).await?;
    let sql = "INSERT INTO Artifact (type_id, uri, state, create_time_since_epoch, last_update_time_since_epoch) \
               VALUES ($1, $2, $3, $4, $4) RETURNING CAST(id AS BIGINT)";
    let args = [type_id.into(), uri.as_str().into(), ARTIFACT_LIVE.into(), now.into()];
    let id = ArtifactId(db.id(sql, args).await?);
    let mut own = vec![(CONTENT_HASH, PropertyValue::Text(hash.to_string()))];
    own.push((IS_EXTERNAL, PropertyValue::from(is_external)));
    own.extend(is_laid_out_as_in_tfx(artifact_type).then(|| (TFX_VERSION, PropertyValue::from(TFX_LAYOUT_OF))));
    for (name, value) in &own {
        property::insert(db, Owner::Artifact(id), name, true, value).await?;
    }
    for (name, value) in &properties {
        let declared = artifact_type.declared_properties().iter().any(|(declared, _)| declared == name);
        property::insert(db, Owner::Artifact(id), name, !declared, value).await?;
    }
    Ok(StoredArtifact { id, uri, hash })
}

async fn external_artifact(
    db: &mut Db,
    artifact_type: ArtifactType,
    uri: &str,
    hash: ContentHash,
) -> Result<Option<ArtifactId>> {
    let sql = "SELECT CAST(a.id AS BIGINT) FROM Artifact a JOIN Type t ON t.id = a.type_id \
               JOIN ArtifactProperty h ON h.artifact_id = a.id AND h.name = 'content_hash' AND h.string_value = $1 \
               JOIN ArtifactProperty x ON x.artifact_id = a.id AND x.name = 'is_external' AND x.int_value = 1 \
               WHERE a.uri = $2 AND t.name = $3 AND t.type_kind = 1 ORDER BY a.id DESC LIMIT 1";
    let args = [hash.to_string().into(), uri.into(), artifact_type.name().into()];
    Ok(db.number(sql, args).await?.map(ArtifactId))
}

/// Adds the event and its path: the key of the input or output, then index 0, for each is one artifact.
async fn insert_event(
    db: &mut Db,
    execution: ExecutionId,
    artifact: ArtifactId,
    kind: i64,
    key: &str,
    when: i64,
) -> Result<()> {
    let sql = "INSERT INTO Event (artifact_id, execution_id, type, milliseconds_since_epoch) \
               VALUES ($1, $2, $3, $4) RETURNING CAST(id AS BIGINT)";
    let event = db.id(sql, [artifact.0, execution.0, kind, when].map(Into::into)).await?;
    let sql = "INSERT INTO EventPath (event_id, is_index_step, step_index, step_key) \
               VALUES ($1, FALSE, NULL, $2), ($1, TRUE, 0, NULL)";
    db.execute(sql, [event.into(), key.into()]).await
}

async fn attribute(db: &mut Db, contexts: &[i64], artifact: ArtifactId) -> Result<()> {
    for &context in contexts {
        let sql = "INSERT INTO Attribution (context_id, artifact_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        db.execute(sql, [context.into(), artifact.0.into()]).await?;
    }
    Ok(())
}

async fn context_id(db: &mut Db, kind: &str, name: &str, now: i64) -> Result<i64> {
    let type_id = context_type_id(db, kind).await?;
    let sql = "INSERT INTO Context (type_id, name, create_time_since_epoch, last_update_time_since_epoch) \
               VALUES ($1, $2, $3, $3) ON CONFLICT (type_id, name) DO UPDATE SET last_update_time_since_epoch = $3 \
               RETURNING CAST(id AS BIGINT)";
    db.id(sql, [type_id.into(), name.into(), now.into()]).await
}
