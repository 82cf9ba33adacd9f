//! An axis: its range, where its ticks are, and how they are written.

/// One axis of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    label: String,
    range: [f64; 2],
    unit: Unit,
}

/// What an axis counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Share,
    Count,
}

/// At most so many ticks.
const TICKS_MAX: f64 = 6.0;

impl Axis {
    /// Shares, written in percent.
    #[must_use]
    pub fn share(label: &str, range: [f64; 2]) -> Self {
        Self { label: label.to_owned(), range, unit: Unit::Share }
    }

    /// Whole numbers.
    #[must_use]
    pub fn count(label: &str, range: [f64; 2]) -> Self {
        Self { label: label.to_owned(), range, unit: Unit::Count }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// How far along the axis a value lies, 0 to 1; what lies beyond an end is put there.
    pub(super) fn position(&self, value: f64) -> f64 {
        let [low, high] = self.range;
        if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Round numbers from end to end: 1, 2 or 5 times a power of ten apart.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let step = self.step();
        let [low, high] = self.range;
        if step <= 0.0 || !step.is_finite() {
            return vec![low];
        }
        let (first, last) = ((low / step - 1e-6).ceil() as i64, (high / step + 1e-6).floor() as i64);
        (first..=last).map(|at| at as f64 * step).collect()
    }

    fn step(&self) -> f64 {
        let least = (self.range[1] - self.range[0]) / TICKS_MAX;
        // There is nothing between one post and two.
        let least = if self.unit == Unit::Count { least.max(1.0) } else { least };
        let power = 10_f64.powf(least.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= least - 1e-12);
        factor.unwrap_or(10.0) * power
    }

    pub(super) fn text(&self, tick: f64) -> String {
        if self.unit == Unit::Count {
            return format!("{tick:.0}");
        }
        let step = self.step() * 100.0;
        let decimals = if step > 0.0 { (-step.log10().floor()).clamp(0.0, 6.0) as usize } else { 0 };
        format!("{:.decimals$} %", tick * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|tick| axis.text(tick)).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(written(&Axis::share("", [0.0, 1.0])), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        assert_eq!(
            written(&Axis::share("", [0.97, 1.0])),
            ["97.0 %", "97.5 %", "98.0 %", "98.5 %", "99.0 %", "99.5 %", "100.0 %"]
        );
        assert_eq!(written(&Axis::count("", [0.0, 43.0])), ["0", "10", "20", "30", "40"]);
        assert_eq!(written(&Axis::count("", [0.0, 3.0])), ["0", "1", "2", "3"]);
        assert_eq!(written(&Axis::count("", [2.0, 2.0])), ["2"]);
        assert_eq!(written(&Axis::share("", [0.5, 0.5])), ["50 %"]);
    }

    #[test]
    fn what_lies_beyond_is_put_at_the_end() {
        let axis = Axis::count("", [10.0, 20.0]);
        assert_eq!([axis.position(15.0), axis.position(0.0), axis.position(99.0)], [0.5, 0.0, 1.0]);
    }
}
