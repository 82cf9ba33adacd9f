//! Drawn scenes of the three kinds. What is shown decides the shapes; the colours, the light and the background
//! are chosen from the same stock for all kinds, so that colours alone do not give the kind away.

mod backdrop;
mod body;
mod canvas;
mod colour;
#[cfg(test)]
mod colour_test;
mod fauna;
mod film;
mod flora;
mod geometry;
mod landscape;
mod noise;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use body::{Light, Surface};
use canvas::Canvas;
use colour::{BLACK, Colour, Palette, WHITE};
use film::Film;
use geometry::{Place, Vec2, vec2};
use noise::Noise;

/// The longer side a scene is drawn at; larger pictures are enlarged from it, which takes far less time.
const DRAWN_SIDE_MAX: usize = 640;

/// What kind of scene a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Fauna,
    Flora,
    Landscape,
}

/// One thing that can be drawn, and what people call it.
pub(crate) struct Subject {
    pub(crate) names: &'static [&'static str],
    draw: fn(&mut Stage),
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Fauna, Self::Flora, Self::Landscape];

    /// The class name that means this kind.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fauna => "fauna",
            Self::Flora => "flora",
            Self::Landscape => "landscape",
        }
    }

    /// Everything of this kind that can be drawn.
    pub(crate) fn subjects(self) -> &'static [Subject] {
        match self {
            Self::Fauna => fauna::SUBJECTS,
            Self::Flora => flora::SUBJECTS,
            Self::Landscape => landscape::SUBJECTS,
        }
    }
}

/// The state of a picture while it is drawn.
struct Stage {
    canvas: Canvas,
    rng: ChaCha8Rng,
    noise: Noise,
    palette: Palette,
    light: Light,
}

/// A picture as rows of RGB bytes. The same seed at another size gives the same picture, enlarged or reduced.
pub(crate) fn draw(subject: &Subject, seed: u64, width: u32, height: u32) -> image::RgbImage {
    let (wide, high) = (width as usize, height as usize);
    let shrink = (wide.max(high) as f32 / DRAWN_SIDE_MAX as f32).max(1.0);
    let drawn = |side: usize| ((side as f32 / shrink).round() as usize).max(1);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let film = Film::new(&mut rng);
    let mut stage = Stage {
        canvas: Canvas::new(drawn(wide), drawn(high)),
        noise: Noise::new(&mut rng),
        palette: Palette::new(&mut rng),
        light: light(&mut rng),
        rng,
    };
    (subject.draw)(&mut stage);
    film.develop(stage.canvas, seed, width, height)
}

fn light(rng: &mut ChaCha8Rng) -> Light {
    let (x, y): (f32, f32) = (rng.random_range(-0.7..0.7), rng.random_range(-0.85..-0.25));
    let z = rng.random_range(0.4..0.8);
    let length = (x * x + y * y + z * z).sqrt();
    Light { direction: [x / length, y / length, z / length], ambient: rng.random_range(0.3..0.55) }
}

impl Stage {
    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn range(&mut self, low: f32, high: f32) -> f32 {
        self.rng.random_range(low..high)
    }

    /// Somewhere near the middle, `low` to `high` of the shorter side large, facing either way.
    fn place(&mut self, low: f32, high: f32) -> Place {
        let half = self.canvas.half();
        Place {
            centre: vec2(self.range(-0.25, 0.25) * half.x, self.range(-0.12, 0.16) * half.y),
            size: self.range(low, high),
            angle: self.range(-0.08, 0.08),
            mirrored: self.chance(0.5),
        }
    }

    /// A soft dark patch on the ground under something.
    fn shadow(&mut self, centre: Vec2, radii: Vec2) {
        let bounds = geometry::Bounds::around([centre], radii.x.max(radii.y));
        self.canvas.stamp(bounds, |p| {
            let own = vec2((p.x - centre.x) / radii.x, (p.y - centre.y) / radii.y);
            (BLACK, 0.5 * geometry::smoothstep(1.0, 0.2, own.length()))
        });
    }

    /// A round eye with a glint.
    fn eye(&mut self, centre: Vec2, radius: f32, iris: Colour) {
        self.canvas.disc(centre, radius * 1.25, radius * 0.3, 1.0, BLACK);
        self.canvas.disc(centre, radius, radius * 0.2, 1.0, iris);
        self.canvas.disc(centre, radius * 0.62, radius * 0.2, 1.0, BLACK);
        let glint = centre + vec2(-0.3, -0.35) * radius;
        self.canvas.disc(glint, radius * 0.24, radius * 0.15, 0.95, WHITE);
    }
}
