//! What a run of a part of the pipeline builds on: the latest outputs of the components that it leaves out.

use std::collections::BTreeSet;

use super::RunError;
use super::session::Session;
use crate::graph::{Graph, Node};

impl Session<'_> {
    /// Whether the components that the options leave out, and that the selected ones come after, ended well and go together:
    /// each was last run on what those before it have made since. Otherwise features would be taken for those of other
    /// examples, and a model for one that was judged.
    pub(super) fn check_left_out(&mut self, graph: &Graph, selected: &BTreeSet<&'static str>) -> Result<(), RunError> {
        let needed = graph.upstream(selected);
        let Some(component) = graph.specs().map(|spec| spec.id).find(|id| selected.contains(id)) else { return Ok(()) };
        for node in graph.nodes.iter().filter(|node| needed.contains(node.spec().id)) {
            self.check_one(node, component)?;
        }
        Ok(())
    }

    /// `component` is the first that is to run.
    fn check_one(&mut self, node: &Node, component: &'static str) -> Result<(), RunError> {
        let id = node.spec().id;
        let nothing = |from| RunError::NothingToReuse { component, from };
        let last = self.metadata.last_execution(&self.runner.node_name(id))?.ok_or_else(|| nothing(id))?;
        if last.failed {
            return Err(RunError::FailedBefore { component, from: id });
        }
        for (key, from, output) in node.channels() {
            let made = self.metadata.last_finished(&self.runner.node_name(from))?.ok_or_else(|| nothing(from))?;
            let now = made.outputs.get(output).map(|stored| &stored.hash);
            if last.fingerprint.inputs.get(key) != now {
                return Err(RunError::OutOfStep { component, before: id, key, from });
            }
        }
        Ok(())
    }
}
