use std::sync::Arc;

use super::*;
use crate::quantization::Precision;

fn pair(image: ImageEncoder, text: TextEncoder) -> EncoderPair {
    EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 }
}

fn pinned() -> EncoderPair {
    pair(
        image_encoder_from_config("efficientnet_lite0").unwrap(),
        text_encoder_from_config("all-MiniLM-L6-v2").unwrap(),
    )
}

fn random(image: &str, text: &str, seed: u64) -> EncoderPair {
    let image = ImageEncoder::random("i", image, seed).unwrap();
    pair(image, TextEncoder::random("t", text, seed, TextPooling::Mean).unwrap())
}

/// Features that were kept, and bundles, are those of these hashes.
#[test]
fn the_hashes_of_pinned_encoders_are_those_they_always_had() {
    let expected = |(kind, version): (&str, u32), parts: &[&str]| {
        let mut hasher = ContentHasher::new();
        hasher.part(kind).part(version.to_le_bytes()).part(2_u32.to_le_bytes());
        for part in parts {
            hasher.part(part);
        }
        hasher.finish()
    };
    let lite0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db";
    let pixels = "ImagePreprocess { size: 224, mean: 127.0, scale: 128.0, decoded_side_min: 392 }";
    assert_eq!(pinned().image_hash(), expected(("image", 1), &[lite0, pixels]));
    let minilm = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
    let tokenizer = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037";
    assert_eq!(pinned().text_hash(), expected(("text", 2), &[minilm, tokenizer, "TextPreprocess { tokens_max: 64 }"]));
}

#[test]
fn what_decides_the_features_decides_the_hash() {
    let hashes = |pair: &EncoderPair| (pair.image_hash(), pair.text_hash());
    let one = random("resnet-18", "bert-tiny", 1);
    assert_eq!(hashes(&one), hashes(&random("resnet-18", "bert-tiny", 1)));
    let other = random("resnet-18", "bert-tiny", 2);
    assert!(one.image_hash() != other.image_hash() && one.text_hash() != other.text_hash());
    assert_ne!(one.image_hash(), random("resnet-34", "bert-tiny", 1).image_hash());
    let cls = TextEncoder::random("t", "bert-tiny", 1, TextPooling::Cls).unwrap();
    assert_ne!(one.text_hash(), EncoderPair { text: Arc::new(cls), ..one.clone() }.text_hash());
    assert_ne!(one.text_hash(), EncoderPair { title_tokens_max: 32, ..one }.text_hash());
}

#[test]
fn random_weights_need_no_file_and_give_the_same_graphs() {
    let pair = random("resnet-18", "bert-tiny", 7);
    assert!(pair.assets().is_empty());
    assert_eq!(pinned().assets().len(), 3);
    let build = || Precision::default().graphs(&pair, &EncoderFiles::default()).unwrap();
    let (one, two) = (build(), build());
    assert!(one.image == two.image && one.text == two.text);
    let told = Precision::default().graphs(&pinned(), &EncoderFiles::default()).err().unwrap().to_string();
    assert_eq!(told, "the asset efficientnet_lite0 is needed and was not pulled");
}

#[test]
fn a_network_that_is_not_there_is_told_with_those_that_are() {
    let told = ImageEncoder::random("i", "resnet-19", 1).unwrap_err().to_string();
    assert!(
        told.starts_with("there is no network resnet-19 with random weights: it must be resnet-18 or resnet-34"),
        "{told}"
    );
    assert!(TextEncoder::random("t", "bert-huge", 1, TextPooling::Mean).is_err());
}

#[test]
fn every_name_is_that_of_an_encoder() {
    assert!(ImageEncoder::NAMES.iter().all(|name| image_encoder_from_config(name).unwrap().name == *name));
    assert!(TextEncoder::NAMES.iter().all(|name| text_encoder_from_config(name).unwrap().name == *name));
    assert!(ImageEncoder::RANDOM.iter().all(|name| ImageEncoder::random("i", name, 0).is_ok()));
    assert!(TextEncoder::RANDOM.iter().all(|name| TextEncoder::random("t", name, 0, TextPooling::Mean).is_ok()));
    assert!(image_encoder_from_config("resnet").is_none() && text_encoder_from_config("resnet").is_none());
}
