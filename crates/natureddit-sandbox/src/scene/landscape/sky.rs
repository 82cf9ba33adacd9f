//! Skies by day and by night.

use rand::Rng;

use super::{BLACK, Colour, Stage, Vec2, WHITE, conifer, hill, ridge, vec2};
use crate::scene::geometry::{Bounds, smoothstep};

/// What a sky looks like at any point above the horizon.
pub(in crate::scene) struct Sky {
    top: Colour,
    low: Colour,
    horizon: f32,
    clouds: f32,
    cloud_scale: Vec2,
    pub(super) sun: Option<Vec2>,
    sun_colour: Colour,
}

impl Sky {
    pub(super) fn new(s: &mut Stage, horizon: f32) -> Self {
        let half = s.canvas.half();
        let sun = s.chance(0.35).then(|| vec2(s.range(-0.8, 0.8) * half.x, horizon - s.range(0.02, 0.25)));
        let scale = s.range(1.5, 3.5);
        Self {
            top: s.palette.sky_top,
            low: s.palette.sky_low,
            horizon,
            clouds: s.range(-0.2, 1.0),
            cloud_scale: vec2(scale, scale * s.range(2.0, 4.0)),
            sun,
            sun_colour: s.palette.accent.mix(WHITE, 0.6),
        }
    }

    pub(super) fn at(&self, noise: &crate::scene::noise::Noise, p: Vec2) -> Colour {
        let height = ((self.horizon - p.y) / 0.7).clamp(0.0, 1.0);
        let mut colour = self.low.mix(self.top, smoothstep(0.0, 1.0, height));
        if self.clouds > 0.0 {
            // Clouds lie flatter and closer together towards the horizon.
            let flat = 1.0 / (0.25 + height);
            let q = vec2(p.x * self.cloud_scale.x * (0.4 + 0.4 * flat), (self.horizon - p.y) * self.cloud_scale.y);
            let cloud = noise.fractal(q, 4);
            let cover = smoothstep(0.62 - 0.2 * self.clouds, 0.85 - 0.15 * self.clouds, cloud);
            let shade = noise.value(vec2(q.x, q.y + 0.35));
            colour = colour.mix(self.low.mix(WHITE, 0.55) * (0.65 + 0.4 * shade), cover * 0.85);
        }
        if let Some(sun) = self.sun {
            let off = (p - sun).length();
            let glow = 0.55 * smoothstep(0.5, 0.0, off) * smoothstep(0.5, 0.0, off) + smoothstep(0.042, 0.036, off);
            colour = colour.mix(self.sun_colour, glow.min(1.0));
        }
        colour
    }
}

/// A starry sky over dark hills.
pub(super) fn night(s: &mut Stage) {
    starry(s);
    foreground(s);
}

pub(super) fn aurora(s: &mut Stage) {
    starry(s);
    let half = s.canvas.half();
    let (first, second) = (s.palette.bright, s.palette.accent);
    for band in 0..s.rng.random_range(2..4) {
        let (height, row, strength) = (s.range(-0.35, 0.05), band as f32 * 7.0, s.range(0.4, 0.85));
        let noise = &s.noise;
        let hem = s.canvas.line(|x| height + 0.3 * (noise.fractal(vec2(x * 1.6 + row, row), 3) - 0.5));
        let rays = s.canvas.line(|x| 0.45 + 0.55 * noise.value(vec2(x * 22.0 + row, row + 3.0)));
        let bounds = Bounds { low: half * -1.0, high: half };
        let column = s.canvas.columns();
        s.canvas.stamp(bounds, |p| {
            let (above, rays) = (hem[column(p.x)] - p.y, rays[column(p.x)]);
            let curtain = smoothstep(-0.03, 0.02, above) * smoothstep(0.45 * rays + 0.05, 0.0, above);
            (first.mix(second, smoothstep(0.0, 0.35, above)) * 1.2, curtain * rays * strength)
        });
    }
    foreground(s);
}

fn starry(s: &mut Stage) {
    let dark = s.range(0.15, 0.75);
    let (top, low) = (s.palette.sky_top * dark, s.palette.sky_low * (dark * 0.8));
    let (glow, tilt) = (s.palette.bright, s.range(-1.3, 1.3));
    let (offset, milky) = (s.range(-0.15, 0.15), s.chance(0.7));
    let (noise, half) = (&s.noise, s.canvas.half());
    let across = Vec2::towards(tilt);
    s.canvas.shade(|p| {
        let sky = top.mix(low, smoothstep(-half.y, half.y * 0.6, p.y));
        if !milky {
            return sky;
        }
        let off = p.dot(across) - offset;
        let dust = noise.fractal(p * 5.0, 4);
        let band = smoothstep(0.22, 0.0, off.abs() + 0.15 * (dust - 0.5));
        let lane = smoothstep(0.06, 0.0, (off + 0.1 * (dust - 0.5)).abs()) * 0.6;
        sky.mix(glow.mix(WHITE, 0.5), band * (0.2 + 0.5 * dust) * (1.0 - lane))
    });
    for _ in 0..s.rng.random_range(350..900) {
        let at = vec2(s.range(-half.x, half.x), s.range(-half.y, half.y));
        let size = s.range(0.0006, 0.0022) * if s.chance(0.04) { 2.2 } else { 1.0 };
        let light = s.range(0.3, 1.0);
        s.canvas.disc(at, size, 0.001, light, WHITE);
    }
}

/// Dark hills with trees along the lower edge.
fn foreground(s: &mut Stage) {
    let half = s.canvas.half();
    let (level, sharp, row) = (s.range(0.1, 0.32), s.chance(0.5), s.range(0.0, 50.0));
    let dark = s.palette.ground * s.range(0.08, 0.3);
    let noise = &s.noise;
    let curve = |x: f32| level + if sharp { ridge(noise, x, 1.8, 0.2, row) } else { hill(noise, x, 1.3, 0.1, row) };
    let line = s.canvas.line(curve);
    s.canvas.under(&line, |p, _| dark * (0.7 + 0.6 * noise.fractal(p * 25.0, 2)));
    if s.chance(0.6) {
        for _ in 0..s.rng.random_range(8..40) {
            let x = s.range(-half.x, half.x);
            let foot = vec2(x, level + 0.1 + s.range(0.0, 0.1));
            let height = s.range(0.1, 0.28);
            conifer(s, foot, height, dark.mix(BLACK, 0.5));
        }
    }
}
