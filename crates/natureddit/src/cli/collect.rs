//! `natureddit collect`: posts and photos of a window.

mod summary;

use std::time::Instant;

use anyhow::anyhow;
use jiff::Timestamp;
use natureddit_data::source::{DumpError, OauthError, SourceError};
use natureddit_data::{CollectConfig, CollectError, PhotoConfig, Shrink, SourceConfig, Window, WindowError, collect};
use natureddit_image::ImageLimits;
use natureddit_net::{NetError, redacted};
use url::Url;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use super::signals::StopSignals;
use super::sync_deletions;
use crate::config::{Config, SourceName, parse_moment};
use crate::wiring;

pub(super) use summary::Collected;

const EXAMPLES: &str = "\
Examples:
  natureddit collect --since 2022-05-01 --until 2022-05-08
  natureddit collect --last 1d              the last day (also 12h, 90m)
  natureddit collect                        collect.since and collect.until of the settings
  natureddit collect sync-deletions         forget the posts that are gone on Reddit

With --json the standard output is one JSON document. What happens meanwhile is told on the standard
error, one JSON object a line: its event is start, progress (every second at most), waiting, gap or
finish. An error comes there as plain text too.

Environment:
  NATUREDDIT_REDDIT_CLIENT_ID, NATUREDDIT_REDDIT_CLIENT_SECRET
                   your app's, for Reddit's own API; posts of other sources are looked up there too.
                   An installed app has no secret: name its id alone";

/// Collect the posts and photos of a window into the dataset; running it again changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The first moment, UTC: 2022-05-01 or 2022-05-01T12:00:00Z [default: collect.since]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "last")]
    since: Option<Timestamp>,
    /// The moment to stop before [default: collect.until, else now]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "last")]
    until: Option<Timestamp>,
    /// So long until now: 1d, 12h, 90m
    #[arg(long, value_name = "TIME", value_parser = span, allow_hyphen_values = true)]
    last: Option<i64>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Forget the posts that are gone on Reddit: rows, photos, labels, features
    #[command(after_help = sync_deletions::EXAMPLES)]
    SyncDeletions(sync_deletions::Args),
}

fn moment(text: &str) -> Result<Timestamp, String> {
    parse_moment(text).ok_or_else(|| "write 2022-05-01 or 2022-05-01T12:00:00Z".to_owned())
}

/// Seconds of a text such as `1d`, `12h`, `90m`.
fn span(text: &str) -> Result<i64, String> {
    let seconds = |count: &str, unit: i64| count.parse::<i64>().ok().filter(|&n| n > 0).map(|n| n.saturating_mul(unit));
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let parsed = units.iter().find_map(|(suffix, unit)| seconds(text.strip_suffix(suffix)?, *unit));
    parsed.ok_or_else(|| "write a number of days, hours or minutes: 1d, 12h, 90m".to_owned())
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    if let Some(Command::SyncDeletions(args)) = &args.command {
        return sync_deletions::run(args, session);
    }
    let config = session.config()?;
    let window = window(args, &config, session)?;
    session.output.result(&collect_window(&config, window, session)?)?;
    Ok(Exit::Ok)
}

fn window(args: &Args, config: &Config, session: &Session) -> Result<Window, CliError> {
    let now = session.clock.now();
    let (since, until) = match args.last {
        Some(seconds) => (Some(now.as_second().saturating_sub(seconds)), now.as_second()),
        None => {
            let since = args.since.or(config.collect.since);
            let until = args.until.or(config.collect.until).unwrap_or(now);
            (since.map(Timestamp::as_second), until.as_second())
        }
    };
    let since = since
        .ok_or_else(|| CliError::usage("which window? name --since, --last or collect.since"))
        .hint("for example: --last 1d, or --since 2022-05-01 --until 2022-05-08")?;
    let window = Window::new(since, until).or_else(|error| wrong_window(&error, args, config))?;
    if window.since() > now.as_second() {
        return Err(CliError::usage(format!("the window {window} has not begun yet")))
            .hint("posts are collected of times that have passed");
    }
    Ok(window)
}

