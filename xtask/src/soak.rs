//! `cargo xtask soak`: a server among clients that are slow, that break off and that mean no good. Afterwards it must answer
//! as before and hold no more than before.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::bench::{Bar, Figure, child, conclude, number, report};
use crate::interop::demo_project;
use crate::json::Json;
use crate::process::Failure;
use crate::served::{Home, MODEL, Served};
use crate::workspace::Workspace;

const HELP: &str = "\
Sends good requests among broken ones to a server, and looks at what it answers and holds.

usage: cargo xtask soak [--minutes N] [--seed N] [--project DIR]

  --minutes N    how long (default: 1; a long one is 30)
  --seed N       what is sent when; the order among the eight clients is chance all the same (default: 7)
  --project DIR  a project folder with a pushed model (default: one made by `natureddit demo`)

Slow clients, resets in the middle of bodies, heads that never end, handshakes and records of TLS that are broken off,
random bytes with and without TLS, photos that claim or have very many pixels, half photos, wrong content types and bodies
that are too large. Needs Linux.";

const USAGE: &str = "cargo xtask soak --help";

/// Timeouts so short that connections which clients leave open are closed within the time that is waited for it.
const SETTINGS: &str = "\
[serve]
header_timeout = \"2s\"
body_timeout = \"5s\"
";

/// How much more memory may be resident at the end than after a quarter of the time: what the allocator keeps differs by
/// this from one moment to the next. What each request left behind would be more in thirty minutes.
const GROWTH_MAX: f64 = 1.25;

/// The threads that look at the model store and the keys every few seconds come when there is something to do first.
const SPARE_THREADS: f64 = 2.0;

/// `cargo xtask soak`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    let minutes = arguments.number("--minutes")?.unwrap_or(1.0);
    let seed = arguments.number("--seed")?.unwrap_or(7.0);
    let project = arguments.path("--project")?;
    arguments.finish(USAGE)?;
    let workspace = Workspace::find()?;
    workspace.build_natureddit()?;
    let project = match project {
        Some(project) => project,
        None => demo_project(&workspace)?,
    };
    run(&workspace, &project, minutes, seed)
}

/// For so many minutes with a model of a project.
pub(crate) fn run(workspace: &Workspace, project: &Path, minutes: f64, seed: f64) -> Result<(), Failure> {
    child::check_proc()?;
    let folder = workspace.empty_folder("soak")?;
    let load = workspace.build_example("load", None, &folder)?;
    let served = start(workspace, project, &folder)?;
    let mut command = Command::new(load);
    command.args(["faults", &served.id().to_string(), &served.urls()]);
    command.arg(served.certificate()).args([seed.to_string(), (60.0 * minutes).to_string()]);
    let report = report(&mut command)?;
    if let Some(Json::Object(sent)) = report.get(&["sent"]) {
        let words: Vec<_> =
            sent.iter().filter_map(|(name, count)| Some(format!("{name} {}", as_number(count)?))).collect();
        println!("sent: {}", words.join(", "));
    }
    conclude(&figures(&report)?, &format!("{minutes} minutes, seed {seed}"))
}

fn as_number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => Some(*number),
        _ => None,
    }
}

/// Starts the server in a folder of its own, and waits until it answers.
fn start(workspace: &Workspace, project: &Path, folder: &Path) -> Result<Served, Failure> {
    let models = project.join("models").canonicalize();
    let models = models.map_err(|error| Failure::new(format!("no models in {}: {error}", project.display())))?;
    let settings = folder.join("natureddit.toml");
    let photo = folder.join("photo.bmp");
    fs::write(&settings, SETTINGS)
        .and_then(|()| fs::write(&photo, PHOTO))
        .map_err(|error| Failure::new(format!("could not write into {}: {error}", folder.display())))?;
    let words = ["--model-store", &models.to_string_lossy(), "--models", MODEL];
    let mut served =
        Served::natureddit(workspace.natureddit(), &Home::new(folder.join("home")), folder, MODEL, &words)?;
    served.first_answer(&photo)?;
    Ok(served)
}

/// A white BMP of one pixel.
const PHOTO: &[u8] = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x04\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\0";

fn figures(report: &Json) -> Result<Vec<Figure>, Failure> {
    let at = |path: &[&str]| number(report, path);
    if report.get(&["right_at_the_end"]) != Some(&Json::Text("yes".to_owned())) {
        return Err(Failure::new(format!(
            "the server does not answer as before: {:?}",
            report.get(&["right_at_the_end"])
        )));
    }
    let (warm, end) = (at(&["warm", "resident_mb"])?, at(&["end", "resident_mb"])?);
    let barred = |name, unit, value, bar| Figure { name, value, unit, bar };
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    Ok(vec![
        plain("requests, and what was none", "", at(&["requests"])?),
        barred("answered in another way than they must be", "", at(&["wrong"])?, Bar::AtMost(0.0)),
        plain("resident memory at the start", "MB", at(&["start", "resident_mb"])?),
        plain("  after a quarter of the time", "MB", warm),
        barred("  at the end", "MB", end, Bar::AtMost(GROWTH_MAX * warm)),
        plain("open files at the start", "", at(&["start", "files"])?),
        barred("  at the end", "", at(&["end", "files"])?, Bar::AtMost(at(&["start", "files"])?)),
        plain("threads at the start", "", at(&["start", "threads"])?),
        barred("  at the end", "", at(&["end", "threads"])?, Bar::AtMost(at(&["start", "threads"])? + SPARE_THREADS)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"requests": 900, "wrong": 0, "right_at_the_end": "yes",
        "start": {"resident_mb": 200, "threads": 9, "files": 30},
        "warm": {"resident_mb": 240, "threads": 9, "files": 30},
        "end": {"resident_mb": 241, "threads": 9, "files": 30}}"#;

    fn missed(report: &str) -> usize {
        let figures = figures(&Json::parse(report).unwrap()).unwrap();
        figures.iter().filter(|figure| !figure.is_met()).count()
    }

    #[test]
    fn what_grew_or_was_wrong_is_missed() {
        assert_eq!(missed(GOOD), 0);
        assert_eq!(missed(&GOOD.replace("241", "310")), 1);
        assert_eq!(missed(&GOOD.replace(r#""wrong": 0"#, r#""wrong": 1"#)), 1);
        let leaks = GOOD.replace(
            r#""resident_mb": 241, "threads": 9, "files": 30"#,
            r#""resident_mb": 241, "threads": 12, "files": 31"#,
        );
        assert_eq!(missed(&leaks), 2);
    }

    #[test]
    fn a_server_that_answers_otherwise_at_the_end_is_a_failure() {
        let report = GOOD.replace("\"yes\"", "\"answered 500\"");
        assert!(figures(&Json::parse(&report).unwrap()).is_err());
    }
}
