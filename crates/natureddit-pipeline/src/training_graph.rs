//! The pipeline of a project: which component reads whose output.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use natureddit_core::{ClassNames, Clock};
use natureddit_data::DatasetVersion;
use natureddit_model::train::{Checkpoints, TrainerConfig, TuneConfig};
use natureddit_model::{EncoderPair, InputLimits, ModelBundle, ModelVersions};

use crate::artifact::PropertyValue;
use crate::components::AssetLoader;
use crate::components::bulk_inferrer::BulkInferrer;
use crate::components::evaluator::{Evaluator, EvaluatorConfig};
use crate::components::example_gen::ExampleGen;
use crate::components::example_validator::{ExampleValidator, ValidatorConfig};
use crate::components::import_schema::ImportSchema;
use crate::components::infra_validator::{InfraValidator, InfraValidatorConfig, ServerProgram};
use crate::components::pusher::{Pusher, is_same_bundle};
use crate::components::schema_gen::SchemaGen;
use crate::components::statistics_gen::StatisticsGen;
use crate::components::trainer::{FineTuning, Trainer};
use crate::components::transform::{PrecisionConfig, Transform};
use crate::components::tuner::{Tuner, TunerConfig};
use crate::graph::{External, Graph, GraphError, Input, Node, Resolution, ResolveError};
use crate::schema::infer::InferConfig;
use crate::split::{HashBuckets, SplitBy};

/// Everything the components of a project need to know.
#[derive(Clone)]
pub struct TrainingConfig {
    /// The classes.
    pub classes: ClassNames,
    /// Holds `posts.csv` and `images/`.
    pub data_dir: PathBuf,
    /// Holds `labels.csv` and `titles.csv`.
    pub labels_dir: PathBuf,
    /// Holds what the components keep between runs.
    pub pipeline_root: PathBuf,
    /// The model store.
    pub models_dir: PathBuf,
    /// The model's name.
    pub model_name: String,
    /// How large each split is.
    pub hash_buckets: HashBuckets,
    /// What decides on an example's split.
    pub split_by: SplitBy,
    /// Whether the examples are written as Parquet as well.
    pub examples_as_parquet: bool,
    /// A curated schema; `None`: one is inferred from the training split.
    pub schema_file: Option<PathBuf>,
    /// How a schema is inferred.
    pub schema: InferConfig,
    /// How examples are judged.
    pub validator: ValidatorConfig,
    /// Photos whose perceptual hashes differ in at most so many bits share a split.
    pub near_duplicate_distance_max: u32,
    /// The encoders.
    pub encoders: EncoderPair,
    /// With which numbers they calculate.
    pub precision: PrecisionConfig,
    /// The largest photo and title.
    pub limits: InputLimits,
    /// How many threads the encoders use.
    pub threads: usize,
    /// How the head is trained.
    pub trainer: TrainerConfig,
    /// How the encoders are tuned with the head; `None` leaves them as they are.
    pub tune: Option<TuneConfig>,
    /// How much a title without a photo counts beside a whole post.
    pub extra_title_weight: f32,
    /// Training is kept after every so many epochs, to go on from when it is interrupted; 0 never.
    pub checkpoint_every_epochs: usize,
    /// Once it is set, a training that is under way ends soon, and the best so far is the model.
    pub stop_training: Option<Arc<AtomicBool>>,
    /// Which settings of training are searched for; `None`: those of `trainer` are taken.
    pub tuner: Option<TunerConfig>,
    /// What a model must reach.
    pub evaluator: EvaluatorConfig,
    /// How a server is asked with the model before it is pushed; `None` pushes without.
    pub infra_validator: Option<(InfraValidatorConfig, ServerProgram)>,
    /// Whether the model in use is asked about the posts without a label.
    pub bulk_inferrer: bool,
    /// Finds or pulls the assets.
    pub assets: AssetLoader,
    /// The time of a push.
    pub clock: Clock,
}

/// ExampleGen, StatisticsGen, SchemaGen or ImportSchema, ExampleValidator, Transform, Tuner, Trainer, Evaluator,
/// InfraValidator, Pusher, BulkInferrer; Tuner, InfraValidator and BulkInferrer where they are switched on.
///
/// # Errors
/// Never for these components; see [`GraphError`].
pub fn training_graph(config: &TrainingConfig) -> Result<Graph, GraphError> {
    let mut nodes = feature_nodes(config);
    nodes.extend(config.tuner.as_ref().map(|tuner_config| tuner(config, tuner_config)));
    nodes.extend([trainer(config), evaluator(config)]);
    nodes.extend(infra_validator(config));
    nodes.push(pusher(config));
    let after_push = |node: Node| node.with("pushed_model", Input::channel("Pusher", "pushed_model"));
    nodes.extend(config.bulk_inferrer.then(|| after_push(bulk_inferrer(config))));
    Graph::new(nodes)
}

