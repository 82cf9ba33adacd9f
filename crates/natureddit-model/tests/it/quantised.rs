//! The encoders in eight bits: close to the floats on what they were not calibrated on, and the same whoever is beside.

use std::collections::BTreeMap;
use std::path::Path;

use natureddit_core::{Class, Progress, fs};
use natureddit_model::train::{Control, Sample, train_head};
use natureddit_model::{
    ActivationRanges, BundleParts, Embedder, EncoderPrecision, Encoders, Features, ModelBundle, ModelInput, Precision,
    Predictor, PredictorOptions, Prepared, QuantizeError, calibrate_image, calibrate_text, composed_difference,
};
use natureddit_testkit::{LIMITS, assets, classes, photo, shared, trainer};

use crate::embedder;

/// So many photos calibrate, and as many others are judged.
const PHOTOS: usize = 48;
const TITLES: usize = 96;

/// Photos of all kinds, those to calibrate on and those to judge.
fn photos(shared: &Path) -> (Vec<Prepared>, Vec<Prepared>) {
    let embedder = embedder();
    let folders = ["fauna", "flora", "landscape"].map(|kind| shared.join("photos").join(kind));
    let files: Vec<_> = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).collect();
    let some = files.iter().step_by(files.len() / (2 * PHOTOS)).take(2 * PHOTOS);
    let prepare = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).unwrap();
        embedder.preprocessor().prepare(&ModelInput { text: None, image: Some(&bytes) }).unwrap()
    };
    halves(some.map(prepare).collect())
}

/// Titles, those to calibrate on and those to judge.
fn titles(shared: &Path) -> (Vec<Prepared>, Vec<Prepared>) {
    let embedder = embedder();
    let table = fs::read_to_string(&shared.join("photos/titles_reddit.csv")).unwrap();
    let plain: Vec<&str> = table.lines().skip(1).filter(|line| !line.contains('"')).collect();
    let titles = plain.iter().map(|line| line.split(',').nth(2).unwrap());
    let some = titles.step_by(plain.len() / (2 * TITLES)).take(2 * TITLES);
    let prepare = |title| embedder.preprocessor().prepare(&ModelInput { text: Some(title), image: None }).unwrap();
    halves(some.map(prepare).collect())
}

fn halves(all: Vec<Prepared>) -> (Vec<Prepared>, Vec<Prepared>) {
    let (mut even, mut odd) = (Vec::new(), Vec::new());
    all.into_iter().enumerate().for_each(|(at, one)| if at % 2 == 0 { even.push(one) } else { odd.push(one) });
    (even, odd)
}

fn image_ranges(photos: impl Iterator<Item = Prepared> + Send, threads: usize) -> ActivationRanges {
    let assets = assets();
    calibrate_image(&assets.pair, &assets.files, &assets.runtime, photos, threads).unwrap()
}

fn text_ranges(titles: impl Iterator<Item = Prepared> + Send, threads: usize) -> ActivationRanges {
    let assets = assets();
    calibrate_text(&assets.pair, &assets.files, &assets.runtime, titles, threads).unwrap()
}

fn encoders(precision: &Precision, threads: usize) -> Encoders {
    let assets = assets();
    Encoders::build(&assets.pair, &assets.files, precision, &assets.runtime, threads).unwrap()
}

/// The features of each input's one part.
fn encode(encoders: &mut Encoders, inputs: &[Prepared]) -> Vec<Vec<f32>> {
    let features = encoders.encode(inputs).unwrap();
    features.into_iter().map(|features| features.image.or(features.text).unwrap()).collect()
}

/// The cosines between two lists of features, from the smallest.
fn cosines(a: &[Vec<f32>], b: &[Vec<f32>]) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let mut cosines: Vec<f32> = a.iter().zip(b).map(cosine).collect();
    cosines.sort_by(f32::total_cmp);
    cosines
}