/// Says which of the two moments to change.
fn wrong_window(error: &WindowError, args: &Args, config: &Config) -> Result<Window, CliError> {
    if args.last.is_some() {
        return Err(CliError::usage("--last reaches back to before 1970")).hint("for example: --last 30d");
    }
    let since = if args.since.is_some() { "--since" } else { "collect.since" };
    let until = match (args.until, config.collect.until) {
        (Some(_), _) => "--until",
        (None, Some(_)) => "collect.until",
        (None, None) => "now, for want of --until,",
    };
    let hint = match error {
        WindowError::Empty { .. } => format!("{until} must be later than {since}"),
        WindowError::OutOfRange { .. } => format!("change {since}"),
    };
    Err(CliError::usage(error.to_string())).hint(hint)
}

/// Collects a window into the project's dataset.
pub(super) fn collect_window(config: &Config, window: Window, session: &Session) -> Result<Collected, CliError> {
    collect_into(config, collect_config(config, window)?, session)
}

/// Collects what is wanted, which may be for another folder than the project's dataset.
pub(super) fn collect_into(config: &Config, wanted: CollectConfig, session: &Session) -> Result<Collected, CliError> {
    let window = wanted.window;
    let progress = session.output.progress();
    let client = wiring::client(config, &progress)?;
    let started = Instant::now();
    let runtime = wiring::tokio_runtime()?;
    let mut signals = StopSignals::listen(&runtime)?;
    let collected = runtime.block_on(async {
        tokio::select! {
            collected = collect(&wanted, &client, &session.clock, &progress) => Some(collected),
            () = signals.next() => None,
        }
    });
    let Some(collected) = collected else {
        return Err(CliError::from(anyhow!("stopped before the end"))).hint(AGAIN);
    };
    match collected {
        Ok(report) => Ok(Collected { report, window, seconds: started.elapsed().as_secs_f64() }),
        Err(error) => {
            let hints = hints(&error, config);
            hints.into_iter().fold(Err(error.into()), HintExt::hint)
        }
    }
}

const AGAIN: &str = "what was collected is kept; run the same command again to go on";

/// What to do about a collection that failed, where the cause alone does not tell.
fn hints(error: &CollectError, config: &Config) -> Vec<String> {
    let again = || AGAIN.to_owned();
    let (source, url) = match error {
        CollectError::Source { source, .. } => (source, base_url(config)),
        CollectError::LookUp { source: SourceError::Reddit(OauthError::Token { .. }) } => {
            return vec![
                "compare NATUREDDIT_REDDIT_CLIENT_ID and NATUREDDIT_REDDIT_CLIENT_SECRET with those of your app, or set \
                 collect.hydrate = false"
                    .to_owned(),
            ];
        }
        CollectError::LookUp { .. } => return vec![again()],
        CollectError::EveryPhotoFailed { .. } => {
            let hint =
                "can this machine reach the photo hosts, or those in net.host_map? then run the same command again";
            return vec![hint.to_owned()];
        }
        CollectError::Locked { .. } => return vec!["wait until it is done, or stop it".into()],
        CollectError::Dataset(_) | CollectError::Fs(_) => return Vec::new(),
    };
    let key = url.map_or("collect.dump.files", |(key, _)| key);
    match source {
        SourceError::Net { source, .. } | SourceError::Reddit(OauthError::Net { source, .. }) => match source {
            NetError::Connection { .. } | NetError::Timeout { .. } => {
                [again()].into_iter().chain(url.map(|(key, url)| unreachable(config, key, url))).collect()
            }
            NetError::WaitTooLong { .. } | NetError::Status { status: 408 | 422 | 429 | 500..=599, .. } => {
                vec![again()]
            }
            NetError::TooManyBytes { .. } => vec!["raise collect.page_bytes_max, or lower collect.page_size".into()],
            NetError::Status { status: 401, .. } if config.collect.source == SourceName::RedditOauth => {
                vec!["Reddit gives a token and does not take it: is the app's access revoked?".into()]
            }
            NetError::AddressRefused { .. } => {
                vec![format!("check {key}; a server of your own is reached under a name of its own in net.host_map")]
            }
            _ => vec![format!("check {key}, the address of the source")],
        },
        SourceError::Answer { .. } | SourceError::Reddit(OauthError::Answer { .. }) => {
            vec![format!("run the same command again later; if it stays so, check {key}")]
        }
        SourceError::Reddit(OauthError::Token { .. }) => {
            let app = "NATUREDDIT_REDDIT_CLIENT_ID with NATUREDDIT_REDDIT_CLIENT_SECRET";
            vec![format!("Reddit refused {app}: compare them with those of your app")]
        }
        SourceError::Paging { .. } => vec![format!("name another source: {key}")],
        SourceError::Dump(DumpError::Read { .. } | DumpError::Thread { .. }) => {
            vec!["get the file again; what came before the damage is kept, and its windows stay open gaps".into()]
        }
        SourceError::Dump(_) => vec![format!("check {key}")],
        SourceError::LookUp { .. } | SourceError::NoLookUp { .. } => vec![again()],
    }
}

