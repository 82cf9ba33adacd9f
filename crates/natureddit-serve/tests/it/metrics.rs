//! What is counted, and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use natureddit_core::fs;
use natureddit_serve::MetricsMode;
use natureddit_testkit::shared;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::fixture::{Fixture, Gate, error, gated, named, post_form, steady};
use crate::management::{Managed, add, store};

/// What TorchServe tells and this server does not, with the reason that the page gives.
const NOT_TOLD: [(&str, &str); 5] = [
    ("GPUUtilization", "models run on processor cores"),
    ("GPUMemoryUtilization", "models run on processor cores"),
    ("GPUMemoryUsed", "models run on processor cores"),
    ("HandlerTime", "there is no handler; TorchServe's own had no series either"),
    ("WorkerThreadTime", "no thread stands between a worker and its model"),
];

/// The value of a series, which stands in `text` as `series value`.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// A value that must be there.
fn told(text: &str, series: &str) -> f64 {
    value(text, series).unwrap_or_else(|| panic!("no {series} in:\n{text}"))
}

/// Of each family its type, its help and the names of its labels.
fn families(text: &str) -> BTreeMap<String, (String, String, BTreeSet<String>)> {
    let mut families = BTreeMap::<String, (String, String, BTreeSet<String>)>::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next()) {
            (Some("#"), Some(what)) => {
                let family = families.entry(words.next().unwrap().to_owned()).or_default();
                let place = if what == "TYPE" { &mut family.0 } else { &mut family.1 };
                words.next().unwrap().clone_into(place);
            }
            _ => {
                let Some((name, rest)) = line.split_once('{') else { continue };
                let Some(family) = families.get_mut(name) else { continue };
                let labels = rest.split_once('}').unwrap().0.split(',').filter(|label| !label.is_empty());
                family.2.extend(labels.map(|label| label.split_once('=').unwrap().0.to_owned()));
            }
        }
    }
    families
}

#[tokio::test]
async fn torchserves_metrics_have_its_names_types_units_and_labels() {
    let Some(shared) = shared("metrics captured at TorchServe") else { return };
    let capture = fs::read_to_string(&shared.join("captures/torchserve/https_metrics.txt")).unwrap();
    let capture = capture.replace("\r\n", "\n");
    let (_, capture) = capture.split_once("##### metrics\n").unwrap();
    let (head, body) = capture.split_once("# HELP").unwrap();
    let captured = families(&format!("# HELP{body}"));
    assert!(captured.len() >= 20, "{} families", captured.len());

    let managed = Managed::start(store(&[1])).await;
    managed.label().await;
    let response = managed.fixture.get_metrics("/metrics").send().await.unwrap();
    for header in ["content-type", "pragma", "expires"] {
        let value = response.headers()[header].to_str().unwrap();
        assert!(head.to_ascii_lowercase().contains(&format!("{header}: {}\n", value.to_ascii_lowercase())), "{header}");
    }
    let ours = families(&response.text().await.unwrap());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop/torchserve.md");
    let page = fs::read_to_string(&page).unwrap();
    for (name, family) in &captured {
        match NOT_TOLD.iter().find(|(missing, _)| missing == name) {
            Some((_, why)) => {
                assert!(!ours.contains_key(name), "{name}");
                let row = format!("| `{name}` | {why} |");
                assert!(page.contains(&row), "the page lacks:\n{row}");
            }
            None => assert_eq!(ours.get(name), Some(family), "{name}"),
        }
    }
    for name in ours.keys().filter(|name| !captured.contains_key(*name)) {
        assert!(name.starts_with("natureddit_"), "{name}");
        assert!(page.contains(&format!("`{name}`")), "the page lacks {name}");
    }
}

