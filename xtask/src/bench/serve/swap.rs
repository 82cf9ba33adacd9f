//! Models come, go and change places while 10,000 requests are answered: none fails.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use super::super::made::{self, PhotoSet};
use super::super::{Bar, Figure, number};
use super::Bench;
use crate::json::Json;
use crate::process::{Failure, not_started, output, run};
use crate::served::{MODEL, Served, a_photo};

/// So small that the encoders take most of the time.
const SMALL: PhotoSet = PhotoSet { count: 64, width: 160, height: 120, bytes_max: None };
const CONNECTIONS: &str = "8";

/// What is done to the two versions, over and over; the first is there in the beginning, and at the end.
const CHANGES: [(&str, &str); 8] = [
    ("POST", "?url=naturedditTI/2&initial_workers=1&synchronous=true"),
    ("PUT", "/naturedditTI/2?min_worker=2&synchronous=true"),
    ("PUT", "/naturedditTI/2/set-default"),
    ("DELETE", "/naturedditTI/1"),
    ("PUT", "/naturedditTI/2?min_worker=1&synchronous=true"),
    ("POST", "?url=naturedditTI/1&initial_workers=1&synchronous=true"),
    ("PUT", "/naturedditTI/1/set-default"),
    ("DELETE", "/naturedditTI/2"),
];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let photos = made::photos(&bench.workspace, &bench.python, SMALL)?;
    let store = bench.folder.join("store");
    let versions = store.join(MODEL);
    fs::create_dir_all(&versions).map_err(|error| Failure::new(format!("could not make a model store: {error}")))?;
    for version in ["1", "2"] {
        run(Command::new("cp").arg("-r").arg(bench.bundle(&bench.project(), MODEL)).arg(versions.join(version)))?;
    }
    let words = ["--model-store", &store.to_string_lossy(), "--models", "naturedditTI/1"];
    let mut served = Served::natureddit(bench.natureddit(), &bench.home, &bench.project(), MODEL, &words)?;
    served.first_answer(&a_photo(&photos)?)?;

    let requests = if bench.is_quick { "1000" } else { "10000" };
    let mut load = bench.load("count", &served, &photos);
    let child = load.args([CONNECTIONS, requests]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| not_started(&load, &error))?;
    let mut stdout = child.stdout.take();
    let printed = thread::spawn(move || stdout.as_mut().map_or(Ok(String::new()), std::io::read_to_string));
    let mut changes = 0_usize;
    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
        for (method, path) in CHANGES {
            change(bench, &served, method, path)?;
            changes += 1;
        }
    }
    let printed = printed.join().ok().and_then(Result::ok).unwrap_or_default();
    let report = Json::parse(&printed).map_err(|reason| Failure::new(format!("no report of the load: {reason}")))?;
    let failed = number(&report, &["requests"])? - number(&report, &["answered"])?;
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    Ok(vec![
        plain("requests while models are changed", "", number(&report, &["requests"])?),
        Figure {
            name: "  changes that the server was told of",
            value: changes as f64,
            unit: "",
            bar: Bar::AtLeast(CHANGES.len() as f64),
        },
        plain("  answered", "/s", number(&report, &["per_second"])?),
        plain("  p99", "ms", number(&report, &["p99_ms"])?),
        Figure { name: "  without a prediction", value: failed, unit: "", bar: Bar::AtMost(0.0) },
    ])
}

/// Changes the models by the management API; a change that the server does not make is a failure.
fn change(bench: &Bench, served: &Served, method: &str, path: &str) -> Result<(), Failure> {
    let mut curl = Command::new("curl");
    let header = format!("authorization: Bearer {}", bench.home.management_key()?);
    curl.args(["--insecure", "--silent", "--show-error", "--fail-with-body", "--request", method, "--header", &header]);
    output(curl.arg(format!("{}{path}", served.management_url()))).map(drop)
}
