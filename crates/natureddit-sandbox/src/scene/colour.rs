//! Colours and the palette of a picture, which is drawn without regard to what the picture shows.

use std::ops::{Add, Mul};

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Red, green and blue, 0 to 1, as a screen takes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour {
    pub(crate) r: f32,
    pub(crate) g: f32,
    pub(crate) b: f32,
}

pub(crate) const BLACK: Colour = rgb(0x0a_09_08);
pub(crate) const WHITE: Colour = rgb(0xf8_f6_f0);

/// A colour as web pages write it.
pub(crate) const fn rgb(hex: u32) -> Colour {
    let [_, r, g, b] = hex.to_be_bytes();
    Colour { r: r as f32 / 255.0, g: g as f32 / 255.0, b: b as f32 / 255.0 }
}

impl Add for Colour {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { r: self.r + other.r, g: self.g + other.g, b: self.b + other.b }
    }
}

impl Mul<f32> for Colour {
    type Output = Self;

    fn mul(self, factor: f32) -> Self {
        Self { r: self.r * factor, g: self.g * factor, b: self.b * factor }
    }
}

impl Colour {
    /// `part` 0 is this colour, 1 the other.
    #[inline]
    pub(crate) fn mix(self, other: Self, part: f32) -> Self {
        self * (1.0 - part) + other * part
    }

    pub(crate) fn luma(self) -> f32 {
        0.3 * self.r + 0.59 * self.g + 0.11 * self.b
    }
}

/// The colours of one picture by what they are for.
pub(crate) struct Palette {
    pub(crate) sky_top: Colour,
    pub(crate) sky_low: Colour,
    /// Earth, grass, sand, snow or water.
    pub(crate) ground: Colour,
    /// Leaves and bushes.
    pub(crate) growth: Colour,
    /// Coats, bark and rock.
    pub(crate) coat: Colour,
    /// Petals, feathers, scales.
    pub(crate) bright: Colour,
    /// A second bright colour: markings, flower centres, the low sun.
    pub(crate) accent: Colour,
}

const SKIES: [(u32, u32); 10] = [
    (0x3f74b5, 0xc4dcec),
    (0x8fa3b4, 0xd6dadb),
    (0x5b4a78, 0xf0a878),
    (0x27365e, 0xd98f6a),
    (0xcfd4d6, 0xf1efe8),
    (0x2b5f7a, 0xa9cfc4),
    (0x6d7f57, 0xc9d0a2),
    (0x3a4a2c, 0x87994f),
    (0x7a5a3c, 0xe3c27e),
    (0x141c33, 0x4d5f86),
];
const GROUNDS: [u32; 10] =
    [0x5f8a3a, 0x8a9a4a, 0xb59a62, 0xd9c39a, 0xe6ebef, 0x5d4a38, 0x7f7f7c, 0xa4613f, 0x3f6f86, 0x39552f];
const GROWTHS: [u32; 8] = [0x3f7a2c, 0x6f9a35, 0x2c5230, 0x7f8a45, 0x4a7f6a, 0x9a7a30, 0x7a4a2a, 0x8fb04a];
const COATS: [u32; 12] = [
    0xb5642a, 0x7a4f2e, 0x4a3322, 0x8a857d, 0xd9d2c4, 0x2c2a28, 0xc29a62, 0xd8a347, 0x96603c, 0x5f6468, 0xa68a6a,
    0x6b6a3f,
];
const BRIGHTS: [u32; 14] = [
    0xf2efe6, 0xf0c93a, 0xd23a30, 0xc94f9a, 0x7a4fb0, 0x3f6fc4, 0xe8812f, 0xf0a6b8, 0xeee0a8, 0x2f8f8f, 0x9a2f4a,
    0xb58fd0, 0x6fa4c8, 0x8fae3a,
];

impl Palette {
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        let (top, low) = SKIES.choose(rng).copied().unwrap_or(SKIES[0]);
        Self {
            sky_top: jitter(rgb(top), rng),
            sky_low: jitter(rgb(low), rng),
            ground: pick(&GROUNDS, rng),
            growth: pick(&GROWTHS, rng),
            coat: pick(&COATS, rng),
            bright: pick(&BRIGHTS, rng),
            accent: pick(&BRIGHTS, rng),
        }
    }
}

/// One of the colours, never twice quite the same.
pub(crate) fn pick(hexes: &[u32], rng: &mut ChaCha8Rng) -> Colour {
    let colour = rgb(hexes[rng.random_range(0..hexes.len())]);
    jitter(colour, rng)
}

fn jitter(colour: Colour, rng: &mut ChaCha8Rng) -> Colour {
    let light = rng.random_range(0.82..1.15);
    let mut shift = |channel: f32| (channel * light + rng.random_range(-0.05..0.05)).clamp(0.0, 1.0);
    Colour { r: shift(colour.r), g: shift(colour.g), b: shift(colour.b) }
}
