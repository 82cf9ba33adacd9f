//! How good the method is, apart from one lucky split: every labelled post is judged once by a model that saw none of
//! its group.

use std::collections::HashSet;
use std::path::Path;

use natureddit_core::{ClassNames, ContentHash, Progress};
use natureddit_model::metrics::{Judged, Metrics, evaluate, macro_f1};
use natureddit_model::train::{Control, TrainError, TrainerConfig, train_head};
use natureddit_model::{EncoderPair, Features, Prediction};
use serde::Serialize;

use crate::components::read_transformed;
use crate::components::trainer::labelled_samples;
use crate::examples::{Example, ExampleSource, JudgedPosts, read_split};
use crate::split::{Split, folds, hash_bucket};
use crate::training_graph::TrainingConfig;

/// One in so many groups of a fold's training posts stops the training early instead of being learnt.
const EVAL_SHARE: u32 = 9;

/// The figures of a cross-validation.
#[derive(Clone, Debug, Serialize)]
pub struct CrossValidation {
    /// The mean of the folds' macro-F1.
    pub macro_f1_mean: f64,
    /// Their standard deviation.
    pub macro_f1_deviation: f64,
    /// Each fold's macro-F1.
    pub macro_f1_folds: Vec<f64>,
    /// All answers together.
    pub metrics: Metrics,
}

/// More folds than there is something to put into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {groups} groups of labelled posts, too few for {folds} folds")]
pub struct TooManyFolds {
    /// How many folds were asked for.
    pub folds: usize,
    /// How many groups of posts there are.
    pub groups: usize,
}

/// A class of which a fold's training has no example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("class {class:?} has {posts} labelled posts in {groups} groups, too few for {folds} folds")]
pub struct ClassTooSmall {
    /// The class.
    pub class: String,
    /// How many labelled posts show it.
    pub posts: usize,
    /// How many groups they are of; a group is in one fold.
    pub groups: usize,
    /// How many folds there are.
    pub folds: usize,
}

/// A labelled example and its features.
pub(crate) type Row = (Example, Features);

/// Cross-validates over the posts of `examples` and their features, both folders as the pipeline's components left
/// them. Titles without a photo are learnt from, except those that tell of a post that judges or stops the training.
///
/// # Errors
/// [`TooManyFolds`], or [`ClassTooSmall`] when the training posts of a fold lack a class; else when a file cannot be read.
pub fn cross_validate(
    folders: (&Path, &Path),
    k: usize,
    config: &TrainingConfig,
    progress: &Progress,
) -> anyhow::Result<CrossValidation> {
    let method = Method::of(config);
    let folds = Folds::read(folders, &Split::ALL, k, &config.classes, &config.encoders)?;
    let mut all = Vec::with_capacity(folds.posts.len());
    let mut scores = Vec::with_capacity(k);
    progress.start("cross-validating", Some(k as u64));
    for fold in 0..k {
        let judged = folds.judge(fold, &method).map_err(|error| folds.told(error))?;
        scores.push(FoldScore::of(&judged, &config.classes).macro_f1);
        all.extend(judged);
        progress.advance(1);
    }
    progress.finish();
    let (macro_f1_mean, macro_f1_deviation) = mean_and_deviation(&scores);
    Ok(CrossValidation {
        macro_f1_mean,
        macro_f1_deviation,
        macro_f1_folds: scores,
        metrics: evaluate(&all, &config.classes, &config.evaluator.bootstrap),
    })
}

/// The mean of the scores and their standard deviation.
pub(crate) fn mean_and_deviation(scores: &[f64]) -> (f64, f64) {
    let count = scores.len().max(1) as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// How a model is made of examples.
pub(crate) struct Method<'a> {
    pub(crate) classes: &'a ClassNames,
    pub(crate) encoders: &'a EncoderPair,
    pub(crate) trainer: &'a TrainerConfig,
    pub(crate) extra_title_weight: f32,
}

impl<'a> Method<'a> {
    /// As the pipeline trains.
    pub(crate) fn of(config: &'a TrainingConfig) -> Self {
        Self {
            classes: &config.classes,
            encoders: &config.encoders,
            trainer: &config.trainer,
            extra_title_weight: config.extra_title_weight,
        }
    }
}

/// How a model did on the posts of a fold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FoldScore {
    pub(crate) macro_f1: f64,
    /// The sum over the posts of `-ln` of the truth's probability.
    pub(crate) log_loss_sum: f64,
    pub(crate) examples: usize,
}

