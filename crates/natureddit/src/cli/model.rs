//! `natureddit model`: assets, pushed models and which of them answers, cross-validation.

mod archive;
mod card;
mod change;
mod cross_validate;
mod export;
mod list;
mod pull;
mod reference;
mod show;
mod verify_skew;

use std::path::Path;

use anyhow::anyhow;
use clap::Subcommand;
use natureddit_model::{ModelBundle, ModelVersions};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use crate::config::Config;
use reference::ModelReference;

const EXAMPLES: &str = "\
Examples:
  natureddit model pull                     fetch ONNX Runtime and the encoders, checked by SHA-256
  natureddit model list                     the versions that were pushed, and which of them answers
  natureddit model show 2                   one version: classes, figures, origin, files
  natureddit model card 2                   its model card: data, quality, limits, licences
  natureddit model promote 1 --reason \"2 confuses foxes and flowers\"
  natureddit model rollback                 back to the version that answered before
  natureddit model export --out model.onnx  the version that answers, as one ONNX file
  natureddit model archive                  the same as a model archive, for TorchServe or `serve`
  natureddit model cross-validate           how good the method is on all labelled posts
  natureddit model verify-skew              whether a server answers as the training did";

const LIST_EXAMPLES: &str = "\
Examples:
  natureddit model list                     every model in the store; * marks what answers
  natureddit model list --json              with the folders, all figures and every change";

const SHOW_EXAMPLES: &str = "\
Examples:
  natureddit model show                     the version that answers
  natureddit model show 2                   version 2 of the project's model
  natureddit model show naturedditTI/2      version 2 of any model in the store
  natureddit model show --json              the same for a program";

const CARD_EXAMPLES: &str = "\
Examples:
  natureddit model card                     of the version that answers, as Markdown
  natureddit model card naturedditTI/2 > MODEL_CARD.md
  natureddit model card --json              where it lies, and its text

model_card.html beside it says the same as a page.";

const VERIFY_SKEW_EXAMPLES: &str = "\
Examples:
  natureddit model verify-skew              by a server that is started for it
  natureddit model verify-skew --url https://127.0.0.1:8080
  natureddit model verify-skew --model 2 --rows 1000 --json

The exit code is 1 where a training row is answered with another label than its stored features
give, or with a probability that is more than 1e-4 from theirs.";

const ARCHIVE_EXAMPLES: &str = "\
Examples:
  natureddit model archive                  naturedditTI.mar of the version that answers
  natureddit model archive 2 --out store/naturedditTI.mar --force
  natureddit model archive pipeline/Trainer/model/7 --out candidate.mar
  natureddit serve --models naturedditTI=naturedditTI.mar

The same version gives the same bytes. In TorchServe a handler in the archive answers, which needs
onnxruntime, tokenizers, Pillow and numpy there; `natureddit serve` never runs it.";

const PROMOTE_EXAMPLES: &str = "\
Examples:
  natureddit model promote 1                version 1 answers from now on
  natureddit model promote naturedditTI/1 --reason \"version 2 confuses foxes and flowers\"

It stays so until `natureddit run` pushes a model that was never pushed before.
A server that was started without --models follows within serve.refresh_interval; another goes on
with what it has loaded.";

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  natureddit model rollback                 to what answered before; twice goes further
  natureddit model rollback --to 1 --reason \"2 and 3 confuse foxes and flowers\"

It stays so until `natureddit run` pushes a model that was never pushed before.
A server that was started without --models follows within serve.refresh_interval; another goes on
with what it has loaded.";

