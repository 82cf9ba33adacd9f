//! Four-legged animals seen from the side.

use super::{Marking, Stage, coat, contrasting};
use crate::scene::body::Body;
use crate::scene::colour::{BLACK, Colour, WHITE};
use crate::scene::geometry::{Place, Vec2, vec2};

/// The build of a species, in parts of the animal's length.
pub(super) struct Quadruped {
    leg: f32,
    leg_width: f32,
    chest: f32,
    rump: f32,
    /// From the shoulder to the middle of the head.
    neck: Vec2,
    neck_width: f32,
    head: f32,
    snout: f32,
    ear: Vec2,
    tail: &'static [(f32, f32, f32)],
    crown: Crown,
    markings: &'static [Marking],
    fuzz: f32,
}

#[derive(PartialEq)]
enum Crown {
    None,
    Antlers,
    Horns,
    Mane,
    Trunk,
    NoseHorn,
}

use Marking::{PaleBelly, Patches, Plain, Spots, Stripes};

const BUSHY: &[(f32, f32, f32)] =
    &[(-0.3, -0.02, 0.025), (-0.42, 0.08, 0.06), (-0.55, 0.14, 0.05), (-0.62, 0.15, 0.01)];
const LONG: &[(f32, f32, f32)] =
    &[(-0.3, -0.04, 0.022), (-0.44, 0.08, 0.016), (-0.5, 0.2, 0.014), (-0.58, 0.17, 0.016)];
const HANGING: &[(f32, f32, f32)] = &[(-0.3, -0.04, 0.02), (-0.36, 0.08, 0.012), (-0.37, 0.22, 0.022)];
const STUB: &[(f32, f32, f32)] = &[(-0.3, -0.03, 0.025), (-0.35, -0.04, 0.03)];
const HAIR_TAIL: &[(f32, f32, f32)] = &[(-0.3, -0.06, 0.02), (-0.38, 0.04, 0.035), (-0.4, 0.24, 0.02)];
const UPRIGHT: &[(f32, f32, f32)] =
    &[(-0.28, 0.0, 0.03), (-0.42, -0.1, 0.06), (-0.42, -0.28, 0.07), (-0.5, -0.34, 0.03)];

const BASE: Quadruped = Quadruped {
    leg: 0.3,
    leg_width: 0.03,
    chest: 0.13,
    rump: 0.12,
    neck: vec2(0.16, -0.14),
    neck_width: 0.07,
    head: 0.075,
    snout: 0.12,
    ear: vec2(0.025, 0.09),
    tail: LONG,
    crown: Crown::None,
    markings: &[Plain, PaleBelly],
    fuzz: 0.01,
};
pub(super) const FOX: Quadruped = Quadruped { tail: BUSHY, snout: 0.13, leg: 0.24, markings: &[PaleBelly], ..BASE };
pub(super) const WOLF: Quadruped =
    Quadruped { tail: BUSHY, leg: 0.32, neck_width: 0.09, chest: 0.14, markings: &[PaleBelly, Plain], ..BASE };
