//! `natureddit sandbox` as a process of its own, and projects that collect from it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::child;
use crate::json::Json;
use crate::process::{Failure, not_started};

/// The simulator, ended when dropped.
pub(super) struct Sandbox {
    child: Child,
    since: String,
    until: String,
    host_map: Vec<(String, String)>,
}

impl Sandbox {
    /// Starts it by the command of the program, with more words, such as `--photos DIR`, on a free port.
    pub(super) fn start(mut command: Command, words: &[&str]) -> Result<Self, Failure> {
        command.args(["sandbox", "--port", "0", "--json"]).args(words);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| not_started(&command, &error))?;
        let printed = child.stdout.take().map(|stdout| first_document(BufReader::new(stdout)));
        // Dropped, and with it ended, where it did not say what it must.
        let mut sandbox = Self { child, since: String::new(), until: String::new(), host_map: Vec::new() };
        let serving = printed.flatten().ok_or_else(|| Failure::new("`natureddit sandbox` did not say where it is"))?;
        let text = |key: &str| match serving.get(&[key]) {
            Some(Json::Text(text)) => text.clone(),
            _ => String::new(),
        };
        (sandbox.since, sandbox.until) = (text("since"), text("until"));
        if let Some(Json::Object(hosts)) = serving.get(&["host_map"]) {
            let hosts = hosts.iter().filter_map(|(host, target)| match target {
                Json::Text(target) => Some((host.clone(), target.clone())),
                _ => None,
            });
            sandbox.host_map = hosts.collect();
        }
        Ok(sandbox)
    }

    /// The first moment of its posts, and one after the last.
    pub(super) fn window(&self) -> (&str, &str) {
        (&self.since, &self.until)
    }

    /// What it used of the processors until now, in seconds.
    pub(super) fn cpu_seconds(&self) -> Result<f64, Failure> {
        child::cpu_seconds(&self.child)
    }

    /// Makes a project that collects all its posts, with the default settings. Hosts of the map are asked without pauses.
    pub(super) fn write_project(&self, folder: &Path) -> Result<(), Failure> {
        let Self { since, until, .. } = self;
        let mut settings = format!("[collect]\nsince = \"{since}\"\nuntil = \"{until}\"\n\n[net.host_map]\n");
        for (host, target) in &self.host_map {
            let _ = writeln!(settings, "\"{host}\" = \"{target}\"");
        }
        write_settings(folder, &settings)
    }
}

/// Makes a project folder with these settings.
pub(super) fn write_settings(folder: &Path, settings: &str) -> Result<(), Failure> {
    let path = folder.join("natureddit.toml");
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, settings));
    written.map_err(|error| Failure::new(format!("could not write {}: {error}", path.display())))
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The JSON document that the lines begin with.
fn first_document(lines: impl BufRead) -> Option<Json> {
    let mut text = String::new();
    for line in lines.lines() {
        text.push_str(&line.ok()?);
        if let Ok(document) = Json::parse(&text) {
            return Some(document);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_without_waiting_for_the_end() {
        let lines = "{\n  \"posts\": 3\n}\nmore".as_bytes();
        assert_eq!(first_document(lines).and_then(|document| document.number(&["posts"])), Some(3.0));
        assert_eq!(first_document("{\n".as_bytes()), None);
    }
}
