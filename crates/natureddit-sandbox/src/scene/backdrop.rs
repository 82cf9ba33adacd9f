//! What is behind an animal or a plant, out of focus. Both draw from the same backdrops.

use rand::Rng;

use super::Stage;
use super::canvas::{Canvas, Petal};
use super::geometry::{Vec2, smoothstep, vec2};

/// A backdrop is drawn at a fraction of the size: enlarging it is the blur.
const REDUCED: usize = 5;

impl Stage {
    /// Any backdrop for something that stands or grows.
    pub(super) fn backdrop(&mut self) {
        match self.rng.random_range(0..5) {
            0 => self.soft(Self::lights),
            1 => self.soft(|s| s.wash(0.0)),
            2 => self.soft(|s| {
                s.wash(0.0);
                s.blades(60);
            }),
            3 => self.soft(|s| s.leaves(40)),
            _ => self.field(),
        }
    }

    /// Ground below, something far above: returns where the ground begins.
    pub(super) fn field(&mut self) {
        let horizon = self.range(-0.3, 0.1);
        self.soft(|s| s.wash(horizon));
        let (ground, growth, fine) = (self.palette.ground, self.palette.growth, self.range(20.0, 60.0));
        let noise = &self.noise;
        let half = self.canvas.half();
        // The ground gets sharper towards the viewer.
        let bounds = super::geometry::Bounds { low: vec2(-half.x, horizon), high: half };
        self.canvas.stamp(bounds, |p| {
            let near = ((p.y - horizon) / (half.y - horizon)).clamp(0.0, 1.0);
            let deep = 1.0 / (0.12 + near);
            let texture = noise.fractal(vec2(p.x * fine * deep * 0.3, p.y * fine * deep), 3);
            (ground.mix(growth, 0.6 * texture) * (0.6 + 0.7 * texture), 0.75 * near)
        });
    }

    /// Sky with soft clouds or haze.
    pub(super) fn open_sky(&mut self) {
        let (top, low, cloudy) = (self.palette.sky_top, self.palette.sky_low, self.range(0.0, 0.8));
        self.soft(|s| {
            let half = s.canvas.half();
            let noise = &s.noise;
            s.canvas.shade(|p| {
                let height = (p.y + half.y) / (2.0 * half.y);
                let cloud = smoothstep(0.5, 0.8, noise.fractal(vec2(p.x * 3.0, p.y * 6.0), 4));
                top.mix(low, height).mix(super::WHITE * (0.5 + 0.5 * low.luma()), cloud * cloudy)
            });
        });
    }

    /// Under water: light from above, bubbles, the bottom.
    pub(super) fn under_water(&mut self) {
        let (top, low, ground) = (self.palette.sky_low, self.palette.sky_top, self.palette.ground);
        let floor = self.range(0.3, 0.6);
        self.soft(|s| {
            let noise = &s.noise;
            s.canvas.shade(|p| {
                let ray = noise.value(vec2(p.x * 9.0 + p.y * 2.5, 3.0)) * smoothstep(0.6, -0.6, p.y);
                let water = top.mix(low, smoothstep(-0.5, 0.5, p.y)) * (0.75 + 0.45 * ray);
                let bottom = floor + 0.12 * (noise.fractal(vec2(p.x * 4.0, 7.0), 3) - 0.5);
                let bed = ground * (0.5 + 0.5 * noise.fractal(p * 14.0, 3));
                water.mix(bed, smoothstep(bottom - 0.03, bottom + 0.03, p.y))
            });
        });
        for _ in 0..self.rng.random_range(4..18) {
            let at = vec2(self.range(-0.6, 0.6), self.range(-0.5, 0.4));
            let radius = self.range(0.004, 0.014);
            self.canvas.disc(at, radius, 0.004, 0.45, super::WHITE);
            self.canvas.disc(at, radius * 0.7, 0.004, 0.5, top);
        }
    }

    /// Draws at a fraction of the size and enlarges.
    fn soft(&mut self, draw: impl FnOnce(&mut Self)) {
        let (width, height) = (self.canvas.width, self.canvas.height);
        let sharpness = self.rng.random_range(1..=REDUCED);
        let reduced = |side: usize| (side / (REDUCED * 2 - sharpness)).max(2);
        self.canvas = Canvas::new(reduced(width), reduced(height));
        draw(self);
        self.canvas = self.canvas.resized(width, height);
    }

    /// Two tones that meet around a horizon, with blotches.
    fn wash(&mut self, horizon: f32) {
        let (far, near) = if self.chance(0.5) {
            (self.palette.sky_low, self.palette.ground)
        } else {
            (self.palette.growth * 0.7, self.palette.ground)
        };
        let (coarse, depth) = (self.range(2.0, 6.0), self.range(0.3, 0.8));
        let (noise, growth) = (&self.noise, self.palette.growth);
        self.canvas.shade(|p| {
            let blotch = noise.fractal(p * coarse, 3);
            let base = far.mix(near, smoothstep(horizon - 0.12, horizon + 0.25, p.y + 0.2 * (blotch - 0.5)));
            base.mix(growth, depth * smoothstep(0.4, 0.7, blotch)) * (0.65 + 0.6 * blotch)
        });
    }

    /// Blurred points of light between leaves.
    fn lights(&mut self) {
        self.wash(0.0);
        for _ in 0..self.rng.random_range(15..60) {
            let half = self.canvas.half();
            let at = vec2(self.range(-half.x, half.x), self.range(-half.y, half.y));
            let (radius, opacity) = (self.range(0.015, 0.09), self.range(0.1, 0.5));
            let colour = if self.chance(0.6) { self.palette.sky_low } else { self.palette.bright };
            self.canvas.disc(at, radius, 0.02, opacity, colour);
        }
    }

    /// Blades of grass.
    fn blades(&mut self, count: usize) {
        let half = self.canvas.half();
        for _ in 0..count {
            let root = vec2(self.range(-half.x, half.x), half.y);
            let tip = root + vec2(self.range(-0.2, 0.2), -self.range(0.2, 0.8));
            let colour = self.palette.growth.mix(self.palette.ground, self.range(0.0, 1.0)) * self.range(0.5, 1.2);
            let width = self.range(0.003, 0.012);
            self.canvas.stroke(root, tip, width, 0.001, colour);
        }
    }

    /// A wall of leaves.
    fn leaves(&mut self, count: usize) {
        self.wash(-0.2);
        let half = self.canvas.half();
        for _ in 0..count {
            let base = vec2(self.range(-half.x, half.x), self.range(-half.y, half.y));
            let tip = base + Vec2::towards(self.range(0.0, std::f32::consts::TAU)) * self.range(0.1, 0.3);
            let colour = self.palette.growth * self.range(0.4, 1.2);
            let petal = Petal { base, tip, width: self.range(0.02, 0.07), belly: 0.45 };
            self.canvas.petal(&petal, |_, v| colour * (1.0 - 0.2 * v.abs()));
        }
    }

    /// A few sharp blades in front of what was drawn, so that it stands in them.
    pub(super) fn grass_in_front(&mut self, ground: f32, count: usize) {
        let half = self.canvas.half();
        for _ in 0..count {
            let root = vec2(self.range(-half.x, half.x), ground + self.range(0.0, 0.08));
            let tip = root + vec2(self.range(-0.05, 0.05), -self.range(0.03, 0.13));
            let colour = self.palette.growth.mix(self.palette.ground, self.range(0.0, 0.8)) * self.range(0.6, 1.2);
            self.canvas.stroke(root, tip, 0.004, 0.001, colour);
        }
    }
}
