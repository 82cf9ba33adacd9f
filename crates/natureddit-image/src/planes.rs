//! A photo as JPEG files hold it: brightness and colours apart, the latter in fewer samples.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage};

use crate::Photo;
use crate::jpeg::from_ycc;
use crate::photo::grey_resized;
use crate::{PerceptualHash, encode, resize, scratch};

/// Samples of one kind, row by row.
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) samples: Vec<u8>,
}

impl Plane {
    /// Of so many samples, whatever they are, in memory for passing use.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, samples: scratch::take_any(width * height) }
    }

    pub(crate) fn height(&self) -> usize {
        self.samples.len() / self.width
    }

    /// The first `size` samples across and down, which need not be whole ones, as so many others.
    fn resized(self, size: [f64; 2], [width, height]: [usize; 2]) -> Self {
        let whole = size.map(|side| side.ceil() as u32);
        if whole.map(f64::from) == size
            && whole == [self.width as u32, self.height() as u32]
            && whole == [width as u32, height as u32]
        {
            return self;
        }
        let mut resized = Self::new(width, height);
        resize::bilinear(&self.samples, self.width, size, [width, height], &mut resized.samples);
        scratch::give_back(self.samples);
        resized
    }

    fn turned(self, orientation: Orientation) -> Self {
        let height = self.height() as u32;
        let image = GrayImage::from_raw(self.width as u32, height, self.samples).expect(INVARIANT);
        let mut image = DynamicImage::ImageLuma8(image);
        image.apply_orientation(orientation);
        Self { width: image.width() as usize, samples: image.into_luma8().into_raw() }
    }
}

/// A photo in planes. There may be more samples than belong to it, to the right and below.
pub(crate) struct Planes {
    pub(crate) luma: Plane,
    /// How many of the samples belong to the photo, across and down.
    pub(crate) luma_size: [f64; 2],
    /// The differences of blue and of red; none in a grey photo.
    pub(crate) chroma: Option<[Plane; 2]>,
    pub(crate) chroma_size: [f64; 2],
}

impl Planes {
    /// The photo at `width` x `height` pixels by the filter of [`crate::Photo::resize`], then turned.
    pub(crate) fn into_small(self, (width, height): (u32, u32), orientation: u8) -> SmallPlanes {
        let size = [width as usize, height as usize];
        let small = |plane: Plane, from, to| {
            let plane = plane.resized(from, to);
            match Orientation::from_exif(orientation) {
                None | Some(Orientation::NoTransforms) => plane,
                Some(orientation) => plane.turned(orientation),
            }
        };
        let luma = small(self.luma, self.luma_size, size);
        let chroma = self
            .chroma
            .map(|planes| planes.map(|plane| small(plane, self.chroma_size, size.map(|side| side.div_ceil(2)))));
        SmallPlanes { luma, chroma }
    }
}

impl Planes {
    /// The photo at `width` x `height` pixels by the filter of [`crate::Photo::resize`], in colours. Each plane is resized by
    /// itself, so that only pixels that are wanted are put together from three values.
    pub(crate) fn into_rgb(self, (width, height): (u32, u32)) -> Photo {
        let size = [width as usize, height as usize];
        let luma = self.luma.resized(self.luma_size, size).samples;
        let rgb = match self.chroma.map(|planes| planes.map(|plane| plane.resized(self.chroma_size, size).samples)) {
            None => luma.iter().flat_map(|&grey| [grey; 3]).collect(),
            Some([blue, red]) => {
                // Filled and not collected: the length is known, and the loop stays free of growing.
                let mut rgb = vec![0; 3 * luma.len()];
                let (pixels, _) = rgb.as_chunks_mut::<3>();
                for (pixel, ((&y, &cb), &cr)) in pixels.iter_mut().zip(luma.iter().zip(&blue).zip(&red)) {
                    *pixel = from_ycc([y, cb, cr]);
                }
                rgb
            }
        };
        Photo { width, height, rgb }
    }
}

/// A photo in planes, the colours at half the size of the luminance (4:2:0).
pub(crate) struct SmallPlanes {
    luma: Plane,
    chroma: Option<[Plane; 2]>,
}

impl SmallPlanes {
    /// All of them.
    #[cfg(test)]
    pub(crate) fn planes(&self) -> impl Iterator<Item = &Plane> {
        [&self.luma].into_iter().chain(self.chroma.iter().flatten())
    }

    /// As [`crate::Photo::to_jpeg`], and the hash of the photo that others see in the file.
    pub(crate) fn into_jpeg(self, quality: u8) -> (Vec<u8>, PerceptualHash) {
        let (jpeg, seen) = encode::to_jpeg(&self.luma, self.chroma.as_ref(), quality);
        let size = (seen.width as u32, seen.height() as u32);
        let hash = grey_resized(size, &seen.samples, PerceptualHash::SIDE).perceptual_hash();
        for plane in [self.luma, seen].into_iter().chain(self.chroma.into_iter().flatten()) {
            scratch::give_back(plane.samples);
        }
        (jpeg, hash)
    }
}

const INVARIANT: &str = "a plane has 1 to 65535 samples a side";
