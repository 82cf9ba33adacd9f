//! PNG files of kinds that no encoder at hand writes (W3C PNG, third edition). Their data is stored, not compressed.

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

/// A zlib stream of stored blocks (RFC 1950, RFC 1951).
pub(super) fn zlib(raw: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks = raw.len().div_ceil(0xffff).max(1);
    for at in 0..blocks {
        let block = &raw[at * 0xffff..raw.len().min((at + 1) * 0xffff)];
        let size = block.len() as u16;
        stream.push(u8::from(at + 1 == blocks));
        stream.extend(size.to_le_bytes());
        stream.extend((!size).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(raw).to_be_bytes());
    stream
}

/// A chunk with its length and checksum.
pub(super) fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), named.as_slice(), &crc32(&named).to_be_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_as_their_standards_say() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
