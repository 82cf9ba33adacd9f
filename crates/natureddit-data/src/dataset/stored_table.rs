//! One table of a dataset as it stands on disk, with the changes that are not written yet.
//!
//! In memory are the changes and, for every row on disk, where it begins: 16 bytes. A row is read when it is asked for, and
//! writing goes through the old rows one by one. So a dataset may be many times larger than the memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use natureddit_core::PostId;
use natureddit_core::fs::{self, FsError};

use super::read_unique;
use super::row::TableRow;
use crate::table::{Row, STREAM_BYTES_MAX, TableError, TableReader};

/// Enough for nearly every row.
const ROW_BYTES: usize = 2 * 1024;
/// What is written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A post and something of it.
type Key = (PostId, String);

/// A table on disk and its changes.
#[derive(Debug)]
pub(crate) struct StoredTable<R: TableRow> {
    path: PathBuf,
    /// What is on disk; `None` where nothing of it counts, and `changes` are all there is.
    layout: Option<Layout<R>>,
    /// New rows, and `None` for rows that are gone.
    changes: BTreeMap<Key, Option<R>>,
}

/// Where the rows of a file are, and what they add up to.
#[derive(Debug)]
struct Layout<R: TableRow> {
    file: File,
    /// In order.
    places: Vec<Place>,
    tally: R::Tally,
}

/// Where a row of a post begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    post: u64,
    offset: u64,
}

impl<R: TableRow> StoredTable<R> {
    /// The table in the folder of a dataset.
    pub(super) fn open(dir: &Path) -> Result<Self, TableError> {
        let mut table = Self::empty(dir);
        let Some(rows) = Rows::<R>::open(&table.path)? else { return Ok(table) };
        table.layout = table.compare(rows)?;
        if table.layout.is_none() {
            // Somebody else wrote it in another order or another form: it is written anew.
            let rows: BTreeMap<Key, R> = read_unique(&table.path, key)?;
            table.changes = rows.into_iter().map(|(key, row)| (key, Some(row))).collect();
        }
        Ok(table)
    }

    /// A table without rows, whatever is on disk: writing it replaces that.
    pub(super) fn empty(dir: &Path) -> Self {
        Self { path: dir.join(R::FILE), layout: None, changes: BTreeMap::new() }
    }

    /// The rows of a post, in order.
    pub(super) fn of(&self, id: &PostId) -> Result<Vec<R>, TableError> {
        let mut rows = self.on_disk(id)?;
        rows.retain(|row| !self.changes.contains_key(&key(row)));
        let first = (id.clone(), String::new());
        let changed = self.changes.range(first..).take_while(|(key, _)| key.0 == *id);
        rows.extend(changed.filter_map(|(_, row)| row.clone()));
        rows.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(rows)
    }

    /// Every row, in the order of the file.
    pub(super) fn rows(&self) -> Result<impl Iterator<Item = Result<R, TableError>>, TableError> {
        let old = if self.layout.is_some() { Rows::<R>::open(&self.path)? } else { None };
        let changes = &self.changes;
        let is_changed = |row: &R| !changes.is_empty() && changes.contains_key(&key(row));
        let old = old.into_iter().flatten().filter(move |row| !row.as_ref().is_ok_and(is_changed));
        let mut new: Vec<&R> = changes.values().flatten().collect();
        new.sort_by(|a, b| order(*a).cmp(&order(*b)));
        let (mut old, mut new) = (old.peekable(), new.into_iter().peekable());
        Ok(std::iter::from_fn(move || match (old.peek(), new.peek()) {
            (Some(Ok(older)), Some(newer)) if order(older) > order(*newer) => new.next().cloned().map(Ok),
            (None, _) => new.next().cloned().map(Ok),
            _ => old.next(),
        }))
    }

    /// Adds a row, or replaces the one of its key.
    pub(super) fn put(&mut self, row: R) -> Result<(), TableError> {
        let is_there = self.on_disk(row.key().0)?.contains(&row);
        if is_there {
            self.changes.remove(&key(&row));
        } else {
            self.changes.insert(key(&row), Some(row));
        }
        Ok(())
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, row: &R) -> Result<(), TableError> {
        let is_there = self.on_disk(row.key().0)?.iter().any(|old| old.key() == row.key());
        if is_there {
            self.changes.insert(key(row), None);
        } else {
            self.changes.remove(&key(row));
        }
        Ok(())
    }

    /// How many rows are to be written.
    pub(super) fn changes(&self) -> usize {
        self.changes.len()
    }

    /// How many rows there were when it was last written.
    pub(super) fn written(&self) -> usize {
        self.layout.as_ref().map_or(0, |layout| layout.places.len())
    }

    /// What the rows add up to that are on disk.
    pub(super) fn tally(&self) -> R::Tally {
        self.layout.as_ref().map(|layout| layout.tally.clone()).unwrap_or_default()
    }

    /// Writes the changes, and says whether there were any to write. A file that holds these bytes already is left alone.
    pub(super) fn write(&mut self) -> Result<bool, TableError> {
        if self.layout.is_some() && self.changes.is_empty() {
            return Ok(false);
        }
        let unchanged = if self.layout.is_none() && self.path.exists() { self.compare(self.rows()?)? } else { None };
        let layout = match unchanged {
            Some(layout) => layout,
            None => self.replace()?,
        };
        self.layout = Some(layout);
        self.changes.clear();
        Ok(true)
    }

