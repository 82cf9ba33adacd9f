//! What to do about errors of the libraries: the one place that turns a cause into advice.

use std::error::Error;
use std::io::ErrorKind;

use natureddit_core::fs::FsError;
use natureddit_model::{BundleError, ModelError, RuntimeError};
use natureddit_net::assets::AssetError;
use natureddit_pipeline::RunError;
use natureddit_pipeline::metadata::MetadataError;
use natureddit_serve::{LoadError, StoreError};

use crate::config::ConfigError;

/// The advice for one cause of an error, where there is some.
pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<ConfigError>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<AssetError>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(BundleError::Corrupted { path, .. }) = cause.downcast_ref::<BundleError>() {
        let folder = path.parent().unwrap_or(path).display();
        return Some(format!("remove {folder} and run `natureddit run`: it is pushed again"));
    }
    if let Some(error) = cause.downcast_ref::<ModelError>() {
        return of_model_error(error);
    }
    if let Some(error) = cause.downcast_ref::<LoadError>() {
        return of_load_error(error);
    }
    if let Some(RuntimeError::Load { path, .. }) = cause.downcast_ref::<RuntimeError>() {
        return Some(format!("remove {} and run `natureddit model pull`", path.display()));
    }
    if let Some(RunError::Locked(_)) = cause.downcast_ref::<RunError>() {
        return Some("wait until it is done, or stop it".to_owned());
    }
    if let Some(MetadataError::Open { path, .. } | MetadataError::Schema { path, .. }) = cause.downcast_ref() {
        return Some(format!(
            "move {} away: the next run makes a new one and every component runs again",
            path.display()
        ));
    }
    cause.downcast_ref::<FsError>().and_then(of_file_error)
}

/// What it is made of is not in the chain of causes: it shows as that itself.
fn of_model_error(error: &ModelError) -> Option<String> {
    match error {
        ModelError::Bundle(BundleError::File(error)) => of_file_error(error),
        ModelError::Bundle(error) => of(error),
        ModelError::Runtime(error) => of(error),
        _ => None,
    }
}

fn of_load_error(error: &LoadError) -> Option<String> {
    match error {
        LoadError::Store(StoreError::File(error)) => of_file_error(error),
        LoadError::Store(StoreError::Empty(_) | StoreError::NotFound { .. }) => Some(
            "`natureddit run` trains, judges and pushes a model; `natureddit model list` shows what was pushed"
                .to_owned(),
        ),
        LoadError::Store(StoreError::VersionNotFound { .. }) => {
            Some("`natureddit model list` shows what was pushed".to_owned())
        }
        LoadError::Store(StoreError::BadName(_)) => Some("--models takes NAME, NAME/VERSION or NAME=DIR".to_owned()),
        LoadError::Store(StoreError::Twice { .. }) => Some("give it once, or the two under different names".to_owned()),
        LoadError::Bundle { source, .. } => of_model_error(source),
        LoadError::Thread { .. } => None,
    }
}

fn of_file_error(error: &FsError) -> Option<String> {
    match error.source.kind() {
        ErrorKind::PermissionDenied => Some(format!("check who may use {}", error.path.display())),
        ErrorKind::ReadOnlyFilesystem => Some("choose a folder that can be written to".into()),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some disk space and run it again".into()),
        _ => None,
    }
}
