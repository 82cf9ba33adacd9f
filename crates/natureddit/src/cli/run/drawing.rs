//! The graph of the pipeline as text: a line a component with its state, time and reason, and its counts below.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use console::{Style, StyledObject, measure_text_width};
use natureddit_pipeline::runner::{ComponentReport, PlannedComponent};
use natureddit_pipeline::{Outcome, Outlook, PropertyValue, RunPlan, RunReport};

use super::lanes::{self, Line};
use crate::cli::words::time;

/// What a line may be long, so that it can be read in a log as well.
const COLUMNS: usize = 100;

/// How it is with a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Running,
    Ran,
    Cached,
    Failed,
    NotSelected,
    NotReached,
    WouldRun,
    Depends,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waits",
            Self::Running => "runs",
            Self::Ran => "ran",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::NotSelected => "left out",
            Self::NotReached => "not reached",
            Self::WouldRun => "would run",
            Self::Depends => "depends",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Waiting | Self::NotReached => "◌",
            Self::Running | Self::WouldRun => "▶",
            Self::Ran => "●",
            Self::Cached => "○",
            Self::Failed => "✖",
            Self::NotSelected => "·",
            Self::Depends => "◇",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ran => Style::new().green(),
            Self::Running | Self::WouldRun => Style::new().cyan(),
            Self::Failed => Style::new().red().bold(),
            Self::Depends => Style::new().yellow(),
            Self::Waiting | Self::Cached | Self::NotSelected | Self::NotReached => Style::new().dim(),
        }
    }
}

/// What is drawn of one component.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) component: &'static str,
    pub(super) after: BTreeSet<&'static str>,
    pub(super) state: State,
    /// How long it took, or has taken so far.
    pub(super) took: Option<Duration>,
    /// Why it ran, or whose outputs stand.
    pub(super) note: String,
    /// Its counts, in the order they are told.
    pub(super) details: Vec<String>,
}

impl Row {
    /// A component whose turn has not come.
    pub(super) fn waiting(component: &'static str, after: BTreeSet<&'static str>) -> Self {
        Self { component, after, state: State::Waiting, took: None, note: String::new(), details: Vec::new() }
    }

    /// A component that is over.
    pub(super) fn over(report: &ComponentReport) -> Self {
        let (state, note) = match &report.outcome {
            Outcome::Ran { reason } => (State::Ran, reason.to_string()),
            Outcome::Cached { of } => (State::Cached, format!("execution {of}")),
            Outcome::Failed { reason, message } => (State::Failed, format!("{message} (ran because {reason})")),
            Outcome::NotSelected => (State::NotSelected, String::new()),
            Outcome::NotReached => (State::NotReached, String::new()),
        };
        let did_run = matches!(state, State::Ran | State::Failed);
        Self {
            component: report.component,
            after: report.after.clone(),
            state,
            took: did_run.then(|| Duration::from_millis(report.duration_ms)),
            note,
            details: if did_run { details(&report.details) } else { Vec::new() },
        }
    }

    fn planned(planned: &PlannedComponent) -> Self {
        let (state, note) = match &planned.outlook {
            Outlook::Runs { reason } => (State::WouldRun, reason.to_string()),
            Outlook::Cached { of } => (State::Cached, format!("execution {of}")),
            Outlook::Depends { on } => {
                let on: Vec<_> = on.iter().copied().collect();
                (State::Depends, format!("runs if {} makes something else", on.join(" or ")))
            }
            Outlook::NotSelected => (State::NotSelected, String::new()),
        };
        Self { state, note, ..Self::waiting(planned.component, planned.after.clone()) }
    }
}

/// Longer texts are lists for programs, such as the time of each epoch.
const DETAIL_CHARS_MAX: usize = 60;

/// `train 812`, `train_loss 0.1234`.
fn details(details: &BTreeMap<String, PropertyValue>) -> Vec<String> {
    let detail = |(name, value): (&String, &PropertyValue)| match value {
        PropertyValue::Int(value) => Some(format!("{name} {value}")),
        PropertyValue::Double(value) => Some(format!("{name} {}", (value * 1e4).round() / 1e4)),
        PropertyValue::Text(value) => {
            let line = value.lines().next().unwrap_or_default();
            (line.len() <= DETAIL_CHARS_MAX).then(|| format!("{name} {line}"))
        }
    };
    details.iter().filter_map(detail).collect()
}

/// A drawing of a graph.
pub(super) struct Drawing {
    rows: Vec<Row>,
    columns: usize,
    /// Drawn on the standard error, which may have colours where the standard output has none.
    is_live: bool,
}

impl Drawing {
    /// What a run did.
    pub(super) fn of_report(report: &RunReport) -> Self {
        Self { rows: report.components.iter().map(Row::over).collect(), columns: COLUMNS, is_live: false }
    }

    /// What a run would do.
    pub(super) fn of_plan(plan: &RunPlan) -> Self {
        Self { rows: plan.components.iter().map(Row::planned).collect(), columns: COLUMNS, is_live: false }
    }

