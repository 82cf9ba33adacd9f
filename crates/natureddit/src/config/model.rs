//! `[model]`: what the model is called and made of, and what it takes.

use std::collections::BTreeMap;

use natureddit_pipeline::components::transform::PrecisionConfig;

use super::ConfigError;
use super::check::{BYTES, Checker, PIXELS, TableChecker};
use super::encoders::{Declared, EncoderTables, ImageEncoderConfig, TextEncoderConfig};
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
    /// `[encoders]`: every encoder with a table, whether it is named here or not.
    pub tables: EncoderTables,
    /// With which numbers the encoders calculate.
    pub precision: PrecisionConfig,
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
        let name = at.name("name", &raw.name)?;
        let image_encoder = declared.image(&at, &raw.image_encoder)?;
        let text_encoder = declared.text(&at, &raw.text_encoder)?;
        let tables = declared.tables((&image_encoder, &text_encoder))?;
        Ok(Self {
            name,
            image_encoder,
            text_encoder,
            tables,
            precision: precision(&raw, &at)?,
            image_bytes_max: at.integer("image_bytes_max", raw.image_bytes_max, BYTES)?,
            image_pixels_max: at.integer("image_pixels_max", raw.image_pixels_max, PIXELS)?,
            title_bytes_max: at.integer("title_bytes_max", raw.title_bytes_max, 1..=1_000_000)?,
            title_tokens_max: at.integer("title_tokens_max", raw.title_tokens_max, 8..=512)?,
        })
    }
}

fn precision(raw: &RawModel, at: &TableChecker<'_>) -> Result<PrecisionConfig, ConfigError> {
    let calibration_posts = at.integer("calibration_posts", raw.calibration_posts, 16..=10_000)?;
    let words = [("fp32", PrecisionConfig::Fp32), ("int8", PrecisionConfig::Int8 { calibration_posts })];
    at.one_of("precision", &raw.precision, &words)
}
