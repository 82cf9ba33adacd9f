//! Whether ONNX Runtime and the encoders are on this machine.

use natureddit_core::Asset;

use super::Finding;
use crate::config::Config;
use crate::wiring;

/// Whether every asset that training needs is in the cache; none is asked for from the network.
pub(super) fn assets(config: &Config) -> Finding {
    const CHECK: &str = "encoders";
    match missing(config) {
        Ok(missing) if missing.is_empty() => Finding::ok(CHECK, "ONNX Runtime and both encoders are in the cache"),
        Ok(missing) => {
            let names: Vec<&str> = missing.iter().map(|asset| asset.name).collect();
            let megabytes = missing.iter().map(|asset| asset.bytes).sum::<u64>() / 1_000_000;
            let hint = format!(
                "`natureddit model pull` fetches them ({megabytes} MB); so does the first command that needs one"
            );
            Finding::warn(CHECK, format!("not in the cache: {}", names.join(", ")), hint)
        }
        Err(e) => Finding::fail(CHECK, format!("{e:#}"), Some("see assets in natureddit.toml".to_owned())),
    }
}

fn missing(config: &Config) -> anyhow::Result<Vec<&'static Asset>> {
    let store = wiring::asset_store(config)?;
    let wanted = wiring::training_assets(config)?;
    wiring::tokio_runtime()?.block_on(async {
        let mut missing = Vec::new();
        for asset in wanted {
            if store.cached(asset).await?.is_none() {
                missing.push(asset);
            }
        }
        Ok(missing)
    })
}
