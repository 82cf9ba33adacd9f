//! `cargo xtask bench`: the bars the project promises, measured.

pub(crate) mod child;
mod collect;
mod dvc;
mod made;
mod model;
mod pipeline;
mod sandbox;
mod serve;
mod server;

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::json::Json;
use crate::process::{Failure, output, run};
use crate::table::aligned;
use crate::workspace::Workspace;

const HELP: &str = "\
Measures the bars the project promises and says which are met; exits with 1 if one is missed.

usage: cargo xtask bench [loop] [--photos DIR]
       cargo xtask bench collect [--turbojpeg]
       cargo xtask bench dvc [local|s3|many|daily]
       cargo xtask bench model [judge|retrain|speed] [--turbojpeg]
       cargo xtask bench pipeline [statistics|runs|tracking]
       cargo xtask bench serve [alone|overload|fastapi|swap|torchserve] [--quick] [--turbojpeg] [--projects DIR]

  loop          the whole loop on real photos: demo, second run, cross-validation, server; also without a word
  --photos DIR  photos and posts.csv (default: ../shared/photos; where that is absent, nothing is measured)

  collect       photos, a large dataset and a dump, from the simulated Reddit; beside Pillow where the bar is a ratio
  --turbojpeg   the photos alone, with the feature of this name; the program is built in target/turbojpeg; of `model`, the
                speed alone

  dvc           beside the real dvc: 4,432 files (1.5 GB) with a remote that is a folder (local) or S3 (s3), and 100,000
                small ones (many), and the daily update (daily, by itself); takes up to 10 GB in target/xtask, which are free again afterwards

  model         the head beside scikit-learn, on ../shared/photos (judge: ten minutes; without them it is skipped) and on 50,000
                made-up rows (retrain); embedding, and whole answers beside Python's ONNX Runtime and Pillow (speed)

  pipeline      statistics of tables of 100,000 and of a million rows, beside TensorFlow Data Validation (statistics; it
                takes 2.5 GB in target/interop and Python 3.11); 50,000 examples with nothing changed and with 50 new ones (runs);
                what tracking adds to a run that trains, without a server (tracking)

  serve         the server under load over HTTPS, with 512 photos of 1980 x 1320: by itself (alone), at twice the rate that it can
                do (overload), beside FastAPI with the same graphs (fastapi), while models are changed under 10,000 requests
                (swap); beside TorchServe only where it is named, or was installed by that before (torchserve: Java, 6 GB, and
                ../shared/peers)
  --quick       shorter and less often: to see that it works
  --projects DIR  keep the projects with the two models there, and take them from there the next time

`loop` is of this program alone. The others need Linux, and python3 (3.11 or newer) with pip and venv; what
`collect` makes once is kept in target/bench.";

const USAGE: &str = "cargo xtask bench --help";

/// How often the run with nothing changed is timed; the median counts.
const UNCHANGED_RUNS: usize = 5;

/// `cargo xtask bench`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    let word = arguments.word_unless_option();
    match word.as_deref() {
        None | Some("loop") => main_loop(arguments),
        Some("collect") => collect::main(arguments),
        Some("dvc") => dvc::main(arguments),
        Some("model") => model::main(arguments),
        Some("pipeline") => pipeline::main(arguments),
        Some("serve") => serve::main(arguments),
        Some(other) => Err(Failure::usage(format!("no bench `{other}`"), USAGE)),
    }
}

fn main_loop(arguments: &mut Arguments) -> Result<(), Failure> {
    let photos = arguments.path("--photos")?;
    arguments.finish(USAGE)?;

    let workspace = Workspace::find()?;
    let photos = match photos {
        Some(photos) => photos
            .canonicalize()
            .map_err(|error| Failure::new(format!("no folder of photos {}: {error}", photos.display())))?,
        None => match workspace.shared_photos() {
            Some(photos) => photos,
            None => {
                println!("skipped: ../shared/photos is absent");
                return Ok(());
            }
        },
    };
    measure_loop(&workspace, &photos)
}

