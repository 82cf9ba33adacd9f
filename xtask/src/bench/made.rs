//! What is made once and kept in `target/bench`: photos and a dump.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interop::VirtualEnvironment;
use crate::process::{Failure, run};
use crate::workspace::{Workspace, read_text};

/// How many photos of which size.
#[derive(Clone, Copy)]
pub(super) struct PhotoSet {
    pub(super) count: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// What none is larger than; `None` for a quality that is the same for all.
    pub(super) bytes_max: Option<usize>,
}

/// Photos that are neither small nor large.
pub(super) const SMALL: PhotoSet = PhotoSet { count: 720, width: 1080, height: 810, bytes_max: None };

/// The folder of a set of photos.
pub(super) fn photos(workspace: &Workspace, python: &VirtualEnvironment, set: PhotoSet) -> Result<PathBuf, Failure> {
    let PhotoSet { count, width, height, bytes_max } = set;
    let mut script = python.script(workspace, "make_photos.py");
    let mut words = [count, width, height].map(|number| number.to_string()).to_vec();
    words.extend(bytes_max.iter().flat_map(|bytes| ["--bytes-max".to_owned(), bytes.to_string()]));
    made(workspace, &format!("photos-{width}x{height}"), "make_photos.py", &words, |folder| {
        script.arg(folder).args(&words)
    })
}

/// A dump of so many megabytes of text, one post in a hundred of `subreddit`.
pub(super) fn dump(
    workspace: &Workspace,
    python: &VirtualEnvironment,
    megabytes: usize,
    subreddit: &str,
) -> Result<PathBuf, Failure> {
    let mut script = python.script(workspace, "make_dump.py");
    let words = [megabytes.to_string(), subreddit.to_owned()];
    let folder =
        made(workspace, "dump", "make_dump.py", &words, |folder| script.arg(folder.join("posts.zst")).args(&words))?;
    Ok(folder.join("posts.zst"))
}

/// The folder `target/bench/{name}`: the one that is there if the same script made it with the same words, else made
/// anew by the command.
fn made<'a>(
    workspace: &Workspace,
    name: &str,
    script: &str,
    words: &[String],
    command: impl FnOnce(&Path) -> &'a mut Command,
) -> Result<PathBuf, Failure> {
    let folder = workspace.target().join("bench").join(name);
    let recipe = format!("{}{}\n", read_text(&workspace.root().join("bench").join(script))?, words.join(" "));
    // Written when all is made, so that half of it is never taken for the whole.
    let stamp = folder.join("recipe.txt");
    if fs::read_to_string(&stamp).is_ok_and(|made_by| made_by == recipe) {
        return Ok(folder);
    }
    println!("--- making {}", folder.display());
    let failed = |error| Failure::new(format!("could not write {}: {error}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    run(command(&folder))?;
    fs::write(&stamp, recipe).map_err(failed)?;
    Ok(folder)
}
