//! Good requests among broken ones, for a while; what the server holds before and after.

mod kinds;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use natureddit_core::fs;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::Outcome;
use crate::connection::Target;
use kinds::{Kind, Outside};

/// Clients at a time; each sends one thing after the other.
const CLIENTS: u64 = 8;
/// The share of the time after which what the server holds is looked at for the first time.
const WARM_UP: f64 = 0.25;
/// How long every client sends nothing but what takes most memory.
const WORST: Duration = Duration::from_secs(5);
/// The longest that connections may stay open after their clients have gone.
const SETTLE_MAX: Duration = Duration::from_secs(15);
/// So many threads more than in the beginning may stay: those that look at the model store and the keys every few seconds.
const SPARE_THREADS: usize = 2;
const PAUSE: Duration = Duration::from_millis(100);
/// So many of the answers that were wrong are told in words.
const TOLD_MAX: usize = 10;

/// Sends the mix and tells what became of it.
pub(crate) fn run(process: u32, target: &Target, seed: u64, lasts: Duration) -> Outcome<Value> {
    let outside = Outside::new(target)?;
    let start = Resources::of(process)?;
    let tally = Mutex::new(Tally::default());
    let warm_up = lasts.mul_f64(WARM_UP);
    let some = |random: &mut SmallRng| Kind::choose(random);
    mix(&outside, seed, warm_up, &tally, some)?;
    // All at once, so that the allocator has what it will ever need before memory is looked at.
    mix(&outside, seed, WORST, &tally, |_| Kind::Bomb)?;
    let warm = settle(process, &start)?;
    mix(&outside, seed + CLIENTS, lasts - warm_up, &tally, some)?;
    let end = settle(process, &start)?;
    let still_right = outside.check_all().map_or_else(|error| error.to_string(), |()| "yes".to_owned());
    let tally = tally.into_inner().map_err(|_| "a client panicked")?;
    for wrong in &tally.wrong {
        eprintln!("wrong: {wrong}");
    }
    Ok(json!({
        "sent": tally.counts,
        "requests": tally.counts.values().sum::<usize>(),
        "wrong": tally.wrong_count,
        "right_at_the_end": still_right,
        "start": start.report(),
        "warm": warm.report(),
        "end": end.report(),
    }))
}

/// How often each kind was sent, and what went wrong.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, usize>,
    wrong_count: usize,
    wrong: Vec<String>,
}

/// All clients for so long, each with random numbers of its own by which it chooses.
fn mix(
    outside: &Outside<'_>,
    seed: u64,
    lasts: Duration,
    tally: &Mutex<Tally>,
    choose: impl Fn(&mut SmallRng) -> Kind + Sync,
) -> Outcome<()> {
    let start = Instant::now();
    let client = &|number: u64| {
        let mut random = SmallRng::seed_from_u64(seed + number);
        while start.elapsed() < lasts {
            let kind = choose(&mut random);
            let became = outside.send(kind, &mut random);
            let Ok(mut tally) = tally.lock() else { return };
            *tally.counts.entry(kind.name()).or_default() += 1;
            if let Err(wrong) = became {
                tally.wrong_count += 1;
                if tally.wrong.len() < TOLD_MAX {
                    tally.wrong.push(format!("{}: {wrong}", kind.name()));
                }
            }
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| "a client panicked"))
    })?;
    Ok(())
}

/// What a process holds.
struct Resources {
    resident_mb: f64,
    threads: usize,
    files: usize,
}

impl Resources {
    /// Now, from `/proc` (proc(5)).
    fn of(process: u32) -> Outcome<Self> {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let status = fs::read_to_string(&folder.join("status"))?;
        let value = |name: &str| -> Outcome<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let value = line.and_then(|line| line.split_whitespace().next()).ok_or("a line of status is missing")?;
            Ok(value.parse()?)
        };
        Ok(Self {
            resident_mb: value("VmRSS")? * 1024.0 / 1e6,
            threads: value("Threads")? as usize,
            files: fs::read_dir(&folder.join("fd"))?.len(),
        })
    }

    fn report(&self) -> Value {
        json!({ "resident_mb": self.resident_mb, "threads": self.threads, "files": self.files })
    }
}

/// Waits until the server holds no more files and threads than in the beginning, but not for ever.
fn settle(process: u32, start: &Resources) -> Outcome<Resources> {
    let since = Instant::now();
    loop {
        let now = Resources::of(process)?;
        let has_settled = now.files <= start.files && now.threads <= start.threads + SPARE_THREADS;
        if has_settled || since.elapsed() > SETTLE_MAX {
            return Ok(now);
        }
        thread::sleep(PAUSE);
    }
}
