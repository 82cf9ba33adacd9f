//! Features of examples in a file for every month, so that a new day writes the file of its own month and no other.
//!
//! A split's folder holds a `features-<month>.safetensors` for each month of its posts (`features-titles.safetensors` for
//! titles alone) and `rows.json`, which says where the rows of the examples are. Which bytes a file has depends on its own
//! rows only. What was written once is kept under another name in a [`ShardStore`] beside the cache of embeddings, and
//! given to later outputs as a hard link.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use natureddit_core::ContentHash;
use natureddit_core::fs::{self, FsError};
use natureddit_model::{EncoderPair, Features, WeightsError, read_features, write_features};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::components::{read_json, write_json};
use crate::examples::{Example, ExampleSource};
use crate::file_state::{FileStates, link_or_copy};

/// Where the rows of a split's examples are.
const ROWS_FILE: &str = "rows.json";

/// What [`ROWS_FILE`] holds: in the order of the examples, how many follow each other in the same shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Rows(Vec<(String, usize)>);

impl Rows {
    fn of(examples: &[Example]) -> Self {
        let mut rows: Vec<(String, usize)> = Vec::new();
        for example in examples {
            let shard = shard_name(example);
            match rows.last_mut() {
                Some((last, count)) if *last == shard => *count += 1,
                _ => rows.push((shard, 1)),
            }
        }
        Self(rows)
    }
}

/// The month of a post, as in `2021-04`.
fn shard_name(example: &Example) -> String {
    match (example.source, Timestamp::from_second(example.created_utc)) {
        (ExampleSource::Post, Ok(created)) => created.strftime("%Y-%m").to_string(),
        _ => "titles".to_owned(),
    }
}

/// The examples of a split by the shard they are in; [`ROWS_FILE`] is written.
pub(crate) fn shards<'e>(folder: &Path, examples: &'e [Example]) -> anyhow::Result<Vec<(PathBuf, Vec<&'e Example>)>> {
    write_json(&folder.join(ROWS_FILE), &Rows::of(examples))?;
    let mut shards: BTreeMap<String, Vec<&Example>> = BTreeMap::new();
    for example in examples {
        shards.entry(shard_name(example)).or_default().push(example);
    }
    Ok(shards.into_iter().map(|(name, rows)| (shard_path(folder, &name), rows)).collect())
}

fn shard_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("features-{name}.safetensors"))
}

/// The features of a split's examples, in their order.
pub(crate) fn read_shards(folder: &Path, encoders: &EncoderPair) -> anyhow::Result<Vec<Features>> {
    let path = folder.join(ROWS_FILE);
    let Rows(rows) = read_json(&path)?.with_context(|| format!("{} is not there", path.display()))?;
    let names: BTreeSet<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    let read = |name| -> Result<_, WeightsError> {
        let shard = read_features(&shard_path(folder, name), encoders.image.features, encoders.text.features)?;
        Ok((name, shard.into_iter()))
    };
    let mut shards: BTreeMap<&str, _> = names.into_par_iter().map(read).collect::<Result<_, _>>()?;
    let mut features = Vec::new();
    for (name, count) in &rows {
        let before = features.len();
        features.extend(shards.get_mut(name.as_str()).into_iter().flatten().take(*count));
        anyhow::ensure!(features.len() == before + count, "{} names more rows than there are", path.display());
    }
    let is_empty = shards.values().all(|rows| rows.len() == 0);
    anyhow::ensure!(is_empty, "{} names fewer rows than there are", path.display());
    Ok(features)
}

/// Shards that were written once, by what is in them: `<key>-<hash of the file>.safetensors`.
pub(crate) struct ShardStore {
    folder: PathBuf,
    known: BTreeMap<String, PathBuf>,
}

/// Where the shards are, in the folder of the embeddings.
const STORE_FOLDER: &str = "shards";

impl ShardStore {
    /// Opens the store for shards with these keys: all others are removed, and those that are not what was written.
    pub(crate) fn open(embeddings: &Path, wanted: &[ContentHash], files: &mut FileStates) -> Result<Self, FsError> {
        let folder = embeddings.join(STORE_FOLDER);
        fs::remove_partials(&folder)?;
        let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
        let mut known = BTreeMap::new();
        for path in fs::optional(fs::read_dir(&folder))?.unwrap_or_default() {
            let Some((key, hash)) = names(&path) else { continue };
            // A file that was damaged would otherwise come back with every run.
            if wanted.contains(key) && files.hash_file(&path)?.to_string() == hash {
                known.insert(key.to_owned(), path);
            } else {
                fs::remove_file(&path)?;
            }
        }
        Ok(Self { folder, known })
    }

    /// Puts the shard with this key to `path`: the one that is known, or a new one.
    pub(crate) fn place(
        &self,
        key: &ContentHash,
        path: &Path,
        rows: impl FnOnce() -> Result<Vec<Features>, FsError>,
        encoders: &EncoderPair,
    ) -> anyhow::Result<()> {
        let key = key.to_string();
        if let Some(known) = self.known.get(&key) {
            fs::create_dir_all(path.parent().context("a shard lies in a folder")?)?;
            return Ok(link_or_copy(known, path)?);
        }
        write_features(path, &rows()?, encoders.image.features, encoders.text.features)?;
        fs::create_dir_all(&self.folder)?;
        let kept = self.folder.join(format!("{key}-{}.safetensors", ContentHash::of_file(path)?));
        if let Err(error) = fs::hard_link(path, &kept, &fs::beside(&kept)) {
            tracing::debug!(%error, "features are written again by the next run: the file system has no hard links");
        }
        Ok(())
    }
}