impl FoldScore {
    pub(crate) fn of(judged: &[Judged], classes: &ClassNames) -> Self {
        // A probability of 0 would make every other answer worthless; this is as scikit-learn clips 32-bit ones.
        let of_truth = |judged: &Judged| judged.prediction.probabilities[judged.truth.0].max(f32::EPSILON);
        Self {
            macro_f1: macro_f1(judged, classes),
            log_loss_sum: judged.iter().map(|judged| -f64::from(of_truth(judged)).ln()).sum(),
            examples: judged.len(),
        }
    }
}

/// A labelled post and what a model says of it that never saw it.
pub(crate) struct OutOfFold<'a> {
    pub(crate) example: &'a Example,
    pub(crate) judged: Judged,
}

/// Labelled posts, dealt into folds that share no group.
pub(crate) struct Folds {
    posts: Vec<Row>,
    /// Titles without a photo, which are only learnt from.
    titles: Vec<Row>,
    fold_of: Vec<usize>,
    count: usize,
}

impl Folds {
    /// The posts of these splits in `k` folds.
    ///
    /// # Errors
    /// [`TooManyFolds`]; else when a file cannot be read.
    pub(crate) fn read(
        (examples, transformed): (&Path, &Path),
        splits: &[Split],
        k: usize,
        classes: &ClassNames,
        encoders: &EncoderPair,
    ) -> anyhow::Result<Self> {
        let mut rows: Vec<Row> = Vec::new();
        for split in splits {
            let features = read_transformed(transformed, *split, encoders)?;
            rows.extend(read_split(examples, *split)?.into_iter().zip(features));
        }
        rows.retain(|(example, _)| classes.class(&example.choice).is_some());
        let (mut posts, titles): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(row, _)| row.source == ExampleSource::Post);
        // As the Evaluator: what has neither photo nor title cannot be asked about.
        posts.retain(|(_, features)| features.image.is_some() || features.text.is_some());
        let groups: Vec<&str> = posts.iter().map(|(example, _)| example.group.as_str()).collect();
        let distinct = groups.iter().collect::<HashSet<_>>().len();
        anyhow::ensure!(distinct >= k, TooManyFolds { folds: k, groups: distinct });
        Ok(Self::deal(posts, titles, k))
    }

    /// Deals posts; the titles are in no fold.
    pub(crate) fn deal(posts: Vec<Row>, titles: Vec<Row>, k: usize) -> Self {
        let groups: Vec<&str> = posts.iter().map(|(example, _)| example.group.as_str()).collect();
        let fold_of = folds(&groups, k);
        Self { posts, titles, fold_of, count: k }
    }

    /// Every post with what a model says of it that saw none of its group; fold by fold.
    ///
    /// # Errors
    /// As [`Folds::judge`], told as [`Folds::told`] tells it.
    pub(crate) fn out_of_fold(&self, method: &Method<'_>, progress: &Progress) -> anyhow::Result<Vec<OutOfFold<'_>>> {
        progress.start("cross-validating", Some(self.count as u64));
        let mut all = Vec::with_capacity(self.posts.len());
        for fold in 0..self.count {
            let held = self.posts.iter().zip(&self.fold_of).filter(|(_, of)| **of == fold).map(|((post, _), _)| post);
            let judged = self.judge(fold, method).map_err(|error| self.told(error))?;
            // One answer a post, in this order.
            all.extend(held.zip(judged).map(|(example, judged)| OutOfFold { example, judged }));
            progress.advance(1);
        }
        progress.finish();
        Ok(all)
    }

    /// How many folds there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// An error of [`Folds::judge`]; of a class that is missing, with how much there is of it.
    pub(crate) fn told(&self, error: TrainError) -> anyhow::Error {
        let TrainError::ClassMissing(class) = error else { return error.into() };
        let of_class: Vec<&str> = self
            .posts
            .iter()
            .filter(|(example, _)| example.choice == class)
            .map(|(example, _)| example.group.as_str())
            .collect();
        let groups = of_class.iter().collect::<HashSet<_>>().len();
        ClassTooSmall { class, posts: of_class.len(), groups, folds: self.count }.into()
    }

    /// Trains on the other folds and judges this one.
    ///
    /// # Errors
    /// When the training posts lack a class, or the training diverges.
    pub(crate) fn judge(&self, fold: usize, method: &Method<'_>) -> Result<Vec<Judged>, TrainError> {
        let Method { classes, encoders, trainer, extra_title_weight } = *method;
        let fold = Fold::new(fold, &self.fold_of, &self.posts, &self.titles);
        let train = labelled_samples(fold.train.iter().copied(), classes, extra_title_weight);
        let eval = labelled_samples(fold.eval.iter().copied(), classes, extra_title_weight);
        let silent = Progress::silent();
        let trained = train_head(&train, &eval, classes, encoders, trainer, &Control::new(&silent))?;
        let judge = |(example, features): &&Row| {
            let truth = classes.class(&example.choice)?;
            let prediction = Prediction::new(trained.head.probabilities(features));
            Some(Judged { truth, prediction, group: example.group.clone() })
        };
        Ok(fold.held.iter().filter_map(judge).collect())
    }
}

