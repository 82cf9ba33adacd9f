//! TFRecord: records one after another, each with its length and two checksums, the whole file gzipped.
//!
//! A record is its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, the bytes, and their masked
//! CRC-32C ([TensorFlow's description](https://www.tensorflow.org/tutorials/load_data/tfrecord)).

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use natureddit_core::fs::{self, FsError};

/// What is compressed or uncompressed at once: a call for each of a record's four parts would cost more than the work.
const BUFFER_BYTES: usize = 1 << 16;

/// Longer records are not read: an example is well under a thousandth of it.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// A file of records that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TfRecordError {
    /// The file itself.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is not gzip, or the compressed bytes are damaged.
    #[error("{}, record {record}: the gzip file is damaged", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// Which record could not be read, from 1.
        record: usize,
        /// What is wrong.
        source: io::Error,
    },
    /// The file ends within a record.
    #[error("{}, record {record}: the file ends before the record does", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// Which record, from 1.
        record: usize,
    },
    /// The bytes do not have their checksum.
    #[error("{}, record {record}: the checksum of its {part} is wrong", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Which record, from 1.
        record: usize,
        /// `length` or `bytes`.
        part: &'static str,
    },
    /// The record is longer than any example.
    #[error("{}, record {record}: {bytes} bytes are more than {RECORD_BYTES_MAX}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Which record, from 1.
        record: usize,
        /// Its length.
        bytes: u64,
    },
}

/// Writes a gzip file of records; equal records give equal bytes, for no time is in its header.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(path: &Path, records: impl Iterator<Item = Vec<u8>>) -> Result<(), FsError> {
    // The lowest level: examples are read more often than moved, and the higher ones save little.
    let mut gzip = BufWriter::with_capacity(BUFFER_BYTES, GzEncoder::new(Vec::new(), Compression::fast()));
    let failed = |source| FsError::new("compress", path, source);
    for record in records {
        let length = (record.len() as u64).to_le_bytes();
        for bytes in [&length[..], &masked(&length), &record, &masked(&record)] {
            gzip.write_all(bytes).map_err(failed)?;
        }
    }
    let gzip = gzip.into_inner().map_err(|error| failed(error.into_error()))?;
    fs::write_atomic(path, gzip.finish().map_err(failed)?)
}

/// The records of a gzip file, in their order.
///
/// # Errors
/// [`TfRecordError`] with the file and the first record that is wrong.
pub(crate) fn read(path: &Path) -> Result<Records<impl Read + use<>>, TfRecordError> {
    let file = BufReader::with_capacity(BUFFER_BYTES, fs::open(path)?);
    let from = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file));
    Ok(Records { path: path.to_owned(), from, record: 0, is_over: false })
}

/// Records as they are read; after the first error there are no more.
pub(crate) struct Records<R> {
    path: PathBuf,
    from: R,
    /// How many were begun.
    record: usize,
    is_over: bool,
}

impl<R: Read> Records<R> {
    fn next_record(&mut self) -> Result<Option<Vec<u8>>, TfRecordError> {
        self.record += 1;
        let mut length = [0; 8];
        match self.fill(&mut length)? {
            0 => return Ok(None),
            8 => {}
            _ => return Err(self.cut()),
        }
        self.check(&length, "length")?;
        let bytes = u64::from_le_bytes(length);
        if bytes > RECORD_BYTES_MAX {
            return Err(TfRecordError::TooLong { path: self.path.clone(), record: self.record, bytes });
        }
        let mut record = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        if self.fill(&mut record)? < record.len() {
            return Err(self.cut());
        }
        self.check(&record, "bytes")?;
        Ok(Some(record))
    }

    /// Reads the checksum that follows these bytes and compares.
    fn check(&mut self, bytes: &[u8], part: &'static str) -> Result<(), TfRecordError> {
        let mut checksum = [0; 4];
        if self.fill(&mut checksum)? < checksum.len() {
            return Err(self.cut());
        }
        if checksum != masked(bytes) {
            return Err(TfRecordError::Checksum { path: self.path.clone(), record: self.record, part });
        }
        Ok(())
    }

