//! What becomes of posts by chance.

use rand::Rng;

use super::{Stream, stream};
use crate::config::SandboxConfig;
use crate::script::{Change, PostEvent};
use crate::truth::{Outcome, Truth};

/// Plans what becomes of posts that are kept, and notes it in the truth.
pub(crate) fn plan(config: &SandboxConfig, truth: &mut Truth) -> Vec<PostEvent> {
    let mut rng = stream(config.seed, Stream::Later);
    let mut events = Vec::new();
    let mut gone = |post: &str, at: i64, change| events.push(PostEvent { post: post.to_owned(), at, change });
    for post in &mut truth.posts {
        // Every post takes its numbers, so that a share that is changed leaves the other posts' lot as it is.
        let (lot, wait) = (rng.random::<f64>(), rng.random_range(1..=config.later.within_seconds.max(1)));
        if !matches!(post.outcome, Outcome::Row { .. }) {
            continue;
        }
        let shares = [
            (config.later.deleted, Change::Delete),
            (config.later.removed, Change::Remove),
            (config.later.vanished, Change::Vanish),
        ];
        let mut reached = 0.0;
        for (share, change) in shares {
            reached += share;
            if lot < reached {
                post.gone_at = Some(post.created_utc + wait);
                gone(post.id.as_str(), post.created_utc + wait, change);
                break;
            }
        }
    }
    for event in config.events.iter().filter(|event| event.change.is_an_end()) {
        let id = event.post.strip_prefix("t3_").unwrap_or(&event.post);
        for post in truth.posts.iter_mut().filter(|post| post.id.as_str() == id) {
            post.gone_at = Some(post.gone_at.map_or(event.at, |at| at.min(event.at)));
        }
    }
    events
}
