//! What to do about errors of the libraries: the one place that turns a cause into advice.

use std::error::Error;
use std::io::ErrorKind;

use natureddit_core::fs::FsError;

use crate::config::ConfigError;

/// The advice for one cause of an error, where there is some.
pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<ConfigError>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<FsError>() {
        return of_file_error(error);
    }
    None
}

fn of_file_error(error: &FsError) -> Option<String> {
    match error.source.kind() {
        ErrorKind::PermissionDenied => Some(format!("check who may use {}", error.path.display())),
        ErrorKind::ReadOnlyFilesystem => Some("choose a folder that can be written to".into()),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some disk space and run it again".into()),
        _ => None,
    }
}
