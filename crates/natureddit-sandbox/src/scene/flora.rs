//! Plants and mushrooms.

mod bloom;
mod leaf;
mod stem;

use super::body::Body;
use super::canvas::Petal;
use super::colour::{BLACK, Colour, WHITE};
use super::geometry::Place;
use super::{Stage, Subject, Vec2, vec2};
use bloom::{CLASSIC, DAHLIA, DAISY, LILY, POPPY, SUNFLOWER, bells, bloom, dandelion, iris, spikes, tulips};
use leaf::{broad_leaf, fern, succulent, twig};
use stem::{berries, blossom, bonsai, cactus, mushrooms, wheat};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject { names: &["daisy", "oxeye daisy", "aster", "chamomile", "cosmos"], draw: |s| bloom(s, &DAISY) },
    Subject { names: &["sunflower", "gerbera", "black-eyed Susan", "coneflower"], draw: |s| bloom(s, &SUNFLOWER) },
    Subject { names: &["dahlia", "chrysanthemum", "zinnia", "marigold", "peony"], draw: |s| bloom(s, &DAHLIA) },
    Subject { names: &["poppy", "anemone", "windflower", "hibiscus", "buttercup"], draw: |s| bloom(s, &POPPY) },
    Subject { names: &["lily", "tiger lily", "clematis", "magnolia", "orchid"], draw: |s| bloom(s, &LILY) },
    Subject { names: &["primrose", "wild rose", "periwinkle", "pansy", "geranium"], draw: |s| bloom(s, &CLASSIC) },
    Subject { names: &["tulip", "tulips", "crocus", "crocuses"], draw: tulips },
    Subject { names: &["iris", "bearded iris", "daffodil"], draw: iris },
    Subject { names: &["bluebells", "lily of the valley", "snowdrops", "fritillary", "foxglove"], draw: bells },
    Subject { names: &["lavender", "lupins", "hyacinths", "purple loosestrife"], draw: spikes },
    Subject { names: &["dandelion", "dandelion clock", "salsify seed head"], draw: dandelion },
    Subject { names: &["fern", "fern frond", "bracken", "cycad"], draw: fern },
    Subject { names: &["leaf", "maple leaf", "hosta leaf", "monstera leaf", "beech leaf"], draw: broad_leaf },
    Subject { names: &["succulent", "echeveria", "agave", "houseleek"], draw: succulent },
    Subject { names: &["willow twig", "eucalyptus", "olive branch", "tea plant", "ivy"], draw: twig },
    Subject { names: &["cactus", "saguaro cactus", "cactus flower", "prickly pear"], draw: cactus },
    Subject { names: &["mushroom", "mushrooms", "toadstool", "fly agaric", "ink cap"], draw: mushrooms },
    Subject { names: &["cherry blossom", "apple blossom", "almond blossom", "plum tree in bloom"], draw: blossom },
    Subject { names: &["holly berries", "rowan berries", "rose hips", "elderberries", "blackberries"], draw: berries },
    Subject { names: &["bonsai", "old oak", "juniper bonsai", "lone olive tree", "acacia"], draw: bonsai },
    Subject { names: &["wheat", "barley", "wild grasses", "cat's tail grass"], draw: wheat },
];

/// A leaf with a middle vein, its ribs and a fold: one half lies in the shade.
fn leaf(s: &mut Stage, petal: &Petal, colour: Colour, ribs: f32) {
    let ambient = s.light.ambient;
    let noise = &s.noise;
    let vein = colour.mix(WHITE, 0.3);
    s.canvas.petal(petal, |u, v| {
        let middle = super::geometry::smoothstep(0.07, 0.02, v.abs());
        let rib = super::geometry::smoothstep(0.9, 1.0, ((u - v.abs() * 0.22) * ribs).cos());
        let fold = if v > 0.0 { 0.92 } else { 0.72 };
        let mottled = 0.85 + 0.25 * noise.value(vec2(u * 25.0, v * 9.0));
        colour.mix(vein, middle.max(0.45 * rib)) * (fold + 0.25 * ambient) * mottled
    });
}

/// A stem through points, round and lit.
fn stalk(s: &mut Stage, joints: &[(Vec2, f32)], colour: Colour) {
    let mut body = Body::new(0.006, 0.0);
    body.chain(joints);
    let (noise, light) = (&s.noise, &s.light);
    body.draw(&mut s.canvas, noise, |f| {
        colour * (0.75 + 0.35 * noise.value(vec2(f.p.x * 90.0, f.p.y * 20.0))) * light.on(f.normal)
    });
}

/// A long leaf that rises from the ground and bends over.
fn blade(s: &mut Stage, root: Vec2, height: f32, lean: f32, width: f32, colour: Colour) {
    let steps = 8;
    let at = |t: f32| root + vec2(lean * t * t, -height * t);
    for step in 0..steps {
        let (t, next) = (step as f32 / steps as f32, (step + 1) as f32 / steps as f32);
        let half = |t: f32| width * (1.0 - t * t).max(0.02) * (0.6 + t).min(1.0);
        s.canvas.stroke(at(t), at(next), half(t), half(next), colour * (0.75 + 0.4 * t));
    }
}
