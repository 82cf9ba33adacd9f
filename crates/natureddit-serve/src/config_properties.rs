//! TorchServe's `config.properties`: what it says to this server.
//!
//! A value that is there is followed or refused, with its line; a key that is known and does nothing here, and one that is
//! not known, is noted. What is not there is `None`: then the settings of this program hold, not TorchServe's defaults.
//! Relative paths start at the file's folder.

mod error;
mod keys;
mod models;
mod syntax;
mod value;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use natureddit_core::fs;

use crate::cors::CorsConfig;
use crate::metrics::MetricsMode;
use crate::remote::AllowedUrls;
use crate::settings::SettingsByVersion;

pub use error::{PropertiesError, PropertyPlace};
pub use models::{LoadModels, NamedModel};
pub use value::ListenAddress;
use value::{Property, plain};

/// The longest file that is read; TorchServe's own examples have a thousandth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

const BATCH_SIZE: RangeInclusive<u64> = 1..=1_024;
const DELAY_MILLISECONDS: RangeInclusive<u64> = 0..=60_000;
const RESPONSE_SECONDS: RangeInclusive<u64> = 1..=3_600;
const QUEUE_LEN: RangeInclusive<u64> = 1..=1_000_000;
const WORKERS: RangeInclusive<u64> = 0..=1_024;
/// Of Java's `int`.
const BODY_BYTES: RangeInclusive<u64> = 1..=2_147_483_647;

