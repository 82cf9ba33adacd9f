//! The photo of an example, as it was when the example was made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::{ContentHash, fs};

use crate::examples::read_split;
use crate::split::Split;

/// Why a file cannot be used as the photo it should be. Another file in its place may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PhotoFileProblem {
    Missing,
    /// It is another file than when the example was made.
    ChangedOnDisk,
    TooManyBytes,
    Unreadable,
}

impl PhotoFileProblem {
    const ALL: [Self; 4] = [Self::Missing, Self::ChangedOnDisk, Self::TooManyBytes, Self::Unreadable];

    /// The problem as reports name it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::ChangedOnDisk => "changed_on_disk",
            Self::TooManyBytes => "too_many_bytes",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether a report names one of these.
    pub(super) fn is_code(code: &str) -> bool {
        Self::ALL.iter().any(|problem| problem.code() == code)
    }
}

/// The bytes of a photo: those of this hash, at most so many.
pub(super) fn read_photo(path: &Path, hash: &ContentHash, bytes_max: u64) -> Result<Vec<u8>, PhotoFileProblem> {
    match fs::read_limited(path, bytes_max) {
        Ok(bytes) if ContentHash::of(&bytes) == *hash => Ok(bytes),
        Ok(_) => Err(PhotoFileProblem::ChangedOnDisk),
        Err(e) if e.is_not_found() => Err(PhotoFileProblem::Missing),
        Err(e) if e.is_too_large() => Err(PhotoFileProblem::TooManyBytes),
        // One photo that cannot be read must not stop the others.
        Err(e) => {
            tracing::warn!("{e}");
            Err(PhotoFileProblem::Unreadable)
        }
    }
}

/// The first photo that could not be used because of its file and can be now; `unused` names why, by file name.
pub(super) fn first_readable(
    mut unused: BTreeMap<String, String>,
    examples_dir: &Path,
    images_dir: &Path,
    bytes_max: u64,
) -> Option<PathBuf> {
    // While a file is not there, the examples need not be read for it.
    unused.retain(|name, reason| PhotoFileProblem::is_code(reason) && images_dir.join(name).exists());
    if unused.is_empty() {
        return None;
    }
    let splits = Split::ALL.into_iter().filter_map(|split| read_split(examples_dir, split).ok());
    let unused = splits.flatten().filter(|example| unused.contains_key(&example.img_name));
    let mut readable = unused.filter_map(|example| {
        let path = images_dir.join(&example.img_name);
        read_photo(&path, &example.sha256?, bytes_max).is_ok().then_some(path)
    });
    readable.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bytes_that_the_example_names_are_its_photo() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let hash = ContentHash::of(b"photo");
        let problem = |bytes_max| read_photo(&path, &hash, bytes_max).unwrap_err();
        assert_eq!(problem(5), PhotoFileProblem::Missing);
        fs::write_atomic(&path, "another").unwrap();
        assert_eq!((problem(5), problem(7)), (PhotoFileProblem::TooManyBytes, PhotoFileProblem::ChangedOnDisk));
        fs::write_atomic(&path, "photo").unwrap();
        assert_eq!(read_photo(&path, &hash, 5).unwrap(), b"photo");
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(&path).unwrap();
        assert_eq!(problem(1 << 20), PhotoFileProblem::Unreadable);
    }
}
