//! `natureddit serve`: predictions over HTTPS.

mod ts_config;

use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process;
use std::str::FromStr;

use anyhow::anyhow;
use natureddit_core::Progress;
use natureddit_serve::{
    BatchLimits, CERTIFICATE_FILE, Compat, ControlConfig, KeyError, Loader, MetricsConfig, ModelChoice, Models,
    ModelsConfig, PreparationLimits, RequestLimits, ServeConfig, ServeError, Server, TlsError, TlsFiles,
};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use super::signals::{self, StopSignals};
use crate::config::{Config, InferenceKey, TlsConfig};
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit serve                              the default version of each pushed model
  natureddit serve --address 127.0.0.1:0        on any free port
  natureddit serve --models naturedditTI --models naturedditTI/1
  natureddit serve --models candidate=pipeline/Trainer/model/7
  natureddit serve --models naturedditTI=naturedditTI.mar
  natureddit serve --ts-config config.properties
  curl -k https://127.0.0.1:8080/predictions/naturedditTI -F \"text=A fox\" -F \"image=@fox.jpg\"";

/// Answer predictions over HTTPS until Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to listen [default: serve.inference_address]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,
    /// Where models are managed, or `off` [default: serve.management.address; with --address any free port of this machine]
    #[arg(long, value_name = "ADDRESS")]
    management_address: Option<AddressOrOff>,
    /// Where metrics are read, or `off` [default: serve.metrics.address; with --address any free port of this machine]
    #[arg(long, value_name = "ADDRESS")]
    metrics_address: Option<AddressOrOff>,
    /// The folder of models, NAME/VERSION/ or NAME.mar [default: project.models_dir]
    #[arg(long, value_name = "DIR")]
    model_store: Option<PathBuf>,
    /// Only this model: the default version of NAME in the store, one VERSION of it, or a bundle or model archive anywhere;
    /// may be given more than once
    #[arg(long, value_name = "NAME[/VERSION|=DIR|=FILE.mar]")]
    models: Vec<String>,
    /// A config.properties of TorchServe, followed above natureddit.toml [default: $TS_CONFIG_FILE]
    #[arg(long, value_name = "FILE")]
    ts_config: Option<PathBuf>,
    /// Serve this machine alone, with a certificate kept in DIR, without keys and with our own answers, whatever serve says
    #[arg(long, value_name = "DIR", hide = true)]
    self_signed: Option<PathBuf>,
    /// Stop as on Ctrl-C when the standard input is closed, as it is when the program that writes into it ends
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// Where a port besides that for predictions is, if anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum AddressOrOff {
    Off,
    At(SocketAddr),
}

impl FromStr for AddressOrOff {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| "it is neither ADDRESS:PORT nor off"),
        }
    }
}

/// A server that is ready.
#[derive(Serialize)]
pub(super) struct Ready {
    /// Where it listens.
    pub(super) url: String,
    /// The names of the models, each once.
    models: Vec<String>,
    /// Where they are managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    management: Option<Management>,
    /// Where metrics are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_url: Option<String>,
    /// The certificate that it shows, for clients that do not know who signed it; none over plain HTTP.
    certificate: Option<PathBuf>,
}

