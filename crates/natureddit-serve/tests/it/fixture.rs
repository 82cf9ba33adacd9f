//! A server on a free port, with models that need no weights.

use std::io;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use natureddit_core::{ClassNames, Clock, fs};
use natureddit_image::{ImageLimits, Photo};
use natureddit_model::{InputError, ModelInput, Prediction, Prepared};
use natureddit_serve::{
    Answers, BatchLimits, Batcher, Compat, ControlConfig, LoadedModel, MetricsConfig, Models, PreparationLimits,
    RequestLimits, ServeConfig, Server, TlsFiles,
};
use reqwest::multipart::{Form, Part};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const A_MINUTE: Duration = Duration::from_mins(1);

pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) client: Client,
    folder: TempDir,
}

/// Plenty of everything, and a certificate made in `folder`.
pub(crate) fn config(folder: &Path) -> ServeConfig {
    ServeConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: Some(TlsFiles::SelfSigned { folder: folder.join("tls"), names: Vec::new() }),
        connections_max: 64,
        compat: Compat::Own,
        limits: RequestLimits {
            requests_max: 16,
            requests_crowded_max: 16,
            bodies_max: 16,
            bodies_bytes_max: 1 << 20,
            body_bytes_max: 64 * 1024,
            header_timeout: A_MINUTE,
            body_timeout: A_MINUTE,
            write_timeout: A_MINUTE,
            response_timeout: A_MINUTE,
            instances_max: 4,
            explanations_max: 1,
        },
        preparation: PreparationLimits { threads: 2, pixels_max: 1 << 20 },
        drain_timeout: A_MINUTE,
        control: ControlConfig::default(),
        metrics: MetricsConfig { address: "127.0.0.1:0".parse().ok(), ..MetricsConfig::default() },
        cors: None,
        prediction_log: None,
        traces: None,
        clock: Clock::System,
    }
}

impl Fixture {
    pub(crate) async fn start(models: Vec<LoadedModel>) -> Self {
        Self::start_with(models, |_| {}).await
    }

    pub(crate) async fn start_with(models: impl Into<Models>, change: impl FnOnce(&mut ServeConfig)) -> Self {
        // Without this reqwest has no cryptography; the second test to install it is told that it is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // One log for all tests: a subscriber of one thread would miss what another thread registered first.
        let _ = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).try_init();
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let server = Server::start(config, models).await.unwrap();
        let mut fixture = Self { server, client: Client::new(), folder };
        fixture.client = fixture.trusting().build().unwrap();
        fixture
    }

    /// A client that trusts the server's self-signed certificate and nothing else.
    pub(crate) fn trusting(&self) -> ClientBuilder {
        let certificate = fs::optional(fs::read(&self.folder.path().join("tls/certificate.pem"))).unwrap();
        let certificate = certificate.map(|pem| Certificate::from_pem(&pem).unwrap());
        Client::builder().no_proxy().tls_certs_only(certificate)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.address().port())
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// A request to the metrics port.
    pub(crate) fn get_metrics(&self, path: &str) -> RequestBuilder {
        let scheme = if self.folder.path().join("tls").is_dir() { "https" } else { "http" };
        let port = self.server.metrics_address().unwrap().port();
        self.client.get(format!("{scheme}://localhost:{port}{path}"))
    }

    /// What the metrics port tells.
    pub(crate) async fn metrics(&self) -> String {
        let response = self.get_metrics("/metrics").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }

    pub(crate) async fn ping(&self) -> Response {
        self.client.get(self.url("/ping")).send().await.unwrap()
    }

    /// Asks the model `nature` what `text` is.
    pub(crate) async fn ask(&self, text: &'static str) -> Response {
        self.post("/predictions/nature").multipart(Form::new().text("text", text)).send().await.unwrap()
    }
}

static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to [`LOGGED`].
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What all tests so far have logged.
pub(crate) fn logged() -> String {
    String::from_utf8(LOGGED.lock().unwrap().clone()).unwrap()
}

/// The status, type and message of an error, having checked that it is JSON of TorchServe's form.
pub(crate) async fn error(response: Response) -> (StatusCode, String, String) {
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(response.headers().contains_key("x-request-id"));
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["code"], status.as_u16());
    assert_eq!(body.as_object().unwrap().len(), 3);
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    (status, text("type"), text("message"))
}

/// A form with a title and a photo, as the original's `curl -F "text=..." -F "image=@..."` sends it.
pub(crate) fn post_form() -> Form {
    Form::new().text("text", "a red fox").part("image", Part::bytes(jpeg()).file_name("fox.jpg"))
}

