//! One connection to a store, in SQLite or PostgreSQL.
//!
//! Queries are written once where both read them alike: `$1` for a parameter, `RETURNING`, `ON CONFLICT`, and
//! `CAST(.. AS BIGINT)` around whole numbers, as PostgreSQL's tables have 32-bit ones. Where they differ there is a
//! `match` on [`Db`].

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Connection, FromRow, PgConnection, Postgres, Sqlite, SqliteConnection};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// A connection.
#[derive(Debug)]
pub(super) enum Db {
    /// To a file of our own.
    Sqlite(SqliteConnection),
    /// To a server that several machines share.
    Postgres(PgConnection),
}

/// A parameter of a query.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    Int(Option<i64>),
    Double(Option<f64>),
    Text(Option<String>),
    Bool(bool),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A row that both kinds of store give.
pub(super) trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for R {}

impl Db {
    /// The rows of a query.
    pub(super) async fn rows<R: Row>(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Vec<R>> {
        match self {
            Self::Sqlite(connection) => bound_sqlite(sqlx::query_as(sql), args).fetch_all(connection).await,
            Self::Postgres(connection) => bound_postgres(sqlx::query_as(sql), args).fetch_all(connection).await,
        }
    }

    /// The first row of a query, if it has one.
    pub(super) async fn row<R: Row>(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Option<R>> {
        match self {
            Self::Sqlite(connection) => bound_sqlite(sqlx::query_as(sql), args).fetch_optional(connection).await,
            Self::Postgres(connection) => bound_postgres(sqlx::query_as(sql), args).fetch_optional(connection).await,
        }
    }

    /// The number that a query has in its first row, if it has one.
    pub(super) async fn number(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Option<i64>> {
        Ok(self.row::<(i64,)>(sql, args).await?.map(|(number,)| number))
    }

    /// The id that an `INSERT .. RETURNING` gives.
    pub(super) async fn id(&mut self, sql: &'static str, args: impl IntoIterator<Item = Arg>) -> Result<i64> {
        self.number(sql, args).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Runs a statement that gives nothing.
    pub(super) async fn execute(&mut self, sql: &'static str, args: impl IntoIterator<Item = Arg>) -> Result<()> {
        self.rows::<NoColumns>(sql, args).await.map(|_| ())
    }

    /// Begins to write: no other writer of our kind is at work until the end. SQLite waits for its lock before anything
    /// is read; in PostgreSQL the table of types is the lock, which keeps out others that add types, and no reader.
    pub(super) async fn begin(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql("BEGIN IMMEDIATE").execute(connection).await.map(|_| ()),
            Self::Postgres(connection) => {
                let sql = "BEGIN; LOCK TABLE Type IN SHARE ROW EXCLUSIVE MODE";
                sqlx::raw_sql(sql).execute(connection).await.map(|_| ())
            }
        }
    }

    /// Keeps what was written since [`Db::begin`] if it was written well, else forgets it.
    pub(super) async fn end<T>(&mut self, written: Result<T>) -> Result<T> {
        let sql = if written.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.raw(sql).await;
        // Of two errors the first one is the one that says why.
        let written = written?;
        ended.map(|()| written)
    }

    /// Runs statements without parameters.
    pub(super) async fn raw(&mut self, sql: &'static str) -> Result<()> {
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(|_| ()),
            Self::Postgres(connection) => sqlx::raw_sql(sql).execute(connection).await.map(|_| ()),
        }
    }

    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

/// What a statement without `RETURNING` gives.
struct NoColumns;

impl<'r, R: sqlx::Row> FromRow<'r, R> for NoColumns {
    fn from_row(_: &'r R) -> Result<Self> {
        Ok(Self)
    }
}

type SqliteQuery<R> = QueryAs<'static, Sqlite, R, SqliteArguments>;
type PostgresQuery<R> = QueryAs<'static, Postgres, R, PgArguments>;

fn bound_sqlite<R>(query: SqliteQuery<R>, args: impl IntoIterator<Item = Arg>) -> SqliteQuery<R> {
    args.into_iter().fold(query, |query, arg| match arg {
        Arg::Int(value) => query.bind(value),
        Arg::Double(value) => query.bind(value),
        Arg::Text(value) => query.bind(value),
        Arg::Bool(value) => query.bind(value),
    })
}

fn bound_postgres<R>(query: PostgresQuery<R>, args: impl IntoIterator<Item = Arg>) -> PostgresQuery<R> {
    args.into_iter().fold(query, |query, arg| match arg {
        Arg::Int(value) => query.bind(value),
        Arg::Double(value) => query.bind(value),
        Arg::Text(value) => query.bind(value),
        Arg::Bool(value) => query.bind(value),
    })
}
