//! What is asked of git, done by the system's `git`: with the user's settings and credentials, and without a word to the
//! terminal. Only paths that are named are ever committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Something that git could not do.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It is not there, or said no.
    #[error("git {what} failed: {why}")]
    Failed {
        /// Its command.
        what: String,
        /// Its own words.
        why: String,
    },
    /// The branch of the remote went on, and there are commits here that are not those of a daily update.
    #[error("{upstream} has commits that are not here, and here are commits of others that are not there")]
    Diverged {
        /// The branch of the remote.
        upstream: String,
    },
    /// What the branch of the remote changed does not go together with what was committed here.
    #[error("{upstream} changed the same files: {files}")]
    Conflict {
        /// The branch of the remote.
        upstream: String,
        /// Which, with commas.
        files: String,
    },
    /// The remote refused the branch again and again.
    #[error("{upstream} went on each of {times} times that it was pushed to")]
    NeverLast {
        /// The branch of the remote.
        upstream: String,
        /// How often.
        times: u32,
    },
}

/// A work tree of git.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    /// Its top.
    top: PathBuf,
}

/// The branch that the current one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// As git shows it: `origin/main`.
    pub(crate) name: String,
    remote: String,
    /// What the remote calls it: `refs/heads/main`.
    branch: String,
}

/// Pushes of one run; each was overtaken by somebody else's.
const PUSHES_MAX: u32 = 5;

impl Git {
    /// The work tree that a folder is in, if it is in one.
    pub(crate) fn of(folder: &Path) -> Option<Self> {
        let top = folder.ancestors().find(|folder| folder.join(".git").exists())?;
        Some(Self { top: top.to_owned() })
    }

    /// Its top folder.
    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, GitError> {
        let mut command = Command::new("git");
        command.current_dir(&self.top).args(arguments).stdin(Stdio::null());
        // Nobody may be there to answer; what git says is read here.
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        command.output().map_err(|e| failed(arguments, e.to_string()))
    }

