//! What is in a split: for each feature how often it is there, its frequent values, its quantiles.
//!
//! The file is TFX's: `Split-<name>/FeatureStats.pb`, a `DatasetFeatureStatisticsList` of `tensorflow.metadata.v0` with
//! one dataset. [`SplitStatistics`] is what it means; [`read_statistics`] and [`write_statistics`] go between both.

mod accumulate;
mod convert;
mod csv_table;
mod distinct;
mod moments;
mod quantiles;

use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use prost::Message as _;
use serde::Serialize;

pub use self::accumulate::{FeatureAccumulator, SplitAccumulator};
pub use self::convert::UnsupportedStatistics;
pub use self::csv_table::{TableError, summarise_csv};
use crate::split::Split;
use crate::wire::metadata_v0::DatasetFeatureStatisticsList;

/// The file of a split in an ExampleStatistics artifact.
pub const STATISTICS_FILE: &str = "FeatureStats.pb";

/// A larger file is refused: a thousand features with a thousand ranks each are a tenth of it.
const STATISTICS_BYTES_MAX: u64 = 1 << 30;

/// The statistics of a split, or of any table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SplitStatistics {
    /// How many examples there are.
    pub examples: u64,
    /// The features, in the order of the table's columns.
    pub features: Vec<FeatureStatistics>,
}

/// The statistics of a feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureStatistics {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub kind: FeatureKind,
    /// How often it is there.
    pub presence: Presence,
    /// What its values are; numbers that stand for categories have [`ValueStatistics::Text`].
    pub values: ValueStatistics,
    /// Where it is not in the examples but was derived for the statistics: how. TFX's schema marks such features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derived: Option<Derivation>,
}

/// The type of a feature's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureKind {
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// Texts.
    String,
    /// Bytes that are no text.
    Bytes,
}

impl FeatureKind {
    /// Its name: `int`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::String => "string",
            Self::Bytes => "bytes",
        }
    }
}

/// How a feature was derived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Derivation {
    /// What derived it: `natureddit`.
    pub deriver: String,
    /// In words.
    pub description: String,
    /// From which features.
    pub sources: Vec<String>,
}

/// How often a feature is there, and with how many values.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Presence {
    /// Examples that have it.
    pub present: u64,
    /// Examples that do not.
    pub missing: u64,
    /// The fewest values of an example that has it; 0 where none has.
    pub values_min: u64,
    /// The most values of an example.
    pub values_max: u64,
    /// Values of an example that has it, on average; 0 where none has.
    pub values_mean: f32,
    /// All values.
    pub values_total: u64,
    /// How many values the examples have.
    #[serde(skip)]
    pub values_histogram: Option<Histogram>,
}

impl Presence {
    /// The share of examples that do not have it; 0 where there is no example.
    #[must_use]
    pub fn missing_fraction(&self) -> f64 {
        let examples = self.present + self.missing;
        if examples == 0 { 0.0 } else { self.missing as f64 / examples as f64 }
    }
}

/// What the values of a feature are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueStatistics {
    /// Numbers.
    Numeric(NumericStatistics),
    /// Texts, or numbers that stand for categories.
    Text(TextStatistics),
}

/// What numbers are. Numbers that are NaN are counted in the histograms and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NumericStatistics {
    /// The mean; infinite or NaN where a value is infinite.
    pub mean: f64,
    /// The standard deviation of the values as the whole population; NaN where a value is infinite.
    pub std_dev: f64,
    /// How many are 0.
    pub zeros: u64,
    /// The least.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The greatest.
    pub max: f64,
    /// A histogram of each kind: equally wide intervals first, then equally full ones. None where there are no values.
    pub histograms: Vec<Histogram>,
}

impl NumericStatistics {
    /// The histogram whose intervals were chosen like this.
    #[must_use]
    pub fn histogram(&self, kind: HistogramKind) -> Option<&Histogram> {
        self.histograms.iter().find(|histogram| histogram.kind == kind)
    }
}

