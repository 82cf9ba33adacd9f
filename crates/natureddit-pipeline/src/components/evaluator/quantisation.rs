//! What eight bits cost: a head on the encoders as they are served beside one on the same encoders in floats.
//!
//! Both are trained on the same posts, with the settings the candidate was trained with, and judged by the same test posts. A
//! head that learnt from one form is no judge of the other. So that this stays cheap, at most so many posts of each split are
//! taken, as many of each class where there are, by the hash of their id: with a new day few of them are others. Features
//! in floats are kept by content like all others.

use std::collections::BTreeMap;

use anyhow::Context as _;
use natureddit_core::{ClassNames, ContentHash, ContentHasher, Progress};
use natureddit_model::metrics::{Judged, PairedTest, macro_f1, paired_test};
use natureddit_model::train::{Control, TrainError, train_head};
use natureddit_model::{Features, ModelBundle, NotFinite, Precision, Prediction};
use serde::{Deserialize, Serialize};

use super::verdict::{Rule, Ruling};
use super::{Evaluator, EvaluatorConfig, Post, is_usable};
use crate::component::{ExecutionContext, ExecutionIo};
use crate::components::trainer::{TRAINING_FILE, Training, labelled_samples};
use crate::components::transform::{Embedding, Subject};
use crate::components::{read_json, read_transformed};
use crate::examples::read_split;
use crate::split::Split;

/// Heads on both forms of the encoders, judged by the same posts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantisation {
    /// How many posts both learnt from.
    pub train_posts: usize,
    /// How many posts both are judged by.
    pub test_posts: usize,
    /// Macro-F1 of the head on encoders in eight bits.
    pub int8_macro_f1: f64,
    /// Macro-F1 of the head on encoders in floats.
    pub fp32_macro_f1: f64,
    /// Whether the difference may be chance.
    pub paired: PairedTest,
}

/// The candidate's encoders beside the same in floats.
pub(super) enum BesideFloats {
    /// They are in floats.
    Same,
    Compared(Quantisation),
    /// Why not.
    NotComparable(String),
}

impl BesideFloats {
    pub(super) fn compared(&self) -> Option<Quantisation> {
        if let Self::Compared(found) = self { Some(*found) } else { None }
    }

    /// What the rule says; nothing of encoders in floats.
    pub(super) fn ruling(&self, config: &EvaluatorConfig) -> Option<Ruling> {
        let EvaluatorConfig { quantisation_loss_max: loss_max, quantisation_p_max: p_max, .. } = config;
        let found = match self {
            Self::Same => return None,
            Self::NotComparable(why) => {
                let why = format!("the encoders in eight bits cannot be compared with those in floats: {why}");
                return Some(Ruling::new(Rule::QuantisationLoss, false, why));
            }
            Self::Compared(found) => found,
        };
        let Quantisation { train_posts, test_posts, int8_macro_f1: int8, fp32_macro_f1: fp32, paired } = found;
        let mut why = format!(
            "macro-F1 {int8:.4} with encoders in eight bits against {fp32:.4} in floats (both learnt from {train_posts} posts \
             and are judged by {test_posts}), at most {loss_max:.4} less is allowed"
        );
        let mut met = *int8 >= fp32 - loss_max;
        if !met && *p_max < 1.0 {
            met = paired.loss_p_value > *p_max;
            let is = if met { "may be chance" } else { "is no chance" };
            why += &format!(", and more {is}: p = {:.4} against {p_max:.4}", paired.loss_p_value);
        }
        Some(Ruling::new(Rule::QuantisationLoss, met, why))
    }
}

/// Posts with features of both forms.
#[derive(Default)]
struct Pairs {
    int8: Vec<Post>,
    fp32: Vec<Post>,
    /// How many were chosen.
    chosen: usize,
}

