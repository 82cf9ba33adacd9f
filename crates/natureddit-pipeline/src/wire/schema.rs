//! `tensorflow.metadata.v0.Schema`: names and numbers of its fields, as text and as bytes.
//!
//! One list of fields a message serves the reader and the writer of the text, and the writer of the bytes that an
//! Anomalies message holds as its baseline.

use super::message::{Fields, Message, Word, to_bytes as message_bytes};
use super::text_format::{TextError, parse, print};
use crate::schema::{
    Annotation, BoolDomain, Comparator, DerivedSource, Dimension, ExampleCountRange, Feature, FeaturePath, FloatDomain,
    IntDomain, Marker, Mass, PresenceMin, Range, Schema, SchemaKind, Shape, Stage, TextDomain, Threshold, TimeDomain,
    TimeUnit,
};

/// The schema as text.
pub(crate) fn to_text(schema: &Schema) -> String {
    print(schema.clone())
}

/// Reads a schema from text.
pub(crate) fn from_text(text: &str) -> Result<Schema, TextError> {
    parse(text)
}

/// The schema as bytes.
pub(crate) fn to_bytes(schema: &Schema) -> Vec<u8> {
    message_bytes(schema.clone())
}

impl Message for Schema {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.messages("feature", 1, &mut self.features)?;
        f.messages("string_domain", 4, &mut self.text_domains)?;
        f.texts("default_environment", 5, &mut self.default_environments)?;
        f.message("annotation", 8, &mut self.annotation)?;
        f.message("dataset_constraints", 11, &mut self.examples)
    }
}

impl Message for Feature {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.text("name", 1, &mut self.name)?;
        f.flag("deprecated", 2, &mut self.deprecated)?;
        f.message("value_count", 5, &mut self.value_count)?;
        f.word("type", 6, &mut self.kind)?;
        f.text("domain", 7, &mut self.domain)?;
        f.message("int_domain", 9, &mut self.int_domain)?;
        f.message("float_domain", 10, &mut self.float_domain)?;
        f.message("string_domain", 11, &mut self.text_domain)?;
        f.message("bool_domain", 13, &mut self.bool_domain)?;
        f.message("presence", 14, &mut self.presence)?;
        f.message("distribution_constraints", 15, &mut self.domain_mass_min)?;
        f.message("annotation", 16, &mut self.annotation)?;
        f.message("skew_comparator", 18, &mut self.skew)?;
        f.texts("not_in_environment", 19, &mut self.not_in_environments)?;
        f.texts("in_environment", 20, &mut self.in_environments)?;
        f.message("drift_comparator", 21, &mut self.drift)?;
        f.word("lifecycle_stage", 22, &mut self.stage)?;
        f.message("shape", 23, &mut self.shape)?;
        f.message("natural_language_domain", 24, &mut self.natural_language)?;
        f.message("url_domain", 27, &mut self.url)?;
        f.message("time_domain", 28, &mut self.time)?;
        f.message("unique_constraints", 31, &mut self.unique)?;
        f.message("validation_derived_source", 34, &mut self.derived)
    }
}

impl Word for SchemaKind {
    const WORDS: &[(&str, i32, Self)] = &[("BYTES", 1, Self::Bytes), ("INT", 2, Self::Int), ("FLOAT", 3, Self::Float)];
}

impl Word for Stage {
    const WORDS: &[(&str, i32, Self)] = &[
        ("UNKNOWN_STAGE", 0, Self::Unknown),
        ("PLANNED", 1, Self::Planned),
        ("ALPHA", 2, Self::Alpha),
        ("BETA", 3, Self::Beta),
        ("PRODUCTION", 4, Self::Production),
        ("DEPRECATED", 5, Self::Deprecated),
        ("DEBUG_ONLY", 6, Self::DebugOnly),
        ("DISABLED", 7, Self::Disabled),
        ("VALIDATION_DERIVED", 9, Self::ValidationDerived),
    ];
}

impl Word for TimeUnit {
    const WORDS: &[(&str, i32, Self)] = &[
        ("FORMAT_UNKNOWN", 0, Self::Unknown),
        ("UNIX_DAYS", 5, Self::Days),
        ("UNIX_SECONDS", 1, Self::Seconds),
        ("UNIX_MILLISECONDS", 2, Self::Milliseconds),
        ("UNIX_MICROSECONDS", 3, Self::Microseconds),
        ("UNIX_NANOSECONDS", 4, Self::Nanoseconds),
    ];
}

impl Message for Range {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.int("min", 1, &mut self.min)?;
        f.int("max", 2, &mut self.max)
    }
}

impl Message for ExampleCountRange {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.int("min_examples_count", 3, &mut self.min)?;
        f.int("max_examples_count", 4, &mut self.max)
    }
}

impl Message for IntDomain {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.text("name", 1, &mut self.name)?;
        f.int("min", 3, &mut self.min)?;
        f.int("max", 4, &mut self.max)?;
        f.flag("is_categorical", 5, &mut self.is_categorical)
    }
}

impl Message for FloatDomain {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.text("name", 1, &mut self.name)?;
        f.float("min", 3, &mut self.min)?;
        f.float("max", 4, &mut self.max)?;
        f.flag("disallow_nan", 5, &mut self.disallow_nan)?;
        f.flag("disallow_inf", 6, &mut self.disallow_inf)
    }
}

impl Message for TextDomain {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.text("name", 1, &mut self.name)?;
        f.texts("value", 2, &mut self.values)
    }
}

impl Message for BoolDomain {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.text("name", 1, &mut self.name)?;
        f.text("true_value", 2, &mut self.true_value)?;
        f.text("false_value", 3, &mut self.false_value)
    }
}

impl Message for PresenceMin {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.double("min_fraction", 1, &mut self.fraction)?;
        f.int("min_count", 2, &mut self.count)
    }
}

impl Message for Mass {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.double("min_domain_mass", 1, &mut self.min)
    }
}

impl Message for Annotation {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.texts("tag", 1, &mut self.tags)?;
        f.texts("comment", 2, &mut self.comments)
    }
}

impl Message for Comparator {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.message("infinity_norm", 1, &mut self.infinity_norm)?;
        f.message("jensen_shannon_divergence", 2, &mut self.jensen_shannon)
    }
}

impl Message for Threshold {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.double("threshold", 1, &mut self.max)
    }
}

impl Message for Shape {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.messages("dim", 2, &mut self.dimensions)
    }
}

impl Message for Dimension {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.int("size", 1, &mut self.size)?;
        f.text("name", 2, &mut self.name)
    }
}

impl Message for Marker {
    fn fields<F: Fields>(&mut self, _: &mut F) -> Result<(), F::Error> {
        Ok(())
    }
}

impl Message for TimeDomain {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.text("string_format", 1, &mut self.string_format)?;
        f.word("integer_format", 2, &mut self.integer_format)
    }
}

impl Message for DerivedSource {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.text("deriver_name", 1, &mut self.deriver)?;
        f.text("description", 2, &mut self.description)?;
        f.messages("source_path", 3, &mut self.sources)
    }
}

impl Message for FeaturePath {
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error> {
        f.texts("step", 1, &mut self.steps)
    }
}
