//! `[pipeline]` and `[metadata]`: how the pipeline runs, what is kept of it, and where it is written down.

use std::time::Duration;

use natureddit_core::Secret;
use natureddit_pipeline::metadata::PostgresAddress;
use url::Url;

use super::check::Checker;
use super::raw::{RawMetadata, RawPipeline};
use super::{ConfigError, Environment};

/// The checked `[pipeline]`.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// How many components may run at the same time, 1 to 64.
    pub components_at_once_max: usize,
    /// How long `natureddit gc` keeps outputs that nothing else keeps.
    pub keep: Duration,
}

/// The checked `[metadata]`.
#[derive(Clone, Debug)]
pub struct MetadataConfig {
    /// A PostgreSQL database; `None` for the file in the pipeline's folder.
    pub server: Option<PostgresAddress>,
}

impl PipelineConfig {
    pub(super) fn check(raw: &RawPipeline, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const DAY_SECONDS: u64 = 86_400;
        let at = checker.table("pipeline");
        let days: u64 = at.integer("keep_days", raw.keep_days, 0..=36_500)?;
        Ok(Self {
            components_at_once_max: at.integer("components_at_once_max", raw.components_at_once_max, 1..=64)?,
            keep: Duration::from_secs(days * DAY_SECONDS),
        })
    }
}

impl MetadataConfig {
    /// The environment's address goes before that of the file.
    pub(super) fn check(
        raw: &RawMetadata,
        checker: &Checker<'_>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let at = checker.table("metadata");
        let password = || environment.metadata_password.clone();
        if let Some(secret) = &environment.metadata_url {
            let url = Url::parse(secret.expose()).ok();
            let server = url.and_then(|url| PostgresAddress::new(url, password()).ok());
            // Not the value itself: there may be a password in it.
            let server = server.ok_or_else(|| at.bad("url", "$NATUREDDIT_METADATA_URL", ADDRESS))?;
            return Ok(Self { server: Some(server) });
        }
        if raw.url.is_empty() {
            return Ok(Self { server: None });
        }
        let url = Url::parse(&raw.url).map_err(|_| at.bad("url", &raw.url, ADDRESS))?;
        if url.password().is_some() {
            let must_be = "an address without a password, which belongs into $NATUREDDIT_METADATA_PASSWORD";
            return Err(at.bad("url", Secret::new(raw.url.clone()), must_be));
        }
        let server = PostgresAddress::new(url, password()).map_err(|_| at.bad("url", &raw.url, ADDRESS))?;
        Ok(Self { server: Some(server) })
    }
}

const ADDRESS: &str = "an address such as \"postgresql://user@host:5432/database\", or empty";
