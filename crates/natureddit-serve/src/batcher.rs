//! Dynamic batching: requests wait in a bounded queue, and one OS thread, which owns the model, works them off in
//! batches.
//!
//! A batch leaves as soon as it is full, or `batch_delay_max` after its first request was submitted, whichever is
//! sooner. Time spent in the queue counts: after a long batch, what has gathered meanwhile leaves at once. A request is
//! answered when its own result is there and does not wait for the others of its batch.

use std::any::Any;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::metrics::ModelMetrics;
use crate::traces::Stages;

/// How requests are gathered.
#[derive(Clone, Debug)]
pub struct BatchLimits {
    /// Requests in one batch; at least 1.
    pub batch_size_max: usize,
    /// How long the first request of a batch waits for others.
    pub batch_delay_max: Duration,
    /// Requests that wait while a batch is worked on; at least 1.
    pub queue_len_max: usize,
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As many requests wait as may.
    #[error("the queue is full")]
    Full,
    /// The model has no worker.
    #[error("there is no worker")]
    NoWorker,
    /// The thread has ended.
    #[error("the batcher is closed")]
    Closed,
}

/// Why a request that was taken has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The batch it was in failed, with the reason.
    #[error("the batch failed: {0}")]
    Failed(String),
    /// The batch it was in panicked, with the message.
    #[error("the batch panicked: {0}")]
    Panicked(String),
}

/// What a request becomes; a batch that never ran (its thread ended) closes the channel.
pub type Reply<Out> = oneshot::Receiver<Result<Out, BatchError>>;

struct Job<In, Out> {
    input: In,
    submitted: Instant,
    reply: oneshot::Sender<Result<Out, BatchError>>,
    under_way: UnderWay,
    stages: Stages,
}

/// Where the outputs of a batch go, from any thread.
pub struct Answers<Out> {
    /// In the order of the inputs; those that were answered are gone.
    open: Vec<Mutex<Option<Open<Out>>>>,
    /// When the batch began.
    begun: Instant,
    metrics: Option<Arc<ModelMetrics>>,
}

/// A request of a batch that was not answered yet.
struct Open<Out> {
    reply: oneshot::Sender<Result<Out, BatchError>>,
    under_way: UnderWay,
    stages: Stages,
}

impl<Out> Answers<Out> {
    /// Answers the request whose input had this place in the batch; the first answer counts.
    pub fn give(&self, at: usize, output: Out) {
        self.send(at, Ok(output));
    }

    fn len(&self) -> usize {
        self.open.len()
    }

    /// How many were not answered yet.
    fn missing(&self) -> usize {
        self.open.iter().filter(|open| open.lock().unwrap_or_else(PoisonError::into_inner).is_some()).count()
    }

    /// A client that went away while its batch was worked on is no error.
    fn send(&self, at: usize, result: Result<Out, BatchError>) {
        let open = self.open.get(at).and_then(|open| open.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(Open { reply, under_way, stages }) = open {
            stages.encoded(self.begun, self.len());
            // Who has the answer finds the worker free.
            drop(under_way);
            if let Some(metrics) = &self.metrics {
                metrics.left_batch();
            }
            let _ = reply.send(result);
        }
    }

    /// Answers what is left with an error.
    fn fail(&self, error: &BatchError) {
        (0..self.len()).for_each(|at| self.send(at, Err(error.clone())));
    }
}

/// Counts a request as long as it waits or is worked on.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A queue and the thread that works it off. Dropping it works off what is queued and waits for that.
pub struct Batcher<In, Out> {
    queue: Option<SyncSender<Job<In, Out>>>,
    under_way: Arc<AtomicUsize>,
    healthy: Arc<AtomicBool>,
    metrics: Arc<OnceLock<Arc<ModelMetrics>>>,
    thread: Option<JoinHandle<()>>,
}

impl<In: Send + 'static, Out: Send + 'static> Batcher<In, Out> {
    /// Starts the thread, named `name`. `work` gets the inputs of a batch, never none, and gives an output for each.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(
        limits: BatchLimits,
        name: &str,
        work: impl FnMut(Vec<In>, &Answers<Out>) -> Result<(), String> + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel(limits.queue_len_max.max(1));
        let healthy = Arc::new(AtomicBool::new(true));
        let (name_of_worker, metrics) = (name.to_owned(), Arc::<OnceLock<_>>::default());
        let (well, counted) = (Arc::clone(&healthy), Arc::clone(&metrics));
        let worker = Worker { jobs, limits, name: name_of_worker, healthy: well, metrics: counted, work };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || worker.run())?;
        Ok(Self { queue: Some(queue), under_way: Arc::default(), healthy, metrics, thread: Some(thread) })
    }

    /// Queues a request. Dropping the receiver takes it back: no work is done for it unless its batch has begun.
    ///
    /// # Errors
    /// When the queue is full or the thread has ended; never waits.
    pub fn submit(&self, input: In) -> Result<Reply<Out>, SubmitError> {
        self.submit_noting(input, Stages::default())
    }

    /// As [`Self::submit`], with its times noted where they are wanted.
    pub(crate) fn submit_noting(&self, input: In, stages: Stages) -> Result<Reply<Out>, SubmitError> {
        let queue = self.queue.as_ref().ok_or(SubmitError::Closed)?;
        let (reply, result) = oneshot::channel();
        let under_way = UnderWay::begin(&self.under_way);
        match queue.try_send(Job { input, submitted: Instant::now(), reply, under_way, stages }) {
            Ok(()) => Ok(result),
            Err(TrySendError::Full(_)) => Err(SubmitError::Full),
            Err(TrySendError::Disconnected(_)) => Err(SubmitError::Closed),
        }
    }
}

