//! `natureddit model`: assets, pushed models, cross-validation.

mod export;

use std::fmt;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Subcommand;
use natureddit_model::{Manifest, ModelBundle, versions};
use natureddit_pipeline::RunOptions;
use natureddit_pipeline::cross_validation::{CrossValidation, cross_validate};
use natureddit_pipeline::training_graph::feature_graph;
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::evaluation::MetricsTable;
use super::session::Session;
use crate::config::Config;
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit model pull                     fetch ONNX Runtime and the encoders, checked by SHA-256
  natureddit model list                     the versions that were pushed
  natureddit model show 2                   one version: classes, encoders, files, origin
  natureddit model export --out model.onnx  the newest version as one ONNX file for other programs
  natureddit model cross-validate           how good the method is on all labelled posts";

/// Pull encoders, look at pushed models, cross-validate
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch what training and prediction need, or verify what is there
    #[command(after_help = EXAMPLES)]
    Pull,
    /// List the versions that were pushed
    #[command(after_help = EXAMPLES)]
    List,
    /// Show one version
    #[command(after_help = EXAMPLES)]
    Show {
        /// The version [default: the newest]
        version: Option<u64>,
    },
    /// Write one version as a single ONNX file: pixels, tokens and mask in, probabilities out
    #[command(after_help = EXAMPLES)]
    Export(export::Args),
    /// Judge every labelled post by a model that saw none of its group
    #[command(after_help = EXAMPLES)]
    CrossValidate {
        /// How many folds
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=100))]
        folds: u16,
    },
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    match &args.command {
        Command::Pull => session.output.result(&pull(&session.config_or_defaults()?, session)?)?,
        Command::List => session.output.result(&list(&session.config()?)?)?,
        Command::Show { version } => session.output.result(&show(&session.config()?, *version)?)?,
        Command::Export(args) => session.output.result(&export::export(args, session)?)?,
        Command::CrossValidate { folds } => {
            let result = cross_validation(&session.config()?, usize::from(*folds), session)?;
            session.output.result(&CrossValidated(result))?;
        }
    }
    Ok(Exit::Ok)
}

/// The assets on this machine.
#[derive(Serialize)]
struct Pulled {
    assets: Vec<PulledAsset>,
}

#[derive(Serialize)]
struct PulledAsset {
    name: &'static str,
    licence: &'static str,
    sha256: &'static str,
    path: PathBuf,
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.assets.iter().map(|asset| asset.name.len()).max().unwrap_or(0);
        for PulledAsset { name, licence, path, .. } in &self.assets {
            writeln!(f, "{name:width$}  {licence:10}  {}", path.display())?;
        }
        Ok(())
    }
}

fn pull(config: &Config, session: &Session) -> anyhow::Result<Pulled> {
    let wanted = wiring::training_assets(config)?;
    let store = wiring::asset_store(config)?;
    let paths = wiring::tokio_runtime()?.block_on(async {
        let paths = store.pull_all(&wanted, &session.output.progress()).await?;
        for asset in wanted {
            store.verify(asset).await?;
        }
        anyhow::Ok(paths)
    })?;
    let assets = wanted.iter().zip(paths).map(|(asset, path)| PulledAsset {
        name: asset.name,
        licence: asset.licence,
        sha256: asset.sha256,
        path,
    });
    Ok(Pulled { assets: assets.collect() })
}

#[derive(Serialize)]
struct Listed {
    name: String,
    versions: Vec<ListedVersion>,
}

#[derive(Serialize)]
struct ListedVersion {
    version: u64,
    dir: PathBuf,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.versions.is_empty() {
            return write!(f, "no version of {} was pushed yet: `natureddit run` pushes a blessed model", self.name);
        }
        let line = |ListedVersion { version, dir }: &ListedVersion| writeln_to(f, &self.name, *version, dir);
        self.versions.iter().try_for_each(line)
    }
}

