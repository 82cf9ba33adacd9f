//! Which labels are likely wrong: by what models say that never saw the post, and by posts that look or read the same and
//! were labelled otherwise.
//!
//! The first is confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
//! Labels", <https://arxiv.org/abs/1911.00068>) on out-of-fold probabilities: see [`ConfidentLearning`]. Every post is judged
//! by a model that saw none of its group, so that no model has learnt the label it is asked about.

mod confident_learning;
mod conflicts;
#[cfg(test)]
mod tests;

use std::path::Path;

use natureddit_core::{Class, PostId, Progress};
use serde::Serialize;

use crate::cross_validation::{Folds, Method, OutOfFold};
use crate::split::Split;
use crate::training_graph::TrainingConfig;

pub use confident_learning::{ConfidentLearning, LikelyWrong};
pub use conflicts::{Conflict, ConflictKind, Conflicting};

/// What was found of the labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelQuality {
    /// How many labelled posts were looked at.
    pub posts: usize,
    /// How many folds their models were made of.
    pub folds: usize,
    /// The classes in the order of every table here.
    pub classes: Vec<ClassQuality>,
    /// The estimated share of wrong labels, 0 to 1.
    pub noise: f64,
    /// The estimated number of posts by the label they have (row) and the class they show (column).
    pub confident_joint: Vec<Vec<u64>>,
    /// The likely wrong labels, the surest first.
    pub likely_wrong: Vec<Suspect>,
    /// Posts that look or read the same and have different labels.
    pub conflicts: Vec<Conflict>,
}

/// A class and how its label is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassQuality {
    /// The class.
    pub name: String,
    /// How many posts have its label.
    pub posts: u64,
    /// The mean probability of the class where its label was given: from there on a post counts as one of the class.
    pub threshold: f64,
    /// The estimated share of its labels that are wrong, 0 to 1.
    pub noise: f64,
}

/// A post whose label is likely wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// The post.
    pub id: PostId,
    /// Its photo.
    pub img_name: String,
    /// Its title.
    pub title: String,
    /// The label it has.
    pub given: String,
    /// The class it more likely shows.
    pub suggested: String,
    /// The probability of that.
    pub probability: f32,
    /// The probability of its label.
    pub given_probability: f32,
    /// 0 (surely wrong) to 1 (surely right): see [`LikelyWrong::margin`].
    pub margin: f32,
}

/// Looks at the labels of the posts of `examples`, by their features; both folders as the pipeline's components left them.
/// Titles without a photo are learnt from and not looked at.
///
/// # Errors
/// [`TooManyFolds`](crate::cross_validation::TooManyFolds); else when a file cannot be read, or the training posts of a fold
/// lack a class.
pub fn check_labels(
    folders: (&Path, &Path),
    k: usize,
    config: &TrainingConfig,
    progress: &Progress,
) -> anyhow::Result<LabelQuality> {
    let method = Method::of(config);
    let folds = Folds::read(folders, &Split::ALL, k, &config.classes, &config.encoders)?;
    let judged = folds.out_of_fold(&method, progress)?;
    Ok(quality_of(&judged, &method, k, config.near_duplicate_distance_max))
}

fn quality_of(judged: &[OutOfFold<'_>], method: &Method<'_>, folds: usize, distance_max: u32) -> LabelQuality {
    let classes = method.classes;
    let labels: Vec<Class> = judged.iter().map(|post| post.judged.truth).collect();
    let probabilities: Vec<&[f32]> =
        judged.iter().map(|post| post.judged.prediction.probabilities.as_slice()).collect();
    let found = ConfidentLearning::new(&labels, &probabilities, classes.len());
    let suspect = |wrong: &LikelyWrong| {
        let OutOfFold { example, judged } = &judged[wrong.at];
        Suspect {
            id: example.id.clone(),
            img_name: example.img_name.clone(),
            title: example.title.clone(),
            given: classes.name(judged.truth).to_owned(),
            suggested: classes.name(judged.prediction.class).to_owned(),
            probability: judged.confidence(),
            given_probability: judged.prediction.probabilities[judged.truth.0],
            margin: wrong.margin,
        }
    };
    let class = |(class, name): (Class, &str)| ClassQuality {
        name: name.to_owned(),
        posts: labels.iter().filter(|label| **label == class).count() as u64,
        threshold: found.thresholds[class.0],
        noise: found.noise_of(class),
    };
    let examples: Vec<_> = judged.iter().map(|post| post.example).collect();
    LabelQuality {
        posts: judged.len(),
        folds,
        classes: classes.classes().zip(classes.names()).map(class).collect(),
        noise: found.noise(),
        likely_wrong: found.likely_wrong(&labels, &probabilities).iter().map(suspect).collect(),
        conflicts: conflicts::conflicts(&examples, distance_max),
        confident_joint: found.confident_joint,
    }
}
