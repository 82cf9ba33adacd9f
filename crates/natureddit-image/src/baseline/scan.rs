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
    /// Those of a row of units, for they are scattered over its rows: far apart in memory that would take long.
    band: Vec<u8>,
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
        let width = units.0 * across * N;
        Some(Self {
            across,
            down,
            dc: headers.dc_codes.get(component.dc_codes)?.as_ref()?,
            ac: headers.ac_codes.get(component.ac_codes)?.as_ref()?,
            steps: steps::<N>(factors),
            mean: 0,
            plane: is_wanted.then(|| Plane::new(width, units.1 * down * N)),
            band: vec![0; if is_wanted { width * down * N } else { 0 }],
        })
    }

    /// Puts the samples of the row of units `y` to where they belong.
    fn pour(&mut self, y: usize) -> Option<()> {
        if let Some(plane) = &mut self.plane {
            plane.samples.get_mut(y * self.band.len()..)?.get_mut(..self.band.len())?.copy_from_slice(&self.band);
        }
        Some(())
    }

    /// Reads a block, and writes its samples at block `x` of block row `y` of the band.
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
        if let Some(plane) = &self.plane {
            let stride = plane.width;
            let out = self.band.get_mut(y * N * stride + x * N..)?;
            idct::inverse::<N>(block, last, out, stride);
        }
        Some(())
    }

    /// All but the first; which is the last of them.
    #[inline(always)]
    fn read_coefficients(&self, bits: &mut Bits, block: &mut Block) -> Option<usize> {
        let mut at = 0_usize;
        loop {
            at = self.read_needed(bits, at, block)?;
            // What comes next is the end of the block, is of no use here, or is long.
            bits.refill()?;
            while let Some((next, is_end)) = self.ac.skip(bits, at) {
                if is_end {
                    return Some(next);
                }
                at = next;
                bits.refill()?;
            }
            let (advance, value) = self.ac.next(bits)?;
            let next = at.wrapping_add(advance);
            if next > 63 {
                return (advance == END).then_some(at);
            }
            at = next;
            self.enter(block, at, value);
            if at == 63 {
                return Some(at);
            }
        }
    }

    /// From behind `at` on as many as are needed and have short codes, but not the last one there can be; which is the last
    /// of them.
    #[inline(always)]
    fn read_needed(&self, bits: &mut Bits, mut at: usize, block: &mut Block) -> Option<usize> {
        loop {
            bits.refill()?;
            // What is there now is enough for so many.
            for _ in 0..REFILLED / BITS {
                let entry = self.ac.entry(bits);
                let next = at.wrapping_add(entry.advance());
                if next > const { last_needed(N) } || next > 62 {
                    return Some(at);
                }
                bits.skip(entry.bits());
                at = next;
                self.enter(block, at, entry.value());
            }
        }
    }

    #[inline(always)]
    fn enter(&self, block: &mut Block, at: usize, value: i32) {
        let step = self.steps[at & 63];
        block[usize::from(step.place)] = Wrapping(value) * Wrapping(i32::from(step.factor));
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
                let (x, y) = (x * channel.across + at % channel.across, at / channel.across);
                if channel.read_block(bits, &mut block, x, y).is_none() {
                    return false;
                }
            }
            if x + 1 == across && channel.pour(y).is_none() {
                return false;
            }
        }
    }
    bits.is_at_end()
}
