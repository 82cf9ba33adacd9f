//! Between which values the activations of encoders in eight bits lie.
//!
//! They are measured on the training posts that were labelled first. Labels are only ever added, so that neither a new day nor
//! a label for an old post changes a range, and with it all features; only when one of these posts is gone are they measured
//! anew. What was measured is kept beside the features, `<hash of the encoder in floats>.ranges`, with the hash of what it was
//! measured on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use natureddit_core::{ContentHash, ContentHasher, PostId, Progress};
use natureddit_data::{Label, Labels};
use natureddit_model::{
    ActivationRanges, EncoderPair, ModelInput, Precision, Preprocessor, QUANTIZE_VERSION, QuantizeError, Runtime,
    calibrate_image, calibrate_text,
};
use serde::{Deserialize, Serialize};

use super::{Photo, PrecisionConfig, Subject, Transform, title_hash};
use crate::component::ExecutionContext;
use crate::components::{ModelAssets, read_json, write_json};
use crate::embeddings;
use crate::examples::{Example, ExampleSource};

/// What is kept of a calibration.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// What it was measured on.
    inputs: ContentHash,
    ranges: ActivationRanges,
}

impl Transform {
    /// In which form the encoders run: in eight bits by what is measured on the first of these training examples, where that
    /// is asked for and there are some. An ONNX file of the user's runs as it is.
    pub(super) fn precision_by(
        &self,
        train: &[Example],
        labels_dir: &Path,
        cx: &mut ExecutionContext,
    ) -> anyhow::Result<Precision> {
        let PrecisionConfig::Int8 { calibration_posts } = self.precision else { return Ok(Precision::default()) };
        let posts = labelled_first(train, Labels::read(labels_dir)?.all(), calibration_posts);
        let mut calibration = Calibration { transform: self, posts: &posts, loaded: None, measured: 0 };
        let EncoderPair { image, text, .. } = &self.encoders;
        let precision = Precision {
            image: if image.is_built_here() { calibration.image(&cx.progress)? } else { None },
            text: if text.is_built_here() { calibration.text(&cx.progress)? } else { None },
        };
        cx.set_detail("encoders_calibrated", calibration.measured);
        Ok(precision)
    }
}

/// So many posts with a photo, in the order of their first labels.
fn labelled_first<'e>(examples: &'e [Example], labels: &[Label], count: usize) -> Vec<&'e Example> {
    let is_post = |example: &&Example| example.source == ExampleSource::Post && example.sha256.is_some();
    // A post may have several photos, each with a label of its own or all with one.
    let mut waiting: HashMap<&PostId, Vec<&Example>> = HashMap::new();
    for example in examples.iter().filter(is_post) {
        waiting.entry(&example.id).or_default().push(example);
    }
    let mut found = Vec::new();
    for Label { id, img_name, .. } in labels {
        let Some(photos) = waiting.get_mut(id).filter(|_| found.len() < count) else { continue };
        let is_of = |photo: &mut &Example| img_name.is_empty() || stem(&photo.img_name) == stem(img_name);
        found.extend(photos.extract_if(.., is_of));
    }
    found.truncate(count);
    found
}

/// The name of a photo without its extension, which may be another when it is fetched again.
fn stem(img_name: &str) -> &str {
    img_name.rsplit_once('.').map_or(img_name, |(stem, _)| stem)
}

struct Calibration<'a> {
    transform: &'a Transform,
    posts: &'a [&'a Example],
    /// Loaded when there is something to measure.
    loaded: Option<Loaded>,
    /// How many encoders were measured and not found.
    measured: usize,
}

struct Loaded {
    assets: ModelAssets,
    runtime: Runtime,
    preprocessor: Preprocessor,
}

/// One encoder to calibrate.
struct Subjects {
    /// The encoder in floats.
    encoder: ContentHash,
    /// What it is measured on.
    inputs: ContentHash,
    /// What decides its features with these ranges.
    features_of: fn(&EncoderPair, ActivationRanges) -> ContentHash,
}

/// Ranges, and whether every file was there to measure on.
type Measured = (Result<ActivationRanges, QuantizeError>, bool);

