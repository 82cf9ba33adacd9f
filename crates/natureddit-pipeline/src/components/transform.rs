//! Transform: what the encoders say of each example. Only photos and titles never seen before go through them. In which form
//! the encoders run is its `transform_graph`.

mod calibration;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use natureddit_core::fs::FsError;
use natureddit_core::{ContentHash, ContentHasher, Progress};
use natureddit_model::{Embedder, EncoderPair, Features, InputError, InputLimits, ModelInput, Precision, Runtime};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use super::photo::{PhotoFileProblem, first_readable, read_photo};
use super::{AssetLoader, read_json, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::embeddings::{EmbeddingCache, ReadLimits};
use crate::encoder_form::{EncoderHashes, write_precision};
use crate::examples::Example;
use crate::feature_shards::{ShardStore, shards};
use crate::file_state::FileStates;
use crate::split::Split;

/// The photos that have no features, by file name, and why.
pub const SKIPPED_FILE: &str = "skipped.json";

/// What [`SKIPPED_FILE`] holds.
pub type SkippedPhotos = BTreeMap<String, String>;

/// Photos a thread embeds before their features are written down and the progress is told.
const PHOTOS_A_THREAD: usize = 32;
/// Titles tokenised at once; like lengths share a batch.
const TITLES_AT_ONCE: usize = 512;

/// With which numbers the encoders calculate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrecisionConfig {
    /// Floats of 32 bits.
    Fp32,
    /// Integers of eight bits.
    Int8 {
        /// On how many training posts, those labelled first, the encoders are calibrated.
        calibration_posts: usize,
    },
}

impl PrecisionConfig {
    /// As settings name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Int8 { .. } => "int8",
        }
    }
}

/// Turns examples into features.
pub struct Transform {
    /// Which encoders.
    pub encoders: EncoderPair,
    /// With which numbers they calculate.
    pub precision: PrecisionConfig,
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
                version: 5,
                inputs: &[Port::new("examples", ArtifactType::Examples), Port::new("labels", ArtifactType::Labels)],
                outputs: &[
                    Port::new("transformed_examples", ArtifactType::TransformedExamples),
                    Port::new("transform_graph", ArtifactType::TransformGraph),
                ],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({
            "image_encoder": { "name": self.encoders.image.name, "hash": self.encoders.image_hash() },
            "text_encoder": { "name": self.encoders.text.name, "hash": self.encoders.text_hash() },
            "precision": self.precision,
            // Limits decide what has features: a larger one lets in what was skipped, a smaller one drops what is over it.
            "image_bytes_max": self.limits.image.bytes_max,
            "image_pixels_max": self.limits.image.pixels_max,
            "title_bytes_max": self.limits.text_bytes_max,
        })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let read = |split| Ok((split, cx.examples.read(io.input("examples"), split)?));
        let splits: Vec<(Split, Arc<[Example]>)> = Split::ALL.into_iter().map(read).collect::<anyhow::Result<_>>()?;
        let train = splits.iter().find(|(split, _)| *split == Split::Train).map_or(&[][..], |(_, train)| train);
        let precision = self.precision_by(train, io.input("labels"), cx)?;
        write_precision(io.output("transform_graph"), &precision)?;
        let mut embedding = Embedding::open(self, precision)?;
        embedding.known.encoders.write(io.output("transformed_examples"))?;
        let examples = splits.iter().flat_map(|(_, examples)| examples.iter());
        let skipped = embedding.embed_missing(examples.map(Subject::of), cx)?;
        write_json(&io.output("transformed_examples").join(SKIPPED_FILE), &skipped)?;
        let mut files = Vec::new();
        for (split, examples) in &splits {
            files.extend(shards(&io.output("transformed_examples").join(split.folder_name()), examples)?);
        }
        let (known, encoders) = (&embedding.known, &self.encoders);
        let keys: Vec<ContentHash> = files.par_iter().map(|(_, rows)| known.key(rows)).collect();
        let store = ShardStore::open(&self.cache_dir, &keys, &mut cx.files)?;
        files.par_iter().zip(&keys).try_for_each(|((path, rows), key)| {
            let features = || rows.iter().map(|example| known.features(&Subject::of(example))).collect();
            store.place(key, path, features, encoders)
        })
    }

    /// A photo whose file could not be used has features as soon as the file is what it should be.
    fn change_outside(&self, io: &ExecutionIo, _files: &mut FileStates) -> Option<OutsideChange> {
        let skipped: SkippedPhotos = read_json(&io.output("transformed_examples").join(SKIPPED_FILE)).ok()??;
        let path = first_readable(skipped, io.input("examples"), &self.images_dir, self.limits.image.bytes_max)?;
        Some(OutsideChange::Readable(path))
    }
}

/// A photo to embed, and every file that should hold it: posts may share a photo.
struct Photo<'e> {
    hash: ContentHash,
    names: Vec<&'e str>,
}

/// Why a photo has no features.
enum NoFeatures {
    /// None of its files could be used.
    Files(Vec<PhotoFileProblem>),
    /// It is no photo within the limits.
    Content(InputError),
}

