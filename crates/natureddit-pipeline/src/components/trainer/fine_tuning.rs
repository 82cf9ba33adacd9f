//! Fine-tuning within the Trainer: the photos and titles of its rows, and what is told of it.

use std::error::Error;
use std::path::PathBuf;

use natureddit_core::Progress;
use natureddit_model::train::{
    Checkpoints, Control, Epoch, Sample, Trained, TrainerConfig, TuneConfig, TuneError, TuneSetting, TuneSplit, Tuned,
    tune_encoders,
};
use natureddit_model::{InputLimits, ModelInput, Prepared, Preprocessor, Runtime};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Row, Trainer};
use crate::component::ExecutionContext;
use crate::components::ModelAssets;
use crate::components::photo::{PhotoFileProblem, read_photo};
use crate::examples::Example;

/// How the encoders are tuned, and on what.
pub struct FineTuning {
    /// How.
    pub config: TuneConfig,
    /// Where the photos are.
    pub images_dir: PathBuf,
    /// The largest photo and title.
    pub limits: InputLimits,
    /// How many threads are used; it changes nothing in the model.
    pub threads: usize,
    /// Where it is kept while it lasts; `None` keeps nothing.
    pub checkpoints: Option<Checkpoints>,
}

/// How encoders were tuned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuningRecord {
    /// The settings.
    pub config: TuneConfig,
    /// The eval loss before it.
    pub eval_loss_before: Option<f64>,
    /// The epoch the encoders are from, counted from 1; 0 where none was better than the encoders as they were.
    #[serde(deserialize_with = "epoch_or_none")]
    pub best_epoch: usize,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
}

/// Records of before have `null` where no epoch was better.
fn epoch_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The epoch that was taken, counted from 1 as the head's is; 0 where none was.
fn epoch_taken(tuned: &Tuned) -> usize {
    tuned.best_epoch.map_or(0, |best| best + 1)
}

/// Some samples and the rows that they are of, among others.
type Split<'a> = (&'a [Sample<'a>], &'a [Row]);

impl FineTuning {
    /// Tunes the encoders with a trained head.
    pub(super) fn run(
        &self,
        trainer: &Trainer,
        config: &TrainerConfig,
        trained: &Trained,
        splits: [Split<'_>; 2],
        assets: &ModelAssets,
        progress: &Progress,
    ) -> anyhow::Result<Tuned> {
        let runtime = Runtime::load(&assets.runtime)?;
        let preprocessor = trainer.encoders.preprocessor(&assets.encoders, self.limits)?;
        let examples = splits.map(|(samples, rows)| examples_of(samples, rows));
        let [of_train, of_eval] = &examples;
        let train = |row: usize| self.prepare(of_train[row], &preprocessor);
        let eval = |row: usize| self.prepare(of_eval[row], &preprocessor);
        let [(train_samples, _), (eval_samples, _)] = splits;
        let train = TuneSplit { samples: train_samples, prepare: &train };
        let eval = TuneSplit { samples: eval_samples, prepare: &eval };
        let setting = TuneSetting {
            classes: &trainer.classes,
            encoders: &trainer.encoders,
            files: &assets.encoders,
            runtime: &runtime,
            trainer: config,
            tune: &self.config,
            threads: self.threads,
        };
        let control = Control { progress, stop: trainer.stop.as_deref(), checkpoints: self.checkpoints.as_ref() };
        tune_encoders(trained, [train, eval], &setting, &control).map_err(|error| match post_of(&error, &examples) {
            Some(id) => anyhow::Error::new(error).context(format!("post {id} cannot be learnt from")),
            None => error.into(),
        })
    }

    /// What the training record says of it.
    pub(super) fn record(&self, tuned: &Tuned) -> TuningRecord {
        TuningRecord {
            config: self.config.clone(),
            eval_loss_before: tuned.eval_loss_before,
            best_epoch: epoch_taken(tuned),
            epochs: tuned.epochs.clone(),
        }
    }

    /// An example as the encoders take it, without a part that cannot be read: it has no features either, or that is told.
    fn prepare(
        &self,
        example: &Example,
        preprocessor: &Preprocessor,
    ) -> Result<Prepared, Box<dyn Error + Send + Sync>> {
        let path = self.images_dir.join(&example.img_name);
        let read = |hash| {
            let problem = |problem: PhotoFileProblem| tracing::warn!("{}: {}", path.display(), problem.code());
            read_photo(&path, hash, self.limits.image.bytes_max).map_err(problem).ok()
        };
        let photo = example.sha256.as_ref().and_then(read);
        let (text, image) = (Some(example.title.as_str()), photo.as_deref());
        let whole = preprocessor.prepare(&ModelInput { text, image });
        let parts = [ModelInput { text: None, image }, ModelInput { text, image: None }];
        let part = |error| parts.iter().find_map(|part| preprocessor.prepare(part).ok()).ok_or(error);
        Ok(whole.or_else(part)?)
    }
}

/// The examples that samples are of, in the order of both.
fn examples_of<'a>(samples: &[Sample<'_>], rows: &'a [Row]) -> Vec<&'a Example> {
    let mut rows = rows.iter();
    let mut find = |sample: &Sample<'_>| rows.find(|(_, features)| std::ptr::eq(features, sample.features));
    samples.iter().filter_map(|sample| find(sample).map(|(example, _)| example)).collect()
}

