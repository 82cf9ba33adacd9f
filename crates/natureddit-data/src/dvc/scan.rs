//! What lies in the work tree, and its hashes.

use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, Fingerprint, Kind};
use rayon::prelude::*;

use super::cache::Hashed;
use super::error::DvcError;
use super::hash::{HashKind, Md5, ObjectId};
use super::ignored::IGNORE_FILE;
use super::lanes;
use super::pointer::Content;
use super::repo::DvcRepo;
use super::tree::Tree;

/// A file below a folder.
#[derive(Clone, Debug)]
struct Found {
    /// Below the folder, with `/`.
    name: String,
    print: Fingerprint,
}

/// To hand over fewer files to another thread costs more than to look at them.
const LOOKS_MIN: usize = 64;

/// What a target holds now.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) content: Content,
    /// The files, where it is a folder.
    pub(super) tree: Option<Tree>,
}

/// Whether contents are stored on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storing {
    Yes,
    No,
}

impl DvcRepo {
    /// The files below a folder, sorted by name. Links to files count as files, as the real tool takes them; links to
    /// folders are passed over, as is what is neither. A link that leads nowhere, such as one to an object that the cache
    /// lost, is no file, and nothing that can be stored.
    fn scan(&self, folder: &Path, storing: Storing) -> Result<Vec<Found>, DvcError> {
        let mut names = Vec::new();
        self.names(folder, "", &mut names)?;
        names.sort_unstable();
        let opened = fs::OpenFolder::open(folder)?;
        let found =
            names.into_par_iter().with_min_len(LOOKS_MIN).map(|name| match fs::optional(opened.inspect(&name))? {
                Some((kind, print)) => Ok((kind != Kind::Folder).then_some(Found { name, print })),
                None if storing == Storing::No => Ok(None),
                None => Err(DvcError::LeadsNowhere { path: folder.join(name) }),
            });
        let found: Vec<Option<Found>> = found.collect::<Result<_, DvcError>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    fn names(&self, folder: &Path, above: &str, names: &mut Vec<String>) -> Result<(), DvcError> {
        let patterns = self.ignored.of(folder)?;
        for (name, kind) in fs::entries(folder)? {
            let path = folder.join(&name);
            let Some(name) = name.to_str() else { return Err(DvcError::NotUtf8 { path }) };
            if patterns.is_ignored(&path, kind == Kind::Folder) {
                continue;
            }
            match kind {
                Kind::Folder => self.names(&path, &format!("{above}{name}/"), names)?,
                Kind::File | Kind::Link if name == IGNORE_FILE => {
                    let why = format!("{} lies in it, and belongs above it", self.shown(&path));
                    return Err(DvcError::CannotAdd { path: folder.to_owned(), why });
                }
                Kind::File | Kind::Link => names.push(format!("{above}{name}")),
                Kind::Other => {}
            }
        }
        Ok(())
    }

    /// What a file or folder holds now; `None` where there is none.
    pub(super) fn current(&self, path: &Path, kind: HashKind, storing: Storing) -> Result<Option<Current>, DvcError> {
        let Some(metadata) = fs::optional(fs::metadata(path))? else { return Ok(None) };
        if metadata.is_dir() {
            return self.current_folder(path, kind, storing).map(Some);
        }
        let (md5, print) = self.hashed(path, Fingerprint::of(&metadata), kind, storing)?;
        let id = ObjectId { kind, md5, is_dir: false };
        let is_executable = fs::is_executable(&metadata);
        let content = Content { id, bytes: Some(print.bytes), files: None, is_executable };
        Ok(Some(Current { content, tree: None }))
    }

    fn current_folder(&self, path: &Path, kind: HashKind, storing: Storing) -> Result<Current, DvcError> {
        let (tree, bytes) = self.current_tree(path, kind, storing)?;
        let files = Some(tree.files.len() as u64);
        let content = Content { id: tree.id(kind), bytes: Some(bytes), files, is_executable: false };
        Ok(Current { content, tree: Some(tree) })
    }

    /// The files of a folder now, and the bytes of them all.
    pub(super) fn current_tree(&self, path: &Path, kind: HashKind, storing: Storing) -> Result<(Tree, u64), DvcError> {
        let found = self.scan(path, storing)?;
        let files = found.iter().map(|found| (found.name.as_str(), found.print));
        let mut hashed = self.cache.known_below(path, files, kind);
        if storing == Storing::Yes {
            self.forget_what_is_not_stored(&mut hashed, kind)?;
        }
        let bytes = self.hash_the_others(path, &found, &mut hashed, kind, storing)?;
        self.cache.remember_only(path, found.iter().map(|found| found.name.as_str()));
        let files = found.into_iter().zip(hashed).filter_map(|(found, md5)| Some((found.name, md5?)));
        Ok((Tree { files: files.collect() }, bytes))
    }

    fn forget_what_is_not_stored(&self, hashed: &mut [Option<Md5>], kind: HashKind) -> Result<(), DvcError> {
        let (places, ids): (Vec<usize>, Vec<ObjectId>) = (0..)
            .zip(hashed.iter())
            .filter_map(|(at, md5)| Some((at, ObjectId { kind, md5: (*md5)?, is_dir: false })))
            .unzip();
        let has = self.cache.has_each(&ids)?;
        places.into_iter().zip(has).filter(|(_, is_there)| !is_there).for_each(|(at, _)| hashed[at] = None);
        Ok(())
    }

    /// Hashes the files of a folder whose hash is not known; the bytes of all its files.
    fn hash_the_others(
        &self,
        folder: &Path,
        found: &[Found],
        hashed: &mut [Option<Md5>],
        kind: HashKind,
        storing: Storing,
    ) -> Result<u64, DvcError> {
        let known = hashed.iter().flatten().count() as u64;
        self.options.progress.start(&format!("hashing {}", self.shown(folder)), Some(found.len() as u64));
        self.options.progress.advance(known);
        let mut bytes =
            found.iter().zip(&*hashed).filter(|(_, md5)| md5.is_some()).map(|(found, _)| found.print.bytes).sum();
        let others: Vec<usize> = (0..found.len()).filter(|&at| hashed[at].is_none()).collect();
        // Those of DVC 2 are text that is read line by line, each for itself.
        let bytes_of = |at: usize| if kind == HashKind::Md5 { found[at].print.bytes } else { u64::MAX };
        let groups = lanes::groups(&others, bytes_of);
        let done = groups.par_iter().map_init(Vec::new, |memory, group| {
            let paths: Vec<PathBuf> = group.iter().map(|&at| folder.join(&found[at].name)).collect();
            let done = self.hash_group(&paths, kind, storing, memory);
            self.options.progress.advance(group.len() as u64);
            done
        });
        let done: Result<Vec<Vec<Hashed>>, DvcError> = done.collect();
        self.options.progress.finish();
        let start = self.cache.key(folder);
        for (at, new) in others.into_iter().zip(done?.into_iter().flatten()) {
            self.cache.remember(&format!("{start}/{}", found[at].name), kind, &new);
            hashed[at] = Some(new.md5);
            bytes += new.print.bytes;
        }
        Ok(bytes)
    }

    fn hash_group(
        &self,
        paths: &[PathBuf],
        kind: HashKind,
        storing: Storing,
        memory: &mut Vec<u8>,
    ) -> Result<Vec<Hashed>, DvcError> {
        match (paths, storing) {
            ([path], Storing::Yes) => Ok(vec![self.cache.store(path, kind)?]),
            ([path], Storing::No) => Ok(vec![self.cache.hash(path, kind)?]),
            _ => self.cache.take_together(paths, storing, memory),
        }
    }

    fn hashed(
        &self,
        path: &Path,
        print: Fingerprint,
        kind: HashKind,
        storing: Storing,
    ) -> Result<(Md5, Fingerprint), DvcError> {
        let key = self.cache.key(path);
        if let Some(md5) = self.cache.known(&key, print, kind) {
            let id = ObjectId { kind, md5, is_dir: false };
            if storing == Storing::No || self.cache.has(id)? {
                return Ok((md5, print));
            }
        }
        let hashed = match storing {
            Storing::Yes => self.cache.store(path, kind)?,
            Storing::No => self.cache.hash(path, kind)?,
        };
        self.cache.remember(&key, kind, &hashed);
        Ok((hashed.md5, hashed.print))
    }
}
