//! Trainer: a fusion head over the features, the encoders tuned with it where that is asked for, and the bundle that carries
//! both.

mod fine_tuning;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use natureddit_core::{Class, ClassNames, fs};
use natureddit_model::search::HyperParameters;
use natureddit_model::train::{
    Calibration, Checkpoints, Control, Epoch, Sample, TrainError, Trained, TrainerConfig, TuneConfig, Tuned,
    TunedEncoders, train_head,
};
use natureddit_model::{BundleParts, EncoderPair, Features, Head, ModelBundle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::example_gen::split_rule;
use super::tuner::{HYPERPARAMETERS_FILE, Tuning};
use super::{AssetLoader, read_json, read_transformed, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::encoder_form::read_precision;
use crate::examples::{Example, ExampleSource, read_split};
use crate::file_state::FileStates;
use crate::split::Split;
pub use fine_tuning::{FineTuning, TuningRecord};

/// The file beside the bundle that [`Training`] is read from.
pub const TRAINING_FILE: &str = "training.json";

/// The detail of an execution that says when each epoch ended: milliseconds since training began, with commas. It is no
/// part of the model, whose bytes do not depend on times.
pub const EPOCH_ENDS_DETAIL: &str = "epoch_ends_ms";

/// The detail of an execution whose training was stopped before its time.
pub const STOPPED_DETAIL: &str = "stopped";

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
    /// The epoch the model is from, counted from 1.
    pub best_epoch: usize,
    /// How the temperature was fitted; `None` where the eval rows are too few, and answers are as sure as training left them.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// How many examples were left out because their label is none of the classes, by label.
    #[serde(default)]
    pub unknown_labels: BTreeMap<String, usize>,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// How the encoders were tuned, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<TuningRecord>,
    /// Whether it was stopped before its time: the model is the best until then, and the next run goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
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
    /// How the encoders are tuned with the head; `None` leaves them as they are.
    pub fine_tuning: Option<FineTuning>,
    /// How much a title without a photo counts beside a whole post.
    pub extra_title_weight: f32,
    /// Once it is set, training ends soon, and the best so far is the model.
    pub stop: Option<Arc<AtomicBool>>,
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
                    Port::new("transform_graph", ArtifactType::TransformGraph),
                    Port::optional("hyperparameters", ArtifactType::HyperParameters),
                ],
                outputs: &[Port::new("model", ArtifactType::Model)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        let mut properties = json!({
            "name": self.name,
            "classes": self.classes,
            "image_encoder": self.encoders.image_hash(),
            "text_encoder": self.encoders.text_hash(),
            "config": self.config,
            "extra_title_weight": self.extra_title_weight,
        });
        if let Some(fine_tuning) = &self.fine_tuning {
            properties["tune"] = json!(fine_tuning.config);
        }
        properties
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
        if let Some(folder) = self.checkpoints.as_ref().and_then(|kept| kept.path.parent()) {
            // What a run left that was killed while it wrote one.
            fs::remove_partials(folder)?;
        }
        let (progress, stop) = (cx.progress.clone(), self.stop.as_deref());
        let control = Control { progress: &progress, stop, checkpoints: self.checkpoints.as_ref() };
        let trained = train_head(&train, &eval, &self.classes, &self.encoders, &config, &control);
        let trained = trained.map_err(|error| match post_of(&error, [(&train, &train_rows), (&eval, &eval_rows)]) {
            Some(id) => anyhow::Error::new(error).context(format!("post {id} cannot be learnt from")),
            None => error.into(),
        })?;

        let assets = (self.assets)(&progress)?;
        let tuned = match &self.fine_tuning {
            Some(fine_tuning) if !trained.stopped => {
                let splits = [(train.as_slice(), train_rows.as_slice()), (&eval, &eval_rows)];
                Some(fine_tuning.run(self, &config, &trained, splits, &assets, &progress)?)
            }
            _ => None,
        };
        let learnt = Learnt { trained, tuned };
        learnt.tell((train.len(), eval.len()), cx);
        let unknown_labels = unknown_labels(train_rows.iter().chain(&eval_rows), &self.classes);
        cx.set_detail("rows_of_unknown_label", unknown_labels.values().sum::<usize>());
        let training = Training {
            config: config.clone(),
            extra_title_weight: self.extra_title_weight,
            train_rows: train.len(),
            eval_rows: eval.len(),
            best_epoch: learnt.trained.best_epoch + 1,
            calibration: learnt.calibration(),
            unknown_labels,
            epochs: learnt.trained.epochs.clone(),
            tuning: self.fine_tuning.as_ref().zip(learnt.tuned.as_ref()).map(|(how, tuned)| how.record(tuned)),
            stopped: learnt.stopped(),
        };
        write_json(&io.output("model").join(TRAINING_FILE), &training)?;
        let parts = BundleParts {
            name: &self.name,
            classes: &self.classes,
            encoders: &self.encoders,
            precision: &read_precision(io.input("transform_graph"))?,
            files: &assets.encoders,
            head: learnt.head(),
            lineage: self.lineage(io, &config, &learnt)?,
        };
        match learnt.encoders() {
            Some(encoders) => ModelBundle::write_tuned(io.output("model"), parts, encoders)?,
            None => ModelBundle::write(io.output("model"), parts)?,
        };
        Ok(())
    }

    /// A training that was stopped goes on where it was, although its model stands.
    fn change_outside(&self, io: &ExecutionIo, _files: &mut FileStates) -> Option<OutsideChange> {
        let training: Training = read_json(&io.output("model").join(TRAINING_FILE)).ok()??;
        training.stopped.then(|| OutsideChange::Unfinished(io.output("model").to_owned()))
    }
}

