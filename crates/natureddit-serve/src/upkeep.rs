//! What a server looks after while it runs: keys and certificate that were renewed, and the model store's defaults.

use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use natureddit_core::{Clock, ContentHash};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::inference::Inference;
use crate::keys::AccessKeys;
use crate::tls::{self, TlsFiles};

/// Looks every so often, until it is aborted.
pub(crate) fn start(
    every: Duration,
    inference: Arc<Inference>,
    keys: Option<Arc<AccessKeys>>,
    certificate: Option<Certificate>,
) -> AbortHandle {
    let mut seen = certificate.as_ref().map(|certificate| certificate.seen);
    let certificate = certificate.map(Arc::new);
    let task = tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (inference, keys, certificate) = (Arc::clone(&inference), keys.clone(), certificate.clone());
            let looked = tokio::task::spawn_blocking(move || {
                keys.inspect(|keys| look_at(keys));
                inference.models.follow_store();
                certificate.zip(seen).map(|(certificate, seen)| certificate.refresh(seen))
            });
            match looked.await {
                Ok(now) => seen = now,
                Err(error) => tracing::error!("looking for changes failed: {error}"),
            }
        }
    });
    task.abort_handle()
}

fn look_at(keys: &AccessKeys) {
    match keys.refresh() {
        Ok(false) => {}
        Ok(true) => tracing::info!("the access keys were read again"),
        Err(error) => tracing::warn!("the access keys stay as they were: {error}"),
    }
}

/// The certificate that is served and the files it comes from.
pub(crate) struct Certificate {
    pub(crate) files: TlsFiles,
    /// What was in them before they were read for the first time: what is put there since is another content.
    pub(crate) seen: Seen,
    pub(crate) served: RustlsConfig,
    pub(crate) clock: Clock,
}

/// The contents of the two files. Not their times: those of files that are copied or moved into place may be of any age.
type Seen = [Option<ContentHash>; 2];

impl Certificate {
    /// Serves the files anew when they are others than they were; connections that are open stay as they are. Gives what
    /// was seen of them.
    fn refresh(&self, seen: Seen) -> Seen {
        let now = tls::content(&self.files);
        if now == seen {
            return now;
        }
        match tls::read_tls(&self.files, &self.clock) {
            Ok(config) => {
                self.served.reload_from_config(Arc::new(config));
                tracing::info!("the certificate was read again");
            }
            // The two files may be in the middle of being replaced: they are others again when that is done.
            Err(error) => tracing::warn!("the certificate stays as it was: {error}"),
        }
        now
    }
}
