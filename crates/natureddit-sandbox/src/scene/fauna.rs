//! Animals.

mod bird;
mod face;
mod quadruped;
mod small;
mod swimmer;

use super::colour::{BLACK, Colour, WHITE};
use super::noise::Noise;
use super::{Stage, Subject, Surface, Vec2, vec2};
use bird::{CROW, DUCK, HERON, PENGUIN, SONGBIRD, WOODPECKER, flying, perched, swimming};
use face::{BEAR_FACE, CAT_FACE, FOX_FACE, MONKEY_FACE, OWL_FACE, RABBIT_FACE, face};
use quadruped::{
    BEAR, BIG_CAT, CAT, COW, DEER, ELEPHANT, FOX, GIRAFFE, GOAT, HORSE, MOUSE, RABBIT, RHINO, WOLF, ZEBRA, quadruped,
};
use small::{beetle, butterfly, dragonfly, frog, lizard, snake, spider, turtle};
use swimmer::{fish, jellyfish, school, whale};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject { names: &["fox", "red fox", "fox cub", "vixen"], draw: |s| quadruped(s, &FOX) },
    Subject { names: &["wolf", "coyote", "jackal", "stray dog", "husky"], draw: |s| quadruped(s, &WOLF) },
    Subject { names: &["deer", "red deer", "stag", "elk", "white-tailed buck"], draw: |s| quadruped(s, &DEER) },
    Subject { names: &["horse", "wild horse", "pony", "mustang"], draw: |s| quadruped(s, &HORSE) },
    Subject { names: &["zebra", "plains zebra", "zebra foal"], draw: |s| quadruped(s, &ZEBRA) },
    Subject { names: &["cat", "wildcat", "barn cat", "bobcat", "lynx"], draw: |s| quadruped(s, &CAT) },
    Subject { names: &["tiger", "leopard", "jaguar", "cheetah", "big cat"], draw: |s| quadruped(s, &BIG_CAT) },
    Subject { names: &["bear", "brown bear", "grizzly", "black bear"], draw: |s| quadruped(s, &BEAR) },
    Subject { names: &["rabbit", "hare", "cottontail", "bunny"], draw: |s| quadruped(s, &RABBIT) },
    Subject { names: &["elephant", "elephant calf", "tusker"], draw: |s| quadruped(s, &ELEPHANT) },
    Subject { names: &["giraffe", "young giraffe"], draw: |s| quadruped(s, &GIRAFFE) },
    Subject { names: &["ibex", "mountain goat", "antelope", "gazelle", "bighorn"], draw: |s| quadruped(s, &GOAT) },
    Subject { names: &["cow", "highland cow", "bison", "buffalo"], draw: |s| quadruped(s, &COW) },
    Subject { names: &["rhino", "hippo", "wild boar", "tapir"], draw: |s| quadruped(s, &RHINO) },
    Subject { names: &["mouse", "vole", "field mouse", "shrew", "squirrel"], draw: |s| quadruped(s, &MOUSE) },
    Subject { names: &["owl", "barn owl", "tawny owl", "owlet"], draw: |s| face(s, &OWL_FACE) },
    Subject { names: &["kitten", "old tomcat", "lioness", "puma"], draw: |s| face(s, &CAT_FACE) },
    Subject { names: &["bear cub", "panda", "black bear", "otter"], draw: |s| face(s, &BEAR_FACE) },
    Subject { names: &["fox", "coyote pup", "wolf", "dingo"], draw: |s| face(s, &FOX_FACE) },
    Subject { names: &["monkey", "macaque", "langur", "lemur"], draw: |s| face(s, &MONKEY_FACE) },
    Subject { names: &["hare", "wild rabbit", "jackrabbit"], draw: |s| face(s, &RABBIT_FACE) },
    Subject {
        names: &["robin", "wren", "finch", "sparrow", "blue tit", "warbler", "bluebird", "goldfinch", "bunting"],
        draw: |s| perched(s, &SONGBIRD),
    },
    Subject { names: &["kingfisher", "woodpecker", "hummingbird", "bee-eater"], draw: |s| perched(s, &WOODPECKER) },
    Subject { names: &["crow", "raven", "jay", "magpie", "blackbird"], draw: |s| perched(s, &CROW) },
    Subject { names: &["heron", "egret", "stork", "crane", "flamingo"], draw: |s| perched(s, &HERON) },
    Subject { names: &["penguin", "puffin", "auk", "penguin chick"], draw: |s| perched(s, &PENGUIN) },
    Subject { names: &["duck", "mallard", "swan", "grebe", "teal"], draw: |s| swimming(s, &DUCK) },
    Subject { names: &["eagle", "hawk", "kite", "gull", "buzzard", "osprey", "falcon"], draw: flying },
    Subject { names: &["butterfly", "monarch", "swallowtail", "moth", "painted lady"], draw: butterfly },
    Subject { names: &["beetle", "ladybird", "weevil", "scarab", "shield bug"], draw: beetle },
    Subject { names: &["spider", "orb weaver", "wolf spider", "tarantula"], draw: spider },
    Subject { names: &["dragonfly", "damselfly", "darter"], draw: dragonfly },
    Subject { names: &["snake", "python", "rat snake", "viper", "boa"], draw: snake },
    Subject { names: &["gecko", "lizard", "skink", "salamander", "newt"], draw: lizard },
    Subject { names: &["frog", "tree frog", "toad", "bullfrog"], draw: frog },
    Subject { names: &["turtle", "tortoise", "box turtle", "terrapin"], draw: turtle },
    Subject { names: &["fish", "perch", "trout", "angelfish", "wrasse", "carp"], draw: fish },
    Subject { names: &["school of fish", "shoal of sardines", "school of snappers"], draw: school },
    Subject { names: &["whale", "dolphin", "orca", "shark", "humpback"], draw: whale },
    Subject { names: &["jellyfish", "moon jelly", "sea nettle"], draw: jellyfish },
];

