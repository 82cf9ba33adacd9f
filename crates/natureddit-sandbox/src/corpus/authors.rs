//! Who posts: most once, some again and again.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

const FIRST: [&str; 16] = [
    "Quiet",
    "Misty",
    "Wandering",
    "Lucky",
    "Northern",
    "Sleepy",
    "Rusty",
    "Salty",
    "Curious",
    "Golden",
    "Muddy",
    "Stray",
    "Lazy",
    "Hidden",
    "Windy",
    "Amber",
];
const SECOND: [&str; 16] = [
    "Lens", "Hiker", "Shutter", "Pebble", "Compass", "Tripod", "Aperture", "Rambler", "Traveler", "Boots", "Lantern",
    "Paddle", "Thermos", "Focus", "Backpack", "Mapmaker",
];

/// How often an author has posted before.
const AGAIN_SHARE: f64 = 0.12;
/// No author posts more often than this.
const POSTS_MAX: usize = 5;

/// Everyone who has posted, and how often.
pub(super) struct Authors {
    rng: ChaCha8Rng,
    names: Vec<(String, usize)>,
}

impl Authors {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Self { rng, names: Vec::new() }
    }

    /// The author of the next post.
    pub(super) fn next(&mut self) -> String {
        if !self.names.is_empty() && self.rng.random_bool(AGAIN_SHARE) {
            let at = self.rng.random_range(0..self.names.len());
            let (name, posts) = &mut self.names[at];
            if *posts < POSTS_MAX {
                *posts += 1;
                return name.clone();
            }
        }
        // The count at the end keeps names apart.
        let (first, second) = (self.rng.random_range(0..FIRST.len()), self.rng.random_range(0..SECOND.len()));
        let joint = if self.rng.random_bool(0.4) { "_" } else { "" };
        let name = format!("{}{joint}{}{}", FIRST[first], SECOND[second], 17 + 3 * self.names.len());
        self.names.push((name.clone(), 1));
        name
    }
}
