//! Which models are loaded, and what each is set to.

use std::ops::RangeInclusive;
use std::path::Path;

use natureddit_model::version_number;
use serde_json::{Map, Value};

use super::error::PropertiesError;
use super::value::{Property, plain};
use super::{BATCH_SIZE, DELAY_MILLISECONDS, RESPONSE_SECONDS, WORKERS};
use crate::settings::{SettingsByVersion, VersionSettings};
use crate::store::ModelChoice;

/// `load_models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadModels {
    /// `all`: the default version of each model in the store, and each `.mar` there.
    All,
    /// `none` or `standalone`: no model until one is registered.
    None,
    /// Those named.
    These(Vec<NamedModel>),
}

/// A part of `load_models` between two commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedModel {
    /// `naturedditTI` or `naturedditTI.mar`: a model, or an archive, in the store.
    Stored(String),
    /// `name=path`: an archive or a bundle folder, under a name; a relative path starts at the store.
    Path(String, String),
}

impl LoadModels {
    pub(super) fn of(property: &Property) -> Result<Self, PropertiesError> {
        let words = property.list();
        match words.iter().map(|word| word.to_ascii_lowercase()).collect::<Vec<_>>().as_slice() {
            [word] if word == "all" => return Ok(Self::All),
            [word] if word == "none" || word == "standalone" => return Ok(Self::None),
            // TorchServe loads nothing then, either.
            [] => return Ok(Self::None),
            _ => {}
        }
        let named = |word: &String| NamedModel::of(word).ok_or_else(|| property.bad(NamedModel::FORM));
        words.iter().map(named).collect::<Result<_, _>>().map(Self::These)
    }

    /// What is loaded from a store; `None`: nothing.
    #[must_use]
    pub fn choices(&self, store: &Path) -> Option<Vec<ModelChoice>> {
        match self {
            Self::All => Some(Vec::new()),
            Self::None => None,
            Self::These(named) => Some(named.iter().map(|model| model.choice(store)).collect()),
        }
    }
}

impl NamedModel {
    const FORM: &str =
        "all, none, or models such as a.mar, b=b.mar or c=folder of the model store; nothing is downloaded";

    fn of(word: &str) -> Option<Self> {
        let path = |path: &str| {
            let path = path.trim();
            let path = path.strip_prefix("file://").unwrap_or(path);
            (!path.is_empty() && !path.contains("://")).then(|| path.to_owned())
        };
        match word.split_once('=') {
            Some((name, place)) => Some(Self::Path(name.trim().to_owned(), path(place)?)),
            None => path(word).map(Self::Stored),
        }
    }

    fn choice(&self, store: &Path) -> ModelChoice {
        match self {
            Self::Stored(name) => ModelChoice::Default(name.clone()),
            Self::Path(name, path) => ModelChoice::Folder(name.clone(), store.join(path)),
        }
    }
}

/// Reads `models`, JSON by name and version. What is passed over is added to `notes`.
pub(super) fn read(property: &Property, notes: &mut Vec<String>) -> Result<SettingsByVersion, PropertiesError> {
    let form = "a JSON object by model and version, {\"name\": {\"1.0\": {\"batchSize\": 4}}}";
    let object = |value: Value| match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(property.bad(form)),
    };
    let parsed: Value = serde_json::from_str(&property.value).map_err(|e| property.bad(format!("{form}: {e}")))?;
    let mut models = SettingsByVersion::new();
    for (name, versions) in object(parsed)? {
        for (version, fields) in object(versions)? {
            let number = version_number(&version).ok_or_else(|| {
                let named = Property {
                    key: format!("models: version of {}", plain(&name)),
                    written: version.clone(),
                    ..property.clone()
                };
                named.bad("a whole number, 3 or 3.0")
            })?;
            let at = format!("models: {} {}", plain(&name), plain(&version));
            let found = one(property, &at, object(fields)?, notes)?;
            let versions = models.entry(name.clone()).or_default();
            if found.is_default && versions.values().any(|version: &VersionSettings| version.is_default) {
                let part =
                    Property { key: format!("{at} defaultVersion"), written: true.to_string(), ..property.clone() };
                return Err(part.bad("that of one version alone"));
            }
            versions.insert(number, found);
        }
    }
    Ok(models)
}

fn one(
    property: &Property,
    at: &str,
    fields: Map<String, Value>,
    notes: &mut Vec<String>,
) -> Result<VersionSettings, PropertiesError> {
    let mut found = VersionSettings::default();
    let mut workers_max = None;
    for (field, value) in fields.into_iter().map(|(field, value)| (plain(&field), value)) {
        // A number or a switch in quotes is taken as well.
        let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let key = format!("{at} {field}");
        let part = Property { key, value: written.clone(), written, ..property.clone() };
        let size = |range: RangeInclusive<u64>| part.size(range).map(Some);
        match field.as_str() {
            "defaultVersion" => found.is_default = part.switch()?,
            "batchSize" => found.batch_size_max = size(BATCH_SIZE)?,
            "maxBatchDelay" => found.batch_delay_max = Some(part.milliseconds(DELAY_MILLISECONDS)?),
            "responseTimeout" => found.response_timeout = Some(part.seconds(RESPONSE_SECONDS)?),
            "minWorkers" => found.workers = size(WORKERS)?,
            "maxWorkers" => workers_max = size(WORKERS)?,
            "marName" => {
                notes.push(format!("{}: {at}: marName has no effect: load_models names files", property.place));
            }
            _ => notes.push(format!("{}: {at}: {field} has no effect here", property.place)),
        }
    }
    match (found.workers, workers_max) {
        (Some(min), Some(max)) if min > max => {
            let part = Property { key: format!("{at} maxWorkers"), written: max.to_string(), ..property.clone() };
            Err(part.bad(format!("at least minWorkers, {min}")))
        }
        (min, Some(max)) if min != Some(max) => {
            let why = "workers are those of minWorkers until a model is scaled";
            notes.push(format!("{}: {at}: maxWorkers has no effect: {why}", property.place));
            Ok(found)
        }
        _ => Ok(found),
    }
}
