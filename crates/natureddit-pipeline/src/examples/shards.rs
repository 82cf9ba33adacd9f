//! The files of a split: `Split-<name>/data_tfrecord-<number>-of-<count>.gz`, so many examples each, in their order.

use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use rayon::prelude::*;

use super::{Example, ExamplesError, columns};
use crate::split::Split;
use crate::wire::example::Features;
use crate::wire::tfrecord;

/// Examples of a file; as many files as there are cores are read and written at once.
const EXAMPLES_A_SHARD: usize = 8192;

/// The examples of one split of an Examples artifact.
///
/// # Errors
/// When a file of `Split-<name>` is not there, damaged, or holds something else.
pub fn read_split(examples_dir: &Path, split: Split) -> Result<Vec<Example>, ExamplesError> {
    let paths = shard_paths(&examples_dir.join(split.folder_name()))?;
    let shards: Vec<Vec<Example>> = paths.par_iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    Ok(shards.into_iter().flatten().collect())
}

/// Writes the examples of one split, in their order.
///
/// # Errors
/// When a file cannot be written.
pub fn write_split(examples_dir: &Path, split: Split, examples: &[Example]) -> Result<(), ExamplesError> {
    let folder = examples_dir.join(split.folder_name());
    // A split without examples has a file without records, as in TFX.
    let count = examples.len().div_ceil(EXAMPLES_A_SHARD).max(1);
    let write = |number: usize| {
        let from = (number * EXAMPLES_A_SHARD).min(examples.len());
        let to = (from + EXAMPLES_A_SHARD).min(examples.len());
        let records = examples[from..to].iter().map(columns::to_bytes);
        Ok(tfrecord::write(&shard_path(&folder, number, count), records)?)
    };
    (0..count).into_par_iter().try_for_each(write)
}

/// The files of a split in their order.
pub(super) fn shard_paths(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let count = fs::read_dir(folder)?.iter().find_map(|path| count_of(path.file_name()?.to_str()?));
    // Where there is none, reading tells which was looked for.
    let count = count.unwrap_or(1);
    Ok((0..count).map(|number| shard_path(folder, number, count)).collect())
}

fn shard_path(folder: &Path, number: usize, count: usize) -> PathBuf {
    folder.join(format!("data_tfrecord-{number:05}-of-{count:05}.gz"))
}

/// How many files there are, by the name of one.
fn count_of(name: &str) -> Option<usize> {
    let (number, count) = name.strip_prefix("data_tfrecord-")?.strip_suffix(".gz")?.split_once("-of-")?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(number) && is_number(count)).then(|| count.parse().ok()).flatten()
}

fn read(path: &Path) -> Result<Vec<Example>, ExamplesError> {
    let parse = |(at, bytes): (usize, Result<Vec<u8>, _>)| {
        let (path, record, bytes) = (path.to_owned(), at + 1, bytes?);
        match Features::from_bytes(&bytes) {
            Ok(features) => {
                columns::from_features(features).map_err(|source| ExamplesError::Column { path, record, source })
            }
            Err(source) => Err(ExamplesError::Bytes { path, record, source }),
        }
    };
    tfrecord::read(path)?.enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::example::Feature;

    fn numbered(count: usize) -> Vec<Example> {
        let example =
            |at: usize| Example::title_alone(format!("p{at}").parse().unwrap(), String::new(), "fauna".into());
        (0..count).map(example).collect()
    }

    #[test]
    fn many_examples_lie_in_several_files_and_come_back_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        for (split, count, files) in [(Split::Train, 2 * EXAMPLES_A_SHARD + 1, 3), (Split::Test, 0, 1)] {
            write_split(folder.path(), split, &numbered(count)).unwrap();
            assert_eq!(read_split(folder.path(), split).unwrap(), numbered(count));
            assert_eq!(fs::read_dir(&folder.path().join(split.folder_name())).unwrap().len(), files);
        }
        let missing = folder.path().join("Split-train/data_tfrecord-00001-of-00003.gz");
        fs::remove_file(&missing).unwrap();
        let error = read_split(folder.path(), Split::Train).unwrap_err().to_string();
        assert!(error.contains("data_tfrecord-00001-of-00003.gz"), "{error}");
    }

    #[test]
    fn other_files_beside_them_are_passed_over() {
        for name in
            ["data_tfrecord-00000-of-1.gz", "data_tfrecord-0000a-of-00001.gz", "data_parquet-00000-of-00001.parquet"]
        {
            assert_eq!(count_of(name), None, "{name}");
        }
        assert_eq!(count_of("data_tfrecord-00002-of-00012.gz"), Some(12));
    }

    #[test]
    fn the_error_names_the_file_and_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = shard_path(&folder.path().join("Split-train"), 0, 1);
        let good = columns::to_bytes(&Example::title_alone("a".parse().unwrap(), "A fox".into(), "fauna".into()));
        let id: &[u8] = b"a/b";
        let bad = Features::new([("id", Feature::Bytes([id].into_iter().collect()))]).to_bytes();
        let error = |second: Vec<u8>| {
            tfrecord::write(&path, [good.clone(), second].into_iter()).unwrap();
            read_split(folder.path(), Split::Train).unwrap_err()
        };
        let column = error(bad);
        assert_eq!(column.to_string(), format!("{}, record 2: not a labelled post or title", path.display()));
        let source = std::error::Error::source(&column).unwrap().to_string();
        assert!(source.starts_with("id: not a post id"), "{source}");
        let bytes = error(vec![0x0a, 9]).to_string();
        assert_eq!(bytes, format!("{}, record 2: not a tf.train.Example", path.display()));
    }
}
