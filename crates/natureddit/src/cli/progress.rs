//! Progress on the standard error: for people a bar for each step under way and one line for each that is finished, for
//! scripts one JSON object a line. Tasks that work at the same time have a step each.

pub(super) mod events;
mod tally;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::{Term, style, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressState, ProgressStyle};
use natureddit_core::Progress;
use natureddit_core::progress::{ProgressEvent, Unit};

use tally::{Tally, Waits};

const REDRAWN_EVERY: Duration = Duration::from_millis(100);

/// How often a step is told where no bar is seen.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// Draws progress with `bars`; where those are hidden there is a line for each finished step, one now and then for the
/// step under way, and one for a long wait.
pub(super) fn to(bars: MultiProgress) -> Progress {
    tasks(bars)("")
}

/// As [`to`], for tasks that work at the same time: where each tells of itself, by its name.
pub(super) fn tasks(bars: MultiProgress) -> impl Fn(&'static str) -> Progress + Send + Sync {
    let board = Arc::new(Mutex::new(Board::new(bars.clone())));
    move |task| {
        let (board, bars) = (Arc::clone(&board), bars.clone());
        Progress::new(move |event| {
            let line = lock(&board).lane(task).advance(&event, Instant::now());
            if let Some(line) = line {
                // That a closed standard error shows no progress is no reason to stop the work.
                let _ = bars.suspend(|| writeln!(io::stderr(), "{line}"));
            }
        })
    }
}

/// A panic elsewhere leaves a step half counted at worst.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the bar shows besides its position. It is drawn by another thread too, which locks this while it holds the bars:
/// nothing of theirs is called while this is locked.
#[derive(Default)]
struct Shared {
    tally: Option<Tally>,
    waits: Waits,
}

/// What is shown.
struct Board {
    /// By the task's name, which is empty for work that is alone.
    lanes: BTreeMap<&'static str, Lane>,
    bars: MultiProgress,
}

/// What is shown of one task.
struct Lane {
    task: &'static str,
    shared: Arc<Mutex<Shared>>,
    step: Option<Step>,
    bars: MultiProgress,
    is_seen: bool,
}

/// The step under way.
struct Step {
    bar: ProgressBar,
    told_at: Instant,
}

impl Board {
    fn new(bars: MultiProgress) -> Self {
        Self { lanes: BTreeMap::new(), bars }
    }

    fn lane(&mut self, task: &'static str) -> &mut Lane {
        let bars = &self.bars;
        self.lanes.entry(task).or_insert_with(|| Lane {
            task,
            shared: Arc::default(),
            step: None,
            is_seen: !bars.is_hidden(),
            bars: bars.clone(),
        })
    }
}

impl Lane {
    /// Applies an event; the line that it is worth, if it is worth one.
    fn advance(&mut self, event: &ProgressEvent<'_>, now: Instant) -> Option<String> {
        match event {
            ProgressEvent::Start { what, total, unit } => {
                let ended = self.end(now);
                let what = if self.task.is_empty() { (*what).to_owned() } else { format!("{}: {what}", self.task) };
                lock(&self.shared).tally = Some(Tally::new(&what, *total, *unit, now));
                let bar = self.bars.add(bar(&what, *total, *unit, &self.shared));
                if self.is_seen {
                    // Also before the first item is done: a step that shows nothing seems to hang.
                    bar.enable_steady_tick(REDRAWN_EVERY);
                }
                self.step = Some(Step { bar, told_at: now });
                ended
            }
            ProgressEvent::Finish => self.end(now),
            ProgressEvent::Advance(_) | ProgressEvent::Photo { .. } => self.count(event, now),
            ProgressEvent::Wait(wait) => {
                let mut shared = lock(&self.shared);
                let is_news = shared.waits.note(*wait, now);
                let told = shared.waits.told(now).filter(|_| is_news && !self.is_seen);
                told.map(|text| format!("      {text}"))
            }
            // The result says it.
            ProgressEvent::Gap { .. } => None,
        }
    }

    fn count(&mut self, event: &ProgressEvent<'_>, now: Instant) -> Option<String> {
        let step = self.step.as_mut()?;
        let mut shared = lock(&self.shared);
        let tally = shared.tally.as_mut()?;
        tally.count(event, now);
        let is_due = !self.is_seen && now.duration_since(step.told_at) >= TOLD_EVERY;
        let line = is_due.then(|| format!("      {}: {}", tally.what, tally.under_way(now)));
        let done = tally.done;
        drop(shared);
        if is_due {
            step.told_at = now;
        }
        step.bar.set_position(done);
        line
    }

    fn end(&mut self, now: Instant) -> Option<String> {
        let step = self.step.take()?;
        step.bar.finish_and_clear();
        let tally = lock(&self.shared).tally.take()?;
        let finished = tally.finished(now.duration_since(tally.started));
        Some(format!("{} {finished}", style("done:").for_stderr().green()))
    }
}

fn bar(what: &str, total: Option<u64>, unit: Unit, shared: &Arc<Mutex<Shared>>) -> ProgressBar {
    // A test parses all templates; were one wrong, the plain bar would do.
    let style = ProgressStyle::with_template(&template(total.is_some(), unit, columns()));
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    // Its own has four decimals.
    let per_second = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar that cannot be written to shows nothing.
        let _ = write!(out, "{:.1}/s", state.per_sec());
    };
    let (shared, waits) = (Arc::clone(shared), Arc::clone(shared));
    let line = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let (shared, now) = (lock(&shared), Instant::now());
        let line = shared.tally.as_ref().map(|tally| line(tally, &shared.waits, now, columns()));
        let _ = out.write_str(&line.unwrap_or_default());
    };
    let wait = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        if let Some(waiting) = lock(&waits).waits.told(Instant::now()) {
            let _ = write!(out, ", {waiting}");
        }
    };
    let style = style.with_key("rate", per_second).with_key("line", line).with_key("wait", wait);
    // A step whose work failed is dropped, not finished: its bar goes with it.
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_finish(ProgressFinish::AndClear);
    bar.with_style(style).with_message(truncate_str(what, columns() / 2, "...").into_owned())
}

