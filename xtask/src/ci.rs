//! `cargo xtask ci`: every check but the tests, in the order in which the cheap ones fail first. `.ci/run` calls this and
//! then the tests.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::process::{Failure, run};
use crate::table::aligned;
use crate::workspace::Workspace;
use crate::{fuzz, interop, soak, tidy};

const HELP: &str = "\
Runs every check but the tests; the first that fails ends it.

usage: cargo xtask ci [--full] [--fuzz]

Formatting, tidy and clippy, then the program on drawn pictures and, where they are beside the repository, on
../shared/photos, a server among broken clients for a minute, then the real tools of others. Assets and Python packages
are fetched on the first run; the tests are compiled beside the last step. `.ci/run` makes sure that what is needed is installed, does this, and then runs the tests.

options:
  --full    then every seed of the tests that collecting loses nothing, with 100,000 posts from every source and 2,000
            posts with photos; the other tests run a few seeds of it. One seed alone, such as one that failed:
            NATUREDDIT_TEST_SEEDS=17 cargo test --release --workspace --test it -- properties
            And the real dvc with 200 kills of each command instead of 10
  --fuzz    then each fuzz target for a minute, as `cargo xtask fuzz` does";

/// `cargo xtask ci`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    let is_full = arguments.switch("--full");
    let is_fuzzing = arguments.switch("--fuzz");
    arguments.finish("cargo xtask ci --help")?;
    let workspace = Workspace::find()?;
    let mut log = StepLog::default();
    thread::scope(|scope| {
        // Mostly waits for the network, while cargo waits for the processor.
        let installed = scope.spawn(|| interop::install(&workspace, &interop::light()));
        checks(&workspace, &mut log)?;
        program(&workspace, &mut log)?;
        log.step("installing the tools of others", || joined(installed))
    })?;
    beside_others(&workspace, &mut log, is_full)?;
    if is_full {
        log.step("every seed of the properties", || run(&mut every_seed(&workspace)))?;
    }
    if is_fuzzing {
        log.step("cargo xtask fuzz", || fuzz::fuzz(&workspace))?;
    }

    print!("\n{}", log.table());
    Ok(())
}

/// What can be told from the source.
fn checks(workspace: &Workspace, log: &mut StepLog) -> Result<(), Failure> {
    log.step("cargo fmt --all --check", || run(&mut workspace.cargo(&["fmt", "--all", "--check"])))?;
    log.step("cargo xtask tidy", || tidy::run(workspace))?;
    let clippy = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
    log.step("cargo clippy", || run(&mut workspace.cargo(&clippy)))
}

/// What can be told from running the program.
fn program(workspace: &Workspace, log: &mut StepLog) -> Result<(), Failure> {
    log.step("cargo build --release", || workspace.build_natureddit())?;
    workspace.empty_folder("ci")?;
    let drawn = drawn(workspace);
    log.step("demo on drawn pictures", || {
        run(workspace.natureddit().args(["demo", "--no-serve", "--dir"]).arg(&drawn))
    })?;
    if let Some(photos) = workspace.shared_photos() {
        let real = drawn.with_file_name("demo-photos");
        log.step("demo on ../shared/photos", || {
            run(workspace.natureddit().args(["demo", "--no-serve", "--photos"]).arg(&photos).arg("--dir").arg(&real))
        })?;
    } else {
        println!("\nskipped: demo on ../shared/photos: the folder is absent");
    }
    log.step("cargo xtask soak", || soak::run(workspace, &drawn, 1.0, 7.0))
}

/// The project of the demo on drawn pictures.
fn drawn(workspace: &Workspace) -> PathBuf {
    workspace.target().join("xtask/ci/demo-drawn")
}

/// What can be told from the real tools of others. They keep one core busy at most, and so the tests, which come last, are
/// compiled meanwhile.
fn beside_others(workspace: &Workspace, log: &mut StepLog, is_full: bool) -> Result<(), Failure> {
    thread::scope(|scope| {
        let tests = ["test", "--release", "--workspace", "--no-run", "--quiet"];
        let compiled = scope.spawn(move || run(&mut workspace.cargo(&tests)));
        log.step("cargo xtask interop --light", || {
            interop::check(workspace, &interop::light(), &drawn(workspace), is_full)
        })?;
        log.step("cargo test --release --workspace --no-run", || joined(compiled))
    })
}

/// What came of work on another thread.
fn joined(work: thread::ScopedJoinHandle<'_, Result<(), Failure>>) -> Result<(), Failure> {
    work.join().unwrap_or_else(|_| Err(Failure::new("it panicked")))
}

/// The tests that collecting loses nothing, with every seed. The whole workspace is named, so that nothing is compiled
/// with other features than for the other tests.
fn every_seed(workspace: &Workspace) -> Command {
    let mut tests =
        workspace.cargo(&["test", "--release", "--workspace", "--test", "it", "--", "properties", "--nocapture"]);
    tests.env("NATUREDDIT_TEST_SEEDS", "all");
    tests
}

/// What ran and for how long.
#[derive(Default)]
struct StepLog {
    steps: Vec<(String, Duration)>,
}

impl StepLog {
    /// Runs one step between its heading and its duration.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        println!("\n=== {name}");
        let start = Instant::now();
        work().map_err(|failure| failure.within(name))?;
        let duration = start.elapsed();
        println!("=== {name}: {}", seconds(duration));
        self.steps.push((name.to_owned(), duration));
        Ok(())
    }

    /// The steps with their durations, and the sum.
    fn table(&self) -> String {
        let total = self.steps.iter().map(|(_, duration)| *duration).sum();
        let steps = self.steps.iter().map(|(name, duration)| (name.as_str(), *duration));
        let rows: Vec<_> =
            steps.chain([("total", total)]).map(|(name, duration)| [name.to_owned(), seconds(duration)]).collect();
        aligned(&rows)
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_named_and_not_recorded() {
        let mut log = StepLog::default();
        log.step("good", || Ok(())).unwrap();
        let failure = log.step("bad", || Err(Failure::new("it broke"))).unwrap_err();
        assert_eq!(failure.to_string(), "error: bad: it broke");
        assert!(log.table().contains("good") && log.table().contains("total"));
        assert!(!log.table().contains("bad"));
    }
}
