//! The messages of a `FeatureStats.pb`.

use super::Path;

/// What the file holds: statistics of datasets; TFX writes one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DatasetFeatureStatisticsList {
    /// The datasets.
    #[prost(message, repeated, tag = "1")]
    pub datasets: Vec<DatasetFeatureStatistics>,
}

/// The statistics of a dataset, or a slice of it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DatasetFeatureStatistics {
    /// Empty for a whole dataset of TFX.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How many examples there are.
    #[prost(uint64, tag = "2")]
    pub num_examples: u64,
    /// The features.
    #[prost(message, repeated, tag = "3")]
    pub features: Vec<FeatureNameStatistics>,
}

/// The statistics of a feature. `num_stats` and `string_stats` exclude each other.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FeatureNameStatistics {
    /// Its name in files older than `path`.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Its type.
    #[prost(enumeration = "FeatureType", tag = "2")]
    pub r#type: i32,
    /// Statistics of numbers.
    #[prost(message, optional, tag = "3")]
    pub num_stats: Option<NumericStatistics>,
    /// Statistics of texts, or of numbers that stand for categories.
    #[prost(message, optional, tag = "4")]
    pub string_stats: Option<StringStatistics>,
    /// Its name.
    #[prost(message, optional, tag = "8")]
    pub path: Option<Path>,
    /// Set where the feature is not in the examples but was derived for the statistics.
    #[prost(message, optional, tag = "10")]
    pub validation_derived_source: Option<DerivedFeatureSource>,
}

/// The type of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum FeatureType {
    /// Whole numbers.
    Int = 0,
    /// Numbers.
    Float = 1,
    /// Texts.
    String = 2,
    /// Bytes that are no text.
    Bytes = 3,
    /// A structure of features.
    Struct = 4,
}

/// Where a derived feature is from.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DerivedFeatureSource {
    /// What derived it.
    #[prost(string, tag = "1")]
    pub deriver_name: String,
    /// In words.
    #[prost(string, tag = "2")]
    pub description: String,
    /// From which features.
    #[prost(message, repeated, tag = "3")]
    pub source_path: Vec<Path>,
}

/// How often a feature is there, and with how many values.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommonStatistics {
    /// Examples with a value.
    #[prost(uint64, tag = "1")]
    pub num_non_missing: u64,
    /// Examples without one.
    #[prost(uint64, tag = "2")]
    pub num_missing: u64,
    /// The fewest values of an example that has one.
    #[prost(uint64, tag = "3")]
    pub min_num_values: u64,
    /// The most values of an example.
    #[prost(uint64, tag = "4")]
    pub max_num_values: u64,
    /// Values of an example that has one, on average.
    #[prost(float, tag = "5")]
    pub avg_num_values: f32,
    /// How many values the examples have, as quantiles.
    #[prost(message, optional, tag = "6")]
    pub num_values_histogram: Option<Histogram>,
    /// All values of all examples.
    #[prost(uint64, tag = "8")]
    pub tot_num_values: u64,
}

/// Statistics of numbers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NumericStatistics {
    /// How often the feature is there.
    #[prost(message, optional, tag = "1")]
    pub common_stats: Option<CommonStatistics>,
    /// The mean.
    #[prost(double, tag = "2")]
    pub mean: f64,
    /// The standard deviation of the values as the whole population.
    #[prost(double, tag = "3")]
    pub std_dev: f64,
    /// How many are 0.
    #[prost(uint64, tag = "4")]
    pub num_zeros: u64,
    /// The least.
    #[prost(double, tag = "5")]
    pub min: f64,
    /// The median.
    #[prost(double, tag = "6")]
    pub median: f64,
    /// The greatest.
    #[prost(double, tag = "7")]
    pub max: f64,
    /// Histograms: one of each type.
    #[prost(message, repeated, tag = "8")]
    pub histograms: Vec<Histogram>,
}

/// Statistics of texts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StringStatistics {
    /// How often the feature is there.
    #[prost(message, optional, tag = "1")]
    pub common_stats: Option<CommonStatistics>,
    /// How many different values there are.
    #[prost(uint64, tag = "2")]
    pub unique: u64,
    /// The most frequent values.
    #[prost(message, repeated, tag = "3")]
    pub top_values: Vec<FreqAndValue>,
    /// The mean length in bytes.
    #[prost(float, tag = "4")]
    pub avg_length: f32,
    /// The frequencies of more values than the top ones.
    #[prost(message, optional, tag = "5")]
    pub rank_histogram: Option<RankHistogram>,
    /// Values that are not UTF-8.
    #[prost(uint64, tag = "8")]
    pub invalid_utf8_count: u64,
}

/// A value and how often it is there.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FreqAndValue {
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
    /// How often.
    #[prost(double, tag = "3")]
    pub frequency: f64,
}

/// How many numbers lie in which interval.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    /// Values that are not a number.
    #[prost(uint64, tag = "1")]
    pub num_nan: u64,
    /// Values that are not defined.
    #[prost(uint64, tag = "2")]
    pub num_undefined: u64,
    /// The intervals, ascending.
    #[prost(message, repeated, tag = "3")]
    pub buckets: Vec<Bucket>,
    /// How the intervals were chosen.
    #[prost(enumeration = "HistogramType", tag = "4")]
    pub r#type: i32,
}

/// An interval of a histogram.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Bucket {
    /// Its lower end, which belongs to it.
    #[prost(double, tag = "1")]
    pub low_value: f64,
    /// Its upper end, which belongs to the last one only.
    #[prost(double, tag = "2")]
    pub high_value: f64,
    /// How many values lie in it; an estimate need not be a whole number.
    #[prost(double, tag = "4")]
    pub sample_count: f64,
}

/// How the intervals of a histogram were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum HistogramType {
    /// Equally wide.
    Standard = 0,
    /// Equally full.
    Quantiles = 1,
}

/// The frequencies of values, the most frequent first.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RankHistogram {
    /// One a value.
    #[prost(message, repeated, tag = "1")]
    pub buckets: Vec<RankBucket>,
}

/// The frequency of the values of some ranks.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RankBucket {
    /// The first rank, from 0.
    #[prost(uint64, tag = "1")]
    pub low_rank: u64,
    /// The last rank.
    #[prost(uint64, tag = "2")]
    pub high_rank: u64,
    /// The value.
    #[prost(string, tag = "4")]
    pub label: String,
    /// How often it is there.
    #[prost(double, tag = "5")]
    pub sample_count: f64,
}