/// What a `config.properties` says. Named as the keys are, with units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigProperties {
    /// `inference_address`.
    pub inference_address: Option<ListenAddress>,
    /// `management_address`.
    pub management_address: Option<ListenAddress>,
    /// `metrics_address`.
    pub metrics_address: Option<ListenAddress>,
    /// `certificate_file` and `private_key_file`: both or none.
    pub certificate: Option<CertificateFiles>,
    /// `model_store`.
    pub model_store: Option<PathBuf>,
    /// `load_models`.
    pub load_models: Option<LoadModels>,
    /// `models`: what is set for one version of a model, by name and version.
    pub models: SettingsByVersion,
    /// `batch_size`, of every model that `models` does not name.
    pub batch_size: Option<usize>,
    /// `max_batch_delay`, the same.
    pub batch_delay_max: Option<Duration>,
    /// `response_timeout`, else `default_response_timeout`.
    pub response_timeout: Option<Duration>,
    /// `job_queue_size`: requests that may wait for a model.
    pub queue_len_max: Option<usize>,
    /// `default_workers_per_model`; 0 leaves it to the server.
    pub workers_per_model: Option<usize>,
    /// `max_request_size`, bytes.
    pub request_bytes_max: Option<usize>,
    /// `cors_allowed_origin`: without it no other page may ask.
    pub cors_allowed_origin: Option<String>,
    /// `cors_allowed_methods`.
    pub cors_allowed_methods: Vec<String>,
    /// `cors_allowed_headers`.
    pub cors_allowed_headers: Vec<String>,
    /// `disable_token_authorization`.
    pub disable_token_authorization: Option<bool>,
    /// `enable_model_api`: whether models are registered and unregistered over the management API.
    pub enable_model_api: Option<bool>,
    /// `enable_metrics_api`.
    pub enable_metrics_api: Option<bool>,
    /// `metrics_mode`.
    pub metrics_mode: Option<MetricsMode>,
    /// `allowed_urls`: where models may be registered from.
    pub allowed_urls: Option<AllowedUrls>,
    /// What the user should know: unknown keys, keys without effect, keys given twice. Each is a line.
    pub notes: Vec<String>,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those that signed it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl ConfigProperties {
    /// Reads a file. `variable` gives the value of a variable of the environment: of those that values name (`$$NAME$$`),
    /// and of `TS_INFERENCE_ADDRESS` and the like, which stand above the file where it says `enable_envvars_config=true`.
    ///
    /// # Errors
    /// [`PropertiesError`], with the line, for a file that cannot be read or followed.
    pub fn read(file: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, PropertiesError> {
        Self::parse(&fs::read_limited(file, FILE_BYTES_MAX)?, file, variable)
    }

    /// As [`ConfigProperties::read`], of a file's content.
    ///
    /// # Errors
    /// The same.
    pub fn parse(
        bytes: &[u8],
        file: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PropertiesError> {
        let mut found = Self::default();
        let properties = found.gather(bytes, file, variable)?;
        let folder = file.parent().unwrap_or(file);
        for property in properties.values() {
            found.set(property, folder)?;
        }
        found.certificate = certificate(&properties, folder)?;
        if let Some(property) = properties.get("response_timeout").or(properties.get("default_response_timeout")) {
            found.response_timeout = Some(property.seconds(RESPONSE_SECONDS)?);
        }
        if found.cors_allowed_origin.is_none()
            && let Some(property) = properties.get("cors_allowed_methods").or(properties.get("cors_allowed_headers"))
        {
            let Property { place, key, .. } = property;
            found.notes.push(format!("{place}: {key} has no effect without cors_allowed_origin"));
        }
        Ok(found)
    }

    /// The last value of each key, with those of the environment above where that is wanted.
    fn gather(
        &mut self,
        bytes: &[u8],
        file: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, Property>, PropertiesError> {
        let line = |line| PropertyPlace::Line(file.to_owned(), line);
        let pairs = syntax::parse(bytes)
            .map_err(|error| PropertiesError::Syntax { place: line(error.line), reason: error.reason })?;
        let mut properties = BTreeMap::new();
        for syntax::Pair { line: at, key, value } in pairs {
            let property =
                expanded(Property { place: line(at), key: plain(&key), written: value.clone(), value }, variable)?;
            if let Some(before) = properties.insert(key, property) {
                self.notes.push(format!("{}: {} is set again on line {at}, which holds", before.place, before.key));
            }
        }
        let is_on = |key: &str| properties.get(key).map_or(Ok(false), Property::switch);
        let (from_environment, also_urls) = (is_on("enable_envvars_config")?, is_on("use_env_allowed_urls")?);
        if from_environment {
            for key in keys::FOLLOWED.into_iter().filter(|key| also_urls || *key != "allowed_urls") {
                if let Some(name) = keys::variable(key)
                    && let Some(value) = variable(&name)
                {
                    let place = PropertyPlace::Variable(name);
                    let property = Property { place, key: key.to_owned(), written: value.clone(), value };
                    properties.insert(key.to_owned(), property);
                }
            }
        }
        Ok(properties)
    }

    fn set(&mut self, property: &Property, folder: &Path) -> Result<(), PropertiesError> {
        match property.key.as_str() {
            "inference_address" => self.inference_address = Some(property.address(80, 443)?),
            "management_address" => self.management_address = Some(property.address(8081, 8444)?),
            "metrics_address" => self.metrics_address = Some(property.address(8082, 8445)?),
            "model_store" => self.model_store = Some(property.path(folder)?),
            "load_models" => self.load_models = Some(LoadModels::of(property)?),
            "models" => self.models = models::read(property, &mut self.notes)?,
            "batch_size" => self.batch_size = Some(property.size(BATCH_SIZE)?),
            "max_batch_delay" => self.batch_delay_max = Some(property.milliseconds(DELAY_MILLISECONDS)?),
            "job_queue_size" => self.queue_len_max = Some(property.size(QUEUE_LEN)?),
            "default_workers_per_model" => self.workers_per_model = Some(property.size(WORKERS)?),
            "max_request_size" => self.request_bytes_max = Some(property.size(BODY_BYTES)?),
            "cors_allowed_origin" => self.cors_allowed_origin = Some(origin(property)?),
            "cors_allowed_methods" => self.cors_allowed_methods = property.list(),
            "cors_allowed_headers" => self.cors_allowed_headers = property.list(),
            "disable_token_authorization" => self.disable_token_authorization = Some(property.switch()?),
            "enable_model_api" => self.enable_model_api = Some(property.switch()?),
            "enable_metrics_api" => self.enable_metrics_api = Some(property.switch()?),
            "metrics_mode" => self.metrics_mode = Some(metrics_mode(property)?),
            "allowed_urls" => self.allowed_urls = Some(allowed_urls(property, &mut self.notes)?),
            "keystore" => return Err(PropertiesError::Keystore { place: property.place.clone() }),
            // Looked at together, or before.
            "certificate_file"
            | "private_key_file"
            | "response_timeout"
            | "default_response_timeout"
            | "enable_envvars_config"
            | "use_env_allowed_urls" => {}
            _ => self.notes.push(note(property)),
        }
        Ok(())
    }
}

/// What is said of a key that is not followed.
fn note(Property { place, key, .. }: &Property) -> String {
    let known = keys::WITHOUT_EFFECT.iter().find(|(known, _)| known == key);
    match (known, keys::nearest(key)) {
        (Some((_, why)), _) => format!("{place}: {key} has no effect: {why}"),
        (None, Some(nearest)) => format!("{place}: {key} is no key of TorchServe; {nearest} is one"),
        (None, None) => format!("{place}: {key} is no key of TorchServe"),
    }
}

fn origin(property: &Property) -> Result<String, PropertiesError> {
    let text = property.some_text()?;
    CorsConfig::check_origin(&text).map_err(|error| property.bad(error.must_be()))?;
    Ok(text)
}

fn allowed_urls(property: &Property, notes: &mut Vec<String>) -> Result<AllowedUrls, PropertiesError> {
    // An expression may allow both, as TorchServe's own default does.
    let is_of_files = |word: &String| word.starts_with("file:") && !word.contains("http");
    let (files, addresses): (Vec<_>, _) = property.list().into_iter().partition(is_of_files);
    let Property { place, .. } = property;
    let no_effect = |word| format!("{place}: allowed_urls: {word} has no effect: files are taken from the model store");
    notes.extend(files.into_iter().map(no_effect));
    AllowedUrls::new(addresses)
        .map_err(|error| property.bad(format!("regular expressions or addresses that end in \"/\": {error}")))
}

fn metrics_mode(property: &Property) -> Result<MetricsMode, PropertiesError> {
    match property.value.trim().to_ascii_lowercase().as_str() {
        "log" => Ok(MetricsMode::Log),
        // As TorchServe did it before 0.9: at the address, too.
        "prometheus" | "legacy" => Ok(MetricsMode::Prometheus),
        _ => Err(property.bad("log, prometheus or legacy")),
    }
}

fn certificate(
    properties: &BTreeMap<String, Property>,
    folder: &Path,
) -> Result<Option<CertificateFiles>, PropertiesError> {
    const NAMES: [&str; 2] = ["certificate_file", "private_key_file"];
    match NAMES.map(|name| properties.get(name)) {
        [Some(certificate), Some(key)] => {
            let (certificate, key) = (certificate.path(folder)?, key.path(folder)?);
            Ok(Some(CertificateFiles { certificate, key }))
        }
        [None, None] => Ok(None),
        [Some(half), _] => {
            Err(PropertiesError::HalfCertificate { place: half.place.clone(), given: NAMES[0], missing: NAMES[1] })
        }
        [None, Some(half)] => {
            Err(PropertiesError::HalfCertificate { place: half.place.clone(), given: NAMES[1], missing: NAMES[0] })
        }
    }
}

/// Puts variables of the environment in the place of `$$NAME$$`.
fn expanded(property: Property, variable: &dyn Fn(&str) -> Option<String>) -> Result<Property, PropertiesError> {
    const MARK: &str = "$$";
    let mut value = String::new();
    let mut rest = property.written.as_str();
    while let Some((before, behind)) = rest.split_once(MARK) {
        let Some((name, after)) = behind.split_once(MARK).filter(|(name, _)| !name.is_empty()) else { break };
        let Some(found) = variable(name) else {
            let Property { place, key, .. } = property;
            return Err(PropertiesError::NotSet { place, key, variable: plain(name) });
        };
        value += before;
        value += &found;
        rest = after;
    }
    value += rest;
    Ok(Property { value, ..property })
}

#[cfg(test)]
mod tests;
