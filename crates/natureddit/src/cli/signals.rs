//! What a program that serves is stopped with, and a training.

mod training;

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{io, process, thread};

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

pub(super) use training::TrainingStop;

/// The exit code of a program that Ctrl-C ended, as shells have it: 128 and the number of the signal.
pub(super) const INTERRUPTED: i32 = 130;

/// How many [`StopSignals`] there are, whose business Ctrl-C is.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

struct Listening;

impl Listening {
    fn begin() -> Self {
        LISTENING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How much longer than its requests a server that was left alone may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Ctrl-C in the terminal, or SIGTERM of a supervisor; or the end of whoever started this program.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where nobody waits for that, or it was told.
    closed: Option<oneshot::Receiver<()>>,
    listening: Option<Listening>,
}

impl StopSignals {
    /// From now on the signals no longer end the program: to be called before anybody is told that it serves, or who stops
    /// it at once would kill it.
    pub(super) fn listen(runtime: &Runtime) -> anyhow::Result<Self> {
        let _guard = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        Ok(Self { interrupt, terminate, closed: None, listening: Some(Listening::begin()) })
    }

    /// These, or that the standard input is closed.
    pub(super) fn or_when(self, closed: Option<oneshot::Receiver<()>>) -> Self {
        Self { closed, ..self }
    }

    /// Waits for one of them.
    pub(super) async fn next(&mut self) {
        let Self { interrupt, terminate, closed, listening } = self;
        let told = async {
            match closed.as_mut() {
                Some(receiver) => drop(receiver.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // On a busy machine whoever listens besides hears of the same Ctrl-C only after this is gone, and must not take it
            // for another one.
            _ = interrupt.recv() => std::mem::forget(listening.take()),
            _ = terminate.recv() => {}
            () = told => self.closed = None,
        }
    }
}

/// Tells when the standard input is closed, as the system does for a pipe whose writer has ended, however it ended. The
/// process ends a while after that even where it does not come to stop: nobody else would end it.
pub(super) fn stdin_closed(drain_timeout: Duration) -> anyhow::Result<oneshot::Receiver<()>> {
    let (closed, told) = oneshot::channel();
    let watch = move || {
        let mut buffer = [0; 64];
        let mut stdin = io::stdin().lock();
        // An input that cannot be read is as good as closed.
        while let Ok(1..) = stdin.read(&mut buffer) {}
        // Nobody listens any more in a server that is stopping already.
        let _ = closed.send(());
        thread::sleep(drain_timeout.saturating_add(GRACE));
        process::exit(1);
    };
    thread::Builder::new().name("stdin".to_owned()).spawn(watch).context("could not watch the standard input")?;
    Ok(told)
}
