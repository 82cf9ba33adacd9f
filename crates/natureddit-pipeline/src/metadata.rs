//! What ran, from what, to what: a store in the schema of ML Metadata, so that its client reads our lineage. It is a SQLite
//! file of the project, or a PostgreSQL database that several machines share.
//!
//! An execution is written when it is over, in one transaction: itself, its new artifacts, the events between them and
//! their contexts (pipeline, run, node). Beyond ML Metadata's own columns we keep custom properties: on executions
//! [`RESERVED_PROPERTIES`], on artifacts `content_hash` and `is_external`. `docs/interop/mlmd.md` tells it all.
//!
//! The calls are synchronous, as the runner is: a small runtime inside waits for the database. Call them from an ordinary
//! thread, not from within an async task.

mod collect;
mod db;
mod error;
mod lineage;
mod location;
mod open;
mod property;
mod read;
mod record;
mod types;

use tokio::runtime::Runtime;

pub use collect::KnownArtifact;
pub use error::MetadataError;
pub use lineage::{Direction, Lineage, LineageNode, NodeId, ParseNodeIdError};
pub use location::{BadPostgresAddress, MetadataLocation, PostgresAddress};
pub(crate) use read::{FinishedExecution, StoredArtifact};
pub(crate) use record::{ArtifactRecord, ExecutionRecord, ExecutionState, node_name};

use db::Db;
use error::damaged;

/// The schema this program writes and reads.
const SCHEMA_VERSION: i64 = 10;

const CACHE_KEY: &str = "cache_key";
const COMPONENT_VERSION: &str = "component_version";
const EXEC_PROPERTIES: &str = "exec_properties";
const INPUT_HASHES: &str = "input_hashes";
const ERROR: &str = "error";
const CONTENT_HASH: &str = "content_hash";
const IS_EXTERNAL: &str = "is_external";
const TFX_VERSION: &str = "tfx_version";

/// The property names a component may not use, as the runner writes them itself.
pub const RESERVED_PROPERTIES: &[&str] =
    &[CACHE_KEY, COMPONENT_VERSION, EXEC_PROPERTIES, INPUT_HASHES, ERROR, CONTENT_HASH, IS_EXTERNAL, TFX_VERSION];

// ML Metadata's codes: `type_kind` of Type, `type` of Event, `state` of Artifact.
const KIND_EXECUTION: i64 = 0;
const KIND_ARTIFACT: i64 = 1;
const KIND_CONTEXT: i64 = 2;
const EVENT_INPUT: i64 = 3;
const EVENT_OUTPUT: i64 = 4;
const ARTIFACT_LIVE: i64 = 2;
const ARTIFACT_DELETED: i64 = 4;

/// An open metadata store.
#[derive(Debug)]
pub struct Metadata {
    location: MetadataLocation,
    runtime: Runtime,
    db: Db,
}

impl Metadata {
    /// Closes the store, so that one file holds all of it.
    ///
    /// # Errors
    /// When what was written could not be brought into the file.
    pub fn close(self) -> Result<(), MetadataError> {
        let Self { location, runtime, db } = self;
        runtime.block_on(db.close()).map_err(|source| MetadataError::Query { location, source })
    }

    /// Waits for a query.
    fn wait<T>(&mut self, query: impl AsyncFnOnce(&mut Db) -> Result<T, sqlx::Error>) -> Result<T, MetadataError> {
        let done = self.runtime.block_on(query(&mut self.db));
        done.map_err(|source| MetadataError::Query { location: self.location.clone(), source })
    }

