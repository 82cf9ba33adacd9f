//! `natureddit daily` and `natureddit task`: the daily update, whole or step by step.

mod report;

use std::collections::BTreeMap;

use clap::ValueHint;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use natureddit_core::fs;
use natureddit_data::daily::{self, Day, Task, VersionedDataset};
use natureddit_data::gap::Ledger;
use natureddit_data::{CollectConfig, PhotoConfig, Shrink, Window};
use natureddit_image::ImageLimits;
use serde::Serialize;

use super::collect::{Collected, collect_config, collect_into};
use super::error::{CliError, Exit};
use super::session::Session;
use super::words::counted;
use crate::config::Config;
use crate::wiring;

use report::{Done, Settings};

const EXAMPLES: &str = "\
Examples:
  natureddit daily                        the update of yesterday, in UTC
  natureddit daily --date 2026-11-28
  natureddit dvc init --remote s3://bucket/nature      once, before the first update

The seven tasks, each of which can be run by itself (natureddit task NAME --date D):
  pull_dataset, load_settings, obtain_posts, resize_images, merge_datasets, update_dvc, push";

const TASK_EXAMPLES: &str = "\
Examples:
  natureddit task obtain_posts --date 2026-11-28
  natureddit task push --date 2026-11-28

Run again, a task ends in the same state. What it hands to the next one lies in data/.daily/DATE.";

/// Bring the dataset up to date: pull, collect a day, merge, version, push
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The day, in UTC [default: yesterday]
    #[arg(long, value_name = "DATE", value_parser = date)]
    date: Option<Date>,
}

/// Run one task of the daily update
#[derive(Debug, clap::Args)]
#[command(after_help = TASK_EXAMPLES)]
pub(super) struct TaskArgs {
    /// Which one
    #[arg(value_name = "NAME", value_parser = task_parser(), value_hint = ValueHint::Other)]
    name: Task,
    /// The day, in UTC
    #[arg(long, value_name = "DATE", value_parser = date)]
    date: Date,
}

fn date(text: &str) -> Result<Date, String> {
    // A longer text would be cut to its day.
    let is_day = text.len() == "2026-11-28".len();
    text.parse().ok().filter(|_| is_day).ok_or_else(|| "write a day as YYYY-MM-DD".to_owned())
}

fn task_parser() -> impl TypedValueParser<Value = Task> {
    let values = Task::ALL.map(|task| PossibleValue::new(task.name()).help(task.meaning()));
    PossibleValuesParser::new(values).map(|name| {
        let task = Task::ALL.into_iter().find(|task| task.name() == name);
        task.expect("only names of tasks are accepted")
    })
}

/// The whole update.
#[derive(Serialize)]
struct Updated {
    date: Date,
    tasks: BTreeMap<&'static str, Done>,
    /// The time before the day that no collection ever asked for.
    skipped: Option<Window>,
}

impl std::fmt::Display for Updated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What each did was told when it was done.
        let merged = self.tasks.get(Task::MergeDatasets.name());
        write!(f, "dataset of {}: ", self.date)?;
        merged.map_or(Ok(()), |merged| write!(f, "{merged}"))?;
        if let Some(Done::Push(pushed)) = self.tasks.get(Task::Push.name())
            && pushed.upstream.is_none()
        {
            report::write_commits(f, pushed)?;
        }
        let Some(skipped) = self.skipped else { return Ok(()) };
        writeln!(f, "never asked for: posts from {skipped}")?;
        let days = days_of(skipped).take(DAYS_SHOWN).map(|day| format!("natureddit daily --date {day}"));
        let more = days_of(skipped).count().saturating_sub(DAYS_SHOWN);
        let more = if more == 0 { String::new() } else { format!("; and {}", counted(more as u64, "more day")) };
        writeln!(f, "hint: {}{more}", days.collect::<Vec<_>>().join("; "))
    }
}

/// So many commands are shown for days that were skipped; the first ones.
const DAYS_SHOWN: usize = 3;

/// The days that a window reaches into.
fn days_of(window: Window) -> impl Iterator<Item = Date> {
    let date = |second| TimeZone::UTC.to_datetime(Timestamp::from_second(second).unwrap_or_default()).date();
    let last = date(window.until() - 1);
    std::iter::successors(Some(date(window.since())), |day| day.tomorrow().ok()).take_while(move |day| *day <= last)
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let now = TimeZone::UTC.to_datetime(session.clock.now()).date();
    let date = args.date.unwrap_or_else(|| now.saturating_sub(1.day()));
    let mut tasks = BTreeMap::new();
    for task in Task::ALL {
        session.output.heading(task.name());
        let done = run_one(task, date, session)?;
        session.output.note(&done.to_string().trim_end().replace('\n', "\n      "));
        tasks.insert(task.name(), done);
    }
    let config = session.config()?;
    let since = Day::new(&config.project.data_dir, date).window().map_or(0, Window::since);
    let skipped = Ledger::read(&config.project.data_dir)?.never_asked_before(since);
    session.output.result(&Updated { date, tasks, skipped })?;
    Ok(Exit::Ok)
}