#[test]
fn photos_that_were_not_calibrated_on_keep_their_features() {
    let Some(shared) = shared("photos in eight bits") else { return };
    let (calibration, judged) = photos(&shared);
    let ranges = image_ranges(calibration.into_iter(), 2);
    let int8 = Precision { image: Some(ranges), text: None };
    let floats = encode(&mut encoders(&Precision::default(), 2), &judged);
    let mut quantised = encoders(&int8, 2);
    let together = encode(&mut quantised, &judged);
    let found = cosines(&floats, &together);
    assert!(found[PHOTOS / 2] >= 0.99 && found[0] >= 0.9, "{found:?}");

    let alone: Vec<_> = judged.chunks(1).flat_map(|one| encode(&mut quantised, one)).collect();
    assert!(alone == together, "neighbours change an answer");
    assert!(encode(&mut encoders(&int8, 1), &judged) == together, "threads change an answer");
}

#[test]
fn titles_that_were_not_calibrated_on_keep_their_embeddings() {
    let Some(shared) = shared("titles in eight bits") else { return };
    let (calibration, judged) = titles(&shared);
    let ranges = text_ranges(calibration.into_iter(), 2);
    let int8 = Precision { image: None, text: Some(ranges) };
    let floats = encode(&mut encoders(&Precision::default(), 2), &judged);
    let mut quantised = encoders(&int8, 2);
    let together = encode(&mut quantised, &judged);
    let found = cosines(&floats, &together);
    assert!(found[TITLES / 2] >= 0.985 && found[0] >= 0.95, "{found:?}");

    let alone: Vec<_> = judged.chunks(1).flat_map(|one| encode(&mut quantised, one)).collect();
    assert!(alone == together, "neighbours or padding change an answer");
}

#[test]
fn the_same_inputs_give_the_same_encoders_for_any_threads_and_order() {
    let Some(shared) = shared("photos and titles to calibrate on") else { return };
    let (mut photos, titles) = (photos(&shared).0, titles(&shared).0);
    photos.truncate(16);
    let assets = assets();
    let graphs = |image: ActivationRanges, text: ActivationRanges| {
        let precision = Precision { image: Some(image), text: Some(text) };
        let hashes = (precision.image_hash(&assets.pair), precision.text_hash(&assets.pair));
        let image = precision.image_graph(&assets.pair, &assets.files).unwrap();
        (image, precision.text_graph(&assets.pair, &assets.files).unwrap(), hashes)
    };
    let one = graphs(image_ranges(photos.iter().cloned(), 1), text_ranges(titles.iter().cloned(), 1));
    let two = graphs(image_ranges(photos.iter().rev().cloned(), 2), text_ranges(titles.iter().rev().cloned(), 2));
    assert!(one == two);

    let floats = Precision::default();
    assert_eq!(floats.image_hash(&assets.pair), assets.pair.image_hash());
    assert_ne!(one.2.0, assets.pair.image_hash());
    let fewer = graphs(image_ranges(photos[1..9].iter().cloned(), 2), text_ranges(titles[1..9].iter().cloned(), 2));
    assert!(fewer.2.0 != one.2.0 && fewer.2.1 != one.2.1, "other ranges are another encoder");
    let float_bytes = floats.image_graph(&assets.pair, &assets.files).unwrap().len();
    assert!(one.0.len() * 3 < float_bytes, "{} of {float_bytes} bytes", one.0.len());
}

#[test]
fn nothing_to_calibrate_on_and_ranges_of_another_encoder_are_refused() {
    let assets = assets();
    let title = embedder().preprocessor().prepare(&ModelInput { text: Some("A fox"), image: None }).unwrap();
    let none = calibrate_image(&assets.pair, &assets.files, &assets.runtime, std::iter::once(title.clone()), 2);
    assert_eq!(none.unwrap_err().to_string(), "there is nothing to calibrate the image encoder on");
    let text = text_ranges(std::iter::once(title), 1);
    let wrong = Precision { image: Some(text), text: None }.image_graph(&assets.pair, &assets.files);
    assert!(matches!(wrong, Err(QuantizeError::Range { activation, .. }) if activation == "pixels"));
}

const KINDS: [&str; 3] = ["Coloured discs", "Stripes that stand upright", "A horizon"];