impl From<InputError> for NoFeatures {
    fn from(error: InputError) -> Self {
        Self::Content(error)
    }
}

impl<'e> Photo<'e> {
    /// That of a post which has one.
    fn of(post: &Subject<'e>) -> Option<Self> {
        Some(Self { hash: post.sha256?, names: vec![post.img_name] })
    }

    /// The bytes, from the first file that holds them.
    fn read(&self, transform: &Transform) -> Result<Vec<u8>, NoFeatures> {
        let mut problems = Vec::new();
        for name in &self.names {
            match read_photo(&transform.images_dir.join(name), &self.hash, transform.limits.image.bytes_max) {
                Ok(bytes) => return Ok(bytes),
                Err(problem) => problems.push(problem),
            }
        }
        Err(NoFeatures::Files(problems))
    }

    /// Writes down why each of its files gave no features.
    fn skip(&self, why: &NoFeatures, skipped: &mut SkippedPhotos) {
        let names = self.names.iter().map(|&name| name.to_owned());
        match why {
            NoFeatures::Files(problems) => skipped.extend(names.zip(problems.iter().map(|p| p.code().to_owned()))),
            NoFeatures::Content(error) => skipped.extend(names.map(|name| (name, error.code().to_owned()))),
        }
    }
}

/// What is embedded of a post.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) title: &'a str,
    /// In the folder of photos; empty where there is none.
    pub(super) img_name: &'a str,
    pub(super) sha256: Option<ContentHash>,
}

impl<'a> Subject<'a> {
    pub(super) fn of(example: &'a Example) -> Self {
        Self { title: &example.title, img_name: &example.img_name, sha256: example.sha256 }
    }
}

/// One execution: what is known and, once needed, the encoders.
pub(super) struct Embedding<'a> {
    transform: &'a Transform,
    precision: Precision,
    pub(super) known: Known,
    embedder: Option<Embedder>,
}

/// The features that were made.
pub(super) struct Known {
    encoders: EncoderHashes,
    photos: EmbeddingCache,
    titles: EmbeddingCache,
}

impl Known {
    /// What is known of a post: none of what is missing or could not be embedded.
    pub(super) fn features(&self, post: &Subject<'_>) -> Result<Features, FsError> {
        let image = post.sha256.map_or(Ok(None), |hash| self.photos.get(&hash))?;
        Ok(Features { image, text: self.titles.get(&title_hash(post.title))? })
    }

    /// What the features of these posts follow from: which have some, of what, and by which encoders.
    fn key(&self, posts: &[&Example]) -> ContentHash {
        let mut hasher = ContentHasher::new();
        hasher.part("features of posts, version 1");
        hasher.part(self.encoders.image.as_bytes()).part(self.encoders.text.as_bytes());
        for post in posts.iter().copied().map(Subject::of) {
            let photo = post.sha256.filter(|hash| self.photos.contains(hash));
            let title = Some(title_hash(post.title)).filter(|hash| self.titles.contains(hash));
            for content in [photo, title] {
                hasher.part(content.as_ref().map_or(&[][..], |hash| hash.as_bytes()));
            }
        }
        hasher.finish()
    }
}

impl<'a> Embedding<'a> {
    /// With the encoders in this form.
    pub(super) fn open(transform: &'a Transform, precision: Precision) -> anyhow::Result<Self> {
        let encoders = EncoderHashes::of(&transform.encoders, &precision);
        let EncoderPair { image, text, .. } = &transform.encoders;
        let dir = &transform.cache_dir;
        let InputLimits { image: photo, text_bytes_max } = transform.limits;
        let photo = ReadLimits { bytes_max: photo.bytes_max, pixels_max: photo.pixels_max };
        let title = ReadLimits { bytes_max: text_bytes_max as u64, pixels_max: 0 };
        let photos = EmbeddingCache::open(dir, &encoders.image, image.features, photo)?;
        let titles = EmbeddingCache::open(dir, &encoders.text, text.features, title)?;
        Ok(Self { transform, precision, known: Known { encoders, photos, titles }, embedder: None })
    }

