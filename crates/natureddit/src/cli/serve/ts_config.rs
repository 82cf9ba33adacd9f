//! `--ts-config`: what TorchServe's `config.properties` says, in the place of what natureddit.toml says.

use std::path::Path;

use natureddit_serve::CorsConfig;
use natureddit_serve::config_properties::{CertificateFiles, ConfigProperties, LoadModels};

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::config::{Config, Environment, InferenceKey, ServeConfig, TlsConfig};

/// Follows the file that is named, else that of the environment, and tells what of it has no effect; which models it wants
/// loaded.
pub(super) fn apply(
    named: Option<&Path>,
    config: &mut Config,
    session: &Session,
) -> Result<Option<LoadModels>, CliError> {
    let file = match named {
        Some(file) => Some(session.path(file)?),
        None => session.torchserve_config()?,
    };
    let Some(file) = file else { return Ok(None) };
    let properties = ConfigProperties::read(&file, &Environment::named)?;
    for note in &properties.notes {
        session.output.note(note);
    }
    for note in follow(&properties, config) {
        session.output.note(&note);
    }
    if config.serve.is_plain_http && !config.serve.inference_address.ip().is_loopback() {
        let address = config.serve.inference_address;
        session.output.note(&format!(
            "inference_address is http: what is sent to {address} can be read on the way; https: would make a certificate"
        ));
    }
    Ok(properties.load_models)
}

/// Does what the file says; what of it is done otherwise is told, in a line each.
fn follow(properties: &ConfigProperties, config: &mut Config) -> Vec<String> {
    let serve = &mut config.serve;
    if let Some(listen) = properties.inference_address {
        serve.inference_address = listen.address;
        serve.is_plain_http = !listen.is_https;
    }
    if let Some(listen) = properties.management_address {
        serve.management.address = Some(listen.address);
    }
    follow_metrics(properties, serve);
    if let Some(origin) = &properties.cors_allowed_origin {
        serve.cors = Some(CorsConfig {
            allowed_origin: origin.clone(),
            allowed_methods: properties.cors_allowed_methods.clone(),
            allowed_headers: properties.cors_allowed_headers.clone(),
        });
    }
    if let Some(disabled) = properties.disable_token_authorization {
        serve.inference_key = if disabled { InferenceKey::Never } else { InferenceKey::Always };
        serve.management.key_required = !disabled;
    }
    if let Some(CertificateFiles { certificate, key }) = properties.certificate.clone() {
        serve.tls = TlsConfig::Files { cert: certificate, key };
    }
    if let Some(store) = &properties.model_store {
        config.project.models_dir.clone_from(store);
    }
    set(&mut serve.batch_size_max, properties.batch_size);
    set(&mut serve.batch_delay_max, properties.batch_delay_max);
    set(&mut serve.response_timeout, properties.response_timeout);
    set(&mut serve.queue_len_max, properties.queue_len_max);
    set(&mut serve.body_bytes_max, properties.request_bytes_max);
    // With less, the largest body could never be taken.
    serve.bodies_bytes_max = serve.bodies_bytes_max.max(serve.body_bytes_max);
    set(&mut serve.management.model_api, properties.enable_model_api);
    set(&mut serve.allowed_urls, properties.allowed_urls.clone());
    follow_models(properties, serve)
}

/// How models run: all of them, and single versions.
fn follow_models(properties: &ConfigProperties, serve: &mut ServeConfig) -> Vec<String> {
    let workers_max = serve.management.workers_max;
    let mut notes = Vec::new();
    let mut limited = |key: &str, workers: usize| {
        if workers > workers_max {
            notes.push(format!(
                "{key} is {workers}, and is followed as {workers_max}: serve.management.workers_max allows no more"
            ));
        }
        workers.min(workers_max)
    };
    // 0 is as many as there are cores, which one worker uses here.
    if let Some(workers) = properties.workers_per_model.filter(|workers| *workers > 0) {
        serve.workers = limited("default_workers_per_model", workers);
    }
    serve.by_version.clone_from(&properties.models);
    for (name, versions) in &mut serve.by_version {
        for (version, settings) in versions {
            let key = format!("models: {name} {version} minWorkers");
            settings.workers = settings.workers.map(|workers| limited(&key, workers));
        }
    }
    notes
}

