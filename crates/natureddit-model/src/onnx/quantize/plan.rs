//! Which parts of a graph calculate in eight bits, and of which activations the ranges must therefore be known.

use std::collections::{BTreeMap, BTreeSet};

use super::super::proto::{GraphProto, NodeProto};
use super::constants::Constants;

/// What becomes of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It stays as it is.
    Float,
    /// It disappears: quantising its input to the range of its output is what it does.
    Folded,
    /// Weights, input and output in eight bits; the output bears this name, after what was folded in.
    Conv(String),
    /// A sum of two values in eight bits.
    Add(String),
    /// The largest of values in eight bits: its output is stored as its input is.
    MaxPool,
    /// Weights and input in eight bits, the output in floats.
    MatMul,
}

/// What is done with each node, in their order.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The activations whose ranges decide the scales, each once.
    pub(super) observed: Vec<String>,
    /// Between what the folded nodes keep their outputs.
    pub(super) bounds: BTreeMap<String, (f32, f32)>,
}

impl Plan {
    /// A convolution, and a sum of its results, gives eight bits; a multiplication by weights (of a text encoder, whose
    /// sums and norms need more) takes eight bits and gives floats; all else stays.
    pub(super) fn of(graph: &GraphProto) -> Self {
        let constants = Constants::of(&graph.initializer);
        let mut planner = Planner {
            graph,
            readers: readers(graph),
            constants: &constants,
            int8: BTreeSet::new(),
            folded: BTreeSet::new(),
            plan: Self { steps: Vec::new(), observed: Vec::new(), bounds: BTreeMap::new() },
        };
        for (at, node) in graph.node.iter().enumerate() {
            let step = planner.step(at, node);
            planner.plan.steps.push(step);
        }
        planner.plan
    }
}

struct Planner<'a> {
    graph: &'a GraphProto,
    readers: BTreeMap<&'a str, Vec<usize>>,
    constants: &'a Constants<'a>,
    /// The values that are in eight bits for whoever reads them.
    int8: BTreeSet<&'a str>,
    folded: BTreeSet<usize>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn step(&mut self, at: usize, node: &'a NodeProto) -> Step {
        let input = |at: usize| node.input.get(at).map_or("", String::as_str);
        let constant = |at: usize, rank: std::ops::RangeInclusive<usize>| {
            self.constants.rank(input(at)).is_some_and(|found| rank.contains(&found))
        };
        let int8 = |at: usize| self.int8.contains(input(at));
        match node.op_type.as_str() {
            _ if self.folded.contains(&at) => Step::Folded,
            "Conv" if constant(1, 3..=5) && (node.input.len() < 3 || constant(2, 1..=1)) => {
                self.observe(input(0));
                Step::Conv(self.output(node))
            }
            "Add" if int8(0) && int8(1) => Step::Add(self.output(node)),
            "MaxPool" if int8(0) && node.output.len() == 1 => {
                self.int8.insert(&node.output[0]);
                Step::MaxPool
            }
            "MatMul" if constant(1, 2..=2) => {
                self.observe(input(0));
                Step::MatMul
            }
            _ => Step::Float,
        }
    }

    fn observe(&mut self, value: &str) {
        if !self.int8.contains(value) && !self.plan.observed.iter().any(|seen| seen == value) {
            self.plan.observed.push(value.to_owned());
        }
    }

    /// The output of a node that gives eight bits; a bound on it is folded in where nothing else reads what it bounds.
    fn output(&mut self, node: &'a NodeProto) -> String {
        let mut value = node.output[0].as_str();
        let is_output = self.graph.output.iter().any(|output| output.name == value);
        if let (Some(&[reader]), false) = (self.readers.get(value).map(Vec::as_slice), is_output) {
            let next = &self.graph.node[reader];
            if let Some(bounds) = self.bounds(next, value) {
                self.folded.insert(reader);
                value = &next.output[0];
                self.plan.bounds.insert(value.to_owned(), bounds);
            }
        }
        self.observe(value);
        self.int8.insert(value);
        value.to_owned()
    }

    /// Between what a node keeps `value`, where that is all it does, and zero is within, which a stored value can always be.
    fn bounds(&self, node: &NodeProto, value: &str) -> Option<(f32, f32)> {
        let bound = |at: usize, open: f32| match node.input.get(at).map_or("", String::as_str) {
            "" => Some(open),
            name => self.constants.number(name),
        };
        let (low, high) = match node.op_type.as_str() {
            "Relu" => (0.0, f32::INFINITY),
            "Clip" => (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?),
            _ => return None,
        };
        (node.input[0] == value && low <= 0.0 && high >= 0.0).then_some((low, high))
    }
}

/// The places of the nodes that read each value; one that reads it twice stands there twice.
fn readers(graph: &GraphProto) -> BTreeMap<&str, Vec<usize>> {
    let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        node.input.iter().for_each(|value| readers.entry(value).or_default().push(at));
    }
    readers
}
