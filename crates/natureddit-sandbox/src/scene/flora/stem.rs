//! Mushrooms, cacti, grasses, branches and small trees.

use std::f32::consts::{PI, TAU};

use rand::Rng;

use super::{BLACK, Body, Colour, Petal, Place, Stage, Vec2, WHITE, blade, leaf, stalk, vec2};
use crate::scene::geometry::smoothstep;

pub(super) fn mushrooms(s: &mut Stage) {
    s.backdrop();
    let count = s.rng.random_range(1..5);
    for at in 0..count {
        let mut place = s.place(0.5, 0.75);
        if count > 1 {
            place.size = s.range(0.28, 0.48);
            place.centre.x = ((at as f32 + 0.5) / count as f32 - 0.5) * 1.5 * s.canvas.half().x;
            place.centre.y = s.range(0.0, 0.2);
        }
        one_mushroom(s, &place);
        let ground = place.at(0.0, 0.5).y;
        s.grass_in_front(ground, 60);
    }
}

fn one_mushroom(s: &mut Stage, place: &Place) {
    let size = place.size;
    let pale = s.palette.sky_low.mix(WHITE, 0.5);
    let width = s.range(0.06, 0.11);
    let foot = place.at(0.02, 0.48);
    s.shadow(foot, vec2(0.3, 0.06) * size);
    let joints =
        [(place.at(0.0, -0.08), width * 0.8 * size), (place.at(0.01, 0.25), width * size), (foot, width * 1.35 * size)];
    stalk(s, &joints, pale);
    // The gills show as a dark ellipse under the cap.
    let (flat, tall) = (s.range(0.36, 0.48), s.range(0.28, 0.45));
    let gills = s.palette.coat.mix(BLACK, 0.35);
    s.canvas.ellipse(place.at(0.0, -0.06), vec2(flat * 0.96, 0.085) * size, place.angle, |p| {
        gills * (0.7 + 0.5 * ((p.x / (p.y + 2.2)) * 90.0).sin().abs())
    });
    let dome: Vec<_> = (0..=26)
        .map(|k| {
            let angle = PI * (1.0 + k as f32 / 26.0);
            place.at(flat * angle.cos(), -0.06 + tall * angle.sin())
        })
        .collect();
    let (cap, spots) = (s.palette.bright, s.chance(0.55));
    let (noise, light, centre, angle) = (&s.noise, &s.light, place.centre, place.angle);
    s.canvas.polygon(&dome, |p| {
        let own = (p - centre).turned(-angle) * (1.0 / size);
        let (x, y) = (own.x / flat, (own.y + 0.06) / tall);
        let normal = [x * 0.9, y * 0.9, (1.0 - 0.8 * (x * x + y * y)).max(0.05).sqrt()];
        let spot = if spots { smoothstep(0.64, 0.7, noise.value(own * 13.0)) } else { 0.0 };
        cap.mix(WHITE, 0.9 * spot) * (0.8 + 0.25 * noise.fractal(own * 20.0, 2)) * light.on(normal)
    });
}

pub(super) fn cactus(s: &mut Stage) {
    s.field();
    let place = s.place(0.8, 1.05);
    let size = place.size;
    let green = s.palette.growth;
    let round = s.chance(0.4);
    let trunks: Vec<(Vec<(f32, f32)>, f32)> = if round {
        vec![(vec![(0.0, 0.25), (0.0, 0.1)], 0.3)]
    } else {
        vec![
            (vec![(-0.05, 0.05), (-0.26, 0.02), (-0.27, -0.22)], 0.07),
            (vec![(0.05, 0.16), (0.24, 0.12), (0.25, -0.1)], 0.065),
            (vec![(0.0, 0.55), (0.0, -0.42)], 0.105),
        ]
    };
    for (line, radius) in &trunks {
        let mut body = Body::new(0.01 * size, 0.0);
        let joints: Vec<_> = line.iter().map(|&(x, y)| (place.at(x, y), radius * size)).collect();
        body.chain(&joints);
        let (noise, light) = (&s.noise, &s.light);
        body.draw(&mut s.canvas, noise, |f| {
            // Ribs are evenly spaced around the trunk: closer together towards its sides.
            let rib = (f.normal[0].clamp(-1.0, 1.0).asin() * 9.0).cos();
            green * (0.6 + 0.45 * rib) * light.on(f.normal) * (0.9 + 0.2 * noise.value(f.p * 50.0))
        });
        spines(s, &place, line, *radius);
    }
    if s.chance(0.6) {
        let (x, y) = trunks.last().and_then(|(line, _)| line.last().copied()).unwrap_or_default();
        let top = place.at(x, y - trunks.last().map_or(0.0, |t| t.1));
        for k in 0..9 {
            let tip = top + Vec2::towards(PI + PI * (k as f32 + 0.5) / 9.0) * (0.12 * size);
            let colour = s.palette.bright * s.range(0.8, 1.1);
            s.canvas.petal(&Petal { base: top, tip, width: 0.03 * size, belly: 0.6 }, |u, _| colour * (0.7 + 0.4 * u));
        }
    }
}

