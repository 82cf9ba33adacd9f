//! The models a server serves, and everything that changes them: registering, scaling, the default, shares of the
//! traffic, and what becomes the default in the model store. Loading blocks: nothing here is for an async thread but
//! asking.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batcher::BatchLimits;
use crate::error::{ApiError, cut};
use crate::loaded::LoadedModel;
use crate::loader::{LoadError, Loader};
use crate::registry::{Registry, Share, Traffic, Versions};
use crate::remote::FetchedArchive;
use crate::saved::{Saved, SavedModel, SavedVersion};
use crate::settings::{Running, VersionSettings};
use crate::store::{BundleFolder, ModelChoice, StoreBundles, StoreError, default_bundles, find_bundle};

/// The models of a server.
#[derive(Default)]
pub struct Models {
    pub(crate) registry: Registry,
    /// Where further ones come from; `None` where there are none.
    loader: Option<Loader>,
    /// Where it is written what is served.
    saved: Option<PathBuf>,
    /// Whether a new default in the model store is served in the place of the one before.
    follows: bool,
    /// Held by who changes something.
    changing: Mutex<Seen>,
}

/// What was last seen of the model store.
#[derive(Default)]
struct Seen {
    /// The default of each name there.
    store_defaults: BTreeMap<String, u64>,
    /// Models, and versions beside others as `model/version`.
    unregistered: BTreeSet<String>,
    /// A default that could not be loaded: not tried again until it is another one.
    failed: BTreeMap<String, u64>,
    /// What of the store was said to be left out.
    left_out: BTreeSet<String>,
}

impl Seen {
    /// Says what of the store is left out and was not said at the last look.
    fn warn_of(&mut self, left_out: &[StoreError]) {
        let now: BTreeSet<_> = left_out.iter().map(|why| cut(why.to_string())).collect();
        now.difference(&self.left_out).for_each(|why| tracing::warn!("not served: {why}"));
        self.left_out = now;
    }
}

/// What is registered.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// `name`, `name/version` or an archive in the model store; or the address of an archive.
    pub(crate) url: String,
    /// Another name than its own.
    pub(crate) name: Option<String>,
    pub(crate) batch_size: Option<usize>,
    pub(crate) batch_delay: Option<Duration>,
    pub(crate) response_timeout: Option<Duration>,
    pub(crate) workers: Option<usize>,
}

/// What became of it.
pub(crate) struct Registered {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) workers: usize,
}

impl From<Vec<LoadedModel>> for Models {
    /// Models that nothing is added to.
    fn from(models: Vec<LoadedModel>) -> Self {
        Self { registry: Registry::new(models), ..Self::default() }
    }
}

impl Models {
    /// Loads what is chosen. Where nothing is, what was served last (`saved`) is loaded again, and the default of every
    /// other model in the store; from then on a new default in the store is followed.
    ///
    /// # Errors
    /// When there is nothing to serve, or what is chosen cannot be loaded. What is damaged in the store is left out with a
    /// warning, as is a model that was served last and cannot be loaded any more. Where all models were unregistered, none
    /// is served.
    pub fn load(loader: Loader, saved: Option<PathBuf>) -> Result<Self, LoadError> {
        if !loader.config.choices.is_empty() {
            let registry = Registry::new(loader.load_all()?);
            let models = Self { registry, loader: Some(loader), ..Self::default() };
            models.follow_settings();
            return Ok(models);
        }
        let before = saved.as_deref().map(Saved::read).transpose();
        let before = before.unwrap_or_else(|error| {
            tracing::warn!("what was served last is not known: {error}");
            None
        });
        let models = Self { loader: Some(loader), saved, follows: true, ..Self::default() };
        models.start(before.flatten().unwrap_or_default())?;
        models.follow_settings();
        Ok(models)
    }

    /// None, until some are registered, whatever the model store has.
    #[must_use]
    pub fn none(loader: Loader) -> Self {
        Self { loader: Some(loader), ..Self::default() }
    }

