//! Value noise: the grain of fur, bark, clouds and rock.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::geometry::{Vec2, vec2};

/// Cells on a side of the lattice, a power of two; the noise repeats after as many units.
const SIDE: usize = 64;

/// A lattice of random values between which [`Noise::value`] interpolates.
pub(crate) struct Noise {
    lattice: Box<[f32; SIDE * SIDE]>,
}

impl Noise {
    pub(crate) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self { lattice: Box::new(std::array::from_fn(|_| rng.random())) }
    }

    /// Smooth noise in 0..1 that changes over about one unit.
    #[inline]
    pub(crate) fn value(&self, p: Vec2) -> f32 {
        let (x, fx) = split(p.x);
        let (y, fy) = split(p.y);
        let (right, down) = ((x + 1) % SIDE, (y + 1) % SIDE);
        // The remainder tells the compiler that the index is in range: this is the hottest line of all drawing.
        let at = |x: usize, y: usize| self.lattice[(y * SIDE + x) % (SIDE * SIDE)];
        let above = at(x, y) + (at(right, y) - at(x, y)) * fx;
        let below = at(x, down) + (at(right, down) - at(x, down)) * fx;
        above + (below - above) * fy
    }

    /// Noise with ever finer detail, in 0..1.
    #[inline]
    pub(crate) fn fractal(&self, mut p: Vec2, octaves: u32) -> f32 {
        let (mut sum, mut weight, mut total) = (0.0, 0.5, 0.0);
        for _ in 0..octaves {
            sum += weight * self.value(p);
            total += weight;
            weight *= 0.5;
            p = vec2(p.x * 2.03 + 17.3, p.y * 2.03 + 9.1);
        }
        sum / total
    }

    /// Noise with sharp crests at 1, as mountain ridges have.
    #[inline]
    pub(crate) fn ridged(&self, mut p: Vec2, octaves: u32) -> f32 {
        let (mut sum, mut weight, mut total) = (0.0, 0.5, 0.0);
        for _ in 0..octaves {
            sum += weight * (1.0 - (2.0 * self.value(p) - 1.0).abs());
            total += weight;
            weight *= 0.45;
            p = vec2(p.x * 2.1 + 5.7, p.y * 2.1 + 31.9);
        }
        sum / total
    }
}

/// The lattice cell and the eased position inside it.
#[inline]
fn split(x: f32) -> (usize, f32) {
    let whole = (x as i32).wrapping_sub(i32::from(x < 0.0));
    let part = x - whole as f32;
    (whole as u32 as usize % SIDE, part * part * (3.0 - 2.0 * part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn noise_stays_between_nought_and_one_and_has_no_jumps() {
        let noise = Noise::new(&mut ChaCha8Rng::seed_from_u64(1));
        let mut last = noise.fractal(vec2(-40.0, 3.0), 4);
        for step in 1..8000 {
            let value = noise.fractal(vec2(-40.0 + step as f32 * 0.01, 3.0), 4);
            assert!((0.0..=1.0).contains(&value));
            assert!((value - last).abs() < 0.12, "at {step}");
            last = value;
        }
    }
}