    /// Reads until the buffer is full or the file is over; how many bytes there were.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TfRecordError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.from.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.cut()),
                Err(source) => {
                    return Err(TfRecordError::Gzip { path: self.path.clone(), record: self.record, source });
                }
            }
        }
        Ok(filled)
    }

    fn cut(&self) -> TfRecordError {
        TfRecordError::Cut { path: self.path.clone(), record: self.record }
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<Vec<u8>, TfRecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_record().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// A CRC-32C as TFRecord stores it: rotated and moved, so that a checksum of bytes with checksums in them is no trap.
fn masked(bytes: &[u8]) -> [u8; 4] {
    const DELTA: u32 = 0xa282_ead8;
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(DELTA).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(path: &Path) -> Result<Vec<Vec<u8>>, TfRecordError> {
        read(path)?.collect()
    }

    /// A gzip file of bytes that need not be records.
    fn gzipped(path: &Path, bytes: &[u8]) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        fs::write_atomic(path, gzip.finish().unwrap()).unwrap();
    }

    fn framed(record: &[u8]) -> Vec<u8> {
        let length = (record.len() as u64).to_le_bytes();
        [&length[..], &masked(&length), record, &masked(record)].concat()
    }

    proptest! {
        #[test]
        fn records_survive_their_file(records in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("data_tfrecord-00000-of-00001.gz");
            write(&path, records.iter().cloned()).unwrap();
            prop_assert_eq!(read_all(&path).unwrap(), records);
        }

        #[test]
        fn any_cut_and_any_damage_is_found(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..5),
            at in any::<proptest::sample::Index>(),
            flip in 1_u8..,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.gz");
            let whole: Vec<u8> = records.iter().flat_map(|record| framed(record)).collect();
            let at = at.index(whole.len());
            let ends: Vec<usize> = records.iter().scan(0, |end, record| { *end += record.len() + 16; Some(*end) }).collect();
            let broken = ends.iter().filter(|&&end| end <= at).count() + 1;

            gzipped(&path, &whole[..at]);
            let is_between = at == 0 || ends.contains(&at);
            match read_all(&path) {
                Ok(read) => prop_assert!(is_between && read.len() + 1 == broken),
                Err(TfRecordError::Cut { record, .. }) => prop_assert!(!is_between && record == broken),
                Err(other) => prop_assert!(false, "{other}"),
            }

            let mut damaged = whole;
            damaged[at] ^= flip;
            gzipped(&path, &damaged);
            let error = read_all(&path).unwrap_err().to_string();
            prop_assert!(error.contains(&format!("record {broken}: the checksum of its ")), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_cut_or_no_gzip_is_told_with_its_name_and_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gz");
        write(&path, [b"one".to_vec(), vec![7; 100]].into_iter()).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write_atomic(&path, &bytes[..bytes.len() - 30]).unwrap();
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.contains("the file ends before"), "{error}");
        fs::write_atomic(&path, "id,title,img_name\n").unwrap();
        let error = read_all(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}, record 1: the gzip file is damaged", path.display()));
    }

    #[test]
    fn equal_records_give_equal_bytes_without_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a.gz", "b.gz"].map(|name| {
            write(&folder.path().join(name), [b"one".to_vec()].into_iter()).unwrap();
            fs::read(&folder.path().join(name)).unwrap()
        });
        assert_eq!(files[0], files[1]);
        assert_eq!(files[0][4..8], [0; 4], "the header's time");
    }

    /// The value that TensorFlow's own test has for "foo" (tensorflow/core/lib/hash/crc32c_test.cc masks what it tests).
    #[test]
    fn the_checksum_is_masked() {
        // CRC-32C of "123456789" is 0xe3069283 (RFC 3720); rotated by 15 bits it is 0x2507c60d.
        assert_eq!(u32::from_le_bytes(masked(b"123456789")), 0x2507_c60d_u32.wrapping_add(0xa282_ead8));
    }
}
