//! Round bodies: limbs that flow into one another, lit as if they were solid.

use super::canvas::{Canvas, tapered};
use super::colour::Colour;
use super::geometry::{Bounds, Vec2};
use super::noise::Noise;

/// Further away than anything in a picture.
const FAR: f32 = 1e3;

/// Limbs that are drawn as one mass.
pub(crate) struct Body {
    limbs: Vec<Limb>,
    /// Over what distance limbs flow into one another.
    blend: f32,
    /// How far fur sticks out of the outline.
    fuzz: f32,
}

struct Limb {
    a: Vec2,
    b: Vec2,
    ra: f32,
    rb: f32,
}

/// A visible point of a body.
pub(crate) struct Surface {
    pub(crate) p: Vec2,
    /// The direction the surface faces: right, down, towards the viewer.
    pub(crate) normal: [f32; 3],
}

/// Where the light comes from.
pub(crate) struct Light {
    pub(crate) direction: [f32; 3],
    pub(crate) ambient: f32,
}

impl Light {
    /// How bright a surface is that faces `normal`.
    #[inline]
    pub(crate) fn on(&self, normal: [f32; 3]) -> f32 {
        let dot: f32 = normal.iter().zip(&self.direction).map(|(n, l)| n * l).sum();
        self.ambient + (1.15 - self.ambient) * dot.max(0.0)
    }
}

/// The distance to the merged edge and the radius of the limb it belongs to, for every pixel of a box.
struct Field {
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    distance: Vec<f32>,
    radius: Vec<f32>,
}

impl Body {
    pub(crate) fn new(blend: f32, fuzz: f32) -> Self {
        Self { limbs: Vec::new(), blend: blend.max(1e-4), fuzz }
    }

    pub(crate) fn limb(&mut self, a: Vec2, b: Vec2, ra: f32, rb: f32) -> &mut Self {
        self.limbs.push(Limb { a, b, ra, rb });
        self
    }

    /// A limb through several points, each with its radius.
    pub(crate) fn chain(&mut self, joints: &[(Vec2, f32)]) -> &mut Self {
        for pair in joints.windows(2) {
            self.limb(pair[0].0, pair[1].0, pair[0].1, pair[1].1);
        }
        self
    }

    /// Paints the body in the colours that `ink` gives its surface.
    pub(crate) fn draw(&self, canvas: &mut Canvas, noise: &Noise, ink: impl Fn(&Surface) -> Colour) {
        let field = self.field(canvas);
        let width = field.columns.len();
        for (row, y) in field.rows.clone().enumerate() {
            for (column, x) in field.columns.clone().enumerate() {
                let at = row * width + column;
                let mut distance = field.distance[at];
                if distance > self.fuzz + 1.0 / canvas.scale {
                    continue;
                }
                let p = canvas.point(x, y);
                if self.fuzz > 0.0 && distance > -self.fuzz {
                    distance += self.fuzz * (1.6 * noise.value(p * 130.0) - 0.8);
                }
                let cover = Canvas::cover(canvas.scale, distance);
                if cover > 0.0 {
                    let colour = ink(&Surface { p, normal: field.normal(row, column) });
                    let pixel = &mut canvas.pixels[y * canvas.width + x];
                    *pixel = pixel.mix(colour, cover);
                }
            }
        }
    }

    /// Each limb touches only the pixels near it, so that thin legs cost little.
    fn field(&self, canvas: &Canvas) -> Field {
        let reach = |limb: &Limb| limb.ra.max(limb.rb) + self.blend + self.fuzz + 2.0 / canvas.scale;
        let all = self.limbs.iter().map(|l| Bounds::around([l.a, l.b], reach(l)));
        let bounds = all.reduce(|x, y| x.including(y.low, 0.0).including(y.high, 0.0));
        let Some(bounds) = bounds else {
            return Field { columns: 0..0, rows: 0..0, distance: Vec::new(), radius: Vec::new() };
        };
        let (columns, rows) = canvas.clip(bounds);
        let pixels = columns.len() * rows.len();
        let mut field = Field { columns, rows, distance: vec![FAR; pixels], radius: vec![1.0; pixels] };
        for limb in &self.limbs {
            let (columns, rows) = canvas.clip(Bounds::around([limb.a, limb.b], reach(limb)));
            for y in rows {
                for x in columns.clone() {
                    let at = (y - field.rows.start) * field.columns.len() + x - field.columns.start;
                    let (distance, along) = tapered(canvas.point(x, y), limb.a, limb.b, limb.ra, limb.rb);
                    field.merge(at, distance, limb.ra + (limb.rb - limb.ra) * along, self.blend);
                }
            }
        }
        field
    }
}

impl Field {
    #[inline]
    fn merge(&mut self, at: usize, distance: f32, radius: f32, blend: f32) {
        let old = self.distance[at];
        // 0 where the old limb is far nearer, 1 where the new one is.
        let part = (0.5 + 0.5 * (old - distance) / blend).clamp(0.0, 1.0);
        self.radius[at] += (radius - self.radius[at]) * part;
        let gap = (blend - (old - distance).abs()).max(0.0);
        self.distance[at] = old.min(distance) - gap * gap * 0.25 / blend;
    }

    /// A round cross-section: at the rim the surface faces outwards, in the middle it faces the viewer.
    fn normal(&self, row: usize, column: usize) -> [f32; 3] {
        let width = self.columns.len();
        let at = |r: usize, c: usize| self.distance[r.min(self.rows.len() - 1) * width + c.min(width - 1)];
        let gx = at(row, column + 1) - at(row, column.saturating_sub(1));
        let gy = at(row + 1, column) - at(row.saturating_sub(1), column);
        let steep = (gx * gx + gy * gy).sqrt().max(1e-6);
        let here = row * width + column;
        let tilt = (1.0 + self.distance[here] / self.radius[here].max(1e-4)).clamp(0.0, 1.0);
        [gx / steep * tilt, gy / steep * tilt, (1.0 - tilt * tilt).sqrt()]
    }
}
