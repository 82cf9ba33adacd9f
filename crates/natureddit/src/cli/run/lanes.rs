//! The lines between the components of a graph, as `git log --graph` draws them: one lane for each component that is
//! still to come, from the first one it comes after.

use std::collections::{BTreeMap, BTreeSet};

/// One line of a drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What the lanes look like before the node's symbol, or on the whole line.
    pub(super) left: String,
    /// The node on this line, by its place, and the lanes behind its symbol.
    pub(super) node: Option<(usize, String)>,
    /// What the lanes look like on a line that says more of the node.
    pub(super) under: String,
}

/// The sides of a cell at which a line ends.
#[derive(Clone, Copy, Default)]
struct Cell {
    up: bool,
    down: bool,
    left: bool,
    right: bool,
}

impl Cell {
    fn symbol(self) -> char {
        match (self.up, self.down, self.left, self.right) {
            (true, true, false, false) => '│',
            (false, false, true, true) => '─',
            (true, true, false, true) => '├',
            (true, true, true, false) => '┤',
            (true, false, true, false) => '╯',
            (true, false, false, true) => '╰',
            (false, true, true, false) => '╮',
            (false, true, false, true) => '╭',
            (true, false, true, true) => '┴',
            (false, true, true, true) => '┬',
            (true, true, true, true) => '┼',
            (true, false, false, false) => '╵',
            (false, true, false, false) => '╷',
            (false, false, true, false) => '╴',
            (false, false, false, true) => '╶',
            (false, false, false, false) => ' ',
        }
    }
}

/// The lines of nodes that are in an order in which each comes after all before it.
pub(super) fn lines(nodes: &[(&str, &BTreeSet<&str>)]) -> Vec<Line> {
    let children = children(nodes);
    let mut lanes: Vec<Option<usize>> = Vec::new();
    let mut lines = Vec::new();
    for (at, children) in children.iter().enumerate() {
        let own = lanes.iter().position(|&lane| lane == Some(at)).unwrap_or_else(|| free_lane(&mut lanes));
        lanes[own] = None;
        let (left, right) = (text(&lanes[..own]), text(&lanes[own + 1..]).trim_end().to_owned());
        let before = lanes.clone();
        let targets = place(&mut lanes, own, children);
        let mut under = before.clone();
        under[own] = (!children.is_empty()).then_some(at);
        let right = if right.is_empty() { right } else { format!(" {right}") };
        lines.push(Line { left, node: Some((at, right)), under: text(&under).trim_end().to_owned() });
        if targets.iter().any(|&target| target != own) {
            lines.push(connector(&before, &lanes, own, &targets));
        }
        while lanes.last() == Some(&None) {
            lanes.pop();
        }
    }
    lines
}

/// Gives each child a lane, the first new one the node's own; the lanes that lead to the children.
fn place(lanes: &mut Vec<Option<usize>>, own: usize, children: &[usize]) -> Vec<usize> {
    let mut targets = Vec::with_capacity(children.len());
    for &child in children {
        let lane = match lanes.iter().position(|&lane| lane == Some(child)) {
            Some(lane) => lane,
            None if lanes[own].is_none() => own,
            None => free_lane(lanes),
        };
        lanes[lane] = Some(child);
        targets.push(lane);
    }
    targets
}

fn free_lane(lanes: &mut Vec<Option<usize>>) -> usize {
    lanes.iter().position(Option::is_none).unwrap_or_else(|| {
        lanes.push(None);
        lanes.len() - 1
    })
}

/// The line that leads from a node's lane to those of its children.
fn connector(before: &[Option<usize>], after: &[Option<usize>], own: usize, targets: &[usize]) -> Line {
    let first = targets.iter().copied().chain([own]).min().unwrap_or(own);
    let last = targets.iter().copied().chain([own]).max().unwrap_or(own);
    let has = |lanes: &[Option<usize>], at: usize| lanes.get(at).copied().flatten().is_some();
    let mut left = String::new();
    for at in 0..after.len().max(before.len()) {
        let cell = Cell {
            up: at == own || has(before, at),
            down: has(after, at),
            left: first < at && at <= last,
            right: first <= at && at < last,
        };
        left.push(cell.symbol());
        left.push(if cell.right { '─' } else { ' ' });
    }
    let left = left.trim_end().to_owned();
    Line { under: left.clone(), left, node: None }
}

fn text(lanes: &[Option<usize>]) -> String {
    lanes.iter().map(|lane| if lane.is_some() { "│ " } else { "  " }).collect()
}

/// For each node those that come right after it: an order that follows from others is not drawn.
fn children(nodes: &[(&str, &BTreeSet<&str>)]) -> Vec<Vec<usize>> {
    let places: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
    let mut above: Vec<BTreeSet<usize>> = Vec::with_capacity(nodes.len());
    let mut children = vec![Vec::new(); nodes.len()];
    for (at, (_, before)) in nodes.iter().enumerate() {
        let before: BTreeSet<usize> = before.iter().filter_map(|name| places.get(name).copied()).collect();
        let further: BTreeSet<usize> = before.iter().flat_map(|&parent| above[parent].iter().copied()).collect();
        for &parent in before.difference(&further) {
            children[parent].push(at);
        }
        above.push(before.union(&further).copied().collect());
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(nodes: &[(&str, &[&str])]) -> String {
        let before: Vec<BTreeSet<&str>> = nodes.iter().map(|(_, before)| before.iter().copied().collect()).collect();
        let nodes: Vec<_> = nodes.iter().zip(&before).map(|((name, _), before)| (*name, before)).collect();
        let line = |line: Line| match line.node {
            Some((at, right)) => format!("{}o{right} {}\n", line.left, nodes[at].0),
            None => format!("{}\n", line.left),
        };
        lines(&nodes).into_iter().map(line).collect()
    }

    #[test]
    fn a_chain_is_a_column_and_what_is_side_by_side_has_lanes() {
        let text = drawn(&[
            ("Gen", &[]),
            ("Stats", &["Gen"]),
            ("Transform", &["Gen", "Stats"]),
            ("Trainer", &["Gen", "Transform"]),
            ("Evaluator", &["Gen", "Trainer"]),
            ("Infra", &["Trainer"]),
            ("Pusher", &["Trainer", "Evaluator", "Infra"]),
        ]);
        insta::assert_snapshot!(text, @r"
        o Gen
        o Stats
        o Transform
        o Trainer
        ├─╮
        o │ Evaluator
        │ o Infra
        ├─╯
        o Pusher
        ");
    }

    #[test]
    fn lanes_open_close_and_cross() {
        let text = drawn(&[
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["a"]),
            ("d", &["a"]),
            ("e", &["b", "d"]),
            ("f", &[]),
            ("g", &["c", "e", "f"]),
        ]);
        insta::assert_snapshot!(text, @r"
        o a
        ├─┬─╮
        o │ │ b
        │ o │ c
        │ │ o d
        ├─┼─╯
        o │ e
        ╰─┤
        o │ f
        ╰─┤
          o g
        ");
    }
}
