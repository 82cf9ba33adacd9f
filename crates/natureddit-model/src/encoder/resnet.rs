//! The ResNet family, as Hugging Face's `ResNetModel` and `ResNetForImageClassification` save it.

use std::path::Path;

use serde::Deserialize;

use super::config_file::{read_config, read_optional, weights, wrong};
use super::source::WeightsSource;
use super::{EncoderError, ImageEncoder, ImageGraph, LICENCE_RANDOM, LICENCE_UNKNOWN};
use crate::onnx::{Block, ResNet};
use crate::preprocess::{Channels, ImagePreprocess, ResizeFilter};

mod processor;

use processor::Processor;

/// `config.json`; what it leaves out is as in the library.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    model_type: String,
    num_channels: usize,
    embedding_size: usize,
    hidden_sizes: Vec<usize>,
    depths: Vec<usize>,
    layer_type: String,
    hidden_act: String,
    downsample_in_first_stage: bool,
    downsample_in_bottleneck: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model_type: String::new(),
            num_channels: 3,
            embedding_size: 64,
            hidden_sizes: vec![256, 512, 1024, 2048],
            depths: vec![3, 4, 6, 3],
            layer_type: "bottleneck".to_owned(),
            hidden_act: "relu".to_owned(),
            downsample_in_first_stage: false,
            downsample_in_bottleneck: false,
        }
    }
}

impl Config {
    fn sizes(self, size: u32) -> Result<ResNet, String> {
        let Self { model_type, num_channels, hidden_sizes, depths, layer_type, hidden_act, .. } = &self;
        if model_type != "resnet" {
            return Err(format!(
                "its model_type is {model_type:?}; of image encoders resnet is built here, and any other can be given as an \
                 ONNX file"
            ));
        }
        if *num_channels != 3 || hidden_act != "relu" {
            return Err(format!(
                "it has {num_channels} channels and {hidden_act:?}, and 3 and \"relu\" are built here"
            ));
        }
        if hidden_sizes.len() != depths.len() || hidden_sizes.is_empty() {
            return Err(format!("it has {} hidden_sizes and {} depths", hidden_sizes.len(), depths.len()));
        }
        let block = match layer_type.as_str() {
            "basic" => Block::Basic,
            "bottleneck" => Block::Bottleneck,
            other => return Err(format!("its layer_type is {other:?}, not \"basic\" or \"bottleneck\"")),
        };
        Ok(ResNet {
            stem: self.embedding_size,
            channels: self.hidden_sizes,
            depths: self.depths,
            block,
            first_stage_shrinks: self.downsample_in_first_stage,
            bottleneck_shrinks_first: self.downsample_in_bottleneck,
            size,
        })
    }
}

/// The name of a tensor in `ResNetModel`: what is a part of another model has a prefix.
pub(super) fn tensor_name(name: &str) -> String {
    name.strip_prefix("resnet.").unwrap_or(name).to_owned()
}

pub(super) fn from_folder(name: &str, folder: &Path) -> Result<ImageEncoder, EncoderError> {
    let config: Config = read_config(folder)?;
    let preprocess = match read_optional::<Processor>(folder, processor::FILE)? {
        Some(processor) => {
            let path = folder.join(processor::FILE);
            let preprocess = processor.preprocess().and_then(|preprocess| preprocess.check().map(|()| preprocess));
            preprocess.map_err(|reason| EncoderError::format(&path, reason))?
        }
        None => usual_preprocess(),
    };
    let sizes = config.sizes(preprocess.size).map_err(|reason| wrong(folder, reason))?;
    Ok(encoder(name, LICENCE_UNKNOWN, sizes, preprocess, weights(folder)?))
}

