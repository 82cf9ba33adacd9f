//! The models that are served, by name and version; which of them answers, and who changes that.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use natureddit_model::version_number;
use serde::{Deserialize, Serialize};

use crate::access::RequestId;
use crate::error::ApiError;
use crate::loaded::{LoadedModel, ModelHold};

/// A part of the requests that name no version.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// The version.
    pub(crate) version: u64,
    /// Of a hundred requests.
    pub(crate) percent: f64,
}

/// Which other versions than the default see requests that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traffic {
    /// Answers its share of the requests.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) canary: Option<Share>,
    /// Is asked its share of the requests as well, after the answer; what it says is only logged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) shadow: Option<Share>,
}

/// A name and its versions, of which there is at least one.
#[derive(Clone)]
pub(crate) struct Versions {
    pub(crate) loaded: BTreeMap<u64, Arc<LoadedModel>>,
    pub(crate) default: u64,
    pub(crate) traffic: Traffic,
}

impl Versions {
    fn of(model: LoadedModel) -> Self {
        let default = model.version();
        Self { loaded: BTreeMap::from([(default, Arc::new(model))]), default, traffic: Traffic::default() }
    }

    /// The version that answers where none is asked for.
    pub(crate) fn default_model(&self) -> Option<&Arc<LoadedModel>> {
        self.loaded.get(&self.default)
    }
}

/// Who answers a request, and who is asked as well.
pub(crate) struct Chosen {
    pub(crate) model: ModelHold,
    pub(crate) shadow: Option<ModelHold>,
}

/// Every model by name and version. Requests hold the models they were given: a change drops none of them.
#[derive(Default)]
pub(crate) struct Registry(RwLock<BTreeMap<String, Versions>>);