impl<In, Out> Batcher<In, Out> {
    /// Counts its batches there from now on; who came first keeps it.
    pub(crate) fn count_in(&self, metrics: &Arc<ModelMetrics>) {
        self.metrics.get_or_init(|| Arc::clone(metrics));
    }

    /// Whether no batch has panicked yet. Later batches are still tried, but what state a panic left the model in
    /// nobody knows: it stays unhealthy until it is loaded anew.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Requests that wait or are worked on.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }
}

impl<In, Out> Drop for Batcher<In, Out> {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a batcher's thread panicked outside of a batch");
        }
    }
}

struct Worker<In, Out, Work> {
    jobs: Receiver<Job<In, Out>>,
    limits: BatchLimits,
    name: String,
    healthy: Arc<AtomicBool>,
    metrics: Arc<OnceLock<Arc<ModelMetrics>>>,
    work: Work,
}

impl<In, Out, Work: FnMut(Vec<In>, &Answers<Out>) -> Result<(), String>> Worker<In, Out, Work> {
    /// Until every sender is gone and the queue is empty.
    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            if first.reply.is_closed() {
                continue;
            }
            let mut batch = self.gather(first);
            batch.retain(|job| !job.reply.is_closed());
            if !batch.is_empty() {
                self.answer(batch);
            }
        }
    }

    fn gather(&self, first: Job<In, Out>) -> Vec<Job<In, Out>> {
        let submitted = first.submitted;
        let mut batch = vec![first];
        while batch.len() < self.limits.batch_size_max {
            let delay_left = self.limits.batch_delay_max.saturating_sub(submitted.elapsed());
            // With no delay left this still takes what is already queued.
            match self.jobs.recv_timeout(delay_left) {
                Ok(job) if job.reply.is_closed() => {}
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        batch
    }

    fn answer(&mut self, batch: Vec<Job<In, Out>>) {
        let begun = Instant::now();
        let metrics = self.metrics.get().cloned();
        if let Some(metrics) = &metrics {
            metrics.batch_began(batch.iter().map(|job| begun.duration_since(job.submitted)));
        }
        let open = |Job { input, submitted, reply, under_way, stages }: Job<In, Out>| {
            stages.queued(submitted, begun);
            (input, Mutex::new(Some(Open { reply, under_way, stages })))
        };
        let (inputs, open): (Vec<_>, Vec<_>) = batch.into_iter().map(open).unzip();
        let answers = Answers { open, begun, metrics };
        let worked = self.work_off(inputs, &answers);
        if let Some(metrics) = &answers.metrics {
            metrics.batch_ended(answers.len(), begun.elapsed());
        }
        if let Err(error) = worked {
            tracing::error!(model = self.name, requests = answers.missing(), "{error}");
            answers.fail(&error);
        }
    }

    fn work_off(&mut self, inputs: Vec<In>, answers: &Answers<Out>) -> Result<(), BatchError> {
        // What a panic may have left half done is inside `work`; the health flag tells of it.
        match panic::catch_unwind(AssertUnwindSafe(|| (self.work)(inputs, answers))) {
            Ok(Ok(())) => match answers.missing() {
                0 => Ok(()),
                missing => Err(BatchError::Failed(format!("{missing} of {} inputs have no result", answers.len()))),
            },
            Ok(Err(reason)) => Err(BatchError::Failed(reason)),
            Err(payload) => {
                self.healthy.store(false, Ordering::Relaxed);
                Err(BatchError::Panicked(panic_message(&*payload).to_owned()))
            }
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const AN_HOUR: Duration = Duration::from_hours(1);

    fn limits(batch_size_max: usize, batch_delay_max: Duration, queue_len_max: usize) -> BatchLimits {
        BatchLimits { batch_size_max, batch_delay_max, queue_len_max }
    }

    /// A batcher that doubles numbers; the test sees each batch begin and lets it go on.
    struct Watched {
        batcher: Batcher<i32, i32>,
        begun: Receiver<Vec<i32>>,
        go_on: SyncSender<()>,
    }

    fn watched(limits: BatchLimits) -> Watched {
        let (tell, begun) = sync_channel(64);
        let (go_on, gate) = sync_channel(64);
        let work = move |batch: Vec<i32>, answers: &Answers<i32>| {
            tell.send(batch.clone()).map_err(|e| e.to_string())?;
            gate.recv().map_err(|e| e.to_string())?;
            for (at, number) in batch.into_iter().enumerate() {
                assert!(number != 13, "thirteen is not doubled");
                if number == 99 {
                    return Err("no 99".to_owned());
                }
                answers.give(at, 2 * number);
            }
            Ok(())
        };
        Watched { batcher: Batcher::spawn(limits, "doubling", work).unwrap(), begun, go_on }
    }

    impl Watched {
        /// Holds the thread in a batch of its own.
        fn occupy(&self) -> Reply<i32> {
            let reply = self.batcher.submit(0).unwrap();
            assert_eq!(self.begun.recv().unwrap(), [0]);
            reply
        }
    }

    #[test]
    fn without_a_delay_a_lone_request_goes_at_once() {
        let w = watched(limits(8, Duration::ZERO, 8));
        let reply = w.batcher.submit(21).unwrap();
        w.go_on.send(()).unwrap();
        assert_eq!(reply.blocking_recv().unwrap(), Ok(42));
    }

    #[test]
    fn a_full_batch_does_not_wait_for_the_delay() {
        let w = watched(limits(3, AN_HOUR, 8));
        let replies: Vec<_> = [1, 2, 3].map(|n| w.batcher.submit(n).unwrap()).into();
        assert_eq!(w.begun.recv().unwrap(), [1, 2, 3]);
        w.go_on.send(()).unwrap();
        let answers: Vec<_> = replies.into_iter().map(|r| r.blocking_recv().unwrap().unwrap()).collect();
        assert_eq!(answers, [2, 4, 6]);
    }

    #[test]
    fn a_batch_that_never_fills_goes_when_the_delay_is_over() {
        let w = watched(limits(3, Duration::from_millis(5), 8));
        let _reply = w.batcher.submit(1).unwrap();
        assert_eq!(w.begun.recv().unwrap(), [1]);
        w.go_on.send(()).unwrap();
    }

    #[test]
    fn what_gathers_during_a_batch_goes_together_and_in_order() {
        let w = watched(limits(3, Duration::ZERO, 8));
        let _first = w.occupy();
        let _later: Vec<_> = (1..=4).map(|n| w.batcher.submit(n).unwrap()).collect();
        (0..3).for_each(|_| w.go_on.send(()).unwrap());
        assert_eq!(w.begun.recv().unwrap(), [1, 2, 3]);
        assert_eq!(w.begun.recv().unwrap(), [4]);
    }

    #[test]
    fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
        let w = watched(limits(1, Duration::ZERO, 2));
        let _first = w.occupy();
        let _queued = [w.batcher.submit(1).unwrap(), w.batcher.submit(2).unwrap()];
        assert_eq!(w.batcher.submit(3).unwrap_err(), SubmitError::Full);
        assert_eq!(w.batcher.under_way(), 3);
        w.go_on.send(()).unwrap();
        assert_eq!(w.begun.recv().unwrap(), [1]);
        let _taken = w.batcher.submit(3).unwrap();
        (0..3).for_each(|_| w.go_on.send(()).unwrap());
    }

    #[test]
    fn a_request_whose_client_left_is_dropped_before_work() {
        let w = watched(limits(2, Duration::ZERO, 8));
        let _first = w.occupy();
        drop(w.batcher.submit(1).unwrap());
        let _stays = w.batcher.submit(2).unwrap();
        drop(w.batcher.submit(3).unwrap());
        let _stays_too = w.batcher.submit(4).unwrap();
        (0..2).for_each(|_| w.go_on.send(()).unwrap());
        assert_eq!(w.begun.recv().unwrap(), [2, 4]);
    }

    #[test]
    fn a_panicking_batch_fails_what_it_has_not_answered_and_marks_the_model_unhealthy() {
        let w = watched(limits(3, Duration::ZERO, 8));
        let first = w.occupy();
        let lucky = w.batcher.submit(1).unwrap();
        let unlucky = [w.batcher.submit(13).unwrap(), w.batcher.submit(2).unwrap()];
        let later = w.batcher.submit(5).unwrap();
        (0..3).for_each(|_| w.go_on.send(()).unwrap());
        assert_eq!(first.blocking_recv().unwrap(), Ok(0));
        assert_eq!(lucky.blocking_recv().unwrap(), Ok(2));
        for reply in unlucky {
            let panicked = BatchError::Panicked("thirteen is not doubled".to_owned());
            assert_eq!(reply.blocking_recv().unwrap(), Err(panicked));
        }
        assert_eq!(later.blocking_recv().unwrap(), Ok(10));
        assert!(!w.batcher.healthy());
    }

    #[test]
    fn a_failing_batch_tells_why_and_leaves_the_model_healthy() {
        let w = watched(limits(2, Duration::ZERO, 8));
        let reply = w.batcher.submit(99).unwrap();
        w.go_on.send(()).unwrap();
        assert_eq!(reply.blocking_recv().unwrap(), Err(BatchError::Failed("no 99".to_owned())));
        assert!(w.batcher.healthy());
    }

    #[test]
    fn a_result_does_not_wait_for_the_others_of_its_batch() {
        let (go_on, gate) = sync_channel(1);
        let work = move |batch: Vec<i32>, answers: &Answers<i32>| {
            for (at, number) in batch.into_iter().enumerate().rev() {
                answers.give(at, number);
                gate.recv().map_err(|e| e.to_string())?;
            }
            Ok(())
        };
        let batcher = Batcher::spawn(limits(2, AN_HOUR, 2), "slow", work).unwrap();
        let [first, second] = [1, 2].map(|n| batcher.submit(n).unwrap());
        assert_eq!(second.blocking_recv().unwrap(), Ok(2));
        assert_eq!(batcher.under_way(), 1);
        go_on.send(()).unwrap();
        assert_eq!(first.blocking_recv().unwrap(), Ok(1));
        go_on.send(()).unwrap();
    }

    #[test]
    fn an_input_without_a_result_fails_alone() {
        let work = |_: Vec<i32>, answers: &Answers<i32>| {
            answers.give(1, 7);
            answers.give(1, 8);
            answers.give(2, 9);
            Ok(())
        };
        let batcher = Batcher::spawn(limits(2, AN_HOUR, 2), "forgetful", work).unwrap();
        let [first, second] = [1, 2].map(|n| batcher.submit(n).unwrap());
        assert_eq!(second.blocking_recv().unwrap(), Ok(7));
        let failed = BatchError::Failed("1 of 2 inputs have no result".to_owned());
        assert_eq!(first.blocking_recv().unwrap(), Err(failed));
    }

    #[test]
    fn dropping_the_batcher_works_off_what_is_queued() {
        let Watched { batcher, begun: _begun, go_on } = watched(limits(2, AN_HOUR, 8));
        let replies: Vec<_> = (1..=3).map(|n| batcher.submit(n).unwrap()).collect();
        (0..2).for_each(|_| go_on.send(()).unwrap());
        drop(batcher);
        let answers: Vec<_> = replies.into_iter().map(|mut r| r.try_recv().unwrap().unwrap()).collect();
        assert_eq!(answers, [2, 4, 6]);
    }
}
