//! What a run would do, without doing it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::RunError;
use super::session::Session;
use crate::artifact::ExecutionId;
use crate::cache::StaleReason;
use crate::graph::Graph;

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunPlan {
    /// Every component of the graph, in the order they would run.
    pub components: Vec<PlannedComponent>,
}

/// What a run would do with one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedComponent {
    /// The component's id.
    pub component: &'static str,
    /// What would become of it.
    #[serde(flatten)]
    pub outlook: Outlook,
    /// The components that it comes after.
    pub after: BTreeSet<&'static str>,
}

/// What would become of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outlook", rename_all = "snake_case")]
pub enum Outlook {
    /// It would run.
    Runs {
        /// Why.
        reason: StaleReason,
    },
    /// An earlier execution's outputs stand.
    Cached {
        /// That execution.
        of: ExecutionId,
    },
    /// It would run if what these make is other than before, which only running them tells.
    Depends {
        /// The components it reads from that would run, or depend on others themselves.
        on: BTreeSet<&'static str>,
    },
    /// The options leave it out.
    NotSelected,
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs { reason } => write!(f, "would run because {reason}"),
            Self::Cached { of } => write!(f, "cached from execution {of}"),
            Self::Depends { on } => {
                let on: Vec<_> = on.iter().copied().collect();
                write!(f, "would run if {} makes something else", on.join(" or "))
            }
            Self::NotSelected => write!(f, "not selected"),
        }
    }
}

impl fmt::Display for RunPlan {
    /// One line a component.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.components.iter().try_for_each(|planned| writeln!(f, "{}: {}", planned.component, planned.outlook))
    }
}

impl Session<'_> {
    /// What a run of the selected components would do.
    pub(super) fn plan(&mut self, graph: &Graph, selected: &BTreeSet<&'static str>) -> Result<RunPlan, RunError> {
        self.check_left_out(graph, selected)?;
        let mut open = BTreeSet::new();
        let mut components = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let component = node.spec().id;
            let on: BTreeSet<_> = node.channels().map(|(_, from, _)| from).filter(|from| open.contains(from)).collect();
            let outlook = if !selected.contains(component) {
                Outlook::NotSelected
            } else if self.is_forced(component) {
                Outlook::Runs { reason: StaleReason::Forced }
            } else if on.is_empty() {
                let task = self.task(node)?;
                match self.find_cached(&task)? {
                    Ok(finished) => {
                        self.available.insert(component, finished.outputs);
                        Outlook::Cached { of: finished.id }
                    }
                    Err(reason) => Outlook::Runs { reason },
                }
            } else {
                Outlook::Depends { on }
            };
            if matches!(outlook, Outlook::Runs { .. } | Outlook::Depends { .. }) {
                open.insert(component);
            }
            components.push(PlannedComponent { component, outlook, after: node.before() });
        }
        Ok(RunPlan { components })
    }
}
