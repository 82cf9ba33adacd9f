//! The keys that TorchServe knows, and which of them do nothing here.

/// Keys that are followed.
pub(super) const FOLLOWED: [&str; 23] = [
    "allowed_urls",
    "batch_size",
    "certificate_file",
    "cors_allowed_headers",
    "cors_allowed_methods",
    "cors_allowed_origin",
    "default_response_timeout",
    "default_workers_per_model",
    "disable_token_authorization",
    "enable_metrics_api",
    "enable_model_api",
    "inference_address",
    "job_queue_size",
    "load_models",
    "management_address",
    "max_batch_delay",
    "max_request_size",
    "metrics_address",
    "metrics_mode",
    "model_store",
    "models",
    "private_key_file",
    "response_timeout",
];

/// Keys about reading the file itself, and the one that is refused.
pub(super) const ABOUT_THE_FILE: [&str; 3] = ["enable_envvars_config", "keystore", "use_env_allowed_urls"];

const NO_JAVA: &str = "there is no Java here";
const NO_PYTHON: &str = "no Python is run here";
const NO_GRPC: &str = "gRPC is not served";
const NO_WORKFLOWS: &str = "there are no workflows";
const OWN_METRICS: &str = "which metrics there are is fixed";
const NO_SEQUENCES: &str = "there are no requests in sequence";

/// Keys that are accepted and do nothing, with the reason.
pub(super) const WITHOUT_EFFECT: [(&str, &str); 52] = [
    ("async_logging", "the log is never waited for"),
    ("blacklist_env_vars", NO_PYTHON),
    ("cpp_log_config", "there is no C++ backend"),
    ("cpu_launcher_args", NO_PYTHON),
    ("cpu_launcher_enable", NO_PYTHON),
    ("debug", "`natureddit serve --verbose` logs more"),
    ("decode_input_request", NO_PYTHON),
    ("default_service_handler", NO_PYTHON),
    ("default_startup_timeout", "a model is loaded or refused, and is not waited for"),
    ("disable_system_metrics", OWN_METRICS),
    ("enable_grpc_ssl", NO_GRPC),
    ("grpc_inference_address", NO_GRPC),
    ("grpc_inference_max_connection_age_grace_ms", NO_GRPC),
    ("grpc_inference_max_connection_age_ms", NO_GRPC),
    ("grpc_inference_port", NO_GRPC),
    ("grpc_management_address", NO_GRPC),
    ("grpc_management_max_connection_age_grace_ms", NO_GRPC),
    ("grpc_management_max_connection_age_ms", NO_GRPC),
    ("grpc_management_port", NO_GRPC),
    ("initial_distribution_port", NO_PYTHON),
    ("initial_worker_port", NO_PYTHON),
    ("install_py_dep_per_model", NO_PYTHON),
    ("io_ratio", NO_JAVA),
    ("ipex_enable", NO_PYTHON),
    ("ipex_gpu_enable", NO_PYTHON),
    ("keystore_pass", "key stores of Java are not read"),
    ("keystore_type", "key stores of Java are not read"),
    ("limit_max_image_pixels", "model.image_pixels_max of natureddit.toml always holds"),
    ("max_response_size", "answers are short, for serve.instances_max and model.title_bytes_max bound them"),
    ("metric_time_interval", OWN_METRICS),
    ("metrics_config", OWN_METRICS),
    ("metrics_format", OWN_METRICS),
    ("model_metrics_auto_detect", OWN_METRICS),
    ("model_server_home", NO_PYTHON),
    ("model_snapshot", "snapshots of TorchServe are not read"),
    ("netty_client_threads", NO_JAVA),
    ("number_of_gpu", "models run on processor cores"),
    ("number_of_netty_threads", NO_JAVA),
    ("prefer_direct_buffer", NO_JAVA),
    ("python", NO_PYTHON),
    ("service_envelope", "the form of a request is told by its path"),
    ("snapshot_store", "snapshots of TorchServe are not written"),
    ("system_metrics_cmd", OWN_METRICS),
    ("token_expiration_min", "tokens of natureddit.toml do not expire"),
    ("ts_header_key_sequence_end", NO_SEQUENCES),
    ("ts_header_key_sequence_id", NO_SEQUENCES),
    ("ts_header_key_sequence_start", NO_SEQUENCES),
    ("ts_open_inference_protocol", NO_GRPC),
    ("unregister_model_timeout", "a model is unloaded when its last batch is done"),
    ("use_native_io", NO_JAVA),
    ("vmargs", NO_JAVA),
    ("workflow_store", NO_WORKFLOWS),
];

/// Those of [`FOLLOWED`] that TorchServe itself knows nowhere but in a file.
const ONLY_IN_A_FILE: [&str; 4] = ["batch_size", "max_batch_delay", "models", "response_timeout"];

/// The variable of the environment that sets a key where `enable_envvars_config` allows it.
pub(super) fn variable(key: &str) -> Option<String> {
    (!ONLY_IN_A_FILE.contains(&key)).then(|| format!("TS_{}", key.to_ascii_uppercase()))
}

/// Longer than any key.
const KEY_BYTES_MAX: usize = 64;

/// The key that was probably meant: one of which at most a third of the letters differ.
pub(super) fn nearest(word: &str) -> Option<&'static str> {
    // Comparing takes memory by the length.
    if word.len() > KEY_BYTES_MAX {
        return None;
    }
    let known = FOLLOWED.into_iter().chain(ABOUT_THE_FILE).chain(WITHOUT_EFFECT.map(|(key, _)| key));
    let lower = word.to_ascii_lowercase();
    let (distance, _, key) =
        known.map(|key| (strsim::damerau_levenshtein(&lower, key), key.len().abs_diff(word.len()), key)).min()?;
    (distance <= key.len() / 3).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_and_a_far_one_is_not_guessed() {
        assert_eq!(nearest("inference_adress"), Some("inference_address"));
        assert_eq!(nearest("Batch_Size"), Some("batch_size"));
        assert_eq!(nearest("number_of_neti_threads"), Some("number_of_netty_threads"));
        assert_eq!(nearest("colour"), None);
        assert_eq!(nearest(&"x".repeat(10_000)), None);
    }

    #[test]
    fn a_variable_is_the_key_in_capitals() {
        assert_eq!(variable("inference_address").as_deref(), Some("TS_INFERENCE_ADDRESS"));
        assert_eq!(variable("models"), None);
    }
}
