//! What is in the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::{Failure, output};

/// A file git tracks or would track.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    /// From the repository's folder, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// Empty where the file is not UTF-8 text.
    pub(super) text: String,
}

/// All files of the repository, sorted by path.
pub(super) struct Tree {
    files: Vec<File>,
    folders: BTreeSet<String>,
}

impl Tree {
    /// Reads what git tracks and what it would track if asked: a break is found before it is committed.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut git = Command::new("git");
        // A checkout that belongs to another user is common in containers; listing it is harmless.
        git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = output(git.current_dir(root)).map_err(|failure| failure.hint("tidy needs a git checkout"))?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // Deleted and not yet committed: still listed, no longer there.
            let Ok(metadata) = fs::metadata(root.join(path)) else { continue };
            if metadata.is_file() {
                let text = fs::read_to_string(root.join(path)).unwrap_or_default();
                files.push(File { path: path.to_owned(), bytes: metadata.len(), text });
            }
        }
        Ok(Self::new(files))
    }

    pub(super) fn new(mut files: Vec<File>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        let mut folders = BTreeSet::from([String::new()]);
        for file in &files {
            folders.extend(file.path.match_indices('/').map(|(at, _)| file.path[..at].to_owned()));
        }
        Self { files, folders }
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|at| &self.files[at])
    }

    /// Whether there is a file or a folder at `path`.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.file(path).is_some() || self.folders.contains(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_their_folders_are_found() {
        let tree = Tree::new(
            ["docs/adr/0001.md", "README.md"].map(|path| File { path: path.to_owned(), ..File::default() }).into(),
        );
        assert!(tree.contains("README.md") && tree.contains("docs/adr") && tree.contains("docs"));
        assert!(!tree.contains("doc") && !tree.contains("docs/adr/0002.md"));
    }
}
