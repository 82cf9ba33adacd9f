//! Transform: what the encoders say of each example. Only photos and titles never seen before go through them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use natureddit_core::{ContentHash, Progress, fs};
use natureddit_model::{Embedder, EncoderPair, Features, InputLimits, ModelInput, Runtime, write_features};
use serde_json::{Value, json};

use super::{AssetLoader, FEATURES_FILE, read_json, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::embeddings::EmbeddingCache;
use crate::examples::{Example, read_split};
use crate::split::Split;

/// The photos that have no features, by file name, and why.
pub const SKIPPED_FILE: &str = "skipped.json";

/// What [`SKIPPED_FILE`] holds.
pub type SkippedPhotos = BTreeMap<String, String>;

/// The reason of a photo whose file is not there.
const MISSING: &str = "missing";

/// Photos decoded at once: enough to keep every core busy. In memory at once: so many of `InputLimits` at the most.
const PHOTOS_AT_ONCE: usize = 64;
/// Titles tokenised at once; like lengths share a batch.
const TITLES_AT_ONCE: usize = 512;

/// Turns examples into features.
pub struct Transform {
    /// Which encoders.
    pub encoders: EncoderPair,
    /// Where the photos are.
    pub images_dir: PathBuf,
    /// Where features are kept between runs.
    pub cache_dir: PathBuf,
    /// The largest photo and title.
    pub limits: InputLimits,
    /// How many threads the encoders use.
    pub threads: usize,
    /// Finds or pulls the encoders when there is something to embed.
    pub assets: AssetLoader,
}

impl Component for Transform {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Transform",
                version: 2,
                inputs: &[Port::new("examples", ArtifactType::Examples)],
                outputs: &[Port::new("transformed_examples", ArtifactType::TransformedExamples)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({
            "image_encoder": { "name": self.encoders.image.name, "hash": self.encoders.image_hash() },
            "text_encoder": { "name": self.encoders.text.name, "hash": self.encoders.text_hash() },
            // A larger limit lets in what was skipped; what has features keeps them under a smaller one.
            "image_bytes_max": self.limits.image.bytes_max,
            "image_pixels_max": self.limits.image.pixels_max,
            "title_bytes_max": self.limits.text_bytes_max,
        })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let splits: Vec<(Split, Vec<Example>)> = Split::ALL
            .into_iter()
            .map(|split| Ok((split, read_split(io.input("examples"), split)?)))
            .collect::<anyhow::Result<_>>()?;
        let mut work = Work::open(self)?;
        let examples = splits.iter().flat_map(|(_, examples)| examples);
        let skipped = work.embed_missing(examples, cx)?;
        write_json(&io.output("transformed_examples").join(SKIPPED_FILE), &skipped)?;
        for (split, examples) in &splits {
            let rows: Vec<Features> = examples.iter().map(|example| work.features(example)).collect();
            let path = io.output("transformed_examples").join(split.folder_name()).join(FEATURES_FILE);
            write_features(&path, &rows, self.encoders.image.features, self.encoders.text.features)?;
        }
        Ok(())
    }

    /// A photo that was not there has features as soon as it is.
    fn change_outside(&self, io: &ExecutionIo) -> Option<OutsideChange> {
        let skipped: SkippedPhotos = read_json(&io.output("transformed_examples").join(SKIPPED_FILE)).ok()?;
        let missing = skipped.iter().filter(|(_, reason)| *reason == MISSING).map(|(name, _)| name);
        let found = missing.map(|name| self.images_dir.join(name)).find(|path| path.is_file());
        found.map(OutsideChange::Readable)
    }
}

/// One execution: the caches and, once needed, the encoders.
struct Work<'a> {
    transform: &'a Transform,
    photos: EmbeddingCache,
    titles: EmbeddingCache,
    embedder: Option<Embedder>,
}

impl<'a> Work<'a> {
    fn open(transform: &'a Transform) -> anyhow::Result<Self> {
        let EncoderPair { image, text, .. } = transform.encoders;
        let dir = &transform.cache_dir;
        let photos = EmbeddingCache::open(dir, &transform.encoders.image_hash(), image.features)?;
        let titles = EmbeddingCache::open(dir, &transform.encoders.text_hash(), text.features)?;
        Ok(Self { transform, photos, titles, embedder: None })
    }

    fn features(&self, example: &Example) -> Features {
        let photo = example.sha256.and_then(|hash| self.photos.get(&hash));
        let title = self.titles.get(&title_hash(&example.title));
        Features { image: photo.map(<[f32]>::to_vec), text: title.map(<[f32]>::to_vec) }
    }

