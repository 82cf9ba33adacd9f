//! Settings of training to try: all of a grid, or some of it at random.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::train::TrainerConfig;

/// The settings that are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HyperParameters {
    /// As [`TrainerConfig::learning_rate`].
    pub learning_rate: f64,
    /// As [`TrainerConfig::weight_decay`].
    pub weight_decay: f32,
    /// As [`TrainerConfig::image_dropout`].
    pub image_dropout: f64,
    /// As [`TrainerConfig::text_dropout`].
    pub text_dropout: f64,
    /// As [`TrainerConfig::batch_size`].
    pub batch_size: usize,
    /// As [`TrainerConfig::label_smoothing`].
    #[serde(default)]
    pub label_smoothing: f64,
}

impl HyperParameters {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &TrainerConfig) -> Self {
        let TrainerConfig {
            learning_rate, weight_decay, image_dropout, text_dropout, batch_size, label_smoothing, ..
        } = *config;
        Self { learning_rate, weight_decay, image_dropout, text_dropout, batch_size, label_smoothing }
    }

    /// The configuration with these in place of its own.
    #[must_use]
    pub fn apply(self, config: &TrainerConfig) -> TrainerConfig {
        let Self { learning_rate, weight_decay, image_dropout, text_dropout, batch_size, label_smoothing } = self;
        TrainerConfig {
            learning_rate,
            weight_decay,
            image_dropout,
            text_dropout,
            batch_size,
            label_smoothing,
            ..config.clone()
        }
    }

    /// Whether some examples keep both photo and title.
    fn is_possible(&self) -> bool {
        self.image_dropout + self.text_dropout <= DROPOUT_MAX
    }
}

/// The most of the examples that may lose photo or title.
pub const DROPOUT_MAX: f64 = 0.9;

/// The values of each setting; where there is none, the configured one stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchSpace {
    /// Of [`HyperParameters::learning_rate`].
    pub learning_rate: Vec<f64>,
    /// Of [`HyperParameters::weight_decay`].
    pub weight_decay: Vec<f32>,
    /// Of [`HyperParameters::image_dropout`].
    pub image_dropout: Vec<f64>,
    /// Of [`HyperParameters::text_dropout`].
    pub text_dropout: Vec<f64>,
    /// Of [`HyperParameters::batch_size`].
    pub batch_size: Vec<usize>,
    /// Of [`HyperParameters::label_smoothing`].
    pub label_smoothing: Vec<f64>,
}

/// Which points of a grid are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMethod {
    /// All of them.
    Grid,
    /// Some, drawn without putting them back (Bergstra and Bengio 2012,
    /// <https://www.jmlr.org/papers/v13/bergstra12a.html>).
    Random,
}

impl SearchSpace {
    /// How many points the grid has; at least one.
    #[must_use]
    pub fn points(&self) -> usize {
        self.sizes().iter().fold(1, |all: usize, &size| all.saturating_mul(size))
    }

    /// What to try, at most `trials_max` and each once: first what is configured, so that nothing worse is chosen, then
    /// points of the grid, leaving out those that hide too much.
    #[must_use]
    pub fn trials(
        &self,
        configured: &TrainerConfig,
        method: SearchMethod,
        trials_max: usize,
        seed: u64,
    ) -> Vec<HyperParameters> {
        let configured = HyperParameters::of(configured);
        let mut trials = vec![configured];
        let points = self.points();
        let order: Box<dyn Iterator<Item = usize>> = match method {
            SearchMethod::Grid => Box::new(0..points),
            // Some may be left out, so that more are drawn than are wanted.
            SearchMethod::Random => {
                let drawn = points.min(trials_max.saturating_mul(4));
                Box::new(index::sample(&mut ChaCha8Rng::seed_from_u64(seed), points, drawn).into_iter())
            }
        };
        for point in order.map(|at| self.point(at, &configured)).filter(HyperParameters::is_possible) {
            if trials.len() >= trials_max {
                break;
            }
            if !trials.contains(&point) {
                trials.push(point);
            }
        }
        trials
    }