/// How wide the terminal is; a line that is longer goes over to the next one and is left behind there.
fn columns() -> usize {
    usize::from(Term::stderr().size().1)
}

/// What the line of a step without an end says after its spinner.
fn line(tally: &Tally, waits: &Waits, now: Instant, columns: usize) -> String {
    let counts = match waits.told(now) {
        // While it waits the rate says nothing.
        Some(waiting) => format!("{}, {waiting}", tally.counts()),
        None => tally.under_way(now),
    };
    // With the spinner and a space before it.
    truncate_str(&format!("{}  {counts}", tally.what), columns.saturating_sub(2), "...").into_owned()
}

fn template(total_known: bool, unit: Unit, columns: usize) -> String {
    // What stands beside the bar takes some fifty columns.
    let bar = columns.saturating_sub(50).clamp(5, 30);
    match (total_known, unit) {
        (true, Unit::Items | Unit::Posts) => {
            format!("{{msg}} [{{bar:{bar}}}] {{human_pos}}/{{human_len}} {{rate}}, {{eta}} left{{wait}}")
        }
        (true, Unit::Bytes) => {
            format!("{{msg}} [{{bar:{bar}}}] {{bytes}}/{{total_bytes}} {{bytes_per_sec}}, {{eta}} left")
        }
        (false, Unit::Items | Unit::Posts) => "{spinner} {line}".to_owned(),
        (false, Unit::Bytes) => "{spinner} {msg} {bytes} {bytes_per_sec}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;
    use natureddit_core::progress::{Wait, WaitReason};

    use super::*;

    fn board() -> Board {
        Board::new(MultiProgress::with_draw_target(ProgressDrawTarget::hidden()))
    }

    fn start(what: &str, unit: Unit) -> ProgressEvent<'_> {
        ProgressEvent::Start { what, total: None, unit }
    }

    #[test]
    fn a_step_ends_with_finish_or_with_the_next_step() {
        let events = [
            ProgressEvent::Finish,
            start("one", Unit::Items),
            ProgressEvent::Advance(2),
            ProgressEvent::Advance(3),
            start("two", Unit::Items),
            ProgressEvent::Finish,
            ProgressEvent::Advance(1),
        ];
        let (mut board, now) = (board(), Instant::now());
        let lines: Vec<_> = events.iter().filter_map(|event| board.lane("").advance(event, now)).collect();
        assert_eq!(lines, ["done: one, 5 in 0.0 s", "done: two, 0.0 s"]);
    }

    #[test]
    fn steps_of_two_tasks_do_not_end_each_other() {
        let (mut board, now) = (board(), Instant::now());
        let events = [
            ("Evaluator", start("one", Unit::Items)),
            ("InfraValidator", start("one", Unit::Items)),
            ("Evaluator", ProgressEvent::Advance(2)),
            ("InfraValidator", ProgressEvent::Finish),
            ("Evaluator", ProgressEvent::Advance(2)),
            ("Evaluator", ProgressEvent::Finish),
        ];
        let lines: Vec<_> = events.iter().filter_map(|(task, event)| board.lane(task).advance(event, now)).collect();
        assert_eq!(lines, ["done: InfraValidator: one, 0.0 s", "done: Evaluator: one, 4 in 0.0 s"]);
    }

    #[test]
    fn without_a_terminal_a_line_comes_now_and_then() {
        let (mut board, begin) = (board(), Instant::now());
        board.lane("").advance(&start("collecting r/flowers", Unit::Posts), begin);
        let mut lines = Vec::new();
        for second in 1..=65 {
            let now = begin + Duration::from_secs(second);
            lines.extend(board.lane("").advance(&ProgressEvent::Photo { bytes: 1 << 10 }, now));
            lines.extend(board.lane("").advance(&ProgressEvent::Advance(1), now));
        }
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0], "      collecting r/flowers: 29 posts, 30 photos, 30.00 KiB, 1.0 photos/s");

        let now = begin + Duration::from_secs(66);
        let wait =
            |seconds| Wait { host: "a.example", wait: Duration::from_secs(seconds), reason: WaitReason::BackOff };
        let told = [1, 42, 42].map(|seconds| board.lane("").advance(&ProgressEvent::Wait(wait(seconds)), now));
        assert_eq!(told, [None, Some("      waiting 42 s for a.example (after a failure)".to_owned()), None]);
    }

    #[test]
    fn a_line_is_no_longer_than_the_terminal_is_wide() {
        let now = Instant::now();
        let tally = Tally::new("collecting r/flowers+EarthPorn", None, Unit::Posts, now);
        let told = |columns| line(&tally, &Waits::default(), now, columns);
        let whole = "collecting r/flowers+EarthPorn  0 posts, 0 photos, 0 B, 0.0 posts/s";
        assert_eq!((told(80), told(whole.len() + 2)), (whole.to_owned(), whole.to_owned()));
        assert_eq!(told(40), "collecting r/flowers+EarthPorn  0 p...");
        assert!([0, 1, 2, 5].into_iter().all(|columns| told(columns).len() <= columns.max(3)));
    }

    #[test]
    fn every_template_is_one() {
        for total_known in [true, false] {
            for unit in [Unit::Items, Unit::Bytes, Unit::Posts] {
                for columns in [0, 40, 80, 500] {
                    ProgressStyle::with_template(&template(total_known, unit, columns)).unwrap();
                }
            }
        }
    }
}
