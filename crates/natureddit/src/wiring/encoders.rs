//! The encoders that the settings name, wherever they come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use natureddit_core::{Asset, Progress, WEIGHT_INDEX_FILE};
use natureddit_model::{
    EncoderFiles, EncoderPair, EncoderSource, EncoderSpec, ImageEncoder, TextEncoder, image_encoder_from_config,
    text_encoder_from_config,
};
use natureddit_net::assets::{AssetStore, HubFile, HubRepo};
use natureddit_pipeline::components::{AssetLoader, ModelAssets};

use super::{asset_store, runtime_asset, tokio_runtime};
use crate::config::{Config, ImageEncoderConfig, TextEncoderConfig};

const CONFIG: HubFile = HubFile { names: &["config.json"], is_optional: false };
const WEIGHTS: HubFile =
    HubFile { names: &["model.safetensors", "pytorch_model.bin", WEIGHT_INDEX_FILE], is_optional: false };
/// What an image encoder's folder holds.
const IMAGE_FILES: [HubFile; 3] =
    [CONFIG, WEIGHTS, HubFile { names: &["preprocessor_config.json"], is_optional: true }];
/// What a text encoder's folder holds.
const TEXT_FILES: [HubFile; 4] = [
    CONFIG,
    WEIGHTS,
    HubFile { names: &["tokenizer.json", "vocab.txt"], is_optional: false },
    HubFile { names: &["tokenizer_config.json"], is_optional: true },
];

/// The encoders the settings name. Repositories of the hub are pulled if need be, for only their files tell what they are;
/// files and folders of the user's are looked at.
pub(crate) fn encoders(config: &Config, progress: &Progress) -> anyhow::Result<EncoderPair> {
    let model = &config.model;
    let store = asset_store(config)?;
    let image = match &model.image_encoder {
        ImageEncoderConfig::Spec(spec) => image_encoder(spec, &store, progress)?,
        ImageEncoderConfig::Onnx(declared) => ImageEncoder::from_onnx(declared)?,
    };
    let text = match &model.text_encoder {
        TextEncoderConfig::Spec(spec) => text_encoder(spec, &store, progress)?,
        TextEncoderConfig::Onnx(declared) => TextEncoder::from_onnx(declared)?,
    };
    Ok(EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: model.title_tokens_max })
}

fn image_encoder(spec: &EncoderSpec, store: &AssetStore, progress: &Progress) -> anyhow::Result<ImageEncoder> {
    let folder = |folder: &Path| ImageEncoder::from_folder(&spec.name, folder);
    Ok(match &spec.source {
        EncoderSource::Named(name) => image_encoder_from_config(name).context("the image encoder is not known")?,
        EncoderSource::Folder(path) => folder(path)?,
        EncoderSource::Random { architecture, seed } => ImageEncoder::random(&spec.name, architecture, *seed)?,
        EncoderSource::Hub { repo, revision } => {
            folder(&pull(store, &HubRepo { repo, revision, files: &IMAGE_FILES }, progress)?)?
        }
    })
}

fn text_encoder(spec: &EncoderSpec, store: &AssetStore, progress: &Progress) -> anyhow::Result<TextEncoder> {
    let folder = |folder: &Path| TextEncoder::from_folder(&spec.name, folder, spec.pooling);
    Ok(match &spec.source {
        EncoderSource::Named(name) => text_encoder_from_config(name).context("the text encoder is not known")?,
        EncoderSource::Folder(path) => folder(path)?,
        EncoderSource::Random { architecture, seed } => {
            TextEncoder::random(&spec.name, architecture, *seed, spec.pooling)?
        }
        EncoderSource::Hub { repo, revision } => {
            folder(&pull(store, &HubRepo { repo, revision, files: &TEXT_FILES }, progress)?)?
        }
    })
}

fn pull(store: &AssetStore, repo: &HubRepo<'_>, progress: &Progress) -> anyhow::Result<PathBuf> {
    Ok(tokio_runtime()?.block_on(store.pull_repo(repo, progress))?)
}

/// The repositories of the hub that the settings name and that are not on this machine; nothing is asked for from the
/// network.
pub(crate) fn missing_repos(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut wanted: Vec<(&EncoderSource, &[HubFile])> = Vec::new();
    if let ImageEncoderConfig::Spec(spec) = &config.model.image_encoder {
        wanted.push((&spec.source, &IMAGE_FILES));
    }
    if let TextEncoderConfig::Spec(spec) = &config.model.text_encoder {
        wanted.push((&spec.source, &TEXT_FILES));
    }
    let store = asset_store(config)?;
    tokio_runtime()?.block_on(async {
        let mut missing = Vec::new();
        for (source, files) in wanted {
            if let EncoderSource::Hub { repo, revision } = source
                && store.cached_repo(&HubRepo { repo, revision, files }).await?.is_none()
            {
                missing.push(repo.clone());
            }
        }
        Ok(missing)
    })
}

/// Every asset that training needs: the runtime first, and what is pinned of the encoders.
pub(crate) fn training_assets(encoders: &EncoderPair) -> anyhow::Result<Vec<&'static Asset>> {
    let mut wanted = vec![runtime_asset()?];
    wanted.extend(encoders.assets());
    Ok(wanted)
}

/// Pulls what is missing of the training assets when it is called.
pub(super) fn asset_loader(config: &Config, encoders: &EncoderPair) -> anyhow::Result<AssetLoader> {
    let store = asset_store(config)?;
    let wanted = training_assets(encoders)?;
    Ok(Arc::new(move |progress| {
        let mut paths = tokio_runtime()?.block_on(store.pull_all(&wanted, progress))?.into_iter();
        let runtime = paths.next().context("a path for every asset")?;
        let encoders = EncoderFiles::new(wanted.iter().copied().skip(1).zip(paths));
        Ok(ModelAssets { runtime, encoders })
    }))
}
