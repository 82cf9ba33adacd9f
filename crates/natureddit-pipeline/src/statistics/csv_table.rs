//! The statistics of a CSV file, whose columns' types are inferred as TFDV infers them.
//!
//! A column is of whole numbers, of numbers, or of texts: the first of these that all of its cells are. Numbers are read
//! as Python reads them (`1_000`, ` 7 `, `nan`, `1e5`), and kept as 32-bit floats unless they are whole, as TFDV keeps
//! them; whole ones beyond 64 bits are texts. An empty cell is missing. Unlike TFDV, a quoted cell may hold a new line.
//!
//! The file is read in pieces of [`CHUNK_BYTES`]. Threads take pieces apart, then each thread takes columns and goes
//! through the pieces in order, so that nothing depends on how many threads there are. A column whose type turns out to
//! be another one than the first piece showed is done again in a second pass.

mod cell;
mod chunks;

use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use rayon::prelude::*;

use self::cell::{as_float, as_int, kind_of};
use self::chunks::{Chunk, ChunkReader, parse};
use super::FeatureKind;
use super::accumulate::{FeatureAccumulator, SplitAccumulator};

/// How much is read at once; a longer row makes a larger piece.
const CHUNK_BYTES: usize = 1 << 20;
/// The longest row.
const ROW_BYTES_MAX: usize = 64 << 20;
/// The most columns.
const COLUMNS_MAX: usize = 10_000;
/// Pieces in memory at once.
const CHUNKS_AT_ONCE: usize = 8;

/// A table that cannot be summarised.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file itself.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It has no header.
    #[error("{} is empty: its first line should name the columns", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Two columns have one name, or there are too many.
    #[error("{}: {what}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with the columns.
        what: String,
    },
    /// A row has another number of cells than the header.
    #[error("{}: row {row} has {cells} cells, not {columns}", path.display())]
    Cells {
        /// The file.
        path: PathBuf,
        /// Which row, from 1, without the header and blank lines.
        row: u64,
        /// How many cells it has.
        cells: usize,
        /// How many columns there are.
        columns: usize,
    },
    /// A row does not end.
    #[error("{}: a row is longer than {ROW_BYTES_MAX} bytes; is a quote not closed?", path.display())]
    RowTooLong {
        /// The file.
        path: PathBuf,
    },
}

/// The statistics of a CSV file with a header.
///
/// # Errors
/// When it cannot be read, or is no table.
pub fn summarise_csv(path: &Path) -> Result<SplitAccumulator, TableError> {
    let mut columns = Vec::new();
    let examples = pass(path, &mut columns)?;
    if columns.iter().any(|column| column.state == State::Infer) {
        for column in &mut columns {
            column.begin_again();
        }
        pass(path, &mut columns)?;
    }
    let features = columns.into_iter().map(Column::finish).collect();
    Ok(SplitAccumulator { examples, features })
}

/// One way through the file; makes the columns when there are none. Gives the number of rows.
fn pass(path: &Path, columns: &mut Vec<Column>) -> Result<u64, TableError> {
    let mut reader = ChunkReader::new(fs::open(path)?, path);
    let header = header(path, &mut reader)?;
    let mut rows = 0;
    loop {
        let chunks = reader.next_chunks(CHUNKS_AT_ONCE)?;
        if chunks.is_empty() {
            break;
        }
        let parsed: Vec<Result<Chunk, chunks::WrongCells>> =
            chunks.par_iter().map(|bytes| parse(bytes, header.len())).collect();
        let mut whole = Vec::with_capacity(parsed.len());
        for chunk in parsed {
            let before = rows;
            let chunk = chunk.map_err(|wrong| TableError::Cells {
                path: path.to_owned(),
                row: before + wrong.row,
                cells: wrong.cells,
                columns: header.len(),
            })?;
            rows += chunk.rows() as u64;
            whole.push(chunk);
        }
        if columns.is_empty() {
            columns.extend(header.iter().enumerate().map(|(at, name)| Column::guess(name, at, &whole[0])));
        }
        columns.par_iter_mut().for_each(|column| column.take(&whole));
    }
    if columns.is_empty() {
        columns.extend(header.iter().enumerate().map(|(at, name)| Column::new(name, at, None)));
    }
    Ok(rows)
}

