//! CSV files: read with the line in every error, written as a whole. Quoting is that of RFC 4180; lines end with LF, as
//! pandas and git write them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use jiff::Timestamp;
use natureddit_core::fs::{self, FsError};

/// The longest table that is read into memory as a whole.
const TABLE_BYTES_MAX: u64 = 1 << 30;
/// The longest table that is read record by record: some fifty million posts.
pub(crate) const STREAM_BYTES_MAX: u64 = 1 << 34;

/// What is read of a file at once.
const BUFFER_BYTES: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A table that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file itself.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A column that is needed is not there.
    #[error("{path}: the header has no column {column:?}", path = path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: String,
    },
    /// Not even a header.
    #[error("{path} is empty: it has no header", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A header of one column, which is several between other marks than commas.
    #[error("{path}: the columns are separated by {separator} instead of commas", path = path.display())]
    Separator {
        /// The file.
        path: PathBuf,
        /// What separates them: `semicolons`.
        separator: &'static str,
    },
    /// A column nobody knows; writing the table again would lose it.
    #[error("{path}: the header has an unknown column {column:?}", path = path.display())]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: String,
    },
    /// A column that is there twice; nobody can tell which counts.
    #[error("{path}: the header has a column twice", path = path.display())]
    RepeatedColumn {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else is changing the files of a folder.
    #[error("{folder} is being changed by another import", folder = folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// A line that is not what it should be.
    #[error("{path}, line {line}: {problem}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line its record begins on, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
}

/// A CSV file with a header, read record by record.
#[derive(Debug)]
pub(crate) struct TableReader {
    path: PathBuf,
    reader: csv::Reader<BufReader<Take<File>>>,
    header: StringRecord,
    record: StringRecord,
    /// What is to be added to the line that the reader tells of a record: after CR LF it begins with the LF.
    line_offset: u64,
}

impl TableReader {
    /// Opens a file of at most `bytes_max` bytes; a byte order mark before the header is dropped. `None` where there is no
    /// file.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<Option<Self>, TableError> {
        let Some(file) = fs::optional(fs::open(path))? else { return Ok(None) };
        let failed = |e| FsError::new("read", path, e);
        if file.metadata().map_err(failed)?.len() > bytes_max {
            let why = format!("it has more than {bytes_max} bytes, which is the limit");
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, why)).into());
        }
        let mut bytes = BufReader::with_capacity(BUFFER_BYTES, file.take(bytes_max));
        if bytes.fill_buf().map_err(failed)?.starts_with(BYTE_ORDER_MARK) {
            bytes.consume(BYTE_ORDER_MARK.len());
        }
        let first_line = bytes.fill_buf().map_err(failed)?.split_inclusive(|&byte| byte == b'\n').next();
        let line_offset = u64::from(first_line.is_some_and(|line| line.ends_with(b"\r\n")));
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|e| line_error(path, &e, 0))?.clone();
        Ok(Some(Self { path: path.to_owned(), reader, header, record: StringRecord::new(), line_offset }))
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> Header<'_> {
        Header { path: &self.path, names: &self.header }
    }

    /// Reads the next records with their lines over those of `records`, as many as it has room for; fewer at the end. What
    /// cannot be read ends them.
    pub(crate) fn fill(&mut self, records: &mut Vec<(u64, StringRecord)>) -> Result<(), TableError> {
        for at in 0..records.len() {
            let (line, record) = &mut records[at];
            match self.reader.read_record(record) {
                Ok(true) => *line = record.position().map_or(0, csv::Position::line) + self.line_offset,
                ended => {
                    records.truncate(at);
                    return ended.map(drop).map_err(|error| line_error(&self.path, &error, self.line_offset));
                }
            }
        }
        Ok(())
    }

    /// The next record; `None` at the end. After a record that cannot be read comes the one after it.
    pub(crate) fn next(&mut self) -> Option<Result<Row<'_>, TableError>> {
        match self.reader.read_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line) + self.line_offset;
                Some(Ok(Row { path: &self.path, line, record: &self.record }))
            }
            Err(error) => Some(Err(line_error(&self.path, &error, self.line_offset))),
        }
    }
}

/// A whole CSV file with a header.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    header: StringRecord,
    rows: Vec<(u64, StringRecord)>,
}

/// One record of a table and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    path: &'a Path,
    line: u64,
    record: &'a StringRecord,
}

impl Table {
    /// Reads a file; a byte order mark before the header is dropped.
    pub(crate) fn read(path: &Path) -> Result<Self, TableError> {
        let (table, broken) = Self::read_lenient(path)?;
        broken.into_iter().next().map_or(Ok(table), Err)
    }

