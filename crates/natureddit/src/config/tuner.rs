//! `[tuner]`: which settings of training are searched for.

use std::ops::RangeInclusive;

use super::ConfigError;
use super::check::{Checker, SHARE, TableChecker};
use super::raw::{RawSearch, RawTuner};
use super::trainer::{BATCH_SIZE, DROPOUTS_MAX, LABEL_SMOOTHING, LEARNING_RATE, TrainerConfig};

/// Which points of the search are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunerMethod {
    /// All of them.
    Grid,
    /// Some of them.
    Random,
}

/// The checked `[tuner]`.
#[derive(Clone, Debug)]
pub struct TunerConfig {
    /// Whether there is a search.
    pub enabled: bool,
    /// Which points are tried.
    pub method: TunerMethod,
    /// The most settings that are tried, at least 2.
    pub trials_max: usize,
    /// Folds of the cross-validation, 2 to 20.
    pub folds: usize,
    /// The values that are tried.
    pub search: Search,
}

/// The values of each setting, in the ranges of `[trainer]`; where there is none, that of `[trainer]` stays.
#[derive(Clone, Debug)]
pub struct Search {
    /// Of `trainer.learning_rate`.
    pub learning_rate: Vec<f64>,
    /// Of `trainer.weight_decay`.
    pub weight_decay: Vec<f64>,
    /// Of `trainer.image_dropout`.
    pub image_dropout: Vec<f64>,
    /// Of `trainer.text_dropout`.
    pub text_dropout: Vec<f64>,
    /// Of `trainer.batch_size`.
    pub batch_size: Vec<usize>,
    /// Of `trainer.label_smoothing`.
    pub label_smoothing: Vec<f64>,
}

/// The most values of one setting.
const VALUES_MAX: usize = 20;

impl TunerConfig {
    pub(super) fn check(raw: RawTuner, trainer: &TrainerConfig, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const METHODS: [(&str, TunerMethod); 2] = [("grid", TunerMethod::Grid), ("random", TunerMethod::Random)];
        let at = checker.table("tuner");
        let method = at.one_of("method", &raw.method, &METHODS)?;
        let trials_max: usize = at.integer("trials_max", raw.trials_max, 2..=1_000)?;
        let at_search = checker.table("tuner.search");
        let search = Search::check(raw.search, &at_search)?;
        search.check_dropouts(trainer, &at_search)?;
        // One more than the grid has, for what is configured need not be on it.
        let points = search.points() + 1;
        if method == TunerMethod::Grid && points > trials_max {
            let must_be =
                format!("at least {points}, which is what the grid of tuner.search has, or method \"random\"");
            return Err(at.bad("trials_max", trials_max, must_be));
        }
        Ok(Self { enabled: raw.enabled, method, trials_max, folds: at.integer("folds", raw.folds, 2..=20)?, search })
    }
}

impl Search {
    fn check(raw: RawSearch, at: &TableChecker<'_>) -> Result<Self, ConfigError> {
        let numbers = |key: &str, values: Vec<f64>, range: RangeInclusive<f64>| -> Result<Vec<f64>, ConfigError> {
            short(at, key, values.len())?;
            values.into_iter().map(|value| at.number(key, value, range.clone())).collect()
        };
        short(at, "batch_size", raw.batch_size.len())?;
        let sizes = raw.batch_size.into_iter().map(|size| at.integer("batch_size", size, BATCH_SIZE));
        Ok(Self {
            learning_rate: numbers("learning_rate", raw.learning_rate, LEARNING_RATE)?,
            weight_decay: numbers("weight_decay", raw.weight_decay, SHARE)?,
            image_dropout: numbers("image_dropout", raw.image_dropout, SHARE)?,
            text_dropout: numbers("text_dropout", raw.text_dropout, SHARE)?,
            batch_size: sizes.collect::<Result<_, _>>()?,
            label_smoothing: numbers("label_smoothing", raw.label_smoothing, LABEL_SMOOTHING)?,
        })
    }

    /// Every combination must be one that can be configured, or fewer would be tried than are written.
    fn check_dropouts(&self, trainer: &TrainerConfig, at: &TableChecker<'_>) -> Result<(), ConfigError> {
        let largest = |values: &[f64], configured| values.iter().copied().reduce(f64::max).unwrap_or(configured);
        let image = largest(&self.image_dropout, trainer.image_dropout);
        let text = largest(&self.text_dropout, trainer.text_dropout);
        if image + text <= DROPOUTS_MAX {
            return Ok(());
        }
        let (key, value, other) = if self.image_dropout.is_empty() {
            ("text_dropout", text, format!("image_dropout {image}"))
        } else {
            ("image_dropout", image, format!("text_dropout {text}"))
        };
        Err(at.bad(key, value, format!("so that it and the largest {other} are at most {DROPOUTS_MAX} together")))
    }

    /// How many combinations there are.
    fn points(&self) -> usize {
        let counts = [
            self.learning_rate.len(),
            self.weight_decay.len(),
            self.image_dropout.len(),
            self.text_dropout.len(),
            self.batch_size.len(),
            self.label_smoothing.len(),
        ];
        counts.into_iter().map(|count| count.max(1)).product()
    }
}

fn short(at: &TableChecker<'_>, key: &str, values: usize) -> Result<(), ConfigError> {
    if values <= VALUES_MAX {
        return Ok(());
    }
    Err(at.bad(key, values, format!("a list of at most {VALUES_MAX} values")))
}
