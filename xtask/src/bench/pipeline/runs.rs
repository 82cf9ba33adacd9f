//! `cargo xtask bench pipeline runs`: the whole pipeline on 50,000 examples whose features are in the embedding cache, with
//! nothing changed, and with one new day of 50 posts; such a day also on 5,000, to see what the older examples cost.
//!
//! The posts are made: small drawings, and features around a centre for each class (`many_examples`, an example of
//! natureddit-pipeline). What does not depend on how long the Trainer learns is measured: it learns for two epochs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::{Bench, Figure, median};
use crate::bench::{Bar, report};
use crate::json::Json;
use crate::process::{Failure, run};

const EXAMPLES: u64 = 50_000;
const FEW_EXAMPLES: u64 = 5_000;
/// A day is to cost what its own posts cost; this much is noise.
const GROWTH_MAX: f64 = 1.2;
const NEW: u64 = 50;
/// How often the run with nothing changed is timed.
const UNCHANGED_RUNS: usize = 7;

/// How well it learns is not what is measured. What is put into the embedding cache is of the encoders in floats.
const SETTINGS: &str = "[model]\nprecision = \"fp32\"\n\n[trainer]\nepochs_max = 2\n";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let workspace = &bench.workspace;
    // Fetching assets is not what is measured.
    run(workspace.natureddit().args(["model", "pull"]))?;
    let build = ["build", "--release", "--locked", "--workspace", "--example", "many_examples"];
    run(&mut workspace.cargo(&build))?;
    let (project, first) = filled(bench, "runs", EXAMPLES)?;
    let unchanged = unchanged(bench, &project)?;
    let many_day = new_day(bench, &project, EXAMPLES)?;
    let (few_project, _) = filled(bench, "runs-few", FEW_EXAMPLES)?;
    let few_day = new_day(bench, &few_project, FEW_EXAMPLES)?;
    let growth = many_day.before_trainer() / few_day.before_trainer();
    Ok(vec![
        Figure { name: "50,000 examples, first run", value: first.seconds, unit: "s", bar: Bar::None },
        Figure { name: "50,000 examples, nothing changed", value: unchanged, unit: "s", bar: Bar::Under(0.3) },
        Figure {
            name: "50 posts more, up to the Trainer",
            value: many_day.before_trainer(),
            unit: "s",
            bar: Bar::None,
        },
        Figure { name: "  against 5,000 examples", value: growth, unit: "x", bar: Bar::Under(GROWTH_MAX) },
        Figure { name: "50 posts more, all", value: many_day.seconds, unit: "s", bar: Bar::None },
    ])
}

/// A project with so many examples, after its first run.
fn filled(bench: &Bench, name: &str, examples: u64) -> Result<(PathBuf, Ran), Failure> {
    let project = bench.folder.join(name);
    fs::create_dir_all(&project).map_err(|error| Failure::new(format!("no folder {}: {error}", project.display())))?;
    let settings = project.join("natureddit.toml");
    fs::write(&settings, SETTINGS).map_err(|error| Failure::new(format!("{}: {error}", settings.display())))?;
    add(bench, &project, 0, examples, &["cached"])?;
    let first = Ran::of(bench, &project)?;
    first.print(&format!("the first run on {examples} examples"));
    Ok((project, first))
}

/// The run after a day of new posts.
fn new_day(bench: &Bench, project: &Path, examples: u64) -> Result<Ran, Failure> {
    add(bench, project, examples, NEW, &[])?;
    let ran = Ran::of(bench, project)?;
    ran.print(&format!("one new day of {NEW} posts on {examples} examples"));
    Ok(ran)
}

fn add(bench: &Bench, project: &Path, first: u64, count: u64, more: &[&str]) -> Result<(), Failure> {
    let program = bench.workspace.target().join("release/examples/many_examples");
    run(Command::new(program).arg(project).args([first.to_string(), count.to_string()]).args(more))
}

fn unchanged(bench: &Bench, project: &Path) -> Result<f64, Failure> {
    let mut seconds = Vec::new();
    for _ in 0..UNCHANGED_RUNS {
        let ran = Ran::of(bench, project)?;
        // A run that did something would be measured as one that did nothing.
        if ran.components.iter().any(|(_, outcome, _)| outcome != "cached") {
            return Err(Failure::new("something ran although nothing had changed"));
        }
        seconds.push(ran.seconds);
    }
    Ok(median(seconds))
}

/// What a run took, in all and by component.
struct Ran {
    seconds: f64,
    components: Vec<(String, String, f64)>,
}

impl Ran {
    fn of(bench: &Bench, project: &Path) -> Result<Self, Failure> {
        let began = Instant::now();
        let report = report(bench.workspace.natureddit().args(["run", "--quiet", "--json"]).current_dir(project))?;
        let seconds = began.elapsed().as_secs_f64();
        let Some(Json::List(list)) = report.get(&["components"]) else {
            return Err(Failure::new("the report has no components"));
        };
        let component = |entry: &Json| match (entry.get(&["component"]), entry.get(&["outcome"])) {
            (Some(Json::Text(name)), Some(Json::Text(outcome))) => {
                Some((name.clone(), outcome.clone(), entry.number(&["duration_ms"])? / 1000.0))
            }
            _ => None,
        };
        Ok(Self { seconds, components: list.iter().filter_map(component).collect() })
    }

    /// All components that come before the Trainer in the report, one after the other.
    fn before_trainer(&self) -> f64 {
        let before = self.components.iter().take_while(|(name, ..)| name != "Trainer");
        before.map(|(.., seconds)| seconds).sum()
    }

    fn print(&self, what: &str) {
        println!("--- {what}: {:.2} s", self.seconds);
        for (name, outcome, seconds) in &self.components {
            println!("  {name:<18} {outcome:<8} {seconds:>8.2} s");
        }
    }
}
