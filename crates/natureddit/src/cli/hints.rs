//! What to do about errors of the libraries: the one place that turns a cause into advice.

mod daily;
mod dvc;
mod models;
mod pipeline;
mod transparent;

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;

use natureddit_core::fs::FsError;
use natureddit_data::tombstones::TOMBSTONES_FILE;
use natureddit_data::{DROPPED_FILE, DatasetError, LABELS_FILE, POSTS_FILE, TITLES_FILE, TableError};
use natureddit_image::ImageError;
use natureddit_model::{BundleError, HISTORY_FILE, InputError, ModelBundle, RuntimeError, version_of};
use natureddit_net::assets::AssetError;
use natureddit_serve::StoreError;
use natureddit_serve::config_properties::PropertiesError;

use crate::config::ConfigError;

/// The advice for one cause of an error, where there is some.
pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    pipeline::of(cause)
        .or_else(|| dvc::of(cause))
        .or_else(|| daily::of(cause))
        .or_else(|| models::of(cause))
        .or_else(|| of_libraries(cause))
        .or_else(|| passed_on(cause))
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
    if let Some(advice) = cause.downcast_ref::<BundleError>().and_then(of_bundle) {
        return Some(advice);
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return of_store(error).map(str::to_owned);
    }
    if let Some(advice) = cause.downcast_ref::<PropertiesError>().and_then(of_properties) {
        return Some(advice.to_owned());
    }
    if let Some(RuntimeError::Load { path, .. }) = cause.downcast_ref::<RuntimeError>() {
        return Some(format!("remove {} and run `natureddit model pull`", path.display()));
    }
    if let Some(error) = cause.downcast_ref::<InputError>() {
        return of_input(error).map(str::to_owned);
    }
    match cause.downcast_ref::<DatasetError>() {
        Some(DatasetError::Locked { .. }) => return Some("wait until it is done, or stop it".to_owned()),
        Some(DatasetError::NoDataset { .. }) => {
            return Some("name a folder with posts.csv, or a table of the original form".to_owned());
        }
        Some(DatasetError::NoTables { .. }) => {
            return Some("name a table such as 2022-05-01_2022-05-08.csv, or a folder that has one".to_owned());
        }
        Some(DatasetError::Record { path, .. }) => {
            let path = path.display();
            return Some(format!(
                "move {path} away: the next `natureddit collect` writes it anew, and nothing else is lost"
            ));
        }
        Some(DatasetError::Ledger { path, line, .. }) => {
            let path = path.display();
            return Some(format!(
                "mend line {line} of {path}, or remove it: what it says of a window is then not known"
            ));
        }
        Some(DatasetError::Strangers { .. }) => {
            return Some("remove them, or write into another folder with --out".to_owned());
        }
        Some(DatasetError::WouldLose { .. }) => {
            return Some("merge that table first, or write into another folder with --out".to_owned());
        }
        _ => {}
    }
    if let Some(advice) = cause.downcast_ref::<TableError>().and_then(of_table) {
        return Some(advice);
    }
    cause.downcast_ref::<FsError>().and_then(of_file_error)
}

/// What to do about a table of the project; whoever reads other tables says it himself.
fn of_table(error: &TableError) -> Option<String> {
    match error {
        // Without it the photos that are there belong to nobody.
        TableError::Empty { path } if path.ends_with(POSTS_FILE) => {
            return Some(format!("take {} from a backup", path.display()));
        }
        TableError::Empty { path } => {
            return Some(format!("take {} from a backup, or remove it", path.display()));
        }
        TableError::Separator { .. } => return Some("save it as CSV with commas, in UTF-8".to_owned()),
        _ => {}
    }
    let (TableError::Line { path, .. } | TableError::NoColumn { path, .. } | TableError::UnknownColumn { path, .. }) =
        error
    else {
        return None;
    };
    let what = match path.file_name()?.to_str()? {
        POSTS_FILE => {
            "`natureddit dataset validate` names every line that is broken: mend them, or take the file from a backup"
        }
        LABELS_FILE => {
            "these are people's choices: mend the line in an editor, or take the file from a backup or from git"
        }
        TITLES_FILE => "mend the line in an editor, or take the file from a backup or from git",
        TOMBSTONES_FILE => {
            "it says which posts were deleted: mend the line in an editor, or take the file from a backup"
        }
        DROPPED_FILE => "move it away: the next collection of its windows writes it anew",
        _ => return None,
    };
    Some(what.to_owned())
}

fn of_bundle(error: &BundleError) -> Option<String> {
    let path = match error {
        BundleError::File(error) if error.is_not_found() && error.path.ends_with(ModelBundle::MANIFEST) => {
            let (folder, manifest) = (error.path.parent().unwrap_or(&error.path).display(), ModelBundle::MANIFEST);
            return Some(format!("{folder} is no bundle: name a folder that has a {manifest}, or a model archive"));
        }
        BundleError::Corrupted { path, .. } | BundleError::Size { path, .. } | BundleError::Format { path, .. } => path,
        BundleError::File(error) if error.is_not_found() => &error.path,
        // The error that it passes on has its own.
        BundleError::File(_) | BundleError::Weights(_) => return None,
    };
    let folder = path.parent().unwrap_or(path);
    // Elsewhere a folder may hold anything: nobody is told to remove that.
    if !is_version_in_store(folder) {
        return Some(format!("name another bundle, or make the one in {} anew", folder.display()));
    }
    let folder = folder.display();
    Some(format!(
        "`natureddit model rollback` or `natureddit model promote VERSION` makes another version answer; the newest is pushed \
         again when you remove {folder} and run `natureddit run`, any other is lost for good by that"
    ))
}