/// Pull encoders, look at pushed models and choose which answers, cross-validate
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
    /// List the versions that were pushed, and which of them answers
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show one version
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// A model or one version of it [default: the version of the project's model that answers]
        #[arg(value_name = "[NAME/]VERSION|NAME")]
        model: Option<ModelReference>,
    },
    /// Print the model card of one version
    #[command(after_help = CARD_EXAMPLES)]
    Card {
        /// A model or one version of it [default: the version of the project's model that answers]
        #[arg(value_name = "[NAME/]VERSION|NAME")]
        model: Option<ModelReference>,
    },
    /// Let another version answer where none is asked for
    #[command(after_help = PROMOTE_EXAMPLES)]
    Promote {
        /// The version
        #[arg(value_name = "[NAME/]VERSION")]
        model: ModelReference,
        /// Why, for the model's history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Go back to the version that answered before
    #[command(after_help = ROLLBACK_EXAMPLES)]
    Rollback {
        /// The model [default: the project's]
        #[arg(value_name = "NAME")]
        model: Option<ModelReference>,
        /// The version to go back to, one that answered before
        #[arg(long, value_name = "VERSION")]
        to: Option<u64>,
        /// Why, for the model's history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Write one version as a single ONNX file: pixels, tokens and mask in, probabilities out
    #[command(after_help = EXAMPLES)]
    Export(export::Args),
    /// Write one version as a model archive (.mar), which TorchServe serves as well
    #[command(after_help = ARCHIVE_EXAMPLES)]
    Archive(archive::Args),
    /// Judge every labelled post by a model that saw none of its group
    #[command(after_help = EXAMPLES)]
    CrossValidate {
        /// How many folds
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=100))]
        folds: u16,
    },
    /// Send training rows through a server and compare with their stored features
    #[command(after_help = VERIFY_SKEW_EXAMPLES)]
    VerifySkew(verify_skew::Args),
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    match &args.command {
        Command::Pull => pull::run(session)?,
        Command::List => list::run(session)?,
        Command::Show { model } => show::run(model.as_ref(), session)?,
        Command::Card { model } => card::run(model.as_ref(), session)?,
        Command::Promote { model, reason } => change::promote(model, reason.as_deref(), session)?,
        Command::Rollback { model, to, reason } => change::roll_back(model.as_ref(), *to, reason.as_deref(), session)?,
        Command::Export(args) => session.output.result(&export::export(args, session)?)?,
        Command::Archive(args) => session.output.result(&archive::archive(args, session)?)?,
        Command::CrossValidate { folds } => cross_validate::run(usize::from(*folds), session)?,
        Command::VerifySkew(args) => return verify_skew::run(args, session),
    }
    Ok(Exit::Ok)
}

/// The model that answered.
#[derive(Serialize)]
pub(super) struct Answering {
    pub(super) name: String,
    pub(super) version: u64,
}

/// A pushed version of the project's model and its bundle, checked; the default if none is named.
pub(super) fn pushed_bundle(config: &Config, version: Option<u64>) -> Result<(u64, ModelBundle), CliError> {
    let versions = ModelVersions::read(&config.project.models_dir.join(&config.model.name))?;
    bundle_of(&versions, &config.model.name, version)
}

/// A version of a model and its bundle, checked; the default if none is named.
fn bundle_of(versions: &ModelVersions, name: &str, version: Option<u64>) -> Result<(u64, ModelBundle), CliError> {
    let (version, dir) = version_of(versions, name, version)?;
    Ok((version, ModelBundle::read(dir)?))
}

/// A version of a model and its folder; the default if none is named.
fn version_of<'v>(versions: &'v ModelVersions, name: &str, version: Option<u64>) -> Result<(u64, &'v Path), CliError> {
    let chosen = match version {
        Some(version) => versions.get(version).map(|dir| (version, dir)),
        None => versions.default_version(),
    };
    let known = versions.iter().map(|(version, _)| version.to_string()).collect::<Vec<_>>().join(", ");
    match (chosen, version) {
        (Some(chosen), _) => Ok(chosen),
        (None, Some(version)) if !known.is_empty() => {
            Err(anyhow!("version {version} of {name} was never pushed")).hint(format!("there is {known}"))
        }
        (None, _) => {
            Err(anyhow!("no version of {name} was pushed yet")).hint("`natureddit run` trains, judges and pushes one")
        }
    }
}
