//! Encoders from folders, seeds and ONNX files, against known answers of the libraries they come from.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use image::{ImageFormat, Rgb, RgbImage};
use natureddit_core::{Class, fs};
use natureddit_model::train::{Control, Sample, train_head};
use natureddit_model::{
    BundleParts, Channels, Embedder, EncoderFiles, EncoderPair, Features, ImageEncoder, ImagePreprocess, ModelBundle,
    ModelInput, OnnxImageEncoder, OnnxTextEncoder, Precision, Predictor, PredictorOptions, ResizeFilter, TextEncoder,
    TextPooling, image_encoder_from_config,
};
use natureddit_testkit::{LIMITS, assets, classes, encoder_files, photo, trainer};
use safetensors::tensor::{Dtype, TensorView};

use super::{TOLERANCE, distance};

fn random_text() -> Arc<TextEncoder> {
    Arc::new(TextEncoder::random("t", "bert-tiny", 3, TextPooling::Mean).unwrap())
}

fn with_image(image: ImageEncoder) -> EncoderPair {
    EncoderPair { image: Arc::new(image), text: random_text(), title_tokens_max: 64 }
}

fn with_text(text: TextEncoder) -> EncoderPair {
    let image = ImageEncoder::random("i", "resnet-18", 1).unwrap();
    EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 }
}

