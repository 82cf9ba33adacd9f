//! `natureddit serve`: predictions over HTTPS.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use natureddit_core::Progress;
use natureddit_serve::{
    BatchLimits, ModelChoice, ModelsConfig, RequestLimits, ServeConfig, Server, TlsFiles, load_models,
};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use crate::config::{Config, TlsConfig};
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit serve                              the newest version of each pushed model
  natureddit serve --address 127.0.0.1:0        on any free port
  natureddit serve --models candidate=pipeline/Trainer/model/7
  curl -k https://127.0.0.1:8080/predictions/naturedditTI -F \"text=A fox\" -F \"image=@fox.jpg\"";

/// Answer predictions over HTTPS until Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to listen [default: serve.inference_address]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,
    /// The folder of models, NAME/VERSION/ [default: project.models_dir]
    #[arg(long, value_name = "DIR")]
    model_store: Option<PathBuf>,
    /// Only this model: NAME of the store, or NAME=DIR of a bundle anywhere; may be given more than once
    #[arg(long, value_name = "NAME[=DIR]")]
    models: Vec<String>,
}

/// A server that is ready.
#[derive(Serialize)]
pub(super) struct Ready {
    /// Where it listens.
    pub(super) url: String,
    /// A model and the version that answers without one in the path.
    models: Vec<String>,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "serving on {}  (Ctrl-C stops)", self.url)?;
        self.models.iter().try_for_each(|model| writeln!(f, "  {}/predictions/{model}", self.url))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config_or_defaults()?;
    let store = args.model_store.as_deref().unwrap_or(&config.project.models_dir);
    let choices: Vec<ModelChoice> = args.models.iter().map(|choice| model_choice(choice)).collect();
    let address = args.address.unwrap_or(config.serve.inference_address);
    let runtime = wiring::tokio_runtime()?;
    let (server, ready) = start(&config, session, (store, &choices), address, &session.output.progress(), &runtime)?;
    session.output.result(&ready)?;
    runtime.block_on(stop_at_signal(server))?;
    Ok(Exit::Ok)
}

fn model_choice(text: &str) -> ModelChoice {
    match text.split_once('=') {
        Some((name, folder)) => ModelChoice::Folder(name.to_owned(), folder.into()),
        None => ModelChoice::Newest(text.to_owned()),
    }
}

/// Loads the models and starts answering.
pub(super) fn start(
    config: &Config,
    session: &Session,
    (store, choices): (&Path, &[ModelChoice]),
    address: SocketAddr,
    progress: &Progress,
    runtime: &tokio::runtime::Runtime,
) -> Result<(Server, Ready), CliError> {
    let models = ModelsConfig {
        model_store: store.to_owned(),
        choices: choices.to_vec(),
        predictor: wiring::predictor_options(config),
        batch: BatchLimits {
            batch_size_max: config.serve.batch_size_max,
            batch_delay_max: config.serve.batch_delay_max,
            queue_len_max: config.serve.queue_len_max,
        },
    };
    let loaded = load_models(&models, &wiring::load_runtime(config, progress)?)
        .hint("`natureddit run` trains, judges and pushes a model; `natureddit model list` shows what was pushed")?;
    let names = loaded.iter().map(|model| model.name().to_owned()).collect();
    let server = runtime
        .block_on(Server::start(serve_config(config, session, address), loaded))
        .hint("--address 127.0.0.1:0 takes any free port")?;
    let url = format!("https://{}", server.address());
    Ok((server, Ready { url, models: names }))
}

fn serve_config(config: &Config, session: &Session, address: SocketAddr) -> ServeConfig {
    let serve = &config.serve;
    let tls = match &serve.tls {
        TlsConfig::Files { cert, key } => TlsFiles::Given { certificate: cert.clone(), key: key.clone() },
        TlsConfig::SelfSigned { dir } => {
            let ip = address.ip();
            let host = (!ip.is_unspecified() && !ip.is_loopback()).then(|| ip.to_string());
            TlsFiles::SelfSigned { folder: dir.clone(), host }
        }
    };
    ServeConfig {
        address,
        tls: Some(tls),
        limits: RequestLimits {
            requests_max: serve.requests_max,
            body_bytes_max: serve.body_bytes_max,
            header_timeout: serve.header_timeout,
            body_timeout: serve.body_timeout,
            response_timeout: serve.response_timeout,
        },
        preparation_threads: wiring::preparation_threads(config),
        drain_timeout: serve.drain_timeout,
        clock: session.clock.clone(),
    }
}

/// Serves until Ctrl-C or SIGTERM, then lets what is under way finish.
pub(super) async fn stop_at_signal(server: Server) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.context("could not listen for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    Ok(server.shutdown().await?)
}
