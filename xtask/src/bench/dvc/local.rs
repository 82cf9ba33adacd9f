//! A dataset of photos, and a remote that is a folder.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::super::{Bar, Figure};
use super::repository::{DATA, Repository, check_same, place};
use super::{Bench, NEW, PHOTOS, Tool, median, remove, rename, size_of};
use crate::process::{Failure, output};

/// Rounds in which each tool does everything once.
const ROUNDS: usize = 3;
const TOOLS: [Tool; 3] = [Tool::Theirs, Tool::Ours, Tool::OursUnsynced];

/// The seconds of one tool's steps.
#[derive(Clone, Copy)]
struct Steps {
    add: f64,
    add_unchanged: f64,
    status_unchanged: f64,
    push: f64,
    push_unchanged: f64,
    pull: f64,
    pull_unchanged: f64,
    /// `add` and `push` of a day's new files.
    daily: f64,
}

/// All of one round, in the order of `TOOLS`.
struct Round {
    steps: [Steps; 3],
    /// The seconds `md5sum` took to read and hash the same files.
    md5sum: f64,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let data = place(bench, "data");
    bench.make_files(&data, PHOTOS, 0)?;
    let (bytes, _) = size_of(&data)?;
    println!("--- {} files, {:.2} GB", PHOTOS.count, bytes / 1e9);
    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        println!("--- round {} of {ROUNDS}", number + 1);
        rounds.push(round(bench, &data)?);
    }
    remove(&data)?;
    Ok(figures(&rounds, bytes / 1e6))
}

fn round(bench: &Bench, data: &Path) -> Result<Round, Failure> {
    let md5sum = md5sum(data)?;
    let mut pointers = Vec::new();
    let mut steps = Vec::new();
    for tool in TOOLS {
        let (times, pointer) = run_steps(bench, tool, data)?;
        steps.push(times);
        pointers.push(pointer);
    }
    for pointer in &pointers[1..] {
        check_same("the .dvc files of the same folder", pointer, &pointers[0])?;
    }
    let steps = steps.try_into().map_err(|_| Failure::new("not every tool was run"))?;
    Ok(Round { steps, md5sum })
}

/// All steps of one tool, in folders that are removed afterwards; the data goes back to where it was.
fn run_steps(bench: &Bench, tool: Tool, data: &Path) -> Result<(Steps, String), Failure> {
    let top = place(bench, "round");
    let repository = Repository::create(bench, tool, top.join("repo"), "../../remote", "")?;
    rename(data, &repository.data())?;
    let add = repository.once(&["add", DATA])?.wall;
    let pointer = repository.pointer()?;
    let add_unchanged = repository.unchanged(&["add", DATA])?;
    let status_unchanged = repository.unchanged(&["status"])?;
    let push = repository.once(&["push"])?.wall;
    let push_unchanged = repository.unchanged(&["push"])?;

    let clone = repository.clone_to(top.join("clone"))?;
    let pull = clone.once(&["pull"])?.wall;
    let pull_unchanged = clone.unchanged(&["pull"])?;
    if size_of(&clone.data())? != size_of(&repository.data())? {
        return Err(Failure::new(format!("{} pulled something else than it pushed", tool.name())));
    }

    let first = 1_000_000;
    bench.make_files(&repository.data(), NEW, first)?;
    let daily = repository.once(&["add", DATA])?.wall + repository.once(&["push"])?.wall;
    remove_from(&repository.data(), first)?;
    rename(&repository.data(), data)?;
    remove(&top)?;
    Ok((Steps { add, add_unchanged, status_unchanged, push, push_unchanged, pull, pull_unchanged, daily }, pointer))
}

