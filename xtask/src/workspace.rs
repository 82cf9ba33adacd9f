//! Where things are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Failure, cargo, run};

/// The repository's folder and cargo's output folder.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace this xtask was built in; its output folder is the one this program runs from
    /// (`<target>/release/xtask`), so `CARGO_TARGET_DIR` is honoured without being read.
    pub(crate) fn find() -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
        let program = std::env::current_exe().ok();
        let target = program.as_deref().and_then(Path::parent).and_then(Path::parent).map(Path::to_owned);
        match (root, target) {
            (Some(root), Some(target)) => Ok(Self { root, target }),
            _ => Err(Failure::new("could not find the workspace").hint("run it as `cargo xtask`")),
        }
    }

    /// The repository.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's output folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The real photos beside the repository, where they are present.
    pub(crate) fn shared_photos(&self) -> Option<PathBuf> {
        let photos = self.root.parent()?.join("shared/photos");
        photos.is_dir().then_some(photos)
    }

    /// Cargo, run in the repository.
    pub(crate) fn cargo(&self, words: &[&str]) -> Command {
        let mut command = cargo();
        command.args(words).current_dir(&self.root);
        command
    }

    /// The program, of the profile that the tests use.
    pub(crate) fn natureddit(&self) -> Command {
        let mut command = Command::new(self.natureddit_path());
        command.current_dir(&self.root);
        command
    }

    /// Where `cargo build --release` puts the program.
    pub(crate) fn natureddit_path(&self) -> PathBuf {
        program_in(&self.target)
    }

    /// Builds the program, so that what is run is what is in the tree.
    pub(crate) fn build_natureddit(&self) -> Result<(), Failure> {
        run(&mut self.cargo(&["build", "--release"]))
    }

    /// Builds the program with a feature that is off otherwise, in `target/{feature}` for it to replace no other; where it
    /// is.
    pub(crate) fn build_natureddit_with(&self, feature: &str) -> Result<PathBuf, Failure> {
        let target = self.target.join(feature);
        let mut build = self.cargo(&["build", "--release", "--features", feature, "--target-dir"]);
        run(build.arg(&target))?;
        Ok(program_in(&target))
    }

    /// Builds an example of one of our crates, with a feature that is off otherwise where one is named, and copies it into a
    /// folder, for no other build to replace it; where it is.
    pub(crate) fn build_example(&self, name: &str, feature: Option<&str>, into: &Path) -> Result<PathBuf, Failure> {
        // Of all crates together, so that what they need has the features that the tests have, and is built once.
        let mut build = self.cargo(&["build", "--release", "--workspace", "--example", name]);
        run(build.args(feature.iter().flat_map(|feature| ["--features", feature])))?;
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        let (built, copy) = (self.target.join("release/examples").join(&file), into.join(&file));
        let copied = fs::copy(&built, &copy);
        copied.map_err(|error| Failure::new(format!("could not copy {}: {error}", built.display())))?;
        Ok(copy)
    }

    /// An empty folder `target/xtask/{name}`: what an earlier run left there is removed.
    pub(crate) fn empty_folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.target.join("xtask").join(name);
        let removed = if folder.exists() { fs::remove_dir_all(&folder) } else { Ok(()) };
        removed
            .and_then(|()| fs::create_dir_all(&folder))
            .map_err(|error| Failure::new(format!("could not empty {}: {error}", folder.display())))?;
        Ok(folder)
    }
}

/// Where cargo puts the program in its output folder.
fn program_in(target: &Path) -> PathBuf {
    target.join("release").join(format!("natureddit{}", std::env::consts::EXE_SUFFIX))
}

/// Reads a text file; the path is in the error.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::new(format!("could not read {}: {error}", path.display())))
}