fn spines(s: &mut Stage, place: &Place, line: &[(f32, f32)], radius: f32) {
    let pale = s.palette.sky_low.mix(WHITE, 0.5);
    for _ in 0..90 {
        let at = s.range(0.0, line.len() as f32 - 1.001);
        let (a, b) = (line[at as usize], line[at as usize + 1]);
        let part = at.fract();
        let off = Vec2::towards(s.range(0.0, TAU)) * (radius * s.range(0.2, 1.0));
        let root = vec2(a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part) + off;
        for turn in [-0.7, 0.0, 0.7] {
            let tip = root + (off * (1.0 / radius) + vec2(0.0, -0.3)).turned(turn) * 0.035;
            s.canvas.stroke(place.point(root), place.point(tip), 0.002 * place.size, 0.001 * place.size, pale);
        }
    }
}

/// The points at which a branch that crosses the picture carries something, and the branch itself.
fn bough(s: &mut Stage, knots: usize) -> Vec<Vec2> {
    let half = s.canvas.half();
    let from = vec2(-half.x - 0.05, s.range(-0.1, 0.45));
    let to = vec2(half.x * s.range(0.4, 0.95), s.range(-0.35, 0.05));
    let sag = s.range(-0.15, 0.15);
    let curve = |t: f32| from.lerp(to, t) + vec2(0.0, sag * (t * PI).sin());
    let bark = s.palette.coat * 0.7;
    let mut points = Vec::new();
    for k in 0..knots {
        let t = (k as f32 + 0.7) / knots as f32;
        let end = curve(t) + vec2(s.range(-0.05, 0.12), s.range(-0.2, 0.2));
        stalk(s, &[(curve(t - 0.06), 0.01), (end, 0.005)], bark);
        points.push(end);
    }
    let joints: Vec<_> = (0..=12).map(|k| (curve(k as f32 / 12.0), 0.024 - 0.0015 * k as f32)).collect();
    stalk(s, &joints, bark);
    points
}

pub(super) fn blossom(s: &mut Stage) {
    s.backdrop();
    let knots = s.rng.random_range(7..13);
    for knot in bough(s, knots) {
        for _ in 0..s.rng.random_range(2..5) {
            let centre = knot + vec2(s.range(-0.08, 0.08), s.range(-0.08, 0.08));
            let (radius, turn) = (s.range(0.05, 0.085), s.range(0.0, TAU));
            let (colour, heart) = (s.palette.bright.mix(WHITE, 0.35) * s.range(0.85, 1.1), s.palette.accent);
            for k in 0..5 {
                let tip = centre + Vec2::towards(turn + TAU * k as f32 / 5.0) * radius;
                let petal = Petal { base: centre, tip, width: radius * 0.42, belly: 0.68 };
                s.canvas.petal(&petal, |u, v| {
                    colour.mix(heart, 0.5 * smoothstep(0.4, 0.0, u)) * (0.8 + 0.25 * u - 0.15 * v * v)
                });
            }
            for k in 0..9 {
                let end = centre + Vec2::towards(TAU * k as f32 / 9.0 + turn) * (radius * 0.45);
                s.canvas.stroke(centre, end, 0.0015, 0.0015, heart);
                s.canvas.disc(end, 0.0045, 0.002, 1.0, heart.mix(BLACK, 0.3));
            }
        }
    }
}

pub(super) fn berries(s: &mut Stage) {
    s.backdrop();
    let knots = s.rng.random_range(5..9);
    for knot in bough(s, knots) {
        for _ in 0..3 {
            let tip = knot + Vec2::towards(s.range(0.0, TAU)) * s.range(0.14, 0.24);
            let green = s.palette.growth * s.range(0.7, 1.1);
            leaf(s, &Petal { base: knot, tip, width: 0.045, belly: 0.45 }, green, 45.0);
        }
        let colour = s.palette.bright;
        for _ in 0..s.rng.random_range(4..11) {
            let at = knot + vec2(s.range(-0.07, 0.07), s.range(-0.02, 0.13));
            s.canvas.stroke(knot, at, 0.003, 0.003, s.palette.growth * 0.7);
            let radius = s.range(0.026, 0.036);
            let mut body = Body::new(0.001, 0.0);
            body.limb(at, at, radius, radius);
            let (noise, light) = (&s.noise, &s.light);
            body.draw(&mut s.canvas, noise, |f| colour * light.on(f.normal));
            s.canvas.disc(at + vec2(-0.35, -0.4) * radius, radius * 0.2, 0.004, 0.85, WHITE);
            s.canvas.disc(at + vec2(0.0, 0.6) * radius, radius * 0.16, 0.003, 0.9, BLACK);
        }
    }
}