impl Registry {
    /// Of two models with the same name and version the later is kept. The default is the one that says so, or else the
    /// highest.
    pub(crate) fn new(models: Vec<LoadedModel>) -> Self {
        let mut registry = BTreeMap::<String, Versions>::new();
        for model in models {
            let (version, is_default) = (model.version(), model.is_default());
            match registry.get_mut(model.name()) {
                None => {
                    registry.insert(model.name().to_owned(), Versions::of(model));
                }
                Some(versions) => {
                    let kept_default = versions.default_model().is_some_and(|default| default.is_default());
                    if is_default || (!kept_default && version > versions.default) {
                        versions.default = version;
                    }
                    versions.loaded.insert(version, Arc::new(model));
                }
            }
        }
        Self(RwLock::new(registry))
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Versions>> {
        // No writer leaves it half changed.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Versions>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version asked for; where none is, the default or, for its share of requests, the canary. `id` decides, so that
    /// the choice is as random as it is.
    ///
    /// # Errors
    /// When no such model or version is there.
    pub(crate) fn choose(&self, name: &str, version: Option<&str>, id: &RequestId) -> Result<Chosen, ApiError> {
        let registry = self.read();
        let not_found = || ApiError::ModelNotFound(name.to_owned());
        let versions = registry.get(name).ok_or_else(not_found)?;
        let hold = |model: &Arc<LoadedModel>| ModelHold::new(Arc::clone(model));
        if let Some(asked) = version {
            let found = version_number(asked).and_then(|number| versions.loaded.get(&number));
            let model = found.ok_or_else(|| unknown_version(name, asked))?;
            return Ok(Chosen { model: hold(model), shadow: None });
        }
        let [canary_draw, shadow_draw] = id.draws();
        let drawn = |share: Option<Share>, draw: f64| {
            let share = share.filter(|share| draw * 100.0 < share.percent)?;
            versions.loaded.get(&share.version)
        };
        let canary = drawn(versions.traffic.canary, canary_draw);
        let model = canary.or_else(|| versions.default_model()).ok_or_else(not_found)?;
        let shadow = drawn(versions.traffic.shadow, shadow_draw);
        Ok(Chosen { model: hold(model), shadow: shadow.filter(|shadow| !Arc::ptr_eq(shadow, model)).map(hold) })
    }

    /// A copy of what there is under a name.
    ///
    /// # Errors
    /// When there is no such model.
    pub(crate) fn versions(&self, name: &str) -> Result<Versions, ApiError> {
        self.read().get(name).cloned().ok_or_else(|| ApiError::ModelNotFound(name.to_owned()))
    }

    /// The names, each once.
    pub(crate) fn names(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// A copy of everything.
    pub(crate) fn all(&self) -> BTreeMap<String, Versions> {
        self.read().clone()
    }

    /// Adds a version; the first of its name is the default.
    ///
    /// # Errors
    /// When that version is there already.
    pub(crate) fn register(&self, model: LoadedModel) -> Result<(), ApiError> {
        let mut registry = self.write();
        let (name, version) = (model.name().to_owned(), model.version());
        match registry.get_mut(&name) {
            None => {
                registry.insert(name, Versions::of(model));
            }
            Some(versions) if versions.loaded.contains_key(&version) => {
                return Err(ApiError::AlreadyRegistered { model: name, version });
            }
            Some(versions) => {
                versions.loaded.insert(version, Arc::new(model));
            }
        }
        Ok(())
    }

    /// Puts a version in the place of the one with its name and number, where that is still there.
    pub(crate) fn replace(&self, model: LoadedModel) {
        let mut registry = self.write();
        let place = registry.get_mut(model.name()).and_then(|versions| versions.loaded.get_mut(&model.version()));
        let before = place.map(|place| std::mem::replace(place, Arc::new(model)));
        drop(registry);
        drop(before.map(ModelHold::new));
    }

    /// Takes a version away, as TorchServe does where none is named the default.
    ///
    /// # Errors
    /// When it is not there, or is the default beside others.
    pub(crate) fn unregister(&self, name: &str, version: Option<u64>) -> Result<(), ApiError> {
        let mut registry = self.write();
        let versions = registry.get_mut(name).ok_or_else(|| ApiError::ModelNotFound(name.to_owned()))?;
        let version = version.unwrap_or(versions.default);
        if !versions.loaded.contains_key(&version) {
            return Err(unknown_version(name, &version.to_string()));
        }
        if version == versions.default && versions.loaded.len() > 1 {
            return Err(ApiError::IsDefault(name.to_owned()));
        }
        versions.traffic.forget(version);
        let gone = versions.loaded.remove(&version);
        if versions.loaded.is_empty() {
            registry.remove(name);
        }
        drop(registry);
        gone.into_iter().for_each(|model| drop(ModelHold::new(model)));
        Ok(())
    }

    /// Makes a version answer where none is asked for; a canary that it was is over.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn set_default(&self, name: &str, version: u64) -> Result<(), ApiError> {
        self.change(name, version, |versions| {
            versions.default = version;
            versions.traffic.forget(version);
        })
    }

    /// Sends a version a share of the requests, or none any more.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn set_traffic(
        &self,
        name: &str,
        version: u64,
        change: impl FnOnce(&mut Traffic),
    ) -> Result<(), ApiError> {
        self.change(name, version, |versions| change(&mut versions.traffic))
    }

    fn change(&self, name: &str, version: u64, change: impl FnOnce(&mut Versions)) -> Result<(), ApiError> {
        let mut registry = self.write();
        let versions = registry.get_mut(name).ok_or_else(|| ApiError::ModelNotFound(name.to_owned()))?;
        if !versions.loaded.contains_key(&version) {
            let version = version.to_string();
            return Err(ApiError::NoSuchVersion { model: name.to_owned(), version });
        }
        change(versions);
        Ok(())
    }

    /// Whether no model has panicked.
    pub(crate) fn healthy(&self) -> bool {
        self.read().values().flat_map(|versions| versions.loaded.values()).all(|model| model.healthy())
    }
}

impl Traffic {
    /// A version that is gone, or is the default now, has no share.
    fn forget(&mut self, version: u64) {
        for share in [&mut self.canary, &mut self.shadow] {
            *share = share.filter(|share| share.version != version);
        }
    }
}

fn unknown_version(model: &str, version: &str) -> ApiError {
    ApiError::ModelVersionNotFound { model: model.to_owned(), version: version.to_owned() }
}
