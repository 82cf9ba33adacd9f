//! Sending against a server with which things go wrong.

mod server;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use natureddit_core::{ContentHash, Secret, fs};
use natureddit_model::ModelBundle;
use natureddit_net::{ClientConfig, HostMap, RetryPolicy};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::local::RunFiles;
use super::outbox::Sending;
use super::run::Registration;
use super::*;
use server::{FakeServer, Fault, Held};

fn config(dir: &Path, server: Option<Url>) -> TrackingConfig {
    let client = ClientConfig {
        user_agent: "natureddit-test/1.0".into(),
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(60),
        read_timeout: Duration::from_secs(60),
        retry: RetryPolicy { retries_max: 1, backoff: Duration::from_millis(1), backoff_max: Duration::from_millis(2) },
        redirects_max: 0,
        requests_per_host_max: 8,
        host_map: HostMap::default(),
    };
    let upload_timeout = Duration::from_secs(60);
    TrackingConfig {
        dir: dir.join("tracking"),
        project_dir: dir.to_owned(),
        models_dir: dir.join("models"),
        experiment: "birds".into(),
        registered_model: "naturedditTI".into(),
        alias: "champion".into(),
        models: Models::Pushed,
        artifacts: Vec::new(),
        artifact_bytes_max: 1_000,
        server: server.map(|uri| ServerConfig { uri, credentials: None, client, upload_timeout }),
    }
}

fn metric(key: &str, value: f64, step: i64) -> Metric {
    Metric { key: key.into(), value, timestamp_ms: 1_800_000_000_000 + step, step }
}

/// The run number `at`: with figures of some epochs, a file, and every second one with a model that was pushed.
fn tracked(at: i64, bundle: &Path) -> TrackedRun {
    let epochs = 1..=2 + at;
    let model = (at % 2 == 0).then(|| TrackedModel {
        bundle: "models/naturedditTI/1".into(),
        manifest_sha256: ContentHash::of(&fs::read(&bundle.join(ModelBundle::MANIFEST)).unwrap()),
        registration: Some(Registration { name: "naturedditTI".into(), pushed_version: 1, alias: "champion".into() }),
    });
    TrackedRun {
        id: super::local::new_id(1_800_000_000_000 + at * 1_000),
        name: format!("run {at}"),
        experiment: "birds".into(),
        started_ms: 1_800_000_000_000 + at * 1_000,
        ended_ms: 1_800_000_000_500 + at * 1_000,
        status: if at == 1 { RunStatus::Failed } else { RunStatus::Finished },
        failure: None,
        params: (0..120).map(|param| (format!("param {param}"), format!("{at}"))).collect(),
        metrics: epochs
            .flat_map(|step| [metric("train_loss", 1.0 / step as f64, step), metric("validation_loss", f64::NAN, step)])
            .collect(),
        tags: BTreeMap::from([("natureddit.run".to_owned(), format!("{at}"))]),
        artifacts: vec!["evaluation.json".into()],
        model,
    }
}

/// A folder that is read as a bundle: its files are what its manifest says, whatever they hold.
fn bundle(dir: &Path) {
    let preprocess = json!({
        "version": 2, "image": { "size": 2, "mean": 127.0, "scale": 128.0 }, "text": { "tokens_max": 8 },
    });
    let mut files = BTreeMap::new();
    let names = ["labels.json", "image_encoder.onnx", "text_encoder.onnx", "tokenizer.json", "head.safetensors"];
    for (name, content) in
        names.map(|name| (name, name.to_owned())).into_iter().chain([("preprocess.json", preprocess.to_string())])
    {
        fs::write_unsynced(&dir.join(name), &content).unwrap();
        files.insert(name, json!({ "sha256": ContentHash::of(content.as_bytes()), "bytes": content.len() }));
    }
    let encoder = json!({ "name": "e", "features": 1, "hash": ContentHash::of(b""), "licence": "MIT" });
    let manifest = json!({
        "format": 1, "name": "naturedditTI", "classes": ["a", "b"], "image_encoder": encoder, "text_encoder": encoder,
        "lineage": {}, "producer": "test", "files": files,
    });
    fs::write_unsynced(&dir.join(ModelBundle::MANIFEST), manifest.to_string()).unwrap();
}

