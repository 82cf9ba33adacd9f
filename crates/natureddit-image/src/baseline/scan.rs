//! The entropy-coded data of a file.

use std::num::Wrapping;

use super::bits::{Bits, REFILLED, Stretch};
use super::headers::{Component, Factors, Headers};
use super::huffman::{BITS, Codes, END};
use super::idct::{self, Value};
use crate::planes::Plane;

const RST0: u8 = 0xD0;
const EOI: u8 = 0xD9;

/// Row and column of each coefficient, in the order that they are stored in (figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// A mean value has so many bits at most.
const MEAN_MAX: i32 = 1 << 11;

/// One kind of values while it is decoded.
struct Channel<'a, const N: usize> {
    across: usize,
    down: usize,
    dc: &'a Codes,
    ac: &'a Codes,
    steps: [Step; 64],
    /// The mean value of the block before.
    mean: i32,
    /// Where the samples go, unless they are not wanted.
    plane: Option<Plane>,
}

/// What is done with a coefficient.
#[derive(Clone, Copy)]
struct Step {
    factor: u8,
    /// Its place in the block, by column; those that are not needed all have the one behind the others.
    place: u8,
}

/// The coefficients of a block, and room for whatever a byte can point at.
type Block = [Value; 256];

impl<'a, const N: usize> Channel<'a, N> {
    fn new(headers: &'a Headers, component: &Component, units: (usize, usize), is_wanted: bool) -> Option<Self> {
        let factors = headers.factors.get(component.factors)?.as_ref()?;
        let (across, down) = (component.across, component.down);
        Some(Self {
            across,
            down,
            dc: headers.dc_codes.get(component.dc_codes)?.as_ref()?,
            ac: headers.ac_codes.get(component.ac_codes)?.as_ref()?,
            steps: steps::<N>(factors),
            mean: 0,
            plane: is_wanted.then(|| Plane::new(units.0 * across * N, units.1 * down * N)),
        })
    }

    /// Reads a block, and writes its samples at block `x` of block row `y`.
    #[inline(always)]
    fn read_block(&mut self, bits: &mut Bits, block: &mut Block, x: usize, y: usize) -> Option<()> {
        let mut here = *bits;
        block[..N * N].fill(Wrapping(0));
        here.ensure(32)?;
        let (_, difference) = self.dc.next(&mut here)?;
        self.mean = self.mean.wrapping_add(difference);
        if self.mean.unsigned_abs() >= MEAN_MAX.unsigned_abs() {
            return None;
        }
        block[0] = Wrapping(self.mean) * Wrapping(i32::from(self.steps[0].factor));
        let last = self.read_coefficients(&mut here, block)?;
        *bits = here;
        if let Some(plane) = &mut self.plane {
            let stride = plane.width;
            let out = plane.samples.get_mut(y * N * stride + x * N..)?;
            idct::inverse::<N>(block, last, out, stride);
        }
        Some(())
    }

    /// All but the first; which is the last of them.
    #[inline(always)]
    fn read_coefficients(&self, bits: &mut Bits, block: &mut Block) -> Option<usize> {
        let mut at = 0_usize;
        while at < const { last_needed(N) } {
            bits.refill()?;
            // What is there is enough for so many.
            for _ in 0..REFILLED / BITS {
                let entry = self.ac.entry(bits);
                let next = at.wrapping_add(entry.advance());
                // The end of the block, codes that are too long, and values of which there is one in a block at most.
                if next >= const { last_needed(N) } {
                    break;
                }
                bits.skip(entry.bits());
                at = next;
                self.enter(block, at, entry.value());
            }
            bits.refill()?;
            let (advance, value) = self.ac.next(bits)?;
            let next = at.wrapping_add(advance);
            if next > 63 {
                return (advance == END).then_some(at);
            }
            at = next;
            self.enter(block, at, value);
        }
        self.skip_coefficients(bits, at)
    }

    #[inline(always)]
    fn enter(&self, block: &mut Block, at: usize, value: i32) {
        let step = self.steps[at & 63];
        block[usize::from(step.place)] = Wrapping(value) * Wrapping(i32::from(step.factor));
    }

    /// Those that no sample is made of, from behind `at` on; which is the last of them.
    #[inline(always)]
    fn skip_coefficients(&self, bits: &mut Bits, mut at: usize) -> Option<usize> {
        while at < 63 {
            bits.refill()?;
            if let Some((next, is_end)) = self.ac.skip(bits, at) {
                at = next;
                if is_end {
                    return Some(at);
                }
                continue;
            }
            let (advance, _) = self.ac.next(bits)?;
            let next = at.wrapping_add(advance);
            if next > 63 {
                return (advance == END).then_some(at);
            }
            at = next;
        }
        Some(at)
    }
}

/// The last coefficient that `n` x `n` samples are made of.
const fn last_needed(n: usize) -> usize {
    match n {
        1 => 0,
        2 => 4,
        4 => 24,
        _ => 63,
    }
}

fn steps<const N: usize>(factors: &Factors) -> [Step; 64] {
    std::array::from_fn(|at| {
        let (row, column) = (usize::from(ZIGZAG[at] / 8), usize::from(ZIGZAG[at] % 8));
        let place = if row < N && column < N { column * N + row } else { N * N };
        Step { factor: factors[at], place: place as u8 }
    })
}

/// The samples of the first `wanted` components, `N` of 8 in each direction, to whole units. `None` where anything is
/// odd about the data.
pub(super) fn decode<const N: usize>(bytes: &[u8], headers: &Headers, wanted: usize) -> Option<Vec<Plane>> {
    let luma = headers.components.first()?;
    let units = (headers.width.div_ceil(8 * luma.across), headers.height.div_ceil(8 * luma.down));
    let mut channels = Vec::new();
    for (at, component) in headers.components.iter().enumerate() {
        channels.push(Channel::<N>::new(headers, component, units, at < wanted)?);
    }
    let mut rest = bytes.get(headers.scan..)?;
    let mut stretch = Stretch::with_capacity(rest.len());
    let count = units.0 * units.1;
    let interval = if headers.restart_interval == 0 { count } else { headers.restart_interval };
    for (index, first) in (0..count).step_by(interval).enumerate() {
        let last = count.min(first + interval);
        let (marker, behind) = stretch.read(rest)?;
        rest = &rest[behind..];
        let expected = if last == count { EOI } else { RST0 + (index % 8) as u8 };
        if marker != expected || !read_units(&mut stretch.bits(), &mut channels, units.0, first..last) {
            return None;
        }
    }
    Some(channels.into_iter().filter_map(|channel| channel.plane).collect())
}

/// Reads units up to where the data ends; whether they are good, and all.
fn read_units<const N: usize>(
    bits: &mut Bits,
    channels: &mut [Channel<N>],
    across: usize,
    units: std::ops::Range<usize>,
) -> bool {
    for channel in channels.iter_mut() {
        channel.mean = 0;
    }
    let mut block = [Wrapping(0); 256];
    for unit in units {
        let (x, y) = (unit % across, unit / across);
        for channel in channels.iter_mut() {
            for at in 0..channel.across * channel.down {
                let (x, y) = (x * channel.across + at % channel.across, y * channel.down + at / channel.across);
                if channel.read_block(bits, &mut block, x, y).is_none() {
                    return false;
                }
            }
        }
    }
    bits.is_at_end()
}
