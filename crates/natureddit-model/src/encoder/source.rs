//! Where the files of an encoder are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{Asset, ContentHash, WeightIndex};

use crate::weights::{Shards, Tensors, Weights, WeightsError, parse_weights, read_verified};

/// Where the assets of encoders lie that were pulled.
#[derive(Clone, Debug, Default)]
pub struct EncoderFiles(BTreeMap<&'static str, PathBuf>);

impl EncoderFiles {
    /// Assets, as [`EncoderPair::assets`](super::EncoderPair::assets) names them, with their paths.
    #[must_use]
    pub fn new(pulled: impl IntoIterator<Item = (&'static Asset, PathBuf)>) -> Self {
        Self(pulled.into_iter().map(|(asset, path)| (asset.sha256, path)).collect())
    }

    fn path(&self, asset: &Asset) -> Result<&Path, WeightsError> {
        self.0.get(asset.sha256).map(PathBuf::as_path).ok_or(WeightsError::NotPulled(asset.name))
    }
}

/// A file of the user's, as it was when it was looked at.
#[derive(Clone, Debug)]
pub(super) struct HashedFile {
    pub(super) path: PathBuf,
    pub(super) sha256: ContentHash,
}

impl HashedFile {
    pub(super) fn look_at(path: PathBuf) -> Result<Self, FsError> {
        let sha256 = ContentHash::of_file(&path)?;
        Ok(Self { path, sha256 })
    }

    /// Its content, which is still the same.
    pub(super) fn read(&self) -> Result<Vec<u8>, WeightsError> {
        read_verified(&self.path, self.sha256)
    }

    pub(super) fn identity(&self) -> String {
        self.sha256.to_string()
    }
}

/// Weights in several files, as they were when they were looked at.
#[derive(Clone, Debug)]
pub(super) struct ShardedFiles {
    /// What says which file has which tensor, and its path.
    pub(super) index: WeightIndex,
    pub(super) index_file: HashedFile,
    /// By name.
    pub(super) files: BTreeMap<String, HashedFile>,
}

impl ShardedFiles {
    fn read(&self) -> Result<Tensors, WeightsError> {
        let mut shards = Shards::default();
        for (name, file) in &self.files {
            shards.add(&file.path, &file.read()?, self.index.tensors_of(name))?;
        }
        Ok(shards.into_tensors())
    }

    fn identity(&self) -> String {
        let files = self.files.values().map(HashedFile::identity);
        std::iter::once(self.index_file.identity()).chain(files).collect::<Vec<_>>().join(" ")
    }
}

/// Where weights come from.
#[derive(Clone, Debug)]
pub(super) enum WeightsSource {
    /// A file that is pinned by this program.
    Asset(&'static Asset),
    /// A file of a folder, which may have come from the hub.
    File(HashedFile),
    /// Several files of a folder.
    Shards(ShardedFiles),
    /// None: they follow from a seed.
    Seed(u64),
}

impl WeightsSource {
    pub(super) fn read(&self, files: &EncoderFiles) -> Result<Weights, WeightsError> {
        let (path, bytes) = match self {
            Self::Asset(asset) => {
                let path = files.path(asset)?;
                (path, fs::read(path)?)
            }
            Self::File(file) => (file.path.as_path(), file.read()?),
            Self::Shards(files) => return files.read().map(Weights::Given),
            Self::Seed(seed) => return Ok(Weights::Seeded(*seed)),
        };
        parse_weights(path, &bytes).map(Weights::Given)
    }

    pub(super) fn asset(&self) -> Option<&'static Asset> {
        if let Self::Asset(asset) = self { Some(asset) } else { None }
    }

    /// What decides the weights.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Asset(asset) => asset.sha256.to_owned(),
            Self::File(file) => file.identity(),
            Self::Shards(files) => files.identity(),
            Self::Seed(seed) => format!("seed {seed}"),
        }
    }
}

/// Where a tokenizer comes from.
#[derive(Clone, Debug)]
pub(super) enum TokenizerSource {
    /// A file that is pinned by this program.
    Asset(&'static Asset),
    /// A file of a folder.
    File(HashedFile),
    /// One that was made here: the content of its `tokenizer.json`.
    Made(String),
}

impl TokenizerSource {
    pub(super) fn read(&self, files: &EncoderFiles) -> Result<Vec<u8>, WeightsError> {
        match self {
            Self::Asset(asset) => Ok(fs::read(files.path(asset)?)?),
            Self::File(file) => file.read(),
            Self::Made(json) => Ok(json.clone().into_bytes()),
        }
    }

    pub(super) fn asset(&self) -> Option<&'static Asset> {
        if let Self::Asset(asset) = self { Some(asset) } else { None }
    }

    /// What decides the tokens.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Asset(asset) => asset.sha256.to_owned(),
            Self::File(file) => file.identity(),
            Self::Made(json) => ContentHash::of(json.as_bytes()).to_string(),
        }
    }
}
