//! `init`: a new repository of DVC, as the real tool makes one.

use std::path::{Path, PathBuf};

use natureddit_core::fs;

use super::error::DvcError;
use super::git;
use crate::git::Git;

const GITIGNORE: &str = "/config.local\n/tmp\n/cache\n";
const DVCIGNORE: &str = "\
# Add patterns of files dvc should ignore, which could improve
# the performance. Learn more at
# https://dvc.org/doc/user-guide/dvcignore
";
/// What the default remote of a new repository is called.
const REMOTE: &str = "storage";

/// Makes the folder, which must be absolute, a repository whose default remote is at `remote`: an address or a path. Git,
/// where the folder is in its work tree, is told of the files.
///
/// # Errors
/// [`DvcError`]; [`DvcError::IsRepository`] where there is one.
pub fn init(folder: &Path, remote: Option<&str>) -> Result<PathBuf, DvcError> {
    let dvc = folder.join(".dvc");
    if fs::optional(fs::metadata(&dvc))?.is_some() {
        return Err(DvcError::IsRepository { path: folder.to_owned() });
    }
    let has_git = Git::of(folder).is_some();
    let mut config = String::new();
    if !has_git || remote.is_some() {
        config.push_str("[core]\n");
    }
    if !has_git {
        config.push_str("    no_scm = True\n");
    }
    if let Some(remote) = remote {
        config.push_str(&format!(
            "    remote = {REMOTE}\n['remote \"{REMOTE}\"']\n    url = {}\n",
            address(folder, remote)
        ));
    }
    let files = [dvc.join(".gitignore"), dvc.join("config"), folder.join(".dvcignore")];
    for (path, text) in files.iter().zip([GITIGNORE, &config, DVCIGNORE]) {
        // A .dvcignore may be there: it is its owner's.
        if fs::optional(fs::metadata(path))?.is_none() {
            fs::write_atomic(path, text)?;
        }
    }
    git::stage(folder, &files)?;
    Ok(dvc)
}

/// A path as seen from the folder, absolute; an address as it is.
fn address(folder: &Path, remote: &str) -> String {
    if remote.contains("://") {
        remote.to_owned()
    } else {
        super::config::normal(&folder.join(remote)).display().to_string()
    }
}
