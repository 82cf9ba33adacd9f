//! The model card: what a pushed model is, what it was made of, how good it is and where it fails, for people who have to
//! decide whether to use it. Its sections are those of Mitchell et al. 2019, "Model Cards for Model Reporting"
//! (<https://arxiv.org/abs/1810.03993>), in short.
//!
//! It lies beside the files of the bundle and is none of them: it tells the version and the time of the push, which are no
//! part of a bundle. It names no post, no author and nobody who labelled.

mod counts;
mod document;
mod parts;
#[cfg(test)]
mod tests;

use std::path::Path;

use jiff::Timestamp;
use natureddit_core::fs::{self, FsError};
use natureddit_data::DatasetVersion;
use natureddit_model::Manifest;

use super::super::evaluator::Evaluation;
use super::super::trainer::Training;
use document::Document;

pub(super) use counts::Counts;

/// The model card for people and for tools that show Markdown.
pub const MODEL_CARD_FILE: &str = "MODEL_CARD.md";

/// The model card as a page.
pub const MODEL_CARD_PAGE: &str = "model_card.html";

/// What a card is written from.
pub(super) struct ModelCard<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) version: u64,
    pub(super) pushed_at: Timestamp,
    pub(super) dataset: DatasetVersion,
    pub(super) counts: Option<Counts>,
    pub(super) training: Option<Training>,
    pub(super) evaluation: Option<Evaluation>,
}

impl ModelCard<'_> {
    /// Writes both forms into the folder of a version.
    pub(super) fn write(&self, dir: &Path) -> Result<(), FsError> {
        let document = self.document();
        fs::write_atomic(&dir.join(MODEL_CARD_FILE), document.markdown())?;
        fs::write_atomic(&dir.join(MODEL_CARD_PAGE), document.html())
    }

    /// Whether the folder of a version has a card.
    pub(super) fn is_in(dir: &Path) -> Result<bool, FsError> {
        Ok(fs::optional(fs::metadata(&dir.join(MODEL_CARD_FILE)))?.is_some())
    }

    fn document(&self) -> Document {
        let blocks = [
            self.details(),
            self.intended_use(),
            self.training_data(),
            self.training(),
            self.quality(),
            self.slices(),
            self.limits(),
            self.lineage(),
        ];
        let title = format!("Model card: {} {}", self.manifest.name, self.version);
        Document { title, blocks: blocks.into_iter().flatten().collect() }
    }
}
