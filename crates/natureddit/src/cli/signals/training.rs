//! Ctrl-C while the pipeline runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{process, thread};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{INTERRUPTED, LISTENING};
use crate::wiring;

/// The training that Ctrl-C ends early: the first time its best so far is kept. At any other time, and the second time, Ctrl-C
/// ends the program, as it does without this.
pub(crate) struct TrainingStop {
    stop: Arc<AtomicBool>,
}

/// What happens to a training at Ctrl-C.
struct Stoppable {
    stop: Arc<AtomicBool>,
    told: Box<dyn Fn() + Send>,
}

/// The training under way.
static UNDER_WAY: Mutex<Option<Stoppable>> = Mutex::new(None);

impl TrainingStop {
    /// Listens from now on, for as long as the program lives: once it is caught, the signal never has its own effect again.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        static LISTENER: OnceLock<()> = OnceLock::new();
        if LISTENER.set(()).is_ok() {
            let runtime = wiring::tokio_runtime()?;
            let guard = runtime.enter();
            let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
            drop(guard);
            let listen = move || {
                runtime.block_on(async {
                    while interrupt.recv().await.is_some() {
                        heard();
                    }
                });
            };
            let thread = thread::Builder::new().name("Ctrl-C".to_owned()).spawn(listen);
            thread.context("could not listen for Ctrl-C")?;
        }
        Ok(Self { stop: Arc::new(AtomicBool::new(false)) })
    }

    /// What a training asks whether it should end.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// A training begins; `told` is called when it is stopped.
    pub(crate) fn begin(&self, told: impl Fn() + Send + 'static) {
        *under_way() = Some(Stoppable { stop: self.stop.clone(), told: Box::new(told) });
    }

    /// It has ended.
    pub(crate) fn end(&self) {
        *under_way() = None;
    }
}

impl Drop for TrainingStop {
    fn drop(&mut self) {
        self.end();
    }
}

fn under_way() -> MutexGuard<'static, Option<Stoppable>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn heard() {
    if LISTENING.load(Ordering::SeqCst) > 0 {
        return;
    }
    match &*under_way() {
        Some(Stoppable { stop, told }) if !stop.swap(true, Ordering::SeqCst) => told(),
        _ => process::exit(INTERRUPTED),
    }
}