/// Without `metrics_mode` they are told at their address, where TorchServe would tell nothing.
fn follow_metrics(properties: &ConfigProperties, serve: &mut ServeConfig) {
    if let Some(listen) = properties.metrics_address {
        serve.metrics.address = Some(listen.address);
    }
    if properties.enable_metrics_api == Some(false) {
        serve.metrics.address = None;
    }
    if properties.disable_token_authorization == Some(true) {
        serve.metrics.key = InferenceKey::Never;
    }
    set(&mut serve.metrics.mode, properties.metrics_mode);
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use natureddit_serve::MetricsMode;

    use natureddit_serve::VersionSettings;

    use super::*;
    use crate::cli::serve::{Addresses, control_config};

    fn config() -> Config {
        let environment =
            Environment { cache_home: Some("/cache".into()), data_home: Some("/data".into()), ..Environment::read() };
        Config::defaults(Path::new("/project"), &environment).unwrap()
    }

    fn parse(text: &str) -> ConfigProperties {
        ConfigProperties::parse(text.as_bytes(), Path::new("/ts/config.properties"), &|_| None).unwrap()
    }

    #[test]
    fn what_the_file_sets_holds_and_the_rest_is_as_it_was() {
        let mut config = config();
        let before = config.clone();
        assert_eq!(follow(&parse(""), &mut config), [""; 0]);
        assert_eq!(format!("{config:?}"), format!("{before:?}"));
        follow(
            &parse(
                "inference_address=http://0.0.0.0:8085\nmodel_store=models\nbatch_size=4\nmax_batch_delay=100\n\
                 response_timeout=7\njob_queue_size=9\nmax_request_size=2000000000\n\
                 certificate_file=c.pem\nprivate_key_file=k.pem\nmanagement_address=https://0.0.0.0:9081\n\
                 disable_token_authorization=true\ncors_allowed_origin=https://example.org\n\
                 cors_allowed_methods=GET, POST",
            ),
            &mut config,
        );
        let serve = &config.serve;
        assert_eq!(serve.inference_address.to_string(), "0.0.0.0:8085");
        assert!(serve.is_plain_http);
        assert_eq!(config.project.models_dir, PathBuf::from("/ts/models"));
        assert_eq!((serve.batch_size_max, serve.batch_delay_max), (4, Duration::from_millis(100)));
        assert_eq!((serve.response_timeout, serve.queue_len_max), (Duration::from_secs(7), 9));
        assert_eq!((serve.body_bytes_max, serve.bodies_bytes_max), (2_000_000_000, 2_000_000_000));
        assert_eq!(serve.tls, TlsConfig::Files { cert: "/ts/c.pem".into(), key: "/ts/k.pem".into() });
        assert_eq!(serve.inference_key, InferenceKey::Never);
        assert_eq!(serve.management.address, Some("0.0.0.0:9081".parse().unwrap()));
        let key_is_asked_at = |management: &str| {
            let management = management.parse().ok();
            let addresses = Addresses { inference: "127.0.0.1:1".parse().unwrap(), management, metrics: None };
            control_config(&config, &addresses).management_key
        };
        assert!(key_is_asked_at("0.0.0.0:9081"), "others than this machine reach it");
        assert!(!key_is_asked_at("127.0.0.1:9081"));
        let cors = serve.cors.as_ref().unwrap();
        assert_eq!(
            (cors.allowed_origin.as_str(), cors.allowed_methods.join(",")),
            ("https://example.org", "GET,POST".to_owned())
        );
        assert_eq!(serve.metrics.address, before.serve.metrics.address);
        assert_eq!(serve.connections_max, before.serve.connections_max);
        follow(&parse("inference_address=https://127.0.0.1"), &mut config);
        assert_eq!((config.serve.inference_address.port(), config.serve.is_plain_http), (443, false));
    }

    #[test]
    fn metrics_are_where_torchserve_has_them_and_in_its_mode() {
        let metrics = |text: &str| {
            let mut config = config();
            follow(&parse(text), &mut config);
            config.serve.metrics
        };
        let there = metrics("metrics_address=http://0.0.0.0\nmetrics_mode=prometheus\nenable_metrics_api=true");
        assert_eq!((there.address, there.mode), ("0.0.0.0:8082".parse().ok(), MetricsMode::Prometheus));
        assert!(there.key.is_needed_at("0.0.0.0:8082".parse().unwrap()), "others than this machine reach it");
        assert_eq!(metrics("metrics_mode=log").mode, MetricsMode::Log);
        assert_eq!(metrics("metrics_mode=legacy").mode, MetricsMode::Prometheus);
        assert_eq!(metrics("metrics_address=http://127.0.0.1:9082\nenable_metrics_api=false").address, None);
        assert_eq!(metrics("disable_token_authorization=true").key, InferenceKey::Never);
    }

    #[test]
    fn models_run_as_the_file_says_within_the_limit_of_workers() {
        let mut config = config();
        let notes = follow(
            &parse("default_workers_per_model=0\nenable_model_api=false\nallowed_urls=https://a.example/.*"),
            &mut config,
        );
        assert_eq!((notes.len(), config.serve.workers, config.serve.management.model_api), (0, 1, false));
        assert_eq!(config.serve.allowed_urls.words(), ["https://a.example/.*"]);
        let text = r#"default_workers_per_model=9
            models={"a": {"1.0": {"minWorkers": 5, "batchSize": 2, "responseTimeout": 7}, "2": {"defaultVersion": true}}}"#;
        let notes = follow(&parse(text), &mut config);
        let and = "and is followed as 4: serve.management.workers_max allows no more";
        assert_eq!(
            notes,
            [format!("default_workers_per_model is 9, {and}"), format!("models: a 1 minWorkers is 5, {and}"),]
        );
        assert_eq!(config.serve.workers, 4);
        let first = VersionSettings {
            batch_size_max: Some(2),
            response_timeout: Some(Duration::from_secs(7)),
            workers: Some(4),
            ..VersionSettings::default()
        };
        let second = VersionSettings { is_default: true, ..VersionSettings::default() };
        assert_eq!(config.serve.by_version["a"], [(1, first), (2, second)].into());
    }
}
