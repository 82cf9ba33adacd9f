//! Where examples are not what they should be, in TFDV's words: `SchemaDiff.pb`, a `tensorflow.metadata.v0.Anomalies`.

use std::fmt;
use std::path::Path;

use natureddit_core::fs::{self, FsError};
use serde::Serialize;

use crate::schema::Schema;
use crate::wire::anomalies as wire;

/// The file of a split in an ExampleAnomalies artifact.
pub const ANOMALIES_FILE: &str = "SchemaDiff.pb";

/// What is wrong with one feature, or with the examples as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomaly {
    /// The feature; `None` for the examples as a whole.
    pub feature: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in the order in which it was found; never empty.
    pub reasons: Vec<Reason>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What kind of thing.
    pub kind: ReasonKind,
    /// A few words: `Unexpected string values`.
    pub short: String,
    /// A sentence with the values.
    pub description: String,
}

/// How bad an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The run goes on.
    Warning,
    /// The run stops.
    Error,
}

/// Kinds of things that are wrong, with TFDV's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReasonKind {
    /// A flag's number is above 1.
    BoolTypeBigInt,
    /// A flag's number is below 0.
    BoolTypeSmallInt,
    /// A flag's text is neither of its two.
    BoolTypeUnexpectedString,
    /// A text is not UTF-8.
    EnumTypeInvalidUtf8,
    /// A text is not in its set.
    EnumTypeUnexpectedStringValues,
    /// Too many values in an example.
    FeatureTypeHighNumberValues,
    /// In too small a share of examples.
    FeatureTypeLowFractionPresent,
    /// In too few examples.
    FeatureTypeLowNumberPresent,
    /// Too few values in an example.
    FeatureTypeLowNumberValues,
    /// In no example.
    FeatureTypeNotPresent,
    /// Too many different values.
    FeatureTypeHighUnique,
    /// Too few different values.
    FeatureTypeLowUnique,
    /// Different values are not counted.
    FeatureTypeNoUnique,
    /// A number is too great.
    FloatTypeBigFloat,
    /// A number is too small.
    FloatTypeSmallFloat,
    /// A value is not a number.
    FloatTypeHasNan,
    /// A value is infinite.
    FloatTypeHasInf,
    /// A whole number is too great.
    IntTypeBigInt,
    /// A text is no whole number.
    IntTypeNotIntString,
    /// A whole number is too small.
    IntTypeSmallInt,
    /// A feature of the schema is not in the data.
    SchemaMissingColumn,
    /// A feature of the data is not in the schema.
    SchemaNewColumn,
    /// The other side of a comparison has no such feature.
    ComparatorControlDataMissing,
    /// The L-infinity distance is too great.
    ComparatorLInftyHigh,
    /// The Jensen-Shannon divergence is too great.
    ComparatorJensenShannonDivergenceHigh,
    /// Too few examples.
    DatasetLowNumExamples,
    /// Too many examples.
    DatasetHighNumExamples,
    /// Values of another type.
    UnexpectedDataType,
    /// The shape is not the same in every example.
    InvalidFeatureShape,
    /// Derived for the statistics, which the schema does not say.
    DerivedFeatureInvalidSource,
}

/// A distance that was measured, whether it is too great or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// The feature.
    pub feature: String,
    /// Which distance.
    pub kind: DistanceKind,
    /// The distance.
    pub value: f64,
    /// The greatest that is in order.
    pub threshold: f64,
}

/// A distance between two distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DistanceKind {
    /// The greatest difference of the share of one value.
    LInfty,
    /// The Jensen-Shannon divergence to base 2.
    JensenShannonDivergence,
}

/// Whether a comparison was between spans or between splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// A span with the one before.
    Drift,
    /// A split with the training split.
    Skew,
}

/// What was found in one split, or in one span.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Anomalies {
    /// By feature, those of the examples as a whole first.
    pub anomalies: Vec<Anomaly>,
    /// The distances to the span before.
    pub drift: Vec<Measurement>,
    /// The distances to the training split.
    pub skew: Vec<Measurement>,
}

impl Anomalies {
    /// Takes over what was found in another way.
    pub(crate) fn merge(&mut self, other: Self) {
        for anomaly in other.anomalies {
            for reason in anomaly.reasons {
                self.add(anomaly.feature.as_deref(), anomaly.severity, reason);
            }
        }
        self.drift.extend(other.drift);
        self.skew.extend(other.skew);
    }

    /// Adds a thing that is wrong with a feature.
    pub(crate) fn add(&mut self, feature: Option<&str>, severity: Severity, reason: Reason) {
        match self.anomalies.iter_mut().find(|anomaly| anomaly.feature.as_deref() == feature) {
            Some(anomaly) => {
                anomaly.severity = anomaly.severity.max(severity);
                anomaly.reasons.push(reason);
            }
            None => {
                self.anomalies.push(Anomaly { feature: feature.map(str::to_owned), severity, reasons: vec![reason] });
            }
        }
    }
}

/// Writes the anomalies as TFX does, in the folder of a split.
///
/// # Errors
/// When the file cannot be written.
pub fn write_anomalies(folder: &Path, schema: &Schema, anomalies: &Anomalies) -> Result<(), FsError> {
    fs::write_atomic(&folder.join(ANOMALIES_FILE), wire::to_bytes(schema, anomalies))
}

impl fmt::Display for Anomaly {
    /// `width: Unexpectedly small value: 0.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.feature.as_deref().unwrap_or("examples");
        let sentences: Vec<&str> = self.reasons.iter().map(|reason| reason.description.trim()).collect();
        write!(f, "{name}: {}", sentences.join(" "))
    }
}
