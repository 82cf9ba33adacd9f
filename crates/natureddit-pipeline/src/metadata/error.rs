//! What may go wrong with a metadata store.

use super::{MetadataLocation, SCHEMA_VERSION};

/// A failure of the metadata store.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Nothing was ever written.
    #[error("there is no metadata store at {0}: the pipeline has not run yet")]
    Absent(MetadataLocation),
    /// It cannot be opened as a database.
    #[error("could not open the metadata store {location}")]
    Open {
        /// Where it is.
        location: MetadataLocation,
        /// Why.
        source: sqlx::Error,
    },
    /// A database of something else, or of another version of ML Metadata.
    #[error("{location} is not a metadata store of schema version {SCHEMA_VERSION}{}", found_text(*found))]
    Schema {
        /// Where it is.
        location: MetadataLocation,
        /// The schema version it says it has.
        found: Option<i64>,
    },
    /// A query failed, or found what this program never writes.
    #[error("the metadata store {location} failed")]
    Query {
        /// Where it is.
        location: MetadataLocation,
        /// Why.
        source: sqlx::Error,
    },
}

impl MetadataError {
    /// Where the store is.
    #[must_use]
    pub fn location(&self) -> &MetadataLocation {
        match self {
            Self::Absent(location) => location,
            Self::Open { location, .. } | Self::Schema { location, .. } | Self::Query { location, .. } => location,
        }
    }

    /// Whether the store itself is damaged or of something else, so that no other attempt will do better.
    #[must_use]
    pub fn is_of_the_file(&self) -> bool {
        match self {
            Self::Absent(_) => false,
            Self::Schema { .. } => true,
            Self::Open { location, source } | Self::Query { location, source } => {
                location.file().is_some() && is_damage(source)
            }
        }
    }

    /// Whether another program holds the file.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let (Self::Open { location, source } | Self::Query { location, source }) = self else { return false };
        location.file().is_some() && is_lock(source)
    }
}

/// The plain SQLite code of an error, which is the low byte of an extended one.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

/// `SQLITE_BUSY` or `SQLITE_LOCKED`.
pub(super) fn is_lock(error: &sqlx::Error) -> bool {
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

/// A value in the store that this program never writes.
pub(super) fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
