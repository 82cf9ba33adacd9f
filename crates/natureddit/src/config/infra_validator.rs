//! `[infra_validator]`: how a server is asked with a model before the model is pushed.

use std::ffi::OsString;
use std::time::Duration;

use super::ConfigError;
use super::check::Checker;
use super::raw::RawInfraValidator;

/// The checked `[infra_validator]`.
#[derive(Clone, Debug)]
pub struct InfraValidatorConfig {
    /// Whether a server is asked at all.
    pub enabled: bool,
    /// The longest it may take until it listens.
    pub start_timeout: Duration,
    /// The longest it may take to stop when it is told to.
    pub stop_timeout: Duration,
    /// The longest an answer may take.
    pub response_timeout: Duration,
    /// The most test posts it is asked about.
    pub test_posts_max: usize,
    /// The environment of the server, without secrets.
    pub environment: Vec<(OsString, OsString)>,
}

impl InfraValidatorConfig {
    pub(super) fn check(raw: RawInfraValidator, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("infra_validator");
        let timeout = |key, text| at.duration(key, text, Duration::from_millis(100)..=Duration::from_secs(3_600));
        Ok(Self {
            enabled: raw.enabled,
            start_timeout: timeout("start_timeout", &raw.start_timeout)?,
            stop_timeout: timeout("stop_timeout", &raw.stop_timeout)?,
            response_timeout: timeout("response_timeout", &raw.response_timeout)?,
            test_posts_max: at.integer("test_posts_max", raw.test_posts_max, 0..=1_000)?,
            environment: checker.environment.of_children.clone(),
        })
    }
}