    fn embed_missing<'e>(
        &mut self,
        examples: impl Iterator<Item = &'e Example>,
        cx: &mut ExecutionContext,
    ) -> anyhow::Result<SkippedPhotos> {
        let mut photos = BTreeMap::new();
        let mut titles = BTreeMap::new();
        for example in examples {
            if let Some(hash) = example.sha256
                && self.photos.get(&hash).is_none()
            {
                photos.insert(hash, example.img_name.as_str());
            }
            let hash = title_hash(&example.title);
            if !example.title.trim().is_empty() && self.titles.get(&hash).is_none() {
                titles.insert(hash, example.title.as_str());
            }
        }
        cx.set_detail("photos_to_embed", photos.len());
        cx.set_detail("titles_to_embed", titles.len());
        if !(photos.is_empty() && titles.is_empty()) {
            self.load_encoders(&cx.progress)?;
        }
        let started = std::time::Instant::now();
        let skipped = self.embed_photos(&photos.into_iter().collect::<Vec<_>>(), &cx.progress)?;
        cx.set_detail("photos_seconds", started.elapsed().as_secs_f64());
        self.embed_titles(&titles.into_iter().collect::<Vec<_>>(), &cx.progress)?;
        cx.set_detail("photos_skipped", skipped.len());
        Ok(skipped)
    }

    /// Embeds photos, and tells which of them have no features and why.
    fn embed_photos(&mut self, photos: &[(ContentHash, &str)], progress: &Progress) -> anyhow::Result<SkippedPhotos> {
        let mut skipped = SkippedPhotos::new();
        if photos.is_empty() {
            return Ok(skipped);
        }
        let mut skip = |name: &str, reason: &str| {
            skipped.insert(name.to_owned(), reason.to_owned());
        };
        progress.start("embedding photos", Some(photos.len() as u64));
        for chunk in photos.chunks(PHOTOS_AT_ONCE) {
            let mut readable = Vec::with_capacity(chunk.len());
            for (hash, name) in chunk {
                match fs::read_limited(&self.transform.images_dir.join(name), self.transform.limits.image.bytes_max) {
                    Ok(bytes) if ContentHash::of(&bytes) == *hash => readable.push((hash, name, bytes)),
                    Ok(_) => skip(name, "changed_on_disk"),
                    Err(e) if e.is_not_found() => skip(name, MISSING),
                    Err(e) if e.is_too_large() => skip(name, "too_many_bytes"),
                    // One photo that cannot be read must not stop the others.
                    Err(e) => {
                        tracing::warn!("{e}");
                        skip(name, "unreadable");
                    }
                }
            }
            let inputs: Vec<ModelInput<'_>> =
                readable.iter().map(|(.., bytes)| ModelInput { text: None, image: Some(bytes) }).collect();
            for ((hash, name, _), features) in readable.iter().zip(self.embedder()?.embed(&inputs)?) {
                match features.map(|features| features.image) {
                    Ok(Some(features)) => self.photos.insert(hash, features)?,
                    Ok(None) => {}
                    Err(e) => skip(name, e.code()),
                }
            }
            progress.advance(chunk.len() as u64);
        }
        progress.finish();
        Ok(skipped)
    }

    fn embed_titles(&mut self, titles: &[(ContentHash, &str)], progress: &Progress) -> anyhow::Result<()> {
        if titles.is_empty() {
            return Ok(());
        }
        progress.start("embedding titles", Some(titles.len() as u64));
        for chunk in titles.chunks(TITLES_AT_ONCE) {
            let inputs: Vec<ModelInput<'_>> =
                chunk.iter().map(|(_, title)| ModelInput { text: Some(title), image: None }).collect();
            for ((hash, _), features) in chunk.iter().zip(self.embedder()?.embed(&inputs)?) {
                if let Ok(Features { text: Some(features), .. }) = features {
                    self.titles.insert(hash, features)?;
                }
            }
            progress.advance(chunk.len() as u64);
        }
        progress.finish();
        Ok(())
    }

    fn load_encoders(&mut self, progress: &Progress) -> anyhow::Result<()> {
        let assets = (self.transform.assets)(progress)?;
        let runtime = Runtime::load(&assets.runtime)?;
        let Transform { encoders, limits, threads, .. } = self.transform;
        self.embedder = Some(Embedder::build(encoders, &assets.encoders, &runtime, *limits, *threads)?);
        Ok(())
    }

    fn embedder(&mut self) -> anyhow::Result<&mut Embedder> {
        self.embedder.as_mut().context("the encoders are not loaded")
    }
}

/// The key of a title's features. A title that cannot be tokenised has none and counts as missing.
fn title_hash(title: &str) -> ContentHash {
    ContentHash::of(title.as_bytes())
}
