//! `natureddit model cross-validate`: how good the method is on all labelled posts.

use std::fmt;

use anyhow::anyhow;
use natureddit_pipeline::RunOptions;
use natureddit_pipeline::cross_validation::{CrossValidation, cross_validate};
use natureddit_pipeline::training_graph::feature_graph;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::evaluation::MetricsTable;
use crate::cli::session::Session;
use crate::wiring;

#[derive(Serialize)]
#[serde(transparent)]
struct CrossValidated(CrossValidation);

impl fmt::Display for CrossValidated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CrossValidation { macro_f1_mean, macro_f1_deviation, macro_f1_folds, metrics } = &self.0;
        let folds: Vec<String> = macro_f1_folds.iter().map(|score| format!("{score:.3}")).collect();
        writeln!(f, "macro-F1 {macro_f1_mean:.4} ± {macro_f1_deviation:.4} over folds {}", folds.join(", "))?;
        write!(f, "{}", MetricsTable(metrics))
    }
}

pub(super) fn run(folds: usize, session: &Session) -> Result<(), CliError> {
    let config = session.config()?;
    let training = wiring::training(&config, &session.output.progress())?;
    let graph = feature_graph(&training)?;
    let progress = session.output.progress();
    let runner = wiring::pipeline_runner(&config, &session.clock, session.output.progress_of_tasks());
    let report = runner.run(&graph, &RunOptions::default(), &mut |_| {})?.succeeded()?;
    let folder = |component: &str, output: &str| {
        let made = report.component(component).and_then(|component| component.outputs.get(output));
        made.map(|output| runner.path(&output.uri)).ok_or_else(|| anyhow!("{component} left no {output}"))
    };
    let examples = folder("ExampleGen", "examples")?;
    let transformed = folder("Transform", "transformed_examples")?;
    let result = cross_validate((&examples, &transformed), folds, &training, &progress)?;
    Ok(session.output.result(&CrossValidated(result))?)
}