/// Removes the files with this number or a larger one in their names.
fn remove_from(folder: &Path, first: usize) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("could not clear {}: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let number = stem.rsplit_once('_').and_then(|(_, number)| number.parse::<usize>().ok());
        if number.is_some_and(|number| number >= first) {
            std::fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// How long `md5sum` takes for every file; it is told in one command line.
fn md5sum(data: &Path) -> Result<f64, Failure> {
    let start = Instant::now();
    output(Command::new("sh").args(["-c", "md5sum -- *"]).current_dir(data))?;
    Ok(start.elapsed().as_secs_f64())
}

fn figures(rounds: &[Round], megabytes: f64) -> Vec<Figure> {
    let seconds = |tool: usize, step: fn(&Steps) -> f64| median(rounds.iter().map(|round| step(&round.steps[tool])));
    let ratio = |name, tool: usize, step: fn(&Steps) -> f64, bar: f64| {
        let value = median(rounds.iter().map(|round| step(&round.steps[0]) / step(&round.steps[tool])));
        Figure { name, value, unit: "x", bar: Bar::AtLeast(bar) }
    };
    let plain = |name, value, unit| Figure { name, value, unit, bar: Bar::None };
    let rate = |tool| megabytes / seconds(tool, |steps| steps.add);
    vec![
        ratio("add, cold, with the barrier", 1, |steps| steps.add, 2.0),
        ratio("add, cold, without", 2, |steps| steps.add, 2.5),
        plain("  dvc", rate(0), "MB/s"),
        plain("  natureddit with the barrier", rate(1), "MB/s"),
        plain("  natureddit without", rate(2), "MB/s"),
        plain("  md5sum alone", median(rounds.iter().map(|round| megabytes / round.md5sum)), "MB/s"),
        ratio("add, nothing changed", 1, |steps| steps.add_unchanged, 40.0),
        plain("  natureddit", 1e3 * seconds(1, |steps| steps.add_unchanged), "ms"),
        ratio("status, nothing changed", 1, |steps| steps.status_unchanged, 40.0),
        plain("  natureddit", 1e3 * seconds(1, |steps| steps.status_unchanged), "ms"),
        ratio("50 new files, add and push", 1, |steps| steps.daily, 15.0),
        plain("  natureddit", 1e3 * seconds(1, |steps| steps.daily), "ms"),
        ratio("push, cold, with the barrier", 1, |steps| steps.push, 1.3),
        ratio("push, cold, without", 2, |steps| steps.push, 2.0),
        plain("  natureddit with the barrier", seconds(1, |steps| steps.push), "s"),
        ratio("push, nothing changed", 1, |steps| steps.push_unchanged, 40.0),
        plain("  natureddit", 1e3 * seconds(1, |steps| steps.push_unchanged), "ms"),
        ratio("pull, cold, with the barrier", 1, |steps| steps.pull, 1.3),
        ratio("pull, cold, without", 2, |steps| steps.pull, 2.0),
        plain("  natureddit with the barrier", seconds(1, |steps| steps.pull), "s"),
        ratio("pull, nothing changed", 1, |steps| steps.pull_unchanged, 40.0),
        plain("  natureddit", 1e3 * seconds(1, |steps| steps.pull_unchanged), "ms"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_and_theirs_is_above() {
        let steps = |add| Steps {
            add,
            add_unchanged: 1.0,
            status_unchanged: 1.0,
            push: 1.0,
            push_unchanged: 1.0,
            pull: 1.0,
            pull_unchanged: 1.0,
            daily: 1.0,
        };
        let rounds = [4.0, 6.0, 90.0].map(|theirs| Round { steps: [theirs, 2.0, 1.0].map(steps), md5sum: 5.0 });
        let figures = figures(&rounds, 100.0);
        let value = |name| figures.iter().find(|figure| figure.name == name).map(|figure| figure.value);
        assert_eq!(value("add, cold, with the barrier"), Some(3.0));
        assert_eq!(value("add, cold, without"), Some(6.0));
        assert_eq!(value("  natureddit with the barrier"), Some(50.0));
        assert_eq!(value("  md5sum alone"), Some(20.0));
    }
}
