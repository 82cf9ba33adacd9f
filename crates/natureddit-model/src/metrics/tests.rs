use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

fn classes() -> ClassNames {
    ClassNames::new(["a", "b", "c"].map(str::to_owned).to_vec()).unwrap()
}

/// A post of a group of its own.
fn judged(truth: usize, probabilities: [f32; 3]) -> Judged {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let group = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    Judged { truth: Class(truth), prediction: Prediction::new(probabilities.to_vec()), group }
}

const BOOTSTRAP: Bootstrap = Bootstrap { samples: 200, confidence: 0.95, seed: 1 };

/// Twelve posts that scikit-learn 1.9.1 has judged too.
fn twelve() -> Vec<Judged> {
    let rows = [
        (0, [0.7, 0.2, 0.1]),
        (0, [0.5, 0.3, 0.2]),
        (1, [0.1, 0.8, 0.1]),
        (1, [0.25, 0.5, 0.25]),
        (1, [0.6, 0.3, 0.1]),
        (2, [0.1, 0.2, 0.7]),
        (2, [0.3, 0.3, 0.4]),
        (0, [0.2, 0.7, 0.1]),
        (0, [0.4, 0.35, 0.25]),
        (2, [0.05, 0.15, 0.8]),
        (2, [0.6, 0.1, 0.3]),
        (1, [0.2, 0.5, 0.3]),
    ];
    rows.map(|(truth, probabilities)| judged(truth, probabilities)).to_vec()
}

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
}

/// `accuracy_score`, `f1_score(average="macro")`, `precision_recall_fscore_support`, `average_precision_score`,
/// `confusion_matrix`; ECE and Brier score with NumPy by their formulas, on the same 32-bit probabilities.
#[test]
fn figures_are_those_of_scikit_learn() {
    let metrics = evaluate(&twelve(), &classes(), &BOOTSTRAP);
    assert_eq!((metrics.examples, metrics.groups), (12, 12));
    near(metrics.accuracy, 0.75);
    near(metrics.macro_f1, 0.757_936_507_936_507_9);
    near(metrics.brier, 0.457_083_335_500_210_8);
    near(metrics.ece, 0.366_666_664_679_845_16);
    assert_eq!(metrics.confusion, [[3, 1, 0], [1, 3, 0], [1, 0, 3]]);
    let rows =
        [(0.6, 0.75, 2.0 / 3.0, 0.636_111_111_111_111_1), (0.75, 0.75, 0.75, 0.75), (1.0, 0.75, 6.0 / 7.0, 0.95)];
    for (class, (precision, recall, f1, average_precision)) in metrics.per_class.iter().zip(rows) {
        near(class.precision, precision);
        near(class.recall, recall);
        near(class.f1, f1);
        near(class.average_precision, average_precision);
        assert_eq!(class.support, 4);
    }
}

/// `precision_recall_curve(drop_intermediate=False)`, from the other end and without the point that it adds.
#[test]
fn the_curve_of_a_class_is_that_of_scikit_learn() {
    let PrecisionRecall { points, average_precision } = precision_recall(&twelve(), Class(0));
    near(average_precision, 0.636_111_111_111_111_1);
    let wanted = [
        (0.7, 1.0, 0.25),
        (0.6, 1.0 / 3.0, 0.25),
        (0.5, 0.5, 0.5),
        (0.4, 0.6, 0.75),
        (0.3, 0.5, 0.75),
        (0.25, 3.0 / 7.0, 0.75),
        (0.2, 4.0 / 9.0, 1.0),
        (0.1, 4.0 / 11.0, 1.0),
        (0.05, 1.0 / 3.0, 1.0),
    ];
    assert_eq!(points.len(), wanted.len());
    for (point, (threshold, precision, recall)) in points.iter().zip(wanted) {
        assert!((point.threshold - threshold).abs() < 1e-6);
        near(point.precision, precision);
        near(point.recall, recall);
    }
    let none = precision_recall(&twelve()[2..5], Class(2));
    assert_eq!((none.points.len(), none.average_precision), (2, 0.0));
}

