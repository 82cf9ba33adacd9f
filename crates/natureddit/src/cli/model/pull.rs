//! `natureddit model pull`: what training and prediction need.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::wiring;

/// The assets on this machine.
#[derive(Serialize)]
struct Pulled {
    assets: Vec<PulledAsset>,
}

#[derive(Serialize)]
struct PulledAsset {
    name: &'static str,
    licence: &'static str,
    sha256: &'static str,
    path: PathBuf,
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.assets.iter().map(|asset| asset.name.len()).max().unwrap_or(0);
        for PulledAsset { name, licence, path, .. } in &self.assets {
            writeln!(f, "{name:width$}  {licence:10}  {}", path.display())?;
        }
        Ok(())
    }
}

pub(super) fn run(session: &Session) -> Result<(), CliError> {
    let config = session.config_or_defaults()?;
    let encoders = wiring::encoders(&config, &session.output.progress())?;
    let wanted = wiring::training_assets(&encoders)?;
    let store = wiring::asset_store(&config)?;
    let paths = wiring::tokio_runtime()?.block_on(async {
        let paths = store.pull_all(&wanted, &session.output.progress()).await?;
        for asset in &wanted {
            store.verify(asset).await?;
        }
        anyhow::Ok(paths)
    })?;
    let assets = wanted.iter().zip(paths).map(|(asset, path)| PulledAsset {
        name: asset.name,
        licence: asset.licence,
        sha256: asset.sha256,
        path,
    });
    Ok(session.output.result(&Pulled { assets: assets.collect() })?)
}
