//! `cargo xtask bench serve`: the server under load, by itself and beside what others serve the same with.

mod alone;
mod fastapi;
mod overload;
mod swap;
mod torchserve;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::made::{self, PhotoSet};
use super::{Part, measure_parts, median, number, report};
use crate::arguments::Arguments;
use crate::interop::VirtualEnvironment;
use crate::json::Json;
use crate::process::{Failure, run};
use crate::served::{Home, MODEL, Served, a_photo};
use crate::workspace::Workspace;

/// As many as differ when they are sent in turn, of the size in which photos are kept.
const PHOTOS: PhotoSet = PhotoSet { count: 512, width: 1980, height: 1320, bytes_max: Some(385_000) };
/// The encoders of the other model, those of the original: random weights take as long as others.
const SAME_ARCHITECTURE: &str = "

[model]
name = \"same\"
image_encoder = \"random:resnet-18?seed=1\"
text_encoder = \"random:bert-tiny?seed=1\"
precision = \"fp32\"

[infra_validator]
enabled = false

# It need not be good.
[evaluator]
majority_gain_min = 0.0
";

/// So that a photo that is sent again costs what it cost before.
const UNCACHED: &str = "
[serve]
embedding_cache_bytes_max = 0
";

const PARTS: [Part<Bench>; 5] = [
    ("alone", alone::measure),
    ("overload", overload::measure),
    ("fastapi", fastapi::measure),
    ("swap", swap::measure),
    ("torchserve", torchserve::measure),
];

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    let is_quick = arguments.switch("--quick");
    let has_turbojpeg = arguments.switch("--turbojpeg");
    let projects = arguments.path("--projects")?;
    let is_named = arguments.has("torchserve");
    let how = if is_quick { "few seconds each, once" } else { "medians of interleaved rounds" };
    measure_parts(&PARTS, || Bench::prepare(is_quick, has_turbojpeg, is_named, projects), arguments, how)
}

/// What every part of this bench needs.
struct Bench {
    workspace: Workspace,
    python: VirtualEnvironment,
    is_quick: bool,
    /// Whether photos are decoded with the feature `turbojpeg`.
    has_turbojpeg: bool,
    /// Whether TorchServe was asked for, so that it is installed where it is missing.
    installs_torchserve: bool,
    natureddit: PathBuf,
    load: PathBuf,
    photos: PathBuf,
    folder: PathBuf,
    home: Home,
    projects: PathBuf,
}

impl Bench {
    fn prepare(
        is_quick: bool,
        has_turbojpeg: bool,
        installs_torchserve: bool,
        projects: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let workspace = Workspace::find()?;
        let python = VirtualEnvironment::prepare(&workspace, "bench", "serve")?;
        let folder = workspace.empty_folder("bench-serve")?;
        let natureddit = match has_turbojpeg {
            false => workspace.build_natureddit().map(|()| workspace.natureddit_path())?,
            true => workspace.build_natureddit_with("turbojpeg")?,
        };
        let feature = has_turbojpeg.then_some("natureddit-image/turbojpeg");
        let load = workspace.build_example("load", feature, &folder)?;
        let photos = made::photos(&workspace, &python, PHOTOS)?;
        let (home, projects) = (Home::new(folder.join("home")), projects.unwrap_or_else(|| folder.join("projects")));
        let bench = Self {
            workspace,
            python,
            is_quick,
            has_turbojpeg,
            installs_torchserve,
            natureddit,
            load,
            photos,
            folder,
            home,
            projects,
        };
        bench.make_projects()?;
        Ok(bench)
    }

    /// Makes the projects of both models, unless they are there.
    fn make_projects(&self) -> Result<(), Failure> {
        let (default, same) = (self.project(), self.same_project());
        if !default.join("models").join(MODEL).exists() {
            run(self.natureddit().args(["demo", "--no-serve", "--dir"]).arg(&default))?;
            append(&default.join("natureddit.toml"), UNCACHED)?;
        }
        if !same.join("models/same").exists() {
            run(Command::new("cp").arg("-r").arg(&default).arg(&same))?;
            let models = same.join("models");
            let removed = fs::remove_dir_all(&models);
            removed.map_err(|error| Failure::new(format!("could not remove {}: {error}", models.display())))?;
            append(&same.join("natureddit.toml"), SAME_ARCHITECTURE)?;
            run(self.natureddit().arg("run").current_dir(&same))?;
        }
        Ok(())
    }

    /// With the model that the program makes by default.
    fn project(&self) -> PathBuf {
        self.projects.join("default")
    }

    /// With the model of the original's architecture.
    fn same_project(&self) -> PathBuf {
        self.projects.join("same")
    }

