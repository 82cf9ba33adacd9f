//! What people call the settings of components: the key of `natureddit.toml` that an exec property follows from.

/// `(in the exec properties, in the settings)`: where both end with a dot, what follows is named alike; else the first is a
/// property with all below it. The first that fits counts.
type Names = [(&'static str, &'static str)];

const TRANSFORM: &Names =
    &[("precision.int8.calibration_posts", "model.calibration_posts"), ("precision", "model.precision")];

const TRAINER: &Names = &[
    ("config.head.mlp.hidden", "trainer.hidden_units"),
    ("config.head.mlp.dropout", "trainer.hidden_dropout"),
    ("config.head", "trainer.head"),
    ("config.patience", "trainer.early_stopping_patience"),
    ("config.", "trainer."),
    ("tune.layers", "trainer.tune"),
    ("tune.learning_rate", "trainer.tune_learning_rate"),
    ("tune.epochs_max", "trainer.tune_epochs_max"),
    ("tune.batch_size", "trainer.tune_batch_size"),
    ("tune", "trainer.tune"),
];

const EVALUATOR: &Names = &[
    ("config.bootstrap.samples", "evaluator.bootstrap_samples"),
    ("config.bootstrap.confidence", "evaluator.confidence"),
    ("config.bootstrap.seed", "trainer.seed"),
    ("config.", "evaluator."),
    ("limits", "model.image_bytes_max or model.image_pixels_max or model.title_bytes_max"),
];

const EXAMPLE_GEN: &Names = &[
    ("split_by.by", "examples.split_by"),
    ("split_by.eval_from", "examples.time_eval_from"),
    ("split_by.test_from", "examples.time_test_from"),
    ("hash_buckets.", "examples.hash_buckets."),
    ("parquet", "examples.parquet"),
];

const EXAMPLE_VALIDATOR: &Names = &[
    ("config.severities.", "validator."),
    ("config.near_duplicate_distance_max", "examples.near_duplicate_distance_max"),
    ("config.", "validator."),
];

const INFRA_VALIDATOR: &Names = &[
    ("start_timeout_ms", "infra_validator.start_timeout"),
    ("stop_timeout_ms", "infra_validator.stop_timeout"),
    ("response_timeout_ms", "infra_validator.response_timeout"),
    ("test_posts_max", "infra_validator.test_posts_max"),
    ("server.body_bytes_max", "serve.body_bytes_max"),
    ("server.bodies_bytes_max", "serve.bodies_bytes_max"),
    ("server.image_bytes_max", "model.image_bytes_max"),
    ("server.image_pixels_max", "model.image_pixels_max"),
    ("server.title_bytes_max", "model.title_bytes_max"),
];

const SCHEMA_GEN: &Names = &[
    ("infer.values_max", "schema.domain_values_max"),
    ("infer.drift_max", "schema.drift_max"),
    ("infer.skew_max", "schema.skew_max"),
];

/// The same wherever they are.
const SHARED: &Names = &[
    ("classes", "project.classes"),
    ("name", "model.name"),
    ("image_encoder", "model.image_encoder"),
    // What a title is cut to is a part of its encoder.
    ("text_encoder", "model.text_encoder or model.title_tokens_max"),
    ("image_bytes_max", "model.image_bytes_max"),
    ("image_pixels_max", "model.image_pixels_max"),
    ("title_bytes_max", "model.title_bytes_max"),
    ("near_duplicate_distance_max", "examples.near_duplicate_distance_max"),
    ("extra_title_weight", "trainer.extra_title_weight"),
];

/// The setting, or those of which it is one, that a value in a component's exec properties follows from; `None` where none
/// alone does.
#[must_use]
pub fn setting_name(component: &str, path: &str) -> Option<String> {
    if let Some(path) = path.strip_prefix("features.").filter(|_| component == "BulkInferrer") {
        return setting_name("Transform", path);
    }
    // The settings that are searched around.
    if let Some(path) = path.strip_prefix("trainer.").filter(|_| component == "Tuner") {
        return setting_name("Trainer", &format!("config.{path}"));
    }
    let own: &Names = match component {
        "ExampleGen" => EXAMPLE_GEN,
        "SchemaGen" => SCHEMA_GEN,
        "ExampleValidator" => EXAMPLE_VALIDATOR,
        "Transform" => TRANSFORM,
        "Tuner" => &[("config.", "tuner.")],
        "Trainer" => TRAINER,
        "Evaluator" => EVALUATOR,
        "InfraValidator" => INFRA_VALIDATOR,
        _ => &[],
    };
    own.iter().chain(SHARED).find_map(|(from, to)| {
        let rest = path.strip_prefix(from)?;
        if from.ends_with('.') {
            return Some(format!("{to}{rest}"));
        }
        (rest.is_empty() || rest.starts_with('.')).then(|| (*to).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_called_what_people_set() {
        for (component, path, setting) in [
            ("Evaluator", "config.class_examples_min", Some("evaluator.class_examples_min")),
            ("Evaluator", "config.bootstrap.seed", Some("trainer.seed")),
            ("Trainer", "config.head", Some("trainer.head")),
            ("Trainer", "config.head.mlp.hidden", Some("trainer.hidden_units")),
            ("Trainer", "tune", Some("trainer.tune")),
            ("Tuner", "trainer.patience", Some("trainer.early_stopping_patience")),
            ("Tuner", "config.search.weight_decay", Some("tuner.search.weight_decay")),
            ("ExampleGen", "hash_buckets.eval", Some("examples.hash_buckets.eval")),
            ("BulkInferrer", "features.precision", Some("model.precision")),
            ("Transform", "image_encoder.hash", Some("model.image_encoder")),
            ("InfraValidator", "server.version", None),
            ("SchemaGen", "infer.labels", None),
            ("Pusher", "named", None),
            ("Trainer", "", None),
        ] {
            assert_eq!(setting_name(component, path).as_deref(), setting, "{component} {path}");
        }
    }
}
