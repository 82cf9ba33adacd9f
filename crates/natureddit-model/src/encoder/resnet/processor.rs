//! `preprocessor_config.json`: how a photo is prepared, as Hugging Face's image processors write it down.

use serde::Deserialize;

use crate::preprocess::{Channels, ImagePreprocess, ResizeFilter};

pub(super) const FILE: &str = "preprocessor_config.json";

/// From this size on ConvNext's processor squeezes the photo into a square and cuts nothing off.
const SQUEEZED_FROM: u32 = 384;
/// Pillow's numbers of its filters.
const BILINEAR: u32 = 2;
const BICUBIC: u32 = 3;

/// The keys that are understood; what is left out is as in the library.
#[derive(Deserialize)]
pub(super) struct Processor {
    size: Size,
    crop_pct: Option<f64>,
    #[serde(default)]
    do_center_crop: bool,
    crop_size: Option<Size>,
    #[serde(default = "yes")]
    do_normalize: bool,
    image_mean: [f64; 3],
    image_std: [f64; 3],
    #[serde(default = "per_byte")]
    rescale_factor: f64,
    #[serde(default = "bicubic")]
    resample: u32,
}

fn yes() -> bool {
    true
}

fn per_byte() -> f64 {
    1.0 / 255.0
}

fn bicubic() -> u32 {
    BICUBIC
}

/// A number in old files, a table in newer ones.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Size {
    Number(u32),
    ShortestEdge { shortest_edge: u32 },
    Square { height: u32, width: u32 },
}

impl Processor {
    pub(super) fn preprocess(&self) -> Result<ImagePreprocess, String> {
        let (size, short_side) = self.sizes()?;
        let filter = match self.resample {
            BILINEAR => ResizeFilter::Bilinear,
            BICUBIC => ResizeFilter::Bicubic,
            other => return Err(format!("resample is {other}, and 2 (bilinear) and 3 (bicubic) are known here")),
        };
        let of_bytes = |share: f64| (share / self.rescale_factor) as f32;
        let (mean, scale) = match self.do_normalize {
            true => (self.image_mean, self.image_std),
            false => ([0.0; 3], [1.0; 3]),
        };
        let (mean, scale) = (Channels::Each(mean.map(of_bytes)), Channels::Each(scale.map(of_bytes)));
        Ok(ImagePreprocess { size, mean, scale, short_side, filter, decoded_side_min: None })
    }

    /// The side of the square, and what the short side of the photo is resized to before the square is cut out.
    fn sizes(&self) -> Result<(u32, Option<u32>), String> {
        match (self.crop_pct, self.size) {
            (Some(share), Size::Number(side) | Size::ShortestEdge { shortest_edge: side }) => {
                // As the processor computes it, rounded down.
                let short_side = (f64::from(side) / share) as u32;
                Ok((side, (side < SQUEEZED_FROM).then_some(short_side)))
            }
            (None, Size::Number(short_side) | Size::ShortestEdge { shortest_edge: short_side }) => {
                let side = match self.crop_size.filter(|_| self.do_center_crop) {
                    Some(Size::Number(side) | Size::ShortestEdge { shortest_edge: side }) => side,
                    Some(Size::Square { height, width }) if height == width => height,
                    Some(Size::Square { .. }) => return Err("crop_size is no square".to_owned()),
                    None => short_side,
                };
                Ok((side, Some(short_side)))
            }
            (_, Size::Square { height, width }) if height == width => Ok((height, None)),
            (_, Size::Square { .. }) => Err("size is no square".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(keys: &str) -> Result<(u32, Option<u32>), String> {
        let text = format!(r#"{{"image_mean":[0,0,0],"image_std":[1,1,1],{keys}}}"#);
        serde_json::from_str::<Processor>(&text).unwrap().sizes()
    }

    #[test]
    fn the_square_and_the_short_side_are_those_of_the_library() {
        assert_eq!(sizes(r#""size":{"shortest_edge":224},"crop_pct":0.875"#), Ok((224, Some(256))));
        assert_eq!(sizes(r#""size":384,"crop_pct":1.0"#), Ok((384, None)));
        let clip = r#""size":{"shortest_edge":224},"do_center_crop":true,"crop_size":{"height":224,"width":224}"#;
        assert_eq!(sizes(clip), Ok((224, Some(224))));
        assert_eq!(sizes(r#""size":256,"do_center_crop":true,"crop_size":224"#), Ok((224, Some(256))));
        assert_eq!(sizes(r#""size":{"height":224,"width":224}"#), Ok((224, None)));
        assert_eq!(sizes(r#""size":{"height":224,"width":200}"#), Err("size is no square".to_owned()));
    }
}
