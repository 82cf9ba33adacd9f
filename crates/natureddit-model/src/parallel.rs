//! Work on several threads.

use std::thread;

/// Runs every piece of work at the same time, the first on this thread, and gives their results in order.
pub(crate) fn in_parallel<T: Send>(mut work: impl Iterator<Item = impl FnOnce() -> T + Send>) -> Vec<T> {
    thread::scope(|scope| {
        let Some(first) = work.next() else { return Vec::new() };
        let threads: Vec<_> = work.map(|piece| scope.spawn(piece)).collect();
        let mut results = vec![first()];
        let join =
            |thread: thread::ScopedJoinHandle<'_, T>| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
        results.extend(threads.into_iter().map(join));
        results
    })
}
