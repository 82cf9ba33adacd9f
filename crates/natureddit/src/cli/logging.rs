//! The log: on the standard error, above the progress bars.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::error::{CliError, HintExt};
use super::output::AboveBars;

/// Starts the log. `filter` (from `NATUREDDIT_LOG`) says what is logged; else warnings, with `verbose` our own steps.
pub(super) fn start(filter: Option<&str>, verbose: bool, above_bars: AboveBars) -> Result<(), CliError> {
    let otherwise = if verbose { "warn,natureddit=debug" } else { "warn" };
    let filter = EnvFilter::builder()
        .parse(filter.unwrap_or(otherwise))
        .context("NATUREDDIT_LOG is not a log filter")
        .hint("for example: NATUREDDIT_LOG=debug, or NATUREDDIT_LOG=warn,natureddit_net=trace")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console::colors_enabled_stderr())
        .with_writer(move || above_bars.clone())
        .init();
    Ok(())
}
