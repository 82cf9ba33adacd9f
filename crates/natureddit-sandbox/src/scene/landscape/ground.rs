//! Mountains, hills, woods and deserts.

use rand::Rng;

use super::sky::Sky;
use super::{BLACK, Colour, Noise, Stage, Vec2, WHITE, conifer, hill, ridge, vec2};
use crate::scene::geometry::{Bounds, smoothstep};

/// A chain of mountains in layers, the farthest first.
pub(super) struct Range {
    layers: Vec<Layer>,
    snow: f32,
    row: f32,
}

struct Layer {
    base: f32,
    tall: f32,
    rough: f32,
    colour: Colour,
}

impl Range {
    /// Layers between the heights `top` and `bottom` (y points down).
    pub(super) fn new(s: &mut Stage, top: f32, bottom: f32) -> Self {
        let count = s.rng.random_range(2..5);
        let rock = s.palette.coat.mix(s.palette.ground, s.range(0.2, 0.8));
        let layers = (0..count)
            .map(|k| {
                let near = (k as f32 + 1.0) / count as f32;
                Layer {
                    base: top + (bottom - top) * near * 0.8,
                    tall: s.range(0.22, 0.42) * (1.15 - 0.5 * near),
                    rough: s.range(0.9, 1.6) * (0.7 + 0.6 * near),
                    colour: s.palette.sky_low.mix(rock.mix(s.palette.growth, 0.5 * near), 0.3 + 0.65 * near),
                }
            })
            .collect();
        Self { layers, snow: if s.chance(0.6) { s.range(0.02, 0.16) } else { 1.0 }, row: s.range(0.0, 40.0) }
    }

    /// The crest lines of all layers at the column `x`.
    pub(super) fn crests(&self, noise: &Noise, x: f32) -> Vec<f32> {
        let crest = |(k, l): (usize, &Layer)| l.base + ridge(noise, x, l.rough, l.tall, self.row + k as f32 * 3.0);
        self.layers.iter().enumerate().map(crest).collect()
    }

    /// The nearest rock face at a point, when there is one.
    pub(super) fn at(&self, noise: &Noise, crests: &[f32], p: Vec2) -> Option<Colour> {
        let at = (0..crests.len()).rev().find(|&k| p.y > crests[k])?;
        let layer = &self.layers[at];
        // Gullies run down from the crest; which side of one a point is on decides light or shade.
        let deep = p.y - crests[at];
        let q = vec2(p.x * 5.0 + deep * 1.5, p.y * 3.0 + self.row + at as f32 * 9.0);
        let slope = noise.ridged(q, 4) - noise.ridged(vec2(q.x + 0.12, q.y), 4);
        let light = 0.8 + 2.2 * slope.clamp(-0.2, 0.2);
        let grain = 0.9 + 0.2 * noise.value(p * 90.0);
        let snow =
            smoothstep(self.snow + 0.05, self.snow - 0.06, deep + 0.12 * (noise.value(q * 2.0) - 0.5) + 0.3 * slope);
        let snow = if self.snow < 1.0 && layer.tall > 0.15 { snow } else { 0.0 };
        let mist = 1.0 - 0.35 * smoothstep(0.0, 0.4, deep);
        Some(layer.colour.mix(WHITE, 0.8 * snow) * (light * grain * mist))
    }
}

/// Sky and mountains down to `horizon`, as a colour for every point above it.
pub(super) fn view<'a>(
    noise: &'a Noise,
    sky: &'a Sky,
    range: &'a Range,
    crests: &'a [Vec<f32>],
    half: f32,
) -> impl Fn(Vec2) -> Colour + 'a {
    let columns = crests.len() as f32;
    move |p| {
        let column = (((p.x + half) / (2.0 * half) * columns).max(0.0) as usize).min(crests.len() - 1);
        range.at(noise, &crests[column], p).unwrap_or_else(|| sky.at(noise, p))
    }
}

/// The crests of a range for every column of the picture.
pub(super) fn all_crests(s: &Stage, range: &Range) -> Vec<Vec<f32>> {
    (0..s.canvas.width).map(|x| range.crests(&s.noise, s.canvas.point(x, 0).x)).collect()
}

