//! `[encoders.NAME]`: encoders in ONNX files, with how their inputs are prepared.

use natureddit_model::{
    Channels, EncoderSource, EncoderSpec, ImageEncoder, ImagePreprocess, OnnxImageEncoder, OnnxTextEncoder,
    ResizeFilter, TextEncoder,
};

use super::ConfigError;
use super::check::{Checker, TableChecker};
use super::raw::RawEncoder;

/// The table whose keys are names of encoders.
pub(super) const TABLE: &str = "encoders";

/// Every key of such an encoder with what it is where it is left out; an empty text or a 0 is "not set".
pub(super) const EXAMPLE: &str = r#"
file = ""
output = ""
features = 0
licence = ""
input = ""
size = 0
short_side = 0
filter = "bilinear"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
tokenizer = ""
input_ids = "input_ids"
attention_mask = "attention_mask"
token_type_ids = ""
tokens_max = 512
"#;

/// The keys that only an encoder of photos has, and those that only one of titles has.
const IMAGE_KEYS: [&str; 6] = ["input", "size", "short_side", "filter", "mean", "std"];
const TEXT_KEYS: [&str; 5] = ["tokenizer", "input_ids", "attention_mask", "token_type_ids", "tokens_max"];

/// More than any encoder sees.
const SIZE_MAX: i64 = 1024;
const FEATURES_MAX: i64 = 65_536;
/// What shares are given of.
const BYTE_MAX: f64 = 255.0;

/// The encoder of photos.
#[derive(Clone, Debug)]
pub enum ImageEncoderConfig {
    /// One that is built here.
    Spec(EncoderSpec),
    /// An ONNX file.
    Onnx(Box<OnnxImageEncoder>),
}

/// The encoder of titles.
#[derive(Clone, Debug)]
pub enum TextEncoderConfig {
    /// One that is built here.
    Spec(EncoderSpec),
    /// An ONNX file.
    Onnx(Box<OnnxTextEncoder>),
}

/// Every encoder that has a table, in the order of their names, also those that `[model]` does not name.
#[derive(Clone, Debug, Default)]
pub struct EncoderTables {
    /// Of photos.
    pub image: Vec<OnnxImageEncoder>,
    /// Of titles: those with a tokenizer, and the one that is named so.
    pub text: Vec<OnnxTextEncoder>,
}

/// The encoders that `[encoders]` declares.
pub(super) struct Declared<'a> {
    pub(super) encoders: &'a std::collections::BTreeMap<String, RawEncoder>,
    pub(super) checker: &'a Checker<'a>,
}

