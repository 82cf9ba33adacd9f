//! `tensorflow.metadata.v0.Anomalies`, with the field numbers of the package `tensorflow-metadata`.

use std::collections::BTreeMap;

use prost::Message as _;

use super::metadata_v0::Path;
use super::schema;
use crate::anomalies::{Anomalies, Anomaly, DistanceKind, Measurement, ReasonKind, Severity};
use crate::schema::Schema;

/// The names of features are the keys of the map: `Anomalies.AnomalyNameFormat.SERIALIZED_PATH`.
const SERIALIZED_PATH: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct AnomaliesMessage {
    /// A message of its own, which has the same bytes.
    #[prost(bytes = "vec", optional, tag = "1")]
    baseline: Option<Vec<u8>>,
    #[prost(btree_map = "string, message", tag = "2")]
    anomaly_info: BTreeMap<String, AnomalyInfo>,
    #[prost(int32, optional, tag = "7")]
    anomaly_name_format: Option<i32>,
    #[prost(message, optional, tag = "8")]
    dataset_anomaly_info: Option<AnomalyInfo>,
    #[prost(message, repeated, tag = "9")]
    drift_skew_info: Vec<DriftSkewInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnomalyInfo {
    #[prost(string, optional, tag = "2")]
    description: Option<String>,
    #[prost(int32, optional, tag = "5")]
    severity: Option<i32>,
    #[prost(string, optional, tag = "6")]
    short_description: Option<String>,
    #[prost(message, repeated, tag = "7")]
    reason: Vec<ReasonMessage>,
    #[prost(message, optional, tag = "8")]
    path: Option<Path>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReasonMessage {
    #[prost(int32, optional, tag = "1")]
    r#type: Option<i32>,
    #[prost(string, optional, tag = "2")]
    short_description: Option<String>,
    #[prost(string, optional, tag = "3")]
    description: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DriftSkewInfo {
    #[prost(message, optional, tag = "1")]
    path: Option<Path>,
    #[prost(message, repeated, tag = "2")]
    drift_measurements: Vec<MeasurementMessage>,
    #[prost(message, repeated, tag = "3")]
    skew_measurements: Vec<MeasurementMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MeasurementMessage {
    #[prost(int32, optional, tag = "1")]
    r#type: Option<i32>,
    #[prost(double, optional, tag = "2")]
    value: Option<f64>,
    #[prost(double, optional, tag = "3")]
    threshold: Option<f64>,
}

/// The bytes of a `SchemaDiff.pb`; the same anomalies give the same bytes.
pub(crate) fn to_bytes(baseline: &Schema, anomalies: &Anomalies) -> Vec<u8> {
    let of_feature = |anomaly: &Anomaly| Some((anomaly.feature.clone()?, info(anomaly)));
    let whole = anomalies.anomalies.iter().find(|anomaly| anomaly.feature.is_none());
    let drift = anomalies.drift.iter().map(|measured| distance(measured, true));
    let skew = anomalies.skew.iter().map(|measured| distance(measured, false));
    let message = AnomaliesMessage {
        baseline: Some(schema::to_bytes(baseline)),
        anomaly_info: anomalies.anomalies.iter().filter_map(of_feature).collect(),
        anomaly_name_format: Some(SERIALIZED_PATH),
        dataset_anomaly_info: whole.map(info),
        drift_skew_info: drift.chain(skew).collect(),
    };
    message.encode_to_vec()
}

/// As TFDV: of several reasons the anomaly itself says only that there are several.
fn info(anomaly: &Anomaly) -> AnomalyInfo {
    let sentences: Vec<&str> = anomaly.reasons.iter().map(|reason| reason.description.as_str()).collect();
    let short = match anomaly.reasons.as_slice() {
        [reason] => reason.short.clone(),
        _ => "Multiple errors".to_owned(),
    };
    let reason = anomaly.reasons.iter().map(|reason| ReasonMessage {
        r#type: Some(number(reason.kind)),
        short_description: Some(reason.short.clone()),
        description: Some(reason.description.clone()),
    });
    AnomalyInfo {
        description: Some(sentences.join(" ")),
        severity: Some(match anomaly.severity {
            Severity::Warning => 1,
            Severity::Error => 2,
        }),
        short_description: Some(short),
        reason: reason.collect(),
        path: anomaly.feature.as_deref().map(Path::to),
    }
}

fn distance(measured: &Measurement, is_drift: bool) -> DriftSkewInfo {
    let measurement = MeasurementMessage {
        r#type: Some(match measured.kind {
            DistanceKind::LInfty => 1,
            DistanceKind::JensenShannonDivergence => 2,
        }),
        value: Some(measured.value),
        threshold: Some(measured.threshold),
    };
    let (drift, skew) = if is_drift { (vec![measurement], vec![]) } else { (vec![], vec![measurement]) };
    DriftSkewInfo { path: Some(Path::to(&measured.feature)), drift_measurements: drift, skew_measurements: skew }
}

/// The number in `AnomalyInfo.Type`.
fn number(kind: ReasonKind) -> i32 {
    match kind {
        ReasonKind::BoolTypeBigInt => 1,
        ReasonKind::BoolTypeSmallInt => 7,
        ReasonKind::BoolTypeUnexpectedString => 9,
        ReasonKind::EnumTypeInvalidUtf8 => 13,
        ReasonKind::EnumTypeUnexpectedStringValues => 14,
        ReasonKind::FeatureTypeHighNumberValues => 15,
        ReasonKind::FeatureTypeLowFractionPresent => 16,
        ReasonKind::FeatureTypeLowNumberPresent => 17,
        ReasonKind::FeatureTypeLowNumberValues => 18,
        ReasonKind::FeatureTypeNotPresent => 19,
        ReasonKind::FloatTypeBigFloat => 22,
        ReasonKind::FloatTypeSmallFloat => 24,
        ReasonKind::IntTypeBigInt => 28,
        ReasonKind::IntTypeNotIntString => 30,
        ReasonKind::IntTypeSmallInt => 32,
        ReasonKind::SchemaMissingColumn => 35,
        ReasonKind::SchemaNewColumn => 36,
        ReasonKind::ComparatorControlDataMissing => 40,
        ReasonKind::ComparatorLInftyHigh => 42,
        ReasonKind::DatasetLowNumExamples => 51,
        ReasonKind::FloatTypeHasNan => 53,
        ReasonKind::DatasetHighNumExamples => 58,
        ReasonKind::FeatureTypeHighUnique => 59,
        ReasonKind::FeatureTypeLowUnique => 60,
        ReasonKind::FeatureTypeNoUnique => 61,
        ReasonKind::FloatTypeHasInf => 62,
        ReasonKind::ComparatorJensenShannonDivergenceHigh => 63,
        ReasonKind::UnexpectedDataType => 70,
        ReasonKind::InvalidFeatureShape => 80,
        ReasonKind::DerivedFeatureInvalidSource => 85,
    }
}
