//! A dataset of photos, and a remote that is S3, as moto serves it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use super::super::child::Cost;
use super::super::{Bar, Figure};
use super::repository::{DATA, Repository, place};
use super::{Bench, PHOTOS, Tool, median, remove, rename};
use crate::process::{Failure, not_started};

const ROUNDS: usize = 2;
const BUCKET: &str = "bucket";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let data = place(bench, "data");
    println!("--- {} files to S3", PHOTOS.count);
    bench.make_files(&data, PHOTOS, 0)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((push(bench, Tool::Theirs, &data)?, push(bench, Tool::Ours, &data)?));
    }
    remove(&data)?;
    let over = |value: fn(&Pushed, &Pushed) -> f64| median(rounds.iter().map(|(theirs, ours)| value(theirs, ours)));
    let rate = PHOTOS.count as f64;
    let plain = |name, value, unit| Figure { name, value, unit, bar: Bar::None };
    Ok(vec![
        Figure {
            name: "push to S3, cold",
            value: over(|theirs, ours| theirs.cold.wall / ours.cold.wall),
            unit: "x",
            bar: Bar::AtLeast(1.3),
        },
        Figure {
            name: "  processor time of dvc's over ours",
            value: over(|theirs, ours| theirs.cold.cpu / ours.cold.cpu),
            unit: "x",
            bar: Bar::AtLeast(5.0),
        },
        plain("  natureddit", rate / over(|_, ours| ours.cold.wall), "objects/s"),
        plain("  dvc", rate / over(|theirs, _| theirs.cold.wall), "objects/s"),
        plain("  processor time of natureddit", over(|_, ours| ours.cold.cpu), "s"),
        plain("  processor time of dvc", over(|theirs, _| theirs.cold.cpu), "s"),
        plain("push to S3, nothing changed", over(|theirs, ours| theirs.unchanged / ours.unchanged), "x"),
    ])
}

/// One tool's push.
struct Pushed {
    cold: Cost,
    unchanged: f64,
}

/// Pushes to a server of its own, which keeps all in memory and is slower the more it has.
fn push(bench: &Bench, tool: Tool, data: &Path) -> Result<Pushed, Failure> {
    let server = S3Server::start(bench)?;
    let top = place(bench, "s3");
    let more = format!("    endpointurl = {}\n", server.url);
    let repository = Repository::create(bench, tool, top.join("repo"), &format!("s3://{BUCKET}/data"), &more)?;
    rename(data, &repository.data())?;
    repository.once(&["add", DATA])?;
    let cold = repository.once(&["push"])?;
    let unchanged = repository.unchanged(&["push"])?;
    rename(&repository.data(), data)?;
    remove(&top)?;
    Ok(Pushed { cold, unchanged })
}

/// `bench/s3_server.py`, ended when dropped.
struct S3Server {
    child: Child,
    url: String,
}

impl S3Server {
    fn start(bench: &Bench) -> Result<Self, Failure> {
        let mut command = bench.script("s3_server.py");
        command.arg(BUCKET).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_started(&command, &error))?;
        let stdout = child.stdout.take();
        // Dropped, and with it ended, where it did not say what it must.
        let mut server = Self { child, url: String::new() };
        let line = stdout.and_then(|stdout| BufReader::new(stdout).lines().next()?.ok());
        server.url = line.ok_or_else(|| Failure::new("`s3_server.py` did not say where it is"))?;
        Ok(server)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
