//! The server from the outside: how soon it answers, how much memory it takes.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::child::resident_peak_mb;
use super::{Bar, Figure};
use crate::process::{Failure, not_started};
use crate::workspace::Workspace;

/// The path of the model that the demo pushes.
const MODEL: &str = "naturedditTI";
/// A server that has not answered by then never will.
const START_MAX: Duration = Duration::from_secs(60);
/// Between two attempts to reach a server that is starting.
const PAUSE: Duration = Duration::from_millis(2);
/// Clients at a time and requests of each: several times the largest batch, so that memory is read after full batches
/// were worked off.
const CLIENTS: usize = 32;
const REQUESTS: usize = 8;

/// Starts the server on a project with a pushed model and asks it with the photos of `photos`.
pub(super) fn measure(workspace: &Workspace, photos: &Path, project: &Path) -> Result<Vec<Figure>, Failure> {
    let photos = some_photos(photos)?;
    let start = Instant::now();
    let mut server = ServerProcess::start(workspace, project)?;
    while !server.predict(&photos[0])? {
        server.check_alive()?;
        if start.elapsed() > START_MAX {
            return Err(Failure::new(format!("the server did not answer within {} s", START_MAX.as_secs())));
        }
        thread::sleep(PAUSE);
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut figures = vec![Figure {
        name: "serve: start to first HTTPS prediction",
        value: seconds,
        unit: "s",
        bar: Bar::Under(1.0),
    }];

    load(&server, &photos)?;
    match resident_peak_mb(&server.child) {
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
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let classes = entries(folder).into_iter().filter(|path| path.is_dir());
    let photos: Vec<_> = classes.flat_map(|class| entries(&class).into_iter().take(REQUESTS)).collect();
    if photos.is_empty() { Err(Failure::new(format!("no photos below {}", folder.display()))) } else { Ok(photos) }
}

/// Several clients at once, each with several requests; each must be answered.
fn load(server: &ServerProcess, photos: &[PathBuf]) -> Result<(), Failure> {
    let client = |number: usize| -> Result<(), Failure> {
        for photo in photos.iter().cycle().skip(number * REQUESTS).take(REQUESTS) {
            if !server.predict(photo)? {
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

/// `natureddit serve`, ended when dropped.
struct ServerProcess {
    child: Child,
    url: String,
}

impl ServerProcess {
    fn start(workspace: &Workspace, project: &Path) -> Result<Self, Failure> {
        let port = free_port()?;
        let mut command = workspace.natureddit();
        command.args(["serve", "--address", &format!("127.0.0.1:{port}")]).current_dir(project);
        // One line a request would drown the table.
        command.env("NATUREDDIT_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| not_started(&command, &error))?;
        Ok(Self { child, url: format!("https://127.0.0.1:{port}/predictions/{MODEL}") })
    }

    /// Whether a photo with a title is answered with a prediction.
    fn predict(&self, photo: &Path) -> Result<bool, Failure> {
        let image = format!("image=@{}", photo.display());
        let mut curl = Command::new("curl");
        curl.args(["--insecure", "--silent", "--fail", "--form", "text=By the lake this morning", "--form", &image]);
        let answer = curl.arg(&self.url).stdin(Stdio::null()).output().map_err(|error| not_started(&curl, &error))?;
        Ok(answer.status.success() && !answer.stdout.is_empty())
    }

    fn check_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Failure::new(format!("`natureddit serve` ended with {status}"))),
            Err(error) => Err(Failure::new(format!("could not look after `natureddit serve`: {error}"))),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port nobody listens on. Another process could take it before the server does; then the server says so.
fn free_port() -> Result<u16, Failure> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| Failure::new(format!("no free port: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_photos_is_a_failure() {
        assert!(some_photos(Path::new("no/such/folder")).is_err());
    }
}
