//! Loading models: those a server starts with, and those it is told of while it runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use natureddit_core::Clock;
use natureddit_model::{
    BundleError, FeatureCache, ModelBundle, ModelError, NotFinite, Prediction, Predictor, PredictorOptions, Runtime,
    manifest_hash,
};

use crate::batcher::{Answers, BatchLimits, Batcher};
use crate::error::ApiError;
use crate::loaded::{LoadedModel, Origin, Worker, WorkerError};
use crate::remote::{ArchiveSource, FetchedArchive, is_address};
use crate::settings::{Running, SettingsByVersion};
use crate::store::{BundleFolder, ModelChoice, StoreError, find_bundles};

/// Which models are loaded, and how they run.
#[derive(Clone, Debug)]
pub struct ModelsConfig {
    /// The folder `<name>/<version>/` of bundles.
    pub model_store: PathBuf,
    /// The models to load; none means the default version of each in the model store.
    pub choices: Vec<ModelChoice>,
    /// What each model may use.
    pub predictor: PredictorOptions,
    /// How many bytes of features each model keeps for photos and titles that come again; 0: none.
    pub embedding_cache_bytes_max: usize,
    /// How requests to a model are gathered.
    pub batch: BatchLimits,
    /// The workers of each model, each with a copy of it.
    pub workers: usize,
    /// What is set for single versions in the place of this.
    pub by_version: SettingsByVersion,
    /// Whether predictions hold the features they were made from, for the prediction log.
    pub keep_features: bool,
    /// The most workers a model may be scaled to.
    pub workers_max: usize,
    /// The time, for when a model was loaded.
    pub clock: Clock,
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It was not found.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its bundle was refused.
    #[error("could not load the model in {folder}", folder = folder.display())]
    Bundle {
        /// The bundle.
        folder: PathBuf,
        /// Why.
        #[source]
        source: ModelError,
    },
    /// It has no worker.
    #[error("could not start model {name}")]
    Worker {
        /// The model.
        name: String,
        /// Why.
        #[source]
        source: WorkerError,
    },
}

type Open = dyn Fn(&BundleFolder, BatchLimits) -> Result<LoadedModel, LoadError> + Send + Sync;

/// Where a server finds its models.
#[derive(Clone)]
pub struct Loader {
    pub(crate) config: ModelsConfig,
    open: Arc<Open>,
    archives: ArchiveSource,
}

impl Loader {
    /// Loads bundles with this library.
    #[must_use]
    pub fn new(config: ModelsConfig, runtime: Runtime) -> Self {
        let how = config.clone();
        let open = move |bundle: &BundleFolder, batch| open(bundle, batch, &how, &runtime);
        Self { config, open: Arc::new(open), archives: ArchiveSource::none() }
    }

    /// Makes models in another way, from their name, version and folder: for tests, whose models need no weights.
    #[must_use]
    pub fn with(
        config: ModelsConfig,
        open: impl Fn(&str, u64, &Path, BatchLimits) -> Result<LoadedModel, LoadError> + Send + Sync + 'static,
    ) -> Self {
        let open = move |bundle: &BundleFolder, batch| open(&bundle.name, bundle.version, &bundle.folder, batch);
        Self { config, open: Arc::new(open), archives: ArchiveSource::none() }
    }

    /// The same, with archives from elsewhere that may be registered.
    #[must_use]
    pub fn fetching(self, archives: ArchiveSource) -> Self {
        Self { archives, ..self }
    }

    /// The archive at an address; `None` where what is to be registered is no address.
    ///
    /// # Errors
    /// When it is not allowed, is there already or does not come.
    pub(crate) fn fetched(&self, url: &str) -> Result<Option<FetchedArchive>, ApiError> {
        is_address(url).then(|| self.archives.fetch(url, &self.config.model_store)).transpose()
    }

    /// Loads the models that are chosen. Reads and checks whole bundles: not for an async thread.
    ///
    /// # Errors
    /// When one of them is not found or its bundle is refused: a server with a part of its models is not wanted.
    pub fn load_all(&self) -> Result<Vec<LoadedModel>, LoadError> {
        let bundles = find_bundles(&self.config.model_store, &self.config.choices)?;
        bundles.iter().map(|bundle| self.load(bundle, self.running(bundle), true)).collect()
    }

