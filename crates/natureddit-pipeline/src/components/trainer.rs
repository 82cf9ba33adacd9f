//! Trainer: a fusion head over the features, and the bundle that carries it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use natureddit_core::{Class, ClassNames};
use natureddit_model::search::HyperParameters;
use natureddit_model::train::{Epoch, Sample, Trained, TrainerConfig, train_head};
use natureddit_model::{BundleParts, EncoderPair, Features, ModelBundle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::example_gen::split_rule;
use super::tuner::{HYPERPARAMETERS_FILE, Tuning};
use super::{AssetLoader, read_json, read_transformed, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::examples::{Example, ExampleSource, read_split};
use crate::split::Split;

/// The file beside the bundle that [`Training`] is read from.
pub const TRAINING_FILE: &str = "training.json";

/// The detail of an execution that says when each epoch ended: milliseconds since training began, with commas. It is no
/// part of the model, whose bytes do not depend on times.
pub const EPOCH_ENDS_DETAIL: &str = "epoch_ends_ms";

/// How a model was trained. The same rows and settings give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The settings that were used.
    pub config: TrainerConfig,
    /// How much a title without a photo counted beside a whole post.
    pub extra_title_weight: f32,
    /// How many rows were learnt from.
    pub train_rows: usize,
    /// How many rows were watched to stop in time.
    pub eval_rows: usize,
    /// The epoch the model is from, counted from 0.
    pub best_epoch: usize,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
}

/// What a bundle's lineage calls the rule by which its examples were split.
pub(super) const SPLIT_RULE: &str = "split_rule";

/// Trains a model.
pub struct Trainer {
    /// The model's name.
    pub name: String,
    /// The classes.
    pub classes: ClassNames,
    /// Which encoders.
    pub encoders: EncoderPair,
    /// How the head is trained.
    pub config: TrainerConfig,
    /// How much a title without a photo counts beside a whole post.
    pub extra_title_weight: f32,
    /// Finds or pulls the encoders that go into the bundle.
    pub assets: AssetLoader,
}

impl Component for Trainer {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Trainer",
                version: 4,
                inputs: &[
                    Port::new("examples", ArtifactType::Examples),
                    Port::new("transformed_examples", ArtifactType::TransformedExamples),
                    Port::optional("hyperparameters", ArtifactType::HyperParameters),
                ],
                outputs: &[Port::new("model", ArtifactType::Model)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({
            "name": self.name,
            "classes": self.classes,
            "image_encoder": self.encoders.image_hash(),
            "text_encoder": self.encoders.text_hash(),
            "config": self.config,
            "extra_title_weight": self.extra_title_weight,
        })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let rows = |split| -> anyhow::Result<Vec<(Example, Features)>> {
            let examples = read_split(io.input("examples"), split)?;
            let features = read_transformed(io.input("transformed_examples"), split, &self.encoders)?;
            Ok(examples.into_iter().zip(features).collect())
        };
        let (train, eval) = (rows(Split::Train)?, rows(Split::Eval)?);
        let samples = |rows| labelled_samples(rows, &self.classes, self.extra_title_weight);
        let (train, eval): (Vec<Sample<'_>>, Vec<Sample<'_>>) = (samples(&train), samples(&eval));
        let config = self.tuned(io)?;
        let trained = train_head(&train, &eval, &self.classes, &self.encoders, &config, &cx.progress)?;

        tell(&trained, (train.len(), eval.len()), cx);
        let training = Training {
            config: config.clone(),
            extra_title_weight: self.extra_title_weight,
            train_rows: train.len(),
            eval_rows: eval.len(),
            best_epoch: trained.best_epoch,
            epochs: trained.epochs.clone(),
        };
        write_json(&io.output("model").join(TRAINING_FILE), &training)?;
        let files = (self.assets)(&cx.progress)?.encoders;
        let parts = BundleParts {
            name: &self.name,
            classes: &self.classes,
            encoders: &self.encoders,
            files: &files,
            head: &trained.head,
            lineage: lineage(io, &config)?,
        };
        ModelBundle::write(io.output("model"), parts)?;
        Ok(())
    }
}

/// What the run's report says of a training.
fn tell(trained: &Trained, (train_rows, eval_rows): (usize, usize), cx: &mut ExecutionContext) {
    let best = trained.epochs[trained.best_epoch];
    cx.set_detail("train_rows", train_rows);
    cx.set_detail("eval_rows", eval_rows);
    cx.set_detail("epochs", trained.epochs.len());
    cx.set_detail("best_epoch", trained.best_epoch);
    cx.set_detail("train_loss", best.train_loss);
    if let Some(loss) = best.eval_loss {
        cx.set_detail("eval_loss", loss);
    }
    let ends: Vec<String> = trained.epoch_ends.iter().map(|end| end.as_millis().to_string()).collect();
    cx.set_detail(EPOCH_ENDS_DETAIL, ends.join(","));
}

impl Trainer {
    /// What is configured, with the settings that the Tuner found where there is one.
    fn tuned(&self, io: &ExecutionIo) -> anyhow::Result<TrainerConfig> {
        let Some(dir) = io.optional_input("hyperparameters") else { return Ok(self.config.clone()) };
        let path = dir.join(HYPERPARAMETERS_FILE);
        let found: Option<Tuning> = read_json(&path)?;
        let best: HyperParameters = found.with_context(|| format!("{} is not there", path.display()))?.best;
        Ok(best.apply(&self.config))
    }
}

/// What the model was made from: the settings, and the inputs by content.
fn lineage(io: &ExecutionIo, config: &TrainerConfig) -> anyhow::Result<BTreeMap<String, String>> {
    let mut lineage = BTreeMap::from([("trainer".to_owned(), serde_json::to_value(config)?.to_string())]);
    for key in ["examples", "transformed_examples", "hyperparameters"] {
        lineage.extend(io.input_hash(key).map(|hash| (key.to_owned(), hash.to_string())));
    }
    lineage.extend(split_rule(io.input("examples"))?.map(|rule| (SPLIT_RULE.to_owned(), rule)));
    Ok(lineage)
}

/// The rows that can be learnt from: of a known class, with a photo or a title.
pub(crate) fn labelled_samples<'a>(
    rows: impl IntoIterator<Item = &'a (Example, Features)>,
    classes: &ClassNames,
    extra_title_weight: f32,
) -> Vec<Sample<'a>> {
    let sample = |(example, features): &'a (Example, Features)| {
        let class: Class = classes.class(&example.choice)?;
        let weight = if example.source == ExampleSource::Title { extra_title_weight } else { 1.0 };
        let usable = weight > 0.0 && (features.image.is_some() || features.text.is_some());
        usable.then_some(Sample { features, class, weight })
    };
    rows.into_iter().filter_map(sample).collect()
}