fn header(path: &Path, reader: &mut ChunkReader) -> Result<Vec<String>, TableError> {
    let Some(names) = reader.header()? else {
        return Err(TableError::Empty { path: path.to_owned() });
    };
    let wrong = |what| TableError::Header { path: path.to_owned(), what };
    if names.len() > COLUMNS_MAX {
        return Err(wrong(format!("{} columns are more than {COLUMNS_MAX}", names.len())));
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(wrong(format!("two columns are named {:?}", pair[0]))),
        None => Ok(names),
    }
}

/// What is known of a column.
struct Column {
    name: String,
    at: usize,
    /// `None` while all of its cells are empty.
    kind: Option<FeatureKind>,
    state: State,
    feature: FeatureAccumulator,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// All cells so far are of the kind.
    Count,
    /// A cell was not of the kind; the rest of the pass only finds out which kind it is.
    Infer,
    /// All is known.
    Done,
}

impl Column {
    fn new(name: &str, at: usize, kind: Option<FeatureKind>) -> Self {
        let feature = FeatureAccumulator::new(name, kind.unwrap_or(FeatureKind::String));
        Self { name: name.to_owned(), at, kind, state: State::Count, feature }
    }

    /// Of the kind that a piece shows.
    fn guess(name: &str, at: usize, chunk: &Chunk) -> Self {
        let kind = chunk.column(at).filter(|cell| !cell.is_empty()).map(kind_of).reduce(wider);
        Self::new(name, at, kind)
    }

    /// For the second pass: what was counted stays counted.
    fn begin_again(&mut self) {
        *self = match self.state {
            State::Infer => Self::new(&self.name, self.at, self.kind),
            State::Count | State::Done => {
                let feature = std::mem::replace(&mut self.feature, FeatureAccumulator::new("", FeatureKind::String));
                Self { name: std::mem::take(&mut self.name), state: State::Done, feature, ..*self }
            }
        };
    }

    fn take(&mut self, chunks: &[Chunk]) {
        let at = self.at;
        for cell in chunks.iter().flat_map(|chunk| chunk.column(at)) {
            match self.state {
                State::Done => return,
                State::Count => self.count(cell),
                State::Infer if self.kind == Some(FeatureKind::String) => return,
                State::Infer => self.infer(cell),
            }
        }
    }

    fn count(&mut self, cell: &[u8]) {
        if cell.is_empty() {
            self.feature.push_missing();
            return;
        }
        let number = match self.kind {
            Some(FeatureKind::Int) => as_int(cell).map(|value| value as f64),
            Some(FeatureKind::Float) => as_float(cell).map(f64::from),
            Some(FeatureKind::String | FeatureKind::Bytes) => return self.feature.push_text(cell),
            None => None,
        };
        match number {
            Some(number) => self.feature.push_number(number),
            None => {
                self.state = State::Infer;
                self.infer(cell);
            }
        }
    }

    fn infer(&mut self, cell: &[u8]) {
        if !cell.is_empty() {
            let kind = kind_of(cell);
            self.kind = Some(self.kind.map_or(kind, |known| wider(known, kind)));
        }
    }

    fn finish(self) -> FeatureAccumulator {
        self.feature
    }
}

/// The narrowest kind that both are.
fn wider(a: FeatureKind, b: FeatureKind) -> FeatureKind {
    let width = |kind| match kind {
        FeatureKind::Int => 0,
        FeatureKind::Float => 1,
        FeatureKind::String | FeatureKind::Bytes => 2,
    };
    if width(a) >= width(b) { a } else { b }
}

#[cfg(test)]
mod tests;
