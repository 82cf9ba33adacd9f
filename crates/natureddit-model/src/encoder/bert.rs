//! The BERT family, as Hugging Face's `BertModel` and the models around it save it.

use std::path::Path;

use serde::Deserialize;

use super::config_file::{first, missing, read_config, read_optional, weights, wrong};
use super::source::{TokenizerSource, WeightsSource};
use super::spec::TextPooling;
use super::tokenizer::{Casing, letters, word_piece};
use super::{EncoderError, LICENCE_RANDOM, LICENCE_UNKNOWN, TextEncoder, TextGraph};
use crate::onnx::{Bert, Pooling};

const VOCABULARY: &str = "vocab.txt";
/// A line a token; the multilingual BERT's has a megabyte.
const VOCABULARY_BYTES_MAX: u64 = 32 << 20;

/// `config.json`. The first models have no `model_type`; what else may be left out is as in the library.
#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
    num_hidden_layers: usize,
    hidden_size: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f32>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
}

/// `tokenizer_config.json`, as far as a vocabulary without `tokenizer.json` needs it.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
}

impl Config {
    fn sizes(self, pooling: TextPooling) -> Result<Bert, String> {
        if let Some(other) = self.model_type.filter(|kind| kind != "bert") {
            return Err(format!(
                "its model_type is {other:?}; of text encoders bert is built here, and any other can be given as an ONNX file"
            ));
        }
        if let Some(other) = self.hidden_act.filter(|function| function != "gelu") {
            return Err(format!("its hidden_act is {other:?}, and \"gelu\" is built here"));
        }
        if let Some(other) = self.position_embedding_type.filter(|kind| kind != "absolute") {
            return Err(format!("its position_embedding_type is {other:?}, and \"absolute\" is built here"));
        }
        let (width, heads) = (self.hidden_size, self.num_attention_heads);
        if width == 0 || heads == 0 || !width.is_multiple_of(heads) {
            return Err(format!("{heads} attention heads do not share a hidden_size of {width}"));
        }
        Ok(Bert {
            layers: self.num_hidden_layers,
            width,
            heads,
            feed_forward: self.intermediate_size,
            vocabulary: self.vocab_size,
            positions: self.max_position_embeddings,
            kinds: self.type_vocab_size.unwrap_or(2),
            epsilon: self.layer_norm_eps.unwrap_or(1e-12),
            pooling: Pooling::from(pooling),
        })
    }
}

impl From<TextPooling> for Pooling {
    fn from(pooling: TextPooling) -> Self {
        match pooling {
            TextPooling::Mean => Self::Mean,
            TextPooling::Cls => Self::Cls,
            TextPooling::Pooler => Self::Pooler,
        }
    }
}

/// The name of a tensor in `BertModel`: what is a part of another model has a prefix, and what was converted from
/// TensorFlow early has that one's words for a norm's parts.
pub(super) fn tensor_name(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    match name.rsplit_once('.') {
        Some((norm, "gamma")) => format!("{norm}.weight"),
        Some((norm, "beta")) => format!("{norm}.bias"),
        _ => name.to_owned(),
    }
}

pub(super) fn from_folder(name: &str, folder: &Path, pooling: TextPooling) -> Result<TextEncoder, EncoderError> {
    let config: Config = read_config(folder)?;
    let sizes = config.sizes(pooling).map_err(|reason| wrong(folder, reason))?;
    let tokenizer = tokenizer(folder, &sizes)?;
    Ok(encoder(name, LICENCE_UNKNOWN, sizes, tokenizer, weights(folder)?))
}

/// `tokenizer.json`, or one that is made from `vocab.txt`.
fn tokenizer(folder: &Path, sizes: &Bert) -> Result<TokenizerSource, EncoderError> {
    if let Some(file) = first(folder, &["tokenizer.json"])? {
        return Ok(TokenizerSource::File(file));
    }
    let path = folder.join(VOCABULARY);
    let read = natureddit_core::fs::read_limited(&path, VOCABULARY_BYTES_MAX);
    let Some(bytes) = natureddit_core::fs::optional(read)? else {
        return Err(missing(folder, "tokenizer.json and no vocab.txt"));
    };
    let text = String::from_utf8(bytes).map_err(|e| EncoderError::format(&path, e.to_string()))?;
    let tokens: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    if tokens.len() > sizes.vocabulary {
        let reason = format!("it has {} tokens, more than the {} of config.json", tokens.len(), sizes.vocabulary);
        return Err(EncoderError::format(&path, reason));
    }
    let TokenizerConfig { do_lower_case, strip_accents } =
        read_optional(folder, "tokenizer_config.json")?.unwrap_or_default();
    let casing = Casing { lower: do_lower_case.unwrap_or(true), strip_accents };
    let made = word_piece(tokens.into_iter().map(str::to_owned), casing);
    Ok(TokenizerSource::Made(made.map_err(|reason| EncoderError::format(&path, reason))?))
}