    /// The bundle that was pushed in a project.
    fn bundle(&self, project: &Path, model: &str) -> PathBuf {
        project.join("models").join(model).join("1")
    }

    fn natureddit(&self) -> Command {
        let mut command = Command::new(&self.natureddit);
        command.current_dir(&self.folder);
        command
    }

    /// Starts our server on a project and waits until it answers; the seconds until then.
    fn serve(&self, project: &Path, model: &str) -> Result<(Served, f64), Failure> {
        let mut served = Served::natureddit(self.natureddit(), &self.home, project, model, &[])?;
        let seconds = served.first_answer(&a_photo(&self.photos)?)?;
        Ok((served, seconds))
    }

    /// As [`Bench::serve`], with the settings of a new project.
    fn serve_by_default(&self, project: &Path, model: &str) -> Result<Served, Failure> {
        let folder = self.workspace.empty_folder("bench-serve-default")?;
        append(&folder.join("natureddit.toml"), "")?;
        let models = project.join("models").canonicalize();
        let models = models.map_err(|error| Failure::new(format!("no models in {}: {error}", project.display())))?;
        let words = ["--model-store", &models.to_string_lossy(), "--models", model];
        let mut served = Served::natureddit(self.natureddit(), &self.home, &folder, model, &words)?;
        served.first_answer(&a_photo(&self.photos)?)?;
        Ok(served)
    }

    /// How long a server is asked at a time, in seconds.
    fn seconds(&self) -> f64 {
        if self.is_quick { 4.0 } else { 15.0 }
    }

    /// How often what takes turns does so.
    fn rounds(&self) -> usize {
        if self.is_quick { 1 } else { 3 }
    }

    /// The load generator, to be told where to send the photos.
    fn load(&self, mode: &str, served: &Served, photos: &Path) -> Command {
        let mut load = Command::new(&self.load);
        load.args([mode, &served.urls()]).arg(served.certificate()).arg(photos);
        load
    }

    /// Asks a server on so many connections, after a few requests that do not count.
    fn closed(&self, served: &Served, connections: usize) -> Result<Cell, Failure> {
        let many = connections.to_string();
        report(self.load("count", served, &self.photos).args([&many, &(2 * connections).to_string()]))?;
        let before = served.cpu_seconds()?;
        let report = report(self.load("closed", served, &self.photos).args([&many, &self.seconds().to_string()]))?;
        let cell = Cell::of(&report, served.cpu_seconds()? - before)?;
        let urls = served.urls();
        println!("  {urls} at {connections}: {:.1}/s, p50 {:.1}, p99 {:.1} ms", cell.per_second, cell.p50, cell.p99);
        Ok(cell)
    }
}

/// Adds settings to a file, which need not be there.
fn append(settings: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().append(true).create(true).open(settings);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::new(format!("could not write {}: {error}", settings.display())))
}

/// A server asked on so many connections for a while.
#[derive(Clone, Copy)]
struct Cell {
    per_second: f64,
    /// In milliseconds.
    p50: f64,
    p99: f64,
    requests: f64,
    /// Without a prediction.
    failed: f64,
    posts: f64,
    /// The server's and the load generator's, in seconds of a processor.
    server_cpu: f64,
    load_cpu: f64,
}

impl Cell {
    fn of(report: &Json, server_cpu: f64) -> Result<Self, Failure> {
        let at = |name| number(report, &[name]);
        let requests = at("requests")?;
        Ok(Self {
            per_second: at("per_second")?,
            p50: at("p50_ms")?,
            p99: at("p99_ms")?,
            requests,
            failed: requests - at("answered")?,
            posts: at("posts")?,
            server_cpu,
            load_cpu: at("cpu_seconds")?,
        })
    }
}

/// What two servers did in turn, and how much one is of the other in the median of the rounds.
struct Pair {
    ours: Vec<Cell>,
    theirs: Vec<Cell>,
}

impl Pair {
    /// Asks both on so many connections, in rounds.
    fn measure(bench: &Bench, ours: &Served, theirs: &Served, connections: usize) -> Result<Self, Failure> {
        let mut pair = Self { ours: Vec::new(), theirs: Vec::new() };
        for _ in 0..bench.rounds() {
            pair.ours.push(bench.closed(ours, connections)?);
            pair.theirs.push(bench.closed(theirs, connections)?);
        }
        Ok(pair)
    }

    /// Ours as a multiple of theirs.
    fn ratio(&self, of: fn(&Cell) -> f64) -> f64 {
        median(self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| of(ours) / of(theirs)))
    }

    fn theirs(&self, of: fn(&Cell) -> f64) -> f64 {
        median(self.theirs.iter().map(of))
    }

    fn ours(&self, of: fn(&Cell) -> f64) -> f64 {
        median(self.ours.iter().map(of))
    }
}
