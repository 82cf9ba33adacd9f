//! Lakes, seas, ice and falls.

use rand::Rng;

use super::ground::{Range, all_crests, meadow, view};
use super::sky::Sky;
use super::{Noise, Stage, Vec2, WHITE, ridge, vec2};
use crate::scene::colour::Colour;
use crate::scene::geometry::{Bounds, smoothstep};

/// Waves and the light on them, from the horizon down.
struct Sea {
    horizon: f32,
    deep: Colour,
    pale: Colour,
    rough: f32,
    sun: Option<Vec2>,
}

impl Sea {
    fn new(s: &mut Stage, horizon: f32, sun: Option<Vec2>) -> Self {
        let deep = s.palette.sky_top.mix(s.palette.ground, s.range(0.0, 0.5));
        Self { horizon, deep, pale: s.palette.sky_low, rough: s.range(0.3, 1.0), sun }
    }

    fn at(&self, noise: &Noise, p: Vec2) -> Colour {
        let near = (p.y - self.horizon).max(0.0);
        // Perspective: waves are shorter and narrower towards the horizon.
        let zoom = 1.0 / (0.025 + near);
        let swell = noise.fractal(vec2(p.x * zoom * 0.9, zoom * 7.0), 4);
        let chop = noise.value(vec2(p.x * zoom * 3.0, zoom * 22.0));
        let wave = 0.65 * swell + 0.35 * chop;
        let mut colour = self.pale.mix(self.deep, smoothstep(0.0, 0.4, near)) * (1.0 + self.rough * (wave - 0.5));
        let foam = smoothstep(0.7, 0.8, wave) * self.rough * smoothstep(0.02, 0.2, near);
        colour = colour.mix(WHITE, 0.7 * foam);
        if let Some(sun) = self.sun {
            let beam = smoothstep(0.03 + 0.25 * near, 0.0, (p.x - sun.x).abs());
            colour = colour.mix(WHITE.mix(self.pale, 0.4), beam * smoothstep(0.45, 0.65, wave) * 0.9);
        }
        colour
    }
}

pub(super) fn sea(s: &mut Stage) {
    let horizon = s.range(-0.15, 0.12);
    let sky = Sky::new(s, horizon);
    let water = Sea::new(s, horizon, sky.sun);
    let (noise, half) = (&s.noise, s.canvas.half());
    s.canvas.shade(|p| if p.y < horizon { sky.at(noise, p) } else { water.at(noise, p) });
    if s.chance(0.5) {
        island(s, horizon);
    }
    if s.chance(0.55) {
        beach(s, half);
    }
}

/// A dark line of land on the horizon.
fn island(s: &mut Stage, horizon: f32) {
    let half = s.canvas.half();
    let (row, from, wide) = (s.range(0.0, 50.0), s.range(-1.0, 0.5) * half.x, s.range(0.3, 1.0));
    let colour = s.palette.sky_low.mix(s.palette.growth * 0.5, 0.6);
    let (noise, scale) = (&s.noise, s.canvas.scale);
    let bounds = Bounds { low: vec2(from, horizon - 0.2), high: vec2(from + wide, horizon) };
    s.canvas.stamp(bounds, |p| {
        let t = (p.x - from) / wide;
        let tall =
            0.12 * noise.ridged(vec2(p.x * 3.0 + row, row), 4) * smoothstep(0.0, 0.25, t) * smoothstep(1.0, 0.7, t);
        (colour * (0.8 + 0.3 * noise.value(p * 40.0)), (0.5 + (p.y - horizon + tall) * scale).clamp(0.0, 1.0))
    });
}

fn beach(s: &mut Stage, half: Vec2) {
    let (level, slant, row) = (half.y * s.range(0.45, 0.75), s.range(-0.35, 0.35), s.range(0.0, 50.0));
    let sand = s.palette.ground;
    let noise = &s.noise;
    s.canvas.stamp(Bounds { low: vec2(-half.x, 0.0), high: half }, |p| {
        let edge = level + slant * p.x + 0.07 * (noise.fractal(vec2(p.x * 3.0 + row, row), 3) - 0.5);
        let in_land = p.y - edge;
        let foam = smoothstep(0.03, 0.0, in_land.abs()) * (0.5 + 0.5 * noise.value(p * 60.0));
        let wet = smoothstep(0.15, 0.0, in_land);
        let grain = 0.8 + 0.3 * noise.fractal(p * 70.0, 2);
        ((sand * (grain * (1.0 - 0.35 * wet))).mix(WHITE, 0.85 * foam), smoothstep(-0.03, 0.0, in_land))
    });
}