    /// How a model runs of which nothing else is said.
    pub(crate) fn running(&self, bundle: &BundleFolder) -> Running {
        let ModelsConfig { batch, workers, .. } = &self.config;
        self.set_above(bundle, Running { batch: batch.clone(), workers: *workers, response_timeout: None })
    }

    /// How a model runs that would run so if nothing were set for its version.
    pub(crate) fn set_above(&self, bundle: &BundleFolder, running: Running) -> Running {
        let set = self.config.by_version.get(&bundle.name).and_then(|versions| versions.get(&bundle.version));
        set.map_or(running.clone(), |set| set.above(running))
    }

    /// Loads one model, as [`Self::load_all`] does.
    ///
    /// # Errors
    /// When its bundle is refused, or one of its workers does not start.
    pub(crate) fn load(
        &self,
        bundle: &BundleFolder,
        running: Running,
        at_startup: bool,
    ) -> Result<LoadedModel, LoadError> {
        let begun = Instant::now();
        let Running { batch, workers, response_timeout } = running;
        let mut loaded = (self.open)(bundle, batch)?.answering_within(response_timeout);
        if workers != loaded.workers() {
            let not_started = |source| LoadError::Worker { name: bundle.name.clone(), source };
            loaded = loaded.scaled(workers).map_err(not_started)?;
        }
        let load_time = Some(begun.elapsed());
        tracing::info!(model = bundle.name, version = bundle.version, "model loaded");
        let loaded_at = self.config.clock.now();
        let loaded = loaded.from(Origin { url: bundle.url.clone(), at_startup, loaded_at, load_time });
        Ok(if bundle.is_default { loaded.as_default() } else { loaded })
    }
}

fn open(
    bundle: &BundleFolder,
    batch: BatchLimits,
    config: &ModelsConfig,
    runtime: &Runtime,
) -> Result<LoadedModel, LoadError> {
    let BundleFolder { name, version, folder, .. } = bundle;
    let refused = |source| LoadError::Bundle { folder: folder.clone(), source };
    let read = ModelBundle::open(folder);
    let load = {
        let (options, keep_features, runtime) = (config.predictor, config.keep_features, runtime.clone());
        move |bundle: &ModelBundle| {
            Predictor::load(bundle, &runtime, &options).map(|predictor| predictor.keep_features(keep_features))
        }
    };
    let read = read.map_err(refused)?;
    let manifest = manifest_hash(read.dir()).map_err(|e| refused(BundleError::from(e).into()))?;
    let first = load(&read).map_err(refused)?;
    let (preprocessor, classes) = (first.preprocessor().clone(), first.classes().clone());
    let first = std::sync::Mutex::new(Some(first));
    let thread = name.clone();
    let start = move |limits: &BatchLimits| {
        let there = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // Further workers hold copies of their own.
        let again = || load(&read).map_err(|e| WorkerError::Load(e.to_string()));
        worker(&thread, there.map_or_else(again, Ok)?, limits)
    };
    let cache = FeatureCache::new(config.embedding_cache_bytes_max);
    let (middle, again) = (preprocessor.middle(), preprocessor.clone());
    let model = LoadedModel::start((name, *version), classes, move |input| preprocessor.prepare(input), batch, start);
    let model = model.map(|model| model.seeing(middle).of_bundle(manifest));
    let model = model.map(|model| model.recalling(cache.clone(), move |input| again.prepare_with(&cache, input)));
    model.map_err(|source| LoadError::Worker { name: name.clone(), source })
}

fn worker(name: &str, mut predictor: Predictor, limits: &BatchLimits) -> Result<Worker, WorkerError> {
    let work = move |batch: Vec<_>, answers: &Answers<Prediction>| {
        // Whoever has no answer gets the reason; the others have theirs.
        let refused = OnceLock::new();
        let done = |at, answer| match answer {
            Ok(prediction) => answers.give(at, prediction),
            Err(not_finite) => drop(refused.set(not_finite)),
        };
        predictor.predict_each(&batch, &done).map_err(|error| error.to_string())?;
        refused.into_inner().map_or(Ok(()), |reason: NotFinite| Err(reason.to_string()))
    };
    Batcher::spawn(limits.clone(), name, work).map_err(WorkerError::Thread)
}
