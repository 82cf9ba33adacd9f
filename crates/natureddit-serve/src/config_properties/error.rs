//! What can be wrong with a `config.properties`, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use natureddit_core::fs::FsError;

/// Where a property stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyPlace {
    /// A line of the file, from 1.
    Line(PathBuf, usize),
    /// A variable of the environment, such as `TS_BATCH_SIZE`.
    Variable(String),
}

impl fmt::Display for PropertyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => {
                let name = file.file_name().map_or(file.as_path(), Path::new);
                write!(f, "{} line {line}", name.display())
            }
            Self::Variable(name) => write!(f, "${name}"),
        }
    }
}

/// Why a `config.properties` cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PropertiesError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FsError),
    /// A line that Java could not read either.
    #[error("{place}: {reason}")]
    Syntax {
        /// The line.
        place: PropertyPlace,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that the key cannot have.
    #[error("{place}: {key} is {value:?} and must be {expected}")]
    Value {
        /// Where it stands.
        place: PropertyPlace,
        /// The key, and in `models` what of which model.
        key: String,
        /// The value as it stands there.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// A value names a variable of the environment, `$$NAME$$`, that is not set.
    #[error("{place}: {key} names the environment variable {variable}, which is not set")]
    NotSet {
        /// Where it stands.
        place: PropertyPlace,
        /// The key.
        key: String,
        /// The variable.
        variable: String,
    },
    /// A certificate in a form of Java's.
    #[error("{place}: keystore is a key store of Java, which is not read here")]
    Keystore {
        /// Where it stands.
        place: PropertyPlace,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{place}: {given} is set without {missing}")]
    HalfCertificate {
        /// Where the one stands that is there.
        place: PropertyPlace,
        /// Its key.
        given: &'static str,
        /// The other's.
        missing: &'static str,
    },
}
