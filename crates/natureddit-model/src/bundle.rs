//! A model as a folder of data: graphs, head, tokenizer, configs, and a manifest with the hash of each.
//!
//! ```text
//! manifest.json         this format's version, model name, classes, encoders, lineage, SHA-256 and size of each file
//! labels.json           {"0": "fauna", ...}, TorchServe's index_to_name form
//! preprocess.json       what decides the tensors the encoders see
//! image_encoder.onnx    pixels [n, 3, size, size] -> features
//! text_encoder.onnx     input_ids, attention_mask [n, tokens] -> embedding
//! tokenizer.json        Hugging Face tokenizers
//! head.safetensors      standardisation and the linear layer
//! precision.json        where an encoder is in eight bits: the ranges of its activations
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ClassNames, ContentHash};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::encoder::{EncoderFiles, EncoderGraphs, EncoderPair, EncoderPorts, Ports, Widths};
use crate::error::ModelError;
use crate::head::Head;
use crate::preprocess::PreprocessConfig;
use crate::quantization::{ActivationRanges, Precision};
use crate::train::TunedEncoders;
use crate::weights::WeightsError;

/// The version of this folder's form.
const FORMAT: u32 = 1;
/// Far above any manifest; a larger file is not one.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 1 << 20;

const LABELS: &str = "labels.json";
const PREPROCESS: &str = "preprocess.json";
const IMAGE_ENCODER: &str = "image_encoder.onnx";
const TEXT_ENCODER: &str = "text_encoder.onnx";
const TOKENIZER: &str = "tokenizer.json";
const HEAD: &str = "head.safetensors";
const PRECISION: &str = "precision.json";
/// Those of every bundle.
const FILES: [&str; 6] = [LABELS, PREPROCESS, IMAGE_ENCODER, TEXT_ENCODER, TOKENIZER, HEAD];

/// What a bundle says of itself. It holds no time and no version, so that equal content is equal bytes; the version
/// is the name of the folder it was pushed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the folder's form.
    pub format: u32,
    /// The model's name.
    pub name: String,
    /// The classes in the order of the probabilities.
    pub classes: ClassNames,
    /// The image encoder.
    pub image_encoder: EncoderRecord,
    /// The text encoder.
    pub text_encoder: EncoderRecord,
    /// Where the model comes from: hashes of the examples and the trainer's settings.
    pub lineage: BTreeMap<String, String>,
    /// The version of the program that wrote it.
    pub producer: String,
    /// Every other file of the folder.
    pub files: BTreeMap<String, FileRecord>,
}

/// With which numbers an encoder calculates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderPrecision {
    /// Floats of 32 bits.
    #[default]
    Fp32,
    /// Integers of eight bits.
    Int8,
}

impl EncoderPrecision {
    fn of(ranges: Option<&ActivationRanges>) -> Self {
        ranges.map_or(Self::Fp32, |_| Self::Int8)
    }

    fn is_fp32(&self) -> bool {
        *self == Self::Fp32
    }
}

impl fmt::Display for EncoderPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Int8 => "int8",
        })
    }
}

/// An encoder as the manifest names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderRecord {
    /// Its name in the config.
    pub name: String,
    /// How many features it gives.
    pub features: usize,
    /// What decides these features (weights, graph, precision, preprocessing).
    pub hash: ContentHash,
    /// With which numbers it calculates; a manifest that does not say so is of floats.
    #[serde(default, skip_serializing_if = "EncoderPrecision::is_fp32")]
    pub precision: EncoderPrecision,
    /// The licence of its weights.
    pub licence: String,
    /// How the values of its graph are called; nothing for a graph that this program built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Ports>,
}

impl Manifest {
    /// Whether an encoder calculates in eight bits.
    #[must_use]
    pub fn is_int8(&self) -> bool {
        [&self.image_encoder, &self.text_encoder].into_iter().any(|encoder| !encoder.precision.is_fp32())
    }

    /// The names of its bundle's files, in order.
    pub(crate) fn file_names(&self) -> BTreeSet<&'static str> {
        FILES.into_iter().chain(self.is_int8().then_some(PRECISION)).collect()
    }
}

/// A file as the manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// SHA-256 of its content.
    pub sha256: ContentHash,
    /// Its size.
    pub bytes: u64,
}

/// Why a folder was not taken as a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// The manifest or a config is not what it should be.
    #[error("{path} is not valid: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file has not the size that the manifest names.
    #[error("{path} is corrupted: it has {found} bytes, the manifest says {expected}", path = path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// The manifest's size.
        expected: u64,
        /// The file's.
        found: u64,
    },
    /// A file is not the one the manifest names.
    #[error("{path} is corrupted: its SHA-256 is {found}, the manifest says {expected}", path = path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// The manifest's hash.
        expected: ContentHash,
        /// The file's.
        found: ContentHash,
    },
    /// The head cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl BundleError {
    fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// What a bundle is made of.
