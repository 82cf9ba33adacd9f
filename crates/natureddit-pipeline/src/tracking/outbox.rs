//! What is still to be sent: runs in order, each once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracking;
use super::local::{DamagedRun, LocalError, StoredRun};
use super::mlflow::{Mlflow, MlflowError};
use super::run::TrackedRun;

/// How far a run was sent: each field is written down after the step that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sending {
    /// The server it went to.
    pub server: Option<String>,
    /// The experiment there.
    pub experiment_id: Option<String>,
    /// The run there.
    pub run_id: Option<String>,
    /// Where the server keeps its files; empty where it takes none from us.
    pub artifact_root: Option<String>,
    /// How many batches of params, tags and metrics are there.
    pub batches: usize,
    /// How many files are there.
    pub artifacts: usize,
    /// How many of the model's files are there.
    pub model_files: usize,
    /// The version of the registered model.
    pub model_version: Option<String>,
    /// What could not be sent because it is no longer here, or the server does not take it.
    pub left_out: Vec<String>,
    /// Why the server refused the run.
    pub refused: Option<String>,
    /// Whether all of it is there.
    pub is_done: bool,
}

/// Which runs are to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that were made since a server was named, and that it did not refuse.
    Waiting,
    /// Also those that it refused.
    Again,
    /// Also those that were made before.
    All,
}

/// What came of sending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Runs that are there now, by their ids here.
    pub sent: Vec<String>,
    /// Runs that the server refused, and why.
    pub refused: Vec<(String, String)>,
    /// What of them could not be sent, or the server does not take.
    pub left_out: Vec<(String, String)>,
    /// Runs of which nobody can tell whether they are to be sent, or what.
    pub damaged: Vec<DamagedRun>,
    /// How many runs are still to be sent.
    pub waiting: usize,
    /// Why they are.
    pub problem: Option<String>,
    /// Whether the server wants to know who asks, or refuses who does.
    pub is_unauthorized: bool,
}

impl Tracking {
    /// Sends runs, oldest first, until one cannot be sent now, or for as long as is allowed. What was sent of one by then
    /// stays, and the rest goes the next time.
    ///
    /// # Errors
    /// When the local store cannot be read or written. That the server cannot be reached is told in the answer.
    pub async fn send(&self, which: Which, time_max: Option<Duration>) -> Result<Sent, LocalError> {
        let mut sent = Sent::default();
        let Some(server) = &self.server else { return Ok(sent) };
        let Some(_lock) = self.store.lock_sending()? else {
            sent.problem = Some("another process is sending".to_owned());
            sent.waiting = self.to_send(which, server)?.0.len();
            return Ok(sent);
        };
        let (runs, damaged) = self.to_send(which, server)?;
        sent.damaged = damaged;
        match time_max {
            None => self.send_runs(server, &runs, &mut sent).await?,
            Some(time_max) => match tokio::time::timeout(time_max, self.send_runs(server, &runs, &mut sent)).await {
                Ok(done) => done?,
                Err(_) => sent.problem = Some(format!("sending took longer than {} s", time_max.as_secs_f32())),
            },
        }
        sent.waiting = runs.len() - sent.sent.len() - sent.refused.len();
        Ok(sent)
    }

    /// The runs that are to be sent, oldest first, and those of which that cannot be told.
    fn to_send(&self, which: Which, server: &Mlflow) -> Result<(Vec<StoredRun>, Vec<DamagedRun>), LocalError> {
        let address = server.address();
        let is_wanted = |sending: Option<Sending>| match sending {
            None => which == Which::All,
            Some(sending) if sending.is_done => false,
            // Another server has not said anything of it yet.
            Some(Sending { refused: Some(_), server, .. }) => {
                which != Which::Waiting || server != Some(address.clone())
            }
            Some(_) => true,
        };
        let (mut runs, mut damaged) = (Vec::new(), Vec::new());
        for id in self.store.ids()? {
            // There may be thousands, nearly all of which were sent. A damaged one does not keep the others back.
            if !self.store.sending(&id).is_ok_and(|sending| !is_wanted(sending)) {
                match self.store.read(&id) {
                    Ok(run) => runs.push(run),
                    Err(_) => damaged.extend(self.store.damage(&id)),
                }
            }
        }
        Ok((runs, damaged))
    }

    /// Whether a later run has made a version of the same registered model on this server: the alias stays there.
    fn has_newer_version(&self, run: &TrackedRun, server: &Mlflow) -> Result<bool, LocalError> {
        let registered = |run: &TrackedRun| Some(run.model.as_ref()?.registration.as_ref()?.name.clone());
        let Some(name) = registered(run) else { return Ok(false) };
        let address = Some(server.address());
        for id in self.store.ids()?.into_iter().filter(|id| *id > run.id) {
            let made = |sending: Sending| sending.model_version.is_some() && sending.server == address;
            if self.store.sending(&id).is_ok_and(|sending| sending.is_some_and(made))
                && self.store.read(&id).is_ok_and(|later| registered(&later.run).as_ref() == Some(&name))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn send_runs(&self, server: &Mlflow, runs: &[StoredRun], sent: &mut Sent) -> Result<(), LocalError> {
        for stored in runs {
            let is_newest = !self.has_newer_version(&stored.run, server)?;
            match server.send(stored, &self.config, is_newest).await {
                Ok(()) => {
                    let id = &stored.run.id;
                    let left_out = self.store.sending(id)?.unwrap_or_default().left_out;
                    sent.left_out.extend(left_out.into_iter().map(|what| (id.clone(), what)));
                    sent.sent.push(id.clone());
                }
                Err(MlflowError::Store(error)) => return Err(error),
                Err(error) if error.is_final() => {
                    let mut sending = self.store.read(&stored.run.id)?.sending.unwrap_or_default();
                    let reason = told(&error);
                    sending.refused = Some(reason.clone());
                    stored.write_sending(&sending)?;
                    sent.refused.push((stored.run.id.clone(), reason));
                }
                Err(error) => {
                    sent.is_unauthorized = error.is_unauthorized();
                    sent.problem = Some(told(&error));
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The error and its first cause, on one line.
fn told(error: &MlflowError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let (message, first) = (error.to_string(), cause.to_string());
    if message.contains(&first) { message } else { format!("{message}: {first}") }
}
