//! `gc`: objects that nothing points to any more.

use std::collections::BTreeSet;

use natureddit_core::fs;
use serde::Serialize;
use tokio::task::block_in_place;

use super::error::{DvcError, first_names};
use super::git::{self, Revisions};
use super::hash::ObjectId;
use super::repo::DvcRepo;

/// What keeps an object, beside the pointers of the work tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The pointers of all local branches.
    pub all_branches: bool,
    /// The pointers of all tags.
    pub all_tags: bool,
    /// The pointers of every commit.
    pub all_commits: bool,
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Objects of the cache.
    pub objects: usize,
    /// Objects of the cache that were not written to their end because a run was killed.
    pub partials: usize,
    /// The length of both.
    pub bytes: u64,
    /// Objects of the remote.
    pub remote_objects: usize,
    /// Whether they are gone.
    pub is_removed: bool,
}

impl DvcRepo {
    /// Removes what nothing points to from the cache, with what killed runs left half written there, and from a remote where
    /// `cloud` is set.
    ///
    /// # Errors
    /// [`DvcError`]; also where the list of a folder is not in the cache, for what it names cannot be told from garbage.
    pub async fn gc(&self, keep: Keep, cloud: bool, remote: Option<&str>, remove: bool) -> Result<Collected, DvcError> {
        let used = block_in_place(|| self.used(keep))?;
        let mut collected = Collected { is_removed: remove, ..Collected::default() };
        block_in_place(|| self.collect_cache(&used, &mut collected))?;
        if cloud {
            let name = remote.or(self.config.default_remote()).ok_or(DvcError::NoRemote)?;
            let (remote, _) = self.remote(name)?;
            for id in remote.list().await?.difference(&used) {
                if remove {
                    remote.remove(*id).await?;
                }
                collected.remote_objects += 1;
            }
        }
        self.cache.write_state();
        Ok(collected)
    }

    fn collect_cache(&self, used: &BTreeSet<ObjectId>, collected: &mut Collected) -> Result<(), DvcError> {
        // The lists first: one must not be left without its files.
        let mut unused: Vec<ObjectId> = self.cache.list()?.difference(used).copied().collect();
        unused.sort_by_key(|id| !id.is_dir);
        for id in unused {
            collected.bytes += fs::metadata(&self.cache.path(id))?.len();
            collected.objects += 1;
            if collected.is_removed {
                self.cache.remove(id)?;
            }
        }
        if self.config.cache_dir().is_some() {
            // Others may be writing there.
            return Ok(());
        }
        for path in self.cache.partials()? {
            collected.bytes += fs::metadata(&path)?.len();
            collected.partials += 1;
            if collected.is_removed {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn used(&self, keep: Keep) -> Result<BTreeSet<ObjectId>, DvcError> {
        // What stages made is in no pointer, and would be taken for garbage.
        if let Some(path) = self.lock_of_stages()? {
            return Err(DvcError::Stages { path });
        }
        let mut pointers = self.pointers()?;
        let revisions = match keep {
            Keep { all_commits: true, .. } => Some(Revisions::AllCommits),
            Keep { all_branches: false, all_tags: false, .. } => None,
            Keep { all_branches, all_tags, .. } => Some(Revisions::Heads { branches: all_branches, tags: all_tags }),
        };
        if let Some(revisions) = revisions {
            pointers.extend(git::pointers_of(&self.root, revisions)?);
        }
        let mut used = BTreeSet::new();
        let mut missing = Vec::new();
        for out in pointers.iter().flat_map(|pointer| &pointer.outs) {
            let Some(content) = &out.content else { continue };
            if !used.insert(content.id) || !content.id.is_dir {
                continue;
            }
            match self.cache.tree(content.id)? {
                Some(tree) => used.extend(tree.objects(content.id.kind)),
                None => missing.push(format!("{} of {}", content.id, self.shown(&out.path))),
            }
        }
        if missing.is_empty() {
            return Ok(used);
        }
        let (count, names) = first_names(missing);
        Err(DvcError::Missing { count, remote: String::new(), names })
    }
}
