//! WordPiece tokenizers that are made here, as Hugging Face's `BertTokenizerFast` would be.

use std::collections::BTreeMap;

use serde_json::json;
use tokenizers::Tokenizer;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

const PADDING: &str = "[PAD]";
const UNKNOWN: &str = "[UNK]";
const FIRST: &str = "[CLS]";
const LAST: &str = "[SEP]";
const MASKED: &str = "[MASK]";

/// What becomes of letters before they are looked up.
pub(super) struct Casing {
    pub(super) lower: bool,
    /// `None`: as `lower`.
    pub(super) strip_accents: Option<bool>,
}

/// The content of a `tokenizer.json` for these tokens, in the order of their ids.
///
/// # Errors
/// When a token that BERT cannot do without is missing, or two are the same.
pub(super) fn word_piece(tokens: impl Iterator<Item = String>, casing: Casing) -> Result<String, String> {
    let mut vocabulary = BTreeMap::new();
    for (id, token) in (0_u32..).zip(tokens) {
        if let Some(before) = vocabulary.insert(token, id) {
            return Err(format!("the tokens {before} and {id} are the same"));
        }
    }
    let id = |token: &str| vocabulary.get(token).copied().ok_or_else(|| format!("it has no token {token}"));
    let processing = BertProcessing::new((LAST.to_owned(), id(LAST)?), (FIRST.to_owned(), id(FIRST)?));
    id(UNKNOWN)?;
    // Through its JSON form: its builder takes no map of the standard library.
    let words = json!({
        "type": "WordPiece",
        "unk_token": UNKNOWN,
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocabulary,
    });
    let words: WordPiece = serde_json::from_str(&words.to_string()).map_err(|e| e.to_string())?;
    let mut tokenizer = Tokenizer::new(words);
    let normalizer = BertNormalizer::new(true, true, casing.strip_accents, casing.lower);
    tokenizer.with_normalizer(Some(normalizer)).map_err(|e| e.to_string())?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(processing));
    tokenizer.to_string(false).map_err(|e| e.to_string())
}

/// A small vocabulary that can spell every English title: the special tokens, the printable characters of ASCII in lower
/// case, each pair of letters, and all letters, digits and pairs as they continue a word.
pub(super) fn letters() -> Vec<String> {
    let singles: Vec<String> = ('!'..='~').filter(|c| !c.is_ascii_uppercase()).map(String::from).collect();
    let pairs = ('a'..='z').flat_map(|first| ('a'..='z').map(move |second| format!("{first}{second}")));
    let words: Vec<String> = singles.into_iter().chain(pairs).collect();
    let inside = words.iter().filter(|word| word.chars().all(char::is_alphanumeric)).map(|word| format!("##{word}"));
    let special = [PADDING, UNKNOWN, FIRST, LAST, MASKED].map(str::to_owned);
    special.into_iter().chain(words.iter().cloned()).chain(inside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(json: &str, text: &str) -> Vec<String> {
        let tokenizer: Tokenizer = json.parse().unwrap();
        tokenizer.encode(text, true).unwrap().get_tokens().to_vec()
    }

    #[test]
    fn every_english_title_can_be_spelt() {
        let json = word_piece(letters().into_iter(), Casing { lower: true, strip_accents: None }).unwrap();
        assert_eq!(tokens(&json, "Café [OC] 12"), ["[CLS]", "ca", "##fe", "[", "oc", "]", "1", "##2", "[SEP]"]);
        assert_eq!(tokens(&json, "狐"), ["[CLS]", "[UNK]", "[SEP]"]);
    }

    #[test]
    fn the_same_tokens_give_the_same_file() {
        let made = || word_piece(letters().into_iter(), Casing { lower: true, strip_accents: None }).unwrap();
        assert!(made() == made());
    }

    #[test]
    fn case_is_kept_where_it_matters() {
        let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Fox"].map(str::to_owned);
        let made = |lower| word_piece(words.clone().into_iter(), Casing { lower, strip_accents: None }).unwrap();
        assert_eq!(tokens(&made(false), "Fox"), ["[CLS]", "Fox", "[SEP]"]);
        assert_eq!(tokens(&made(true), "Fox"), ["[CLS]", "[UNK]", "[SEP]"]);
    }

    #[test]
    fn what_bert_cannot_do_without_must_be_there() {
        let made = |words: &[&str]| {
            word_piece(words.iter().map(|&word| word.to_owned()), Casing { lower: true, strip_accents: None })
        };
        assert_eq!(made(&["[UNK]", "[CLS]"]).unwrap_err(), "it has no token [SEP]");
        assert_eq!(made(&["[CLS]", "[SEP]"]).unwrap_err(), "it has no token [UNK]");
        assert_eq!(made(&["[CLS]", "[SEP]", "[CLS]"]).unwrap_err(), "the tokens 0 and 2 are the same");
    }
}
