//! `cargo xtask dist`: what is shipped.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::process::{Failure, output, run};
use crate::workspace::Workspace;

const HELP: &str = "\
Builds the program with the dist profile (fat LTO, stripped) and packs it.

usage: cargo xtask dist

Writes target/dist/natureddit-<version>-<target>.tar.gz with the program, README, LICENSE, CHANGELOG and the example
settings, and beside it a .sha256 file that `sha256sum --check` reads.";

/// What goes beside the program.
const DOCUMENTS: [&str; 4] = ["README.md", "LICENSE", "CHANGELOG.md", "natureddit.example.toml"];

/// `cargo xtask dist`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    arguments.finish("cargo xtask dist --help")?;
    let workspace = Workspace::find()?;
    run(&mut workspace.cargo(&["build", "--locked", "--profile", "dist", "--package", "natureddit"]))?;

    let name = format!("natureddit-{}-{}", env!("CARGO_PKG_VERSION"), host(&workspace)?);
    let folder = workspace.target().join("dist");
    let staging = workspace.empty_folder("dist")?;
    pack(&workspace, &folder, &staging.join(&name))?;

    let archive = format!("{name}.tar.gz");
    run(Command::new("tar").arg("-czf").arg(folder.join(&archive)).arg("-C").arg(&staging).arg(&name))?;
    let sum = sha256(&folder, &archive)?;
    write(&folder.join(format!("{archive}.sha256")), &sum)?;
    println!("{}", folder.join(&archive).display());
    print!("{sum}");
    Ok(())
}

/// Copies the program and the documents into a new folder.
fn pack(workspace: &Workspace, built: &Path, into: &Path) -> Result<(), Failure> {
    let program = format!("natureddit{}", std::env::consts::EXE_SUFFIX);
    fs::create_dir_all(into).map_err(|error| Failure::new(format!("could not make {}: {error}", into.display())))?;
    let documents = DOCUMENTS.iter().map(|name| (workspace.root().join(name), into.join(name)));
    for (from, to) in documents.chain([(built.join(&program), into.join(&program))]) {
        fs::copy(&from, &to).map_err(|error| Failure::new(format!("could not copy {}: {error}", from.display())))?;
    }
    Ok(())
}

/// The target this machine builds for by default, as rustc names it.
fn host(workspace: &Workspace) -> Result<String, Failure> {
    let version = output(&mut workspace.cargo(&["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("`cargo --version --verbose` names no host"))
}

/// The line of `sha256sum` for `file`; macOS has `shasum` instead.
fn sha256(folder: &Path, file: &str) -> Result<String, Failure> {
    let sum = output(Command::new("sha256sum").arg(file).current_dir(folder));
    sum.or_else(|_| output(Command::new("shasum").args(["-a", "256", file]).current_dir(folder)))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::new(format!("could not write {}: {error}", path.display())))
}
