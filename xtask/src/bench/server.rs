//! The server from the outside: how soon it answers, how much memory it takes.

use std::path::{Path, PathBuf};
use std::thread;

use super::{Bar, Figure};
use crate::process::Failure;
use crate::served::{Home, MODEL, Served, entries, predict};
use crate::workspace::Workspace;

/// Clients at a time and requests of each: several times the largest batch, so that memory is read after full batches
/// were worked off.
const CLIENTS: usize = 32;
const REQUESTS: usize = 8;

/// Starts the server on a project with a pushed model and asks it with the photos of `photos`.
pub(super) fn measure(workspace: &Workspace, photos: &Path, project: &Path) -> Result<Vec<Figure>, Failure> {
    let photos = some_photos(photos)?;
    let home = Home::new(workspace.target().join("xtask/bench/home"));
    let mut server = Served::natureddit(workspace.natureddit(), &home, project, MODEL, &[])?;
    let seconds = server.first_answer(&photos[0])?;
    let mut figures = vec![Figure {
        name: "serve: start to first HTTPS prediction",
        value: seconds,
        unit: "s",
        bar: Bar::Under(1.0),
    }];

    load(&server.urls(), &photos)?;
    match server.resident_peak_mb() {
        Some(value) => {
            let name = "serve: peak resident memory";
            figures.push(Figure { name, value, unit: "MB", bar: Bar::Under(450.0) });
        }
        None => println!("skipped: peak resident memory: this system has no /proc"),
    }
    Ok(figures)
}

/// The first photos of each class folder, so that sizes and formats are mixed.
fn some_photos(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let classes = entries(folder).into_iter().filter(|path| path.is_dir());
    let photos: Vec<_> = classes.flat_map(|class| entries(&class).into_iter().take(REQUESTS)).collect();
    if photos.is_empty() { Err(Failure::new(format!("no photos below {}", folder.display()))) } else { Ok(photos) }
}

/// Several clients at once, each with several requests; each must be answered.
fn load(url: &str, photos: &[PathBuf]) -> Result<(), Failure> {
    let client = |number: usize| -> Result<(), Failure> {
        for photo in photos.iter().cycle().skip(number * REQUESTS).take(REQUESTS) {
            if !predict(url, photo)? {
                return Err(Failure::new(format!("the server gave no prediction for {}", photo.display())));
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| Failure::new("a client panicked"))?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_photos_is_a_failure() {
        assert!(some_photos(Path::new("no/such/folder")).is_err());
    }
}
