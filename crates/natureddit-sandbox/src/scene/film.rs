//! What camera and weather do to a picture: cast, exposure, contrast, saturation, vignette and grain.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::canvas::Canvas;
use super::colour::Colour;

/// How a picture is developed; chosen without regard to what it shows.
pub(crate) struct Film {
    cast: Colour,
    contrast: f32,
    saturation: f32,
    vignette: f32,
    grain: f32,
}

impl Film {
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        let exposure = rng.random_range(0.72..1.28);
        let mut channel = || exposure * rng.random_range(0.86..1.14);
        Self {
            cast: Colour { r: channel(), g: channel(), b: channel() },
            contrast: rng.random_range(0.75..1.25),
            saturation: if rng.random_bool(0.08) { 0.0 } else { rng.random_range(0.55..1.3) },
            vignette: rng.random_range(0.0..0.8),
            grain: rng.random_range(0.03..0.09),
        }
    }

    /// The finished picture as 8-bit RGB, enlarged when it is to be larger than it was drawn.
    pub(crate) fn develop(&self, mut canvas: Canvas, seed: u64, width: u32, height: u32) -> image::RgbImage {
        let (half, step) = (canvas.half(), 1.0 / canvas.scale);
        for (y, row) in canvas.pixels.chunks_mut(canvas.width).enumerate() {
            let py = y as f32 * step - half.y;
            for (x, pixel) in row.iter_mut().enumerate() {
                let px = x as f32 * step - half.x;
                *pixel = self.tone(*pixel * (1.0 - self.vignette * (px * px + py * py)));
            }
        }
        let canvas = match (width as usize, height as usize) {
            (wide, high) if (wide, high) == (canvas.width, canvas.height) => canvas,
            (wide, high) => canvas.resized(wide, high),
        };
        let mut picture = image::RgbImage::new(width, height);
        let mut state = seed | 1;
        for (out, pixel) in picture.as_chunks_mut::<3>().0.iter_mut().zip(&canvas.pixels) {
            // Grain is the top bits of a xorshift generator, fast enough for every pixel.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let grain = self.grain * ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5);
            *out = [pixel.r, pixel.g, pixel.b].map(|v| ((v + grain) * 255.0 + 0.5) as u8);
        }
        picture
    }

    fn tone(&self, pixel: Colour) -> Colour {
        let cast = Colour { r: pixel.r * self.cast.r, g: pixel.g * self.cast.g, b: pixel.b * self.cast.b };
        let luma = cast.luma();
        let grey = Colour { r: luma, g: luma, b: luma };
        let toned = grey.mix(cast, self.saturation);
        let bend = |v: f32| (v - 0.45) * self.contrast + 0.45;
        Colour { r: bend(toned.r), g: bend(toned.g), b: bend(toned.b) }
    }
}
