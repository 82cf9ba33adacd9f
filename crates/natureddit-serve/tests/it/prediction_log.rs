//! Predictions that are written down.

use std::path::{Path, PathBuf};

use natureddit_core::fs;
use natureddit_model::{Features, Prediction, Prepared};
use natureddit_serve::{LoadedModel, PredictionLogConfig, ServeError, Server};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::fixture::{self, Fixture, config, decode, logged, nature, post_form, steady};

fn log(folder: &Path) -> PredictionLogConfig {
    let folder = folder.join("predictions");
    PredictionLogConfig { folder, sample: 1.0, content: false, file_bytes_max: 1 << 20, files_max: 2 }
}

/// The whole lines of the files; a last one without its newline is none.
fn lines(log: &PredictionLogConfig) -> Vec<Value> {
    let files = fs::read_dir(&log.folder).unwrap();
    let files = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    let texts = files.map(|file| fs::read_to_string(file).unwrap());
    let whole =
        |text: String| text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect();
    texts.flat_map(|text| -> Vec<String> { whole(text) }).map(|line| serde_json::from_str(&line).unwrap()).collect()
}

/// A model that gives its features, too.
fn with_features() -> LoadedModel {
    let features = Features { image: Some(vec![0.0, 2.0]), text: None };
    let prediction = Prediction { features: Some(features), ..Prediction::new(vec![0.25, 0.75, 0.0]) };
    nature(3, decode, move |batch: Vec<Prepared>| Ok(vec![prediction.clone(); batch.len()]))
}

async fn start(model: LoadedModel, log: &PredictionLogConfig) -> Fixture {
    Fixture::start_with(vec![model], |config| config.prediction_log = Some(log.clone())).await
}

fn id(response: &reqwest::Response) -> String {
    response.headers()["x-request-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_prediction_has_a_line_without_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let fixture = start(with_features(), &log).await;
    let both = id(&fixture.post("/predictions/nature").multipart(post_form()).send().await.unwrap());
    let title = id(&fixture.ask("a purple quagga").await);
    let two = json!({"instances": [{"text": "a"}, {"text": "b"}]});
    let two = id(&fixture.post("/v1/models/nature:predict").json(&two).send().await.unwrap());
    // What was not answered with a prediction has none.
    assert_eq!(fixture.post("/predictions/nature").body("x").send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    fixture.server.shutdown().await.unwrap();
    let lines = lines(&log);
    let of = |key: &str| lines.iter().map(|line| line[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("prediction_id"), [&both, &title, &two, &two].map(|id| json!(id)));
    assert_eq!(of("index"), [json!(null), json!(null), json!(0), json!(1)]);
    assert_eq!(of("has_photo"), [true, false, false, false].map(|has| json!(has)));
    let mut first = lines[0].clone();
    let time = first["time"].take();
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    assert!(time > jiff::Timestamp::UNIX_EPOCH);
    let sketch = first["sketch"].take();
    let sketch: Vec<i64> = serde_json::from_value(sketch).unwrap();
    assert!(sketch.len() == 32 && sketch.iter().all(|number| number.abs() == 32), "{sketch:?}");
    let expected = json!({
        "prediction_id": both, "time": null, "model": "nature", "version": 3, "bundle": null, "class": "flora",
        "classes": ["fauna", "flora", "landscape"], "probabilities": [0.25, 0.75, 0.0],
        "has_title": true, "has_photo": true, "sketch": null,
    });
    assert_eq!(first, expected);
    assert!(!lines.iter().any(|line| line.to_string().contains("quagga")));
}

#[tokio::test]
async fn titles_and_photos_are_written_only_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let log = PredictionLogConfig { content: true, ..log(folder.path()) };
    let fixture = start(steady(1, [1.0, 0.0, 0.0]), &log).await;
    fixture.post("/predictions/nature").multipart(post_form()).send().await.unwrap();
    fixture.server.shutdown().await.unwrap();
    let line = &lines(&log)[0];
    assert_eq!(line["content"], json!({"title": "a red fox", "photo": fixture::base64(&fixture::jpeg())}));
    assert_eq!(line["sketch"], json!(null), "the model gave no features");
}

#[tokio::test]
async fn the_id_decides_whether_a_prediction_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let log = PredictionLogConfig { sample: 0.5, ..log(folder.path()) };
    let fixture = start(steady(1, [1.0, 0.0, 0.0]), &log).await;
    let mut expected = Vec::new();
    for _ in 0..40 {
        let id = id(&fixture.ask("a").await);
        // As the page says: digits 10 to 13 and 25 to 28, read as one number of 32 bits.
        let number = u32::from_str_radix(&format!("{}{}", &id[9..13], &id[24..28]), 16).unwrap();
        if f64::from(number) < 0.5 * 2_f64.powi(32) {
            expected.push(id);
        }
    }
    fixture.server.shutdown().await.unwrap();
    let written: Vec<_> = lines(&log).iter().map(|line| line["prediction_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(written, expected);
    assert!((1..40).contains(&written.len()), "{} of 40", written.len());
}

/// The value of a counter without labels of its own.
async fn count(fixture: &Fixture, series: &str) -> f64 {
    let text = fixture.metrics().await;
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok()).unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_warned_of_once_and_holds_up_nobody() {
    const DROPPED: &str = "natureddit_prediction_log_dropped_total{reason=\"not_written\"}";
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let first: PathBuf = log.folder.join("predictions-00000001.jsonl");
    fs::create_dir_all(&log.folder).unwrap();
    fs::symlink(Path::new("/dev/full"), &first, &folder.path().join("partial")).unwrap();
    let fixture = start(steady(1, [1.0, 0.0, 0.0]), &log).await;
    for _ in 0..3 {
        assert_eq!(fixture.ask("a").await.status(), StatusCode::OK);
    }
    while count(&fixture, DROPPED).await < 3.0 {
        tokio::task::yield_now().await;
    }
    let warnings = logged().matches(first.to_str().unwrap()).count();
    assert_eq!(warnings, 1, "{}", logged());
    fs::remove_file(&first).unwrap();
    let written = id(&fixture.ask("a").await);
    while count(&fixture, "natureddit_prediction_log_written_total").await < 1.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lines(&log)[0]["prediction_id"], json!(written));
}

#[tokio::test]
async fn two_servers_do_not_write_into_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let _first = start(steady(1, [1.0, 0.0, 0.0]), &log).await;
    let mut second = config(folder.path());
    second.prediction_log = Some(log);
    let Err(error) = Server::start(second, Vec::new()).await else { panic!("both write") };
    assert!(matches!(error, ServeError::PredictionLog(_)), "{error}");
}
