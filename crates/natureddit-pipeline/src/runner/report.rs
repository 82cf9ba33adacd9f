//! What a run did, for people and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use natureddit_core::ContentHash;
use serde::Serialize;

use crate::artifact::{ArtifactId, ExecutionId, PropertyValue};
use crate::cache::StaleReason;
use crate::graph::Node;

/// What happens to a component while the pipeline runs.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// It is stale and begins.
    Started {
        /// Which.
        component: &'static str,
        /// Why.
        reason: &'a StaleReason,
    },
    /// It is over, or was not run at all.
    Finished(&'a ComponentReport),
}

/// A component that failed, with its own error as the cause.
#[derive(Debug, thiserror::Error)]
#[error("{component} failed")]
pub struct ComponentFailure {
    /// Which.
    pub component: &'static str,
    /// What went wrong.
    pub source: anyhow::Error,
}

/// What a run did.
#[derive(Debug, Serialize)]
#[must_use = "a component may have failed: see `failure`"]
pub struct RunReport {
    /// The run's name in the metadata store.
    pub run: String,
    /// Every component of the graph, in the order they run.
    pub components: Vec<ComponentReport>,
    /// Wall time.
    pub duration_ms: u64,
    /// The error of the component that failed.
    #[serde(skip)]
    pub(super) failure: Option<ComponentFailure>,
}

/// What a run did with one component.
#[derive(Clone, Debug, Serialize)]
pub struct ComponentReport {
    /// The component's id.
    pub component: &'static str,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The components that it comes after: it reads from them, or their success is a condition.
    pub after: BTreeSet<&'static str>,
    /// The execution that was recorded, if it was selected.
    pub execution: Option<ExecutionId>,
    /// Wall time.
    pub duration_ms: u64,
    /// Where its inputs lie, by key, relative to the project folder; empty when it was not selected.
    pub inputs: BTreeMap<&'static str, String>,
    /// Its outputs by key; empty when it failed or was not selected.
    pub outputs: BTreeMap<String, OutputReport>,
    /// What the component told of its work.
    pub details: BTreeMap<String, PropertyValue>,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    /// The artifact's id, for `lineage`.
    pub artifact: ArtifactId,
    /// Its folder, relative to the project folder.
    pub uri: String,
    /// The hash of its content.
    pub hash: ContentHash,
}

/// What became of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was stale and ran.
    Ran {
        /// Why.
        reason: StaleReason,
    },
    /// An earlier execution's outputs stand.
    Cached {
        /// That execution.
        of: ExecutionId,
    },
    /// It was stale, ran and failed.
    Failed {
        /// Why it ran.
        reason: StaleReason,
        /// What went wrong, with its causes.
        message: String,
    },
    /// The options left it out.
    NotSelected,
    /// A component before it failed.
    NotReached,
}

impl RunReport {
    /// The component that failed and what went wrong, `None` when all went well.
    #[must_use]
    pub fn failure(&self) -> Option<(&'static str, &str)> {
        self.components.iter().find_map(|report| match &report.outcome {
            Outcome::Failed { message, .. } => Some((report.component, message.as_str())),
            _ => None,
        })
    }

    /// The report of a run in which all went well.
    ///
    /// # Errors
    /// [`ComponentFailure`] otherwise.
    pub fn succeeded(mut self) -> Result<Self, ComponentFailure> {
        self.failure.take().map_or(Ok(self), Err)
    }

    /// What was done with one component, `None` when the graph has no such one.
    #[must_use]
    pub fn component(&self, id: &str) -> Option<&ComponentReport> {
        self.components.iter().find(|report| report.component == id)
    }
}

impl ComponentReport {
    pub(super) fn without_execution(node: &Node, outcome: Outcome) -> Self {
        let (component, after) = (node.spec().id, node.before());
        let (inputs, outputs, details) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { component, outcome, after, execution: None, duration_ms: 0, inputs, outputs, details }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ran { reason } => write!(f, "ran because {reason}"),
            Self::Cached { of } => write!(f, "cached from execution {of}"),
            Self::Failed { reason, message } => write!(f, "failed: {message} (ran because {reason})"),
            Self::NotSelected => write!(f, "not selected"),
            Self::NotReached => write!(f, "not reached"),
        }
    }
}

impl fmt::Display for RunReport {
    /// One line a component: `Trainer: ran because input examples changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.components.iter().try_for_each(|report| writeln!(f, "{}: {}", report.component, report.outcome))
    }
}
