//! `natureddit model show`: one version, its figures, where it comes from and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use natureddit_model::{EncoderRecord, Manifest, ModelVersions, VersionChange};
use serde::Serialize;
use serde_json::{Map, Value};

use super::list::ChangeLine;
use super::{ModelReference, bundle_of, card};
use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::cli::words::{printable, size};

#[derive(Serialize)]
struct Shown {
    version: u64,
    /// Whether it answers where no version is asked for.
    default: bool,
    /// What was measured of it before it was pushed.
    metrics: BTreeMap<String, f64>,
    /// How it came to answer and how it ceased to, the oldest first.
    changes: Vec<VersionChange>,
    /// What people must know of it, where it has a model card.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_card: Option<PathBuf>,
    #[serde(skip)]
    manifest: Manifest,
    /// The manifest, but that settings in its lineage are JSON and no text that holds some.
    #[serde(flatten)]
    described: Map<String, Value>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, default, metrics, changes, model_card, manifest, described } = self;
        let Manifest { name, classes, image_encoder, text_encoder, producer, files, .. } = manifest;
        writeln!(f, "{name} {version}: {classes}")?;
        if *default {
            writeln!(f, "answers where no version is asked for")?;
        }
        for (metric, value) in metrics {
            writeln!(f, "{metric}: {}", (value * 1e4).round() / 1e4)?;
        }
        writeln!(f, "written by {producer}")?;
        if let Some(card) = model_card {
            writeln!(f, "model card: {}", card.display())?;
        }
        for (kind, encoder) in [("photo", image_encoder), ("title", text_encoder)] {
            let EncoderRecord { name, precision, features, licence, .. } = encoder;
            writeln!(f, "{kind}: {name} in {precision}, {features} features, {licence}")?;
        }
        writeln!(f, "\nmade from")?;
        for (key, value) in described.get("lineage").and_then(Value::as_object).into_iter().flatten() {
            write_lineage(f, key, value, 1)?;
        }
        writeln!(f, "\nfiles")?;
        files
            .iter()
            .try_for_each(|(file, record)| writeln!(f, "  {file:20}  {:>11}  {}", size(record.bytes), record.sha256))?;
        if !changes.is_empty() {
            writeln!(f, "\nchanges (UTC)")?;
        }
        changes.iter().try_for_each(|change| writeln!(f, "  {}", ChangeLine(change)))
    }
}

/// `trainer:` and its settings below, a line each.
fn write_lineage(f: &mut fmt::Formatter<'_>, key: &str, value: &Value, depth: usize) -> fmt::Result {
    let indent = depth * 2;
    match value {
        Value::Object(map) => {
            writeln!(f, "{:indent$}{key}", "")?;
            map.iter().try_for_each(|(key, value)| write_lineage(f, key, value, depth + 1))
        }
        Value::String(text) => writeln!(f, "{:indent$}{key}: {}", "", printable(text)),
        other => writeln!(f, "{:indent$}{key}: {other}", ""),
    }
}

pub(super) fn run(model: Option<&ModelReference>, session: &Session) -> Result<(), CliError> {
    let config = session.config()?;
    let project = ModelReference::of_project();
    let model = model.unwrap_or(&project);
    let versions = ModelVersions::read(&model.folder(&config))?;
    let (version, bundle) = bundle_of(&versions, model.name(&config), model.version)?;
    let changes =
        versions.changes().iter().filter(|change| change.version == version || change.before == Some(version));
    let shown = Shown {
        version,
        default: versions.default_version().is_some_and(|(default, _)| default == version),
        metrics: versions.push_of(version).map(|push| push.metrics.clone()).unwrap_or_default(),
        changes: changes.cloned().collect(),
        model_card: card::of(bundle.dir()),
        described: described(&bundle.manifest)?,
        manifest: bundle.manifest,
    };
    Ok(session.output.result(&shown)?)
}

fn described(manifest: &Manifest) -> anyhow::Result<Map<String, Value>> {
    let mut described = serde_json::to_value(manifest)?;
    for value in described["lineage"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        let object = value.as_str().and_then(|text| serde_json::from_str(text).ok()).filter(Value::is_object);
        if let Some(object) = object {
            *value = object;
        }
    }
    match described {
        Value::Object(map) => Ok(map),
        other => anyhow::bail!("the manifest is {other} and no object"),
    }
}
