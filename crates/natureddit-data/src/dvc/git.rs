//! The little that DVC asks of git, done by the system's `git` where the repository is one.

use std::path::{Path, PathBuf};

use natureddit_core::fs;

use super::error::DvcError;
use super::pointer::Pointer;
use crate::git::Git;

/// Whether git has the file, or a file below the folder, so that DVC must not have it too.
pub(super) fn is_tracked(root: &Path, target: &Path) -> Result<bool, DvcError> {
    let Some(git) = Git::of(root) else { return Ok(false) };
    let path = target.to_string_lossy();
    Ok(!git.run(&["--literal-pathspecs", "ls-files", "-z", "--", path.as_ref()])?.is_empty())
}

/// Tells git of files, as `core.autostage` wishes.
pub(super) fn stage(root: &Path, paths: &[PathBuf]) -> Result<(), DvcError> {
    let Some(git) = Git::of(root) else { return Ok(()) };
    let paths: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let mut arguments = vec!["--literal-pathspecs", "add", "--"];
    arguments.extend(paths.iter().map(String::as_str));
    Ok(git.run(&arguments).map(|_| ())?)
}

/// Every pointer of revisions.
pub(super) fn pointers_of(root: &Path, revisions: Revisions) -> Result<Vec<Pointer>, DvcError> {
    let git = Git::of(root).ok_or_else(|| DvcError::NoGit { path: root.to_owned() })?;
    let mut arguments = vec!["rev-list"];
    match revisions {
        Revisions::AllCommits if git.run(&["rev-parse", "--is-shallow-repository"])?.starts_with(b"true") => {
            return Err(DvcError::Shallow { path: git.top().to_owned() });
        }
        Revisions::AllCommits => arguments.push("--all"),
        Revisions::Heads { branches, tags } => {
            arguments.push("--no-walk");
            arguments.extend(branches.then_some("--branches"));
            arguments.extend(tags.then_some("--tags"));
        }
    }
    let listed = git.run(&arguments)?;
    let mut blobs = std::collections::BTreeMap::new();
    for commit in String::from_utf8_lossy(&listed).lines() {
        let tree = git.run(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        // `mode type hash<tab>path`, each ended by NUL.
        for entry in String::from_utf8_lossy(&tree).split('\0') {
            let Some((head, path)) = entry.split_once('\t') else { continue };
            if path.rsplit('/').next() == Some(super::repo::STAGES_LOCK) {
                return Err(DvcError::Stages { path: PathBuf::from(format!("{commit}:{path}")) });
            }
            if path.ends_with(super::pointer::SUFFIX)
                && let Some(blob) = head.rsplit(' ').next()
            {
                blobs.insert(blob.to_owned(), (path.to_owned(), commit.to_owned()));
            }
        }
    }
    let mut pointers = Vec::new();
    for (blob, (path, commit)) in blobs {
        let text = String::from_utf8_lossy(&git.run(&["cat-file", "blob", &blob])?).into_owned();
        let pointer = Pointer::parse(&git.top().join(&path), text);
        pointers.push(pointer.map_err(|source| DvcError::InHistory { path: path.into(), commit, source })?);
    }
    Ok(pointers)
}

/// Which commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revisions {
    /// All that any name leads to.
    AllCommits,
    /// Those that branches and tags stand at.
    Heads {
        /// Local branches.
        branches: bool,
        /// Tags.
        tags: bool,
    },
}

/// Adds a line for the target to the `.gitignore` beside it; the file, if it changed.
pub(super) fn ignore(root: &Path, target: &Path) -> Result<Option<PathBuf>, DvcError> {
    if Git::of(root).is_none() {
        return Ok(None);
    }
    let Some((folder, name)) = target.parent().zip(target.file_name()) else { return Ok(None) };
    let line = format!("/{}", escaped(&name.to_string_lossy()));
    let path = folder.join(".gitignore");
    let mut text = fs::optional(fs::read_to_string(&path))?.unwrap_or_default();
    if text.lines().any(|known| known.trim() == line.trim()) || is_ignored(root, target)? {
        return Ok(None);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&line);
    text.push('\n');
    fs::write_atomic(&path, text)?;
    Ok(Some(path))
}

/// Whether git leaves a path out.
pub(super) fn is_ignored(root: &Path, target: &Path) -> Result<bool, DvcError> {
    let Some(git) = Git::of(root) else { return Ok(false) };
    let path = target.to_string_lossy();
    // 1: no; above that it is an error, and one line too many does no harm.
    Ok(git.is_so(&["check-ignore", "-q", "--no-index", "--", path.as_ref()])?)
}

/// A name as a pattern that means it alone.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '!' | '#' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_the_real_tool_escapes_them() {
        for (name, pattern) in [
            ("x #y", "x \\#y"),
            ("[x]", "\\[x\\]"),
            ("*s", "\\*s"),
            ("!t", "\\!t"),
            ("? q", "\\? q"),
            ("{y}", "{y}"),
            ("a: b", "a: b"),
        ] {
            assert_eq!(escaped(name), pattern);
        }
    }
}
