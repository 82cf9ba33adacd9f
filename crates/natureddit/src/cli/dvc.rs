//! `natureddit dvc`: data in DVC's own formats, without DVC.

use std::fmt;
use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use console::style;
use natureddit_data::dvc::{
    Added, Change, CheckedOut, CloudStatus, Collected, DvcError, DvcRepo, Keep, OutStatus, Pulled, Transferred, init,
};
use serde::Serialize;

use super::error::{CliError, Exit};
use super::session::Session;
use super::words::{counted, printable, size};
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit dvc init --remote s3://bucket/nature   make a repository, with a default remote
  natureddit dvc add data/posts.csv data/images     data into the cache, pointers beside it
  natureddit dvc status                             what changed since
  natureddit dvc push                               send the data to the default remote
  natureddit dvc pull --remote hub                  get it into the cache and the work tree
  natureddit dvc gc --workspace --force             remove what no pointer of the work tree needs

Works in any DVC repository, with or without natureddit.toml; remotes are those of .dvc/config.

Environment:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   keys for S3, where .dvc/config.local has none
  AWS_PROFILE                                else a profile of ~/.aws/credentials
  NATUREDDIT_DVC_TOKEN                       a token for web servers, the same";

/// Version data as DVC does: its files, its cache, its remotes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the folder a repository of DVC, as `dvc init` does
    #[command(after_help = EXAMPLES)]
    Init {
        /// Where the data is pushed to, as the default remote: a folder, s3://bucket/prefix, https://host/path
        #[arg(long, value_name = "URL")]
        remote: Option<String>,
    },
    /// Put files and folders into the cache and write pointers to them
    #[command(after_help = EXAMPLES)]
    Add {
        /// Files and folders of the work tree
        #[arg(required = true, value_hint = ValueHint::AnyPath)]
        targets: Vec<PathBuf>,
    },
    /// Say what differs from the pointers; with --quiet the exit code is 1 when anything does
    #[command(after_help = EXAMPLES)]
    Status {
        #[command(flatten)]
        targets: Targets,
        /// Compare the cache with a remote instead of the work tree with the pointers; so does --remote
        #[arg(short, long)]
        cloud: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Send what pointers point to
    #[command(after_help = EXAMPLES)]
    Push {
        #[command(flatten)]
        targets: Targets,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Get what pointers point to into the cache
    #[command(after_help = EXAMPLES)]
    Fetch {
        #[command(flatten)]
        targets: Targets,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Get what pointers point to into the cache and the work tree
    #[command(after_help = EXAMPLES)]
    Pull {
        #[command(flatten)]
        targets: Targets,
        #[command(flatten)]
        remote: RemoteArgs,
        #[command(flatten)]
        force: Force,
    },
    /// Make the work tree what the pointers say, from the cache
    #[command(after_help = EXAMPLES)]
    Checkout {
        #[command(flatten)]
        targets: Targets,
        #[command(flatten)]
        force: Force,
    },
    /// Remove objects of the cache that nothing points to
    #[command(after_help = EXAMPLES)]
    Gc(GcArgs),
}

#[derive(Debug, clap::Args)]
struct Targets {
    /// Pointers, what they point to, or files in it [default: all that is tracked]
    #[arg(value_hint = ValueHint::AnyPath)]
    targets: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct RemoteArgs {
    /// Which remote of .dvc/config [default: its core.remote]
    #[arg(short, long, value_name = "NAME")]
    remote: Option<String>,
    /// Objects under way at the same time [default: what .dvc/config says, or 16]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

#[derive(Debug, clap::Args)]
struct Force {
    /// Also where files are lost that are not in the cache
    #[arg(short, long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct GcArgs {
    /// Keep what the pointers of the work tree need; always so, and said because it is much to remove
    #[arg(short, long, required = true)]
    workspace: bool,
    /// Keep what all branches need too
    #[arg(short = 'a', long)]
    all_branches: bool,
    /// Keep what all tags need too
    #[arg(short = 'T', long)]
    all_tags: bool,
    /// Keep what any commit needs
    #[arg(short = 'A', long)]
    all_commits: bool,
    /// Remove from a remote too
    #[arg(short, long)]
    cloud: bool,
    /// Only say what would be removed
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
    /// Remove; without it nothing is
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    match &args.command {
        Command::Init { remote } => {
            let folder = init(&session.folder()?, remote.as_deref())?;
            session.output.result(&Made { folder })?;
        }
        Command::Add { targets } => {
            let here = Here::open(session, None)?;
            let added = here.repo.add(&here.absolute(targets))?;
            session.output.result(&AddedAll { added })?;
        }
        Command::Status { targets, cloud, remote } => {
            let here = Here::open(session, remote.jobs)?;
            let targets = here.absolute(&targets.targets);
            let (result, is_clean) = if *cloud || remote.remote.is_some() {
                let remotes = Here::block_on(here.repo.cloud_status(&targets, remote.remote.as_deref()))?;
                let is_clean = remotes.iter().all(|status| status.new.is_empty() && status.deleted.is_empty());
                (Status { changed: None, remotes: Some(remotes) }, is_clean)
            } else {
                let changed = here.repo.status(&targets)?;
                let is_clean = changed.is_empty();
                (Status { changed: Some(changed), remotes: None }, is_clean)
            };
            if session.output.is_quiet() {
                return Ok(if is_clean { Exit::Ok } else { Exit::Failed });
            }
            session.output.result(&result)?;
        }
        Command::Push { targets, remote } => {
            let here = Here::open(session, remote.jobs)?;
            let targets = here.absolute(&targets.targets);
            let done = Here::block_on(here.repo.push(&targets, remote.remote.as_deref()))?;
            session.output.result(&Sent(done))?;
        }
        Command::Fetch { targets, remote } => {
            let here = Here::open(session, remote.jobs)?;
            let targets = here.absolute(&targets.targets);
            let done = Here::block_on(here.repo.fetch(&targets, remote.remote.as_deref()))?;
            session.output.result(&Received(done))?;
        }
        Command::Pull { targets, remote, force } => {
            let here = Here::open(session, remote.jobs)?;
            let targets = here.absolute(&targets.targets);
            let done = Here::block_on(here.repo.pull(&targets, remote.remote.as_deref(), force.force))?;
            session.output.result(&PulledAll(done))?;
        }
        Command::Checkout { targets, force } => {
            let here = Here::open(session, None)?;
            let done = here.repo.checkout(&here.absolute(&targets.targets), force.force)?;
            session.output.result(&InPlace(done))?;
        }
        Command::Gc(args) => {
            if args.remote.remote.is_some() && !args.cloud {
                return Err(CliError::usage(
                    "--remote says which remote --cloud removes from, and there is no --cloud",
                ));
            }
            let here = Here::open(session, args.remote.jobs)?;
            let keep = Keep { all_branches: args.all_branches, all_tags: args.all_tags, all_commits: args.all_commits };
            let name = args.remote.remote.as_deref();
            let done = Here::block_on(here.repo.gc(keep, args.cloud, name, args.force))?;
            session.output.result(&Garbage(done))?;
        }
    }
    Ok(Exit::Ok)
}

/// The repository that the command is about, as seen from the current folder.
struct Here {
    folder: PathBuf,
    repo: DvcRepo,
}

impl Here {
    fn open(session: &Session, jobs: Option<u16>) -> Result<Self, CliError> {
        let config = session.config_if_any()?;
        let folder = session.folder()?;
        let options = wiring::dvc(&config, jobs, &session.output.progress(), &session.clock);
        let repo = DvcRepo::open(&folder, options)?;
        Ok(Self { folder, repo })
    }

    fn absolute(&self, targets: &[PathBuf]) -> Vec<PathBuf> {
        targets.iter().map(|target| DvcRepo::absolute(&self.folder, target)).collect()
    }

    fn block_on<T>(work: impl Future<Output = Result<T, DvcError>>) -> Result<T, CliError> {
        Ok(wiring::tokio_runtime()?.block_on(work)?)
    }
}

#[derive(Serialize)]
struct Made {
    folder: PathBuf,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "made {}", self.folder.display())?;
        writeln!(f, "next: `natureddit dvc add FILE` and `natureddit dvc push`; commit .dvc/config and the pointers")
    }
}

#[derive(Serialize)]
struct AddedAll {
    added: Vec<Added>,
}

impl fmt::Display for AddedAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.added.iter().try_for_each(|added| {
            let what = if added.is_changed { "added" } else { "unchanged" };
            writeln!(f, "{what} {}: {}, {}", printable(&added.path), counted(added.files, "file"), size(added.bytes))
        })
    }
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<OutStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remotes: Option<Vec<CloudStatus>>,
}

