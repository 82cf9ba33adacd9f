//! Huffman codes (ITU-T T.81, annexes C and F).

use super::bits::Bits;

/// Codes with the bits that follow them are looked up by so many bits.
pub(super) const BITS: u32 = 11;

/// More bits than these does no value of 8-bit samples take.
const DC_SIZE_MAX: u8 = 11;
const AC_SIZE_MAX: u8 = 10;

/// So far an end of block leads, in [`Entry::advance`].
pub(super) const END: usize = 128;
/// So far leads what must be read by [`Codes::next`]: behind every block, too.
const LONG: u32 = 64;

/// What the next bits mean: in the lowest byte how many they are, in the second how many coefficients further the value
/// goes, in the upper half the value. [`LONG`] in the second: only the code is known, and what it stands for is in the
/// upper half; nothing in the lowest: not even that.
#[derive(Clone, Copy)]
pub(super) struct Entry(u32);

impl Entry {
    fn whole(bits: u32, advance: usize, value: i32) -> Self {
        Self(bits | (advance as u32) << 8 | (value as u32) << 16)
    }

    fn code(bits: u32, symbol: u8) -> Self {
        Self(bits | LONG << 8 | u32::from(symbol) << 16)
    }

    #[inline(always)]
    fn is_whole(self) -> bool {
        self.advance() != LONG as usize
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xFF
    }

    #[inline(always)]
    pub(super) fn advance(self) -> usize {
        (self.0 >> 8 & 0xFF) as usize
    }

    #[inline(always)]
    pub(super) fn value(self) -> i32 {
        self.0 as i32 >> 16
    }
}

/// The codes of one table.
pub(super) struct Codes {
    entries: Box<[Entry; 1 << BITS]>,
    /// For as many codes as fit, where no value is wanted: the bits of all, and how far they lead; [`END`] more where
    /// the last is an end of block.
    skips: Box<[Entry; 1 << BITS]>,
    /// One more than the largest code of each length, moved up to 16 bits; none is longer.
    ends: [u32; 17],
    /// What is added to a code of each length to get the place of its symbol.
    offsets: [i32; 17],
    symbols: Vec<u8>,
    kind: Kind,
}

/// What the symbols of a table stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Differences of mean values.
    Dc,
    /// The other coefficients, and how many zeros come before them.
    Ac,
}

impl Codes {
    /// From how many codes there are of each length (from 1 bit on) and what they stand for. `None` where there are too
    /// many of a length.
    pub(super) fn new(kind: Kind, counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut codes = Self {
            entries: Box::new([Entry::code(0, 0); 1 << BITS]),
            skips: Box::new([Entry::code(0, 0); 1 << BITS]),
            ends: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
            kind,
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            codes.offsets[length as usize] = place as i32 - code as i32;
            for _ in 0..counts[length as usize - 1] {
                let symbol = *symbols.get(place)?;
                if length <= BITS {
                    codes.enter(code, length, symbol);
                }
                (code, place) = (code + 1, place + 1);
            }
            // No code consists of ones alone.
            if code >= 1 << length {
                return None;
            }
            codes.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        codes.skips = Box::new(std::array::from_fn(|bits| codes.skip_all(bits)));
        (place == symbols.len()).then_some(codes)
    }

    /// An entry for all the whole codes that lie in `BITS` bits.
    fn skip_all(&self, bits: usize) -> Entry {
        let (mut read, mut advance) = (0, 0);
        while read < BITS && advance < END {
            let entry = self.entries[bits << read & ((1 << BITS) - 1)];
            if !entry.is_whole() || read + entry.bits() > BITS {
                break;
            }
            read += entry.bits();
            advance += entry.advance();
        }
        Entry::whole(read, advance, 0)
    }

    /// Skips codes, of those that lead from coefficient `at` to before the last one. Where they lead and whether the
    /// block ends there; `None` where the next code must be read by itself.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut Bits, at: usize) -> Option<(usize, bool)> {
        let entry = self.skips[bits.peek(BITS)];
        let advance = entry.advance();
        let next = at.wrapping_add(advance % END);
        if advance == 0 || next >= 63 {
            return None;
        }
        bits.skip(entry.bits());
        Some((next, advance >= END))
    }

    /// Enters a code for all that may follow it.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let rest = BITS - length;
        let first = (code << rest) as usize;
        for (following, entry) in self.entries[first..first + (1 << rest)].iter_mut().enumerate() {
            *entry = match self.kind.parse(symbol) {
                Some(Symbol::End) => Entry::whole(length, END, 0),
                Some(Symbol::Value { advance, size }) if u32::from(size) <= rest => {
                    let bits = following >> (rest - u32::from(size));
                    Entry::whole(length + u32::from(size), advance, extend(bits, size))
                }
                _ => Entry::code(length, symbol),
            };
        }
    }

    /// What the next bits mean, which are [`BITS`] at most.
    #[inline(always)]
    pub(super) fn entry(&self, bits: &Bits) -> Entry {
        self.entries[bits.peek(BITS)]
    }

    /// How many coefficients further the next value goes ([`END`] where none follows), and the value; 16 and 11 bits
    /// are taken at most. `None` for a code that stands for nothing.
    #[inline(always)]
    pub(super) fn next(&self, bits: &mut Bits) -> Option<(usize, i32)> {
        let entry = self.entries[bits.peek(BITS)];
        if entry.is_whole() {
            bits.skip(entry.bits());
            return Some((entry.advance(), entry.value()));
        }
        let (value, behind) = self.next_long(*bits, entry)?;
        *bits = behind;
        Some(value)
    }

    #[inline(never)]
    fn next_long<'a>(&self, mut bits: Bits<'a>, entry: Entry) -> Option<((usize, i32), Bits<'a>)> {
        let symbol = if entry.bits() == 0 {
            let code = bits.peek(16) as u32;
            let length = (BITS + 1..=16).find(|&length| code < self.ends[length as usize])?;
            bits.skip(length);
            let place = (code >> (16 - length)) as i32 + self.offsets[length as usize];
            *self.symbols.get(usize::try_from(place).ok()?)?
        } else {
            bits.skip(entry.bits());
            entry.value() as u8
        };
        let value = match self.kind.parse(symbol)? {
            Symbol::End => (END, 0),
            Symbol::Value { advance, size: 0 } => (advance, 0),
            Symbol::Value { advance, size } => {
                let value = extend(bits.peek(u32::from(size)), size);
                bits.skip(u32::from(size));
                (advance, value)
            }
        };
        Some((value, bits))
    }
}

enum Symbol {
    End,
    Value { advance: usize, size: u8 },
}

impl Kind {
    fn parse(self, symbol: u8) -> Option<Symbol> {
        const SIXTEEN_ZEROS: u8 = 0xF0;
        let (run, size) = (symbol >> 4, symbol & 15);
        match self {
            Self::Dc if symbol <= DC_SIZE_MAX => Some(Symbol::Value { advance: 1, size: symbol }),
            Self::Ac if symbol == 0 => Some(Symbol::End),
            Self::Ac if symbol == SIXTEEN_ZEROS || (1..=AC_SIZE_MAX).contains(&size) => {
                Some(Symbol::Value { advance: usize::from(run) + 1, size })
            }
            _ => None,
        }
    }
}

/// The value that `size` bits stand for: the upper half of them is positive (figure F.12).
#[inline(always)]
fn extend(bits: usize, size: u8) -> i32 {
    let bits = bits as i32;
    if size > 0 && bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }
}
