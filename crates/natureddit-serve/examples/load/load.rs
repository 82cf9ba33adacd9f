//! Sending posts, in a closed loop and in an open one.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::Outcome;
use crate::connection::{Client, Target};
use crate::posts::Posts;
use crate::report::{Sample, own_cpu_seconds, summary};

/// Connections of an open loop: more than a server that sheds keeps waiting, so that posts leave when they are due.
const CONNECTIONS_OPEN: usize = 256;
/// What a thread of this program needs; there are hundreds.
const STACK_BYTES: usize = 512 * 1024;

/// When a closed loop ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// Nothing is sent any more after so long.
    Time(Duration),
    /// So many requests are sent.
    Requests(usize),
}

/// Posts that come by chance, so many a second for so long.
pub(crate) struct Phase {
    per_second: f64,
    lasts: Duration,
}

impl FromStr for Phase {
    type Err = Box<dyn std::error::Error>;

    fn from_str(words: &str) -> Outcome<Self> {
        let (per_second, seconds) = words.split_once(':').ok_or("a phase is RATE:SECONDS")?;
        Ok(Self { per_second: per_second.parse()?, lasts: Duration::from_secs_f64(seconds.parse()?) })
    }
}

/// Sends a post on each connection as soon as the one before is answered.
pub(crate) fn closed(targets: &[Target], posts: &Posts, connections: usize, until: Until) -> Outcome<Value> {
    let cpu = own_cpu_seconds()?;
    let start = Instant::now();
    let due = |number: usize| match until {
        Until::Time(lasts) => Some(start.elapsed()).filter(|now| *now < lasts),
        Until::Requests(count) => Some(start.elapsed()).filter(|_| number < count),
    };
    let samples = send(targets, posts, connections, start, due)?;
    let mut report = summary(&samples, start.elapsed().as_secs_f64());
    report["posts"] = json!(posts.len());
    report["cpu_seconds"] = json!(own_cpu_seconds()? - cpu);
    Ok(report)
}

/// Seconds of a phase are looked at from so many moments on.
const STEP: Duration = Duration::from_millis(100);

/// Sends posts when they are due, in phases with a report each. Their times count from when they were due, whenever they were
/// sent: what a slow server holds up is not left out. `settled_seconds` is the time from the beginning of a phase until
/// the first second of which 95 in 100 posts were answered within `slow_ms`; chance alone makes a few late at any rate.
pub(crate) fn open(targets: &[Target], posts: &Posts, seed: u64, slow_ms: f64, phases: &[Phase]) -> Outcome<Value> {
    let cpu = own_cpu_seconds()?;
    let arrivals = arrivals(seed, phases);
    let start = Instant::now();
    let due = |number: usize| {
        let due = *arrivals.get(number)?;
        thread::sleep(due.saturating_sub(start.elapsed()));
        Some(due)
    };
    let samples = send(targets, posts, CONNECTIONS_OPEN, start, due)?;
    let mut begins = Duration::ZERO;
    let mut reports = Vec::new();
    for phase in phases {
        let ends = begins + phase.lasts;
        let of_phase: Vec<Sample> =
            samples.iter().copied().filter(|sample| (begins..ends).contains(&sample.due)).collect();
        let mut report = summary(&of_phase, phase.lasts.as_secs_f64());
        let is_late = |sample: &&Sample| !sample.is_answered() || sample.took.as_secs_f64() * 1e3 > slow_ms;
        let second = |at: &Duration| {
            let second = begins + *at..begins + *at + Duration::from_secs(1);
            let of_second: Vec<_> = of_phase.iter().filter(|sample| second.contains(&sample.due)).collect();
            let late = of_second.iter().copied().filter(is_late).count();
            20 * late <= of_second.len()
        };
        let mut steps = (0..).map(|step| STEP * step).take_while(|at| *at < phase.lasts);
        report["settled_seconds"] = json!(steps.find(second).unwrap_or(phase.lasts).as_secs_f64());
        reports.push(report);
        begins = ends;
    }
    Ok(json!({ "phases": reports, "posts": posts.len(), "cpu_seconds": own_cpu_seconds()? - cpu }))
}

/// When posts are due: gaps that are exponentially distributed, a Poisson process.
fn arrivals(seed: u64, phases: &[Phase]) -> Vec<Duration> {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut arrivals, mut begins) = (Vec::new(), 0.0);
    for phase in phases {
        let ends = begins + phase.lasts.as_secs_f64();
        let mut at = begins;
        loop {
            at -= (1.0 - random.random::<f64>()).ln() / phase.per_second;
            if at >= ends {
                break;
            }
            arrivals.push(Duration::from_secs_f64(at));
        }
        begins = ends;
    }
    arrivals
}

/// Sends posts on so many connections until `due` has no more: it is given the number of a post and returns when that one is
/// due, which it waits for.
fn send(
    targets: &[Target],
    posts: &Posts,
    connections: usize,
    start: Instant,
    due: impl Fn(usize) -> Option<Duration> + Sync,
) -> Outcome<Vec<Sample>> {
    let next = AtomicUsize::new(0);
    let work = &|target| {
        let mut client = Client::new(target);
        let mut samples = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(due) = due(number) else { return samples };
            // A prediction without a word in it is none.
            let answer = client.exchange(posts.request(number)).ok().filter(|answer| !answer.body.is_empty());
            let status = answer.map(|answer| answer.status);
            samples.push(Sample { due, took: start.elapsed() - due, status });
        }
    };
    thread::scope(|scope| {
        let start = |target| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, move || work(target));
        let threads: Vec<_> = targets.iter().cycle().take(connections).map(start).collect::<Result<_, _>>()?;
        let mut samples = Vec::new();
        for thread in threads {
            samples.extend(thread.join().map_err(|_| "a connection's thread panicked")?);
        }
        Ok(samples)
    })
}
