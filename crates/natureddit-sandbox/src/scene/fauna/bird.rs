//! Birds: on a branch or their feet, on water, in the air.

use super::{Stage, contrasting, trace};
use crate::scene::body::Body;
use crate::scene::canvas::Petal;
use crate::scene::colour::{BLACK, Colour, WHITE};
use crate::scene::geometry::{Place, Vec2, smoothstep, vec2};

/// The build of a bird, in parts of its length.
pub(super) struct Bird {
    beak: f32,
    beak_width: f32,
    tail: f32,
    leg: f32,
    /// From the middle of the body to the head.
    neck: Vec2,
    neck_width: f32,
    head: f32,
    /// How upright the body stands, in radians.
    upright: f32,
    on_branch: bool,
}

pub(super) const SONGBIRD: Bird = Bird {
    beak: 0.09,
    beak_width: 0.03,
    tail: 0.28,
    leg: 0.1,
    neck: vec2(0.17, -0.17),
    neck_width: 0.1,
    head: 0.1,
    upright: 0.1,
    on_branch: true,
};
pub(super) const WOODPECKER: Bird =
    Bird { beak: 0.22, beak_width: 0.025, tail: 0.2, neck: vec2(0.16, -0.2), head: 0.11, upright: 0.45, ..SONGBIRD };
pub(super) const CROW: Bird = Bird { beak: 0.15, beak_width: 0.045, tail: 0.34, neck: vec2(0.2, -0.15), ..SONGBIRD };
pub(super) const HERON: Bird = Bird {
    beak: 0.24,
    beak_width: 0.022,
    tail: 0.12,
    leg: 0.45,
    neck: vec2(0.22, -0.48),
    neck_width: 0.04,
    head: 0.055,
    upright: 0.15,
    on_branch: false,
};
pub(super) const PENGUIN: Bird = Bird {
    beak: 0.1,
    beak_width: 0.03,
    tail: 0.06,
    leg: 0.04,
    neck: vec2(0.06, -0.3),
    neck_width: 0.13,
    head: 0.1,
    upright: 1.25,
    on_branch: false,
};
pub(super) const DUCK: Bird = Bird {
    beak: 0.12,
    beak_width: 0.04,
    tail: 0.14,
    leg: 0.0,
    neck: vec2(0.22, -0.2),
    neck_width: 0.06,
    head: 0.085,
    upright: 0.0,
    on_branch: false,
};

pub(super) fn perched(s: &mut Stage, bird: &Bird) {
    s.backdrop();
    let mut place = s.place(0.6, 0.95);
    place.size /= (0.9 + bird.leg - bird.neck.y - 0.27).max(1.0);
    let feet = 0.14 + bird.leg;
    if bird.on_branch {
        branch(s, place.at(0.0, feet + 0.02), 0.035 * place.size);
    } else {
        s.shadow(place.at(0.0, feet + 0.03), vec2(0.3, 0.05) * place.size);
    }
    let claws = s.palette.accent.mix(BLACK, 0.5);
    for shift in [-0.05, 0.05] {
        let (hip, foot) = (place.at(shift, 0.08), place.at(shift + 0.02, feet));
        s.canvas.stroke(hip, foot, 0.012 * place.size, 0.009 * place.size, claws);
        for toe in [-0.05, 0.02, 0.06] {
            let tip = place.at(shift + 0.02 + toe, feet + 0.025);
            s.canvas.stroke(foot, tip, 0.009 * place.size, 0.004 * place.size, claws);
        }
    }
    body(s, bird, &place);
}