pub(super) fn coast(s: &mut Stage) {
    let horizon = s.range(-0.1, 0.1);
    let sky = Sky::new(s, horizon);
    let water = Sea::new(s, horizon, sky.sun);
    let (noise, half) = (&s.noise, s.canvas.half());
    s.canvas.shade(|p| if p.y < horizon { sky.at(noise, p) } else { water.at(noise, p) });
    let side = if s.chance(0.5) { 1.0 } else { -1.0 };
    let rock = s.palette.coat.mix(s.palette.ground, 0.3);
    let grass = s.palette.growth;
    for layer in 0..3 {
        let near = (layer as f32 + 1.0) / 3.0;
        let (row, reach) = (s.range(0.0, 50.0), half.x * (0.25 - 0.45 * near));
        let (top, foot) = (horizon - 0.28 + 0.08 * near, horizon + 0.05 + 0.3 * near);
        let (noise, scale, low) = (&s.noise, s.canvas.scale, s.palette.sky_low);
        let column = s.canvas.columns();
        let brow = s.canvas.line(|x| top + 0.1 * (noise.fractal(vec2(x * 3.0 + row, row), 4) - 0.5));
        let shore = s.canvas.line(|x| foot + 0.03 * (noise.value(vec2(x * 20.0, row)) - 0.5));
        s.canvas.stamp(Bounds { low: vec2(-half.x, top - 0.1), high: vec2(half.x, foot + 0.1) }, |p| {
            let inland = p.x * side + reach * 0.6 + 0.12 * (noise.ridged(vec2(p.y * 3.0 + row, row), 3) - 0.5);
            let crest = brow[column(p.x)] + 0.25 * smoothstep(0.2, 0.0, inland);
            let shore = shore[column(p.x)];
            let distance = (crest - p.y).max(p.y - shore).max(-inland);
            if distance * scale > 0.5 {
                return (low, 0.0);
            }
            let wall = noise.fractal(vec2(p.x * 26.0, p.y * 7.0 + row), 3);
            let turf = smoothstep(0.06, 0.03, p.y - crest + 0.03 * wall);
            let surf = smoothstep(0.025, 0.0, shore - p.y);
            let colour = (rock * (0.35 + 1.1 * wall)).mix(grass * 0.9, turf).mix(WHITE, 0.8 * surf);
            (low.mix(colour, 0.5 + 0.5 * near), (0.5 - distance * scale).clamp(0.0, 1.0))
        });
    }
}

pub(super) fn mountain_lake(s: &mut Stage) {
    let level = s.range(0.05, 0.2);
    lake(s, level);
    if s.chance(0.5) {
        let shore = s.range(0.36, 0.45);
        meadow(s, shore);
    }
}

/// Mountains mirrored in still water that begins at `level`; the water fills the picture when that is above its top.
pub(in crate::scene) fn lake(s: &mut Stage, level: f32) {
    let sky = Sky::new(s, level);
    let range = Range::new(s, level - 0.22, level + 0.12);
    let crests = all_crests(s, &range);
    let half = s.canvas.half();
    let (ripples, tint) = (s.range(0.2, 1.0), s.palette.sky_top);
    let noise = &s.noise;
    let above = view(noise, &sky, &range, &crests, half.x);
    s.canvas.shade(|p| {
        if p.y < level {
            return above(p);
        }
        let near = p.y - level;
        let zoom = 1.0 / (0.05 + near);
        let ripple = noise.fractal(vec2(p.x * zoom * 0.8, zoom * 9.0), 3) - 0.5;
        let mirrored = vec2(p.x + 0.02 * ripple * ripples, level - near * 0.9 + 0.1 * ripple * ripples * (0.2 + near));
        above(mirrored).mix(tint, 0.18 + 0.4 * near) * (0.88 + 0.3 * ripple * ripples)
    });
}

