//! One version of a model, ready to answer: its preprocessing, and the workers that own a copy of it each.

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use natureddit_core::{ClassNames, ContentHash};
use natureddit_model::{FeatureCache, InputError, ModelInput, Prediction, Prepared};
use tokio::runtime::Handle;

use crate::batcher::{BatchLimits, Batcher, Reply, SubmitError};
use crate::metrics::ModelMetrics;
use crate::traces::Stages;

type Prepare = dyn Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync;

/// A thread with a copy of the model, and its queue.
pub type Worker = Batcher<Prepared, Prediction>;

/// Makes one more worker, which gathers requests within these limits.
pub type StartWorker = dyn Fn(&BatchLimits) -> Result<Worker, WorkerError> + Send + Sync;

/// Why a model has no further worker.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The model could not be loaded once more.
    #[error("the model could not be loaded: {0}")]
    Load(String),
    /// The system gave no thread.
    #[error("could not start a thread")]
    Thread(#[source] io::Error),
}

/// Where a model that is served came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// As it was asked for: a name, `name/version` or an address.
    pub(crate) url: String,
    /// Whether it was there when the server started.
    pub(crate) at_startup: bool,
    /// When it was loaded.
    pub(crate) loaded_at: Timestamp,
    /// How long that took; `None` where it was not loaded.
    pub(crate) load_time: Option<Duration>,
}

/// A model that answers requests. It never changes: with other workers it is another one.
pub struct LoadedModel {
    name: Arc<str>,
    version: u64,
    is_default: bool,
    pub(crate) classes: ClassNames,
    /// The part of a photo that the model sees, as [`natureddit_model::Preprocessor::middle`] says.
    pub(crate) middle: Option<f32>,
    prepare: Arc<Prepare>,
    /// As `prepare`, where what was asked before need not go through the encoders again.
    recall: Arc<Prepare>,
    cache: Option<FeatureCache>,
    workers: Vec<Arc<Worker>>,
    start_worker: Arc<StartWorker>,
    batch: BatchLimits,
    /// The longest an answer may take; `None`: as the server's limits say.
    response_timeout: Option<Duration>,
    origin: Origin,
    /// Whose turn it is among workers that are equally busy.
    turn: AtomicUsize,
    /// The SHA-256 of its bundle's manifest, where it has one.
    pub(crate) bundle: Option<ContentHash>,
    /// What is counted of it, however many workers it has.
    pub(crate) metrics: Arc<ModelMetrics>,
}

impl LoadedModel {
    /// A model with one worker: `prepare` is called from many threads, workers do the rest. Its predictions have a
    /// probability for each of `classes`.
    ///
    /// # Errors
    /// When the worker does not start.
    pub fn start(
        (name, version): (&str, u64),
        classes: ClassNames,
        prepare: impl Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync + 'static,
        batch: BatchLimits,
        start_worker: impl Fn(&BatchLimits) -> Result<Worker, WorkerError> + Send + Sync + 'static,
    ) -> Result<Self, WorkerError> {
        let workers = vec![Arc::new(start_worker(&batch)?)];
        let metrics = Arc::new(ModelMetrics::new(&classes));
        Ok(Self::assemble((name, version), classes, Arc::new(prepare), workers, batch, Arc::new(start_worker), metrics))
    }

    /// A model with this one worker and no other, as [`Self::start`].
    #[must_use]
    pub fn new(
        name: &str,
        version: u64,
        classes: ClassNames,
        prepare: impl Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync + 'static,
        worker: Worker,
    ) -> Self {
        let none = |_: &BatchLimits| Err(WorkerError::Load("it has one worker and no other".to_owned()));
        let workers = vec![Arc::new(worker)];
        let batch = BatchLimits { batch_size_max: 1, batch_delay_max: Duration::ZERO, queue_len_max: 1 };
        let metrics = Arc::new(ModelMetrics::new(&classes));
        Self::assemble((name, version), classes, Arc::new(prepare), workers, batch, Arc::new(none), metrics)
    }

    fn assemble(
        (name, version): (&str, u64),
        classes: ClassNames,
        prepare: Arc<Prepare>,
        workers: Vec<Arc<Worker>>,
        batch: BatchLimits,
        start_worker: Arc<StartWorker>,
        metrics: Arc<ModelMetrics>,
    ) -> Self {
        workers.iter().for_each(|worker| worker.count_in(&metrics));
        let loaded_at = Timestamp::UNIX_EPOCH;
        let origin = Origin { url: name.to_owned(), at_startup: true, loaded_at, load_time: None };
        let (name, turn) = (name.into(), AtomicUsize::new(0));
        Self {
            name,
            version,
            is_default: false,
            classes,
            middle: None,
            recall: Arc::clone(&prepare),
            cache: None,
            prepare,
            workers,
            start_worker,
            batch,
            response_timeout: None,
            origin,
            turn,
            bundle: None,
            metrics,
        }
    }