fn embed(pair: &EncoderPair, files: &EncoderFiles, inputs: &[ModelInput<'_>], threads: usize) -> Vec<Features> {
    let mut embedder = Embedder::build(pair, files, &assets().runtime, LIMITS, threads).unwrap();
    embedder.embed(inputs).unwrap().into_iter().map(Result::unwrap).collect()
}

/// A picture that follows from a formula, without loss and of the size that the encoder takes.
fn picture(side: u32) -> Vec<u8> {
    let pixel = |x, y| Rgb([0, 1, 2].map(|channel: u32| ((x * 5 + y * 3 + channel * 70) % 256) as u8));
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(side, side, pixel).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn image_features(pair: &EncoderPair, files: &EncoderFiles, image: &[u8]) -> Vec<f32> {
    embed(pair, files, &[ModelInput { text: None, image: Some(image) }], 1).remove(0).image.unwrap()
}

fn text_features(pair: &EncoderPair, text: &str) -> Vec<f32> {
    let input = ModelInput { text: Some(text), image: None };
    embed(pair, &EncoderFiles::default(), &[input], 1).remove(0).text.unwrap()
}

fn assert_begins(found: &[f32], known: &[f32]) {
    let gap = distance(&found[..known.len()], known);
    assert!(gap < TOLERANCE, "off by {gap}: {:?}", &found[..known.len()]);
}

/// By efficientnet-lite-pytorch 0.1.0 and PyTorch, from the same weights and picture.
#[test]
fn lite2_answers_as_the_library_it_was_published_with() {
    let pair = with_image(image_encoder_from_config("efficientnet_lite2").unwrap());
    let features = image_features(&pair, &encoder_files(&pair), &picture(260));
    assert_eq!(features.len(), 1280);
    assert_begins(&features, &[0.0, 0.699_008, 1.963_22, 0.0, 0.0, 1.016_684]);
    let highest = features.iter().copied().fold(0.0, f32::max);
    assert!((highest - 3.719_537).abs() < TOLERANCE, "{highest}");
}

/// Values that follow from the tensor's name and place; the same are given to the library's network.
fn formula(name: &str, shape: &[usize]) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let value = |at: usize| {
        let value = ((at * 37 + name.len() * 11) % 101) as f32 / 256.0 - 50.0 / 256.0;
        if name.ends_with("running_var") { value.abs() + 0.5 } else { value }
    };
    (0..count).flat_map(|at| value(at).to_le_bytes()).collect()
}

/// Writes a folder as `save_pretrained` does; the names of the tensors get the prefix after their values were made.
pub(super) fn write_model(folder: &Path, config: &str, prefix: &str, tensors: &[(String, Vec<usize>)]) {
    fs::write_atomic(&folder.join("config.json"), config).unwrap();
    let data: Vec<Vec<u8>> = tensors.iter().map(|(name, shape)| formula(name, shape)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
        (format!("{prefix}{name}"), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    fs::write_atomic(&folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

pub(super) fn normed(
    tensors: &mut Vec<(String, Vec<usize>)>,
    name: &str,
    outputs: usize,
    inputs: usize,
    kernel: usize,
) {
    tensors.push((format!("{name}.convolution.weight"), vec![outputs, inputs, kernel, kernel]));
    for part in ["weight", "bias", "running_mean", "running_var"] {
        tensors.push((format!("{name}.normalization.{part}"), vec![outputs]));
    }
}

pub(super) const PROCESSOR: &str = r#"{"size":{"height":64,"width":64},"image_mean":[127,127,127],"image_std":[128,128,128],
    "rescale_factor":1.0,"resample":2}"#;

fn resnet_features(config: &str, prefix: &str, tensors: &[(String, Vec<usize>)]) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path(), config, prefix, tensors);
    fs::write_atomic(&folder.path().join("preprocessor_config.json"), PROCESSOR).unwrap();
    let pair = with_image(ImageEncoder::from_folder("tiny", folder.path()).unwrap());
    image_features(&pair, &EncoderFiles::default(), &picture(64))
}

/// By Hugging Face transformers and PyTorch: `ResNetModel(..).pooler_output` of the same weights and pixels.
#[test]
fn a_resnet_of_a_folder_answers_as_its_library() {
    let mut tensors = Vec::new();
    normed(&mut tensors, "embedder.embedder", 8, 3, 7);
    for (stage, layer, at, outputs, inputs) in
        [(0, 0, 0, 8, 8), (0, 0, 1, 8, 8), (1, 0, 0, 12, 8), (1, 0, 1, 12, 12), (1, 1, 0, 12, 12), (1, 1, 1, 12, 12)]
    {
        normed(&mut tensors, &format!("encoder.stages.{stage}.layers.{layer}.layer.{at}"), outputs, inputs, 3);
    }
    normed(&mut tensors, "encoder.stages.1.layers.0.shortcut", 12, 8, 1);
    let basic =
        r#"{"model_type":"resnet","embedding_size":8,"hidden_sizes":[8,12],"depths":[1,2],"layer_type":"basic"}"#;
    for prefix in ["", "resnet."] {
        let features = resnet_features(basic, prefix, &tensors);
        assert_eq!(features.len(), 12);
        assert_begins(&features, &[0.229_002, 0.0, 0.0, 0.354_43, 0.0, 0.051_816]);
    }

    let mut tensors = Vec::new();
    normed(&mut tensors, "embedder.embedder", 8, 3, 7);
    for (stage, layer, inputs, outputs) in [(0, 0, 8, 16), (0, 1, 16, 16), (1, 0, 16, 24)] {
        let block = format!("encoder.stages.{stage}.layers.{layer}");
        let inner = outputs / 4;
        normed(&mut tensors, &format!("{block}.layer.0"), inner, inputs, 1);
        normed(&mut tensors, &format!("{block}.layer.1"), inner, inner, 3);
        normed(&mut tensors, &format!("{block}.layer.2"), outputs, inner, 1);
        if inputs != outputs {
            normed(&mut tensors, &format!("{block}.shortcut"), outputs, inputs, 1);
        }
    }
    let bottleneck =
        r#"{"model_type":"resnet","embedding_size":8,"hidden_sizes":[16,24],"depths":[2,1],"layer_type":"bottleneck"}"#;
    let features = resnet_features(bottleneck, "", &tensors);
    assert_eq!(features.len(), 24);
    assert_begins(&features, &[0.229_852, 0.0, 0.0, 0.262_11, 0.0, 0.006_898]);
}

const TINY_BERT: &str = r#"{"model_type":"bert","vocab_size":40,"hidden_size":16,"num_hidden_layers":2,
    "num_attention_heads":2,"intermediate_size":24,"max_position_embeddings":12,"type_vocab_size":2,
    "layer_norm_eps":1e-6,"hidden_act":"gelu"}"#;

fn bert_tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize]| tensors.push((name, shape.to_vec()));
    for (name, rows) in [("word", 40), ("position", 12), ("token_type", 2)] {
        add(format!("embeddings.{name}_embeddings.weight"), &[rows, 16]);
    }
    add("embeddings.LayerNorm.weight".into(), &[16]);
    add("embeddings.LayerNorm.bias".into(), &[16]);
    let mut linears = vec![("pooler.dense".to_owned(), 16, 16)];
    for layer in (0..2).map(|layer| format!("encoder.layer.{layer}")) {
        let attention = ["self.query", "self.key", "self.value", "output.dense"];
        linears.extend(attention.map(|part| (format!("{layer}.attention.{part}"), 16, 16)));
        linears.push((format!("{layer}.intermediate.dense"), 24, 16));
        linears.push((format!("{layer}.output.dense"), 16, 24));
        for norm in [".attention.output.LayerNorm", ".output.LayerNorm"] {
            add(format!("{layer}{norm}.weight"), &[16]);
            add(format!("{layer}{norm}.bias"), &[16]);
        }
    }
    for (name, outputs, inputs) in linears {
        add(format!("{name}.weight"), &[outputs, inputs]);
        add(format!("{name}.bias"), &[outputs]);
    }
    tensors
}

