//! AdamW: Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>, algorithm 2.
//!
//! On plain numbers and in one pass: as tensor operations a step reads and writes each parameter a dozen times, and its
//! state is in no form that a checkpoint can keep.

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-5;

/// The optimiser's memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AdamW {
    /// How many steps were taken.
    pub(super) steps: i32,
    /// The running mean of the gradients, as the parameters.
    pub(super) first: Vec<Vec<f32>>,
    /// The running mean of their squares.
    pub(super) second: Vec<Vec<f32>>,
}

impl AdamW {
    /// Before the first step.
    pub(super) fn new(parameters: &[Vec<f32>]) -> Self {
        let zeros = || parameters.iter().map(|values| vec![0.0; values.len()]).collect();
        Self { steps: 0, first: zeros(), second: zeros() }
    }

    /// Moves the parameters against the gradients, both of the same shapes.
    pub(super) fn step(&mut self, parameters: &mut [Vec<f32>], gradients: &[Vec<f32>], rate: f32, decay: f32) {
        self.steps += 1;
        let (scale_1, scale_2) = (1.0 / (1.0 - BETA_1.powi(self.steps)), 1.0 / (1.0 - BETA_2.powi(self.steps)));
        let kept = 1.0 - rate * decay;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((values, gradients), (first, second)) in parameters.iter_mut().zip(gradients).zip(moments) {
            for (((value, &gradient), m), v) in values.iter_mut().zip(gradients).zip(first).zip(second) {
                *m = BETA_1 * *m + (1.0 - BETA_1) * gradient;
                *v = BETA_2 * *v + (1.0 - BETA_2) * gradient * gradient;
                *value = *value * kept - rate * (*m * scale_1) / ((*v * scale_2).sqrt() + EPSILON);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the corrected means of one gradient are the gradient and its square, so that a step is as long as the rate.
    #[test]
    fn the_first_step_is_as_long_as_the_rate_and_decay_comes_on_top() {
        let mut parameters = vec![vec![1.0, -2.0], vec![0.5]];
        let mut optimizer = AdamW::new(&parameters);
        optimizer.step(&mut parameters, &[vec![4.0, -0.25], vec![0.0]], 0.1, 0.5);
        let expected = [0.95 - 0.1, -1.9 + 0.1, 0.475];
        for (found, expected) in parameters.concat().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
    }

    #[test]
    fn it_finds_the_lowest_point_of_a_bowl() {
        let mut parameters = vec![vec![5.0, -3.0]];
        let mut optimizer = AdamW::new(&parameters);
        for step in 0..2_000 {
            let gradients = vec![vec![2.0 * (parameters[0][0] - 1.0), 20.0 * (parameters[0][1] - 2.0)]];
            optimizer.step(&mut parameters, &gradients, 0.1 * (1.0 - step as f32 / 2_000.0), 0.0);
        }
        assert!((parameters[0][0] - 1.0).abs() < 1e-3 && (parameters[0][1] - 2.0).abs() < 1e-3, "{parameters:?}");
    }
}