/// The address of the source and the key that holds it; a dump has none.
fn base_url(config: &Config) -> Option<(&'static str, &Url)> {
    let collect = &config.collect;
    match collect.source {
        SourceName::Pushshift => Some(("collect.pushshift.base_url", &collect.pushshift_base_url)),
        SourceName::ArcticShift => Some(("collect.arctic_shift.base_url", &collect.arctic_shift_base_url)),
        SourceName::RedditOauth => Some(("collect.reddit_oauth.base_url", &collect.reddit_base_url)),
        SourceName::Dump => None,
    }
}

/// What to look at when the source does not answer.
fn unreachable(config: &Config, key: &str, source: &Url) -> String {
    let host = source.host_str().unwrap_or_default();
    match config.net.host_map.get(host) {
        Some(target) => format!(
            "net.host_map sends {host} to {}: does it listen? `natureddit sandbox` starts a demo's simulated Reddit",
            redacted(target)
        ),
        None => format!("can this machine reach {}, {key}?", redacted(source)),
    }
}

/// How the settings say that a window is to be collected into the project's dataset.
pub(super) fn collect_config(config: &Config, window: Window) -> Result<CollectConfig, CliError> {
    let collect = &config.collect;
    Ok(CollectConfig {
        source: source_config(config)?,
        hydrate: wiring::reddit_oauth(config).filter(|_| collect.source != SourceName::RedditOauth && collect.hydrate),
        author: collect.author,
        subreddits: collect.subreddits.clone(),
        window,
        page_size: collect.page_size,
        include_over_18: collect.include_over_18,
        gallery: collect.gallery,
        photos: PhotoConfig {
            bytes_min: collect.image_bytes_min,
            limits: ImageLimits { bytes_max: collect.image_bytes_max, pixels_max: collect.image_pixels_max },
            shrink: Some(Shrink { long_side_max: collect.long_side_max, jpeg_quality: collect.jpeg_quality }),
            // While some wait for their host, others are decoded or come from another host.
            in_flight_max: 3 * collect.downloads_per_host_max,
        },
        placeholders: collect.placeholders.clone(),
        data_dir: config.project.data_dir.clone(),
        base_dir: None,
    })
}

/// Where posts come from.
pub(super) fn source_config(config: &Config) -> Result<SourceConfig, CliError> {
    let collect = &config.collect;
    let page_bytes_max = collect.page_bytes_max;
    Ok(match collect.source {
        SourceName::Pushshift => {
            SourceConfig::Pushshift { base_url: collect.pushshift_base_url.clone(), page_bytes_max }
        }
        SourceName::ArcticShift => {
            SourceConfig::ArcticShift { base_url: collect.arctic_shift_base_url.clone(), page_bytes_max }
        }
        SourceName::RedditOauth => match wiring::reddit_oauth(config) {
            Some(reddit) => SourceConfig::RedditOauth(reddit),
            None => {
                return Err(anyhow::anyhow!("collect.source = \"reddit_oauth\" needs an app of yours on Reddit"))
                    .hint("set NATUREDDIT_REDDIT_CLIENT_ID and, unless it is an installed app, NATUREDDIT_REDDIT_CLIENT_SECRET in the environment");
            }
        },
        SourceName::Dump => {
            SourceConfig::Dump { files: collect.dump_files.clone(), line_bytes_max: collect.dump_line_bytes_max }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(span("2d"), Ok(172_800));
        assert_eq!(span("90m"), Ok(5_400));
        for bad in ["", "d", "0d", "-1h", "1", "1w", "99999999999999999999d"] {
            assert!(span(bad).is_err(), "{bad:?}");
        }
    }
}