pub(super) const DEER: Quadruped = Quadruped {
    leg: 0.42,
    leg_width: 0.02,
    neck: vec2(0.17, -0.3),
    neck_width: 0.06,
    head: 0.055,
    ear: vec2(0.03, 0.09),
    tail: STUB,
    crown: Crown::Antlers,
    markings: &[Plain, PaleBelly, Spots],
    ..BASE
};
pub(super) const HORSE: Quadruped = Quadruped {
    leg: 0.42,
    leg_width: 0.028,
    chest: 0.15,
    rump: 0.15,
    neck: vec2(0.2, -0.27),
    neck_width: 0.085,
    snout: 0.18,
    ear: vec2(0.016, 0.06),
    tail: HAIR_TAIL,
    crown: Crown::Mane,
    markings: &[Plain, Patches],
    fuzz: 0.004,
    ..BASE
};
pub(super) const ZEBRA: Quadruped = Quadruped { markings: &[Stripes], ..HORSE };
pub(super) const CAT: Quadruped = Quadruped {
    leg: 0.22,
    leg_width: 0.032,
    chest: 0.11,
    snout: 0.05,
    head: 0.09,
    neck: vec2(0.13, -0.1),
    ear: vec2(0.035, 0.075),
    markings: &[Plain, Stripes, Patches, PaleBelly],
    ..BASE
};
pub(super) const BIG_CAT: Quadruped = Quadruped {
    leg: 0.26,
    leg_width: 0.042,
    chest: 0.14,
    rump: 0.13,
    snout: 0.07,
    head: 0.09,
    neck_width: 0.09,
    ear: vec2(0.03, 0.03),
    markings: &[Stripes, Spots],
    ..BASE
};
pub(super) const BEAR: Quadruped = Quadruped {
    leg: 0.24,
    leg_width: 0.06,
    chest: 0.19,
    rump: 0.19,
    neck: vec2(0.2, -0.03),
    neck_width: 0.13,
    head: 0.1,
    snout: 0.11,
    ear: vec2(0.03, 0.02),
    tail: STUB,
    markings: &[Plain],
    fuzz: 0.018,
    ..BASE
};
pub(super) const RABBIT: Quadruped = Quadruped {
    leg: 0.14,
    leg_width: 0.035,
    chest: 0.13,
    rump: 0.19,
    neck: vec2(0.12, -0.13),
    neck_width: 0.08,
    head: 0.085,
    snout: 0.05,
    ear: vec2(0.03, 0.24),
    tail: STUB,
    fuzz: 0.014,
    ..BASE
};
pub(super) const ELEPHANT: Quadruped = Quadruped {
    leg: 0.3,
    leg_width: 0.065,
    chest: 0.22,
    rump: 0.21,
    neck: vec2(0.2, -0.1),
    neck_width: 0.14,
    head: 0.14,
    snout: 0.06,
    ear: vec2(0.12, 0.17),
    tail: HANGING,
    crown: Crown::Trunk,
    markings: &[Plain],
    fuzz: 0.0,
};
pub(super) const GIRAFFE: Quadruped = Quadruped {
    leg: 0.5,
    leg_width: 0.026,
    chest: 0.14,
    neck: vec2(0.22, -0.6),
    neck_width: 0.055,
    head: 0.05,
    snout: 0.1,
    ear: vec2(0.02, 0.05),
    tail: HANGING,
    markings: &[Spots, Patches],
    fuzz: 0.0,
    ..BASE
};
pub(super) const GOAT: Quadruped = Quadruped {
    leg: 0.32,
    leg_width: 0.024,
    chest: 0.15,
    neck: vec2(0.15, -0.2),
    head: 0.06,
    tail: STUB,
    crown: Crown::Horns,
    ear: vec2(0.02, 0.06),
    ..BASE
};
pub(super) const COW: Quadruped = Quadruped {
    leg: 0.28,
    leg_width: 0.035,
    chest: 0.2,
    rump: 0.18,
    neck: vec2(0.2, -0.08),
    neck_width: 0.11,
    head: 0.09,
    snout: 0.13,
    ear: vec2(0.03, 0.05),
    tail: HANGING,
    crown: Crown::Horns,
    markings: &[Patches, Plain],
    ..BASE
};
pub(super) const RHINO: Quadruped = Quadruped {
    leg: 0.2,
    leg_width: 0.055,
    chest: 0.2,
    rump: 0.19,
    neck: vec2(0.2, 0.02),
    neck_width: 0.14,
    head: 0.1,
    snout: 0.16,
    ear: vec2(0.025, 0.04),
    tail: HANGING,
    crown: Crown::NoseHorn,
    markings: &[Plain],
    fuzz: 0.0,
};
pub(super) const MOUSE: Quadruped = Quadruped {
    leg: 0.1,
    leg_width: 0.022,
    chest: 0.12,
    rump: 0.17,
    neck: vec2(0.11, -0.04),
    neck_width: 0.09,
    head: 0.08,
    snout: 0.08,
    ear: vec2(0.05, 0.05),
    tail: UPRIGHT,
    fuzz: 0.012,
    ..BASE
};

const HIP: Vec2 = vec2(-0.2, 0.0);
const SHOULDER: Vec2 = vec2(0.2, -0.01);

