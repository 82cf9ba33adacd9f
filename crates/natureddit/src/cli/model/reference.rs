//! A model or one version of it, as the command line names it.

use std::path::PathBuf;
use std::str::FromStr;

use natureddit_core::{PLAIN_NAME, is_plain_name};

use crate::config::Config;

/// `2`, `naturedditTI` or `naturedditTI/2`. A number alone is a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelReference {
    name: Option<String>,
    /// The version, where one is named.
    pub(super) version: Option<u64>,
}

impl ModelReference {
    /// The model's name: the project's where none is named.
    pub(super) fn name<'a>(&'a self, config: &'a Config) -> &'a str {
        self.name.as_deref().unwrap_or(&config.model.name)
    }

    /// The project's own model.
    pub(super) fn of_project() -> Self {
        Self { name: None, version: None }
    }

    /// The folder of its versions.
    pub(super) fn folder(&self, config: &Config) -> PathBuf {
        config.project.models_dir.join(self.name(config))
    }
}

impl FromStr for ModelReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(version) = text.parse() {
            return Ok(Self { name: None, version: Some(version) });
        }
        let (name, version) = match text.split_once('/') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !is_plain_name(name) {
            return Err(format!("{name:?} is not a model name: it must be {PLAIN_NAME}"));
        }
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is not a version: versions are numbers"));
        Ok(Self { name: Some(name.to_owned()), version: version.map(number).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_version_a_name_or_both() {
        let parsed = |text: &str| text.parse::<ModelReference>().map(|found| (found.name, found.version));
        assert_eq!(parsed("2"), Ok((None, Some(2))));
        assert_eq!(parsed("a"), Ok((Some("a".to_owned()), None)));
        assert_eq!(parsed("a/12"), Ok((Some("a".to_owned()), Some(12))));
        for bad in ["", "../a", "a/b", "a/", "/2", "a/2/3", "-1"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