/// Some runs in a store, made while a server was configured or not.
fn store(runs: i64, is_waiting: bool) -> (TempDir, Vec<TrackedRun>) {
    let folder = tempfile::tempdir().unwrap();
    let pushed = folder.path().join("models/naturedditTI/1");
    bundle(&pushed);
    let file = folder.path().join("evaluation.json");
    let local = LocalStore::new(folder.path().join("tracking"));
    let runs: Vec<TrackedRun> = (0..runs).map(|at| tracked(at, &pushed)).collect();
    for run in &runs {
        fs::write_unsynced(&file, &run.name).unwrap();
        let files = RunFiles {
            artifacts: vec![(file.clone(), "evaluation.json".into())],
            bundle: run.model.as_ref().filter(|_| is_waiting).map(|_| pushed.clone()),
        };
        local.write(run, &files, is_waiting.then(Sending::default).as_ref()).unwrap();
        fs::remove_file(&file).unwrap();
        if run.model.is_some() {
            // To compose a real one takes encoders of 100 MB.
            fs::write_unsynced(&local.read(&run.id).unwrap().composed().join("model.onnx"), "a graph").unwrap();
        }
    }
    (folder, runs)
}

fn tracking(folder: &TempDir, server: &FakeServer) -> Tracking {
    from_config(config(folder.path(), Some(server.uri.clone()))).unwrap()
}

/// What the server holds is every run, once and whole.
fn assert_whole(held: &Held, runs: &[TrackedRun]) {
    assert_eq!(held.experiments, ["birds"]);
    let active: Vec<_> = held.runs.iter().filter(|(_, run)| run.is_active).collect();
    assert_eq!(active.len(), runs.len());
    let mut last_version = None;
    for run in runs {
        let of_run: Vec<_> = active.iter().filter(|(_, found)| found.tags["natureddit.run_id"] == run.id).collect();
        let [(id, found)] = of_run.as_slice() else { panic!("{} runs of one id", of_run.len()) };
        assert_eq!((&found.name, found.start_time, found.end_time), (&run.name, run.started_ms, run.ended_ms));
        assert_eq!(found.status, if run.status == RunStatus::Failed { "FAILED" } else { "FINISHED" });
        assert_eq!(found.params, run.params);
        assert_eq!(found.tags["natureddit.run"], run.tags["natureddit.run"]);
        let expected: BTreeMap<_, _> = run
            .metrics
            .iter()
            .map(|metric| {
                let value = if metric.value.is_nan() { json!("NaN") } else { json!(metric.value) };
                ((metric.key.clone(), metric.step), value)
            })
            .collect();
        assert_eq!(found.metrics, expected);
        assert_eq!(held.artifacts[&format!("0/{id}/artifacts/evaluation.json")], run.name);
        let versions: Vec<_> = held.versions.iter().filter(|version| version.run_id == **id).collect();
        if run.model.is_some() {
            let [version] = versions.as_slice() else { panic!("{} versions of one run", versions.len()) };
            assert_eq!(version.source, format!("runs:/{id}/model"));
            let mlmodel =
                String::from_utf8(held.artifacts[&format!("0/{id}/artifacts/model/MLmodel")].to_vec()).unwrap();
            assert!(mlmodel.contains(&format!("run_id: {id}\n")), "{mlmodel}");
            assert_eq!(held.artifacts[&format!("0/{id}/artifacts/model/model.onnx")], "a graph");
            last_version = Some(version.version.clone());
        } else {
            assert!(versions.is_empty());
        }
    }
    let champion = held.aliases.get(&("naturedditTI".to_owned(), "champion".to_owned()));
    assert_eq!(champion, last_version.as_ref());
}

