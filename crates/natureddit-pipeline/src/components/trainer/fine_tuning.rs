//! Fine-tuning within the Trainer: the photos and titles of its rows, and what is told of it.

use std::error::Error;
use std::path::PathBuf;

use natureddit_core::Progress;
use natureddit_model::train::{
    Checkpoints, Control, Epoch, Sample, Trained, TrainerConfig, TuneConfig, TuneError, TuneSetting, TuneSplit, Tuned,
    tune_encoders,
};
use natureddit_model::{InputLimits, ModelInput, Prepared, Preprocessor, Runtime};
use serde::{Deserialize, Serialize};

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
    /// The epoch the encoders are from, counted from 0; `None` where none was better than the encoders as they were.
    pub best_epoch: Option<usize>,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
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
            best_epoch: tuned.best_epoch,
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
    if let Some(best) = tuned.best_epoch {
        cx.set_detail("tune_best_epoch", best);
    }
    let after = tuned.best_epoch.and_then(|best| tuned.epochs.get(best)?.eval_loss);
    for (name, loss) in [("tune_eval_loss_before", tuned.eval_loss_before), ("tune_eval_loss", after)] {
        if let Some(loss) = loss {
            cx.set_detail(name, loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use natureddit_core::Class;
    use natureddit_model::Features;

    use super::*;

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
