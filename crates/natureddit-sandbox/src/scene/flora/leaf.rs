//! Leaves, ferns and rosettes.

use std::f32::consts::TAU;

use rand::Rng;

use super::{BLACK, Petal, Stage, Vec2, WHITE, leaf, stalk, vec2};
use crate::scene::geometry::smoothstep;

pub(super) fn fern(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    for _ in 0..s.rng.random_range(2..5) {
        let root = vec2(s.range(-0.4, 0.4), half.y + 0.08);
        let (lean, height) = (s.range(-0.7, 0.7), s.range(0.8, 1.15));
        let curve = |t: f32| root + vec2(lean * t * t, -height * t * (1.0 - 0.2 * t));
        let green = s.palette.growth * s.range(0.75, 1.15);
        let joints: Vec<_> = (0..=16).map(|k| (curve(k as f32 / 16.0), 0.009 - 0.0005 * k as f32)).collect();
        stalk(s, &joints, green * 0.7);
        for k in 0..36 {
            let t = 0.12 + 0.86 * k as f32 / 36.0;
            let along = curve(t + 0.01) - curve(t);
            let along = along * (1.0 / along.length().max(1e-4));
            let reach = 0.26 * (1.02 - t).powf(0.8) * smoothstep(0.0, 0.2, t);
            for side in [-1.0, 1.0] {
                let tip = curve(t) + along.turned(side * 1.15) * reach;
                pinna(s, curve(t), tip, reach * 0.12, green * if side < 0.0 { 0.8 } else { 1.0 });
            }
        }
    }
}

/// One side leaf of a fern with its own notched edge.
fn pinna(s: &mut Stage, base: Vec2, tip: Vec2, width: f32, colour: super::Colour) {
    s.canvas.petal(&Petal { base, tip, width: width.max(0.004), belly: 0.35 }, |u, v| {
        let notch = smoothstep(0.75, 0.95, v.abs()) * smoothstep(0.2, 0.7, (u * 60.0).sin());
        let middle = smoothstep(0.15, 0.05, v.abs());
        colour * (0.95 - 0.45 * notch - 0.2 * middle + 0.12 * v)
    });
}

pub(super) fn broad_leaf(s: &mut Stage) {
    s.backdrop();
    for _ in 0..s.rng.random_range(0..3) {
        let base = vec2(s.range(-0.7, 0.7), s.range(-0.5, 0.5));
        let tip = base + Vec2::towards(s.range(0.0, TAU)) * 0.45;
        let green = s.palette.growth * s.range(0.4, 0.8);
        leaf(s, &Petal { base, tip, width: 0.13, belly: 0.4 }, green, 50.0);
    }
    let axis = Vec2::towards(s.range(0.0, TAU));
    let centre = vec2(s.range(-0.15, 0.15), s.range(-0.1, 0.1));
    let green = s.palette.growth.mix(s.palette.bright, if s.chance(0.4) { 0.6 } else { 0.1 });
    let length = s.range(0.4, 0.52);
    stalk(s, &[(centre - axis * length, 0.014), (centre - axis * (length + 0.35), 0.016)], green * 0.8);
    let lobed = s.chance(0.5);
    if lobed {
        // Lobes fan out from the stalk's end as a maple's do.
        for turn in [-1.9f32, 1.9, -1.0, 1.0, 0.0] {
            let reach = length * (1.75 - 0.32 * turn.abs());
            let base = centre - axis * (length * 0.9);
            let lobe = Petal { base, tip: base + axis.turned(turn) * reach, width: length * 0.33, belly: 0.55 };
            leaf(s, &lobe, green, 40.0);
        }
    } else {
        let width = s.range(0.18, 0.3);
        let petal = Petal { base: centre - axis * length, tip: centre + axis * length, width, belly: 0.42 };
        leaf(s, &petal, green, 70.0);
    }
    for _ in 0..s.rng.random_range(0..14) {
        let at = centre + vec2(s.range(-0.25, 0.25), s.range(-0.25, 0.25));
        drop_of_water(s, at);
    }
}

fn drop_of_water(s: &mut Stage, at: Vec2) {
    let radius = s.range(0.008, 0.022);
    s.canvas.disc(at + vec2(0.2, 0.3) * radius, radius, 0.008, 0.35, BLACK);
    s.canvas.disc(at, radius, 0.004, 0.4, s.palette.sky_low);
    s.canvas.disc(at + vec2(-0.3, -0.3) * radius, radius * 0.25, 0.003, 0.9, WHITE);
}

pub(super) fn succulent(s: &mut Stage) {
    s.backdrop();
    let place = s.place(0.42, 0.6);
    let size = place.size;
    let base = s.palette.growth.mix(s.palette.bright, s.range(0.0, 0.5));
    let tips = s.palette.accent;
    let sharp = s.range(0.5, 0.72);
    let leaves = 46;
    for k in 0..leaves {
        let part = 1.0 - k as f32 / leaves as f32;
        let angle = k as f32 * 2.399_963;
        let out = Vec2::towards(angle);
        let petal = Petal {
            base: place.centre + out * (0.1 * part * size),
            tip: place.centre + out * ((0.12 + 0.85 * part.powf(0.8)) * size),
            width: (0.06 + 0.15 * part) * size,
            belly: sharp,
        };
        let light = s.light.direction;
        let shade = 0.55 + 0.35 * (1.0 - part) + 0.18 * (out.x * light[0] + out.y * light[1]);
        s.canvas.petal(&petal, |u, v| {
            let rim = smoothstep(0.8, 1.0, v.abs()).max(smoothstep(0.85, 1.0, u));
            base.mix(tips, 0.6 * rim) * (shade + 0.4 * u - 0.25 * v * v)
        });
    }
}

pub(super) fn twig(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    for _ in 0..s.rng.random_range(1..3) {
        let from = vec2(-half.x - 0.05, s.range(-0.4, 0.4));
        let to = vec2(half.x * s.range(0.5, 1.0), s.range(-0.4, 0.4));
        let sag = s.range(-0.2, 0.2);
        let curve = |t: f32| from.lerp(to, t) + vec2(0.0, sag * t * (1.0 - t) * 4.0);
        let joints: Vec<_> = (0..=14).map(|k| (curve(k as f32 / 14.0), 0.013 - 0.0007 * k as f32)).collect();
        let bark = s.palette.coat * 0.8;
        stalk(s, &joints, bark);
        let (length, width) = (s.range(0.12, 0.26), s.range(0.022, 0.06));
        let leaves = s.rng.random_range(12..24);
        for k in 0..leaves {
            let t = (k as f32 + 0.5) / leaves as f32;
            let side = if k % 2 == 0 { 1.0 } else { -1.0 };
            let along = curve(t + 0.02) - curve(t);
            let along = along * (1.0 / along.length().max(1e-4));
            let tip = curve(t) + along.turned(side * s.range(0.6, 1.2)) * (length * s.range(0.8, 1.1));
            let green = s.palette.growth * s.range(0.7, 1.2);
            leaf(s, &Petal { base: curve(t), tip, width, belly: 0.42 }, green, 45.0);
        }
    }
}
