//! The invariants of docs/ARCHITECTURE.md that a program can check, and the sizes files should have.
//!
//! Each check is a function of a path and a text, so that its tests can show it a break: a check that cannot
//! fail is worthless. What clippy already refuses is not checked again.

mod code;
mod crates;
mod documents;
mod files;
mod licences;
mod manifest;
mod sizes;
mod source;

use std::fmt;

use crate::arguments::Arguments;
use crate::process::Failure;
use crate::workspace::Workspace;
use files::Tree;

const HELP: &str = "\
Checks the invariants that a program can check, and prints file:line and the reason for each break.

usage: cargo xtask tidy

  sizes      no file over 800 lines; median and p90 are reported
  source     unsafe, allow, todo, dbg, ignored tests, prints in libraries, what core and components must not touch
  crates     the arrows between the crates, who may name the heavy dependencies, folder = name, workspace = true
  texts      no path of a machine, no host of a package registry, no file over 1 MB
  documents  the files that must exist, and the relative links in Markdown
  licences   each dependency's licence against deny.toml";

/// One break of an invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// From the repository's folder, with `/`.
    path: String,
    /// From 1.
    line: usize,
    reason: String,
}

impl Finding {
    fn new(path: &str, line: usize, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

/// `cargo xtask tidy`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    arguments.finish("cargo xtask tidy --help")?;
    run(&Workspace::find()?)
}

/// Prints every break; any is a failure.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let tree = Tree::read(workspace.root())?;
    let mut findings = findings(&tree);
    let policy = licences::Policy::read(&tree)?;
    findings.extend(licences::findings(&policy, &licences::dependencies(workspace)?));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    print!("{}", sizes::Report::new(&tree));
    match findings.len() {
        0 => Ok(()),
        1 => Err(Failure::new("tidy found 1 break")),
        count => Err(Failure::new(format!("tidy found {count} breaks"))),
    }
}

/// Everything but the licences, which only cargo can tell.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = documents::missing(tree);
    findings.extend(crates::folder_findings(tree));
    for file in tree.files() {
        findings.extend(sizes::findings(file));
        findings.extend(documents::text_findings(&file.path, &file.text));
        if file.path.ends_with(".rs") {
            findings.extend(source::findings(&file.path, &file.text));
        }
        if file.path.ends_with("/Cargo.toml") {
            findings.extend(crates::manifest_findings(&file.path, &file.text));
            findings.extend(crates::unused_arrow_findings(&file.path, &file.text));
        }
        if file.path.ends_with(".md") {
            findings.extend(crates::told_arrow_findings(&file.path, &file.text));
            findings.extend(documents::link_findings(&file.path, &file.text, |path| tree.contains(path)));
        }
    }
    findings
}