    /// The names of the models, each once.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.registry.names()
    }

    fn start(&self, before: Saved) -> Result<(), LoadError> {
        let Some(loader) = &self.loader else { return Ok(()) };
        let mut seen = self.lock();
        seen.unregistered = before.unregistered;
        let StoreBundles { found: mut there, left_out } = default_bundles(&loader.config.model_store)?;
        // What somebody registers again is not taken from them for the default that the store had all the time.
        let (known, _) = defaults_and_others(there.clone());
        let known = known.into_iter().filter(|bundle| seen.unregistered.contains(&bundle.name));
        let known: Vec<_> = known.map(|bundle| (bundle.name, bundle.version)).collect();
        seen.store_defaults.extend(known);
        there.retain(|bundle| !seen.unregistered.contains(&bundle.name));
        let (defaults, mut others) = defaults_and_others(there);
        others.retain(|bundle| !seen.unregistered.contains(&of_version(&bundle.name, bundle.version)));
        for (name, mut model) in before.models {
            // The store has another default since: the one before it would be loaded only to go again.
            if defaults.iter().any(|now| now.name == name && Some(now.version) != model.store_default) {
                model.versions.retain(|version| Some(version.version) != model.store_default);
            }
            self.restore(loader, &name, &model);
            seen.store_defaults.extend(model.store_default.map(|version| (name, version)));
        }
        let mut first_error = None;
        let followed = defaults.iter().map(|bundle| (bundle, self.follow(loader, bundle, &mut seen)));
        let added = others.iter().map(|bundle| (bundle, self.add(loader, bundle)));
        for (bundle, done) in followed.chain(added) {
            if let Err(error) = done {
                tracing::error!(model = bundle.name, version = bundle.version, "not served: {error}");
                first_error.get_or_insert(error);
            }
        }
        let nothing = self.registry.names().is_empty();
        if nothing && seen.unregistered.is_empty() {
            // Said as the error, and not as a warning beside it.
            let damaged = left_out.into_iter().next().map(LoadError::from);
            let empty = || StoreError::Empty(loader.config.model_store.clone()).into();
            return Err(damaged.or(first_error).unwrap_or_else(empty));
        }
        if nothing {
            let names = seen.unregistered.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            tracing::warn!("no model is served until one is registered: what was unregistered is {names}");
        }
        seen.warn_of(&left_out);
        Ok(())
    }

    /// Makes those versions the default for which that is set.
    fn follow_settings(&self) {
        let Some(loader) = &self.loader else { return };
        let set = loader.config.by_version.iter();
        for (model, version, set) in set.flat_map(|(model, set)| set.iter().map(move |(at, set)| (model, *at, set))) {
            let served = self.registry.versions(model);
            if !served.is_ok_and(|versions| versions.loaded.contains_key(&version)) {
                tracing::warn!(model, version, "what is set for this version waits until it is registered");
            } else if set.is_default {
                let _ = self.registry.set_default(model, version);
            }
        }
    }

    /// Loads what was served under a name, as far as it is there.
    fn restore(&self, loader: &Loader, name: &str, before: &SavedModel) {
        for version in &before.versions {
            let loaded = bundle_at(loader, &version.url, Some(name)).and_then(|bundle| {
                // An archive may be another version's now.
                if bundle.version != version.version {
                    return Err(ApiError::NotFoundAt(version.url.clone()));
                }
                let running = loader.set_above(&bundle, saved_running(version, &loader.config.batch));
                check_workers(running.workers, loader)?;
                loader.load(&bundle, running, true).map_err(ApiError::from)
            });
            match loaded {
                Ok(model) => drop(self.registry.register(model)),
                Err(error) => {
                    tracing::warn!(model = name, version = version.version, "was served before and is not: {error}");
                }
            }
        }
        let _ = self.registry.set_default(name, before.default);
        for share in [before.traffic.canary, before.traffic.shadow].into_iter().flatten() {
            let _ = self.registry.set_traffic(name, share.version, |traffic| *traffic = before.traffic);
        }
    }

    /// Looks whether the model store has other defaults than before, and serves them instead.
    pub(crate) fn follow_store(&self) {
        let Some(loader) = self.loader.as_ref().filter(|_| self.follows) else { return };
        let mut seen = self.lock();
        let there = match default_bundles(&loader.config.model_store) {
            Ok(StoreBundles { found, left_out }) => {
                seen.warn_of(&left_out);
                found
            }
            Err(error) => return tracing::warn!("the model store could not be looked at: {error}"),
        };
        let mut changed = false;
        for bundle in defaults_and_others(there).0 {
            let known = seen.store_defaults.get(&bundle.name) == Some(&bundle.version);
            let left =
                seen.failed.get(&bundle.name) == Some(&bundle.version) || seen.unregistered.contains(&bundle.name);
            if known || left {
                continue;
            }
            match self.follow(loader, &bundle, &mut seen) {
                Ok(()) => changed = true,
                Err(error) => {
                    tracing::error!(
                        model = bundle.name,
                        version = bundle.version,
                        "the new default is not served: {error}"
                    );
                    seen.failed.insert(bundle.name, bundle.version);
                }
            }
        }
        if changed {
            self.save(&seen);
        }
    }

    /// Serves a version beside the default.
    fn add(&self, loader: &Loader, bundle: &BundleFolder) -> Result<(), LoadError> {
        let served = self.registry.versions(&bundle.name);
        if !served.is_ok_and(|versions| versions.loaded.contains_key(&bundle.version)) {
            // Only who holds the lock registers, so it is not there meanwhile.
            let _ = self.registry.register(loader.load(bundle, loader.running(bundle), true)?);
        }
        Ok(())
    }

    /// Serves the store's default of a name, in the place of the one that was its default before.
    fn follow(&self, loader: &Loader, bundle: &BundleFolder, seen: &mut Seen) -> Result<(), LoadError> {
        let before = seen.store_defaults.get(&bundle.name).copied();
        let served = self.registry.versions(&bundle.name).ok();
        if before == Some(bundle.version) && served.is_some() {
            return Ok(());
        }
        self.add(loader, bundle)?;
        let _ = self.registry.set_default(&bundle.name, bundle.version);
        seen.store_defaults.insert(bundle.name.clone(), bundle.version);
        if let Some(before) = before.filter(|before| *before != bundle.version)
            && self.registry.unregister(&bundle.name, Some(before)).is_ok()
        {
            tracing::info!(model = bundle.name, version = bundle.version, before, "the default was changed");
        }
        Ok(())
    }

    /// Loads a model and serves it.
    ///
    /// # Errors
    /// When it is not found, refused or there already.
    pub(crate) fn register(&self, wanted: &Registration) -> Result<Registered, ApiError> {
        let loader = self.loader()?;
        // Meanwhile others change something.
        let fetched = loader.fetched(&wanted.url)?;
        let mut seen = self.lock();
        let bundle = match &fetched {
            Some(fetched) => {
                let bundle = fetched.bundle(&loader.config.model_store);
                named(bundle.map_err(|error| self.or_registered(error))?, wanted.name.as_deref())?
            }
            None => bundle_at(loader, &wanted.url, wanted.name.as_deref())?,
        };
        let (name, version) = (bundle.name.clone(), bundle.version);
        if self.is_registered(&name, version) {
            return Err(ApiError::AlreadyRegistered { model: name, version });
        }
        let running = wanted.settings().above(loader.running(&bundle));
        let workers = running.workers;
        check_workers(workers, loader)?;
        let model = loader.load(&bundle, running, false)?;
        fetched.map_or(Ok(()), FetchedArchive::keep)?;
        self.registry.register(model)?;
        seen.unregistered.remove(&name);
        seen.unregistered.remove(&of_version(&name, version));
        self.save(&seen);
        Ok(Registered { name, version, workers })
    }

    fn is_registered(&self, name: &str, version: u64) -> bool {
        self.registry.versions(name).is_ok_and(|versions| versions.loaded.contains_key(&version))
    }

    /// A version that is in the store need not be registered again where it is.
    fn or_registered(&self, error: ApiError) -> ApiError {
        match error {
            ApiError::VersionExists { model, version } if self.is_registered(&model, version) => {
                ApiError::AlreadyRegistered { model, version }
            }
            error => error,
        }
    }

    /// Takes a version, or the default one, out of service.
    ///
    /// # Errors
    /// As [`Registry::unregister`].
    pub(crate) fn unregister(&self, name: &str, version: Option<u64>) -> Result<(), ApiError> {
        let mut seen = self.lock();
        self.registry.unregister(name, version)?;
        let is_gone = self.registry.versions(name).is_err();
        // While others are served the default stays, so that a version was named.
        let what = version.filter(|_| !is_gone).map_or_else(|| name.to_owned(), |version| of_version(name, version));
        seen.unregistered.insert(what);
        self.save(&seen);
        Ok(())
    }

    /// Gives a version, or the default one, so many workers.
    ///
    /// # Errors
    /// When it is not there, or they are too many.
    pub(crate) fn scale(&self, name: &str, version: Option<u64>, workers: usize) -> Result<usize, ApiError> {
        let loader = self.loader()?;
        let seen = self.lock();
        let versions = self.registry.versions(name)?;
        let number = version.unwrap_or(versions.default);
        let model = versions.loaded.get(&number).ok_or_else(|| {
            let version = number.to_string();
            ApiError::ModelVersionNotFound { model: name.to_owned(), version }
        })?;
        check_workers(workers, loader)?;
        let scaled = model.scaled(workers).map_err(|e| ApiError::NotLoaded(e.to_string()))?;
        self.registry.replace(scaled);
        self.save(&seen);
        Ok(workers)
    }

    /// Makes a version answer where none is asked for.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn set_default(&self, name: &str, version: u64) -> Result<(), ApiError> {
        let seen = self.lock();
        self.registry.set_default(name, version)?;
        self.save(&seen);
        Ok(())
    }

    /// Changes which share of the requests a version sees.
    ///
    /// # Errors
    /// When it is not there, or is the default.
    pub(crate) fn set_traffic(&self, name: &str, version: u64, change: TrafficChange) -> Result<Traffic, ApiError> {
        let seen = self.lock();
        let versions = self.registry.versions(name)?;
        if versions.default == version && versions.loaded.contains_key(&version) {
            return Err(ApiError::DefaultHasAll { model: name.to_owned(), version });
        }
        self.registry.set_traffic(name, version, |traffic| change.apply(version, traffic))?;
        self.save(&seen);
        Ok(self.registry.versions(name)?.traffic)
    }

    fn loader(&self) -> Result<&Loader, ApiError> {
        self.loader.as_ref().ok_or(ApiError::MethodNotAllowed)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what is served. A change that is in force is no error for a disk that is full.
    fn save(&self, seen: &Seen) {
        let Some(path) = &self.saved else { return };
        let models = self.registry.all();
        let models = models.into_iter().map(|(name, versions)| {
            let store_default = seen.store_defaults.get(&name).copied();
            (name, saved_model(&versions, store_default))
        });
        let saved = Saved { models: models.collect(), unregistered: seen.unregistered.clone() };
        if let Err(error) = saved.write(path) {
            tracing::error!("what is served was not written down, and a restart will not know it: {error}");
        }
    }
}

