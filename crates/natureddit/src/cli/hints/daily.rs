//! What to do about errors of the daily update and of git.

use std::error::Error;

use natureddit_data::daily::DailyError;
use natureddit_data::git::GitError;

pub(super) fn of(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<DailyError>() {
        return of_daily(error);
    }
    cause.downcast_ref::<GitError>().and_then(of_git)
}

fn of_daily(error: &DailyError) -> Option<String> {
    Some(match error {
        DailyError::NotDone { task, date } => format!("natureddit task {} --date {date}", task.name()),
        DailyError::BothChanged { .. } => {
            "copy the data folder away, take the other version (`git pull`, `natureddit dvc pull --force`), then put the two \
             together: `natureddit dataset merge COPY`"
                .into()
        }
        DailyError::Unrecorded { .. } => {
            "look whether it is whole (`natureddit dataset validate`); the next `natureddit collect` records it as it is".into()
        }
        DailyError::Photo { .. } => "remove it, and run obtain_posts of the day again".into(),
        DailyError::Report { path, .. } => format!("remove {} and run the task again", path.display()),
        _ => return None,
    })
}

fn of_git(error: &GitError) -> Option<String> {
    Some(match error {
        GitError::Diverged { .. } => "bring them together (`git pull --rebase`), then run it again".into(),
        GitError::Conflict { .. } => {
            "another machine changed the dataset too, and the commit here was left as it is: copy the data folder away, take \
             the other version (`git reset --keep @{u}`, `natureddit dvc pull`), then `natureddit dataset merge COPY` and run \
             it again"
                .into()
        }
        GitError::NeverLast { .. } => "run it again".into(),
        GitError::Failed { what, why } if what == "commit" && why.contains("tell me who you are") => {
            "git config user.name and user.email say who commits".into()
        }
        GitError::Failed { what, why } if what == "rebase" && why.contains("unstaged changes") => {
            "commit or stash your changes of other files, then run it again".into()
        }
        GitError::Failed { what, why } if what == "push" && (why.contains("hook") || why.contains("rejected")) => {
            "a hook or the remote's own rules refuse it: `git push` by hand says more".into()
        }
        GitError::Failed { what, .. } if what == "commit" => {
            "a hook may refuse it: `git commit` by hand says more; then run it again".into()
        }
        GitError::Failed { what, .. } if what == "fetch" || what == "push" => {
            "try `git fetch` by hand: whoever runs this needs the same access".into()
        }
        GitError::Failed { .. } => return None,
    })
}
