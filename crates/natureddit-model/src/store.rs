//! The model store: a folder `<name>/<version>/` of bundles. Versions are whole numbers, the highest is the newest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};

/// The versions below a model's folder, oldest first; none where there is no such folder. Whatever is not named by a
/// number is passed over: a bundle that is still being written has a hidden name.
///
/// # Errors
/// When the folder cannot be listed.
pub fn versions(model: &Path) -> Result<BTreeMap<u64, PathBuf>, FsError> {
    let Some(folders) = fs::optional(fs::read_dir(model))? else {
        return Ok(BTreeMap::new());
    };
    let number = |folder: PathBuf| Some((folder.file_name()?.to_str()?.parse().ok()?, folder));
    Ok(folders.into_iter().filter_map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_in_their_order() {
        let store = tempfile::tempdir().unwrap();
        for name in ["2", "10", ".11.partial", "notes"] {
            fs::create_dir_all(&store.path().join(name)).unwrap();
        }
        let found: Vec<u64> = versions(store.path()).unwrap().into_keys().collect();
        assert_eq!(found, [2, 10]);
        assert!(versions(&store.path().join("nowhere")).unwrap().is_empty());
    }
}
