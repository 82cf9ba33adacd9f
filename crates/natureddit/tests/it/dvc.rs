//! `natureddit dvc` beside git, and in repositories that are no projects.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::daily::git;
use crate::natureddit::{Natureddit, Run};

/// A repository of git and DVC with one file in each of two commits.
fn repository() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    git(folder.path(), &["init", "--quiet", "--initial-branch=main", "repo"]);
    git(&repo, &["config", "user.name", "ann"]);
    git(&repo, &["config", "user.email", "ann@example.org"]);
    assert_eq!(dvc(&repo, ["init", "--remote", "../remote"]).code, Some(0));
    for content in ["old", "new"] {
        fs::write(repo.join("x.csv"), content).unwrap();
        assert_eq!(dvc(&repo, ["add", "x.csv", "--quiet"]).code, Some(0));
        git(&repo, &["add", "--all"]);
        git(&repo, &["commit", "--quiet", "--message", content]);
    }
    (folder, repo)
}

fn dvc<const N: usize>(folder: &Path, arguments: [&str; N]) -> Run {
    Natureddit::new().in_dir(folder).args(["dvc"]).args(arguments).run()
}

#[test]
fn what_a_shallow_clone_does_not_know_is_no_garbage() {
    let (folder, repo) = repository();
    let from = format!("file://{}", repo.display());
    git(folder.path(), &["clone", "--quiet", "--depth=1", &from, "shallow"]);
    let run = dvc(&folder.path().join("shallow"), ["gc", "-w", "-A", "--force"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("has only the latest commits"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: `git fetch --unshallow`"), "{}", run.stderr);
    // The old content is kept for its commit, and by nothing else.
    let told = dvc(&repo, ["gc", "-w", "-A", "--force"]).stdout;
    assert!(told.starts_with("removed 0 objects of the cache"), "{told}");
    let told = dvc(&repo, ["gc", "-w", "--force"]).stdout;
    assert!(told.starts_with("removed 1 object of the cache"), "{told}");
}

#[test]
fn a_pointer_that_is_broken_in_some_commit_is_told_with_it() {
    let (_folder, repo) = repository();
    let whole = fs::read_to_string(repo.join("x.csv.dvc")).unwrap();
    fs::write(repo.join("x.csv.dvc"), "outs: [").unwrap();
    git(&repo, &["commit", "--quiet", "--all", "--message", "broken"]);
    let commit = git(&repo, &["rev-parse", "HEAD"]);
    fs::write(repo.join("x.csv.dvc"), whole).unwrap();
    git(&repo, &["commit", "--quiet", "--all", "--message", "mended"]);
    let run = dvc(&repo, ["gc", "-w", "-A", "--force"]);
    assert_eq!(run.code, Some(1));
    let told = format!("x.csv.dvc in the commit {} is broken", commit.trim());
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    assert_eq!(dvc(&repo, ["gc", "-w", "-a"]).code, Some(0));
}

#[test]
fn a_repository_that_is_no_project_is_named_from_elsewhere() {
    let (folder, _repo) = repository();
    let run = dvc(folder.path(), ["status", "--project", "repo"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "everything is as the pointers say\n"), "{}", run.stderr);
}