impl Evaluator {
    /// Trains and judges both heads, where the candidate's encoders are in eight bits.
    pub(super) fn beside_floats(
        &self,
        bundle: &ModelBundle,
        io: &ExecutionIo,
        cx: &mut ExecutionContext,
    ) -> anyhow::Result<BesideFloats> {
        if !bundle.manifest.is_int8() {
            return Ok(BesideFloats::Same);
        }
        let path = io.input("model").join(TRAINING_FILE);
        let training: Training = read_json(&path)?.with_context(|| format!("{} is not there", path.display()))?;
        let mut chosen = BTreeMap::new();
        for split in Split::ALL {
            let features = read_transformed(io.input("transformed_examples"), split, &self.encoders)?;
            let posts = read_split(io.input("examples"), split)?.into_iter().zip(features).filter(is_usable);
            chosen.insert(split, choose(posts, &self.classes, self.config.quantisation_posts_max));
        }
        let mut floats = Embedding::open(&self.floats, Precision::default())?;
        floats.embed_missing(chosen.values().flatten().map(|(example, _)| Subject::of(example)), cx)?;
        let mut pairs: BTreeMap<Split, Pairs> = BTreeMap::new();
        for (split, posts) in chosen {
            let pairs = pairs.entry(split).or_default();
            pairs.chosen = posts.len();
            for (example, int8) in posts {
                let fp32 = floats.known.features(&Subject::of(&example))?;
                // A photo that is gone has no features in floats any more.
                let parts = |features: &Features| (features.image.is_some(), features.text.is_some());
                if parts(&int8) == parts(&fp32) {
                    pairs.int8.push((example.clone(), int8));
                    pairs.fp32.push((example, fp32));
                }
            }
        }
        Ok(self.compare_forms(&pairs, &training))
    }

    fn compare_forms(&self, pairs: &BTreeMap<Split, Pairs>, training: &Training) -> BesideFloats {
        let [train, eval, test] = [Split::Train, Split::Eval, Split::Test].map(|split| &pairs[&split]);
        let (judged, chosen) = (test.int8.len(), test.chosen);
        if judged == 0 || 2 * judged < chosen {
            return BesideFloats::NotComparable(format!("{judged} of {chosen} test posts have features of both"));
        }
        let judge = |form: fn(&Pairs) -> &[Post]| self.judge_head(form(train), form(eval), form(test), training);
        let (int8, fp32) = match (judge(|pairs| &pairs.int8), judge(|pairs| &pairs.fp32)) {
            (Ok(int8), Ok(fp32)) => (int8, fp32),
            (Err(error), _) | (_, Err(error)) => return BesideFloats::NotComparable(error.to_string()),
        };
        let EvaluatorConfig { bootstrap, quantisation_loss_max, .. } = &self.config;
        BesideFloats::Compared(Quantisation {
            train_posts: train.int8.len(),
            test_posts: judged,
            int8_macro_f1: macro_f1(&int8, &self.classes),
            fp32_macro_f1: macro_f1(&fp32, &self.classes),
            paired: paired_test(&int8, &fp32, &self.classes, bootstrap, *quantisation_loss_max),
        })
    }

    /// The answers of a head that learnt from some posts to others.
    fn judge_head(
        &self,
        train: &[Post],
        eval: &[Post],
        test: &[Post],
        training: &Training,
    ) -> Result<Vec<Judged>, TrainError> {
        let [train, eval] = [train, eval].map(|posts| labelled_samples(posts, &self.classes, 1.0));
        let silent = Progress::silent();
        let control = Control::new(&silent);
        let trained = train_head(&train, &eval, &self.classes, &self.encoders, &training.config, &control)?;
        let judge = |(row, (example, features)): (usize, &Post)| {
            let truth = self.classes.class(&example.choice)?;
            let prediction = Prediction::of(&trained.head, features);
            let broken = |NotFinite(part)| TrainError::NotFinite { split: "test", row, part };
            Some(prediction.map_err(broken).map(|prediction| Judged {
                truth,
                prediction,
                group: example.group.clone(),
            }))
        };
        test.iter().enumerate().filter_map(judge).collect()
    }
}

/// At most so many posts, in equal shares of the classes where there are enough.
fn choose(posts: impl Iterator<Item = Post>, classes: &ClassNames, posts_max: usize) -> Vec<Post> {
    let share = posts_max.div_ceil(classes.len());
    let mut chosen: BTreeMap<usize, BTreeMap<ContentHash, Post>> = BTreeMap::new();
    for post in posts {
        let Some(class) = classes.class(&post.0.choice) else { continue };
        let of_class = chosen.entry(class.0).or_default();
        of_class.insert(place(&post), post);
        if of_class.len() > share {
            of_class.pop_last();
        }
    }
    chosen.into_values().flat_map(BTreeMap::into_values).collect()
}

/// A number that follows from what names the post, and from nothing else.
fn place((example, _): &Post) -> ContentHash {
    ContentHasher::new().part(example.id.as_str()).part(&example.img_name).finish()
}

#[cfg(test)]
mod tests;
