//! `[sandbox]`: the simulated Reddit.

use std::path::PathBuf;

use super::ConfigError;
use super::check::Checker;
use super::raw::RawSandbox;

/// The checked `[sandbox]`.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Its port on loopback; 0 means any free one.
    pub port: u16,
    /// Where its random numbers start.
    pub seed: u64,
    /// How many posts it holds.
    pub posts: usize,
    /// A folder of photos it serves instead of drawn pictures.
    pub photos: Option<PathBuf>,
}

impl SandboxConfig {
    pub(super) fn check(raw: &RawSandbox, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("sandbox");
        Ok(Self {
            port: at.integer("port", raw.port, 0..=65_535)?,
            seed: at.integer("seed", raw.seed, 0..=i64::MAX)?,
            posts: at.integer("posts", raw.posts, 1..=100_000)?,
            photos: at.optional_path("photos", &raw.photos)?,
        })
    }
}
