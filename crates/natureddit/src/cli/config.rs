//! `natureddit config`: about the settings file.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Subcommand;
use natureddit_model::{EncoderError, EncoderSource, ImageEncoder, TextEncoder};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use crate::config::{ImageEncoderConfig, ModelConfig, TextEncoderConfig, TlsConfig};

const EXAMPLES: &str = "\
Examples:
  natureddit config check                       the project the current folder is in
  natureddit --project my-project config check  another project
  natureddit --config other.toml config check   a file of another name";

/// Look after the settings file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether the settings are right, and which differ from the defaults
    #[command(after_help = EXAMPLES)]
    Check,
}

#[derive(Serialize)]
struct Checked {
    file: Option<PathBuf>,
    keys_set: Vec<String>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or(std::path::Path::new("the defaults"));
        write!(f, "{} is right; ", file.display())?;
        match self.keys_set.len() {
            0 => write!(f, "every key has its default"),
            count => write!(f, "it sets {count} key{}:", if count == 1 { "" } else { "s" }),
        }?;
        self.keys_set.iter().try_for_each(|key| write!(f, "\n  {key}"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let Command::Check = args.command;
    let config = session.config()?;
    if let TlsConfig::Files { cert, key } = &config.serve.tls {
        let files = [("cert_file", cert), ("key_file", key)];
        if let Some((setting, file)) = files.iter().find(|(_, file)| !file.is_file()) {
            return Err(anyhow!("serve.tls.{setting} names {}, which is no file", file.display()))
                .hint("make it, or name another; without both settings a self-signed certificate is made");
        }
    }
    if let Some(file) = config.schema.file.as_deref().filter(|file| !file.is_file()) {
        return Err(anyhow!("schema.file names {}, which is no file", file.display()))
            .hint("make it, or name another; without this setting the schema is inferred");
    }
    check_encoders(&config.model)?;
    session.output.result(&Checked { file: config.file, keys_set: config.keys_set })?;
    Ok(Exit::Ok)
}

/// Looks at the files of encoders on this machine: those of every table, and the folders that `[model]` names. What comes
/// from the hub is looked at when it is pulled.
fn check_encoders(model: &ModelConfig) -> Result<(), CliError> {
    for declared in &model.tables.image {
        usable(&format!("encoders.{}", declared.name), ImageEncoder::from_onnx(declared))?;
    }
    for declared in &model.tables.text {
        usable(&format!("encoders.{}", declared.name), TextEncoder::from_onnx(declared))?;
    }
    if let ImageEncoderConfig::Spec(spec) = &model.image_encoder
        && let EncoderSource::Folder(folder) = &spec.source
    {
        usable("model.image_encoder", ImageEncoder::from_folder(&spec.name, folder))?;
    }
    if let TextEncoderConfig::Spec(spec) = &model.text_encoder
        && let EncoderSource::Folder(folder) = &spec.source
    {
        usable("model.text_encoder", TextEncoder::from_folder(&spec.name, folder, spec.pooling))?;
    }
    Ok(())
}

fn usable<E>(setting: &str, encoder: Result<E, EncoderError>) -> Result<(), CliError> {
    let hint = format!("mend {setting}, or the files that it names; natureddit.example.toml says what each key means");
    encoder.map(drop).with_context(|| format!("{setting} names no encoder that can be used")).hint(hint)
}
