//! Insects, spiders, reptiles and amphibians.

use std::f32::consts::{PI, TAU};

use super::{Marking, Stage, coat, contrasting, trace};
use crate::scene::body::Body;
use crate::scene::canvas::Petal;
use crate::scene::colour::{BLACK, Colour, WHITE};
use crate::scene::geometry::{Place, Vec2, smoothstep, vec2};

pub(super) fn butterfly(s: &mut Stage) {
    s.backdrop();
    let mut place = s.place(0.65, 1.0);
    place.angle = s.range(-0.6, 0.6);
    let size = place.size;
    let (base, marks) = (s.palette.bright, s.palette.accent);
    let edge = base.mix(BLACK, 0.85);
    let spots = s.range(14.0, 30.0);
    let noise = &s.noise;
    for side in [-1.0f32, 1.0] {
        for (tip, width, belly) in [((0.3, 0.34), 0.15, 0.6), ((0.45, -0.3), 0.17, 0.68)] {
            let wing = Petal {
                base: place.at(side * 0.01, 0.02),
                tip: place.at(side * tip.0, tip.1),
                width: width * size,
                belly,
            };
            s.canvas.petal(&wing, |u, v| {
                let rim = smoothstep(0.72, 0.85, u.max(v.abs() * 0.95));
                let vein = smoothstep(0.9, 0.98, (v * 11.0 + u * 2.0).cos().abs());
                let ring = smoothstep(0.62, 0.7, noise.value(vec2(u * spots * 0.4, v.abs() * spots * 0.3)));
                let dots = smoothstep(0.6, 0.9, (v * 26.0).sin()) * smoothstep(0.05, 0.0, (u - 0.88).abs());
                base.mix(marks, 0.8 * ring).mix(edge, rim.max(0.6 * vein)).mix(WHITE, dots) * (0.8 + 0.25 * u)
            });
        }
        let feeler = [(0.0, -0.12), (side * 0.05, -0.25), (side * 0.1, -0.33)].map(|(x, y)| place.at(x, y));
        s.canvas.path(&feeler, 0.005 * size, 0.004 * size, edge);
        s.canvas.disc(feeler[2], 0.011 * size, 0.003, 1.0, edge);
    }
    let mut mass = Body::new(0.02 * size, 0.006 * size);
    mass.chain(
        &[(0.2, 0.016), (0.05, 0.03), (-0.06, 0.034), (-0.12, 0.026)].map(|(y, r)| (place.at(0.0, y), r * size)),
    );
    let (noise, light) = (&s.noise, &s.light);
    mass.draw(&mut s.canvas, noise, |f| edge.mix(base, 0.25 * noise.value(f.p * 90.0)) * light.on(f.normal) * 1.3);
}

/// Six or eight jointed legs on both sides of a body that points up.
fn jointed_legs(s: &mut Stage, place: &Place, roots: &[(f32, f32)], reach: f32, width: f32, colour: Colour) {
    for side in [-1.0f32, 1.0] {
        for &(y, slant) in roots {
            let knee = (side * reach * 0.55, y + slant * 0.5 - 0.05 * reach);
            let points = [(side * 0.05, y), knee, (side * reach, y + slant * 1.3)].map(|(x, y)| place.at(x, y));
            s.canvas.path(&points, width * place.size, width * 0.4 * place.size, colour);
        }
    }
}

pub(super) fn beetle(s: &mut Stage) {
    s.backdrop();
    if s.chance(0.7) {
        big_leaf(s);
    }
    let mut place = s.place(0.5, 0.85);
    place.angle = s.range(-1.2, 1.2);
    let size = place.size;
    s.shadow(place.at(0.03, 0.05), vec2(0.42, 0.42) * size);
    let (base, dark) = (s.palette.bright, s.palette.bright.mix(BLACK, 0.85));
    jointed_legs(s, &place, &[(-0.12, -0.12), (0.0, 0.02), (0.14, 0.16)], 0.42, 0.018, dark);
    for side in [-1.0, 1.0] {
        let feeler = [(side * 0.05, -0.32), (side * 0.12, -0.42), (side * 0.22, -0.45)].map(|(x, y)| place.at(x, y));
        s.canvas.path(&feeler, 0.009 * size, 0.005 * size, dark);
    }
    let shine = |p: Vec2| 0.65 + 0.5 * smoothstep(0.7, 0.0, (p - vec2(-0.3, -0.4)).length());
    s.canvas.ellipse(place.at(0.0, -0.3), vec2(0.1, 0.09) * size, place.angle, |p| dark * shine(p) * 1.3);
    s.canvas
        .ellipse(place.at(0.0, -0.2), vec2(0.17, 0.1) * size, place.angle, |p| dark.mix(base, 0.2) * shine(p) * 1.2);
    let (spotted, spots) = (s.chance(0.6), s.palette.accent.mix(BLACK, 0.6));
    s.canvas.ellipse(place.at(0.0, 0.06), vec2(0.24, 0.3) * size, place.angle, |p| {
        let cell = vec2(p.x.abs() * 2.6, p.y * 2.6 + 0.3);
        let off = vec2(cell.x - cell.x.floor() - 0.5, cell.y - cell.y.floor() - 0.5).length();
        let mark = if spotted { smoothstep(0.3, 0.26, off) } else { smoothstep(0.5, 0.8, (p.x * 22.0).sin()) * 0.5 };
        let seam = smoothstep(0.03, 0.015, p.x.abs());
        let round = 1.0 - 0.55 * p.dot(p);
        let glint = smoothstep(0.3, 0.05, (p - vec2(-0.35, -0.45)).length());
        (base.mix(spots, mark).mix(dark, seam) * (0.45 + 0.75 * round)).mix(WHITE, 0.6 * glint)
    });
}