/// The management API of a server that is ready.
#[derive(Serialize)]
struct Management {
    url: String,
    /// The file of the keys that clients show; `None` where they need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "serving on {}  (Ctrl-C stops)", self.url)?;
        self.models.iter().try_for_each(|model| writeln!(f, "  {}/predictions/{model}", self.url))?;
        match &self.management {
            None => Ok(()),
            Some(Management { url, key_file: None }) => writeln!(f, "managed at {url}/models"),
            Some(Management { url, key_file: Some(keys) }) => {
                writeln!(f, "managed at {url}/models, with the management key of {}", keys.display())
            }
        }?;
        self.metrics_url.iter().try_for_each(|url| writeln!(f, "metrics at {url}"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let mut config = session.config_or_defaults()?;
    let from_file = ts_config::apply(args.ts_config.as_deref(), &mut config, session)?;
    if let Some(dir) = &args.self_signed {
        config.serve.is_plain_http = false;
        config.serve.tls = TlsConfig::SelfSigned { dir: session.path(dir)?, names: Vec::new() };
        config.serve.inference_key = InferenceKey::Never;
        // Who asks reads no other answers.
        config.serve.compat = Compat::Own;
        // It is no client: what it asks is for nobody else to see.
        config.serve.prediction_log = None;
        config.serve.traces = None;
    }
    // Before the models are loaded: who starts a server may be gone before it is ready.
    let closed = args.until_stdin_closes.then(|| signals::stdin_closed(config.serve.drain_timeout)).transpose()?;
    let store = args.model_store.as_deref().unwrap_or(&config.project.models_dir);
    let named: Vec<ModelChoice> = args.models.iter().map(|choice| model_choice(choice)).collect();
    let choices = match &from_file {
        Some(load) if named.is_empty() => load.choices(store),
        _ => Some(named),
    };
    let addresses = Addresses {
        inference: args.address.unwrap_or(config.serve.inference_address),
        management: args.beside(args.management_address, config.serve.management.address),
        metrics: args.beside(args.metrics_address, config.serve.metrics.address),
    };
    if config.serve.is_plain_http && addresses.management.is_some_and(|address| !address.ip().is_loopback()) {
        let refused = Err(anyhow!("the management key would travel over plain HTTP"));
        return refused.hint("begin inference_address with https:, or take a management_address of this machine alone");
    }
    let runtime = wiring::tokio_runtime()?;
    let (server, ready) =
        start(&config, session, (store, choices.as_deref()), &addresses, &session.output.progress(), &runtime)?;
    let signals = StopSignals::listen(&runtime)?.or_when(closed);
    session.output.result(&ready)?;
    runtime.block_on(stop_at_signal(server, signals, session))?;
    Ok(Exit::Ok)
}

impl Args {
    /// Where a port besides that for predictions is: as the option says, else as the settings do.
    fn beside(&self, option: Option<AddressOrOff>, setting: Option<SocketAddr>) -> Option<SocketAddr> {
        match option {
            Some(AddressOrOff::Off) => None,
            Some(AddressOrOff::At(address)) => Some(address),
            // A second server beside the first.
            None if self.address.is_some() => setting.map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            None => setting,
        }
    }
}

fn model_choice(text: &str) -> ModelChoice {
    if let Some((name, folder)) = text.split_once('=') {
        return ModelChoice::Folder(name.to_owned(), folder.into());
    }
    let version = text.split_once('/').and_then(|(name, version)| Some((name, version.parse().ok()?)));
    // What is neither is refused with the name that it is not.
    version.map_or_else(
        || ModelChoice::Default(text.to_owned()),
        |(name, version)| ModelChoice::Version(name.to_owned(), version),
    )
}

/// Where a server listens.
pub(super) struct Addresses {
    pub(super) inference: SocketAddr,
    /// `None` is nowhere.
    pub(super) management: Option<SocketAddr>,
    /// The same.
    pub(super) metrics: Option<SocketAddr>,
}

/// Loads the models, where any are wanted, and starts answering.
pub(super) fn start(
    config: &Config,
    session: &Session,
    (store, choices): (&Path, Option<&[ModelChoice]>),
    addresses: &Addresses,
    progress: &Progress,
    runtime: &tokio::runtime::Runtime,
) -> Result<(Server, Ready), CliError> {
    let models = ModelsConfig {
        embedding_cache_bytes_max: config.serve.embedding_cache_bytes_max,
        model_store: store.to_owned(),
        choices: choices.unwrap_or_default().to_vec(),
        predictor: wiring::predictor_options(config),
        batch: BatchLimits {
            batch_size_max: config.serve.batch_size_max,
            batch_delay_max: config.serve.batch_delay_max,
            queue_len_max: config.serve.queue_len_max,
        },
        workers: config.serve.workers,
        by_version: config.serve.by_version.clone(),
        keep_features: config.serve.prediction_log.is_some(),
        workers_max: config.serve.management.workers_max,
        clock: session.clock.clone(),
    };
    let loader = Loader::new(models, wiring::load_runtime(config, progress)?);
    // Most servers fetch nothing, and start without a client.
    let loader = match config.serve.allowed_urls.is_empty() {
        true => loader,
        false => loader.fetching(wiring::archive_source(config)?),
    };
    let loaded = match choices {
        Some(_) => Models::load(loader, Some(store.join(SERVED_FILE)))?,
        None => Models::none(loader),
    };
    let models = loaded.names();
    let settings = serve_config(config, session, addresses)?;
    let key_file = settings.control.key_file.clone().filter(|_| settings.control.management_key);
    session.queue_lines()?;
    let server = hinted(runtime.block_on(Server::start(settings, loaded)), &config.serve.tls, addresses)?;
    let scheme = if config.serve.is_plain_http { "http" } else { "https" };
    let url = format!("{scheme}://{}", server.address());
    let management = server.management_address();
    let management = management.map(|address| Management { url: format!("{scheme}://{address}"), key_file });
    let metrics_url = server.metrics_address().map(|address| format!("{scheme}://{address}/metrics"));
    let certificate = (!config.serve.is_plain_http).then(|| certificate_of(config));
    Ok((server, Ready { url, models, management, metrics_url, certificate }))
}

/// The certificate that a server of this project shows.
pub(super) fn certificate_of(config: &Config) -> PathBuf {
    match &config.serve.tls {
        TlsConfig::Files { cert, .. } => cert.clone(),
        TlsConfig::SelfSigned { dir, .. } => dir.join(CERTIFICATE_FILE),
    }
}

/// Where a model store keeps what was served from it last.
const SERVED_FILE: &str = ".served.json";

fn serve_config(config: &Config, session: &Session, addresses: &Addresses) -> anyhow::Result<ServeConfig> {
    let (serve, address) = (&config.serve, addresses.inference);
    let tls = match &serve.tls {
        TlsConfig::Files { cert, key } => TlsFiles::Given { certificate: cert.clone(), key: key.clone() },
        TlsConfig::SelfSigned { dir, names } => {
            let ip = address.ip();
            let listened_on = (!ip.is_unspecified()).then(|| ip.to_string());
            TlsFiles::SelfSigned { folder: dir.clone(), names: names.iter().cloned().chain(listened_on).collect() }
        }
    };
    Ok(ServeConfig {
        address,
        tls: (!serve.is_plain_http).then_some(tls),
        connections_max: serve.connections_max,
        compat: serve.compat,
        limits: RequestLimits {
            requests_max: serve.requests_max,
            requests_crowded_max: wiring::requests_crowded_max(config),
            body_bytes_max: serve.body_bytes_max,
            bodies_max: serve.bodies_max,
            bodies_bytes_max: serve.bodies_bytes_max,
            header_timeout: serve.header_timeout,
            body_timeout: serve.body_timeout,
            write_timeout: serve.write_timeout,
            response_timeout: serve.response_timeout,
            instances_max: serve.instances_max,
            explanations_max: serve.explanations_max,
        },
        preparation: PreparationLimits {
            threads: wiring::preparation_threads(config),
            pixels_max: serve.preparation_pixels_max,
        },
        drain_timeout: serve.drain_timeout,
        control: control_config(config, addresses),
        cors: serve.cors.clone(),
        metrics: MetricsConfig {
            address: addresses.metrics,
            needs_key: needs_metrics_key(config, addresses),
            mode: serve.metrics.mode,
        },
        prediction_log: serve.prediction_log.clone(),
        traces: wiring::traces(config)?,
        clock: session.clock.clone(),
    })
}

fn needs_metrics_key(config: &Config, addresses: &Addresses) -> bool {
    addresses.metrics.is_some_and(|address| config.serve.metrics.key.is_needed_at(address))
}

fn control_config(config: &Config, addresses: &Addresses) -> ControlConfig {
    let (serve, management) = (&config.serve, &config.serve.management);
    let inference_key = serve.needs_inference_key(addresses.inference);
    // Whatever the settings say: where others than this machine can ask, they show a key.
    let needs_key = |address: SocketAddr| management.key_required || !address.ip().is_loopback();
    let management_key = addresses.management.is_some_and(needs_key);
    ControlConfig {
        management_address: addresses.management,
        management_key,
        models_fixed: !management.model_api,
        key_file: (management_key || inference_key || needs_metrics_key(config, addresses))
            .then(|| management.key_file.clone()),
        inference_key,
        refresh_interval: Some(serve.refresh_interval).filter(|interval| !interval.is_zero()),
    }
}

/// Says what to do about a server that did not start.
fn hinted<T>(started: Result<T, ServeError>, tls: &TlsConfig, addresses: &Addresses) -> Result<T, CliError> {
    match started.as_ref().err().and_then(|error| start_hint(error, tls, addresses)) {
        Some(hint) => started.hint(hint),
        None => Ok(started?),
    }
}

fn start_hint(error: &ServeError, tls: &TlsConfig, addresses: &Addresses) -> Option<String> {
    Some(match error {
        ServeError::Listen { address, source } => match source.kind() {
            ErrorKind::AddrNotAvailable => "choose an address of this machine; 0.0.0.0 is all of them".to_owned(),
            ErrorKind::PermissionDenied => "choose a port from 1024 up, or give the program the right".to_owned(),
            _ if addresses.management == Some(*address) => {
                "--management-address 127.0.0.1:0 takes any free port, and --management-address off none".to_owned()
            }
            _ if addresses.metrics == Some(*address) => {
                "--metrics-address 127.0.0.1:0 takes any free port, and --metrics-address off none".to_owned()
            }
            _ => "--address 127.0.0.1:0 takes any free port".to_owned(),
        },
        ServeError::Cors(_) => "check serve.cors, or cors_allowed_origin and its like in config.properties".to_owned(),
        ServeError::PredictionLog(_) => "serve.prediction_log.dir is a folder of one server's own".to_owned(),
        ServeError::Tls(error) => tls_hint(error, tls),
        ServeError::Keys(KeyError::Damaged { path, .. }) => {
            format!("remove {}: the next start makes new keys", path.display())
        }
        _ => return None,
    })
}

fn tls_hint(error: &TlsError, tls: &TlsConfig) -> String {
    match (error, tls) {
        (TlsError::Name(_), _) => "check serve.tls.names".to_owned(),
        (
            TlsError::Certificate { .. } | TlsError::Key { .. } | TlsError::Pair { .. },
            TlsConfig::SelfSigned { dir, .. },
        ) => {
            let dir = dir.display();
            format!("remove {CERTIFICATE_FILE} and key.pem in {dir}: the next start makes new ones")
        }
        (TlsError::Certificate { .. }, _) => "serve.tls.cert_file must be a PEM file of certificates".to_owned(),
        (TlsError::Key { .. }, _) => {
            "serve.tls.key_file must be a PEM file; `openssl pkey` takes a passphrase off".to_owned()
        }
        (TlsError::Pair { .. }, _) => "serve.tls.key_file must belong to the first certificate in cert_file".to_owned(),
        (_, TlsConfig::Files { .. }) => "check serve.tls.cert_file and serve.tls.key_file".to_owned(),
        (_, TlsConfig::SelfSigned { .. }) => "serve.tls.dir sets another folder for the certificate".to_owned(),
    }
}

/// Serves until Ctrl-C or SIGTERM, then lets what is under way finish; the second signal ends the program.
pub(super) async fn stop_at_signal(server: Server, mut signals: StopSignals, session: &Session) -> anyhow::Result<()> {
    signals.next().await;
    let requests = server.requests_under_way();
    if requests > 0 {
        let plural = if requests == 1 { "" } else { "s" };
        session.output.note(&format!("finishing {requests} request{plural}; Ctrl-C again to stop now"));
    }
    tokio::select! {
        stopped = server.shutdown() => Ok(stopped?),
        // Leaving in good order would wait for the batch that the user has no more patience for.
        () = signals.next() => {
            session.output.finish();
            process::exit(signals::INTERRUPTED)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_model_is_chosen_by_name_version_or_folder() {
        let choice = |text| format!("{:?}", model_choice(text));
        assert_eq!(choice("a"), format!("{:?}", ModelChoice::Default("a".into())));
        assert_eq!(choice("a/7"), format!("{:?}", ModelChoice::Version("a".into(), 7)));
        assert_eq!(choice("a=b/7"), format!("{:?}", ModelChoice::Folder("a".into(), "b/7".into())));
        assert_eq!(choice("a/x"), format!("{:?}", ModelChoice::Default("a/x".into())));
    }

    #[test]
    fn each_reason_not_to_start_has_its_own_hint() {
        let own = TlsConfig::SelfSigned { dir: "/tls".into(), names: Vec::new() };
        let files = TlsConfig::Files { cert: "c.pem".into(), key: "k.pem".into() };
        let address = |text: &str| text.parse().unwrap();
        let [inference, management, metrics] = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(address);
        let addresses = Addresses { inference, management: Some(management), metrics: Some(metrics) };
        let hint = |error: ServeError, tls: &TlsConfig| {
            hinted::<()>(Err(error), tls, &addresses).unwrap_err().hints().concat()
        };
        let listen_at = |address: &str, kind: ErrorKind| {
            hint(ServeError::Listen { address: address.parse().unwrap(), source: io::Error::from(kind) }, &own)
        };
        let listen = |kind| listen_at("127.0.0.1:1", kind);
        assert!(listen_at("127.0.0.1:2", ErrorKind::AddrInUse).contains("--management-address off"));
        assert!(listen_at("127.0.0.1:3", ErrorKind::AddrInUse).contains("--metrics-address off"));
        assert!(listen(ErrorKind::AddrInUse).contains("--address 127.0.0.1:0"));
        assert!(listen(ErrorKind::AddrNotAvailable).contains("an address of this machine"));
        assert!(listen(ErrorKind::PermissionDenied).contains("a port from 1024 up"));
        let bad = || ServeError::from(TlsError::Certificate { path: "c.pem".into(), reason: String::new() });
        assert!(hint(bad(), &own).starts_with("remove certificate.pem and key.pem in /tls"));
        assert!(hint(bad(), &files).starts_with("serve.tls.cert_file must be"));
        let encrypted = TlsError::Key { path: "k.pem".into(), reason: String::new() };
        assert!(hint(encrypted.into(), &files).starts_with("serve.tls.key_file must be"));
        assert!(hint(TlsError::Name("a b".into()).into(), &own).contains("serve.tls.names"));
    }
}
