//! The steps by which a run comes to the server. Each finds out first whether it was done: by what was written down after
//! it, and where that could be lost, by asking the server.

use natureddit_net::NetError;

use super::Mlflow;
use super::batch::batches;
use super::client::{MlflowError, Repeat};
use super::mlmodel;
use super::wire::{
    CreateExperiment, CreateModelVersion, CreateRegisteredModel, CreateRun, CreatedExperiment, CreatedModelVersion,
    CreatedRun, Empty, FoundExperiment, FoundModelVersions, FoundRuns, ModelVersion, NamedVersion, Pair, Run, RunId,
    SearchRuns, SetAlias, UpdateRun,
};
use crate::tracking::TrackingConfig;
use crate::tracking::local::{LocalError, StoredRun};
use crate::tracking::outbox::Sending;
use crate::tracking::run::{Registration, RunStatus, TrackedModel};

/// The tag by which a run of ours is found again.
const ID_TAG: &str = "natureddit.run_id";
/// More runs of one id than a server can be made to hold.
const DOUBLES_MAX: u32 = 100;

/// A run on its way.
struct Errand<'a> {
    server: &'a Mlflow,
    config: &'a TrackingConfig,
    stored: &'a StoredRun,
    /// Whether no later run has a version of its model there.
    is_newest: bool,
    sending: Sending,
}

impl Mlflow {
    /// Sends what the server does not have of a run. Where it is not the newest with a model, the alias stays where it is.
    pub(crate) async fn send(
        &self,
        stored: &StoredRun,
        config: &TrackingConfig,
        is_newest: bool,
    ) -> Result<(), MlflowError> {
        let mut sending = stored.sending.clone().unwrap_or_default();
        let address = Some(self.address());
        if sending.server != address {
            // What another server has is nothing here.
            sending = Sending { server: address, ..Sending::default() };
        }
        sending.refused = None;
        let fresh = Sending { server: sending.server.clone(), ..Sending::default() };
        let is_fresh = sending == fresh;
        match self.send_rest(stored, config, is_newest, sending).await {
            // What was there has been wiped out: the run goes once more.
            Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") && !is_fresh => {
                self.send_rest(stored, config, is_newest, fresh).await
            }
            done => done,
        }
    }

    async fn send_rest(
        &self,
        stored: &StoredRun,
        config: &TrackingConfig,
        is_newest: bool,
        sending: Sending,
    ) -> Result<(), MlflowError> {
        let mut errand = Errand { server: self, config, stored, is_newest, sending };
        let experiment_id = errand.experiment().await?;
        let run_id = errand.run(&experiment_id).await?;
        errand.log(&run_id).await?;
        errand.artifacts().await?;
        if let Some(model) = &stored.run.model {
            errand.model(model, &run_id).await?;
        }
        errand.end(&experiment_id, &run_id).await
    }
}