    /// Embeds what was never embedded before, and tells which photos have no features and why.
    pub(super) fn embed_missing<'e>(
        &mut self,
        posts: impl Iterator<Item = Subject<'e>>,
        cx: &mut ExecutionContext,
    ) -> anyhow::Result<SkippedPhotos> {
        let mut photos: BTreeMap<ContentHash, BTreeSet<&str>> = BTreeMap::new();
        let mut titles = BTreeMap::new();
        for Subject { title, img_name, sha256 } in posts {
            if let Some(hash) = sha256
                && !self.known.photos.contains(&hash)
            {
                photos.entry(hash).or_default().insert(img_name);
            }
            let hash = title_hash(title);
            if !title.trim().is_empty() && !self.known.titles.contains(&hash) {
                titles.insert(hash, title);
            }
        }
        cx.set_detail("photos_to_embed", photos.len());
        cx.set_detail("titles_to_embed", titles.len());
        if !(photos.is_empty() && titles.is_empty()) {
            self.load_encoders(&cx.progress)?;
        }
        let started = std::time::Instant::now();
        let photos = photos.into_iter().map(|(hash, names)| Photo { hash, names: names.into_iter().collect() });
        let skipped = self.embed_photos(&photos.collect::<Vec<_>>(), &cx.progress)?;
        cx.set_detail("photos_seconds", started.elapsed().as_secs_f64());
        self.embed_titles(&titles.into_iter().collect::<Vec<_>>(), &cx.progress)?;
        cx.set_detail("photos_skipped", skipped.len());
        self.known.photos.keep_keys()?;
        self.known.titles.keep_keys()?;
        Ok(skipped)
    }

    /// Embeds photos, and tells which of their files have no features and why.
    fn embed_photos(&mut self, photos: &[Photo<'_>], progress: &Progress) -> anyhow::Result<SkippedPhotos> {
        let mut skipped = SkippedPhotos::new();
        if photos.is_empty() {
            return Ok(skipped);
        }
        let transform = self.transform;
        progress.start("embedding photos", Some(photos.len() as u64));
        for chunk in photos.chunks(PHOTOS_A_THREAD * transform.threads.max(1)) {
            let embedded = self.embedder()?.embed_photos(chunk, |photo| photo.read(transform))?;
            for (photo, features) in chunk.iter().zip(embedded) {
                match features.map(|features| features.image) {
                    Ok(Some(features)) => self.known.photos.insert(&photo.hash, &features)?,
                    Ok(None) => {}
                    Err(why) => photo.skip(&why, &mut skipped),
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
                    self.known.titles.insert(hash, &features)?;
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
        let embedder = Embedder::build_at(encoders, &assets.encoders, &self.precision, &runtime, *limits, *threads)?;
        self.embedder = Some(embedder);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use natureddit_core::fs;
    use natureddit_model::{image_encoder_from_config, text_encoder_from_config};

    use super::*;
    use crate::component::InputFolder;
    use crate::examples::{ExampleSource, write_split};

    fn transform(dir: &Path) -> Transform {
        let image = image_encoder_from_config("efficientnet_lite0").unwrap();
        let text = text_encoder_from_config("all-MiniLM-L6-v2").unwrap();
        Transform {
            encoders: EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 },
            precision: PrecisionConfig::Fp32,
            images_dir: dir.join("images"),
            cache_dir: dir.join("embeddings"),
            limits: InputLimits {
                image: natureddit_image::ImageLimits { bytes_max: 10, pixels_max: 100 },
                text_bytes_max: 100,
            },
            threads: 1,
            assets: Arc::new(|_| anyhow::bail!("no encoder is needed")),
        }
    }

    #[test]
    fn posts_that_share_a_photo_need_one_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let transform = transform(folder.path());
        let photo = Photo { hash: ContentHash::of(b"photo"), names: vec!["a.jpg", "b.jpg"] };
        fs::write_atomic(&transform.images_dir.join("a.jpg"), "another").unwrap();
        let mut skipped = SkippedPhotos::new();
        photo.skip(&photo.read(&transform).unwrap_err(), &mut skipped);
        assert_eq!((skipped["a.jpg"].as_str(), skipped["b.jpg"].as_str()), ("changed_on_disk", "missing"));
        fs::write_atomic(&transform.images_dir.join("b.jpg"), "photo").unwrap();
        assert!(photo.read(&transform).is_ok_and(|bytes| bytes == b"photo"));
    }

    #[test]
    fn a_skipped_photo_is_asked_for_again_when_its_file_is_mended_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let transform = transform(folder.path());
        let (examples, output) = (folder.path().join("examples"), folder.path().join("output"));
        let example = |id: &str| Example {
            img_name: format!("{id}.jpg"),
            sha256: Some(ContentHash::of(id.as_bytes())),
            source: ExampleSource::Post,
            ..Example::title_alone(id.parse().unwrap(), String::new(), "fauna".into())
        };
        write_split(&examples, Split::Test, &["changed", "broken"].map(example)).unwrap();
        let skipped = [("changed.jpg", "changed_on_disk"), ("broken.jpg", "corrupt")];
        write_json(&output.join(SKIPPED_FILE), &BTreeMap::from(skipped)).unwrap();
        let io = ExecutionIo {
            inputs: [("examples", InputFolder { path: examples, hash: ContentHash::of(b"") })].into(),
            outputs: [("transformed_examples", output)].into(),
        };
        let mut files = FileStates::read(&folder.path().join("file_states.json"), false);
        let path = transform.images_dir.join("changed.jpg");
        for (name, text) in [("changed.jpg", "another"), ("broken.jpg", "broken"), ("changed.jpg", "far too large")] {
            fs::write_atomic(&transform.images_dir.join(name), text).unwrap();
            assert_eq!(transform.change_outside(&io, &mut files), None, "{text}");
        }
        fs::write_atomic(&path, "changed").unwrap();
        assert_eq!(transform.change_outside(&io, &mut files), Some(OutsideChange::Readable(path)));
    }
}
