//! `cargo xtask ci`: every check, in the order in which the cheap ones fail first. `.ci/run` calls this.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::process::{Failure, not_started, run, shown};
use crate::table::aligned;
use crate::workspace::Workspace;
use crate::{interop, tidy};

const HELP: &str = "\
Runs every check; the first that fails ends it.

usage: cargo xtask ci

Formatting, tidy and clippy, then the program on drawn pictures and, where they are beside the repository, on
../shared/photos, then the real tools of others, and last the tests. Assets and Python packages are fetched on the
first run. `.ci/run` does the same and first makes sure that what is needed is installed.";

/// `cargo xtask ci`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    arguments.finish("cargo xtask ci --help")?;
    let workspace = Workspace::find()?;
    let mut log = StepLog::default();
    checks(&workspace, &mut log)?;
    program(&workspace, &mut log)?;

    // The tests come last, so that the log ends with what they say.
    print!("\n{}", log.table());
    let mut count = TestCount::default();
    log.step("cargo test --release --workspace", || {
        count = test(&mut workspace.cargo(&["test", "--release", "--workspace"]))?;
        Ok(())
    })?;
    if count.passed == 0 {
        return Err(Failure::new("no test ran"));
    }
    println!("{count}");
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
    let drawn = workspace.empty_folder("ci")?.join("demo-drawn");
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
    log.step("cargo xtask interop --light", || interop::check(workspace, &interop::light(), &drawn))
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

/// How many tests passed and failed over all test programs. The last of them are documentation tests, often none, so
/// that the last line of cargo alone would read as if nothing had run.
#[derive(Debug, Default, PartialEq, Eq)]
struct TestCount {
    passed: usize,
    failed: usize,
}

impl TestCount {
    /// Adds a line such as `test result: ok. 12 passed; 0 failed; 0 ignored; ..`; any other changes nothing.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else { return };
        for part in counts.1.split("; ") {
            match part.split_once(' ').map(|(number, name)| (number.parse::<usize>(), name)) {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "failed")) => self.failed += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for TestCount {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Runs the tests, passes on what they print line by line, and counts.
fn test(command: &mut Command) -> Result<TestCount, Failure> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| not_started(command, &error))?;
    let mut count = TestCount::default();
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).split(b'\n')) {
        let line = line.map_err(|error| Failure::new(format!("could not read what the tests print: {error}")))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        count.add(&line);
    }
    let status = child.wait().map_err(|error| Failure::new(format!("could not wait for the tests: {error}")))?;
    if status.success() {
        return Ok(count);
    }
    println!("{count}");
    Err(Failure::new(format!("`{}` ended with {status}", shown(command))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_test_programs_are_summed() {
        let mut count = TestCount::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.08s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.08s",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "nothing: 9 passed; 9 failed",
        ] {
            count.add(line);
        }
        assert_eq!(count.to_string(), "43 passed, 2 failed");
    }

    #[test]
    fn a_failing_step_is_named_and_not_recorded() {
        let mut log = StepLog::default();
        log.step("good", || Ok(())).unwrap();
        let failure = log.step("bad", || Err(Failure::new("it broke"))).unwrap_err();
        assert_eq!(failure.to_string(), "error: bad: it broke");
        assert!(log.table().contains("good") && log.table().contains("total"));
        assert!(!log.table().contains("bad"));
    }

    #[test]
    fn tests_that_fail_are_a_failure() {
        assert!(test(crate::process::cargo().args(["--no-such-option"]).stderr(Stdio::null())).is_err());
    }
}
