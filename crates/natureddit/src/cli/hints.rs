//! What to do about errors of the libraries: the one place that turns a cause into advice.

mod pipeline;
mod transparent;

use std::error::Error;
use std::io::ErrorKind;

use natureddit_core::fs::FsError;
use natureddit_model::{BundleError, RuntimeError};
use natureddit_net::assets::AssetError;

use crate::config::ConfigError;

/// The advice for one cause of an error, where there is some.
pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    pipeline::of(cause).or_else(|| of_libraries(cause)).or_else(|| passed_on(cause))
}

/// The advice for the error that another only passes on.
fn passed_on(error: &(dyn Error + 'static)) -> Option<String> {
    transparent::inner(error).and_then(of)
}

fn of_libraries(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<ConfigError>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<AssetError>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(BundleError::Corrupted { path, .. } | BundleError::Size { path, .. }) =
        cause.downcast_ref::<BundleError>()
    {
        let folder = path.parent().unwrap_or(path).display();
        return Some(format!("remove {folder} and run `natureddit run`: it is pushed again"));
    }
    if let Some(RuntimeError::Load { path, .. }) = cause.downcast_ref::<RuntimeError>() {
        return Some(format!("remove {} and run `natureddit model pull`", path.display()));
    }
    cause.downcast_ref::<FsError>().and_then(of_file_error)
}

fn of_file_error(error: &FsError) -> Option<String> {
    match error.source.kind() {
        ErrorKind::PermissionDenied => Some(format!("check who may use {}", error.path.display())),
        ErrorKind::ReadOnlyFilesystem => Some("choose a folder that can be written to".into()),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some disk space and run it again".into()),
        _ => None,
    }
}
