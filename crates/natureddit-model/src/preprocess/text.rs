//! A title as token ids.

use std::path::{Path, PathBuf};

use natureddit_core::fs::FsError;
use serde::{Deserialize, Serialize};
use tokenizers::{Tokenizer, TruncationParams};

use crate::input::InputError;

/// How a title becomes tokens: the encoder's own tokenizer, cut after so many tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPreprocess {
    /// The most tokens a title may have, the two special ones included.
    pub tokens_max: usize,
}

/// Why a tokenizer file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FsError),
    /// It is not a tokenizer.
    #[error("{path} is not a usable tokenizer: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The tokenizer of a file's content; `path` is what errors call it.
pub(super) fn tokenizer(bytes: &[u8], path: &Path, config: &TextPreprocess) -> Result<Tokenizer, TokenizerError> {
    let failed = |reason: String| TokenizerError::Format { path: path.to_owned(), reason };
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| failed(e.to_string()))?;
    let truncation = TruncationParams { max_length: config.tokens_max, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(|e| failed(e.to_string()))?;
    // The file pads every title to 128 tokens; batches are padded to their longest title instead.
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

pub(super) fn tokenise(tokenizer: &Tokenizer, text: &str, bytes_max: usize) -> Result<Vec<i64>, InputError> {
    if text.len() > bytes_max {
        return Err(InputError::TextTooLong { bytes: text.len(), bytes_max });
    }
    let encoding = tokenizer.encode_fast(text, true).map_err(|e| InputError::Text(e.to_string()))?;
    Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
}
