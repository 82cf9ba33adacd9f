//! A CSV file in pieces of whole rows, and the cells of a piece.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use natureddit_core::fs::FsError;

use super::{CHUNK_BYTES, ROW_BYTES_MAX, TableError};

/// Reads the pieces.
pub(super) struct ChunkReader {
    file: File,
    path: PathBuf,
    /// Read, and not yet given out: the start of a row first.
    rest: Vec<u8>,
    at_end: bool,
}

impl ChunkReader {
    pub(super) fn new(file: File, path: &Path) -> Self {
        Self { file, path: path.to_owned(), rest: Vec::new(), at_end: false }
    }

    /// The names of the columns: the first row. `None` where there is no row.
    pub(super) fn header(&mut self) -> Result<Option<Vec<String>>, TableError> {
        let Some(chunk) = self.next_chunk()? else { return Ok(None) };
        let chunk = chunk.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&chunk);
        let mut reader = csv_reader(chunk);
        let mut record = csv::ByteRecord::new();
        // Reading from memory, with rows of any length, has no way to fail.
        if !reader.read_byte_record(&mut record).unwrap_or(false) {
            return Ok(None);
        }
        let end = usize::try_from(reader.position().byte()).unwrap_or(chunk.len());
        let mut rest = chunk[end..].to_vec();
        rest.append(&mut self.rest);
        self.rest = rest;
        Ok(Some(record.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()))
    }

    /// The next pieces, at most so many; none at the end.
    pub(super) fn next_chunks(&mut self, count: usize) -> Result<Vec<Vec<u8>>, TableError> {
        let mut chunks = Vec::with_capacity(count);
        while chunks.len() < count
            && let Some(chunk) = self.next_chunk()?
        {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// As many whole rows as there are in [`CHUNK_BYTES`], but at least one.
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, TableError> {
        let mut chunk = std::mem::take(&mut self.rest);
        loop {
            // A row that does not end in as much is searched for in twice as much.
            let more = if chunk.len() < CHUNK_BYTES { CHUNK_BYTES - chunk.len() } else { chunk.len() };
            let wanted = more.min((ROW_BYTES_MAX + 1).saturating_sub(chunk.len()));
            self.read(&mut chunk, wanted)?;
            if self.at_end {
                return Ok((!chunk.is_empty()).then_some(chunk));
            }
            if let Some(end) = last_row_end(&chunk) {
                self.rest = chunk.split_off(end);
                return Ok(Some(chunk));
            }
            if chunk.len() > ROW_BYTES_MAX {
                return Err(TableError::RowTooLong { path: self.path.clone() });
            }
        }
    }

    fn read(&mut self, chunk: &mut Vec<u8>, bytes: usize) -> Result<(), TableError> {
        let before = chunk.len();
        let read = (&mut self.file).take(bytes as u64).read_to_end(chunk);
        read.map_err(|e| FsError::new("read", &self.path, e))?;
        self.at_end = chunk.len() < before + bytes;
        Ok(())
    }
}

/// Where the last row that ends in these bytes ends; they begin with a row.
fn last_row_end(bytes: &[u8]) -> Option<usize> {
    if !bytes.contains(&b'"') {
        return bytes.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
    }
    let mut last = None;
    // Within quotes; at the first byte of a cell, the only place where a quote opens one.
    let (mut quoted, mut at_start) = (false, true);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            // A doubled quote closes and opens again.
            b'"' if quoted => (quoted, at_start) = (false, true),
            b'"' if at_start => quoted = true,
            b'\n' if !quoted => (last, at_start) = (Some(at + 1), true),
            b',' | b'\r' if !quoted => at_start = true,
            _ => at_start = false,
        }
    }
    last
}

/// The cells of a piece.
pub(super) struct Chunk {
    /// All cells, without the quotes.
    bytes: Vec<u8>,
    /// Where each cell ends, row by row.
    ends: Vec<u32>,
    columns: usize,
}

/// A row with too many or too few cells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrongCells {
    /// Which row of the piece, from 1.
    pub(super) row: u64,
    pub(super) cells: usize,
}

/// Takes a piece apart.
pub(super) fn parse(bytes: &[u8], columns: usize) -> Result<Chunk, WrongCells> {
    let mut reader = csv_reader(bytes);
    let mut record = csv::ByteRecord::new();
    let mut chunk = Chunk { bytes: Vec::with_capacity(bytes.len()), ends: Vec::new(), columns };
    // Reading from memory, with rows of any length, has no way to fail.
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        if record.len() != columns {
            return Err(WrongCells { row: chunk.rows() as u64 + 1, cells: record.len() });
        }
        let start = chunk.bytes.len();
        chunk.bytes.extend_from_slice(record.as_slice());
        let ends = (0..columns).filter_map(|at| record.range(at)).map(|range| (start + range.end) as u32);
        chunk.ends.extend(ends);
    }
    Ok(chunk)
}

impl Chunk {
    pub(super) fn rows(&self) -> usize {
        self.ends.len() / self.columns.max(1)
    }

    /// The cells of a column.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = &[u8]> {
        (column..self.ends.len()).step_by(self.columns.max(1)).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[start as usize..self.ends[at] as usize]
        })
    }
}

fn csv_reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_ends_at_a_new_line_that_is_not_within_quotes() {
        assert_eq!(last_row_end(b"a,b\nc"), Some(4));
        assert_eq!(last_row_end(b"a,\"b\nc"), None);
        assert_eq!(last_row_end(b"x\n\"a\"\"\n\",\n\"b\n"), Some(10));
        // A quote within a cell that is not quoted is a quote.
        assert_eq!(last_row_end(b"5\" nails,b\nc"), Some(11));
        assert_eq!(last_row_end(b"\"a\"b\"\nc"), Some(6));
        assert_eq!(last_row_end(b""), None);
    }

    #[test]
    fn a_row_of_other_length_is_named() {
        assert_eq!(parse(b"1,2\n\n3,4\n5\n", 2).err(), Some(WrongCells { row: 3, cells: 1 }));
    }

    proptest! {
        /// Whatever the bytes are, rows before an end and rows behind it are the rows of both.
        #[test]
        fn cutting_where_a_row_ends_changes_no_cell(bytes in "[a,\"\n ]{0,60}") {
            let rows = |bytes: &[u8]| -> Vec<csv::ByteRecord> {
                csv_reader(bytes).byte_records().map(Result::unwrap).collect()
            };
            if let Some(end) = last_row_end(bytes.as_bytes()) {
                let (left, right) = bytes.as_bytes().split_at(end);
                prop_assert_eq!([rows(left), rows(right)].concat(), rows(bytes.as_bytes()));
            }
        }
    }
}
