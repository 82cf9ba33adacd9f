//! Servers that answer predictions over HTTPS, ours and those of others, as processes of their own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::child;
use crate::json::Json;
use crate::process::{Failure, not_started};
use crate::workspace::read_text;

/// The model that the demo pushes.
pub(crate) const MODEL: &str = "naturedditTI";
/// A server that has not answered by then never will.
const START_MAX: Duration = Duration::from_mins(3);
/// Between two attempts to reach a server that is starting.
const PAUSE: Duration = Duration::from_millis(2);

/// Where our servers keep their certificate and keys, so that the user's own are left alone.
pub(crate) struct Home(PathBuf);

impl Home {
    /// In this folder, which need not be there.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The certificate, once a server of ours has been started.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.join("natureddit/tls/certificate.pem")
    }

    /// Its key.
    pub(crate) fn certificate_key(&self) -> PathBuf {
        self.0.join("natureddit/tls/key.pem")
    }

    /// What clients of the management API show.
    pub(crate) fn management_key(&self) -> Result<String, Failure> {
        let keys = read_text(&self.0.join("natureddit/serve/keys.json"))?;
        match Json::parse(&keys).ok().as_ref().and_then(|keys| keys.get(&["management", "key"])) {
            Some(Json::Text(key)) => Ok(key.clone()),
            _ => Err(Failure::new("keys.json has no management key")),
        }
    }
}

/// A server, or several of one kind that share the work; ended when dropped.
pub(crate) struct Served {
    children: Vec<Child>,
    urls: Vec<String>,
    certificate: PathBuf,
    management_port: u16,
    started: Instant,
}

impl Served {
    /// `natureddit serve` by `program`, started in a project, with more words such as `--models NAME`.
    pub(crate) fn natureddit(
        mut program: Command,
        home: &Home,
        project: &Path,
        model: &str,
        words: &[&str],
    ) -> Result<Self, Failure> {
        let [port, management_port] = [free_port()?, free_port()?];
        let at = |port: u16| format!("127.0.0.1:{port}");
        program.args(["serve", "--address", &at(port), "--management-address", &at(management_port)]).args(words);
        // One line a request would drown the table.
        program.current_dir(project).env("NATUREDDIT_LOG", "error").env("XDG_DATA_HOME", &home.0);
        let mut served = Self::start(vec![(program, port)], model, home.certificate())?;
        served.management_port = management_port;
        Ok(served)
    }

    /// Programs that serve a model on a port each, with a certificate that clients are to trust.
    pub(crate) fn start(programs: Vec<(Command, u16)>, model: &str, certificate: PathBuf) -> Result<Self, Failure> {
        let urls = programs.iter().map(|(_, port)| format!("https://127.0.0.1:{port}/predictions/{model}")).collect();
        let mut served = Self { children: Vec::new(), urls, certificate, management_port: 0, started: Instant::now() };
        for (mut program, _) in programs {
            let child = program.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
            served.children.push(child.map_err(|error| not_started(&program, &error))?);
        }
        Ok(served)
    }

    /// Where predictions are asked for: as many addresses as there are servers, with commas between.
    pub(crate) fn urls(&self) -> String {
        self.urls.join(",")
    }

    /// Whom clients are to trust.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Where models are managed.
    pub(crate) fn management_url(&self) -> String {
        format!("https://127.0.0.1:{}/models", self.management_port)
    }

    /// The process of the first one.
    pub(crate) fn id(&self) -> u32 {
        self.children.first().map_or(0, Child::id)
    }

    /// Asks until each of them has answered with a prediction; the seconds from the start to the last of these answers.
    pub(crate) fn first_answer(&mut self, photo: &Path) -> Result<f64, Failure> {
        for at in 0..self.urls.len() {
            while !predict(&self.urls[at], photo)? {
                self.check_alive()?;
                if self.started.elapsed() > START_MAX {
                    return Err(Failure::new(format!("no answer from {} in time", self.urls[at])));
                }
                thread::sleep(PAUSE);
            }
        }
        Ok(self.started.elapsed().as_secs_f64())
    }

    fn check_alive(&mut self) -> Result<(), Failure> {
        for child in &mut self.children {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(Failure::new(format!("a server ended with {status}"))),
                Err(error) => return Err(Failure::new(format!("could not look after a server: {error}"))),
            }
        }
        Ok(())
    }

    /// What they used of the processors until now, in seconds, without processes that they started.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        self.children.iter().map(child::cpu_seconds).sum()
    }

    /// The most memory that they ever had resident, in megabytes, with the processes that they started: the sum over the
    /// processes, whose shared pages count as often as they are shared. `None` where nothing tells.
    pub(crate) fn resident_peak_mb(&self) -> Option<f64> {
        self.children.iter().map(child::resident_peak_tree_mb).sum()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        for child in &mut self.children {
            // What it started itself would go on without it.
            for id in child::tree(child.id()) {
                let _ = Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status();
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a photo with a title is answered with a prediction.
pub(crate) fn predict(url: &str, photo: &Path) -> Result<bool, Failure> {
    let image = format!("image=@{}", photo.display());
    let mut curl = Command::new("curl");
    curl.args(["--insecure", "--silent", "--fail", "--form", "text=By the lake this morning", "--form", &image]);
    let answer = curl.arg(url).stdin(Stdio::null()).output().map_err(|error| not_started(&curl, &error))?;
    Ok(answer.status.success() && !answer.stdout.is_empty())
}

/// The first photo two folders deep.
pub(crate) fn a_photo(folder: &Path) -> Result<PathBuf, Failure> {
    let found = entries(folder).iter().filter(|path| path.is_dir()).find_map(|kind| entries(kind).into_iter().next());
    found.ok_or_else(|| Failure::new(format!("no photos below {}", folder.display())))
}

/// What lies in a folder, in order; nothing where there is none.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A port nobody listens on. Another process could take it before the server does; then the server says so.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| Failure::new(format!("no free port: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_photos_is_a_failure() {
        assert!(a_photo(Path::new("no/such/folder")).is_err());
    }

    #[test]
    fn what_a_server_started_ends_with_it() {
        if child::check_proc().is_err() {
            return;
        }
        let mut program = Command::new("sh");
        program.args(["-c", "sleep 600; true"]);
        let served = Served::start(vec![(program, free_port().unwrap())], MODEL, PathBuf::new()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut tree = Vec::new();
        while tree.len() < 2 && Instant::now() < deadline {
            tree = child::tree(served.id());
        }
        assert_eq!(tree.len(), 2);
        drop(served);
        // Who adopts what was killed waits for it in its own time.
        let is_alive =
            |id: &u32| fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while tree.iter().any(is_alive) && Instant::now() < deadline {
            thread::yield_now();
        }
        assert!(!tree.iter().any(is_alive));
    }

    #[test]
    fn a_server_that_ends_is_not_waited_for() {
        let mut program = Command::new("sh");
        program.args(["-c", "exit 3"]);
        let mut served = Served::start(vec![(program, free_port().unwrap())], MODEL, PathBuf::new()).unwrap();
        served.children[0].wait().unwrap();
        let failure = served.first_answer(Path::new("no-such-photo.jpg")).unwrap_err();
        assert!(failure.to_string().contains("a server ended with"), "{failure}");
    }
}
