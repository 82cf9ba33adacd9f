//! What to do about errors of the model store.

use std::error::Error;

use natureddit_model::{ArchiveError, ChangeError, ComposeError, HistoryError};
use natureddit_pipeline::components::infra_validator::skew::SkewError;

/// The advice for one cause of an error, where there is some.
pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(HistoryError::Line { path, line, .. }) = cause.downcast_ref::<HistoryError>() {
        let path = path.display();
        return Some(format!(
            "mend line {line} of {path}, or remove it: it says which version answered from when on. Without the whole file the \
             newest version answers"
        ));
    }
    if let Some(error) = cause.downcast_ref::<SkewError>() {
        return Some(of_skew(error).to_owned());
    }
    if let Some(error) = cause.downcast_ref::<ArchiveError>() {
        return of_archive(error).map(str::to_owned);
    }
    if let Some(ComposeError::Graph { .. }) = cause.downcast_ref::<ComposeError>() {
        return Some(
            "an encoder that comes as an ONNX file stays a file of its own: `natureddit model archive` takes the model as it is"
                .to_owned(),
        );
    }
    Some(match cause.downcast_ref::<ChangeError>()? {
        ChangeError::NothingPushed { .. } => "`natureddit run` trains, judges and pushes one".to_owned(),
        ChangeError::NoVersion { known, .. } => format!("there is {}", list(known)),
        ChangeError::NothingBefore { .. } => {
            "`natureddit model list` shows the versions, `natureddit model promote VERSION` chooses any of them"
                .to_owned()
        }
        ChangeError::NeverDefault { version, before, .. } if before.is_empty() => {
            format!("no version was; `natureddit model promote {version}` chooses it all the same")
        }
        ChangeError::NeverDefault { version, before, .. } => {
            let before = list(before);
            format!("there is {before}; `natureddit model promote {version}` chooses it all the same")
        }
        ChangeError::Damaged { .. } => {
            "nothing was changed; choose another version: `natureddit model list` shows them".to_owned()
        }
        // The error that it passes on has its own.
        ChangeError::History(_) => return None,
    })
}

fn of_archive(error: &ArchiveError) -> Option<&'static str> {
    match error {
        ArchiveError::ForeignCode { .. } => Some(
            "`natureddit model archive` makes an archive of a model that this program trained; to serve this one, keep TorchServe",
        ),
        ArchiveError::Zip { .. }
        | ArchiveError::Refused { .. }
        | ArchiveError::Manifest { .. }
        | ArchiveError::Bundle { .. } => Some("`natureddit model archive` makes one from a version that was pushed"),
        // The error that it passes on has its own.
        ArchiveError::File(_) => None,
    }
}

fn of_skew(error: &SkewError) -> &'static str {
    match error {
        SkewError::NoRow { .. } => "`natureddit dataset validate` says which photos are not there as they were",
        SkewError::Server { .. } => {
            "is `natureddit serve` running there, with this certificate? Without --url one is started"
        }
        SkewError::Refused { status: 401 | 403, .. } => {
            "it asks for a key, and none is sent: ask it where this machine alone reaches it, or leave out --url"
        }
        SkewError::Refused { status: 404 | 405, .. } => {
            "does it serve this model and this version? --model NAME/VERSION names another; without --url a server is started"
        }
        SkewError::Refused { .. } => "--url takes the address as the server has it: https:// where it speaks HTTPS",
    }
}

fn list(versions: &[u64]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
