//! Runs the built program in a folder of its own and shows what it did as one text to compare.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// One command line, with an empty working folder and an empty home.
pub(crate) struct Natureddit {
    folder: TempDir,
    command: Command,
}

/// How a run ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A started program with its folder and home; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    folder: TempDir,
}

impl Running {
    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a program that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Natureddit {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_natureddit"));
        let work = real(folder.path()).join("work");
        fs::create_dir(&work).unwrap();
        command.current_dir(work).stdin(Stdio::null()).env("HOME", real(folder.path()).join("home"));
        // Cargo's own settings hand ORT_DISABLE_TELEMETRY on to tests; the program must set it without their help.
        let inherited = [
            "XDG_CACHE_HOME",
            "XDG_DATA_HOME",
            "NATUREDDIT_LOG",
            "NATUREDDIT_LOG_FORMAT",
            "COLUMNS",
            "CLICOLOR_FORCE",
            "TS_CONFIG_FILE",
        ];
        let mlflow = ["MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_TOKEN"];
        let secrets = ["ORT_DISABLE_TELEMETRY", "NATUREDDIT_REDDIT_CLIENT_ID"];
        for variable in inherited.into_iter().chain(secrets).chain(mlflow) {
            command.env_remove(variable);
        }
        Self { folder, command }
    }

    /// The working folder.
    pub(crate) fn dir(&self) -> PathBuf {
        real(self.folder.path()).join("work")
    }

    /// Writes a file into the working folder.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.command.args(args);
        self
    }

    /// As [`Natureddit::args`], of any number.
    pub(crate) fn arguments(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    /// What it reads from its standard input.
    pub(crate) fn stdin(mut self, stdin: Stdio) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Runs it in another folder than [`Natureddit::dir`].
    pub(crate) fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it; the folder lives until `self` is dropped.
    pub(crate) fn run(&mut self) -> Run {
        let output = self.command.output().unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts it and leaves it running.
    pub(crate) fn spawn(self, stdout: Stdio) -> Running {
        self.spawn_with(stdout, Stdio::piped())
    }

    /// As [`Natureddit::spawn`], with a standard error of its own.
    pub(crate) fn spawn_with(mut self, stdout: Stdio, stderr: Stdio) -> Running {
        let child = self.command.stdout(stdout).stderr(stderr).spawn().unwrap();
        Running { child, folder: self.folder }
    }

    /// Starts it with nobody to hear it, for those who wait for something else at the same time; with the folder that it
    /// needs for so long.
    pub(crate) fn spawn_unheard(mut self) -> (tokio::process::Child, TempDir) {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = tokio::process::Command::from(self.command).kill_on_drop(true).spawn().unwrap();
        (child, self.folder)
    }

    /// Runs it; exit code, standard output and standard error with what differs from run to run filtered out: the
    /// working folder is `[DIR]`, the home `[HOME]`, our version `[VERSION]`, and times are `[TIME]`.
    pub(crate) fn snapshot(mut self) -> String {
        let Run { code, stdout, stderr } = self.run();
        let code = code.map_or("killed".into(), |code| code.to_string());
        let text = format!("exit code: {code}\n----- stdout -----\n{stdout}----- stderr -----\n{stderr}");
        let home = real(self.folder.path()).join("home");
        let text = text.replace(self.dir().to_str().unwrap(), "[DIR]").replace(home.to_str().unwrap(), "[HOME]");
        let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
        text.lines().map(without_times).collect::<Vec<_>>().join("\n")
    }
}

/// `in 4.2 s` becomes `in [TIME]`.
fn without_times(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let unit = words.get(at + 1).is_some_and(|word| matches!(word.trim_end_matches([',', ';', ')']), "s" | "ms"));
        if unit && words[at].parse::<f64>().is_ok() {
            kept.push("[TIME]");
            at += 1;
        } else {
            kept.push(words[at]);
        }
        at += 1;
    }
    kept.join(" ")
}

/// The path without links: temporary folders are one on some systems.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap()
}

#[test]
fn a_running_program_keeps_its_folder_and_both_go_together() {
    let running = Natureddit::new().args(["sandbox", "--port", "0", "--posts", "3"]).spawn(Stdio::piped());
    let folder = running.folder.path().to_owned();
    assert!(folder.join("work").is_dir());
    drop(running);
    assert!(!folder.exists());
}

#[test]
fn times_are_filtered_and_nothing_else() {
    assert_eq!(without_times("done: embedding photos, 897 in 4.2 s"), "done: embedding photos, 897 in [TIME]");
    assert_eq!(without_times("  12 s of 3 photos"), "  [TIME] of 3 photos");
}
