//! What ran, from what, to what: a SQLite file in the schema of ML Metadata, so that its client reads our lineage.
//!
//! An execution is written when it is over, in one transaction: itself, its new artifacts, the events between them and
//! their contexts (pipeline, run, node). Beyond ML Metadata's own columns we keep custom properties: on executions
//! [`RESERVED_PROPERTIES`], on artifacts `content_hash` and `is_external`.
//!
//! The calls are synchronous, as the runner is: a small runtime inside waits for SQLite. Call them from an ordinary
//! thread, not from within an async task.

mod lineage;
mod read;
mod record;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::runtime::Runtime;

pub use lineage::{Lineage, LineageNode, NodeId, ParseNodeIdError};
pub(crate) use read::{FinishedExecution, StoredArtifact};
pub(crate) use record::{ArtifactRecord, ExecutionRecord, ExecutionState};

/// The schema this program writes and reads.
const SCHEMA_VERSION: i64 = 10;
const SCHEMA: &str = include_str!("metadata/schema.sql");

/// How long another program may hold the file before that is an error.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often a locked file is tried again where SQLite does not wait by itself.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

const CACHE_KEY: &str = "cache_key";
const COMPONENT_VERSION: &str = "component_version";
const EXEC_PROPERTIES: &str = "exec_properties";
const INPUT_HASHES: &str = "input_hashes";
const ERROR: &str = "error";
const CONTENT_HASH: &str = "content_hash";
const IS_EXTERNAL: &str = "is_external";

/// The property names a component may not use, as the runner writes them itself.
pub const RESERVED_PROPERTIES: &[&str] =
    &[CACHE_KEY, COMPONENT_VERSION, EXEC_PROPERTIES, INPUT_HASHES, ERROR, CONTENT_HASH, IS_EXTERNAL];

// ML Metadata's codes: `type_kind` of Type, `type` of Event, `state` of Artifact.
const KIND_EXECUTION: i64 = 0;
const KIND_ARTIFACT: i64 = 1;
const KIND_CONTEXT: i64 = 2;
const EVENT_INPUT: i64 = 3;
const EVENT_OUTPUT: i64 = 4;
const ARTIFACT_LIVE: i64 = 2;

/// An open metadata store.
#[derive(Debug)]
pub struct Metadata {
    path: PathBuf,
    runtime: Runtime,
    connection: SqliteConnection,
}

/// A failure of the metadata store.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Nothing was ever written.
    #[error("there is no metadata store at {}: the pipeline has not run yet", .0.display())]
    Absent(PathBuf),
    /// The file cannot be opened as a SQLite database.
    #[error("could not open the metadata store {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// A database of something else, or of another version of ML Metadata.
    #[error("{} is not a metadata store of schema version {SCHEMA_VERSION}{}", path.display(), found_text(*found))]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema version it says it has.
        found: Option<i64>,
    },
    /// A query failed, or found what this program never writes.
    #[error("the metadata store {} failed", path.display())]
    Query {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
}

impl MetadataError {
    /// Whether the file itself is damaged or of something else, so that no other attempt will do better.
    #[must_use]
    pub fn is_of_the_file(&self) -> bool {
        match self {
            Self::Absent(_) => false,
            Self::Schema { .. } => true,
            Self::Open { source, .. } | Self::Query { source, .. } => is_damage(source),
        }
    }

    /// Whether another program holds the file.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Open { source, .. } | Self::Query { source, .. } if is_lock(source))
    }
}

/// The plain SQLite code of an error, which is the low byte of an extended one.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

/// `SQLITE_BUSY` or `SQLITE_LOCKED`.
fn is_lock(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(5 | 6))
}

/// Whether SQLite found no database, a corrupted one or one without our tables, or a value is not what we write.
fn is_damage(error: &sqlx::Error) -> bool {
    /// `SQLITE_ERROR`, which a wrong query would give as well; `SQLITE_CORRUPT`; `SQLITE_NOTADB`.
    const CODES: [i32; 3] = [1, 11, 26];
    match error {
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => true,
        _ => code(error).is_some_and(|code| CODES.contains(&code)),
    }
}

fn found_text(found: Option<i64>) -> String {
    found.map_or_else(String::new, |version| format!(", but of {version}"))
}

impl Metadata {
    /// Opens an existing store for reading. Nothing is written, so the file and its folder may be read-only.
    ///
    /// # Errors
    /// When there is none, or it is not one of schema version 10.
    pub fn open(path: &Path) -> Result<Self, MetadataError> {
        if !path.exists() {
            return Err(MetadataError::Absent(path.to_owned()));
        }
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        // Without a write-ahead log the file holds everything, and SQLite need not make that log's index beside it.
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let options = options.immutable(!Path::new(&log).exists());
        Self::connect(path, &options, false, LOCK_WAIT)
    }

