//! pip, which knows where this machine gets packages from: it is asked for its index, and, where that cannot be asked
//! directly, for the wheel itself.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use std::{io, str};

use natureddit_core::Progress;
use natureddit_core::fs::{self, FsError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, Command};

use super::bytes_below;
use super::error::SourceError;
use super::wheel::Wheel;

/// How often the bytes on disk are counted: pip tells its own advance only to terminals.
const COUNT_INTERVAL: Duration = Duration::from_millis(200);

/// The longest that pip may take to say something about itself.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(60);

/// What of pip's complaints is kept.
const STDERR_LINES_MAX: usize = 4;

/// What of its answers is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Runs pip and ends it when the standard input is closed, as it is when this program is killed.
const WATCHED: &str = "import os, runpy, sys, threading; \
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start(); \
    sys.argv[0] = 'pip'; \
    runpy.run_module('pip', run_name='__main__', alter_sys=True)";

/// The address of the index that `pip download` would ask; credentials in it are stars.
pub(super) async fn index_url(python: &str) -> Result<String, SourceError> {
    // Its help names the index that the settings choose, or the one it was built with.
    let (settings, help) = tokio::try_join!(ask(python, &["config", "list"]), ask(python, &["download", "--help"]))?;
    let is_odd = |line: &&str| odd_setting(line).is_some();
    if let Some(line) = settings.lines().find(is_odd) {
        return Err(SourceError::Index { why: odd_setting(line).unwrap_or_default() });
    }
    default_index(&help).ok_or(SourceError::Index { why: "pip does not say which it uses" })
}

/// Why a line of pip's settings, `global.no-index='true'`, keeps others than pip from the index.
fn odd_setting(line: &str) -> Option<&'static str> {
    let (key, value) = line.split_once('=')?;
    let (section, name) = key.rsplit_once('.')?;
    let value = value.trim_matches(['\'', '"']);
    if !matches!(section, ":env:" | "global" | "download") || matches!(value, "" | "0" | "false" | "no" | "off") {
        return None;
    }
    match name {
        "no-index" => Some("pip is set to use none"),
        "proxy" => Some("pip is set to use a proxy"),
        "client-cert" => Some("pip is set to use a certificate of its own"),
        _ => None,
    }
}

/// The address in `--index-url <url>  Base URL of the Python Package Index (default ...).`
fn default_index(help: &str) -> Option<String> {
    let (_, rest) = help.split_once("--index-url <url>")?;
    let (_, rest) = rest.split_once("(default ")?;
    let (address, _) = rest.split_once(')')?;
    Some(address.trim().to_owned())
}

/// Downloads a wheel into a folder; what is there of an earlier download is of no use to pip.
pub(super) async fn download(
    python: &str,
    wheel: &Wheel,
    folder: &Path,
    timeout: Duration,
    progress: &Progress,
) -> Result<(), SourceError> {
    // pip gathers a file elsewhere and moves it at its end; here it can be seen growing.
    let gathering = folder.join("tmp");
    fs::remove_dir_all(&gathering)?;
    fs::create_dir_all(&gathering)?;
    let attempt = async |command: &[&str]| {
        let mut pip = pip(command);
        pip.args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]);
        if let Some(tag) = wheel.tag {
            pip.args(["--python-version", tag.python, "--implementation", tag.implementation]);
            pip.args(["--platform", tag.platform]);
        }
        pip.arg("-d").arg(folder).arg(format!("{}=={}", wheel.package, wheel.version));
        pip.env("TMPDIR", &gathering).stdout(Stdio::null());
        let Some(started) = start(&mut pip)? else { return Ok(None) };
        progress.start_bytes(&format!("downloading {} {} with pip", wheel.package, wheel.version), None);
        let ended = tokio::time::timeout(timeout, watch(started, folder, progress)).await;
        progress.finish();
        // The child is killed when it is dropped.
        let (status, stderr) = ended.map_err(|_| SourceError::PipTimeout { after: timeout })??;
        Ok(Some(Ended { status, stderr, stdout: Vec::new() }))
    };
    with_pip(python, attempt).await.map(|_| ())
}

/// What pip answers to a question about itself.
async fn ask(python: &str, arguments: &[&str]) -> Result<String, SourceError> {
    let attempt = async |command: &[&str]| {
        let mut pip = pip(command);
        // Wide enough that no line is broken.
        pip.args(arguments).arg("--disable-pip-version-check").env("COLUMNS", "10000").stdout(Stdio::piped());
        let Some(mut started) = start(&mut pip)? else { return Ok(None) };
        let (stdout, stderr) = (started.child.stdout.take(), started.child.stderr.take());
        let ended = async { tokio::join!(started.child.wait(), read_tail(stdout), read_tail(stderr)) };
        let ended = tokio::time::timeout(QUESTION_TIMEOUT, ended).await;
        let (status, stdout, stderr) = ended.map_err(|_| SourceError::PipTimeout { after: QUESTION_TIMEOUT })?;
        let status = status.map_err(|source| SourceError::PipStart { command: command.join(" "), source })?;
        Ok(Some(Ended { status, stdout, stderr: last_lines(&stderr) }))
    };
    let ended = with_pip(python, attempt).await?;
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// A pip that has ended.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: String,
}

