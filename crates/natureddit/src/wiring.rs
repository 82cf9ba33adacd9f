//! The one place that turns settings into the libraries' own.

mod archives;
mod encoders;
mod server;
mod traces;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use natureddit_core::{Asset, Clock, Progress};
use natureddit_data::dvc::DvcOptions;
use natureddit_data::dvc::remote::{Access, AwsAccess, AwsFiles};
use natureddit_data::source::RedditOauthConfig;
use natureddit_data::{DatasetVersion, git_revision};
use natureddit_image::ImageLimits;
use natureddit_model::metrics::Bootstrap;
use natureddit_model::search::{SearchMethod, SearchSpace};
use natureddit_model::train::{HeadKind, TrainerConfig, TuneConfig, TunedLayers};
use natureddit_model::{InputLimits, PredictorOptions, Runtime, onnx_runtime_asset};
use natureddit_net::assets::{AssetConfig, AssetStore};
use natureddit_net::{Client, ClientConfig, HostMap, Pacing, RetryPolicy};
use natureddit_pipeline::anomalies::Severity;
use natureddit_pipeline::components::evaluator::EvaluatorConfig;
use natureddit_pipeline::components::example_validator::ValidatorConfig;
use natureddit_pipeline::components::tuner::TunerConfig;
use natureddit_pipeline::runner::RunnerConfig;
use natureddit_pipeline::schema::infer::InferConfig;
use natureddit_pipeline::schema::validate::Severities;
use natureddit_pipeline::split::{HashBuckets, SplitBy};
use natureddit_pipeline::tracking::{self, Credentials, Models, RunContext, ServerConfig, Tracking};
use natureddit_pipeline::training_graph::TrainingConfig;
use natureddit_pipeline::{MetadataLocation, Runner};
use url::{Host, Url};

pub(crate) use archives::archive_source;
pub(crate) use server::{server_exam, server_program};
pub(crate) use traces::traces;

pub(crate) use self::encoders::{encoders, missing_repos, training_assets};
use crate::config::{
    self, ClassWeights, Config, HeadLayers, OnProblem, TrackedModels, TrackingAccess, Tune, TunerMethod,
};

/// A machine for which no ONNX Runtime is pinned.
#[derive(Debug, thiserror::Error)]
#[error("there is no ONNX Runtime for this processor and system: only Linux on x86-64 with glibc is supported so far")]
pub(crate) struct UnsupportedMachine;

/// The async runtime of a command that needs one.
pub(crate) fn tokio_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("could not start the async runtime")
}

/// How a repository of DVC is worked on; `jobs` are those of the command line.
pub(crate) fn dvc(config: &Config, jobs: Option<u16>, progress: &Progress, clock: &Clock) -> DvcOptions {
    let dvc = &config.dvc;
    let aws = dvc.aws.clone().map(|keys| AwsAccess {
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key,
        session_token: keys.session_token,
    });
    let profiles = dvc.aws_files.clone();
    let aws_files = AwsFiles {
        credentials: profiles.credentials,
        config: profiles.config,
        profile: profiles.profile,
        region: profiles.region,
    };
    let pacing = Pacing { progress: progress.clone(), ..Pacing::none() };
    DvcOptions {
        fsync: dvc.fsync,
        jobs: jobs.map_or(dvc.jobs, usize::from),
        lock_wait: dvc.lock_wait,
        object_bytes_max: dvc.object_bytes_max,
        config_files: dvc.config_files.clone(),
        access: Access { client: client_config(config), pacing, aws, aws_files, token: dvc.token.clone() },
        clock: clock.clone(),
        progress: progress.clone(),
    }
}

/// The HTTP client for sources and photos, which tells when it waits.
pub(crate) fn client(config: &Config, progress: &Progress) -> anyhow::Result<Client> {
    let (net, collect) = (&config.net, &config.collect);
    let apis = [
        &collect.pushshift_base_url,
        &collect.arctic_shift_base_url,
        &collect.reddit_base_url,
        &collect.reddit_token_base_url,
    ];
    let pacing = apis.into_iter().filter_map(|url| url.host_str()).fold(
        Pacing { progress: progress.clone(), ..Pacing::none() },
        |pacing, host| {
            // What stands in for a host on this machine, such as the sandbox, needs no pauses, but may ask for some.
            let is_own = net.host_map.get(host).is_some_and(is_loopback);
            let interval = if is_own { 0.0 } else { 1.0 / net.api_requests_per_second };
            pacing.api_host(host, Duration::from_secs_f64(interval))
        },
    );
    Ok(Client::with_pacing(client_config(config), pacing)?)
}

