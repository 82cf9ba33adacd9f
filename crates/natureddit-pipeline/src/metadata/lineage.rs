//! Where an artifact comes from: the walk from it, up through the executions that made it, to what came from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sqlx::SqliteConnection;

use super::{EVENT_INPUT, EVENT_OUTPUT, Metadata, MetadataError};
use crate::artifact::{ArtifactId, ExecutionId, PropertyValue};

/// An artifact or an execution; written `artifact:12`, `execution:7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// An artifact.
    Artifact(ArtifactId),
    /// An execution.
    Execution(ExecutionId),
}

/// A text that is no [`NodeId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id like artifact:12, execution:7 or 12 (an artifact): {0:?}")]
pub struct ParseNodeIdError(String);

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    /// A plain number is an artifact's.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |_| ParseNodeIdError(text.to_owned());
        let (kind, number) = text.split_once(':').unwrap_or(("artifact", text));
        match kind {
            "artifact" => number.parse().map(|id| Self::Artifact(ArtifactId(id))).map_err(bad),
            "execution" => number.parse().map(|id| Self::Execution(ExecutionId(id))).map_err(bad),
            _ => Err(ParseNodeIdError(text.to_owned())),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(id) => write!(f, "artifact:{id}"),
            Self::Execution(id) => write!(f, "execution:{id}"),
        }
    }
}

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What something was made from, nearest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lineage {
    /// The start, then all above it in the order of a depth-first walk; each once, where it is met first.
    pub nodes: Vec<LineageNode>,
}

/// One step of a lineage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineageNode {
    /// Which.
    pub id: NodeId,
    /// How many steps above the start.
    pub depth: usize,
    /// `Model`, `Trainer`.
    pub type_name: String,
    /// As which input or output it is connected to the node below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where an artifact lies, relative to the project folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// When it was recorded first, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Its properties, the runner's own among them.
    pub properties: BTreeMap<String, PropertyValue>,
    /// What it was made from: ids of other nodes of the list.
    pub parents: Vec<NodeId>,
}

impl Metadata {
    /// Walks up from an artifact or execution; `None` when the store has no such id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn lineage(&mut self, start: NodeId) -> Result<Option<Lineage>, MetadataError> {
        self.wait(async |db| {
            let mut nodes = Vec::new();
            let mut seen = BTreeSet::from([start]);
            let mut waiting = vec![(start, 0, None)];
            while let Some((id, depth, key)) = waiting.pop() {
                let Some(mut node) = node(db, id).await? else { continue };
                let parents = parents(db, id).await?;
                node.depth = depth;
                node.key = key;
                node.parents = parents.iter().map(|(id, _)| *id).collect();
                nodes.push(node);
                // Reversed, as the last one in is the first one out.
                for (parent, key) in parents.into_iter().rev() {
                    if seen.insert(parent) {
                        waiting.push((parent, depth + 1, Some(key)));
                    }
                }
            }
            Ok((!nodes.is_empty()).then_some(Lineage { nodes }))
        })
    }
}

/// The node itself; its place in the walk is filled in by the walk.
async fn node(db: &mut SqliteConnection, id: NodeId) -> Result<Option<LineageNode>, sqlx::Error> {
    let (sql, number) = match id {
        NodeId::Artifact(id) => (
            "SELECT t.name, a.uri, a.create_time_since_epoch FROM Artifact a JOIN Type t ON t.id = a.type_id \
             WHERE a.id = ?",
            id.0,
        ),
        NodeId::Execution(id) => (
            "SELECT t.name, NULL, e.create_time_since_epoch FROM Execution e JOIN Type t ON t.id = e.type_id \
             WHERE e.id = ?",
            id.0,
        ),
    };
    let row: Option<(String, Option<String>, i64)> = sqlx::query_as(sql).bind(number).fetch_optional(&mut *db).await?;
    let Some((type_name, uri, created_ms)) = row else { return Ok(None) };
    let properties = properties(db, id).await?;
    Ok(Some(LineageNode { id, depth: 0, type_name, key: None, uri, created_ms, properties, parents: Vec::new() }))
}

async fn properties(db: &mut SqliteConnection, id: NodeId) -> Result<BTreeMap<String, PropertyValue>, sqlx::Error> {
    let (sql, number) = match id {
        NodeId::Artifact(id) => {
            ("SELECT name, int_value, double_value, string_value FROM ArtifactProperty WHERE artifact_id = ?", id.0)
        }
        NodeId::Execution(id) => {
            ("SELECT name, int_value, double_value, string_value FROM ExecutionProperty WHERE execution_id = ?", id.0)
        }
    };
    type Row = (String, Option<i64>, Option<f64>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(sql).bind(number).fetch_all(db).await?;
    let value = |(name, int, double, text): Row| {
        let value = int.map(PropertyValue::Int).or(double.map(PropertyValue::Double));
        Some((name, value.or(text.map(PropertyValue::Text))?))
    };
    Ok(rows.into_iter().filter_map(value).collect())
}

/// An artifact's maker, or an execution's inputs, with the key of each. An execution that was only a cache hit is no
/// maker.
async fn parents(db: &mut SqliteConnection, id: NodeId) -> Result<Vec<(NodeId, String)>, sqlx::Error> {
    match id {
        NodeId::Artifact(artifact) => {
            let sql = "SELECT x.id, k.step_key FROM Event e JOIN Execution x ON x.id = e.execution_id \
                       JOIN EventPath k ON k.event_id = e.id AND k.is_index_step = 0 \
                       WHERE e.artifact_id = ? AND e.type = ? AND x.last_known_state = 3 ORDER BY x.id";
            let query = sqlx::query_as(sql).bind(artifact.0).bind(EVENT_OUTPUT);
            let rows: Vec<(i64, String)> = query.fetch_all(db).await?;
            Ok(rows.into_iter().map(|(id, key)| (NodeId::Execution(ExecutionId(id)), key)).collect())
        }
        NodeId::Execution(execution) => {
            let sql = "SELECT e.artifact_id, k.step_key FROM Event e \
                       JOIN EventPath k ON k.event_id = e.id AND k.is_index_step = 0 \
                       WHERE e.execution_id = ? AND e.type = ? ORDER BY k.step_key";
            let query = sqlx::query_as(sql).bind(execution.0).bind(EVENT_INPUT);
            let rows: Vec<(i64, String)> = query.fetch_all(db).await?;
            Ok(rows.into_iter().map(|(id, key)| (NodeId::Artifact(ArtifactId(id)), key)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        for id in [NodeId::Artifact(ArtifactId(12)), NodeId::Execution(ExecutionId(7))] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!("12".parse(), Ok(NodeId::Artifact(ArtifactId(12))));
        for bad in ["", "model:1", "artifact:", "artifact:x", "pipeline/Trainer/model/3"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
    }
}
