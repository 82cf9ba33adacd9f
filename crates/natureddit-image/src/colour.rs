//! Colour profiles: what a file's values mean, brought to sRGB, which is what models and screens take values for.

use std::sync::{Arc, Mutex, PoisonError};

use moxcms::{ColorProfile, DataColorSpace, Layout, ParsingOptions, Transform8BitExecutor, TransformOptions};
use natureddit_core::ContentHash;

/// What the values of a file stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColourModel {
    Grey,
    Rgb,
    /// Ink, four values a pixel.
    Cmyk,
}

/// A way from the values of a file to sRGB.
pub(crate) struct ToSrgb {
    way: Arc<Transform8BitExecutor>,
    from: DataColorSpace,
}

/// So far from itself a colour may come out and still be the same: profiles of sRGB differ in how they round.
const DIFFERENCE_MAX: u8 = 2;

/// Pixels a step.
const STEP: usize = 4096;

/// Points in the largest table of a profile that is followed; those of printers have a tenth of it.
const TABLE_MAX: usize = 1_000_000;

/// The ways found last, the latest at the end. To make one takes milliseconds, a third of what decoding a photo does,
/// and most photos have one of a few profiles.
static FOUND: Mutex<Vec<Found>> = Mutex::new(Vec::new());
const FOUND_MAX: usize = 4;

struct Found {
    profile: ContentHash,
    model: ColourModel,
    way: Option<Arc<ToSrgb>>,
}

impl ToSrgb {
    /// The way that an ICC profile describes. `None` where it changes nothing, does not fit the picture, or is damaged: a
    /// damaged profile does not spoil the picture.
    pub(crate) fn by_profile(icc: &[u8], model: ColourModel) -> Option<Arc<Self>> {
        let profile = ContentHash::of(icc);
        let is_this = |found: &Found| (found.profile, found.model) == (profile, model);
        {
            let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = found.iter().position(is_this) {
                found[at..].rotate_left(1);
                return found.last().and_then(|latest| latest.way.clone());
            }
        }
        // Made while nobody waits for the lock; two threads may make the same.
        let way = Self::make(icc, model).map(Arc::new);
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|found| !is_this(found));
        found.push(Found { profile, model, way: way.clone() });
        if found.len() > FOUND_MAX {
            found.remove(0);
        }
        way
    }

    fn make(icc: &[u8], model: ColourModel) -> Option<Self> {
        let options = ParsingOptions { max_allowed_clut_size: TABLE_MAX, ..ParsingOptions::default() };
        let profile = ColorProfile::new_from_slice_with_options(icc, options).ok()?;
        let from = profile.color_space;
        let layout = match (model, from) {
            (ColourModel::Grey | ColourModel::Rgb, DataColorSpace::Rgb) => Layout::Rgb,
            (ColourModel::Grey, DataColorSpace::Gray) => Layout::Gray,
            // The library takes the four inks in the place of RGBA.
            (ColourModel::Cmyk, DataColorSpace::Cmyk) => Layout::Rgba,
            _ => return None,
        };
        let srgb = ColorProfile::new_srgb();
        let way = profile.create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default()).ok()?;
        let way = Self { way, from };
        (!way.changes_nothing()).then_some(way)
    }

    fn changes_nothing(&self) -> bool {
        const LEVELS: [u8; 5] = [0, 64, 128, 192, 255];
        let colours = LEVELS.iter().flat_map(|&r| LEVELS.iter().flat_map(move |&g| LEVELS.map(move |b| [r, g, b])));
        let before: Vec<u8> = match self.from {
            DataColorSpace::Cmyk => return false,
            // All three values of a grey pixel are the same.
            DataColorSpace::Gray => (0..=255).flat_map(|grey| [grey; 3]).collect(),
            _ => colours.flatten().collect(),
        };
        let mut after = before.clone();
        self.apply(&mut after);
        before.iter().zip(&after).all(|(before, after)| before.abs_diff(*after) <= DIFFERENCE_MAX)
    }

    /// Changes RGB pixels (grey ones as three equal values) in place.
    pub(crate) fn apply(&self, rgb: &mut [u8]) {
        let mut source = Vec::with_capacity(STEP * 3);
        for pixels in rgb.chunks_mut(STEP * 3) {
            source.clear();
            match self.from {
                DataColorSpace::Gray => source.extend(pixels.iter().step_by(3)),
                _ => source.extend_from_slice(pixels),
            }
            self.run(&source, pixels);
        }
    }

    /// RGB of four inks a pixel (255 is full), in the same memory.
    pub(crate) fn apply_to_inks(&self, mut inks: Vec<u8>) -> Vec<u8> {
        let mut rgb = [0; STEP * 3];
        let count = inks.len() / 4;
        for start in (0..count).step_by(STEP) {
            let end = count.min(start + STEP);
            let rgb = &mut rgb[..(end - start) * 3];
            self.run(&inks[start * 4..end * 4], rgb);
            inks[start * 3..end * 3].copy_from_slice(rgb);
        }
        inks.truncate(count * 3);
        inks.shrink_to_fit();
        inks
    }

    fn run(&self, source: &[u8], rgb: &mut [u8]) {
        // Fails only where the two are not of as many pixels, and here they are.
        let _ = self.way.transform(source, rgb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_profiles_are_read_once() {
        let icc = |gamma: f32| ColorProfile::new_gray_with_gamma(gamma).encode().unwrap();
        let way = |gamma| ToSrgb::by_profile(&icc(gamma), ColourModel::Grey).unwrap();
        let first = way(1.0);
        assert!(Arc::ptr_eq(&first, &way(1.0)));
        assert!(ToSrgb::by_profile(&icc(1.0), ColourModel::Rgb).is_none(), "a profile of grey does not fit colours");
        for other in [1.1, 1.2] {
            way(other);
        }
        assert!(Arc::ptr_eq(&first, &way(1.0)), "what was asked for lately is kept");
        for other in [1.3, 1.4, 1.5, 1.6] {
            way(other);
        }
        assert!(!Arc::ptr_eq(&first, &way(1.0)));
        assert!(FOUND.lock().unwrap().len() <= FOUND_MAX);
    }
}
