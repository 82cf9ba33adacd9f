//! The settings of training that a user has who sets none, for the programs that measure them.

use std::path::Path;

use natureddit_core::fs;
use natureddit_model::train::{HeadKind, TrainerConfig};
use toml::{Table, Value};

/// `[trainer]` of `natureddit.example.toml`, which holds the defaults.
#[derive(Clone, Debug)]
pub struct DefaultTrainer {
    /// How the head is trained.
    pub config: TrainerConfig,
    /// How much a title without a photo counts beside a whole post.
    pub extra_title_weight: f32,
}

/// Reads the defaults, with other `settings` in the place of some: each is a line of `[trainer]`, such as `seed = 7`.
///
/// # Panics
/// When a setting is not known or of another type.
#[must_use]
pub fn default_trainer(settings: &[String]) -> DefaultTrainer {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../natureddit.example.toml");
    let text = fs::read_to_string(&file).expect("the example of a config");
    let mut config: Table = text.parse().expect("a config is TOML");
    let mut trainer = match config.remove("trainer") {
        Some(Value::Table(trainer)) => trainer,
        other => panic!("[trainer] is {other:?}"),
    };
    for (key, value) in settings.join("\n").parse::<Table>().expect("settings are lines of TOML") {
        assert!(trainer.insert(key.clone(), value).is_some(), "[trainer] has no {key}");
    }
    let number = |key: &str| match &trainer[key] {
        Value::Float(number) => *number,
        Value::Integer(number) => *number as f64,
        other => panic!("trainer.{key} = {other}"),
    };
    let count = |key: &str| number(key) as usize;
    let word = |key: &str| trainer[key].as_str();
    let head = match word("head") {
        Some("linear") => HeadKind::Linear,
        Some("mlp") => HeadKind::Mlp { hidden: count("hidden_units"), dropout: number("hidden_dropout") },
        other => panic!("trainer.head = {other:?}"),
    };
    let config = TrainerConfig {
        epochs_max: count("epochs_max"),
        batch_size: count("batch_size"),
        learning_rate: number("learning_rate"),
        weight_decay: number("weight_decay") as f32,
        image_dropout: number("image_dropout"),
        text_dropout: number("text_dropout"),
        label_smoothing: number("label_smoothing"),
        head,
        class_weights: word("class_weights") == Some("balanced"),
        patience: count("early_stopping_patience"),
        seed: number("seed") as u64,
    };
    DefaultTrainer { config, extra_title_weight: number("extra_title_weight") as f32 }
}
