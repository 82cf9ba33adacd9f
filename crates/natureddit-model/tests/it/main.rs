//! The real encoders against stored answers, and a bundle from training to prediction.

mod encoders;
mod quantised;
mod tuning;

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use natureddit_core::{Class, fs};
use natureddit_model::train::{HeadKind, TrainerConfig};
use natureddit_model::{
    BundleError, ComposedInputs, ComposedModel, Embedder, ExplainOptions, Explanation, FeatureCache, Features,
    InputError, InputLimits, ModelBundle, ModelInput, Prediction, Predictor, PredictorOptions, Prepared, Runtime,
    Variants, composed_difference,
};
use natureddit_testkit::{LIMITS, assets, bundle, bundle_of, classes, photo, shared, trainer};
use serde_json::Value;

/// The published agreement between ONNX Runtime in Python and ours.
const TOLERANCE: f32 = 1e-4;

fn embedder() -> Embedder {
    let assets = assets();
    Embedder::build(&assets.pair, &assets.files, &assets.runtime, LIMITS, 2).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_image_encoder_answers_as_the_reference() {
    let Some(shared) = shared("reference photos") else { return };
    let reference: Value = serde_json::from_slice(&fs::read(&shared.join("reference/encoders.json")).unwrap()).unwrap();
    let items = reference["image"]["items"].as_array().unwrap();
    let photos: Vec<Vec<u8>> = items
        .iter()
        .map(|item| fs::read(&shared.join("reference").join(item["png"].as_str().unwrap())).unwrap())
        .collect();
    let inputs: Vec<ModelInput<'_>> = photos.iter().map(|p| ModelInput { text: None, image: Some(p) }).collect();
    let answers = embedder().embed(&inputs).unwrap();
    for (item, answer) in items.iter().zip(answers) {
        let found = answer.unwrap().image.unwrap();
        let gap = distance(&found, &numbers(&item["features"]));
        assert!(gap < TOLERANCE, "{} is off by {gap}", item["png"]);
    }
}

#[test]
fn the_text_encoder_answers_as_the_reference() {
    let Some(shared) = shared("reference titles") else { return };
    let reference: Value = serde_json::from_slice(&fs::read(&shared.join("reference/encoders.json")).unwrap()).unwrap();
    let mut embedder = embedder();
    let mut compared = 0;
    for item in reference["text"]["items"].as_array().unwrap() {
        let title = item["title"].as_str().unwrap();
        // An empty title counts as none.
        if title.trim().is_empty() {
            continue;
        }
        let answer = embedder.embed(&[ModelInput { text: Some(title), image: None }]).unwrap().remove(0).unwrap();
        let gap = distance(&answer.text.unwrap(), &numbers(&item["embedding"]));
        assert!(gap < TOLERANCE, "{title:?} is off by {gap}");
        compared += 1;
    }
    assert!(compared >= 3, "only {compared} titles compared");
}

/// Of 64 tokens two are the special ones, which a cut title keeps.
#[test]
fn a_long_title_is_cut_after_its_tokens_and_no_sooner() {
    let titles = [61, 62, 300].map(|words| "tree ".repeat(words));
    let inputs = titles.each_ref().map(|title| ModelInput { text: Some(title), image: None });
    let answers = embedder().embed(&inputs).unwrap().into_iter().map(|answer| answer.unwrap().text.unwrap());
    let [short, whole, cut] = answers.collect::<Vec<_>>().try_into().unwrap();
    assert!(distance(&whole, &cut) < 1e-5);
    assert!(distance(&short, &whole) > 1e-4);
}

#[test]
fn a_title_of_ten_thousand_characters_is_refused_within_its_limit_and_cut_where_it_is_allowed() {
    let title = "tree ".repeat(2_000);
    let inputs = [ModelInput { text: Some(&title), image: None }, ModelInput { text: Some("a tree"), image: None }];
    let answers = embedder().embed(&inputs).unwrap();
    let refused = matches!(answers[0], Err(InputError::TextTooLong { bytes: 10_000, bytes_max: 4096 }));
    assert!(refused && answers[1].is_ok(), "{answers:?}");

    let assets = assets();
    let limits = InputLimits { text_bytes_max: 10_000, ..LIMITS };
    let mut patient = Embedder::build(&assets.pair, &assets.files, &assets.runtime, limits, 2).unwrap();
    let long = patient.embed(&inputs[..1]).unwrap().remove(0).unwrap().text.unwrap();
    let short = "tree ".repeat(62);
    let cut =
        patient.embed(&[ModelInput { text: Some(&short), image: None }]).unwrap().remove(0).unwrap().text.unwrap();
    assert!(distance(&long, &cut) < 1e-5);
}

#[test]
fn an_empty_title_counts_as_none() {
    let photo = photo(Class(0), 2);
    for text in ["", " \t\n\u{a0}"] {
        let inputs =
            [ModelInput { text: Some(text), image: None }, ModelInput { text: Some(text), image: Some(&photo) }];
        let answers = embedder().embed(&inputs).unwrap();
        assert!(matches!(answers[0], Err(InputError::Empty)));
        assert!(answers[1].as_ref().is_ok_and(|features| features.text.is_none() && features.image.is_some()));
    }
}

/// The first values of "Bullfrog at the reserve, Wisconsin", computed with Python's onnxruntime from the same weights.
#[test]
fn a_known_title_has_its_known_embedding() {
    let input = ModelInput { text: Some("Bullfrog at the reserve, Wisconsin"), image: None };
    let answer = embedder().embed(&[input]).unwrap().remove(0).unwrap().text.unwrap();
    let length: f32 = answer.iter().map(|v| v * v).sum();
    assert!((length - 1.0).abs() < 1e-5);
    let gap = distance(&answer[..KNOWN_TITLE.len()], &KNOWN_TITLE);
    assert!(gap < TOLERANCE, "off by {gap}");
}

const KNOWN_TITLE: [f32; 6] = [0.049602, 0.015429, -0.016748, 0.07444, 0.061786, 0.035521];

#[test]
fn an_unreadable_photo_does_not_disturb_its_neighbours() {
    let good = photo(Class(0), 1);
    let inputs = [
        ModelInput { text: None, image: Some(&good) },
        ModelInput { text: Some("  "), image: None },
        ModelInput { text: Some("a title"), image: Some(b"<html>not a photo</html>") },
        ModelInput { text: Some("a title"), image: Some(&good) },
    ];
    let answers = embedder().embed(&inputs).unwrap();
    assert!(matches!(answers[1], Err(InputError::Empty)));
    assert!(matches!(answers[2], Err(InputError::Image(_))));
    let (first, last) = (answers[0].as_ref().unwrap(), answers[3].as_ref().unwrap());
    assert!(first.image.is_some() && first.image == last.image);
    assert!(first.text.is_none() && last.text.is_some());
}

/// With a cache and without, and whichever parts of a post it has.
fn what_is_asked_again_is_answered_alike(predictor: &mut Predictor, photo: &[u8]) {
    let cache = FeatureCache::new(1_000_000);
    let title = Some("a pattern of upright stripes");
    let both = ModelInput { text: title, image: Some(photo) };
    let posts = [
        (ModelInput { text: Some(" "), image: Some(photo) }, 0),
        (both, 1),
        (both, 3),
        (ModelInput { text: title, image: None }, 4),
        (ModelInput { text: Some("another"), image: Some(photo) }, 5),
    ];
    for (post, hits) in posts {
        let plain = predictor.preprocessor().prepare(&post).unwrap();
        let recalled = predictor.preprocessor().prepare_with(&cache, &post).unwrap();
        assert_eq!(predictor.predict(&[recalled]).unwrap(), predictor.predict(&[plain]).unwrap());
        assert_eq!(cache.hits(), hits);
    }
    let nothing = ModelInput { text: Some(" "), image: None };
    assert!(matches!(predictor.preprocessor().prepare_with(&cache, &nothing), Err(InputError::Empty)));
}

#[test]
fn features_follow_from_the_post_alone() {
    let photo = photo(Class(0), 1);
    let titles: Vec<String> = (1..40).map(|words| "a tree on a hill ".repeat(words % 13 + 1)).collect();
    let mut inputs: Vec<_> = titles.iter().map(|title| ModelInput { text: Some(title), image: Some(&photo) }).collect();
    let assets = assets();
    let features = |inputs: &[ModelInput<'_>], threads| -> Vec<Features> {
        let embedder = Embedder::build(&assets.pair, &assets.files, &assets.runtime, LIMITS, threads);
        embedder.unwrap().embed(inputs).unwrap().into_iter().map(Result::unwrap).collect()
    };
    let together = features(&inputs, 2);
    assert!(features(&inputs, 1) == together, "threads change features");
    assert!(features(&inputs[5..6], 1) == together[5..6], "neighbours change features");
    inputs.reverse();
    let mut turned = features(&inputs, 2);
    turned.reverse();
    assert!(turned == together, "the order changes features");
}

fn predictor(bundle: &ModelBundle) -> Predictor {
    Predictor::load(bundle, &assets().runtime, &PredictorOptions { limits: LIMITS, threads: 2 }).unwrap()
}

#[test]
fn a_bundle_learns_is_written_read_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let written = bundle(folder.path(), "shapes");
    let read = ModelBundle::read(folder.path()).unwrap();
    assert_eq!(read.manifest, written.manifest);

    let mut predictor = predictor(&read);
    let unseen: Vec<Vec<u8>> = (0..12).map(|i| photo(Class(i % 3), 1000 + i as u64)).collect();
    let prepared: Vec<_> = unseen
        .iter()
        .map(|image| predictor.preprocessor().prepare(&ModelInput { text: None, image: Some(image) }).unwrap())
        .collect();
    let answers = predictor.predict(&prepared).unwrap();
    let right = answers.iter().enumerate().filter(|(i, answer)| answer.class == Class(i % 3)).count();
    assert!(right >= 11, "{right} of 12 photos alone");
    assert!(answers.iter().all(|a| (a.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5));

    let alone = predictor.predict(&prepared[..1]).unwrap();
    assert!(alone[0] == answers[0], "batch neighbours change the answer");

    what_is_asked_again_is_answered_alike(&mut predictor, &unseen[0]);

    let title = ModelInput { text: Some("a pattern of upright stripes"), image: None };
    let title = predictor.preprocessor().prepare(&title).unwrap();
    let answer = predictor.predict(&[title]).unwrap().remove(0);
    assert_eq!(classes().name(answer.class), "stripes");

    each_is_answered_once_as_all_are(&mut predictor, &unseen);
}

/// Posts with both parts, with one, and with none that the encoders must see.
fn each_is_answered_once_as_all_are(predictor: &mut Predictor, photos: &[Vec<u8>]) {
    let text = Some("a pattern of upright stripes");
    let both = photos.iter().map(|photo| ModelInput { text, image: Some(photo) });
    let posts = both.chain([ModelInput { text, image: None }, ModelInput { text: None, image: Some(&photos[0]) }]);
    let (preprocessor, cache) = (predictor.preprocessor().clone(), FeatureCache::new(1 << 20));
    let known = || preprocessor.prepare_with(&cache, &ModelInput { text, image: Some(&photos[0]) }).unwrap();
    predictor.predict(&[known()]).unwrap();
    let prepared: Vec<_> =
        [known()].into_iter().chain(posts.map(|post| preprocessor.prepare(&post).unwrap())).collect();
    let answers = Mutex::new(Vec::new());
    predictor.predict_each(&prepared, &|at, answer| answers.lock().unwrap().push((at, answer.unwrap()))).unwrap();
    let mut answers = answers.into_inner().unwrap();
    answers.sort_by_key(|(at, _)| *at);
    let expected: Vec<_> = predictor.predict(&prepared).unwrap().into_iter().enumerate().collect();
    assert_eq!(answers, expected);
}

#[test]
fn one_file_answers_as_the_bundle_whatever_a_post_lacks() {
    let mlp = TrainerConfig { head: HeadKind::Mlp { hidden: 40, dropout: 0.1 }, ..trainer() };
    for (config, calibrated) in [(trainer(), false), (trainer(), true), (mlp, true)] {
        let folder = tempfile::tempdir().unwrap();
        let bundle = bundle_of(folder.path(), "shapes", &config, calibrated);
        assert_eq!(bundle.head().unwrap().temperature() != 1.0, calibrated);
        one_file_answers_as(&bundle);
    }
}

fn one_file_answers_as(bundle: &ModelBundle) {
    let onnx = bundle.compose().unwrap();
    assert!(onnx == bundle.compose().unwrap(), "the same bundle gives the same bytes");
    let options = PredictorOptions { limits: LIMITS, threads: 2 };
    let difference = composed_difference(bundle, &onnx, &assets().runtime, &options).unwrap();
    assert!(difference <= 1e-5, "off by {difference}");

    // The same three posts in one batch and alone, where the title has no padding.
    let mut predictor = predictor(bundle);
    let mut composed = ComposedModel::load(&onnx, &assets().runtime).unwrap();
    let photo = photo(Class(1), 5);
    let (text, image) = (Some("the horizon between sky and ground"), Some(photo.as_slice()));
    let posts = [ModelInput { text: None, image }, ModelInput { text, image: None }, ModelInput { text, image }];
    let prepared = posts.map(|post| predictor.preprocessor().prepare(&post).unwrap());
    let together = composed.predict(&ComposedInputs::new(&prepared, bundle.preprocess())).unwrap();
    let expected = predictor.predict(&prepared).unwrap();
    for ((post, together), expected) in prepared.iter().zip(&together).zip(&expected) {
        let inputs = ComposedInputs::new(std::slice::from_ref(post), bundle.preprocess());
        let alone = composed.predict(&inputs).unwrap().remove(0);
        assert!(distance(&alone, together) <= 1e-5 && distance(&alone, &expected.probabilities) <= 1e-5);
    }
    assert!(together[0] != together[2] && together[1] != together[2], "what a post has counts: {together:?}");
}

/// A server asks about whole posts, several at a time.
fn assert_as_asked_about_whole_posts(expected: &Explanation, predictor: &mut Predictor, post: &ModelInput<'_>) {
    let preprocessor = predictor.preprocessor().clone();
    let options = ExplainOptions::default();
    let variants = Variants::new(post, &options, preprocessor.middle(), |input| preprocessor.prepare(input)).unwrap();
    let mut ask = |posts: &[Prepared]| predictor.predict(posts).unwrap();
    let whole = ask(std::slice::from_ref(variants.whole())).remove(0);
    let all: Vec<usize> = (0..variants.len()).collect();
    let portion = |portion: &[usize]| ask(&portion.iter().map(|&index| variants.variant(index)).collect::<Vec<_>>());
    let without: Vec<Prediction> = all.chunks(4).flat_map(portion).collect();
    let explanation = variants.explanation(whole, &without);
    let weights = |explanation: &Explanation| -> Vec<f32> {
        let words = explanation.words.iter().flatten().map(|word| word.weight);
        words.chain(explanation.photo.iter().flat_map(|map| map.weights.clone())).collect()
    };
    assert_eq!(weights(&explanation).len(), weights(expected).len());
    assert!(distance(&weights(&explanation), &weights(expected)) < TOLERANCE);
    assert_eq!(explanation.photo.map(|map| map.middle), expected.photo.as_ref().map(|map| map.middle));
}

#[test]
fn an_answer_is_explained_the_same_way_by_one_thread_and_by_two() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "shapes");
    let photo = photo(Class(1), 5);
    // The title speaks against the photo, so that the answer is not so sure that nothing moves it.
    let post = ModelInput { text: Some("many round discs"), image: Some(&photo) };
    let explain = |post: &ModelInput<'_>, threads| {
        let options = PredictorOptions { limits: LIMITS, threads };
        let mut predictor = Predictor::load(&bundle, &assets().runtime, &options).unwrap();
        let explanation = predictor.explain(post, &ExplainOptions::default()).unwrap();
        let prepared = predictor.preprocessor().prepare(post).unwrap();
        assert_eq!(explanation.prediction, predictor.predict(&[prepared]).unwrap()[0]);
        assert_as_asked_about_whole_posts(&explanation, &mut predictor, post);
        explanation
    };
    let (once, again, two) = (explain(&post, 1), explain(&post, 1), explain(&post, 2));
    assert_eq!(once, again);
    let (map, other) = (once.photo.unwrap(), two.photo.unwrap());
    assert_eq!(map.weights.len(), 49);
    assert!(distance(&map.weights, &other.weights) < TOLERANCE);
    assert!(map.weights.iter().any(|weight| weight.abs() > 1e-4), "covering a part changes nothing: {map:?}");

    // Without the photo the title decides, and of its words that which names the class.
    let title = ModelInput { text: Some("a pattern of upright stripes"), image: None };
    let words = explain(&title, 2).words.unwrap();
    let decides = words.iter().max_by(|a, b| a.weight.total_cmp(&b.weight)).unwrap();
    assert_eq!(decides.word, "stripes", "{words:?}");
}

