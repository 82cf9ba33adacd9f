//! The bits of entropy-coded data.

use memchr::memchr;

use crate::scratch;

/// Zeros behind the data, so that many bytes can be read at once up to its end.
const PADDING: usize = 16;

/// So many bits are there at least when it is refilled.
pub(super) const REFILLED: u32 = 56;

/// One stretch of entropy-coded data, up to the next marker, without the zeros that are stuffed in behind each FF.
pub(super) struct Stretch {
    clean: Vec<u8>,
}

impl Stretch {
    /// With room for all the data of a file of so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { clean: scratch::take_any(bytes + PADDING) }
    }

    /// Takes up the data at the start of `bytes`. The code of the marker that ends it, and the offset behind that.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<(u8, usize)> {
        self.clean.clear();
        let mut from = 0;
        loop {
            let at = from + memchr(0xFF, bytes.get(from..)?)?;
            let code = *bytes.get(at + 1)?;
            if code != 0 {
                self.clean.extend_from_slice(&bytes[from..at]);
                self.clean.extend_from_slice(&[0; PADDING]);
                return Some((code, at + 2));
            }
            self.clean.extend_from_slice(&bytes[from..=at]);
            from = at + 2;
        }
    }

    /// From its first bit on.
    pub(super) fn bits(&self) -> Bits<'_> {
        Bits { clean: &self.clean, at: 0, buffer: 0, count: 0 }
    }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        scratch::give_back(std::mem::take(&mut self.clean));
    }
}

/// A place in a [`Stretch`]. It is copied where it would otherwise have to lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    clean: &'a [u8],
    /// Of the next byte that is not counted in `count`.
    at: usize,
    /// The next bit is the highest. Below the first `count` may lie some of the bits behind them, or zeros.
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    /// Makes 56 bits at least to be there. `None` well behind the end.
    #[inline(always)]
    pub(super) fn refill(&mut self) -> Option<()> {
        let next = self.clean.get(self.at..)?.first_chunk::<8>()?;
        self.buffer |= u64::from_be_bytes(*next) >> (self.count & 63);
        self.at = self.at.wrapping_add((63_u32.wrapping_sub(self.count) >> 3) as usize);
        self.count |= REFILLED;
        Some(())
    }

    /// Makes so many to be there, which are at most 56.
    #[inline(always)]
    pub(super) fn ensure(&mut self, count: u32) -> Option<()> {
        if self.count < count { self.refill() } else { Some(()) }
    }

    /// The next `count` bits, 1 to 16 of those that are there, as a number.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.buffer >> (64_u32.wrapping_sub(count) & 63)) as usize
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count & 63;
        self.count = self.count.wrapping_sub(count);
    }

    /// Whether all was read but for what fills up the last byte.
    pub(super) fn is_at_end(&self) -> bool {
        let read = self.at * 8 - self.count as usize;
        let all = (self.clean.len() - PADDING) * 8;
        read <= all && all - read < 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_is_taken_out_and_the_marker_told() {
        let mut stretch = Stretch::with_capacity(0);
        assert_eq!(stretch.read(&[1, 0xFF, 0, 2, 0xFF, 0, 0xFF, 0xD9, 7]), Some((0xD9, 8)));
        assert_eq!(&stretch.clean[..4], [1, 0xFF, 2, 0xFF]);
        assert_eq!(stretch.read(&[0xFF, 0xD0]), Some((0xD0, 2)));
        for cut in [&[1, 2][..], &[1, 0xFF], &[1, 0xFF, 0]] {
            assert_eq!(stretch.read(cut), None, "{cut:?}");
        }
    }

    #[test]
    fn the_bits_come_in_order_and_end_in_the_last_byte() {
        let bytes: Vec<u8> = (0..40).map(|i| i * 5).chain([0xFF, 0xD9]).collect();
        let mut stretch = Stretch::with_capacity(0);
        stretch.read(&bytes).unwrap();
        for width in [1, 3, 7, 8, 13, 16] {
            let mut bits = stretch.bits();
            let count = 320 / width;
            for at in 0..count {
                assert!(at * width + 8 > 320 || !bits.is_at_end());
                bits.ensure(16).unwrap();
                let expected = (at * width..(at + 1) * width)
                    .fold(0, |value, bit| value << 1 | usize::from(bytes[bit / 8] >> (7 - bit % 8) & 1));
                assert_eq!(bits.peek(width as u32), expected);
                bits.skip(width as u32);
            }
            assert_eq!(bits.is_at_end(), 320 - count * width < 8);
            bits.ensure(16).unwrap();
            bits.skip(16);
            assert!(!bits.is_at_end(), "more was read than there is");
            let more = (0..40).take_while(|_| bits.ensure(16).map(|()| bits.skip(16)).is_some()).count();
            assert!(more < 40, "behind the end");
        }
    }
}
