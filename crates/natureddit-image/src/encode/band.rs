//! Some rows of a plane on their way to blocks or from them: rows are copied whole, which memory is made for, and blocks
//! are then taken from where it is fast.

use crate::planes::Plane;

/// Rows that are filled up to whole units.
pub(super) struct Band {
    width: usize,
    samples: Vec<u8>,
}

impl Band {
    /// Of so many blocks across and down.
    pub(super) fn new(across: usize, down: usize) -> Self {
        Self { width: across * 8, samples: vec![0; across * 8 * down * 8] }
    }

    /// Takes the rows from `y` on; behind the edges the last ones go on.
    pub(super) fn fill(&mut self, plane: &Plane, y: usize) {
        let bottom = plane.height() - 1;
        for (row, y) in self.samples.chunks_mut(self.width).zip(y..) {
            let (inside, outside) = row.split_at_mut(plane.width);
            inside.copy_from_slice(&plane.samples[y.min(bottom) * plane.width..][..plane.width]);
            outside.fill(inside[plane.width - 1]);
        }
    }

    /// Gives the rows back to `y` and below, as much of them as is within.
    pub(super) fn pour(&self, plane: &mut Plane, y: usize) {
        let width = plane.width;
        for (row, band) in plane.samples.chunks_mut(width).skip(y).zip(self.samples.chunks(self.width)) {
            row.copy_from_slice(&band[..width]);
        }
    }

    /// Block `x` of block row `y`, row by row.
    #[inline(always)]
    pub(super) fn block(&self, x: usize, y: usize) -> [[u8; 8]; 8] {
        let block = &self.samples[(y * self.width + x) * 8..];
        std::array::from_fn(|row| *block[row * self.width..].first_chunk().expect("whole units"))
    }

    #[inline(always)]
    pub(super) fn set_block(&mut self, x: usize, y: usize, samples: &[u8; 64]) {
        let block = &mut self.samples[(y * self.width + x) * 8..];
        for (row, samples) in block.chunks_mut(self.width).zip(samples.as_chunks::<8>().0) {
            row[..8].copy_from_slice(samples);
        }
    }
}
