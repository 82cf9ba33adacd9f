//! `natureddit model archive`: a bundle as a model archive of TorchServe.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use natureddit_core::{ContentHash, fs};
use natureddit_model::{ModelBundle, ModelVersions, version_of};
use serde::Serialize;

use super::bundle_of;
use super::reference::ModelReference;
use crate::cli::error::{CliError, HintExt};
use crate::cli::out_file::{Kept, OutFile};
use crate::cli::session::Session;
use crate::cli::words::size;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A model, one version of it, or the folder of a bundle [default: the version of the project's model that answers]
    #[arg(value_name = "[NAME/]VERSION|NAME|DIR")]
    model: Option<String>,
    /// The file to write [default: NAME.mar in the current folder]
    #[arg(long, value_name = "FILE.mar")]
    out: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
pub(super) struct Archived {
    name: String,
    version: u64,
    file: PathBuf,
    bytes: u64,
    sha256: ContentHash,
}

impl fmt::Display for Archived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, file, bytes, .. } = self;
        // TorchServe's model store is the folder that it lies in.
        let store = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let in_store = Path::new(file.file_name().unwrap_or_default()).display();
        let (file, store) = (file.display(), store.display());
        writeln!(f, "{name} {version}: {file}, {}", size(*bytes))?;
        writeln!(f, "  natureddit serve --models {name}={file}")?;
        write!(f, "  torchserve --start --model-store {store} --models {name}={in_store}")
    }
}

pub(super) fn archive(args: &Args, session: &Session) -> Result<Archived, CliError> {
    let folder = args.model.as_deref().map(Path::new).filter(|path| path.join(ModelBundle::MANIFEST).is_file());
    let config = if folder.is_some() { session.config_or_defaults()? } else { session.config()? };
    let named = args.out.as_deref().map(|file| out_file(file, &config)).transpose()?;
    let (version, bundle) = match folder {
        Some(folder) => {
            let folder = session.path(folder)?;
            (version_of(&folder).unwrap_or(1), ModelBundle::read(&folder)?)
        }
        None => pushed(args.model.as_deref(), &config)?,
    };
    let name = bundle.manifest.name.clone();
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.mar")));
    let out = named.map_or_else(|| out_file(&file, &config), Ok)?;
    if !args.force && fs::optional(fs::metadata(&out))?.is_some() {
        return Err(anyhow!("{} is there already", file.display())).hint("--force writes over it; --out names another");
    }
    bundle.write_archive(&out, version)?;
    let bytes = fs::metadata(&out)?.len();
    Ok(Archived { name, version, file, bytes, sha256: ContentHash::of_file(&out)? })
}

/// Where to write to.
fn out_file(file: &Path, config: &Config) -> Result<PathBuf, CliError> {
    let out = OutFile { option: "--out", path: file, example: "naturedditTI.mar" }.resolve(&[], &Kept::of(config))?;
    // A server takes for an archive what is named as one.
    if out.extension().is_some_and(|extension| extension == "mar") {
        return Ok(out);
    }
    Err(CliError::usage(format!("--out {} is no name of a model archive", file.display())))
        .hint("name a file that ends in .mar")
}

/// A version that was pushed, checked.
fn pushed(model: Option<&str>, config: &Config) -> Result<(u64, ModelBundle), CliError> {
    let reference = match model {
        Some(text) => text
            .parse::<ModelReference>()
            .map_err(|why| CliError::usage(format!("{text:?} is neither a model nor the folder of a bundle: {why}")))?,
        None => ModelReference::of_project(),
    };
    let versions = ModelVersions::read(&reference.folder(config))?;
    bundle_of(&versions, reference.name(config), reference.version)
}
