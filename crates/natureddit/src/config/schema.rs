//! `[schema]` and `[validator]`: what examples should look like, and what happens when they do not.

use std::path::PathBuf;

use super::ConfigError;
use super::check::{Checker, SHARE};
use super::raw::{RawSchema, RawValidator};

/// The checked `[schema]`.
#[derive(Clone, Debug)]
pub struct SchemaConfig {
    /// A curated schema; `None`: it is inferred.
    pub file: Option<PathBuf>,
    /// The most values of an inferred set.
    pub domain_values_max: u64,
    /// How far a span may differ from the one before, 0 to 1.
    pub drift_max: f64,
    /// How far a split may differ from the training split, 0 to 1.
    pub skew_max: f64,
}

/// What happens when examples are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnProblem {
    /// The run stops.
    Fail,
    /// The run goes on with a warning.
    Warn,
}

/// The checked `[validator]`.
#[derive(Clone, Debug)]
pub struct ValidatorConfig {
    /// When a column is missing or of another type.
    pub columns: OnProblem,
    /// When values, splits or spans are not as they should be.
    pub values: OnProblem,
    /// When something lies in more than one split.
    pub leakage: OnProblem,
    /// The environment whose columns must be there; `None`: every one.
    pub environment: Option<String>,
    /// Days of a span.
    pub drift_days: u32,
    /// The fewest examples of what is compared.
    pub compared_examples_min: u64,
    /// The greatest share of posts whose class one column may tell, 0 to 1.
    pub shortcut_accuracy_max: f64,
}

impl SchemaConfig {
    pub(super) fn check(raw: &RawSchema, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("schema");
        let file = at.optional_path("file", &raw.file)?;
        if file.as_ref().is_some_and(|file| file.file_name().is_none_or(|name| name.to_str().is_none())) {
            return Err(at.bad("file", &raw.file, "a file"));
        }
        Ok(Self {
            file,
            domain_values_max: at.integer("domain_values_max", raw.domain_values_max, 1..=100_000)?,
            drift_max: at.number("drift_max", raw.drift_max, SHARE)?,
            skew_max: at.number("skew_max", raw.skew_max, SHARE)?,
        })
    }
}

impl ValidatorConfig {
    pub(super) fn check(raw: RawValidator, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const WORDS: [(&str, OnProblem); 2] = [("fail", OnProblem::Fail), ("warn", OnProblem::Warn)];
        let at = checker.table("validator");
        Ok(Self {
            columns: at.one_of("columns", &raw.columns, &WORDS)?,
            values: at.one_of("values", &raw.values, &WORDS)?,
            leakage: at.one_of("leakage", &raw.leakage, &WORDS)?,
            environment: Some(raw.environment).filter(|name| !name.is_empty()),
            drift_days: at.integer("drift_days", raw.drift_days, 1..=3_650)?,
            compared_examples_min: at.integer("compared_examples_min", raw.compared_examples_min, 1..=1_000_000)?,
            shortcut_accuracy_max: at.number("shortcut_accuracy_max", raw.shortcut_accuracy_max, SHARE)?,
        })
    }
}
