//! What was found, and whether the run may go on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ValidatorConfig;
use crate::anomalies::{Anomalies, Anomaly, Severity};
use crate::leakage::Leakage;
use crate::shortcuts::Shortcuts;
use crate::split::Split;

/// All that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Validation {
    /// Where each split is not as the schema says, and how far it is from the training split.
    pub splits: BTreeMap<Split, Anomalies>,
    /// How far the newest span is from the one before.
    pub drift: Drift,
    /// What lies in more than one split.
    pub leakage: Leakage,
    /// How well single columns tell the class.
    pub shortcuts: Option<Shortcuts>,
    /// What is not as it should be, in sentences; the run goes on.
    pub warnings: Vec<String>,
    /// What must not be, in sentences; the run stops.
    pub errors: Vec<String>,
}

/// The sentences of a [`Validation`], for whoever tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// What is not as it should be; the run went on.
    pub warnings: Vec<String>,
}

/// How far the newest span is from the one before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Drift {
    /// One of them has too few examples to say.
    TooFew {
        /// Examples of the newest span.
        newest: u64,
        /// Examples of the one before.
        before: u64,
    },
    /// Both have enough.
    Judged {
        /// The last day of the newest span, in days since 1970-01-01.
        span: i64,
        /// Examples of the newest span.
        newest: u64,
        /// Examples of the one before.
        before: u64,
        /// The distances, and where they are too great.
        found: Anomalies,
    },
}

/// Examples that no model should learn from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the examples must not be used: {}", .errors.join("; "))]
pub struct InvalidExamples {
    /// What is wrong, in sentences.
    pub errors: Vec<String>,
}

impl Validation {
    pub(super) fn new(
        splits: BTreeMap<Split, Anomalies>,
        drift: Drift,
        leakage: Leakage,
        shortcuts: Option<Shortcuts>,
        config: &ValidatorConfig,
    ) -> Self {
        let (warnings, errors) = (Vec::new(), Vec::new());
        let mut validation = Self { splits, drift, leakage, shortcuts, warnings, errors };
        let anomalies: Vec<(Severity, String)> =
            validation.anomalies().map(|(place, anomaly)| (anomaly.severity, format!("{place}: {anomaly}"))).collect();
        anomalies.into_iter().for_each(|(severity, sentence)| validation.add(severity, sentence));
        if validation.leakage.is_found() {
            validation.add(config.leakage, validation.leakage.to_string());
        }
        let shortcuts = validation.shortcuts.iter().flat_map(|shortcuts| {
            let majority = 100.0 * shortcuts.majority_accuracy;
            shortcuts.columns.iter().filter(|shortcut| shortcut.accuracy > config.shortcut_accuracy_max).map(
                move |shortcut| {
                    let accuracy = 100.0 * shortcut.accuracy;
                    let column = &shortcut.column;
                    format!(
                        "{column} alone tells the class of {accuracy:.1} % of the posts (the most frequent class: \
                         {majority:.1} %)"
                    )
                },
            )
        });
        let shortcuts: Vec<String> = shortcuts.collect();
        validation.warnings.extend(shortcuts);
        validation
    }

    fn add(&mut self, severity: Severity, sentence: String) {
        match severity {
            Severity::Warning => self.warnings.push(sentence),
            Severity::Error => self.errors.push(sentence),
        }
    }

    /// Every anomaly with the split or span it is of.
    pub fn anomalies(&self) -> impl Iterator<Item = (&'static str, &Anomaly)> {
        let splits = self.splits.iter().flat_map(|(split, found)| found.anomalies.iter().map(|a| (split.name(), a)));
        let span = match &self.drift {
            Drift::Judged { found, .. } => found.anomalies.as_slice(),
            Drift::TooFew { .. } => &[],
        };
        splits.chain(span.iter().map(|anomaly| ("newest span", anomaly)))
    }

    /// Whether the run may go on.
    ///
    /// # Errors
    /// [`InvalidExamples`] with every reason why not.
    pub(super) fn judged(&self) -> Result<(), InvalidExamples> {
        match self.errors.as_slice() {
            [] => Ok(()),
            errors => Err(InvalidExamples { errors: errors.to_vec() }),
        }
    }
}
