//! Which version of the dataset lies in a folder: what DVC and git say of it, asked when something is made from it.

use std::path::Path;

use natureddit_core::fs;

use crate::dataset::POSTS_FILE;
use crate::dvc::hash::{Hasher, ObjectId};
use crate::dvc::pointer::Pointer;
use crate::git::Git;

/// The version of a dataset; what is not versioned is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetVersion {
    /// The commit that is checked out: 40 hexadecimal digits.
    pub git_revision: Option<String>,
    /// The MD5 in `posts.csv.dvc`, where it is that of `posts.csv` as it lies here.
    pub posts_md5: Option<String>,
    /// The MD5 in `images.dvc`, which ends in `.dir`, where `posts.csv` is as versioned; photos are not read for it.
    pub images_md5: Option<String>,
}

impl DatasetVersion {
    /// The version of the dataset in a folder. What cannot be read is absent: it is told beside what is certain.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        let posts_md5 = versioned(&data_dir.join(POSTS_FILE)).filter(|id| is_content(&data_dir.join(POSTS_FILE), *id));
        let images_md5 = posts_md5.and_then(|_| versioned(&data_dir.join("images")));
        let [posts_md5, images_md5] = [posts_md5, images_md5].map(|id| id.map(|id| id.to_string()));
        Self { git_revision: git_revision(data_dir), posts_md5, images_md5 }
    }
}

/// The commit that is checked out where a folder lies; `None` outside of git, before the first commit and without git.
#[must_use]
pub fn git_revision(folder: &Path) -> Option<String> {
    Git::of(folder)?.head().ok()?
}

fn versioned(target: &Path) -> Option<ObjectId> {
    let pointer = Pointer::read(&Pointer::path_of(target)).ok()?;
    let out = pointer.outs.into_iter().find(|out| out.path == target)?;
    Some(out.content?.id)
}

fn is_content(path: &Path, id: ObjectId) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let mut hasher = Hasher::new(id);
    hasher.update(&bytes);
    hasher.finish().0 == id.md5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dvc::hash::Md5;

    #[test]
    fn a_pointer_tells_the_version_only_of_the_posts_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write_atomic(&folder.path().join(name), text).unwrap();
        assert_eq!(DatasetVersion::of(folder.path()), DatasetVersion::default());
        let md5 = Md5::of(b"posts").to_string();
        let images = "8aab16217a31e5f23566176b12ec9db1.dir";
        write("posts.csv", "posts");
        write("posts.csv.dvc", &format!("outs:\n- md5: {md5}\n  size: 5\n  hash: md5\n  path: posts.csv\n"));
        write("images.dvc", &format!("outs:\n- md5: {images}\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: images\n"));
        let version = DatasetVersion::of(folder.path());
        assert_eq!((version.posts_md5, version.images_md5.as_deref()), (Some(md5), Some(images)));
        write("posts.csv", "other posts");
        assert_eq!(DatasetVersion::of(folder.path()), DatasetVersion::default());
    }
}
