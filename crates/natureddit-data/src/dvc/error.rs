//! What can go wrong.

use std::path::PathBuf;

use natureddit_core::fs::FsError;

use super::config::DvcConfigError;
use super::hash::ObjectId;
use super::pointer::PointerError;
use super::remote::RemoteError;
use super::tree::TreeError;
use crate::git::GitError;

/// Why something of DVC's could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DvcError {
    /// There is no `.dvc` folder here or above.
    #[error("no DVC repository in {path} or above it", path = path.display())]
    NoRepository {
        /// Where the search began.
        path: PathBuf,
    },
    /// There is a repository where one is to be made.
    #[error("{path} is a DVC repository already", path = path.display())]
    IsRepository {
        /// Where.
        path: PathBuf,
    },
    /// Somebody else holds the lock.
    #[error("another process works on this repository: {lock} is locked{by}", lock = lock.display())]
    Busy {
        /// The lock file.
        lock: PathBuf,
        /// Who, where that is known, with a space before it.
        by: String,
    },
    /// A target is not there.
    #[error("{path} is not there", path = path.display())]
    NotFound {
        /// Which one.
        path: PathBuf,
    },
    /// A link to nothing, or a file that went away meanwhile.
    #[error("{path} leads nowhere", path = path.display())]
    LeadsNowhere {
        /// The link.
        path: PathBuf,
    },
    /// A target is neither a pointer nor what one points to.
    #[error("{path} is not tracked by DVC", path = path.display())]
    NotTracked {
        /// Which one.
        path: PathBuf,
    },
    /// A target cannot be tracked.
    #[error("{path} cannot be added: {why}", path = path.display())]
    CannotAdd {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file below a target has a name that no list of a folder can hold.
    #[error("the name of {path} is not UTF-8", path = path.display())]
    NotUtf8 {
        /// Which one.
        path: PathBuf,
    },
    /// A file changed while it was read.
    #[error("{path} changed while it was read", path = path.display())]
    Changing {
        /// Which one.
        path: PathBuf,
    },
    /// An object is not what its name says.
    #[error("the object {id} of {place} is corrupt: its content has the MD5 {found}{aside}")]
    Corrupt {
        /// Its name.
        id: ObjectId,
        /// Of which cache or remote.
        place: String,
        /// What its content says.
        found: String,
        /// Where it was put, with a comma before it.
        aside: String,
    },
    /// The list of a folder is broken, though its hash is right.
    #[error("the object {id} is broken")]
    Tree {
        /// Its name.
        id: ObjectId,
        /// How.
        #[source]
        source: TreeError,
    },
    /// Objects that are needed are nowhere.
    #[error("{}: {names}", missing(*count, remote))]
    Missing {
        /// How many.
        count: usize,
        /// The remote that was asked, with ` nor in ` before it.
        remote: String,
        /// The first of them and what they belong to.
        names: String,
    },
    /// Work that is nowhere else would be lost.
    #[error("{count} file{} would be lost that {} not in the cache: {names}", if *count == 1 { "" } else { "s" }, is_or_are(*count))]
    WouldLose {
        /// How many.
        count: usize,
        /// The first of them.
        names: String,
    },
    /// A folder is wanted where something else is.
    #[error("{path} is no folder, and one is wanted there", path = path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
    },
    /// No kind of link that is configured works here.
    #[error("no type of link in cache.type works for {path}", path = path.display())]
    NoLink {
        /// For which file.
        path: PathBuf,
    },
    /// No remote is named, and none is the default.
    #[error("no remote is named, and there is no core.remote in the settings of DVC")]
    NoRemote,
    /// A remote that is not configured.
    #[error("there is no remote {name:?} in the settings of DVC")]
    UnknownRemote {
        /// As it was named.
        name: String,
    },
    /// Commits were asked for where there is no git.
    #[error("{path} is not in a repository of git", path = path.display())]
    NoGit {
        /// The repository of DVC.
        path: PathBuf,
    },
    /// Stages, whose objects are not known here, so that they cannot be told from garbage.
    #[error("{path} names what stages made, which gc does not see", path = path.display())]
    Stages {
        /// The record of the stages.
        path: PathBuf,
    },
    /// A repository of git without its older commits, of which all are asked for.
    #[error("{path} has only the latest commits, and what the others point to would be taken for garbage", path = path.display())]
    Shallow {
        /// Its top.
        path: PathBuf,
    },
    /// A pointer of a commit; what it points to cannot be told from garbage.
    #[error("{path} in the commit {commit} is broken", path = path.display())]
    InHistory {
        /// The pointer.
        path: PathBuf,
        /// A commit that has it so.
        commit: String,
        /// How.
        #[source]
        source: PointerError,
    },
    /// A setting of DVC's that is not spoken here.
    #[error("{0} in the settings of DVC is not supported")]
    Setting(&'static str),
    /// Git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A pointer.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] DvcConfigError),
    /// A remote.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A file.
    #[error(transparent)]
    Fs(#[from] FsError),
}

fn missing(count: usize, remote: &str) -> String {
    let where_not = if remote.is_empty() { "not in the cache".into() } else { format!("neither in the cache{remote}") };
    format!("{count} of the objects needed {} {where_not}", is_or_are(count))
}

fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// The first few of many names.
pub(super) fn first_names(names: impl IntoIterator<Item = String>) -> (usize, String) {
    const SHOWN: usize = 5;
    let names: Vec<String> = names.into_iter().collect();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    (names.len(), names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ") + more)
}