/// A version of a model as one word; no name holds a slash.
fn of_version(name: &str, version: u64) -> String {
    format!("{name}/{version}")
}

impl Registration {
    /// What it says of the version: above what was set for it before.
    fn settings(&self) -> VersionSettings {
        VersionSettings {
            // The first of a name is, and a later one when it is made so.
            is_default: false,
            batch_size_max: self.batch_size,
            batch_delay_max: self.batch_delay,
            response_timeout: self.response_timeout,
            workers: self.workers,
        }
    }
}

/// What becomes of the share of a version; `None` leaves it as it is, 0 ends it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TrafficChange {
    pub(crate) canary: Option<f64>,
    pub(crate) shadow: Option<f64>,
}

impl TrafficChange {
    fn apply(self, version: u64, traffic: &mut Traffic) {
        let set = |share: &mut Option<Share>, percent: Option<f64>| match percent {
            None => {}
            Some(percent) if percent > 0.0 => *share = Some(Share { version, percent }),
            Some(_) => *share = share.filter(|share| share.version != version),
        };
        set(&mut traffic.canary, self.canary);
        set(&mut traffic.shadow, self.shadow);
    }
}

/// Of each name the version that answers where none is asked for, and the rest, which is only archives beside it.
fn defaults_and_others(there: Vec<BundleFolder>) -> (Vec<BundleFolder>, Vec<BundleFolder>) {
    let rank = |bundle: &BundleFolder| (bundle.is_default, bundle.version);
    let mut highest = BTreeMap::new();
    for bundle in &there {
        let best = highest.entry(bundle.name.clone()).or_insert(rank(bundle));
        *best = rank(bundle).max(*best);
    }
    there.into_iter().partition(|bundle| highest.get(&bundle.name) == Some(&rank(bundle)))
}