/// By hand: of the ten surest posts seven are right; of the two least sure ones both are.
#[test]
fn selective_accuracy_counts_the_surest_posts() {
    let found = evaluate(&twelve(), &classes(), &BOOTSTRAP).selective;
    let wanted = [(0.8, 7.0 / 10.0, 0.5), (0.9, 8.0 / 11.0, 0.4), (0.95, 9.0 / 12.0, 0.4)];
    for (found, (coverage, accuracy, threshold)) in found.iter().zip(wanted) {
        near(found.coverage, coverage);
        near(found.accuracy, accuracy);
        assert!((found.threshold - threshold).abs() < 1e-6);
        assert!(found.interval[0] <= accuracy && accuracy <= found.interval[1]);
    }
    let curve = selective_curve(&twelve());
    assert_eq!(curve.len(), 5);
    near(curve[1][0], 5.0 / 12.0);
    near(curve[1][1], 4.0 / 5.0);
    near(curve[4][1], 0.75);
}

/// Five posts of one confidence, three of them right: four of them are right as often as all.
#[test]
fn posts_of_one_confidence_are_not_told_apart_by_their_order() {
    let rows = [0, 0, 0, 1, 1].map(|truth| judged(truth, [0.6, 0.3, 0.1]));
    near(evaluate(&rows, &classes(), &BOOTSTRAP).selective[0].accuracy, 0.6);
}

/// By hand: F1 of a is 2·2/(3+3), of b 2·2/(3+2), of c 0; their mean is 22/45.
#[test]
fn macro_f1_is_the_mean_of_the_classes() {
    let sure = |class: usize| std::array::from_fn(|i| if i == class { 1.0 } else { 0.0 });
    let rows = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (2, 0)];
    let rows: Vec<Judged> = rows.iter().map(|&(truth, answer)| judged(truth, sure(answer))).collect();
    let metrics = evaluate(&rows, &classes(), &BOOTSTRAP);
    near(metrics.macro_f1, 22.0 / 45.0);
    near(metrics.accuracy, 4.0 / 6.0);
    // Each of the two wrong answers is as far away as it can be.
    near(metrics.brier, 2.0 * 2.0 / 6.0);
    assert_eq!(metrics.confusion, [[2, 1, 0], [0, 2, 0], [1, 0, 0]]);
    near(metrics.majority_accuracy, 0.5);
    let [low, high] = metrics.macro_f1_interval;
    assert!(low <= metrics.macro_f1 && metrics.macro_f1 <= high);
}

#[test]
fn calibration_error_is_the_gap_between_confidence_and_accuracy() {
    let rows: Vec<Judged> = (0..4).map(|i| judged(usize::from(i >= 2), [0.75, 0.25, 0.0])).collect();
    let metrics = evaluate(&rows, &classes(), &BOOTSTRAP);
    near(metrics.ece, 0.25);
    let filled: Vec<&ReliabilityBin> = metrics.reliability.iter().filter(|bin| bin.examples > 0).collect();
    assert_eq!(filled.len(), 1);
    assert_eq!((filled[0].examples, filled[0].confidence, filled[0].accuracy), (4, 0.75, 0.5));
    assert!(filled[0].range[0] <= 0.75 && 0.75 < filled[0].range[1]);
}

/// A class that neither occurs nor is answered says nothing; one that is answered wrongly counts with 0.
#[test]
fn an_absent_class_does_not_count() {
    let rows = [judged(0, [1.0, 0.0, 0.0]), judged(0, [1.0, 0.0, 0.0]), judged(1, [0.0, 1.0, 0.0])];
    let metrics = evaluate(&rows, &classes(), &BOOTSTRAP);
    near(metrics.macro_f1, 1.0);
    let absent = &metrics.per_class[2];
    assert_eq!((absent.f1, absent.average_precision, absent.support), (0.0, 0.0, 0));
    // Resamples without the second class are whole, too.
    assert_eq!(metrics.macro_f1_interval, [1.0, 1.0]);
    assert_eq!(metrics.per_class[1].recall_interval, [1.0, 1.0]);

    let wrong = [rows[0].clone(), rows[1].clone(), judged(1, [0.0, 0.0, 1.0])];
    near(evaluate(&wrong, &classes(), &BOOTSTRAP).macro_f1, 1.0 / 3.0);
}

