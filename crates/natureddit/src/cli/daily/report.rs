//! What the tasks of the daily update tell.

use std::fmt;
use std::path::PathBuf;

use jiff::civil::Date;
use natureddit_data::daily::{MergedDay, PulledDataset, Pushed, Resized, UpdatedDvc};
use serde::Serialize;

use crate::cli::collect::Collected;
use crate::cli::words::{counted, size};

/// What a task did.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Done {
    PullDataset(PulledDataset),
    LoadSettings(Settings),
    ObtainPosts(Box<Collected>),
    ResizeImages(Resized),
    MergeDatasets(MergedDay),
    UpdateDvc(UpdatedDvc),
    Push(Pushed),
}

/// The settings that the later tasks of the day read.
#[derive(Serialize)]
pub(super) struct Settings {
    pub(super) file: PathBuf,
    pub(super) since: Date,
    pub(super) until: Date,
    pub(super) source: &'static str,
    pub(super) subreddits: Vec<String>,
}

/// As git abbreviates commits.
const COMMIT_LEN: usize = 10;

fn short(commit: &str) -> &str {
    commit.get(..COMMIT_LEN).unwrap_or(commit)
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullDataset(done) => write_pulled(f, done),
            Self::LoadSettings(Settings { since, until, source, subreddits, .. }) => {
                writeln!(f, "posts of r/{} from {source}, {since} to {until}", subreddits.join(", r/"))
            }
            Self::ObtainPosts(collected) => write!(f, "{collected}"),
            Self::ResizeImages(Resized { photos, shrunk, bytes_before, bytes }) => {
                let photos = counted(*photos, "photo");
                writeln!(f, "{photos}, {shrunk} of them shrunk: {} before, {} now", size(*bytes_before), size(*bytes))
            }
            Self::MergeDatasets(MergedDay { posts_new, posts, photos, merged }) => {
                let (new, posts, photos) =
                    (counted(*posts_new, "new post"), counted(*posts, "post"), counted(*photos, "photo"));
                writeln!(f, "{new}; {posts} and {photos} in all")?;
                if merged.forgotten > 0 {
                    let rows = counted(merged.forgotten, "row");
                    writeln!(f, "{rows} of deleted posts left out")?;
                }
                Ok(())
            }
            Self::UpdateDvc(done) => write_updated(f, done),
            Self::Push(pushed) => {
                let objects = counted(pushed.data.objects as u64, "object");
                writeln!(f, "{objects} ({}) to {}", size(pushed.data.bytes), shown(&pushed.data.remotes))?;
                write_commits(f, pushed)
            }
        }
    }
}

/// What became of the commits.
pub(super) fn write_commits(f: &mut fmt::Formatter<'_>, pushed: &Pushed) -> fmt::Result {
    match (&pushed.upstream, pushed.is_on_branch) {
        (Some(upstream), _) => writeln!(f, "{} to {upstream}", counted(pushed.commits as u64, "commit")),
        (None, Some(true)) => {
            writeln!(f, "no commit was pushed: the branch follows none of a remote (git push -u)")
        }
        (None, Some(false)) => {
            writeln!(f, "no commit was pushed, and the last one is on no branch (git switch -c NAME keeps it)")
        }
        (None, None) => writeln!(f, "no commit was made: there is no git here"),
    }
}

fn shown(remotes: &[String]) -> String {
    if remotes.is_empty() { "no remote".to_owned() } else { remotes.join(", ") }
}

fn write_pulled(f: &mut fmt::Formatter<'_>, done: &PulledDataset) -> fmt::Result {
    let PulledDataset { commit, is_forwarded, changed, pulled } = done;
    match commit {
        Some(commit) if *is_forwarded => writeln!(f, "now at commit {}", short(commit))?,
        Some(commit) => writeln!(f, "at commit {} already", short(commit))?,
        None => {}
    }
    if !changed.is_empty() {
        writeln!(f, "left as it is, for no version holds its changes yet: {}", changed.join(", "))?;
    }
    let (fetched, placed) = (&pulled.fetched, &pulled.checked_out);
    if fetched.objects > 0 {
        writeln!(f, "fetched {} ({})", counted(fetched.objects as u64, "object"), size(fetched.bytes))?;
    }
    if placed.added + placed.modified + placed.deleted > 0 {
        writeln!(f, "work tree: {} added, {} modified, {} deleted", placed.added, placed.modified, placed.deleted)?;
    }
    Ok(())
}

fn write_updated(f: &mut fmt::Formatter<'_>, done: &UpdatedDvc) -> fmt::Result {
    for added in &done.added {
        let what = if added.is_changed { "added" } else { "unchanged" };
        writeln!(f, "{what} {}: {}, {}", added.path, counted(added.files, "file"), size(added.bytes))?;
    }
    match &done.commit {
        Some(commit) => writeln!(f, "commit {}", short(commit)),
        None => writeln!(f, "nothing to commit"),
    }
}
