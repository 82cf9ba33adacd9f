//! `[serve]`: where and within which limits predictions are served.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use natureddit_serve::{
    AllowedUrls, Compat, CorsConfig, MetricsMode, OriginError, PredictionLogConfig, SettingsByVersion,
};

use super::check::{BYTES, Checker, PIXELS, SHARE};
use super::raw::{RawCors, RawManagement, RawMetrics, RawPredictionLog, RawServe, RawTls};
use super::{ConfigError, TracesConfig};

/// What a word of `allowed_urls` must be.
const ALLOWED_URL: &str = "an http or https address that ends in \"/\", or a regular expression of whole addresses";

/// The checked `[serve]`.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where predictions are served.
    pub inference_address: SocketAddr,
    /// The most requests in one run of the model.
    pub batch_size_max: usize,
    /// The longest a request waits for others.
    pub batch_delay_max: Duration,
    /// Requests that may wait for the model.
    pub queue_len_max: usize,
    /// The workers of each model.
    pub workers: usize,
    /// Connections that are open at the same time.
    pub connections_max: usize,
    /// Requests that have arrived and are prepared and waited for at the same time.
    pub requests_max: usize,
    /// The same while requests come faster than they are answered; 0 means three for two cores.
    pub requests_crowded_max: usize,
    /// The largest request body, in bytes.
    pub body_bytes_max: usize,
    /// Request bodies that are read at the same time.
    pub bodies_max: usize,
    /// What all request bodies take together, in bytes.
    pub bodies_bytes_max: usize,
    /// The longest the head of a request may take to arrive, and an HTTP/2 client may be silent before it is pinged.
    pub header_timeout: Duration,
    /// The longest a body may take to arrive.
    pub body_timeout: Duration,
    /// The longest a client may take nothing of what is written to it.
    pub write_timeout: Duration,
    /// The longest an answer may take once the body is there.
    pub response_timeout: Duration,
    /// The longest a stopping server waits for requests that are under way.
    pub drain_timeout: Duration,
    /// Processor cores the model uses; 0 means all.
    pub threads: usize,
    /// Inputs prepared at the same time; 0 means one for each core.
    pub preparation_threads: usize,
    /// Pixels decoded at the same time.
    pub preparation_pixels_max: u32,
    /// Bytes of features that each model keeps for what is asked again; 0: none.
    pub embedding_cache_bytes_max: usize,
    /// How closely TorchServe is followed.
    pub compat: Compat,
    /// Posts in one request of a KServe protocol.
    pub instances_max: usize,
    /// Explanations worked on at the same time.
    pub explanations_max: usize,
    /// Who must show the inference key.
    pub inference_key: InferenceKey,
    /// Where model archives may be registered from.
    pub allowed_urls: AllowedUrls,
    /// The largest archive that is fetched, in bytes.
    pub archive_bytes_max: u64,
    /// The longest an archive may take to come.
    pub archive_timeout: Duration,
    /// How often the model store, the certificate and the keys are looked at; zero is never.
    pub refresh_interval: Duration,
    /// Who may change the models.
    pub management: ManagementConfig,
    /// Which pages of other origins may read answers; `None`: no page.
    pub cors: Option<CorsConfig>,
    /// Who is told what was counted.
    pub metrics: MetricsConfig,
    /// What is written down of predictions; `None` is nothing.
    pub prediction_log: Option<PredictionLogConfig>,
    /// Which requests are traced; `None` is none.
    pub traces: Option<TracesConfig>,
    /// The certificate.
    pub tls: TlsConfig,
    /// Whether predictions are served without encryption. No key says so: only an `inference_address` of TorchServe's
    /// `config.properties` that begins with `http:`.
    pub is_plain_http: bool,
    /// What is set for single versions of models. No key says so: only `models` of such a file.
    pub by_version: SettingsByVersion,
}

/// Who must show the key for predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InferenceKey {
    /// Everybody, unless only this machine reaches the address.
    OffLoopback,
    /// Everybody.
    Always,
    /// Nobody.
    Never,
}

/// The checked `[serve.management]`.
#[derive(Clone, Debug)]
pub struct ManagementConfig {
    /// Where models are managed; `None` is nowhere.
    pub address: Option<SocketAddr>,
    /// Whether a key must be shown there.
    pub key_required: bool,
    /// The file of the keys.
    pub key_file: PathBuf,
    /// The most workers a model may be scaled to.
    pub workers_max: usize,
    /// Whether models are registered and unregistered there.
    pub model_api: bool,
}

