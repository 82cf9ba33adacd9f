//! What can be wrong with the settings, said so that it can be mended.

use std::path::PathBuf;

use natureddit_core::fs::FsError;

use super::FILE_NAME;

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No settings file where one was looked for.
    #[error("no {FILE_NAME} in {folder}{above}", folder = folder.display(), above = if *searched_above { " or any folder above it" } else { "" })]
    NotFound {
        /// Where the search began.
        folder: PathBuf,
        /// Whether the folders above were searched too.
        searched_above: bool,
    },
    /// The folder that was named is not there.
    #[error("there is no folder {folder}", folder = folder.display())]
    NoFolder {
        /// What was named.
        folder: PathBuf,
    },
    /// The file, or the folder to search from, could not be read.
    #[error(transparent)]
    Read(#[from] FsError),
    /// The file is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the TOML parser says.
        message: String,
    },
    /// A key that means nothing.
    #[error("unknown key {key:?} in {place}")]
    UnknownKey {
        /// The whole key: `collect.page_sise`.
        key: String,
        /// Where.
        place: Place,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A value of another type than the key has.
    #[error("{key} in {place} must be {expected}, not {found}")]
    WrongType {
        /// The whole key.
        key: String,
        /// Where.
        place: Place,
        /// The type the key has, with its article.
        expected: &'static str,
        /// The type it was given.
        found: &'static str,
        /// The key with its default value, as one would write it.
        example: String,
    },
    /// A value of the right type that cannot be used.
    #[error("{key} = {value} in {place}: must be {must_be}")]
    BadValue {
        /// The whole key.
        key: String,
        /// The value, as one would write it.
        value: String,
        /// Where.
        place: Place,
        /// The range, the list of choices or the form it must have.
        must_be: String,
        /// The choice that was probably meant.
        nearest: Option<Box<str>>,
    },
    /// A folder has no default because nobody is logged in.
    #[error("{key} is not set and there is no home folder to take its default from")]
    NoHome {
        /// The whole key.
        key: String,
    },
    /// The built-in settings contradict the program.
    #[error("the built-in settings do not fit this program")]
    BuiltIn(#[source] toml::de::Error),
    /// Settings cannot be written down.
    #[error("the settings cannot be written down")]
    Write(#[source] toml::ser::Error),
}

impl ConfigError {
    /// What to do about it, where that can be told.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoFolder { folder } => {
                Some(format!("check the name; `natureddit init {}` makes a project there", folder.display()))
            }
            Self::NotFound { folder, searched_above: false } => {
                Some(format!("`natureddit init {}` makes a project there", folder.display()))
            }
            Self::NotFound { .. } => {
                Some("run `natureddit init` to make a project here, or name one with --project".into())
            }
            Self::UnknownKey { nearest: Some(nearest), .. } => Some(format!("did you mean \"{nearest}\"?")),
            Self::BadValue { nearest: Some(nearest), .. } => Some(format!("did you mean \"{nearest}\"?")),
            Self::UnknownKey { nearest: None, .. } => {
                Some("`natureddit init` in an empty folder writes a file that lists every key".into())
            }
            Self::WrongType { example, .. } => Some(format!("for example: {example}")),
            Self::NoHome { key } => Some(format!("set HOME, or {key} in {FILE_NAME}")),
            Self::Syntax { message, .. } if message.contains("duplicate key") => {
                Some("a key or a [table] stands once: put new keys under the one that is there already".into())
            }
            Self::Read(_) | Self::Syntax { .. } | Self::BadValue { .. } | Self::BuiltIn(_) | Self::Write(_) => None,
        }
    }
}

/// A line of a settings file; prints as `natureddit.toml line 3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user would name it.
    pub file: Box<str>,
    /// The line, from 1; `None` for a value that no line of the file sets.
    pub line: Option<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, " line {line}"))
    }
}
