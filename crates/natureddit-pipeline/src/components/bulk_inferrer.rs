//! BulkInferrer: what the model in use says of the posts nobody labelled, for those who choose what to label next.
//!
//! TFX writes `PredictionLog` records of TensorFlow Serving. A table is what people and `natureddit label` read:
//! ```text
//! predictions.csv   id,img_name,label,p_<class>...,confidence   a row a photo, in the order of posts.csv
//! skipped.csv       id,img_name,sha256,reason                   the photos without an answer, and why
//! ```
//! Photos and titles go through the encoders once and are kept beside those of the Transform, by content: a run that is
//! killed goes on where it was, and a new day costs its own posts.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use natureddit_core::{ClassNames, ContentHash, PostId, fs};
use natureddit_data::{Dataset, Labels, PostRow};
use natureddit_model::{
    Features, ModelBundle, ModelInput, NotFinite, Precision, Prediction, Predictor, PredictorOptions, Runtime,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::photo::{PhotoFileProblem, read_photo};
use super::transform::{Embedding, Subject, Transform};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::encoder_form::EncoderHashes;
use crate::file_state::FileStates;

/// The answers.
pub const PREDICTIONS_FILE: &str = "predictions.csv";

/// The photos without an answer.
pub const SKIPPED_FILE: &str = "skipped.csv";

/// Asks the model in use about posts without a label.
pub struct BulkInferrer {
    /// The classes, for the header of a table without a model.
    pub classes: ClassNames,
    /// How features are made and where they are kept.
    pub transform: Transform,
}

/// A row of [`SKIPPED_FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedPost {
    /// The post.
    pub id: String,
    /// Its photo.
    pub img_name: String,
    /// What the photo should be.
    pub sha256: ContentHash,
    /// Why there is no answer: `missing`, `truncated`.
    pub reason: String,
}

/// A row of [`PREDICTIONS_FILE`].
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedPost {
    /// The post.
    pub id: PostId,
    /// Its photo.
    pub img_name: String,
    /// The most probable class.
    pub label: String,
    /// The probability of each class, in the model's order.
    pub probabilities: Vec<f32>,
}

/// The answers in an `InferenceResult` folder.
///
/// # Errors
/// When the table cannot be read or is none of these.
pub fn read_predictions(folder: &Path) -> anyhow::Result<Vec<PredictedPost>> {
    let path = folder.join(PREDICTIONS_FILE);
    let bytes = fs::read(&path)?;
    let mut table = csv::Reader::from_reader(bytes.as_slice());
    let rows: anyhow::Result<Vec<PredictedPost>> = table.records().map(|record| predicted(&record?)).collect();
    rows.with_context(|| format!("{} is no table of answers", path.display()))
}

/// `id,img_name,label,p_<class>...,confidence`.
fn predicted(record: &csv::StringRecord) -> anyhow::Result<PredictedPost> {
    let cell = |at: usize| record.get(at).ok_or_else(|| anyhow!("a row is too short"));
    let probabilities = record.iter().skip(3).take(record.len().saturating_sub(4));
    Ok(PredictedPost {
        id: cell(0)?.parse()?,
        img_name: cell(1)?.to_owned(),
        label: cell(2)?.to_owned(),
        probabilities: probabilities.map(str::parse::<f32>).collect::<Result<_, _>>()?,
    })
}

impl Component for BulkInferrer {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "BulkInferrer",
                version: 1,
                inputs: &[
                    Port::new("dataset", ArtifactType::Dataset),
                    Port::new("labels", ArtifactType::Labels),
                    // Only for the order: the model is asked after the Pusher had its turn, where there is one.
                    Port::optional("pushed_model", ArtifactType::PushedModel),
                    Port::optional("model", ArtifactType::PushedModel),
                ],
                outputs: &[Port::new("inference_result", ArtifactType::InferenceResult)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({ "classes": self.classes, "features": self.transform.exec_properties() })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let dataset = Dataset::read(io.input("dataset"))?;
        let labels = Labels::read(io.input("labels"))?;
        let choices = labels.latest();
        let posts: Vec<&PostRow> = dataset.rows().into_iter().filter(|row| choices.of(row).is_none()).collect();
        let output = io.output("inference_result");
        let Some(dir) = io.optional_input("model") else {
            cx.set_detail("posts_answered", 0_usize);
            return write_tables(output, &self.classes, &[], &[]);
        };
        let bundle = ModelBundle::read(dir)?;
        // The model's own form, which may be that of another day.
        let precision = bundle.precision()?;
        let ours = EncoderHashes::of(&self.transform.encoders, &precision);
        let (answered, skipped) = if ours == EncoderHashes::of_model(&bundle.manifest) {
            self.by_features(&bundle, precision, &posts, cx)?
        } else {
            self.by_bundle(&bundle, &posts, cx)?
        };
        cx.set_detail("posts_answered", answered.len());
        cx.set_detail("posts_skipped", skipped.len());
        cx.set_property("inference_result", "model", bundle.manifest.name.clone());
        write_tables(output, &bundle.manifest.classes, &answered, &skipped)
    }