pub(super) fn random(
    name: &str,
    architecture: &str,
    seed: u64,
    pooling: TextPooling,
) -> Result<TextEncoder, EncoderError> {
    // The sizes of prajjwal1/bert-tiny (Turc et al. 2019, <https://arxiv.org/abs/1908.08962>), but for the words.
    let (layers, width) = match architecture {
        "bert-tiny" => (2, 128),
        _ => return Err(EncoderError::no_architecture(architecture, &TextEncoder::RANDOM)),
    };
    let tokens = letters();
    let sizes = Bert {
        layers,
        width,
        heads: width / 64,
        feed_forward: width * 4,
        vocabulary: tokens.len(),
        positions: 512,
        kinds: 2,
        epsilon: 1e-12,
        pooling: Pooling::from(pooling),
    };
    let made = word_piece(tokens.into_iter(), Casing { lower: true, strip_accents: None });
    let tokenizer = made.map_err(|reason| EncoderError::format(Path::new(architecture), reason))?;
    Ok(encoder(name, LICENCE_RANDOM, sizes, TokenizerSource::Made(tokenizer), WeightsSource::Seed(seed)))
}

fn encoder(name: &str, licence: &str, sizes: Bert, tokenizer: TokenizerSource, weights: WeightsSource) -> TextEncoder {
    TextEncoder {
        name: name.to_owned(),
        features: sizes.width,
        licence: licence.to_owned(),
        tokenizer,
        tokens_max: sizes.positions,
        graph: TextGraph::Bert(sizes, weights),
    }
}

#[cfg(test)]
mod tests {
    use natureddit_core::fs;

    use super::*;

    /// As published with prajjwal1/bert-tiny.
    const TINY: &str = r#"{"hidden_size":128,"hidden_act":"gelu","initializer_range":0.02,"vocab_size":30522,
        "hidden_dropout_prob":0.1,"num_attention_heads":2,"type_vocab_size":2,"max_position_embeddings":512,
        "num_hidden_layers":2,"intermediate_size":512,"attention_probs_dropout_prob":0.1}"#;
    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nfox\n##es\n";

    fn told(config: &str, vocabulary: Option<&str>) -> Result<TextEncoder, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write_atomic(&folder.path().join(name), text).unwrap();
        write("config.json", config);
        write("pytorch_model.bin", "weights");
        if let Some(vocabulary) = vocabulary {
            write(VOCABULARY, vocabulary);
        }
        TextEncoder::from_folder("b", folder.path(), TextPooling::Mean)
            .map_err(|e| e.to_string().replace(&folder.path().display().to_string(), "DIR"))
    }

    #[test]
    fn a_folder_with_a_vocabulary_alone_is_enough() {
        let encoder = told(TINY, Some(WORDS)).unwrap();
        assert_eq!((encoder.features, encoder.tokens_max), (128, 512));
    }

    #[test]
    fn what_is_missing_or_not_built_here_is_told() {
        assert_eq!(
            told(TINY, None).unwrap_err(),
            "DIR is no encoder that can be used: it has no tokenizer.json and no vocab.txt"
        );
        let refused = |from: &str, to: &str| told(&TINY.replace(from, to), Some(WORDS)).unwrap_err();
        assert!(refused("\"gelu\"", "\"relu\"").contains("its hidden_act is \"relu\""));
        assert!(refused("_heads\":2", "_heads\":3").contains("3 attention heads do not share a hidden_size of 128"));
        assert!(
            refused("\"hidden_size\"", "\"model_type\":\"gpt2\",\"hidden_size\"").contains("model_type is \"gpt2\"")
        );
        assert!(
            refused("30522", "7")
                .contains("vocab.txt is no encoder that can be used: it has 8 tokens, more than the 7")
        );
        assert!(refused("\"hidden_size\":128,", "").contains("missing field `hidden_size`"));
    }

    #[test]
    fn tensors_have_one_name_wherever_they_come_from() {
        assert_eq!(tensor_name("bert.embeddings.LayerNorm.gamma"), "embeddings.LayerNorm.weight");
        assert_eq!(tensor_name("embeddings.LayerNorm.beta"), "embeddings.LayerNorm.bias");
        assert_eq!(tensor_name("encoder.layer.0.output.dense.weight"), "encoder.layer.0.output.dense.weight");
    }
}
