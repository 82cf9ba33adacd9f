//! That objects are what their names say.

use std::io::Read;
use std::path::Path;

use natureddit_core::fs::{self, FsError};
use rayon::prelude::*;

use super::cache::{Cache, WHOLE_BYTES_MAX, copy_to};
use super::error::DvcError;
use super::hash::{Hasher, Md5, ObjectId};
use super::lanes;

impl Cache {
    /// Whether an object is what its name says: by what is remembered of it, else by reading it.
    ///
    /// A corrupt one is put aside, where it is nobody's, and named.
    pub(super) fn verify(&self, id: ObjectId) -> Result<(), DvcError> {
        let path = self.path(id);
        let print = fs::fingerprint(&path)?;
        let key = self.key(&path);
        if self.state().get(&key, print, id.kind) == Some(id.md5) {
            return Ok(());
        }
        let mut hasher = Hasher::new(id);
        copy_to(&fs::open(&path)?, &path, |part| {
            hasher.update(part);
            Ok(())
        })?;
        let (found, _) = hasher.finish();
        if found == id.md5 {
            self.state().set(key, print, id.kind, id.md5);
            return Ok(());
        }
        Err(self.set_aside(id, found)?)
    }

    /// [`Cache::verify`] of each; those that must be read are hashed side by side.
    pub(super) fn verify_each(&self, ids: &[ObjectId]) -> Result<(), DvcError> {
        let sizes = ids.par_iter().with_min_len(64).map(|&id| {
            let path = self.path(id);
            let print = fs::fingerprint(&path)?;
            let is_known = self.state().get(&self.key(&path), print, id.kind) == Some(id.md5);
            Ok((!is_known).then_some(if id.is_plain() { print.bytes } else { u64::MAX }))
        });
        let sizes: Vec<Option<u64>> = sizes.collect::<Result<_, FsError>>()?;
        let unknown: Vec<usize> = (0..ids.len()).filter(|&at| sizes[at].is_some()).collect();
        let groups = lanes::groups(&unknown, |at| sizes[at].unwrap_or_default());
        let verified = groups.par_iter().map_init(Vec::new, |memory, group| match group {
            [at] => self.verify(ids[*at]),
            group => self.verify_together(&group.iter().map(|&at| ids[at]).collect::<Vec<_>>(), memory),
        });
        verified.collect()
    }

    fn verify_together(&self, ids: &[ObjectId], memory: &mut Vec<u8>) -> Result<(), DvcError> {
        memory.clear();
        let mut objects = Vec::new();
        for id in ids {
            let (path, start) = (self.path(*id), memory.len());
            let print = fs::fingerprint(&path)?;
            memory.reserve(print.bytes as usize + 1);
            let read = fs::open(&path)?.take(WHOLE_BYTES_MAX + 1).read_to_end(memory);
            read.map_err(|e| FsError::new("read", &path, e))?;
            objects.push((*id, print, start..memory.len()));
        }
        let contents: Vec<&[u8]> = objects.iter().map(|(_, _, range)| &memory[range.clone()]).collect();
        for ((id, print, _), found) in objects.iter().zip(lanes::md5_of_each(&contents)) {
            if found != id.md5 {
                return Err(self.set_aside(*id, found)?);
            }
            self.state().set(self.key(&self.path(*id)), *print, id.kind, id.md5);
        }
        Ok(())
    }

    pub(super) fn set_aside(&self, id: ObjectId, found: Md5) -> Result<DvcError, FsError> {
        let path = self.path(id);
        self.lists().remove(&id);
        self.state().remove(&self.key(&path));
        self.put_aside(id, &path, found, "the cache")
    }

    /// Moves a file that is not the object it came as to where it is nobody's, and tells of it.
    pub(super) fn put_aside(&self, id: ObjectId, file: &Path, found: Md5, place: &str) -> Result<DvcError, FsError> {
        let path = self.path(id);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".corrupt");
        let aside = path.with_file_name(name);
        fs::rename(file, &aside)?;
        let aside = format!(", it was put aside as {}", aside.display());
        Ok(DvcError::Corrupt { id, place: place.to_owned(), found: found.to_string(), aside })
    }
}
