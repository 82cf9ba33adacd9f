//! A server as a child of this process: started, asked, stopped; it never outlives its owner.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use natureddit_core::fs;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use super::requests::brief;
use super::{Candidate, ServerProgram};

/// The most that a server says before it is ready.
const READY_BYTES_MAX: usize = 64 * 1024;

/// What of its complaints is kept.
const COMPLAINTS_BYTES_MAX: usize = 4 * 1024;

/// How long the complaints of a server that has ended are waited for: a child of its own may keep them open.
const COMPLAINTS_TIMEOUT: Duration = Duration::from_secs(1);

/// A program that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("could not start the server {program}", program = program.display())]
pub(super) struct StartError {
    program: PathBuf,
    source: std::io::Error,
}

/// A running server. Dropped, it is killed.
pub(super) struct Server {
    child: Child,
    /// Closed when this process ends, however it ends: the sign to stop.
    alive: Option<ChildStdin>,
    complaints: JoinHandle<Vec<u8>>,
}

/// Where a server is reached.
#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) url: Url,
    /// The certificate to trust, PEM.
    #[serde(default)]
    pub(super) certificate: Option<PathBuf>,
}

impl Server {
    /// Starts the program.
    pub(super) fn start(server: &ServerProgram, candidate: &Candidate<'_>) -> Result<(Self, ChildStdout), StartError> {
        let failed = |source| StartError { program: server.program.clone(), source };
        let mut command = Command::new(&server.program);
        command.args((server.arguments)(candidate)).env_clear().envs(server.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for the run: to the server it would look as if the model could not be served.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let (alive, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let stdout = stdout.ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        let complaints = tokio::spawn(tail(stderr));
        Ok((Self { child, alive, complaints }, stdout))
    }

    /// Waits until it says where it listens; the reason where it does not. What it says later is read and dropped.
    pub(super) async fn ready(&mut self, stdout: ChildStdout, limit: Duration) -> Result<Ready, String> {
        match timeout(limit, read_ready(stdout)).await {
            Ok(Ok((ready, rest))) => {
                // A pipe that is full would hold the server up.
                tokio::spawn(tail(Some(rest)));
                Ok(ready)
            }
            Ok(Err(said)) => Err(self.why_not(&said).await),
            Err(_) => {
                let why = format!("the server was not ready within {} s", limit.as_secs_f64());
                Err(self.with_complaints(why).await)
            }
        }
    }

    /// The most memory it has held, in bytes; known on Linux.
    pub(super) fn memory_peak(&self) -> Option<u64> {
        let status = PathBuf::from(format!("/proc/{}/status", self.child.id()?));
        let text = fs::read_to_string(&status).ok()?;
        let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
        kibibytes.trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    /// Tells it to stop and waits; the reason where it does not stop, or not well.
    pub(super) async fn stop(mut self, limit: Duration) -> Result<(), String> {
        drop(self.alive.take());
        match timeout(limit, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.with_complaints(format!("the server ended with {}", told(status))).await),
            Ok(Err(error)) => Err(format!("the server could not be waited for: {error}")),
            Err(_) => {
                let why = format!("the server did not stop within {} s", limit.as_secs_f64());
                Err(self.with_complaints(why).await)
            }
        }
    }

    /// Why a server closed its standard output, or wrote what is not understood.
    async fn why_not(&mut self, said: &str) -> String {
        let why = match timeout(COMPLAINTS_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => format!("the server ended with {} before it was ready", told(status)),
            _ => "the server does not say where it listens".to_owned(),
        };
        let said = brief(said);
        let why = if said.is_empty() { why } else { format!("{why}; it wrote: {said}") };
        self.with_complaints(why).await
    }

    /// Ends it, if need be, and adds what it said last.
    async fn with_complaints(&mut self, why: String) -> String {
        // Fails for a server that has ended.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
        let said = timeout(COMPLAINTS_TIMEOUT, &mut self.complaints).await;
        let said = said.ok().and_then(Result::ok).map(|bytes| brief(&last_lines(&bytes))).unwrap_or_default();
        if said.is_empty() { why } else { format!("{why}; it said: {said}") }
    }
}

fn told(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// Reads a JSON object that says where the server listens; else all that was written.
async fn read_ready(mut stdout: ChildStdout) -> Result<(Ready, ChildStdout), String> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        // A pipe that cannot be read has ended.
        let count = stdout.read(&mut buffer).await.unwrap_or(0);
        said.extend_from_slice(&buffer[..count]);
        match serde_json::from_slice(&said) {
            Ok(ready) => return Ok((ready, stdout)),
            Err(error) if error.is_eof() && count > 0 && said.len() <= READY_BYTES_MAX => {}
            Err(_) => return Err(String::from_utf8_lossy(&said).into_owned()),
        }
    }
}

/// Reads to the end and keeps the last part.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut stream) = stream else { return Vec::new() };
    let mut tail = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        tail.extend_from_slice(&buffer[..count]);
        tail.drain(..tail.len().saturating_sub(COMPLAINTS_BYTES_MAX));
    }
    tail
}

fn last_lines(bytes: &[u8]) -> String {
    const LINES_MAX: usize = 4;
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join(" | ")
}