#[derive(Debug)]
pub struct BundleParts<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The classes.
    pub classes: &'a ClassNames,
    /// Which encoders.
    pub encoders: &'a EncoderPair,
    /// In which form they run.
    pub precision: &'a Precision,
    /// Their weights.
    pub files: &'a EncoderFiles,
    /// The trained head.
    pub head: &'a Head,
    /// Where the model comes from.
    pub lineage: BTreeMap<String, String>,
}

/// A bundle whose every file has the hash its manifest names.
#[derive(Clone, Debug)]
pub struct ModelBundle {
    dir: PathBuf,
    /// What the bundle says of itself.
    pub manifest: Manifest,
    preprocess: PreprocessConfig,
    /// The folder, where it is one that goes with the bundle.
    unpacked: Option<Arc<TempDir>>,
}

impl ModelBundle {
    /// The file that names all others by their hash.
    pub const MANIFEST: &str = "manifest.json";

    /// Writes a bundle into an empty folder, its manifest last.
    ///
    /// # Errors
    /// When the weights are not what the encoders need, or a file cannot be written.
    pub fn write(dir: &Path, parts: BundleParts<'_>) -> Result<Self, ModelError> {
        let graphs = parts.precision.graphs(parts.encoders, parts.files)?;
        let records = records(parts.encoders, parts.precision);
        Self::write_with(dir, parts, &graphs, records)
    }

    /// As [`ModelBundle::write`], with encoders that were tuned in the place of those as they were published; they are in
    /// floats.
    ///
    /// # Errors
    /// The same.
    pub fn write_tuned(dir: &Path, parts: BundleParts<'_>, tuned: &TunedEncoders) -> Result<Self, ModelError> {
        let floats = Precision::default();
        let (mut image, mut text) = records(parts.encoders, &floats);
        image.hash = tuned.image_hash(parts.encoders);
        text.hash = tuned.text_hash(parts.encoders);
        Self::write_with(dir, BundleParts { precision: &floats, ..parts }, &tuned.0, (image, text))
    }

    fn write_with(
        dir: &Path,
        parts: BundleParts<'_>,
        graphs: &EncoderGraphs,
        (image_encoder, text_encoder): (EncoderRecord, EncoderRecord),
    ) -> Result<Self, ModelError> {
        let BundleParts { encoders, precision, files, .. } = parts;
        let preprocess = encoders.preprocess();
        let labels: BTreeMap<usize, &str> = parts.classes.names().enumerate().collect();
        write_json(&dir.join(LABELS), &labels)?;
        write_json(&dir.join(PREPROCESS), &preprocess)?;
        fs::write_atomic(&dir.join(IMAGE_ENCODER), &graphs.image).map_err(BundleError::from)?;
        fs::write_atomic(&dir.join(TEXT_ENCODER), &graphs.text).map_err(BundleError::from)?;
        fs::write_atomic(&dir.join(TOKENIZER), encoders.tokenizer(files)?).map_err(BundleError::from)?;
        parts.head.write(&dir.join(HEAD))?;

        let mut manifest = Manifest {
            format: FORMAT,
            name: parts.name.to_owned(),
            classes: parts.classes.clone(),
            image_encoder,
            text_encoder,
            lineage: parts.lineage,
            producer: concat!("natureddit ", env!("CARGO_PKG_VERSION")).to_owned(),
            files: BTreeMap::new(),
        };
        if manifest.is_int8() {
            write_json(&dir.join(PRECISION), precision)?;
        }
        let names = manifest.file_names().into_iter();
        manifest.files = names.map(|name| file_record(dir, name)).collect::<Result<_, _>>()?;
        write_json(&dir.join(Self::MANIFEST), &manifest)?;
        Ok(Self { dir: dir.to_owned(), manifest, preprocess, unpacked: None })
    }

    /// What a bundle says of itself; whether it is true is not looked at.
    ///
    /// # Errors
    /// [`BundleError::Format`] when it is no manifest of this form.
    pub fn read_manifest(dir: &Path) -> Result<Manifest, BundleError> {
        let path = dir.join(Self::MANIFEST);
        let manifest: Manifest = read_json(&path)?;
        if manifest.format != FORMAT {
            return Err(BundleError::format(&path, format!("format {} is not {FORMAT}", manifest.format)));
        }
        Ok(manifest)
    }

