//! From a post down: which examples hold it, and which models learnt from them.

use std::fmt;

use natureddit_core::PostId;
use natureddit_pipeline::metadata::{Direction, Lineage, LineageNode, NodeId};
use natureddit_pipeline::{ArtifactId, ArtifactType, Metadata, Runner, Split, read_split};
use serde::Serialize;

use super::tree::Tree;
use crate::cli::error::CliError;
use crate::cli::words::{counted, was_or_were};

/// What became of a post.
#[derive(Serialize)]
pub(super) struct PostLineage {
    post: PostId,
    /// Examples whose folders are there and do not hold it.
    examples_without: u64,
    /// Examples whose folders were removed, so that nobody can tell any more.
    examples_removed: u64,
    /// The examples that hold it.
    examples: Vec<Holding>,
    /// Models that learnt from it, by their folders.
    models: Vec<String>,
    /// Models that did not, and were stopped, calibrated or judged by it.
    judged: Vec<String>,
    /// What of those that learnt from it was pushed, by the pushes' folders.
    pushed: Vec<String>,
}

/// Examples that hold a post.
#[derive(Serialize)]
struct Holding {
    artifact: ArtifactId,
    uri: String,
    /// A post with several photos may have several rows, in one split.
    splits: Vec<Split>,
    /// What was chosen for it.
    choices: Vec<String>,
    /// What was made from these examples.
    down: Option<Lineage>,
}

/// The post of `post:ID`, of `t3_ID`, or of a link to it.
pub(super) fn named(id: &str) -> Option<PostId> {
    if let Some(id) = id.strip_prefix("post:") {
        return named(id).or_else(|| id.parse().ok());
    }
    if id.contains("://") {
        let path = id.split(['?', '#']).next()?;
        let mut names = path.split('/').skip_while(|&name| name != "comments").skip(1);
        let short = || path.strip_prefix("https://redd.it/").filter(|rest| !rest.contains('/'));
        return names.next().or_else(short)?.parse().ok();
    }
    if id.starts_with("t3_") { id.parse().ok() } else { None }
}

impl PostLineage {
    /// Looks into all examples that are still there.
    pub(super) fn find(post: &PostId, runner: &Runner, metadata: &mut Metadata) -> Result<Self, CliError> {
        let mut found = Self {
            post: post.clone(),
            examples_without: 0,
            examples_removed: 0,
            examples: Vec::new(),
            models: Vec::new(),
            judged: Vec::new(),
            pushed: Vec::new(),
        };
        for (artifact, uri) in metadata.all_of(runner.pipeline(), ArtifactType::Examples)? {
            let folder = runner.path(&uri);
            if !folder.exists() {
                found.examples_removed += 1;
                continue;
            }
            let (mut splits, mut choices) = (Vec::new(), Vec::new());
            for split in Split::ALL {
                let rows = read_split(&folder, split)?;
                let own: Vec<_> = rows.into_iter().filter(|example| example.id == *post).collect();
                if !own.is_empty() {
                    splits.push(split);
                }
                choices.extend(own.into_iter().map(|example| example.choice));
            }
            if splits.is_empty() {
                found.examples_without += 1;
                continue;
            }
            choices.dedup();
            let down = metadata.walk(NodeId::Artifact(artifact), Direction::Down)?;
            found.add_made(down.as_ref(), splits.contains(&Split::Train));
            found.examples.push(Holding { artifact, uri, splits, choices, down });
        }
        Ok(found)
    }

    /// Whether nothing here tells that there ever was such a post.
    pub(super) fn is_unknown(&self) -> bool {
        self.examples.is_empty() && self.examples_removed == 0
    }

    /// Adds what was made from examples that it was learnt from in, or judged by.
    fn add_made(&mut self, down: Option<&Lineage>, is_learnt: bool) {
        let nodes = down.map(|lineage| lineage.nodes.as_slice()).unwrap_or_default();
        let uris = |artifact_type: ArtifactType| {
            let is_such = move |node: &&LineageNode| node.type_name == artifact_type.name();
            nodes.iter().filter(is_such).filter_map(|node| node.uri.clone())
        };
        if is_learnt {
            self.models.extend(uris(ArtifactType::Model));
            self.pushed.extend(uris(ArtifactType::PushedModel));
        } else {
            self.judged.extend(uris(ArtifactType::Model));
        }
        for list in [&mut self.models, &mut self.judged, &mut self.pushed] {
            list.sort_unstable();
            list.dedup();
        }
    }
}

impl fmt::Display for PostLineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folders = counted(self.examples.len() as u64, "folder");
        let [learnt, judged] = [&self.models, &self.judged].map(|models| counted(models.len() as u64, "model"));
        writeln!(f, "post {}: in {folders} of examples, learnt by {learnt}, judges {judged}", self.post)?;
        for holding in &self.examples {
            let splits: Vec<_> = holding.splits.iter().map(|split| split.name()).collect();
            writeln!(f, "{} as {}", splits.join(", "), holding.choices.join(", "))?;
            if let Some(down) = &holding.down {
                write!(f, "{}", Tree(down))?;
            }
        }
        if self.examples_removed > 0 {
            let removed = counted(self.examples_removed, "folder");
            let were = was_or_were(self.examples_removed);
            writeln!(f, "{removed} of examples {were} removed: what was in them cannot be told")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_named_by_its_id_or_its_link() {
        let links = [
            "post:abc123",
            "post:t3_abc123",
            "t3_abc123",
            "https://www.reddit.com/r/EarthPorn/comments/abc123/a_valley/?utm=1",
            "https://old.reddit.com/r/EarthPorn/comments/abc123",
            "https://redd.it/abc123",
            "post:https://www.reddit.com/comments/abc123/",
        ];
        for link in links {
            assert_eq!(named(link).map(|post| post.to_string()).as_deref(), Some("abc123"), "{link}");
        }
        for other in ["abc123", "12", "artifact:12", "naturedditTI/3", "https://example.org/abc123"] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