pub(super) fn random(name: &str, architecture: &str, seed: u64) -> Option<ImageEncoder> {
    let preprocess = usual_preprocess();
    let (block, depths, channels) = match architecture {
        "resnet-18" => (Block::Basic, [2, 2, 2, 2], [64, 128, 256, 512]),
        "resnet-34" => (Block::Basic, [3, 4, 6, 3], [64, 128, 256, 512]),
        "resnet-50" => (Block::Bottleneck, [3, 4, 6, 3], [256, 512, 1024, 2048]),
        _ => return None,
    };
    let sizes = ResNet {
        stem: 64,
        channels: channels.into(),
        depths: depths.into(),
        block,
        first_stage_shrinks: false,
        bottleneck_shrinks_first: false,
        size: preprocess.size,
    };
    Some(encoder(name, LICENCE_RANDOM, sizes, preprocess, WeightsSource::Seed(seed)))
}

fn encoder(
    name: &str,
    licence: &str,
    sizes: ResNet,
    preprocess: ImagePreprocess,
    weights: WeightsSource,
) -> ImageEncoder {
    ImageEncoder {
        name: name.to_owned(),
        features: sizes.features(),
        licence: licence.to_owned(),
        preprocess,
        graph: ImageGraph::ResNet(sizes, weights),
    }
}

/// As the published ResNets were trained: the middle 224 of 256 pixels, ImageNet's mean and deviation.
fn usual_preprocess() -> ImagePreprocess {
    let of_bytes = |share: f64| (share * 255.0) as f32;
    ImagePreprocess {
        size: 224,
        mean: Channels::Each([0.485, 0.456, 0.406].map(of_bytes)),
        scale: Channels::Each([0.229, 0.224, 0.225].map(of_bytes)),
        short_side: Some(256),
        filter: ResizeFilter::Bicubic,
        decoded_side_min: None,
    }
}

#[cfg(test)]
mod tests {
    use natureddit_core::fs;

    use super::*;

    fn folder(config: &str, processor: Option<&str>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write_atomic(&folder.path().join("config.json"), config).unwrap();
        if let Some(processor) = processor {
            fs::write_atomic(&folder.path().join(processor::FILE), processor).unwrap();
        }
        folder
    }

    const RESNET_18: &str = r#"{"model_type":"resnet","embedding_size":64,"hidden_sizes":[64,128,256,512],
        "depths":[2,2,2,2],"layer_type":"basic","hidden_act":"relu","downsample_in_first_stage":false}"#;
    /// As published with microsoft/resnet-18.
    const PROCESSOR: &str = r#"{"crop_pct":0.875,"do_normalize":true,"do_resize":true,
        "feature_extractor_type":"ConvNextFeatureExtractor","image_mean":[0.485,0.456,0.406],
        "image_std":[0.229,0.224,0.225],"resample":3,"size":224}"#;

    #[test]
    fn a_folder_with_and_without_its_processor_is_prepared_alike() {
        for processor in [Some(PROCESSOR), None] {
            let folder = folder(RESNET_18, processor);
            fs::write_atomic(&folder.path().join("model.safetensors"), "weights").unwrap();
            let encoder = ImageEncoder::from_folder("r", folder.path()).unwrap();
            assert_eq!((encoder.features, encoder.preprocess), (512, usual_preprocess()));
        }
    }

    #[test]
    fn what_is_missing_or_not_built_here_is_told() {
        let told = |config: &str| {
            let folder = folder(config, None);
            let told = ImageEncoder::from_folder("r", folder.path()).unwrap_err().to_string();
            told.replace(&folder.path().display().to_string(), "DIR")
        };
        let lacks = "DIR is no encoder that can be used: it has no model.safetensors, no pytorch_model.bin and no \
                     model.safetensors.index.json";
        assert_eq!(told(RESNET_18), lacks);
        assert!(
            told(r#"{"model_type":"vit"}"#)
                .contains("config.json is no encoder that can be used: its model_type is \"vit\"")
        );
        assert!(told(&RESNET_18.replace("\"relu\"", "\"gelu\"")).contains("\"relu\" are built here"));
        assert!(told(&RESNET_18.replace("[2,2,2,2]", "[2,2]")).contains("4 hidden_sizes and 2 depths"));
        assert!(told("{").contains("config.json is no encoder that can be used: EOF"));
        let empty = tempfile::tempdir().unwrap();
        let told = ImageEncoder::from_folder("r", empty.path()).unwrap_err().to_string();
        assert!(told.ends_with("it has no config.json"), "{told}");
    }
}
