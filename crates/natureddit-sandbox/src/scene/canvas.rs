//! The software rasteriser: pixels, and shapes given by how far a point is from their edge.

use super::colour::Colour;
use super::geometry::{Bounds, Vec2, vec2};

/// An RGB picture in memory.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Pixels in one unit, which is the shorter side.
    pub(crate) scale: f32,
    pub(crate) pixels: Vec<Colour>,
}

/// A leaf or a petal from `base` to `tip`, widest at `belly` (0 to 1) of its length.
#[derive(Clone, Copy)]
pub(crate) struct Petal {
    pub(crate) base: Vec2,
    pub(crate) tip: Vec2,
    /// Half the width at the widest place.
    pub(crate) width: f32,
    pub(crate) belly: f32,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let black = Colour { r: 0.0, g: 0.0, b: 0.0 };
        Self { width, height, scale: width.min(height) as f32, pixels: vec![black; width * height] }
    }

    /// The bottom right corner; the top left one is its opposite.
    pub(crate) fn half(&self) -> Vec2 {
        vec2(self.width as f32, self.height as f32) * (0.5 / self.scale)
    }

    /// Paints every pixel.
    pub(crate) fn shade(&mut self, ink: impl Fn(Vec2) -> Colour) {
        let (half, step) = (self.half(), 1.0 / self.scale);
        for (y, row) in self.pixels.chunks_mut(self.width).enumerate() {
            let py = (y as f32 + 0.5) * step - half.y;
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = ink(vec2((x as f32 + 0.5) * step - half.x, py));
            }
        }
    }

    /// The pixels of a box that lie in the picture: columns and rows.
    pub(crate) fn clip(&self, bounds: Bounds) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let (half, scale) = (self.half(), self.scale);
        let pixel = |v: f32, half: f32, end: usize| (((v + half) * scale).max(0.0) as usize).min(end);
        let columns = pixel(bounds.low.x, half.x, self.width)..pixel(bounds.high.x + 1.0 / scale, half.x, self.width);
        let rows = pixel(bounds.low.y, half.y, self.height)..pixel(bounds.high.y + 1.0 / scale, half.y, self.height);
        (columns, rows)
    }

    /// The picture coordinates of a pixel's middle.
    pub(crate) fn point(&self, x: usize, y: usize) -> Vec2 {
        vec2(x as f32 + 0.5, y as f32 + 0.5) * (1.0 / self.scale) - self.half()
    }

    /// Lays colours over the pixels in a box; the second number is how much of the colour there is, 0 to 1.
    pub(crate) fn stamp(&mut self, bounds: Bounds, ink: impl Fn(Vec2) -> (Colour, f32)) {
        let (columns, rows) = self.clip(bounds);
        for y in rows {
            for x in columns.clone() {
                let (colour, cover) = ink(self.point(x, y));
                if cover > 0.0 {
                    let pixel = &mut self.pixels[y * self.width + x];
                    *pixel = pixel.mix(colour, cover.min(1.0));
                }
            }
        }
    }

    /// How much of a pixel a shape covers whose edge is `distance` away (negative inside).
    #[inline]
    pub(crate) fn cover(scale: f32, distance: f32) -> f32 {
        (0.5 - distance * scale).clamp(0.0, 1.0)
    }

    /// A skyline: the height `curve` gives for each column.
    pub(crate) fn line(&self, curve: impl Fn(f32) -> f32) -> Vec<f32> {
        (0..self.width).map(|x| curve(self.point(x, 0).x)).collect()
    }

    /// The column in which an x lies, which is the place in a [`Canvas::line`]; borrows nothing.
    pub(crate) fn columns(&self) -> impl Fn(f32) -> usize + use<> {
        let (half, scale, last) = (self.half().x, self.scale, self.width - 1);
        move |x| (((x + half) * scale).max(0.0) as usize).min(last)
    }

    /// Fills everything below a skyline; `ink` also gets how deep below it a point lies.
    pub(crate) fn under(&mut self, line: &[f32], ink: impl Fn(Vec2, f32) -> Colour) {
        let half = self.half();
        let top = line.iter().copied().fold(half.y, f32::min);
        let (_, rows) = self.clip(Bounds { low: vec2(-half.x, top - 1.0 / self.scale), high: half });
        for y in rows {
            for (x, &edge) in line.iter().enumerate() {
                let p = self.point(x, y);
                let cover = Self::cover(self.scale, edge - p.y);
                if cover > 0.0 {
                    let colour = ink(p, (p.y - edge).max(0.0));
                    let pixel = &mut self.pixels[y * self.width + x];
                    *pixel = pixel.mix(colour, cover);
                }
            }
        }
    }

    /// A disc whose rim fades over `soft`.
    pub(crate) fn disc(&mut self, centre: Vec2, radius: f32, soft: f32, opacity: f32, colour: Colour) {
        let soft = soft.max(1.0 / self.scale);
        self.stamp(Bounds::around([centre], radius + soft), |p| {
            let distance = (p - centre).length() - radius;
            (colour, (0.5 - distance / soft).clamp(0.0, 1.0) * opacity)
        });
    }

    /// An ellipse turned by `angle`; `ink` gets the point in the ellipse's own axes, the rim at distance 1.
    pub(crate) fn ellipse(&mut self, centre: Vec2, radii: Vec2, angle: f32, ink: impl Fn(Vec2) -> Colour) {
        let blur = radii.x.min(radii.y) * self.scale;
        self.stamp(Bounds::around([centre], radii.x.max(radii.y) + 0.01), |p| {
            let own = (p - centre).turned(-angle);
            let own = vec2(own.x / radii.x, own.y / radii.y);
            let distance = own.length();
            if distance > 1.1 {
                return (Colour { r: 0.0, g: 0.0, b: 0.0 }, 0.0);
            }
            (ink(own), (0.5 - (distance - 1.0) * blur).clamp(0.0, 1.0))
        });
    }

    /// A line from `a` to `b`, its half-width going from `ra` to `rb`, round at both ends.
    pub(crate) fn stroke(&mut self, a: Vec2, b: Vec2, ra: f32, rb: f32, colour: Colour) {
        let scale = self.scale;
        self.stamp(Bounds::around([a, b], ra.max(rb) + 2.0 / scale), |p| {
            (colour, Self::cover(scale, tapered(p, a, b, ra, rb).0))
        });
    }

    /// Strokes through the points, the half-width going from `ra` to `rb`.
    pub(crate) fn path(&mut self, points: &[Vec2], ra: f32, rb: f32, colour: Colour) {
        let steps = points.len().saturating_sub(1).max(1) as f32;
        for (at, pair) in points.windows(2).enumerate() {
            let width = |step: f32| ra + (rb - ra) * step / steps;
            self.stroke(pair[0], pair[1], width(at as f32), width(at as f32 + 1.0), colour);
        }
    }

    /// A closed polygon with an even-odd inside.
    pub(crate) fn polygon(&mut self, points: &[Vec2], ink: impl Fn(Vec2) -> Colour) {
        let scale = self.scale;
        self.stamp(Bounds::around(points.iter().copied(), 2.0 / scale), |p| {
            let cover = Self::cover(scale, polygon_distance(p, points));
            if cover > 0.0 { (ink(p), cover) } else { (Colour { r: 0.0, g: 0.0, b: 0.0 }, 0.0) }
        });
    }

    /// A petal; `ink` gets how far along it is (0 base to 1 tip) and how far from the middle (-1 to 1).
    pub(crate) fn petal(&mut self, petal: &Petal, ink: impl Fn(f32, f32) -> Colour) {
        let scale = self.scale;
        let axis = petal.tip - petal.base;
        let length = axis.length().max(1e-4);
        let along = axis * (1.0 / length);
        self.stamp(Bounds::around([petal.base, petal.tip], petal.width + 2.0 / scale), |p| {
            let own = p - petal.base;
            let u = own.dot(along) / length;
            if !(0.0..=1.0).contains(&u) {
                return (Colour { r: 0.0, g: 0.0, b: 0.0 }, 0.0);
            }
            let across = own.dot(vec2(-along.y, along.x));
            // Two half parabolas that meet where the petal is widest, made rounder.
            let t = if u < petal.belly { 1.0 - u / petal.belly } else { (u - petal.belly) / (1.0 - petal.belly) };
            let round = 1.0 - t * t;
            let half = petal.width * round * (1.5 - 0.5 * round);
            let cover = Self::cover(scale, across.abs() - half);
            if cover <= 0.0 {
                return (Colour { r: 0.0, g: 0.0, b: 0.0 }, 0.0);
            }
            (ink(u, (across / half.max(1e-4)).clamp(-1.0, 1.0)), cover)
        });
    }

    /// This canvas at another size, by bilinear interpolation: for going up, or down by less than half.
    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let mut out = Self::new(width, height);
        let step = vec2(self.width as f32 / width as f32, self.height as f32 / height as f32);
        let place = |at: usize, step: f32, end: usize| {
            let v = ((at as f32 + 0.5) * step - 0.5).clamp(0.0, end as f32 - 1.0);
            let low = v as usize;
            (low, (low + 1).min(end - 1), v - low as f32)
        };
        let columns: Vec<_> = (0..width).map(|x| place(x, step.x, self.width)).collect();
        for (y, row) in out.pixels.chunks_mut(width).enumerate() {
            let (above, below, fy) = place(y, step.y, self.height);
            let above = &self.pixels[above * self.width..][..self.width];
            let below = &self.pixels[below * self.width..][..self.width];
            for (pixel, &(left, right, fx)) in row.iter_mut().zip(&columns) {
                *pixel = above[left].mix(above[right], fx).mix(below[left].mix(below[right], fx), fy);
            }
        }
        out
    }
}

/// The signed distance to a line with round ends that tapers, and how far along it the nearest place is (0 to 1).
#[inline]
pub(crate) fn tapered(p: Vec2, a: Vec2, b: Vec2, ra: f32, rb: f32) -> (f32, f32) {
    let (pa, ba) = (p - a, b - a);
    let along = (pa.dot(ba) / ba.dot(ba).max(1e-9)).clamp(0.0, 1.0);
    ((pa - ba * along).length() - (ra + (rb - ra) * along), along)
}

fn polygon_distance(p: Vec2, points: &[Vec2]) -> f32 {
    let mut nearest = f32::MAX;
    let mut inside = false;
    let mut previous = points[points.len() - 1];
    for &corner in points {
        let (edge, own) = (previous - corner, p - corner);
        let off = own - edge * (own.dot(edge) / edge.dot(edge).max(1e-9)).clamp(0.0, 1.0);
        nearest = nearest.min(off.dot(off));
        if (corner.y > p.y) != (previous.y > p.y) && p.x < edge.x * (p.y - corner.y) / edge.y + corner.x {
            inside = !inside;
        }
        previous = corner;
    }
    if inside { -nearest.sqrt() } else { nearest.sqrt() }
}
