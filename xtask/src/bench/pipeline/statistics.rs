//! Statistics of a table, beside TensorFlow Data Validation on the same file.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::super::{Bar, Figure, child, report};
use super::{Bench, median};
use crate::interop::VirtualEnvironment;
use crate::json::Json;
use crate::process::{Failure, run};

const ROWS: usize = 100_000;
const MANY_ROWS: usize = 1_000_000;
/// Their runs are in one process, after one import; ours are a process each, half of them before theirs.
const THEIR_RUNS: usize = 3;
const OUR_RUNS: usize = 10;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let python = VirtualEnvironment::prepare(&bench.workspace, "interop", "tfdv")?;
    let table = make_table(bench, &python, ROWS)?;
    println!("--- statistics of {ROWS} rows x 7 columns");
    let mut costs = ours(bench, &table, OUR_RUNS / 2)?;
    let theirs = theirs(bench, &python, &table)?;
    costs.extend(ours(bench, &table, OUR_RUNS - OUR_RUNS / 2)?);
    check_same(bench, &table, &theirs.found)?;
    println!("--- statistics of {MANY_ROWS} rows x 7 columns");
    let many = ours(bench, &make_table(bench, &python, MANY_ROWS)?, 1)?;

    let wall = median(costs.iter().map(|cost| cost.wall));
    let peak = |costs: &[child::Cost]| costs.iter().map(|cost| cost.peak_mb).fold(f64::NAN, f64::max);
    let figure = |name, value, unit, bar| Figure { name, value, unit, bar };
    Ok(vec![
        figure("statistics of 100,000 rows, against TFDV", theirs.seconds / wall, "x", Bar::AtLeast(60.0)),
        figure("  natureddit, its start included", wall, "s", Bar::None),
        figure("  TFDV, its import not counted", theirs.seconds, "s", Bar::None),
        figure("  peak resident memory", peak(&costs), "MB", Bar::Under(150.0)),
        figure("  peak resident memory of TFDV", theirs.peak_mb, "MB", Bar::None),
        figure("statistics of 1,000,000 rows", many[0].wall, "s", Bar::None),
        figure("  peak resident memory", peak(&many), "MB", Bar::Under(150.0)),
    ])
}

fn make_table(bench: &Bench, python: &VirtualEnvironment, rows: usize) -> Result<PathBuf, Failure> {
    let path = bench.folder.join(format!("posts-{rows}.csv"));
    let mut command = python.python();
    command.arg(bench.workspace.root().join("bench/make_table.py")).arg(&path).arg(rows.to_string());
    run(&mut command)?;
    Ok(path)
}

fn ours(bench: &Bench, table: &Path, runs: usize) -> Result<Vec<child::Cost>, Failure> {
    let out = bench.folder.join("FeatureStats.pb");
    let once = |_| {
        let mut command = bench.workspace.natureddit();
        command.args(["dataset", "stats", "--table"]).arg(table).arg("--out").arg(&out);
        child::measure(&mut command).map(|(_, cost)| cost)
    };
    (0..runs).map(once).collect()
}

struct Theirs {
    seconds: f64,
    peak_mb: f64,
    found: Json,
}

fn theirs(bench: &Bench, python: &VirtualEnvironment, table: &Path) -> Result<Theirs, Failure> {
    let mut command = python.python();
    command.arg(bench.workspace.root().join("bench/tfdv_statistics.py")).arg(table).arg(THEIR_RUNS.to_string());
    // Its warnings are many, and not about us.
    command.env("TF_CPP_MIN_LOG_LEVEL", "3").stderr(Stdio::null());
    let (printed, cost) = child::measure(&mut command)?;
    let bad = || Failure::new(format!("TFDV's report `{printed:.80}` is none"));
    let found = Json::parse(printed.trim()).map_err(|_| bad())?;
    let Some(Json::List(seconds)) = found.get(&["seconds"]) else { return Err(bad()) };
    let seconds = median(seconds.iter().filter_map(|one| one.number(&[])));
    Ok(Theirs { seconds, peak_mb: cost.peak_mb, found })
}

/// Who is faster must have found the same.
fn check_same(bench: &Bench, table: &Path, theirs: &Json) -> Result<(), Failure> {
    let mut command = bench.workspace.natureddit();
    let ours = report(command.args(["dataset", "stats", "--json", "--table"]).arg(table))?;
    let same = |what: &str, ours: Option<f64>, theirs: Option<f64>| {
        if ours.is_some() && ours == theirs {
            return Ok(());
        }
        Err(Failure::new(format!("{what}: natureddit found {ours:?}, TFDV {theirs:?}")))
    };
    same("examples", ours.number(&["examples"]), theirs.number(&["examples"]))?;
    let Some(Json::List(features)) = ours.get(&["features"]) else {
        return Err(Failure::new("our report has no features"));
    };
    let mut compared = 0;
    for feature in features {
        if let (Some(Json::Text(name)), Some(unique)) =
            (feature.get(&["name"]), feature.number(&["values", "text", "unique"]))
        {
            same(&format!("unique values of {name}"), Some(unique), theirs.number(&["uniques", name]))?;
            compared += 1;
        }
    }
    // The columns of texts that the table has.
    same("columns of texts", Some(4.0), Some(f64::from(compared)))
}