/// How many numbers lie in which interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// How the intervals were chosen.
    pub kind: HistogramKind,
    /// Values that are not a number.
    pub nan: u64,
    /// The intervals, ascending.
    pub buckets: Vec<Bucket>,
}

/// How the intervals of a histogram were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HistogramKind {
    /// Equally wide.
    Standard,
    /// Equally full.
    Quantiles,
}

/// An interval of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How many values lie in it; an estimate need not be a whole number.
    pub count: f64,
}

/// What texts are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TextStatistics {
    /// How many different values there are.
    pub unique: u64,
    /// The most frequent values, the most frequent first.
    pub top_values: Vec<TopValue>,
    /// The mean length in bytes; 0 where there is no value.
    pub bytes_mean: f32,
    /// The frequencies of more values than the top ones: that of rank 0 first.
    #[serde(skip)]
    pub ranks: Vec<RankBucket>,
    /// Values that are not UTF-8.
    pub invalid_utf8: u64,
}

/// A value and how often it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopValue {
    /// The value.
    pub value: String,
    /// How often.
    pub count: u64,
}

/// The frequency of the values of some ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankBucket {
    /// The first rank, from 0.
    pub rank_low: u64,
    /// The last rank.
    pub rank_high: u64,
    /// The value.
    pub label: String,
    /// How often it is there.
    pub count: u64,
}

impl SplitStatistics {
    /// The statistics of a feature, by its name.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureStatistics> {
        self.features.iter().find(|feature| feature.name == name)
    }
}

/// A file of statistics that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsError {
    /// The file itself.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is no such message.
    #[error("{} does not hold statistics", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: prost::DecodeError,
    },
    /// It holds more or less than one dataset.
    #[error("{} holds the statistics of {datasets} datasets, not of one", path.display())]
    Datasets {
        /// The file.
        path: PathBuf,
        /// How many.
        datasets: usize,
    },
    /// It holds statistics that are not known here.
    #[error("{} holds statistics that are not known here", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which.
        source: UnsupportedStatistics,
    },
}

/// The statistics of one split of an ExampleStatistics artifact.
///
/// # Errors
/// When `Split-<name>/FeatureStats.pb` is not there, or is no statistics of one dataset.
pub fn read_statistics(statistics_dir: &Path, split: Split) -> Result<SplitStatistics, StatisticsError> {
    read_statistics_file(&statistics_dir.join(split.folder_name()).join(STATISTICS_FILE))
}

/// The statistics in a file, of whichever tool.
///
/// # Errors
/// As [`read_statistics`].
pub fn read_statistics_file(path: &Path) -> Result<SplitStatistics, StatisticsError> {
    let bytes = fs::read_limited(path, STATISTICS_BYTES_MAX)?;
    let list = DatasetFeatureStatisticsList::decode(bytes.as_slice())
        .map_err(|source| StatisticsError::Decode { path: path.to_owned(), source })?;
    let count = list.datasets.len();
    let Ok([dataset]) = <[_; 1]>::try_from(list.datasets) else {
        return Err(StatisticsError::Datasets { path: path.to_owned(), datasets: count });
    };
    dataset.try_into().map_err(|source| StatisticsError::Unsupported { path: path.to_owned(), source })
}

/// Writes the statistics of one split of an ExampleStatistics artifact; the same statistics give the same bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn write_statistics(statistics_dir: &Path, split: Split, statistics: &SplitStatistics) -> Result<(), FsError> {
    let path = statistics_dir.join(split.folder_name()).join(STATISTICS_FILE);
    fs::write_atomic(&path, statistics_to_bytes(statistics))
}

/// The bytes of a `FeatureStats.pb`.
#[must_use]
pub fn statistics_to_bytes(statistics: &SplitStatistics) -> Vec<u8> {
    DatasetFeatureStatisticsList { datasets: vec![statistics.into()] }.encode_to_vec()
}

#[cfg(test)]
mod tests;