/// The first part of [`training_graph`]: examples and their features.
///
/// # Errors
/// As [`training_graph`].
pub fn feature_graph(config: &TrainingConfig) -> Result<Graph, GraphError> {
    Graph::new(feature_nodes(config))
}

/// The last part of [`training_graph`] alone: the model in use is asked about the posts without a label, whether or not the
/// pipeline does so.
///
/// # Errors
/// As [`training_graph`].
pub fn inference_graph(config: &TrainingConfig) -> Result<Graph, GraphError> {
    Graph::new(vec![bulk_inferrer(config)])
}

fn feature_nodes(config: &TrainingConfig) -> Vec<Node> {
    let example_gen = ExampleGen {
        classes: config.classes.clone(),
        hash_buckets: config.hash_buckets,
        split_by: config.split_by,
        parquet: config.examples_as_parquet,
        near_duplicate_distance_max: config.near_duplicate_distance_max,
    };
    let statistics_gen = StatisticsGen {
        images_dir: config.data_dir.join("images"),
        cache_dir: config.pipeline_root.join("embeddings"),
        limits: config.limits.image,
    };
    vec![
        Node::new(example_gen)
            .with("dataset", Input::files(config.data_dir.clone(), &["posts.csv"]).described(dataset_version))
            .with("labels", Input::files(config.labels_dir.clone(), &["labels.csv", "titles.csv"])),
        Node::new(statistics_gen).with("examples", Input::channel("ExampleGen", "examples")),
        schema_node(config),
        Node::new(ExampleValidator { config: config.validator.clone() })
            .with("examples", Input::channel("ExampleGen", "examples"))
            .with("statistics", Input::channel("StatisticsGen", "statistics"))
            .with("schema", Input::channel(schema_component(config), "schema")),
        Node::new(transform(config))
            .with("examples", Input::channel("ExampleGen", "examples"))
            .with("labels", Input::files(config.labels_dir.clone(), &["labels.csv"]))
            .after("ExampleValidator"),
    ]
}

fn transform(config: &TrainingConfig) -> Transform {
    Transform {
        encoders: config.encoders.clone(),
        precision: config.precision,
        images_dir: config.data_dir.join("images"),
        cache_dir: config.pipeline_root.join("embeddings"),
        limits: config.limits,
        threads: config.threads,
        assets: config.assets.clone(),
    }
}

fn tuner(config: &TrainingConfig, tuner_config: &TunerConfig) -> Node {
    let tuner = Tuner {
        classes: config.classes.clone(),
        encoders: config.encoders.clone(),
        trainer: config.trainer.clone(),
        extra_title_weight: config.extra_title_weight,
        config: tuner_config.clone(),
    };
    Node::new(tuner)
        .with("examples", Input::channel("ExampleGen", "examples"))
        .with("transformed_examples", Input::channel("Transform", "transformed_examples"))
}

/// The component that gives the schema.
fn schema_component(config: &TrainingConfig) -> &'static str {
    if config.schema_file.is_some() { "ImportSchema" } else { "SchemaGen" }
}

fn schema_node(config: &TrainingConfig) -> Node {
    let Some(file) = config.schema_file.clone() else {
        return Node::new(SchemaGen { config: config.schema.clone() })
            .with("statistics", Input::channel("StatisticsGen", "statistics"));
    };
    Node::new(ImportSchema).with(
        "schema_file",
        Input::resolved(move |look| {
            let (folder, name) = (file.parent().unwrap_or(&file), file.file_name().unwrap_or_default());
            let hash = look.hash_files(folder, &[&name.to_string_lossy()])?;
            Ok(Some(External { path: file.clone(), hash }))
        }),
    )
}

