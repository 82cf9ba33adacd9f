//! Posts by their ids, as a source has them now.

use std::collections::{BTreeMap, BTreeSet};

use natureddit_core::PostId;
use natureddit_net::Client;

use super::arctic_shift::{self, ArcticShift};
use super::reddit_oauth::{self, RedditOauth};
use super::{SourceConfig, SourceError};
use crate::submission::Submission;

/// A source that knows posts by their ids.
#[derive(Debug)]
pub(crate) enum LookUp {
    Reddit(RedditOauth),
    ArcticShift(ArcticShift),
}

/// What a source says of some posts.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Those that it knows.
    pub(crate) posts: BTreeMap<PostId, Submission>,
    /// Those that it would know if there were any.
    pub(crate) absent: BTreeSet<PostId>,
    /// Those of which it says nothing that counts.
    pub(crate) unsure: BTreeSet<PostId>,
}

impl LookUp {
    /// The look-up of a source; an error where it has none.
    pub(crate) fn new(config: &SourceConfig, client: &Client) -> Result<Self, SourceError> {
        match config {
            SourceConfig::RedditOauth(config) => Ok(Self::Reddit(RedditOauth::new(config, client))),
            SourceConfig::ArcticShift { base_url, page_bytes_max } => {
                Ok(Self::ArcticShift(ArcticShift::new(base_url, *page_bytes_max, client.clone())))
            }
            SourceConfig::Pushshift { .. } | SourceConfig::Dump { .. } => {
                Err(SourceError::NoLookUp { name: config.name() })
            }
        }
    }

    /// How many ids one question takes.
    pub(crate) fn ids_max(&self) -> usize {
        match self {
            Self::Reddit(_) => reddit_oauth::NAMES_MAX,
            Self::ArcticShift(_) => arctic_shift::IDS_MAX,
        }
    }

    /// What it says of these posts, at most [`LookUp::ids_max`]. Posts that are not in the answer are asked for once more,
    /// together with one that is: an answer that is empty or short says nothing.
    pub(crate) async fn look(&mut self, ids: &[PostId]) -> Result<Found, SourceError> {
        let mut found = Found { posts: self.ask(ids).await?, ..Found::default() };
        let missing: Vec<_> = ids.iter().filter(|id| !found.posts.contains_key(id)).cloned().collect();
        let Some(known) = found.posts.keys().next().filter(|_| self.knows_every_post()).cloned() else {
            found.unsure.extend(missing);
            return Ok(found);
        };
        // One place is that of the post that is known.
        for part in missing.chunks(self.ids_max() - 1) {
            let again: Vec<_> = part.iter().chain([&known]).cloned().collect();
            let mut answer = self.ask(&again).await?;
            for id in part {
                match answer.remove(id) {
                    Some(post) => _ = found.posts.insert(id.clone(), post),
                    None if answer.contains_key(&known) => _ = found.absent.insert(id.clone()),
                    None => _ = found.unsure.insert(id.clone()),
                }
            }
        }
        Ok(found)
    }

    /// Whether a post that it does not know is gone. An archive may never have had it.
    fn knows_every_post(&self) -> bool {
        matches!(self, Self::Reddit(_))
    }

    /// The posts that it knows of these, at most [`LookUp::ids_max`].
    pub(crate) async fn ask(&mut self, ids: &[PostId]) -> Result<BTreeMap<PostId, Submission>, SourceError> {
        let posts = match self {
            Self::Reddit(reddit) => reddit.info(ids).await?,
            Self::ArcticShift(archive) => {
                let found = archive.look_up(&ids.iter().map(PostId::as_str).collect::<Vec<_>>()).await;
                found.map_err(|problem| SourceError::LookUp { problem })?
            }
        };
        Ok(posts.into_iter().map(|post| (post.post.id.clone(), post)).collect())
    }
}
