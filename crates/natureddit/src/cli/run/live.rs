//! The graph while the pipeline runs, redrawn in place on a terminal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use natureddit_pipeline::{Graph, RunEvent};

use super::drawing::{Drawing, Row, State};

const REDRAWN_EVERY: Duration = Duration::from_millis(200);

/// A graph that is redrawn as events come.
pub(super) struct Live {
    shared: Arc<Mutex<Vec<LiveRow>>>,
    bar: ProgressBar,
}

struct LiveRow {
    row: Row,
    began: Option<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Begins to draw a graph above the bars of what its components do.
    pub(super) fn begin(graph: &Graph, bars: &MultiProgress) -> Self {
        let row = |(component, after)| LiveRow { row: Row::waiting(component, after), began: None };
        let shared = Arc::new(Mutex::new(graph.outline().map(row).collect::<Vec<_>>()));
        let drawn = Arc::clone(&shared);
        let draw = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let columns = usize::from(Term::stderr().size().1);
            let drawing = Drawing::live(lock(&drawn).iter().map(LiveRow::now).collect(), columns);
            // A bar that cannot be written to shows nothing.
            let _ = out.write_str(drawing.to_string().trim_end());
        };
        // A test parses it; were it wrong, the plain bar would do.
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = bars.insert(0, ProgressBar::new_spinner().with_style(style.with_key("graph", draw)));
        bar.enable_steady_tick(REDRAWN_EVERY);
        Self { shared, bar }
    }

    /// Takes in what happened.
    pub(super) fn show(&self, event: &RunEvent<'_>) {
        let mut rows = lock(&self.shared);
        let component = match event {
            RunEvent::Started { component, .. } => *component,
            RunEvent::Finished(report) => report.component,
        };
        let Some(shown) = rows.iter_mut().find(|shown| shown.row.component == component) else { return };
        match event {
            RunEvent::Started { reason, .. } => {
                shown.began = Some(Instant::now());
                (shown.row.state, shown.row.note) = (State::Running, reason.to_string());
            }
            RunEvent::Finished(report) => {
                // The counts are told at the end; while it runs every line should be a component.
                *shown = LiveRow { row: Row { details: Vec::new(), ..Row::over(report) }, began: None };
            }
        }
    }
}

impl LiveRow {
    fn now(&self) -> Row {
        Row { took: self.began.map(|began| began.elapsed()).or(self.row.took), ..self.row.clone() }
    }
}

impl Drop for Live {
    /// The result draws it for good.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

const TEMPLATE: &str = "{graph}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        ProgressStyle::with_template(TEMPLATE).unwrap();
    }
}
