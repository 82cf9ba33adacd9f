//! How good the method is, apart from one lucky split: every labelled post is judged once by a model that saw none of
//! its group.

use std::collections::HashSet;
use std::path::Path;

use natureddit_core::Progress;
use natureddit_core::text::normalise_title;
use natureddit_model::metrics::{Judged, Metrics, evaluate};
use natureddit_model::train::train_head;
use natureddit_model::{Features, Prediction};
use serde::Serialize;

use crate::components::read_transformed;
use crate::components::trainer::labelled_samples;
use crate::examples::{Example, ExampleSource, read_split};
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

/// Cross-validates over the posts of `examples` and their features, both folders as the pipeline's components left
/// them. Titles without a photo are learnt from, except those that equal a title of the fold that is judged.
///
/// # Errors
/// When a file cannot be read, or a fold lacks a class.
pub fn cross_validate(
    (examples, transformed): (&Path, &Path),
    k: usize,
    config: &TrainingConfig,
    progress: &Progress,
) -> anyhow::Result<CrossValidation> {
    let mut rows: Vec<(Example, Features)> = Vec::new();
    for split in Split::ALL {
        let features = read_transformed(transformed, split, &config.encoders)?;
        rows.extend(read_split(examples, split)?.into_iter().zip(features));
    }
    rows.retain(|(example, _)| config.classes.class(&example.choice).is_some());
    let (posts, titles): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(row, _)| row.source == ExampleSource::Post);
    let groups: Vec<&str> = posts.iter().map(|(example, _)| example.group.as_str()).collect();
    let fold_of = folds(&groups, k);

    let mut all = Vec::with_capacity(posts.len());
    let mut scores = Vec::with_capacity(k);
    progress.start("cross-validating", Some(k as u64));
    for fold in 0..k {
        let judged = judge_fold(fold, &fold_of, &posts, &titles, config)?;
        scores.push(evaluate(&judged, &config.classes, &config.evaluator.bootstrap).macro_f1);
        all.extend(judged);
        progress.advance(1);
    }
    progress.finish();
    let mean = scores.iter().sum::<f64>() / k as f64;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / k as f64;
    Ok(CrossValidation {
        macro_f1_mean: mean,
        macro_f1_deviation: variance.sqrt(),
        macro_f1_folds: scores,
        metrics: evaluate(&all, &config.classes, &config.evaluator.bootstrap),
    })
}

/// Trains on the other folds and judges this one.
fn judge_fold(
    fold: usize,
    fold_of: &[usize],
    posts: &[(Example, Features)],
    titles: &[(Example, Features)],
    config: &TrainingConfig,
) -> anyhow::Result<Vec<Judged>> {
    let in_fold = |at: &usize| fold_of[*at] == fold;
    let held: Vec<&(Example, Features)> = (0..posts.len()).filter(in_fold).map(|at| &posts[at]).collect();
    let held_titles: HashSet<String> = held.iter().map(|(example, _)| normalise_title(&example.title)).collect();
    let others = (0..posts.len()).filter(|at| !in_fold(at)).map(|at| posts[at].clone());
    let is_eval = |(example, _): &(Example, Features)| {
        hash_bucket(&natureddit_core::ContentHash::of(example.group.as_bytes()), EVAL_SHARE) == 0
    };
    let (eval, mut train): (Vec<_>, Vec<_>) = others.partition(is_eval);
    let unseen = |(example, _): &&(Example, Features)| !held_titles.contains(&normalise_title(&example.title));
    train.extend(titles.iter().filter(unseen).cloned());

    let samples = |rows| labelled_samples(rows, &config.classes, config.extra_title_weight);
    let silent = Progress::silent();
    let trained =
        train_head(&samples(&train), &samples(&eval), &config.classes, &config.encoders, &config.trainer, &silent)?;
    let judge = |(example, features): &&(Example, Features)| {
        let truth = config.classes.class(&example.choice)?;
        Some(Judged { truth, prediction: Prediction::new(trained.head.probabilities(features)) })
    };
    Ok(held.iter().filter_map(judge).collect())
}
