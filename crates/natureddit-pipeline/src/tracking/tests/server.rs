//! An MLflow server in memory, on a free port: what it answers is what the real one answered, and what goes wrong is told
//! to it before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::Url;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// The connection breaks before anything is done.
    Broken,
    /// It is done, and the connection breaks before the answer is there.
    AnswerLost,
    /// 503, and nothing is done.
    Unavailable,
    /// It is done, and the answer is 500.
    FailsAfterwards,
    /// 400, and the answer repeats who asked.
    Repeats,
    /// 200, and the answer is who asked.
    Parrots,
    /// The sender is ended before anything is done.
    Killed,
    /// It is done, and the sender is ended before it hears of it.
    KilledAfterwards,
}

/// A run as the server has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ServerRun {
    pub(super) name: String,
    pub(super) is_active: bool,
    pub(super) status: String,
    pub(super) start_time: i64,
    pub(super) end_time: i64,
    pub(super) params: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    /// By key and step.
    pub(super) metrics: BTreeMap<(String, i64), Value>,
    /// How many times a metric came with a key, step and time that it had before.
    pub(super) repeated_metrics: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ServerVersion {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) run_id: String,
    pub(super) source: String,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) experiments: Vec<String>,
    pub(super) runs: BTreeMap<String, ServerRun>,
    pub(super) artifacts: BTreeMap<String, Bytes>,
    pub(super) models: Vec<String>,
    pub(super) versions: Vec<ServerVersion>,
    pub(super) aliases: BTreeMap<(String, String), String>,
    created: u64,
}

pub(super) struct FakeServer {
    pub(super) uri: Url,
    pub(super) held: Arc<Mutex<Held>>,
    pub(super) faults: Arc<Mutex<VecDeque<Fault>>>,
    /// Tells when the sender is to be ended.
    pub(super) killed: Arc<Notify>,
    /// Requests that came with these credentials, and all.
    pub(super) authorized: Arc<Mutex<Vec<Option<String>>>>,
}

#[derive(Clone)]
struct Shared {
    held: Arc<Mutex<Held>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    killed: Arc<Notify>,
    authorized: Arc<Mutex<Vec<Option<String>>>>,
    prefix: &'static str,
}