/// The post that could not be prepared, where that is the error.
fn post_of(error: &TuneError, [train, eval]: &[Vec<&Example>; 2]) -> Option<String> {
    let (TuneError::Row { split, row, .. } | TuneError::Missing { split, row, .. }) = error else { return None };
    let examples = if *split == "train" { train } else { eval };
    examples.get(*row).map(|example| example.id.to_string())
}

/// What the run's report says of it.
pub(super) fn tell(tuned: &Tuned, cx: &mut ExecutionContext) {
    cx.set_detail("tune_epochs", tuned.epochs.len());
    cx.set_detail("tune_best_epoch", epoch_taken(tuned));
    let after = tuned.best_epoch.and_then(|best| tuned.epochs.get(best)?.eval_loss);
    for (name, loss) in [("tune_eval_loss_before", tuned.eval_loss_before), ("tune_eval_loss", after)] {
        if let Some(loss) = loss {
            cx.set_detail(name, loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use natureddit_core::{Class, ClassNames};
    use natureddit_model::train::{TunedLayers, train_head};
    use natureddit_model::{EncoderPair, Features, image_encoder_from_config, text_encoder_from_config};
    use natureddit_testkit::trainer;
    use serde_json::Value;

    use super::super::Learnt;
    use super::*;
    use crate::artifact::ArtifactType;
    use crate::component::{ComponentSpec, Port};

    const SPEC: ComponentSpec =
        ComponentSpec { id: "T", version: 1, inputs: &[], outputs: &[Port::new("model", ArtifactType::Model)] };

    /// A head that was trained for two epochs.
    fn trained() -> Trained {
        let image = image_encoder_from_config("efficientnet_lite0").unwrap();
        let text = text_encoder_from_config("all-MiniLM-L6-v2").unwrap();
        let encoders = EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 };
        let classes = ClassNames::new(["fauna", "flora"].map(str::to_owned).to_vec()).unwrap();
        let rows = [-1.0, 1.0].map(|value| Features { image: None, text: Some(vec![value; 384]) });
        let sample = |at: usize| Sample { features: &rows[at], class: Class(at), weight: 1.0 };
        let config = TrainerConfig { epochs_max: 2, ..trainer() };
        let (samples, progress) = ([sample(0), sample(1)], Progress::silent());
        train_head(&samples, &[], &classes, &encoders, &config, &Control::new(&progress)).unwrap()
    }

    /// What comes of a tuning of so many epochs.
    fn tuned(trained: &Trained, epochs: usize, best_epoch: Option<usize>) -> Tuned {
        Tuned {
            head: trained.head.clone(),
            encoders: None,
            calibration: None,
            stopped: false,
            eval_loss_before: Some(0.9),
            epochs: vec![Epoch { eval_loss: Some(0.5), ..trained.epochs[0] }; epochs],
            best_epoch,
            difference_before: 0.0,
            difference_after: 0.0,
        }
    }

    fn fine_tuning() -> FineTuning {
        FineTuning {
            config: TuneConfig { layers: TunedLayers::All, learning_rate: 1e-4, epochs_max: 12, batch_size: 8 },
            images_dir: PathBuf::new(),
            limits: natureddit_testkit::LIMITS,
            threads: 1,
            checkpoints: None,
        }
    }

    #[test]
    fn the_epoch_taken_is_counted_from_1_and_is_0_where_none_was_better() {
        let trained = trained();
        for (best, told) in [(None, 0), (Some(0), 1), (Some(1), 2)] {
            let tuned = tuned(&trained, 2, best);
            let mut cx = ExecutionContext::new(&SPEC, Progress::silent());
            tell(&tuned, &mut cx);
            assert_eq!(cx.details["tune_best_epoch"].to_string(), told.to_string());
            assert_eq!(cx.details.contains_key("tune_eval_loss"), best.is_some());
            let written = serde_json::to_value(fine_tuning().record(&tuned)).unwrap();
            assert_eq!(written["best_epoch"], told);
        }
        let mut of_before = serde_json::to_value(fine_tuning().record(&tuned(&trained, 2, None))).unwrap();
        of_before["best_epoch"] = Value::Null;
        assert_eq!(serde_json::from_value::<TuningRecord>(of_before).unwrap().best_epoch, 0);
    }

    #[test]
    fn the_lineage_tells_what_was_stopped_the_head_or_the_tuning_also_before_its_first_epoch_ended() {
        let whole = trained();
        let head_stopped = Trained { stopped: true, ..whole.clone() };
        let of = |trained: &Trained, tuned| {
            let learnt = Learnt { trained: trained.clone(), tuned };
            learnt.lineage(Some(&fine_tuning().config)).unwrap().into_iter().collect::<Vec<_>>()
        };
        let told = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(of(&whole, None), []);
        assert_eq!(of(&head_stopped, None), [told("stopped_after_epochs", "2")]);
        // All of a tuning was run and nothing was better: nothing of it is in the model.
        assert_eq!(of(&whole, Some(tuned(&whole, 5, None))), []);
        for (epochs, best) in [(0, None), (5, Some(3))] {
            let stopped = Tuned { stopped: true, ..tuned(&whole, epochs, best) };
            let tune = serde_json::to_string(&fine_tuning().config).unwrap();
            let expected = [told("stopped_after_tune_epochs", &epochs.to_string()), told("tune", &tune)];
            assert_eq!(of(&whole, Some(stopped)), expected);
        }
    }

    #[test]
    fn samples_find_their_examples_although_others_are_left_out() {
        let row = |id: &str| {
            let example = Example::title_alone(id.parse().unwrap(), "a title".to_owned(), "fauna".to_owned());
            (example, Features { image: None, text: Some(vec![1.0]) })
        };
        let rows = ["a1", "a2", "a3", "a4"].map(row);
        let sample = |at: usize| Sample { features: &rows[at].1, class: Class(0), weight: 1.0 };
        let found = examples_of(&[sample(1), sample(3)], &rows);
        assert_eq!(found.iter().map(|example| example.id.to_string()).collect::<Vec<_>>(), ["a2", "a4"]);
        let examples = [found, vec![&rows[0].0]];
        let missing = |split, row| TuneError::Missing { split, row, part: "photo" };
        assert_eq!(post_of(&missing("train", 1), &examples).as_deref(), Some("a4"));
        assert_eq!(post_of(&missing("eval", 0), &examples).as_deref(), Some("a1"));
        assert_eq!(post_of(&TuneError::Foreign("text encoder"), &examples), None);
    }
}
