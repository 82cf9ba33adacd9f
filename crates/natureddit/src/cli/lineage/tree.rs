//! A lineage as an indented tree.

use std::fmt;

use console::style;
use natureddit_pipeline::PropertyValue;
use natureddit_pipeline::metadata::{Lineage, LineageNode, NodeId};

/// A walk, drawn: each node stands once, below where it was met first; what it is linked with that stands elsewhere is named.
pub(super) struct Tree<'a>(pub(super) &'a Lineage);

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = &self.0.nodes;
        // Whether, at each depth, another node follows below the same one.
        let mut goes_on: Vec<bool> = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let rest = nodes[at + 1..].iter().take_while(|after| after.depth >= node.depth);
            let has_sibling = rest.into_iter().any(|after| after.depth == node.depth);
            goes_on.truncate(node.depth);
            for &more in goes_on.iter().skip(1) {
                f.write_str(if more { "│  " } else { "   " })?;
            }
            if node.depth > 0 {
                f.write_str(if has_sibling { "├─ " } else { "└─ " })?;
            }
            goes_on.push(has_sibling);
            line(f, node, &linked_elsewhere(nodes, at))?;
        }
        Ok(())
    }
}

/// What a node is linked with that is not drawn right below it.
fn linked_elsewhere(nodes: &[LineageNode], at: usize) -> Vec<NodeId> {
    let node = &nodes[at];
    let below = nodes[at + 1..].iter().take_while(|after| after.depth > node.depth);
    let drawn: Vec<NodeId> = below.filter(|after| after.depth == node.depth + 1).map(|after| after.id).collect();
    node.parents.iter().chain(&node.children).copied().filter(|id| !drawn.contains(id)).collect()
}

fn line(f: &mut fmt::Formatter<'_>, node: &LineageNode, elsewhere: &[NodeId]) -> fmt::Result {
    if let Some(key) = node.key.as_ref().filter(|_| matches!(node.id, NodeId::Artifact(_))) {
        write!(f, "{key}: ")?;
    }
    write!(f, "{} {}", style(&node.type_name).bold(), node.id)?;
    if let Some(uri) = &node.uri {
        write!(f, "  {uri}")?;
    }
    if node.is_deleted {
        write!(f, " (removed)")?;
    }
    let told: Vec<String> = TOLD.iter().filter_map(|told| said(node, told)).collect();
    if !told.is_empty() {
        write!(f, "  {}", style(told.join(", ")).dim())?;
    }
    if !elsewhere.is_empty() {
        let ids: Vec<String> = elsewhere.iter().map(ToString::to_string).collect();
        write!(f, "  {}", style(format!("(and {}: see there)", ids.join(", "))).dim())?;
    }
    writeln!(f)
}

/// Properties that are shown: name, word, and of how much of the value.
const TOLD: [(&str, &str, usize); 8] = [
    ("run.git_revision", "git", 10),
    ("git_revision", "git", 10),
    ("posts_dvc_md5", "posts.csv", 10),
    ("images_dvc_md5", "images", 10),
    ("pushed_version", "version", 20),
    ("blessed", "blessed", 1),
    ("accuracy", "accuracy", 6),
    ("span", "span", 20),
];

fn said(node: &LineageNode, &(name, word, chars): &(&str, &str, usize)) -> Option<String> {
    let text = match node.properties.get(name)? {
        PropertyValue::Int(flag) if name == "blessed" => if *flag == 1 { "yes" } else { "no" }.to_owned(),
        // As the verdict tells it: cut off it would be another.
        PropertyValue::Double(number) => format!("{number:.4}"),
        value => value.to_string(),
    };
    Some(format!("{word} {}", text.chars().take(chars.max(3)).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use natureddit_pipeline::metadata::Direction;
    use natureddit_pipeline::{ArtifactId, ExecutionId};

    use super::*;

    fn node(id: NodeId, depth: usize, type_name: &str, key: &str, properties: &[(&str, PropertyValue)]) -> LineageNode {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        LineageNode {
            id,
            depth,
            type_name: type_name.into(),
            key: (!key.is_empty()).then(|| key.into()),
            uri: matches!(id, NodeId::Artifact(_)).then(|| format!("pipeline/{type_name}")),
            is_deleted: type_name == "Examples",
            created_ms: 0,
            properties: properties.collect::<BTreeMap<_, _>>(),
            parents: Vec::new(),
            children: Vec::new(),
        }
    }

    #[test]
    fn a_walk_is_drawn_with_branches_and_versions() {
        let artifact = |id, depth, name, key, properties: &[(&str, PropertyValue)]| {
            node(NodeId::Artifact(ArtifactId(id)), depth, name, key, properties)
        };
        let execution = |id, depth, name| node(NodeId::Execution(ExecutionId(id)), depth, name, "", &[]);
        let git = ("git_revision", PropertyValue::from("0123456789abcdef"));
        let mut nodes = vec![
            artifact(9, 0, "PushedModel", "", &[("pushed_version", "3".into())]),
            execution(5, 1, "Pusher"),
            artifact(8, 2, "ModelBlessing", "blessing", &[("blessed", true.into())]),
            execution(4, 3, "Evaluator"),
            artifact(3, 4, "Examples", "examples", &[]),
            artifact(7, 2, "Model", "model", &[]),
            execution(3, 3, "Trainer"),
            artifact(1, 4, "Dataset", "dataset", &[git]),
        ];
        nodes[6].parents = [1, 3].map(|id| NodeId::Artifact(ArtifactId(id))).into();
        let tree = Tree(&Lineage { direction: Direction::Up, nodes }).to_string();
        insta::assert_snapshot!(console::strip_ansi_codes(&tree), @r"
        PushedModel artifact:9  pipeline/PushedModel  version 3
        └─ Pusher execution:5
           ├─ blessing: ModelBlessing artifact:8  pipeline/ModelBlessing  blessed yes
           │  └─ Evaluator execution:4
           │     └─ examples: Examples artifact:3  pipeline/Examples (removed)
           └─ model: Model artifact:7  pipeline/Model
              └─ Trainer execution:3  (and artifact:3: see there)
                 └─ dataset: Dataset artifact:1  pipeline/Dataset  git 0123456789
        ");
    }
}
