//! ExampleValidator: whether the examples are what the schema says, whether they drift, whether a split gives another away,
//! and how well one column alone tells the class.

mod report;
mod span;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

pub use report::{Drift, Findings, InvalidExamples, Validation};

use super::write_json;
use crate::anomalies::{Anomalies, Comparison, Severity, write_anomalies};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::examples::Example;
use crate::leakage::find_leakage;
use crate::schema::validate::{Severities, compare, validate};
use crate::schema::{SCHEMA_FILE, Schema, read_schema};
use crate::shortcuts::probe_shortcuts;
use crate::split::Split;
use crate::statistics::{SplitStatistics, read_statistics};

/// The file with the [`Validation`]: all that was found.
pub const VALIDATION_FILE: &str = "validation.json";

/// The file with what was found to lie in more than one split: a [`Leakage`](crate::leakage::Leakage).
pub const LEAKAGE_FILE: &str = "leakage.json";

/// The file with how well single columns tell the class: [`Shortcuts`](crate::shortcuts::Shortcuts).
pub const SHORTCUTS_FILE: &str = "shortcuts.json";

/// Judges examples by their statistics, a schema, and themselves.
pub struct ExampleValidator {
    /// How.
    pub config: ValidatorConfig,
}

/// How examples are judged.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ValidatorConfig {
    /// How bad anomalies are.
    pub severities: Severities,
    /// How bad it is that what belongs together lies in more than one split.
    pub leakage: Severity,
    /// The environment whose features must be there; `None`: those of every environment.
    pub environment: Option<String>,
    /// Photos whose perceptual hashes differ in at most so many of 64 bits are near duplicates.
    pub near_duplicate_distance_max: u32,
    /// A span is so many days.
    pub drift_days: u32,
    /// Two splits or spans are compared only where both have so many examples.
    pub compared_examples_min: u64,
    /// A column that alone tells the class of a greater share of posts is warned of.
    pub shortcut_accuracy_max: f64,
}

/// An environment of which the schema says nothing: no feature would be required in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema has no environment {name:?}; it names {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
pub struct UnknownEnvironment {
    /// The name.
    pub name: String,
    /// Those that the schema names.
    pub known: Vec<String>,
}

impl Component for ExampleValidator {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "ExampleValidator",
                version: 1,
                inputs: &[
                    Port::new("examples", ArtifactType::Examples),
                    Port::new("statistics", ArtifactType::ExampleStatistics),
                    Port::new("schema", ArtifactType::Schema),
                ],
                outputs: &[Port::new("anomalies", ArtifactType::ExampleAnomalies)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({ "config": self.config })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let schema = read_schema(&io.input("schema").join(SCHEMA_FILE))?;
        self.check_environment(&schema)?;
        let (mut statistics, mut examples) = (BTreeMap::new(), BTreeMap::new());
        for split in Split::ALL {
            statistics.insert(split, read_statistics(io.input("statistics"), split)?);
            examples.insert(split, cx.examples.read(io.input("examples"), split)?);
        }
        let validation = self.judge(&schema, &statistics, &examples);
        for (split, anomalies) in &validation.splits {
            write_anomalies(&io.output("anomalies").join(split.folder_name()), &schema, anomalies)?;
        }
        if let Drift::Judged { span, found, .. } = &validation.drift {
            write_anomalies(&io.output("anomalies").join(format!("Span-{span}")), &schema, found)?;
        }
        write_json(&io.output("anomalies").join(LEAKAGE_FILE), &validation.leakage)?;
        write_json(&io.output("anomalies").join(SHORTCUTS_FILE), &validation.shortcuts)?;
        write_json(&io.output("anomalies").join(VALIDATION_FILE), &validation)?;
        tell(cx, &validation);
        if let Err(invalid) = validation.judged() {
            // Who mends the data needs all that was found.
            cx.refuse(invalid);
        }
        Ok(())
    }
}

impl ExampleValidator {
    fn check_environment(&self, schema: &Schema) -> Result<(), UnknownEnvironment> {
        let known = schema.environments();
        match &self.config.environment {
            Some(name) if !known.contains(name.as_str()) => {
                let known = known.into_iter().map(str::to_owned).collect();
                Err(UnknownEnvironment { name: name.clone(), known })
            }
            _ => Ok(()),
        }
    }

    fn judge(
        &self,
        schema: &Schema,
        statistics: &BTreeMap<Split, SplitStatistics>,
        examples: &BTreeMap<Split, Arc<[Example]>>,
    ) -> Validation {
        let config = &self.config;
        let environment = config.environment.as_deref();
        let train = &statistics[&Split::Train];
        let mut splits = BTreeMap::new();
        for (&split, now) in statistics {
            // A split without examples lacks every feature, which is no fault of the data.
            let mut found = match now.examples {
                0 => Anomalies::default(),
                _ => validate(now, schema, environment, config.severities),
            };
            if split != Split::Train {
                let (now, train) = ((now, split.name()), (train, Split::Train.name()));
                let min = config.compared_examples_min;
                found.merge(compare(Comparison::Skew, now, train, schema, min, config.severities));
            }
            splits.insert(split, found);
        }
        let leakage = find_leakage(examples, config.near_duplicate_distance_max);
        let judged = examples.iter().filter(|(split, _)| **split != Split::Train).flat_map(|(_, all)| all.iter());
        let shortcuts = probe_shortcuts(examples[&Split::Train].iter(), judged);
        let drift = span::drift(examples, schema, config);
        Validation::new(splits, drift, leakage, shortcuts, config)
    }
}

fn tell(cx: &mut ExecutionContext, validation: &Validation) {
    cx.set_property("anomalies", "split_names", r#"["train", "eval", "test"]"#);
    cx.set_detail("anomalies", validation.anomalies().count());
    cx.set_detail("leaks", {
        let leakage = &validation.leakage;
        leakage.posts + leakage.authors + leakage.titles + leakage.photos
    });
    for shortcut in validation.shortcuts.iter().flat_map(|shortcuts| &shortcuts.columns) {
        cx.set_detail(&format!("{}_alone", shortcut.column), shortcut.accuracy);
    }
    if let Drift::Judged { span, .. } = &validation.drift {
        cx.set_detail("drift_of_span", *span);
        cx.set_property("anomalies", "span", *span);
    }
    if !validation.warnings.is_empty() {
        // What they say names posts and authors: it stands in the artifact, which goes when one of them is forgotten.
        cx.set_detail("warnings", validation.warnings.len());
    }
}

#[cfg(test)]
mod tests;
