//! Animals of the water.

use rand::Rng;

use super::{Stage, contrasting, trace};
use crate::scene::body::Body;
use crate::scene::canvas::Petal;
use crate::scene::colour::{BLACK, Colour, WHITE};
use crate::scene::geometry::{Place, smoothstep, vec2};

pub(super) fn fish(s: &mut Stage) {
    s.under_water();
    let mut place = s.place(0.6, 0.95);
    place.angle = s.range(-0.25, 0.25);
    let deep = s.range(0.1, 0.22);
    one_fish(s, &place, deep);
}

pub(super) fn school(s: &mut Stage) {
    s.under_water();
    let deep = s.range(0.1, 0.18);
    let (angle, mirrored) = (s.range(-0.3, 0.3), s.chance(0.5));
    let half = s.canvas.half();
    for _ in 0..s.rng.random_range(9..22) {
        let centre = vec2(s.range(-half.x, half.x), s.range(-0.4, 0.4));
        let place = Place { centre, size: s.range(0.12, 0.26), angle: angle + s.range(-0.15, 0.15), mirrored };
        one_fish(s, &place, deep);
    }
}

fn one_fish(s: &mut Stage, place: &Place, deep: f32) {
    let size = place.size;
    let (base, marks) = (s.palette.bright, s.palette.accent);
    let striped = s.chance(0.5);
    let fin = base.mix(marks, 0.5);
    let rays = |p: crate::scene::Vec2| fin * (0.75 + 0.3 * ((p.x + p.y) * 260.0 / size.max(0.3)).sin().abs());
    let tail = [(-0.3, 0.0), (-0.5, -0.17), (-0.44, 0.0), (-0.5, 0.17)].map(|(x, y)| place.at(x, y));
    s.canvas.polygon(&tail, rays);
    let back = [(-0.2, -deep * 0.6), (-0.12, -deep - 0.13), (0.0, -deep - 0.1), (0.16, -deep * 0.8)];
    s.canvas.polygon(&back.map(|(x, y)| place.at(x, y)), rays);
    let low = [(-0.14, deep * 0.6), (-0.16, deep + 0.12), (-0.02, deep * 0.8)].map(|(x, y)| place.at(x, y));
    s.canvas.polygon(&low, rays);
    let mut mass = Body::new(0.05 * size, 0.0);
    let joints =
        [(-0.34, 0.0, 0.03), (-0.18, 0.0, deep * 0.6), (0.05, 0.0, deep), (0.24, 0.01, deep * 0.7), (0.36, 0.02, 0.03)];
    mass.chain(&joints.map(|(x, y, r)| (place.at(x, y), r * size)));
    let (noise, light) = (&s.noise, &s.light);
    let inverse = |p: crate::scene::Vec2| (p - place.centre).turned(-place.angle) * (1.0 / size);
    mass.draw(&mut s.canvas, noise, |f| {
        let own = inverse(f.p);
        let scales = 0.8 + 0.25 * ((own.x * 120.0).sin() * (own.y * 120.0).sin()).abs();
        let stripe =
            if striped { smoothstep(0.4, 0.6, (own.x * 24.0).sin()) } else { smoothstep(-0.2, -0.6, f.normal[1]) };
        base.mix(marks, stripe).mix(WHITE, 0.4 * smoothstep(0.3, 0.9, f.normal[1])) * scales * light.on(f.normal)
    });
    let side = Petal { base: place.at(0.1, 0.03), tip: place.at(-0.06, 0.09), width: 0.04 * size, belly: 0.7 };
    s.canvas.petal(&side, |u, v| fin * (0.8 - 0.2 * u - 0.2 * (v * 9.0).sin().abs()));
    let gill = trace(5, |t| place.at(0.19 - 0.03 * (t * std::f32::consts::PI).sin(), deep * (0.9 * t - 0.45)));
    s.canvas.path(&gill, 0.005 * size, 0.003 * size, base.mix(BLACK, 0.6));
    s.eye(place.at(0.27, -0.02), 0.026 * size, WHITE.mix(marks, 0.4));
}

pub(super) fn whale(s: &mut Stage) {
    s.under_water();
    let mut place = s.place(0.8, 1.1);
    place.angle = s.range(-0.35, 0.2);
    let size = place.size;
    let base = s.palette.coat.mix(s.palette.sky_top, 0.35);
    let belly = contrasting(base).mix(base, 0.25);
    let fluke = [(-0.42, 0.0), (-0.58, -0.1), (-0.53, 0.0), (-0.58, 0.1)].map(|(x, y)| place.at(x, y));
    s.canvas.polygon(&fluke, |_| base * 0.75);
    let fin = [(-0.08, -0.1), (-0.14, -0.26), (0.06, -0.11)].map(|(x, y)| place.at(x, y));
    s.canvas.polygon(&fin, |_| base * 0.7);
    let mut mass = Body::new(0.05 * size, 0.0);
    let joints = [(-0.5, 0.0, 0.015), (-0.3, 0.0, 0.06), (0.0, 0.0, 0.13), (0.25, 0.01, 0.12), (0.42, 0.04, 0.05)];
    mass.chain(&joints.map(|(x, y, r)| (place.at(x, y), r * size)));
    let (noise, light) = (&s.noise, &s.light);
    mass.draw(&mut s.canvas, noise, |f| {
        let blotch = noise.fractal(f.p * 9.0, 3);
        base.mix(belly, smoothstep(0.25, 0.45, f.normal[1] + 0.25 * (blotch - 0.5)))
            * (0.8 + 0.3 * blotch)
            * light.on(f.normal)
    });
    let flipper = Petal { base: place.at(0.14, 0.06), tip: place.at(-0.05, 0.3), width: 0.05 * size, belly: 0.4 };
    s.canvas.petal(&flipper, |_, v| base * (0.65 - 0.15 * v));
    let mouth = trace(6, |t| place.at(0.45 - 0.2 * t, 0.06 + 0.02 * (t * 3.0).sin()));
    s.canvas.path(&mouth, 0.005 * size, 0.003 * size, base.mix(BLACK, 0.7));
    s.eye(place.at(0.24, 0.02), 0.011 * size, BLACK.mix(base, 0.3));
}

pub(super) fn jellyfish(s: &mut Stage) {
    s.under_water();
    for _ in 0..s.rng.random_range(1..4) {
        let mut place = s.place(0.35, 0.7);
        place.angle = s.range(-0.4, 0.4);
        let colour = s.palette.bright.mix(WHITE, 0.3);
        tentacles(s, &place, colour);
        let bell = trace(24, |t| {
            let angle = std::f32::consts::PI * (1.0 + t);
            place.at(0.3 * angle.cos(), 0.32 * angle.sin() + 0.02 * (t * 50.0).sin())
        });
        let centre = place.centre;
        let size = place.size;
        s.canvas.polygon(&bell, |p| {
            let rim = ((p - centre).length() / (0.32 * size)).min(1.0);
            let rib = ((p.x - centre.x) * 90.0 / size).sin().abs();
            colour * (0.5 + 0.55 * rim * rim + 0.12 * rib)
        });
    }
}

fn tentacles(s: &mut Stage, place: &Place, colour: Colour) {
    for at in -6..=6 {
        let x = at as f32 * 0.042;
        let (phase, length) = (s.range(0.0, 6.0), s.range(0.4, 0.8));
        let points = trace(14, |t| place.at(x + 0.035 * (t * 8.0 + phase).sin() * t, t * length));
        let width = if at % 3 == 0 { 0.022 } else { 0.008 };
        s.canvas.path(&points, width * place.size, 0.002 * place.size, colour * 0.8);
    }
}