#[test]
fn posts_of_one_group_are_no_independent_evidence() {
    let answers = |right: bool| if right { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
    // Six authors of ten posts each; of one, every answer is wrong.
    let alone: Vec<Judged> = (0..60).map(|at| judged(0, answers(at >= 10))).collect();
    let mut together = alone.clone();
    (0..).zip(&mut together).for_each(|(at, post)| post.group = format!("author {}", at / 10));
    let width = |rows: &[Judged]| {
        let [low, high] = evaluate(rows, &classes(), &BOOTSTRAP).macro_f1_interval;
        high - low
    };
    assert!(width(&together) > 1.5 * width(&alone), "{} and {}", width(&together), width(&alone));
}

#[test]
fn nothing_to_judge_is_all_zero() {
    let metrics = evaluate(&[], &classes(), &BOOTSTRAP);
    assert_eq!((metrics.examples, metrics.accuracy, metrics.macro_f1, metrics.ece), (0, 0.0, 0.0, 0.0));
    assert_eq!((metrics.brier, metrics.selective[0].accuracy), (0.0, 0.0));
    assert_eq!(evaluate_part(&[], &classes(), &BOOTSTRAP).macro_f1_interval, [0.0, 0.0]);
    let test = paired_test(&[], &[], &classes(), &BOOTSTRAP, 0.0);
    assert_eq!((test.macro_f1_difference, test.p_value, test.loss_p_value), (0.0, 1.0, 1.0));
}

#[test]
fn a_part_has_the_figures_of_the_whole() {
    let (rows, classes) = (twelve(), classes());
    let (part, whole) = (evaluate_part(&rows, &classes, &BOOTSTRAP), evaluate(&rows, &classes, &BOOTSTRAP));
    assert_eq!((part.accuracy, part.macro_f1, part.examples), (whole.accuracy, whole.macro_f1, whole.examples));
    assert_eq!(part.macro_f1_interval, whole.macro_f1_interval);
    assert_eq!(part.accuracy_interval, whole.accuracy_interval);
}

/// `scipy.stats.binomtest(b, b + c).pvalue` of SciPy 1.17.1.
#[test]
fn mcnemar_is_the_binomial_test_of_scipy() {
    for (b, c, p) in [
        (1, 8, 0.039_062_5),
        (8, 1, 0.039_062_5),
        (5, 5, 1.0),
        (0, 0, 1.0),
        (0, 6, 0.031_25),
        (10, 25, 0.016_673_847_800_120_715),
        (700, 800, 0.010_559_255_466_711_506),
    ] {
        near(mcnemar(b, c).p_value, p);
    }
}

/// Sixty posts of a and b by turns; which of them each model gets wrong.
fn two_models(ours: impl Fn(usize) -> bool, theirs: impl Fn(usize) -> bool) -> [Vec<Judged>; 2] {
    let truths: Vec<Judged> = (0..60).map(|at| judged(at % 2, [0.0, 0.0, 1.0])).collect();
    let answered = |wrong: &dyn Fn(usize) -> bool| {
        let answer = |(at, post): (usize, &Judged)| {
            let class = if wrong(at) { 1 - post.truth.0 } else { post.truth.0 };
            let probabilities = (0..3).map(|c| if c == class { 1.0 } else { 0.0 }).collect();
            Judged { prediction: Prediction::new(probabilities), ..post.clone() }
        };
        truths.iter().enumerate().map(answer).collect()
    };
    [answered(&ours), answered(&theirs)]
}

/// By hand: 12 of 60 wrong, alike in both classes, is a macro-F1 of 0.8; none wrong is 1.
#[test]
fn a_model_that_loses_twelve_posts_is_worse_and_no_chance() {
    let [ours, theirs] = two_models(|at| at < 12, |_| false);
    let test = paired_test(&ours, &theirs, &classes(), &BOOTSTRAP, 0.0);
    near(test.macro_f1_difference, -0.2);
    let [low, high] = test.macro_f1_difference_interval;
    assert!(low < -0.2 && -0.2 < high && high < 0.0, "{low} to {high}");
    // No resample shows it as good: the least that 200 of them can tell.
    near(test.loss_p_value, 1.0 / 201.0);
    near(test.p_value, 2.0 / 201.0);
    assert_eq!((test.mcnemar.candidate_only, test.mcnemar.champion_only), (0, 12));
    near(test.mcnemar.p_value, 2.0 / 4096.0);
    // A loss that is allowed is no loss.
    assert!(paired_test(&ours, &theirs, &classes(), &BOOTSTRAP, 0.3).loss_p_value > 0.9);
    let turned = paired_test(&theirs, &ours, &classes(), &BOOTSTRAP, 0.0);
    near(turned.macro_f1_difference, 0.2);
    assert_eq!((turned.p_value, turned.loss_p_value), (test.p_value, 1.0));
}

#[test]
fn models_that_err_as_often_on_other_posts_are_not_told_apart() {
    let [ours, theirs] = two_models(|at| at < 6, |at| at >= 54);
    let test = paired_test(&ours, &theirs, &classes(), &BOOTSTRAP, 0.0);
    near(test.macro_f1_difference, 0.0);
    assert!(test.p_value > 0.5 && test.mcnemar.p_value > 0.99, "{test:?}");
    let [low, high] = test.macro_f1_difference_interval;
    assert!(low < 0.0 && 0.0 < high);
    let [same, as_well] = two_models(|at| at < 6, |at| at < 6);
    assert_eq!(paired_test(&same, &as_well, &classes(), &BOOTSTRAP, 0.0).p_value, 1.0);
}

proptest! {
    #[test]
    fn every_figure_lies_in_its_range(rows in proptest::collection::vec((0_usize..3, 0.0_f32..1.0), 1..40)) {
        let rows: Vec<Judged> = rows.iter().map(|&(truth, p)| judged(truth, [p, (1.0 - p) / 2.0, (1.0 - p) / 2.0])).collect();
        let m = evaluate(&rows, &classes(), &BOOTSTRAP);
        let intervals = [m.accuracy_interval, m.macro_f1_interval, m.ece_interval].into_iter().flatten();
        let of_classes = m.per_class.iter().flat_map(|c| [c.precision, c.recall, c.f1, c.average_precision]);
        let selective = m.selective.iter().map(|s| s.accuracy);
        let figures = [m.accuracy, m.macro_f1, m.ece, m.majority_accuracy, m.brier / 2.0].into_iter();
        for figure in figures.chain(intervals).chain(of_classes).chain(selective) {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&figure));
        }
    }

    #[test]
    fn the_order_of_posts_does_not_matter(
        rows in proptest::collection::vec((0_usize..3, 0_u8..5, 0_u8..6), 1..30),
        by in any::<proptest::sample::Index>(),
    ) {
        // Few different probabilities and groups, so that many posts are tied.
        let rows: Vec<Judged> = rows
            .iter()
            .map(|&(truth, p, group)| {
                let p = f32::from(p) / 4.0;
                Judged { group: group.to_string(), ..judged(truth, [p, 1.0 - p, 0.0]) }
            })
            .collect();
        let mut turned = rows.clone();
        turned.rotate_left(by.index(rows.len()));
        let (one, other) = (evaluate(&rows, &classes(), &BOOTSTRAP), evaluate(&turned, &classes(), &BOOTSTRAP));
        prop_assert_eq!(one, other);
    }
}
