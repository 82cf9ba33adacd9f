//! What examples should look like: `schema.pbtxt`, a `tensorflow.metadata.v0.Schema` in protobuf's text format.
//!
//! [`Schema`] holds what is checked here. A file with a field that is not known here is refused, so that nothing a
//! person wrote into it is passed over in silence.

pub mod infer;
pub mod validate;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};

use crate::wire::schema as wire;

/// The file of a Schema artifact.
pub const SCHEMA_FILE: &str = "schema.pbtxt";

/// A larger file is refused.
const SCHEMA_BYTES_MAX: u64 = 16 << 20;

/// What examples should look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// The features, in the order of the file.
    pub features: Vec<Feature>,
    /// The sets of values that features name.
    pub text_domains: Vec<TextDomain>,
    /// The environments a feature belongs to that says nothing of them.
    pub default_environments: Vec<String>,
    /// What a person wrote about it.
    pub annotation: Option<Annotation>,
    /// How many examples there may be.
    pub examples: Option<ExampleCountRange>,
}

/// What a feature should look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: Option<String>,
    /// Set where it is no longer used; such a feature is not checked.
    pub deprecated: Option<bool>,
    /// How many values an example has.
    pub value_count: Option<Range>,
    /// The type of its values.
    pub kind: Option<SchemaKind>,
    /// The name of its set of values.
    pub domain: Option<String>,
    /// The range of whole numbers.
    pub int_domain: Option<IntDomain>,
    /// The range of numbers.
    pub float_domain: Option<FloatDomain>,
    /// Its own set of values.
    pub text_domain: Option<TextDomain>,
    /// The two values of a flag.
    pub bool_domain: Option<BoolDomain>,
    /// How many examples must have it.
    pub presence: Option<PresenceMin>,
    /// The least share of values that must be in the domain; 1 where nothing is said.
    pub domain_mass_min: Option<Mass>,
    /// What a person wrote about it.
    pub annotation: Option<Annotation>,
    /// How far the splits may differ.
    pub skew: Option<Comparator>,
    /// Environments it does not belong to.
    pub not_in_environments: Vec<String>,
    /// Environments it belongs to.
    pub in_environments: Vec<String>,
    /// How far a span may differ from the one before.
    pub drift: Option<Comparator>,
    /// How far it is in its life.
    pub stage: Option<Stage>,
    /// The fixed shape of its values, present in every example.
    pub shape: Option<Shape>,
    /// Set where its values are texts in a language.
    pub natural_language: Option<Marker>,
    /// Set where its values are addresses.
    pub url: Option<Marker>,
    /// How its values tell a time.
    pub time: Option<TimeDomain>,
    /// How many different values there may be.
    pub unique: Option<Range>,
    /// Set where it is derived for the statistics and not in the examples.
    pub derived: Option<DerivedSource>,
}

/// The type of a feature's values, by TFX's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// Texts or bytes.
    Bytes,
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
}

/// How far a feature is in its life; those planned, tried out, given up or switched off are not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is said.
    Unknown,
    /// Not there yet.
    Planned,
    /// Tried out.
    Alpha,
    /// Nearly as in production.
    Beta,
    /// In use.
    Production,
    /// Given up.
    Deprecated,
    /// For finding mistakes only.
    DebugOnly,
    /// Switched off.
    Disabled,
    /// Derived for the statistics.
    ValidationDerived,
}

/// A range of counts, each end included; an end that is not set is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    /// The least.
    pub min: Option<i64>,
    /// The most.
    pub max: Option<i64>,
}

/// How many examples there may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExampleCountRange {
    /// The fewest.
    pub min: Option<i64>,
    /// The most.
    pub max: Option<i64>,
}

/// A range of whole numbers, each end included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntDomain {
    /// Its name.
    pub name: Option<String>,
    /// The least.
    pub min: Option<i64>,
    /// The greatest.
    pub max: Option<i64>,
    /// Whether the numbers stand for categories.
    pub is_categorical: Option<bool>,
}

/// A range of numbers, each end included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatDomain {
    /// Its name.
    pub name: Option<String>,
    /// The least.
    pub min: Option<f32>,
    /// The greatest.
    pub max: Option<f32>,
    /// Whether a value that is no number is wrong.
    pub disallow_nan: Option<bool>,
    /// Whether an infinite value is wrong.
    pub disallow_inf: Option<bool>,
}

/// A set of texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextDomain {
    /// Its name.
    pub name: Option<String>,
    /// The texts.
    pub values: Vec<String>,
}

/// The two values of a flag; texts other than these are wrong, and numbers other than 0 and 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoolDomain {
    /// Its name.
    pub name: Option<String>,
    /// What means true.
    pub true_value: Option<String>,
    /// What means false.
    pub false_value: Option<String>,
}

/// How many examples must have a feature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PresenceMin {
    /// The least share of all examples.
    pub fraction: Option<f64>,
    /// The fewest examples.
    pub count: Option<i64>,
}

/// The least share of values that must be in the domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mass {
    /// From 0 to 1.
    pub min: Option<f64>,
}

/// What a person wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotation {
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Sentences.
    pub comments: Vec<String>,
}

/// How far two distributions may differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparator {
    /// The greatest difference of the share of one value: the L-infinity distance.
    pub infinity_norm: Option<Threshold>,
    /// The divergence of Jensen and Shannon, from 0 to 1.
    pub jensen_shannon: Option<Threshold>,
}

