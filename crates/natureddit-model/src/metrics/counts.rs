//! What follows from who was taken for whom.

/// `counts[truth][answer]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confusion(Vec<Vec<u64>>);

/// The counts of one class.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClassCounts {
    /// Right answers of this class.
    right: u64,
    /// Answers of this class.
    answers: u64,
    /// Posts of this class.
    pub(super) support: u64,
}

impl ClassCounts {
    /// NaN where the class was never answered.
    pub(super) fn precision(self) -> f64 {
        self.right as f64 / self.answers as f64
    }

    /// NaN where there is no post of the class.
    pub(super) fn recall(self) -> f64 {
        self.right as f64 / self.support as f64
    }

    /// NaN where the class neither occurs nor is answered.
    pub(super) fn f1(self) -> f64 {
        2.0 * self.right as f64 / (self.answers + self.support) as f64
    }
}

impl Confusion {
    /// Counts pairs of truth and answer, each so many times.
    pub(super) fn weighted(pairs: &[(usize, usize)], weights: &[u64], classes: usize) -> Self {
        let mut counts = vec![vec![0; classes]; classes];
        pairs.iter().zip(weights).for_each(|(&(truth, answer), weight)| counts[truth][answer] += weight);
        Self(counts)
    }

    pub(super) fn accuracy(&self) -> f64 {
        let right: u64 = self.0.iter().enumerate().map(|(class, row)| row[class]).sum();
        ratio(right, self.0.iter().flatten().sum())
    }

    pub(super) fn of(&self, class: usize) -> ClassCounts {
        ClassCounts {
            right: self.0[class][class],
            answers: self.0.iter().map(|row| row[class]).sum(),
            support: self.0[class].iter().sum(),
        }
    }

    /// The mean F1 of the classes that occur among the posts or the answers.
    pub(super) fn macro_f1(&self) -> f64 {
        let scores = (0..self.0.len()).map(|class| self.of(class).f1()).filter(|f1| !f1.is_nan());
        let (sum, count) = scores.fold((0.0, 0_u64), |(sum, count), f1| (sum + f1, count + 1));
        if count == 0 { 0.0 } else { sum / count as f64 }
    }

    /// The class of most posts; of equally frequent ones the last.
    pub(super) fn most_frequent(&self) -> usize {
        (0..self.0.len()).max_by_key(|&class| self.of(class).support).unwrap_or_default()
    }

    /// As it were if every answer had been this class.
    pub(super) fn of_always(&self, answer: usize) -> Self {
        let mut counts = vec![vec![0; self.0.len()]; self.0.len()];
        counts.iter_mut().zip(&self.0).for_each(|(row, posts)| row[answer] = posts.iter().sum());
        Self(counts)
    }

    pub(super) fn into_counts(self) -> Vec<Vec<u64>> {
        self.0
    }
}

pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
