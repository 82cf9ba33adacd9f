//! Flowers.

use std::f32::consts::{PI, TAU};

use rand::Rng;

use super::{BLACK, Body, Colour, Petal, Place, Stage, Vec2, WHITE, blade, leaf, stalk, vec2};
use crate::scene::geometry::smoothstep;

/// The build of a flower seen from the front, in parts of its radius.
pub(super) struct Bloom {
    petals: (usize, usize),
    layers: usize,
    width: f32,
    belly: f32,
    centre: f32,
    /// How strongly petals are streaked or speckled towards the centre.
    speckle: f32,
    stamens: bool,
}

const BASE: Bloom =
    Bloom { petals: (5, 7), layers: 1, width: 0.36, belly: 0.62, centre: 0.16, speckle: 0.3, stamens: false };
pub(super) const DAISY: Bloom = Bloom { petals: (11, 24), width: 0.14, belly: 0.7, centre: 0.26, ..BASE };
pub(super) const SUNFLOWER: Bloom =
    Bloom { petals: (16, 26), layers: 2, width: 0.14, belly: 0.5, centre: 0.42, ..BASE };
pub(super) const DAHLIA: Bloom = Bloom { petals: (14, 20), layers: 6, width: 0.17, belly: 0.6, centre: 0.05, ..BASE };
pub(super) const POPPY: Bloom =
    Bloom { petals: (4, 6), width: 0.52, belly: 0.66, centre: 0.15, speckle: 0.8, stamens: true, ..BASE };
pub(super) const LILY: Bloom =
    Bloom { petals: (5, 7), width: 0.24, belly: 0.48, centre: 0.07, speckle: 1.0, stamens: true, ..BASE };
pub(super) const CLASSIC: Bloom = Bloom { centre: 0.12, width: 0.44, belly: 0.7, speckle: 0.6, ..BASE };

pub(super) fn bloom(s: &mut Stage, flower: &Bloom) {
    s.backdrop();
    let count = if s.chance(0.55) { 1 } else { s.rng.random_range(2..6) };
    let half = s.canvas.half();
    for at in 0..count {
        let mut place = s.place(0.3, 0.46);
        if count > 1 {
            place.size = s.range(0.15, 0.27);
            place.centre = vec2(s.range(-0.75, 0.75) * half.x, (at as f32 / count as f32 - 0.5) * 0.8 * half.y);
        }
        let green = s.palette.growth;
        let foot = vec2(place.centre.x + s.range(-0.15, 0.15), half.y + 0.05);
        let middle = place.centre.lerp(foot, 0.5) + vec2(s.range(-0.04, 0.04), 0.0);
        let joints = [(place.centre, 0.02), (middle, 0.022), (foot, 0.026)].map(|(p, r)| (p, r * (0.5 + place.size)));
        stalk(s, &joints, green);
        for side in [-1.0, 1.0] {
            let base = place.centre.lerp(foot, s.range(0.5, 0.8));
            let tip = base + vec2(side * s.range(0.15, 0.3), -s.range(0.0, 0.15));
            leaf(s, &Petal { base, tip, width: 0.06, belly: 0.45 }, green, 50.0);
        }
        flower_head(s, flower, &place, s.palette.bright);
    }
}

fn flower_head(s: &mut Stage, flower: &Bloom, place: &Place, colour: Colour) {
    let size = place.size;
    let count = s.rng.random_range(flower.petals.0..flower.petals.1);
    let start = s.range(0.0, TAU);
    let flat = s.range(0.75, 1.0);
    let tilt = s.range(-0.5, 0.5);
    let spread = move |angle: f32, radius: f32| {
        let p = Vec2::towards(angle) * (radius * size);
        place.centre + vec2(p.x, p.y * flat).turned(tilt)
    };
    let throat = s.palette.accent;
    for layer in 0..flower.layers {
        let reach = 1.0 - layer as f32 / flower.layers as f32 * 0.85;
        for k in 0..count {
            let angle = start + TAU * (k as f32 + 0.5 * layer as f32) / count as f32 + s.range(-0.05, 0.05);
            let length = reach * s.range(0.92, 1.06);
            let petal = Petal {
                base: spread(angle, flower.centre * 0.4 * reach),
                tip: spread(angle, length),
                width: flower.width * size * reach.max(0.35) * s.range(0.92, 1.05),
                belly: flower.belly,
            };
            one_petal(s, &petal, colour * (1.0 - 0.3 * (k % 2) as f32 * 0.4), throat, flower.speckle);
        }
    }
    if flower.stamens {
        for _ in 0..16 {
            let (angle, radius) = (s.range(0.0, TAU), flower.centre * s.range(1.4, 2.4));
            s.canvas.stroke(place.centre, spread(angle, radius), 0.008 * size, 0.006 * size, throat.mix(WHITE, 0.4));
            s.canvas.disc(spread(angle, radius), 0.026 * size, 0.004, 1.0, throat.mix(BLACK, 0.5));
        }
    }
    disc_florets(s, place, flower.centre, flat, tilt);
}