fn measure_loop(workspace: &Workspace, photos: &Path) -> Result<(), Failure> {
    workspace.build_natureddit()?;
    // Fetching assets is not what is measured.
    run(workspace.natureddit().args(["model", "pull"]))?;
    let folder = workspace.empty_folder("bench")?;

    let project = folder.join("demo");
    let (wall, first) = measure_demo(workspace, photos, &project)?;
    let unchanged = measure_unchanged_run(workspace, &project)?;
    let (cross_validation, second) = measure_cross_validation(workspace, photos, &folder.join("all-labelled"))?;
    let mut figures = vec![wall, first.and(&second).figure(), unchanged, cross_validation];
    figures.extend(server::measure(workspace, photos, &project)?);

    conclude(&figures, "measured once, alone")
}

/// Prints the figures beside their bars; fails where one is missed.
pub(crate) fn conclude(figures: &[Figure], how: &str) -> Result<(), Failure> {
    let rows: Vec<_> = std::iter::once(["figure", "measured", "bar", ""].map(str::to_owned))
        .chain(figures.iter().map(Figure::row))
        .collect();
    let cores = available_parallelism().map_or(1, usize::from);
    println!("\n{}\n{how}, on {cores} cores; the bars are for two", aligned(&rows));
    match figures.iter().filter(|figure| !figure.is_met()).count() {
        0 => Ok(()),
        missed => Err(Failure::new(format!("{missed} of {} bars missed", figures.len()))),
    }
}

/// How many photos were embedded in what time.
struct Embedding {
    photos: f64,
    seconds: f64,
}

impl Embedding {
    fn of(report: &Json) -> Result<Self, Failure> {
        let photos = number(report, &["embedding", "photos"])?;
        Ok(Self { photos, seconds: number(report, &["embedding", "seconds"])? })
    }

    fn and(&self, other: &Self) -> Self {
        Self { photos: self.photos + other.photos, seconds: self.seconds + other.seconds }
    }

    fn figure(&self) -> Figure {
        let value = self.photos / self.seconds;
        Figure { name: "embedding, decoding included", value, unit: "photos/s", bar: Bar::AtLeast(120.0) }
    }
}

/// The whole demo, and the embedding in it. The demo's `--json` report is
/// `{"steps": [{"name": .., "seconds": ..}, ..], "embedding": {"photos": .., "seconds": ..}, ..}`.
fn measure_demo(workspace: &Workspace, photos: &Path, dir: &Path) -> Result<(Figure, Embedding), Failure> {
    let start = Instant::now();
    let report = demo(workspace, photos, dir, &[])?;
    let wall = start.elapsed().as_secs_f64();
    print_steps(&report);
    let figure = Figure { name: "demo --no-serve on real photos", value: wall, unit: "s", bar: Bar::Under(60.0) };
    Ok((figure, Embedding::of(&report)?))
}

fn demo(workspace: &Workspace, photos: &Path, dir: &Path, more: &[&str]) -> Result<Json, Failure> {
    let mut command = workspace.natureddit();
    command.args(["demo", "--no-serve", "--json", "--photos"]).arg(photos).arg("--dir").arg(dir).args(more);
    report(&mut command)
}

fn print_steps(report: &Json) {
    let Some(Json::List(steps)) = report.get(&["steps"]) else { return };
    let rows: Vec<_> = steps
        .iter()
        .filter_map(|step| match (step.get(&["name"]), step.number(&["seconds"])) {
            (Some(Json::Text(name)), Some(seconds)) => Some([format!("  {name}"), format!("{seconds:.2} s")]),
            _ => None,
        })
        .collect();
    print!("{}", aligned(&rows));
}

