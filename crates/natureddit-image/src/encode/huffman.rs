//! The Huffman codes of annex K of ITU-T T.81, which suit most photos.

use super::bits::{Bits, Writer};

/// How many codes there are of each length (from 1 bit on), and what they stand for.
pub(super) struct Table {
    pub(super) counts: [u8; 16],
    pub(super) symbols: &'static [u8],
}

const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
pub(super) const LUMA_DC: Table =
    Table { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], symbols: &DC_SYMBOLS };
pub(super) const CHROMA_DC: Table =
    Table { counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], symbols: &DC_SYMBOLS };
pub(super) const LUMA_AC: Table = Table {
    counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
    symbols: &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
        0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
        0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
        0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
        0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
        0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
        0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
        0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
    ],
};
pub(super) const CHROMA_AC: Table = Table {
    counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
    symbols: &[
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
        0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
        0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
        0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
        0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
        0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
        0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
        0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
        0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
    ],
};

/// Many zeros in a row, and that none but zeros follow.
const ZEROS_16: usize = 0xF0;
const END: usize = 0;

/// The order that coefficients are stored in (figure A.6), as places row by row.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// For each row of coefficients, and each way that some of its eight are not zero (the first in the lowest bit): a bit
/// for each in the order that they are stored in, the first in the lowest.
static IN_ORDER: [[u64; 256]; 8] = in_order();

const fn in_order() -> [[u64; 256]; 8] {
    let mut table = [[0; 256]; 8];
    let mut at = 0;
    while at < 64 {
        let (row, column) = (ZIGZAG[at] as usize / 8, ZIGZAG[at] % 8);
        let mut bits = 0;
        while bits < 256 {
            if bits >> column & 1 == 1 {
                table[row][bits] |= 1 << at;
            }
            bits += 1;
        }
        at += 1;
    }
    table
}

/// The codes of one kind of values: for each symbol the code, and in the lowest byte its length.
pub(super) struct Codes {
    dc: [u32; 256],
    ac: [u32; 256],
    /// As `ac`, but with the bits of the number that follow the code: by the zeros before it and the number, for those
    /// from -8 to 7, which nearly all are.
    small: [u32; 256],
}

/// What is added to small numbers so that none is negative, and how many there are.
const SMALL: i16 = 8;
const SMALLS: u16 = 16;

pub(super) static LUMA: Codes = Codes::new(&LUMA_DC, &LUMA_AC);
pub(super) static CHROMA: Codes = Codes::new(&CHROMA_DC, &CHROMA_AC);

/// Annex C.
const fn codes(table: &Table) -> [u32; 256] {
    let mut codes = [0; 256];
    let (mut code, mut place, mut length) = (0, 0, 1);
    while length <= 16 {
        let mut count = table.counts[length - 1];
        while count > 0 {
            codes[table.symbols[place] as usize] = code << 8 | length as u32;
            (code, place, count) = (code + 1, place + 1, count - 1);
        }
        (code, length) = (code << 1, length + 1);
    }
    codes
}

/// The bits of a number with the zeros before it, and how many.
#[inline(always)]
const fn number(codes: &[u32; 256], zeros: u32, value: i16) -> (u32, u32) {
    // Written so that zero is no other case.
    let size = 31_u32.wrapping_sub(((value.unsigned_abs() as u32) << 1 | 1).leading_zeros());
    let code = codes[(zeros << 4 | size) as usize & 0xFF];
    // A negative number is stored as one less, without the bits above.
    let less = (value as i32).wrapping_add((value >> 15) as i32) as u32;
    let stored = less & (1_u32 << (size & 31)).wrapping_sub(1);
    ((code >> 8) << (size & 31) | stored, (code & 0xFF).wrapping_add(size))
}

impl Codes {
    const fn new(dc: &Table, ac: &Table) -> Self {
        let ac = codes(ac);
        let mut small = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (bits, count) = number(&ac, at as u32 / SMALLS as u32, at as i16 % SMALLS as i16 - SMALL);
            small[at] = bits << 8 | count;
            at += 1;
        }
        Self { dc: codes(dc), ac, small }
    }

    /// Writes a block of whole numbers, row by row, which comes after one with the mean value `before`.
    #[inline(always)]
    pub(super) fn write(&self, block: &[i16; 64], before: i16, bits: &mut Bits) {
        let places = places(block) & !1;
        bits.with(|writer| {
            let (bits, count) = number(&self.dc, 0, block[0].wrapping_sub(before));
            writer.put(bits, count);
            self.write_rest(block, places, writer);
        });
    }

    #[inline(always)]
    fn write_rest(&self, block: &[i16; 64], mut places: u64, writer: &mut Writer) {
        let mut last = 0;
        while places != 0 {
            let at = places.trailing_zeros();
            places &= places.wrapping_sub(1);
            let mut zeros = at.wrapping_sub(last).wrapping_sub(1);
            while zeros >= 16 {
                let code = self.ac[ZEROS_16];
                writer.put(code >> 8, code & 0xFF);
                zeros = zeros.wrapping_sub(16);
            }
            last = at;
            let value = block[usize::from(ZIGZAG[at as usize & 63]) & 63];
            let moved = value.wrapping_add(SMALL) as u16;
            let (bits, count) = if moved < SMALLS {
                let code = self.small[(zeros << 4 | u32::from(moved)) as usize & 0xFF];
                (code >> 8, code & 0xFF)
            } else {
                number(&self.ac, zeros, value)
            };
            writer.put(bits, count);
        }
        if last != 63 {
            let code = self.ac[END];
            writer.put(code >> 8, code & 0xFF);
        }
    }
}

/// A bit for each number that is not zero, in the order that they are stored in, the first in the lowest.
#[inline(always)]
fn places(block: &[i16; 64]) -> u64 {
    let flags = flags(block);
    let mut places = 0;
    for (row, flags) in flags.as_chunks::<8>().0.iter().enumerate() {
        // Brings the lowest bit of each byte into the highest byte, the first into its lowest bit.
        let bits = u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        places |= IN_ORDER[row][bits as usize];
    }
    places
}

/// One for each number that is not zero. Not part of its caller: by itself it is done for many at once.
#[inline(never)]
fn flags(block: &[i16; 64]) -> [u8; 64] {
    block.map(|value| u8::from(value != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_in_the_order_that_is_stored() {
        for at in 0..64 {
            let mut block = [0; 64];
            block[usize::from(ZIGZAG[at])] = if at % 2 == 0 { -1 } else { i16::MIN };
            assert_eq!(places(&block), 1 << at);
        }
        assert_eq!(places(&[0; 64]), 0);
        assert_eq!(places(&[256; 64]), u64::MAX);
    }

    #[test]
    fn codes_are_those_of_the_tables_in_annex_k() {
        let code =
            |codes: &[u32; 256], symbol: usize| format!("{:01$b}", codes[symbol] >> 8, (codes[symbol] & 0xFF) as usize);
        assert_eq!(code(&LUMA.dc, 0), "00");
        assert_eq!(code(&LUMA.dc, 11), "111111110");
        assert_eq!(code(&LUMA.ac, 0), "1010");
        assert_eq!(code(&LUMA.ac, 0xF0), "11111111001");
        assert_eq!(code(&LUMA.ac, 0xFA), "1111111111111110");
        assert_eq!(code(&CHROMA.dc, 11), "11111111110");
        assert_eq!(code(&CHROMA.ac, 0), "00");
        assert_eq!(code(&CHROMA.ac, 0xF0), "1111111010");
    }
}
