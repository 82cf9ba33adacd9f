//! Examples that a run has in memory already, so that the next component need not read them again.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use natureddit_core::fs::FsError;

use super::shards::shard_paths;
use super::{Example, ExamplesError, read_split};
use crate::file_state::{Looks, looks};
use crate::split::Split;

/// So many examples are kept at most, of some 700 bytes each.
const EXAMPLES_MAX: usize = 1 << 17;

/// The examples that a run has written or read, known by what their files look like: a folder may be moved.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptExamples(Arc<Mutex<Vec<Kept>>>);

#[derive(Debug)]
struct Kept {
    files: Vec<Looks>,
    examples: Arc<[Example]>,
}

impl KeptExamples {
    /// Keeps what was written as a split of an Examples artifact. What was kept before goes where there is no room.
    ///
    /// # Errors
    /// When its files cannot be looked at.
    pub(crate) fn keep(&self, examples_dir: &Path, split: Split, examples: Arc<[Example]>) -> Result<(), FsError> {
        if let Some(files) = files(examples_dir, split)? {
            let mut all = self.all();
            all.push(Kept { files, examples });
            let mut room = EXAMPLES_MAX;
            let keeps = all.iter().rev().take_while(|kept| {
                let fits = kept.examples.len() <= room;
                room = room.saturating_sub(kept.examples.len());
                fits
            });
            let gone = all.len() - keeps.count();
            all.drain(..gone);
        }
        Ok(())
    }

    /// The examples of one split of an Examples artifact, as [`read_split`] gives them.
    ///
    /// # Errors
    /// As [`read_split`].
    pub(crate) fn read(&self, examples_dir: &Path, split: Split) -> Result<Arc<[Example]>, ExamplesError> {
        let files = files(examples_dir, split)?;
        let same = |kept: &&Kept| files.as_ref() == Some(&kept.files);
        if let Some(kept) = self.all().iter().find(same) {
            return Ok(kept.examples.clone());
        }
        let examples: Arc<[Example]> = read_split(examples_dir, split)?.into();
        self.keep(examples_dir, split, examples.clone())?;
        Ok(examples)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the files of a split look like; `None` where that does not tell one file from another.
fn files(examples_dir: &Path, split: Split) -> Result<Option<Vec<Looks>>, FsError> {
    let paths = shard_paths(&examples_dir.join(split.folder_name()))?;
    let files: Vec<Looks> = paths.iter().map(|path| looks(path)).collect::<Result<_, _>>()?;
    Ok(files.iter().all(|(.., inode)| *inode != 0).then_some(files))
}

#[cfg(test)]
mod tests {
    use natureddit_core::fs;

    use super::*;
    use crate::examples::write_split;

    fn examples(count: usize) -> Arc<[Example]> {
        let example =
            |at: usize| Example::title_alone(format!("p{at}").parse().unwrap(), String::new(), "fauna".into());
        (0..count).map(example).collect()
    }

    #[test]
    fn what_was_kept_is_not_read_until_its_file_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (first, moved) = (folder.path().join("first"), folder.path().join("moved"));
        let kept = KeptExamples::default();
        write_split(&first, Split::Eval, &examples(3)).unwrap();
        let given = examples(3);
        kept.keep(&first, Split::Eval, given.clone()).unwrap();
        fs::rename(&first, &moved).unwrap();
        assert!(Arc::ptr_eq(&kept.read(&moved, Split::Eval).unwrap(), &given));
        write_split(&moved, Split::Eval, &examples(2)).unwrap();
        let read = kept.read(&moved, Split::Eval).unwrap();
        assert_eq!(read, examples(2));
        assert!(Arc::ptr_eq(&kept.read(&moved, Split::Eval).unwrap(), &read));
    }

    #[test]
    fn the_oldest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptExamples::default();
        let counts = [10, EXAMPLES_MAX - 10, 10, EXAMPLES_MAX + 1];
        let left = [vec![10], vec![10, EXAMPLES_MAX - 10], vec![EXAMPLES_MAX - 10, 10], vec![]];
        for (at, (count, left)) in counts.into_iter().zip(left).enumerate() {
            let dir = folder.path().join(at.to_string());
            write_split(&dir, Split::Train, &[]).unwrap();
            kept.keep(&dir, Split::Train, examples(count)).unwrap();
            assert_eq!(kept.all().iter().map(|kept| kept.examples.len()).collect::<Vec<_>>(), left);
        }
    }
}