    /// A run under way, for a terminal so wide.
    pub(super) fn live(rows: Vec<Row>, columns: usize) -> Self {
        Self { rows, columns: columns.min(COLUMNS), is_live: true }
    }

    fn styled<'t>(&self, style: &Style, text: &'t str) -> StyledObject<&'t str> {
        let style = style.clone();
        let style = if self.is_live { style.for_stderr() } else { style.for_stdout() };
        style.apply_to(text)
    }

    /// The lines of one component.
    fn row(&self, f: &mut fmt::Formatter<'_>, row: &Row, line: &Line, right: &str, name_at: usize) -> fmt::Result {
        let style = row.state.style();
        let names = self.rows.iter().map(|row| row.component.len()).max().unwrap_or_default();
        let words = self.rows.iter().map(|row| row.state.word().len()).max().unwrap_or_default();
        let lanes = format!("{} {right}", line.left);
        let gap = name_at.saturating_sub(measure_text_width(&lanes));
        let took = row.took.map_or_else(String::new, |took| time(took.as_secs_f64()));
        write!(f, "{}{}{right}{:gap$}", line.left, self.styled(&style, row.state.symbol()), "")?;
        write!(f, "{:names$}  ", row.component)?;
        write!(f, "{}", self.styled(&style, row.state.word()))?;
        let note_at = name_at + names + words + 17;
        let room = self.columns.saturating_sub(note_at);
        let dim = Style::new().dim();
        let fits = !row.note.is_empty() && measure_text_width(&row.note) <= room && !row.note.contains('\n');
        // Padded by hand: a style's own codes would be counted, and nothing comes after the last word.
        let pad = words - row.state.word().len();
        match (took.is_empty(), fits) {
            (true, false) => {}
            (false, false) => write!(f, "{:pad$}  {took:>11}", "")?,
            (_, true) => write!(f, "{:pad$}  {took:>11}  {}", "", self.styled(&dim, &row.note))?,
        }
        writeln!(f)?;
        let mut below: Vec<String> = if fits { Vec::new() } else { row.note.lines().map(str::to_owned).collect() };
        below.extend(wrapped(&row.details, self.columns.saturating_sub(name_at + 2)));
        for text in &below {
            let gap = (name_at + 2).saturating_sub(measure_text_width(&line.under));
            writeln!(f, "{}{:gap$}{}", line.under, "", self.styled(&dim, text))?;
        }
        Ok(())
    }
}

/// Words with `·` between them, in lines that are no longer than this where no word is.
fn wrapped(words: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + measure_text_width(word) + 3 <= columns => {
                line.push_str(" · ");
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.rows.iter().map(|row| (row.component, &row.after)).collect();
        let lines = lanes::lines(&nodes);
        let width = |line: &Line| match &line.node {
            Some((_, right)) => measure_text_width(&line.left) + 1 + measure_text_width(right),
            None => measure_text_width(&line.left),
        };
        let name_at = lines.iter().map(width).max().unwrap_or_default() + 1;
        for line in &lines {
            match &line.node {
                Some((at, right)) => self.row(f, &self.rows[*at], line, right, name_at)?,
                None => writeln!(f, "{}", line.left)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use natureddit_pipeline::StaleReason;

    use super::*;

    fn row(component: &'static str, after: &[&'static str], state: State, note: &str, details: &[&str]) -> Row {
        let took = matches!(state, State::Ran | State::Failed).then_some(Duration::from_millis(1_234));
        let details = details.iter().map(|&detail| detail.to_owned()).collect();
        Row { state, took, note: note.to_owned(), details, ..Row::waiting(component, after.iter().copied().collect()) }
    }

    #[test]
    fn a_graph_is_drawn_with_states_times_reasons_and_counts() {
        let reason = StaleReason::Input { key: "examples".into() }.to_string();
        let long =
            "the loss is not a number, which it became in the first epoch of all, and so nothing was learnt here";
        let rows = vec![
            row("ExampleGen", &[], State::Cached, "execution 3", &[]),
            row("Trainer", &["ExampleGen"], State::Ran, &reason, &["epochs 30", "train_loss 0.1234"]),
            row("Evaluator", &["ExampleGen", "Trainer"], State::Failed, long, &[]),
            row("InfraValidator", &["Trainer"], State::Ran, &reason, &["requests 8"]),
            row("Pusher", &["Evaluator", "InfraValidator"], State::NotReached, "", &[]),
        ];
        let drawing = Drawing { rows, columns: 90, is_live: false };
        let text = console::strip_ansi_codes(&drawing.to_string()).into_owned();
        assert!(text.lines().all(|line| measure_text_width(line) <= 110), "{text}");
        insta::assert_snapshot!(text, @r"
        ○   ExampleGen      cached                    execution 3
        ●   Trainer         ran                1.2 s  input examples changed
        │     epochs 30 · train_loss 0.1234
        ├─╮
        ✖ │ Evaluator       failed             1.2 s
        │ │   the loss is not a number, which it became in the first epoch of all, and so nothing was learnt here
        │ ● InfraValidator  ran                1.2 s  input examples changed
        │ │   requests 8
        ├─╯
        ◌   Pusher          not reached
        ");
    }
}
