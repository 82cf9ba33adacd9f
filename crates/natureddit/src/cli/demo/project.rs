//! The parts of the demo: the simulated Reddit, the project folder, the labels, the question.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use natureddit_core::{ContentHash, PostId, fs};
use natureddit_data::{Dataset, Labels, PostRow};
use natureddit_net::own_server::{FormField, post_form};
use natureddit_sandbox::{Sandbox, Truth};
use natureddit_serve::Server;
use serde_json::Value;
use tokio::runtime::Runtime;
use url::Url;

use super::Args;
use super::report::AskedPrediction;
use super::sandbox::{moment, sandbox_config, start};
use super::serve;
use crate::cli::error::{CliError, HintExt};
use crate::cli::serve::Ready;
use crate::cli::session::Session;
use crate::config::{Config, FILE_NAME, TlsConfig};

/// The first line of the settings of a demo; a folder with other settings is left alone.
const MADE_BY: &str = "# Made by `natureddit demo`";

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts the simulator on any free port.
pub(super) fn start_sandbox(
    defaults: &Config,
    args: &Args,
    session: &Session,
    runtime: &Runtime,
) -> Result<Sandbox, CliError> {
    check_folder(&args.dir)?;
    let mut config = sandbox_config(defaults, args.photos.clone());
    config.port = 0;
    config.posts = args.posts.map_or(config.posts, |posts| posts as usize);
    let reddit = start(config, runtime)?;
    check_corpus(&args.dir, &reddit, args.photos.as_deref())?;
    let count = reddit.truth().posts.len();
    session.output.note(&format!("{count} posts on http://{}", reddit.address()));
    Ok(reddit)
}

/// A folder that is empty, not there, or an earlier demo's.
fn check_folder(dir: &Path) -> Result<(), CliError> {
    let entries = fs::optional(fs::read_dir(dir))?.unwrap_or_default();
    let settings = fs::optional(fs::read_to_string(&dir.join(FILE_NAME)))?.unwrap_or_default();
    if entries.is_empty() || settings.starts_with(MADE_BY) {
        return Ok(());
    }
    Err(anyhow!("{} holds something else than a demo", dir.display())).hint("name another folder with --dir")
}

/// An earlier demo's folder must hold posts of the same corpus, or the dataset would be of two.
fn check_corpus(dir: &Path, reddit: &Sandbox, photos: Option<&Path>) -> Result<(), CliError> {
    let Some(settings) = fs::optional(fs::read_to_string(&dir.join(FILE_NAME)))? else { return Ok(()) };
    let settings: toml::Table = settings.parse().context("the settings of the earlier demo cannot be read")?;
    let wanted: toml::Table = corpus_settings(reddit, photos)?.parse()?;
    let same =
        |(key, value): (&String, &toml::Value)| settings.get("sandbox").and_then(|old| old.get(key)) == Some(value);
    if wanted.iter().all(same) {
        return Ok(());
    }
    Err(anyhow!("{} holds a demo with other posts", dir.display())).hint("name another folder with --dir")
}

/// The keys of `[sandbox]` that make `natureddit sandbox` serve these posts again.
fn corpus_settings(reddit: &Sandbox, photos: Option<&Path>) -> anyhow::Result<String> {
    let truth = reddit.truth();
    let photos = photos.map(std::path::absolute).transpose()?.unwrap_or_default();
    let photos = toml::Value::from(photos.to_string_lossy().as_ref());
    Ok(format!("seed = {}\nposts = {}\nphotos = {photos}\n", truth.seed, truth.posts.len()))
}

