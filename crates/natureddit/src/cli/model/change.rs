//! `natureddit model promote` and `rollback`: which version answers where none is asked for.

use std::fmt;

use jiff::Timestamp;
use natureddit_model::{ChangeError, DefaultChange, LockedModel, ModelVersions};
use serde::Serialize;

use super::ModelReference;
use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::config::Config;

#[derive(Serialize)]
struct Changed {
    name: String,
    /// The version that answers from now on.
    version: u64,
    /// The one that did before.
    before: Option<u64>,
    /// Whether they differ.
    changed: bool,
    reason: Option<String>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, before, changed, .. } = self;
        match before {
            _ if !changed => write!(f, "{name} {version} answers already; nothing was changed"),
            Some(before) => write!(f, "{name} {version} answers from now on, instead of version {before}"),
            None => write!(f, "{name} {version} answers from now on"),
        }
    }
}

pub(super) fn promote(model: &ModelReference, reason: Option<&str>, session: &Session) -> Result<(), CliError> {
    let Some(version) = model.version else {
        return Err(CliError::usage("name the version to promote: `natureddit model promote 2`"));
    };
    change(model, reason, session, |locked, reason, at| locked.promote(version, reason, at))
}

pub(super) fn roll_back(
    model: Option<&ModelReference>,
    to: Option<u64>,
    reason: Option<&str>,
    session: &Session,
) -> Result<(), CliError> {
    let project = ModelReference::of_project();
    let model = model.unwrap_or(&project);
    if let Some(version) = model.version {
        return Err(CliError::usage(format!("rollback takes the version with --to {version}")));
    }
    change(model, reason, session, |locked, reason, at| locked.roll_back(to, reason, at))
}

fn change(
    model: &ModelReference,
    reason: Option<&str>,
    session: &Session,
    make: impl FnOnce(&mut LockedModel, Option<String>, Timestamp) -> Result<DefaultChange, ChangeError>,
) -> Result<(), CliError> {
    let config = session.config()?;
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
    let DefaultChange { before, version } = make(&mut locked(model, &config)?, reason.clone(), session.now()?)?;
    let (name, changed) = (model.name(&config).to_owned(), before != Some(version));
    session.output.result(&Changed { name, version, before, changed, reason })?;
    if changed {
        session.output.note(
            "a server that was started without --models follows by itself; another goes on with what it has loaded",
        );
    }
    Ok(())
}

/// The model, changed by nobody else. One that has no version gets no folder.
fn locked(model: &ModelReference, config: &Config) -> Result<LockedModel, CliError> {
    let folder = model.folder(config);
    if ModelVersions::read(&folder).map_err(ChangeError::from)?.iter().next().is_none() {
        return Err(ChangeError::NothingPushed { model: model.name(config).to_owned() }.into());
    }
    Ok(LockedModel::lock(&folder).map_err(ChangeError::from)?)
}