/// A model of some drawn photos, made and written on so many threads, and what its encoders say of the photos.
fn write_bundle(dir: &Path, is_int8: bool, threads: usize) -> (ModelBundle, Vec<Features>) {
    let assets = assets();
    let photos: Vec<Vec<u8>> = (0..18).map(|at| photo(Class(at % 3), at as u64)).collect();
    let input = |at: usize| ModelInput { text: Some(KINDS[at % 3]), image: Some(&photos[at]) };
    let inputs: Vec<ModelInput<'_>> = (0..photos.len()).map(input).collect();
    let mut precision = Precision::default();
    if is_int8 {
        let preprocessor = assets.pair.preprocessor(&assets.files, LIMITS).unwrap();
        let prepared = || inputs.iter().map(|input| preprocessor.prepare(input).unwrap());
        precision.image = Some(image_ranges(prepared(), threads));
        precision.text = Some(text_ranges(prepared(), threads));
    }
    let (pair, files, runtime) = (&assets.pair, &assets.files, &assets.runtime);
    let mut embedder = Embedder::build_at(pair, files, &precision, runtime, LIMITS, threads).unwrap();
    let features: Vec<Features> = embedder.embed(&inputs).unwrap().into_iter().map(Result::unwrap).collect();
    let rows = features.iter().enumerate();
    let samples: Vec<Sample<'_>> =
        rows.map(|(at, features)| Sample { features, class: Class(at % 3), weight: 1.0 }).collect();
    let (classes, progress) = (classes(), Progress::silent());
    let trained = train_head(&samples, &samples, &classes, pair, &trainer(), &Control::new(&progress)).unwrap();
    let parts = BundleParts {
        name: "m",
        classes: &classes,
        encoders: pair,
        precision: &precision,
        files,
        head: &trained.head,
        lineage: BTreeMap::new(),
    };
    ModelBundle::write(dir, parts).unwrap();
    let bundle = ModelBundle::read(dir).unwrap();
    assert!(bundle.precision().unwrap() == precision);
    (bundle, features)
}

#[test]
fn a_bundle_in_eight_bits_says_so_and_answers_as_it_learnt_also_as_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, features) = write_bundle(folder.path(), true, 2);
    let manifest = &bundle.manifest;
    let precisions = [&manifest.image_encoder, &manifest.text_encoder].map(|encoder| encoder.precision);
    assert_eq!(precisions, [EncoderPrecision::Int8; 2]);
    assert!(manifest.is_int8() && manifest.files.contains_key("precision.json"));

    let (runtime, options) = (&assets().runtime, PredictorOptions { limits: LIMITS, threads: 1 });
    let mut predictor = Predictor::load(&bundle, runtime, &options).unwrap();
    let head = bundle.head().unwrap();
    for (at, learnt) in features.iter().enumerate() {
        let photo = photo(Class(at % 3), at as u64);
        let input = ModelInput { text: Some(KINDS[at % 3]), image: Some(&photo) };
        let prepared = predictor.preprocessor().prepare(&input).unwrap();
        let served = predictor.predict(&[prepared]).unwrap().remove(0).probabilities;
        assert!(crate::distance(&served, &head.probabilities(learnt)) <= 1e-5, "post {at}");
    }
    let composed = bundle.compose().unwrap();
    let difference = composed_difference(&bundle, &composed, runtime, &options).unwrap();
    assert!(difference <= 1e-5, "{difference}");
}

#[test]
fn a_bundle_is_the_same_to_the_last_byte_on_one_thread_and_two() {
    for is_int8 in [false, true] {
        let folders = [1, 2].map(|threads| (threads, tempfile::tempdir().unwrap()));
        let [one, two] = folders.each_ref().map(|(threads, folder)| {
            write_bundle(folder.path(), is_int8, *threads);
            // It names every other file by its hash.
            fs::read(&folder.path().join(ModelBundle::MANIFEST)).unwrap()
        });
        assert!(one == two, "in eight bits: {is_int8}");
    }
}

#[test]
fn ranges_that_are_not_those_of_the_bundle_are_found() {
    let folder = tempfile::tempdir().unwrap();
    write_bundle(folder.path(), true, 2);
    let path = folder.path().join("precision.json");
    let ranges = fs::read_to_string(&path).unwrap();
    fs::write_atomic(&path, ranges.replacen("\"max\": ", "\"max\": 1", 1)).unwrap();
    let error = ModelBundle::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("precision.json is corrupted"), "{error}");
}