/// How a coat is marked.
#[derive(Clone, Copy, PartialEq)]
enum Marking {
    Plain,
    Stripes,
    Spots,
    Patches,
    PaleBelly,
}

/// Fur or hide at a point: `grain` marks a unit of the animal, `marks` is the colour of the markings.
fn coat(noise: &Noise, surface: &Surface, marking: Marking, colours: (Colour, Colour), grain: f32) -> Colour {
    let (base, marks) = colours;
    let p = surface.p * (1.0 / grain);
    let part = match marking {
        Marking::Plain => 0.0,
        Marking::Stripes => {
            let wave = (p.x * 46.0 + 5.0 * noise.value(p * 7.0) + 2.0 * p.y).sin();
            super::geometry::smoothstep(0.1, 0.4, wave)
        }
        Marking::Spots => super::geometry::smoothstep(0.58, 0.66, noise.value(p * 26.0)),
        Marking::Patches => super::geometry::smoothstep(0.5, 0.55, noise.fractal(p * 6.0, 2)),
        Marking::PaleBelly => super::geometry::smoothstep(0.25, 0.75, surface.normal[1]),
    };
    // Hairs run mostly along the body.
    let hair = noise.fractal(vec2(p.x * 40.0, p.y * 90.0), 2);
    base.mix(marks, part) * (0.72 + 0.5 * hair)
}

/// A pale or dark companion of a colour, for markings that can be seen on it.
fn contrasting(colour: Colour) -> Colour {
    if colour.luma() > 0.45 { colour.mix(BLACK, 0.8) } else { colour.mix(WHITE, 0.75) }
}

/// Points along a curve through `count + 1` values of `curve` over 0..1.
fn trace(count: usize, curve: impl Fn(f32) -> Vec2) -> Vec<Vec2> {
    (0..=count).map(|step| curve(step as f32 / count as f32)).collect()
}
