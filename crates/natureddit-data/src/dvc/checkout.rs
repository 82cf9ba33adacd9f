//! `checkout`: what the pointers say, into the work tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, Kind};
use rayon::prelude::*;
use serde::Serialize;

use super::error::{DvcError, first_names};
use super::hash::{HashKind, Md5, ObjectId};
use super::repo::{DvcRepo, Tracked};
use super::scan::Storing;
use super::tree::Tree;

/// What a checkout did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckedOut {
    /// Files that were not there.
    pub added: usize,
    /// Files that were there with another content.
    pub modified: usize,
    /// Files that no pointer knows.
    pub deleted: usize,
}

/// What is to be done for one out.
struct Plan {
    target: PathBuf,
    kind: HashKind,
    is_executable: bool,
    is_folder: bool,
    /// By path below the target; the target itself has the empty one.
    place: BTreeMap<String, Md5>,
    remove: BTreeSet<String>,
    /// What is there now and neither stays nor is in the cache.
    lost: Vec<String>,
    done: CheckedOut,
}

impl DvcRepo {
    /// Makes the work tree what the pointers say. Nothing is touched where an object is missing or corrupt, or where a file
    /// would be lost that is not in the cache, unless that is forced.
    ///
    /// # Errors
    /// [`DvcError`].
    pub fn checkout(&self, targets: &[PathBuf], force: bool) -> Result<CheckedOut, DvcError> {
        let tracked = self.tracked(targets)?;
        self.checkout_tracked(&tracked, targets, force)
    }

    pub(super) fn checkout_tracked(
        &self,
        tracked: &[Tracked],
        targets: &[PathBuf],
        force: bool,
    ) -> Result<CheckedOut, DvcError> {
        let trees = self.trees(tracked)?;
        self.require_objects(tracked, &trees, "")?;
        let mut plans = Vec::new();
        for tracked in tracked.iter().filter(|tracked| tracked.out().is_cached) {
            plans.extend(self.plan(tracked, &trees, targets)?);
        }
        let lost = || plans.iter().flat_map(|plan| plan.lost.iter().cloned());
        if !force && lost().next().is_some() {
            let (count, names) = first_names(lost());
            return Err(DvcError::WouldLose { count, names });
        }
        let mut done = CheckedOut::default();
        for plan in &plans {
            self.carry_out(plan)?;
            done.added += plan.done.added;
            done.modified += plan.done.modified;
            done.deleted += plan.done.deleted;
        }
        self.cache.write_state()?;
        Ok(done)
    }

