//! The models a server has loaded.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use natureddit_core::ClassNames;
use natureddit_model::{
    InputError, ModelBundle, ModelError, ModelInput, Prediction, Predictor, PredictorOptions, Prepared, Runtime,
};

use crate::batcher::{BatchLimits, Batcher};
use crate::error::ApiError;
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
    /// How requests to a model are gathered.
    pub batch: BatchLimits,
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
    /// The system gave no thread for it.
    #[error("could not start the thread of model {name}")]
    Thread {
        /// The model.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Loads the models of `config`. Reads and checks whole bundles: not for an async thread.
///
/// # Errors
/// When one of them is not found or its bundle is refused: a server with a part of its models is not wanted.
pub fn load_models(config: &ModelsConfig, runtime: &Runtime) -> Result<Vec<LoadedModel>, LoadError> {
    let bundles = find_bundles(&config.model_store, &config.choices)?;
    bundles.into_iter().map(|bundle| LoadedModel::load(bundle, config, runtime)).collect()
}

type Prepare = dyn Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync;

/// A model that answers requests.
pub struct LoadedModel {
    pub(crate) name: String,
    pub(crate) version: u64,
    is_default: bool,
    pub(crate) classes: ClassNames,
    pub(crate) prepare: Box<Prepare>,
    pub(crate) batcher: Batcher<Prepared, Prediction>,
}

impl LoadedModel {
    /// A model from its parts: `prepare` is called from many threads, the batcher's thread does the rest. Its
    /// predictions have a probability for each of `classes`.
    #[must_use]
    pub fn new(
        name: &str,
        version: u64,
        classes: ClassNames,
        prepare: impl Fn(&ModelInput<'_>) -> Result<Prepared, InputError> + Send + Sync + 'static,
        batcher: Batcher<Prepared, Prediction>,
    ) -> Self {
        Self { name: name.to_owned(), version, is_default: false, classes, prepare: Box::new(prepare), batcher }
    }

    /// The same, answering where no version is asked for.
    #[must_use]
    pub fn as_default(self) -> Self {
        Self { is_default: true, ..self }
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn load(bundle: BundleFolder, config: &ModelsConfig, runtime: &Runtime) -> Result<Self, LoadError> {
        let BundleFolder { name, version, folder, is_default } = bundle;
        let read = ModelBundle::read(&folder).map_err(ModelError::from);
        let loaded = read.and_then(|bundle| Predictor::load(&bundle, runtime, &config.predictor));
        let mut predictor = loaded.map_err(|source| LoadError::Bundle { folder, source })?;
        let preprocessor = predictor.preprocessor().clone();
        let classes = predictor.classes().clone();
        let work = move |batch: Vec<Prepared>| predictor.predict(&batch).map_err(|e| e.to_string());
        let batcher = Batcher::spawn(config.batch.clone(), &name, work)
            .map_err(|source| LoadError::Thread { name: name.clone(), source })?;
        tracing::info!(model = name, version, "model loaded");
        let model = Self::new(&name, version, classes, move |input| preprocessor.prepare(input), batcher);
        Ok(Self { is_default, ..model })
    }
}

/// Every model by name and version; of each name there is at least one version.
pub(crate) struct Registry(BTreeMap<String, BTreeMap<u64, Arc<LoadedModel>>>);

impl Registry {
    /// Of two models with the same name and version the later is kept.
    pub(crate) fn new(models: Vec<LoadedModel>) -> Self {
        let mut registry = BTreeMap::<String, BTreeMap<_, _>>::new();
        for model in models {
            registry.entry(model.name.clone()).or_default().insert(model.version, Arc::new(model));
        }
        Self(registry)
    }

    /// The version asked for, or the default one; where that is not loaded, the highest that is.
    ///
    /// # Errors
    /// When no such model or version is loaded.
    pub(crate) fn model(&self, name: &str, version: Option<&str>) -> Result<&Arc<LoadedModel>, ApiError> {
        let not_found = || ApiError::ModelNotFound(name.to_owned());
        let versions = self.0.get(name).ok_or_else(not_found)?;
        let Some(version) = version else {
            let default = versions.values().rev().find(|model| model.is_default);
            return default.or_else(|| versions.values().next_back()).ok_or_else(not_found);
        };
        let found = version.parse().ok().and_then(|number: u64| versions.get(&number));
        found.ok_or_else(|| ApiError::ModelVersionNotFound { model: name.to_owned(), version: version.to_owned() })
    }

    /// Whether no model has panicked.
    pub(crate) fn healthy(&self) -> bool {
        self.0.values().flat_map(BTreeMap::values).all(|model| model.batcher.healthy())
    }
}
