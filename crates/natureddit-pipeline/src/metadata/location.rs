//! Where a metadata store is.

use std::fmt;
use std::path::{Path, PathBuf};

use natureddit_core::Secret;
use natureddit_core::text::percent_decoded;
use url::Url;

/// Where a metadata store is: a file of the project, or a server that several machines share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataLocation {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database.
    Server(Box<PostgresAddress>),
}

/// A PostgreSQL database and how one gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresAddress {
    /// `postgresql://user@host:5432/database`, without a password: it is shown in messages.
    url: Url,
    password: Option<Secret>,
}

/// An address that is not one of a PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address like postgresql://user@host:5432/database")]
pub struct BadPostgresAddress;

impl PostgresAddress {
    /// The database of an address. A password in it is taken out of it and goes before `password`.
    ///
    /// # Errors
    /// When the scheme is another, the user, the host or the database is not named, or the query has a password.
    pub fn new(mut url: Url, password: Option<Secret>) -> Result<Self, BadPostgresAddress> {
        let is_postgres = matches!(url.scheme(), "postgres" | "postgresql");
        let is_whole = url.host_str().is_some() && !url.username().is_empty() && url.path().len() > 1;
        // In the query it would be shown with the address.
        let tells_password = url.query_pairs().any(|(key, _)| key == "password");
        if !is_postgres || !is_whole || tells_password {
            return Err(BadPostgresAddress);
        }
        // Percent-encoded as it is, it would be another password.
        let own =
            url.password().map(|text| percent_decoded(text).ok_or(BadPostgresAddress)).transpose()?.map(Secret::new);
        url.set_password(None).map_err(|()| BadPostgresAddress)?;
        Ok(Self { url, password: own.or(password) })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_ref().map(Secret::expose)
    }
}

impl MetadataLocation {
    /// The file, `None` for a server.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl fmt::Display for MetadataLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(address) => address.url.fmt(f),
        }
    }
}

impl From<&Path> for MetadataLocation {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for MetadataLocation {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<PostgresAddress, BadPostgresAddress> {
        PostgresAddress::new(Url::parse(url).unwrap(), Some(Secret::new("from outside".into())))
    }

    #[test]
    fn a_password_is_taken_out_of_an_address() {
        let own = address("postgresql://ml:p%40ss+%25@db.example:5433/mlmd").unwrap();
        assert_eq!(own.password(), Some("p@ss+%"));
        assert_eq!(MetadataLocation::Server(Box::new(own)).to_string(), "postgresql://ml@db.example:5433/mlmd");
        assert_eq!(address("postgres://ml@db.example/mlmd").unwrap().password(), Some("from outside"));
    }

    #[test]
    fn an_address_names_user_host_and_database() {
        for bad in [
            "mysql://u@h/d",
            "postgresql://h/d",
            "postgresql://u@h",
            "postgresql://u@h/",
            "postgresql://u@h/d?password=p",
        ] {
            assert_eq!(address(bad), Err(BadPostgresAddress), "{bad}");
        }
    }
}
