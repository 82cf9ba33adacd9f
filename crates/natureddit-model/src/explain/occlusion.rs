//! The photo with a part of it covered, and what that changed.

use natureddit_image::Photo;

/// How far the answered class's probability falls when a part of the photo is covered with the photo's mean colour.
#[derive(Clone, Debug, PartialEq)]
pub struct OcclusionMap {
    /// How many cells there are along each side.
    pub cells_a_side: usize,
    /// A weight a cell, -1 to 1, row by row from the top; `cells_a_side * cells_a_side` of them.
    pub weights: Vec<f32>,
    /// What the grid covers: the square in the middle whose side is this share of the photo's short side; `None`: all of the
    /// photo, whatever its shape.
    pub middle: Option<f32>,
}

/// Smaller weights are drawn as this one would be: without it a photo on which nothing hangs would be painted with noise.
const STRONGEST_MIN: f32 = 0.01;
/// How much of the strongest cell is colour.
const COLOUR_MAX: f32 = 0.65;
/// The colours of what speaks for the answer and of what speaks against it; who is colour-blind tells them apart, too.
const FOR: [f32; 3] = [235.0, 85.0, 0.0];
const AGAINST: [f32; 3] = [0.0, 90.0, 235.0];

impl OcclusionMap {
    /// The weights of each row, from the top.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.weights.chunks(self.cells_a_side.max(1))
    }

    /// Each weight beside the strongest, -1 to 1, for drawing; where all are weaker than 0.01, beside that.
    #[must_use]
    pub fn shades(&self) -> Vec<f32> {
        let strongest = self.weights.iter().fold(STRONGEST_MIN, |strongest, weight| strongest.max(weight.abs()));
        self.weights.iter().map(|weight| weight / strongest).collect()
    }

    /// The photo in pale colours with the cells over it: orange what speaks for the answer, blue what speaks against it.
    #[must_use]
    pub fn draw_over(&self, photo: &Photo) -> Photo {
        let shades = self.shades();
        let width = photo.width as usize;
        let mut rgb = photo.rgb.clone();
        for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let cell = self.cell((at % width, at / width), (width, photo.height as usize));
            let shade = cell.and_then(|cell| shades.get(cell)).copied().unwrap_or_default();
            let (colour, share) = (if shade > 0.0 { FOR } else { AGAINST }, shade.abs() * COLOUR_MAX);
            let grey = pixel.iter().map(|&value| f32::from(value)).sum::<f32>() / 3.0;
            for (value, colour) in pixel.iter_mut().zip(colour) {
                let pale = f32::midpoint(f32::from(*value), grey);
                *value = (pale + (colour - pale) * share).round() as u8;
            }
        }
        Photo { width: photo.width, height: photo.height, rgb }
    }

    /// The cell of a pixel of a photo of these sides; `None` for one that the encoder does not see.
    fn cell(&self, (x, y): (usize, usize), (width, height): (usize, usize)) -> Option<usize> {
        let along = |at: usize, side: usize| {
            let seen = self.middle.map_or(side as f32, |share| share * width.min(height) as f32);
            let from_start = at as f32 + 0.5 - (side as f32 - seen) / 2.0;
            let is_seen = (0.0..seen).contains(&from_start);
            is_seen.then(|| (from_start / seen * self.cells_a_side as f32) as usize)
        };
        Some(along(y, height)? * self.cells_a_side + along(x, width)?)
    }
}

/// How a prepared photo is covered, one cell at a time.
#[derive(Debug)]
pub(super) struct Covering {
    size: usize,
    cells_a_side: usize,
    /// Of each channel.
    mean: [f32; 3],
}

impl Covering {
    /// For these pixels, [3, size, size].
    pub(super) fn new(pixels: &[f32], cells_a_side: usize) -> Self {
        let area = pixels.len() / 3;
        let size = area.isqrt();
        let mean = |channel: usize| {
            let plane = &pixels[channel * area..(channel + 1) * area];
            (plane.iter().map(|&value| f64::from(value)).sum::<f64>() / area.max(1) as f64) as f32
        };
        Self { size, cells_a_side: cells_a_side.clamp(1, size.max(1)), mean: [0, 1, 2].map(mean) }
    }

