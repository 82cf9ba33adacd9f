//! What a program that serves is stopped with.

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C in the terminal, or SIGTERM of a supervisor.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// From now on the signals no longer end the program: to be called before anybody is told that it serves, or who stops
    /// it at once would kill it.
    pub(super) fn listen(runtime: &Runtime) -> anyhow::Result<Self> {
        let _guard = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        Ok(Self { interrupt, terminate })
    }

    /// Waits for one of them.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
