//! `.dvc/config` and the files above and below it.
//!
//! The format is that of Python's configobj: `[core]` or `['remote "origin"']`, then `key = value`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};

/// The settings of a repository: the machine's, the user's, the repository's and, last and strongest, those that are in no
/// commit.
#[derive(Clone, Debug, Default)]
pub struct DvcConfig {
    /// By section and subsection.
    sections: BTreeMap<(String, String), BTreeMap<String, String>>,
}

/// A settings file of DVC that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DvcConfigError {
    /// A line that is neither a section nor a setting.
    #[error("{path}:{line}: not a setting of DVC: {text:?}", path = path.display())]
    Line {
        /// The settings file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The line, or of one that may hold a secret only its beginning.
        text: String,
    },
    /// A value that the setting cannot have.
    #[error("{key} = {value:?} in the settings of DVC: {why}")]
    Value {
        /// Section and name.
        key: &'static str,
        /// As it is written.
        value: String,
        /// What it should be.
        why: &'static str,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// How files of the work tree share the bytes of the cache, from the configured first choice to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// Shared until one of both is changed, where the file system can do so.
    Reflink,
    /// Two names of one file.
    Hardlink,
    /// A link to the cache's file.
    Symlink,
    /// Bytes of their own.
    Copy,
}

impl DvcConfig {
    /// Reads the layers, the strongest last; one that is not there is empty.
    ///
    /// # Errors
    /// [`DvcConfigError`].
    pub fn read(layers: &[PathBuf]) -> Result<Self, DvcConfigError> {
        let mut config = Self::default();
        for path in layers {
            if let Some(text) = fs::optional(fs::read_to_string(path))? {
                config.add_layer(path, &text)?;
            }
        }
        Ok(config)
    }

    fn add_layer(&mut self, path: &Path, text: &str) -> Result<(), DvcConfigError> {
        let mut section = None;
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let broken = || {
                let text = line.split('=').next().unwrap_or_default().trim().to_owned();
                DvcConfigError::Line { path: path.to_owned(), line: at + 1, text }
            };
            if let Some(name) = line.strip_prefix('[') {
                section = Some(section_name(name).ok_or_else(broken)?);
                continue;
            }
            let (key, value) = line.split_once('=').ok_or_else(broken)?;
            let section = section.clone().ok_or_else(broken)?;
            let (key, value) = (key.trim().to_lowercase(), unquoted(value.trim()));
            let value = resolved(path, &section, &key, value);
            self.sections.entry(section).or_default().insert(key, value);
        }
        Ok(())
    }

    fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.sections.get(&(section.to_owned(), String::new()))?.get(key).map(String::as_str)
    }

    fn flag(&self, section: &str, key: &str) -> bool {
        self.get(section, key).is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1" | "yes" | "on"))
    }

    /// The name of the remote that is meant where none is named.
    #[must_use]
    pub fn default_remote(&self) -> Option<&str> {
        self.get("core", "remote")
    }

    /// What is set of a remote.
    #[must_use]
    pub fn remote(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.sections.get(&("remote".to_owned(), name.to_lowercase()))
    }

    /// The names of the remotes.
    pub fn remotes(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().filter(|(section, _)| section == "remote").map(|(_, name)| name.as_str())
    }

    /// Whether git is told of the files that change.
    #[must_use]
    pub fn autostage(&self) -> bool {
        self.flag("core", "autostage")
    }

    /// Whether the real tool locks by hard links, which is not spoken here.
    #[must_use]
    pub fn hardlink_lock(&self) -> bool {
        self.flag("core", "hardlink_lock")
    }

    /// Where the cache lies, if not in `.dvc/cache`.
    #[must_use]
    pub fn cache_dir(&self) -> Option<&Path> {
        self.get("cache", "dir").map(Path::new)
    }

    /// Whether the cache is shared by a group of users.
    #[must_use]
    pub fn cache_is_shared(&self) -> bool {
        self.get("cache", "shared").is_some_and(|value| value.eq_ignore_ascii_case("group"))
    }

    /// The types of links to try, in this order.
    ///
    /// # Errors
    /// [`DvcConfigError::Value`] for a type that does not exist.
    pub fn link_types(&self) -> Result<Vec<LinkType>, DvcConfigError> {
        let Some(value) = self.get("cache", "type") else { return Ok(vec![LinkType::Reflink, LinkType::Copy]) };
        let named = |name: &str| match name.trim().trim_matches(['"', '\'']) {
            "reflink" => Ok(LinkType::Reflink),
            "hardlink" => Ok(LinkType::Hardlink),
            "symlink" => Ok(LinkType::Symlink),
            "copy" => Ok(LinkType::Copy),
            _ => Err(DvcConfigError::Value {
                key: "cache.type",
                value: value.to_owned(),
                why: "reflink, hardlink, symlink and copy are the types of links",
            }),
        };
        value.split(',').map(named).collect()
    }
}

