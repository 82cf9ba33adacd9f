//! `tombstones.csv`: the posts that were deleted, by id and time of the deletion and nothing else. No collection and no
//! merge brings them back.

use std::collections::BTreeMap;
use std::path::Path;

use natureddit_core::PostId;
use natureddit_core::fs::{self, FsError};

use crate::table::{Row, Table, TableError, format_utc, parse_utc, write_table};

/// The file in the folder of the dataset.
pub const TOMBSTONES_FILE: &str = "tombstones.csv";

/// Its columns.
pub const TOMBSTONE_COLUMNS: [&str; 2] = ["id", "deleted_at"];

/// The deleted posts of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<PostId, i64>);

impl Tombstones {
    /// Reads the file in the folder of a dataset; one that is not there is empty.
    ///
    /// # Errors
    /// [`TableError`] with the file and line.
    pub fn read(dir: &Path) -> Result<Self, TableError> {
        let Some(table) = Table::read_optional(&dir.join(TOMBSTONES_FILE))? else { return Ok(Self::default()) };
        let columns = table.only_columns(TOMBSTONE_COLUMNS)?;
        table.rows().map(|row| read_tombstone(row, columns)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a post was deleted.
    #[must_use]
    pub fn has(&self, id: &PostId) -> bool {
        self.0.contains_key(id)
    }

    /// The ids of the deleted posts, in order.
    pub fn ids(&self) -> impl Iterator<Item = &PostId> {
        self.0.keys()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a post, deleted at a second since the epoch; of two times the earlier counts.
    pub(crate) fn add(&mut self, id: PostId, deleted_at: i64) {
        let time = self.0.entry(id).or_insert(deleted_at);
        *time = deleted_at.min(*time);
    }

    /// Adds those of another dataset.
    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(id, deleted_at)| self.add(id.clone(), *deleted_at));
    }

    /// Writes the file; without tombstones there is none.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), FsError> {
        let path = dir.join(TOMBSTONES_FILE);
        if self.0.is_empty() {
            return fs::remove_file(&path);
        }
        let cells = |(id, deleted_at): (&PostId, &i64)| [id.to_string(), format_utc(*deleted_at)];
        write_table(&path, TOMBSTONE_COLUMNS, self.0.iter().map(cells))
    }
}

fn read_tombstone(row: Row<'_>, [id, deleted_at]: [usize; 2]) -> Result<(PostId, i64), TableError> {
    let text = row.text(deleted_at);
    let second = parse_utc(text).ok_or_else(|| row.error(format!("deleted_at: not a time: {text:?}")))?;
    Ok((row.parse(id, "id")?, second))
}