/// Whether a folder is a version beside the history of its model, as a push leaves it.
fn is_version_in_store(folder: &Path) -> bool {
    version_of(folder).is_some() && folder.parent().is_some_and(|model| model.join(HISTORY_FILE).is_file())
}

fn of_store(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Empty(_) | StoreError::NotFound { .. } => {
            Some("`natureddit run` trains, judges and pushes a model; `natureddit model list` shows what was pushed")
        }
        StoreError::VersionNotFound { .. } => Some("`natureddit model list` shows what was pushed"),
        StoreError::BadName(_) => Some("--models takes NAME, NAME/VERSION, NAME=DIR or NAME=FILE.mar"),
        StoreError::Twice { .. } => Some("give it once, or the two under different names"),
        // The error that it passes on has its own.
        StoreError::File(_) | StoreError::History(_) | StoreError::Archive(_) => None,
        // Whatever it was is served from elsewhere.
        StoreError::Doubled { .. } => None,
    }
}

/// What to do about a `config.properties` of TorchServe.
fn of_properties(error: &PropertiesError) -> Option<&'static str> {
    match error {
        PropertiesError::Keystore { .. } => Some(
            "`openssl pkcs12 -in keystore.p12 -nodes` takes it apart: name its certificate as certificate_file and its key as \
             private_key_file",
        ),
        PropertiesError::HalfCertificate { .. } => Some("set both, or neither: then a certificate is made"),
        PropertiesError::NotSet { .. } => Some("set the variable, or write its value into the file"),
        PropertiesError::Syntax { .. } | PropertiesError::Value { .. } => {
            Some("docs/interop/torchserve-config.md says what each key does here")
        }
        // The error that it passes on has its own.
        PropertiesError::File(_) => None,
    }
}

fn of_file_error(error: &FsError) -> Option<String> {
    match error.source.kind() {
        ErrorKind::PermissionDenied => Some(format!("check who may use {}", error.path.display())),
        ErrorKind::ReadOnlyFilesystem => Some("choose a folder that can be written to".into()),
        // Folders are made where there are none, so that a file is in the way.
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Some(format!(
            "a file stands where {} needs a folder: move it away, or name another folder",
            error.path.display()
        )),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some disk space and run it again".into()),
        _ => None,
    }
}

/// What to do about a post that the model cannot be asked about.
fn of_input(error: &InputError) -> Option<&'static str> {
    match error {
        InputError::Empty => Some("give a title, a photo, or both; a title of spaces is none"),
        InputError::TextTooLong { .. } => Some("give a shorter title, or raise model.title_bytes_max"),
        InputError::Image(error) => of_image(error),
        InputError::Text(_) => None,
    }
}

fn of_image(error: &ImageError) -> Option<&'static str> {
    Some(match error {
        ImageError::Empty | ImageError::Truncated { .. } => "the file is not whole: fetch or copy it again",
        ImageError::Html | ImageError::NotAnImage { .. } => "a photo is a JPEG, PNG, WebP, GIF or BMP file",
        ImageError::TooManyBytes { .. } => "give a smaller photo, or raise model.image_bytes_max",
        ImageError::TooManyPixels { .. } | ImageError::DecodedTooLarge { .. } => {
            "give a smaller photo, or raise model.image_pixels_max"
        }
        ImageError::SideTooLong { .. } => "give a smaller photo",
        ImageError::Animated { .. } => "save one of its frames as a JPEG or PNG",
        ImageError::Corrupt { .. } => "open it in another program and save it anew as a JPEG or PNG",
        // The message says it.
        ImageError::Unsupported { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use natureddit_core::fs;
    use natureddit_testkit::tiny_bundle;

    use super::*;

    #[test]
    fn nobody_is_told_to_remove_a_folder_outside_of_the_model_store() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |folder: &Path| of(&ModelBundle::read(folder).unwrap_err()).unwrap();
        let documents = dir.path().join("mydocs");
        fs::write_atomic(&documents.join("thesis.txt"), "years of work").unwrap();
        assert!(
            hint(&documents)
                .ends_with("mydocs is no bundle: name a folder that has a manifest.json, or a model archive")
        );
        let damaged = |folder: &str| {
            let folder = dir.path().join(folder);
            tiny_bundle(&folder, "a", 1);
            fs::write_atomic(&folder.join("head.safetensors"), "half a head").unwrap();
            hint(&folder)
        };
        assert!(damaged("candidates/7").starts_with("name another bundle, or make the one in "));
        fs::write_atomic(&dir.path().join("models/a").join(HISTORY_FILE), "").unwrap();
        assert!(damaged("models/a/7").contains("when you remove "));
        assert!(!damaged("models/a/copy").contains("remove"));
    }
}
