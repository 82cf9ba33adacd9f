//! `natureddit model list`: the versions that were pushed, and which of them answers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use natureddit_core::{fs, is_plain_name};
use natureddit_model::{ModelBundle, ModelVersions, VersionChange};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::cli::words::{printable, size};
use crate::config::Config;

/// How many of the changes are shown; `--json` has all.
const CHANGES_SHOWN: usize = 10;

#[derive(Serialize)]
struct Listed {
    models: Vec<ListedModel>,
    /// The project's own, for the note where the store is empty.
    #[serde(skip)]
    project_model: String,
}

#[derive(Serialize)]
struct ListedModel {
    name: String,
    /// The version that answers where none is asked for.
    default: Option<u64>,
    versions: Vec<ListedVersion>,
    /// The oldest first.
    changes: Vec<VersionChange>,
}

#[derive(Serialize)]
struct ListedVersion {
    version: u64,
    default: bool,
    /// `None` for a version that was put there by hand, or before there was a history.
    pushed_at: Option<Timestamp>,
    /// What was measured of it before it was pushed.
    metrics: BTreeMap<String, f64>,
    /// All its files.
    bytes: Option<u64>,
    /// Why its manifest cannot be read.
    damaged: Option<String>,
    dir: PathBuf,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.models.is_empty() {
            let name = &self.project_model;
            return write!(f, "no version of {name} was pushed yet: `natureddit run` pushes a blessed model");
        }
        for (at, model) in self.models.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{model}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ListedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n   version  pushed (UTC)      macro-F1         size", self.name)?;
        self.versions.iter().try_for_each(|version| write!(f, "{version}"))?;
        if self.versions.len() > 1 {
            writeln!(f, "   * answers where no version is asked for")?;
        }
        let earlier = self.changes.len().saturating_sub(CHANGES_SHOWN);
        if !self.changes.is_empty() {
            writeln!(f, "   changes, the latest first")?;
        }
        self.changes[earlier..].iter().rev().try_for_each(|change| writeln!(f, "     {}", ChangeLine(change)))?;
        if earlier > 0 {
            writeln!(f, "     and {earlier} earlier; --json has all")?;
        }
        Ok(())
    }
}

impl fmt::Display for ListedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.default { "*" } else { "" };
        let pushed = self.pushed_at.map_or_else(|| "-".to_owned(), minute);
        let macro_f1 = self.metrics.get("macro_f1").map_or_else(|| "-".to_owned(), |score| format!("{score:.3}"));
        let bytes = self.bytes.map_or_else(|| "-".to_owned(), size);
        write!(f, " {mark:1} {:>7}  {pushed:16}  {macro_f1:>8}  {bytes:>11}", self.version)?;
        match &self.damaged {
            Some(why) => writeln!(f, "  damaged: {}", printable(why)),
            None => writeln!(f),
        }
    }
}

/// `2026-11-30 08:15  rollback to 1 from 2: foxes are called flora`
pub(super) struct ChangeLine<'a>(pub(super) &'a VersionChange);

impl fmt::Display for ChangeLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VersionChange { at, change, version, before, reason, .. } = self.0;
        write!(f, "{}  {} {version}", minute(*at), change.word())?;
        if let Some(before) = before {
            write!(f, ", was {before}")?;
        }
        match reason {
            Some(reason) => write!(f, ": {}", printable(&reason.replace(['\r', '\n'], " "))),
            None => Ok(()),
        }
    }
}

/// `2026-11-30 08:15`, UTC.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

pub(super) fn run(session: &Session) -> Result<(), CliError> {
    let config = session.config()?;
    Ok(session.output.result(&list(&config)?)?)
}

fn list(config: &Config) -> Result<Listed, CliError> {
    let mut models = Vec::new();
    for folder in fs::optional(fs::read_dir(&config.project.models_dir))?.unwrap_or_default() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_plain_name(&name) {
            models.extend(listed(name, &ModelVersions::read(&folder)?));
        }
    }
    Ok(Listed { models, project_model: config.model.name.clone() })
}

/// `None` for a folder without a version and without a past.
fn listed(name: String, versions: &ModelVersions) -> Option<ListedModel> {
    let default = versions.default_version().map(|(version, _)| version);
    let row = |(version, dir): (u64, &Path)| {
        let push = versions.push_of(version);
        let (bytes, damaged) = match ModelBundle::read_manifest(dir) {
            Ok(manifest) => (Some(manifest.files.values().map(|file| file.bytes).sum()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        ListedVersion {
            version,
            default: default == Some(version),
            pushed_at: push.map(|push| push.at),
            metrics: push.map(|push| push.metrics.clone()).unwrap_or_default(),
            bytes,
            damaged,
            dir: dir.to_owned(),
        }
    };
    let rows: Vec<ListedVersion> = versions.iter().map(row).collect();
    let changes = versions.changes().to_vec();
    (!rows.is_empty() || !changes.is_empty()).then_some(ListedModel { name, default, versions: rows, changes })
}