#[tokio::test]
async fn names_choose_and_in_the_log_mode_nothing_is_told_as_torchserve_does() {
    let fixture = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0])]).await;
    let asked = fixture.get_metrics("/metrics?name[]=ts_inference_requests_total&name[]=Requests2XX");
    let text = asked.send().await.unwrap().text().await.unwrap();
    assert_eq!(families(&text).into_keys().collect::<Vec<_>>(), ["Requests2XX", "ts_inference_requests_total"]);
    let nothing = fixture.get_metrics("/metrics?name[]=nope").send().await.unwrap();
    assert_eq!((nothing.status(), nothing.text().await.unwrap().as_str()), (StatusCode::OK, ""));
    let (status, kind, _) = error(fixture.get_metrics("/models").send().await.unwrap()).await;
    assert_eq!((status.as_u16(), kind.as_str()), (404, "ResourceNotFoundException"));

    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.tls = None;
        config.metrics.mode = MetricsMode::Log;
    });
    let response = fixture.await.get_metrics("/metrics").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn each_version_has_its_own_figures_and_takes_them_away() {
    let managed = Managed::start(store(&[1])).await;
    for version in [2, 3] {
        add(managed.store.path(), version);
        managed.manage(Method::POST, &format!("/models?url=nature/{version}")).await;
    }
    managed.manage(Method::PUT, "/models/nature/2/traffic?shadow=100").await;
    for _ in 0..3 {
        assert_eq!(managed.label().await, "fauna");
    }
    let asked = managed.fixture.post("/predictions/nature/3.0").multipart(post_form());
    assert_eq!(asked.send().await.unwrap().text().await.unwrap(), "landscape");
    let differs = "natureddit_shadow_requests_total{outcome=\"differs\",model_name=\"nature\",model_version=\"2\"}";
    // A shadow is asked after the answer.
    while told(&managed.fixture.metrics().await, differs) < 3.0 {
        tokio::task::yield_now().await;
    }
    let text = managed.fixture.metrics().await;
    let of = |name: &str, label: &str, version: u64| {
        told(&text, &format!("{name}{{{label}model_name=\"nature\",model_version=\"{version}\"}}"))
    };
    let classes = [("fauna", 1), ("flora", 2), ("landscape", 3)];
    let predictions = |class, version| of("natureddit_predictions_total", &format!("class=\"{class}\","), version);
    assert_eq!(classes.map(|(class, version)| predictions(class, version)), [3.0, 0.0, 1.0]);
    assert_eq!(predictions("flora", 1), 0.0);
    assert_eq!(
        [1, 2, 3].map(|version| of("natureddit_prediction_confidence_ratio_count", "", version)),
        [3.0, 0.0, 1.0]
    );
    assert_eq!([1, 2, 3].map(|version| of("natureddit_batch_size_sum", "", version)), [3.0, 3.0, 1.0]);
    for (stage, count) in [("read_body", 3.0), ("await_thread", 3.0), ("prepare", 3.0), ("queue", 3.0), ("encode", 3.0)]
    {
        let name = "natureddit_stage_duration_seconds_count";
        assert_eq!(of(name, &format!("stage=\"{stage}\","), 1), count, "{stage}");
    }
    let requests: Vec<f64> =
        (1..=3).map(|version| ts(&text, "ts_inference_requests_total", version).unwrap()).collect();
    assert_eq!(requests, [3.0, 0.0, 1.0]);
    assert!(ts(&text, "ts_inference_latency_microseconds", 1) > ts(&text, "ts_queue_latency_microseconds", 1));

    // More workers count on, and who is gone is told no more.
    managed.manage(Method::PUT, "/models/nature/1?min_worker=2&synchronous=true").await;
    managed.label().await;
    managed.manage(Method::DELETE, "/models/nature/2").await;
    let text = managed.fixture.metrics().await;
    assert_eq!(ts(&text, "ts_inference_requests_total", 1), Some(4.0));
    assert_eq!(told(&text, "natureddit_batch_size_sum{model_name=\"nature\",model_version=\"1\"}"), 4.0);
    assert!(!text.contains("model_version=\"2\""), "{text}");
    // Registered again, it begins at nothing.
    managed.manage(Method::POST, "/models?url=nature/2").await;
    assert_eq!(told(&managed.fixture.metrics().await, differs), 0.0);
}

/// A value that has the name of the machine in its labels.
fn ts(text: &str, name: &str, version: u64) -> Option<f64> {
    let labels = format!("{name}{{model_name=\"nature\",model_version=\"{version}\",hostname=\"");
    text.lines().find_map(|line| line.strip_prefix(&labels)?.split_once("\"} ")?.1.parse().ok())
}