/// One leaf that fills much of the picture, for insects to sit on.
fn big_leaf(s: &mut Stage) {
    let angle = s.range(0.0, TAU);
    let green = s.palette.growth;
    let axis = Vec2::towards(angle);
    let leaf = Petal { base: axis * -0.75, tip: axis * 0.8, width: s.range(0.28, 0.45), belly: 0.45 };
    let noise = &s.noise;
    s.canvas.petal(&leaf, |u, v| {
        let vein =
            smoothstep(0.03, 0.0, v.abs()).max(0.6 * smoothstep(0.93, 0.99, ((u - v.abs() * 0.25) * 40.0).cos()));
        green.mix(WHITE, 0.35 * vein) * (0.75 + 0.3 * noise.value(vec2(u * 30.0, v * 12.0)) - 0.15 * v)
    });
}

pub(super) fn spider(s: &mut Stage) {
    s.backdrop();
    let mut place = s.place(0.5, 0.8);
    place.angle = s.range(-0.5, 0.5);
    let size = place.size;
    let silk = WHITE.mix(s.palette.sky_low, 0.4) * 0.85;
    if s.chance(0.75) {
        let spokes = 14;
        let spoke = |k: usize, radius: f32| place.centre + Vec2::towards(k as f32 * TAU / spokes as f32) * radius;
        for k in 0..spokes {
            s.canvas.stroke(place.centre, spoke(k, 1.2), 0.0018, 0.0018, silk);
            for ring in 2..12 {
                let radius = ring as f32 * 0.055;
                s.canvas.stroke(spoke(k, radius), spoke(k + 1, radius), 0.0014, 0.0014, silk);
            }
        }
    }
    let base = s.palette.coat;
    let marks = s.palette.bright;
    let roots = [(-0.12, -0.32), (-0.08, -0.12), (-0.03, 0.14), (0.02, 0.36)];
    jointed_legs(s, &place, &roots, 0.46, 0.02, base * 0.6);
    let mut mass = Body::new(0.02 * size, 0.012 * size);
    mass.limb(place.at(0.0, -0.1), place.at(0.0, -0.04), 0.08 * size, 0.08 * size);
    mass.limb(place.at(0.0, 0.1), place.at(0.0, 0.2), 0.11 * size, 0.14 * size);
    let (noise, light) = (&s.noise, &s.light);
    mass.draw(&mut s.canvas, noise, |f| coat(noise, f, Marking::Stripes, (base, marks), size) * light.on(f.normal));
    for side in [-1.0, 1.0] {
        s.eye(place.at(side * 0.03, -0.155), 0.014 * size, BLACK);
    }
}

pub(super) fn dragonfly(s: &mut Stage) {
    s.backdrop();
    let mut place = s.place(0.7, 1.05);
    place.angle = s.range(-0.9, 0.9);
    let size = place.size;
    let (base, glass) = (s.palette.bright, WHITE.mix(s.palette.sky_low, 0.5));
    let dark = base.mix(BLACK, 0.8);
    for side in [-1.0f32, 1.0] {
        for (y, slant) in [(-0.16, -0.1), (-0.08, 0.08)] {
            let wing = Petal {
                base: place.at(side * 0.02, y),
                tip: place.at(side * 0.5, y + slant),
                width: 0.055 * size,
                belly: 0.7,
            };
            s.canvas.petal(&wing, |u, v| {
                let net = smoothstep(0.8, 0.95, (u * 60.0).sin().abs().max((v * 9.0).sin().abs()));
                let mark = if (0.84..0.92).contains(&u) && v * side < 0.0 { 0.9 } else { 0.0 };
                glass.mix(dark, (0.5 * net).max(mark))
            });
        }
    }
    let mut mass = Body::new(0.015 * size, 0.0);
    mass.chain(
        &[(0.46, 0.014), (0.1, 0.016), (0.0, 0.022), (-0.08, 0.045), (-0.17, 0.045)]
            .map(|(y, r)| (place.at(0.0, y), r * size)),
    );
    let (noise, light) = (&s.noise, &s.light);
    mass.draw(&mut s.canvas, noise, |f| {
        let own = (f.p - place.centre).turned(-place.angle) * (1.0 / size);
        let band = smoothstep(0.6, 0.9, (own.y * 70.0).sin());
        base.mix(dark, 0.8 * band) * light.on(f.normal) * 1.1
    });
    for side in [-1.0, 1.0] {
        s.eye(place.at(side * 0.035, -0.235), 0.036 * size, base.mix(s.palette.accent, 0.5));
    }
}

