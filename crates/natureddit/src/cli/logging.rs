//! The log: on the standard error, above the progress bars.

use anyhow::{Context, anyhow};
use natureddit_core::Clock;
use serde_json::json;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use super::error::{CliError, HintExt};
use super::output::AboveBars;
use crate::config::Environment;

/// Starts the log. `NATUREDDIT_LOG` says what is logged; else warnings, with `verbose` our own steps. `NATUREDDIT_LOG_FORMAT` says
/// how: `text`, or `json`, an object a line with the fields of what is logged beside `timestamp`, `level` and `message`.
pub(super) fn start(environment: &Environment, verbose: bool, above_bars: AboveBars) -> Result<(), CliError> {
    let otherwise = if verbose { "warn,natureddit=debug" } else { "warn" };
    let filter = EnvFilter::builder()
        .parse(environment.log_filter.as_deref().unwrap_or(otherwise))
        .context("NATUREDDIT_LOG is not a log filter")
        .hint("for example: NATUREDDIT_LOG=debug, or NATUREDDIT_LOG=warn,natureddit_net=trace")?;
    let writer = move || above_bars.clone();
    match environment.log_format.as_deref() {
        None | Some("text") => {
            let log = tracing_subscriber::fmt().with_env_filter(filter);
            log.with_ansi(console::colors_enabled_stderr()).with_writer(writer).init();
        }
        Some("json") => json(filter, writer).init(),
        Some(other) => {
            let unknown = Err(anyhow!("NATUREDDIT_LOG_FORMAT is {other:?}"));
            return unknown.hint("it is text or json; without it, text");
        }
    }
    Ok(())
}

fn json(
    filter: EnvFilter,
    writer: impl for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    log.json().flatten_event(true).with_current_span(false).with_span_list(false).finish()
}

/// Makes the line that tells how many lines were lost, as the log would write it. It is told whatever is logged: notes are lost too.
pub(super) fn lost(environment: &Environment, clock: Clock) -> impl Fn(u64) -> String + Send + 'static {
    lost_as(environment.log_format.as_deref() == Some("json"), clock)
}

fn lost_as(is_json: bool, clock: Clock) -> impl Fn(u64) -> String + Send + 'static {
    const MESSAGE: &str = "lines were lost: the standard error did not take them";
    const TARGET: &str = "natureddit::log";
    move |lines| {
        let time = format!("{:.6}", clock.now());
        if is_json {
            format!(
                "{}\n",
                json!({"timestamp": time, "level": "WARN", "message": MESSAGE, "lines": lines, "target": TARGET})
            )
        } else {
            format!("{time}  WARN {TARGET}: {MESSAGE} lines={lines}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn lost_lines_are_told_in_the_format_of_the_log() {
        let line = |is_json| lost_as(is_json, Clock::fixed(0))(3);
        let message = "lines were lost: the standard error did not take them";
        assert_eq!(line(false), format!("1970-01-01T00:00:00.000000Z  WARN natureddit::log: {message} lines=3\n"));
        let object: Value = serde_json::from_str(&line(true)).unwrap();
        assert_eq!(
            object,
            json!({
                "timestamp": "1970-01-01T00:00:00.000000Z", "level": "WARN", "message": message, "lines": 3,
                "target": "natureddit::log"
            })
        );
    }

    #[test]
    fn a_line_of_json_has_the_fields_beside_its_message() {
        let mut file = tempfile::tempfile().unwrap();
        let log = super::json("info".parse().unwrap(), file.try_clone().unwrap());
        tracing::subscriber::with_default(log, || {
            tracing::info!(path = "/a\"b\n", status = 200, model = None::<&str>, "request");
            tracing::debug!("unheard");
        });
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let line = line.as_object_mut().unwrap();
        assert!(line.remove("timestamp").is_some() && line.remove("target").is_some());
        assert_eq!(
            *line,
            *json!({"level": "INFO", "message": "request", "path": "/a\"b\n", "status": 200}).as_object().unwrap()
        );
    }
}
