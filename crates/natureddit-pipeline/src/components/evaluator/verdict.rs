//! Whether a candidate may be pushed: one rule after the other, each with its figures.

use natureddit_core::ClassNames;
use natureddit_model::metrics::Metrics;
use serde::{Deserialize, Serialize};

use super::slices::Slice;
use super::{Comparison, EvaluatorConfig};

/// What a candidate was held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Enough test examples.
    TestExamples,
    /// Enough test examples of each class.
    ClassExamples,
    /// Better than always answering the most frequent class.
    MajorityGain,
    /// The least macro-F1.
    MacroF1,
    /// The least accuracy.
    Accuracy,
    /// The least recall of each class.
    Recall,
    /// The largest calibration error.
    Ece,
    /// The least macro-F1 of each slice that is large enough.
    SliceMacroF1,
    /// The least accuracy of each slice that is large enough.
    SliceAccuracy,
    /// A pushed model to compare with.
    Champion,
    /// Enough test examples that the pushed model answered.
    ChampionExamples,
    /// Not worse than the pushed model.
    ChampionLoss,
    /// Encoders in eight bits not worse than the same in floats.
    QuantisationLoss,
}

/// How a reason begins whose rule is not met.
pub(super) const NOT_MET: &str = "not met: ";

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    pub(super) rule: Rule,
    pub(super) met: bool,
    why: String,
}

impl Ruling {
    pub(super) fn new(rule: Rule, met: bool, why: String) -> Self {
        Self { rule, met, why }
    }

    /// `met: 48 test examples, at least 30 are needed`.
    pub(super) fn reason(&self) -> String {
        format!("{}{}", if self.met { "met: " } else { NOT_MET }, self.why)
    }
}

/// The pushed model beside which a candidate is judged.
pub(super) enum Champion {
    /// Nothing was pushed.
    Absent,
    /// It tells other classes apart, so that the two cannot be compared.
    OtherClasses(ClassNames),
    /// Its examples were split by another rule, so that it may have learnt from the posts that are judged by.
    OtherSplits,
    /// On the same posts.
    Compared(Box<Comparison>),
}

/// What each rule says; a threshold that is not set says nothing.
pub(super) fn rulings(
    metrics: &Metrics,
    slices: &[Slice],
    champion: &Champion,
    config: &EvaluatorConfig,
) -> Vec<Ruling> {
    let mut rulings = evidence(metrics, config);
    rulings.extend(of_the_whole(metrics, config));
    rulings.extend(of_slices(slices, config));
    match champion {
        Champion::Absent => {
            rulings.push(Ruling::new(Rule::Champion, true, "no model has been pushed to compare with".to_owned()));
        }
        Champion::OtherClasses(classes) => {
            let why = format!("the pushed model tells {classes} apart and cannot be compared with");
            rulings.push(Ruling::new(Rule::Champion, true, why));
        }
        Champion::OtherSplits => {
            let why = "the pushed model learnt from examples that were split in another way: it may know the test posts and \
                       is not compared with";
            rulings.push(Ruling::new(Rule::Champion, true, why.to_owned()));
        }
        Champion::Compared(comparison) => rulings.extend(beside_champion(metrics, comparison, config)),
    }
    rulings
}

/// Few posts, or none of a class, are no evidence of anything.
fn evidence(metrics: &Metrics, config: &EvaluatorConfig) -> Vec<Ruling> {
    let EvaluatorConfig { test_examples_min, class_examples_min, .. } = config;
    let of_class = |name: &str, count: u64| format!("{name} {count}");
    let counts: Vec<String> = metrics.per_class.iter().map(|class| of_class(&class.name, class.support)).collect();
    vec![
        Ruling::new(
            Rule::TestExamples,
            metrics.examples >= *test_examples_min as u64,
            format!("{} test examples, at least {test_examples_min} are needed", metrics.examples),
        ),
        Ruling::new(
            Rule::ClassExamples,
            metrics.per_class.iter().all(|class| class.support >= *class_examples_min as u64),
            format!("test examples of {}, at least {class_examples_min} of each are needed", counts.join(", ")),
        ),
    ]
}