    /// What git prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let output = self.output(arguments)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed(arguments, said(&output)))
    }

    /// Whether git says yes.
    pub(crate) fn is_so(&self, arguments: &[&str]) -> Result<bool, GitError> {
        Ok(self.output(arguments)?.status.success())
    }

    fn line(&self, arguments: &[&str]) -> Result<Option<String>, GitError> {
        let output = self.output(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && !text.is_empty()).then_some(text))
    }

    /// The commit that is checked out; `None` before the first one.
    pub(crate) fn head(&self) -> Result<Option<String>, GitError> {
        self.line(&["rev-parse", "--verify", "--quiet", "HEAD"])
    }

    /// The branch that the current one follows, if it follows one.
    pub(crate) fn upstream(&self) -> Result<Option<Upstream>, GitError> {
        let Some(branch) = self.line(&["symbolic-ref", "--quiet", "--short", "HEAD"])? else { return Ok(None) };
        let setting = |key: &str| self.line(&["config", "--get", &format!("branch.{branch}.{key}")]);
        let (Some(remote), Some(merge)) = (setting("remote")?, setting("merge")?) else { return Ok(None) };
        let short = merge.strip_prefix("refs/heads/").unwrap_or(&merge);
        Ok(Some(Upstream { name: format!("{remote}/{short}"), remote, branch: merge }))
    }

    /// Whether a file contains a text in some commit up to the current one.
    pub(crate) fn had(&self, path: &Path, text: &str) -> Result<bool, GitError> {
        let (pick, path) = (format!("-S{text}"), path.to_string_lossy());
        let found = ["--literal-pathspecs", "log", "--max-count=1", "--format=%H", &pick, "--", &*path];
        Ok(self.head()?.is_some() && self.line(&found)?.is_some())
    }

    /// Asks the remote for what is new.
    pub(crate) fn fetch(&self, upstream: &Upstream) -> Result<(), GitError> {
        self.run(&["fetch", "--quiet", &upstream.remote]).map(|_| ())
    }

    /// Whether what the branch of the remote has more, as last fetched, changes a file of some kind.
    pub(crate) fn touches(&self, upstream: &Upstream, is_meant: impl Fn(&Path) -> bool) -> Result<bool, GitError> {
        if !self.is_behind(upstream)? || self.head()?.is_none() {
            return Ok(false);
        }
        let range = format!("HEAD...{}", upstream.name);
        let listed = self.run(&["diff", "--name-only", "-z", &range])?;
        Ok(names(&listed).iter().any(|name| is_meant(&self.top.join(name))))
    }

    /// Takes over what the branch of the remote, as last fetched, has more, unless there are commits here that it has not.
    /// Whether there was something.
    pub(crate) fn fast_forward(&self, upstream: &Upstream) -> Result<bool, GitError> {
        if self.is_behind(upstream)? && self.ahead(upstream)?.is_empty() {
            self.run(&["merge", "--quiet", "--ff-only", &upstream.name])?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The files that both the branch of the remote, as last fetched, and the commits here changed since they parted.
    pub(crate) fn changed_by_both(&self, upstream: &Upstream) -> Result<Vec<String>, GitError> {
        if self.ahead(upstream)?.is_empty() || !self.is_behind(upstream)? {
            return Ok(Vec::new());
        }
        let changed = |range: String| Ok(names(&self.run(&["diff", "--name-only", "-z", &range])?));
        let theirs: BTreeSet<String> = changed(format!("HEAD...{}", upstream.name))?.into_iter().collect();
        let ours = changed(format!("{}...HEAD", upstream.name))?;
        Ok(ours.into_iter().filter(|name| theirs.contains(name)).collect())
    }

    /// A file as the current commit has it; `None` where it has none.
    pub(crate) fn at_head(&self, path: &Path) -> Result<Option<Vec<u8>>, GitError> {
        let Ok(inner) = path.strip_prefix(&self.top) else { return Ok(None) };
        let output = self.output(&["cat-file", "blob", &format!("HEAD:{}", inner.display())])?;
        Ok(output.status.success().then_some(output.stdout))
    }

    /// Whether the current commit is on a branch.
    pub(crate) fn is_on_branch(&self) -> Result<bool, GitError> {
        self.is_so(&["symbolic-ref", "--quiet", "HEAD"])
    }

    fn knows(&self, upstream: &Upstream) -> Result<bool, GitError> {
        Ok(self.line(&["rev-parse", "--verify", "--quiet", &upstream.name])?.is_some())
    }

    fn is_behind(&self, upstream: &Upstream) -> Result<bool, GitError> {
        if !self.knows(upstream)? {
            return Ok(false);
        }
        if self.head()?.is_none() {
            return Ok(true);
        }
        Ok(self.line(&["rev-list", "--max-count=1", &format!("HEAD..{}", upstream.name)])?.is_some())
    }

    /// The commits that the branch of the remote has not.
    fn ahead(&self, upstream: &Upstream) -> Result<Vec<String>, GitError> {
        if self.head()?.is_none() {
            return Ok(Vec::new());
        }
        let range = if self.knows(upstream)? { format!("{}..HEAD", upstream.name) } else { "HEAD".to_owned() };
        let listed = self.run(&["rev-list", &range])?;
        Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
    }

    /// Commits these files as they are, and nothing else, whatever else is staged or changed; the commit, if they differ
    /// from the last one. Files that git shall not see by its own settings are left out.
    pub(crate) fn commit(&self, paths: &[PathBuf], message: &str) -> Result<Option<String>, GitError> {
        let mut ours = Vec::new();
        for path in paths {
            let text = path.to_string_lossy().into_owned();
            let is_tracked = || self.is_so(&["--literal-pathspecs", "ls-files", "--error-unmatch", "--", &text]);
            let is_ignored = || self.is_so(&["check-ignore", "--quiet", "--no-index", "--", &text]);
            if is_tracked()? || (path.exists() && !is_ignored()?) {
                ours.push(text);
            }
        }
        if ours.is_empty() {
            return Ok(None);
        }
        let with = |arguments: &[&'static str]| -> Vec<String> {
            arguments.iter().map(|argument| (*argument).to_owned()).chain(ours.iter().cloned()).collect()
        };
        let run = |arguments: Vec<String>| self.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        run(with(&["--literal-pathspecs", "add", "--"]))?;
        let changed = run(with(&["--literal-pathspecs", "status", "--porcelain", "--"]))?;
        if changed.is_empty() {
            return Ok(None);
        }
        let mut arguments = with(&["--literal-pathspecs", "commit", "--quiet", "--only", "--message", "", "--"]);
        arguments[5] = message.to_owned();
        run(arguments)?;
        self.head()
    }

    /// Pushes the branch. Where the remote went on meanwhile, commits that touch nothing but `own` files are put on top of
    /// what came, and pushed again. How many commits went.
    pub(crate) fn push(&self, upstream: &Upstream, is_own: impl Fn(&Path) -> bool) -> Result<usize, GitError> {
        for _ in 0..PUSHES_MAX {
            self.fetch(upstream)?;
            let ahead = self.ahead(upstream)?;
            if ahead.is_empty() {
                return Ok(0);
            }
            if self.is_behind(upstream)? {
                self.rebase(upstream, &ahead, &is_own)?;
            }
            let target = format!("HEAD:{}", upstream.branch);
            let pushed = self.output(&["push", "--quiet", "--porcelain", &upstream.remote, &target])?;
            if pushed.status.success() {
                return Ok(ahead.len());
            }
            // `!<tab>from:to<tab>[rejected] (fetch first)`: somebody was faster. Any other refusal would be repeated.
            let refused = String::from_utf8_lossy(&pushed.stdout).into_owned();
            if !refused.contains("(fetch first)") && !refused.contains("(non-fast-forward)") {
                return Err(GitError::Failed { what: "push".into(), why: said(&pushed) });
            }
        }
        Err(GitError::NeverLast { upstream: upstream.name.clone(), times: PUSHES_MAX })
    }

    fn rebase(&self, upstream: &Upstream, ahead: &[String], is_own: &impl Fn(&Path) -> bool) -> Result<(), GitError> {
        let mut files = BTreeSet::new();
        for commit in ahead {
            let listed = self.run(&["diff-tree", "--no-commit-id", "--name-only", "--root", "-r", "-z", commit])?;
            files.extend(names(&listed));
        }
        let upstream = upstream.name.clone();
        if !files.iter().all(|file| is_own(&self.top.join(file))) {
            return Err(GitError::Diverged { upstream });
        }
        match self.run(&["rebase", "--no-autostash", "--quiet", &upstream]) {
            Ok(_) => Ok(()),
            Err(error) => {
                let unmerged = self.run(&["diff", "--name-only", "--diff-filter=U", "-z"])?;
                let files = names(&unmerged).join(", ");
                if files.is_empty() {
                    // It did not begin: the work tree has changes, for instance.
                    return Err(error);
                }
                self.run(&["rebase", "--abort"])?;
                Err(GitError::Conflict { upstream, files })
            }
        }
    }
}

/// Names as `-z` prints them.
fn names(listed: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(listed).split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The failure of a command, which stands behind the options of git itself.
fn failed(arguments: &[&str], why: String) -> GitError {
    let what = arguments.iter().find(|argument| !argument.starts_with('-'));
    GitError::Failed { what: what.map_or_else(String::new, |what| (*what).to_owned()), why }
}

/// What git said of a failure, in one line.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("hint:"));
    lines.collect::<Vec<_>>().join("; ")
}
