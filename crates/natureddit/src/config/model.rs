//! `[model]`: what the model is called and made of, and what it takes.

use std::collections::BTreeMap;

use super::ConfigError;
use super::check::{BYTES, Checker, PIXELS};
use super::encoders::{Declared, ImageEncoderConfig, TextEncoderConfig};
use super::raw::{RawEncoder, RawModel};

/// The checked `[model]`.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The model's name in addresses and folders.
    pub name: String,
    /// The encoder of photos.
    pub image_encoder: ImageEncoderConfig,
    /// The encoder of titles.
    pub text_encoder: TextEncoderConfig,
    /// The largest photo, in bytes.
    pub image_bytes_max: u64,
    /// The most pixels of a photo.
    pub image_pixels_max: u64,
    /// The longest title, in bytes of UTF-8.
    pub title_bytes_max: usize,
    /// Titles are cut after so many tokens, 8 to 512.
    pub title_tokens_max: usize,
}

impl ModelConfig {
    pub(super) fn check(
        raw: RawModel,
        encoders: &BTreeMap<String, RawEncoder>,
        checker: &Checker<'_>,
    ) -> Result<Self, ConfigError> {
        let at = checker.table("model");
        let declared = Declared { encoders, checker };
        Ok(Self {
            name: at.name("name", &raw.name)?,
            image_encoder: declared.image(&at, &raw.image_encoder)?,
            text_encoder: declared.text(&at, &raw.text_encoder)?,
            image_bytes_max: at.integer("image_bytes_max", raw.image_bytes_max, BYTES)?,
            image_pixels_max: at.integer("image_pixels_max", raw.image_pixels_max, PIXELS)?,
            title_bytes_max: at.integer("title_bytes_max", raw.title_bytes_max, 1..=1_000_000)?,
            title_tokens_max: at.integer("title_tokens_max", raw.title_tokens_max, 8..=512)?,
        })
    }
}
