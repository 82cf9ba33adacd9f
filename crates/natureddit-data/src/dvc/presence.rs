//! Which objects the cache has.

use std::ffi::OsString;

use natureddit_core::fs::{self, FsError, Kind};
use rayon::prelude::*;

use super::cache::Cache;
use super::hash::ObjectId;

impl Cache {
    pub(super) fn has(&self, id: ObjectId) -> Result<bool, FsError> {
        fs::optional(fs::metadata(&self.path(id))).map(|found| found.is_some_and(|found| found.is_file()))
    }

    /// As [`Cache::has`] for many objects: each of the folders they lie in is opened once.
    pub(super) fn has_each(&self, ids: &[ObjectId]) -> Result<Vec<bool>, FsError> {
        let mut by_folder: Vec<(usize, ObjectId)> = ids.iter().copied().enumerate().collect();
        by_folder.sort_unstable_by_key(|(_, id)| id.prefix());
        let folders: Vec<_> = by_folder.chunk_by(|(_, a), (_, b)| a.prefix() == b.prefix()).collect();
        let found = folders.par_iter().flat_map_iter(|ids| self.has_in_folder(ids));
        let found: Vec<(usize, bool)> = found.collect::<Result<_, FsError>>()?;
        let mut has = vec![false; ids.len()];
        found.into_iter().for_each(|(at, is_there)| has[at] = is_there);
        Ok(has)
    }

    /// Of objects that lie in one folder.
    fn has_in_folder(&self, ids: &[(usize, ObjectId)]) -> Vec<Result<(usize, bool), FsError>> {
        let path = ids.first().map(|(_, id)| self.path(*id)).unwrap_or_default();
        let folder = path.parent().unwrap_or(&path);
        let none = || ids.iter().map(|(at, _)| Ok((*at, false))).collect();
        // To list is faster than to ask for each, unless most of what is there is of no interest.
        match fs::optional(fs::entries_up_to(folder, 4 * ids.len() + 4)) {
            Err(error) => return vec![Err(error)],
            Ok(None) => return none(),
            // Where there are links, what they lead to counts.
            Ok(Some(Some(entries))) if entries.iter().all(|(_, kind)| *kind != Kind::Link) => {
                let files = entries.into_iter().filter(|(_, kind)| *kind == Kind::File).map(|(name, _)| name);
                let mut files: Vec<OsString> = files.collect();
                files.sort_unstable();
                let has =
                    |id: &ObjectId| files.binary_search_by(|name| name.as_os_str().cmp(id.name().as_ref())).is_ok();
                return ids.iter().map(|(at, id)| Ok((*at, has(id)))).collect();
            }
            Ok(Some(_)) => {}
        }
        let opened = match fs::optional(fs::OpenFolder::open(folder)) {
            Err(error) => return vec![Err(error)],
            Ok(None) => return none(),
            Ok(Some(opened)) => opened,
        };
        let has = |id: &ObjectId| fs::optional(opened.inspect(&id.name()));
        ids.iter().map(|(at, id)| Ok((*at, has(id)?.is_some_and(|(kind, _)| kind == Kind::File)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use natureddit_core::Clock;

    use super::super::hash::{HashKind, Md5};
    use super::*;

    #[test]
    fn many_objects_are_there_or_not_as_each_alone_is() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), folder.path().join("cache"), Vec::new(), Clock::System);
        let id = |number: u8, first: u8| {
            let mut bytes = [number; 16];
            bytes[0] = first;
            ObjectId { kind: HashKind::Md5, md5: Md5::from_bytes(bytes), is_dir: number.is_multiple_of(5) }
        };
        // Folder 1 is listed; in folder 2 most is of no interest; in folder 3 are links; folder 4 is not there.
        let asked: Vec<ObjectId> = (0..40).map(|number| id(number, 1 + number % 4)).collect();
        for id in asked.iter().filter(|id| id.md5.bytes()[0] != 4 && id.md5.bytes()[1] % 3 != 0) {
            cache.put(*id, b"content").unwrap();
        }
        (100..=255).for_each(|number| cache.put(id(number, 2), b"").unwrap());
        #[cfg(unix)]
        for (number, target) in [(102, folder.path().join("nowhere")), (106, cache.path(asked[1]))] {
            fs::symlink(&target, &cache.path(id(number, 3)), &folder.path().join("partial")).unwrap();
        }
        let asked: Vec<ObjectId> = asked.into_iter().chain([id(102, 3), id(106, 3)]).collect();
        let alone: Vec<bool> = asked.iter().map(|id| cache.has(*id).unwrap()).collect();
        assert_eq!(cache.has_each(&asked).unwrap(), alone);
        assert!(alone.contains(&true) && alone.contains(&false));
    }
}