fn writeln_to(f: &mut fmt::Formatter<'_>, name: &str, version: u64, dir: &std::path::Path) -> fmt::Result {
    writeln!(f, "{name} {version}  {}", dir.display())
}

fn list(config: &Config) -> anyhow::Result<Listed> {
    let name = config.model.name.clone();
    let found = versions(&config.project.models_dir.join(&name))?;
    let versions = found.into_iter().map(|(version, dir)| ListedVersion { version, dir }).collect();
    Ok(Listed { name, versions })
}

/// The model that answered.
#[derive(Serialize)]
pub(super) struct Answering {
    pub(super) name: String,
    pub(super) version: u64,
}

#[derive(Serialize)]
struct Shown {
    version: u64,
    #[serde(flatten)]
    manifest: Manifest,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, manifest } = self;
        let Manifest { name, classes, image_encoder, text_encoder, lineage, producer, files, .. } = manifest;
        writeln!(f, "{name} {version}: {classes}\nwritten by {producer}")?;
        for (kind, encoder) in [("photo", image_encoder), ("title", text_encoder)] {
            writeln!(f, "{kind}: {}, {} features, {}", encoder.name, encoder.features, encoder.licence)?;
        }
        lineage.iter().try_for_each(|(key, value)| writeln!(f, "{key}: {value}"))?;
        files.iter().try_for_each(|(file, record)| writeln!(f, "{}  {:>9}  {file}", record.sha256, record.bytes))
    }
}

fn show(config: &Config, version: Option<u64>) -> Result<Shown, CliError> {
    let (version, ModelBundle { manifest, .. }) = pushed_bundle(config, version)?;
    Ok(Shown { version, manifest })
}

/// A pushed version and its bundle, checked; the newest if none is named.
pub(super) fn pushed_bundle(config: &Config, version: Option<u64>) -> Result<(u64, ModelBundle), CliError> {
    let name = &config.model.name;
    let mut found = versions(&config.project.models_dir.join(name))?;
    let known = found.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let chosen = match version {
        Some(version) => found.remove_entry(&version),
        None => found.pop_last(),
    };
    match (chosen, version) {
        (Some((version, dir)), _) => Ok((version, ModelBundle::read(&dir)?)),
        (None, Some(version)) if !known.is_empty() => {
            Err(anyhow!("version {version} of {name} was never pushed")).hint(format!("there is {known}"))
        }
        (None, _) => {
            Err(anyhow!("no version of {name} was pushed yet")).hint("`natureddit run` trains, judges and pushes one")
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct CrossValidated(CrossValidation);

impl fmt::Display for CrossValidated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CrossValidation { macro_f1_mean, macro_f1_deviation, macro_f1_folds, metrics } = &self.0;
        let folds: Vec<String> = macro_f1_folds.iter().map(|score| format!("{score:.3}")).collect();
        writeln!(f, "macro-F1 {macro_f1_mean:.4} ± {macro_f1_deviation:.4} over folds {}", folds.join(", "))?;
        write!(f, "{}", MetricsTable(metrics))
    }
}

fn cross_validation(config: &Config, folds: usize, session: &Session) -> Result<CrossValidation, CliError> {
    let training = wiring::training(config)?;
    let graph = feature_graph(&training)?;
    let progress = session.output.progress();
    let runner = wiring::pipeline_runner(config, &session.clock, session.output.progress_of_tasks());
    let report = runner.run(&graph, &RunOptions::default(), &mut |_| {})?.succeeded()?;
    let folder = |component: &str, output: &str| {
        let made = report.component(component).and_then(|component| component.outputs.get(output));
        made.map(|output| runner.path(&output.uri)).ok_or_else(|| anyhow!("{component} left no {output}"))
    };
    let examples = folder("ExampleGen", "examples")?;
    let transformed = folder("Transform", "transformed_examples")?;
    Ok(cross_validate((&examples, &transformed), folds, &training, &progress)?)
}