/// What one fold is judged by, and what is learnt for it.
struct Fold<'a> {
    held: Vec<&'a Row>,
    /// Stops the training early.
    eval: Vec<&'a Row>,
    train: Vec<&'a Row>,
}

impl<'a> Fold<'a> {
    fn new(fold: usize, fold_of: &[usize], posts: &'a [Row], titles: &'a [Row]) -> Self {
        let (held, others): (Vec<_>, Vec<_>) = posts.iter().zip(fold_of).partition(|(_, of)| **of == fold);
        let held: Vec<&Row> = held.into_iter().map(|(row, _)| row).collect();
        let is_eval = |(example, _): &&Row| hash_bucket(&ContentHash::of(example.group.as_bytes()), EVAL_SHARE) == 0;
        let (eval, mut train): (Vec<&Row>, Vec<&Row>) = others.into_iter().map(|(row, _)| row).partition(is_eval);
        let judged = JudgedPosts::new(held.iter().chain(&eval).map(|(example, _)| example));
        train.extend(titles.iter().filter(|(title, _)| !judged.are_told_by(&title.id, &title.title)));
        Self { held, eval, train }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, title: &str, group: &str, source: ExampleSource) -> Row {
        let example = Example {
            group: group.to_owned(),
            source,
            ..Example::title_alone(id.parse().unwrap(), title.to_owned(), "fauna".to_owned())
        };
        (example, Features::default())
    }

    #[test]
    fn a_class_with_too_few_posts_is_told_with_their_number() {
        let posts: Vec<Row> = (0..7)
            .map(|at| row(&format!("p{at}"), "A title", if at < 3 { "one" } else { "two" }, ExampleSource::Post))
            .collect();
        let folds = Folds::deal(posts, Vec::new(), 2);
        let error = folds.told(TrainError::ClassMissing("fauna".to_owned()));
        let expected = ClassTooSmall { class: "fauna".to_owned(), posts: 7, groups: 2, folds: 2 };
        assert_eq!(error.downcast_ref(), Some(&expected));
        let told = "class \"fauna\" has 7 labelled posts in 2 groups, too few for 2 folds";
        assert_eq!(error.to_string(), told);
        assert!(folds.told(TrainError::Diverged(3)).is::<TrainError>());
    }

    #[test]
    fn no_title_tells_of_a_post_that_judges_or_stops_the_training() {
        let names: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
        let posts: Vec<Row> = names.iter().map(|id| row(id, &format!("Of {id}"), id, ExampleSource::Post)).collect();
        // For each post a title by its id, and one that reads the same.
        let of = |id: &String| {
            let copy = row(&format!("copy-{id}"), &format!("of {id}!"), "", ExampleSource::Title);
            [row(id, &format!("Another title of {id}"), "", ExampleSource::Title), copy]
        };
        let titles: Vec<Row> = names.iter().flat_map(of).collect();
        let groups: Vec<&str> = names.iter().map(String::as_str).collect();
        let fold_of = folds(&groups, 4);
        for number in 0..4 {
            let Fold { held, eval, train } = Fold::new(number, &fold_of, &posts, &titles);
            assert!(held.len() == 10 && !eval.is_empty());
            let learnt: Vec<&Row> =
                train.iter().copied().filter(|(row, _)| row.source == ExampleSource::Title).collect();
            assert_eq!(learnt.len(), 2 * (40 - held.len() - eval.len()));
            for (post, _) in held.iter().chain(&eval) {
                let told =
                    learnt.iter().any(|(title, _)| title.title.to_lowercase().contains(&format!("of {} ", post.id)));
                assert!(!told && learnt.iter().all(|(title, _)| title.id != post.id), "{}", post.id);
            }
        }
    }
}