pub(super) fn quadruped(s: &mut Stage, build: &Quadruped) {
    s.backdrop();
    let tall = 0.3 + build.leg + build.chest - build.neck.y;
    let mut place = s.place(0.62, 1.0);
    place.size /= tall.max(1.0);
    place.angle *= 0.5;
    let feet = place.at(0.0, build.leg + build.chest * 0.8);
    s.shadow(feet, vec2(0.48, 0.07) * place.size);
    let marking = build.markings[(s.range(0.0, 0.999) * build.markings.len() as f32) as usize];
    let base = s.palette.coat;
    let marks = if marking == PaleBelly { base.mix(WHITE, 0.6) } else { contrasting(base) };
    let stride = s.range(-1.0, 1.0);
    let grazing = build.crown != Crown::Trunk && s.chance(0.2);
    let neck = if grazing { vec2(build.neck.x.max(0.12) + 0.06, build.leg * 0.55) } else { build.neck };
    let head = SHOULDER + neck;

    legs(s, build, &place, stride, -0.03, base * 0.55);
    let mut body = Body::new(0.06 * place.size, build.fuzz * place.size);
    trunk_and_neck(&mut body, build, &place, head);
    let (noise, light) = (&s.noise, &s.light);
    let ink = |f: &crate::scene::Surface| coat(noise, f, marking, (base, marks), place.size) * light.on(f.normal);
    body.draw(&mut s.canvas, noise, ink);
    legs(s, build, &place, -stride, 0.02, base);
    head_details(s, build, &place, head, base);
    if s.chance(0.4) {
        s.grass_in_front(feet.y, 120);
    }
}

fn trunk_and_neck(body: &mut Body, build: &Quadruped, place: &Place, head: Vec2) {
    let size = place.size;
    body.limb(place.point(HIP), place.point(SHOULDER), build.rump * size, build.chest * size);
    let nape = SHOULDER.lerp(head, 0.3);
    body.limb(place.point(SHOULDER), place.point(nape), build.chest * 0.8 * size, build.neck_width * 1.15 * size);
    body.limb(place.point(nape), place.point(head), build.neck_width * size, build.neck_width * 0.85 * size);
    let nose = head + vec2(build.head * 0.6 + build.snout, build.head * 0.55);
    body.limb(place.point(head), place.point(nose), build.head * size, build.head * 0.5 * size);
    let tail: Vec<_> = build.tail.iter().map(|&(x, y, r)| (place.at(x, y), r * size)).collect();
    body.chain(&tail);
    if build.crown == Crown::Trunk {
        let joints = [(0.1, 0.06, 0.07), (0.17, 0.2, 0.05), (0.17, 0.36, 0.035), (0.23, 0.42, 0.025)];
        body.chain(&joints.map(|(x, y, r)| (place.point(head + vec2(x, y)), r * size)));
    }
}

/// One front and one hind leg.
fn legs(s: &mut Stage, build: &Quadruped, place: &Place, stride: f32, shift: f32, colour: Colour) {
    let mut body = Body::new(0.02 * place.size, build.fuzz * 0.5 * place.size);
    let width = build.leg_width;
    for (joint, thick, swing) in [(HIP, build.rump * 0.62, stride), (SHOULDER, build.chest * 0.5, -stride)] {
        let top = joint + vec2(shift * 1.5, build.chest * 0.2);
        let knee = top + vec2(swing * 0.05 + shift, build.chest * 0.6 + build.leg * 0.4);
        let foot = vec2(knee.x - swing * 0.09 + shift, build.leg + build.chest * 0.8);
        let points = [(top, thick), (knee, width * 1.25), (foot, width * 0.85), (foot + vec2(width, 0.0), width)];
        body.chain(&points.map(|(p, r)| (place.point(p), r * place.size)));
    }
    let (noise, light) = (&s.noise, &s.light);
    body.draw(&mut s.canvas, noise, |f| coat(noise, f, Plain, (colour, colour), place.size) * light.on(f.normal));
}

