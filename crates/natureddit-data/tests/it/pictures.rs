//! Picture files, good and bad, made here byte by byte.

/// A PNG of noise: `side` x `side` pixels, RGB, stored without compression so that its size is known.
pub(crate) fn png(side: u32, seed: u8) -> Vec<u8> {
    let mut rows = Vec::new();
    let mut noise = u32::from(seed) + 1;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    for _ in 0..side {
        // Filter 0 before the row's pixels.
        rows.extend(std::iter::once(0).chain((0..3 * side).map(|_| next())));
    }
    png_of(side, side, &rows)
}

/// A PNG whose file has exactly `bytes` bytes.
pub(crate) fn png_of_bytes(bytes: usize) -> Vec<u8> {
    let small = png(20, 9);
    let end = small.len() - 12;
    // A chunk that readers skip: 12 bytes around its data.
    let padding = vec![b' '; bytes - small.len() - 12];
    let mut padded = small[..end].to_vec();
    chunk(&mut padded, b"prIv", &padding);
    padded.extend_from_slice(&small[end..]);
    assert_eq!(padded.len(), bytes);
    padded
}

/// The start of a PNG that claims to have 50,000 x 50,000 pixels.
pub(crate) fn png_bomb() -> Vec<u8> {
    png_of(50_000, 50_000, &[0; 60_000])
}

fn png_of(width: u32, height: u32, rows: &[u8]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &zlib(rows));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let crc = !png[start..].iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    });
    png.extend(crc.to_be_bytes());
}

/// A zlib stream of stored blocks.
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        stream.push(u8::from(blocks.peek().is_none()));
        let length = block.len() as u16;
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    stream.extend(((b << 16) | a).to_be_bytes());
    stream
}
