//! `add`: the work tree into the cache, and pointers to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use natureddit_core::fs::{self, Kind};
use serde::Serialize;

use super::error::DvcError;
use super::git;
use super::hash::HashKind;
use super::pointer::{Content, Pointer, SUFFIX};
use super::repo::{DvcRepo, Tracked};
use super::scan::{Current, Storing};

/// A target that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Added {
    /// As seen from the repository's root.
    pub path: String,
    /// Its pointer.
    pub pointer: String,
    /// The name of its object.
    pub md5: String,
    /// How many files it has.
    pub files: u64,
    /// Of all its files.
    pub bytes: u64,
    /// Whether the pointer says something else than before.
    pub is_changed: bool,
}

impl DvcRepo {
    /// Adds files and folders, named by absolute paths.
    ///
    /// # Errors
    /// [`DvcError`]; the pointers are then as they were, or those of the targets before.
    pub fn add(&self, targets: &[PathBuf]) -> Result<Vec<Added>, DvcError> {
        let pointers = self.pointers()?;
        let mut to_stage = Vec::new();
        let mut added = Vec::new();
        for target in targets {
            let target = self.target_to_add(target)?;
            let known = self.known(&pointers, &target)?;
            added.push(match known.as_ref().filter(|known| known.out().path != target) {
                Some(known) => self.add_inside(&target, known, &mut to_stage)?,
                None => self.add_one(&target, known.as_ref(), &mut to_stage)?,
            });
        }
        self.cache.write_state();
        self.end_checkout(targets.iter().map(PathBuf::as_path))?;
        if self.config.autostage() && !to_stage.is_empty() {
            git::stage(&self.root, &to_stage)?;
        }
        Ok(added)
    }

    fn target_to_add(&self, target: &Path) -> Result<PathBuf, DvcError> {
        let cannot = |why: &str| DvcError::CannotAdd { path: target.to_owned(), why: why.to_owned() };
        if target.to_string_lossy().ends_with(SUFFIX) && target.is_file() {
            return Err(cannot("it is a pointer"));
        }
        if !target.starts_with(&self.root) || target == self.root {
            return Err(cannot("it is not in the repository"));
        }
        match fs::optional(fs::kind(target))? {
            None => return Err(DvcError::NotFound { path: target.to_owned() }),
            Some(Kind::Other) => return Err(cannot("it is neither a file nor a folder")),
            Some(Kind::Link) if fs::metadata(target)?.is_dir() => return Err(cannot("it is a link to a folder")),
            Some(_) => {}
        }
        if self.ignored.is_below_ignored(target, target.is_dir())? {
            return Err(cannot("a .dvcignore leaves it out"));
        }
        Ok(target.to_owned())
    }

    /// The pointer that tracks the target already.
    fn known(&self, pointers: &[Pointer], target: &Path) -> Result<Option<Tracked>, DvcError> {
        let cannot = |why: String| DvcError::CannotAdd { path: target.to_owned(), why };
        for pointer in pointers {
            for (at, out) in pointer.outs.iter().enumerate() {
                if out.path == target {
                    if pointer.is_import {
                        return Err(cannot(format!("{} says that it is imported", self.shown(&pointer.path))));
                    }
                    return Ok(Some(Tracked { pointer: pointer.clone(), at }));
                }
                let is_inside = target.starts_with(&out.path) && !pointer.is_import;
                if is_inside && out.content.as_ref().is_some_and(|content| content.id.is_dir) {
                    return Ok(Some(Tracked { pointer: pointer.clone(), at }));
                }
                if target.starts_with(&out.path) || out.path.starts_with(target) {
                    return Err(cannot(format!("it overlaps with {}, which is tracked", self.shown(&out.path))));
                }
            }
        }
        if git::is_tracked(&self.root, target)? {
            return Err(cannot("git tracks it".into()));
        }
        let pointer = Pointer::path_of(target);
        if git::is_ignored(&self.root, &pointer)? {
            return Err(cannot(format!("a .gitignore leaves {} out, which must be in git", self.shown(&pointer))));
        }
        Ok(None)
    }