/// Writes the project's settings: the window and where the simulator stands in for Reddit's hosts.
pub(super) fn write_settings(reddit: &Sandbox, args: &Args, session: &Session) -> Result<Config, CliError> {
    let dir = &args.dir;
    let window = reddit.window();
    let (since, until) = (moment(window.since)?, moment(window.until)?);
    let hosts: Vec<String> =
        reddit.host_map().into_iter().map(|(host, target)| format!("\"{host}\" = \"{target}\"")).collect();
    let text = format!(
        "{MADE_BY}; `natureddit init` writes a file that explains every key.\n\n\
         [collect]\nsince = \"{since}\"\nuntil = \"{until}\"\n\n\
         # The simulated Reddit; `natureddit sandbox` in this folder starts it again.\n[net.host_map]\n{}\n\n\
         [sandbox]\nport = {}\n{}",
        hosts.join("\n"),
        reddit.address().port(),
        corpus_settings(reddit, args.photos.as_deref())?,
    );
    fs::write_atomic(&dir.join(FILE_NAME), text)?;
    session.config_in(dir)
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
    for (id, choice) in truth.labels().filter(|(id, _)| dataset.posts.contains_key(*id) && is_picked(id, share)) {
        writer.write_record([id.as_str(), choice])?;
    }
    let path = labels_dir.join("demo-choices.csv");
    let bytes = writer.into_inner().map_err(|e| anyhow!("could not write the choices: {}", e.error()))?;
    fs::write_atomic(&path, bytes)?;
    Ok(path)
}

fn is_picked(id: &PostId, share: f64) -> bool {
    let place = ContentHash::of(id.as_str().as_bytes()).leading_u64() as f64 / u64::MAX as f64;
    place < share
}

/// A post the model has not seen: the first without a label, or just the first.
pub(super) fn post_to_predict(config: &Config) -> anyhow::Result<PostRow> {
    let dataset = Dataset::read(&config.project.data_dir)?;
    let labels = Labels::read(&config.project.labels_dir)?;
    let labelled = labels.latest();
    let rows = dataset.rows();
    let unseen = rows.iter().find(|row| !labelled.contains_key(&row.post.id));
    let row = unseen.or(rows.first()).context("the dataset has no posts")?;
    Ok((*row).clone())
}

/// Serves the pushed model at the configured address, or on any free port where that is taken.
pub(super) fn start_server(config: &Config, session: &Session, runtime: &Runtime) -> Result<(Server, Ready), CliError> {
    let progress = session.output.progress();
    let store = config.project.models_dir.as_path();
    let wanted = config.serve.inference_address;
    let free = std::net::TcpListener::bind(wanted).is_ok();
    let address = if free { wanted } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
    if !free {
        session.output.note(&format!("{wanted} is taken, so another port is used"));
    }
    serve::start(config, session, (store, &[]), address, &progress, runtime)
}

/// Sends a post to the server as any client would, trusting the certificate it has made for itself.
pub(super) fn ask(
    config: &Config,
    url: &str,
    row: &PostRow,
    reddit: &Sandbox,
    runtime: &Runtime,
) -> Result<AskedPrediction, CliError> {
    let certificate = match &config.serve.tls {
        TlsConfig::Files { cert, .. } => fs::read(cert)?,
        TlsConfig::SelfSigned { dir, .. } => fs::read(&dir.join(natureddit_serve::CERTIFICATE_FILE))?,
    };
    let address = Url::parse(&format!("{url}/predictions/{}", config.model.name))?;
    let photo = Dataset::image_path(&config.project.data_dir, row);
    let fields = vec![
        FormField { name: "text", value: row.post.title.clone().into(), file_name: None },
        FormField { name: "image", value: fs::read(&photo)?.into(), file_name: Some(row.img_name.clone()) },
    ];
    let (status, body) = runtime.block_on(post_form(&address, &certificate, fields, ANSWER_TIMEOUT))?;
    if status != 200 {
        return Err(anyhow!("the server answered {status}: {body}").into());
    }
    let answer: Value = serde_json::from_str(&body).context("the server's answer is not JSON")?;
    let truth = reddit.truth().labels().find(|(id, _)| **id == row.post.id).map(|(_, choice)| choice.to_owned());
    let curl = format!(
        "curl -k {address} -F {} -F {}",
        shell_quoted(&format!("text={}", row.post.title)),
        shell_quoted(&format!("image=@{}", photo.display())),
    );
    Ok(AskedPrediction { id: row.post.id.to_string(), title: row.post.title.clone(), photo, truth, answer, curl })
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

    #[test]
    fn the_share_of_labelled_posts_is_about_the_one_asked_for() {
        let picked = (0..1000).filter(|i| is_picked(&format!("p{i}").parse().unwrap(), 0.7)).count();
        assert!((650..750).contains(&picked), "{picked}");
        assert!(!is_picked(&"x".parse().unwrap(), 0.0));
    }
}