impl Declared<'_> {
    /// Checks every table, whether it is named or not; `named` are those that are, of photos and of titles.
    pub(super) fn tables(
        &self,
        named: (&ImageEncoderConfig, &TextEncoderConfig),
    ) -> Result<EncoderTables, ConfigError> {
        let mut tables = EncoderTables::default();
        for (name, raw) in self.encoders {
            match named {
                (ImageEncoderConfig::Onnx(image), _) if image.name == *name => tables.image.push((**image).clone()),
                (_, TextEncoderConfig::Onnx(text)) if text.name == *name => tables.text.push((**text).clone()),
                _ => {
                    let table = format!("{TABLE}.{name}");
                    let at = self.checker.table(&table);
                    if at.is_set("tokenizer") {
                        tables.text.push(text_file(name, raw, &at)?);
                    } else {
                        tables.image.push(image(name, raw, &at)?);
                    }
                }
            }
        }
        Ok(tables)
    }

    pub(super) fn image(&self, at: &TableChecker<'_>, text: &str) -> Result<ImageEncoderConfig, ConfigError> {
        const KEY: &str = "image_encoder";
        match self.find(at, KEY, text, (&ImageEncoder::NAMES, &ImageEncoder::RANDOM))? {
            Found::Spec(spec) => Ok(ImageEncoderConfig::Spec(spec)),
            Found::Onnx(raw) => {
                let table = format!("{TABLE}.{text}");
                let checked = image(text, raw, &self.checker.table(&table))?;
                Ok(ImageEncoderConfig::Onnx(Box::new(checked)))
            }
        }
    }

    pub(super) fn text(&self, at: &TableChecker<'_>, text: &str) -> Result<TextEncoderConfig, ConfigError> {
        const KEY: &str = "text_encoder";
        match self.find(at, KEY, text, (&TextEncoder::NAMES, &TextEncoder::RANDOM))? {
            Found::Spec(spec) => Ok(TextEncoderConfig::Spec(spec)),
            Found::Onnx(raw) => {
                let table = format!("{TABLE}.{text}");
                let checked = text_file(text, raw, &self.checker.table(&table))?;
                Ok(TextEncoderConfig::Onnx(Box::new(checked)))
            }
        }
    }

    fn find(
        &self,
        at: &TableChecker<'_>,
        key: &str,
        text: &str,
        (names, random): (&[&str], &[&str]),
    ) -> Result<Found<'_>, ConfigError> {
        let spec = EncoderSpec::parse(text, self.checker.root).map_err(|must_be| at.bad(key, text, must_be))?;
        match &spec.source {
            EncoderSource::Named(name) if names.contains(&name.as_str()) => Ok(Found::Spec(spec)),
            EncoderSource::Named(name) => match self.encoders.get(name) {
                Some(raw) => Ok(Found::Onnx(raw)),
                None => {
                    let declared = self.encoders.keys().map(String::as_str);
                    let words: Vec<&str> = names.iter().copied().chain(declared).collect();
                    let mut error = at.none_of(key, text, &words);
                    if let ConfigError::BadValue { must_be, .. } = &mut error {
                        must_be.push_str(
                            "; or \"owner/name\" of the Hugging Face hub, a folder that begins with \"./\" or \"/\", \
                             \"random:NETWORK?seed=NUMBER\", or the name of a table [encoders.NAME]",
                        );
                    }
                    Err(error)
                }
            },
            EncoderSource::Random { architecture, .. } if !random.contains(&architecture.as_str()) => {
                let words: Vec<String> = random.iter().map(|name| format!("random:{name}")).collect();
                Err(at.none_of(key, text, &words.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            _ => Ok(Found::Spec(spec)),
        }
    }
}

/// What a name stands for.
enum Found<'a> {
    Spec(EncoderSpec),
    Onnx(&'a RawEncoder),
}

/// Keys that an encoder of the other kind has would be passed over in silence.
fn refuse(keys: &[&str], kind: &str, at: &TableChecker<'_>) -> Result<(), ConfigError> {
    match keys.iter().find(|key| at.is_set(key)) {
        Some(key) => Err(at.misplaced(key, format!("left out, for this is an encoder of {kind}"))),
        None => Ok(()),
    }
}

fn image(name: &str, raw: &RawEncoder, at: &TableChecker<'_>) -> Result<OnnxImageEncoder, ConfigError> {
    refuse(&TEXT_KEYS, "photos", at)?;
    let size = at.integer("size", raw.size, 1..=SIZE_MAX)?;
    let short_side = optional(raw.short_side);
    let short_side = short_side.map(|side| at.integer("short_side", side, raw.size..=SIZE_MAX)).transpose()?;
    let filters = [("bilinear", ResizeFilter::Bilinear), ("bicubic", ResizeFilter::Bicubic)];
    let of_bytes = |share: f64| (share * BYTE_MAX) as f32;
    let mean = three(at, "mean", &raw.mean, |share| (-1.0..=1.0).contains(&share))?.map(of_bytes);
    let scale = three(at, "std", &raw.std, |share| (0.001..=1.0).contains(&share))?.map(of_bytes);
    Ok(OnnxImageEncoder {
        name: name.to_owned(),
        file: at.path("file", &raw.file)?,
        input: named(&raw.input),
        output: named(&raw.output),
        features: features(raw, at)?,
        preprocess: ImagePreprocess {
            size,
            mean: Channels::Each(mean),
            scale: Channels::Each(scale),
            short_side,
            filter: at.one_of("filter", &raw.filter, &filters)?,
            decoded_side_min: None,
        },
        licence: named(&raw.licence),
    })
}

fn text_file(name: &str, raw: &RawEncoder, at: &TableChecker<'_>) -> Result<OnnxTextEncoder, ConfigError> {
    refuse(&IMAGE_KEYS, "titles", at)?;
    let input = |key: &str, text: &str| named(text).ok_or_else(|| at.bad(key, text, "the name of an input"));
    Ok(OnnxTextEncoder {
        name: name.to_owned(),
        file: at.path("file", &raw.file)?,
        tokenizer: at.path("tokenizer", &raw.tokenizer)?,
        ids: input("input_ids", &raw.input_ids)?,
        mask: input("attention_mask", &raw.attention_mask)?,
        kinds: named(&raw.token_type_ids),
        output: named(&raw.output),
        features: features(raw, at)?,
        tokens_max: at.integer("tokens_max", raw.tokens_max, 8..=512)?,
        licence: named(&raw.licence),
    })
}

fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn optional(number: i64) -> Option<i64> {
    (number != 0).then_some(number)
}

fn features(raw: &RawEncoder, at: &TableChecker<'_>) -> Result<Option<usize>, ConfigError> {
    optional(raw.features).map(|features| at.integer("features", features, 1..=FEATURES_MAX)).transpose()
}

/// Red, green and blue.
fn three(
    at: &TableChecker<'_>,
    key: &str,
    shares: &[f64],
    is_share: impl Fn(f64) -> bool,
) -> Result<[f64; 3], ConfigError> {
    let three: Option<[f64; 3]> =
        shares.try_into().ok().filter(|shares: &[f64; 3]| shares.iter().all(|&s| is_share(s)));
    three.ok_or_else(|| {
        at.bad(key, shares, "three shares of 255, for red, green and blue, such as [0.485, 0.456, 0.406]")
    })
}