impl Calibration<'_> {
    fn image(&mut self, progress: &Progress) -> anyhow::Result<Option<ActivationRanges>> {
        let transform = self.transform;
        let Transform { encoders, limits, threads, .. } = transform;
        let photos: Vec<Photo<'_>> = self.posts.iter().filter_map(|post| Photo::of(&Subject::of(post))).collect();
        let limits = [limits.image.bytes_max, limits.image.pixels_max];
        let encoder = encoders.image_hash();
        let subjects = Subjects {
            encoder,
            inputs: inputs_hash(&encoder, &limits, photos.iter().map(|photo| photo.hash).collect()),
            features_of: |pair, ranges| Precision { image: Some(ranges), text: None }.image_hash(pair),
        };
        self.ranges(&subjects, progress, |Loaded { assets, runtime, preprocessor }| {
            let all_there = AtomicBool::new(true);
            let prepared = photos.iter().filter_map(|photo| {
                let Ok(bytes) = photo.read(transform) else {
                    all_there.store(false, Ordering::Relaxed);
                    return None;
                };
                // What is no photo within the limits is passed over here as it is later.
                preprocessor.prepare(&ModelInput { text: None, image: Some(&bytes) }).ok()
            });
            let ranges = calibrate_image(encoders, &assets.encoders, runtime, prepared, *threads);
            (ranges, all_there.into_inner())
        })
    }

    fn text(&mut self, progress: &Progress) -> anyhow::Result<Option<ActivationRanges>> {
        let Transform { encoders, limits, threads, .. } = self.transform;
        let titles: Vec<&str> = self.posts.iter().map(|post| post.title.as_str()).collect();
        let encoder = encoders.text_hash();
        let limits = [limits.text_bytes_max as u64];
        let subjects = Subjects {
            encoder,
            inputs: inputs_hash(&encoder, &limits, titles.iter().map(|title| title_hash(title)).collect()),
            features_of: |pair, ranges| Precision { image: None, text: Some(ranges) }.text_hash(pair),
        };
        self.ranges(&subjects, progress, |Loaded { assets, runtime, preprocessor }| {
            let prepare = |title: &&str| preprocessor.prepare(&ModelInput { text: Some(title), image: None }).ok();
            let prepared = titles.iter().filter_map(prepare);
            (calibrate_text(encoders, &assets.encoders, runtime, prepared, *threads), true)
        })
    }

    /// The ranges that are kept, or else are measured; none where there is nothing to measure on.
    fn ranges(
        &mut self,
        subjects: &Subjects,
        progress: &Progress,
        measure: impl FnOnce(&Loaded) -> Measured,
    ) -> anyhow::Result<Option<ActivationRanges>> {
        let Transform { encoders, cache_dir, .. } = self.transform;
        let path = cache_dir.join(format!("{}.ranges", subjects.encoder));
        // What is damaged is measured again.
        let before: Option<Kept> = read_json(&path).ok().flatten();
        if let Some(kept) = before.as_ref().filter(|kept| kept.inputs == subjects.inputs) {
            return Ok(Some(kept.ranges.clone()));
        }
        progress.start("calibrating an encoder", None);
        let (measured, all_there) = measure(self.load(progress)?);
        progress.finish();
        self.measured += 1;
        let ranges = match measured {
            Ok(ranges) => ranges,
            Err(QuantizeError::NoInputs(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // With files that come back later the ranges are others, and those are the ones to keep.
        if all_there {
            write_json(&path, &Kept { inputs: subjects.inputs, ranges: ranges.clone() })?;
            if let Some(Kept { ranges: before, .. }) = before.filter(|kept| kept.ranges != ranges) {
                embeddings::remove(cache_dir, &(subjects.features_of)(encoders, before))?;
            }
        }
        Ok(Some(ranges))
    }

    fn load(&mut self, progress: &Progress) -> anyhow::Result<&Loaded> {
        let loaded = match self.loaded.take() {
            Some(loaded) => loaded,
            None => {
                let Transform { encoders, limits, assets, .. } = self.transform;
                let assets = assets(progress)?;
                let runtime = Runtime::load(&assets.runtime)?;
                let preprocessor = encoders.preprocessor(&assets.encoders, *limits)?;
                Loaded { assets, runtime, preprocessor }
            }
        };
        Ok(self.loaded.insert(loaded))
    }
}

/// What an encoder was measured on, in whatever order.
fn inputs_hash(encoder: &ContentHash, limits: &[u64], mut inputs: Vec<ContentHash>) -> ContentHash {
    inputs.sort_unstable();
    inputs.dedup();
    let mut hasher = ContentHasher::new();
    hasher.part("calibration").part(QUANTIZE_VERSION.to_le_bytes()).part(encoder.as_bytes());
    for limit in limits {
        hasher.part(limit.to_le_bytes());
    }
    for input in inputs {
        hasher.part(input.as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(id: &str, img_name: &str) -> Example {
        Example {
            source: ExampleSource::Post,
            img_name: img_name.to_owned(),
            sha256: Some(ContentHash::of(img_name.as_bytes())),
            ..Example::title_alone(id.parse().unwrap(), id.to_owned(), "flora".to_owned())
        }
    }

    fn label(id: &str, img_name: &str) -> Label {
        let (id, img_name) = (id.parse().unwrap(), img_name.to_owned());
        Label { id, img_name, choice: "flora".to_owned(), labelled_by: String::new(), labelled_at: String::new() }
    }

    #[test]
    fn neither_new_posts_nor_later_labels_change_what_is_calibrated_on() {
        let names = |examples: &[Example], labels: &[Label]| -> Vec<String> {
            labelled_first(examples, labels, 3).into_iter().map(|example| example.img_name.clone()).collect()
        };
        let title = Example::title_alone("t".parse().unwrap(), "t".to_owned(), "flora".to_owned());
        let mut examples =
            vec![photo("a", "a.jpg"), title, photo("b", "b_2.jpg"), photo("b", "b_1.jpg"), photo("c", "c.png")];
        let mut labels = vec![label("t", ""), label("c", "c.jpg"), label("tested", "x.jpg"), label("b", "b_1.jpg")];
        assert_eq!(names(&examples, &labels), ["c.png", "b_1.jpg"]);
        labels.extend([label("b", "b_1.jpg"), label("b", ""), label("a", "a.jpg")]);
        assert_eq!(names(&examples, &labels), ["c.png", "b_1.jpg", "b_2.jpg"]);
        labels.extend([label("older", "older.jpg"), label("c", "c.png")]);
        examples.insert(0, photo("older", "older.jpg"));
        assert_eq!(names(&examples, &labels), ["c.png", "b_1.jpg", "b_2.jpg"]);
    }

    #[test]
    fn what_is_measured_on_is_told_apart_and_its_order_is_not() {
        let hashes = |names: &[&str]| names.iter().map(|name| ContentHash::of(name.as_bytes())).collect::<Vec<_>>();
        let encoder = ContentHash::of(b"encoder");
        let of = |names: &[&str]| inputs_hash(&encoder, &[1], hashes(names));
        assert_eq!(of(&["a", "b"]), of(&["b", "a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["a"]));
        assert_ne!(of(&["a"]), inputs_hash(&encoder, &[2], hashes(&["a"])));
        assert_ne!(of(&["a"]), inputs_hash(&ContentHash::of(b"another"), &[1], hashes(&["a"])));
    }
}