/// Body, head, wing and tail of a bird that faces right.
fn body(s: &mut Stage, bird: &Bird, place: &Place) {
    let size = place.size;
    let turn = |x: f32, y: f32| {
        let p = vec2(x, y).turned(-bird.upright);
        place.at(p.x, p.y)
    };
    let (back, belly, cap) = (s.palette.coat, s.palette.bright, s.palette.accent);
    let head = place.point(bird.neck);
    let tail = Petal { base: turn(-0.12, 0.0), tip: turn(-0.2 - bird.tail, 0.06), width: 0.05 * size, belly: 0.75 };
    s.canvas.petal(&tail, |u, v| back.mix(BLACK, 0.3 + 0.3 * u) * (1.0 - 0.25 * (v * 6.0).sin().abs()));
    let mut mass = Body::new(0.07 * size, 0.006 * size);
    mass.limb(turn(-0.17, 0.02), turn(0.08, 0.0), 0.08 * size, 0.145 * size);
    let bend = place.point(vec2(bird.neck.x * 0.95, bird.neck.y * 0.35));
    mass.chain(&[(turn(0.08, 0.0), 0.12 * size), (bend, bird.neck_width * size), (head, bird.neck_width * size)]);
    mass.limb(head, head, bird.head * size, bird.head * size);
    let (noise, light) = (&s.noise, &s.light);
    let head_reach = bird.head * size * 1.15;
    mass.draw(&mut s.canvas, noise, |f| {
        let fluff = 0.75 + 0.45 * noise.fractal(f.p * (60.0 / size), 2);
        let front = if (f.p - head).length() < head_reach && f.normal[1] < 0.25 { cap.mix(back, 0.4) } else { belly };
        front.mix(back, smoothstep(0.1, -0.5, f.normal[1])) * fluff * light.on(f.normal)
    });
    let wing = Petal { base: turn(0.12, -0.05), tip: turn(-0.36, 0.05), width: 0.105 * size, belly: 0.35 };
    feathered(s, &wing, back);
    let beak = bird.head * 0.7;
    let beak_colour = s.palette.accent.mix(BLACK, 0.4);
    let ahead = if place.mirrored { -1.0 } else { 1.0 };
    let tip = head + vec2(ahead * (bird.head + bird.beak), bird.head * 0.25) * size;
    let (top, low) = (vec2(ahead * beak, -bird.beak_width), vec2(ahead * beak, bird.beak_width * 1.2));
    s.canvas.polygon(&[head + top * size, tip, head + low * size], |_| beak_colour);
    s.eye(head + vec2(ahead * 0.3, -0.2) * (bird.head * size), bird.head * 0.17 * size, BLACK.mix(cap, 0.25));
}

/// A folded or spread wing with rows of feathers.
fn feathered(s: &mut Stage, wing: &Petal, colour: Colour) {
    let bars = contrasting(colour).mix(colour, 0.35);
    let ambient = s.light.ambient;
    s.canvas.petal(wing, |u, v| {
        let vane = (u * 34.0 + v.abs() * 5.0).sin() * 0.5 + 0.5;
        let bar = smoothstep(0.86, 0.95, ((u * 3.0 + v * 0.2) * std::f32::consts::PI).sin().abs());
        colour.mix(bars, 0.7 * bar) * (0.55 + 0.5 * ambient + 0.25 * vane - 0.25 * v)
    });
}

/// A branch right across the picture.
pub(super) fn branch(s: &mut Stage, through: Vec2, radius: f32) {
    let tilt = s.range(-0.25, 0.25);
    let half = s.canvas.half();
    let mut mass = Body::new(0.02, 0.004);
    let wobble = s.range(0.0, 30.0);
    let points: Vec<_> = (-6..=6)
        .map(|step| {
            let x = through.x + step as f32 / 5.0 * half.x;
            let off = 0.06
                * (s.noise.value(vec2(x * 3.0 + wobble, 0.5)) - s.noise.value(vec2(through.x * 3.0 + wobble, 0.5)));
            (vec2(x, through.y + (x - through.x) * tilt + off), radius * (1.0 - 0.05 * step as f32))
        })
        .collect();
    mass.chain(&points);
    let (noise, light, bark) = (&s.noise, &s.light, s.palette.coat.mix(s.palette.ground, 0.5) * 0.75);
    mass.draw(&mut s.canvas, noise, |f| {
        bark * (0.55 + 0.8 * noise.fractal(vec2(f.p.x * 14.0, f.p.y * 60.0), 3)) * light.on(f.normal)
    });
    for _ in 0..5 {
        let (x, side) = (s.range(-half.x, half.x), if s.chance(0.5) { -1.0 } else { 1.0 });
        let base = vec2(x, through.y + (x - through.x) * tilt);
        let tip = base + vec2(s.range(-0.1, 0.1), side * s.range(0.08, 0.18));
        let leaf = Petal { base, tip, width: 0.03, belly: 0.45 };
        let green = s.palette.growth * s.range(0.7, 1.1);
        s.canvas.petal(&leaf, |_, v| green * if v.abs() < 0.08 { 0.7 } else { 1.0 - 0.15 * v });
    }
}