pub(super) fn run_task(args: &TaskArgs, session: &Session) -> Result<Exit, CliError> {
    session.output.result(&run_one(args.name, args.date, session)?)?;
    Ok(Exit::Ok)
}

fn run_one(task: Task, date: Date, session: &Session) -> Result<Done, CliError> {
    let config = session.config()?;
    let day = Day::new(&config.project.data_dir, date);
    match day.window() {
        None => return Err(CliError::usage(format!("{date} lies before 1970 or after 9999"))),
        Some(window) if window.since() > session.clock.now().as_second() => {
            return Err(CliError::usage(format!("{date} has not begun yet")));
        }
        Some(_) => {}
    }
    Ok(match task {
        Task::PullDataset => {
            let (runtime, dataset) = (wiring::tokio_runtime()?, versioned(&config, session));
            Done::PullDataset(runtime.block_on(daily::pull_dataset(&day, &dataset))?)
        }
        Task::LoadSettings => Done::LoadSettings(load_settings(&day, session)?),
        Task::ObtainPosts => Done::ObtainPosts(Box::new(obtain_posts(&day, session)?)),
        Task::ResizeImages => {
            let config = settings_of(&day, session)?;
            let (limits, shrink) = photo_settings(&config);
            let progress = session.output.progress();
            Done::ResizeImages(daily::resize_images(&day, &limits, shrink, &session.clock, &progress)?)
        }
        Task::MergeDatasets => {
            let config = settings_of(&day, session)?;
            let (limits, _) = photo_settings(&config);
            Done::MergeDatasets(daily::merge_datasets(&day, &limits, config.collect.author, &session.clock)?)
        }
        Task::UpdateDvc => Done::UpdateDvc(daily::update_dvc(&day, &versioned(&config, session))?),
        Task::Push => {
            let (runtime, dataset) = (wiring::tokio_runtime()?, versioned(&config, session));
            Done::Push(runtime.block_on(daily::push(&day, &dataset))?)
        }
    })
}

fn versioned(config: &Config, session: &Session) -> VersionedDataset {
    VersionedDataset {
        root: config.root.clone(),
        data_dir: config.project.data_dir.clone(),
        labels_dir: config.project.labels_dir.clone(),
        dvc: wiring::dvc(config, None, &session.output.progress(), &session.clock),
    }
}

/// Keeps the settings as they are now, with the day as the time to collect, for the tasks that follow.
fn load_settings(day: &Day, session: &Session) -> Result<Settings, CliError> {
    day.begin(Task::LoadSettings)?;
    let (since, until) = (day.date(), day.date().saturating_add(1.day()));
    let text = session.effective_settings(&[("since", since.to_string()), ("until", until.to_string())])?;
    let header = format!("# The settings of {since}, as `natureddit task load_settings` found them.\n");
    fs::write_atomic(&day.settings_file(), header + &text)?;
    let config = session.config_of_file(&day.settings_file())?;
    let settings = Settings {
        file: day.settings_file(),
        since,
        until,
        source: config.collect.source.name(),
        subreddits: config.collect.subreddits,
    };
    day.finish(Task::LoadSettings, &settings)?;
    Ok(settings)
}

/// The settings of the day.
fn settings_of(day: &Day, session: &Session) -> Result<Config, CliError> {
    day.require(Task::LoadSettings)?;
    session.config_of_file(&day.settings_file())
}

fn photo_settings(config: &Config) -> (ImageLimits, Shrink) {
    let collect = &config.collect;
    let limits = ImageLimits { bytes_max: collect.image_bytes_max, pixels_max: collect.image_pixels_max };
    (limits, Shrink { long_side_max: collect.long_side_max, jpeg_quality: collect.jpeg_quality })
}

fn obtain_posts(day: &Day, session: &Session) -> Result<Collected, CliError> {
    let config = settings_of(day, session)?;
    day.begin(Task::ObtainPosts)?;
    let Some(window) = day.window() else { return Err(CliError::usage("the day has no window")) };
    let wanted = collect_config(&config, window)?;
    let photos = PhotoConfig { shrink: None, ..wanted.photos };
    let (data_dir, base_dir) = (day.posts_dir(), Some(config.project.data_dir.clone()));
    let collected = collect_into(&config, CollectConfig { photos, data_dir, base_dir, ..wanted }, session)?;
    day.finish(Task::ObtainPosts, &collected)?;
    Ok(collected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reaches_into_days() {
        let days = |since, until| days_of(Window::new(since, until).unwrap()).map(|day| day.to_string());
        assert_eq!(days(0, 86_400).collect::<Vec<_>>(), ["1970-01-01"]);
        assert_eq!(days(86_399, 86_401).collect::<Vec<_>>(), ["1970-01-01", "1970-01-02"]);
    }

    #[test]
    fn a_date_is_a_day_and_nothing_more() {
        assert_eq!(date("2026-11-28").map(|date| date.to_string()).as_deref(), Ok("2026-11-28"));
        for bad in ["2026-11-31", "2026-11-28T10:00:00Z", "yesterday", "20261128"] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }
}
