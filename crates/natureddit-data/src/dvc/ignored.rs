//! `.dvcignore`: what of the work tree is not looked at.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use natureddit_core::fs::{self, FsError};

/// The name of the files with the patterns.
pub(super) const IGNORE_FILE: &str = ".dvcignore";

/// The patterns of a repository.
#[derive(Debug)]
pub(super) struct Ignored {
    root: PathBuf,
    /// Of each folder that was looked into.
    folders: Mutex<HashMap<PathBuf, Option<Arc<Gitignore>>>>,
}

impl Ignored {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), folders: Mutex::default() }
    }

    /// The patterns that hold for the names in a folder, the strongest first.
    pub(super) fn of(&self, folder: &Path) -> Result<Patterns, FsError> {
        let mut patterns = Patterns { is_inside: folder.starts_with(&self.root), patterns: Vec::new() };
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            patterns.patterns.extend(self.in_folder(folder)?);
        }
        Ok(patterns)
    }

    /// Whether a path of the repository is left out. Folders above it are not asked: whoever walks down does not come to
    /// what lies in a folder that is left out.
    pub(super) fn is_ignored(&self, path: &Path, is_dir: bool) -> Result<bool, FsError> {
        Ok(self.of(path.parent().unwrap_or(path))?.is_ignored(path, is_dir))
    }

    /// Whether the path or any folder above it is left out.
    pub(super) fn is_below_ignored(&self, path: &Path, is_dir: bool) -> Result<bool, FsError> {
        let above: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != self.root && folder.starts_with(&self.root))
            .collect();
        for folder in above.into_iter().rev() {
            if self.is_ignored(folder, true)? {
                return Ok(true);
            }
        }
        self.is_ignored(path, is_dir)
    }

    fn in_folder(&self, folder: &Path) -> Result<Option<Arc<Gitignore>>, FsError> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if !folders.contains_key(folder) {
            let patterns = patterns(folder)?.map(Arc::new);
            folders.insert(folder.to_owned(), patterns);
        }
        Ok(folders.get(folder).cloned().flatten())
    }
}

/// The patterns that hold in a folder.
#[derive(Debug)]
pub(super) struct Patterns {
    is_inside: bool,
    patterns: Vec<Arc<Gitignore>>,
}

impl Patterns {
    /// Whether a path in the folder is left out.
    pub(super) fn is_ignored(&self, path: &Path, is_dir: bool) -> bool {
        let name = path.file_name().unwrap_or_default();
        // A file `.git` stands for a folder of that name elsewhere.
        if name == ".git" || (is_dir && (name == ".hg" || name == ".dvc")) {
            return true;
        }
        // Another repository in this one is none of our business.
        if self.is_inside && is_dir && path.join(".dvc").is_dir() {
            return true;
        }
        for patterns in &self.patterns {
            match patterns.matched(path, is_dir) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

fn patterns(folder: &Path) -> Result<Option<Gitignore>, FsError> {
    let file = folder.join(IGNORE_FILE);
    let Some(text) = fs::optional(fs::read_to_string(&file))? else { return Ok(None) };
    let mut builder = GitignoreBuilder::new(folder);
    for line in text.lines() {
        // A pattern that git does not understand matches nothing there either.
        if let Err(error) = builder.add_line(Some(file.clone()), line) {
            tracing::warn!(file = %file.display(), %error, "a pattern is passed over");
        }
    }
    Ok(builder.build().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_inner_folders_are_stronger() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write_atomic(&root.join(IGNORE_FILE), "# junk\n*.tmp\n/build/\n!keep.tmp\n").unwrap();
        fs::write_atomic(&root.join("data/.dvcignore"), "!x.tmp\nkeep.tmp\n").unwrap();
        fs::create_dir_all(&root.join("sub/.dvc")).unwrap();
        let ignored = Ignored::new(root);
        let is = |path: &str, is_dir| ignored.is_ignored(&root.join(path), is_dir).unwrap();
        assert!(is("a.tmp", false) && is("data/a.tmp", false) && is("data/keep.tmp", false) && is("build", true));
        assert!(!is("keep.tmp", false) && !is("data/x.tmp", false) && !is("build", false) && !is("data/build", true));
        assert!(is(".git", true) && is("data/.dvc", true) && is("sub", true) && !is("x.dvc", false));
        assert!(ignored.is_below_ignored(&root.join("build/a/b.jpg"), false).unwrap());
    }
}
