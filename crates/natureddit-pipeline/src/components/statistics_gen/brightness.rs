//! How bright photos are, measured once a photo: a day of new photos costs the new photos.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use natureddit_core::ContentHash;
use natureddit_core::fs::FsError;
use natureddit_image::{ImageError, ImageLimits, decode_resized};
use rayon::prelude::*;

use super::StatisticsGen;
use crate::component::ExecutionContext;
use crate::components::photo::read_photo;
use crate::embeddings::{EmbeddingCache, ReadLimits};
use crate::examples::Example;

/// The photos without a brightness, by file name, and why.
pub(super) const UNREAD_FILE: &str = "unread_photos.json";

/// What [`UNREAD_FILE`] holds.
pub(super) type UnreadPhotos = BTreeMap<String, String>;

/// Photos measured before their brightness is written down and the progress is told.
const PHOTOS_AT_ONCE: usize = 64;

/// The sides of the small photo whose mean is taken.
const SIDE: u32 = 64;

/// The brightness of photos by the hash of their bytes: a feature of one number in the cache of features, so that
/// forgetting a post forgets it there too.
pub(super) struct Brightness<'a> {
    component: &'a StatisticsGen,
    cache: EmbeddingCache,
}

/// A photo to measure, and every file that should hold it.
type Photo<'e> = (ContentHash, BTreeSet<&'e str>);

impl<'a> Brightness<'a> {
    pub(super) fn open(component: &'a StatisticsGen) -> Result<Self, FsError> {
        // What measures, in the place of an encoder.
        let measure = ContentHash::of(b"mean brightness of a photo, version 1");
        let ImageLimits { bytes_max, pixels_max } = component.limits;
        let limits = ReadLimits { bytes_max, pixels_max };
        Ok(Self { component, cache: EmbeddingCache::open(&component.cache_dir, &measure, 1, limits)? })
    }

    /// 0 (black) to 255 (white); `None` for an example without a photo that can be read.
    pub(super) fn of(&self, example: &Example) -> Result<Option<f32>, FsError> {
        let Some(photo) = &example.sha256 else { return Ok(None) };
        Ok(self.cache.get(photo)?.and_then(|brightness| brightness.first().copied()))
    }

    /// Measures the photos never measured before, and tells which could not be.
    pub(super) fn measure_missing<'e>(
        &mut self,
        examples: impl Iterator<Item = &'e Example>,
        cx: &mut ExecutionContext,
    ) -> Result<UnreadPhotos, FsError> {
        let mut photos: BTreeMap<ContentHash, BTreeSet<&str>> = BTreeMap::new();
        for example in examples {
            if let Some(hash) = example.sha256
                && !self.cache.contains(&hash)
            {
                photos.entry(hash).or_default().insert(&example.img_name);
            }
        }
        cx.set_detail("photos_to_measure", photos.len());
        let mut unread = UnreadPhotos::new();
        if photos.is_empty() {
            self.cache.keep_keys()?;
            return Ok(unread);
        }
        let photos: Vec<Photo<'_>> = photos.into_iter().collect();
        cx.progress.start("measuring the brightness of photos", Some(photos.len() as u64));
        for chunk in photos.chunks(PHOTOS_AT_ONCE) {
            let component = self.component;
            let measured: Vec<_> = chunk.par_iter().map(|photo| measure(photo, component)).collect();
            for ((hash, names), measured) in chunk.iter().zip(measured) {
                match measured {
                    Ok(brightness) => self.cache.insert(hash, &[brightness])?,
                    Err(why) => unread.extend(names.iter().map(|&name| (name.to_owned(), why.to_owned()))),
                }
            }
            cx.progress.advance(chunk.len() as u64);
        }
        cx.progress.finish();
        self.cache.keep_keys()?;
        cx.set_detail("photos_unread", unread.len());
        Ok(unread)
    }
}

/// The brightness of the first file that holds the photo, or why the last one does not.
fn measure((hash, names): &Photo<'_>, component: &StatisticsGen) -> Result<f32, &'static str> {
    let mut why = "missing";
    for name in names {
        match read_photo(&component.images_dir.join(Path::new(name)), hash, component.limits.bytes_max) {
            Ok(bytes) => return mean_brightness(&bytes, &component.limits).map_err(|error| error.code()),
            Err(problem) => why = problem.code(),
        }
    }
    Err(why)
}

/// The mean over all pixels of what a JPEG stores as the brightness (ITU-T T.871), of the photo as a person sees it.
fn mean_brightness(bytes: &[u8], limits: &ImageLimits) -> Result<f32, ImageError> {
    // Each pixel of the photo counts alike in the smaller one, whose mean is quicker to have.
    let photo = decode_resized(bytes, limits, SIDE, SIDE)?;
    let (pixels, _) = photo.rgb.as_chunks::<3>();
    let luma = |&[red, green, blue]: &[u8; 3]| 299 * u64::from(red) + 587 * u64::from(green) + 114 * u64::from(blue);
    let sum: u64 = pixels.iter().map(luma).sum();
    Ok((sum as f64 / (1000 * pixels.len().max(1)) as f64) as f32)
}

#[cfg(test)]
mod tests {
    use natureddit_image::Photo;

    use super::*;

    #[test]
    fn black_is_0_and_white_255_and_halves_of_both_are_between() {
        let limits = ImageLimits { bytes_max: 1 << 20, pixels_max: 1 << 20 };
        for (left, right, expected) in [(0, 0, 0.0), (255, 255, 255.0), (0, 255, 127.5), (100, 140, 120.0)] {
            let pixel = |x: u32| [if x < 100 { left } else { right }; 3];
            let rgb = (0..70).flat_map(|_| (0..200).flat_map(pixel)).collect();
            let jpeg = Photo { width: 200, height: 70, rgb }.to_jpeg(95);
            let found = mean_brightness(&jpeg, &limits).unwrap();
            assert!((found - expected).abs() < 0.6, "{left}, {right}: {found}");
        }
        let green = Photo { width: 70, height: 70, rgb: [0, 255, 0].repeat(70 * 70) }.to_jpeg(95);
        assert!((mean_brightness(&green, &limits).unwrap() - 149.7).abs() < 2.0);
    }
}