/// Names of files shown of each kind; `--json` has all.
const NAMES_SHOWN: usize = 10;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = self.changed.as_deref().unwrap_or_default();
        for status in changed {
            let change = match status.change {
                Change::Modified => "modified",
                Change::Deleted => "deleted",
                Change::New => "never added",
                Change::NotInCache => "not in the cache",
            };
            let (path, pointer) = (printable(&status.path), printable(&status.pointer));
            writeln!(f, "{} {path} ({pointer})", style(format!("{change}:")).yellow())?;
            write_names(f, "added", &status.added)?;
            write_names(f, "modified", &status.modified)?;
            write_names(f, "deleted", &status.deleted)?;
        }
        if self.changed.is_some() && changed.is_empty() {
            writeln!(f, "everything is as the pointers say")?;
        }
        for status in self.remotes.iter().flatten() {
            if status.new.is_empty() && status.deleted.is_empty() && status.missing.is_empty() {
                writeln!(f, "the cache and {} have the same", status.remote)?;
                continue;
            }
            writeln!(f, "{}", status.remote)?;
            write_names(f, "to push", &status.new)?;
            write_names(f, "to fetch", &status.deleted)?;
            write_names(f, "nowhere", &status.missing)?;
        }
        Ok(())
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, what: &str, names: &[String]) -> fmt::Result {
    for name in names.iter().take(NAMES_SHOWN) {
        writeln!(f, "  {what}: {}", printable(name))?;
    }
    match names.len().checked_sub(NAMES_SHOWN) {
        Some(more) if more > 0 => writeln!(f, "  {what}: and {}", counted(more as u64, "other")),
        _ => Ok(()),
    }
}

