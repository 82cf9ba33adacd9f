//! `natureddit lineage`: where a model comes from, and what became of a post.

mod post;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::anyhow;
use natureddit_core::{PostId, Progress};
use natureddit_data::Dataset;
use natureddit_pipeline::metadata::{Direction, Lineage, NodeId};
use natureddit_pipeline::{ArtifactType, Metadata, PropertyValue, Runner};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use crate::wiring;
use post::PostLineage;
use tree::Tree;

const EXAMPLES: &str = "\
Examples:
  natureddit lineage naturedditTI/3     what a pushed model was made from, up to the dataset and git
  natureddit lineage models/naturedditTI/3
  natureddit lineage naturedditTI/3/0b77...  the same for a prediction, by its header
  natureddit lineage pipeline/Trainer/model/7
  natureddit lineage 12                 artifact 12; execution:7 is execution 7
  natureddit lineage 12 --down          what was made from artifact 12
  natureddit lineage post:abc123        a post's examples, and every model that learnt from it
  natureddit run --json                 shows the ids";

/// Show what something was made from, or what was made from it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A model (NAME/VERSION), a prediction (NAME/VERSION/ID), an output's folder, an artifact's number,
    /// execution:NUMBER, or a post: post:ID, its id alone or its link
    #[arg(value_name = "ID")]
    id: String,
    /// Up, to what it was made from: of everything but a post this is what is shown unless --down is given
    #[arg(long)]
    up: bool,
    /// Down, to what was made from it
    #[arg(long)]
    down: bool,
}

/// What an id means.
enum Start {
    Node(NodeId),
    Post(PostId),
}

/// The walks from one node.
#[derive(Serialize)]
struct Walks {
    start: NodeId,
    #[serde(skip_serializing_if = "Option::is_none")]
    up: Option<Lineage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<Lineage>,
}

impl fmt::Display for Walks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = self.up.is_some() && self.down.is_some();
        for (title, lineage) in [("made from", &self.up), ("made into", &self.down)] {
            let Some(lineage) = lineage else { continue };
            if both {
                writeln!(f, "{title}:")?;
            }
            write!(f, "{}", Tree(lineage))?;
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let runner = wiring::pipeline_runner(&config, &session.clock, |_| Progress::silent());
    let mut metadata = Metadata::open(runner.metadata_location()).hint("`natureddit run` makes it")?;
    match start(&args.id, &runner, &mut metadata, session)? {
        Start::Post(_) if args.up => {
            return Err(CliError::usage("nothing here is what a post was made from"))
                .hint("leave --up away: what was made from it is shown");
        }
        Start::Post(post) => {
            let lineage = PostLineage::find(&post, &runner, &mut metadata)?;
            if lineage.is_unknown() && !Dataset::read(&config.project.data_dir)?.has_post(&post) {
                return Err(anyhow!(
                    "{:?} is no model, output, artifact or execution that the metadata store knows, and no \
                     post of the dataset or of any examples",
                    args.id
                ))
                .hint("`natureddit lineage --help` shows what can be asked for");
            }
            session.output.result(&lineage)?;
        }
        Start::Node(start) => {
            let mut walk = |wanted: bool, direction| match wanted {
                true => metadata.walk(start, direction),
                false => Ok(None),
            };
            let up = walk(args.up || !args.down, Direction::Up)?;
            let down = walk(args.down, Direction::Down)?;
            if up.is_none() && down.is_none() {
                return Err(anyhow!("there is no {start} in the metadata store"))
                    .hint("`natureddit run --json` shows the ids");
            }
            session.output.result(&Walks { start, up, down })?;
        }
    }
    Ok(Exit::Ok)
}

/// Finds what an id means: what is most certain first.
fn start(id: &str, runner: &Runner, metadata: &mut Metadata, session: &Session) -> Result<Start, CliError> {
    if let Some(post) = post::named(id) {
        return Ok(Start::Post(post));
    }
    if let Ok(node) = id.parse() {
        return Ok(Start::Node(node));
    }
    if let Some(node) = pushed_model(id, metadata)? {
        return Ok(Start::Node(node));
    }
    for path in session.path(Path::new(id))?.ancestors() {
        if let Some(artifact) = metadata.artifact_at(&runner.uri(path))? {
            return Ok(Start::Node(NodeId::Artifact(artifact)));
        }
    }
    if let Ok(post) = id.parse() {
        return Ok(Start::Post(post));
    }
    Err(anyhow!("{id:?} is no model, output, artifact, execution or post that the metadata store knows"))
        .hint("`natureddit lineage --help` shows what can be asked for")
}

/// The push of `NAME/VERSION`, whatever folders stand before it and whatever prediction behind it.
fn pushed_model(id: &str, metadata: &mut Metadata) -> Result<Option<NodeId>, CliError> {
    let names: Vec<&str> = id.trim_end_matches('/').split(['/', '\\']).collect();
    for pair in names.windows(2).rev() {
        let (name, version) = (pair[0], pair[1]);
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for artifact in metadata.artifacts_with(ArtifactType::PushedModel, ("pushed_version", version))? {
            let Some(lineage) = metadata.walk(NodeId::Artifact(artifact), Direction::Up)? else { continue };
            let pusher = lineage.nodes.iter().find(|node| node.depth == 1);
            let settings = pusher.and_then(|node| node.properties.get("exec_properties"));
            if settings.is_some_and(|settings| names_model(settings, name)) {
                return Ok(Some(NodeId::Artifact(artifact)));
            }
        }
    }
    Ok(None)
}

/// Whether a Pusher's settings are about this model.
fn names_model(settings: &PropertyValue, name: &str) -> bool {
    let PropertyValue::Text(text) = settings else { return false };
    let settings: Result<serde_json::Value, _> = serde_json::from_str(text);
    settings.is_ok_and(|settings| settings["name"] == name)
}
