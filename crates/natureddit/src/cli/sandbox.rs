//! `natureddit sandbox`: the simulated Reddit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use natureddit_core::{ClassNames, fs};
use natureddit_sandbox::{CorpusError, Sandbox, SandboxConfig, Script, StartError};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use super::signals::StopSignals;
use super::words::counted;
use crate::config::Config;
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit sandbox                             drawn pictures, on the port of the settings
  natureddit sandbox --port 9999 --seed 7        another corpus
  natureddit sandbox --photos my-photos          yours: my-photos/fauna/*, my-photos/flora/*, ...
  natureddit sandbox --varied                    also crossposts, links, broken galleries
  natureddit sandbox --script faults.json        with its faults, such as
                                                 {\"faults\": [{\"nth\": 3, \"do\": \"reset\"}]}";

/// Serve a simulated Reddit on this machine until Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The port; 0 takes a free one [default: sandbox.port]
    #[arg(long)]
    port: Option<u16>,
    /// Where random numbers start [default: sandbox.seed]
    #[arg(long)]
    seed: Option<u64>,
    /// How many posts [default: sandbox.posts]
    #[arg(long)]
    posts: Option<usize>,
    /// A folder of photos, one folder a class, with titles from its posts.csv [default: sandbox.photos]
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Draw posts of every kind that Reddit has: crossposts, links, advertisements, galleries with every fault
    #[arg(long, conflicts_with = "photos")]
    varied: bool,
    /// A file of faults and of what becomes of posts, as `POST /_sim/script` takes it
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// The longest script that is read.
const SCRIPT_BYTES_MAX: u64 = 1 << 24;

#[derive(Serialize)]
struct Serving {
    url: String,
    posts: usize,
    since: String,
    until: String,
    /// What goes into `[net.host_map]` of a project that collects from here.
    host_map: BTreeMap<String, String>,
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {}  (Ctrl-C stops)\n", counted(self.posts as u64, "post"), self.url)?;
        writeln!(
            f,
            "in natureddit.toml, under the tables that are there already:\n\n[collect]\nsince = \"{}\"\nuntil = \"{}\"\n",
            self.since, self.until
        )?;
        writeln!(f, "[net.host_map]")?;
        self.host_map.iter().try_for_each(|(host, target)| writeln!(f, "\"{host}\" = \"{target}\""))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config_or_defaults()?;
    let runtime = wiring::tokio_runtime()?;
    let mut wanted = sandbox_config(&config, args.photos.clone());
    wanted.port = args.port.unwrap_or(wanted.port);
    wanted.seed = args.seed.unwrap_or(wanted.seed);
    wanted.posts = args.posts.unwrap_or(wanted.posts);
    wanted.varied = args.varied;
    if let Some(file) = &args.script {
        let script = script(file)?;
        (wanted.faults, wanted.events) = (script.faults, script.events);
    }
    let sandbox = start(wanted, &runtime)?;
    let window = sandbox.window();
    let mut signals = StopSignals::listen(&runtime)?;
    session.output.result(&Serving {
        url: format!("http://{}", sandbox.address()),
        posts: sandbox.truth().posts.len(),
        since: moment(window.since)?,
        until: moment(window.until)?,
        host_map: sandbox.host_map().into_iter().collect(),
    })?;
    runtime.block_on(async {
        signals.next().await;
        sandbox.stop().await;
    });
    session.output.stopped("the same command serves the same posts again");
    Ok(Exit::Ok)
}

/// What a file plans to go wrong.
fn script(file: &Path) -> Result<Script, CliError> {
    let bytes = fs::read_limited(file, SCRIPT_BYTES_MAX)?;
    let script = Script::from_json(&String::from_utf8_lossy(&bytes));
    script.with_context(|| format!("{} is no script of faults", file.display())).hint(SCRIPT_HINT)
}

const SCRIPT_HINT: &str = "for example: {\"faults\": [{\"path_contains\": \"/new\", \"nth\": 3, \"do\": {\"status\": {\"code\": 503}}}]}; \
     docs/sandbox.md names every fault and event";

/// The simulator of the settings; `photos` instead of theirs, if given.
pub(super) fn sandbox_config(config: &Config, photos: Option<PathBuf>) -> SandboxConfig {
    SandboxConfig {
        port: config.sandbox.port,
        photos: photos.or_else(|| config.sandbox.photos.clone()),
        subreddits: config.collect.subreddits.clone(),
        ..SandboxConfig::new(config.sandbox.seed, config.sandbox.posts, config.project.classes.clone())
    }
}

/// Starts the simulator.
pub(super) fn start(config: SandboxConfig, runtime: &tokio::runtime::Runtime) -> Result<Sandbox, CliError> {
    if let Some(folder) = &config.photos {
        check_photos(folder, &config.classes)?;
    }
    match runtime.block_on(Sandbox::start(config)) {
        Err(error @ StartError::Listen { .. }) => Err(error).hint("`--port 0` takes any free port"),
        Err(error @ StartError::Corpus(CorpusError::OnlyLinks { .. })) => {
            Err(error).hint("copy what they lead to, and name the copy: `cp -rL DIR COPY`")
        }
        started => Ok(started?),
    }
}

/// Says it of the folder itself when that is not there, and not of the first class's.
fn check_photos(folder: &Path, classes: &ClassNames) -> Result<(), CliError> {
    let found = fs::optional(fs::metadata(folder))?;
    let problem = match found {
        Some(found) if found.is_dir() => return Ok(()),
        Some(_) => "is no folder",
        None => "is not there",
    };
    let wanted: Vec<String> = classes.names().map(|class| format!("{class}/*")).collect();
    Err(anyhow!("the folder of photos {} {problem}", folder.display()))
        .hint(format!("name a folder that holds one folder a class: {}", wanted.join(", ")))
}

/// Seconds since the epoch as the settings take a moment.
pub(super) fn moment(second: i64) -> anyhow::Result<String> {
    Ok(Timestamp::from_second(second).context("the simulator's times are out of range")?.to_string())
}
