//! Progress for scripts, with `--json`: one JSON object a line.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use natureddit_core::Progress;
use natureddit_core::progress::{ProgressEvent, Unit};
use serde_json::{Map, Value, json};

use super::tally::{MOMENT, Tally};

/// How often a step under way is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Writes every event to `out` as a line.
pub(in crate::cli) fn to(out: impl Write + Send + 'static) -> Progress {
    tasks(out)("")
}

/// As [`to`], for tasks that work at the same time: the lines of each name it as their component.
pub(in crate::cli) fn tasks(out: impl Write + Send + 'static) -> impl Fn(&'static str) -> Progress + Send + Sync {
    let out = Arc::new(Mutex::new(out));
    move |task| {
        let (lane, out) = (Mutex::new(Lane { task, ..Lane::default() }), Arc::clone(&out));
        Progress::new(move |event| {
            // A panic elsewhere leaves a step half counted at worst.
            let lines = lane.lock().unwrap_or_else(PoisonError::into_inner).lines(&event, Instant::now());
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            for line in lines {
                // That a closed standard error shows no progress is no reason to stop the work.
                let _ = writeln!(out, "{line}");
            }
        })
    }
}

/// The step of one task.
#[derive(Default)]
struct Lane {
    /// Empty for work that is alone.
    task: &'static str,
    step: Option<Tally>,
    told_at: Option<Instant>,
}

impl Lane {
    /// The lines of an event: most have none.
    fn lines(&mut self, event: &ProgressEvent<'_>, now: Instant) -> Vec<Value> {
        let mut lines = self.plain_lines(event, now);
        if !self.task.is_empty() {
            for line in lines.iter_mut().filter_map(Value::as_object_mut) {
                line.insert("component".to_owned(), self.task.into());
            }
        }
        lines
    }

    fn plain_lines(&mut self, event: &ProgressEvent<'_>, now: Instant) -> Vec<Value> {
        match *event {
            ProgressEvent::Start { what, total, unit } => {
                let mut lines: Vec<_> = self.end(now).into_iter().collect();
                let step = self.step.insert(Tally::new(what, total, unit, now));
                self.told_at = Some(now);
                let mut start = head("start", &step.what);
                start.extend(total.map(|total| ("total".to_owned(), total.into())));
                lines.push(start.into());
                lines
            }
            ProgressEvent::Finish => self.end(now).into_iter().collect(),
            ProgressEvent::Advance(_) | ProgressEvent::Photo { .. } => {
                let Some(step) = &mut self.step else { return Vec::new() };
                step.count(event, now);
                if self.told_at.is_some_and(|told_at| now.duration_since(told_at) < TOLD_EVERY) {
                    return Vec::new();
                }
                self.told_at = Some(now);
                let mut line = counts("progress", step);
                let (rate, of) = step.rate(now);
                if step.unit == Unit::Posts {
                    line.insert(format!("{of}_per_second"), rounded(rate));
                }
                vec![line.into()]
            }
            ProgressEvent::Wait(wait) if wait.wait < MOMENT => Vec::new(),
            ProgressEvent::Wait(wait) => {
                let seconds = rounded(wait.wait.as_secs_f64());
                vec![json!({"event": "waiting", "host": wait.host, "seconds": seconds, "reason": wait.reason.code()})]
            }
            ProgressEvent::Gap { subreddit, since, until, reason } => {
                let (since, until) = (since.to_string(), until.to_string());
                vec![json!({
                    "event": "gap", "subreddit": subreddit, "since": since, "until": until, "reason": reason
                })]
            }
        }
    }

    fn end(&mut self, now: Instant) -> Option<Value> {
        let step = self.step.take()?;
        let mut line = counts("finish", &step);
        line.insert("seconds".to_owned(), rounded(now.duration_since(step.started).as_secs_f64()));
        Some(line.into())
    }
}

fn head(event: &str, step: &str) -> Map<String, Value> {
    Map::from_iter([("event".to_owned(), event.into()), ("step".to_owned(), step.into())])
}

fn counts(event: &str, step: &Tally) -> Map<String, Value> {
    let mut line = head(event, &step.what);
    let counts = match step.unit {
        Unit::Posts => vec![("posts", step.done), ("photos", step.photos), ("bytes", step.bytes)],
        Unit::Bytes => vec![("bytes", step.done)],
        Unit::Items => vec![("done", step.done)],
    };
    line.extend(counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())));
    line.extend(step.total.map(|total| ("total".to_owned(), total.into())));
    line
}

/// To a tenth.
fn rounded(number: f64) -> Value {
    json!((number * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use natureddit_core::progress::{Wait, WaitReason};

    use super::*;

    #[test]
    fn a_collection_is_told_as_it_goes_but_not_every_post_of_it() {
        let start = Instant::now();
        let at = |tenths: u64| start + Duration::from_millis(100 * tenths);
        let mut events = Lane::default();
        let mut lines = Vec::new();
        let begin = ProgressEvent::Start { what: "collecting r/flowers", total: None, unit: Unit::Posts };
        lines.extend(events.lines(&begin, at(0)));
        for tenth in 1..=24 {
            lines.extend(events.lines(&ProgressEvent::Photo { bytes: 1_000 }, at(tenth)));
            lines.extend(events.lines(&ProgressEvent::Advance(1), at(tenth)));
        }
        let wait = |seconds, reason| {
            ProgressEvent::Wait(Wait { host: "oauth.reddit.com", wait: Duration::from_secs(seconds), reason })
        };
        lines.extend(events.lines(&wait(1, WaitReason::Pace), at(24)));
        lines.extend(events.lines(&wait(42, WaitReason::RateLimit), at(24)));
        let moment = |second| Timestamp::from_second(second).unwrap();
        let gap =
            ProgressEvent::Gap { subreddit: "flowers", since: moment(0), until: moment(60), reason: "listing_cap" };
        lines.extend(events.lines(&gap, at(24)));
        lines.extend(events.lines(&ProgressEvent::Finish, at(25)));
        let text: Vec<_> = lines.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn a_task_is_named_as_a_component() {
        let begin = ProgressEvent::Start { what: "x", total: None, unit: Unit::Items };
        let told = Lane { task: "Trainer", ..Lane::default() }.lines(&begin, Instant::now());
        assert_eq!(told, [json!({"event": "start", "step": "x", "component": "Trainer"})]);
    }

    #[test]
    fn what_has_a_total_is_told_with_it() {
        let now = Instant::now();
        let mut events = Lane::default();
        let begin = |unit| ProgressEvent::Start { what: "x", total: Some(9), unit };
        events.lines(&begin(Unit::Items), now);
        events.lines(&ProgressEvent::Advance(9), now);
        let told = events.lines(&begin(Unit::Bytes), now);
        assert_eq!(told[0], json!({"event": "finish", "step": "x", "done": 9, "total": 9, "seconds": 0.0}));
        assert_eq!(told[1], json!({"event": "start", "step": "x", "total": 9}));
    }
}