fn one_petal(s: &mut Stage, petal: &Petal, colour: Colour, throat: Colour, speckle: f32) {
    let noise = &s.noise;
    let (direction, ambient) = (s.light.direction, s.light.ambient);
    let axis = petal.tip - petal.base;
    let across = vec2(-axis.y, axis.x) * (1.0 / axis.length().max(1e-4));
    let facing = across.x * direction[0] + across.y * direction[1];
    s.canvas.petal(petal, |u, v| {
        let streak = noise.value(vec2(v * 9.0, u * 2.0));
        let spot = smoothstep(0.72, 0.8, noise.value(vec2(u * 17.0, v * 8.0)));
        let inner = smoothstep(0.5, 0.05, u) + 0.6 * spot * (1.0 - u);
        let crease = 1.0 - 0.22 * smoothstep(0.12, 0.0, v.abs());
        let round = 0.78 + 0.25 * ambient + 0.35 * facing * v - 0.28 * v * v * v.abs();
        colour.mix(throat, (speckle * inner).min(1.0)) * (crease * round * (0.82 + 0.22 * streak) * (0.75 + 0.3 * u))
    });
}

/// The button in the middle of a flower, florets in a golden-angle spiral.
fn disc_florets(s: &mut Stage, place: &Place, radius: f32, flat: f32, tilt: f32) {
    let size = place.size;
    let (base, dark) = (s.palette.accent, s.palette.accent.mix(BLACK, 0.7));
    let radii = vec2(radius, radius * flat) * size;
    s.canvas.ellipse(place.centre, radii, tilt, |p| dark.mix(base, 0.3 + 0.5 * (1.0 - p.length())));
    let florets = (radius * 700.0) as usize;
    for k in 0..florets {
        let part = (k as f32 / florets as f32).sqrt();
        let p = Vec2::towards(k as f32 * 2.399_963) * (part * radius * size * 0.96);
        let at = place.centre + vec2(p.x, p.y * flat).turned(tilt);
        s.canvas.disc(at, 0.018 * size, 0.004, 0.9, base.mix(dark, 0.6 * (1.0 - part) + 0.3 * (k % 3) as f32 * 0.5));
    }
}

pub(super) fn tulips(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    let count = s.rng.random_range(1..6);
    for at in 0..count {
        let size = if count == 1 { s.range(0.34, 0.45) } else { s.range(0.18, 0.3) };
        let x = if count == 1 { s.range(-0.2, 0.2) } else { ((at as f32 + 0.5) / count as f32 - 0.5) * 1.8 * half.x };
        let centre = vec2(x, s.range(-0.3, 0.1) * half.y);
        let place = Place { centre, size, angle: s.range(-0.2, 0.2), mirrored: false };
        let foot = vec2(x + s.range(-0.06, 0.06), half.y + 0.1);
        let green = s.palette.growth;
        stalk(s, &[(place.at(0.0, 0.4), 0.05 * size), (foot, 0.06 * size)], green);
        for side in [-1.0, 1.0] {
            let (height, bend) = (s.range(0.4, 0.8), side * s.range(0.08, 0.25));
            blade(s, foot, height, bend, 0.09 * size, green);
        }
        let (colour, throat) = (s.palette.bright, s.palette.accent);
        for (tip, width, shade) in
            [(-0.2, 0.2, 0.6), (0.2, 0.2, 0.65), (-0.28, 0.22, 0.85), (0.28, 0.22, 0.8), (0.0, 0.26, 1.0)]
        {
            let petal =
                Petal { base: place.at(tip * 0.25, 0.46), tip: place.at(tip, -0.5), width: width * size, belly: 0.42 };
            one_petal(s, &petal, colour * shade, throat, 0.35);
        }
    }
}

pub(super) fn iris(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    let place = s.place(0.5, 0.75);
    let size = place.size;
    let green = s.palette.growth;
    let foot = vec2(place.centre.x, half.y + 0.1);
    for side in [-1.0, -0.5, 0.6, 1.0] {
        let (height, bend) = (s.range(0.5, 0.9), side * s.range(0.1, 0.3));
        blade(s, foot + vec2(side * 0.08, 0.0), height, bend, 0.03, green);
    }
    stalk(s, &[(place.at(0.0, 0.1), 0.025 * size), (foot, 0.03 * size)], green);
    let (colour, throat) = (s.palette.bright, s.palette.accent);
    // Three petals stand up, three fall down.
    let petals = [
        ((-0.22, -0.42), 0.17),
        ((0.22, -0.42), 0.17),
        ((0.0, -0.5), 0.19),
        ((-0.48, 0.28), 0.17),
        ((0.48, 0.28), 0.17),
        ((0.0, 0.5), 0.19),
    ];
    for (at, ((x, y), width)) in petals.into_iter().enumerate() {
        let petal = Petal { base: place.at(0.0, 0.02), tip: place.at(x, y), width: width * size, belly: 0.66 };
        let shade = if at < 3 { 0.85 } else { 1.0 };
        one_petal(s, &petal, colour * shade, throat, if at < 3 { 0.2 } else { 0.9 });
    }
}

