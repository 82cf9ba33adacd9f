//! JPEG files of kinds that no encoder at hand writes (ITU T.81): mosaics of blocks of one colour each, for which the
//! first coefficient of a block is enough.

/// What a JPEG file is made of.
#[derive(Clone, Copy)]
pub(super) struct Jpeg {
    pub(super) width: u16,
    pub(super) height: u16,
    /// 1 grey, 3 YCbCr, 4 CMYK or YCCK.
    pub(super) components: u8,
    /// Coefficients come in scans, of which there is one here.
    pub(super) is_progressive: bool,
    /// The transform in an Adobe segment: 0 none, 1 YCbCr, 2 YCCK.
    pub(super) adobe: Option<u8>,
}

/// Codes of the first table of T.81, Annex K.3: how many bits a difference has.
const CODES: [(u32, u32); 12] = [
    (0b00, 2),
    (0b010, 3),
    (0b011, 3),
    (0b100, 3),
    (0b101, 3),
    (0b110, 3),
    (0b1110, 4),
    (0b1_1110, 5),
    (0b11_1110, 6),
    (0b111_1110, 7),
    (0b1111_1110, 8),
    (0b1_1111_1110, 9),
];

impl Jpeg {
    /// The bytes of a file whose block in a column and row has this value in each component.
    pub(super) fn encode(&self, value: impl Fn(u16, u16, u8) -> u8) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        if let Some(transform) = self.adobe {
            file.extend(segment(0xee, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat()));
        } else {
            file.extend(segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"));
        }
        // The first coefficient is eight times the mean of a block, so that steps of eight keep every value.
        file.extend(segment(0xdb, &[[0].as_slice(), &[8; 64]].concat()));
        let (high, wide) = (self.height.to_be_bytes(), self.width.to_be_bytes());
        let mut frame = vec![8, high[0], high[1], wide[0], wide[1], self.components];
        (1..=self.components).for_each(|id| frame.extend([id, 0x11, 0]));
        file.extend(segment(if self.is_progressive { 0xc2 } else { 0xc0 }, &frame));
        let lengths = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
        let values: Vec<u8> = (0..12).collect();
        file.extend(segment(0xc4, &[[0].as_slice(), &lengths, &values].concat()));
        if !self.is_progressive {
            // One code: the rest of the block is nought.
            let lengths = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            file.extend(segment(0xc4, &[[0x10].as_slice(), &lengths, &[0]].concat()));
        }
        let mut scan = vec![self.components];
        (1..=self.components).for_each(|id| scan.extend([id, 0]));
        scan.extend([0, if self.is_progressive { 0 } else { 63 }, 0]);
        file.extend(segment(0xda, &scan));
        file.extend(self.blocks(value));
        file.extend([0xff, 0xd9]);
        file
    }

    fn blocks(&self, value: impl Fn(u16, u16, u8) -> u8) -> Vec<u8> {
        let mut bits = Bits::default();
        let mut last = [0i32; 4];
        for row in 0..self.height.div_ceil(8) {
            for column in 0..self.width.div_ceil(8) {
                for component in 0..self.components {
                    let level = i32::from(value(column, row, component)) - 128;
                    let difference = level - last[usize::from(component)];
                    last[usize::from(component)] = level;
                    let size = 32 - difference.unsigned_abs().leading_zeros();
                    let (code, length) = CODES[size as usize];
                    bits.push(code, length);
                    // Negative numbers are written as one less, without their sign.
                    let written = if difference < 0 { difference - 1 } else { difference };
                    bits.push(written as u32 & ((1 << size) - 1), size);
                    if !self.is_progressive {
                        bits.push(0, 1);
                    }
                }
            }
        }
        bits.end()
    }
}

/// A marker with its data.
pub(super) fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = (data.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker, high, low], data].concat()
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, length: u32) {
        for at in (0..length).rev() {
            self.pending = self.pending << 1 | (bits >> at & 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.pending as u8);
                // A byte of ones would be taken for a marker.
                if self.pending == 0xff {
                    self.bytes.push(0);
                }
                (self.pending, self.count) = (0, 0);
            }
        }
    }

    fn end(mut self) -> Vec<u8> {
        while self.count != 0 {
            self.push(1, 1);
        }
        self.bytes
    }
}