    pub(super) fn cells_a_side(&self) -> usize {
        self.cells_a_side
    }

    pub(super) fn cells(&self) -> usize {
        self.cells_a_side * self.cells_a_side
    }

    /// The pixels it was made for, with this cell in the mean colour. The cells are counted row by row; each pixel is in one
    /// of them.
    pub(super) fn without(&self, pixels: &[f32], cell: usize) -> Vec<f32> {
        let Self { size, cells_a_side, .. } = *self;
        // The first pixel whose cell, rounded down, is this one.
        let edge = |at: usize| (at * size).div_ceil(cells_a_side);
        let (row, column) = (cell / cells_a_side, cell % cells_a_side);
        let mut pixels = pixels.to_vec();
        for (plane, mean) in pixels.chunks_exact_mut(size * size).zip(self.mean) {
            for line in plane.chunks_exact_mut(size).take(edge(row + 1)).skip(edge(row)) {
                line[edge(column)..edge(column + 1)].fill(mean);
            }
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pixel_is_covered_once_and_with_its_channels_mean() {
        // Seven by seven pixels in three by three cells, which no cell divides evenly.
        let pixels: Vec<f32> = (0..3 * 49).map(|at| at as f32).collect();
        let covering = Covering::new(&pixels, 3);
        let mut covered = vec![0; pixels.len()];
        for cell in 0..covering.cells() {
            for (at, (before, after)) in pixels.iter().zip(covering.without(&pixels, cell)).enumerate() {
                if after.to_bits() != before.to_bits() {
                    assert_eq!(after, [24.0, 73.0, 122.0][at / 49]);
                    covered[at] += 1;
                }
            }
        }
        // The middle pixel of each channel has the mean already.
        assert!((0..covered.len()).all(|at| covered[at] == usize::from(at % 49 != 24)), "{covered:?}");
    }

    #[test]
    fn a_grid_finer_than_the_pixels_has_a_cell_a_pixel() {
        let pixels = [0.0; 12];
        assert_eq!(Covering::new(&pixels, 9).cells_a_side(), 2);
        assert_eq!(Covering::new(&pixels, 0).cells_a_side(), 1);
    }

    #[test]
    fn what_speaks_for_the_answer_is_drawn_orange_and_what_speaks_against_it_blue() {
        let map = OcclusionMap { cells_a_side: 2, weights: vec![0.5, -0.25, 0.0, 0.001], middle: None };
        let photo = Photo { width: 4, height: 2, rgb: vec![100; 24] };
        let drawn = map.draw_over(&photo);
        let pixel = |x: usize, y: usize| &drawn.rgb[(y * 4 + x) * 3..][..3];
        assert_eq!((pixel(0, 0), pixel(1, 0)), (&[188, 90, 35][..], &[188, 90, 35][..]));
        assert_eq!((pixel(2, 0), pixel(3, 0)), (&[68, 97, 144][..], &[68, 97, 144][..]));
        assert_eq!(pixel(0, 1), [100; 3]);
        assert_eq!((drawn.width, drawn.height), (4, 2));
    }

    #[test]
    fn what_the_encoder_does_not_see_keeps_its_colour() {
        let map = OcclusionMap { cells_a_side: 2, weights: vec![1.0; 4], middle: Some(0.5) };
        let photo = Photo { width: 8, height: 4, rgb: vec![100; 96] };
        let drawn = map.draw_over(&photo);
        let coloured = (0..32).filter(|at| drawn.rgb[at * 3..][..3] != [100; 3]);
        // Two by two pixels in the middle of eight by four.
        assert_eq!(coloured.collect::<Vec<_>>(), [8 + 3, 8 + 4, 16 + 3, 16 + 4]);
        let [first, last] = [(3, 1), (4, 2)].map(|pixel| map.cell(pixel, (8, 4)));
        assert_eq!((first, last), (Some(0), Some(3)));
    }

    #[test]
    fn noise_is_not_drawn_as_if_it_were_a_finding() {
        let map = OcclusionMap { cells_a_side: 1, weights: vec![1e-6], middle: None };
        assert!(map.shades()[0] < 1e-3);
        let map = OcclusionMap { cells_a_side: 1, weights: vec![-0.2], middle: None };
        assert_eq!(map.shades(), [-1.0]);
    }
}
