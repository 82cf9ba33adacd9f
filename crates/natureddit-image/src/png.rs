//! What the PNG decoder does not look at: the end of the file.

use crate::{Format, ImageError};

const SIGNATURE_BYTES: usize = 8;
/// Length, name and checksum of a chunk.
const CHUNK_BYTES: usize = 12;

/// Refuses a file that ends before its last chunk does. The decoder needs no more than the pixels, but a file that lacks a
/// byte is another file the next time.
pub(crate) fn check(bytes: &[u8]) -> Result<(), ImageError> {
    let mut rest = bytes.get(SIGNATURE_BYTES..);
    while let Some([a, b, c, d, name @ ..]) = rest.filter(|rest| rest.len() >= CHUNK_BYTES) {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let next = CHUNK_BYTES.checked_add(length).and_then(|end| rest?.get(end..));
        if name.starts_with(b"IEND") && next.is_some() {
            return Ok(());
        }
        rest = next;
    }
    Err(ImageError::Truncated { format: Format::Png })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_lacks_a_byte_is_cut_and_one_with_more_is_whole() {
        let mut file = Vec::new();
        image::RgbImage::new(3, 2).write_to(&mut std::io::Cursor::new(&mut file), image::ImageFormat::Png).unwrap();
        for end in 0..file.len() {
            assert_eq!(check(&file[..end]), Err(ImageError::Truncated { format: Format::Png }), "cut at {end}");
        }
        assert_eq!(check(&file), Ok(()));
        file.extend([0; 20]);
        assert_eq!(check(&file), Ok(()));
    }
}