    /// That every object of the outs is in the cache.
    pub(super) fn require_objects(
        &self,
        tracked: &[Tracked],
        trees: &BTreeMap<ObjectId, Option<Tree>>,
        remote: &str,
    ) -> Result<(), DvcError> {
        let mut missing = Vec::new();
        for tracked in tracked.iter().filter(|tracked| tracked.out().is_cached) {
            let out = tracked.out();
            let Some(content) = &out.content else { continue };
            match trees.get(&content.id) {
                Some(None) => missing.push(format!("{} of {}", content.id, self.shown(&out.path))),
                Some(Some(tree)) => {
                    let absent = tree.files.par_iter().map(|(name, &md5)| {
                        let id = ObjectId { kind: content.id.kind, md5, is_dir: false };
                        Ok((!self.cache.has(id)?).then(|| format!("{id} of {}", self.shown(&out.path.join(name)))))
                    });
                    let absent: Vec<Option<String>> = absent.collect::<Result<_, DvcError>>()?;
                    missing.extend(absent.into_iter().flatten());
                }
                None if !self.cache.has(content.id)? => {
                    missing.push(format!("{} of {}", content.id, self.shown(&out.path)));
                }
                None => {}
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (count, names) = first_names(missing);
        Err(DvcError::Missing { count, remote: remote.to_owned(), names })
    }

    fn plan(
        &self,
        tracked: &Tracked,
        trees: &BTreeMap<ObjectId, Option<Tree>>,
        targets: &[PathBuf],
    ) -> Result<Option<Plan>, DvcError> {
        let out = tracked.out();
        let Some(content) = &out.content else { return Ok(None) };
        let kind = content.id.kind;
        let wanted = match trees.get(&content.id).and_then(Option::as_ref) {
            Some(tree) => tree.files.clone(),
            None => BTreeMap::from([(String::new(), content.id.md5)]),
        };
        let now = self.files_now(&out.path, kind)?;
        let mut plan = Plan {
            target: out.path.clone(),
            kind,
            is_executable: content.is_executable,
            is_folder: content.id.is_dir,
            place: BTreeMap::new(),
            remove: BTreeSet::new(),
            lost: Vec::new(),
            done: CheckedOut::default(),
        };
        let is_meant = |name: &str| {
            let path = below(&out.path, name);
            let is_inner = |target: &PathBuf| target != &out.path && target.starts_with(&out.path);
            let mut inner = targets.iter().filter(|target| is_inner(target)).peekable();
            inner.peek().is_none() || inner.any(|target| path.starts_with(target))
        };
        for (name, &md5) in wanted.iter().filter(|(name, _)| is_meant(name)) {
            match now.get(name) {
                Some(&found) if found == md5 => {}
                Some(&found) => {
                    plan.done.modified += 1;
                    plan.place.insert(name.clone(), md5);
                    self.note_loss(&mut plan, name, found)?;
                }
                None => {
                    plan.done.added += 1;
                    plan.place.insert(name.clone(), md5);
                }
            }
        }
        for (name, &found) in now.iter().filter(|(name, _)| !wanted.contains_key(*name) && is_meant(name)) {
            plan.done.deleted += 1;
            plan.remove.insert(name.clone());
            self.note_loss(&mut plan, name, found)?;
        }
        Ok(Some(plan))
    }

    fn note_loss(&self, plan: &mut Plan, name: &str, found: Md5) -> Result<(), DvcError> {
        if !self.cache.has(ObjectId { kind: plan.kind, md5: found, is_dir: false })? {
            plan.lost.push(self.shown(&below(&plan.target, name)));
        }
        Ok(())
    }

    /// The hashes of what lies at a target now, by path below it.
    pub(super) fn files_now(&self, target: &Path, kind: HashKind) -> Result<BTreeMap<String, Md5>, DvcError> {
        // A link that leads nowhere is nothing to keep.
        Ok(match self.current(target, kind, Storing::No)? {
            None => BTreeMap::new(),
            Some(now) => match now.tree {
                Some(tree) => tree.files,
                None => BTreeMap::from([(String::new(), now.content.id.md5)]),
            },
        })
    }

    fn carry_out(&self, plan: &Plan) -> Result<(), DvcError> {
        // A file may stand where a folder is wanted, and a folder where a file is.
        for name in &plan.remove {
            fs::remove_file(&below(&plan.target, name))?;
        }
        self.remove_empty_folders(plan)?;
        if plan.is_folder {
            self.make_folders(plan)?;
        }
        self.options
            .progress
            .start(&format!("checking out {}", self.shown(&plan.target)), Some(plan.place.len() as u64));
        let placed: Result<(), DvcError> = plan.place.par_iter().try_for_each(|(name, &md5)| {
            let id = ObjectId { kind: plan.kind, md5, is_dir: false };
            self.cache.verify(id)?;
            self.place(id, &below(&plan.target, name), plan.is_executable)?;
            self.options.progress.advance(1);
            Ok(())
        });
        self.options.progress.finish();
        placed
    }

    /// The folders of the files to come. A link to a folder is not followed: the list may come from anybody, and the link
    /// may lead anywhere.
    fn make_folders(&self, plan: &Plan) -> Result<(), DvcError> {
        let above = |name: &String| Path::new(name).parent().map(|above| plan.target.join(above));
        let folders: BTreeSet<PathBuf> = plan.place.keys().filter_map(above).chain([plan.target.clone()]).collect();
        for folder in &folders {
            let inner = folder.ancestors().take_while(|folder| folder.starts_with(&plan.target));
            for folder in inner.collect::<Vec<_>>().into_iter().rev() {
                match fs::optional(fs::kind(folder))? {
                    None => fs::create_dir_all(folder)?,
                    Some(Kind::Folder) => {}
                    Some(_) => return Err(DvcError::InTheWay { path: folder.to_owned() }),
                }
            }
        }
        Ok(())
    }

    fn remove_empty_folders(&self, plan: &Plan) -> Result<(), DvcError> {
        let folders = plan.remove.iter().flat_map(|name| {
            Path::new(name).ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).map(Path::to_owned)
        });
        // The innermost first.
        let folders: BTreeSet<PathBuf> = folders.collect();
        for folder in folders.into_iter().rev().map(|folder| plan.target.join(folder)) {
            if fs::entries(&folder)?.is_empty() {
                fs::remove_empty_dir(&folder)?;
            }
        }
        let wants_file = plan.place.contains_key("");
        if wants_file && fs::optional(fs::kind(&plan.target))? == Some(Kind::Folder) {
            fs::remove_empty_dir(&plan.target)?;
        }
        Ok(())
    }
}

/// The empty name is the target itself.
pub(super) fn below(target: &Path, name: &str) -> PathBuf {
    if name.is_empty() { target.to_owned() } else { target.join(name) }
}