/// A distance that is still in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Threshold {
    /// The greatest.
    pub max: Option<f64>,
}

/// A fixed shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Its dimensions; none for a single value.
    pub dimensions: Vec<Dimension>,
}

/// A dimension of a shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dimension {
    /// Its size.
    pub size: Option<i64>,
    /// Its name.
    pub name: Option<String>,
}

/// A meaning that has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marker;

/// How values tell a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeDomain {
    /// The format of texts.
    pub string_format: Option<String>,
    /// The unit of numbers since 1970.
    pub integer_format: Option<TimeUnit>,
}

/// The unit of a time as a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Nothing is said.
    Unknown,
    /// Days.
    Days,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

/// How a feature is derived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DerivedSource {
    /// What derives it.
    pub deriver: Option<String>,
    /// In words.
    pub description: Option<String>,
    /// From which features.
    pub sources: Vec<FeaturePath>,
}

/// The way to a feature, outermost name first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeaturePath {
    /// The names.
    pub steps: Vec<String>,
}

/// A schema that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file itself.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is not in protobuf's text format, or holds what is not known here.
    #[error("{}, line {line}: {message}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It contradicts itself.
    #[error("{}: {message}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// How.
        message: String,
    },
}

/// The schema in a file.
///
/// # Errors
/// [`SchemaError`] with the file and the line: also where it holds a field that is not known here.
pub fn read_schema(path: &Path) -> Result<Schema, SchemaError> {
    let bytes = fs::read_limited(path, SCHEMA_BYTES_MAX)?;
    let bad = |line, message| SchemaError::Text { path: path.to_owned(), line, message };
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let lines = error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count();
        bad(lines + 1, "not UTF-8".to_owned())
    })?;
    let schema = wire::from_text(&text).map_err(|error| bad(error.line, error.message))?;
    match schema.contradiction() {
        Some(message) => Err(SchemaError::Inconsistent { path: path.to_owned(), message }),
        None => Ok(schema),
    }
}

/// Writes a schema as TFX does.
///
/// # Errors
/// When the file cannot be written.
pub fn write_schema(path: &Path, schema: &Schema) -> Result<(), SchemaError> {
    Ok(fs::write_atomic(path, wire::to_text(schema))?)
}

impl Schema {
    /// The feature of that name.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.name() == name)
    }

    /// The values a feature may have, its own or those it names.
    #[must_use]
    pub fn text_domain<'a>(&'a self, feature: &'a Feature) -> Option<&'a TextDomain> {
        let named = |name: &String| self.text_domains.iter().find(|domain| domain.name.as_ref() == Some(name));
        feature.text_domain.as_ref().or_else(|| feature.domain.as_ref().and_then(named))
    }

    /// Whether a feature belongs to an environment; without one, every feature does.
    #[must_use]
    pub fn is_in_environment(&self, feature: &Feature, environment: Option<&str>) -> bool {
        let Some(environment) = environment else { return true };
        let has = |list: &[String]| list.iter().any(|name| name == environment);
        has(&feature.in_environments) || !has(&feature.not_in_environments) && has(&self.default_environments)
    }

    /// Every environment that it names.
    #[must_use]
    pub fn environments(&self) -> BTreeSet<&str> {
        let of_features =
            self.features.iter().flat_map(|feature| feature.in_environments.iter().chain(&feature.not_in_environments));
        self.default_environments.iter().chain(of_features).map(String::as_str).collect()
    }

    /// Where it contradicts itself, in words.
    fn contradiction(&self) -> Option<String> {
        for (at, feature) in self.features.iter().enumerate() {
            let name = feature.name();
            if name.is_empty() {
                return Some(format!("feature number {} has no name", at + 1));
            }
            if self.features[..at].iter().any(|other| other.name() == name) {
                return Some(format!("the feature {name:?} is there twice"));
            }
            if feature.kind.is_none() && feature.is_checked() {
                return Some(format!("the feature {name:?} has no type"));
            }
            if feature.domain.is_some() && self.text_domain(feature).is_none() {
                return Some(format!("the feature {name:?} names a string_domain that is not there"));
            }
            if feature.shape.is_some() && feature.value_count.is_some() {
                return Some(format!("the feature {name:?} has both shape and value_count"));
            }
            if feature.domains() > 1 {
                return Some(format!("the feature {name:?} has more than one domain"));
            }
        }
        None
    }
}

impl Feature {
    /// Its name; empty where it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Whether it is checked at all.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        let used = !matches!(
            self.stage,
            Some(Stage::Planned | Stage::Alpha | Stage::Deprecated | Stage::DebugOnly | Stage::Disabled)
        );
        used && self.deprecated != Some(true)
    }

    /// Whether some example must have it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        let presence = self.presence.as_ref();
        let some = |presence: &PresenceMin| {
            presence.count.is_some_and(|count| count > 0) || presence.fraction.is_some_and(|fraction| fraction > 0.0)
        };
        presence.is_some_and(some)
    }

    /// How many of the ways to say what its values are it uses; more than one is a mistake.
    fn domains(&self) -> usize {
        let used = [
            self.domain.is_some(),
            self.int_domain.is_some(),
            self.float_domain.is_some(),
            self.text_domain.is_some(),
            self.bool_domain.is_some(),
            self.natural_language.is_some(),
            self.url.is_some(),
            self.time.is_some(),
        ];
        used.into_iter().filter(|&is| is).count()
    }
}

#[cfg(test)]
mod tests;
