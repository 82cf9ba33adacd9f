//! What tracking adds to a run when no server is named.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::super::{Bar, Figure, number, report};
use super::{Bench, median};
use crate::process::{Failure, run};
use crate::workspace::{Workspace, read_text};

/// Runs with tracking and without, one after the other.
const PAIRS: usize = 11;
/// Of a run.
const SHARE_MAX: f64 = 1.0;
/// The settings file of runs that are not tracked.
const UNTRACKED: &str = "untracked.toml";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let workspace = &bench.workspace;
    run(workspace.natureddit().args(["model", "pull"]))?;
    let project = bench.folder.join("demo");
    let mut demo = workspace.natureddit();
    demo.args(["demo", "--no-serve", "--quiet"]).arg("--dir").arg(&project);
    if let Some(photos) = workspace.shared_photos() {
        demo.arg("--photos").arg(photos);
    }
    run(&mut demo)?;
    write_untracked(&project)?;

    let (mut with, mut without, mut shares, mut told) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (seconds, tracking) = train(workspace, &project, "natureddit.toml")?;
        let tracking = tracking.ok_or_else(|| Failure::new("the report has no number `tracking.seconds`"))?;
        shares.push(100.0 * tracking / seconds);
        told.push(1000.0 * tracking);
        with.push(seconds);
        without.push(train(workspace, &project, UNTRACKED)?.0);
    }
    let plain = |name, value, unit| Figure { name, value, unit, bar: Bar::None };
    let share = median(shares);
    Ok(vec![
        Figure { name: "tracking, of a run that trains", value: share, unit: "%", bar: Bar::Under(SHARE_MAX) },
        plain("  tracking", median(told), "ms"),
        plain("  such a run with tracking", median(with), "s"),
        plain("  such a run without", median(without), "s"),
    ])
}

/// Trains again on cached features; the wall time, and what of it the program says that tracking took.
fn train(workspace: &Workspace, project: &Path, settings: &str) -> Result<(f64, Option<f64>), Failure> {
    let mut command: Command = workspace.natureddit();
    command.args(["run", "--force", "Trainer", "--json", "--quiet", "--config", settings]).current_dir(project);
    // A server that the environment names is not what is measured.
    command.env_remove("MLFLOW_TRACKING_URI");
    let start = Instant::now();
    let report = report(&mut command)?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((seconds, number(&report, &["tracking", "seconds"]).ok()))
}

fn write_untracked(project: &Path) -> Result<(), Failure> {
    let settings = read_text(&project.join("natureddit.toml"))?;
    let untracked = settings + "\n[tracking]\nenabled = false\n";
    let path = project.join(UNTRACKED);
    fs::write(&path, untracked).map_err(|error| Failure::new(format!("could not write {}: {error}", path.display())))
}
