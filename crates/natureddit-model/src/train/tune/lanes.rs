//! Threads that calculate beside each other what does not depend on how many they are.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPool;

use crate::parallel::in_parallel;

/// So many shares a step has, whatever the number of threads: the gradients of each are as large as the encoders.
pub(super) const SHARES: usize = 4;

/// Threads on each of which burn works alone.
#[derive(Debug)]
pub(super) struct Lanes(Vec<Option<ThreadPool>>);

impl Lanes {
    pub(super) fn new(threads: usize) -> Self {
        // A pool of one thread: burn shares its work among those of the pool it runs in. Where the system gives no more threads
        // the work is done in the pool that all share.
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build().ok();
        Self((0..threads.clamp(1, SHARES)).map(pool).collect())
    }

    /// Calculates something for each of so many places; gives all in order, or the first error.
    pub(super) fn calculate<T: Send, E: Send>(
        &self,
        count: usize,
        work: impl Fn(usize) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        in_order(self.0.iter().collect(), count, |pool: &mut &Option<ThreadPool>, at| match pool {
            Some(pool) => pool.install(|| work(at)),
            None => work(at),
        })
    }
}

/// Calculates something for each of so many places, each thread with a `lane` of its own.
pub(super) fn in_order<L: Send, T: Send, E: Send>(
    lanes: Vec<L>,
    count: usize,
    work: impl Fn(&mut L, usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let (next, work) = (AtomicUsize::new(0), &work);
    let next = &next;
    let take = |mut lane: L| {
        move || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return done;
                }
                done.push((at, work(&mut lane, at)));
            }
        }
    };
    let mut placed: Vec<_> = in_parallel(lanes.into_iter().map(take)).into_iter().flatten().collect();
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_threads_all_places_are_calculated_in_order_and_the_first_error_is_told() {
        for threads in [1, 2, 9] {
            let lanes = Lanes::new(threads);
            assert_eq!(
                lanes.calculate(50, |at| Ok::<_, usize>(at * at)).unwrap(),
                (0..50).map(|at| at * at).collect::<Vec<_>>()
            );
            assert_eq!(lanes.calculate(50, |at| if at % 7 == 3 { Err(at) } else { Ok(()) }).unwrap_err(), 3);
            assert_eq!(lanes.calculate(4, |_| Ok::<_, ()>(rayon::current_num_threads())).unwrap(), [1; 4]);
        }
    }
}
