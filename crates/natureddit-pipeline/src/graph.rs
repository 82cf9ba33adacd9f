//! Which component's output is which component's input.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use natureddit_core::ContentHash;
use natureddit_core::fs::FsError;
use serde_json::Value;

use crate::artifact::PropertyValue;
use crate::component::{Component, ComponentSpec, InputFolder, Port};
use crate::file_state::FileStates;

/// Where an input comes from.
pub enum Input {
    /// An output of another component.
    Channel {
        /// The component's id.
        component: &'static str,
        /// The output's key.
        key: &'static str,
    },
    /// Something outside the pipeline, looked up when the component's turn comes.
    External(ExternalInput),
}

/// How something outside the pipeline is found, and what is written down of it.
pub struct ExternalInput {
    pub(crate) find: Resolver,
    pub(crate) describe: Option<Describe>,
}

/// Says what is to be known of an external input beside its content: where it came from, a version.
pub type Describe = Box<dyn Fn(&External) -> BTreeMap<String, PropertyValue> + Send + Sync>;

/// Finds an external input; `None` where there is none, which only an optional port takes.
pub type Resolver = Box<dyn Fn(&mut Resolution<'_>) -> Result<Option<External>, ResolveError> + Send + Sync>;

/// Why an external input could not be found.
pub type ResolveError = Box<dyn std::error::Error + Send + Sync>;

/// Something outside the pipeline that a component reads in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The folder or file the component is given.
    pub path: PathBuf,
    /// The hash of all that the component reads of it.
    pub hash: ContentHash,
}

/// What a resolver may look at: the component's channel inputs, and files by their hash.
pub struct Resolution<'a> {
    pub(crate) inputs: &'a BTreeMap<&'static str, InputFolder>,
    pub(crate) states: &'a mut FileStates,
}

impl Resolution<'_> {
    /// The folder and content hash of an input of the same component that comes through a channel.
    #[must_use]
    pub fn input(&self, key: &str) -> Option<(&Path, ContentHash)> {
        self.inputs.get(key).map(|input| (input.path.as_path(), input.hash))
    }

    /// The hash of a folder as outputs are hashed; unchanged files are not read.
    ///
    /// # Errors
    /// As [`FileStates::hash_folder`].
    pub fn hash_folder(&mut self, folder: &Path) -> Result<ContentHash, FsError> {
        self.states.hash_folder(folder)
    }

    /// The hash of some files of a folder, of which some may be absent.
    ///
    /// # Errors
    /// As [`FileStates::hash_files`].
    pub fn hash_files(&mut self, folder: &Path, names: &[&str]) -> Result<ContentHash, FsError> {
        self.states.hash_files(folder, names)
    }
}

impl Input {
    /// The output `key` of `component`.
    #[must_use]
    pub fn channel(component: &'static str, key: &'static str) -> Self {
        Self::Channel { component, key }
    }

    /// Some files of a folder, read in place: the folder is the input, its hash is that of the named files.
    #[must_use]
    pub fn files(folder: PathBuf, names: &'static [&'static str]) -> Self {
        Self::resolved(move |look| {
            let hash = look.hash_files(&folder, names)?;
            Ok(Some(External { path: folder.clone(), hash }))
        })
    }

    /// Whatever `find` finds when the component's turn comes. For what a component's own run will change (the pushed
    /// model, say), `find` can compare with the other inputs, so that running again finds the same.
    pub fn resolved(
        find: impl Fn(&mut Resolution<'_>) -> Result<Option<External>, ResolveError> + Send + Sync + 'static,
    ) -> Self {
        Self::External(ExternalInput { find: Box::new(find), describe: None })
    }

    /// Has properties written down with an external input. They are no part of the cache key, and `describe` is asked only
    /// when the store does not have this content yet. A channel's artifact has those that its component gave it.
    #[must_use]
    pub fn described(
        mut self,
        describe: impl Fn(&External) -> BTreeMap<String, PropertyValue> + Send + Sync + 'static,
    ) -> Self {
        if let Self::External(external) = &mut self {
            external.describe = Some(Box::new(describe));
        }
        self
    }
}

/// A component with its inputs connected.
pub struct Node {
    pub(crate) component: Box<dyn Component>,
    pub(crate) inputs: Vec<(&'static str, Input)>,
    after: Vec<&'static str>,
}

impl Node {
    /// A component without inputs yet.
    pub fn new(component: impl Component + 'static) -> Self {
        Self { component: Box::new(component), inputs: Vec::new(), after: Vec::new() }
    }

    /// Connects the input `key`.
    #[must_use]
    pub fn with(mut self, key: &'static str, input: Input) -> Self {
        self.inputs.push((key, input));
        self
    }

    /// Comes after another component without reading anything of it, as what a check guards comes after the check.
    ///
    /// Where that component fails, this one is not reached. The order is no part of the cache key, and a part of the
    /// pipeline that leaves that component out runs without it.
    #[must_use]
    pub fn after(mut self, component: &'static str) -> Self {
        self.after.push(component);
        self
    }