    fn sizes(&self) -> [usize; 6] {
        [
            self.learning_rate.len(),
            self.weight_decay.len(),
            self.image_dropout.len(),
            self.text_dropout.len(),
            self.batch_size.len(),
            self.label_smoothing.len(),
        ]
        .map(|size| size.max(1))
    }

    /// The point of that number, the last setting running fastest.
    fn point(&self, mut at: usize, configured: &HyperParameters) -> HyperParameters {
        let mut places = self.sizes();
        for place in places.iter_mut().rev() {
            let size = *place;
            *place = at % size;
            at /= size;
        }
        let [learning_rate, weight_decay, image_dropout, text_dropout, batch_size, label_smoothing] = places;
        HyperParameters {
            learning_rate: *self.learning_rate.get(learning_rate).unwrap_or(&configured.learning_rate),
            weight_decay: *self.weight_decay.get(weight_decay).unwrap_or(&configured.weight_decay),
            image_dropout: *self.image_dropout.get(image_dropout).unwrap_or(&configured.image_dropout),
            text_dropout: *self.text_dropout.get(text_dropout).unwrap_or(&configured.text_dropout),
            batch_size: *self.batch_size.get(batch_size).unwrap_or(&configured.batch_size),
            label_smoothing: *self.label_smoothing.get(label_smoothing).unwrap_or(&configured.label_smoothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::HeadKind;

    fn configured() -> TrainerConfig {
        TrainerConfig {
            epochs_max: 10,
            batch_size: 64,
            learning_rate: 0.001,
            weight_decay: 0.01,
            image_dropout: 0.1,
            text_dropout: 0.2,
            label_smoothing: 0.0,
            head: HeadKind::Linear,
            class_weights: true,
            patience: 3,
            seed: 1,
        }
    }

    fn space() -> SearchSpace {
        SearchSpace {
            learning_rate: vec![0.001, 0.01],
            weight_decay: vec![],
            image_dropout: vec![0.1, 0.8],
            text_dropout: vec![],
            batch_size: vec![32, 64],
            label_smoothing: vec![],
        }
    }

    #[test]
    fn a_grid_is_what_is_configured_and_every_other_possible_point_once() {
        let trials = space().trials(&configured(), SearchMethod::Grid, 100, 1);
        // Eight points, of which half hide everything and one is configured.
        let points: Vec<(f64, f64, usize)> =
            trials.iter().map(|trial| (trial.learning_rate, trial.image_dropout, trial.batch_size)).collect();
        assert_eq!(points, [(0.001, 0.1, 64), (0.001, 0.1, 32), (0.01, 0.1, 32), (0.01, 0.1, 64)]);
        assert!(trials.iter().all(|trial| trial.weight_decay == 0.01 && trial.text_dropout == 0.2));
        assert_eq!(space().points(), 8);
    }

    #[test]
    fn a_random_search_is_the_same_for_the_same_seed_and_never_longer_than_allowed() {
        let wide = SearchSpace { weight_decay: (0..50).map(|at| at as f32 / 100.0).collect(), ..space() };
        let search = |seed| wide.trials(&configured(), SearchMethod::Random, 7, seed);
        assert_eq!(search(3), search(3));
        assert_ne!(search(3), search(4));
        assert_eq!(search(3).len(), 7);
        assert_eq!(search(3)[0], HyperParameters::of(&configured()));
        let all = space().trials(&configured(), SearchMethod::Random, 100, 1);
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn what_is_not_searched_stays_as_it_is_configured() {
        let found = HyperParameters { learning_rate: 0.5, ..HyperParameters::of(&configured()) };
        assert_eq!(found.apply(&configured()), TrainerConfig { learning_rate: 0.5, ..configured() });
    }
}
