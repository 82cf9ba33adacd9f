//! What camera and weather do to a picture: cast, exposure, contrast, saturation, vignette and grain.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::canvas::Canvas;
use super::colour::Colour;
use super::noise::Noise;

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

    /// The finished picture as 8-bit RGB.
    pub(crate) fn develop(&self, canvas: &Canvas, noise: &Noise, seed: u64) -> image::RgbImage {
        let mut bytes = Vec::with_capacity(canvas.pixels.len() * 3);
        let mut state = seed | 1;
        for (y, row) in canvas.pixels.chunks(canvas.width).enumerate() {
            for (x, &pixel) in row.iter().enumerate() {
                let p = canvas.point(x, y);
                let shade = 1.0 - self.vignette * p.dot(p);
                let toned = self.tone(pixel * shade);
                // Grain both fine (single pixels, xorshift) and soft (a few pixels wide).
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let fine = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
                let soft = noise.value(p * 210.0) - 0.5;
                let grain = self.grain * (0.6 * fine + 0.4 * soft);
                let byte = |v: f32| ((v + grain).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
                bytes.extend([byte(toned.r), byte(toned.g), byte(toned.b)]);
            }
        }
        let (width, height) = (canvas.width as u32, canvas.height as u32);
        image::RgbImage::from_raw(width, height, bytes).unwrap_or_default()
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