    pub(crate) fn spec(&self) -> &'static ComponentSpec {
        self.component.spec()
    }

    pub(crate) fn port(&self, key: &str) -> Option<&'static Port> {
        self.spec().inputs.iter().find(|port| port.key == key)
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        self.inputs.iter().filter_map(|(input, from)| match from {
            Input::Channel { component, key } => Some((*input, *component, *key)),
            Input::External(_) => None,
        })
    }

    /// The components that this one comes after, because it reads from them or for the order alone; each once.
    pub(crate) fn before(&self) -> BTreeSet<&'static str> {
        self.channels().map(|(_, from, _)| from).chain(self.after.iter().copied()).collect()
    }
}

/// The nodes in an order in which each comes after all it reads from.
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
}

/// Nodes that do not make a graph; a mistake in the program, not in its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two components of one name would share a folder.
    #[error("the component {0} is in the graph twice")]
    Twice(&'static str),
    /// An input was connected twice, or one that the spec does not declare.
    #[error("{component} has no free input {key:?}")]
    BadInput {
        /// Whose input.
        component: &'static str,
        /// The input.
        key: &'static str,
    },
    /// A required input was left open.
    #[error("the input {key:?} of {component} is not connected")]
    Open {
        /// Whose input.
        component: &'static str,
        /// The input.
        key: &'static str,
    },
    /// A channel from an output that nobody makes, or that is of another type.
    #[error("the input {key:?} of {component} needs an output {from}.{output} of its type")]
    BadChannel {
        /// Whose input.
        component: &'static str,
        /// The input.
        key: &'static str,
        /// The component that should make it.
        from: &'static str,
        /// The output it should come from.
        output: &'static str,
    },
    /// An order after a component that is not in the graph.
    #[error("{component} is to come after {after}, which is not in the graph")]
    BadOrder {
        /// The component.
        component: &'static str,
        /// What it should come after.
        after: &'static str,
    },
    /// The components wait for each other.
    #[error("{} need each other", .0.join(", "))]
    Cycle(Vec<&'static str>),
}

impl Graph {
    /// Checks the connections and orders the nodes; those that could go either way keep the given order.
    ///
    /// # Errors
    /// See [`GraphError`].
    pub fn new(nodes: Vec<Node>) -> Result<Self, GraphError> {
        let mut specs = BTreeMap::new();
        for node in &nodes {
            if specs.insert(node.spec().id, node.spec()).is_some() {
                return Err(GraphError::Twice(node.spec().id));
            }
        }
        for node in &nodes {
            check_inputs(node)?;
            check_channels(node, &specs)?;
            if let Some(&after) = node.after.iter().find(|&&after| !specs.contains_key(after)) {
                return Err(GraphError::BadOrder { component: node.spec().id, after });
            }
        }
        Ok(Self { nodes: ordered(nodes)? })
    }

    /// The components in the order they run, each with those that it comes after.
    pub fn outline(&self) -> impl Iterator<Item = (&'static str, BTreeSet<&'static str>)> {
        self.nodes.iter().map(|node| (node.spec().id, node.before()))
    }

    /// The components' specs, in the order they run.
    pub fn specs(&self) -> impl Iterator<Item = &'static ComponentSpec> {
        self.nodes.iter().map(Node::spec)
    }

    /// The settings of each component, in the order they run.
    pub fn exec_properties(&self) -> impl Iterator<Item = (&'static str, Value)> {
        self.nodes.iter().map(|node| (node.spec().id, node.component.exec_properties()))
    }

    /// `component` and all that read from it or come after it, directly or not.
    pub(crate) fn downstream(&self, component: &str) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        for node in &self.nodes {
            if node.spec().id == component || !node.before().is_disjoint(&found) {
                found.insert(node.spec().id);
            }
        }
        found
    }

    /// All that come before these components, directly or not, but for these themselves.
    pub(crate) fn upstream(&self, components: &BTreeSet<&'static str>) -> BTreeSet<&'static str> {
        let mut found = components.clone();
        for node in self.nodes.iter().rev() {
            if found.contains(node.spec().id) {
                found.extend(node.before());
            }
        }
        &found - components
    }
}

fn check_inputs(node: &Node) -> Result<(), GraphError> {
    let component = node.spec().id;
    let mut connected = BTreeSet::new();
    for &(key, _) in &node.inputs {
        if node.port(key).is_none() || !connected.insert(key) {
            return Err(GraphError::BadInput { component, key });
        }
    }
    let open = node.spec().inputs.iter().find(|port| !port.optional && !connected.contains(port.key));
    open.map_or(Ok(()), |port| Err(GraphError::Open { component, key: port.key }))
}

fn check_channels(node: &Node, specs: &BTreeMap<&str, &'static ComponentSpec>) -> Result<(), GraphError> {
    for (key, from, output) in node.channels() {
        let made = specs.get(from).and_then(|spec| spec.outputs.iter().find(|port| port.key == output));
        let wanted = node.port(key).map(|port| port.artifact_type);
        if made.map(|port| port.artifact_type) != wanted {
            return Err(GraphError::BadChannel { component: node.spec().id, key, from, output });
        }
    }
    Ok(())
}

