//! Where an artifact comes from and what was made from it: walks along the events between artifacts and executions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::db::Db;
use super::property::{Owner, properties};
use super::{EVENT_INPUT, EVENT_OUTPUT, Metadata, MetadataError};
use crate::artifact::{ArtifactId, ExecutionId, PropertyValue};

type Result<T> = std::result::Result<T, sqlx::Error>;

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
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
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
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To what it was made from.
    Up,
    /// To what was made from it.
    Down,
}

/// What something was made from, or what was made from it, nearest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lineage {
    /// Which way from the start.
    pub direction: Direction,
    /// The start, then all beyond it in the order of a depth-first walk; each once, where it is met first.
    pub nodes: Vec<LineageNode>,
}

/// One step of a lineage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineageNode {
    /// Which.
    pub id: NodeId,
    /// How many steps from the start.
    pub depth: usize,
    /// `Model`, `Trainer`.
    pub type_name: String,
    /// As which input or output it is connected to the node it was reached from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where an artifact lies, relative to the project folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Whether an artifact's folder was removed by garbage collection.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_deleted: bool,
    /// When it was recorded first, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Its properties, the runner's own among them; an execution has its run's as well, under `run.`.
    pub properties: BTreeMap<String, PropertyValue>,
    /// What it was made from, of a walk up: ids of other nodes of the list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<NodeId>,
    /// What was made from it, of a walk down: ids of other nodes of the list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<NodeId>,
}

impl Metadata {
    /// Walks up from an artifact or execution; `None` when the store has no such id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn lineage(&mut self, start: NodeId) -> std::result::Result<Option<Lineage>, MetadataError> {
        self.walk(start, Direction::Up)
    }

    /// Walks from an artifact or execution; `None` when the store has no such id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn walk(&mut self, start: NodeId, direction: Direction) -> std::result::Result<Option<Lineage>, MetadataError> {
        self.wait(async |db| {
            let mut nodes = Vec::new();
            let mut seen = BTreeSet::from([start]);
            let mut waiting = vec![(start, 0, None)];
            while let Some((id, depth, key)) = waiting.pop() {
                let Some(mut node) = node(db, id).await? else { continue };
                let next = neighbours(db, id, direction).await?;
                node.depth = depth;
                node.key = key;
                let ids = next.iter().map(|(id, _)| *id).collect();
                match direction {
                    Direction::Up => node.parents = ids,
                    Direction::Down => node.children = ids,
                }
                nodes.push(node);
                // Reversed, as the last one in is the first one out.
                for (id, key) in next.into_iter().rev() {
                    if seen.insert(id) {
                        waiting.push((id, depth + 1, Some(key)));
                    }
                }
            }
            Ok((!nodes.is_empty()).then_some(Lineage { direction, nodes }))
        })
    }
}

/// The node itself; its place in the walk is filled in by the walk.
async fn node(db: &mut Db, id: NodeId) -> Result<Option<LineageNode>> {
    let (row, owner) = match id {
        NodeId::Artifact(id) => {
            let sql = "SELECT t.name, a.uri, CAST(a.create_time_since_epoch AS BIGINT), CAST(a.state AS BIGINT) \
                       FROM Artifact a JOIN Type t ON t.id = a.type_id WHERE a.id = $1";
            let row: Option<(String, Option<String>, i64, Option<i64>)> = db.row(sql, [id.0.into()]).await?;
            (row, Owner::Artifact(id))
        }
        NodeId::Execution(id) => (execution_row(db, id).await?, Owner::Execution(id)),
    };
    let Some((type_name, uri, created_ms, state)) = row else { return Ok(None) };
    let is_deleted = state == Some(super::ARTIFACT_DELETED);
    let mut properties = properties(db, owner).await?;
    if let NodeId::Execution(id) = id {
        properties.extend(run_properties(db, id).await?);
    }
    let (parents, children) = (Vec::new(), Vec::new());
    let (depth, key) = (0, None);
    Ok(Some(LineageNode { id, depth, type_name, key, uri, is_deleted, created_ms, properties, parents, children }))
}

/// An execution's component, or of another program's execution the last part of its type's name; its time.
async fn execution_row(db: &mut Db, id: ExecutionId) -> Result<Option<(String, Option<String>, i64, Option<i64>)>> {
    let sql = "SELECT t.name, CAST(e.create_time_since_epoch AS BIGINT) FROM Execution e \
               JOIN Type t ON t.id = e.type_id WHERE e.id = $1";
    let Some((type_name, created)) = db.row::<(String, i64)>(sql, [id.0.into()]).await? else { return Ok(None) };
    let sql = "SELECT c.name FROM Association s JOIN Context c ON c.id = s.context_id \
               JOIN Type t ON t.id = c.type_id AND t.name = 'node' WHERE s.execution_id = $1";
    let node = db.row::<(String,)>(sql, [id.0.into()]).await?.map_or(type_name, |(node,)| node);
    let component = node.rsplit('.').next().unwrap_or(&node).to_owned();
    Ok(Some((component, None, created, None)))
}

async fn run_properties(db: &mut Db, id: ExecutionId) -> Result<BTreeMap<String, PropertyValue>> {
    let sql = "SELECT CAST(c.id AS BIGINT), c.name FROM Association s JOIN Context c ON c.id = s.context_id \
               JOIN Type t ON t.id = c.type_id AND t.name = 'pipeline_run' WHERE s.execution_id = $1";
    let Some((context, name)) = db.row::<(i64, String)>(sql, [id.0.into()]).await? else { return Ok(BTreeMap::new()) };
    let own = properties(db, Owner::Context(context)).await?;
    let named = own.into_iter().map(|(name, value)| (format!("run.{name}"), value));
    Ok(named.chain([("run".to_owned(), PropertyValue::Text(name))]).collect())
}

/// Up: an artifact's maker, an execution's inputs. Down: who read an artifact, what an execution made. With the key of
/// each. An execution that was only a cache hit neither made nor read anything.
async fn neighbours(db: &mut Db, id: NodeId, direction: Direction) -> Result<Vec<(NodeId, String)>> {
    let kind = match (id, direction) {
        (NodeId::Artifact(_), Direction::Up) | (NodeId::Execution(_), Direction::Down) => EVENT_OUTPUT,
        (NodeId::Artifact(_), Direction::Down) | (NodeId::Execution(_), Direction::Up) => EVENT_INPUT,
    };
    match id {
        NodeId::Artifact(artifact) => {
            let sql = "SELECT CAST(x.id AS BIGINT), k.step_key FROM Event e JOIN Execution x ON x.id = e.execution_id \
                       JOIN EventPath k ON k.event_id = e.id AND k.is_index_step = FALSE \
                       WHERE e.artifact_id = $1 AND e.type = $2 AND x.last_known_state = 3 ORDER BY x.id";
            let rows: Vec<(i64, String)> = db.rows(sql, [artifact.0.into(), kind.into()]).await?;
            Ok(rows.into_iter().map(|(id, key)| (NodeId::Execution(ExecutionId(id)), key)).collect())
        }
        NodeId::Execution(execution) => {
            let sql = "SELECT CAST(e.artifact_id AS BIGINT), k.step_key FROM Event e \
                       JOIN EventPath k ON k.event_id = e.id AND k.is_index_step = FALSE \
                       WHERE e.execution_id = $1 AND e.type = $2 ORDER BY k.step_key";
            let rows: Vec<(i64, String)> = db.rows(sql, [execution.0.into(), kind.into()]).await?;
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
