//! Tuner: which settings of training do best, by cross-validation over the posts that are not tested on.

use natureddit_core::{ClassNames, Progress};
use natureddit_model::EncoderPair;
use natureddit_model::search::{HyperParameters, SearchMethod, SearchSpace};
use natureddit_model::train::{TrainError, TrainerConfig};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::write_json;
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::cross_validation::{FoldScore, Folds, Method, mean_and_deviation};
use crate::split::Split;

/// The file with the [`Tuning`].
pub const HYPERPARAMETERS_FILE: &str = "hyperparameters.json";

/// What is tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TunerConfig {
    /// Which points of the space are tried.
    pub method: SearchMethod,
    /// The most settings that are tried.
    pub trials_max: usize,
    /// How many folds the posts are divided into.
    pub folds: usize,
    /// The values of each setting.
    pub search: SearchSpace,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The settings that did best: the highest mean macro-F1, then the lowest log loss, then the first.
    pub best: HyperParameters,
    /// How many folds each trial had.
    pub folds: usize,
    /// Every trial in the order of the search; the first is what is configured.
    pub trials: Vec<Trial>,
}

/// Settings and how they did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The settings.
    pub hyperparameters: HyperParameters,
    /// `None` where the training diverged.
    pub score: Option<Score>,
}

/// How settings did on the posts that each fold's training did not see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The mean of the folds' macro-F1.
    pub macro_f1_mean: f64,
    /// Their standard deviation.
    pub macro_f1_deviation: f64,
    /// Each fold's macro-F1.
    pub macro_f1_folds: Vec<f64>,
    /// The mean over all posts of `-ln` of the truth's probability.
    pub log_loss: f64,
}

/// No trial came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the training diverged with each of {0} settings")]
pub struct NothingConverged(pub usize);

/// Searches for the settings of training.
pub struct Tuner {
    /// The classes.
    pub classes: ClassNames,
    /// Which encoders the features come from.
    pub encoders: EncoderPair,
    /// What is configured.
    pub trainer: TrainerConfig,
    /// How much a title without a photo counts beside a whole post.
    pub extra_title_weight: f32,
    /// What is tried.
    pub config: TunerConfig,
}

impl Component for Tuner {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Tuner",
                version: 1,
                inputs: &[
                    Port::new("examples", ArtifactType::Examples),
                    Port::new("transformed_examples", ArtifactType::TransformedExamples),
                ],
                outputs: &[Port::new("hyperparameters", ArtifactType::HyperParameters)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({
            "classes": self.classes,
            "image_encoder": self.encoders.image_hash(),
            "text_encoder": self.encoders.text_hash(),
            "trainer": self.trainer,
            "extra_title_weight": self.extra_title_weight,
            "config": self.config,
        })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        // The test split judges the model that comes of this, so that it has no say in how it is made.
        let splits = [Split::Train, Split::Eval];
        let folders = (io.input("examples"), io.input("transformed_examples"));
        let folds = Folds::read(folders, &splits, self.config.folds, &self.classes, &self.encoders)?;
        let tuning = self.tune(&folds, &cx.progress)?;
        cx.set_detail("trials", tuning.trials.len());
        if let Some(score) = tuning.best_trial().and_then(|trial| trial.score.as_ref()) {
            cx.set_property("hyperparameters", "macro_f1_mean", score.macro_f1_mean);
        }
        write_json(&io.output("hyperparameters").join(HYPERPARAMETERS_FILE), &tuning)
    }
}

impl Tuning {
    fn best_trial(&self) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.hyperparameters == self.best)
    }
}

impl Tuner {
    fn tune(&self, folds: &Folds, progress: &Progress) -> anyhow::Result<Tuning> {
        let TunerConfig { method, trials_max, search, .. } = &self.config;
        let tried = search.trials(&self.trainer, *method, *trials_max, self.trainer.seed);
        let jobs: Vec<(usize, usize)> =
            (0..tried.len()).flat_map(|trial| (0..folds.count()).map(move |fold| (trial, fold))).collect();
        progress.start("tuning", Some(jobs.len() as u64));
        let scores: Vec<Option<FoldScore>> = jobs
            .par_iter()
            .map(|&(trial, fold)| {
                let score = self.score(&tried[trial], folds, fold);
                progress.advance(1);
                score
            })
            .collect::<anyhow::Result<_>>()?;
        progress.finish();

        let trials: Vec<Trial> = tried
            .into_iter()
            .zip(scores.chunks(folds.count()))
            .map(|(hyperparameters, scores)| Trial { hyperparameters, score: Score::of(scores) })
            .collect();
        let best = best(&trials).ok_or(NothingConverged(trials.len()))?;
        Ok(Tuning { best, folds: folds.count(), trials })
    }

    /// How settings do on one fold; `None` where the training diverged.
    fn score(&self, tried: &HyperParameters, folds: &Folds, fold: usize) -> anyhow::Result<Option<FoldScore>> {
        let method = Method {
            classes: &self.classes,
            encoders: &self.encoders,
            trainer: &tried.apply(&self.trainer),
            extra_title_weight: self.extra_title_weight,
        };
        match folds.judge(fold, &method) {
            Ok(judged) => Ok(Some(FoldScore::of(&judged, &self.classes))),
            Err(TrainError::Diverged(_)) => Ok(None),
            Err(error) => Err(folds.told(error)),
        }
    }
}

impl Score {
    /// `None` where a fold has none.
    fn of(folds: &[Option<FoldScore>]) -> Option<Self> {
        let folds: Vec<FoldScore> = folds.iter().copied().collect::<Option<_>>()?;
        let macro_f1_folds: Vec<f64> = folds.iter().map(|fold| fold.macro_f1).collect();
        let (macro_f1_mean, macro_f1_deviation) = mean_and_deviation(&macro_f1_folds);
        let posts: usize = folds.iter().map(|fold| fold.examples).sum();
        let log_loss = folds.iter().map(|fold| fold.log_loss_sum).sum::<f64>() / posts.max(1) as f64;
        Some(Self { macro_f1_mean, macro_f1_deviation, macro_f1_folds, log_loss })
    }
}

/// The settings of the highest macro-F1, then of the lowest log loss, then the first.
fn best(trials: &[Trial]) -> Option<HyperParameters> {
    let scored = trials.iter().filter_map(|trial| Some((trial.hyperparameters, trial.score.as_ref()?)));
    let best = scored.reduce(|best, other| {
        let by_macro_f1 = best.1.macro_f1_mean.total_cmp(&other.1.macro_f1_mean);
        let ordered = by_macro_f1.then_with(|| other.1.log_loss.total_cmp(&best.1.log_loss));
        if ordered.is_lt() { other } else { best }
    });
    best.map(|(hyperparameters, _)| hyperparameters)
}

#[cfg(test)]
mod tests;
