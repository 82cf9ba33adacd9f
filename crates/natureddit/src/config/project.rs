//! `[project]`: what it is called and where its parts are.

use std::path::{Component, Path, PathBuf};

use natureddit_core::ClassNames;

use super::ConfigError;
use super::check::{Checker, TableChecker};
use super::raw::RawProject;

/// The checked `[project]`; every path starts at the project's folder.
#[derive(Clone, Debug)]
pub struct ProjectConfig {
    /// What runs and reports call the project.
    pub name: String,
    /// The classes in the order of the model's outputs.
    pub classes: ClassNames,
    /// Holds the dataset.
    pub data_dir: PathBuf,
    /// Holds the labels.
    pub labels_dir: PathBuf,
    /// Holds what pipeline components wrote.
    pub pipeline_root: PathBuf,
    /// Holds the pushed models and nothing else.
    pub models_dir: PathBuf,
}

impl ProjectConfig {
    pub(super) fn check(raw: RawProject, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("project");
        let bad_classes = |e: natureddit_core::label::ClassNamesError| {
            at.bad("classes", &raw.classes, format!("two or more different names; {e}"))
        };
        if let Some(twice) = equal_but_for_case(&raw.classes) {
            let must_be = format!("two or more different names; {twice:?} is given twice, but for its case");
            return Err(at.bad("classes", &raw.classes, must_be));
        }
        let folders = [
            ("data_dir", &raw.data_dir),
            ("labels_dir", &raw.labels_dir),
            ("pipeline_root", &raw.pipeline_root),
            ("models_dir", &raw.models_dir),
        ];
        check_folders(&folders, &at)?;
        Ok(Self {
            name: at.name("name", &raw.name)?,
            classes: ClassNames::new(raw.classes.clone()).map_err(bad_classes)?,
            data_dir: at.path("data_dir", &raw.data_dir)?,
            labels_dir: at.path("labels_dir", &raw.labels_dir)?,
            pipeline_root: at.path("pipeline_root", &raw.pipeline_root)?,
            models_dir: at.path("models_dir", &raw.models_dir)?,
        })
    }
}

/// A name that another one differs from by case alone: on some systems both would be one folder.
fn equal_but_for_case(names: &[String]) -> Option<&String> {
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let twice = |at: &usize| (0..*at).any(|other| lower[other] == lower[*at] && names[other] != names[*at]);
    (0..names.len()).find(twice).map(|at| &names[at])
}

/// Refuses folders that would mix: one for two things, or one inside of a folder that the program keeps for itself.
fn check_folders(folders: &[(&str, &String)], at: &TableChecker<'_>) -> Result<(), ConfigError> {
    let mut known: Vec<(&str, PathBuf)> = Vec::new();
    for &(key, text) in folders {
        known.push((key, plain(&at.path(key, text)?)));
    }
    for (&(key, text), (_, folder)) in folders.iter().zip(&known) {
        for (other_key, other) in known.iter().filter(|(other_key, _)| *other_key != key) {
            if folder == other {
                return Err(at.bad(key, text, format!("another folder than project.{other_key}")));
            }
            if matches!(*other_key, "pipeline_root" | "models_dir") && folder.starts_with(other) {
                return Err(at.bad(key, text, format!("a folder outside of project.{other_key}")));
            }
        }
    }
    Ok(())
}

/// A path without `.` and `..`, as far as the text tells.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