pub(super) fn mountains(s: &mut Stage) {
    let sky = Sky::new(s, 0.15);
    let range = Range::new(s, -0.15, 0.35);
    let crests = all_crests(s, &range);
    let half = s.canvas.half();
    s.canvas.shade(view(&s.noise, &sky, &range, &crests, half.x));
    let level = s.range(0.25, 0.42);
    meadow(s, level);
    if s.chance(0.5) {
        let dark = s.palette.growth * s.range(0.3, 0.6);
        trees_along(s, level, 26, (0.06, 0.2), dark);
    }
}

fn trees_along(s: &mut Stage, level: f32, count: usize, height: (f32, f32), colour: Colour) {
    let half = s.canvas.half();
    let mut feet: Vec<Vec2> = (0..count).map(|_| vec2(s.range(-half.x, half.x), level + s.range(0.0, 0.1))).collect();
    feet.sort_by(|a, b| a.y.total_cmp(&b.y));
    for foot in feet {
        let tall = s.range(height.0, height.1);
        conifer(s, foot, tall, colour);
    }
}

/// Grass, heath or gravel from `level` down, finer in the distance.
pub(super) fn meadow(s: &mut Stage, level: f32) {
    let (ground, growth) = (s.palette.ground, s.palette.growth);
    let noise = &s.noise;
    let line = s.canvas.line(|x| level + hill(noise, x, 1.2, 0.04, 20.0));
    s.canvas.under(&line, |p, depth| {
        let zoom = 1.0 / (0.06 + depth);
        let q = vec2(p.x * zoom * 1.2, zoom * 3.0);
        let tuft = noise.fractal(vec2(q.x * 5.0, q.y * 2.0 + p.y * 40.0), 3);
        let patch = noise.fractal(vec2(p.x * zoom * 0.4, zoom), 2);
        ground.mix(growth, smoothstep(0.35, 0.65, patch)) * (0.55 + 0.75 * tuft)
    });
}

pub(super) fn hills(s: &mut Stage) {
    let horizon = s.range(-0.15, 0.1);
    let sky = Sky::new(s, horizon);
    let noise = &s.noise;
    s.canvas.shade(|p| sky.at(noise, p));
    let half = s.canvas.half();
    let layers = s.rng.random_range(4..7);
    for layer in 0..layers {
        let near = (layer as f32 + 1.0) / layers as f32;
        let base = horizon + (half.y - horizon) * (near - 1.0 / layers as f32) * 0.9;
        let (tall, rough, row) = (0.1 + 0.05 * near, s.range(0.6, 1.6), s.range(0.0, 50.0));
        let mixed = s.palette.growth.mix(s.palette.ground, s.range(0.0, 1.0));
        let colour = s.palette.sky_low.mix(mixed, 0.35 + 0.65 * near);
        let (furrow, slant) = (if s.chance(0.4) { 0.3 } else { 0.0 }, s.range(-0.6, 0.6));
        let noise = &s.noise;
        let line = s.canvas.line(|x| base + hill(noise, x, rough, tall, row));
        s.canvas.under(&line, |p, depth| {
            let texture = 0.75 + 0.4 * noise.fractal(vec2(p.x * 26.0, p.y * 60.0), 2);
            let rows = furrow * ((p.x * slant + p.y * 1.5) * 130.0 / (0.6 + near)).sin();
            colour * (texture * (1.1 - 0.9 * depth.min(0.5)) * (1.0 + 0.5 * rows))
        });
        for _ in 0..s.rng.random_range(0..14) {
            let x = s.range(-half.x, half.x);
            let foot = base + hill(&s.noise, x, rough, tall, row) + 0.01;
            bush(s, vec2(x, foot), 0.012 + 0.045 * near, colour * 0.55);
        }
    }
}

/// A round tree far away.
fn bush(s: &mut Stage, foot: Vec2, size: f32, colour: Colour) {
    s.canvas.stroke(foot, foot + vec2(0.0, -size), size * 0.12, size * 0.1, colour * 0.6);
    for (x, y, r) in [(-0.4, -1.0, 0.5), (0.4, -1.05, 0.5), (0.0, -1.5, 0.6)] {
        s.canvas.disc(foot + vec2(x, y) * size, r * size, size * 0.3, 1.0, colour * (0.75 - 0.3 * y));
    }
}