    fn replace(&self) -> Result<Layout<R>, TableError> {
        let mut laid = None;
        let rows = self.rows()?;
        fs::write_atomic_with(&self.path, |file| {
            let sorted = self.lay_out(rows, BufWriter::with_capacity(BUFFER_BYTES, file));
            laid = sorted.map_err(|error| match error {
                TableError::Fs(error) => error.source,
                error => io::Error::other(error),
            })?;
            Ok(())
        })?;
        let (places, tally) = laid.ok_or_else(|| self.changed())?;
        Ok(Layout { file: fs::open(&self.path)?, places, tally })
    }

    /// Where rows are in the file, if it holds just these and in this form.
    fn compare(&self, rows: impl Iterator<Item = Result<R, TableError>>) -> Result<Option<Layout<R>>, TableError> {
        let file = fs::open(&self.path)?;
        let mut on_disk =
            Compared { file: BufReader::with_capacity(BUFFER_BYTES, file), buffer: Vec::new(), same: true };
        let Some((places, tally)) = self.lay_out(rows, &mut on_disk)? else { return Ok(None) };
        let is_same = on_disk.ends().map_err(|e| FsError::new("read", &self.path, e))?;
        Ok(if is_same { Some(Layout { file: fs::open(&self.path)?, places, tally }) } else { None })
    }

    /// Writes rows as they come; `None` where they are not in the order of the table, or one is there twice.
    #[expect(clippy::type_complexity, reason = "the two halves of a layout")]
    fn lay_out(
        &self,
        rows: impl Iterator<Item = Result<R, TableError>>,
        out: impl Write,
    ) -> Result<Option<(Vec<Place>, R::Tally)>, TableError> {
        let failed = |e: io::Error| TableError::Fs(FsError::new("write", &self.path, e));
        let csv_failed = |e: csv::Error| failed(e.into());
        let mut writer = csv::Writer::from_writer(Counted { out, bytes: 0 });
        writer.write_record(R::COLUMNS).map_err(csv_failed)?;
        let (mut places, mut keys, mut tally) = (Vec::new(), Vec::new(), R::Tally::default());
        let mut last: Option<R> = None;
        for row in rows {
            let row = row?;
            if last.as_ref().is_some_and(|last| order(last) >= order(&row)) {
                return Ok(None);
            }
            writer.flush().map_err(failed)?;
            places.push(Place { post: hash(row.key().0), offset: writer.get_ref().bytes });
            keys.push(hash(&row.key()));
            writer.write_record(row.cells()).map_err(csv_failed)?;
            row.tally(&mut tally);
            last = Some(row);
        }
        writer.flush().map_err(failed)?;
        let mut out = writer.into_inner().map_err(|e| failed(io::Error::other(e.to_string())))?.out;
        out.flush().map_err(failed)?;
        keys.sort_unstable();
        places.sort_unstable();
        Ok(keys.is_sorted_by(|a, b| a < b).then_some((places, tally)))
    }

    /// The rows of a post that are on disk, whatever changed since.
    fn on_disk(&self, id: &PostId) -> Result<Vec<R>, TableError> {
        let Some(Layout { file, places, .. }) = &self.layout else { return Ok(Vec::new()) };
        let post = hash(id);
        let first = places.partition_point(|place| place.post < post);
        let of_post = places[first..].iter().take_while(|place| place.post == post);
        let rows = of_post.map(|place| self.read_at(file, place.offset));
        rows.filter(|row| !row.as_ref().is_ok_and(|row| row.key().0 != id)).collect()
    }

    fn read_at(&self, mut file: &File, offset: u64) -> Result<R, TableError> {
        file.seek(SeekFrom::Start(offset)).map_err(|e| FsError::new("read", &self.path, e))?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .buffer_capacity(ROW_BYTES)
            .from_reader(file.take(STREAM_BYTES_MAX));
        let mut record = csv::StringRecord::new();
        let is_there = reader.read_record(&mut record).is_ok_and(|is_there| is_there);
        if !is_there || record.len() != R::COLUMNS.len() {
            return Err(self.changed());
        }
        R::read_cells(Row::new(&self.path, 0, &record)).map_err(|_| self.changed())
    }

    fn changed(&self) -> TableError {
        let why = io::Error::other("somebody changed it while it was in use");
        TableError::Fs(FsError::new("read", &self.path, why))
    }
}

/// The rows of a file, one by one.
struct Rows<R: TableRow> {
    reader: TableReader,
    columns: R::Columns,
}

impl<R: TableRow> Rows<R> {
    fn open(path: &Path) -> Result<Option<Self>, TableError> {
        let Some(reader) = TableReader::open(path, STREAM_BYTES_MAX)? else { return Ok(None) };
        let columns = R::columns(reader.header())?;
        Ok(Some(Self { reader, columns }))
    }
}

impl<R: TableRow> Iterator for Rows<R> {
    type Item = Result<R, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next().map(|row| R::read(row?, self.columns))
    }
}

/// A writer that counts. It is flushed by whoever is written to at the end, and not after every row.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written is compared with what is in a file.
struct Compared {
    file: BufReader<File>,
    buffer: Vec<u8>,
    same: bool,
}

impl Compared {
    /// Whether all was the same, up to the end of the file.
    fn ends(&mut self) -> io::Result<bool> {
        Ok(self.same && self.file.read(&mut [0])? == 0)
    }
}

impl Write for Compared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.same {
            self.buffer.clear();
            (&mut self.file).take(bytes.len() as u64).read_to_end(&mut self.buffer)?;
            self.same = self.buffer == bytes;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The order of the file: by time, then by post, then by what it is of the post.
fn order<R: TableRow>(row: &R) -> (i64, (&PostId, &str)) {
    (row.created_utc(), row.key())
}

fn key<R: TableRow>(row: &R) -> Key {
    let (id, of_it) = row.key();
    (id.clone(), of_it.to_owned())
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
