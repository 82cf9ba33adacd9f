//! What to do about errors of `natureddit dvc`.

use std::error::Error;

use natureddit_data::dvc::DvcError;
use natureddit_data::dvc::pointer::PointerError;
use natureddit_data::dvc::remote::RemoteError;

pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<DvcError>() {
        return of_dvc(error);
    }
    if let Some(error) = cause.downcast_ref::<PointerError>() {
        return of_pointer(error).map(str::to_owned);
    }
    cause.downcast_ref::<RemoteError>().and_then(of_remote).map(str::to_owned)
}

fn of_dvc(error: &DvcError) -> Option<String> {
    Some(match error {
        DvcError::NoRepository { .. } => "go into one, or make one: `natureddit dvc init`".into(),
        DvcError::IsRepository { .. } => "its settings stand in .dvc/config".into(),
        DvcError::Busy { .. } => "wait until it is done, or wait longer by dvc.lock_wait".into(),
        DvcError::NotTracked { path } => format!("natureddit dvc add {}", path.display()),
        DvcError::LeadsNowhere { .. } => {
            "if it led into the cache, `natureddit dvc fetch` and `natureddit dvc checkout` put it back; else remove it"
                .into()
        }
        DvcError::CannotAdd { path, why } if why.starts_with("git tracks") => {
            format!("git rm -r --cached {}", path.display())
        }
        DvcError::CannotAdd { why, .. } if why.starts_with("it overlaps") => "add the whole of what is tracked".into(),
        DvcError::Changing { .. } => "run the command again when nothing writes to it".into(),
        DvcError::Corrupt { place, .. } if place == "the cache" => {
            "`natureddit dvc fetch` gets it from the remote".into()
        }
        DvcError::Corrupt { id, place, .. } => {
            format!("remove {} from {place}, then push it again from a machine whose cache has it", id.path())
        }
        DvcError::Shallow { .. } => "`git fetch --unshallow` gets the others".into(),
        DvcError::InHistory { .. } => "without --all-commits it is not looked at; git can show and rewrite it".into(),
        DvcError::Missing { remote, .. } if remote.is_empty() => {
            "`natureddit dvc fetch` gets them from the remote".into()
        }
        DvcError::Missing { .. } => "push them from the machine where they were added".into(),
        DvcError::WouldLose { .. } => "`natureddit dvc add` them first, or give them up with --force".into(),
        DvcError::Stages { .. } => "`dvc gc` knows them".into(),
        DvcError::InTheWay { path } => format!("move {} away", path.display()),
        DvcError::NoLink { .. } => "add copy to cache.type in .dvc/config".into(),
        DvcError::NoRemote => "name one with --remote, or set core.remote in .dvc/config (`dvc remote add`)".into(),
        DvcError::UnknownRemote { .. } => "`dvc remote list` shows them; they stand in .dvc/config".into(),
        _ => return None,
    })
}

fn of_pointer(error: &PointerError) -> Option<&'static str> {
    match error {
        PointerError::Yaml { .. } => Some("mend it, or take it from git: `git checkout -- FILE`"),
        PointerError::Conflict { .. } => Some(
            "take one version, `git checkout --ours FILE` or `git checkout --theirs FILE`, then `natureddit dvc checkout`; of \
             datasets both: copy the data folder away before, and `natureddit dataset merge COPY` after",
        ),
        PointerError::Style { .. } => Some("write its outs one key a line, or remove it and add the data anew"),
        _ => None,
    }
}

fn of_remote(error: &RemoteError) -> Option<&'static str> {
    match error {
        RemoteError::Access { .. } => {
            Some("set user and password of the remote in .dvc/config.local, or NATUREDDIT_DVC_TOKEN")
        }
        RemoteError::Credentials { .. } => Some(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write keys into ~/.aws/credentials; of a profile without keys: \
             `aws configure export-credentials --format env`",
        ),
        _ => None,
    }
}
