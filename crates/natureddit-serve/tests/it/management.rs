//! Managing models while they are served.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use natureddit_core::{Clock, fs};
use natureddit_image::ImageLimits;
use natureddit_model::{ModelBundle, Prediction, PredictorOptions, Prepared};
use natureddit_serve::{
    BatchLimits, Batcher, LoadError, LoadedModel, Loader, Models, ModelsConfig, ServeConfig, SettingsByVersion,
    VersionSettings, WorkerError,
};
use reqwest::{Body, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::fixture::{self, Fixture, error, logged};

/// A store of models that need no weights: each version of `nature` has an opinion of its own.
pub(crate) fn store(versions: &[u64]) -> TempDir {
    let store = tempfile::tempdir().unwrap();
    versions.iter().for_each(|version| add(store.path(), *version));
    store
}

pub(crate) fn add(store: &Path, version: u64) {
    let manifest = store.join(format!("nature/{version}")).join(ModelBundle::MANIFEST);
    fs::write_atomic(&manifest, "{}").unwrap();
}

/// A version with this remainder of three says fauna (1), flora (2) or landscape (0); 666 cannot be loaded.
fn open(name: &str, version: u64, _folder: &Path, batch: BatchLimits) -> Result<LoadedModel, LoadError> {
    let class = usize::try_from((version + 2) % 3).unwrap();
    let start = move |limits: &BatchLimits| {
        if version == 666 {
            return Err(WorkerError::Load("it is damaged".to_owned()));
        }
        let mut probabilities = vec![0.0; 3];
        probabilities[class] = 1.0;
        let work = move |batch: Vec<Prepared>| Ok(vec![Prediction::new(probabilities.clone()); batch.len()]);
        Batcher::spawn(limits.clone(), "nature", fixture::all_at_once(work)).map_err(WorkerError::Thread)
    };
    let model = LoadedModel::start((name, version), fixture::classes(), fixture::decode, batch, start);
    model.map_err(|source| LoadError::Worker { name: name.to_owned(), source })
}

pub(crate) fn loader(store: &Path, by_version: SettingsByVersion) -> Loader {
    let config = ModelsConfig {
        embedding_cache_bytes_max: 1_000_000,
        model_store: store.to_owned(),
        choices: Vec::new(),
        predictor: PredictorOptions {
            limits: natureddit_model::InputLimits {
                image: ImageLimits { bytes_max: 1, pixels_max: 1 },
                text_bytes_max: 1,
            },
            threads: 1,
        },
        batch: BatchLimits { batch_size_max: 4, batch_delay_max: Duration::ZERO, queue_len_max: 64 },
        workers: 1,
        by_version,
        keep_features: false,
        workers_max: 3,
        clock: Clock::System,
    };
    Loader::with(config, open)
}

pub(crate) struct Managed {
    pub(crate) fixture: Fixture,
    pub(crate) store: TempDir,
}

impl Managed {
    pub(crate) async fn start(store: TempDir) -> Self {
        Self::start_with(store, SettingsByVersion::new(), |_| {}).await
    }

    async fn start_with(store: TempDir, by_version: SettingsByVersion, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let loader = loader(store.path(), by_version);
        Self::start_of(store, loader, change).await
    }

    pub(crate) async fn start_of(store: TempDir, loader: Loader, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let models = Models::load(loader, Some(store.path().join(".served.json"))).unwrap();
        let key_file = store.path().join("keys/keys.json");
        let fixture = Fixture::start_with(models, |config| {
            config.control.management_address = Some("127.0.0.1:0".parse().unwrap());
            config.control.management_key = true;
            config.control.key_file = Some(key_file);
            change(config);
        });
        Self { fixture: fixture.await, store }
    }

    fn key(&self, kind: &str) -> String {
        let keys = fs::read(&self.store.path().join("keys/keys.json")).unwrap();
        serde_json::from_slice::<Value>(&keys).unwrap()[kind]["key"].as_str().unwrap().to_owned()
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let port = self.fixture.server.management_address().unwrap().port();
        self.fixture.client.request(method, format!("https://localhost:{port}{path}"))
    }

    pub(crate) async fn send(&self, method: Method, path: &str) -> reqwest::Response {
        self.request(method, path).bearer_auth(self.key("management")).send().await.unwrap()
    }

    /// The status and body of a request that the management key is shown with.
    pub(crate) async fn manage(&self, method: Method, path: &str) -> (u16, Value) {
        let response = self.send(method, path).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// What the model says where no version is asked for.
    pub(crate) async fn label(&self) -> String {
        let response = self.fixture.ask("a title").await;
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }

    pub(crate) async fn restart(self) -> Self {
        self.restart_with(SettingsByVersion::new()).await
    }

    async fn restart_with(self, by_version: SettingsByVersion) -> Self {
        let Self { fixture, store } = self;
        fixture.server.shutdown().await.unwrap();
        Self::start_with(store, by_version, |_| {}).await
    }
}

fn status(text: &str) -> Value {
    json!({ "status": text })
}

#[tokio::test]
async fn management_needs_its_own_key_and_predictions_none() {
    let managed = Managed::start(store(&[1])).await;
    for key in [None, Some("nope".to_owned()), Some(managed.key("inference")), Some(managed.key("API"))] {
        let request = managed.request(Method::GET, "/models");
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let (status, kind, _) = error(request.send().await.unwrap()).await;
        assert_eq!((status.as_u16(), kind.as_str()), (401, "InvalidKeyException"));
    }
    let (status, listed) = managed.manage(Method::GET, "/models").await;
    assert_eq!((status, listed), (200, json!({"models": [{"modelName": "nature", "modelUrl": "nature/1"}]})));
    assert_eq!(managed.label().await, "fauna");
    // A new key: the old one is no good any more.
    let old = managed.key("management");
    let renewed = managed.request(Method::GET, "/token?type=management").bearer_auth(managed.key("API"));
    assert_eq!(renewed.send().await.unwrap().status(), StatusCode::OK);
    let refused = managed.request(Method::GET, "/models").bearer_auth(old).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(managed.manage(Method::GET, "/models").await.0, 200);
}

#[tokio::test]
async fn a_version_is_registered_made_the_default_and_taken_away_as_torchserve_does_it() {
    let managed = Managed::start(store(&[1])).await;
    add(managed.store.path(), 2);
    let registered = managed.manage(Method::POST, "/models?url=nature/2&initial_workers=1&synchronous=true").await;
    assert_eq!(registered, (200, status("Model \"nature\" Version: 2 registered with 1 initial workers")));
    assert_eq!(managed.label().await, "fauna");
    let (code, body) = managed.manage(Method::POST, "/models?url=nature/2").await;
    assert_eq!((code, &body["type"]), (409, &json!("ConflictStatusException")));
    assert_eq!(body["message"], "Model version 2 is already registered for model nature");
    let updated = managed.manage(Method::PUT, "/models/nature/2.0/set-default").await;
    assert_eq!(updated, (200, status("Default version successfully updated for model \"nature\" to \"2.0\"")));
    assert_eq!(managed.label().await, "flora");
    let (code, body) = managed.manage(Method::DELETE, "/models/nature/2").await;
    assert_eq!((code, &body["message"]), (403, &json!("Cannot remove default version for model nature")));
    let gone = managed.manage(Method::DELETE, "/models/nature/1").await;
    assert_eq!(gone, (200, status("Model \"nature\" unregistered")));
    let (code, _) = managed.manage(Method::GET, "/models/nature/1").await;
    assert_eq!(code, 404);
    let (_, described) = managed.manage(Method::GET, "/models/nature/all?customized=true").await;
    assert_eq!(described.as_array().unwrap().len(), 1);
    assert_eq!(described[0]["modelVersion"], "2");
    assert_eq!(described[0]["jobQueueStatus"], json!({"remainingCapacity": 64, "pendingRequests": 0}));
    assert_eq!(described[0]["metadata"]["classes"], json!(["fauna", "flora", "landscape"]));
}

/// What a request is refused with.
struct Refused(Method, &'static str, u16, &'static str, &'static str);

impl Managed {
    async fn refuses(&self, cases: Vec<Refused>) {
        for Refused(method, path, code, kind, message) in cases {
            let (status, found, said) = error(self.send(method.clone(), path).await).await;
            assert_eq!((status.as_u16(), found.as_str(), said.as_str()), (code, kind, message), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_registered_is_told_as_torchserve_does() {
    let managed = Managed::start(store(&[1])).await;
    add(managed.store.path(), 666);
    let post = |path, code, kind, message| Refused(Method::POST, path, code, kind, message);
    let not_found = |path, message| post(path, 404, "ModelNotFoundException", message);
    let damaged = "the model was refused: could not start model nature: the model could not be loaded: it is damaged";
    let cases = vec![
        post("/models", 400, "BadRequestException", "Parameter url is required."),
        not_found("/models?url=none.mar", "Model not found at: none.mar"),
        not_found("/models?url=../build.py", "Relative path is not allowed in url: ../build.py"),
        not_found("/models?url=/etc", "Model not found at: /etc"),
        post("/models?url=nature/666", 400, "InvalidModelException", damaged),
    ];
    managed.refuses(cases).await;
    let (_, body) = managed.manage(Method::POST, "/models?url=nature/1&batch_size=x").await;
    assert!(body["message"].as_str().unwrap().contains("batch_size"), "{body}");
    assert_eq!(managed.label().await, "fauna");
}

#[tokio::test]
async fn what_cannot_be_changed_is_told_as_torchserve_does() {
    let managed = Managed::start(store(&[1])).await;
    let put = |path, code, kind, message| Refused(Method::PUT, path, code, kind, message);
    let bad = |path, message| put(path, 400, "BadRequestException", message);
    let no_version = "ModelVersionNotFoundException";
    let see = |reason| format!("{reason}, please refer to API document.").leak() as &'static str;
    let cases = vec![
        bad("/models/nature?min_worker=2&max_worker=1", "max_worker cannot be less than min_worker."),
        bad("/models/nature?min_worker=4&synchronous=true", "4 workers are more than the 3 a model may have"),
        bad("/models/nature/1/traffic?canary=101", "canary must be a percentage from 0 to 100"),
        put("/models/nope?min_worker=2", 404, "ModelNotFoundException", "Model not found: nope"),
        put("/models/nature/9.0?min_worker=2", 404, no_version, "Model version: 9.0 does not exist for model: nature"),
        put("/models/nature/7.0/set-default", 404, no_version, "Model version 7.0 does not exist for model nature"),
        Refused(Method::DELETE, "/models/nope", 404, "ModelNotFoundException", "Model not found: nope"),
        Refused(
            Method::DELETE,
            "/models/nature/5",
            404,
            no_version,
            "Model version: 5 does not exist for model: nature",
        ),
        Refused(Method::PATCH, "/models", 405, "MethodNotAllowedException", see("Requested method is not allowed")),
        Refused(Method::GET, "/ping", 404, "ResourceNotFoundException", see("Requested resource is not found")),
    ];
    managed.refuses(cases).await;
    assert_eq!(managed.label().await, "fauna");
}

#[tokio::test]
async fn a_model_without_workers_answers_503_until_it_has_some() {
    let managed = Managed::start(store(&[1])).await;
    let scaled = managed.manage(Method::PUT, "/models/nature?min_worker=0&synchronous=true").await;
    assert_eq!(scaled, (200, status("Workers scaled to 0 for model: nature")));
    let (code, kind, message) = error(managed.fixture.ask("a title").await).await;
    assert_eq!((code.as_u16(), kind.as_str()), (503, "ServiceUnavailableException"));
    assert!(message.starts_with("Model \"nature\" has no worker to serve inference request."), "{message}");
    let scaled = managed.manage(Method::PUT, "/models/nature/1?min_worker=3&synchronous=true").await;
    assert_eq!(scaled, (200, status("Workers scaled to 3 for model: nature")));
    assert_eq!(managed.label().await, "fauna");
    let (_, described) = managed.manage(Method::GET, "/models/nature").await;
    assert_eq!(described[0]["workers"].as_array().unwrap().len(), 3);
    let accepted = managed.manage(Method::PUT, "/models/nature?min_worker=1").await;
    assert_eq!(accepted, (202, status("Processing worker updates...")));
}

#[tokio::test]
async fn what_is_served_survives_a_restart() {
    let managed = Managed::start(store(&[1])).await;
    add(managed.store.path(), 2);
    add(managed.store.path(), 3);
    managed.manage(Method::POST, "/models?url=nature/2&batch_size=7&initial_workers=2").await;
    managed.manage(Method::POST, "/models?url=nature/3&model_name=other").await;
    managed.manage(Method::PUT, "/models/nature/2/traffic?canary=100").await;
    assert_eq!(managed.label().await, "flora");
    let managed = managed.restart().await;
    assert_eq!(managed.label().await, "flora");
    let (_, described) = managed.manage(Method::GET, "/models/nature/2?customized=true").await;
    assert_eq!((&described[0]["batchSize"], &described[0]["minWorkers"]), (&json!(7), &json!(2)));
    assert_eq!(described[0]["metadata"]["traffic"], json!({"canary": {"version": 2, "percent": 100.0}}));
    // What was unregistered stays away, though the store has it, and what is damaged is left out.
    managed.manage(Method::DELETE, "/models/other").await;
    let managed = managed.restart().await;
    assert_eq!(managed.manage(Method::GET, "/models/other").await.0, 404);
    assert_eq!(managed.manage(Method::GET, "/models/nature/2").await.0, 200);
    fs::write_atomic(&managed.store.path().join(".served.json"), "{").unwrap();
    let managed = managed.restart().await;
    assert_eq!(managed.manage(Method::GET, "/models/nature/3").await.0, 200);
}

#[tokio::test]
async fn what_is_set_for_a_version_holds_at_the_start_and_where_it_is_registered() {
    let first = VersionSettings { workers: Some(2), batch_size_max: Some(3), ..VersionSettings::default() };
    let second = VersionSettings {
        batch_delay_max: Some(Duration::from_millis(20)),
        response_timeout: Some(Duration::from_secs(7)),
        ..VersionSettings::default()
    };
    let by_version: SettingsByVersion = [("nature".to_owned(), [(2, first), (1, second)].into())].into();
    let managed = Managed::start_with(store(&[2]), by_version.clone(), |_| {}).await;
    let described = async |managed: &Managed, version: u64| {
        let (_, described) = managed.manage(Method::GET, &format!("/models/nature/{version}")).await;
        ["minWorkers", "batchSize", "maxBatchDelay", "responseTimeout"].map(|key| described[0][key].as_u64().unwrap())
    };
    assert_eq!(described(&managed, 2).await, [2, 3, 0, 60]);
    add(managed.store.path(), 1);
    // What is asked for stands above what is set.
    let registered = managed.manage(Method::POST, "/models?url=nature/1&batch_size=9&initial_workers=3").await;
    assert_eq!(registered, (200, status("Model \"nature\" Version: 1 registered with 3 initial workers")));
    assert_eq!(described(&managed, 1).await, [3, 9, 20, 7]);
    managed.manage(Method::PUT, "/models/nature/2?min_worker=1&synchronous=true").await;
    assert_eq!(described(&managed, 2).await, [1, 3, 0, 60]);
    // At the next start what is set holds again, and the rest is as it was.
    let managed = managed.restart_with(by_version).await;
    assert_eq!(described(&managed, 2).await, [2, 3, 0, 60]);
    assert_eq!(described(&managed, 1).await, [3, 9, 20, 7]);
    // Without it a version is as it was changed last.
    let default = VersionSettings { is_default: true, ..VersionSettings::default() };
    let managed = managed.restart_with([("nature".to_owned(), [(1, default)].into())].into()).await;
    assert_eq!(managed.label().await, "fauna");
    assert_eq!(described(&managed, 2).await, [1, 3, 0, 60]);
}

#[tokio::test]
async fn a_version_with_little_time_to_answer_is_waited_for_no_longer() {
    // A batch of four, for which one request waits in vain.
    let hasty = VersionSettings {
        batch_delay_max: Some(Duration::from_hours(1)),
        response_timeout: Some(Duration::from_millis(20)),
        ..VersionSettings::default()
    };
    let by_version = [("nature".to_owned(), [(1, hasty)].into())].into();
    let managed = Managed::start_with(store(&[1]), by_version, |_| {}).await;
    let (code, kind, message) = error(managed.fixture.ask("a title").await).await;
    assert_eq!((code.as_u16(), kind.as_str()), (504, "ResponseTimeoutException"));
    assert_eq!(message, "no answer within 0.02 seconds");
}

#[tokio::test]
async fn without_the_model_api_models_are_looked_at_and_scaled_only() {
    let managed =
        Managed::start_with(store(&[1]), SettingsByVersion::new(), |config| config.control.models_fixed = true).await;
    add(managed.store.path(), 2);
    for (method, path) in [(Method::POST, "/models?url=nature/2"), (Method::DELETE, "/models/nature/1")] {
        let (code, body) = managed.manage(method, path).await;
        assert_eq!((code, &body["type"]), (405, &json!("MethodNotAllowedException")));
    }
    assert_eq!(managed.manage(Method::GET, "/models/nature/1").await.0, 200);
    assert_eq!(managed.manage(Method::PUT, "/models/nature?min_worker=2&synchronous=true").await.0, 200);
}

#[tokio::test]
async fn a_canary_answers_its_share_and_a_shadow_only_listens() {
    let managed = Managed::start(store(&[1])).await;
    add(managed.store.path(), 2);
    add(managed.store.path(), 3);
    for version in [2, 3] {
        managed.manage(Method::POST, &format!("/models?url=nature/{version}")).await;
    }
    let (code, shares) = managed.manage(Method::PUT, "/models/nature/2/traffic?canary=50").await;
    assert_eq!((code, shares), (200, json!({"canary": {"version": 2, "percent": 50.0}})));
    managed.manage(Method::PUT, "/models/nature/3/traffic?shadow=100").await;
    let mut labels = Vec::new();
    for _ in 0..100 {
        labels.push(managed.label().await);
    }
    let of_canary = labels.iter().filter(|label| *label == "flora").count();
    // Fewer than 20 or more than 80 of 100 fair coins fall so once in a thousand million times.
    assert!((20..=80).contains(&of_canary), "{of_canary}");
    assert!(!labels.contains(&"landscape".to_owned()));
    let (code, body) = managed.manage(Method::PUT, "/models/nature/1/traffic?canary=5").await;
    assert_eq!(code, 400, "{body}");
    assert_eq!(managed.manage(Method::PUT, "/models/nature/2/traffic?canary=0").await.0, 200);
    for _ in 0..20 {
        assert_eq!(managed.label().await, "fauna");
    }
}

#[tokio::test]
async fn a_hot_swap_under_load_drops_no_request() {
    let managed = Managed::start(store(&[1])).await;
    add(managed.store.path(), 2);
    let ask = || async { managed.fixture.ask("a title").await };
    let load = four_at_a_time(100, ask);
    let swap = async {
        for version in [2, 1].repeat(5) {
            let other = 3 - version;
            managed.manage(Method::POST, &format!("/models?url=nature/{version}")).await;
            assert_eq!(managed.manage(Method::PUT, &format!("/models/nature/{version}/set-default")).await.0, 200);
            assert_eq!(managed.manage(Method::DELETE, &format!("/models/nature/{other}")).await.0, 200);
        }
    };
    let (statuses, ()) = tokio::join!(load, swap);
    assert_eq!(statuses.len(), 400);
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
}

/// Asks four times at a time, so often.
async fn four_at_a_time<F: Future<Output = reqwest::Response>>(times: usize, ask: impl Fn() -> F) -> Vec<StatusCode> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        let answers = tokio::join!(ask(), ask(), ask(), ask());
        statuses.extend([answers.0, answers.1, answers.2, answers.3].map(|answer| answer.status()));
    }
    statuses
}

#[tokio::test]
async fn a_version_that_is_pushed_is_served_without_being_told() {
    let managed = Managed::start_with(store(&[1]), SettingsByVersion::new(), often).await;
    assert_eq!(managed.label().await, "fauna");
    // One that cannot be loaded changes nothing.
    add(managed.store.path(), 666);
    add(managed.store.path(), 2);
    fs::remove_dir_all(&managed.store.path().join("nature/666")).unwrap();
    while managed.label().await != "flora" {
        tokio::task::yield_now().await;
    }
    // The version before is out of service, as soon as the new one answers.
    while managed.manage(Method::GET, "/models/nature/1").await.0 != 404 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_damaged_in_the_store_keeps_nothing_else_from_being_followed_or_started() {
    let folder = store(&[1, 2]);
    let broken = folder.path().join("unreadable.mar");
    fs::write_atomic(&broken, "no archive").unwrap();
    let managed = Managed::start_with(folder, SettingsByVersion::new(), often).await;
    assert_eq!(managed.label().await, "flora");
    let line = r#"{"at":"2026-11-29T12:00:00Z","change":"rollback","version":1,"before":2}"#;
    fs::write_atomic(&managed.store.path().join("nature/history.jsonl"), format!("{line}\n")).unwrap();
    while managed.label().await != "fauna" {
        tokio::task::yield_now().await;
    }
    let log = logged();
    let warned: Vec<_> = log.lines().filter(|line| line.contains(broken.to_str().unwrap())).collect();
    assert!(warned.len() == 1 && warned[0].contains("WARN"), "{warned:?}");
    // A version that cannot be loaded is left out of the first start, too.
    let folder = store(&[666]);
    fs::write_atomic(&folder.path().join("other/1").join(ModelBundle::MANIFEST), "{}").unwrap();
    let managed = Managed::start(folder).await;
    let models = json!({ "models": [{ "modelName": "other", "modelUrl": "other/1" }] });
    assert_eq!(managed.manage(Method::GET, "/models").await, (200, models));
}

#[tokio::test]
async fn where_all_models_were_unregistered_none_is_served_after_a_restart() {
    let managed = Managed::start(store(&[1])).await;
    assert_eq!(managed.manage(Method::DELETE, "/models/nature").await.0, 200);
    let managed = managed.restart().await;
    assert_eq!(managed.manage(Method::GET, "/models").await, (200, json!({ "models": [] })));
    assert!(logged().contains("no model is served until one is registered: what was unregistered is nature"));
    assert_eq!(managed.manage(Method::POST, "/models?url=nature").await.0, 200);
    assert_eq!(managed.label().await, "fauna");
}

/// Until a server has looked at its model store: it serves what is added there.
async fn looked(managed: &Managed) {
    let folder = managed.store.path().join("seen/1");
    fs::create_dir_all(&folder).unwrap();
    fs::write_atomic(&folder.join(ModelBundle::MANIFEST), "{}").unwrap();
    while managed.manage(Method::GET, "/models/seen").await.0 != 200 {
        tokio::task::yield_now().await;
    }
}

fn often(config: &mut ServeConfig) {
    config.control.refresh_interval = Some(Duration::from_millis(5));
}

#[tokio::test]
async fn what_is_registered_again_is_not_replaced_by_the_default_that_the_store_had_all_the_time() {
    let managed = Managed::start(store(&[1, 2])).await;
    assert_eq!(managed.manage(Method::DELETE, "/models/nature").await.0, 200);
    let Managed { fixture, store } = managed;
    fixture.server.shutdown().await.unwrap();
    let managed = Managed::start_with(store, SettingsByVersion::new(), often).await;
    assert_eq!(managed.manage(Method::POST, "/models?url=nature/1").await.0, 200);
    assert_eq!(managed.manage(Method::POST, "/models?url=nature/2").await.0, 200);
    assert_eq!(managed.manage(Method::PUT, "/models/nature/2/traffic?shadow=10").await.0, 200);
    looked(&managed).await;
    assert_eq!(managed.label().await, "fauna");
    let managed = managed.restart().await;
    assert_eq!(managed.label().await, "fauna");
    let saved = fs::read(&managed.store.path().join(".served.json")).unwrap();
    let saved: Value = serde_json::from_slice(&saved).unwrap();
    assert_eq!(saved["models"]["nature"]["traffic"]["shadow"]["version"], 2, "{saved}");
}

#[tokio::test]
async fn a_server_that_starts_without_models_does_not_follow_the_store() {
    let store = store(&[1]);
    let loader = loader(store.path(), SettingsByVersion::new());
    let fixture = Fixture::start_with(Models::none(loader), |config| {
        config.control.management_address = Some("127.0.0.1:0".parse().unwrap());
        config.control.key_file = Some(store.path().join("keys/keys.json"));
        often(config);
    });
    let managed = Managed { fixture: fixture.await, store };
    // A look takes less time than these.
    for _ in 0..200 {
        let models = managed.request(Method::GET, "/models").send().await.unwrap();
        assert_eq!(models.json::<Value>().await.unwrap(), json!({ "models": [] }));
    }
}

#[tokio::test]
async fn without_a_version_the_default_is_unregistered_which_stays_while_there_are_others() {
    let managed = Managed::start(store(&[2])).await;
    add(managed.store.path(), 1);
    assert_eq!(managed.manage(Method::POST, "/models?url=nature/1").await.0, 200);
    let (code, body) = managed.manage(Method::DELETE, "/models/nature").await;
    assert_eq!((code, &body["message"]), (403, &json!("Cannot remove default version for model nature")));
    assert_eq!(managed.manage(Method::DELETE, "/models/nature/1").await.0, 200);
    assert_eq!(managed.manage(Method::DELETE, "/models/nature").await.0, 200);
    assert_eq!(managed.manage(Method::GET, "/models").await.1, json!({ "models": [] }));
}

#[tokio::test]
async fn the_version_to_scale_may_stand_in_the_query() {
    let managed = Managed::start(store(&[2])).await;
    add(managed.store.path(), 1);
    assert_eq!(managed.manage(Method::POST, "/models?url=nature/1").await.0, 200);
    let scaled = managed.manage(Method::PUT, "/models/nature?model_version=1&min_worker=3&synchronous=true").await;
    assert_eq!(scaled, (200, status("Workers scaled to 3 for model: nature")));
    let workers = async |version: u64| {
        let (_, described) = managed.manage(Method::GET, &format!("/models/nature/{version}")).await;
        described[0]["workers"].as_array().unwrap().len()
    };
    assert_eq!((workers(1).await, workers(2).await), (3, 1));
    let absent = managed.manage(Method::PUT, "/models/nature?model_version=9&min_worker=3").await;
    assert_eq!((absent.0, &absent.1["type"]), (404, &json!("ModelVersionNotFoundException")));
}

#[tokio::test]
async fn a_crowd_that_asks_for_predictions_keeps_nobody_from_managing() {
    let one = |config: &mut ServeConfig| config.connections_max = 1;
    let managed = Managed::start_with(store(&[1]), SettingsByVersion::new(), one).await;
    let address = managed.fixture.server.address();
    let _holding = TcpStream::connect(address).await.unwrap();
    let mut turned_away = Vec::new();
    TcpStream::connect(address).await.unwrap().read_to_end(&mut turned_away).await.unwrap();
    assert_eq!(managed.manage(Method::GET, "/models").await.0, 200);
    assert_eq!(managed.fixture.get_metrics("/metrics").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn who_sends_a_body_that_nobody_wants_is_answered_behind_it() {
    let managed = Managed::start(store(&[1])).await;
    let metrics = || managed.fixture.get_metrics("/metrics");
    for (request, status) in [
        (managed.request(Method::POST, "/models"), StatusCode::UNAUTHORIZED),
        (managed.request(Method::POST, "/nothing"), StatusCode::NOT_FOUND),
        (metrics(), StatusCode::OK),
    ] {
        let (go_on, gate) = oneshot::channel::<()>();
        let end = async move {
            gate.await.unwrap();
            Ok::<_, io::Error>("the end")
        };
        let body = Body::wrap_stream(stream::iter([Ok("the start")]).chain(stream::once(end)));
        let sending = tokio::spawn(request.body(body).send());
        // An early answer would be there before these, which come later: many clients lose it.
        for _ in 0..3 {
            assert_eq!(managed.manage(Method::GET, "/models").await.0, 200);
            assert_eq!(metrics().send().await.unwrap().status(), StatusCode::OK);
        }
        assert!(!sending.is_finished(), "{status} came before the end of the body");
        go_on.send(()).unwrap();
        assert_eq!(sending.await.unwrap().unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_model_may_be_registered_by_json() {
    let managed = Managed::start(store(&[1])).await;
    add(managed.store.path(), 2);
    let register = async |body: &str| {
        let request = managed.request(Method::POST, "/models").bearer_auth(managed.key("management"));
        let response = request.header("content-type", "application/json").body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let registered = register(r#"{"url": "nature/2", "model_name": "second", "initial_workers": 2}"#).await;
    assert_eq!(registered, (200, status("Model \"second\" Version: 2 registered with 2 initial workers")));
    assert_eq!(register(r#"{"url": "#).await.0, 400);
    assert_eq!(register("{}").await.1["message"], "Parameter url is required.");
}

#[tokio::test]
async fn what_an_error_repeats_is_cut() {
    let managed = Managed::start(store(&[1])).await;
    let long = "a".repeat(10_000);
    let (code, body) = managed.manage(Method::POST, &format!("/models?url={long}")).await;
    let message = body["message"].as_str().unwrap();
    assert!(
        code == 404 && message.starts_with("Model not found at: aaa") && message.len() < 5_000,
        "{}",
        message.len()
    );
}