impl FakeServer {
    /// A server whose paths begin with `prefix`.
    pub(super) async fn start(prefix: &'static str) -> Self {
        let shared = Shared {
            held: Arc::default(),
            faults: Arc::default(),
            killed: Arc::default(),
            authorized: Arc::default(),
            prefix,
        };
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = Url::parse(&format!("http://{}{prefix}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let Shared { held, faults, killed, authorized, .. } = shared;
        Self { uri, held, faults, killed, authorized }
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let fault = shared.faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let said = authorization.clone().unwrap_or_default();
    shared.authorized.lock().unwrap().push(authorization);
    let done = match fault {
        Fault::Broken => return broken(),
        Fault::Repeats => {
            let said = json!({ "error_code": "BAD_REQUEST", "message": format!("no headers like {said:?}") });
            return (StatusCode::BAD_REQUEST, said.to_string()).into_response();
        }
        Fault::Parrots => return json!({ "experiment": said }).to_string().into_response(),
        Fault::Unavailable => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Fault::Killed => return killed(&shared).await,
        _ => {
            let Some(path) = uri.path().strip_prefix(shared.prefix) else {
                return (StatusCode::NOT_FOUND, "<html>").into_response();
            };
            shared.held.lock().unwrap().handle(&method, path, uri.query().unwrap_or_default(), &body)
        }
    };
    match fault {
        Fault::AnswerLost => broken(),
        Fault::FailsAfterwards => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fault::KilledAfterwards => killed(&shared).await,
        _ => match done {
            Ok(value) => axum::Json(value).into_response(),
            Err((status, code)) => {
                let status = StatusCode::from_u16(status).unwrap();
                (status, axum::Json(json!({ "error_code": code, "message": "no" }))).into_response()
            }
        },
    }
}

/// An answer that breaks off.
fn broken() -> Response {
    let parts = [Err::<Bytes, _>(std::io::Error::other("broken"))];
    Body::from_stream(futures_util::stream::iter(parts)).into_response()
}

async fn killed(shared: &Shared) -> Response {
    shared.killed.notify_one();
    std::future::pending().await
}

type Answer = Result<Value, (u16, &'static str)>;

const ABSENT: (u16, &str) = (404, "RESOURCE_DOES_NOT_EXIST");
const TWICE: (u16, &str) = (400, "RESOURCE_ALREADY_EXISTS");
const INVALID: (u16, &str) = (400, "INVALID_PARAMETER_VALUE");

impl Held {
    fn handle(&mut self, method: &Method, path: &str, query: &str, body: &Bytes) -> Answer {
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if let Some(path) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/") {
            assert_eq!(method, Method::PUT);
            self.artifacts.insert(path.to_owned(), body.clone());
            return Ok(json!({}));
        }
        let body: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).unwrap() };
        match (method.as_str(), path.strip_prefix("/api/2.0/mlflow/").unwrap_or_default()) {
            ("GET", "experiments/get-by-name") => self.experiment(&query["experiment_name"]),
            ("POST", "experiments/create") => self.create_experiment(&body),
            ("POST", "runs/create") => self.create_run(&body),
            ("POST", "runs/search") => self.search_runs(&body),
            ("POST", "runs/log-batch") => self.log_batch(&body),
            ("POST", "runs/update") => self.update_run(&body),
            ("POST", "runs/delete") => {
                self.run(&body)?.is_active = false;
                Ok(json!({}))
            }
            ("POST", "registered-models/create") => self.create_model(&body),
            ("POST", "registered-models/alias") => self.set_alias(&body),
            ("POST", "model-versions/create") => self.create_version(&body),
            ("GET", "model-versions/search") => self.search_versions(&query["filter"]),
            ("DELETE", "model-versions/delete") => {
                let (name, version) = (text(&body, "name"), text(&body, "version"));
                self.versions.retain(|found| (&found.model, &found.version) != (&name, &version));
                Ok(json!({}))
            }
            other => panic!("the server knows no {other:?}"),
        }
    }

    fn id(&mut self) -> u64 {
        self.created += 1;
        self.created
    }

    fn experiment(&self, name: &str) -> Answer {
        let at = self.experiments.iter().position(|known| known == name).ok_or(ABSENT)?;
        Ok(json!({ "experiment": { "experiment_id": at.to_string(), "name": name, "lifecycle_stage": "active" } }))
    }

    fn create_experiment(&mut self, body: &Value) -> Answer {
        let name = text(body, "name");
        if self.experiments.contains(&name) {
            return Err(TWICE);
        }
        self.experiments.push(name);
        Ok(json!({ "experiment_id": (self.experiments.len() - 1).to_string() }))
    }

    fn run(&mut self, body: &Value) -> Result<&mut ServerRun, (u16, &'static str)> {
        let run = self.runs.get_mut(&text(body, "run_id")).ok_or(ABSENT)?;
        if run.is_active { Ok(run) } else { Err(INVALID) }
    }

    fn create_run(&mut self, body: &Value) -> Answer {
        let experiment = text(body, "experiment_id");
        if experiment.parse().map_or(true, |at: usize| at >= self.experiments.len()) {
            return Err(ABSENT);
        }
        // The real ones are drawn: the order of ids is not that of time.
        let id = format!("{:08x}", self.id().wrapping_mul(0x9e37_79b9) as u32);
        let run = ServerRun {
            name: text(body, "run_name"),
            is_active: true,
            status: "RUNNING".into(),
            start_time: body["start_time"].as_i64().unwrap(),
            tags: pairs(&body["tags"]),
            ..ServerRun::default()
        };
        self.runs.insert(id.clone(), run);
        Ok(json!({ "run": run_info(&experiment, &id) }))
    }

    fn search_runs(&self, body: &Value) -> Answer {
        let experiment = body["experiment_ids"][0].as_str().unwrap();
        let filter = text(body, "filter");
        let (tag, wanted) = filter.strip_prefix("tags.`").unwrap().split_once("` = '").unwrap();
        let wanted = wanted.strip_suffix('\'').unwrap();
        let found =
            self.runs.iter().filter(|(_, run)| run.is_active && run.tags.get(tag).is_some_and(|tag| tag == wanted));
        let runs: Vec<Value> = found.map(|(id, _)| run_info(experiment, id)).collect();
        // As the real one does, what is empty is left out.
        Ok(if runs.is_empty() { json!({}) } else { json!({ "runs": runs }) })
    }

    fn log_batch(&mut self, body: &Value) -> Answer {
        let run = self.run(body)?;
        for (key, value) in pairs(&body["params"]) {
            if run.params.insert(key, value.clone()).is_some_and(|before| before != value) {
                return Err(INVALID);
            }
        }
        run.tags.extend(pairs(&body["tags"]));
        for metric in body["metrics"].as_array().into_iter().flatten() {
            let key = (text(metric, "key"), metric["step"].as_i64().unwrap());
            assert!(metric["value"].is_number() || metric["value"].is_string(), "{metric}");
            assert!(metric["timestamp"].as_i64().is_some_and(|time| time > 0), "{metric}");
            if run.metrics.insert(key, metric["value"].clone()).is_some() {
                run.repeated_metrics += 1;
            }
        }
        Ok(json!({}))
    }

    fn update_run(&mut self, body: &Value) -> Answer {
        let run = self.run(body)?;
        run.status = text(body, "status");
        run.end_time = body["end_time"].as_i64().unwrap();
        Ok(json!({ "run_info": {} }))
    }

    fn create_model(&mut self, body: &Value) -> Answer {
        let name = text(body, "name");
        if self.models.contains(&name) {
            return Err(TWICE);
        }
        self.models.push(name);
        Ok(json!({ "registered_model": {} }))
    }

    fn create_version(&mut self, body: &Value) -> Answer {
        let model = text(body, "name");
        if !self.models.contains(&model) {
            return Err(ABSENT);
        }
        let version = self.id().to_string();
        let answer = json!({ "model_version": { "name": model, "version": version } });
        self.versions.push(ServerVersion {
            model,
            version,
            run_id: text(body, "run_id"),
            source: text(body, "source"),
        });
        Ok(answer)
    }

    fn search_versions(&self, filter: &str) -> Answer {
        let (name, run_id) = filter.strip_prefix("name='").unwrap().split_once("' and run_id='").unwrap();
        let run_id = run_id.strip_suffix('\'').unwrap();
        let found = self.versions.iter().filter(|found| found.model == name && found.run_id == run_id);
        let versions: Vec<Value> = found
            .map(|found| json!({ "name": found.model, "version": found.version, "run_id": found.run_id }))
            .collect();
        Ok(if versions.is_empty() { json!({}) } else { json!({ "model_versions": versions }) })
    }

    fn set_alias(&mut self, body: &Value) -> Answer {
        let (name, version) = (text(body, "name"), text(body, "version"));
        if !self.versions.iter().any(|found| found.model == name && found.version == version) {
            return Err(ABSENT);
        }
        self.aliases.insert((name, text(body, "alias")), version);
        Ok(json!({}))
    }
}

fn run_info(experiment: &str, id: &str) -> Value {
    json!({ "info": { "run_id": id, "artifact_uri": format!("mlflow-artifacts:/{experiment}/{id}/artifacts") } })
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_else(|| panic!("{body} has no {key}")).to_owned()
}

fn pairs(list: &Value) -> BTreeMap<String, String> {
    list.as_array().into_iter().flatten().map(|pair| (text(pair, "key"), text(pair, "value"))).collect()
}
