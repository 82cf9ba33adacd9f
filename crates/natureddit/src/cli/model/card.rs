//! `natureddit model card`: what people must know of a version before they use it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use natureddit_core::fs;
use natureddit_model::ModelVersions;
use natureddit_pipeline::components::pusher::{MODEL_CARD_FILE, MODEL_CARD_PAGE};
use serde::Serialize;

use super::{ModelReference, version_of};
use crate::cli::error::{CliError, HintExt};
use crate::cli::session::Session;
use crate::cli::words::printable;

/// The largest card that is printed.
const CARD_BYTES_MAX: u64 = 1 << 20;

#[derive(Serialize)]
struct Card {
    name: String,
    version: u64,
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PathBuf>,
    markdown: String,
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.markdown))
    }
}

/// The card in the folder of a version, where there is one.
pub(super) fn of(dir: &Path) -> Option<PathBuf> {
    Some(dir.join(MODEL_CARD_FILE)).filter(|file| file.is_file())
}

pub(super) fn run(model: Option<&ModelReference>, session: &Session) -> Result<(), CliError> {
    let config = session.config()?;
    let project = ModelReference::of_project();
    let model = model.unwrap_or(&project);
    let versions = ModelVersions::read(&model.folder(&config))?;
    let name = model.name(&config);
    let (version, dir) = version_of(&versions, name, model.version)?;
    let Some(file) = of(dir) else {
        return Err(anyhow!("version {version} of {name} has no model card"))
            .hint("`natureddit run --force Pusher` writes it for the model that was pushed last; what was pushed otherwise has none");
    };
    let markdown = String::from_utf8_lossy(&fs::read_limited(&file, CARD_BYTES_MAX)?).into_owned();
    let page = Some(dir.join(MODEL_CARD_PAGE)).filter(|page| page.is_file());
    Ok(session.output.result(&Card { name: name.to_owned(), version, file, page, markdown })?)
}