/// `core]` or `'remote "origin"']`. Names are the same in upper and lower case.
fn section_name(text: &str) -> Option<(String, String)> {
    let text = text.split_once(']').map(|(name, _)| unquoted(name.trim()))?;
    match text.split_once(' ') {
        Some((section, name)) => Some((section.to_lowercase(), name.trim().trim_matches('"').to_lowercase())),
        None => Some((text.to_lowercase(), String::new())),
    }
}

/// The value without its quotes, and without a comment behind it.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner.to_owned();
        }
    }
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    value.trim().to_owned()
}

/// Paths are written as seen from the folder of the settings file.
fn resolved(path: &Path, section: &(String, String), key: &str, value: String) -> String {
    let is_path = match (section.0.as_str(), key) {
        ("cache", "dir") => true,
        ("remote", "url") => !value.contains("://"),
        _ => false,
    };
    match path.parent().filter(|_| is_path) {
        Some(folder) => normal(&folder.join(&value)).to_string_lossy().into_owned(),
        None => value,
    }
}

/// Without `.` and `..`, by the names alone.
pub(super) fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(layers: &[&str]) -> Result<DvcConfig, DvcConfigError> {
        let mut config = DvcConfig::default();
        for text in layers {
            config.add_layer(Path::new("/repo/.dvc/config"), text)?;
        }
        Ok(config)
    }

    #[test]
    fn what_the_real_tool_wrote_is_read() {
        let repo = "[core]\n    autostage = true\n    remote = origin\n['remote \"origin\"']\n    url = ../../remote_small\n\
                    ['remote \"Hub\"']\n    url = https://dagshub.com/u/r.dvc # ours\n\n# later\n['remote \"s3r\"']\n    \
                    url = s3://bucket/pre\n    endpointurl = http://127.0.0.1:5000\n";
        let local = "['remote \"hub\"']\n    auth = basic\n    user = u\n    password = \"p # = 1\"\n[cache]\ntype = \
                     \"hardlink,symlink\"\n";
        let config = config(&[repo, local]).unwrap();
        assert!(config.autostage() && !config.hardlink_lock());
        assert_eq!(config.default_remote(), Some("origin"));
        assert_eq!(config.remote("origin").unwrap()["url"], "/remote_small");
        let hub = config.remote("hub").unwrap();
        assert_eq!((hub["url"].as_str(), hub["password"].as_str()), ("https://dagshub.com/u/r.dvc", "p # = 1"));
        assert_eq!(config.remotes().collect::<Vec<_>>(), ["hub", "origin", "s3r"]);
        assert_eq!(config.link_types().unwrap(), [LinkType::Hardlink, LinkType::Symlink]);
    }

    #[test]
    fn what_is_no_setting_is_named_without_its_value() {
        let error = config(&["[core]\nremote\n"]).unwrap_err().to_string();
        assert_eq!(error, "/repo/.dvc/config:2: not a setting of DVC: \"remote\"");
        let error = config(&["password = hunter2\n"]).unwrap_err().to_string();
        assert!(error.contains("\"password\"") && !error.contains("hunter2"), "{error}");
        assert!(config(&["[cache]\ntype = magic\n"]).unwrap().link_types().is_err());
    }
}
