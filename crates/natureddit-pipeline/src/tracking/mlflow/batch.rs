//! What is told of a run, in pieces within MLflow's limits: 1,000 metrics, or 100 params and 100 tags at a time; keys of 250
//! characters. Values are cut at what servers of MLflow 1.28 and newer take.

use super::wire::{LogBatch, Metric, Pair};
use crate::tracking::run::TrackedRun;

const METRICS_MAX: usize = 1_000;
const PAIRS_MAX: usize = 100;
const KEY_CHARS_MAX: usize = 250;
/// Newer servers take 6,000.
const PARAM_CHARS_MAX: usize = 500;
const TAG_CHARS_MAX: usize = 5_000;

/// The batches of a run, always the same ones in the same order.
pub(super) fn batches<'a>(run: &'a TrackedRun, run_id: &'a str) -> Vec<LogBatch<'a>> {
    let pairs = |pairs: &'a std::collections::BTreeMap<String, String>, chars_max| -> Vec<Pair<'a>> {
        let pair = |(key, value): (&'a String, &'a String)| Pair {
            key: cut(key, KEY_CHARS_MAX),
            value: cut(value, chars_max),
        };
        pairs.iter().map(pair).collect()
    };
    let mut params = pairs(&run.params, PARAM_CHARS_MAX);
    let mut tags = pairs(&run.tags, TAG_CHARS_MAX);
    let mut batches = Vec::new();
    while !params.is_empty() || !tags.is_empty() {
        let rest = |pairs: &mut Vec<Pair<'a>>| pairs.drain(..pairs.len().min(PAIRS_MAX)).collect();
        let (params, tags) = (rest(&mut params), rest(&mut tags));
        batches.push(LogBatch { run_id, params, tags, metrics: Vec::new() });
    }
    for metrics in run.metrics.chunks(METRICS_MAX) {
        let metric = |metric: &'a crate::tracking::Metric| Metric {
            key: cut(&metric.key, KEY_CHARS_MAX),
            value: metric.value,
            timestamp: metric.timestamp_ms,
            step: metric.step,
        };
        let metrics = metrics.iter().map(metric).collect();
        batches.push(LogBatch { run_id, params: Vec::new(), tags: Vec::new(), metrics });
    }
    batches
}

fn cut(text: &str, chars_max: usize) -> &str {
    text.char_indices().nth(chars_max).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tracking::run::RunStatus;

    #[test]
    fn nothing_is_lost_and_no_limit_is_passed() {
        let many = |prefix: &str, count: usize| -> BTreeMap<String, String> {
            (0..count).map(|at| (format!("{prefix}{at}"), "ü".repeat(7_000))).collect()
        };
        let metric =
            |at: i64| crate::tracking::Metric { key: format!("m{at}"), value: f64::NAN, timestamp_ms: at, step: at };
        let run = TrackedRun {
            id: String::new(),
            name: String::new(),
            experiment: String::new(),
            started_ms: 0,
            ended_ms: 0,
            status: RunStatus::Finished,
            failure: None,
            params: many("p", 230),
            metrics: (0..2_500).map(metric).collect(),
            tags: many("t", 7),
            artifacts: Vec::new(),
            model: None,
        };
        let batches = batches(&run, "r");
        assert_eq!(batches.iter().map(|batch| batch.params.len()).sum::<usize>(), 230);
        assert_eq!(batches.iter().map(|batch| batch.tags.len()).sum::<usize>(), 7);
        assert_eq!(batches.iter().map(|batch| batch.metrics.len()).sum::<usize>(), 2_500);
        for batch in &batches {
            assert!(batch.params.len() <= 100 && batch.tags.len() <= 100 && batch.metrics.len() <= 1_000);
            assert!(batch.params.iter().all(|pair| pair.value.chars().count() == 500));
            assert!(batch.tags.iter().all(|pair| pair.value.chars().count() == 5_000));
            // MLflow refuses requests of more than 1 MB.
            assert!(serde_json::to_string(batch).unwrap().len() < 1_000_000);
        }
    }
}
