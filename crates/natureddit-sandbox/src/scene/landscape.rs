//! Land, sea and sky.

mod ground;
mod sky;
mod water;

use super::colour::{BLACK, Colour, WHITE};
use super::noise::Noise;
use super::{Stage, Subject, Vec2, vec2};
use ground::{canyon, dunes, forest, hills, mountains, woods};
use sky::{aurora, night};
pub(super) use water::lake;
use water::{bergs, coast, mountain_lake, sea, waterfall};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject { names: &["mountains", "mountain range", "alpine ridge", "summit view", "high peaks"], draw: mountains },
    Subject { names: &["mountain lake", "alpine lake", "reservoir", "tarn", "fjord"], draw: mountain_lake },
    Subject { names: &["sea", "ocean horizon", "beach at low tide", "seascape", "sunset over the sea"], draw: sea },
    Subject { names: &["sea cliffs", "rocky coast", "headland", "sea stacks"], draw: coast },
    Subject { names: &["dunes", "sand dunes", "desert", "desert landscape"], draw: dunes },
    Subject { names: &["night sky", "Milky Way", "stars over the hills", "starry night"], draw: night },
    Subject { names: &["northern lights", "aurora", "aurora borealis"], draw: aurora },
    Subject { names: &["forest valley", "misty forest", "pine forest", "foggy hills"], draw: forest },
    Subject { names: &["woods", "forest path", "birch forest", "winter forest"], draw: woods },
    Subject { names: &["canyon", "mesa", "badlands", "rock formations"], draw: canyon },
    Subject { names: &["rolling hills", "meadow", "countryside", "valley", "fields"], draw: hills },
    Subject { names: &["icebergs", "glacier lagoon", "drift ice"], draw: bergs },
    Subject { names: &["waterfall", "falls", "cascade", "gorge"], draw: waterfall },
];

/// The height of a ridge at `x`: `rough` peaks in a unit, `tall` high, about 0.
fn ridge(noise: &Noise, x: f32, rough: f32, tall: f32, row: f32) -> f32 {
    -tall * (noise.ridged(vec2(x * rough + row * 13.7, row * 5.3), 5) - 0.55) * 1.6
}

/// A smooth hill line.
fn hill(noise: &Noise, x: f32, rough: f32, tall: f32, row: f32) -> f32 {
    -tall * (noise.fractal(vec2(x * rough + row * 11.1, row * 3.7), 3) - 0.5) * 2.0
}

/// A conifer whose foot stands at `foot`.
fn conifer(s: &mut Stage, foot: Vec2, height: f32, colour: Colour) {
    let tiers = 5;
    let width = height * s.range(0.17, 0.24);
    for tier in 0..tiers {
        let low = foot.y - height * (0.1 + 0.8 * tier as f32 / tiers as f32);
        let half = width * (1.0 - 0.8 * tier as f32 / tiers as f32);
        let top = low - height * 0.34;
        let droop = height * 0.03;
        let shape = [
            vec2(foot.x - half, low + droop),
            vec2(foot.x, low),
            vec2(foot.x + half, low + droop),
            vec2(foot.x, top.max(foot.y - height)),
        ];
        s.canvas.polygon(&shape, |p| colour * (0.85 + 0.3 * smooth_side(p.x - foot.x, half)));
    }
    s.canvas.stroke(foot, foot + vec2(0.0, -height * 0.15), height * 0.018, height * 0.015, colour * 0.6);
}

fn smooth_side(x: f32, half: f32) -> f32 {
    (x / half.max(1e-4)).clamp(-1.0, 1.0)
}
