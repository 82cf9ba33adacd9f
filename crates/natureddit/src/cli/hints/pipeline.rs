//! What to do about errors of the pipeline.

use std::error::Error;
use std::path::Path;

use natureddit_model::NotFinite;
use natureddit_model::train::TrainError;
use natureddit_pipeline::RunError;
use natureddit_pipeline::components::evaluator::UnreadableChampion;
use natureddit_pipeline::components::example_gen::{NothingCollected, NothingLabelled};
use natureddit_pipeline::components::example_validator::{InvalidExamples, UnknownEnvironment};
use natureddit_pipeline::components::tuner::NothingConverged;
use natureddit_pipeline::cross_validation::{ClassTooSmall, TooManyFolds};
use natureddit_pipeline::metadata::MetadataError;
use natureddit_pipeline::statistics::TableError;

use crate::config::{FILE_NAME, nearest_spelling};

/// The components that are in the graph or not as a setting says, and the setting that takes them in.
const OPTIONAL: &[(&str, &str)] = &[
    ("BulkInferrer", "[bulk_inferrer] enabled = true"),
    ("ImportSchema", "[schema] file = \"schema.pbtxt\""),
    ("InfraValidator", "[infra_validator] enabled = true"),
    ("SchemaGen", "[schema] file = \"\""),
    ("Tuner", "[tuner] enabled = true"),
];

/// The advice for one cause of an error, where there is some.
pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<RunError>() {
        return of_run(error);
    }
    if let Some(error) = cause.downcast_ref::<MetadataError>() {
        return of_store(error);
    }
    if cause.is::<NothingCollected>() {
        return Some("`natureddit collect` fetches posts; `natureddit dataset status` tells what is missing".into());
    }
    if let Some(UnknownEnvironment { known, .. }) = cause.downcast_ref::<UnknownEnvironment>() {
        return Some(match known.first() {
            Some(known) => format!("validator.environment = \"{known}\", or \"\" for the columns of every environment"),
            None => "validator.environment = \"\" asks for every column".to_owned(),
        });
    }
    if cause.is::<NothingLabelled>() {
        return Some(
            "`natureddit label import FILE` adds the choices of a CSV file with the columns id and choice".into(),
        );
    }
    if let Some(UnreadableChampion { dir, source }) = cause.downcast_ref::<UnreadableChampion>() {
        // A file that may not be read is no reason to give the version up.
        return super::passed_on(source).or_else(|| Some(without_champion(dir)));
    }
    if let Some(TooManyFolds { groups, .. }) = cause.downcast_ref::<TooManyFolds>() {
        return Some(format!("label more posts, or ask for at most {groups} folds (`--folds`, tuner.folds)"));
    }
    if let Some(ClassTooSmall { class, groups, .. }) = cause.downcast_ref::<ClassTooSmall>() {
        let fewer = if *groups > 2 { ", ask for fewer folds (`--folds`, tuner.folds)" } else { "" };
        return Some(format!("label more posts of {class:?}{fewer}, or take it out of project.classes"));
    }
    if let Some(TrainError::ClassMissing(class)) = cause.downcast_ref::<TrainError>() {
        return Some(format!(
            "label posts of {class:?} (`natureddit label queue` says which to look at), or take it out of project.classes"
        ));
    }
    if cause.is::<NotFinite>() || matches!(cause.downcast_ref(), Some(TrainError::NotFinite { .. })) {
        return Some("name encoders in [model] that give numbers for such posts".into());
    }
    if cause.is::<InvalidExamples>() {
        return Some("[validator] in natureddit.toml says what stops a run; with `columns`, `values` or `leakage` = \"warn\" it goes on".into());
    }
    if let Some(TableError::Cells { .. }) = cause.downcast_ref::<TableError>() {
        return Some(
            "rows are counted without the header and blank lines; cells are separated by commas, and one that holds a comma \
             or a line break stands in double quotes"
                .into(),
        );
    }
    if cause.is::<NothingConverged>() {
        return Some("lower the learning rates of trainer and tuner.search".into());
    }
    None
}

fn of_run(error: &RunError) -> Option<String> {
    match error {
        RunError::Locked(_) => Some("wait until it is done, or stop it".to_owned()),
        RunError::NothingToReuse { .. } | RunError::CannotReuse { .. } => {
            Some("`natureddit run` without --only and --from makes it".to_owned())
        }
        RunError::FailedBefore { .. } | RunError::OutOfStep { .. } => {
            Some("`natureddit run` without --only and --from runs what must come before".to_owned())
        }
        RunError::UnknownComponent { name, known } => of_unknown(name, known),
        _ => None,
    }
}

/// What was probably meant by a component that is not in the graph, and how it gets there.
fn of_unknown(name: &str, known: &[&'static str]) -> Option<String> {
    let optional = OPTIONAL.iter().map(|&(component, _)| component);
    let meant = nearest_spelling(name, known.iter().copied().chain(optional))?;
    match OPTIONAL.iter().find(|&&(component, _)| component == meant && !known.contains(&component)) {
        Some((component, setting)) => Some(format!("`{setting}` in {FILE_NAME} takes {component} into the pipeline")),
        None => Some(format!("did you mean {meant}?")),
    }
}

fn of_store(error: &MetadataError) -> Option<String> {
    let Some(path) = error.location().file() else {
        return Some(
            "check that the server is up and has this database, and what metadata.url and $NATUREDDIT_METADATA_PASSWORD \
             or $NATUREDDIT_METADATA_URL say"
                .to_owned(),
        );
    };
    if matches!(error, MetadataError::Absent(_)) {
        return None;
    }
    let path = path.display();
    if error.is_of_the_file() {
        return Some(format!(
            "move {path} and its -wal and -shm files away: the next run makes a new store and runs every component again, \
             on the features that are kept; only the lineage so far is lost"
        ));
    }
    if error.is_locked() {
        return Some(format!("another program has {path} open: close it there and run this again"));
    }
    Some(format!(
        "check that the disk has room (with a little of it `natureddit gc` makes more), and who may use {path} and its folder"
    ))
}

fn without_champion(dir: &Path) -> String {
    format!(
        "move {} out of the models folder and run `natureddit run`: the candidate is then judged beside the version before it",
        dir.display()
    )
}