#[tokio::test]
async fn what_is_turned_away_fails_or_is_no_model_is_counted_and_nothing_else_has_series() {
    let (model, Gate { mut begun, go_on }) = gated();
    let fixture = Fixture::start_with(vec![model], |config| config.limits.requests_max = 3).await;
    let shed = |text: &str, reason: &str| {
        told(
            text,
            &format!("natureddit_requests_shed_total{{reason=\"{reason}\",model_name=\"nature\",model_version=\"1\"}}"),
        )
    };
    let depth = "natureddit_queue_depth{model_name=\"nature\",model_version=\"1\"}";
    let turned_away = async {
        assert_eq!(begun.recv().await, Some(1));
        // One waits, for the queue has room for one.
        let waits = fixture.ask("second");
        let more = async {
            while told(&fixture.metrics().await, depth) < 1.0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(fixture.ask("third").await.status(), StatusCode::SERVICE_UNAVAILABLE);
            go_on.send(()).unwrap();
            go_on.send(()).unwrap();
        };
        assert_eq!(tokio::join!(waits, more).0.status(), StatusCode::OK);
    };
    let (first, ()) = tokio::join!(fixture.ask("first"), turned_away);
    assert_eq!(first.status(), StatusCode::OK);
    let nothing = fixture.post("/predictions/nature").body("").send().await.unwrap();
    assert_eq!(nothing.status(), StatusCode::BAD_REQUEST);
    for name in ["none", "a%22b", "nature/99", "%00"] {
        assert_eq!(fixture.post(&format!("/predictions/{name}")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    let text = fixture.metrics().await;
    assert_eq!([shed(&text, "queue_full"), shed(&text, "busy")], [1.0, 0.0]);
    let failed = "natureddit_requests_failed_total{reason=\"input\",model_name=\"nature\",model_version=\"1\"}";
    assert_eq!(told(&text, failed), 1.0);
    assert_eq!(told(&text, depth), 0.0);
    let requests = |class: &str| {
        let name = format!("Requests{class}{{Level=\"Host\",Hostname=");
        text.lines().find_map(|line| line.strip_prefix(&name)?.split_once(' ')?.1.parse::<f64>().ok())
    };
    assert_eq!([requests("2XX"), requests("4XX"), requests("5XX")], [Some(2.0), Some(5.0), Some(1.0)]);
    assert!(!text.contains("\"none\"") && !text.contains("model_version=\"99\""), "{text}");
}

#[tokio::test]
async fn a_batch_that_fails_is_the_models_failure_and_no_others() {
    let fixture = Fixture::start(vec![named("other", [1.0, 0.0, 0.0])]).await;
    let failed = "natureddit_requests_failed_total{reason=\"model\",model_name=\"nature\",model_version=\"1\"}";
    let two = json!({"instances": [{"text": "a"}, {"text": "b"}]});
    assert_eq!(fixture.post("/v1/models/other:predict").json(&two).send().await.unwrap().status(), StatusCode::OK);
    let text = fixture.metrics().await;
    assert_eq!(value(&text, failed), None);
    let prepared =
        "natureddit_stage_duration_seconds_count{stage=\"prepare\",model_name=\"other\",model_version=\"1\"}";
    assert_eq!(told(&text, prepared), 2.0, "each post of a request is prepared by itself");
    let (model, gate) = gated();
    drop(gate);
    let fixture = Fixture::start(vec![model]).await;
    assert_eq!(fixture.ask("unlucky").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let text = fixture.metrics().await;
    assert_eq!(told(&text, failed), 1.0);
    assert_eq!(told(&text, "natureddit_queue_depth{model_name=\"nature\",model_version=\"1\"}"), 0.0);
}

#[tokio::test]
async fn where_others_can_read_metrics_they_show_the_key_for_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("keys.json");
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.metrics.needs_key = true;
        config.control.key_file = Some(key_file.clone());
    });
    let fixture = fixture.await;
    let keys: serde_json::Value = serde_json::from_slice(&fs::read(&key_file).unwrap()).unwrap();
    let ask = |key: &str| fixture.get_metrics("/metrics").bearer_auth(key).send();
    for key in ["nope", keys["management"]["key"].as_str().unwrap()] {
        let (status, kind, _) = error(ask(key).await.unwrap()).await;
        assert_eq!((status.as_u16(), json!(kind)), (401, json!("InvalidKeyException")));
    }
    assert_eq!(ask(keys["inference"]["key"].as_str().unwrap()).await.unwrap().status(), StatusCode::OK);
}