pub(super) fn forest(s: &mut Stage) {
    let horizon = s.range(-0.2, 0.0);
    let sky = Sky::new(s, horizon);
    let range = Range::new(s, horizon - 0.1, horizon + 0.25);
    let crests = all_crests(s, &range);
    let half = s.canvas.half();
    s.canvas.shade(view(&s.noise, &sky, &range, &crests, half.x));
    let rows = s.rng.random_range(4..7);
    let mist = s.palette.sky_low;
    for row in 0..rows {
        let near = (row as f32 + 1.0) / rows as f32;
        let level = horizon + 0.08 + (half.y - horizon) * near * 0.95;
        let colour = mist.mix(s.palette.growth * 0.6, 0.25 + 0.75 * near);
        let noise = &s.noise;
        let bounds = Bounds { low: vec2(-half.x, level - 0.25), high: half };
        // Mist between this row and the one behind it.
        s.canvas.stamp(bounds, |p| {
            (
                mist,
                0.5 * smoothstep(level - 0.25, level, p.y)
                    * (0.4 + 0.6 * noise.fractal(vec2(p.x * 3.0 + near * 9.0, p.y * 6.0), 3)),
            )
        });
        let count = (28.0 * half.x / (0.4 + near)) as usize;
        trees_along(s, level, count, (0.1 + 0.12 * near, 0.18 + 0.26 * near), colour);
    }
}

pub(super) fn woods(s: &mut Stage) {
    let half = s.canvas.half();
    let (low, growth) = (s.palette.sky_low, s.palette.growth);
    let noise = &s.noise;
    s.canvas.shade(|p| {
        let leaves = noise.fractal(p * 16.0, 4);
        growth.mix(low, smoothstep(0.35, 0.75, leaves) * smoothstep(0.4, -0.2, p.y)) * (0.45 + 0.8 * leaves)
    });
    let level = s.range(0.05, 0.2);
    meadow(s, level);
    path(s, level);
    let bark = s.palette.coat;
    let banded = s.chance(0.35);
    for row in 0..5 {
        let near = (row as f32 + 1.0) / 5.0;
        for _ in 0..(13 - 2 * row) {
            let (side, mut off) = (if s.chance(0.5) { -1.0 } else { 1.0 }, s.range(0.05, 1.1));
            off = (off + 0.14 * near) * half.x;
            let width = 0.006 + 0.04 * near * near * s.range(0.6, 1.3);
            let foot = vec2(side * off, level + 0.02 + 0.4 * near * near);
            trunk(s, foot, width, low.mix(bark, 0.3 + 0.7 * near), banded);
        }
    }
}

fn trunk(s: &mut Stage, foot: Vec2, width: f32, colour: Colour, banded: bool) {
    let top = -s.canvas.half().y;
    let lean = s.range(-0.05, 0.05);
    let (noise, scale, light) = (&s.noise, s.canvas.scale, s.light.direction[0]);
    let bounds = Bounds { low: vec2(foot.x - width - 0.12, top), high: vec2(foot.x + width + 0.12, foot.y) };
    s.canvas.stamp(bounds, |p| {
        let middle = foot.x + lean * (foot.y - p.y);
        let half = width * (0.75 + 0.35 * smoothstep(-0.15, 0.0, p.y - foot.y));
        let across = (p.x - middle) / half;
        let rough = noise.fractal(vec2(across * 4.0 + foot.x * 30.0, p.y * if banded { 60.0 } else { 9.0 }), 3);
        let shade = 0.55 + 0.75 * rough + 0.35 * across * light - 0.3 * across * across;
        let bands = if banded { smoothstep(0.66, 0.72, rough) * 0.8 } else { 0.0 };
        (colour.mix(BLACK, bands) * shade, (0.5 - ((p.x - middle).abs() - half) * scale).clamp(0.0, 1.0))
    });
    if s.chance(0.7) {
        for side in [-1.0, 1.0] {
            let root = vec2(foot.x + lean * 0.4, foot.y - s.range(0.3, 0.6));
            let tip = root + vec2(side * s.range(0.06, 0.18), -s.range(0.08, 0.2));
            s.canvas.stroke(root, tip, width * 0.3, width * 0.08, colour * 0.7);
        }
    }
}

