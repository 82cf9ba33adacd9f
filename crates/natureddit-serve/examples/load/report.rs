//! What was measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use natureddit_core::fs;
use serde_json::{Value, json};

use crate::Outcome;

/// Ticks of `/proc/self/stat` in a second (proc(5)): what Linux tells user space on every machine of today.
const TICKS: f64 = 100.0;

/// What became of one request.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// When it was to be sent, after the start.
    pub(crate) due: Duration,
    /// From then to its answer.
    pub(crate) took: Duration,
    /// The answer's; `None` where there was none.
    pub(crate) status: Option<u16>,
}

impl Sample {
    /// Whether it was answered with a prediction.
    pub(crate) fn is_answered(&self) -> bool {
        self.status == Some(200)
    }
}

/// Counts, rate and times of requests. Times are of those that were answered with a prediction, but for `refused_p99_ms`.
pub(crate) fn summary(samples: &[Sample], seconds: f64) -> Value {
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for sample in samples {
        let status = sample.status.map_or_else(|| "broken".to_owned(), |status| status.to_string());
        *statuses.entry(status).or_default() += 1;
    }
    let answered = milliseconds(samples, true);
    let refused = milliseconds(samples, false);
    json!({
        "requests": samples.len(),
        "answered": answered.len(),
        "statuses": statuses,
        "seconds": seconds,
        "per_second": answered.len() as f64 / seconds,
        "p50_ms": quantile(&answered, 0.5),
        "p90_ms": quantile(&answered, 0.9),
        "p99_ms": quantile(&answered, 0.99),
        "max_ms": answered.last(),
        "refused_p99_ms": quantile(&refused, 0.99),
    })
}

fn milliseconds(samples: &[Sample], answered: bool) -> Vec<f64> {
    let chosen = samples.iter().filter(|sample| sample.is_answered() == answered);
    let mut times: Vec<f64> = chosen.map(|sample| sample.took.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The smallest of sorted values that so many of them are not above; nothing of no values.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// What this process used of the processors until now, in seconds.
pub(crate) fn own_cpu_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string(Path::new("/proc/self/stat"))?;
    // The second field, a name in brackets, may hold anything; user and system time are the 14th and 15th.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<f64>).collect::<Result<Vec<_>, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS)
}