pub(super) fn snake(s: &mut Stage) {
    s.backdrop();
    let place = s.place(0.8, 1.05);
    let size = place.size;
    let (turns, phase) = (s.range(1.2, 2.3), s.range(0.0, 6.0));
    let curve = |t: f32| place.at(-0.5 + 0.95 * t, 0.14 * (t * turns * TAU + phase).sin() * (1.1 - t * 0.5));
    let mut mass = Body::new(0.004 * size, 0.0);
    let joints: Vec<_> = trace(44, curve)
        .into_iter()
        .enumerate()
        .map(|(at, p)| (p, (0.012 + 0.036 * (at as f32 / 44.0 * 2.6).min(1.0)) * size))
        .collect();
    mass.chain(&joints);
    let end = curve(1.0);
    let ahead = end - curve(0.975);
    let ahead = ahead * (1.0 / ahead.length().max(1e-4));
    mass.limb(end, end + ahead * (0.05 * size), 0.052 * size, 0.042 * size);
    mass.limb(end + ahead * (0.05 * size), end + ahead * (0.1 * size), 0.042 * size, 0.028 * size);
    for joint in joints.iter().step_by(3) {
        s.shadow(joint.0 + vec2(0.0, 0.035 * size), vec2(0.07, 0.04) * size);
    }
    let base = s.palette.coat.mix(s.palette.bright, 0.3);
    let marks = contrasting(base);
    let bands = s.range(60.0, 110.0);
    let (noise, light) = (&s.noise, &s.light);
    mass.draw(&mut s.canvas, noise, |f| {
        let own = (f.p - place.centre) * (1.0 / size);
        let diamond = (own.x * bands).sin() + 0.6 * (own.y * bands * 0.9).sin();
        let scales = 0.78 + 0.3 * ((own.x * 240.0).sin() * (own.y * 240.0).sin()).abs();
        base.mix(marks, 0.85 * smoothstep(0.5, 0.8, diamond)) * scales * light.on(f.normal)
    });
    let nose = end + ahead * (0.12 * size);
    let across = vec2(-ahead.y, ahead.x) * size;
    for side in [-1.0, 1.0] {
        let fork = nose + ahead * (0.09 * size) + across * (0.025 * side);
        s.canvas.path(
            &[nose, nose + ahead * (0.06 * size), fork],
            0.004 * size,
            0.002 * size,
            crate::scene::colour::rgb(0x8a1f2a),
        );
        s.eye(end + ahead * (0.06 * size) + across * (0.027 * side), 0.012 * size, s.palette.accent);
    }
}

pub(super) fn lizard(s: &mut Stage) {
    s.backdrop();
    let mut place = s.place(0.85, 1.1);
    place.angle = s.range(-0.9, 0.9);
    let size = place.size;
    let bend = s.range(-0.12, 0.12);
    let spine = |t: f32| place.at(-0.5 + 0.88 * t, bend * (t * 7.0).sin() * (1.2 - t));
    let base = s.palette.bright.mix(s.palette.coat, 0.45);
    let mut mass = Body::new(0.025 * size, 0.0);
    let widths = [0.006, 0.014, 0.024, 0.034, 0.06, 0.068, 0.06, 0.042, 0.06, 0.034];
    let joints: Vec<_> = widths.iter().enumerate().map(|(at, r)| (spine(at as f32 / 9.0), r * size)).collect();
    mass.chain(&joints);
    for (t, ahead) in [(0.42, -0.07), (0.72, 0.09)] {
        for side in [-1.0f32, 1.0] {
            let root = -0.5 + 0.88 * t;
            let points = [
                (root, 0.0, 0.034),
                (root + ahead, side * 0.13, 0.024),
                (root + ahead * 0.2 + 0.03, side * 0.2, 0.018),
            ];
            mass.chain(&points.map(|(x, y, r)| (place.at(x, y), r * size)));
            for toe in [-0.05, 0.0, 0.05] {
                let tip = place.at(root + ahead * 0.2 + 0.05 + toe, side * 0.255);
                mass.limb(place.at(root + ahead * 0.2 + 0.03, side * 0.2), tip, 0.009 * size, 0.01 * size);
            }
        }
    }
    s.shadow(place.at(0.0, 0.04), vec2(0.5, 0.2) * size);
    let (noise, light, marks) = (&s.noise, &s.light, contrasting(base));
    mass.draw(&mut s.canvas, noise, |f| coat(noise, f, Marking::Spots, (base, marks), size) * light.on(f.normal));
    for side in [-1.0, 1.0] {
        let at = place.at(0.3, side * 0.045);
        s.eye(at, 0.017 * size, s.palette.accent);
    }
}