    /// Reads a file as far as it can be read, and says which lines cannot.
    pub(crate) fn read_lenient(path: &Path) -> Result<(Self, Vec<TableError>), TableError> {
        let absent = || FsError::new("read", path, io::Error::new(io::ErrorKind::NotFound, "there is no such file"));
        let mut reader = TableReader::open(path, TABLE_BYTES_MAX)?.ok_or_else(absent)?;
        let (mut rows, mut broken) = (Vec::new(), Vec::new());
        while let Some(row) = reader.next() {
            match row {
                Ok(row) => rows.push((row.line, row.record.clone())),
                Err(error) => broken.push(error),
            }
        }
        Ok((Self { path: reader.path, header: reader.header, rows }, broken))
    }

    /// Reads a file that may not be there yet.
    pub(crate) fn read_optional(path: &Path) -> Result<Option<Self>, TableError> {
        match Self::read(path) {
            Err(TableError::Fs(error)) if error.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> Header<'_> {
        Header { path: &self.path, names: &self.header }
    }

    /// Where columns of these names are.
    pub(crate) fn columns<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], TableError> {
        self.header().columns(names)
    }

    /// As [`Table::columns`], of a table that must have no others.
    pub(crate) fn only_columns<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], TableError> {
        self.header().only_columns(names)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, record)| Row { path: &self.path, line: *line, record })
    }
}

/// The names of a table's columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    path: &'a Path,
    names: &'a StringRecord,
}

impl Header<'_> {
    /// Where columns of these names are.
    pub(crate) fn columns<const N: usize>(self, names: [&str; N]) -> Result<[usize; N], TableError> {
        let mut columns = [0; N];
        for (column, name) in columns.iter_mut().zip(names) {
            let found = self.names.iter().position(|cell| cell == name);
            *column = found.ok_or_else(|| self.missing(name))?;
        }
        Ok(columns)
    }

    /// Why there is no column of this name.
    fn missing(self, name: &str) -> TableError {
        let path = self.path.to_owned();
        let only = self.names.get(0).filter(|_| self.names.len() == 1);
        match only {
            _ if self.names.iter().all(str::is_empty) => TableError::Empty { path },
            Some(cell) if cell.contains(';') => TableError::Separator { path, separator: "semicolons" },
            Some(cell) if cell.contains('\t') => TableError::Separator { path, separator: "tabs" },
            _ => TableError::NoColumn { path, column: name.to_owned() },
        }
    }

    /// As [`Header::columns`], of a table that must have no others.
    pub(crate) fn only_columns<const N: usize>(self, names: [&str; N]) -> Result<[usize; N], TableError> {
        let columns = self.columns(names)?;
        match self.names.iter().find(|cell| !names.contains(cell)) {
            Some(cell) => Err(TableError::UnknownColumn { path: self.path.to_owned(), column: cell.to_owned() }),
            None if self.names.len() != N => Err(TableError::RepeatedColumn { path: self.path.to_owned() }),
            None => Ok(columns),
        }
    }
}

impl<'a> Row<'a> {
    /// A record that comes from elsewhere than a table.
    pub(crate) fn new(path: &'a Path, line: u64, record: &'a StringRecord) -> Self {
        Self { path, line, record }
    }

    /// The line it begins on, from 1.
    pub(crate) fn line(self) -> u64 {
        self.line
    }

    /// The text of a column.
    pub(crate) fn text(self, column: usize) -> &'a str {
        self.record.get(column).unwrap_or_default()
    }

    /// A column as something that has a text form.
    pub(crate) fn parse<T>(self, column: usize, name: &str) -> Result<T, TableError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.text(column).parse().map_err(|e| self.error(format!("{name}: {e}")))
    }

    /// An error of this line.
    pub(crate) fn error(self, problem: String) -> TableError {
        TableError::Line { path: self.path.to_owned(), line: self.line, problem }
    }
}

fn line_error(path: &Path, error: &csv::Error, line_offset: u64) -> TableError {
    let line = error.position().map_or(1, |position| position.line() + line_offset);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} columns instead of {expected_len}"),
        csv::ErrorKind::Utf8 { err, .. } => format!("not UTF-8 in column {}", err.field() + 1),
        _ => error.to_string(),
    };
    TableError::Line { path: path.to_owned(), line, problem }
}

