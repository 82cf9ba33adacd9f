//! The server by itself: start, memory, throughput, times, and where the processor's time goes.

use super::super::{Bar, Figure, median, number, report};
use super::{Bench, Cell};
use crate::process::Failure;
use crate::served::MODEL;

/// Posts that are worked on without a server.
const POSTS: usize = 384;
const STARTS: usize = 5;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let project = bench.project();
    let starts: Vec<f64> =
        (0..STARTS).map(|_| bench.serve(&project, MODEL).map(|(_, seconds)| seconds)).collect::<Result<_, _>>()?;
    let (served, _) = bench.serve(&project, MODEL)?;
    let [one, eight, many] = {
        let cells = [1, 8, 32].map(|connections| bench.closed(&served, connections));
        let [one, eight, many] = cells;
        [one?, eight?, many?]
    };
    let peak = served.resident_peak_mb().ok_or_else(|| Failure::new("no memory of the server in /proc"))?;
    drop(served);
    let again = {
        let served = bench.serve_by_default(&project, MODEL)?;
        // The first time fills the cache.
        bench.closed(&served, 8)?;
        bench.closed(&served, 8)?
    };
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    let barred = |name, unit, value, bar| Figure { name, value, unit, bar };
    let mut figures = vec![
        barred("start to first HTTPS prediction", "s", median(starts), Bar::AtMost(0.6)),
        barred("peak resident memory, after 32 connections", "MB", peak, Bar::AtMost(300.0)),
        plain("1 connection", "/s", one.per_second),
        plain("  p50", "ms", one.p50),
        plain("  p99", "ms", one.p99),
        plain("8 connections", "/s", eight.per_second),
        plain("  p50", "ms", eight.p50),
        plain("  p99", "ms", eight.p99),
        plain("32 connections", "/s", many.per_second),
        plain("  p50", "ms", many.p50),
        plain("  p99", "ms", many.p99),
        plain("8 connections, all posts in the embedding cache", "/s", again.per_second),
        plain("  p50", "ms", again.p50),
        barred(
            "requests without a prediction",
            "",
            [one, eight, many, again].iter().map(|c| c.failed).sum(),
            Bar::AtMost(0.0),
        ),
        barred("posts that differ", "", eight.posts, Bar::AtLeast(500.0)),
        plain("the generator's CPU a request, 8 connections", "ms", 1e3 * eight.load_cpu / eight.requests),
    ];
    figures.extend(cpu(bench, &eight)?);
    Ok(figures)
}

/// How much of the server's time under load is neither decoding nor encoding: all of it less what the same work takes in one
/// thread of a process that does nothing else.
fn cpu(bench: &Bench, cell: &Cell) -> Result<Vec<Figure>, Failure> {
    let mut work = std::process::Command::new(&bench.load);
    work.env("ORT_DISABLE_TELEMETRY", "1").arg("work").arg(bench.bundle(&bench.project(), MODEL));
    let report = report(work.arg(&bench.photos).arg(POSTS.to_string()))?;
    let at = |name| number(&report, &[name]);
    let server = 1e3 * cell.server_cpu / cell.requests;
    let outside = 100.0 * (1.0 - at("all_ms")? / server);
    let plain = |name, value| Figure { name, value, unit: "ms", bar: Bar::None };
    Ok(vec![
        plain("the server's CPU a request, 8 connections", server),
        plain("  of this: one post after the other decoded, tokenised and encoded", at("all_ms")?),
        Figure { name: "  outside of this", value: outside, unit: "%", bar: Bar::AtMost(15.0) },
        plain("  photos alone, decoded and made small one after the other", at("decode_ms")?),
        plain("  photos alone, encoded one after the other", at("image_ms")?),
        plain("  titles alone, tokenised and encoded", at("tokenise_ms")? + at("text_ms")?),
    ])
}