fn saved_model(versions: &Versions, store_default: Option<u64>) -> SavedModel {
    let saved = |model: &LoadedModel| SavedVersion {
        version: model.version(),
        url: model.origin().url.clone(),
        workers: model.workers(),
        batch_size: model.batch().batch_size_max,
        batch_delay_ms: milliseconds(model.batch().batch_delay_max),
        response_timeout_ms: model.response_timeout().map(milliseconds),
    };
    SavedModel {
        default: versions.default,
        store_default,
        traffic: versions.traffic,
        versions: versions.loaded.values().map(|model| saved(model)).collect(),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How a version ran before; what of it is not written down is as for all.
fn saved_running(version: &SavedVersion, defaults: &BatchLimits) -> Running {
    Running {
        batch: BatchLimits {
            batch_size_max: version.batch_size,
            batch_delay_max: Duration::from_millis(version.batch_delay_ms),
            ..defaults.clone()
        },
        workers: version.workers,
        response_timeout: version.response_timeout_ms.map(Duration::from_millis),
    }
}

fn check_workers(workers: usize, loader: &Loader) -> Result<(), ApiError> {
    let workers_max = loader.config.workers_max;
    if workers <= workers_max { Ok(()) } else { Err(ApiError::TooManyWorkers { workers, workers_max }) }
}

/// The bundle that a registration names: `name`, `name/version` or `name.mar`, in the model store.
fn bundle_at(loader: &Loader, url: &str, name: Option<&str>) -> Result<BundleFolder, ApiError> {
    let not_found = || ApiError::NotFoundAt(url.to_owned());
    if url.split('/').any(|part| part == "..") {
        return Err(ApiError::RelativePath(url.to_owned()));
    }
    let found = find_bundle(&loader.config.model_store, &choice(url).ok_or_else(not_found)?);
    let found = found.map_err(|error| match error {
        // It is there, and what is wrong with it is what somebody needs to know.
        StoreError::Archive(_) => LoadError::from(error).into(),
        error => {
            tracing::info!("nothing to register: {error}");
            not_found()
        }
    })?;
    named(found, name)
}

/// It under a name, or else under its own.
fn named(found: BundleFolder, name: Option<&str>) -> Result<BundleFolder, ApiError> {
    let name = name.unwrap_or(&found.name);
    if !natureddit_core::is_plain_name(name) {
        return Err(ApiError::Parameter(format!("model_name must be {}", natureddit_core::PLAIN_NAME)));
    }
    Ok(BundleFolder { name: name.to_owned(), ..found })
}

fn choice(url: &str) -> Option<ModelChoice> {
    match url.trim_end_matches('/').split_once('/') {
        None => Some(ModelChoice::Default(url.trim_end_matches('/').to_owned())),
        Some((model, version)) => Some(ModelChoice::Version(model.to_owned(), version.parse().ok()?)),
    }
}