fn ordered(mut waiting: Vec<Node>) -> Result<Vec<Node>, GraphError> {
    let mut nodes: Vec<Node> = Vec::with_capacity(waiting.len());
    let mut placed = BTreeSet::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|node| node.before().is_subset(&placed));
        let Some(at) = ready else {
            return Err(GraphError::Cycle(waiting.iter().map(|node| node.spec().id).collect()));
        };
        let node = waiting.remove(at);
        placed.insert(node.spec().id);
        nodes.push(node);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::ArtifactType;
    use crate::component::{ExecutionContext, ExecutionIo};

    struct Plain(&'static ComponentSpec);

    impl Component for Plain {
        fn spec(&self) -> &'static ComponentSpec {
            self.0
        }
        fn exec_properties(&self) -> Value {
            Value::Null
        }
        fn execute(&self, _: &ExecutionIo, _: &mut ExecutionContext) -> anyhow::Result<()> {
            Ok(())
        }
    }

    const EXAMPLES: Port = Port::new("examples", ArtifactType::Examples);
    const MODEL: Port = Port::new("model", ArtifactType::Model);
    const GEN: ComponentSpec = ComponentSpec { id: "Gen", version: 1, inputs: &[], outputs: &[EXAMPLES] };
    const TRAINER: ComponentSpec = ComponentSpec { id: "Trainer", version: 1, inputs: &[EXAMPLES], outputs: &[MODEL] };
    const PUSHER: ComponentSpec = ComponentSpec { id: "Pusher", version: 1, inputs: &[MODEL], outputs: &[] };

    fn node(spec: &'static ComponentSpec) -> Node {
        Node::new(Plain(spec))
    }

    fn trainer() -> Node {
        node(&TRAINER).with("examples", Input::channel("Gen", "examples"))
    }

    fn pusher() -> Node {
        node(&PUSHER).with("model", Input::channel("Trainer", "model"))
    }

    #[test]
    fn nodes_come_after_what_they_read_from() {
        let graph = Graph::new(vec![pusher(), trainer(), node(&GEN)]).unwrap();
        let order: Vec<_> = graph.specs().map(|spec| spec.id).collect();
        assert_eq!(order, ["Gen", "Trainer", "Pusher"]);
        assert_eq!(graph.downstream("Trainer"), BTreeSet::from(["Pusher", "Trainer"]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = |nodes| Graph::new(nodes).err().unwrap().to_string();
        assert_eq!(error(vec![node(&GEN), node(&GEN)]), "the component Gen is in the graph twice");
        assert_eq!(error(vec![node(&TRAINER)]), r#"the input "examples" of Trainer is not connected"#);
        let unknown = node(&GEN).with("what", Input::channel("Gen", "examples"));
        assert_eq!(error(vec![unknown]), r#"Gen has no free input "what""#);
        let wrong = node(&PUSHER).with("model", Input::channel("Gen", "examples"));
        let message = r#"the input "model" of Pusher needs an output Gen.examples of its type"#;
        assert_eq!(error(vec![node(&GEN), wrong]), message);
        let message = r#"the input "examples" of Trainer needs an output Gen.examples of its type"#;
        assert_eq!(error(vec![trainer()]), message);
    }

    #[test]
    fn an_order_without_data_places_a_node_and_what_follows_from_it() {
        const CHECK: ComponentSpec = ComponentSpec { id: "Check", version: 1, inputs: &[EXAMPLES], outputs: &[] };
        let check = || node(&CHECK).with("examples", Input::channel("Gen", "examples"));
        let graph = Graph::new(vec![trainer().after("Check"), node(&GEN), pusher(), check()]).unwrap();
        let order: Vec<_> = graph.specs().map(|spec| spec.id).collect();
        assert_eq!(order, ["Gen", "Check", "Trainer", "Pusher"]);
        assert_eq!(graph.downstream("Check"), BTreeSet::from(["Check", "Pusher", "Trainer"]));
        assert_eq!(graph.upstream(&BTreeSet::from(["Pusher"])), BTreeSet::from(["Check", "Gen", "Trainer"]));
        let error = Graph::new(vec![node(&GEN), trainer().after("Check")]).err().unwrap().to_string();
        assert_eq!(error, "Trainer is to come after Check, which is not in the graph");
        let both = Graph::new(vec![node(&GEN), trainer().after("Check"), check().after("Trainer")]).err();
        assert_eq!(both, Some(GraphError::Cycle(vec!["Trainer", "Check"])));
    }

    #[test]
    fn a_cycle_is_refused() {
        const LOOP: ComponentSpec = ComponentSpec { id: "Loop", version: 1, inputs: &[MODEL], outputs: &[MODEL] };
        let looped = node(&LOOP).with("model", Input::channel("Loop", "model"));
        assert_eq!(Graph::new(vec![looped]).err(), Some(GraphError::Cycle(vec!["Loop"])));
    }
}