    /// Opens a store, creating an empty one where there is none. The folder must exist.
    ///
    /// # Errors
    /// When it cannot be created, or is not one of schema version 10.
    pub fn open_or_create(path: &Path) -> Result<Self, MetadataError> {
        // With a write-ahead log, readers do not wait for the run that writes; a power cut may lose the last
        // executions, which then run again, but never tears the store.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        Self::connect(path, &options, true, LOCK_WAIT)
    }

    fn connect(
        path: &Path,
        options: &SqliteConnectOptions,
        create: bool,
        wait: Duration,
    ) -> Result<Self, MetadataError> {
        let open_error = |source| MetadataError::Open { path: path.to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| open_error(e.into()))?;
        // A wait for another program would be told as a slow statement.
        let options = options.clone().busy_timeout(wait).disable_statement_logging();
        let connection = runtime.block_on(connect_when_free(&options, wait)).map_err(open_error)?;
        let mut store = Self { path: path.to_owned(), runtime, connection };
        let found = store.wait(async |connection| schema_version(connection, create).await)?;
        if found == Some(SCHEMA_VERSION) {
            Ok(store)
        } else {
            Err(MetadataError::Schema { path: path.to_owned(), found })
        }
    }

    /// Closes the store, so that one file holds all of it.
    ///
    /// # Errors
    /// When what was written could not be brought into the file.
    pub fn close(self) -> Result<(), MetadataError> {
        let Self { path, runtime, connection } = self;
        runtime.block_on(connection.close()).map_err(|source| MetadataError::Query { path, source })
    }

    /// Waits for a query.
    fn wait<T>(
        &mut self,
        query: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, MetadataError> {
        let done = self.runtime.block_on(query(&mut self.connection));
        done.map_err(|source| MetadataError::Query { path: self.path.clone(), source })
    }
}

/// Connects as soon as no other program holds the file: for the change to a write-ahead log SQLite itself does not wait.
async fn connect_when_free(options: &SqliteConnectOptions, wait: Duration) -> Result<SqliteConnection, sqlx::Error> {
    let began = Instant::now();
    loop {
        match SqliteConnection::connect_with(options).await {
            Err(error) if is_lock(&error) && began.elapsed() < wait => tokio::time::sleep(LOCK_PAUSE).await,
            connected => return connected,
        }
    }
}

/// The schema version of a database, `None` for one of something else; an empty one gets the schema if `create`.
async fn schema_version(connection: &mut SqliteConnection, create: bool) -> Result<Option<i64>, sqlx::Error> {
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(&mut *connection).await?;
    if tables == 0 && create {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    let ours = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'MLMDEnv'";
    let has_version: i64 = sqlx::query_scalar(ours).fetch_one(&mut *connection).await?;
    if has_version == 0 {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT schema_version FROM MLMDEnv").fetch_optional(connection).await
}

/// A value in the store that this program never writes.
fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

#[cfg(test)]
mod tests {
    use natureddit_core::fs;

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
        let mut other = Metadata::connect(path, &options, false, LOCK_WAIT).unwrap();
        other.wait(async |c| sqlx::raw_sql("BEGIN EXCLUSIVE").execute(c).await.map(|_| ())).unwrap();
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
        let error = Metadata::connect(&path, &options, false, wait).unwrap_err();
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
        assert_eq!(reader.last_execution("Trainer").unwrap(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap(), std::slice::from_ref(&path), "the folder may be read-only");
        let write = async |c: &mut SqliteConnection| sqlx::query("DELETE FROM Type").execute(c).await.map(|_| ());
        assert!(reader.wait(write).is_err());

        // While a run has it open, its log is read too.
        let mut writer = Metadata::open_or_create(&path).unwrap();
        writer
            .wait(async |c| sqlx::query("UPDATE MLMDEnv SET schema_version = 11").execute(c).await.map(|_| ()))
            .unwrap();
        assert!(matches!(Metadata::open(&path), Err(MetadataError::Schema { found: Some(11), .. })));
    }

    #[test]
    fn another_schema_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let mut store = Metadata::open_or_create(&path).unwrap();
        let update = async |c: &mut SqliteConnection| {
            sqlx::query("UPDATE MLMDEnv SET schema_version = 11").execute(c).await.map(|_| ())
        };
        store.wait(update).unwrap();
        store.close().unwrap();
        assert!(matches!(Metadata::open(&path), Err(MetadataError::Schema { found: Some(11), .. })));
    }

    #[test]
    fn a_store_that_lost_a_table_or_a_page_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let mut store = Metadata::open_or_create(&path).unwrap();
        store.wait(async |c| sqlx::query("DROP TABLE Execution").execute(c).await.map(|_| ())).unwrap();
        let error = store.last_execution("Trainer").unwrap_err();
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
