//! The examples and features of the project as it is now, for commands that look at both.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use natureddit_pipeline::RunOptions;
use natureddit_pipeline::training_graph::{TrainingConfig, feature_graph};

use super::error::CliError;
use super::session::Session;
use crate::config::Config;
use crate::wiring;

/// The folders of two artifacts.
pub(super) struct FeatureFolders {
    examples: PathBuf,
    transformed: PathBuf,
}

impl FeatureFolders {
    /// Runs what is stale of the first part of the pipeline.
    pub(super) fn bring_up_to_date(
        config: &Config,
        training: &TrainingConfig,
        session: &Session,
    ) -> Result<Self, CliError> {
        let graph = feature_graph(training)?;
        let runner = wiring::pipeline_runner(config, &session.clock, session.output.progress_of_tasks());
        let report = runner.run(&graph, &RunOptions::default(), &mut |_| {})?.succeeded()?;
        let folder = |component: &str, output: &str| {
            let made = report.component(component).and_then(|component| component.outputs.get(output));
            made.map(|output| runner.path(&output.uri)).ok_or_else(|| anyhow!("{component} left no {output}"))
        };
        let examples = folder("ExampleGen", "examples")?;
        Ok(Self { examples, transformed: folder("Transform", "transformed_examples")? })
    }

    /// The examples, and their features.
    pub(super) fn paths(&self) -> (&Path, &Path) {
        (&self.examples, &self.transformed)
    }
}
