//! Real bundles from a model store, with the encoders and the runtime.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use natureddit_core::{Class, Clock, fs};
use natureddit_model::{ExplainOptions, ModelBundle, ModelInput, Prediction, Predictor, PredictorOptions, Prepared};
use natureddit_serve::{
    Answers, BatchLimits, Batcher, LoadError, LoadedModel, Loader, ModelChoice, ModelsConfig, SettingsByVersion,
};
use natureddit_testkit::{LIMITS, assets, bundle, classes, photo};
use reqwest::header::ACCEPT;
use reqwest::multipart::{Form, Part};
use tempfile::TempDir;

use crate::fixture::Fixture;

fn load(store: &Path, choices: Vec<ModelChoice>) -> Result<Vec<LoadedModel>, LoadError> {
    let config = ModelsConfig {
        embedding_cache_bytes_max: 1_000_000,
        model_store: store.to_owned(),
        choices,
        predictor: PredictorOptions { limits: LIMITS, threads: 2 },
        batch: BatchLimits { batch_size_max: 8, batch_delay_max: Duration::from_millis(2), queue_len_max: 64 },
        workers: 1,
        by_version: SettingsByVersion::new(),
        keep_features: false,
        workers_max: 2,
        clock: Clock::System,
    };
    Loader::new(config, assets().runtime.clone()).load_all()
}

/// A model store with the model `shapes` in version 3.
fn store() -> TempDir {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().join("shapes/3");
    fs::create_dir_all(&folder).unwrap();
    let _ = bundle(&folder, "shapes");
    store
}

/// A server of that model. Pulling assets and loading block, and so happen off the test's runtime.
async fn start() -> Fixture {
    let models = tokio::task::spawn_blocking(|| load(store().path(), Vec::new()).unwrap());
    Fixture::start(models.await.unwrap()).await
}

#[tokio::test]
async fn photos_and_titles_are_told_apart_over_https() {
    let fixture = start().await;
    let titles = ["many round discs", "a pattern of upright stripes", "the horizon between sky and ground"];
    for (class, title) in classes().classes().zip(titles) {
        let image = || Part::bytes(photo(class, 1000));
        let both = Form::new().text("text", title).part("image", image());
        for form in [both, Form::new().text("text", title), Form::new().part("image", image())] {
            let response = fixture.post("/predictions/shapes").multipart(form).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), classes().name(class));
        }
    }
}

/// The model `shapes`, whose batches leave when they are full or `delay` is over, and the size of each.
fn batched(batch_size: usize, delay: Duration) -> (LoadedModel, mpsc::Receiver<usize>) {
    let store = store();
    let bundle = ModelBundle::read(&store.path().join("shapes/3")).unwrap();
    let options = PredictorOptions { limits: LIMITS, threads: 2 };
    let mut predictor = Predictor::load(&bundle, &assets().runtime, &options).unwrap();
    let preprocessor = predictor.preprocessor().clone();
    let (tell, sizes) = mpsc::channel();
    let work = move |batch: Vec<Prepared>, answers: &Answers<Prediction>| {
        tell.send(batch.len()).unwrap();
        predictor.predict_each(&batch, &|at, answer| answers.give(at, answer.unwrap())).map_err(|e| e.to_string())
    };
    let limits = BatchLimits { batch_size_max: batch_size, batch_delay_max: delay, queue_len_max: 64 };
    let batcher = Batcher::spawn(limits, "shapes", work).unwrap();
    (LoadedModel::new("shapes", 3, classes(), move |input| preprocessor.prepare(input), batcher), sizes)
}