/// The bytes of a table.
pub(crate) fn table_bytes<const N: usize>(
    header: Option<[&str; N]>,
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if let Some(header) = header {
        writer.write_record(header)?;
    }
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

/// Writes a table, sorted as it comes. A file that holds these bytes already is left alone.
pub(crate) fn write_table<const N: usize>(
    path: &Path,
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), FsError> {
    let bytes = table_bytes(Some(header), rows).map_err(|e| FsError::new("write", path, e))?;
    write_if_changed(path, &bytes)
}

/// Replaces a file's content, unless it is that already.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    if fs::optional(fs::read(path))?.is_some_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write_atomic(path, bytes)
}

/// A moment as tables hold it: `2022-05-01T00:00:00`, UTC.
pub(crate) fn format_utc(second: i64) -> String {
    let timestamp = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Reads a moment as [`format_utc`] writes it, also with an offset, a space instead of the `T`, or as seconds since 1970.
pub(crate) fn parse_utc(text: &str) -> Option<i64> {
    let seconds = text.parse::<f64>().ok().filter(|_| !text.contains(char::is_alphabetic));
    let seconds = seconds.map(|seconds| seconds.floor() as i64);
    let timestamp = match seconds {
        Some(seconds) => Timestamp::from_second(seconds).ok()?,
        None => text.parse::<Timestamp>().or_else(|_| format!("{text}Z").parse::<Timestamp>()).ok()?,
    };
    Some(timestamp.as_second()).filter(|&second| second >= 0)
}

/// A text without the control characters U+0000 to U+001F, but with its newlines and tabs.
pub(crate) fn without_control(text: &str) -> String {
    text.chars().filter(|&c| c >= ' ' || c == '\n' || c == '\t').collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(text: &str) -> Result<Table, TableError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        fs::write_atomic(&path, text).unwrap();
        Table::read(&path)
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = table("a,b\n1,\"two\nlines\"\n3\n").unwrap_err().to_string();
        assert!(error.ends_with("t.csv, line 4: 1 columns instead of 2"), "{error}");
        for (line, row) in (2..).zip(table("a,b\r\n1,2\r\n3,4\r\n").unwrap().rows()) {
            assert_eq!(row.line(), line, "of a file with CR LF");
        }
        let error = table("a,b\r\n1,2\r\n3\r\n").unwrap_err().to_string();
        assert!(error.ends_with("t.csv, line 3: 1 columns instead of 2"), "{error}");
        let read = table("\u{feff}a,b\n1,2\n").unwrap();
        let error = read.columns(["a", "c"]).unwrap_err().to_string();
        assert!(error.ends_with("the header has no column \"c\""), "{error}");
        let error = read.only_columns(["a"]).unwrap_err().to_string();
        assert!(error.ends_with("the header has an unknown column \"b\""), "{error}");
        for (text, problem) in [
            ("", "t.csv is empty: it has no header"),
            ("a;b\n1;2\n", "the columns are separated by semicolons instead of commas"),
            ("a\tb\n1\t2\n", "the columns are separated by tabs instead of commas"),
            ("c\n1\n", "the header has no column \"a\""),
        ] {
            let error = table(text).unwrap().columns(["a", "b"]).unwrap_err().to_string();
            assert!(error.ends_with(problem), "{error}");
        }
        let error = table("a,b,a\n1,2,3\n").unwrap().only_columns(["a", "b"]).unwrap_err().to_string();
        assert!(error.ends_with("the header has a column twice"), "{error}");
    }

    #[test]
    fn a_moment_is_read_in_every_form_it_was_written_in() {
        for text in
            ["2022-05-01T00:00:00", "2022-05-01 00:00:00", "2022-05-01T02:00:00+02:00", "1651363200", "1651363200.0"]
        {
            assert_eq!(parse_utc(text), Some(1_651_363_200), "{text}");
        }
        assert_eq!(format_utc(1_651_363_200), "2022-05-01T00:00:00");
        for bad in ["", "yesterday", "2022-13-01T00:00:00", "-5", "nan", "inf", "1e300", "9e99"] {
            assert_eq!(parse_utc(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_text_survives_its_table(texts in proptest::collection::vec(any::<String>(), 1..8)) {
            let clean: Vec<_> = texts.iter().map(|text| without_control(text)).collect();
            let rows = clean.iter().map(|text| [text.clone(), "x".to_owned()]);
            let bytes = table_bytes(Some(["text", "x"]), rows).unwrap();
            let read = table(std::str::from_utf8(&bytes).unwrap()).unwrap();
            let back: Vec<_> = read.rows().map(|row| row.text(0).to_owned()).collect();
            prop_assert_eq!(back, clean);
        }

        #[test]
        fn every_moment_survives_its_text(second in 0_i64..250_000_000_000) {
            prop_assert_eq!(parse_utc(&format_utc(second)), Some(second));
        }
    }
}
