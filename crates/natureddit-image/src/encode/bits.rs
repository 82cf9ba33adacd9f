//! The bits of entropy-coded data.

/// What is written, the bits that are not yet a whole number of bytes apart.
pub(super) struct Bits {
    bytes: Vec<u8>,
    waiting: Waiting,
}

/// Bits that are not yet written. They are copied where they would otherwise have to lie in memory.
#[derive(Clone, Copy)]
struct Waiting {
    /// The last bit is the lowest; above all that are waiting may lie others.
    buffer: u64,
    /// How many more fit.
    free: u32,
}

impl Bits {
    /// Behind `bytes`.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes, waiting: Waiting { buffer: 0, free: u64::BITS } }
    }

    /// Lets `write` do so.
    #[inline(always)]
    pub(super) fn with(&mut self, write: impl FnOnce(&mut Writer)) {
        let mut writer = Writer { bytes: &mut self.bytes, waiting: self.waiting };
        write(&mut writer);
        self.waiting = writer.waiting;
    }

    /// All bytes, the last one filled up with ones.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.with(|writer| writer.put(0x7F, 7));
        let count = u64::BITS - self.waiting.free;
        if count > 0 {
            let bytes = (self.waiting.buffer << self.waiting.free).to_be_bytes();
            stuff(&mut self.bytes, &bytes[..count as usize / 8]);
        }
        self.bytes
    }
}

/// [`Bits`] while they are written.
pub(super) struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    waiting: Waiting,
}

impl Writer<'_> {
    /// Writes the lowest `count` bits, at most 32; those above must be zero.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        let Waiting { buffer, free } = self.waiting;
        let bits = u64::from(bits);
        self.waiting = if count < free {
            Waiting { buffer: buffer << (count & 63) | bits, free: free.wrapping_sub(count) }
        } else {
            let over = count.wrapping_sub(free);
            // All that was waiting, and as many more as make it whole.
            self.flush(buffer << (free & 63) | bits >> (over & 63));
            Waiting { buffer: bits, free: u64::BITS.wrapping_sub(over) }
        };
    }

    #[inline(always)]
    fn flush(&mut self, whole: u64) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const TOPS: u64 = 0x8080_8080_8080_8080;
        // Of all bytes FF loses its highest bit when one is added, and FE where another carries into it.
        if whole & !whole.wrapping_add(ONES) & TOPS == 0 {
            self.bytes.extend_from_slice(&whole.to_be_bytes());
        } else {
            stuff(self.bytes, &whole.to_be_bytes());
        }
    }
}

/// Behind FF comes a zero, so that nobody takes it for a marker.
#[inline(never)]
fn stuff(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0xFF {
            out.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[(u32, u32)]) -> Vec<u8> {
        let mut bits = Bits::behind(vec![7]);
        for &(piece, count) in pieces {
            bits.with(|writer| writer.put(piece, count));
        }
        bits.into_bytes()
    }

    #[test]
    fn the_last_byte_is_filled_up_with_ones() {
        assert_eq!(written(&[]), [7]);
        assert_eq!(written(&[(0, 1)]), [7, 0x7F]);
        assert_eq!(written(&[(0, 8)]), [7, 0]);
        assert_eq!(written(&[(1, 9)]), [7, 0, 0xFF, 0]);
    }

    #[test]
    fn a_zero_is_stuffed_behind_every_ff() {
        for place in 0..16 {
            let bytes: Vec<u8> = (0..16).map(|at| if at == place { 0xFF } else { 0xFE - at }).collect();
            let mut expected = [&[7], &bytes[..]].concat();
            expected.insert(usize::from(place) + 2, 0);
            assert_eq!(written(&bytes.iter().map(|&byte| (u32::from(byte), 8)).collect::<Vec<_>>()), expected);
        }
        assert_eq!(written(&[(u32::MAX, 32); 5]), [&[7][..], &[0xFF, 0].repeat(20)].concat());
    }

    #[test]
    fn pieces_of_any_length_come_in_order() {
        let mut seed = 1_u64;
        let mut pieces = Vec::new();
        for _ in 0..5000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let count = (seed >> 40) as u32 % 32 + 1;
            pieces.push(((seed >> 20) as u32 >> (32 - count), count));
        }
        let mut all = String::new();
        for (piece, count) in &pieces {
            all += &format!("{piece:00$b}", *count as usize);
        }
        let mut bits = String::new();
        let bytes = written(&pieces);
        let mut previous = 0;
        for byte in &bytes[1..] {
            if previous == 0xFF {
                assert_eq!(*byte, 0);
            } else {
                bits += &format!("{byte:08b}");
            }
            previous = *byte;
        }
        assert_eq!(bits[..all.len()], all);
        assert!(bits.len() - all.len() < 8 && !bits[all.len()..].contains('0'));
    }
}
