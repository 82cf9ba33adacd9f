//! The messages of `tensorflow.metadata.v0` that TFX's artifacts hold: statistics. The field numbers are those of the
//! published package `tensorflow-metadata`; fields nobody here writes or reads are left out, and skipped when read.

mod statistics;

pub use statistics::{
    Bucket, CommonStatistics, DatasetFeatureStatistics, DatasetFeatureStatisticsList, DerivedFeatureSource,
    FeatureNameStatistics, FeatureType, FreqAndValue, Histogram, HistogramType, NumericStatistics, RankBucket,
    RankHistogram, StringStatistics,
};

/// The way to a feature: one step, its name, unless it lies in a structure.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Path {
    /// The names, outermost first.
    #[prost(string, repeated, tag = "1")]
    pub step: Vec<String>,
}

impl Path {
    /// The way to a feature that lies in no structure.
    #[must_use]
    pub fn to(name: &str) -> Self {
        Self { step: vec![name.to_owned()] }
    }
}
