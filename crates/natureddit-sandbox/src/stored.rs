//! Compressed formats whose data is stored as it is (RFC 1950, 1951 and 1952), with the checksums they end with.

/// A zlib stream.
pub(crate) fn zlib(raw: &[u8]) -> Vec<u8> {
    [&[0x78, 0x01], deflate(raw).as_slice(), &adler32(raw).to_be_bytes()].concat()
}

/// A gzip file without a name or a time.
pub(crate) fn gzip(raw: &[u8]) -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let size = raw.len() as u32;
    [&head, deflate(raw).as_slice(), &crc32(raw).to_le_bytes(), &size.to_le_bytes()].concat()
}

/// Stored blocks.
fn deflate(raw: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(raw.len() + 16);
    let blocks = raw.len().div_ceil(0xffff).max(1);
    for at in 0..blocks {
        let block = &raw[at * 0xffff..raw.len().min((at + 1) * 0xffff)];
        let size = block.len() as u16;
        stream.push(u8::from(at + 1 == blocks));
        stream.extend(size.to_le_bytes());
        stream.extend((!size).to_le_bytes());
        stream.extend(block);
    }
    stream
}

pub(crate) fn crc32(bytes: &[u8]) -> u32 {
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
