//! `natureddit model cross-validate`: how good the method is on all labelled posts.

use std::fmt;

use natureddit_pipeline::cross_validation::{CrossValidation, cross_validate};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::evaluation::MetricsTable;
use crate::cli::features::FeatureFolders;
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
    let folders = FeatureFolders::bring_up_to_date(&config, &training, session)?;
    let result = cross_validate(folders.paths(), folds, &training, &session.output.progress())?;
    Ok(session.output.result(&CrossValidated(result))?)
}