pub(crate) fn jpeg() -> Vec<u8> {
    Photo { width: 8, height: 8, rgb: vec![200; 8 * 8 * 3] }.to_jpeg(90)
}

/// Base64 of the standard's alphabet, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    natureddit_net::base64(bytes)
}

/// The model `nature`, which decodes what it is sent and gives every input these probabilities.
pub(crate) fn steady(version: u64, probabilities: [f32; 3]) -> LoadedModel {
    let work = move |batch: Vec<Prepared>| Ok(vec![Prediction::new(probabilities.to_vec()); batch.len()]);
    nature(version, decode, work)
}

/// The model `nature`, whose batches wait until the test lets them go on, and panic when it is gone.
pub(crate) fn gated() -> (LoadedModel, Gate) {
    let (tell, begun) = unbounded_channel();
    let (go_on, wait) = mpsc::channel();
    let work = move |batch: Vec<Prepared>| {
        tell.send(batch.len()).unwrap();
        wait.recv().unwrap();
        Ok(vec![Prediction::new(vec![0.0, 1.0, 0.0]); batch.len()])
    };
    (nature(1, decode, work), Gate { begun, go_on })
}

/// The test's hold on a [`gated`] model.
pub(crate) struct Gate {
    /// The size of each batch that has begun.
    pub(crate) begun: UnboundedReceiver<usize>,
    /// Lets one batch end.
    pub(crate) go_on: mpsc::Sender<()>,
}

/// The model `nature`, which is sure of `fauna` where there is only a title, of `flora` where there is only a photo and of
/// `landscape` where there are both. For requests that come one after the other.
pub(crate) fn told(version: u64) -> LoadedModel {
    let (tell, told) = mpsc::channel();
    let prepare = move |input: &ModelInput<'_>| {
        let prepared = decode(input)?;
        tell.send(match (input.text, input.image) {
            (Some(_), None) => vec![1.0, 0.0, 0.0],
            (None, _) => vec![0.0, 1.0, 0.0],
            (Some(_), Some(_)) => vec![0.0, 0.25, 0.75],
        })
        .unwrap();
        Ok(prepared)
    };
    let work = move |batch: Vec<Prepared>| Ok(batch.iter().map(|_| Prediction::new(told.recv().unwrap())).collect());
    nature(version, prepare, work)
}

/// Another model.
pub(crate) fn named(name: &str, probabilities: [f32; 3]) -> LoadedModel {
    let work = move |batch: Vec<Prepared>| Ok(vec![Prediction::new(probabilities.to_vec()); batch.len()]);
    model(name, 1, decode, work)
}

pub(crate) fn nature(
    version: u64,
    prepare: impl Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync + 'static,
    work: impl FnMut(Vec<Prepared>) -> Result<Vec<Prediction>, String> + Send + 'static,
) -> LoadedModel {
    model("nature", version, prepare, work)
}

fn model(
    name: &str,
    version: u64,
    prepare: impl Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync + 'static,
    work: impl FnMut(Vec<Prepared>) -> Result<Vec<Prediction>, String> + Send + 'static,
) -> LoadedModel {
    let limits = BatchLimits { batch_size_max: 4, batch_delay_max: Duration::ZERO, queue_len_max: 1 };
    LoadedModel::new(name, version, classes(), prepare, Batcher::spawn(limits, name, all_at_once(work)).unwrap())
}

/// Work that answers when the whole batch is done.
pub(crate) fn all_at_once(
    mut work: impl FnMut(Vec<Prepared>) -> Result<Vec<Prediction>, String> + Send + 'static,
) -> impl FnMut(Vec<Prepared>, &Answers<Prediction>) -> Result<(), String> + Send + 'static {
    move |batch, answers| {
        work(batch)?.into_iter().enumerate().for_each(|(at, prediction)| answers.give(at, prediction));
        Ok(())
    }
}

pub(crate) fn classes() -> ClassNames {
    ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).into()).unwrap()
}

/// Refuses what the real preprocessing refuses, and keeps nothing.
pub(crate) fn decode(input: &ModelInput<'_>) -> Result<Prepared, InputError> {
    if input.text.is_none() && input.image.is_none() {
        return Err(InputError::Empty);
    }
    if let Some(bytes) = input.image {
        natureddit_image::decode(bytes, &ImageLimits { bytes_max: 1 << 20, pixels_max: 1 << 20 })?;
    }
    Ok(Prepared::default())
}
