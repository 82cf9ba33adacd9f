//! Confident learning on probabilities alone.

use natureddit_core::Class;

/// As cleanlab has them: how far below its threshold a probability still counts, and the lowest threshold.
const CLOSE: f64 = 1e-6;
const THRESHOLD_MIN: f64 = 2e-6;
/// The threshold of a class that nobody gave: no probability reaches it.
const NEVER: f64 = 2.0;

/// What is estimated of the labels.
///
/// A post counts as one of a class when the class is at least as probable as it is on average where its label was given (the
/// *threshold*), and the most probable of such classes. Counted by the label that was given, that is the *confident joint*;
/// its rows are then scaled to the number of labels given, for a post may reach no threshold. The figures equal those of
/// `compute_confident_joint` of cleanlab 2.9.0, its rounding included.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidentLearning {
    /// The mean probability of each class where its label was given.
    pub thresholds: Vec<f64>,
    /// `confident_joint[given][shown]`: an estimated number of posts; a row sums to the number of labels given.
    pub confident_joint: Vec<Vec<u64>>,
}

/// A label that is likely wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LikelyWrong {
    /// Its place among the labels.
    pub at: usize,
    /// `(p(given) - p(most probable other class) + 1) / 2`: 0 surely wrong, 0.5 undecided, 1 surely right.
    pub margin: f32,
}

impl ConfidentLearning {
    /// Estimates from labels and from the probabilities that models gave which did not see them; of each label a row with a
    /// probability for each of so many classes.
    ///
    /// # Panics
    /// When a label is no class, or a row has another length.
    #[must_use]
    pub fn new(labels: &[Class], probabilities: &[&[f32]], classes: usize) -> Self {
        let thresholds: Vec<f64> = (0..classes).map(|class| threshold(class, labels, probabilities)).collect();
        let mut counts = vec![vec![0_u64; classes]; classes];
        for (label, row) in labels.iter().zip(probabilities) {
            assert_eq!(row.len(), classes, "a probability for each class");
            if let Some(shown) = counted_as(row, &thresholds) {
                counts[label.0][shown] += 1;
            }
        }
        // Each class has at least one right label, or nothing could be scaled.
        (0..classes).for_each(|class| counts[class][class] = counts[class][class].max(1));
        let mut given = vec![0_u64; classes];
        labels.iter().for_each(|label| given[label.0] += 1);
        let scaled = |(row, given): (&Vec<u64>, &u64)| {
            let sum = row.iter().sum::<u64>() as f64;
            rounded(&row.iter().map(|&count| count as f64 / sum * *given as f64).collect::<Vec<f64>>())
        };
        let confident_joint = counts.iter().zip(&given).map(scaled).collect();
        Self { thresholds, confident_joint }
    }

    /// The estimated share of wrong labels, 0 to 1.
    #[must_use]
    pub fn noise(&self) -> f64 {
        let right: u64 = self.confident_joint.iter().enumerate().map(|(class, row)| row[class]).sum();
        let all: u64 = self.confident_joint.iter().flatten().sum();
        (all - right) as f64 / all.max(1) as f64
    }

    /// The estimated share of wrong ones among the labels of a class.
    #[must_use]
    pub fn noise_of(&self, class: Class) -> f64 {
        let row = &self.confident_joint[class.0];
        let given = row.iter().sum::<u64>();
        (given - row[class.0]) as f64 / given.max(1) as f64
    }

    /// The labels that are likely wrong, those with the lowest margin first: of each label as many as are estimated to show
    /// another class, those to which that is more probable by the most, and none that is the most probable itself
    /// (cleanlab's `prune_by_noise_rate`).
    ///
    /// # Panics
    /// When these are not the labels and probabilities of [`ConfidentLearning::new`].
    #[must_use]
    pub fn likely_wrong(&self, labels: &[Class], probabilities: &[&[f32]]) -> Vec<LikelyWrong> {
        let mut is_wrong = vec![false; labels.len()];
        for (given, row) in self.confident_joint.iter().enumerate() {
            let of_label: Vec<usize> = (0..labels.len()).filter(|&at| labels[at].0 == given).collect();
            for (shown, &count) in row.iter().enumerate().filter(|(shown, _)| *shown != given) {
                let gain = |at: &usize| f64::from(probabilities[*at][shown]) - f64::from(probabilities[*at][given]);
                let mut ranked = of_label.clone();
                // Stable: of equal ones those come first that stand first.
                ranked.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
                ranked.iter().take(count as usize).for_each(|&at| is_wrong[at] = true);
            }
        }
        let margin_of = |at: usize| margin(probabilities[at], labels[at].0);
        let wrong = (0..labels.len()).filter(|&at| is_wrong[at] && margin_of(at) < 0.5);
        let mut wrong: Vec<LikelyWrong> = wrong.map(|at| LikelyWrong { at, margin: margin_of(at) }).collect();
        wrong.sort_by(|a, b| a.margin.total_cmp(&b.margin));
        wrong
    }
}

fn threshold(class: usize, labels: &[Class], probabilities: &[&[f32]]) -> f64 {
    let given = labels.iter().zip(probabilities).filter(|(label, _)| label.0 == class);
    let (sum, count) = given.fold((0.0, 0_u64), |(sum, count), (_, row)| (sum + f64::from(row[class]), count + 1));
    if count == 0 { NEVER } else { (sum / count as f64).max(THRESHOLD_MIN) }
}

/// The class that a post counts as one of; `None` where it reaches no threshold.
fn counted_as(row: &[f32], thresholds: &[f64]) -> Option<usize> {
    let reaches = |class: &usize| f64::from(row[*class]) >= thresholds[*class] - CLOSE;
    let mut confident = (0..row.len()).filter(reaches);
    let first = confident.next()?;
    Some(if confident.next().is_some() { most_probable(row) } else { first })
}

/// Of equal ones the first.
fn most_probable(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

fn margin(row: &[f32], given: usize) -> f32 {
    let others = row.iter().enumerate().filter(|(class, _)| *class != given).map(|(_, p)| *p);
    (row[given] - others.fold(0.0, f32::max) + 1.0) / 2.0
}

/// Whole numbers with the sum of the row: those that rounding changed most are rounded the other way.
fn rounded(row: &[f64]) -> Vec<u64> {
    let mut whole: Vec<f64> = row.iter().map(|value| value.round_ties_even()).collect();
    let missing = row.iter().sum::<f64>().round() - whole.iter().sum::<f64>();
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| ((row[b] - whole[b]) * missing).total_cmp(&((row[a] - whole[a]) * missing)));
    for &at in order.iter().take(missing.abs() as usize) {
        whole[at] += missing.signum();
    }
    whole.into_iter().map(|value| value as u64).collect()
}
