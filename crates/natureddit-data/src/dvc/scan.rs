//! What lies in the work tree, and its hashes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, Fingerprint, Kind};
use rayon::prelude::*;

use super::error::DvcError;
use super::hash::{HashKind, Md5, ObjectId};
use super::ignored::IGNORE_FILE;
use super::pointer::Content;
use super::repo::DvcRepo;
use super::tree::Tree;

/// A file below a folder.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Below the folder, with `/`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// By which it is remembered.
    pub(super) key: String,
    pub(super) print: Fingerprint,
}

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
    /// folders are passed over, as is what is neither.
    pub(super) fn scan(&self, folder: &Path) -> Result<Vec<Found>, DvcError> {
        let mut names = Vec::new();
        self.names(folder, "", &mut names)?;
        names.sort_unstable();
        let start = self.cache.key(folder);
        let found = names.into_par_iter().map(|name| {
            let path = folder.join(&name);
            let key = format!("{start}/{name}");
            let metadata = fs::metadata(&path)?;
            let print = Fingerprint::of(&metadata);
            Ok((!metadata.is_dir()).then_some(Found { name, path, key, print }))
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
        let print = Fingerprint::of(&metadata);
        let found = Found { name: String::new(), path: path.to_owned(), key: self.cache.key(path), print };
        let (md5, print) = self.hashed(&found, kind, storing)?;
        let id = ObjectId { kind, md5, is_dir: false };
        let is_executable = fs::is_executable(&metadata);
        let content = Content { id, bytes: Some(print.bytes), files: None, is_executable };
        Ok(Some(Current { content, tree: None }))
    }

    fn current_folder(&self, path: &Path, kind: HashKind, storing: Storing) -> Result<Current, DvcError> {
        let found = self.scan(path)?;
        self.options.progress.start(&format!("hashing {}", self.shown(path)), Some(found.len() as u64));
        let hashed = found.par_iter().map(|found| {
            let hashed = self.hashed(found, kind, storing);
            self.options.progress.advance(1);
            hashed
        });
        let hashed: Result<Vec<_>, DvcError> = hashed.collect();
        self.options.progress.finish();
        let hashed = hashed?;
        let bytes = hashed.iter().map(|(_, print)| print.bytes).sum();
        self.cache.remember_only(path, found.iter().map(|found| found.key.as_str()));
        let files: BTreeMap<String, Md5> =
            found.into_iter().zip(hashed).map(|(found, (md5, _))| (found.name, md5)).collect();
        let tree = Tree { files };
        let content = Content {
            id: tree.id(kind),
            bytes: Some(bytes),
            files: Some(tree.files.len() as u64),
            is_executable: false,
        };
        Ok(Current { content, tree: Some(tree) })
    }

    fn hashed(&self, found: &Found, kind: HashKind, storing: Storing) -> Result<(Md5, Fingerprint), DvcError> {
        if let Some(md5) = self.cache.known(&found.key, found.print, kind) {
            let id = ObjectId { kind, md5, is_dir: false };
            if storing == Storing::No || self.cache.has(id)? {
                return Ok((md5, found.print));
            }
        }
        let hashed = match storing {
            Storing::Yes => self.cache.store(&found.path, kind)?,
            Storing::No => self.cache.hash(&found.path, kind)?,
        };
        self.cache.remember(&found.key, kind, &hashed);
        Ok((hashed.md5, hashed.print))
    }
}
