//! What a server looks after while it runs: keys and certificate that were renewed, and the model store's defaults.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use natureddit_core::{Clock, fs};
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
    tls: Option<(TlsFiles, RustlsConfig)>,
    clock: Clock,
) -> AbortHandle {
    let certificate = tls.map(|(files, served)| Arc::new(Certificate { files, served, clock }));
    let task = tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = None;
        loop {
            ticks.tick().await;
            let (inference, keys, certificate) = (Arc::clone(&inference), keys.clone(), certificate.clone());
            let looked = tokio::task::spawn_blocking(move || {
                keys.inspect(|keys| keys.refresh());
                inference.models.follow_store();
                certificate.map_or(seen, |certificate| certificate.refresh(seen))
            });
            match looked.await {
                Ok(now) => seen = now,
                Err(error) => tracing::error!("looking for changes failed: {error}"),
            }
        }
    });
    task.abort_handle()
}

/// The certificate that is served and the files it comes from.
struct Certificate {
    files: TlsFiles,
    served: RustlsConfig,
    clock: Clock,
}

impl Certificate {
    /// Serves the files anew when they are others than they were; connections that are open stay as they are. Gives what
    /// was seen of them.
    fn refresh(&self, seen: Option<SystemTime>) -> Option<SystemTime> {
        let now = self.modified();
        if seen.is_none() || now == seen {
            return now;
        }
        match tls::read_tls(&self.files, &self.clock) {
            Ok(config) => {
                self.served.reload_from_config(Arc::new(config));
                tracing::info!("the certificate was read again");
            }
            // The two files may be in the middle of being replaced: the next look sees them whole.
            Err(error) => tracing::warn!("the certificate stays as it was: {error}"),
        }
        now
    }

    /// When the later of the two files was written.
    fn modified(&self) -> Option<SystemTime> {
        let modified = |path: &Path| fs::metadata(path).ok()?.modified().ok();
        match &self.files {
            TlsFiles::Given { certificate, key } => modified(certificate).max(modified(key)),
            TlsFiles::SelfSigned { folder, .. } => modified(&folder.join(tls::CERTIFICATE_FILE)),
        }
    }
}
