use natureddit_model::metrics::{Bootstrap, ClassReport, PairedTest, PartMetrics, mcnemar};

use super::*;
use crate::components::evaluator::slices::SliceKind;

const CONFIG: EvaluatorConfig = EvaluatorConfig {
    bootstrap: Bootstrap { samples: 10, confidence: 0.95, seed: 1 },
    test_examples_min: 30,
    class_examples_min: 5,
    slice_examples_min: 20,
    majority_gain_min: 0.1,
    macro_f1_min: None,
    accuracy_min: None,
    recall_min: None,
    ece_max: None,
    slice_macro_f1_min: None,
    slice_accuracy_min: None,
    champion_loss_max: 0.01,
    champion_p_max: 1.0,
    quantisation_loss_max: 0.01,
    quantisation_p_max: 0.05,
    quantisation_posts_max: 100,
    mistakes_max: 3,
    thumbnail_side_max: 64,
};

fn class(name: &str, recall: f64, support: u64) -> ClassReport {
    ClassReport {
        name: name.to_owned(),
        precision: recall,
        precision_interval: [recall; 2],
        recall,
        recall_interval: [recall; 2],
        f1: recall,
        f1_interval: [recall; 2],
        average_precision: recall,
        average_precision_interval: [recall; 2],
        support,
    }
}

fn metrics(examples: u64, macro_f1: f64) -> Metrics {
    Metrics {
        examples,
        groups: examples,
        confidence: 0.95,
        accuracy: macro_f1,
        accuracy_interval: [macro_f1; 2],
        macro_f1,
        macro_f1_interval: [macro_f1; 2],
        ece: 0.06,
        ece_interval: [0.06; 2],
        brier: 0.1,
        brier_interval: [0.1; 2],
        selective: vec![],
        reliability: vec![],
        per_class: vec![class("a", 0.9, examples - examples / 3), class("b", 0.7, examples / 3)],
        confusion: vec![],
        majority_accuracy: 0.4,
        majority_macro_f1: 0.2,
    }
}

fn slice(name: &str, examples: u64, macro_f1: f64) -> Slice {
    let metrics = PartMetrics {
        examples,
        accuracy: macro_f1 + 0.05,
        accuracy_interval: [macro_f1; 2],
        macro_f1,
        macro_f1_interval: [macro_f1; 2],
    };
    Slice { kind: SliceKind::Subreddit, name: name.to_owned(), judged: examples >= 20, metrics }
}

/// A pushed model of that macro-F1 on so many posts, where the candidate has another.
fn champion(examples: u64, macro_f1: f64, candidate_macro_f1: f64, loss_p_value: f64) -> Champion {
    let paired = PairedTest {
        macro_f1_difference: candidate_macro_f1 - macro_f1,
        macro_f1_difference_interval: [-0.1, 0.1],
        p_value: 0.5,
        loss_max: 0.01,
        loss_p_value,
        mcnemar: mcnemar(1, 2),
    };
    Champion::Compared(Box::new(Comparison { metrics: metrics(examples, macro_f1), candidate_macro_f1, paired }))
}

/// The rules that are broken.
fn broken(metrics: &Metrics, slices: &[Slice], champion: &Champion, config: &EvaluatorConfig) -> Vec<Rule> {
    let rulings = rulings(metrics, slices, champion, config);
    rulings.iter().filter(|ruling| !ruling.met).map(|ruling| ruling.rule).collect()
}

fn broken_alone(metrics: &Metrics, config: &EvaluatorConfig) -> Vec<Rule> {
    broken(metrics, &[], &Champion::Absent, config)
}

#[test]
fn a_good_first_model_is_blessed() {
    assert_eq!(broken_alone(&metrics(30, 0.9), &CONFIG), []);
}

#[test]
fn too_little_evidence_is_refused() {
    assert_eq!(broken_alone(&metrics(29, 0.9), &CONFIG), [Rule::TestExamples]);
    let nothing = broken_alone(&metrics(0, 0.0), &CONFIG);
    assert_eq!(nothing, [Rule::TestExamples, Rule::ClassExamples, Rule::MajorityGain]);
}

#[test]
fn a_class_with_too_few_test_examples_is_refused() {
    let with = |support| Metrics {
        per_class: vec![class("fauna", 0.9, 40), class("flora", 0.9, support)],
        ..metrics(40 + support, 0.9)
    };
    assert_eq!(broken_alone(&with(5), &CONFIG), []);
    assert_eq!(broken_alone(&with(4), &CONFIG), [Rule::ClassExamples]);
    assert_eq!(broken_alone(&with(0), &CONFIG), [Rule::ClassExamples]);
    let reasons = rulings(&with(4), &[], &Champion::Absent, &CONFIG);
    assert_eq!(reasons[1].reason(), "not met: test examples of fauna 40, flora 4, at least 5 of each are needed");
}

#[test]
fn no_better_than_the_most_frequent_class_is_refused() {
    let rulings = rulings(&metrics(100, 0.25), &[], &Champion::Absent, &CONFIG);
    assert!(!rulings[2].met);
    assert_eq!(
        rulings[2].reason(),
        "not met: macro-F1 0.2500 against 0.2000 of the most frequent class, at least 0.1000 more is needed"
    );
}

