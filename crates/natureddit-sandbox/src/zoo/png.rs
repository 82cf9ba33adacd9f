//! PNG files of kinds that no encoder at hand writes (W3C PNG, third edition). Their data is stored, not compressed.

use crate::stored::{crc32, zlib};

/// What a PNG file is made of.
pub(super) struct Png<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bit_depth: u8,
    /// 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
    pub(super) colour_type: u8,
    /// Chunks between the header and the data.
    pub(super) before: &'a [([u8; 4], Vec<u8>)],
    /// Chunks between the data and the end.
    pub(super) behind: &'a [([u8; 4], Vec<u8>)],
}

impl Png<'_> {
    /// The bytes of a file with these rows.
    pub(super) fn encode(&self, rows: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
        let mut header = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        header.extend([self.bit_depth, self.colour_type, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.extend(chunk(*b"IHDR", &header));
        self.before.iter().for_each(|(name, data)| file.extend(chunk(*name, data)));
        file.extend(chunk(*b"IDAT", &data(rows)));
        self.behind.iter().for_each(|(name, data)| file.extend(chunk(*name, data)));
        file.extend(chunk(*b"IEND", &[]));
        file
    }
}

/// Rows without a filter, in a zlib stream.
pub(super) fn data(rows: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let raw: Vec<u8> = rows.flat_map(|row| std::iter::once(0).chain(row)).collect();
    zlib(&raw)
}

/// A chunk with its length and checksum.
pub(super) fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), named.as_slice(), &crc32(&named).to_be_bytes()].concat()
}
