//! Points and places in a picture. The shorter side of a picture is 1 long, the middle is (0, 0), y points down.

use std::ops::{Add, Mul, Sub};

/// A point or a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Vec2 {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

pub(crate) const fn vec2(x: f32, y: f32) -> Vec2 {
    Vec2 { x, y }
}

impl Add for Vec2 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        vec2(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Vec2 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        vec2(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Vec2 {
    type Output = Self;

    fn mul(self, factor: f32) -> Self {
        vec2(self.x * factor, self.y * factor)
    }
}

impl Vec2 {
    /// The unit vector at `angle` radians, clockwise from the right as y points down.
    pub(crate) fn towards(angle: f32) -> Self {
        vec2(angle.cos(), angle.sin())
    }

    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub(crate) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    pub(crate) fn turned(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        vec2(self.x * cos - self.y * sin, self.x * sin + self.y * cos)
    }

    pub(crate) fn lerp(self, other: Self, part: f32) -> Self {
        self + (other - self) * part
    }
}

/// Where a subject stands: its own coordinates (about 1 across, facing right) put into the picture.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) centre: Vec2,
    pub(crate) size: f32,
    pub(crate) angle: f32,
    /// Facing left.
    pub(crate) mirrored: bool,
}

impl Place {
    pub(crate) fn at(&self, x: f32, y: f32) -> Vec2 {
        let x = if self.mirrored { -x } else { x };
        self.centre + vec2(x, y).turned(self.angle) * self.size
    }

    pub(crate) fn point(&self, p: Vec2) -> Vec2 {
        self.at(p.x, p.y)
    }
}

/// A box in picture coordinates.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) low: Vec2,
    pub(crate) high: Vec2,
}

impl Bounds {
    /// The smallest box around discs of radius `margin` at each of the points.
    pub(crate) fn around(points: impl IntoIterator<Item = Vec2>, margin: f32) -> Self {
        let empty = Self { low: vec2(f32::MAX, f32::MAX), high: vec2(f32::MIN, f32::MIN) };
        points.into_iter().fold(empty, |all, p| all.including(p, margin))
    }

    pub(crate) fn including(self, p: Vec2, margin: f32) -> Self {
        Self {
            low: vec2(self.low.x.min(p.x - margin), self.low.y.min(p.y - margin)),
            high: vec2(self.high.x.max(p.x + margin), self.high.y.max(p.y + margin)),
        }
    }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(crate) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
