//! `status`: how the work tree, the cache and a remote differ from the pointers.

use std::path::PathBuf;

use serde::Serialize;

use super::error::DvcError;
use super::hash::HashKind;
use super::repo::{DvcRepo, Tracked};
use super::scan::Storing;

/// How a tracked file or folder differs from its pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutStatus {
    /// The pointer, as seen from the repository's root.
    pub pointer: String,
    /// What it points to.
    pub path: String,
    /// In what way.
    pub change: Change,
    /// The files of a folder that the pointer does not know.
    pub added: Vec<String>,
    /// Those with another content.
    pub modified: Vec<String>,
    /// Those that are gone.
    pub deleted: Vec<String>,
    /// What the work tree has now, as pointers write it, where it was modified.
    #[serde(skip)]
    pub(crate) now: Option<String>,
}

/// A difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Another content.
    Modified,
    /// It is gone.
    Deleted,
    /// The pointer knows no content yet.
    New,
    /// The work tree is as it should be, but the cache lacks the content.
    NotInCache,
}

impl OutStatus {
    /// Whether the work tree has something that the pointer does not say.
    #[must_use]
    pub fn is_change_of_data(&self) -> bool {
        match self.change {
            Change::Modified | Change::New => true,
            Change::Deleted | Change::NotInCache => false,
        }
    }
}

impl DvcRepo {
    /// What of the targets differs from the pointers; of everything if there are none.
    ///
    /// # Errors
    /// [`DvcError`].
    pub fn status(&self, targets: &[PathBuf]) -> Result<Vec<OutStatus>, DvcError> {
        let mut changed = Vec::new();
        for tracked in self.tracked(targets)? {
            changed.extend(self.status_of(&tracked)?);
        }
        self.cache.write_state();
        Ok(changed)
    }

    fn status_of(&self, tracked: &Tracked) -> Result<Option<OutStatus>, DvcError> {
        let out = tracked.out();
        let status = |change| OutStatus {
            pointer: self.shown(&tracked.pointer.path),
            path: self.shown(&out.path),
            change,
            added: Vec::new(),
            modified: Vec::new(),
            deleted: Vec::new(),
            now: None,
        };
        let kind = out.content.as_ref().map_or(HashKind::Md5, |content| content.id.kind);
        let Some(now) = self.current(&out.path, kind, Storing::No)? else {
            return Ok(Some(status(Change::Deleted)));
        };
        let Some(content) = &out.content else { return Ok(Some(status(Change::New))) };
        if now.content.id == content.id {
            let is_whole = !out.is_cached || self.cache.has(content.id)?;
            return Ok((!is_whole).then(|| status(Change::NotInCache)));
        }
        let mut status = OutStatus { now: Some(now.content.id.to_string()), ..status(Change::Modified) };
        let before = if content.id.is_dir { self.cache.tree(content.id)? } else { None };
        if let (Some(before), Some(tree)) = (before, &now.tree) {
            for (name, md5) in &tree.files {
                match before.files.get(name) {
                    None => status.added.push(name.clone()),
                    Some(known) if known != md5 => status.modified.push(name.clone()),
                    Some(_) => {}
                }
            }
            status.deleted = before.files.keys().filter(|name| !tree.files.contains_key(*name)).cloned().collect();
        }
        Ok(Some(status))
    }
}
