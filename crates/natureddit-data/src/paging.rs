//! Paging that cannot lose a post: which pages of a window to ask for, decided from what came so far.
//!
//! Servers in the shape of Pushshift give at most so many posts of a time range. They differ in whether `after` and
//! `before` include their own second, in the order within a page, and some ignore the wish for the oldest posts and give
//! the newest. Many posts can share a second, also across the edge of a page. So the window is walked twice:
//!
//! 1. forwards, each page asking again for the last second seen (`after = last - 1`) and dropping what is known by id,
//!    until a page brings nothing new;
//! 2. backwards from the oldest post seen, in the same way. Where the server gave the oldest posts first, as asked, this
//!    is a single page that confirms it.
//!
//! A page that is full of known posts asks for a larger page. Where the largest page is full of known posts of one second,
//! no request can tell whether that second holds more: it is reported as a [`Gap`] and walked past.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use natureddit_core::PostId;
use serde::{Deserialize, Serialize};

/// Pages of one window after which the server is taken to invent posts without end.
const PAGES_MAX: u32 = 1_000_000;

/// A half-open range of time, `[since, until)`, in seconds since the epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WindowText", into = "WindowText")]
pub struct Window {
    since: i64,
    until: i64,
}

/// A window as files write it.
#[derive(Serialize, Deserialize)]
struct WindowText {
    since: Timestamp,
    until: Timestamp,
}

/// A range of time that cannot be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// It ends before it begins, or at once.
    #[error("the window from {since} until {until} is empty (seconds since 1970)")]
    Empty {
        /// Its first second.
        since: i64,
        /// The second it ends before.
        until: i64,
    },
    /// It reaches outside the years 1970 to 9999.
    #[error("the window from {since} until {until} is not between 1970 and 9999 (seconds since 1970)")]
    OutOfRange {
        /// Its first second.
        since: i64,
        /// The second it ends before.
        until: i64,
    },
}

impl Window {
    /// The window from `since` until before `until`.
    ///
    /// # Errors
    /// An empty window, or one before 1970 or after 9999.
    pub fn new(since: i64, until: i64) -> Result<Self, WindowError> {
        if since < 0 || Timestamp::from_second(until).is_err() {
            return Err(WindowError::OutOfRange { since, until });
        }
        if since >= until {
            return Err(WindowError::Empty { since, until });
        }
        Ok(Self { since, until })
    }

    /// The first second.
    #[must_use]
    pub fn since(self) -> i64 {
        self.since
    }

    /// The second it ends before.
    #[must_use]
    pub fn until(self) -> i64 {
        self.until
    }

    /// The window that covers both, if they overlap or touch.
    pub(crate) fn join(self, other: Self) -> Option<Self> {
        let touch = self.since <= other.until && other.since <= self.until;
        touch.then(|| Self { since: self.since.min(other.since), until: self.until.max(other.until) })
    }

    /// Whether a moment lies in it.
    #[must_use]
    pub fn contains(self, second: i64) -> bool {
        (self.since..self.until).contains(&second)
    }
}

impl TryFrom<WindowText> for Window {
    type Error = WindowError;

    fn try_from(text: WindowText) -> Result<Self, Self::Error> {
        Self::new(text.since.as_second(), text.until.as_second())
    }
}

impl From<Window> for WindowText {
    fn from(window: Window) -> Self {
        // Checked by `Window::new`.
        let timestamp = |second| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { since: timestamp(window.since), until: timestamp(window.until) }
    }
}

/// What to ask a server for: the oldest `size` posts after one second and before another, each perhaps included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// In seconds since the epoch.
    pub after: i64,
    /// In seconds since the epoch.
    pub before: i64,
    /// How many posts.
    pub size: u32,
}

/// A second with so many posts that not all of them could be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// In seconds since the epoch.
    pub second: i64,
}

/// A server that cannot be paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PagingError {
    /// Not one post of a page lies where it was asked for.
    #[error("the server ignores the window: asked for posts from {after} until {before} and got one of {second}")]
    WindowIgnored {
        /// What was asked for, in seconds since the epoch.
        after: i64,
        /// What was asked for, in seconds since the epoch.
        before: i64,
        /// The time of one of the posts.
        second: i64,
    },
    /// Every page brings posts that were never seen before, without end.
    #[error("the server still had posts after {PAGES_MAX} pages")]
    TooManyPages,
}

/// The pages of one window of one subreddit.
#[derive(Debug)]
pub struct Pager {
    window: Window,
    size_max: u32,
    seen: HashSet<PostId>,
    oldest_seen: Option<i64>,
    gaps: BTreeSet<Gap>,
    pages: u32,
    walk: Option<Walk>,
}

