//! The settings: `natureddit.toml` over the defaults, checked once at the start.
//!
//! `natureddit.example.toml` is the one place where defaults and keys are written down: it is the layer under the
//! user's file, the list of valid keys and types, and what `natureddit init` writes. A file goes through three steps:
//! `Document` (TOML, only known keys, right types), `RawConfig` (merged with the defaults), [`Config`] (ranges
//! checked, paths resolved, texts parsed). Secrets come from the [`Environment`] only.

mod assets;
mod check;
mod collect;
mod document;
mod dvc;
mod encoders;
mod environment;
mod error;
mod evaluator;
mod examples;
mod infra_validator;
mod location;
mod model;
mod nearest;
mod net;
mod pipeline;
mod project;
mod raw;
mod sandbox;
mod schema;
mod serve;
mod traces;
mod tracking;
mod trainer;
mod tuner;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use natureddit_core::fs;

pub use assets::AssetsConfig;
pub use check::parse_moment;
pub use collect::{CollectConfig, SourceName};
pub use dvc::{AwsKeys, AwsProfiles, DvcConfig};
pub use encoders::{EncoderTables, ImageEncoderConfig, TextEncoderConfig};
pub use environment::Environment;
pub use error::{ConfigError, Place};
pub use evaluator::EvaluatorConfig;
pub use examples::{ExamplesConfig, HashBuckets, SplitBy};
pub use infra_validator::InfraValidatorConfig;
pub use location::Location;
pub use model::ModelConfig;
pub(crate) use nearest::spelling as nearest_spelling;
pub use net::NetConfig;
pub use pipeline::{MetadataConfig, PipelineConfig};
pub use project::ProjectConfig;
pub use sandbox::SandboxConfig;
pub use schema::{OnProblem, SchemaConfig, ValidatorConfig};
pub use serve::{InferenceKey, ServeConfig, TlsConfig};
pub use traces::TracesConfig;
pub use tracking::{MlflowEnvironment, TrackedModels, TrackingAccess, TrackingConfig};
pub use trainer::{ClassWeights, HeadLayers, TrainerConfig, Tune};
pub use tuner::{Search, TunerConfig, TunerMethod};

use check::Checker;
use document::Document;
use raw::RawConfig;

/// The name of a project's settings file.
pub const FILE_NAME: &str = "natureddit.toml";

/// Every key with its default and what it means.
pub const EXAMPLE: &str = include_str!("../../../natureddit.example.toml");

/// The longest settings file that is read; the example has a twentieth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file they were read from; `None` when they are the defaults.
    pub file: Option<PathBuf>,
    /// The keys that file sets, sorted: `collect.since`.
    pub keys_set: Vec<String>,
    /// The project's folder, where relative paths start.
    pub root: PathBuf,
    /// `[project]`
    pub project: ProjectConfig,
    /// `[collect]`
    pub collect: CollectConfig,
    /// `[dvc]`
    pub dvc: DvcConfig,
    /// `[net]`
    pub net: NetConfig,
    /// `[assets]`
    pub assets: AssetsConfig,
    /// `[pipeline]`
    pub pipeline: PipelineConfig,
    /// `[metadata]`
    pub metadata: MetadataConfig,
    /// `[examples]`
    pub examples: ExamplesConfig,
    /// `[schema]`
    pub schema: SchemaConfig,
    /// `[validator]`
    pub validator: ValidatorConfig,
    /// `[model]`
    pub model: ModelConfig,
    /// `[trainer]`
    pub trainer: TrainerConfig,
    /// `[tuner]`
    pub tuner: TunerConfig,
    /// `[evaluator]`
    pub evaluator: EvaluatorConfig,
    /// `[tracking]`
    pub tracking: TrackingConfig,
    /// `[infra_validator]`
    pub infra_validator: InfraValidatorConfig,
    /// Whether the model in use is asked about the posts without a label: `bulk_inferrer.enabled`.
    pub bulk_inferrer: bool,
    /// `[serve]`
    pub serve: ServeConfig,
    /// `[sandbox]`
    pub sandbox: SandboxConfig,
}