/// A path that narrows towards the horizon.
fn path(s: &mut Stage, level: f32) {
    let half = s.canvas.half();
    let (bend, earth) = (s.range(-0.25, 0.25), s.palette.ground.mix(s.palette.coat, 0.6));
    let noise = &s.noise;
    s.canvas.stamp(Bounds { low: vec2(-half.x, level), high: half }, |p| {
        let near = ((p.y - level) / (half.y - level)).clamp(0.0, 1.0);
        let middle = bend * (near * 3.0).sin() * near;
        let wide = 0.015 + 0.24 * near * near;
        let edge = (p.x - middle).abs() - wide + 0.05 * (noise.value(p * 30.0) - 0.5);
        (earth * (0.7 + 0.5 * noise.fractal(vec2(p.x * 30.0, p.y * 70.0), 3)), smoothstep(0.02, -0.02, edge))
    });
}

pub(super) fn dunes(s: &mut Stage) {
    let horizon = s.range(-0.2, 0.05);
    let sky = Sky::new(s, horizon);
    let noise = &s.noise;
    s.canvas.shade(|p| sky.at(noise, p));
    let half = s.canvas.half();
    let sand = s.palette.ground.mix(s.palette.accent, 0.25);
    let layers = s.rng.random_range(3..6);
    let side = if s.light.direction[0] < 0.0 { -1.0 } else { 1.0 };
    for layer in 0..layers {
        let near = (layer as f32 + 1.0) / layers as f32;
        let base = horizon + 0.06 + (half.y - horizon) * (near - 1.0 / layers as f32) * 0.85;
        let (row, rough) = (s.range(0.0, 50.0), s.range(0.7, 1.4) / (0.4 + 0.6 * near));
        let noise = &s.noise;
        let colour = s.palette.sky_low.mix(sand, 0.45 + 0.55 * near);
        // One smooth octave of ridges: long slopes that meet in a sharp crest.
        let crest = |x: f32| base - 0.2 * (0.5 - (2.0 * noise.value(vec2(x * rough + row, row)) - 1.0).abs());
        let line = s.canvas.line(crest);
        s.canvas.under(&line, |p, deep| {
            // The crest's shadow side winds down the dune.
            let wind = p.x + deep * 0.9 * side + 0.05 * noise.value(vec2(p.x * 4.0, p.y * 9.0 + row));
            let slope = (crest(wind + 0.01) - crest(wind - 0.01)) / 0.02 * side;
            let lit = smoothstep(-0.12, 0.12, slope);
            let ripple = 0.06 * ((p.y * 260.0 + 14.0 * noise.fractal(p * 5.0, 2)) / (0.3 + near)).sin();
            let grain = 0.92 + 0.16 * noise.value(p * 160.0);
            colour * ((0.5 + 0.55 * lit + ripple) * grain)
        });
    }
}

pub(super) fn canyon(s: &mut Stage) {
    let sky = Sky::new(s, 0.1);
    let noise = &s.noise;
    s.canvas.shade(|p| sky.at(noise, p));
    let (rock, band) = (s.palette.coat, s.palette.ground.mix(s.palette.bright, 0.3));
    for layer in 0..4 {
        let near = (layer as f32 + 1.0) / 4.0;
        let (row, base, tall) = (s.range(0.0, 50.0), -0.16 + 0.5 * near, s.range(0.14, 0.24));
        let rough = s.range(1.6, 2.8);
        let (noise, low) = (&s.noise, s.palette.sky_low);
        // Terraces: a hill line cut into steps has flat tops and steep walls.
        let line = s.canvas.line(|x| {
            let raw = noise.fractal(vec2(x * rough + row, row), 4) * 4.5;
            let step = raw.floor() + smoothstep(0.42, 0.58, raw - raw.floor());
            base - tall * (step / 1.5 - 1.4) + 0.012 * noise.value(vec2(x * 40.0, row))
        });
        s.canvas.under(&line, |p, deep| {
            let strata =
                noise.value(vec2(p.x * 1.2, p.y * 42.0 + row)) * 0.7 + 0.3 * noise.value(vec2(p.x * 3.0, p.y * 110.0));
            let cracks = 0.75 + 0.4 * noise.fractal(vec2(p.x * 34.0, p.y * 5.0), 3);
            let scree = smoothstep(0.12, 0.4, deep);
            let colour = rock.mix(band, 0.6 * smoothstep(0.35, 0.65, strata)).mix(band, 0.5 * scree);
            low.mix(colour * cracks, 0.35 + 0.65 * near)
        });
    }
}