/// The key and the hash that a file of the store is named after.
fn names(path: &Path) -> Option<(&str, &str)> {
    path.file_name().and_then(OsStr::to_str)?.strip_suffix(".safetensors")?.split_once('-')
}

/// Removes all shards of a folder of embeddings: what is forgotten may be in any of them.
///
/// # Errors
/// When they cannot be removed.
pub(crate) fn forget(embeddings: &Path) -> Result<(), FsError> {
    fs::remove_dir_all(&embeddings.join(STORE_FOLDER))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use natureddit_model::{image_encoder_from_config, text_encoder_from_config};

    use super::*;

    fn encoders() -> EncoderPair {
        let image = image_encoder_from_config("efficientnet_lite0").unwrap();
        let text = text_encoder_from_config("all-MiniLM-L6-v2").unwrap();
        EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 }
    }

    fn post(id: &str, created: &str) -> Example {
        let created: Timestamp = format!("{created}T00:00:00Z").parse().unwrap();
        Example {
            source: ExampleSource::Post,
            created_utc: created.as_second(),
            ..Example::title_alone(id.parse().unwrap(), id.to_owned(), "flora".to_owned())
        }
    }

    fn title(id: &str) -> Example {
        Example::title_alone(id.parse().unwrap(), id.to_owned(), "flora".to_owned())
    }

    /// Features that tell whose they are.
    fn features(example: &Example, encoders: &EncoderPair) -> Features {
        let number = f32::from(example.title.as_bytes()[0]);
        Features { image: None, text: Some(vec![number; encoders.text.features]) }
    }

    /// Writes the examples of a split; how many shards were made and not found.
    fn write(store: &Path, folder: &Path, examples: &[Example]) -> usize {
        let (encoders, made) = (encoders(), Cell::new(0));
        let shards = shards(folder, examples).unwrap();
        let key = |(_, rows): &(PathBuf, Vec<&Example>)| {
            let ids: Vec<&str> = rows.iter().map(|example| example.id.as_str()).collect();
            ContentHash::of(ids.join(",").as_bytes())
        };
        let keys: Vec<ContentHash> = shards.iter().map(key).collect();
        let store = ShardStore::open(store, &keys, &mut FileStates::empty()).unwrap();
        for ((path, rows), key) in shards.iter().zip(&keys) {
            let make = || {
                made.set(made.get() + 1);
                Ok(rows.iter().map(|example| features(example, &encoders)).collect())
            };
            store.place(key, path, make, &encoders).unwrap();
        }
        made.get()
    }

    fn assert_read(folder: &Path, examples: &[Example]) {
        let expected: Vec<Features> = examples.iter().map(|example| features(example, &encoders())).collect();
        assert!(read_shards(folder, &encoders()).unwrap() == expected);
    }

    #[test]
    fn rows_come_back_in_the_order_of_the_examples_and_only_the_month_of_new_posts_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (store, first, second) = (folder.path().join("s"), folder.path().join("1"), folder.path().join("2"));
        // Posts of a month need not follow each other.
        let mut examples = vec![post("a", "2021-01-31"), post("b", "2021-02-01"), post("c", "2021-01-02"), title("d")];
        assert_eq!(write(&store, &first, &examples), 3);
        assert_read(&first, &examples);
        examples.insert(3, post("e", "2021-02-28"));
        assert_eq!(write(&store, &second, &examples), 1);
        assert_read(&second, &examples);
        assert_eq!(fs::read_dir(&store.join(STORE_FOLDER)).unwrap().len(), 3);
    }

    #[test]
    fn no_examples_have_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write(&folder.path().join("s"), &folder.path().join("1"), &[]), 0);
        assert_read(&folder.path().join("1"), &[]);
    }

    #[test]
    fn a_damaged_shard_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("s");
        let examples = [post("a", "2021-01-31")];
        write(&store, &folder.path().join("1"), &examples);
        // Every name of the file is damaged.
        let kept = fs::read_dir(&store.join(STORE_FOLDER)).unwrap().remove(0);
        let mut bytes = fs::read(&kept).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        #[expect(clippy::disallowed_methods, reason = "written in place, as a damage is")]
        std::fs::write(&kept, bytes).unwrap();
        assert_eq!(write(&store, &folder.path().join("2"), &examples), 1);
        assert_read(&folder.path().join("2"), &examples);
    }

    #[test]
    fn a_table_of_rows_that_does_not_fit_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (store, split) = (folder.path().join("s"), folder.path().join("1"));
        write(&store, &split, &[post("a", "2021-01-31"), post("b", "2021-01-31")]);
        for (count, expected) in [(1, "names fewer rows"), (3, "names more rows")] {
            write_json(&split.join(ROWS_FILE), &Rows(vec![("2021-01".to_owned(), count)])).unwrap();
            let error = read_shards(&split, &encoders()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