/// Sends again and again while things go wrong, then once when nothing does.
async fn send_through(faults: Vec<Fault>) {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(3, true);
    *server.faults.lock().unwrap() = VecDeque::from(faults);
    while !server.faults.lock().unwrap().is_empty() {
        // Each time as in a new process: only what was written down is known.
        let tracking = tracking(&folder, &server);
        tokio::select! {
            sent = tracking.send(Which::Waiting, None) => { sent.unwrap(); }
            () = server.killed.notified() => {}
        }
        if tracking.store.runs().unwrap().iter().all(|stored| stored.sending.as_ref().unwrap().is_done) {
            break;
        }
    }
    server.faults.lock().unwrap().clear();
    let sent = tracking(&folder, &server).send(Which::Again, None).await.unwrap();
    assert_eq!((sent.waiting, sent.problem, sent.refused), (0, None, Vec::new()));
    assert_whole(&server.held.lock().unwrap(), &runs);
    for run in &runs {
        let stored = LocalStore::new(folder.path().join("tracking")).read(&run.id).unwrap();
        assert!(!stored.bundle().exists() && !stored.composed().exists(), "what was kept for sending is gone");
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::Broken),
        1 => Just(Fault::AnswerLost),
        1 => Just(Fault::Unavailable),
        1 => Just(Fault::FailsAfterwards),
        1 => Just(Fault::Killed),
        1 => Just(Fault::KilledAfterwards),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_goes_wrong_every_run_is_there_once_and_whole(faults in prop::collection::vec(fault(), 0..60)) {
        tokio::runtime::Runtime::new().unwrap().block_on(send_through(faults));
    }
}

/// The requests that make something, each of which must be found again if its answer was lost.
#[tokio::test]
async fn whichever_single_request_goes_wrong_nothing_is_lost_and_nothing_is_there_twice() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(1, true);
    let tracking = tracking(&folder, &server);
    tracking.send(Which::Waiting, None).await.unwrap();
    assert_whole(&server.held.lock().unwrap(), &runs);
    let requests = server.authorized.lock().unwrap().len();
    assert!(requests > 15, "only {requests}");
    for at in 0..requests {
        for fault in [Fault::AnswerLost, Fault::KilledAfterwards, Fault::Killed] {
            let mut faults = vec![Fault::None; at];
            faults.push(fault);
            send_through(faults).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_nothing_but_the_sending() {
    let (folder, runs) = store(2, true);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let uri = Url::parse(&format!("http://{address}")).unwrap();
    let tracking = from_config(config(folder.path(), Some(uri))).unwrap();
    let sent = tracking.send(Which::Waiting, None).await.unwrap();
    assert_eq!((sent.waiting, sent.sent.len()), (2, 0));
    assert!(sent.problem.unwrap().contains("connection"));
    assert_eq!(tracking.store.runs().unwrap().len(), runs.len());
}

#[tokio::test]
async fn a_prefix_and_credentials_are_kept_and_no_secret_is_shown() {
    let server = FakeServer::start("/ann/repo.mlflow").await;
    let (folder, runs) = store(1, true);
    let mut config = config(folder.path(), Some(server.uri.clone()));
    let credentials = Credentials::Basic { user: "ann".into(), password: Secret::new("hunter2".into()) };
    config.server.as_mut().unwrap().credentials = Some(credentials);
    let tracking = from_config(config).unwrap();
    assert!(!format!("{tracking:?}").contains("hunter2"));
    let sent = tracking.send(Which::Waiting, None).await.unwrap();
    assert_eq!(sent.problem, None);
    assert_whole(&server.held.lock().unwrap(), &runs);
    let authorized = server.authorized.lock().unwrap();
    // ann:hunter2
    assert!(authorized.iter().all(|header| header.as_deref() == Some("Basic YW5uOmh1bnRlcjI=")), "{authorized:?}");
}

#[tokio::test]
async fn a_server_that_repeats_who_asked_does_not_bring_the_credentials_to_light() {
    let secret = |text: &str| Secret::new(text.into());
    // ann:hunter2
    let basic = Credentials::Basic { user: "ann".into(), password: secret("hunter2") };
    for (credentials, hidden) in [(basic, "YW5uOmh1bnRlcjI"), (Credentials::Token(secret("tok-sekret")), "tok-sekret")]
    {
        let server = FakeServer::start("").await;
        let (folder, runs) = store(1, true);
        let mut config = config(folder.path(), Some(server.uri.clone()));
        config.server.as_mut().unwrap().credentials = Some(credentials);
        let tracking = from_config(config).unwrap();
        *server.faults.lock().unwrap() = [Fault::Repeats].into();
        let refused = tracking.send(Which::Waiting, None).await.unwrap();
        let written = tracking.store.read(&runs[0].id).unwrap().sending.unwrap().refused.unwrap();
        *server.faults.lock().unwrap() = [Fault::Parrots].into();
        let strange = tracking.send(Which::Again, None).await.unwrap().problem.unwrap();
        assert!(strange.contains("does not answer as an MLflow server does"), "{strange}");
        for told in [&refused.refused[0].1, &written, &strange] {
            assert!(told.contains(" ***") && !told.contains(hidden), "{told}");
        }
    }
}

#[tokio::test]
async fn a_damaged_run_is_named_and_does_not_keep_the_others_back() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(3, true);
    let tracking = tracking(&folder, &server);
    let of = |at: usize| folder.path().join("tracking/runs").join(&runs[at].id);
    fs::write_atomic(&of(0).join("run.json"), "{ \"id\":").unwrap();
    fs::remove_dir_all(&of(1)).unwrap();
    fs::create_dir_all(&of(1)).unwrap();
    let readable = tracking.store.runs().unwrap();
    assert_eq!(readable.iter().map(|stored| &stored.run.id).collect::<Vec<_>>(), [&runs[2].id]);
    let damaged = tracking.store.damaged().unwrap();
    assert_eq!(damaged.iter().map(|run| run.dir.clone()).collect::<Vec<_>>(), [of(0), of(1)]);
    let sent = tracking.send(Which::All, None).await.unwrap();
    assert_eq!((sent.sent, sent.problem), (vec![runs[2].id.clone()], None));
    assert_eq!(sent.damaged, damaged);
}

#[tokio::test]
async fn a_run_of_which_nobody_knows_whether_it_was_sent_is_told_of_and_sent_when_that_is_mended() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(2, true);
    let tracking = tracking(&folder, &server);
    let outbox = folder.path().join("tracking/runs").join(&runs[0].id).join("outbox.json");
    fs::write_atomic(&outbox, "{{").unwrap();
    let sent = tracking.send(Which::Waiting, None).await.unwrap();
    assert_eq!((sent.sent, sent.waiting), (vec![runs[1].id.clone()], 0));
    let [damaged] = sent.damaged.as_slice() else { panic!("{:?}", sent.damaged) };
    assert!(damaged.remedy.starts_with(&format!("remove {}", outbox.display())), "{}", damaged.remedy);
    fs::remove_file(&outbox).unwrap();
    let sent = tracking.send(Which::All, None).await.unwrap();
    assert_eq!((sent.sent, sent.damaged), (vec![runs[0].id.clone()], vec![]));
}