impl Config {
    /// Reads a project's settings.
    ///
    /// # Errors
    /// The first thing that is wrong with the file, from its top.
    pub fn read(location: &Location, environment: &Environment) -> Result<Self, ConfigError> {
        let bytes = fs::read_limited(&location.file, FILE_BYTES_MAX)?;
        let name: Box<str> = location.file.file_name().unwrap_or_default().to_string_lossy().into();
        let text = String::from_utf8(bytes).map_err(|e| {
            let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            ConfigError::Syntax { place: Place { file: name.clone(), line: Some(line) }, message: "not UTF-8".into() }
        })?;
        let config = Self::parse(name, &text, &location.root, environment)?;
        Ok(Self { file: Some(location.file.clone()), ..config })
    }

    /// The settings a file amounts to, as a file that sets every key; of `[collect]` some keys are set to other values.
    /// There are no secrets in it.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn effective(
        location: &Location,
        environment: &Environment,
        collect: &[(&str, String)],
    ) -> Result<String, ConfigError> {
        // What is wrong with it is told with the name and lines of the file itself.
        Self::read(location, environment)?;
        let text = fs::read_to_string(&location.file)?;
        let example = example()?;
        let name = location.file.file_name().unwrap_or_default().to_string_lossy().into();
        let mut table = Document::parse(name, &text, &example)?.merged_onto(example);
        if let Some(toml::Value::Table(table)) = table.get_mut("collect") {
            table.extend(collect.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())));
        }
        toml::to_string(&table).map_err(ConfigError::Write)
    }

    /// The defaults, for a command that needs no project; `root` is where relative paths start.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`] where the environment names no folder for the cache.
    pub fn defaults(root: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        Self::check(&Document::empty("the defaults".into()), root, environment)
    }

    fn parse(file: Box<str>, text: &str, root: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let document = Document::parse(file, text, &example()?)?;
        Self::check(&document, root, environment)
    }

    fn check(document: &Document, root: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let raw: RawConfig = document.merged_onto(example()?).try_into().map_err(ConfigError::BuiltIn)?;
        let checker = Checker { document, root, environment };
        let project = ProjectConfig::check(raw.project, &checker)?;
        let model = ModelConfig::check(raw.model, &raw.encoders, &checker)?;
        let trainer = TrainerConfig::check(raw.trainer, model.precision, &checker)?;
        let tuner = TunerConfig::check(raw.tuner, &trainer, &checker)?;
        let tracking = TrackingConfig::check(raw.tracking, (&project.name, &model.name), &checker)?;
        Ok(Self {
            file: None,
            keys_set: document.keys(),
            root: root.to_owned(),
            project,
            collect: CollectConfig::check(raw.collect, &checker)?,
            dvc: DvcConfig::check(&raw.dvc, &checker)?,
            net: NetConfig::check(raw.net, &checker)?,
            assets: AssetsConfig::check(raw.assets, &checker)?,
            pipeline: PipelineConfig::check(&raw.pipeline, &checker)?,
            metadata: MetadataConfig::check(&raw.metadata, &checker, environment)?,
            examples: ExamplesConfig::check(raw.examples, &checker)?,
            schema: SchemaConfig::check(&raw.schema, &checker)?,
            validator: ValidatorConfig::check(raw.validator, &checker)?,
            model,
            trainer,
            tuner,
            evaluator: EvaluatorConfig::check(raw.evaluator, &checker)?,
            tracking,
            infra_validator: InfraValidatorConfig::check(raw.infra_validator, &checker)?,
            bulk_inferrer: raw.bulk_inferrer.enabled,
            serve: ServeConfig::check(raw.serve, &checker)?,
            sandbox: SandboxConfig::check(&raw.sandbox, &checker)?,
        })
    }
}

/// The example with every key commented out: what a new project's settings file holds.
#[must_use]
pub fn commented_example() -> String {
    let comment = |line: &str| match line.chars().next() {
        None | Some('#' | '[') => format!("{line}\n"),
        Some(_) => format!("#{line}\n"),
    };
    EXAMPLE.lines().map(comment).collect()
}

fn example() -> Result<toml::Table, ConfigError> {
    toml::from_str(EXAMPLE).map_err(ConfigError::BuiltIn)
}
