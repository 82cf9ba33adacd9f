//! `init`: a new repository of DVC, as the real tool makes one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs;

use super::error::DvcError;
use super::git;
use super::remote::{RemoteConfig, RemoteError};
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
        let url = address(folder, remote)?;
        let options = BTreeMap::from([("url".to_owned(), url.clone())]);
        RemoteConfig::from_options(REMOTE, &options)?;
        config.push_str(&format!("    remote = {REMOTE}\n['remote \"{REMOTE}\"']\n    url = {url}\n"));
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

/// A path as the settings, which lie one folder deeper, write it; addresses and absolute paths as they are.
fn address(folder: &Path, remote: &str) -> Result<String, DvcError> {
    if remote.contains("://") {
        return Ok(remote.to_owned());
    }
    if super::config::normal(&folder.join(remote)) == folder {
        // What is pushed would lie in the work tree.
        return Err(RemoteError::Scheme { url: format!("{remote:?}, the repository itself,") }.into());
    }
    let is_relative = Path::new(remote).is_relative();
    Ok(if is_relative {
        super::config::normal(&Path::new("..").join(remote)).display().to_string()
    } else {
        remote.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_written_so_that_clones_find_it() {
        let folder = Path::new("/team/repo");
        let told = |remote| address(folder, remote).unwrap();
        assert_eq!(told("../storage"), "../../storage");
        assert_eq!(told("./storage"), "../storage");
        assert_eq!(told("/data/storage"), "/data/storage");
        assert_eq!(told("s3://bucket/x"), "s3://bucket/x");
        for bad in ["", ".", "../repo", "/team/repo/"] {
            assert!(address(folder, bad).is_err(), "{bad:?}");
        }
        let made = tempfile::tempdir().unwrap();
        let error = init(made.path(), Some("ssh://host/path")).unwrap_err().to_string();
        assert!(error.contains("ssh://host/path is no address"), "{error}");
        assert!(!made.path().join(".dvc").exists());
    }
}
