//! Twice as many posts as the server can answer, and then half as many.

use super::super::{Bar, Figure, number, report};
use super::Bench;
use crate::json::Json;
use crate::process::Failure;
use crate::served::MODEL;

/// What accepted requests may take of the unloaded p99.
const SLOWER_MAX: f64 = 4.0;
const SEED: &str = "7";
/// How many times as long as others are: what comes in the first second, before the server knows of the crowd, is late.
const LONGER: f64 = 4.0;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let (served, _) = bench.serve(&bench.project(), MODEL)?;
    let unloaded = bench.closed(&served, 1)?;
    let sustainable = bench.closed(&served, 8)?.per_second;
    let slow = (SLOWER_MAX * unloaded.p99).to_string();
    let seconds = bench.seconds();
    let phases = [(2.0, LONGER), (0.5, 1.0)];
    let phases = phases.map(|(times, longer)| format!("{:.2}:{}", times * sustainable, longer * seconds));
    let report = report(bench.load("open", &served, &bench.photos).args([SEED, &slow]).args(phases))?;
    let Some(Json::List(phases)) = report.get(&["phases"]) else {
        return Err(Failure::new("the load generator told of no phases"));
    };
    let [double, half] = phases.as_slice() else { return Err(Failure::new("there were two phases")) };
    let all = |name| Ok::<f64, Failure>(number(double, &[name])? + number(half, &[name])?);
    let count = |status: &str| {
        let of = |phase: &Json| phase.number(&["statuses", status]).unwrap_or(0.0);
        of(double) + of(half)
    };
    let other = all("requests")? - all("answered")? - count("503");
    let p99 = number(double, &["p99_ms"])?;
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    let barred = |name, unit, value, bar| Figure { name, value, unit, bar };
    let requests = number(double, &["requests"])?;
    let shed = requests - number(double, &["answered"])?;
    Ok(vec![
        plain("sustainable, 8 connections", "/s", sustainable),
        plain("twice that in an open loop: answered", "/s", number(double, &["per_second"])?),
        barred("  shed", "%", 100.0 * shed / requests, Bar::Over(0.0)),
        plain("  p99 of the refusals", "ms", double.number(&["refused_p99_ms"]).unwrap_or(0.0)),
        plain("  p50 of the predictions", "ms", number(double, &["p50_ms"])?),
        plain("  p99 of the predictions", "ms", p99),
        barred("  of the p99 of 1 connection", "x", p99 / unloaded.p99, Bar::AtMost(SLOWER_MAX)),
        barred(
            "half of that afterwards: 95 of 100 are answered as soon after",
            "s",
            number(half, &["settled_seconds"])?,
            Bar::AtMost(1.0),
        ),
        barred("neither answered nor refused with 503", "", other, Bar::AtMost(0.0)),
    ])
}