    /// The same, answering where no version is asked for.
    #[must_use]
    pub fn as_default(self) -> Self {
        Self { is_default: true, ..self }
    }

    /// The same, seeing only a part of each photo.
    #[must_use]
    pub(crate) fn seeing(self, middle: Option<f32>) -> Self {
        Self { middle, ..self }
    }

    /// The same, preparing posts for a prediction with what a cache has; those that are explained are prepared as before.
    #[must_use]
    pub(crate) fn recalling(
        self,
        cache: FeatureCache,
        recall: impl Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync + 'static,
    ) -> Self {
        Self { cache: Some(cache), recall: Arc::new(recall), ..self }
    }

    /// The same, loaded from a bundle whose manifest has this SHA-256.
    #[must_use]
    pub(crate) fn of_bundle(self, bundle: Option<ContentHash>) -> Self {
        Self { bundle, ..self }
    }

    /// The same, with another limit on how long an answer may take.
    #[must_use]
    pub(crate) fn answering_within(self, response_timeout: Option<Duration>) -> Self {
        Self { response_timeout, ..self }
    }

    /// The same, from elsewhere.
    #[must_use]
    pub(crate) fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The same with so many workers, each of which keeps what it has queued. Loads copies of the model: not for an async
    /// thread.
    ///
    /// # Errors
    /// When a worker does not start.
    pub(crate) fn scaled(&self, count: usize) -> Result<Self, WorkerError> {
        let mut workers: Vec<_> = self.workers.iter().take(count).map(Arc::clone).collect();
        while workers.len() < count {
            workers.push(Arc::new((self.start_worker)(&self.batch)?));
        }
        let (prepare, start_worker) = (Arc::clone(&self.prepare), Arc::clone(&self.start_worker));
        let (at, classes, batch) = ((self.name(), self.version), self.classes.clone(), self.batch.clone());
        let (metrics, recall, cache) = (Arc::clone(&self.metrics), Arc::clone(&self.recall), self.cache.clone());
        let scaled = Self::assemble(at, classes, prepare, workers, batch, start_worker, metrics);
        let scaled = scaled.from(self.origin.clone()).answering_within(self.response_timeout);
        Ok(Self { is_default: self.is_default, middle: self.middle, bundle: self.bundle, recall, cache, ..scaled })
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it knows of what may be asked again.
    pub(crate) fn cache(&self) -> Option<&FeatureCache> {
        self.cache.as_ref()
    }

    pub(crate) fn is_default(&self) -> bool {
        self.is_default
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn batch(&self) -> &BatchLimits {
        &self.batch
    }

    pub(crate) fn response_timeout(&self) -> Option<Duration> {
        self.response_timeout
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Requests that wait for a worker or are worked on.
    pub(crate) fn under_way(&self) -> usize {
        self.workers.iter().map(|worker| worker.under_way()).sum()
    }

    /// Whether no worker has panicked.
    pub(crate) fn healthy(&self) -> bool {
        self.workers.iter().all(|worker| worker.healthy())
    }

    /// Decodes and tokenises: not for an async thread.
    pub(crate) fn prepare(&self, input: &ModelInput<'_>) -> Result<Prepared, InputError> {
        (self.prepare)(input)
    }

    /// As [`Self::prepare`], for a prediction alone: what the model knows already is not made again.
    pub(crate) fn recall(&self, input: &ModelInput<'_>) -> Result<Prepared, InputError> {
        (self.recall)(input)
    }

    /// Queues a request with the worker that has the fewest.
    ///
    /// # Errors
    /// When there is no worker or its queue is full; never waits.
    pub(crate) fn submit(&self, input: Prepared, stages: &Stages) -> Result<Reply<Prediction>, SubmitError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (behind, ahead) = self.workers.split_at(turn.checked_rem(self.workers.len()).unwrap_or(0));
        let least_busy = ahead.iter().chain(behind).min_by_key(|worker| worker.under_way());
        least_busy.ok_or(SubmitError::NoWorker)?.submit_noting(input, stages.clone())
    }
}

/// A hold on a model by a request. The last one to let go of a model that was unregistered unloads it, which takes
/// longer than an async thread may be held up.
pub(crate) struct ModelHold(Option<Arc<LoadedModel>>);

impl ModelHold {
    pub(crate) fn new(model: Arc<LoadedModel>) -> Self {
        Self(Some(model))
    }
}

impl Deref for ModelHold {
    type Target = Arc<LoadedModel>;

    fn deref(&self) -> &Arc<LoadedModel> {
        #[expect(clippy::unreachable, reason = "the model is taken out only while the hold is dropped")]
        self.0.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for ModelHold {
    fn drop(&mut self) {
        if let Some(last) = self.0.take().and_then(Arc::into_inner)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(last));
        }
    }
}
