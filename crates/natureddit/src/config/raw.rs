//! The settings as TOML holds them: every key of `natureddit.example.toml`, nothing checked but its type.
//!
//! Numbers are as wide as TOML's, so that one out of range is reported with its range and not by serde. What each key
//! means is said in the example file, once; what it must be, in the checked table of the same name.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) project: RawProject,
    pub(super) collect: RawCollect,
    pub(super) dvc: RawDvc,
    pub(super) net: RawNet,
    pub(super) assets: RawAssets,
    pub(super) pipeline: RawPipeline,
    pub(super) metadata: RawMetadata,
    pub(super) examples: RawExamples,
    pub(super) schema: RawSchema,
    pub(super) validator: RawValidator,
    pub(super) model: RawModel,
    pub(super) encoders: BTreeMap<String, RawEncoder>,
    pub(super) trainer: RawTrainer,
    pub(super) tuner: RawTuner,
    pub(super) evaluator: RawEvaluator,
    pub(super) tracking: RawTracking,
    pub(super) infra_validator: RawInfraValidator,
    pub(super) bulk_inferrer: RawBulkInferrer,
    pub(super) serve: RawServe,
    pub(super) sandbox: RawSandbox,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDvc {
    pub(super) fsync: bool,
    pub(super) jobs: i64,
    pub(super) lock_wait: String,
    pub(super) object_bytes_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProject {
    pub(super) name: String,
    pub(super) classes: Vec<String>,
    pub(super) data_dir: String,
    pub(super) labels_dir: String,
    pub(super) pipeline_root: String,
    pub(super) models_dir: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCollect {
    pub(super) source: String,
    pub(super) subreddits: Vec<String>,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) page_size: i64,
    pub(super) page_bytes_max: i64,
    pub(super) user_agent: String,
    pub(super) image_bytes_min: i64,
    pub(super) image_bytes_max: i64,
    pub(super) image_pixels_max: i64,
    pub(super) long_side_max: i64,
    pub(super) jpeg_quality: i64,
    pub(super) include_over_18: bool,
    pub(super) gallery: String,
    pub(super) author: String,
    pub(super) hydrate: bool,
    pub(super) downloads_per_host_max: i64,
    pub(super) placeholder_sha256: Vec<String>,
    pub(super) pushshift: RawPushshift,
    pub(super) arctic_shift: RawArcticShift,
    pub(super) reddit_oauth: RawRedditOauth,
    pub(super) dump: RawDump,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPushshift {
    pub(super) base_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawArcticShift {
    pub(super) base_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRedditOauth {
    pub(super) base_url: String,
    pub(super) token_base_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDump {
    pub(super) files: Vec<String>,
    pub(super) line_bytes_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNet {
    pub(super) connect_timeout: String,
    pub(super) total_timeout: String,
    pub(super) retries_max: i64,
    pub(super) backoff: String,
    pub(super) backoff_max: String,
    pub(super) redirects_max: i64,
    pub(super) api_requests_per_second: f64,
    pub(super) host_map: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAssets {
    pub(super) cache_dir: String,
    pub(super) folder: String,
    pub(super) hub_url: String,
    pub(super) python: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPipeline {
    pub(super) components_at_once_max: i64,
    pub(super) keep_days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetadata {
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExamples {
    pub(super) near_duplicate_distance_max: i64,
    pub(super) split_by: String,
    pub(super) time_eval_from: String,
    pub(super) time_test_from: String,
    pub(super) parquet: bool,
    pub(super) hash_buckets: RawHashBuckets,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchema {
    pub(super) file: String,
    pub(super) domain_values_max: i64,
    pub(super) drift_max: f64,
    pub(super) skew_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawValidator {
    pub(super) columns: String,
    pub(super) values: String,
    pub(super) leakage: String,
    pub(super) environment: String,
    pub(super) drift_days: i64,
    pub(super) compared_examples_min: i64,
    pub(super) shortcut_accuracy_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHashBuckets {
    pub(super) train: i64,
    pub(super) eval: i64,
    pub(super) test: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModel {
    pub(super) name: String,
    pub(super) image_encoder: String,
    pub(super) text_encoder: String,
    pub(super) precision: String,
    pub(super) calibration_posts: i64,
    pub(super) image_bytes_max: i64,
    pub(super) image_pixels_max: i64,
    pub(super) title_bytes_max: i64,
    pub(super) title_tokens_max: i64,
}

/// What is left out is as in [`super::encoders::EXAMPLE`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEncoder {
    pub(super) file: String,
    pub(super) output: String,
    pub(super) features: i64,
    pub(super) licence: String,
    pub(super) input: String,
    pub(super) size: i64,
    pub(super) short_side: i64,
    pub(super) filter: String,
    pub(super) mean: Vec<f64>,
    pub(super) std: Vec<f64>,
    pub(super) tokenizer: String,
    pub(super) input_ids: String,
    pub(super) attention_mask: String,
    pub(super) token_type_ids: String,
    pub(super) tokens_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrainer {
    pub(super) epochs_max: i64,
    pub(super) batch_size: i64,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
    pub(super) text_dropout: f64,
    pub(super) image_dropout: f64,
    pub(super) head: String,
    pub(super) hidden_units: i64,
    pub(super) hidden_dropout: f64,
    pub(super) label_smoothing: f64,
    pub(super) class_weights: String,
    pub(super) early_stopping_patience: i64,
    pub(super) extra_title_weight: f64,
    pub(super) checkpoint_every_epochs: i64,
    pub(super) tune: String,
    pub(super) tune_learning_rate: f64,
    pub(super) tune_epochs_max: i64,
    pub(super) tune_batch_size: i64,
    pub(super) seed: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTuner {
    pub(super) enabled: bool,
    pub(super) method: String,
    pub(super) trials_max: i64,
    pub(super) folds: i64,
    pub(super) search: RawSearch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSearch {
    pub(super) learning_rate: Vec<f64>,
    pub(super) weight_decay: Vec<f64>,
    pub(super) image_dropout: Vec<f64>,
    pub(super) text_dropout: Vec<f64>,
    pub(super) batch_size: Vec<i64>,
    pub(super) label_smoothing: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvaluator {
    pub(super) bootstrap_samples: i64,
    pub(super) confidence: f64,
    pub(super) test_examples_min: i64,
    pub(super) class_examples_min: i64,
    pub(super) majority_gain_min: f64,
    pub(super) macro_f1_min: f64,
    pub(super) accuracy_min: f64,
    pub(super) recall_min: f64,
    pub(super) ece_max: f64,
    pub(super) slice_examples_min: i64,
    pub(super) slice_macro_f1_min: f64,
    pub(super) slice_accuracy_min: f64,
    pub(super) champion_loss_max: f64,
    pub(super) champion_p_max: f64,
    pub(super) quantisation_loss_max: f64,
    pub(super) quantisation_p_max: f64,
    pub(super) quantisation_posts_max: i64,
    pub(super) mistakes_max: i64,
    pub(super) thumbnail_side_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTracking {
    pub(super) enabled: bool,
    pub(super) uri: String,
    pub(super) experiment: String,
    pub(super) registered_model: String,
    pub(super) alias: String,
    pub(super) models: String,
    pub(super) artifacts: Vec<String>,
    pub(super) artifact_bytes_max: i64,
    pub(super) connect_timeout: String,
    pub(super) request_timeout: String,
    pub(super) upload_timeout: String,
    pub(super) retries_max: i64,
    pub(super) send_time_max: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInfraValidator {
    pub(super) enabled: bool,
    pub(super) start_timeout: String,
    pub(super) stop_timeout: String,
    pub(super) response_timeout: String,
    pub(super) test_posts_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBulkInferrer {
    pub(super) enabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServe {
    pub(super) inference_address: String,
    pub(super) batch_size_max: i64,
    pub(super) batch_delay_max: String,
    pub(super) queue_len_max: i64,
    pub(super) workers: i64,
    pub(super) connections_max: i64,
    pub(super) requests_max: i64,
    pub(super) requests_crowded_max: i64,
    pub(super) body_bytes_max: i64,
    pub(super) bodies_max: i64,
    pub(super) bodies_bytes_max: i64,
    pub(super) header_timeout: String,
    pub(super) body_timeout: String,
    pub(super) write_timeout: String,
    pub(super) response_timeout: String,
    pub(super) drain_timeout: String,
    pub(super) threads: i64,
    pub(super) preparation_threads: i64,
    pub(super) preparation_pixels_max: i64,
    pub(super) embedding_cache_bytes_max: i64,
    pub(super) compat: String,
    pub(super) instances_max: i64,
    pub(super) explanations_max: i64,
    pub(super) inference_key: String,
    pub(super) allowed_urls: Vec<String>,
    pub(super) archive_bytes_max: i64,
    pub(super) archive_timeout: String,
    pub(super) refresh_interval: String,
    pub(super) management: RawManagement,
    pub(super) cors: RawCors,
    pub(super) metrics: RawMetrics,
    pub(super) prediction_log: RawPredictionLog,
    pub(super) traces: RawTraces,
    pub(super) tls: RawTls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCors {
    pub(super) allowed_origin: String,
    pub(super) allowed_methods: Vec<String>,
    pub(super) allowed_headers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    pub(super) address: String,
    pub(super) key: String,
    pub(super) mode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPredictionLog {
    pub(super) dir: String,
    pub(super) sample: f64,
    pub(super) content: bool,
    pub(super) file_bytes_max: i64,
    pub(super) files_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTraces {
    pub(super) endpoint: String,
    pub(super) sample: f64,
    pub(super) service_name: String,
    pub(super) queue_len_max: i64,
    pub(super) batch_len_max: i64,
    pub(super) delay_max: String,
    pub(super) timeout: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManagement {
    pub(super) address: String,
    pub(super) key_required: bool,
    pub(super) dir: String,
    pub(super) workers_max: i64,
    pub(super) model_api: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: String,
    pub(super) key_file: String,
    pub(super) dir: String,
    pub(super) names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSandbox {
    pub(super) port: i64,
    pub(super) seed: i64,
    pub(super) posts: i64,
    pub(super) photos: String,
}
