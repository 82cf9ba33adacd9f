//! Progress on the standard error: a bar for the step under way, one line for each that is finished.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::style;
use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressFinish, ProgressState, ProgressStyle};
use natureddit_core::Progress;
use natureddit_core::progress::{ProgressEvent, Unit};

const REDRAWN_EVERY: Duration = Duration::from_millis(100);

/// Draws progress with `bars`; where those are hidden only the lines of finished steps are seen.
pub(super) fn to(bars: MultiProgress) -> Progress {
    let under_way = Mutex::new(None);
    Progress::new(move |event| {
        // A panic elsewhere leaves a step half counted at worst.
        let mut step = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = advance(&mut step, event, &bars) {
            // That a closed standard error shows no progress is no reason to stop the work.
            let _ = bars.suspend(|| writeln!(io::stderr(), "{} {line}", style("done:").for_stderr().green()));
        }
    })
}

/// The step under way.
struct Step {
    what: String,
    unit: Unit,
    done: u64,
    started: Instant,
    bar: ProgressBar,
}

/// Applies an event; the line of the step it ends, if it ends one.
fn advance(step: &mut Option<Step>, event: ProgressEvent<'_>, bars: &MultiProgress) -> Option<String> {
    match event {
        ProgressEvent::Start { what, total, unit } => {
            let ended = step.take().map(Step::end);
            let bar = bars.add(bar(what, total, unit));
            if !bars.is_hidden() {
                // Also before the first item is done: a step that shows nothing seems to hang.
                bar.enable_steady_tick(REDRAWN_EVERY);
            }
            *step = Some(Step { what: what.to_owned(), unit, done: 0, started: Instant::now(), bar });
            ended
        }
        ProgressEvent::Advance(items) => {
            if let Some(step) = step {
                step.done += items;
                step.bar.set_position(step.done);
            }
            None
        }
        ProgressEvent::Finish => step.take().map(Step::end),
    }
}

impl Step {
    fn end(self) -> String {
        self.bar.finish_and_clear();
        finished(&self.what, self.done, self.unit, self.started.elapsed())
    }
}

/// `embedding photos, 897 in 4.2 s`.
fn finished(what: &str, done: u64, unit: Unit, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match (done, unit) {
        (0, _) => format!("{what}, {seconds:.1} s"),
        (done, Unit::Items) => format!("{what}, {} in {seconds:.1} s", HumanCount(done)),
        (done, Unit::Bytes) => format!("{what}, {} in {seconds:.1} s", HumanBytes(done)),
    }
}

fn bar(what: &str, total: Option<u64>, unit: Unit) -> ProgressBar {
    // A test parses all four templates; were one wrong, the plain bar would do.
    let style = ProgressStyle::with_template(template(total.is_some(), unit));
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    // Its own has four decimals.
    let per_second = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar that cannot be written to shows nothing.
        let _ = write!(out, "{:.1}/s", state.per_sec());
    };
    let style = style.with_key("rate", per_second);
    // A step whose work failed is dropped, not finished: its bar goes with it.
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_finish(ProgressFinish::AndClear);
    bar.with_style(style).with_message(what.to_owned())
}

fn template(total_known: bool, unit: Unit) -> &'static str {
    match (total_known, unit) {
        (true, Unit::Items) => "{msg} [{bar:30}] {human_pos}/{human_len} {rate}, {eta} left",
        (true, Unit::Bytes) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        (false, Unit::Items) => "{spinner} {msg} {human_pos}",
        (false, Unit::Bytes) => "{spinner} {msg} {bytes} {bytes_per_sec}",
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    fn hidden() -> MultiProgress {
        MultiProgress::with_draw_target(ProgressDrawTarget::hidden())
    }

    fn start(what: &str) -> ProgressEvent<'_> {
        ProgressEvent::Start { what, total: Some(9), unit: Unit::Items }
    }

    #[test]
    fn a_step_ends_with_finish_or_with_the_next_step() {
        let mut step = None;
        let events = [
            ProgressEvent::Finish,
            start("one"),
            ProgressEvent::Advance(2),
            ProgressEvent::Advance(3),
            start("two"),
            ProgressEvent::Finish,
            ProgressEvent::Advance(1),
        ];
        let bars = hidden();
        let lines: Vec<_> = events.into_iter().filter_map(|event| advance(&mut step, event, &bars)).collect();
        assert!(lines[0].starts_with("one, 5 in "), "{lines:?}");
        assert!(lines[1].starts_with("two, "), "{lines:?}");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_line_of_a_finished_step_counts_in_its_unit() {
        let time = Duration::from_millis(4_210);
        assert_eq!(finished("embedding photos", 1_897, Unit::Items, time), "embedding photos, 1,897 in 4.2 s");
        assert_eq!(finished("pulling weights", 18 << 20, Unit::Bytes, time), "pulling weights, 18.00 MiB in 4.2 s");
        assert_eq!(finished("training", 0, Unit::Items, time), "training, 4.2 s");
    }

    #[test]
    fn every_template_is_one() {
        for total_known in [true, false] {
            for unit in [Unit::Items, Unit::Bytes] {
                ProgressStyle::with_template(template(total_known, unit)).unwrap();
            }
        }
    }
}