pub(super) fn bells(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    for _ in 0..s.rng.random_range(1..4) {
        let (lean, height) = (s.range(-0.4, 0.4), s.range(0.7, 0.95));
        let foot = vec2(s.range(-0.35, 0.35) - lean * 0.5, half.y + 0.05);
        let curve = |t: f32| foot + vec2(lean * t * t, -height * (t - 0.18 * t * t * t));
        let green = s.palette.growth;
        for side in [-1.0, 1.0] {
            let (height, bend) = (s.range(0.3, 0.6), side * s.range(0.1, 0.3));
            blade(s, foot, height, bend, 0.03, green);
        }
        let joints: Vec<_> = (0..=12).map(|k| (curve(k as f32 / 12.0), 0.012 - 0.0005 * k as f32)).collect();
        stalk(s, &joints, green);
        let bells = s.rng.random_range(5..11);
        for k in 0..bells {
            let t = 0.42 + 0.56 * k as f32 / bells as f32;
            let side = if k % 2 == 0 { 1.0 } else { -1.0 };
            let size = 0.13 - 0.05 * t;
            let centre = curve(t) + vec2(side * 0.06, 0.05);
            s.canvas.stroke(curve(t), centre + vec2(0.0, -size * 0.4), 0.005, 0.004, green);
            bell(s, &Place { centre, size, angle: -side * 0.35, mirrored: false });
        }
    }
}

fn bell(s: &mut Stage, place: &Place) {
    let (colour, ambient, light) = (s.palette.bright, s.light.ambient, s.light.direction[0]);
    let outline = [
        (-0.12, -0.5),
        (0.12, -0.5),
        (0.3, -0.2),
        (0.32, 0.2),
        (0.52, 0.5),
        (0.25, 0.38),
        (0.0, 0.54),
        (-0.25, 0.38),
        (-0.52, 0.5),
        (-0.32, 0.2),
        (-0.3, -0.2),
    ];
    let (centre, angle, size) = (place.centre, place.angle, place.size);
    s.canvas.polygon(&outline.map(|(x, y)| place.at(x, y)), |p| {
        let own = (p - centre).turned(-angle) * (1.0 / size);
        let round = 0.65 + 0.3 * ambient + 0.5 * own.x * light - 0.5 * own.x * own.x;
        colour * (round * (0.9 + 0.15 * (own.x * 22.0).sin()))
    });
}

pub(super) fn spikes(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    let count = s.rng.random_range(3..12);
    for at in 0..count {
        let near = (at as f32 + 1.0) / count as f32;
        let foot = vec2(s.range(-half.x, half.x), half.y + 0.05);
        let (height, lean) = (s.range(0.5, 0.9), s.range(-0.12, 0.12));
        let curve = |t: f32| foot + vec2(lean * t, -height * t);
        let green = s.palette.growth * (0.6 + 0.4 * near);
        stalk(s, &[(foot, 0.01), (curve(1.0), 0.006)], green);
        blade(s, foot, height * 0.5, lean + 0.1, 0.012, green);
        for k in 0..60 {
            let t = 0.45 + 0.55 * k as f32 / 60.0;
            let base = curve(t);
            let out = Vec2::towards(s.range(0.0, TAU)) * (0.05 * (1.25 - t) + 0.008);
            let colour = s.palette.bright * s.range(0.5, 1.1) * (0.6 + 0.4 * near);
            let petal = Petal { base, tip: base + out + vec2(0.0, -0.012), width: 0.013, belly: 0.6 };
            s.canvas.petal(&petal, |u, _| colour * (0.8 + 0.3 * u));
        }
    }
}

pub(super) fn dandelion(s: &mut Stage) {
    s.backdrop();
    let half = s.canvas.half();
    let place = s.place(0.3, 0.45);
    let size = place.size;
    let foot = vec2(place.centre.x + s.range(-0.1, 0.1), half.y + 0.05);
    let green = s.palette.growth;
    stalk(s, &[(place.centre, 0.03 * size), (foot, 0.035 * size)], green);
    let silk = WHITE.mix(s.palette.sky_low, 0.35);
    for k in 0..150 {
        let radius = (k as f32 / 150.0).sqrt();
        let out = Vec2::towards(k as f32 * 2.399_963) * (radius * size);
        let end = place.centre + out * 0.85;
        s.canvas.stroke(place.centre + out * 0.12, end, 0.0016, 0.0016, silk * 0.9);
        for hair in 0..7 {
            let turn = (hair as f32 / 6.0 - 0.5) * PI * 0.9;
            let direction = out.turned(turn) * (1.0 / (radius * size).max(1e-3));
            s.canvas.stroke(end, end + direction * (0.15 * size), 0.0012, 0.0008, silk);
        }
    }
    let mut heart = Body::new(0.01, 0.004);
    heart.limb(place.centre, place.centre, 0.1 * size, 0.1 * size);
    let (noise, light, brown) = (&s.noise, &s.light, s.palette.coat);
    heart.draw(&mut s.canvas, noise, |f| brown * (0.6 + 0.6 * noise.value(f.p * 120.0)) * light.on(f.normal));
}