#[tokio::test]
async fn runs_from_before_a_server_was_named_go_only_when_asked_for() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(3, false);
    let tracking = tracking(&folder, &server);
    assert_eq!(tracking.send(Which::Again, None).await.unwrap(), Sent::default());
    let sent = tracking.send(Which::All, None).await.unwrap();
    assert_eq!(sent.sent, runs.iter().map(|run| run.id.clone()).collect::<Vec<_>>());
    assert_whole(&server.held.lock().unwrap(), &runs);
}

#[tokio::test]
async fn a_model_that_is_gone_is_left_out_and_told_of() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(1, false);
    fs::remove_dir_all(&folder.path().join("models")).unwrap();
    let tracking = tracking(&folder, &server);
    let sent = tracking.send(Which::All, None).await.unwrap();
    assert_eq!((sent.sent.len(), sent.problem), (1, None));
    let stored = tracking.store.read(&runs[0].id).unwrap();
    assert!(stored.sending.unwrap().left_out[0].starts_with("the model: "));
    assert!(server.held.lock().unwrap().versions.is_empty());
}

#[tokio::test]
async fn another_server_gets_every_run_that_is_not_sent_yet_from_its_start() {
    let (first, second) = (FakeServer::start("").await, FakeServer::start("").await);
    let (folder, runs) = store(2, true);
    *first.faults.lock().unwrap() = [vec![Fault::None; 6], vec![Fault::Unavailable; 100]].concat().into();
    let sent = tracking(&folder, &first).send(Which::Waiting, None).await.unwrap();
    assert!(sent.problem.unwrap().contains("503") && sent.waiting == 2);
    let sent = tracking(&folder, &second).send(Which::Waiting, None).await.unwrap();
    assert_eq!(sent.sent.len(), 2);
    assert_whole(&second.held.lock().unwrap(), &runs);
}

