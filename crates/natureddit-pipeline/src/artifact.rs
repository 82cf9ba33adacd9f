//! What the pipeline makes and keeps: artifacts, their types and properties, and the ids the metadata store gives.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An artifact's id in the metadata store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtifactId(pub i64);

/// An execution's id in the metadata store; also the name of its output folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(pub i64);

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an artifact is. The names are TFX's where TFX has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactType {
    /// Posts and photos, from outside the pipeline.
    Dataset,
    /// What people chose for the posts, from outside the pipeline.
    Labels,
    /// Labelled examples in splits.
    Examples,
    /// What is in each split: counts, quantiles, frequent values.
    ExampleStatistics,
    /// What examples should look like.
    Schema,
    /// Where examples are not what they should be.
    ExampleAnomalies,
    /// Examples as the trainer takes them: embeddings.
    TransformedExamples,
    /// In which form the encoders run that made those.
    TransformGraph,
    /// The settings of training that did best.
    HyperParameters,
    /// A trained model.
    Model,
    /// What the Evaluator measured.
    ModelEvaluation,
    /// The Evaluator's verdict.
    ModelBlessing,
    /// The InfraValidator's verdict: whether a real server answers with the model.
    InfraBlessing,
    /// A model handed to the server.
    PushedModel,
    /// What a pushed model says of posts nobody labelled.
    InferenceResult,
}

impl ArtifactType {
    /// The type's name in the metadata store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dataset => "Dataset",
            Self::Labels => "Labels",
            Self::Examples => "Examples",
            Self::ExampleStatistics => "ExampleStatistics",
            Self::Schema => "Schema",
            Self::ExampleAnomalies => "ExampleAnomalies",
            Self::HyperParameters => "HyperParameters",
            Self::TransformedExamples => "TransformedExamples",
            Self::TransformGraph => "TransformGraph",
            Self::Model => "Model",
            Self::ModelEvaluation => "ModelEvaluation",
            Self::ModelBlessing => "ModelBlessing",
            Self::InfraBlessing => "InfraBlessing",
            Self::PushedModel => "PushedModel",
            Self::InferenceResult => "InferenceResult",
        }
    }

    /// The properties that belong to the type in TFX, with their MLMD data type; all others are custom properties.
    #[must_use]
    pub fn declared_properties(self) -> &'static [(&'static str, PropertyType)] {
        match self {
            Self::Examples | Self::TransformedExamples => {
                &[("span", PropertyType::Int), ("version", PropertyType::Int), ("split_names", PropertyType::Text)]
            }
            Self::ExampleStatistics | Self::ExampleAnomalies => {
                &[("span", PropertyType::Int), ("split_names", PropertyType::Text)]
            }
            _ => &[],
        }
    }
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The data type of a property, as ML Metadata numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyType {
    /// A 64-bit integer.
    Int = 1,
    /// A 64-bit float.
    Double = 2,
    /// A text.
    Text = 3,
}

/// The value of a property of an artifact or execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PropertyValue {
    /// A whole number; flags are 0 and 1, as in TFX.
    Int(i64),
    /// A measured number.
    Double(f64),
    /// A text.
    Text(String),
}

impl From<i64> for PropertyValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<usize> for PropertyValue {
    /// A count; one beyond 2^63 is written as 2^63 - 1.
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for PropertyValue {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<f64> for PropertyValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<&str> for PropertyValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for PropertyValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}
