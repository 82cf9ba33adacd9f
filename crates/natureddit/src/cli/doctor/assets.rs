//! Whether ONNX Runtime and the encoders are on this machine.

use natureddit_core::Progress;

use super::Finding;
use crate::config::Config;
use crate::wiring;

/// Whether every asset that training needs is in the cache; none is asked for from the network.
pub(super) fn assets(config: &Config) -> Finding {
    const CHECK: &str = "encoders";
    match missing(config) {
        Ok(missing) if missing.names.is_empty() => {
            Finding::ok(CHECK, "ONNX Runtime and both encoders are in the cache")
        }
        Ok(Missing { names, bytes }) => {
            let size = bytes.map_or_else(String::new, |bytes| format!(" ({} MB)", bytes / 1_000_000));
            let hint = format!("`natureddit model pull` fetches them{size}; so does the first command that needs one");
            Finding::warn(CHECK, format!("not in the cache: {}", names.join(", ")), hint)
        }
        Err(e) => Finding::fail(CHECK, format!("{e:#}"), Some("see assets in natureddit.toml".to_owned())),
    }
}

/// What is not in the cache.
struct Missing {
    names: Vec<String>,
    /// How much there is to fetch, where that is known.
    bytes: Option<u64>,
}

fn missing(config: &Config) -> anyhow::Result<Missing> {
    let repos = wiring::missing_repos(config)?;
    if !repos.is_empty() {
        return Ok(Missing { names: repos, bytes: None });
    }
    let store = wiring::asset_store(config)?;
    let wanted = wiring::training_assets(&wiring::encoders(config, &Progress::silent())?)?;
    wiring::tokio_runtime()?.block_on(async {
        let (mut names, mut bytes) = (Vec::new(), 0);
        for asset in wanted {
            if store.cached(asset).await?.is_none() {
                names.push(asset.name.to_owned());
                bytes += asset.bytes;
            }
        }
        Ok(Missing { names, bytes: Some(bytes) })
    })
}