/// The checked `[serve.metrics]`.
#[derive(Clone, Debug)]
pub struct MetricsConfig {
    /// Where metrics are read; `None` is nowhere.
    pub address: Option<SocketAddr>,
    /// Who must show the inference key there.
    pub key: InferenceKey,
    /// Where they go.
    pub mode: MetricsMode,
}

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsConfig {
    /// Two PEM files of the user's.
    Files {
        /// The certificate chain.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// A self-signed certificate, made on the first start.
    SelfSigned {
        /// Where it is kept.
        dir: PathBuf,
        /// The names and addresses it is for besides those of this machine itself.
        names: Vec<String>,
    },
}

impl ServeConfig {
    pub(super) fn check(raw: RawServe, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_secs(60);
        let at = checker.table("serve");
        let bad_address =
            || at.bad("inference_address", &raw.inference_address, "an IP address and a port: \"127.0.0.1:8080\"");
        let timeout = |key, text| at.duration(key, text, Duration::from_millis(1)..=60 * MINUTE);
        Ok(Self {
            inference_address: raw.inference_address.parse().map_err(|_| bad_address())?,
            batch_size_max: at.integer("batch_size_max", raw.batch_size_max, 1..=1_024)?,
            batch_delay_max: at.duration("batch_delay_max", &raw.batch_delay_max, Duration::ZERO..=MINUTE)?,
            connections_max: at.integer("connections_max", raw.connections_max, 1..=1_000_000)?,
            requests_max: at.integer("requests_max", raw.requests_max, 1..=100_000)?,
            requests_crowded_max: at.integer("requests_crowded_max", raw.requests_crowded_max, 0..=100_000)?,
            queue_len_max: at.integer("queue_len_max", raw.queue_len_max, 1..=1_000_000)?,
            workers: at.integer("workers", raw.workers, 1..=raw.management.workers_max.max(1))?,
            body_bytes_max: at.integer("body_bytes_max", raw.body_bytes_max, BYTES)?,
            bodies_max: at.integer("bodies_max", raw.bodies_max, 1..=1_000_000)?,
            // With less, the largest body could never be taken.
            bodies_bytes_max: at.integer(
                "bodies_bytes_max",
                raw.bodies_bytes_max,
                raw.body_bytes_max..=*BYTES.end(),
            )?,
            header_timeout: timeout("header_timeout", &raw.header_timeout)?,
            body_timeout: timeout("body_timeout", &raw.body_timeout)?,
            write_timeout: timeout("write_timeout", &raw.write_timeout)?,
            response_timeout: timeout("response_timeout", &raw.response_timeout)?,
            drain_timeout: at.duration("drain_timeout", &raw.drain_timeout, Duration::ZERO..=60 * MINUTE)?,
            threads: at.integer("threads", raw.threads, 0..=1_024)?,
            preparation_threads: at.integer("preparation_threads", raw.preparation_threads, 0..=1_024)?,
            preparation_pixels_max: at.integer("preparation_pixels_max", raw.preparation_pixels_max, PIXELS)?,
            embedding_cache_bytes_max: at.integer(
                "embedding_cache_bytes_max",
                raw.embedding_cache_bytes_max,
                0..=*BYTES.end(),
            )?,
            compat: at.one_of("compat", &raw.compat, &[("own", Compat::Own), ("strict", Compat::Strict)])?,
            instances_max: at.integer("instances_max", raw.instances_max, 1..=1_024)?,
            explanations_max: at.integer("explanations_max", raw.explanations_max, 1..=1_000)?,
            inference_key: at.one_of("inference_key", &raw.inference_key, &InferenceKey::WORDS)?,
            allowed_urls: AllowedUrls::new(raw.allowed_urls)
                .map_err(|error| at.bad("allowed_urls", &error.word, ALLOWED_URL))?,
            archive_bytes_max: at.integer("archive_bytes_max", raw.archive_bytes_max, BYTES)?,
            archive_timeout: at.duration("archive_timeout", &raw.archive_timeout, SECOND..=24 * 60 * MINUTE)?,
            refresh_interval: at.duration("refresh_interval", &raw.refresh_interval, Duration::ZERO..=60 * MINUTE)?,
            management: ManagementConfig::check(&raw.management, checker)?,
            cors: cors(raw.cors, checker)?,
            metrics: MetricsConfig::check(&raw.metrics, checker)?,
            prediction_log: prediction_log(&raw.prediction_log, checker)?,
            traces: TracesConfig::check(&raw.traces, checker)?,
            tls: TlsConfig::check(raw.tls, checker)?,
            is_plain_http: false,
            by_version: SettingsByVersion::new(),
        })
    }

    /// Whether a server at `address` asks for the inference key.
    #[must_use]
    pub fn needs_inference_key(&self, address: SocketAddr) -> bool {
        self.inference_key.is_needed_at(address)
    }
}

impl InferenceKey {
    const WORDS: [(&'static str, Self); 3] =
        [("off_loopback", Self::OffLoopback), ("always", Self::Always), ("never", Self::Never)];

    /// Whether it must be shown at `address`.
    #[must_use]
    pub fn is_needed_at(self, address: SocketAddr) -> bool {
        match self {
            Self::OffLoopback => !address.ip().is_loopback(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl MetricsConfig {
    fn check(raw: &RawMetrics, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("serve.metrics");
        let bad = |_| at.bad("address", &raw.address, "an IP address and a port, or empty");
        let modes = [("prometheus", MetricsMode::Prometheus), ("log", MetricsMode::Log)];
        Ok(Self {
            address: (!raw.address.is_empty()).then(|| raw.address.parse().map_err(bad)).transpose()?,
            key: at.one_of("key", &raw.key, &InferenceKey::WORDS)?,
            mode: at.one_of("mode", &raw.mode, &modes)?,
        })
    }
}

fn cors(raw: RawCors, checker: &Checker<'_>) -> Result<Option<CorsConfig>, ConfigError> {
    let at = checker.table("serve.cors");
    let RawCors { allowed_origin, allowed_methods, allowed_headers } = raw;
    let has_header = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !allowed_origin.is_empty() {
        let bad = |error: OriginError| at.bad("allowed_origin", &allowed_origin, format!("empty, {}", error.must_be()));
        CorsConfig::check_origin(&allowed_origin).map_err(bad)?;
    }
    let lists = [("allowed_methods", &allowed_methods), ("allowed_headers", &allowed_headers)];
    for (key, words) in lists {
        if let Some(bad) = words.iter().find(|word| !has_header(word)) {
            return Err(at.bad(key, bad, "words of ASCII letters"));
        }
    }
    Ok((!allowed_origin.is_empty()).then_some(CorsConfig { allowed_origin, allowed_methods, allowed_headers }))
}

fn prediction_log(raw: &RawPredictionLog, checker: &Checker<'_>) -> Result<Option<PredictionLogConfig>, ConfigError> {
    let at = checker.table("serve.prediction_log");
    let (sample, content) = (at.number("sample", raw.sample, SHARE)?, raw.content);
    let file_bytes_max = at.integer("file_bytes_max", raw.file_bytes_max, BYTES)?;
    let files_max = at.integer("files_max", raw.files_max, 1..=1_000_000)?;
    let folder = at.optional_path("dir", &raw.dir)?;
    Ok(folder.map(|folder| PredictionLogConfig { folder, sample, content, file_bytes_max, files_max }))
}

impl ManagementConfig {
    fn check(raw: &RawManagement, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("serve.management");
        let bad = |must_be: &str| at.bad("address", &raw.address, must_be);
        let address: Option<SocketAddr> = match raw.address.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| bad("an IP address and a port, or empty"))?),
        };
        if !raw.key_required && address.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(bad("an address of this machine alone, such as 127.0.0.1, or key_required = true"));
        }
        Ok(Self {
            address,
            key_required: raw.key_required,
            key_file: at.path_or("dir", &raw.dir, |env| env.data_home.as_ref(), "natureddit/serve")?.join("keys.json"),
            workers_max: at.integer("workers_max", raw.workers_max, 1..=64)?,
            model_api: raw.model_api,
        })
    }
}

impl TlsConfig {
    fn check(raw: RawTls, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("serve.tls");
        let cert = at.optional_path("cert_file", &raw.cert_file)?;
        let key = at.optional_path("key_file", &raw.key_file)?;
        // A name that a certificate cannot have is refused when one is made; here only what is no name at all.
        if let Some(bad) = raw.names.iter().find(|name| !is_host(name)) {
            return Err(at.bad("names", bad, "host names and IP addresses, without a scheme or a port"));
        }
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Self::Files { cert, key }),
            (None, None) => {
                let dir = at.path_or("dir", &raw.dir, |env| env.data_home.as_ref(), "natureddit/tls")?;
                Ok(Self::SelfSigned { dir, names: raw.names })
            }
            (Some(_), None) => Err(at.bad("cert_file", &raw.cert_file, "set together with serve.tls.key_file")),
            (None, Some(_)) => Err(at.bad("key_file", &raw.key_file, "set together with serve.tls.cert_file")),
        }
    }
}

/// Whether a text is an IP address or looks like a host name.
fn is_host(text: &str) -> bool {
    let host_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    text.parse::<IpAddr>().is_ok() || (!text.is_empty() && host_name(text))
}