impl Errand<'_> {
    fn save(&self) -> Result<(), LocalError> {
        self.stored.write_sending(&self.sending)
    }

    /// The experiment of the run, made where there is none.
    async fn experiment(&mut self) -> Result<String, MlflowError> {
        if let Some(id) = &self.sending.experiment_id {
            return Ok(id.clone());
        }
        let name = &self.stored.run.experiment;
        let id = match self.find_experiment(name).await? {
            Some(id) => id,
            None => {
                let create = CreateExperiment { name };
                match self.server.post::<CreatedExperiment>("experiments/create", &create, Repeat::May).await {
                    Ok(created) => created.experiment_id,
                    // Somebody else was faster, or it was made and the answer was lost.
                    Err(error) if error.is("RESOURCE_ALREADY_EXISTS") => {
                        self.find_experiment(name).await?.ok_or(error)?
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        self.sending.experiment_id = Some(id.clone());
        self.save()?;
        Ok(id)
    }

    async fn find_experiment(&self, name: &str) -> Result<Option<String>, MlflowError> {
        let found = self.server.get("experiments/get-by-name", &[("experiment_name", name)]).await;
        match found {
            Ok(FoundExperiment { experiment }) if experiment.lifecycle_stage == "deleted" => {
                Err(MlflowError::ExperimentDeleted { name: name.to_owned() })
            }
            Ok(FoundExperiment { experiment }) => Ok(Some(experiment.experiment_id)),
            Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The run, made where there is none.
    async fn run(&mut self, experiment_id: &str) -> Result<String, MlflowError> {
        if let Some(id) = &self.sending.run_id {
            return Ok(id.clone());
        }
        let run = match self.find_runs(experiment_id).await?.into_iter().next() {
            Some(run) => run,
            None => {
                let run = &self.stored.run;
                let tags = vec![Pair { key: ID_TAG, value: &run.id }];
                let create = CreateRun { experiment_id, start_time: run.started_ms, run_name: &run.name, tags };
                // If the answer is lost, the next attempt finds it.
                self.server.post::<CreatedRun>("runs/create", &create, Repeat::MustNot).await?.run
            }
        };
        let id = run.info.run_id;
        self.sending.artifact_root = Some(artifact_root(&run.info.artifact_uri).unwrap_or_default().to_owned());
        if self.sending.artifact_root.as_deref() == Some("") {
            self.sending.left_out.push("the files and the model: the server has no artifact proxy".to_owned());
        }
        self.sending.run_id = Some(id.clone());
        self.save()?;
        Ok(id)
    }

    /// The runs there with this id of ours, in an order that does not change.
    async fn find_runs(&self, experiment_id: &str) -> Result<Vec<Run>, MlflowError> {
        let search = SearchRuns {
            experiment_ids: [experiment_id],
            filter: format!("tags.`{ID_TAG}` = '{}'", self.stored.run.id),
            run_view_type: "ACTIVE_ONLY",
            max_results: DOUBLES_MAX,
        };
        let mut runs = self.server.post::<FoundRuns>("runs/search", &search, Repeat::May).await?.runs;
        runs.sort_by(|a, b| a.info.run_id.cmp(&b.info.run_id));
        Ok(runs)
    }

    /// Params, tags and metrics; to log the same again changes nothing.
    async fn log(&mut self, run_id: &str) -> Result<(), MlflowError> {
        for batch in batches(&self.stored.run, run_id).iter().skip(self.sending.batches) {
            self.server.post::<Empty>("runs/log-batch", batch, Repeat::May).await?;
            self.sending.batches += 1;
            self.save()?;
        }
        Ok(())
    }

    /// Where the files of the run go; `None` where the server takes none.
    fn artifact_root(&self) -> Option<String> {
        self.sending.artifact_root.clone().filter(|root| !root.is_empty())
    }

    async fn artifacts(&mut self) -> Result<(), MlflowError> {
        let Some(root) = self.artifact_root() else { return Ok(()) };
        for name in self.stored.run.artifacts.iter().skip(self.sending.artifacts) {
            match self.server.upload(&format!("{root}/{name}"), &self.stored.artifact(name)).await {
                // Somebody has removed it.
                Err(MlflowError::Net(NetError::File(error))) if error.is_not_found() => {
                    self.sending.left_out.push(format!("{name}: it is gone"));
                }
                done => done?,
            }
            self.sending.artifacts += 1;
            self.save()?;
        }
        Ok(())
    }

    async fn model(&mut self, model: &TrackedModel, run_id: &str) -> Result<(), MlflowError> {
        let Some(root) = self.artifact_root() else { return Ok(()) };
        if self.sending.model_version.is_some() && model.registration.is_some() {
            return Ok(());
        }
        let Some(files) = self.compose(model, run_id).await? else { return Ok(()) };
        for name in files.iter().skip(self.sending.model_files) {
            let path = format!("{root}/{}/{name}", mlmodel::FOLDER);
            self.server.upload(&path, &self.stored.composed().join(name)).await?;
            self.sending.model_files += 1;
            self.save()?;
        }
        match &model.registration {
            Some(registration) => self.register(registration, run_id).await,
            None => Ok(()),
        }
    }

    /// Makes the model's files; `None`, once and for all, where there is no such model any more.
    async fn compose(&mut self, model: &TrackedModel, run_id: &str) -> Result<Option<Vec<&'static str>>, MlflowError> {
        let kept = self.stored.bundle();
        let bundle = if kept.is_dir() { kept } else { self.config.project_dir.join(&model.bundle) };
        let (dir, run) = (self.stored.composed(), self.stored.run.clone());
        let (sha256, run_id) = (model.manifest_sha256, run_id.to_owned());
        let work = move || mlmodel::write(&dir, &bundle, sha256, &run, &run_id);
        let written = tokio::task::spawn_blocking(work).await;
        // The task neither panics nor is it cancelled, unless the program ends.
        match written.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic())) {
            Ok(files) => Ok(Some(files)),
            Err(error) => {
                // What may be otherwise the next time is no reason to leave the model out for good.
                let error = match error.of_disk() {
                    Ok(error) => return Err(LocalError::from(error).into()),
                    Err(error) => error,
                };
                self.sending.left_out.push(format!("the model: {error}"));
                self.save()?;
                Ok(None)
            }
        }
    }

    /// The version of the registered model, made where there is none, and the name it is called by.
    async fn register(&mut self, registration: &Registration, run_id: &str) -> Result<(), MlflowError> {
        let Registration { name, pushed_version, alias } = registration;
        let create = CreateRegisteredModel { name };
        match self.server.post::<serde_json::Value>("registered-models/create", &create, Repeat::May).await {
            Err(error) if !error.is("RESOURCE_ALREADY_EXISTS") => return Err(error),
            _ => {}
        }
        let version = match self.find_versions(name, run_id).await?.into_iter().next() {
            Some(found) => found.version,
            None => {
                let pushed = pushed_version.to_string();
                let tags = vec![Pair { key: "natureddit.version", value: &pushed }];
                let source = format!("runs:/{run_id}/{}", mlmodel::FOLDER);
                let create = CreateModelVersion { name, source, run_id, tags };
                let created =
                    self.server.post::<CreatedModelVersion>("model-versions/create", &create, Repeat::MustNot).await?;
                created.model_version.version
            }
        };
        for double in self.find_versions(name, run_id).await?.iter().filter(|double| double.version != version) {
            let double = NamedVersion { name, version: &double.version };
            self.server.delete("model-versions/delete", &double).await?;
        }
        if self.is_newest {
            self.call(name, alias, &version).await?;
        }
        self.sending.model_version = Some(version);
        Ok(self.save()?)
    }

    async fn call(&mut self, name: &str, alias: &str, version: &str) -> Result<(), MlflowError> {
        let set = SetAlias { name, alias, version };
        match self.server.post::<Empty>("registered-models/alias", &set, Repeat::May).await {
            // Servers before MLflow 2.3 know none.
            Err(error) if error.is_not_found() && !error.is("RESOURCE_DOES_NOT_EXIST") => {
                self.sending.left_out.push(format!("the alias {alias}: the server knows no aliases"));
                Ok(())
            }
            done => done.map(|_| ()),
        }
    }

    /// The versions of a registered model that this run made, oldest first.
    async fn find_versions(&self, name: &str, run_id: &str) -> Result<Vec<ModelVersion>, MlflowError> {
        let filter = format!("name='{name}' and run_id='{run_id}'");
        let found: FoundModelVersions = self.server.get("model-versions/search", &[("filter", &filter)]).await?;
        let mut versions = found.model_versions;
        versions.retain(|version| version.name == name && version.run_id == run_id);
        versions.sort_by_key(|version| version.version.parse().unwrap_or(u64::MAX));
        Ok(versions)
    }

    /// Says how the run ended, and removes what came of a request whose answer was lost.
    async fn end(&mut self, experiment_id: &str, run_id: &str) -> Result<(), MlflowError> {
        for double in self.find_runs(experiment_id).await?.iter().filter(|run| run.info.run_id != run_id) {
            let double = RunId { run_id: &double.info.run_id };
            self.server.post::<Empty>("runs/delete", &double, Repeat::May).await?;
        }
        let status = match self.stored.run.status {
            RunStatus::Finished => "FINISHED",
            RunStatus::Failed => "FAILED",
            RunStatus::Killed => "KILLED",
        };
        let update = UpdateRun { run_id, status, end_time: self.stored.run.ended_ms };
        self.server.post::<serde_json::Value>("runs/update", &update, Repeat::May).await?;
        self.sending.is_done = true;
        Ok(self.save()?)
    }
}

/// The path below the proxy of a run's files: `1/<run>/artifacts` of `mlflow-artifacts:/1/<run>/artifacts`. `None` where they
/// are kept where only the server, or whoever has its keys, can write.
fn artifact_root(uri: &str) -> Option<&str> {
    let path = uri.strip_prefix("mlflow-artifacts:")?;
    let path = match path.strip_prefix("//") {
        Some(rest) => rest.split_once('/')?.1,
        None => path,
    };
    Some(path.trim_matches('/')).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_through_the_proxy_or_nowhere() {
        assert_eq!(artifact_root("mlflow-artifacts:/1/ab/artifacts"), Some("1/ab/artifacts"));
        assert_eq!(artifact_root("mlflow-artifacts://host:5000/1/ab/artifacts"), Some("1/ab/artifacts"));
        for uri in ["s3://bucket/1/ab", "file:///srv/mlruns/1", "/srv/mlruns/1", "", "mlflow-artifacts:/"] {
            assert_eq!(artifact_root(uri), None, "{uri}");
        }
    }
}
