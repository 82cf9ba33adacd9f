//! `checkout`: what the pointers say, into the work tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, Kind};
use rayon::prelude::*;
use serde::Serialize;

use super::error::{DvcError, first_names};
use super::hash::{HashKind, Md5, ObjectId};
use super::repo::{DvcRepo, Tracked, is_meant};
use super::scan::Storing;

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
    /// The folder's list and its path, where the cache lacks it.
    missing_list: Option<String>,
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
        let mut plans = Vec::new();
        for tracked in tracked.iter().filter(|tracked| tracked.out().is_cached) {
            plans.extend(self.plan(tracked, targets)?);
        }
        self.require_objects(&plans)?;
        let lost = || plans.iter().flat_map(|plan| plan.lost.iter().cloned());
        if !force && lost().next().is_some() {
            let (count, names) = first_names(lost());
            return Err(DvcError::WouldLose { count, names });
        }
        let mut done = CheckedOut::default();
        let changing = || plans.iter().map(|plan| plan.target.as_path());
        if !plans.is_empty() {
            self.begin_checkout(changing())?;
        }
        for plan in &plans {
            self.carry_out(plan)?;
            done.added += plan.done.added;
            done.modified += plan.done.modified;
            done.deleted += plan.done.deleted;
        }
        self.cache.write_state();
        let is_whole = |path: &Path| is_meant(targets, path, path);
        let outs = tracked.iter().map(|tracked| tracked.out().path.as_path());
        self.end_checkout(outs.filter(|path| is_whole(path)))?;
        Ok(done)
    }

    /// That the cache has every object that is to be put into the work tree.
    fn require_objects(&self, plans: &[Plan]) -> Result<(), DvcError> {
        let wanted = plans.iter().flat_map(|plan| plan.place.iter().map(move |(name, &md5)| (plan, name, md5)));
        let mut missing: Vec<String> = plans.iter().filter_map(|plan| plan.missing_list.clone()).collect();
        let wanted: Vec<_> = wanted.collect();
        let ids = wanted.iter().map(|(plan, _, md5)| ObjectId { kind: plan.kind, md5: *md5, is_dir: false });
        let ids: Vec<ObjectId> = ids.collect();
        for ((plan, name, _), id) in
            wanted.iter().zip(&ids).zip(self.cache.has_each(&ids)?).filter(|(_, has)| !has).map(|(wanted, _)| wanted)
        {
            missing.push(format!("{id} of {}", self.shown(&below(&plan.target, name))));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (count, names) = first_names(missing);
        Err(DvcError::Missing { count, remote: String::new(), names })
    }

    /// `None` where there is nothing to do.
    fn plan(&self, tracked: &Tracked, targets: &[PathBuf]) -> Result<Option<Plan>, DvcError> {
        let out = tracked.out();
        let Some(content) = &out.content else { return Ok(None) };
        let kind = content.id.kind;
        let (now, is_unchanged) = self.files_now(&out.path, content.id)?;
        if is_unchanged {
            return Ok(None);
        }
        let list = content.id.is_dir.then(|| self.cache.tree(content.id)).transpose()?;
        let (wanted, missing_list) = match list {
            Some(Some(tree)) => (tree.files.clone(), None),
            Some(None) => (now.clone(), Some(format!("{} of {}", content.id, self.shown(&out.path)))),
            None => (BTreeMap::from([(String::new(), content.id.md5)]), None),
        };
        let mut plan = Plan {
            target: out.path.clone(),
            kind,
            is_executable: content.is_executable,
            is_folder: content.id.is_dir,
            missing_list,
            place: BTreeMap::new(),
            remove: BTreeSet::new(),
            lost: Vec::new(),
            done: CheckedOut::default(),
        };
        let is_meant = |name: &str| is_meant(targets, &out.path, &below(&out.path, name));
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

    /// Whether outs are in the work tree as their pointers say.
    pub(super) fn are_in_place(&self, outs: &[Tracked]) -> Result<bool, DvcError> {
        for (out, content) in outs.iter().filter_map(|tracked| Some((tracked.out(), tracked.out().content.as_ref()?))) {
            if !self.files_now(&out.path, content.id)?.1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The hashes of what lies at a target now, by path below it, and whether that is what it should be.
    fn files_now(&self, target: &Path, wanted: ObjectId) -> Result<(BTreeMap<String, Md5>, bool), DvcError> {
        if let Some(list) = self.cache.known_tree(wanted)
            && fs::optional(fs::metadata(target))?.is_some_and(|found| found.is_dir())
        {
            // To compare is faster than to hash the list of what is there.
            let (tree, _) = self.current_tree(target, wanted.kind, Storing::No)?;
            let is_same = tree == *list;
            return Ok((tree.files, is_same));
        }
        // A link that leads nowhere is nothing to keep.
        let Some(now) = self.current(target, wanted.kind, Storing::No)? else { return Ok((BTreeMap::new(), false)) };
        let is_same = now.content.id == wanted;
        let files = match now.tree {
            Some(tree) => tree.files,
            None => BTreeMap::from([(String::new(), now.content.id.md5)]),
        };
        Ok((files, is_same))
    }

    fn carry_out(&self, plan: &Plan) -> Result<(), DvcError> {
        let id_of = |&md5: &Md5| ObjectId { kind: plan.kind, md5, is_dir: false };
        self.cache.verify_each(&plan.place.values().map(id_of).collect::<Vec<_>>())?;
        // A file may stand where a folder is wanted, and a folder where a file is.
        for name in &plan.remove {
            fs::remove_file(&below(&plan.target, name))?;
        }
        self.remove_empty_folders(plan)?;
        if plan.is_folder {
            self.make_folders(plan)?;
        } else if let Some(folder) = plan.target.parent() {
            fs::create_dir_all(folder)?;
        }
        self.options
            .progress
            .start(&format!("checking out {}", self.shown(&plan.target)), Some(plan.place.len() as u64));
        let placed: Result<(), DvcError> = plan.place.par_iter().try_for_each(|(name, md5)| {
            self.place(id_of(md5), &below(&plan.target, name), plan.is_executable)?;
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
