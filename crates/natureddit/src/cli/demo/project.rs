//! The parts of the demo: the project folder, the labels, the question.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use natureddit_core::fs;
use natureddit_data::{Dataset, Labels, PostRow};
use natureddit_model::ModelVersions;
use natureddit_net::own_server::{Answer, AnswerForm, FormField, OwnServer};
use natureddit_sandbox::{Sandbox, Truth};
use natureddit_serve::Server;
use serde_json::Value;
use tokio::runtime::Runtime;
use url::Url;

use super::corpus::{MADE_BY, corpus_settings, is_picked};
use super::report::AskedPrediction;
use super::sandbox::moment;
use super::{init, serve};
use crate::cli::error::CliError;
use crate::cli::serve::{Addresses, Ready};
use crate::cli::session::Session;
use crate::config::{Config, FILE_NAME, TlsConfig};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Writes the project's settings where there are none: the window and where the simulator stands in for Reddit's hosts.
pub(super) fn make(dir: &Path, reddit: &Sandbox, photos: Option<&Path>, session: &Session) -> Result<Config, CliError> {
    let file = dir.join(FILE_NAME);
    if fs::optional(fs::metadata(&file))?.is_some() {
        session.output.note(&format!("{} is kept as it is", file.display()));
    } else {
        fs::write_atomic(&file, settings(reddit, photos)?)?;
        init::ignore_locks(dir)?;
    }
    let mut config = session.config_in(dir)?;
    // The settings name the port of the demo that wrote them; this one's simulator has a port of its own.
    for (host, target) in reddit.host_map() {
        config.net.host_map.insert(host, Url::parse(&target)?);
    }
    Ok(config)
}

fn settings(reddit: &Sandbox, photos: Option<&Path>) -> anyhow::Result<String> {
    let window = reddit.window();
    let (since, until) = (moment(window.since)?, moment(window.until)?);
    let hosts: Vec<String> =
        reddit.host_map().into_iter().map(|(host, target)| format!("\"{host}\" = \"{target}\"")).collect();
    Ok(format!(
        "{MADE_BY}; `natureddit init` writes a file that explains every key.\n\n\
         [collect]\nsince = \"{since}\"\nuntil = \"{until}\"\n\n\
         # The simulated Reddit; `natureddit sandbox` in this folder starts it again.\n[net.host_map]\n{}\n\n\
         [sandbox]\nport = {}\n{}",
        hosts.join("\n"),
        reddit.address().port(),
        corpus_settings(reddit, photos)?,
    ))
}

/// Writes the choices of a share of the posts, picked by the hash of their id, as a person's CSV file would hold them.
pub(super) fn write_choices(
    truth: &Truth,
    dataset: &Dataset,
    share: f64,
    labels_dir: &Path,
) -> anyhow::Result<PathBuf> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "choice"])?;
    for (id, choice) in truth.labels().filter(|(id, _)| dataset.has_post(id) && is_picked(id, share)) {
        writer.write_record([id.as_str(), choice])?;
    }
    let path = labels_dir.join("demo-choices.csv");
    let bytes = writer.into_inner().map_err(|e| anyhow!("could not write the choices: {}", e.error()))?;
    fs::write_atomic(&path, bytes)?;
    Ok(path)
}

/// A post the model has not seen: the first without a label, or just the first; and whether it has a label.
pub(super) fn post_to_predict(config: &Config) -> anyhow::Result<(PostRow, bool)> {
    let dataset = Dataset::read(&config.project.data_dir)?;
    let labels = Labels::read(&config.project.labels_dir)?;
    let choices = labels.latest();
    let rows = dataset.rows();
    let unseen = |row: &&&PostRow| choices.of(row).is_none();
    // A title of one line is easier to paste.
    let one_line = |row: &&&PostRow| !row.post.title.contains(char::is_control);
    let unseen = rows.iter().filter(unseen).find(one_line).or_else(|| rows.iter().find(unseen));
    let row = unseen.or(rows.first()).context("the dataset has no posts")?;
    Ok(((*row).clone(), unseen.is_none()))
}

/// The version that answers: the default, pushed by this run or an earlier one.
pub(super) fn default_version(config: &Config) -> anyhow::Result<Option<u64>> {
    let versions = ModelVersions::read(&config.project.models_dir.join(&config.model.name))?;
    Ok(versions.default_version().map(|(version, _)| version))
}

/// Where `natureddit serve` of these settings is reached from this machine.
pub(super) fn url_of_serve(config: &Config) -> String {
    let address = config.serve.inference_address;
    match (address.ip().is_unspecified(), address.port()) {
        // The port is known only when it listens, and it says so then.
        (_, 0) => "https://127.0.0.1:PORT".to_owned(),
        (true, port) => format!("https://127.0.0.1:{port}"),
        (false, _) => format!("https://{address}"),
    }
}

/// Serves the pushed model at the configured address, or on any free port where that is taken.
pub(super) fn start_server(config: &Config, session: &Session, runtime: &Runtime) -> Result<(Server, Ready), CliError> {
    let progress = session.output.progress();
    let store = config.project.models_dir.as_path();
    let free_or_other = |wanted: SocketAddr| {
        if std::net::TcpListener::bind(wanted).is_ok() {
            return wanted;
        }
        session.output.note(&format!("{wanted} is taken, so another port is used"));
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    };
    let addresses = Addresses {
        inference: free_or_other(config.serve.inference_address),
        management: config.serve.management.address.map(free_or_other),
        metrics: config.serve.metrics.address.map(free_or_other),
    };
    serve::start(config, session, (store, Some(&[])), &addresses, &progress, runtime)
}

/// Sends a post to the server as any client would, trusting the certificate it has made for itself.
pub(super) fn ask(
    config: &Config,
    url: &str,
    (row, labelled): (&PostRow, bool),
    truth: &Truth,
    runtime: &Runtime,
) -> Result<AskedPrediction, CliError> {
    let certificate = match &config.serve.tls {
        TlsConfig::Files { cert, .. } => fs::read(cert)?,
        TlsConfig::SelfSigned { dir, .. } => fs::read(&dir.join(natureddit_serve::CERTIFICATE_FILE))?,
    };
    let address = Url::parse(&format!("{url}/predictions/{}", config.model.name))?;
    let photo = Dataset::image_path(&config.project.data_dir, row);
    let fields =
        vec![FormField::text("text", &row.post.title), FormField::file("image", &row.img_name, fs::read(&photo)?)];
    let server = OwnServer::new(Some(&certificate), ANSWER_TIMEOUT)?;
    let Answer { status, body } = runtime.block_on(server.post_form(&address, AnswerForm::Json, fields))?;
    if status != 200 {
        return Err(anyhow!("the server answered {status}: {body}").into());
    }
    let answer: Value = serde_json::from_str(&body).context("the server's answer is not JSON")?;
    let truth = truth.labels().find(|(id, _)| **id == row.post.id).map(|(_, choice)| choice.to_owned());
    Ok(AskedPrediction { id: row.post.id.to_string(), title: row.post.title.clone(), photo, labelled, truth, answer })
}

/// The same request for a shell, to a server at `url`.
pub(super) fn curl(config: &Config, url: &str, asked: &AskedPrediction) -> String {
    format!(
        "curl -k {url}/predictions/{} -F {} -F {}",
        config.model.name,
        shell_quoted(&format!("text={}", asked.title)),
        shell_quoted(&format!("image=@{}", asked.photo.display())),
    )
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_with_quotes_survives_the_shell() {
        assert_eq!(shell_quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