pub(super) fn frog(s: &mut Stage) {
    s.backdrop();
    let place = s.place(0.75, 1.0);
    let size = place.size;
    s.shadow(place.at(0.0, 0.29), vec2(0.45, 0.08) * size);
    let base = s.palette.bright.mix(s.palette.growth, 0.5);
    let mut mass = Body::new(0.06 * size, 0.0);
    mass.limb(place.at(0.0, 0.1), place.at(0.0, -0.04), 0.23 * size, 0.19 * size);
    for side in [-1.0, 1.0] {
        mass.limb(place.at(side * 0.13, -0.2), place.at(side * 0.12, -0.17), 0.075 * size, 0.075 * size);
        let thigh = [(0.2, 0.14, 0.09), (0.36, 0.05, 0.06), (0.3, 0.24, 0.045), (0.42, 0.28, 0.02)];
        mass.chain(&thigh.map(|(x, y, r)| (place.at(side * x, y), r * size)));
        mass.chain(&[(0.12, 0.16, 0.05), (0.15, 0.28, 0.03)].map(|(x, y, r)| (place.at(side * x, y), r * size)));
    }
    let (noise, light, marks) = (&s.noise, &s.light, base.mix(WHITE, 0.5));
    mass.draw(&mut s.canvas, noise, |f| {
        coat(noise, f, Marking::PaleBelly, (base, marks), size).mix(base, 0.4) * light.on(f.normal)
    });
    let dark = base.mix(BLACK, 0.7);
    let mouth = trace(10, |t| place.at(0.34 * (t - 0.5), -0.02 + 0.06 * (t * PI).sin()));
    s.canvas.path(&mouth, 0.007 * size, 0.005 * size, dark);
    let gold = s.palette.accent;
    for side in [-1.0, 1.0] {
        s.eye(place.at(side * 0.135, -0.2), 0.05 * size, gold);
        s.canvas.disc(place.at(side * 0.03, -0.09), 0.008 * size, 0.002, 1.0, dark);
    }
}

pub(super) fn turtle(s: &mut Stage) {
    s.backdrop();
    let place = s.place(0.8, 1.05);
    let size = place.size;
    s.shadow(place.at(0.0, 0.24), vec2(0.48, 0.07) * size);
    let skin = s.palette.growth.mix(s.palette.coat, 0.5);
    let mut mass = Body::new(0.03 * size, 0.0);
    mass.chain(
        &[(0.2, 0.08, 0.07), (0.38, -0.04, 0.05), (0.46, -0.05, 0.055)].map(|(x, y, r)| (place.at(x, y), r * size)),
    );
    for x in [-0.24, -0.12, 0.14, 0.25] {
        mass.limb(place.at(x, 0.1), place.at(x * 1.15, 0.22), 0.06 * size, 0.045 * size);
    }
    mass.limb(place.at(-0.3, 0.13), place.at(-0.42, 0.17), 0.03 * size, 0.008 * size);
    let (noise, light) = (&s.noise, &s.light);
    mass.draw(&mut s.canvas, noise, |f| coat(noise, f, Marking::Spots, (skin, skin * 0.6), size) * light.on(f.normal));
    let (shell, line) = (s.palette.coat, contrasting(s.palette.coat).mix(s.palette.accent, 0.4));
    let dome = trace(24, |t| place.at(-0.34 * (t * PI).cos(), 0.14 - 0.34 * (t * PI).sin().powf(0.8)));
    let light = s.light.direction;
    s.canvas.polygon(&dome, |p| {
        let own = (p - place.centre) * (1.0 / size);
        // Plates in rows, each row shifted by half a plate.
        let row = ((own.y + 1.0) * 8.5).floor();
        let cell = vec2((own.x * 7.0 + row * 0.5).rem_euclid(1.0) - 0.5, ((own.y + 1.0) * 8.5).rem_euclid(1.0) - 0.5);
        let seam = smoothstep(0.36, 0.46, cell.x.abs().max(cell.y.abs()));
        let round = 0.8 - 1.1 * own.y + 0.6 * own.x * light[0];
        shell.mix(line, 0.75 * seam) * round.clamp(0.35, 1.3)
    });
    s.eye(place.at(0.48, -0.07), 0.014 * size, s.palette.accent);
}
