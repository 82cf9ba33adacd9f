//! `--ts-config`: what TorchServe's `config.properties` says, in the place of what natureddit.toml says.

use std::path::Path;

use natureddit_serve::config_properties::{CertificateFiles, ConfigProperties, LoadModels};

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::config::{Config, Environment, InferenceKey, TlsConfig};

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
    let waiting = waiting(&properties);
    if !waiting.is_empty() {
        session.output.note(&format!("not followed by this version: {}", waiting.join(", ")));
    }
    follow(&properties, config);
    if config.serve.is_plain_http && !config.serve.inference_address.ip().is_loopback() {
        let address = config.serve.inference_address;
        session.output.note(&format!(
            "inference_address is http: what is sent to {address} can be read on the way; https: would make a certificate"
        ));
    }
    Ok(properties.load_models)
}

/// What the file sets of what the server has today.
fn follow(properties: &ConfigProperties, config: &mut Config) {
    let serve = &mut config.serve;
    if let Some(listen) = properties.inference_address {
        serve.inference_address = listen.address;
        serve.is_plain_http = !listen.is_https;
    }
    if let Some(listen) = properties.management_address {
        serve.management.address = Some(listen.address);
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
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// Keys that are read and understood, for which the server has nothing yet.
fn waiting(properties: &ConfigProperties) -> Vec<&'static str> {
    let ConfigProperties { models, cors_allowed_origin, .. } = properties;
    let keys = [
        ("metrics_address", properties.metrics_address.is_some()),
        ("models", !models.is_empty()),
        ("default_workers_per_model", properties.workers_per_model.is_some()),
        ("max_response_size", properties.response_bytes_max.is_some()),
        ("cors_allowed_origin", cors_allowed_origin.is_some()),
        // Models can be registered by who has the key.
        ("enable_model_api", properties.enable_model_api == Some(false)),
        ("enable_metrics_api", properties.enable_metrics_api == Some(true)),
        ("metrics_mode", properties.metrics_mode.is_some()),
        ("allowed_urls", properties.allowed_urls.is_some()),
    ];
    keys.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

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
        follow(&parse(""), &mut config);
        assert_eq!(format!("{config:?}"), format!("{before:?}"));
        follow(
            &parse(
                "inference_address=http://0.0.0.0:8085\nmodel_store=models\nbatch_size=4\nmax_batch_delay=100\n\
                 response_timeout=7\njob_queue_size=9\nmax_request_size=2000000000\n\
                 certificate_file=c.pem\nprivate_key_file=k.pem\nmanagement_address=https://0.0.0.0:9081\n\
                 disable_token_authorization=true",
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
            control_config(&config, &Addresses { inference: "127.0.0.1:1".parse().unwrap(), management }).management_key
        };
        assert!(key_is_asked_at("0.0.0.0:9081"), "others than this machine reach it");
        assert!(!key_is_asked_at("127.0.0.1:9081"));
        assert_eq!(serve.connections_max, before.serve.connections_max);
        follow(&parse("inference_address=https://127.0.0.1"), &mut config);
        assert_eq!((config.serve.inference_address.port(), config.serve.is_plain_http), (443, false));
    }

    #[test]
    fn what_waits_is_named_and_what_is_followed_is_not() {
        let text = "management_address=http://127.0.0.1:8081\nenable_model_api=true\ndisable_token_authorization=true\n\
                    batch_size=4\nmodels={\"a\":{\"1\":{\"batchSize\":2}}}";
        assert_eq!(waiting(&parse(text)), ["models"]);
    }
}