/// Which version of the dataset this is, for whoever asks a model where it comes from.
fn dataset_version(dataset: &External) -> BTreeMap<String, PropertyValue> {
    let version = DatasetVersion::of(&dataset.path);
    let told = [
        ("git_revision", version.git_revision),
        ("posts_dvc_md5", version.posts_md5),
        ("images_dvc_md5", version.images_md5),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
}

fn trainer(config: &TrainingConfig) -> Node {
    let kept = |file: &str, every_epochs: usize| {
        let path = config.pipeline_root.join("checkpoints").join(file);
        (config.checkpoint_every_epochs > 0).then_some(Checkpoints { path, every_epochs })
    };
    let fine_tuning = config.tune.clone().map(|tune| FineTuning {
        config: tune,
        images_dir: config.data_dir.join("images"),
        limits: config.limits,
        threads: config.threads,
        // An epoch may take an hour.
        checkpoints: kept("encoders.safetensors", 1),
    });
    let trainer = Trainer {
        name: config.model_name.clone(),
        classes: config.classes.clone(),
        encoders: config.encoders.clone(),
        config: config.trainer.clone(),
        fine_tuning,
        extra_title_weight: config.extra_title_weight,
        stop: config.stop_training.clone(),
        checkpoints: kept("head.safetensors", config.checkpoint_every_epochs),
        assets: config.assets.clone(),
    };
    let node = Node::new(trainer)
        .with("examples", Input::channel("ExampleGen", "examples"))
        .with("transformed_examples", Input::channel("Transform", "transformed_examples"))
        .with("transform_graph", Input::channel("Transform", "transform_graph"));
    match config.tuner {
        Some(_) => node.with("hyperparameters", Input::channel("Tuner", "hyperparameters")),
        None => node,
    }
}

fn evaluator(config: &TrainingConfig) -> Node {
    let evaluator = Evaluator {
        classes: config.classes.clone(),
        encoders: config.encoders.clone(),
        config: config.evaluator.clone(),
        images_dir: config.data_dir.join("images"),
        limits: config.limits,
        threads: config.threads,
        assets: config.assets.clone(),
        floats: Transform { precision: PrecisionConfig::Fp32, ..transform(config) },
    };
    let store = config.models_dir.join(&config.model_name);
    Node::new(evaluator)
        .with("examples", Input::channel("ExampleGen", "examples"))
        .with("transformed_examples", Input::channel("Transform", "transformed_examples"))
        .with("model", Input::channel("Trainer", "model"))
        .with("champion", Input::resolved(move |look| champion(&store, look)))
}

fn infra_validator(config: &TrainingConfig) -> Option<Node> {
    let (how, server) = config.infra_validator.clone()?;
    let infra_validator = InfraValidator {
        name: config.model_name.clone(),
        encoders: config.encoders.clone(),
        config: how,
        images_dir: config.data_dir.join("images"),
        limits: config.limits,
        assets: config.assets.clone(),
        server,
    };
    let node = Node::new(infra_validator)
        .with("model", Input::channel("Trainer", "model"))
        .with("examples", Input::channel("ExampleGen", "examples"))
        .with("transformed_examples", Input::channel("Transform", "transformed_examples"));
    Some(node)
}

fn pusher(config: &TrainingConfig) -> Node {
    let (models_dir, name, clock) = (config.models_dir.clone(), config.model_name.clone(), config.clock.clone());
    let node = Node::new(Pusher { models_dir, name, data_dir: config.data_dir.clone(), clock })
        .with("model", Input::channel("Trainer", "model"))
        .with("examples", Input::channel("ExampleGen", "examples"))
        .with("blessing", Input::channel("Evaluator", "blessing"))
        .with("evaluation", Input::channel("Evaluator", "evaluation"));
    match config.infra_validator {
        Some(_) => node.with("infra_blessing", Input::channel("InfraValidator", "blessing")),
        None => node,
    }
}

fn bulk_inferrer(config: &TrainingConfig) -> Node {
    let inferrer = BulkInferrer { classes: config.classes.clone(), transform: transform(config) };
    let store = config.models_dir.join(&config.model_name);
    Node::new(inferrer)
        .with("dataset", Input::files(config.data_dir.clone(), &["posts.csv"]))
        .with("labels", Input::files(config.labels_dir.clone(), &["labels.csv"]))
        .with("model", Input::resolved(move |look| in_use(&store, look)))
}

/// The model in use that is not the candidate itself, or, where the candidate is in use, the one before it: after the
/// candidate was pushed the same one is found as before, and running again changes nothing.
fn champion(store: &Path, look: &mut Resolution<'_>) -> Result<Option<External>, ResolveError> {
    let Some(candidate) = look.input("model").map(|(path, _)| path.to_owned()) else {
        return Ok(None);
    };
    for (_, dir) in ModelVersions::read(store)?.past_defaults() {
        if !is_same_bundle(dir, &candidate)? {
            let hash = look.hash_files(dir, &[ModelBundle::MANIFEST])?;
            return Ok(Some(External { path: dir.to_owned(), hash }));
        }
    }
    Ok(None)
}

/// The default version, after the Pusher had its turn.
fn in_use(store: &Path, look: &mut Resolution<'_>) -> Result<Option<External>, ResolveError> {
    let versions = ModelVersions::read(store)?;
    let Some((_, dir)) = versions.default_version() else { return Ok(None) };
    let hash = look.hash_files(dir, &[ModelBundle::MANIFEST])?;
    Ok(Some(External { path: dir.to_owned(), hash }))
}