/// A walk through the window in one direction. Its positions are seconds when it goes forwards and negated seconds when
/// it goes backwards, so that it always moves towards greater ones.
#[derive(Clone, Copy, Debug)]
struct Walk {
    backwards: bool,
    /// The furthest position reached.
    edge: i64,
    /// How far the next request starts past `edge - 1`, where even a server that excludes the bound gives the edge:
    /// 1 when the bound proved to be included, 2 to leave an edge behind of which the server gives no more.
    step: i64,
    size: u32,
}

impl Pager {
    /// Pages of `size` posts; `size_max` is the largest page the server gives.
    #[must_use]
    pub fn new(window: Window, size: u32, size_max: u32) -> Self {
        let size_max = size_max.max(1);
        let walk = Walk { backwards: false, edge: window.since, step: 0, size: size.clamp(1, size_max) };
        Self {
            window,
            size_max,
            seen: HashSet::new(),
            oldest_seen: None,
            gaps: BTreeSet::new(),
            pages: 0,
            walk: Some(walk),
        }
    }

    /// The page to ask for next; `None` when the window is covered.
    #[must_use]
    pub fn next_page(&self) -> Option<PageRequest> {
        let walk = self.walk?;
        let bound = walk.bound();
        let (after, before) = if walk.backwards { (self.window.since - 1, -bound) } else { (bound, self.window.until) };
        Some(PageRequest { after, before, size: walk.size })
    }

    /// Takes the page that was asked for and says which of its posts, by position, are of the window and new. `records`
    /// is how many posts came, also counting those that could not be read and are not in `keys`.
    ///
    /// # Errors
    /// [`PagingError`] when going on would lose posts or never end.
    pub fn accept(&mut self, records: usize, keys: &[(PostId, i64)]) -> Result<Vec<usize>, PagingError> {
        let (Some(walk), Some(request)) = (self.walk, self.next_page()) else { return Ok(Vec::new()) };
        self.pages += 1;
        if self.pages > PAGES_MAX {
            return Err(PagingError::TooManyPages);
        }
        let asked = request.after..=request.before;
        if let Some(&(_, second)) = keys.first()
            && !keys.iter().any(|(_, second)| asked.contains(second))
        {
            return Err(PagingError::WindowIgnored { after: request.after, before: request.before, second });
        }
        let mut fresh = Vec::new();
        for (position, (id, second)) in keys.iter().enumerate() {
            if self.window.contains(*second) && self.seen.insert(id.clone()) {
                fresh.push(position);
                self.oldest_seen = Some(self.oldest_seen.map_or(*second, |oldest| oldest.min(*second)));
            }
        }
        let was_empty_window = self.pages == 1 && records == 0;
        self.walk = self.advance(walk, records, keys, !fresh.is_empty());
        if self.walk.is_none() && !walk.backwards && !was_empty_window {
            let newest_unknown = self.oldest_seen.unwrap_or(self.window.until - 1);
            self.walk = Some(Walk { backwards: true, edge: -newest_unknown, step: 0, size: walk.size });
        }
        Ok(fresh)
    }

    /// Where the walk stands after a page; `None` at its end.
    fn advance(&mut self, mut walk: Walk, records: usize, keys: &[(PostId, i64)], brought_new: bool) -> Option<Walk> {
        let position = |second: i64| if walk.backwards { -second } else { second };
        let bound_is_included = keys.iter().any(|key| position(key.1) == walk.bound());
        if brought_new {
            let inside = keys.iter().map(|key| key.1).filter(|&second| self.window.contains(second));
            walk.edge = inside.map(position).fold(walk.edge, i64::max);
            walk.step = i64::from(bound_is_included);
            return Some(walk);
        }
        if keys.is_empty() {
            return None;
        }
        if bound_is_included && walk.step == 0 {
            walk.step = 1;
            return Some(walk);
        }
        if records < walk.size as usize {
            return None;
        }
        if walk.size < self.size_max {
            walk.size = self.size_max;
            return Some(walk);
        }
        let second = keys[0].1;
        if self.window.contains(second) && keys.iter().all(|key| key.1 == second) {
            self.gaps.insert(Gap { second });
        }
        if walk.step == 0 || (walk.step == 1 && bound_is_included) {
            walk.step += 1;
            return Some(walk);
        }
        None
    }

    /// Seconds of which posts may be missing, in order.
    #[must_use]
    pub fn into_gaps(self) -> Vec<Gap> {
        self.gaps.into_iter().collect()
    }
}

impl Walk {
    /// The position after which the next request asks.
    fn bound(&self) -> i64 {
        self.edge - 1 + self.step
    }
}

#[cfg(test)]
mod tests;
