//! What becomes of posts after they were made, and how each service sees it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::config::LaterConfig;
use crate::corpus::{Content, ItemState, SimPost};
use crate::script::{Change, PostEvent};

/// Arctic Shift takes a post so many seconds after it was made ...
const ARCHIVED_AFTER: i64 = 12;
/// ... and looks again when it has settled.
const SECOND_VISIT: i64 = 36 * 3_600;

/// What becomes of the posts.
pub(crate) struct Changes {
    /// By the post's id, in the order of their times.
    events: RwLock<HashMap<String, Vec<PostEvent>>>,
    /// How long Reddit takes to process a gallery.
    processing_seconds: i64,
    /// How long a post takes to be seen.
    unseen_seconds: i64,
}

/// A post as an archive has it.
pub(crate) struct Archived<'a> {
    pub(crate) post: Cow<'a, SimPost>,
    /// When it was looked at again.
    pub(crate) second_visit: Option<i64>,
    /// Reddit's `removed_by_category` when it was taken, or found gone at the second visit.
    pub(crate) gone: Option<Gone>,
}

/// How an archive found a post gone.
pub(crate) struct Gone {
    pub(crate) by: &'static str,
    /// Already when it was taken.
    pub(crate) at_first: bool,
}

impl Changes {
    pub(crate) fn new(events: Vec<PostEvent>, config: &LaterConfig) -> Self {
        let changes = Self {
            events: RwLock::default(),
            processing_seconds: config.processing_seconds,
            unseen_seconds: config.unseen_seconds,
        };
        changes.add(events);
        changes
    }

    /// Plans more of them.
    pub(crate) fn add(&self, events: Vec<PostEvent>) {
        let mut planned = self.events.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let id = event.post.strip_prefix("t3_").unwrap_or(&event.post).to_owned();
            let own = planned.entry(id).or_default();
            own.push(event);
            own.sort_by_key(|event| event.at);
        }
    }

    fn of(&self, post: &SimPost) -> Vec<PostEvent> {
        let planned = self.events.read().unwrap_or_else(PoisonError::into_inner);
        planned.get(post.id.as_str()).cloned().unwrap_or_default()
    }

    /// Whether a post can be seen at all at `now`.
    pub(crate) fn is_public(&self, post: &SimPost, now: i64) -> bool {
        let hidden = |event: &PostEvent| event.change == Change::Appear && event.at > now;
        post.created_utc + self.unseen_seconds <= now && !self.of(post).iter().any(hidden)
    }

    /// The post as Reddit shows it at `now`; `None` if it does not know it.
    pub(crate) fn seen<'a>(&self, post: &'a SimPost, now: i64) -> Option<Cow<'a, SimPost>> {
        if !self.is_public(post, now) {
            return None;
        }
        let mut seen = Cow::Borrowed(post);
        if now < post.created_utc + self.processing_seconds {
            unprocess(&mut seen);
        }
        for event in self.of(post).iter().filter(|event| event.at <= now) {
            match event.change {
                Change::Appear => {}
                Change::Vanish => return None,
                Change::Delete | Change::Remove => strip(&mut seen, event.change),
                Change::Edit => seen.to_mut().edited_at = Some(event.at),
            }
        }
        Some(seen)
    }

    /// Whether a post's files are gone at `now`.
    pub(crate) fn has_no_media(&self, post: &SimPost, now: i64) -> bool {
        let deleted = |event: &PostEvent| matches!(event.change, Change::Delete | Change::Vanish) && event.at <= now;
        self.of(post).iter().any(deleted)
    }

    /// The post as a service has it that took it `seconds` after it was made and never looked again.
    pub(crate) fn taken<'a>(&self, post: &'a SimPost, seconds: i64, now: i64) -> Option<Cow<'a, SimPost>> {
        if !self.is_public(post, now) {
            return None;
        }
        let mut taken = self.seen(post, post.created_utc.saturating_add(seconds.max(self.unseen_seconds)));
        if taken.is_none() {
            taken = Some(Cow::Borrowed(post));
        }
        taken
    }

    /// The post as Arctic Shift has it at `now`: what it took stays, and what it found gone later is marked.
    pub(crate) fn archived<'a>(&self, post: &'a SimPost, now: i64) -> Option<Archived<'a>> {
        let taken = self.taken(post, ARCHIVED_AFTER, now)?;
        if let Some(by) = taken.removed_by {
            let gone = Some(Gone { by, at_first: true });
            return Some(Archived { post: taken, second_visit: None, gone });
        }
        let visit = post.created_utc + SECOND_VISIT;
        if now < visit {
            return Some(Archived { post: taken, second_visit: None, gone: None });
        }
        let (by, post) = match self.seen(post, visit) {
            None => (Some("deleted"), taken),
            Some(found) if found.removed_by.is_some() => (found.removed_by, taken),
            Some(found) => (None, found),
        };
        let gone = by.map(|by| Gone { by, at_first: false });
        Some(Archived { post, second_visit: Some(visit), gone })
    }
}

/// What Reddit leaves of a post that is gone.
fn strip(seen: &mut Cow<'_, SimPost>, change: Change) {
    let post = seen.to_mut();
    let text = if change == Change::Delete {
        post.author = "[deleted]".into();
        post.removed_by = Some("deleted");
        "[deleted]"
    } else {
        post.removed_by = Some("moderator");
        "[removed]"
    };
    if let Content::Text(own) = &mut post.content {
        *own = text.into();
    }
}

/// A gallery whose pictures Reddit has not made yet.
fn unprocess(seen: &mut Cow<'_, SimPost>) {
    if matches!(seen.content, Content::Gallery(_))
        && let Content::Gallery(items) = &mut seen.to_mut().content
    {
        items.iter_mut().for_each(|item| item.state = ItemState::Unprocessed);
    }
}