    /// Waits for a transaction that writes: all of it is kept, or nothing.
    fn write<T>(&mut self, query: impl AsyncFnOnce(&mut Db) -> Result<T, sqlx::Error>) -> Result<T, MetadataError> {
        self.wait(async |db| {
            db.begin().await?;
            let written = query(db).await;
            db.end(written).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use natureddit_core::fs;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

    use super::open::LOCK_WAIT;
    use super::*;

    #[test]
    fn a_store_is_created_once_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        assert!(matches!(Metadata::open(&path), Err(MetadataError::Absent(_))));
        Metadata::open_or_create(&path).unwrap().close().unwrap();
        Metadata::open_or_create(&path).unwrap().close().unwrap();
        Metadata::open(&path).unwrap().close().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap(), [path], "closing leaves one file");
    }

    #[test]
    fn what_is_no_store_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let text = "this is no database, and it is longer than the sixteen bytes of a header".repeat(20);
        fs::write_atomic(&path, &text).unwrap();
        let error = Metadata::open_or_create(&path).unwrap_err();
        assert!(error.to_string().starts_with("could not open the metadata store "), "{error}");
        assert!(error.is_of_the_file());
        assert!(!Metadata::open(&folder.path().join("absent.db")).unwrap_err().is_of_the_file());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    /// A store of another program in SQLite's own journal mode, in which a lock keeps readers out as well.
    fn locked_store(path: &Path) -> Metadata {
        Metadata::open_or_create(path).unwrap().close().unwrap();
        let options = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Delete);
        let mut other = Metadata::connect_file(path.into(), &options, false, LOCK_WAIT).unwrap();
        other.wait(async |db| db.raw("BEGIN EXCLUSIVE").await).unwrap();
        other
    }

    #[test]
    fn a_store_that_another_program_holds_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let other = locked_store(&path);
        let wait = Duration::from_millis(150);
        let options = SqliteConnectOptions::new().filename(&path).journal_mode(SqliteJournalMode::Wal);
        let began = Instant::now();
        let error = Metadata::connect_file((&path).into(), &options, false, wait).unwrap_err();
        assert!(began.elapsed() >= wait, "{:?}", began.elapsed());
        assert!(error.is_locked() && !error.is_of_the_file(), "{error:?}");

        let waiting = std::thread::spawn(move || Metadata::open_or_create(&path).map(|_| ()));
        other.close().unwrap();
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn reading_leaves_no_file_beside_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        Metadata::open_or_create(&path).unwrap().close().unwrap();
        let mut reader = Metadata::open(&path).unwrap();
        assert_eq!(reader.last_execution("natureddit.Trainer").unwrap(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap(), std::slice::from_ref(&path), "the folder may be read-only");
        assert!(reader.wait(async |db| db.raw("DELETE FROM Type").await).is_err());

        // While a run has it open, its log is read too.
        let mut writer = Metadata::open_or_create(&path).unwrap();
        writer.wait(async |db| db.raw("UPDATE MLMDEnv SET schema_version = 11").await).unwrap();
        assert!(matches!(Metadata::open(&path), Err(MetadataError::Schema { found: Some(11), .. })));
    }

    #[test]
    fn another_schema_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let mut store = Metadata::open_or_create(&path).unwrap();
        store.wait(async |db| db.raw("UPDATE MLMDEnv SET schema_version = 11").await).unwrap();
        store.close().unwrap();
        assert!(matches!(Metadata::open(&path), Err(MetadataError::Schema { found: Some(11), .. })));
    }

    #[test]
    fn a_store_that_lost_a_table_or_a_page_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let mut store = Metadata::open_or_create(&path).unwrap();
        store.wait(async |db| db.raw("DROP TABLE Execution").await).unwrap();
        let error = store.last_execution("natureddit.Trainer").unwrap_err();
        assert!(matches!(error, MetadataError::Query { .. }) && error.is_of_the_file(), "{error:?}");
        store.close().unwrap();

        let mut bytes = fs::read(&path).unwrap();
        let page = bytes.len() / 4;
        bytes[100..page].fill(0xa5);
        fs::write_atomic(&path, bytes).unwrap();
        let error = Metadata::open(&path).unwrap_err();
        assert!(error.is_of_the_file(), "{error:?}");
    }
}