    fn add_one(&self, target: &Path, known: Option<&Tracked>, to_stage: &mut Vec<PathBuf>) -> Result<Added, DvcError> {
        let before = known.and_then(|known| known.out().content.as_ref());
        let gone = || DvcError::NotFound { path: target.to_owned() };
        // Data of DVC 2 that did not change stays as it is; other data gets the hashes of DVC 3.
        let legacy = before.filter(|content| content.id.kind == HashKind::Md5Dos2Unix);
        let unchanged = match legacy {
            Some(content) => {
                let now = self.current(target, HashKind::Md5Dos2Unix, Storing::No)?.ok_or_else(gone)?;
                (now.content.id == content.id).then_some(now)
            }
            None => None,
        };
        let kind = if unchanged.is_some() { HashKind::Md5Dos2Unix } else { HashKind::Md5 };
        let now = self.current(target, kind, Storing::Yes)?.ok_or_else(gone)?;
        self.finish(&now)?;
        let added = match known {
            Some(known) => self.point(known, &now.content, to_stage)?,
            None => {
                let pointer = Pointer::path_of(target);
                self.write(&pointer, Pointer::text_of(name(target)?, &now.content).as_bytes())?;
                to_stage.push(pointer.clone());
                self.added(target, &pointer, &now.content, true)
            }
        };
        to_stage.extend(git::ignore(&self.root, target)?);
        self.relink(target, &now)?;
        Ok(added)
    }

    /// Adds a file or folder inside a tracked folder to that; the rest of it stays as the pointer says.
    fn add_inside(&self, target: &Path, known: &Tracked, to_stage: &mut Vec<PathBuf>) -> Result<Added, DvcError> {
        let gone = || DvcError::NotFound { path: target.to_owned() };
        let out = known.out();
        let content = out.content.as_ref().ok_or_else(gone)?;
        let cannot = |why: &str| DvcError::CannotAdd { path: target.to_owned(), why: why.to_owned() };
        if content.id.kind == HashKind::Md5Dos2Unix {
            return Err(cannot("it lies in a folder of DVC 2, which is upgraded as a whole"));
        }
        let list = self.cache.tree(content.id)?.ok_or_else(|| cannot("the list of the folder is not in the cache"))?;
        let now = self.current(target, HashKind::Md5, Storing::Yes)?.ok_or_else(gone)?;
        let inner = target.strip_prefix(&out.path).unwrap_or(target).to_str();
        let inner = inner.ok_or_else(|| DvcError::NotUtf8 { path: target.to_owned() })?;
        let mut tree = Arc::unwrap_or_clone(list);
        tree.files.retain(|name, _| name != inner && !name.starts_with(&format!("{inner}/")));
        match now.tree {
            Some(found) => {
                tree.files.extend(found.files.into_iter().map(|(name, md5)| (format!("{inner}/{name}"), md5)));
            }
            None => _ = tree.files.insert(inner.to_owned(), now.content.id.md5),
        }
        let mut bytes = 0;
        for id in tree.objects(HashKind::Md5) {
            bytes += fs::optional(fs::metadata(&self.cache.path(id)))?.map_or(0, |found| found.len());
        }
        let files = tree.files.len() as u64;
        let content =
            Content { id: tree.id(HashKind::Md5), bytes: Some(bytes), files: Some(files), is_executable: false };
        let now = Current { content, tree: Some(tree) };
        self.finish(&now)?;
        self.point(known, &now.content, to_stage)
    }

    /// Makes a pointer point to something else.
    fn point(&self, known: &Tracked, now: &Content, to_stage: &mut Vec<PathBuf>) -> Result<Added, DvcError> {
        let is_changed = known.out().content.as_ref().is_none_or(|before| !is_same(before, now));
        if is_changed {
            self.write(&known.pointer.path, known.pointer.text_with(known.at, now)?.as_bytes())?;
            to_stage.push(known.pointer.path.clone());
        }
        Ok(self.added(&known.out().path, &known.pointer.path, now, is_changed))
    }

    fn added(&self, target: &Path, pointer: &Path, now: &Content, is_changed: bool) -> Added {
        Added {
            path: self.shown(target),
            pointer: self.shown(pointer),
            md5: now.id.to_string(),
            files: now.files.unwrap_or(1),
            bytes: now.bytes.unwrap_or_default(),
            is_changed,
        }
    }

    /// Makes what was stored last, and then the list of the folder.
    fn finish(&self, now: &Current) -> Result<(), DvcError> {
        self.barrier()?;
        if let Some(tree) = &now.tree
            && !self.cache.has(now.content.id)?
        {
            self.cache.put(now.content.id, &tree.to_bytes())?;
            self.barrier()?;
        }
        Ok(())
    }

    /// What was written so far outlives a power cut, if that is wished.
    pub(super) fn barrier(&self) -> Result<(), DvcError> {
        if self.options.fsync {
            self.cache.sync()?;
        } else {
            self.cache.forget_unsynced();
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), DvcError> {
        let written = if self.options.fsync { fs::write_atomic(path, bytes) } else { fs::write_unsynced(path, bytes) };
        Ok(written?)
    }
}

fn is_same(before: &Content, now: &Content) -> bool {
    before.id == now.id && before.is_executable == now.is_executable
}

fn name(target: &Path) -> Result<&str, DvcError> {
    let name = target.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| DvcError::NotUtf8 { path: target.to_owned() })
}