#[tokio::test]
async fn requests_share_batches_and_get_each_its_own_answer() {
    let (model, sizes) = tokio::task::spawn_blocking(|| batched(6, Duration::from_hours(1))).await.unwrap();
    let fixture = Fixture::start(vec![model]).await;
    let requests = (0..12).map(|i| {
        let class = Class(i % 3);
        let form = Form::new().part("image", Part::bytes(photo(class, 2000 + i as u64)));
        let request = fixture.post("/predictions/shapes/3").header(ACCEPT, "application/json").multipart(form);
        (class, tokio::spawn(request.send()))
    });
    for (class, request) in requests.collect::<Vec<_>>() {
        let body: serde_json::Value = request.await.unwrap().unwrap().json().await.unwrap();
        assert_eq!(body["label"], classes().name(class));
        assert_eq!(body["version"], "3");
        let sum: f64 = body["probabilities"].as_object().unwrap().values().filter_map(serde_json::Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{body}");
    }
    assert_eq!(sizes.try_iter().collect::<Vec<_>>(), [6, 6]);
}

#[tokio::test]
async fn an_answer_is_explained_a_few_questions_at_a_time_as_the_command_line_explains_it() {
    let (model, sizes) = tokio::task::spawn_blocking(|| batched(8, Duration::from_millis(2))).await.unwrap();
    let fixture = Fixture::start(vec![model]).await;
    let title = "many round discs";
    let form = Form::new().text("text", title).part("image", Part::bytes(photo(Class(1), 5)));
    let response = fixture.post("/explanations/shapes").multipart(form).send().await.unwrap();
    let body: serde_json::Value = response.json().await.unwrap();
    let expected = tokio::task::spawn_blocking(move || {
        let store = store();
        let bundle = ModelBundle::read(&store.path().join("shapes/3")).unwrap();
        let options = PredictorOptions { limits: LIMITS, threads: 2 };
        let mut predictor = Predictor::load(&bundle, &assets().runtime, &options).unwrap();
        let image = photo(Class(1), 5);
        let post = ModelInput { text: Some(title), image: Some(&image) };
        predictor.explain(&post, &ExplainOptions::default()).unwrap()
    });
    let expected = expected.await.unwrap();
    assert_eq!(body["label"], classes().name(expected.prediction.class));
    let words = body["words"].as_array().unwrap().iter().map(|word| (&word["word"], &word["weight"]));
    let expected_words = expected.words.as_ref().unwrap();
    assert_eq!(words.len(), 3);
    for ((word, weight), expected) in words.zip(expected_words) {
        assert_eq!(word, &expected.word);
        assert!((weight.as_f64().unwrap() - f64::from(expected.weight)).abs() < 1e-4, "{body}");
    }
    let rows = body["photo"]["weights"].as_array().unwrap();
    assert_eq!((&body["photo"]["cells_a_side"], rows.len()), (&7.into(), 7));
    let cells = rows.iter().flat_map(|row| row.as_array().unwrap()).map(|weight| weight.as_f64().unwrap());
    for (weight, expected) in cells.zip(&expected.photo.unwrap().weights) {
        assert!((weight - f64::from(*expected)).abs() < 1e-4, "{body}");
    }
    // The post, its three words and the 49 cells of its photo; never so many that others would wait for long.
    let sizes: Vec<usize> = sizes.try_iter().collect();
    assert_eq!(sizes.iter().sum::<usize>(), 53);
    assert!(sizes.iter().all(|size| *size <= 4), "{sizes:?}");
}

#[tokio::test]
async fn a_model_archive_answers_as_the_bundle_it_was_made_of() {
    let models = tokio::task::spawn_blocking(|| {
        let (store, archives) = (store(), tempfile::tempdir().unwrap());
        let bundle = ModelBundle::read(&store.path().join("shapes/3")).unwrap();
        bundle.write_archive(&archives.path().join("shapes.mar"), 4).unwrap();
        let mut models = load(archives.path(), Vec::new()).unwrap();
        models.extend(load(store.path(), Vec::new()).unwrap());
        models
    });
    let fixture = Fixture::start(models.await.unwrap()).await;
    let ask = async |version: u64| {
        let form = Form::new().text("text", "many round discs").part("image", Part::bytes(photo(Class(0), 1000)));
        let request = fixture.post(&format!("/predictions/shapes/{version}")).header(ACCEPT, "application/json");
        let body: serde_json::Value = request.multipart(form).send().await.unwrap().json().await.unwrap();
        assert_eq!(body["version"], version.to_string());
        (body["label"].clone(), body["probabilities"].clone())
    };
    assert_eq!(ask(4).await, ask(3).await);
}

#[test]
fn a_corrupted_bundle_is_refused_by_its_hash() {
    let store = store();
    let head = store.path().join("shapes/3/head.safetensors");
    let mut bytes = fs::read(&head).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write_atomic(&head, bytes).unwrap();
    let Err(error) = load(store.path(), Vec::new()) else { panic!("a corrupted bundle was loaded") };
    assert_eq!(error.to_string(), format!("could not load the model in {}", store.path().join("shapes/3").display()));
    let LoadError::Bundle { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains("head.safetensors is corrupted"), "{source}");
    // As a bundle folder by name it is the same bundle.
    let choice = ModelChoice::Folder("candidate".to_owned(), store.path().join("shapes/3"));
    assert!(matches!(load(Path::new("/no store"), vec![choice]), Err(LoadError::Bundle { .. })));
}
