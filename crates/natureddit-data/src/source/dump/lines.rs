//! The lines of a file, plain or compressed with zstd, one at a time and never the whole file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use natureddit_core::fs;

use super::DumpError;

/// Dumps are compressed with a window of 2 GiB, which decoders refuse unless told so.
const WINDOW_LOG_MAX: u32 = 31;

const BUFFER_BYTES: usize = 1 << 18;

/// What some programs begin a text with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a file.
pub(super) struct Lines {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Where the next line begins, and where what was read ends.
    start: usize,
    end: usize,
    line_bytes_max: usize,
    is_at_end: bool,
    /// Of the line that was given last, from 1.
    number: u64,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// It has more bytes than are read.
    TooLong,
}

impl Lines {
    /// Opens a file and looks by its name and first bytes how it is compressed.
    pub(super) fn open(path: &Path, line_bytes_max: usize) -> Result<Self, DumpError> {
        let refused = |reason| DumpError::Format { path: path.to_owned(), reason };
        let name = path.to_string_lossy().to_ascii_lowercase();
        if name.ends_with(".zst_blocks") {
            return Err(refused("it is of the old block format; only .zst and plain NDJSON are read"));
        }
        let mut file = fs::open(path)?;
        let mut magic = Vec::new();
        let read = |e| DumpError::Read { path: path.to_owned(), source: e };
        if file.metadata().map_err(read)?.is_dir() {
            return Err(refused("it is a folder; name the files in it"));
        }
        Read::take(&mut file, 6).read_to_end(&mut magic).map_err(read)?;
        let start = io::Cursor::new(magic.clone());
        let whole = BufReader::with_capacity(BUFFER_BYTES, start.chain(file));
        let reader: Box<dyn Read + Send> = match magic.as_slice() {
            // A frame, or one that decoders skip.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Box::new(decoder(whole).map_err(read)?)
            }
            [0x1f, 0x8b, ..] => return Err(refused("it is compressed with gzip; unpack it first")),
            [b'B', b'Z', b'h', ..] => return Err(refused("it is compressed with bzip2; unpack it first")),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => return Err(refused("it is compressed with xz; unpack it first")),
            [] => Box::new(whole),
            start if without_mark(start).trim_ascii_start().first().is_none_or(|&byte| byte == b'{') => Box::new(whole),
            _ => return Err(refused("it is neither compressed with zstd nor NDJSON")),
        };
        Ok(Self::new(reader, line_bytes_max))
    }

    pub(super) fn new(reader: Box<dyn Read + Send>, line_bytes_max: usize) -> Self {
        Self { reader, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, line_bytes_max, is_at_end: false, number: 0 }
    }

    /// The number of the line that was given last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; the last one needs no newline. The buffer never holds more than a line and one read.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = self.start;
        let mut is_too_long = false;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..self.end]) {
                let line = self.start..searched + at;
                self.start = line.end + 1;
                return Ok(Some(self.line(line, is_too_long)));
            }
            if self.is_at_end {
                let line = self.start..self.end;
                self.start = self.end;
                let is_nothing = line.is_empty() && !is_too_long;
                return Ok((!is_nothing).then(|| self.line(line, is_too_long)));
            }
            if self.end - self.start > self.line_bytes_max {
                is_too_long = true;
                self.start = self.end;
            }
            self.make_room();
            searched = self.end;
            let read = self.reader.read(&mut self.buffer[self.end..]);
            match read {
                Ok(0) => self.is_at_end = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A line that is in the buffer to its end; `is_too_long` where its beginning was thrown away.
    fn line(&mut self, at: Range<usize>, is_too_long: bool) -> Line<'_> {
        self.number += 1;
        if is_too_long || at.len() > self.line_bytes_max {
            return Line::TooLong;
        }
        let line = &self.buffer[at];
        Line::Whole(if self.number == 1 { without_mark(line) } else { line })
    }

    /// Moves the line that is not whole yet to the front, and makes the buffer larger where it fills it.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
    }
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

fn decoder(reader: BufReader<io::Chain<io::Cursor<Vec<u8>>, File>>) -> io::Result<impl Read + Send> {
    let mut decoder = zstd::Decoder::with_buffer(reader)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(decoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of a few.
    struct Slowly(Vec<u8>, usize);

    impl Read for Slowly {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn lines(bytes: &[u8], piece: usize) -> Vec<Option<String>> {
        let mut lines = Lines::new(Box::new(Slowly(bytes.to_vec(), piece)), 20);
        lines.buffer = vec![0; 8];
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(match line {
                Line::Whole(line) => Some(String::from_utf8(line.to_vec()).unwrap()),
                Line::TooLong => None,
            });
        }
        assert!(lines.buffer.len() <= 64, "{}", lines.buffer.len());
        all
    }

    #[test]
    fn lines_are_the_same_in_pieces_of_any_size() {
        let text = format!("one\n\ntwö \u{1f339}\n{}\nthree\n{}", "x".repeat(100), "last");
        let expected = ["one", "", "twö \u{1f339}", "", "three", "last"];
        for piece in 1..40 {
            let lines = lines(text.as_bytes(), piece);
            assert_eq!(lines[3], None, "over the limit");
            let whole: Vec<_> = lines.into_iter().map(Option::unwrap_or_default).collect();
            assert_eq!(whole, expected, "in pieces of {piece}");
        }
        let marked = ["one", "\u{feff}two"].map(|line| Some(line.to_owned()));
        assert_eq!(lines("\u{feff}one\n\u{feff}two".as_bytes(), 2), marked, "of a mark the first is none");
        assert_eq!(lines(b"", 3), Vec::<Option<String>>::new());
        assert_eq!(lines(b"a\n", 3), [Some("a".to_owned())]);
        assert_eq!(lines("x".repeat(50).as_bytes(), 7), [None]);
        // One that the buffer takes whole is no shorter for that.
        for piece in 1..40 {
            let at_limit = format!("{}\n{}\n", "x".repeat(20), "x".repeat(21));
            assert_eq!(lines(at_limit.as_bytes(), piece), [Some("x".repeat(20)), None], "in pieces of {piece}");
        }
    }
}
