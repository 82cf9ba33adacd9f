//! Beside what people would write today: FastAPI and uvicorn with the same graphs (`bench/fastapi_server.py`).

use std::process::Command;
use std::thread::available_parallelism;

use super::super::{Bar, Figure};
use super::{Bench, Pair};
use crate::process::Failure;
use crate::served::{MODEL, Served, a_photo, free_port};

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    // Ours first: it makes the certificate.
    let (ours, _) = bench.serve(&bench.project(), MODEL)?;
    let (theirs, seconds) = start(bench, false)?;
    let [one, eight, many] = {
        let [one, eight, many] = [1, 8, 32].map(|connections| Pair::measure(bench, &ours, &theirs, connections));
        [one?, eight?, many?]
    };
    let memory = theirs.resident_peak_mb().unwrap_or(f64::NAN);
    drop(theirs);
    let (draft, _) = start(bench, true)?;
    let draft = Pair::measure(bench, &ours, &draft, 8)?;
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    let barred = |name, unit, value, bar| Figure { name, value, unit, bar };
    let (times, times_draft) =
        if bench.has_turbojpeg { (Bar::None, Bar::AtLeast(1.3)) } else { (Bar::AtLeast(1.5), Bar::None) };
    let times_many = if bench.has_turbojpeg { Bar::None } else { Bar::AtLeast(1.5) };
    Ok(vec![
        plain("FastAPI, start to first prediction", "s", seconds),
        plain("  memory of all its processes", "MB", memory),
        plain("  1 connection", "/s", one.theirs(|cell| cell.per_second)),
        plain("  p50", "ms", one.theirs(|cell| cell.p50)),
        plain("  8 connections", "/s", eight.theirs(|cell| cell.per_second)),
        plain("  p99", "ms", eight.theirs(|cell| cell.p99)),
        plain("  32 connections", "/s", many.theirs(|cell| cell.per_second)),
        plain("ours against it: p50 at 1", "x", one.ratio(|cell| cell.p50)),
        barred("  throughput at 8", "x", eight.ratio(|cell| cell.per_second), times),
        barred("  p99 at 8", "x", eight.ratio(|cell| cell.p99), Bar::AtMost(0.5)),
        barred("  throughput at 32", "x", many.ratio(|cell| cell.per_second), times_many),
        barred(
            "  throughput at 8, its Pillow may decode less (draft)",
            "x",
            draft.ratio(|c| c.per_second),
            times_draft,
        ),
        plain("  p99 at 8, the same", "x", draft.ratio(|cell| cell.p99)),
    ])
}

/// One process for each core, each of one thread; until all have answered.
fn start(bench: &Bench, draft: bool) -> Result<(Served, f64), Failure> {
    let bundle = bench.bundle(&bench.project(), MODEL);
    let program = |port: u16| -> Command {
        let mut script = bench.python.script(&bench.workspace, "fastapi_server.py");
        script.arg(port.to_string()).arg(bench.home.certificate()).arg(bench.home.certificate_key()).arg(&bundle);
        script.args(draft.then_some("--draft"));
        script
    };
    let processes = available_parallelism().map_or(1, usize::from);
    let ports = (0..processes).map(|_| free_port()).collect::<Result<Vec<_>, _>>()?;
    let programs = ports.into_iter().map(|port| (program(port), port)).collect();
    let mut served = Served::start(programs, MODEL, bench.home.certificate())?;
    let seconds = served.first_answer(&a_photo(&bench.photos)?)?;
    Ok((served, seconds))
}