fn write_transferred(f: &mut fmt::Formatter<'_>, done: &Transferred, verb: &str) -> fmt::Result {
    if done.remotes.is_empty() {
        return writeln!(f, "nothing is tracked here");
    }
    let remotes = done.remotes.join(", ");
    if done.objects == 0 {
        return writeln!(f, "everything was there already ({remotes})");
    }
    writeln!(f, "{verb} {} ({}), {remotes}", counted(done.objects as u64, "object"), size(done.bytes))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Sent(Transferred);

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_transferred(f, &self.0, "pushed")
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Received(Transferred);

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_transferred(f, &self.0, "fetched")
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct InPlace(CheckedOut);

impl fmt::Display for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CheckedOut { added, modified, deleted } = &self.0;
        if added + modified + deleted == 0 {
            return writeln!(f, "the work tree is as the pointers say");
        }
        writeln!(f, "work tree: {added} added, {modified} modified, {deleted} deleted")
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct PulledAll(Pulled);

impl fmt::Display for PulledAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_transferred(f, &self.0.fetched, "fetched")?;
        write!(f, "{}", InPlace(self.0.checked_out.clone()))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Garbage(Collected);

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Collected { objects, partials, bytes, remote_objects, is_removed } = &self.0;
        let what = if *is_removed { "removed" } else { "would remove" };
        write!(f, "{what} {}", counted(*objects as u64, "object"))?;
        if *partials > 0 {
            write!(f, " and {}", counted(*partials as u64, "half-written file"))?;
        }
        write!(f, " of the cache ({})", size(*bytes))?;
        if *remote_objects > 0 {
            write!(f, " and {} of the remote", counted(*remote_objects as u64, "object"))?;
        }
        writeln!(f)?;
        if !is_removed && objects + partials + remote_objects > 0 {
            writeln!(f, "hint: --force removes them")?;
        }
        Ok(())
    }
}
