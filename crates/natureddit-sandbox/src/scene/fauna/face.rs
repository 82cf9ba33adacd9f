//! Animals that look into the camera.

use rand::Rng;

use super::{Marking, Stage, coat, contrasting};
use crate::scene::body::Body;
use crate::scene::canvas::Petal;
use crate::scene::colour::{BLACK, Colour, WHITE};
use crate::scene::geometry::{Place, vec2};

/// The look of a face, in parts of its width.
pub(super) struct Face {
    ears: Ears,
    /// Half-width and height of an ear.
    ear: (f32, f32),
    eye: f32,
    eye_gap: f32,
    muzzle: f32,
    beak: bool,
    /// Dark or pale fields around the eyes.
    mask: f32,
    long: f32,
    markings: &'static [Marking],
}

#[derive(PartialEq)]
enum Ears {
    Pointed,
    Round,
    Long,
}

const BASE: Face = Face {
    ears: Ears::Pointed,
    ear: (0.13, 0.3),
    eye: 0.055,
    eye_gap: 0.17,
    muzzle: 0.15,
    beak: false,
    mask: 0.0,
    long: 0.05,
    markings: &[Marking::Plain, Marking::Patches],
};
pub(super) const CAT_FACE: Face = Face { markings: &[Marking::Stripes, Marking::Plain, Marking::Spots], ..BASE };
pub(super) const FOX_FACE: Face = Face { ear: (0.14, 0.36), muzzle: 0.13, long: 0.16, mask: 0.1, ..BASE };
pub(super) const BEAR_FACE: Face = Face {
    ears: Ears::Round,
    ear: (0.12, 0.1),
    eye: 0.04,
    muzzle: 0.19,
    mask: 0.09,
    long: 0.1,
    markings: &[Marking::Plain],
    ..BASE
};
pub(super) const MONKEY_FACE: Face =
    Face { ears: Ears::Round, ear: (0.09, 0.0), eye: 0.05, eye_gap: 0.13, muzzle: 0.2, mask: 0.15, ..BEAR_FACE };
pub(super) const RABBIT_FACE: Face =
    Face { ears: Ears::Long, ear: (0.085, 0.55), eye: 0.06, eye_gap: 0.22, muzzle: 0.12, long: 0.1, ..BASE };
pub(super) const OWL_FACE: Face = Face {
    ear: (0.06, 0.14),
    eye: 0.095,
    eye_gap: 0.16,
    muzzle: 0.0,
    beak: true,
    mask: 0.19,
    long: 0.02,
    markings: &[Marking::Spots, Marking::Stripes],
    ..BASE
};

pub(super) fn face(s: &mut Stage, look: &Face) {
    s.backdrop();
    let mut place = s.place(0.62, 0.95);
    place.centre.y += 0.04;
    let base = s.palette.coat;
    let marking = look.markings[s.rng.random_range(0..look.markings.len())];
    let marks = contrasting(base).mix(base, 0.3);
    ears(s, look, &place, base);
    let size = place.size;
    let mut body = Body::new(0.12 * size, 0.022 * size);
    body.limb(place.at(0.0, 0.0), place.at(0.0, look.long), 0.31 * size, 0.27 * size);
    for side in [-1.0, 1.0] {
        body.limb(place.at(side * 0.12, 0.08), place.at(side * 0.2, 0.14), 0.17 * size, 0.12 * size);
    }
    body.limb(place.at(0.0, 0.3), place.at(0.0, 0.75), 0.22 * size, 0.42 * size);
    let (noise, light) = (&s.noise, &s.light);
    body.draw(&mut s.canvas, noise, |f| coat(noise, f, marking, (base, marks), size) * light.on(f.normal));
    features(s, look, &place, base);
}

fn ears(s: &mut Stage, look: &Face, place: &Place, base: Colour) {
    let size = place.size;
    for side in [-1.0f32, 1.0] {
        let (width, height) = look.ear;
        let root = (side * 0.19, -0.17);
        if look.ears == Ears::Round {
            let at = if height > 0.0 { place.at(side * 0.25, -0.24) } else { place.at(side * 0.36, 0.0) };
            s.canvas.disc(at, width * size, 0.015 * size, 1.0, base * 0.8);
            s.canvas.disc(at, width * 0.6 * size, 0.03 * size, 1.0, base.mix(BLACK, 0.45));
            continue;
        }
        let lean = if look.ears == Ears::Long { 0.06 } else { 0.11 };
        let tip = place.at(root.0 + side * lean, root.1 - height);
        let belly = if look.ears == Ears::Long { 0.55 } else { 0.22 };
        let ear = Petal { base: place.at(root.0 - side * 0.03, root.1 + 0.12), tip, width: width * size, belly };
        let inner = base.mix(crate::scene::colour::rgb(0xd9a08f), 0.5);
        s.canvas.petal(&ear, |u, v| {
            let inside = crate::scene::geometry::smoothstep(0.62, 0.4, v.abs()) * (1.0 - u);
            base.mix(inner * 0.8, inside) * (0.95 - 0.25 * v.abs())
        });
    }
}

fn features(s: &mut Stage, look: &Face, place: &Place, base: Colour) {
    let size = place.size;
    let (pale, dark) = (base.mix(WHITE, 0.6), base.mix(BLACK, 0.75));
    let mask = if base.luma() > 0.5 { dark } else { pale };
    for side in [-1.0, 1.0] {
        let eye = place.at(side * look.eye_gap, -0.06);
        if look.mask > 0.0 {
            s.canvas.disc(eye, look.mask * size, 0.05 * size, 0.75, mask);
        }
    }
    let low = 0.12 + look.long;
    if look.muzzle > 0.0 {
        for side in [-1.0, 1.0] {
            let centre = place.at(side * look.muzzle * 0.45, low);
            s.canvas.disc(centre, look.muzzle * 0.62 * size, 0.06 * size, 0.8, pale);
        }
    }
    let iris = s.palette.bright.mix(s.palette.accent, 0.3);
    for side in [-1.0, 1.0] {
        s.eye(place.at(side * look.eye_gap, -0.06), look.eye * size, iris);
    }
    if look.beak {
        let beak = [(-0.045, 0.02), (0.045, 0.02), (0.02, 0.12), (0.0, 0.16), (-0.02, 0.12)];
        s.canvas.polygon(&beak.map(|(x, y)| place.at(x, y)), |_| iris.mix(dark, 0.5));
        return;
    }
    let nose_y = low - 0.07;
    let nose = [(-0.055, nose_y - 0.03), (0.055, nose_y - 0.03), (0.02, nose_y + 0.03), (-0.02, nose_y + 0.03)];
    s.canvas.polygon(&nose.map(|(x, y)| place.at(x, y)), |_| BLACK.mix(base, 0.1));
    let line = 0.006 * size;
    s.canvas.stroke(place.at(0.0, nose_y + 0.02), place.at(0.0, nose_y + 0.09), line, line, dark);
    for side in [-1.0, 1.0] {
        let mouth = [(0.0, nose_y + 0.09), (side * 0.05, nose_y + 0.115), (side * 0.1, nose_y + 0.1)];
        s.canvas.path(&mouth.map(|(x, y)| place.at(x, y)), line, line * 0.6, dark);
        for row in [-1.0, 0.0, 1.0] {
            let tip = vec2(side * 0.42, low + 0.06 * row - 0.02);
            let root = place.at(side * look.muzzle * 0.6, low + 0.02 * row);
            s.canvas.stroke(root, place.point(tip), 0.0025 * size, 0.001 * size, pale.mix(WHITE, 0.5));
        }
    }
}
