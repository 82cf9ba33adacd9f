//! Connecting to a store, and making one where there is none.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::db::Db;
use super::error::is_lock;
use super::{Metadata, MetadataError, MetadataLocation, PostgresAddress, SCHEMA_VERSION};

const SQLITE_SCHEMA: &str = include_str!("schema.sql");
const POSTGRES_SCHEMA: &str = include_str!("schema_postgres.sql");

/// How long another program may hold the file, or a server may take to answer, before that is an error.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often a locked file is tried again where SQLite does not wait by itself.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl Metadata {
    /// Opens an existing store for reading. Nothing is written, so a file and its folder may be read-only.
    ///
    /// # Errors
    /// When there is none, or it is not one of schema version 10.
    pub fn open(location: impl Into<MetadataLocation>) -> Result<Self, MetadataError> {
        let location = location.into();
        match &location {
            MetadataLocation::File(path) if !path.exists() => Err(MetadataError::Absent(location)),
            MetadataLocation::File(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                // Without a write-ahead log the file holds everything, and SQLite need not make that log's index beside it.
                let mut log = path.as_os_str().to_owned();
                log.push("-wal");
                let options = options.immutable(!Path::new(&log).exists());
                Self::connect_file(location, &options, false, LOCK_WAIT)
            }
            MetadataLocation::Server(address) => {
                let read_only = [("default_transaction_read_only", "on")];
                let options = postgres_options(address).map_err(|e| open_error(&location, e))?.options(read_only);
                Self::connect_server(location, options, false)
            }
        }
    }

    /// Opens a store, creating an empty one where there is none. The folder of a file, or the database of a server, must
    /// exist.
    ///
    /// # Errors
    /// When it cannot be created, or is not one of schema version 10.
    pub fn open_or_create(location: impl Into<MetadataLocation>) -> Result<Self, MetadataError> {
        let location = location.into();
        match &location {
            MetadataLocation::File(path) => {
                // With a write-ahead log, readers do not wait for the run that writes; a power cut may lose the last
                // executions, which then run again, but never tears the store.
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    // What is deleted is overwritten, so that a forgotten post is in no free page either.
                    .pragma("secure_delete", "ON");
                Self::connect_file(location, &options, true, LOCK_WAIT)
            }
            MetadataLocation::Server(address) => {
                let options = postgres_options(address).map_err(|e| open_error(&location, e))?;
                Self::connect_server(location, options, true)
            }
        }
    }

    /// An empty store that goes with the program: what a plan looks into where nothing ran yet.
    ///
    /// # Errors
    /// When SQLite cannot begin.
    pub(crate) fn in_memory() -> Result<Self, MetadataError> {
        let options = SqliteConnectOptions::new().in_memory(true);
        Self::connect_file(MetadataLocation::File(":memory:".into()), &options, true, LOCK_WAIT)
    }

    pub(super) fn connect_file(
        location: MetadataLocation,
        options: &SqliteConnectOptions,
        create: bool,
        wait: Duration,
    ) -> Result<Self, MetadataError> {
        // A wait for another program would be told as a slow statement.
        let options = options.clone().busy_timeout(wait).disable_statement_logging();
        Self::connect(location, create, async || connect_when_free(&options, wait).await.map(Db::Sqlite))
    }

    fn connect_server(
        location: MetadataLocation,
        options: PgConnectOptions,
        create: bool,
    ) -> Result<Self, MetadataError> {
        let options = options.disable_statement_logging();
        Self::connect(location, create, async || {
            let connected = tokio::time::timeout(LOCK_WAIT, PgConnection::connect_with(&options)).await;
            connected.map_err(|_| sqlx::Error::PoolTimedOut)?.map(Db::Postgres)
        })
    }

    fn connect(
        location: MetadataLocation,
        create: bool,
        connect: impl AsyncFnOnce() -> Result<Db, sqlx::Error>,
    ) -> Result<Self, MetadataError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| open_error(&location, e.into()))?;
        let db = runtime.block_on(connect()).map_err(|e| open_error(&location, e))?;
        let mut store = Self { location, runtime, db };
        let found = store.wait(async |db| schema_version(db, create).await)?;
        match found {
            Some(SCHEMA_VERSION) => Ok(store),
            None if store.location.file().is_none() => Err(MetadataError::Absent(store.location)),
            found => Err(MetadataError::Schema { location: store.location, found }),
        }
    }
}

fn open_error(location: &MetadataLocation, source: sqlx::Error) -> MetadataError {
    MetadataError::Open { location: location.clone(), source }
}

fn postgres_options(address: &PostgresAddress) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = address.url().as_str().parse()?;
    let options = options.application_name("natureddit");
    Ok(match address.password() {
        Some(password) => options.password(password),
        None => options,
    })
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

/// The schema version of a database, `None` for one of something else. If `create`, a SQLite file without any table and
/// a PostgreSQL database without ours get them.
async fn schema_version(db: &mut Db, create: bool) -> Result<Option<i64>, sqlx::Error> {
    const OWN_TABLE_SQLITE: &str = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'MLMDEnv'";
    const OWN_TABLE_POSTGRES: &str = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('mlmdenv')";
    if create {
        create_schema(db).await?;
    }
    let own_table = if matches!(db, Db::Sqlite(_)) { OWN_TABLE_SQLITE } else { OWN_TABLE_POSTGRES };
    if db.number(own_table, []).await? != Some(1) {
        return Ok(None);
    }
    db.number("SELECT CAST(schema_version AS BIGINT) FROM MLMDEnv", []).await
}

async fn create_schema(db: &mut Db) -> Result<(), sqlx::Error> {
    match db {
        Db::Sqlite(connection) => {
            let tables = "SELECT count(*) FROM sqlite_master";
            if sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut *connection).await? > 0 {
                return Ok(());
            }
            let mut transaction = connection.begin().await?;
            sqlx::raw_sql(SQLITE_SCHEMA).execute(&mut *transaction).await?;
            transaction.commit().await
        }
        Db::Postgres(connection) => {
            // Two machines that begin at once make one store: the second waits here and then finds it.
            const LOCK: &str = "SELECT pg_advisory_xact_lock(7881696668740)";
            let mut transaction = connection.begin().await?;
            sqlx::query(LOCK).execute(&mut *transaction).await?;
            let own = "SELECT to_regclass('mlmdenv') IS NOT NULL";
            if !sqlx::query_scalar::<_, bool>(own).fetch_one(&mut *transaction).await? {
                sqlx::raw_sql(POSTGRES_SCHEMA).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        }
    }
}