fn measure_unchanged_run(workspace: &Workspace, project: &Path) -> Result<Figure, Failure> {
    let mut seconds = Vec::new();
    for _ in 0..UNCHANGED_RUNS {
        let start = Instant::now();
        output(workspace.natureddit().arg("run").current_dir(project))?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let value = seconds[UNCHANGED_RUNS / 2];
    Ok(Figure { name: "run with nothing changed", value, unit: "s", bar: Bar::Under(0.3) })
}

/// On every labelled photo: the demo itself keeps some labels back.
fn measure_cross_validation(workspace: &Workspace, photos: &Path, dir: &Path) -> Result<(Figure, Embedding), Failure> {
    let embedding = Embedding::of(&demo(workspace, photos, dir, &["--labelled", "1"])?)?;
    let mut command = workspace.natureddit();
    let report = report(command.args(["model", "cross-validate", "--json"]).current_dir(dir))?;
    let value = number(&report, &["macro_f1_mean"])?;
    let figure = Figure { name: "macro-F1, mean of 5 grouped folds", value, unit: "", bar: Bar::AtLeast(0.97) };
    Ok((figure, embedding))
}

/// A part of a bench, and what it measures.
type Part<B> = (&'static str, fn(&B) -> Result<Vec<Figure>, Failure>);

/// Measures the part that is asked for, or all of them.
fn measure_parts<B>(
    parts: &[Part<B>],
    prepare: impl FnOnce() -> Result<B, Failure>,
    arguments: &mut Arguments,
    how: &str,
) -> Result<(), Failure> {
    let asked = arguments.word_unless_option();
    arguments.finish(USAGE)?;
    let parts: Vec<_> = parts.iter().filter(|(name, _)| asked.as_ref().is_none_or(|asked| asked == name)).collect();
    if parts.is_empty() {
        return Err(Failure::usage(format!("no part `{}` of this bench", asked.unwrap_or_default()), USAGE));
    }
    child::check_proc()?;
    let bench = prepare()?;
    let mut figures = Vec::new();
    for (_, measure) in parts {
        figures.extend(measure(&bench)?);
    }
    conclude(&figures, how)
}

/// The one in the middle.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What a command with `--json` prints.
pub(crate) fn report(command: &mut Command) -> Result<Json, Failure> {
    let printed = output(command)?;
    Json::parse(&printed).map_err(|reason| Failure::new(format!("the report `{printed:.80}` is not JSON: {reason}")))
}

/// The number at a path of a report.
pub(crate) fn number(report: &Json, path: &[&str]) -> Result<f64, Failure> {
    report.number(path).ok_or_else(|| Failure::new(format!("the report has no number `{}`", path.join("."))))
}

/// What was measured and what it must reach.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) bar: Bar,
}

/// What a figure must be.
pub(crate) enum Bar {
    Under(f64),
    AtMost(f64),
    AtLeast(f64),
    Over(f64),
    /// Nothing is promised; the figure stands beside others.
    None,
}

impl Figure {
    /// Whether it is what it must be.
    pub(crate) fn is_met(&self) -> bool {
        match self.bar {
            Bar::Under(bar) => self.value < bar,
            Bar::AtMost(bar) => self.value <= bar,
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::Over(bar) => self.value > bar,
            Bar::None => true,
        }
    }

    fn row(&self) -> [String; 4] {
        let (bar, verdict) = match (&self.bar, self.is_met()) {
            (Bar::None, _) => (String::new(), ""),
            (bar, true) => (format!("{bar} {}", self.unit), "met"),
            (bar, false) => (format!("{bar} {}", self.unit), "MISSED"),
        };
        [self.name.to_owned(), format!("{:.3} {}", self.value, self.unit), bar, verdict.to_owned()]
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bar::Under(bar) => write!(out, "< {bar}"),
            Bar::AtMost(bar) => write!(out, "<= {bar}"),
            Bar::AtLeast(bar) => write!(out, ">= {bar}"),
            Bar::Over(bar) => write!(out, "> {bar}"),
            Bar::None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_or_missed() {
        let figure = |value, bar| Figure { name: "it", value, unit: "s", bar };
        assert_eq!(figure(0.25, Bar::Under(0.3)).row(), ["it", "0.250 s", "< 0.3 s", "met"]);
        assert_eq!(figure(0.3, Bar::Under(0.3)).row()[3], "MISSED");
        assert_eq!(figure(7.0, Bar::None).row(), ["it", "7.000 s", "", ""]);
        assert!(figure(120.0, Bar::AtLeast(120.0)).is_met() && figure(0.03, Bar::AtMost(0.03)).is_met());
        assert!(!figure(0.0, Bar::Over(0.0)).is_met());
        assert!(!figure(f64::NAN, Bar::AtLeast(120.0)).is_met() && !figure(f64::NAN, Bar::Under(1.0)).is_met());
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_report_without_its_number_is_a_failure_that_names_it() {
        let report = Json::parse(r#"{"embedding": {"photos": 897}}"#).unwrap();
        assert_eq!(number(&report, &["embedding", "photos"]).unwrap(), 897.0);
        let failure = number(&report, &["embedding", "seconds"]).unwrap_err();
        assert_eq!(failure.to_string(), "error: the report has no number `embedding.seconds`");
    }
}