#[test]
fn as_good_as_the_most_frequent_class_is_not_better() {
    let config = EvaluatorConfig { majority_gain_min: 0.0, ..CONFIG };
    assert_eq!(broken_alone(&metrics(100, 0.2), &config), [Rule::MajorityGain]);
    assert_eq!(broken_alone(&metrics(100, 0.21), &config), []);
}

#[test]
fn each_threshold_is_met_at_its_value_and_not_beyond() {
    // Macro-F1 and accuracy are 0.8, the lowest recall 0.7, the calibration error 0.06.
    let found = metrics(100, 0.8);
    let set = |change: &dyn Fn(&mut EvaluatorConfig)| {
        let mut config = CONFIG;
        change(&mut config);
        broken_alone(&found, &config)
    };
    for (rule, met, unmet) in [
        (Rule::MacroF1, set(&|c| c.macro_f1_min = Some(0.8)), set(&|c| c.macro_f1_min = Some(0.81))),
        (Rule::Accuracy, set(&|c| c.accuracy_min = Some(0.8)), set(&|c| c.accuracy_min = Some(0.81))),
        (Rule::Recall, set(&|c| c.recall_min = Some(0.7)), set(&|c| c.recall_min = Some(0.71))),
        (Rule::Ece, set(&|c| c.ece_max = Some(0.06)), set(&|c| c.ece_max = Some(0.05))),
    ] {
        assert_eq!((met, unmet), (vec![], vec![rule]));
    }
}

#[test]
fn a_slice_counts_from_the_least_number_of_examples_on() {
    let config = EvaluatorConfig { slice_macro_f1_min: Some(0.6), slice_accuracy_min: Some(0.7), ..CONFIG };
    let judge = |slices: &[Slice]| broken(&metrics(100, 0.8), slices, &Champion::Absent, &config);
    assert_eq!(judge(&[slice("flowers", 20, 0.65)]), []);
    assert_eq!(judge(&[slice("flowers", 19, 0.1), slice("birds", 50, 0.7)]), []);
    assert_eq!(judge(&[slice("flowers", 20, 0.61)]), [Rule::SliceAccuracy]);
    let two_fail = [slice("flowers", 20, 0.5), slice("birds", 30, 0.4), slice("rocks", 30, 0.9)];
    assert_eq!(judge(&two_fail), [Rule::SliceMacroF1, Rule::SliceMacroF1, Rule::SliceAccuracy, Rule::SliceAccuracy]);
    let reasons: Vec<String> =
        rulings(&metrics(100, 0.8), &two_fail, &Champion::Absent, &config).iter().map(Ruling::reason).collect();
    assert_eq!(reasons[3], "not met: macro-F1 0.5000 for subreddit flowers (20 posts), at least 0.6000 is needed");
    let few = rulings(&metrics(100, 0.8), &two_fail[..0], &Champion::Absent, &config);
    assert_eq!(few[3].reason(), "met: no slice is large enough to ask for its macro-F1");
}

#[test]
fn worse_than_the_pushed_model_is_refused() {
    let beside = |champion| broken(&metrics(100, 0.9), &[], &champion, &CONFIG);
    assert_eq!(beside(champion(100, 0.9, 0.895, 0.5)), []);
    assert_eq!(beside(champion(100, 0.9, 0.85, 0.5)), [Rule::ChampionLoss]);
}

#[test]
fn a_pushed_model_that_may_know_the_posts_is_not_compared_with() {
    let last = rulings(&metrics(100, 0.9), &[], &Champion::OtherSplits, &CONFIG).pop().unwrap();
    assert_eq!((last.rule, last.met), (Rule::Champion, true));
    assert!(last.reason().contains("split in another way"), "{}", last.reason());
}

#[test]
fn a_loss_that_may_be_chance_counts_unless_the_settings_forgive_it() {
    let config = EvaluatorConfig { champion_p_max: 0.05, ..CONFIG };
    let beside = |p| rulings(&metrics(100, 0.9), &[], &champion(100, 0.9, 0.85, p), &config).pop().unwrap();
    assert!(beside(0.06).met);
    let lost = beside(0.05);
    assert_eq!((lost.rule, lost.met), (Rule::ChampionLoss, false));
    assert_eq!(
        lost.reason(),
        "not met: macro-F1 0.8500 against 0.9000 of the pushed model, at most 0.0100 less is allowed, \
         and more is no chance: p = 0.0500 against 0.0500"
    );
}

#[test]
fn a_pushed_model_that_answered_too_few_is_no_evidence() {
    let beside = |examples| broken(&metrics(100, 0.9), &[], &champion(examples, 0.5, 0.9, 1.0), &CONFIG);
    assert_eq!(beside(30), []);
    assert_eq!(beside(29), [Rule::ChampionExamples]);
    assert_eq!(beside(0), [Rule::ChampionExamples]);
}
