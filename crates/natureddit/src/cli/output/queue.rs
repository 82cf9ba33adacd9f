//! Lines for a standard error that may be full, or that nobody reads: one thread waits for it, and nobody else does.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, mem, thread};

/// How many lines wait at most: a few seconds' requests of a busy server, in less than 1 MB.
const LINES_MAX: usize = 1024;

/// How long the end of the program waits for who reads slowly.
const FINISH_MAX: Duration = Duration::from_secs(1);

/// Lines that wait to be written. Where there are too many of them, the next are dropped and counted until half are written.
#[derive(Clone, Default)]
pub(super) struct LineQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    lost: u64,
    is_writing: bool,
}

impl LineQueue {
    /// Lines are written by `write`, which may take as long as it likes; `lost` makes the line that tells how many were dropped.
    pub(super) fn start(
        mut write: impl FnMut(&[u8]) + Send + 'static,
        lost: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self::default();
        let lines = queue.clone();
        let write_all = move || -> () {
            loop {
                write(&lines.next(&lost));
            }
        };
        thread::Builder::new().name("log".to_owned()).spawn(write_all)?;
        Ok(queue)
    }

    /// Takes a line at once, or drops it.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        // Once one was dropped those after it are too, so that one line in its place tells of all.
        if state.lost > 0 || state.lines.len() >= LINES_MAX {
            state.lost += 1;
            return;
        }
        state.lines.push_back(line.to_owned());
        self.0.changed.notify_all();
    }

    /// Waits until all lines are written, but not for a reader that does not read.
    pub(super) fn finish(&self) {
        let unwritten = |state: &mut State| state.is_writing || !state.lines.is_empty();
        drop(self.0.changed.wait_timeout_while(self.lock(), FINISH_MAX, unwritten));
    }

    /// The next line to write, when the one before it is written.
    fn next(&self, lost: &impl Fn(u64) -> String) -> Vec<u8> {
        let mut state = self.lock();
        state.is_writing = false;
        self.0.changed.notify_all();
        let empty = |state: &mut State| state.lines.is_empty();
        let mut state = self.0.changed.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner);
        let line = state.lines.pop_front().unwrap_or_default();
        state.is_writing = true;
        if state.lost > 0 && state.lines.len() <= LINES_MAX / 2 {
            let told = lost(mem::take(&mut state.lost));
            state.lines.push_back(told.into_bytes());
        }
        line
    }

    /// A panic elsewhere leaves no line half taken.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Instant;

    use super::*;

    /// A queue whose writer waits with each line that it begins until it is let on.
    struct Held {
        queue: LineQueue,
        go: Sender<()>,
        begun: Receiver<()>,
        written: Receiver<String>,
    }

    fn held() -> Held {
        let (go, gone) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let (wrote, written) = mpsc::channel();
        let write = move |line: &[u8]| {
            // Who listens or lets it on may have gone: then no line is held any more.
            let _ = begin.send(());
            let _ = gone.recv();
            let _ = wrote.send(String::from_utf8(line.to_owned()).unwrap());
        };
        Held { queue: LineQueue::start(write, |lost| format!("{lost} lost")).unwrap(), go, begun, written }
    }

    #[test]
    fn what_is_too_much_for_a_writer_that_waits_is_dropped_and_told_in_its_place() {
        let Held { queue, go, begun, written } = held();
        queue.push(b"first");
        begun.recv().unwrap();
        (0..LINES_MAX + 7).for_each(|line| queue.push(format!("{line}").as_bytes()));
        assert_eq!(queue.lock().lines.len(), LINES_MAX);
        // The first and half of the others are written: there is room again.
        let half = LINES_MAX / 2;
        (0..=half).for_each(|_| go.send(()).unwrap());
        let before: Vec<_> = written.iter().take(1 + half).collect();
        assert_eq!((before[0].as_str(), before[half].as_str()), ("first", "511"));
        queue.push(b"after");
        drop(go);
        queue.finish();
        let rest: Vec<_> = written.try_iter().collect();
        assert_eq!(rest.len(), half + 2);
        assert_eq!(rest[half - 1..], ["1023", "7 lost", "after"]);
    }

    #[test]
    fn finishing_waits_for_what_is_written_and_not_for_who_never_reads() {
        let Held { queue, go, begun, written } = held();
        queue.push(b"unread");
        begun.recv().unwrap();
        let start = Instant::now();
        queue.finish();
        assert!(start.elapsed() >= FINISH_MAX && start.elapsed() < 10 * FINISH_MAX);
        assert_eq!(written.try_iter().count(), 0);
        go.send(()).unwrap();
        go.send(()).unwrap();
        queue.push(b"last");
        queue.finish();
        assert_eq!(written.try_iter().collect::<Vec<_>>(), ["unread", "last"]);
    }
}