fn client_config(config: &Config) -> ClientConfig {
    let (net, collect) = (&config.net, &config.collect);
    ClientConfig {
        user_agent: collect.user_agent.clone(),
        connect_timeout: net.connect_timeout,
        total_timeout: net.total_timeout,
        // No shorter limit of its own: the whole is short enough.
        read_timeout: net.total_timeout,
        retry: RetryPolicy { retries_max: net.retries_max, backoff: net.backoff, backoff_max: net.backoff_max },
        redirects_max: net.redirects_max,
        requests_per_host_max: collect.downloads_per_host_max,
        host_map: HostMap::new(net.host_map.clone()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reddit's own API, where the environment names an app.
pub(crate) fn reddit_oauth(config: &Config) -> Option<RedditOauthConfig> {
    let collect = &config.collect;
    let (client_id, client_secret) = collect.reddit_app.clone()?;
    Some(RedditOauthConfig {
        token_base_url: collect.reddit_token_base_url.clone(),
        base_url: collect.reddit_base_url.clone(),
        client_id,
        client_secret,
        page_bytes_max: collect.page_bytes_max,
    })
}

/// Where assets are kept.
pub(crate) fn asset_store(config: &Config) -> anyhow::Result<AssetStore> {
    let assets = &config.assets;
    Ok(AssetStore::new(AssetConfig {
        cache_dir: assets.cache_dir.clone(),
        folder: assets.folder.clone(),
        hub_url: assets.hub_url.clone(),
        python: assets.python.clone(),
    })?)
}

/// ONNX Runtime's library, which prediction needs.
pub(crate) fn runtime_asset() -> Result<&'static Asset, UnsupportedMachine> {
    onnx_runtime_asset().ok_or(UnsupportedMachine)
}

/// ONNX Runtime, pulled if need be and loaded.
pub(crate) fn load_runtime(config: &Config, progress: &Progress) -> anyhow::Result<Runtime> {
    let library = tokio_runtime()?.block_on(asset_store(config)?.pull(runtime_asset()?, progress))?;
    Ok(Runtime::load(&library)?)
}

/// How many threads the encoders use.
pub(crate) fn threads(config: &Config) -> usize {
    all_cores_if_zero(config.serve.threads)
}

/// How many inputs a server prepares at the same time.
pub(crate) fn preparation_threads(config: &Config) -> usize {
    all_cores_if_zero(config.serve.preparation_threads)
}

/// How many requests are let in while they come faster than they are answered: as many as keep all cores busy while some are
/// sent and received.
pub(crate) fn requests_crowded_max(config: &Config) -> usize {
    match config.serve.requests_crowded_max {
        0 => (3 * all_cores_if_zero(0)).div_ceil(2),
        count => count,
    }
}

fn all_cores_if_zero(threads: usize) -> usize {
    if threads == 0 { std::thread::available_parallelism().map_or(1, NonZero::get) } else { threads }
}

/// How large an input to the model may be.
pub(crate) fn input_limits(config: &Config) -> InputLimits {
    let model = &config.model;
    InputLimits {
        image: ImageLimits { bytes_max: model.image_bytes_max, pixels_max: model.image_pixels_max },
        text_bytes_max: model.title_bytes_max,
    }
}

/// What a loaded model may use.
pub(crate) fn predictor_options(config: &Config) -> PredictorOptions {
    PredictorOptions { limits: input_limits(config), threads: threads(config) }
}

/// The runner of the project's pipeline.
pub(crate) fn pipeline_runner(
    config: &Config,
    clock: &Clock,
    progress_of: impl Fn(&'static str) -> Progress + Send + Sync + 'static,
) -> Runner {
    let place = RunnerConfig {
        pipeline: config.project.name.clone(),
        project_dir: config.root.clone(),
        pipeline_root: config.project.pipeline_root.clone(),
    };
    let mut runner = Runner::new(place, clock.clone(), Progress::silent())
        .with_progress_of(progress_of)
        .with_components_at_once(config.pipeline.components_at_once_max);
    if let Some(server) = &config.metadata.server {
        runner = runner.with_metadata(MetadataLocation::Server(Box::new(server.clone())));
    }
    runner
}

/// The commit of the settings, which is written down with a run.
pub(crate) fn with_revision(runner: Runner, config: &Config) -> Runner {
    match git_revision(&config.root) {
        Some(revision) => runner.with_run_property("git_revision", revision),
        None => runner,
    }
}

/// The folder of tracked runs.
pub(crate) fn tracking_dir(config: &Config) -> PathBuf {
    config.project.pipeline_root.join("tracking")
}

/// How runs are tracked; `None` where they are not.
pub(crate) fn tracking(config: &Config) -> anyhow::Result<Option<Tracking>> {
    let tracking = &config.tracking;
    if !tracking.is_enabled {
        return Ok(None);
    }
    let credentials = tracking.access.clone().map(|access| match access {
        TrackingAccess::Basic { user, password } => Credentials::Basic { user, password },
        TrackingAccess::Token(token) => Credentials::Token(token),
    });
    let server = tracking.uri.clone().map(|uri| ServerConfig {
        uri,
        credentials,
        client: mlflow_client(config),
        upload_timeout: tracking.upload_timeout,
    });
    let made = tracking::from_config(tracking::TrackingConfig {
        dir: tracking_dir(config),
        project_dir: config.root.clone(),
        models_dir: config.project.models_dir.clone(),
        experiment: tracking.experiment.clone(),
        registered_model: tracking.registered_model.clone(),
        alias: tracking.alias.clone(),
        models: match tracking.models {
            TrackedModels::Pushed => Models::Pushed,
            TrackedModels::All => Models::All,
            TrackedModels::None => Models::None,
        },
        artifacts: tracking.artifacts.clone(),
        artifact_bytes_max: tracking.artifact_bytes_max,
        server,
    })?;
    Ok(Some(made))
}

fn mlflow_client(config: &Config) -> ClientConfig {
    let tracking = &config.tracking;
    ClientConfig {
        user_agent: concat!("natureddit/", env!("CARGO_PKG_VERSION")).to_owned(),
        connect_timeout: tracking.connect_timeout,
        total_timeout: tracking.request_timeout,
        read_timeout: tracking.request_timeout,
        retry: RetryPolicy { retries_max: tracking.retries_max, ..client_config(config).retry },
        ..client_config(config)
    }
}

/// What is known of a run of the pipeline before it begins. What names a person is left out.
pub(crate) fn run_context(config: &Config, training: &TrainingConfig) -> RunContext {
    let mut tags = BTreeMap::from([
        ("mlflow.source.name".to_owned(), "natureddit run".to_owned()),
        ("mlflow.source.type".to_owned(), "LOCAL".to_owned()),
        ("natureddit.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("natureddit.project".to_owned(), config.project.name.clone()),
    ]);
    let version = DatasetVersion::of(&config.project.data_dir);
    let told = [
        ("mlflow.source.git.commit", git_revision(&config.root)),
        ("natureddit.dvc.posts", version.posts_md5),
        ("natureddit.dvc.images", version.images_md5),
    ];
    tags.extend(told.into_iter().filter_map(|(tag, value)| Some((tag.to_owned(), value?))));
    RunContext { params: tracking::settings_params(training), tags }
}

/// What the components of the pipeline need to know.
pub(crate) fn training(config: &Config, progress: &Progress) -> anyhow::Result<TrainingConfig> {
    let Config { project, examples, model, .. } = config;
    let encoders = encoders(config, progress)?;
    let assets = encoders::asset_loader(config, &encoders)?;
    let buckets = examples.hash_buckets;
    Ok(TrainingConfig {
        classes: project.classes.clone(),
        data_dir: project.data_dir.clone(),
        labels_dir: project.labels_dir.clone(),
        pipeline_root: project.pipeline_root.clone(),
        models_dir: project.models_dir.clone(),
        model_name: model.name.clone(),
        hash_buckets: HashBuckets { train: buckets.train, eval: buckets.eval, test: buckets.test },
        split_by: match examples.split_by {
            config::SplitBy::Group => SplitBy::Group,
            config::SplitBy::Example => SplitBy::Example,
            config::SplitBy::Time { boundaries } => SplitBy::Time {
                eval_from: boundaries.map(|(eval_from, _)| eval_from.as_second()),
                test_from: boundaries.map(|(_, test_from)| test_from.as_second()),
            },
        },
        examples_as_parquet: examples.parquet,
        schema_file: config.schema.file.clone(),
        schema: infer_schema(config),
        validator: validator(config),
        near_duplicate_distance_max: examples.near_duplicate_distance_max,
        encoders,
        precision: model.precision,
        limits: input_limits(config),
        threads: threads(config),
        trainer: trainer(config),
        tune: tune(config),
        extra_title_weight: config.trainer.extra_title_weight as f32,
        checkpoint_every_epochs: config.trainer.checkpoint_every_epochs,
        stop_training: None,
        tuner: tuner(config),
        evaluator: evaluator(config),
        infra_validator: server::infra_validator(config)?,
        bulk_inferrer: config.bulk_inferrer,
        assets,
        clock: Clock::System,
    })
}

/// How a schema is inferred: what the columns of examples mean.
fn infer_schema(config: &Config) -> InferConfig {
    const LABELS: [&str; 2] = ["choice", "label_source"];
    const IDENTITIES: [&str; 8] = ["id", "title", "img_name", "sha256", "group", "author", "created_utc", "phash"];
    let schema = &config.schema;
    InferConfig {
        values_max: schema.domain_values_max,
        drift_max: schema.drift_max,
        skew_max: schema.skew_max,
        labels: LABELS.map(str::to_owned).to_vec(),
        identities: IDENTITIES.map(str::to_owned).to_vec(),
        // Titles without a photo are all in the training split.
        not_compared: vec!["source".to_owned()],
    }
}

fn validator(config: &Config) -> ValidatorConfig {
    let validator = &config.validator;
    let severity = |on: OnProblem| match on {
        OnProblem::Fail => Severity::Error,
        OnProblem::Warn => Severity::Warning,
    };
    ValidatorConfig {
        severities: Severities { columns: severity(validator.columns), values: severity(validator.values) },
        leakage: severity(validator.leakage),
        environment: validator.environment.clone(),
        near_duplicate_distance_max: config.examples.near_duplicate_distance_max,
        drift_days: validator.drift_days,
        compared_examples_min: validator.compared_examples_min,
        shortcut_accuracy_max: validator.shortcut_accuracy_max,
    }
}

fn trainer(config: &Config) -> TrainerConfig {
    let trainer = &config.trainer;
    TrainerConfig {
        epochs_max: trainer.epochs_max,
        batch_size: trainer.batch_size,
        learning_rate: trainer.learning_rate,
        weight_decay: trainer.weight_decay as f32,
        image_dropout: trainer.image_dropout,
        text_dropout: trainer.text_dropout,
        label_smoothing: trainer.label_smoothing,
        head: match trainer.head {
            HeadLayers::Linear => HeadKind::Linear,
            HeadLayers::Mlp => HeadKind::Mlp { hidden: trainer.hidden_units, dropout: trainer.hidden_dropout },
        },
        class_weights: trainer.class_weights == ClassWeights::Balanced,
        patience: trainer.early_stopping_patience,
        seed: trainer.seed,
    }
}

/// How the encoders learn, where they do.
fn tune(config: &Config) -> Option<TuneConfig> {
    let trainer = &config.trainer;
    let layers = match trainer.tune {
        Tune::Head => return None,
        Tune::LastBlocks => TunedLayers::LastBlocks,
        Tune::All => TunedLayers::All,
    };
    Some(TuneConfig {
        layers,
        learning_rate: trainer.tune_learning_rate,
        epochs_max: trainer.tune_epochs_max,
        batch_size: trainer.tune_batch_size,
    })
}

fn evaluator(config: &Config) -> EvaluatorConfig {
    let evaluator = &config.evaluator;
    EvaluatorConfig {
        bootstrap: Bootstrap {
            samples: evaluator.bootstrap_samples,
            confidence: evaluator.confidence,
            seed: config.trainer.seed,
        },
        test_examples_min: evaluator.test_examples_min,
        class_examples_min: evaluator.class_examples_min,
        slice_examples_min: evaluator.slice_examples_min,
        majority_gain_min: evaluator.majority_gain_min,
        macro_f1_min: evaluator.macro_f1_min,
        accuracy_min: evaluator.accuracy_min,
        recall_min: evaluator.recall_min,
        ece_max: evaluator.ece_max,
        slice_macro_f1_min: evaluator.slice_macro_f1_min,
        slice_accuracy_min: evaluator.slice_accuracy_min,
        champion_loss_max: evaluator.champion_loss_max,
        champion_p_max: evaluator.champion_p_max,
        quantisation_loss_max: evaluator.quantisation_loss_max,
        quantisation_p_max: evaluator.quantisation_p_max,
        quantisation_posts_max: evaluator.quantisation_posts_max,
        mistakes_max: evaluator.mistakes_max,
        thumbnail_side_max: evaluator.thumbnail_side_max,
    }
}

/// What the Tuner tries, where it is switched on.
fn tuner(config: &Config) -> Option<TunerConfig> {
    let tuner = &config.tuner;
    let search = tuner.search.clone();
    tuner.enabled.then(|| TunerConfig {
        method: match tuner.method {
            TunerMethod::Grid => SearchMethod::Grid,
            TunerMethod::Random => SearchMethod::Random,
        },
        trials_max: tuner.trials_max,
        folds: tuner.folds,
        search: SearchSpace {
            learning_rate: search.learning_rate,
            weight_decay: search.weight_decay.into_iter().map(|value| value as f32).collect(),
            image_dropout: search.image_dropout,
            text_dropout: search.text_dropout,
            batch_size: search.batch_size,
            label_smoothing: search.label_smoothing,
        },
    })
}
