//! Checks of the project: its settings and the folders it writes to.

use std::path::Path;

use natureddit_core::fs::{self, FsError};

use super::Finding;
use crate::config::{Config, FILE_NAME};

/// Settings that could be read.
pub(super) fn settings(config: &Config) -> Finding {
    match &config.file {
        Some(file) => Finding::ok("settings", format!("{}, keys set: {}", file.display(), config.keys_set.len())),
        None => Finding::warn(
            "settings",
            format!("no {FILE_NAME} here; the defaults are used"),
            "`natureddit init` makes a project here",
        ),
    }
}

/// Whether the project's folder can be written to.
pub(super) fn project_folder(config: &Config) -> Finding {
    writable("project folder", &config.root, "choose another folder with --project, or change who may write to it")
}

/// Whether the cache of asset files can be written to.
pub(super) fn cache_folder(config: &Config) -> Finding {
    writable("cache folder", &config.assets.cache_dir, &format!("set assets.cache_dir in {FILE_NAME}"))
}

fn writable(check: &'static str, folder: &Path, hint: &str) -> Finding {
    match write_below(folder) {
        Ok(()) => Finding::ok(check, format!("{} can be written to", folder.display())),
        Err(e) => Finding::fail(check, format!("{e}: {}", e.source), Some(hint.to_owned())),
    }
}

/// Writes a file into a folder, or into the one above where it would be made, and removes it again.
fn write_below(folder: &Path) -> Result<(), FsError> {
    let probe = fs::beside(&existing(folder).join("doctor"));
    fs::write_atomic(&probe, "")?;
    fs::remove_file(&probe)
}

/// The path itself or the nearest folder above it that is there.
pub(super) fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| fs::metadata(path).is_ok()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_folder_to_be_made_is_probed_above_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let finding = writable("cache folder", &folder.path().join("not/yet"), "hint");
        assert_eq!(finding.status, Status::Ok);
        assert!(fs::read_dir(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_fails_with_the_hint() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write_atomic(&file, "").unwrap();
        let finding = writable("project folder", &file.join("data"), "choose another");
        assert_eq!((finding.status, finding.hint.as_deref()), (Status::Fail, Some("choose another")));
    }
}