pub(super) fn swimming(s: &mut Stage, bird: &Bird) {
    let level = s.range(-0.05, 0.15);
    crate::scene::landscape::lake(s, -0.5);
    let mut place = s.place(0.6, 0.9);
    place.centre.y = level;
    body(s, bird, &place);
    // Water hides the lower body; rings run out from it.
    let (low, top) = (s.palette.sky_low, s.palette.sky_top);
    let waterline = level + 0.07 * place.size;
    let noise = &s.noise;
    let half = s.canvas.half();
    let bounds = crate::scene::geometry::Bounds { low: vec2(-half.x, waterline - 0.02), high: half };
    let centre = place.centre;
    s.canvas.stamp(bounds, |p| {
        let near = (p - vec2(centre.x, waterline)).length();
        let ripple = noise.value(vec2(p.x * 8.0, p.y * 60.0));
        let ring = ((near * 60.0).sin() * 0.5 + 0.5) * smoothstep(0.7, 0.2, near);
        let cover = smoothstep(-0.006, 0.01, p.y - waterline + 0.012 * (ripple - 0.5));
        let dark = smoothstep(0.4, 0.0, near) * 0.35;
        (top.mix(low, 0.3 * ripple + 0.5 * ring) * (0.85 - dark), cover * smoothstep(0.75, 0.45, near))
    });
}

pub(super) fn flying(s: &mut Stage) {
    if s.chance(0.6) {
        s.open_sky();
    } else {
        s.backdrop();
    }
    let mut place = s.place(0.7, 1.05);
    place.angle = s.range(-0.35, 0.35);
    let size = place.size;
    let colour = s.palette.coat;
    let lift = s.range(-0.05, 0.28);
    let tail = s.range(0.04, 0.1);
    for feather in -3..=3 {
        let spread = feather as f32 * tail / 2.0;
        let petal =
            Petal { base: place.at(0.0, 0.1), tip: place.at(spread * 1.6, 0.32), width: 0.022 * size, belly: 0.8 };
        s.canvas.petal(&petal, |u, v| colour.mix(WHITE, 0.25 * u) * (0.75 - 0.2 * v));
    }
    for side in [-1.0f32, 1.0] {
        wing(s, &place, side, lift, colour);
    }
    let mut mass = Body::new(0.03 * size, 0.004 * size);
    mass.chain(&[
        (place.at(0.0, 0.14), 0.03 * size),
        (place.at(0.0, 0.0), 0.06 * size),
        (place.at(0.0, -0.13), 0.04 * size),
    ]);
    let (noise, light, head) = (&s.noise, &s.light, s.palette.bright);
    let nose = place.at(0.0, -0.13);
    mass.draw(&mut s.canvas, noise, |f| {
        let base = if (f.p - nose).length() < 0.06 * size { head } else { colour };
        base * (0.7 + 0.5 * noise.fractal(f.p * 60.0, 2)) * light.on(f.normal)
    });
    let beak = [place.at(-0.02, -0.165), place.at(0.02, -0.165), place.at(0.0, -0.22)];
    let yellow = s.palette.accent;
    s.canvas.polygon(&beak, |_| yellow);
}

/// A spread wing: an arm with long feathers that fan out.
fn wing(s: &mut Stage, place: &Place, side: f32, lift: f32, colour: Colour) {
    let size = place.size;
    let arm = |t: f32| vec2(side * (0.04 + 0.44 * t), -0.05 - lift * t - 0.12 * (t * std::f32::consts::PI).sin());
    let tips = contrasting(colour).mix(colour, 0.4);
    for step in 0..18 {
        let t = step as f32 / 17.0;
        let fan = vec2(side * 0.3 * t * t, 1.0 - 0.75 * t * t);
        let length = 0.16 + 0.1 * t * t;
        let tip = arm(t) + fan * length;
        let feather = Petal { base: place.point(arm(t)), tip: place.point(tip), width: 0.026 * size, belly: 0.6 };
        s.canvas.petal(&feather, |u, v| colour.mix(tips, smoothstep(0.55, 0.9, u)) * (0.85 - 0.3 * v.abs()));
    }
    let points = trace(10, |t| place.point(arm(t)));
    s.canvas.path(&points, 0.04 * size, 0.015 * size, colour * 0.85);
}
