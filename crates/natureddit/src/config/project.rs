//! `[project]`: what it is called and where its parts are.

use std::path::PathBuf;

use natureddit_core::ClassNames;

use super::ConfigError;
use super::check::Checker;
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