pub(super) fn bergs(s: &mut Stage) {
    let level = s.range(-0.05, 0.1);
    lake(s, level);
    let half = s.canvas.half();
    let (ice, shade) = (WHITE.mix(s.palette.sky_low, 0.25), s.palette.sky_top.mix(WHITE, 0.35));
    let count = s.rng.random_range(5..14);
    for k in 0..count {
        let near = (k as f32 + 0.5) / count as f32;
        let foot = vec2(s.range(-half.x, half.x), level + 0.02 + (half.y - level) * near * near * 0.9);
        let (wide, tall) = (s.range(0.08, 0.25) * (0.4 + near), s.range(0.04, 0.16) * (0.4 + near));
        let corners = s.rng.random_range(5..8);
        let mut points = vec![foot + vec2(-wide, 0.0)];
        for c in 1..corners {
            let x = -wide + 2.0 * wide * c as f32 / corners as f32;
            points.push(foot + vec2(x + s.range(-0.02, 0.02), -tall * s.range(0.35, 1.0)));
        }
        points.push(foot + vec2(wide, 0.0));
        let mirror: Vec<_> = points.iter().map(|p| vec2(p.x, 2.0 * foot.y - p.y * 0.5 - foot.y * 0.5)).collect();
        let noise = &s.noise;
        s.canvas.polygon(&mirror, |p| shade * (0.6 + 0.2 * noise.value(vec2(p.x * 10.0, p.y * 80.0))));
        let side = s.light.direction[0];
        s.canvas.polygon(&points, |p| {
            let facet = (noise.value(p * 12.0) * 4.0).floor() / 4.0;
            ice.mix(shade, (0.5 + 0.9 * (p.x - foot.x) / wide * side).clamp(0.0, 0.8) * 0.6 + 0.45 * facet)
        });
    }
}

pub(super) fn waterfall(s: &mut Stage) {
    let top = s.range(-0.38, -0.2);
    let sky = Sky::new(s, top + 0.2);
    let (rock, moss) = (s.palette.coat.mix(s.palette.ground, 0.4), s.palette.growth);
    let (middle, wide, pool) = (s.range(-0.3, 0.3), s.range(0.04, 0.16), s.range(0.2, 0.34));
    let (row, water) = (s.range(0.0, 50.0), s.palette.sky_top.mix(s.palette.sky_low, 0.4));
    let (noise, column) = (&s.noise, s.canvas.columns());
    let notch = |x: f32| 0.08 * smoothstep(0.2, 0.0, (x - middle).abs());
    let line = s.canvas.line(|x| top + ridge(noise, x, 1.6, 0.12, row) + notch(x));
    s.canvas.shade(|p| {
        let crest = line[column(p.x)];
        let wander = middle + 0.04 * (noise.value(vec2(p.y * 6.0, row)) - 0.5);
        let spread = wide * (1.0 + 0.9 * smoothstep(top, pool, p.y));
        let edge = (p.x - wander).abs() - spread + 0.05 * (noise.value(vec2(p.x * 30.0, p.y * 9.0)) - 0.5);
        if p.y > pool + 0.02 * noise.value(vec2(p.x * 12.0, row)) {
            let spray = smoothstep(0.22, 0.0, p.y - pool) * smoothstep(spread * 2.4, 0.0, (p.x - middle).abs());
            let ripple = noise.fractal(vec2(p.x * 7.0, p.y * 50.0), 3);
            return (water * (0.55 + 0.7 * ripple)).mix(WHITE, 0.9 * spray);
        }
        let land = if p.y < crest {
            sky.at(noise, p)
        } else {
            let wall = noise.fractal(vec2(p.x * 11.0, p.y * 5.0 + row), 4);
            let ledge = smoothstep(0.5, 0.7, noise.value(vec2(p.x * 5.0, p.y * 22.0 + row)));
            (rock * (0.25 + 1.2 * wall)).mix(moss, 0.6 * ledge) * 0.95
        };
        if edge > 0.03 {
            return land;
        }
        let streak = noise.fractal(vec2(p.x * 70.0, p.y * 4.0 - 3.0), 3);
        let fall = smoothstep(0.02, -0.02, edge) * smoothstep(crest - 0.005, crest + 0.02, p.y);
        land.mix(WHITE * (0.62 + 0.5 * streak), fall)
    });
}
