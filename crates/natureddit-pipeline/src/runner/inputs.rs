//! What a component is about to be run with: its inputs, looked up and hashed, and the cache key they give.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use natureddit_core::ContentHash;

use super::RunError;
use super::session::Session;
use crate::cache::{Fingerprint, cache_key};
use crate::component::{ComponentSpec, ExecutionIo, InputFolder, Port};
use crate::graph::{External, ExternalInput, Input, Node, Resolution};
use crate::metadata::{ArtifactRecord, StoredArtifact};

/// A component that is about to be run or found in the cache.
pub(super) struct Task<'a> {
    pub(super) node: &'a Node,
    pub(super) spec: &'static ComponentSpec,
    pub(super) inputs: Vec<TaskInput>,
    pub(super) fingerprint: Fingerprint,
    pub(super) cache_key: ContentHash,
    pub(super) started: Timestamp,
    pub(super) began: Instant,
}

/// An input: what the component is given and what is written down of it.
pub(super) struct TaskInput {
    pub(super) key: &'static str,
    pub(super) folder: InputFolder,
    pub(super) record: ArtifactRecord,
}

impl Task<'_> {
    /// The inputs as the component sees them, without outputs yet.
    pub(super) fn io(&self) -> ExecutionIo {
        let inputs = self.inputs.iter().map(|input| (input.key, input.folder.clone())).collect();
        ExecutionIo { inputs, outputs: BTreeMap::new() }
    }
}

impl Session<'_> {
    /// Looks up the inputs and makes the cache key.
    pub(super) fn task<'n>(&mut self, node: &'n Node) -> Result<Task<'n>, RunError> {
        let (started, began) = (self.runner.clock.now(), Instant::now());
        let spec = node.spec();
        let mut inputs = self.channel_inputs(node)?;
        let externals = self.external_inputs(node, &inputs)?;
        inputs.extend(externals);
        let hashes: Vec<_> = inputs.iter().map(|input| (input.key, input.folder.hash)).collect();
        let fingerprint = Fingerprint {
            version: spec.version,
            exec_properties: node.component.exec_properties(),
            inputs: hashes.iter().map(|&(key, hash)| (key.to_owned(), hash)).collect(),
        };
        let cache_key = cache_key(spec, &fingerprint.exec_properties, &hashes);
        Ok(Task { node, spec, inputs, fingerprint, cache_key, started, began })
    }

    fn channel_inputs(&mut self, node: &Node) -> Result<Vec<TaskInput>, RunError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (key, from) in &node.inputs {
            let Input::Channel { component: from, key: output } = from else { continue };
            let stored = self.channel(node.spec().id, from, output)?;
            let folder = InputFolder { path: self.runner.layout.path(&stored.uri), hash: stored.hash };
            inputs.push(TaskInput { key, folder, record: ArtifactRecord::Known(stored) });
        }
        Ok(inputs)
    }

    /// External inputs come after channels, so that what looks them up can compare with those.
    fn external_inputs(&mut self, node: &Node, channels: &[TaskInput]) -> Result<Vec<TaskInput>, RunError> {
        let component = node.spec().id;
        let channels: BTreeMap<_, _> = channels.iter().map(|input| (input.key, input.folder.clone())).collect();
        let mut inputs = Vec::new();
        for (key, from) in &node.inputs {
            let (Input::External(external), Some(port)) = (from, node.port(key)) else { continue };
            let mut look = Resolution { inputs: &channels, states: &mut self.states };
            match (external.find)(&mut look).map_err(|source| RunError::Resolve { component, key, source })? {
                Some(found) => {
                    let record = self.external_record(external, port, &found)?;
                    let folder = InputFolder { path: found.path, hash: found.hash };
                    inputs.push(TaskInput { key, folder, record });
                }
                None if port.optional => {}
                None => return Err(RunError::InputAbsent { component, key }),
            }
        }
        Ok(inputs)
    }

    fn external_record(
        &mut self,
        external: &ExternalInput,
        port: &Port,
        found: &External,
    ) -> Result<ArtifactRecord, RunError> {
        let (artifact_type, hash) = (port.artifact_type, found.hash);
        let uri = self.runner.layout.uri(&found.path);
        let properties = match &external.describe {
            Some(describe) if !self.metadata.has_external(artifact_type, &uri, hash)? => describe(found),
            _ => BTreeMap::new(),
        };
        Ok(ArtifactRecord::External { artifact_type, uri, hash, properties })
    }

    /// The output of another component: of this run, or its latest where the options left it out.
    fn channel(
        &mut self,
        component: &'static str,
        from: &'static str,
        output: &str,
    ) -> Result<StoredArtifact, RunError> {
        let nothing = || RunError::NothingToReuse { component, from };
        if let Some(outputs) = self.available.get(from) {
            return outputs.get(output).cloned().ok_or_else(nothing);
        }
        let latest = self.metadata.last_finished(&self.runner.node_name(from))?.ok_or_else(nothing)?;
        let stored = latest.outputs.get(output).cloned().ok_or_else(nothing)?;
        match self.damage(&stored)? {
            None => Ok(stored),
            Some(reason) => Err(RunError::CannotReuse { component, from, reason }),
        }
    }
}