/// Runs an attempt with each command by which pip may be had, until one is there.
async fn with_pip(
    python: &str,
    attempt: impl AsyncFn(&[&str]) -> Result<Option<Ended>, SourceError>,
) -> Result<Ended, SourceError> {
    let commands = commands(python);
    for command in &commands {
        match attempt(command).await? {
            Some(ended) if ended.status.success() => return Ok(ended),
            Some(Ended { stderr, .. }) if stderr.contains("No module named pip") => {}
            Some(Ended { status, stderr, .. }) => {
                return Err(SourceError::PipFailed { status: status.to_string(), stderr });
            }
            None => {}
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

fn pip(command: &[&str]) -> Command {
    let mut pip = Command::new(command[0]);
    if command.len() > 1 {
        pip.args(["-c", WATCHED]);
    }
    pip.stdin(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    pip
}

/// A running pip.
struct Started {
    child: Child,
    /// Closed when this program ends, however it ends.
    _alive: Option<ChildStdin>,
}

/// Starts pip; `None` if there is no such command.
fn start(pip: &mut Command) -> Result<Option<Started>, SourceError> {
    match pip.spawn() {
        // Waiting for a child closes its input, unless that is taken.
        Ok(mut child) => Ok(Some(Started { _alive: child.stdin.take(), child })),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => {
            let command = pip.as_std().get_program().to_string_lossy().into_owned();
            Err(SourceError::PipStart { command, source })
        }
    }
}

/// Counts bytes until pip has ended.
async fn watch(mut started: Started, folder: &Path, progress: &Progress) -> Result<(ExitStatus, String), SourceError> {
    let stderr = started.child.stderr.take();
    let ended = async { tokio::join!(started.child.wait(), read_tail(stderr)) };
    tokio::pin!(ended);
    let mut ticks = tokio::time::interval(COUNT_INTERVAL);
    let mut bytes = bytes_below(folder);
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
    Ok((status, last_lines(&stderr)))
}

/// Reads to the end and keeps the last part.
async fn read_tail(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    const BUFFER_BYTES: usize = 8 * 1024;
    let Some(mut stream) = stream else { return Vec::new() };
    let mut tail = Vec::new();
    let mut buffer = [0; BUFFER_BYTES];
    // A stream that cannot be read any more has ended.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        tail.extend_from_slice(&buffer[..count]);
        tail.drain(..tail.len().saturating_sub(ANSWER_BYTES_MAX));
    }
    tail
}

fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(STDERR_LINES_MAX)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn pip_ends_when_the_program_that_started_it_does() {
        if !Command::new("python3").args(["-m", "pip", "--version"]).output().await.is_ok_and(|o| o.status.success()) {
            // Past the capture of a passing test's output.
            let _ = writeln!(std::io::stderr(), "skipped: there is no pip on this machine");
            return;
        }
        // It takes the connection and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let index = format!("http://{}/simple", silent.local_addr().unwrap());
        let mut pip = pip(&["python3", "-m", "pip"]);
        pip.args(["download", "--isolated", "--timeout", "600", "--index-url", &index, "some-weights"]);
        let mut started = start(pip.stdout(Stdio::null())).unwrap().unwrap();
        let _connection = silent.accept().await.unwrap();
        assert_eq!(started.child.try_wait().unwrap(), None);
        // As the system does for a program that is killed.
        drop(started._alive);
        let ended = tokio::time::timeout(Duration::from_secs(60), started.child.wait()).await;
        assert_eq!(ended.expect("pip goes on").unwrap().code(), Some(1));
    }

    #[test]
    fn the_index_is_read_from_the_help() {
        let help = "  -i, --index-url <url>       Base URL of the Python Package Index (default https://a.example/simple). \
                    This should point to\n  --extra-index-url <url>     Extra URLs (default https://b.example)";
        assert_eq!(default_index(help).as_deref(), Some("https://a.example/simple"));
        assert_eq!(default_index("--index-url <url>  Base URL of the index."), None);
    }

    #[test]
    fn settings_that_only_pip_follows_are_seen() {
        for line in ["global.no-index='true'", ":env:.proxy='http://u:p@a.example:1'", "download.client-cert='/a.pem'"]
        {
            assert!(odd_setting(line).is_some(), "{line}");
        }
        for line in ["global.index-url='https://a.example'", "install.no-index='true'", ":env:.no-index='0'", "", "x"] {
            assert_eq!(odd_setting(line), None, "{line}");
        }
    }
}
