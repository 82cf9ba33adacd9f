//! The errors that only pass another one on.

use std::error::Error;

use natureddit_data::daily::DailyError;
use natureddit_data::dvc::DvcError;
use natureddit_data::dvc::pointer::PointerError;
use natureddit_data::dvc::remote::RemoteError;
use natureddit_data::{CollectError, DatasetError, TableError};
use natureddit_model::{
    ArchiveError, BundleError, ChangeError, ComposeError, ExplainError, HistoryError, ModelError, QuantizeError,
    RuntimeError, WeightsError,
};
use natureddit_pipeline::RunError;
use natureddit_pipeline::examples::{ExamplesError, TfRecordError};
use natureddit_pipeline::schema::SchemaError;
use natureddit_pipeline::tracking::local::LocalError;
use natureddit_serve::config_properties::PropertiesError;
use natureddit_serve::{LoadError, StoreError};

/// The error that `error` passes on. The chain of causes has it not: the source of a transparent error is that of the
/// one inside.
pub(super) fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    of_the_pipeline(error)
        .or_else(|| of_tracking(error))
        .or_else(|| of_a_model(error))
        .or_else(|| of_the_model_store(error))
        .or_else(|| of_the_dataset(error))
        .or_else(|| of_the_server(error))
        .or_else(|| of_dvc(error))
        .or_else(|| of_daily(error))
}

fn of_the_pipeline<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<RunError>() {
        Some(RunError::Metadata(inner)) => return Some(inner),
        Some(RunError::Fs(inner)) => return Some(inner),
        _ => {}
    }
    if let Some(SchemaError::Fs(inner)) = error.downcast_ref::<SchemaError>() {
        return Some(inner);
    }
    match (error.downcast_ref::<ExamplesError>(), error.downcast_ref::<TfRecordError>()) {
        (Some(ExamplesError::Fs(inner)), _) | (_, Some(TfRecordError::Fs(inner))) => Some(inner),
        (Some(ExamplesError::Records(inner)), _) => Some(inner),
        _ => None,
    }
}

fn of_tracking<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match (error.downcast_ref::<LocalError>(), error.downcast_ref::<ComposeError>()) {
        (Some(LocalError::Fs(inner)), _) => Some(inner),
        (_, Some(ComposeError::Bundle(inner))) => Some(inner),
        _ => None,
    }
}

fn of_a_model<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<ExplainError>() {
        Some(ExplainError::Input(inner)) => return Some(inner),
        Some(ExplainError::Model(inner)) => return Some(inner),
        None => {}
    }
    match error.downcast_ref::<ModelError>() {
        Some(ModelError::Bundle(inner)) => return Some(inner),
        Some(ModelError::Archive(inner)) => return Some(&**inner),
        Some(ModelError::Weights(inner)) => return Some(inner),
        Some(ModelError::Tokenizer(inner)) => return Some(inner),
        Some(ModelError::Runtime(inner)) => return Some(inner),
        Some(ModelError::Quantize(inner)) => return Some(inner),
        Some(ModelError::NotFinite(inner)) => return Some(inner),
        None => {}
    }
    match error.downcast_ref::<QuantizeError>() {
        Some(QuantizeError::Weights(inner)) => return Some(inner),
        Some(QuantizeError::Runtime(inner)) => return Some(inner),
        _ => {}
    }
    match error.downcast_ref::<BundleError>() {
        Some(BundleError::File(inner)) => return Some(inner),
        Some(BundleError::Weights(inner)) => return Some(inner),
        _ => {}
    }
    if let Some(ArchiveError::File(inner)) = error.downcast_ref::<ArchiveError>() {
        return Some(inner);
    }
    match (error.downcast_ref::<WeightsError>(), error.downcast_ref::<RuntimeError>()) {
        (Some(WeightsError::File(inner)), _) | (_, Some(RuntimeError::File(inner))) => Some(inner),
        _ => None,
    }
}

fn of_the_model_store<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match (error.downcast_ref::<ChangeError>(), error.downcast_ref::<HistoryError>()) {
        (Some(ChangeError::History(inner)), _) => Some(inner),
        (_, Some(HistoryError::File(inner))) => Some(inner),
        _ => None,
    }
}

fn of_the_dataset<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<CollectError>() {
        Some(CollectError::Dataset(inner)) => return Some(inner),
        Some(CollectError::Fs(inner)) => return Some(inner),
        _ => {}
    }
    match error.downcast_ref::<DatasetError>() {
        Some(DatasetError::Table(inner)) => return Some(inner),
        Some(DatasetError::Fs(inner)) => return Some(inner),
        _ => {}
    }
    match error.downcast_ref::<TableError>() {
        Some(TableError::Fs(inner)) => Some(inner),
        _ => None,
    }
}

fn of_dvc<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<DvcError>() {
        Some(DvcError::Git(inner)) => return Some(inner),
        Some(DvcError::Pointer(inner)) => return Some(inner),
        Some(DvcError::Config(inner)) => return Some(inner),
        Some(DvcError::Remote(inner)) => return Some(inner),
        Some(DvcError::Fs(inner)) => return Some(inner),
        _ => {}
    }
    match (error.downcast_ref::<RemoteError>(), error.downcast_ref::<PointerError>()) {
        (Some(RemoteError::Net(inner)), _) => Some(inner),
        (Some(RemoteError::Fs(inner)), _) | (_, Some(PointerError::Fs(inner))) => Some(inner),
        _ => None,
    }
}

fn of_daily<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<DailyError>() {
        Some(DailyError::Dataset(inner)) => Some(inner),
        Some(DailyError::Dvc(inner)) => Some(inner),
        Some(DailyError::Git(inner)) => Some(inner),
        Some(DailyError::Fs(inner)) => Some(inner),
        _ => None,
    }
}

fn of_the_server<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(PropertiesError::File(inner)) = error.downcast_ref::<PropertiesError>() {
        return Some(inner);
    }
    match (error.downcast_ref::<LoadError>(), error.downcast_ref::<StoreError>()) {
        (Some(LoadError::Store(inner)), _) => Some(inner),
        (_, Some(StoreError::File(inner))) => Some(inner),
        (_, Some(StoreError::History(inner))) => Some(inner),
        (_, Some(StoreError::Archive(inner))) => Some(inner),
        _ => None,
    }
}