    /// A photo whose file could not be used is answered as soon as the file is what it should be.
    fn change_outside(&self, io: &ExecutionIo, _files: &mut FileStates) -> Option<OutsideChange> {
        let bytes = fs::read(&io.output("inference_result").join(SKIPPED_FILE)).ok()?;
        let skipped = csv::Reader::from_reader(bytes.as_slice()).into_deserialize::<SkippedPost>().flatten();
        let of_file = skipped.filter(|post| PhotoFileProblem::is_code(&post.reason));
        let mended = of_file.filter_map(|post| {
            let path = self.transform.images_dir.join(&post.img_name);
            let bytes_max = self.transform.limits.image.bytes_max;
            read_photo(&path, &post.sha256, bytes_max).is_ok().then_some(path)
        });
        mended.map(OutsideChange::Readable).next()
    }
}

/// A post and what the model says of it.
type Answered<'a> = (&'a PostRow, Prediction);

impl BulkInferrer {
    /// Answers by features that are kept between runs.
    fn by_features<'a>(
        &self,
        bundle: &ModelBundle,
        precision: Precision,
        posts: &[&'a PostRow],
        cx: &mut ExecutionContext,
    ) -> anyhow::Result<(Vec<Answered<'a>>, Vec<SkippedPost>)> {
        let mut embedding = Embedding::open(&self.transform, precision)?;
        let reasons = embedding.embed_missing(posts.iter().map(|post| subject(post)), cx)?;
        let head = bundle.head()?;
        let (mut answered, mut skipped) = (Vec::new(), Vec::new());
        for &post in posts {
            let features = embedding.known.features(&subject(post))?;
            match (&features, reasons.get(&post.img_name)) {
                // By its title alone a post would be told apart worse than it can be.
                (Features { image: None, .. }, reason) => skipped.push(skip(post, reason.map_or("unreadable", |r| r))),
                _ => match Prediction::of(&head, &features) {
                    Ok(answer) => answered.push((post, answer)),
                    Err(_) => skipped.push(skip(post, NotFinite::CODE)),
                },
            }
        }
        Ok((answered, skipped))
    }

    /// Answers of a model with encoders of its own, whose features are not kept.
    fn by_bundle<'a>(
        &self,
        bundle: &ModelBundle,
        posts: &[&'a PostRow],
        cx: &mut ExecutionContext,
    ) -> anyhow::Result<(Vec<Answered<'a>>, Vec<SkippedPost>)> {
        let Transform { images_dir, limits, threads, assets, .. } = &self.transform;
        let runtime = Runtime::load(&assets(&cx.progress)?.runtime)?;
        let mut predictor =
            Predictor::load(bundle, &runtime, &PredictorOptions { limits: *limits, threads: *threads })?;
        let (mut answered, mut skipped) = (Vec::new(), Vec::new());
        cx.progress.start("asking the model about posts without a label", Some(posts.len() as u64));
        for &post in posts {
            let photo = read_photo(&images_dir.join(&post.img_name), &post.sha256, limits.image.bytes_max);
            let prepared = photo.map_err(PhotoFileProblem::code).and_then(|photo| {
                let input = ModelInput { text: Some(&post.post.title), image: Some(&photo) };
                predictor.preprocessor().prepare(&input).map_err(|error| error.code())
            });
            match prepared {
                Ok(input) => match predictor.predict_finite(&[input])?.pop().context("an answer for each input")? {
                    Ok(answer) => answered.push((post, answer)),
                    Err(_) => skipped.push(skip(post, NotFinite::CODE)),
                },
                Err(reason) => skipped.push(skip(post, reason)),
            }
            cx.progress.advance(1);
        }
        cx.progress.finish();
        Ok((answered, skipped))
    }
}

fn subject(row: &PostRow) -> Subject<'_> {
    Subject { title: &row.post.title, img_name: &row.img_name, sha256: Some(row.sha256) }
}

fn skip(row: &PostRow, reason: &str) -> SkippedPost {
    let PostRow { post, img_name, sha256, .. } = row;
    SkippedPost { id: post.id.to_string(), img_name: img_name.clone(), sha256: *sha256, reason: reason.to_owned() }
}

fn write_tables(
    output: &Path,
    classes: &ClassNames,
    answered: &[Answered<'_>],
    skipped: &[SkippedPost],
) -> anyhow::Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let names = classes.names().map(|name| format!("p_{name}"));
    let first = ["id", "img_name", "label"].map(str::to_owned);
    table.write_record(first.into_iter().chain(names).chain(["confidence".to_owned()]))?;
    for (row, answer) in answered {
        let confidence = answer.probabilities.get(answer.class.0);
        let numbers = answer.probabilities.iter().chain(confidence).map(|p| format!("{p:.6}"));
        let texts = [row.post.id.to_string(), row.img_name.clone(), classes.name(answer.class).to_owned()];
        table.write_record(texts.into_iter().chain(numbers))?;
    }
    write_csv(&output.join(PREDICTIONS_FILE), table)?;
    // The header is written by hand, so that a table without rows has it too.
    let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    table.write_record(["id", "img_name", "sha256", "reason"])?;
    skipped.iter().try_for_each(|post| table.serialize(post))?;
    write_csv(&output.join(SKIPPED_FILE), table)
}

fn write_csv(path: &Path, table: csv::Writer<Vec<u8>>) -> anyhow::Result<()> {
    let bytes = table.into_inner().map_err(|e| anyhow!("could not finish {}: {}", path.display(), e.error()))?;
    Ok(fs::write_atomic(path, bytes)?)
}
