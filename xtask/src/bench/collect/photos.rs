//! Photos from the simulator into a dataset: those that are stored as they come, and those that are shrunk, the latter
//! beside Pillow.

use std::path::Path;

use super::super::child::{self, Cost};
use super::super::made::{self, PhotoSet, SMALL};
use super::super::sandbox::Sandbox;
use super::super::{Bar, Figure, number};
use super::{Bench, median};
use crate::json::Json;
use crate::process::Failure;

/// So many that what both sides take to start and to end counts for little.
const LARGE: PhotoSet = PhotoSet { count: 144, width: 4000, height: 3000, bytes_max: None };
/// The settings that photos are shrunk by, for Pillow too.
const LONG_SIDE_MAX: &str = "1980";
const JPEG_QUALITY: &str = "90";
/// Runs of each kind, one kind after the other, so that a busy moment of the machine meets all.
const ROUNDS: usize = 3;
const MEMORY_MAX_MB: f64 = 300.0;
/// The cores that the simulator's time is shared out to.
const CORES: f64 = 2.0;

/// One collection of photos.
struct Run {
    photos: f64,
    cost: Cost,
    /// What the simulator used meanwhile, in CPU seconds.
    sandbox_cpu: f64,
}

impl Run {
    /// Photos a second of the clock on the wall.
    fn rate(&self) -> f64 {
        self.photos / self.cost.wall
    }

    /// Photos a second if the simulator had had a machine of its own.
    fn rate_without_sandbox(&self) -> f64 {
        self.photos / (self.cost.wall - self.sandbox_cpu / CORES)
    }
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let made = |set| made::photos(&bench.workspace, &bench.python, set);
    let (small, large) = (made(SMALL)?, made(LARGE)?);
    let folder = bench.workspace.empty_folder("bench-photos")?;
    let (mut stored, mut shrunk, mut pillow, mut draft) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        stored.push(collect(bench, &small, SMALL, &folder.join(format!("stored-{round}")))?);
        shrunk.push(collect(bench, &large, LARGE, &folder.join(format!("shrunk-{round}")))?);
        pillow.push(self::pillow(bench, &large, &folder.join("pillow"), &[])?);
        draft.push(self::pillow(bench, &large, &folder.join("draft"), &["--draft"])?);
    }
    let all = |runs: &[Run], value: fn(&Run) -> f64| median(runs.iter().map(value));
    let ratio = |value: fn(&Run) -> f64, others: &[Run]| {
        median(shrunk.iter().zip(others).map(|(ours, other)| value(ours) / other.rate()))
    };
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    let peak = stored.iter().chain(&shrunk).map(|run| run.cost.peak_mb).fold(0.0, f64::max);
    let cpu: fn(&Run) -> f64 = |run| 1e3 * run.cost.cpu / run.photos;
    let apart = Run::rate_without_sandbox;
    Ok(vec![
        Figure {
            name: "1080 x 810 photos, checked and stored, simulator apart",
            value: all(&stored, apart),
            unit: "photos/s",
            bar: Bar::AtLeast(300.0),
        },
        plain("  by the clock, simulator on the same cores", "photos/s", all(&stored, Run::rate)),
        plain("  processor time of collect", "ms/photo", all(&stored, cpu)),
        plain("  processor time of the simulator", "ms/photo", all(&stored, |run| 1e3 * run.sandbox_cpu / run.photos)),
        Figure {
            name: "4000 x 3000 photos, shrunk, against a pool of two Pillows",
            value: ratio(apart, &pillow),
            unit: "x",
            bar: Bar::AtLeast(bench.decoder.ratio_to_pillow()),
        },
        plain("  by the clock, simulator on the same cores", "x", ratio(Run::rate, &pillow)),
        plain("  against Pillow that may decode less (draft)", "x", ratio(apart, &draft)),
        plain("  collect, simulator apart", "photos/s", all(&shrunk, apart)),
        plain("  Pillow, two processes", "photos/s", all(&pillow, Run::rate)),
        plain("  processor time of collect", "ms/photo", all(&shrunk, cpu)),
        plain("  processor time of Pillow", "ms/photo", all(&pillow, cpu)),
        plain("  processor time of the simulator", "ms/photo", all(&shrunk, |run| 1e3 * run.sandbox_cpu / run.photos)),
        Figure {
            name: "peak resident memory of these collections",
            value: peak,
            unit: "MB",
            bar: Bar::Under(MEMORY_MAX_MB),
        },
    ])
}

/// Collects every photo of a folder into a new project.
fn collect(bench: &Bench, photos: &Path, set: PhotoSet, project: &Path) -> Result<Run, Failure> {
    let sandbox =
        Sandbox::start(bench.natureddit(bench.workspace.root()), &["--photos", &photos.display().to_string()])?;
    sandbox.write_project(project)?;
    let before = sandbox.cpu_seconds()?;
    let (printed, cost) = child::measure(bench.natureddit(project).args(["collect", "--json"]))?;
    let sandbox_cpu = sandbox.cpu_seconds()? - before;
    let report = Json::parse(&printed).map_err(Failure::new)?;
    let stored = number(&report, &["photos_stored"])?;
    if stored != set.count as f64 {
        return Err(Failure::new(format!("{stored} of {} photos were stored", set.count)));
    }
    Ok(Run { photos: stored, cost, sandbox_cpu })
}

/// The same by two processes with Pillow, their start included, as it is in ours.
fn pillow(bench: &Bench, photos: &Path, out: &Path, more: &[&str]) -> Result<Run, Failure> {
    let mut script = bench.script("pillow_pool.py");
    let (printed, cost) = child::measure(script.arg(photos).arg(out).args([LONG_SIDE_MAX, JPEG_QUALITY]).args(more))?;
    let report = Json::parse(&printed).map_err(Failure::new)?;
    Ok(Run { photos: number(&report, &["photos"])?, cost, sandbox_cpu: 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulators_time_is_shared_out_to_the_cores() {
        let cost = Cost { wall: 3.0, cpu: 5.0, peak_mb: 80.0 };
        let run = Run { photos: 600.0, cost, sandbox_cpu: 2.0 };
        assert_eq!((run.rate(), run.rate_without_sandbox()), (200.0, 300.0));
    }
}
