//! `natureddit lineage`: where an artifact comes from.

use std::fmt;

use anyhow::anyhow;
use natureddit_pipeline::metadata::{Lineage, NodeId};
use natureddit_pipeline::{Metadata, Runner};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit lineage 12                 what artifact 12 was made from, up to the dataset
  natureddit lineage execution:7        what execution 7 read
  natureddit run --json                 shows the ids";

/// Show what an artifact was made from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// An artifact's number, or execution:NUMBER
    id: NodeId,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Lineage);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.0.nodes {
            write!(f, "{:indent$}{} {}", "", node.id, node.type_name, indent = node.depth * 2)?;
            match &node.uri {
                Some(uri) => writeln!(f, "  {uri}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let runner = Runner::new(wiring::runner(&config), session.clock.clone(), session.output.progress());
    let mut metadata = Metadata::open(&runner.metadata_path()).hint("`natureddit run` makes it")?;
    let lineage = metadata.lineage(args.id)?;
    let lineage = lineage
        .ok_or_else(|| anyhow!("there is no {} in the metadata store", args.id))
        .hint("`natureddit run --json` shows the ids")?;
    session.output.result(&Shown(lineage))?;
    Ok(Exit::Ok)
}
