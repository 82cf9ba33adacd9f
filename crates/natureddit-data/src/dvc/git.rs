//! The little that DVC asks of git, done by the system's `git` where the repository is one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use natureddit_core::fs;

use super::error::DvcError;

/// Whether the folder or one above it is a repository of git.
fn is_repository(root: &Path) -> bool {
    root.ancestors().any(|folder| folder.join(".git").exists())
}

fn git(root: &Path, arguments: &[&str]) -> Result<Output, DvcError> {
    let mut command = Command::new("git");
    command.current_dir(root).args(arguments).stdin(Stdio::null());
    command.output().map_err(|e| DvcError::Git { what: arguments[0].to_owned(), why: e.to_string() })
}

fn successful(arguments: &[&str], output: Output) -> Result<Vec<u8>, DvcError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(DvcError::Git { what: arguments[0].to_owned(), why })
}

/// Whether git has the file, or a file below the folder, so that DVC must not have it too.
pub(super) fn is_tracked(root: &Path, target: &Path) -> Result<bool, DvcError> {
    if !is_repository(root) {
        return Ok(false);
    }
    let path = target.to_string_lossy();
    let arguments = ["--literal-pathspecs", "ls-files", "-z", "--", path.as_ref()];
    Ok(!successful(&arguments[1..], git(root, &arguments)?)?.is_empty())
}

/// Tells git of files, as `core.autostage` wishes.
pub(super) fn stage(root: &Path, paths: &[PathBuf]) -> Result<(), DvcError> {
    if !is_repository(root) {
        return Ok(());
    }
    let paths: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let mut arguments = vec!["--literal-pathspecs", "add", "--"];
    arguments.extend(paths.iter().map(String::as_str));
    successful(&arguments[1..], git(root, &arguments)?).map(|_| ())
}

/// Every `.dvc` file of revisions: its path and its text.
pub(super) fn pointers_of(root: &Path, revisions: Revisions) -> Result<Vec<(PathBuf, String)>, DvcError> {
    let mut arguments = vec!["rev-list"];
    match revisions {
        Revisions::AllCommits => arguments.push("--all"),
        Revisions::Heads { branches, tags } => {
            arguments.push("--no-walk");
            arguments.extend(branches.then_some("--branches"));
            arguments.extend(tags.then_some("--tags"));
        }
    }
    let listed = successful(&arguments, git(root, &arguments)?)?;
    let mut blobs = std::collections::BTreeMap::new();
    for commit in String::from_utf8_lossy(&listed).lines() {
        let arguments = ["ls-tree", "-r", "-z", "--full-tree", commit];
        let tree = successful(&arguments, git(root, &arguments)?)?;
        // `mode type hash<tab>path`, each ended by NUL.
        for entry in String::from_utf8_lossy(&tree).split('\0') {
            let Some((head, path)) = entry.split_once('\t') else { continue };
            if path.rsplit('/').next() == Some(super::repo::STAGES_LOCK) {
                return Err(DvcError::Stages { path: PathBuf::from(format!("{commit}:{path}")) });
            }
            if path.ends_with(super::pointer::SUFFIX)
                && let Some(blob) = head.rsplit(' ').next()
            {
                blobs.insert(blob.to_owned(), path.to_owned());
            }
        }
    }
    let mut pointers = Vec::new();
    for (blob, path) in blobs {
        let arguments = ["cat-file", "blob", &blob];
        let text = successful(&arguments, git(root, &arguments)?)?;
        pointers.push((root.join(path), String::from_utf8_lossy(&text).into_owned()));
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
    if !is_repository(root) {
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
    if !is_repository(root) {
        return Ok(false);
    }
    let path = target.to_string_lossy();
    // 1: no; above that it is an error, and one line too many does no harm.
    Ok(git(root, &["check-ignore", "-q", "--no-index", "--", path.as_ref()])?.status.success())
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