pub(super) fn bonsai(s: &mut Stage) {
    s.field();
    let place = s.place(0.85, 1.05);
    let size = place.size;
    s.shadow(place.at(0.0, 0.47), vec2(0.4, 0.07) * size);
    let bark = s.palette.coat * 0.85;
    let lean = s.range(-0.15, 0.15);
    let trunk = [
        (0.0, 0.46, 0.075),
        (0.05 + lean * 0.3, 0.25, 0.05),
        (-0.04 + lean, 0.05, 0.042),
        (lean, -0.15, 0.03),
        (lean + 0.03, -0.3, 0.015),
    ];
    let mut body = Body::new(0.03 * size, 0.008 * size);
    body.chain(&trunk.map(|(x, y, r)| (place.at(x, y), r * size)));
    let crowns = [(-0.32, 0.02), (0.33, -0.05), (-0.24, -0.2), (0.22, -0.26), (0.0, -0.38)];
    for (x, y) in crowns {
        body.limb(place.at(lean * 0.8, y + 0.12), place.at(x * 0.8, y + 0.02), 0.026 * size, 0.012 * size);
    }
    let (noise, light) = (&s.noise, &s.light);
    body.draw(&mut s.canvas, noise, |f| {
        bark * (0.5 + 0.8 * noise.fractal(vec2(f.p.x * 60.0, f.p.y * 16.0), 3)) * light.on(f.normal)
    });
    for (x, y) in crowns {
        let radii = vec2(s.range(0.17, 0.25), s.range(0.08, 0.12));
        foliage(s, place.at(x, y), radii * size);
    }
}

/// A cloud of small leaves, lighter towards the light.
pub(super) fn foliage(s: &mut Stage, centre: Vec2, radii: Vec2) {
    let leaves = (radii.x * 1500.0) as usize;
    for k in 0..leaves {
        let part = (k as f32 / leaves as f32).sqrt();
        let out = Vec2::towards(s.range(0.0, TAU)) * part;
        let at = centre + vec2(out.x * radii.x, out.y * radii.y);
        let lit = 0.62 - 0.4 * out.y + 0.25 * out.x * s.light.direction[0] + s.range(-0.15, 0.15);
        let tip = at + Vec2::towards(s.range(0.0, TAU)) * s.range(0.018, 0.035);
        let green = s.palette.growth * lit;
        s.canvas.petal(&Petal { base: at, tip, width: 0.011, belly: 0.5 }, |_, _| green);
    }
}

pub(super) fn wheat(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    let count = s.rng.random_range(4..14);
    for at in 0..count {
        let near = 0.5 + 0.5 * (at as f32 + 1.0) / count as f32;
        let foot = vec2(s.range(-half.x, half.x), half.y + 0.1);
        let (height, lean) = (s.range(0.65, 1.0), s.range(-0.25, 0.25));
        let curve = |t: f32| foot + vec2(lean * t * t, -height * t);
        let straw: Colour = s.palette.growth.mix(s.palette.ground, 0.5) * near;
        stalk(s, &[(foot, 0.007), (curve(0.5), 0.006), (curve(0.85), 0.005)], straw);
        let bend = lean + s.range(-0.3, 0.3);
        blade(s, foot, height * 0.6, bend, 0.014, straw);
        let gold = s.palette.accent.mix(s.palette.growth, 0.4) * near;
        for k in 0..22 {
            let t = 0.68 + 0.32 * k as f32 / 22.0;
            let side = if k % 2 == 0 { 1.0 } else { -1.0 };
            let up = curve(t + 0.02) - curve(t);
            let up = up * (1.0 / up.length().max(1e-4));
            let tip = curve(t) + up.turned(side * 0.5) * 0.065;
            s.canvas
                .petal(&Petal { base: curve(t), tip, width: 0.014, belly: 0.5 }, |_, v| gold * (0.95 - 0.3 * v.abs()));
            s.canvas.stroke(tip, tip + up.turned(side * 0.25) * 0.11, 0.0016, 0.0008, gold * 1.1);
        }
    }
}