#[test]
fn a_corrupted_bundle_is_refused_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let _ = bundle(folder.path(), "shapes");
    for name in ["head.safetensors", "image_encoder.onnx", "tokenizer.json", "labels.json"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write_atomic(&path, &damaged).unwrap();
        match ModelBundle::read(folder.path()) {
            Err(BundleError::Corrupted { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{name}: {other:?}"),
        }
        fs::write_atomic(&path, &whole).unwrap();
    }
    let labels = folder.path().join("labels.json");
    fs::remove_file(&labels).unwrap();
    assert!(matches!(ModelBundle::read(folder.path()), Err(BundleError::File(_))));
    fs::create_dir_all(&labels).unwrap();
    let error = ModelBundle::read(folder.path()).unwrap_err();
    assert!(matches!(&error, BundleError::Format { path, reason } if *path == labels && reason == "it is not a file"));
}

#[test]
fn a_manifest_cannot_lead_elsewhere_or_promise_another_size() {
    let folder = tempfile::tempdir().unwrap();
    let _ = bundle(folder.path(), "shapes");
    let path = folder.path().join(ModelBundle::MANIFEST);
    let whole = fs::read_to_string(&path).unwrap();
    let read = |change: &dyn Fn(&mut Value)| {
        let mut manifest: Value = serde_json::from_str(&whole).unwrap();
        change(&mut manifest);
        fs::write_atomic(&path, manifest.to_string()).unwrap();
        ModelBundle::read(folder.path())
    };
    assert!(read(&|_| ()).is_ok());
    let moved = read(&|manifest| {
        let files = manifest["files"].as_object_mut().unwrap();
        let record = files.remove("labels.json").unwrap();
        files.insert("../labels.json".to_owned(), record);
    });
    assert!(matches!(moved, Err(BundleError::Format { .. })), "{moved:?}");
    let added = read(&|manifest| manifest["files"]["model.py"] = manifest["files"]["labels.json"].clone());
    assert!(matches!(added, Err(BundleError::Format { .. })), "{added:?}");
    match read(&|manifest| manifest["files"]["labels.json"]["bytes"] = 7.into()) {
        Err(BundleError::Size { path, expected: 7, found }) if path.ends_with("labels.json") => assert!(found > 7),
        other => panic!("{other:?}"),
    }
    let wide = read(&|manifest| manifest["image_encoder"]["features"] = u64::MAX.into()).unwrap();
    let options = PredictorOptions { limits: LIMITS, threads: 1 };
    assert!(Predictor::load(&wide, &assets().runtime, &options).is_err());
}

/// Runs the test below in a process of its own, where no runtime is loaded yet, and gives what it printed.
fn in_a_fresh_process(telemetry: Option<&str>) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_that_loads_a_missing_library", "--nocapture"]).env("NATUREDDIT_TEST_CHILD", "1");
    match telemetry {
        Some(value) => child.env("ORT_DISABLE_TELEMETRY", value),
        None => child.env_remove("ORT_DISABLE_TELEMETRY"),
    };
    let output = child.output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn child_that_loads_a_missing_library() {
    #[expect(clippy::disallowed_methods, reason = "only `in_a_fresh_process` sets it")]
    if std::env::var_os("NATUREDDIT_TEST_CHILD").is_some() {
        println!("{}", Runtime::load(Path::new("/nowhere/libonnxruntime.so")).unwrap_err());
    }
}

#[test]
fn the_runtime_is_not_loaded_without_the_telemetry_switch() {
    let refused = "ONNX Runtime is not loaded because ORT_DISABLE_TELEMETRY=1 is not set";
    assert!(in_a_fresh_process(None).contains(refused));
    assert!(in_a_fresh_process(Some("0")).contains(refused));
}

#[test]
fn what_is_no_runtime_is_refused_with_its_path() {
    let printed = in_a_fresh_process(Some("1"));
    assert!(printed.contains("could not load ONNX Runtime from /nowhere/libonnxruntime.so"), "{printed}");
}
