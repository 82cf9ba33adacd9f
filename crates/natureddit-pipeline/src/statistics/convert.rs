//! Between the statistics and the messages of their file.

use super::{
    Bucket, Derivation, FeatureKind, FeatureStatistics, Histogram, HistogramKind, NumericStatistics, Presence,
    RankBucket, SplitStatistics, TextStatistics, TopValue, ValueStatistics,
};
use crate::wire::metadata_v0 as wire;

/// Statistics that TFX may write and that mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("feature {feature:?}: {what}")]
pub struct UnsupportedStatistics {
    /// The feature.
    pub feature: String,
    /// What is not known.
    pub what: &'static str,
}

impl From<&SplitStatistics> for wire::DatasetFeatureStatistics {
    fn from(statistics: &SplitStatistics) -> Self {
        Self {
            name: String::new(),
            num_examples: statistics.examples,
            features: statistics.features.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::DatasetFeatureStatistics> for SplitStatistics {
    type Error = UnsupportedStatistics;

    fn try_from(dataset: wire::DatasetFeatureStatistics) -> Result<Self, Self::Error> {
        let features = dataset.features.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { examples: dataset.num_examples, features })
    }
}

impl From<&FeatureStatistics> for wire::FeatureNameStatistics {
    fn from(feature: &FeatureStatistics) -> Self {
        let common = Some((&feature.presence).into());
        let (num_stats, string_stats) = match &feature.values {
            ValueStatistics::Numeric(numbers) => (Some(numeric_message(numbers, common)), None),
            ValueStatistics::Text(texts) => (None, Some(text_message(texts, common))),
        };
        Self {
            name: None,
            r#type: type_of(feature.kind).into(),
            num_stats,
            string_stats,
            path: Some(wire::Path::to(&feature.name)),
            validation_derived_source: feature.derived.as_ref().map(|derived| wire::DerivedFeatureSource {
                deriver_name: derived.deriver.clone(),
                description: derived.description.clone(),
                source_path: derived.sources.iter().map(|source| wire::Path::to(source)).collect(),
            }),
        }
    }
}

impl TryFrom<wire::FeatureNameStatistics> for FeatureStatistics {
    type Error = UnsupportedStatistics;

    fn try_from(message: wire::FeatureNameStatistics) -> Result<Self, Self::Error> {
        let kind = kind_of(message.r#type());
        let name = message.path.map_or(message.name, |path| Some(path.step.join("."))).unwrap_or_default();
        let unsupported = |what| UnsupportedStatistics { feature: name.clone(), what };
        let kind = kind.ok_or_else(|| unsupported("a structure"))?;
        let (common, values) = match (message.num_stats, message.string_stats) {
            (Some(numbers), None) => (numbers.common_stats.clone(), ValueStatistics::Numeric(numeric(numbers))),
            (None, Some(texts)) => (texts.common_stats.clone(), ValueStatistics::Text(text(texts))),
            _ => return Err(unsupported("neither numbers nor texts")),
        };
        let derived = message.validation_derived_source.map(|source| Derivation {
            deriver: source.deriver_name,
            description: source.description,
            sources: source.source_path.into_iter().map(|path| path.step.join(".")).collect(),
        });
        Ok(Self { name, kind, presence: common.unwrap_or_default().into(), values, derived })
    }
}

fn type_of(kind: FeatureKind) -> wire::FeatureType {
    match kind {
        FeatureKind::Int => wire::FeatureType::Int,
        FeatureKind::Float => wire::FeatureType::Float,
        FeatureKind::String => wire::FeatureType::String,
        FeatureKind::Bytes => wire::FeatureType::Bytes,
    }
}

fn kind_of(r#type: wire::FeatureType) -> Option<FeatureKind> {
    match r#type {
        wire::FeatureType::Int => Some(FeatureKind::Int),
        wire::FeatureType::Float => Some(FeatureKind::Float),
        wire::FeatureType::String => Some(FeatureKind::String),
        wire::FeatureType::Bytes => Some(FeatureKind::Bytes),
        wire::FeatureType::Struct => None,
    }
}

impl From<&Presence> for wire::CommonStatistics {
    fn from(presence: &Presence) -> Self {
        Self {
            num_non_missing: presence.present,
            num_missing: presence.missing,
            min_num_values: presence.values_min,
            max_num_values: presence.values_max,
            avg_num_values: presence.values_mean,
            num_values_histogram: presence.values_histogram.as_ref().map(Into::into),
            tot_num_values: presence.values_total,
        }
    }
}

impl From<wire::CommonStatistics> for Presence {
    fn from(common: wire::CommonStatistics) -> Self {
        Self {
            present: common.num_non_missing,
            missing: common.num_missing,
            values_min: common.min_num_values,
            values_max: common.max_num_values,
            values_mean: common.avg_num_values,
            values_total: common.tot_num_values,
            values_histogram: common.num_values_histogram.map(Into::into),
        }
    }
}

fn numeric_message(numbers: &NumericStatistics, common: Option<wire::CommonStatistics>) -> wire::NumericStatistics {
    wire::NumericStatistics {
        common_stats: common,
        mean: numbers.mean,
        std_dev: numbers.std_dev,
        num_zeros: numbers.zeros,
        min: numbers.min,
        median: numbers.median,
        max: numbers.max,
        histograms: numbers.histograms.iter().map(Into::into).collect(),
    }
}

fn numeric(message: wire::NumericStatistics) -> NumericStatistics {
    NumericStatistics {
        mean: message.mean,
        std_dev: message.std_dev,
        zeros: message.num_zeros,
        min: message.min,
        median: message.median,
        max: message.max,
        histograms: message.histograms.into_iter().map(Into::into).collect(),
    }
}

impl From<&Histogram> for wire::Histogram {
    fn from(histogram: &Histogram) -> Self {
        let kind = match histogram.kind {
            HistogramKind::Standard => wire::HistogramType::Standard,
            HistogramKind::Quantiles => wire::HistogramType::Quantiles,
        };
        let bucket = |bucket: &Bucket| wire::Bucket {
            low_value: bucket.low,
            high_value: bucket.high,
            sample_count: bucket.count,
        };
        Self {
            num_nan: histogram.nan,
            num_undefined: 0,
            buckets: histogram.buckets.iter().map(bucket).collect(),
            r#type: kind.into(),
        }
    }
}

impl From<wire::Histogram> for Histogram {
    fn from(message: wire::Histogram) -> Self {
        let kind = match message.r#type() {
            wire::HistogramType::Standard => HistogramKind::Standard,
            wire::HistogramType::Quantiles => HistogramKind::Quantiles,
        };
        let bucket = |bucket: wire::Bucket| Bucket {
            low: bucket.low_value,
            high: bucket.high_value,
            count: bucket.sample_count,
        };
        Self { kind, nan: message.num_nan, buckets: message.buckets.into_iter().map(bucket).collect() }
    }
}

fn text_message(texts: &TextStatistics, common: Option<wire::CommonStatistics>) -> wire::StringStatistics {
    let top = |top: &TopValue| wire::FreqAndValue { value: top.value.clone(), frequency: top.count as f64 };
    let rank = |rank: &RankBucket| wire::RankBucket {
        low_rank: rank.rank_low,
        high_rank: rank.rank_high,
        label: rank.label.clone(),
        sample_count: rank.count as f64,
    };
    let buckets: Vec<_> = texts.ranks.iter().map(rank).collect();
    wire::StringStatistics {
        common_stats: common,
        unique: texts.unique,
        top_values: texts.top_values.iter().map(top).collect(),
        avg_length: texts.bytes_mean,
        rank_histogram: (!buckets.is_empty()).then_some(wire::RankHistogram { buckets }),
        invalid_utf8_count: texts.invalid_utf8,
    }
}

fn text(message: wire::StringStatistics) -> TextStatistics {
    let top = |top: wire::FreqAndValue| TopValue { value: top.value, count: count(top.frequency) };
    let rank = |rank: wire::RankBucket| RankBucket {
        rank_low: rank.low_rank,
        rank_high: rank.high_rank,
        label: rank.label,
        count: count(rank.sample_count),
    };
    let ranks = message.rank_histogram.unwrap_or_default().buckets;
    TextStatistics {
        unique: message.unique,
        top_values: message.top_values.into_iter().map(top).collect(),
        bytes_mean: message.avg_length,
        ranks: ranks.into_iter().map(rank).collect(),
        invalid_utf8: message.invalid_utf8_count,
    }
}

/// A frequency, which the message has as a floating-point number although it counts.
fn count(frequency: f64) -> u64 {
    frequency.round() as u64
}
