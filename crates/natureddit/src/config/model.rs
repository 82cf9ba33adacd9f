//! `[model]`: what the model is called and made of, and what it takes.

use super::ConfigError;
use super::check::{BYTES, Checker, PIXELS};
use super::raw::RawModel;

/// The checked `[model]`.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The model's name in addresses and folders.
    pub name: String,
    /// The encoder of photos.
    pub image_encoder: &'static str,
    /// The encoder of titles.
    pub text_encoder: &'static str,
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
    pub(super) fn check(raw: RawModel, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const IMAGE_ENCODER: &str = "efficientnet_lite0";
        const TEXT_ENCODER: &str = "all-MiniLM-L6-v2";
        let at = checker.table("model");
        Ok(Self {
            name: at.name("name", &raw.name)?,
            image_encoder: at.one_of("image_encoder", &raw.image_encoder, &[(IMAGE_ENCODER, IMAGE_ENCODER)])?,
            text_encoder: at.one_of("text_encoder", &raw.text_encoder, &[(TEXT_ENCODER, TEXT_ENCODER)])?,
            image_bytes_max: at.integer("image_bytes_max", raw.image_bytes_max, BYTES)?,
            image_pixels_max: at.integer("image_pixels_max", raw.image_pixels_max, PIXELS)?,
            title_bytes_max: at.integer("title_bytes_max", raw.title_bytes_max, 1..=1_000_000)?,
            title_tokens_max: at.integer("title_tokens_max", raw.title_tokens_max, 8..=512)?,
        })
    }
}
