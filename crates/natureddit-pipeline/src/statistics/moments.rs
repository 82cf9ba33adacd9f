//! Mean and standard deviation in one pass, mergeable: Chan, Golub and LeVeque, "Updating formulae and a pairwise
//! algorithm for computing sample variances" (1979), which does not lose digits where the mean is large.

/// Mean, standard deviation, least and greatest of numbers that come one by one. NaN is not counted in.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    /// How many numbers are finite, their sum, and what rounding lost of it (Neumaier).
    finite: u64,
    sum: f64,
    lost: f64,
    /// Their mean so far, and the sum of their squared deviations from it.
    mean: f64,
    squares: f64,
    pub(super) minus_infinite: u64,
    pub(super) plus_infinite: u64,
    pub(super) zeros: u64,
    /// Of the finite ones; where there is none, the greatest and the least number, so that every other one is nearer.
    pub(super) finite_min: f64,
    pub(super) finite_max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            finite: 0,
            sum: 0.0,
            lost: 0.0,
            mean: 0.0,
            squares: 0.0,
            minus_infinite: 0,
            plus_infinite: 0,
            zeros: 0,
            finite_min: f64::INFINITY,
            finite_max: f64::NEG_INFINITY,
        }
    }
}

impl Moments {
    pub(super) fn push(&mut self, value: f64) {
        if value.is_infinite() {
            *(if value < 0.0 { &mut self.minus_infinite } else { &mut self.plus_infinite }) += 1;
            return;
        }
        self.finite += 1;
        self.add(value);
        let deviation = value - self.mean;
        self.mean += deviation / self.finite as f64;
        self.squares += deviation * (value - self.mean);
        self.zeros += u64::from(value == 0.0);
        self.finite_min = self.finite_min.min(value);
        self.finite_max = self.finite_max.max(value);
    }

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        self.lost += other.lost;
        let total = (self.finite + other.finite).max(1) as f64;
        let deviation = other.mean - self.mean;
        let share = other.finite as f64 / total;
        self.squares += other.squares + deviation * deviation * self.finite as f64 * share;
        self.mean += deviation * share;
        self.finite += other.finite;
        self.minus_infinite += other.minus_infinite;
        self.plus_infinite += other.plus_infinite;
        self.zeros += other.zeros;
        self.finite_min = self.finite_min.min(other.finite_min);
        self.finite_max = self.finite_max.max(other.finite_max);
    }

    /// How many numbers there are.
    pub(super) fn count(&self) -> u64 {
        self.finite + self.infinite()
    }

    fn infinite(&self) -> u64 {
        self.minus_infinite + self.plus_infinite
    }

    /// The mean; with infinite numbers the infinity, and NaN where they are of both signs or there is no number.
    pub(super) fn mean(&self) -> f64 {
        match (self.minus_infinite, self.plus_infinite) {
            (0, 0) if self.finite == 0 => f64::NAN,
            (0, 0) => (self.sum + self.lost) / self.finite as f64,
            (_, 0) => f64::NEG_INFINITY,
            (0, _) => f64::INFINITY,
            _ => f64::NAN,
        }
    }

    /// The standard deviation of the whole population; NaN with infinite numbers or without any.
    pub(super) fn std_dev(&self) -> f64 {
        if self.finite == 0 || self.infinite() > 0 {
            return f64::NAN;
        }
        (self.squares.max(0.0) / self.finite as f64).sqrt()
    }

    pub(super) fn min(&self) -> f64 {
        if self.minus_infinite > 0 { f64::NEG_INFINITY } else { self.finite_min }
    }

    pub(super) fn max(&self) -> f64 {
        if self.plus_infinite > 0 { f64::INFINITY } else { self.finite_max }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|&value| moments.push(value));
        moments
    }

    /// Two passes, each summed with what rounding loses (Neumaier).
    fn two_passes(values: &[f64]) -> (f64, f64) {
        let sum = |values: &mut dyn Iterator<Item = f64>| {
            let (mut sum, mut lost) = (0.0_f64, 0.0);
            for value in values {
                let next = sum + value;
                lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
                sum = next;
            }
            sum + lost
        };
        let mean = sum(&mut values.iter().copied()) / values.len() as f64;
        let squares = sum(&mut values.iter().map(|value| (value - mean).powi(2)));
        (mean, (squares / values.len() as f64).sqrt())
    }

    proptest! {
        #[test]
        fn parts_merged_are_the_whole_and_that_is_right(
            values in proptest::collection::vec(-1e6..1e6_f64, 1..200),
            offset in prop_oneof![Just(0.0), Just(1.7e9), Just(-1e12)],
            cut in any::<proptest::sample::Index>(),
        ) {
            let values: Vec<f64> = values.iter().map(|value| value + offset).collect();
            let (mean, std_dev) = two_passes(&values);
            let (left, right) = values.split_at(cut.index(values.len()));
            let mut merged = of(left);
            merged.merge(&of(right));
            for moments in [of(&values), merged] {
                let scale = values.iter().fold(1.0_f64, |scale, value| scale.max(value.abs()));
                prop_assert!((moments.mean() - mean).abs() <= 1e-15 * scale, "{} {mean}", moments.mean());
                prop_assert!((moments.std_dev() - std_dev).abs() <= 1e-11 * scale, "{} {std_dev}", moments.std_dev());
                prop_assert_eq!(moments.count(), values.len() as u64);
                prop_assert_eq!(moments.min(), values.iter().copied().fold(f64::INFINITY, f64::min));
                prop_assert_eq!(moments.max(), values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            }
        }
    }

    #[test]
    fn a_large_mean_costs_no_digits_of_the_deviation() {
        let moments = of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert_eq!((moments.mean(), moments.std_dev()), (1e9 + 10.0, 22.5_f64.sqrt()));
    }

    #[test]
    fn infinite_numbers_have_stated_outcomes() {
        let plus = of(&[1.0, f64::INFINITY]);
        assert_eq!((plus.mean(), plus.min(), plus.max(), plus.finite_max), (f64::INFINITY, 1.0, f64::INFINITY, 1.0));
        assert!(plus.std_dev().is_nan());
        let minus = of(&[f64::NEG_INFINITY]);
        assert_eq!((minus.mean(), minus.count()), (f64::NEG_INFINITY, 1));
        let mut both = plus;
        both.merge(&minus);
        assert!(both.mean().is_nan() && both.count() == 3 && both.min() == f64::NEG_INFINITY);
        assert!(of(&[]).mean().is_nan() && of(&[]).std_dev().is_nan());
    }
}