fn of_the_whole(metrics: &Metrics, config: &EvaluatorConfig) -> Vec<Ruling> {
    let (f1, majority) = (metrics.macro_f1, metrics.majority_macro_f1);
    let gain = config.majority_gain_min;
    let mut rulings = vec![Ruling::new(
        Rule::MajorityGain,
        f1 > majority && f1 >= majority + gain,
        format!("macro-F1 {f1:.4} against {majority:.4} of the most frequent class, at least {gain:.4} more is needed"),
    )];
    if let Some(min) = config.macro_f1_min {
        let why = format!("macro-F1 {f1:.4}, at least {min:.4} is needed");
        rulings.push(Ruling::new(Rule::MacroF1, f1 >= min, why));
    }
    if let Some(min) = config.accuracy_min {
        let why = format!("accuracy {:.4}, at least {min:.4} is needed", metrics.accuracy);
        rulings.push(Ruling::new(Rule::Accuracy, metrics.accuracy >= min, why));
    }
    if let Some(min) = config.recall_min {
        let recalls: Vec<String> =
            metrics.per_class.iter().map(|class| format!("{} {:.4}", class.name, class.recall)).collect();
        let met = metrics.per_class.iter().all(|class| class.recall >= min);
        let why = format!("recall of {}, at least {min:.4} of each is needed", recalls.join(", "));
        rulings.push(Ruling::new(Rule::Recall, met, why));
    }
    if let Some(max) = config.ece_max {
        let why = format!("calibration error (ECE) {:.4}, at most {max:.4} is allowed", metrics.ece);
        rulings.push(Ruling::new(Rule::Ece, metrics.ece <= max, why));
    }
    rulings
}

fn of_slices(slices: &[Slice], config: &EvaluatorConfig) -> Vec<Ruling> {
    let by_macro_f1 = config
        .slice_macro_f1_min
        .map(|min| of_slices_by(Rule::SliceMacroF1, "macro-F1", slices, min, |slice| slice.metrics.macro_f1));
    let by_accuracy = config
        .slice_accuracy_min
        .map(|min| of_slices_by(Rule::SliceAccuracy, "accuracy", slices, min, |slice| slice.metrics.accuracy));
    by_macro_f1.into_iter().chain(by_accuracy).flatten().collect()
}

/// One ruling for each slice that fails, or one for all.
fn of_slices_by(rule: Rule, what: &str, slices: &[Slice], min: f64, figure: impl Fn(&Slice) -> f64) -> Vec<Ruling> {
    let judged = || slices.iter().filter(|slice| slice.judged);
    let failing: Vec<Ruling> = judged()
        .filter(|slice| figure(slice) < min)
        .map(|slice| {
            let (kind, name, posts) = (slice.kind.label(), &slice.name, slice.metrics.examples);
            let found = figure(slice);
            let why = format!("{what} {found:.4} for {kind} {name} ({posts} posts), at least {min:.4} is needed");
            Ruling::new(rule, false, why)
        })
        .collect();
    if !failing.is_empty() {
        return failing;
    }
    let lowest = judged().min_by(|a, b| figure(a).total_cmp(&figure(b)));
    let why = match lowest {
        Some(slice) => {
            let (kind, name, found) = (slice.kind.label(), &slice.name, figure(slice));
            format!("{what} {found:.4} for {kind} {name} is the lowest of the slices, at least {min:.4} is needed")
        }
        None => format!("no slice is large enough to ask for its {what}"),
    };
    vec![Ruling::new(rule, true, why)]
}

/// The rules of a candidate beside the pushed model.
fn beside_champion(metrics: &Metrics, comparison: &Comparison, config: &EvaluatorConfig) -> Vec<Ruling> {
    let Comparison { metrics: champion, candidate_macro_f1: f1, paired } = comparison;
    let mut rulings = Vec::new();
    if champion.examples < metrics.examples {
        let (both, all) = (champion.examples, metrics.examples);
        // Few posts, or none of a class, are no evidence that the candidate is as good.
        let enough_of_each = champion.per_class.iter().all(|class| class.support >= config.class_examples_min as u64);
        let enough = both >= config.test_examples_min.max(1) as u64 && enough_of_each;
        let lacking = if enough_of_each { "" } else { ", and too few of a class are left" };
        let why = format!(
            "the pushed model answered {both} of {all} test posts: the photos of the others are not there{lacking}"
        );
        rulings.push(Ruling::new(Rule::ChampionExamples, enough, why));
    }
    let mut why = format!(
        "macro-F1 {f1:.4} against {:.4} of the pushed model, at most {:.4} less is allowed",
        champion.macro_f1, config.champion_loss_max
    );
    let mut met = *f1 >= champion.macro_f1 - config.champion_loss_max;
    if !met && config.champion_p_max < 1.0 {
        met = paired.loss_p_value > config.champion_p_max;
        let is = if met { "may be chance" } else { "is no chance" };
        why += &format!(", and more {is}: p = {:.4} against {:.4}", paired.loss_p_value, config.champion_p_max);
    }
    rulings.push(Ruling::new(Rule::ChampionLoss, met, why));
    rulings
}

#[cfg(test)]
mod tests;