/// What came of a training.
struct Learnt {
    trained: Trained,
    tuned: Option<Tuned>,
}

impl Learnt {
    fn head(&self) -> &Head {
        self.tuned.as_ref().map_or(&self.trained.head, |tuned| &tuned.head)
    }

    fn calibration(&self) -> Option<Calibration> {
        self.tuned.as_ref().map_or(self.trained.calibration, |tuned| tuned.calibration)
    }

    /// The encoders that were tuned, where that made them better.
    fn encoders(&self) -> Option<&TunedEncoders> {
        self.tuned.as_ref()?.encoders.as_ref()
    }

    fn stopped(&self) -> bool {
        self.tuned.as_ref().map_or(self.trained.stopped, |tuned| tuned.stopped)
    }

    /// What the bundle's lineage says of the tuning, also of one that was stopped before it made anything better, and of the
    /// epochs after which the head's training or the tuning was stopped.
    fn lineage(&self, tune: Option<&TuneConfig>) -> anyhow::Result<BTreeMap<String, String>> {
        let mut lineage = BTreeMap::new();
        let of_tuning = self.tuned.as_ref().filter(|tuned| tuned.stopped);
        if let Some(tune) = tune.filter(|_| of_tuning.is_some() || self.encoders().is_some()) {
            lineage.insert("tune".to_owned(), serde_json::to_string(tune)?);
        }
        if let Some(tuned) = of_tuning {
            lineage.insert("stopped_after_tune_epochs".to_owned(), tuned.epochs.len().to_string());
        } else if self.stopped() {
            lineage.insert("stopped_after_epochs".to_owned(), self.trained.epochs.len().to_string());
        }
        Ok(lineage)
    }

    /// What the run's report says of it.
    fn tell(&self, (train_rows, eval_rows): (usize, usize), cx: &mut ExecutionContext) {
        let trained = &self.trained;
        let best = trained.epochs[trained.best_epoch];
        cx.set_detail("train_rows", train_rows);
        cx.set_detail("eval_rows", eval_rows);
        cx.set_detail("epochs", trained.epochs.len());
        cx.set_detail("best_epoch", trained.best_epoch + 1);
        cx.set_detail("train_loss", best.train_loss);
        if let Some(loss) = best.eval_loss {
            cx.set_detail("eval_loss", loss);
        }
        cx.set_detail("temperature", f64::from(self.head().temperature()));
        if let Some(tuned) = &self.tuned {
            fine_tuning::tell(tuned, cx);
        }
        if self.stopped() {
            cx.set_detail(STOPPED_DETAIL, true);
        }
        let ends: Vec<String> = trained.epoch_ends.iter().map(|end| end.as_millis().to_string()).collect();
        cx.set_detail(EPOCH_ENDS_DETAIL, ends.join(","));
    }
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

    /// What the model was made from: the settings, and the inputs by content.
    fn lineage(
        &self,
        io: &ExecutionIo,
        config: &TrainerConfig,
        learnt: &Learnt,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let mut lineage = BTreeMap::from([("trainer".to_owned(), serde_json::to_string(config)?)]);
        lineage.extend(learnt.lineage(self.fine_tuning.as_ref().map(|fine_tuning| &fine_tuning.config))?);
        for key in ["examples", "transformed_examples", "transform_graph", "hyperparameters"] {
            lineage.extend(io.input_hash(key).map(|hash| (key.to_owned(), hash.to_string())));
        }
        lineage.extend(split_rule(io.input("examples"))?.map(|rule| (SPLIT_RULE.to_owned(), rule)));
        Ok(lineage)
    }
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
        assert!(training.tuning.is_none() && !training.stopped);
        let written = serde_json::to_value(&training).unwrap();
        assert!(written.get("tuning").is_none() && written.get("stopped").is_none());
    }
}
