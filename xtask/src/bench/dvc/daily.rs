//! The daily update of a dataset of photos, from the simulated Reddit to remotes of DVC and git on the same disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::sandbox::Sandbox;
use super::super::{Bar, Figure, number};
use super::repository::place;
use super::{Bench, child, median, remove, sync};
use crate::json::Json;
use crate::process::{Failure, output, run};

/// Some 4,400 of these posts make the dataset, 86 of them by the last day.
const SEED: &str = "3";
const POSTS: &str = "4830";
/// Updates of the same day, each on a copy of the dataset before it.
const ROUNDS: usize = 3;
const SECONDS_MAX: f64 = 5.0;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let folder = place(bench, "daily");
    let base = folder.join("base");
    let sandbox = Sandbox::start(bench.program(bench.workspace.root()), &["--seed", SEED, "--posts", POSTS])?;
    sandbox.write_project(&base)?;
    let (since, until) = sandbox.window();
    let day = until.get(..DAY_LEN).unwrap_or_default();
    println!("--- a dataset of the posts before {day}");
    run(bench.program(&base).args(["collect", "--quiet", "--since", since, "--until", day]))?;
    let (mut updates, mut again, mut counts) = (Vec::new(), Vec::new(), (0.0, 0.0));
    for round in 0..ROUNDS {
        let project = prepare(bench, &folder, &base)?;
        let (seconds, report) = update(bench, &project, day)?;
        let count = |key: &str| number(&report, &["tasks", "merge_datasets", key]);
        counts = (count("posts")?, count("posts_new")?);
        let waited = number(&report, &["tasks", "obtain_posts", "seconds"])?;
        println!("round {} of {ROUNDS}: {seconds:.2} s, {waited:.2} s of them for the sandbox's posts", round + 1);
        updates.push(seconds);
        again.push(update(bench, &project, day)?.0);
        remove(&folder.join("round"))?;
    }
    let plain = |name, value, unit| Figure { name, value, unit, bar: Bar::None };
    let figures = vec![
        Figure { name: "daily, network included", value: median(updates), unit: "s", bar: Bar::Under(SECONDS_MAX) },
        plain("  posts of the dataset afterwards", counts.0, ""),
        plain("  posts that were new", counts.1, ""),
        plain("  the same day again, nothing new", median(again), "s"),
    ];
    drop(sandbox);
    remove(&folder)?;
    Ok(figures)
}

/// Of `2022-10-02T03:00:00Z`.
const DAY_LEN: usize = 10;

/// A copy of the dataset, versioned and pushed, as the update of the day before left it.
fn prepare(bench: &Bench, folder: &Path, base: &Path) -> Result<PathBuf, Failure> {
    let (round, project) = (folder.join("round"), folder.join("round/project"));
    std::fs::create_dir_all(&round)
        .map_err(|error| Failure::new(format!("could not make {}: {error}", round.display())))?;
    run(Command::new("cp").arg("-a").arg(base).arg(&project))?;
    bench.git(&round, &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"])?;
    bench.git(&project, &["init", "--quiet", "--initial-branch=main"])?;
    bench.git(&project, &["remote", "add", "origin", "../origin.git"])?;
    output(bench.program(&project).args(["dvc", "init", "--remote", "../remote"]))?;
    output(bench.program(&project).args(["dvc", "add", "data/posts.csv", "data/dropped.csv", "data/images"]))?;
    output(bench.program(&project).args(["dvc", "push"]))?;
    bench.git(&project, &["add", "natureddit.toml", ".dvc", "data/*.dvc", "data/.gitignore", "data/dataset.toml"])?;
    bench.git(&project, &["commit", "--quiet", "--message", "the day before"])?;
    bench.git(&project, &["push", "--quiet", "--set-upstream", "origin", "main"])?;
    sync()?;
    Ok(project)
}

/// The seconds of an update, and what it reports.
fn update(bench: &Bench, project: &Path, day: &str) -> Result<(f64, Json), Failure> {
    let (printed, cost) = child::measure(bench.program(project).args(["daily", "--date", day, "--json", "--quiet"]))?;
    Ok((cost.wall, Json::parse(&printed).map_err(Failure::new)?))
}