#[tokio::test]
async fn a_run_that_the_server_refuses_does_not_hold_up_the_others() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(2, true);
    let tracking = tracking(&folder, &server);
    // A run of this id is there, and has another value of a param.
    tracking.send(Which::Waiting, None).await.unwrap();
    for run in server.held.lock().unwrap().runs.values_mut() {
        if run.name == "run 0" {
            run.params.insert("param 7".into(), "another".into());
        }
    }
    let forget = |run: &TrackedRun| tracking.store.read(&run.id).unwrap().write_sending(&Sending::default()).unwrap();
    runs.iter().for_each(forget);
    let sent = tracking.send(Which::Waiting, None).await.unwrap();
    assert_eq!((sent.sent.as_slice(), sent.waiting), ([runs[1].id.clone()].as_slice(), 0));
    assert!(sent.refused[0].1.contains("INVALID_PARAMETER_VALUE"), "{:?}", sent.refused);
    // It is not tried again by every run, but when somebody asks for it.
    assert_eq!(tracking.send(Which::Waiting, None).await.unwrap(), Sent::default());
    server.held.lock().unwrap().runs.values_mut().for_each(|run| _ = run.params.remove("param 7"));
    assert_eq!(tracking.send(Which::Again, None).await.unwrap().sent, [runs[0].id.clone()]);
}

#[tokio::test]
async fn the_alias_stays_with_the_newest_model_when_an_older_run_goes_later() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(3, true);
    assert!(runs[0].model.is_some() && runs[2].model.is_some());
    let tracking = tracking(&folder, &server);
    tracking.send(Which::Waiting, None).await.unwrap();
    let oldest = tracking.store.read(&runs[0].id).unwrap();
    oldest.write_sending(&Sending::default()).unwrap();
    fs::write_unsynced(&oldest.composed().join("model.onnx"), "a graph").unwrap();
    assert_eq!(tracking.send(Which::Waiting, None).await.unwrap().sent, [runs[0].id.clone()]);
    assert_whole(&server.held.lock().unwrap(), &runs);
}

#[tokio::test]
async fn a_file_that_names_a_forgotten_post_is_gone_and_the_run_goes_without_it() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(2, true);
    let tracking = tracking(&folder, &server);
    fs::write_atomic(&tracking.store.read(&runs[0].id).unwrap().artifact("evaluation.json"), "a photo of post abc12")
        .unwrap();
    let forget = |id: &str| tracking.store.forget(&[id.parse().unwrap()].into()).unwrap();
    assert_eq!((forget("abc1"), forget("abc12"), forget("abc12")), (0, 1, 0));
    let sent = tracking.send(Which::Waiting, None).await.unwrap();
    assert_eq!((sent.sent.len(), sent.problem), (2, None));
    assert_eq!(tracking.store.read(&runs[0].id).unwrap().sending.unwrap().left_out, ["evaluation.json: it is gone"]);
}

#[test]
fn why_a_run_failed_names_no_forgotten_post() {
    let (folder, runs) = store(2, true);
    let store = LocalStore::new(folder.path().join("tracking"));
    let path = store.read(&runs[1].id).unwrap().composed().parent().unwrap().join("run.json");
    let failed = TrackedRun { failure: Some("author ann (train abc12, eval abc13)".into()), ..runs[1].clone() };
    fs::write_atomic(&path, serde_json::to_string(&failed).unwrap()).unwrap();
    let forget = |id: &str| store.forget(&[id.parse().unwrap()].into()).unwrap();
    assert_eq!((forget("abc1"), forget("abc12"), forget("abc12")), (0, 1, 0));
    let left = store.read(&runs[1].id).unwrap().run;
    assert_eq!(left.failure.as_deref(), Some("what it told named a post that was forgotten"));
    assert_eq!((left.params, left.metrics.len()), (runs[1].params.clone(), runs[1].metrics.len()));
}

#[tokio::test]
async fn what_was_wiped_out_there_goes_once_more() {
    let server = FakeServer::start("").await;
    let (folder, runs) = store(1, true);
    *server.faults.lock().unwrap() = [vec![Fault::None; 6], vec![Fault::Unavailable; 2]].concat().into();
    assert!(tracking(&folder, &server).send(Which::Waiting, None).await.unwrap().problem.is_some());
    *server.held.lock().unwrap() = Held::default();
    assert_eq!(tracking(&folder, &server).send(Which::Waiting, None).await.unwrap().sent.len(), 1);
    assert_whole(&server.held.lock().unwrap(), &runs);
}