    /// Reads a bundle and checks the size and hash of every file. Other files in the folder are not looked at.
    ///
    /// # Errors
    /// [`BundleError::Size`] and [`BundleError::Corrupted`] name a file that is not the one the manifest names;
    /// [`BundleError::Format`] a manifest of another form, one whose files are not exactly those of a bundle, or
    /// preprocessing that cannot be.
    pub fn read(dir: &Path) -> Result<Self, BundleError> {
        let manifest = Self::read_manifest(dir)?;
        let path = dir.join(Self::MANIFEST);
        let names = manifest.file_names();
        if !manifest.files.keys().map(String::as_str).eq(names.iter().copied()) {
            let names: Vec<&str> = names.into_iter().collect();
            return Err(BundleError::format(&path, format!("its files must be {}", names.join(", "))));
        }
        for (name, expected) in &manifest.files {
            let path = dir.join(name);
            // Before it is read, for a device or a pipe of that name may have no end.
            let metadata = fs::metadata(&path)?;
            if !metadata.is_file() {
                return Err(BundleError::format(&path, "it is not a file"));
            }
            if metadata.len() != expected.bytes {
                return Err(BundleError::Size { path, expected: expected.bytes, found: metadata.len() });
            }
            let found = ContentHash::of_file(&path)?;
            if found != expected.sha256 {
                return Err(BundleError::Corrupted { path, expected: expected.sha256, found });
            }
        }
        let path = dir.join(PREPROCESS);
        let preprocess: PreprocessConfig = read_json(&path)?;
        preprocess.check().map_err(|reason| BundleError::format(&path, reason))?;
        Ok(Self { dir: dir.to_owned(), manifest, preprocess, unpacked: None })
    }

    /// Lets its folder go with the last clone.
    pub(crate) fn keep(&mut self, unpacked: Arc<TempDir>) {
        self.unpacked = Some(unpacked);
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How its inputs are prepared.
    #[must_use]
    pub fn preprocess(&self) -> &PreprocessConfig {
        &self.preprocess
    }

    /// The trained head.
    ///
    /// # Errors
    /// When its tensors do not fit the manifest.
    pub fn head(&self) -> Result<Head, BundleError> {
        let Manifest { classes, image_encoder, text_encoder, .. } = &self.manifest;
        Ok(Head::read(&self.dir.join(HEAD), classes.len(), image_encoder.features, text_encoder.features)?)
    }

    /// In which form its encoders run.
    ///
    /// # Errors
    /// When its file holds something else.
    pub fn precision(&self) -> Result<Precision, BundleError> {
        if self.manifest.is_int8() { read_json(&self.dir.join(PRECISION)) } else { Ok(Precision::default()) }
    }

    pub(crate) fn graphs(&self) -> (PathBuf, PathBuf) {
        (self.dir.join(IMAGE_ENCODER), self.dir.join(TEXT_ENCODER))
    }

    /// How many features the graphs give, and how their values are called.
    pub(crate) fn widths_and_ports(&self) -> (Widths, EncoderPorts) {
        let Manifest { image_encoder: image, text_encoder: text, .. } = &self.manifest;
        let ports = EncoderPorts {
            image: image.ports.clone().unwrap_or_else(Ports::built_image),
            text: text.ports.clone().unwrap_or_else(Ports::built_text),
        };
        (Widths { image: image.features, text: text.features }, ports)
    }

    pub(crate) fn tokenizer(&self) -> PathBuf {
        self.dir.join(TOKENIZER)
    }
}

/// Both encoders as the manifest names them.
fn records(encoders: &EncoderPair, precision: &Precision) -> (EncoderRecord, EncoderRecord) {
    let EncoderPair { image, text, .. } = encoders;
    let image = EncoderRecord {
        name: image.name.clone(),
        features: image.features,
        hash: precision.image_hash(encoders),
        precision: EncoderPrecision::of(precision.image.as_ref()),
        licence: image.licence.clone(),
        ports: image.ports().cloned(),
    };
    let text = EncoderRecord {
        name: text.name.clone(),
        features: text.features,
        hash: precision.text_hash(encoders),
        precision: EncoderPrecision::of(precision.text.as_ref()),
        licence: text.licence.clone(),
        ports: text.ports().cloned(),
    };
    (image, text)
}

fn file_record(dir: &Path, name: &str) -> Result<(String, FileRecord), BundleError> {
    let path = dir.join(name);
    let record = FileRecord { sha256: ContentHash::of_file(&path)?, bytes: fs::metadata(&path)?.len() };
    Ok((name.to_owned(), record))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), BundleError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| BundleError::format(path, e))?;
    text.push('\n');
    Ok(fs::write_atomic(path, text)?)
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, BundleError> {
    let bytes = fs::read_limited(path, MANIFEST_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|e| BundleError::format(path, e))
}
