//! NumPy's `.npz`: a ZIP archive of `.npy` files, which `numpy.load` reads
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::io::{Cursor, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Numbers, row-major, with their shape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Array<'a> {
    /// 32-bit floats.
    F32(&'a [f32], &'a [usize]),
    /// 64-bit integers.
    I64(&'a [i64], &'a [usize]),
}

impl Array<'_> {
    /// The content of a `.npy` file, version 1.0.
    fn npy(&self) -> Vec<u8> {
        const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
        const ALIGNMENT: usize = 64;
        let (kind, shape) = match self {
            Self::F32(_, shape) => ("<f4", shape),
            Self::I64(_, shape) => ("<i8", shape),
        };
        // As Python writes a tuple: one of one has a comma.
        let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
        // The header ends with a line break, and the data begins at a multiple of 64 bytes.
        let unpadded = MAGIC.len() + 2 + header.len() + 1;
        header.push_str(&" ".repeat(unpadded.next_multiple_of(ALIGNMENT) - unpadded));
        header.push('\n');
        let mut bytes = MAGIC.to_vec();
        // A header with a shape of a few numbers is far shorter than 64 kB.
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        match self {
            Self::F32(values, _) => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
            Self::I64(values, _) => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
        }
        bytes
    }
}

/// The content of a `.npz` file with these arrays, stored as they are; the same arrays give the same bytes.
pub(crate) fn write_npz(arrays: &[(&str, Array<'_>)]) -> Result<Vec<u8>, ZipError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, array) in arrays {
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&array.npy())?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_header_is_what_numpy_writes_and_the_data_is_aligned() {
        let bytes = Array::I64(&[1, -2], &[2]).npy();
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert_eq!(header.trim_end(), "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }");
        assert!(header.ends_with('\n'));
        assert_eq!(bytes[128..], [1_i64.to_le_bytes(), (-2_i64).to_le_bytes()].concat());
        let bytes = Array::F32(&[f32::NAN; 6], &[1, 2, 3]).npy();
        assert!(
            std::str::from_utf8(&bytes[10..128]).unwrap().contains("'<f4', 'fortran_order': False, 'shape': (1, 2, 3)")
        );
    }

    #[test]
    fn every_array_is_a_member_by_its_name() {
        let npz = write_npz(&[("pixels", Array::F32(&[0.5], &[1])), ("ids", Array::I64(&[7], &[1, 1]))]).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(npz)).unwrap();
        let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["pixels.npy", "ids.npy"]);
        let mut ids = Vec::new();
        archive.by_name("ids.npy").unwrap().read_to_end(&mut ids).unwrap();
        assert_eq!(ids, Array::I64(&[7], &[1, 1]).npy());
    }
}