/// By Hugging Face transformers and PyTorch: `BertModel` of the same weights for the tokens 2, 7, 9, 30, 3.
#[test]
fn a_bert_of_a_folder_answers_as_its_library_however_it_is_pooled() {
    let words: Vec<String> = (0..40)
        .map(|id| match id {
            0 => "[PAD]".to_owned(),
            1 => "[UNK]".to_owned(),
            2 => "[CLS]".to_owned(),
            3 => "[SEP]".to_owned(),
            _ => format!("w{id}"),
        })
        .collect();
    for (prefix, pooling, known) in [
        ("", TextPooling::Mean, [-0.212_104, -0.039_203, 0.098_441, -0.329_733, -0.100_04, 0.127_068]),
        ("bert.", TextPooling::Cls, [-0.122_652, -0.020_941, 0.030_86, -0.187_528, -0.059_398, 0.086_407]),
        ("bert.", TextPooling::Pooler, [0.138_632, -0.050_288, -0.019_783, 0.156_711, -0.044_251, 0.056_482]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_model(folder.path(), TINY_BERT, prefix, &bert_tensors());
        fs::write_atomic(&folder.path().join("vocab.txt"), words.join("\n")).unwrap();
        let pair = with_text(TextEncoder::from_folder("tiny", folder.path(), pooling).unwrap());
        assert_begins(&text_features(&pair, "w7 W9 w30"), &known);
        // It has places for 12 tokens, fewer than titles may have.
        assert_eq!(text_features(&pair, &"w7 ".repeat(50)).len(), 16);
    }
}

/// A float as one of 16 bits; those of [`formula`] lose nothing.
fn halved(value: f32, dtype: Dtype) -> [u8; 2] {
    let bits = value.to_bits();
    let upper = (bits >> 16) as u16;
    let half = match dtype {
        Dtype::BF16 => upper,
        _ if value == 0.0 => upper & 0x8000,
        // The exponents count from -127, and from -15.
        _ => upper & 0x8000 | ((bits >> 23 & 0xff) as u16 - 112) << 10 | (bits >> 13 & 0x3ff) as u16,
    };
    half.to_le_bytes()
}

/// Writes the tensors as `save_pretrained` does with a small `max_shard_size`, in two files with an index.
fn write_shards(folder: &Path, tensors: &[(String, Vec<usize>)], dtype: Dtype) {
    let halves = |data: &[u8]| data.as_chunks().0.iter().flat_map(|v| halved(f32::from_le_bytes(*v), dtype)).collect();
    let data: Vec<Vec<u8>> = tensors.iter().map(|(name, shape)| halves(&formula(name, shape))).collect();
    let mut map = serde_json::Map::new();
    for shard in 0..2 {
        let file = format!("model-0000{}-of-00002.safetensors", shard + 1);
        let own = tensors.iter().zip(&data).skip(shard).step_by(2);
        map.extend(own.clone().map(|((name, _), _)| (name.clone(), file.clone().into())));
        let views =
            own.map(|((name, shape), data)| (name.clone(), TensorView::new(dtype, shape.clone(), data).unwrap()));
        fs::write_atomic(&folder.join(file), safetensors::serialize(views, None).unwrap()).unwrap();
    }
    let index = serde_json::json!({ "metadata": { "total_size": 1 }, "weight_map": map });
    fs::write_atomic(&folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn weights_of_16_bits_in_several_files_are_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let words: Vec<String> = (0..40)
        .map(|id| if id < 4 { ["[PAD]", "[UNK]", "[CLS]", "[SEP]"][id].into() } else { format!("w{id}") })
        .collect();
    write_model(folder.path(), TINY_BERT, "", &bert_tensors());
    fs::write_atomic(&folder.path().join("vocab.txt"), words.join("\n")).unwrap();
    let read = || TextEncoder::from_folder("tiny", folder.path(), TextPooling::Mean);
    let whole = with_text(read().unwrap());
    let features = text_features(&whole, "w7 W9 w30");
    fs::remove_file(&folder.path().join("model.safetensors")).unwrap();
    let mut hashes = vec![whole.text_hash()];
    for dtype in [Dtype::F16, Dtype::BF16] {
        write_shards(folder.path(), &bert_tensors(), dtype);
        let pair = with_text(read().unwrap());
        assert_eq!(text_features(&pair, "w7 W9 w30"), features, "{dtype:?}");
        assert!(!hashes.contains(&pair.text_hash()), "other files are another encoder");
        hashes.push(pair.text_hash());
    }

    // A file that is changed after it was looked at is not taken, and one that is missing is told.
    let pair = with_text(read().unwrap());
    let shard = folder.path().join("model-00002-of-00002.safetensors");
    fs::write_atomic(&shard, "another").unwrap();
    let changed = Embedder::build(&pair, &EncoderFiles::default(), &assets().runtime, LIMITS, 1).unwrap_err();
    assert!(changed.to_string().contains("has changed since it was looked at"), "{changed}");
    fs::remove_file(&shard).unwrap();
    let missing = read().unwrap_err().to_string();
    assert!(missing.ends_with("it has no model-00002-of-00002.safetensors"), "{missing}");
    let index = folder.path().join("model.safetensors.index.json");
    fs::write_atomic(&index, r#"{"weight_map":{"a":"../../secret.safetensors"}}"#).unwrap();
    let outside = read().unwrap_err().to_string();
    assert!(
        outside.contains("model.safetensors.index.json is no encoder that can be used: it names the file"),
        "{outside}"
    );
    // A tensor that no file has is told by its name.
    write_shards(folder.path(), &bert_tensors()[1..], Dtype::F16);
    let pair = with_text(read().unwrap());
    let lacks = Embedder::build(&pair, &EncoderFiles::default(), &assets().runtime, LIMITS, 1).unwrap_err();
    assert!(lacks.to_string().contains("weights lack embeddings.word_embeddings.weight"), "{lacks}");
}

#[test]
fn random_encoders_answer_the_same_on_one_thread_and_on_two() {
    let pair = with_image(ImageEncoder::random("i", "resnet-18", 1).unwrap());
    let photos: Vec<Vec<u8>> = (0..40).map(|i| photo(Class(i % 3), i as u64)).collect();
    let inputs: Vec<ModelInput<'_>> =
        photos.iter().map(|photo| ModelInput { text: Some("A red fox [OC]"), image: Some(photo) }).collect();
    let files = EncoderFiles::default();
    let (one, two) = (embed(&pair, &files, &inputs, 1), embed(&pair, &files, &inputs, 2));
    assert!(one == two);
    let finite = |values: &Option<Vec<f32>>| values.as_ref().is_some_and(|v| v.iter().all(|v| v.is_finite()));
    assert!(one.iter().all(|features| finite(&features.image) && finite(&features.text)));
    assert_eq!((one[0].image.as_ref().unwrap().len(), one[0].text.as_ref().unwrap().len()), (512, 128));
    assert!(one[0].image != one[1].image, "two photos have the same features");
}

fn write_bundle(dir: &Path, pair: &EncoderPair) -> (ModelBundle, Vec<Features>) {
    let files = EncoderFiles::default();
    let photos: Vec<Vec<u8>> = (0..12).map(|i| photo(Class(i % 3), i as u64)).collect();
    let inputs: Vec<ModelInput<'_>> =
        photos.iter().map(|photo| ModelInput { text: Some("a title"), image: Some(photo) }).collect();
    let features = embed(pair, &files, &inputs, 2);
    let rows = features.iter().enumerate();
    let samples: Vec<Sample<'_>> =
        rows.map(|(i, features)| Sample { features, class: Class(i % 3), weight: 1.0 }).collect();
    let classes = classes();
    let progress = natureddit_core::Progress::silent();
    let trained = train_head(&samples, &[], &classes, pair, &trainer(), &Control::new(&progress)).unwrap();
    let parts = BundleParts {
        name: "foreign",
        classes: &classes,
        encoders: pair,
        precision: &Precision::default(),
        files: &files,
        head: &trained.head,
        lineage: BTreeMap::new(),
    };
    (ModelBundle::write(dir, parts).unwrap(), features)
}

/// The pixels a foreign file wants, as its author declares them.
fn declared(dir: &Path) -> OnnxImageEncoder {
    let (mean, scale) = (Channels::Each([120.0, 125.0, 130.0]), Channels::Each([64.0, 63.0, 62.0]));
    OnnxImageEncoder {
        name: "tower".to_owned(),
        file: dir.join("image_encoder.onnx"),
        input: None,
        output: Some("features".to_owned()),
        features: None,
        preprocess: ImagePreprocess {
            size: 224,
            mean,
            scale,
            short_side: Some(224),
            filter: ResizeFilter::Bicubic,
            decoded_side_min: None,
        },
        licence: Some("MIT".to_owned()),
    }
}

/// The graphs of a bundle serve as files from elsewhere: nothing of how they were made is looked at.
#[test]
fn an_onnx_file_serves_from_training_to_prediction() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let built = with_image(ImageEncoder::random("i", "resnet-18", 1).unwrap());
    let (_, features) = write_bundle(first.path(), &built);

    let image = ImageEncoder::from_onnx(&declared(first.path())).unwrap();
    let text = OnnxTextEncoder {
        name: "words".to_owned(),
        file: first.path().join("text_encoder.onnx"),
        tokenizer: first.path().join("tokenizer.json"),
        ids: "input_ids".to_owned(),
        mask: "attention_mask".to_owned(),
        kinds: None,
        output: None,
        features: Some(128),
        tokens_max: 512,
        licence: None,
    };
    let text = TextEncoder::from_onnx(&text).unwrap();
    let foreign = EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 };
    assert_eq!((foreign.image.features, foreign.text.features), (512, 128));
    let (bundle, foreign_features) = write_bundle(second.path(), &foreign);
    assert_eq!(foreign_features[0].text, features[0].text);
    assert!(foreign_features[0].image != features[0].image, "the preprocessing is not the declared one");

    let read = ModelBundle::read(second.path()).unwrap();
    assert_eq!(read.manifest, bundle.manifest);
    assert_eq!(read.manifest.image_encoder.licence, "MIT");
    assert_eq!(read.manifest.image_encoder.ports.as_ref().unwrap().inputs, ["pixels"]);
    let options = PredictorOptions { limits: LIMITS, threads: 1 };
    let mut predictor = Predictor::load(&read, &assets().runtime, &options).unwrap();
    let shown = photo(Class(0), 0);
    let post = ModelInput { text: Some("a title"), image: Some(&shown) };
    let prepared = predictor.preprocessor().prepare(&post).unwrap();
    let again = predictor.encode(&[prepared]).unwrap().remove(0);
    assert!(distance(again.image.as_ref().unwrap(), foreign_features[0].image.as_ref().unwrap()) < TOLERANCE);
}

#[test]
fn an_onnx_file_that_is_not_as_declared_is_refused_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let built = with_image(ImageEncoder::random("i", "resnet-18", 1).unwrap());
    let _ = write_bundle(folder.path(), &built);
    let declared = declared(folder.path());
    let told = |change: &dyn Fn(&mut OnnxImageEncoder)| {
        let mut declared = declared.clone();
        change(&mut declared);
        ImageEncoder::from_onnx(&declared).unwrap_err().to_string()
    };
    let lacks = told(&|d| d.output = Some("image_embeds".to_owned()));
    assert!(lacks.ends_with("it has no output image_embeds; its outputs are features"), "{lacks}");
    let lacks = told(&|d| d.input = Some("pixel_values".to_owned()));
    assert!(lacks.ends_with("it has no input pixel_values; its inputs are pixels"), "{lacks}");
    assert!(told(&|d| d.features = Some(7)).ends_with("gives 512 features, not 7"));
    assert!(told(&|d| (d.preprocess.size, d.preprocess.short_side) = (336, None)).contains("[any, 3, 336, 336]"));
    assert!(told(&|d| d.preprocess.size = 0).contains("image.size is 0"));
    assert!(told(&|d| d.file = folder.path().join("labels.json")).contains("it is no ONNX file"));

    // One that changes between the look at it and its use.
    let pair = with_image(ImageEncoder::from_onnx(&declared).unwrap());
    let mut changed = fs::read(&declared.file).unwrap();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write_atomic(&declared.file, changed).unwrap();
    let built = Embedder::build(&pair, &EncoderFiles::default(), &assets().runtime, LIMITS, 1);
    let told = built.unwrap_err().to_string();
    assert!(told.contains("has changed since it was looked at"), "{told}");
}
