//! Trainer: a fusion head over the features, and the bundle that carries it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use natureddit_core::{Class, ClassNames};
use natureddit_model::search::HyperParameters;
use natureddit_model::train::{
    Calibration, Checkpoints, Control, Epoch, Sample, TrainError, Trained, TrainerConfig, train_head,
};
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
    /// How the temperature was fitted; `None` where the eval rows are too few, and answers are as sure as training left them.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// How many examples were left out because their label is none of the classes, by label.
    #[serde(default)]
    pub unknown_labels: BTreeMap<String, usize>,
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
    /// Where a training is kept while it lasts, so that one that was interrupted goes on; `None` keeps nothing.
    pub checkpoints: Option<Checkpoints>,
    /// Finds or pulls the encoders that go into the bundle.
    pub assets: AssetLoader,
}

impl Component for Trainer {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Trainer",
                version: 6,
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
        let rows = |split| -> anyhow::Result<Vec<Row>> {
            let examples = read_split(io.input("examples"), split)?;
            let features = read_transformed(io.input("transformed_examples"), split, &self.encoders)?;
            Ok(examples.into_iter().zip(features).collect())
        };
        let (train_rows, eval_rows) = (rows(Split::Train)?, rows(Split::Eval)?);
        let samples = |rows| labelled_samples(rows, &self.classes, self.extra_title_weight);
        let (train, eval): (Vec<Sample<'_>>, Vec<Sample<'_>>) = (samples(&train_rows), samples(&eval_rows));
        let config = self.tuned(io)?;
        let control = Control { checkpoints: self.checkpoints.as_ref(), ..Control::new(&cx.progress) };
        let trained = train_head(&train, &eval, &self.classes, &self.encoders, &config, &control);
        let trained = trained.map_err(|error| match post_of(&error, [(&train, &train_rows), (&eval, &eval_rows)]) {
            Some(id) => anyhow::Error::new(error).context(format!("post {id} cannot be learnt from")),
            None => error.into(),
        })?;

        tell(&trained, (train.len(), eval.len()), cx);
        let unknown_labels = unknown_labels(train_rows.iter().chain(&eval_rows), &self.classes);
        cx.set_detail("rows_of_unknown_label", unknown_labels.values().sum::<usize>());
        let training = Training {
            config: config.clone(),
            extra_title_weight: self.extra_title_weight,
            train_rows: train.len(),
            eval_rows: eval.len(),
            best_epoch: trained.best_epoch,
            calibration: trained.calibration,
            unknown_labels,
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
    cx.set_detail("temperature", f64::from(trained.head.temperature()));
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

/// An example and its features.
type Row = (Example, Features);

/// The post whose features are no numbers, where that is the error.
fn post_of(error: &TrainError, splits: [(&[Sample<'_>], &[Row]); 2]) -> Option<String> {
    let TrainError::NotFinite { split, row, .. } = error else { return None };
    let (samples, rows) = splits[usize::from(*split != "train")];
    let broken = samples.get(*row)?.features;
    rows.iter().find(|(_, features)| std::ptr::eq(features, broken)).map(|(example, _)| example.id.to_string())
}

/// How often each label occurs that is none of the classes, as in an import that came after the classes were chosen.
fn unknown_labels<'a>(rows: impl Iterator<Item = &'a Row>, classes: &ClassNames) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (example, _) in rows.filter(|(example, _)| classes.class(&example.choice).is_none()) {
        *counts.entry(example.choice.clone()).or_default() += 1;
    }
    counts
}

/// The rows that can be learnt from: of a known class, with a photo or a title.
pub(crate) fn labelled_samples<'a>(
    rows: impl IntoIterator<Item = &'a Row>,
    classes: &ClassNames,
    extra_title_weight: f32,
) -> Vec<Sample<'a>> {
    let sample = |(example, features): &'a Row| {
        let class: Class = classes.class(&example.choice)?;
        let weight = if example.source == ExampleSource::Title { extra_title_weight } else { 1.0 };
        let usable = weight > 0.0 && (features.image.is_some() || features.text.is_some());
        usable.then_some(Sample { features, class, weight })
    };
    rows.into_iter().filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, choice: &str, features: Features) -> Row {
        (Example::title_alone(id.parse().unwrap(), format!("the title of {id}"), choice.to_owned()), features)
    }

    fn title(value: f32) -> Features {
        Features { image: None, text: Some(vec![value]) }
    }

    fn classes() -> ClassNames {
        ClassNames::new(["fauna", "flora"].map(str::to_owned).to_vec()).unwrap()
    }

    #[test]
    fn a_label_that_is_no_class_and_a_post_without_features_are_left_out_and_the_label_is_counted() {
        // An empty title and one that is too long have no features.
        let rows = [
            row("a1", "fauna", title(1.0)),
            row("a2", "fungi", title(2.0)),
            row("a3", "flora", Features::default()),
            row("a4", "flora", title(4.0)),
            row("a5", "fungi", title(5.0)),
            row("a6", "Fauna", title(6.0)),
        ];
        let learnt = labelled_samples(&rows, &classes(), 0.5);
        let texts: Vec<f32> = learnt.iter().map(|sample| sample.features.text.as_ref().unwrap()[0]).collect();
        assert_eq!(texts, [1.0, 4.0]);
        let unknown = unknown_labels(rows.iter(), &classes());
        assert_eq!(unknown, BTreeMap::from([("fungi".to_owned(), 2), ("Fauna".to_owned(), 1)]));
    }

    #[test]
    fn a_post_with_features_that_are_no_numbers_is_named_although_others_before_it_are_left_out() {
        let train =
            [row("a1", "fungi", title(1.0)), row("a2", "fauna", title(1.0)), row("a3", "flora", title(f32::NAN))];
        let eval = [row("b1", "fauna", title(1.0)), row("b2", "flora", title(f32::INFINITY))];
        let [learnt, watched] = [&train[..], &eval[..]].map(|rows| labelled_samples(rows, &classes(), 1.0));
        let splits = [(learnt.as_slice(), &train[..]), (watched.as_slice(), &eval[..])];
        let broken = |split, row| TrainError::NotFinite { split, row, part: "title" };
        assert_eq!(post_of(&broken("train", 1), splits).as_deref(), Some("a3"));
        assert_eq!(post_of(&broken("eval", 1), splits).as_deref(), Some("b2"));
        assert_eq!(post_of(&TrainError::Diverged(3), splits), None);
    }

    #[test]
    fn a_training_record_of_before_there_was_calibration_is_read() {
        let record = json!({
            "config": {
                "epochs_max": 5, "batch_size": 8, "learning_rate": 0.01, "weight_decay": 0.0, "image_dropout": 0.0,
                "text_dropout": 0.0, "class_weights": true, "patience": 3, "seed": 1,
            },
            "extra_title_weight": 0.5, "train_rows": 4, "eval_rows": 0, "best_epoch": 0, "epochs": [],
        });
        let training: Training = serde_json::from_value(record).unwrap();
        assert!(training.calibration.is_none() && training.unknown_labels.is_empty());
    }
}