fn head_details(s: &mut Stage, build: &Quadruped, place: &Place, head: Vec2, base: Colour) {
    let size = place.size;
    let dark = base.mix(BLACK, 0.6);
    let crown_at = head + vec2(-0.2, -0.75) * build.head;
    match build.crown {
        Crown::Antlers => antlers(s, place, crown_at, contrasting(base).mix(base, 0.4)),
        Crown::Horns => {
            let bone = base.mix(WHITE, 0.45) * 0.8;
            let points = [(0.0, 0.0), (-0.03, -0.1), (-0.1, -0.15), (-0.18, -0.12)];
            let points = points.map(|(x, y)| place.point(crown_at + vec2(x, y)));
            s.canvas.path(&points, 0.026 * size, 0.006 * size, bone);
        }
        Crown::Mane => mane(s, place, head, dark),
        Crown::Trunk => {
            let tusk = [(0.1, 0.1), (0.2, 0.2), (0.3, 0.19)].map(|(x, y)| place.point(head + vec2(x, y)));
            s.canvas.path(&tusk, 0.02 * size, 0.008 * size, WHITE);
        }
        Crown::NoseHorn => {
            let nose = head + vec2(build.snout + 0.04, 0.0);
            let horn = [nose, nose + vec2(0.05, -0.08), nose + vec2(0.06, -0.17)].map(|p| place.point(p));
            s.canvas.path(&horn, 0.035 * size, 0.005 * size, base.mix(WHITE, 0.35));
        }
        Crown::None => {}
    }
    ears(s, build, place, crown_at, base);
    let eye = place.point(head + vec2(0.35, -0.2) * build.head);
    let iris = s.palette.accent.mix(dark, 0.5);
    s.eye(eye, (build.head * 0.17).min(0.016) * size, iris);
    if build.crown != Crown::Trunk {
        let nose = place.point(head + vec2(build.head * 0.9 + build.snout, build.head * 0.35));
        s.canvas.disc(nose, build.head * 0.22 * size, 0.004, 1.0, BLACK);
    }
}

fn ears(s: &mut Stage, build: &Quadruped, place: &Place, at: Vec2, base: Colour) {
    let size = place.size;
    if build.crown == Crown::Trunk {
        // An elephant's ear hangs beside the head.
        let dark = base * 0.7;
        let noise = &s.noise;
        let centre = place.point(at + vec2(-0.1, 0.14));
        let own = s.light.ambient;
        s.canvas.ellipse(centre, build.ear * size, place.angle, |p| {
            dark.mix(base, 0.5 + 0.5 * p.x.abs()) * (0.5 + own * 0.6 + 0.3 * noise.value(p * 4.0))
        });
        return;
    }
    for (shift, colour) in [(-0.4, base * 0.55), (0.25, base * 0.95)] {
        let root = at + vec2(shift * build.head, 0.0);
        let tip = root + vec2(-0.25 * build.ear.y, -build.ear.y);
        s.canvas.stroke(place.point(root), place.point(tip), build.ear.x * size, build.ear.x * 0.25 * size, colour);
    }
}

fn antlers(s: &mut Stage, place: &Place, at: Vec2, colour: Colour) {
    for side in [-1.0, 1.0] {
        let beam = |t: f32| at + vec2(side * 0.12 * t - 0.05 * t, -0.26 * t - 0.03 * t * t);
        let points = super::trace(6, |t| place.point(beam(t)));
        s.canvas.path(&points, 0.013 * place.size, 0.005 * place.size, colour);
        for t in [0.3, 0.55, 0.8] {
            let tip = beam(t) + vec2(0.07, -0.07 - 0.03 * t);
            s.canvas.stroke(place.point(beam(t)), place.point(tip), 0.009 * place.size, 0.003 * place.size, colour);
        }
    }
}

fn mane(s: &mut Stage, place: &Place, head: Vec2, colour: Colour) {
    for step in 0..26 {
        let t = step as f32 / 25.0;
        let root = SHOULDER.lerp(head, t * 0.95) + vec2(-0.07, -0.06 - 0.02 * t);
        let tip = root + vec2(-0.03 - s.range(0.0, 0.03), 0.05 + s.range(0.0, 0.05));
        s.canvas.stroke(place.point(root), place.point(tip), 0.012 * place.size, 0.003 * place.size, colour);
    }
}
