//! Paging that cannot lose a post: which pages of a window to ask for, decided from what came so far.
//!
//! Servers in the shape of Pushshift give at most so many posts of a time range, often fewer than they were asked for.
//! They differ in whether `after` and `before` include their own second, in the order within a page, and some ignore the
//! wish for the oldest posts and give the newest. Many posts can share a second, also across the edge of a page. So the
//! window is walked twice:
//!
//! 1. forwards, each page asking again for the last second seen (`after = last - 1`) and dropping what is known by id,
//!    until a page brings nothing new; then once past that second, for the page may have been full of it;
//! 2. backwards from the oldest post seen, in the same way. Where the server gave the oldest posts first, as asked, this
//!    is a page or two that confirm it.
//!
//! Servers also leave out posts of a page without a word. A page that is shorter than what was asked for, and than what the
//! server is known to give at most, is therefore asked for a second time, and both answers count as one: what one answer
//! alone leaves out is lost only if the other leaves it out too.
//!
//! A page that is full of known posts asks for a larger page. Where it is full of known posts of one second, no request can
//! tell whether that second holds more: it is reported as a gap and walked past. Where only the length of that page makes
//! it doubtful, because none was longer, one page of a wider range is asked for first: if more posts come in that, the
//! server would have given more of the second as well. A page that should have brought the last post again and is empty
//! contradicts what was seen: it is asked for again, and what lies beyond that post is a gap when the server stays silent.

use std::collections::{BTreeMap, HashSet};

use natureddit_core::PostId;

use crate::gap::{Gap, GapReason};
use crate::id_set::IdSet;
use crate::window::{self, Window, shown};

/// Pages of one window after which the server is taken to invent posts without end.
const PAGES_MAX: u32 = 1_000_000;

/// How often an empty page is asked for again: a server whose shards are down for a moment answers with nothing at all.
const EMPTY_REPEATS: u32 = 2;

/// No server is known whose largest page is smaller than this. The longest page that came, if it is all of one second and
/// no shorter than this, may have been cut short; real seconds with so many posts of a subreddit hardly exist.
const PAGE_CAP_MIN: usize = 10;

/// Before the window, for a longer page than those of a window that has few posts, in seconds.
const WIDER: i64 = 366 * 86_400;

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

/// A server that cannot be paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PagingError {
    /// Not one post of a page lies where it was asked for.
    #[error(
        "the server ignores the window: asked for posts from {} until {} and got one of {}",
        shown(*after), shown(*before), shown(*second)
    )]
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
    seen: IdSet,
    /// How many posts of the window were seen.
    posts: usize,
    oldest_seen: Option<i64>,
    /// The most records that came in one page, each counted once.
    longest: usize,
    /// Whether the next page is only to show how many records the server gives, and the longest page when that was last
    /// asked.
    is_measuring: bool,
    measured: usize,
    /// The most records of a page that was shorter than asked for and yet not all there was: the server's own limit.
    longest_cut: usize,
    /// Whether a page of the walk forwards may have been full and none led on, so that perhaps the newest posts came.
    oldest_may_lack: bool,
    gaps: BTreeMap<GapReason, Vec<Window>>,
    pages: u32,
    /// The first answer for a page that is asked for a second time.
    first: Option<Answer>,
    walk: Option<Walk>,
}

/// A walk through the window in one direction. Its positions are seconds when it goes forwards and negated seconds when
/// it goes backwards, so that it always moves towards greater ones.
#[derive(Clone, Copy, Debug)]
struct Walk {
    backwards: bool,
    /// The furthest position reached.
    edge: i64,
    /// Whether a post was seen there.
    edge_is_seen: bool,
    /// How far the next request starts past `edge - 1`, where even a server that excludes the bound gives the edge:
    /// 1 when the bound proved to be included, more to leave the edge behind.
    step: i64,
    bound_is_included: bool,
    /// Whether the next request leaves the edge behind, and what is known of that edge then.
    past: Option<EdgeState>,
    size: u32,
    /// Empty pages in a row.
    empty_pages: u32,
    /// Whether it brought a post that was not known.
    brought_new: bool,
    /// The records of the page before, where it was shorter than asked for.
    short_page: Option<usize>,
}

/// What the last page that covered the edge of a walk says of what lies beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EdgeState {
    /// It was short and held nothing else, so that there should be nothing.
    Whole,
    /// It was full of posts of the edge, or empty although a post had been seen there: it says nothing.
    Doubtful,
}

/// One page and whether anything in it was new.
#[derive(Debug)]
struct Answer {
    records: usize,
    unreadable: usize,
    size: u32,
    keys: Vec<(PostId, i64)>,
    brought_new: bool,
}

impl Pager {
    /// Pages of `size` posts; `size_max` is the largest page that may be asked for. The server may give smaller ones.
    #[must_use]
    pub fn new(window: Window, size: u32, size_max: u32) -> Self {
        let size_max = size_max.max(1);
        Self {
            window,
            size_max,
            seen: IdSet::default(),
            posts: 0,
            oldest_seen: None,
            longest: 0,
            is_measuring: false,
            measured: 0,
            longest_cut: 0,
            oldest_may_lack: false,
            gaps: BTreeMap::new(),
            pages: 0,
            first: None,
            walk: Some(Walk::new(false, window.since(), false, size.clamp(1, size_max))),
        }
    }

    /// The page to ask for next; `None` when the window is covered but for its gaps.
    #[must_use]
    pub fn next_page(&self) -> Option<PageRequest> {
        let walk = self.walk?;
        if self.is_measuring {
            let since = self.window.since();
            let wider = if self.posts > self.longest { 0 } else { WIDER };
            let after = since.saturating_sub(1 + wider);
            return Some(PageRequest { after, before: self.window.until(), size: self.size_max });
        }
        let bound = walk.bound();
        let (after, before) =
            if walk.backwards { (self.window.since() - 1, -bound) } else { (bound, self.window.until()) };
        Some(PageRequest { after, before, size: walk.size })
    }

    /// Whether the next page is only to show how many records the server gives. It may lie before the window, and brings
    /// no post.
    #[must_use]
    pub fn is_measuring(&self) -> bool {
        self.is_measuring
    }

    /// Takes the page that was asked for and says which of its posts, by position, are of the window and new. `records`
    /// is how many posts came, also counting those that could not be read and are not in `keys`; `size` how many were
    /// asked for, where the source had to ask for fewer.
    ///
    /// # Errors
    /// [`PagingError`] when going on would lose posts or never end.
    pub fn accept(&mut self, records: usize, size: u32, keys: &[(PostId, i64)]) -> Result<Vec<usize>, PagingError> {
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
        if std::mem::take(&mut self.is_measuring) {
            // Only its length counts: the walks must find its posts in their own order.
            self.longest = self.longest.max(distinct_records(records.saturating_sub(keys.len()), keys));
            return Ok(Vec::new());
        }
        let mut fresh = Vec::new();
        for (position, (id, second)) in keys.iter().enumerate() {
            if self.window.contains(*second) && self.seen.insert(id) {
                fresh.push(position);
                self.oldest_seen = Some(self.oldest_seen.map_or(*second, |oldest| oldest.min(*second)));
            }
        }
        self.posts += fresh.len();
        let (unreadable, size) = (records.saturating_sub(keys.len()), size.min(request.size));
        let mut page = Answer { records, unreadable, size, keys: keys.to_vec(), brought_new: !fresh.is_empty() };
        match self.first.take() {
            Some(first) => page = first.joined(page),
            None if self.may_lack_posts(&walk, &page) => {
                self.first = Some(page);
                return Ok(fresh);
            }
            None => {}
        }
        self.longest = self.longest.max(page.distinct_records());
        self.walk = if page.keys.is_empty() { self.after_empty_page(walk) } else { self.after_page(walk, &page) };
        if self.walk.is_none() && !walk.backwards && self.longest > 0 {
            let newest_unknown = self.oldest_seen.unwrap_or(self.window.until() - 1);
            self.walk = Some(Walk::new(true, -newest_unknown, self.oldest_seen.is_some(), walk.size));
        }
        Ok(fresh)
    }

    /// Where the walk stands after a page with posts; `None` at its end.
    fn after_page(&mut self, mut walk: Walk, page: &Answer) -> Option<Walk> {
        walk.empty_pages = 0;
        let at_bound = page.keys.iter().any(|key| walk.position(key.1) == walk.bound());
        walk.bound_is_included |= at_bound;
        if page.brought_new {
            return Some(self.after_news(walk, page, at_bound));
        }
        let is_full = self.is_full(page);
        if at_bound && walk.step == 0 && walk.edge_is_seen {
            walk.step = 1;
            return Some(walk);
        }
        if page.records >= walk.size as usize && walk.size < self.size_max {
            walk.size = self.size_max;
            return Some(walk);
        }
        if is_full && self.may_be_longer(page) {
            // The same page is asked for again after it, and is judged by then.
            (self.is_measuring, self.measured) = (true, self.longest);
            return Some(walk);
        }
        if !is_full && !walk.edge_is_seen {
            // Posts beside the window and room for more: it is empty.
            return None;
        }
        if at_bound && walk.step == 0 {
            walk.step = 1;
            return Some(walk);
        }
        // A first step past the edge still gives the edge where the bound turns out to be included.
        if walk.past.is_some() && (walk.step == 2 || !at_bound) {
            return None;
        }
        if !is_full {
            return self.step_past_edge(walk, EdgeState::Whole);
        }
        if let Some(second) = self.only_second(page) {
            self.add_gap(Window::of_second(second), GapReason::FullSecond);
        }
        self.step_past_edge(walk, EdgeState::Doubtful)
    }

    fn after_news(&mut self, mut walk: Walk, page: &Answer, at_bound: bool) -> Walk {
        if walk.past.take().is_some() && walk.edge_is_seen {
            // The page before covered these posts too and did not bring them: it was cut short within the edge.
            self.add_gap(Window::of_second(walk.second()), GapReason::FullSecond);
        }
        self.longest_cut = self.longest_cut.max(walk.short_page.unwrap_or(0));
        walk.short_page = Some(page.distinct_records()).filter(|&records| records < page.size as usize);
        let inside = page.keys.iter().map(|key| key.1).filter(|&second| self.window.contains(second));
        let edge = inside.map(|second| walk.position(second)).fold(walk.edge, i64::max);
        if !walk.backwards {
            let may_be_full = page.records >= (page.size as usize).min(PAGE_CAP_MIN);
            let leads_on = walk.edge_is_seen && edge > walk.edge;
            self.oldest_may_lack = !leads_on && (self.oldest_may_lack || may_be_full);
        }
        walk.edge = edge;
        walk.edge_is_seen = true;
        walk.brought_new = true;
        walk.step = i64::from(at_bound);
        walk
    }

    /// Where the walk stands after a page without a post. A post that was seen must come again when it is asked for, so an
    /// empty page in its place means that the server is not well, or that just that post was deleted.
    fn after_empty_page(&mut self, mut walk: Walk) -> Option<Walk> {
        walk.empty_pages += 1;
        let may_repeat = walk.empty_pages <= EMPTY_REPEATS;
        match walk.past {
            Some(EdgeState::Whole) => None,
            _ if may_repeat && self.longest > 0 => Some(walk),
            None if walk.edge_is_seen => {
                self.add_gap(Window::of_second(walk.second()), GapReason::Silent);
                self.step_past_edge(walk, EdgeState::Doubtful)
            }
            // Posts came, if only from beside the window, and nothing does where they should come again or may go on.
            _ if self.longest > 0 => {
                self.add_gap(self.beyond(&walk), GapReason::Silent);
                None
            }
            // Nothing contradicts it; asked twice all the same, for a whole window hangs on it.
            _ => (walk.empty_pages == 1).then_some(walk),
        }
    }

    /// Whether a page is shorter than it had to be if there were more, so that posts may be missing in it. Empty ones, which
    /// say more, are repeated elsewhere.
    fn may_lack_posts(&self, walk: &Walk, page: &Answer) -> bool {
        // A record that comes twice must not stand for one that is missing.
        let records = page.distinct_records();
        let is_short = records < page.size as usize && (self.longest_cut == 0 || records < self.longest_cut);
        // What lies before the oldest post was asked for by the walk forwards, unless that was given the newest posts, and
        // what lies past an edge by the page of the edge.
        let is_first_look = walk.past.is_none() && (walk.brought_new || !walk.backwards || self.oldest_may_lack);
        is_short && !page.keys.is_empty() && (page.brought_new || is_first_look)
    }

    /// Whether a page may have been cut short by its size or by the server.
    fn is_full(&self, page: &Answer) -> bool {
        let records = page.records;
        records >= page.size as usize
            || (records >= self.longest && (self.longest_cut >= self.longest || records >= PAGE_CAP_MIN))
    }

    /// Whether a page is taken for full because none was longer, and a longer one is still to be asked for.
    fn may_be_longer(&self, page: &Answer) -> bool {
        page.records < page.size as usize && self.longest_cut < self.longest && self.measured < self.longest
    }

    /// The second of which a whole page is, if it lies in the window.
    fn only_second(&self, page: &Answer) -> Option<i64> {
        let second = page.keys.first()?.1;
        (self.window.contains(second) && page.keys.iter().all(|key| key.1 == second)).then_some(second)
    }

    /// What a walk has still before it, its edge included.
    fn beyond(&self, walk: &Walk) -> Window {
        let (since, until) = match (walk.edge_is_seen, walk.backwards) {
            (false, _) => (self.window.since(), self.window.until()),
            (true, false) => (walk.second(), self.window.until()),
            (true, true) => (self.window.since(), walk.second() + 1),
        };
        // Never empty: the edge lies in the window.
        Window::new(since, until).unwrap_or(self.window)
    }

    /// Leaves the edge behind, where the window goes on beyond it.
    fn step_past_edge(&self, mut walk: Walk, edge: EdgeState) -> Option<Walk> {
        let next = if walk.backwards { walk.second() - 1 } else { walk.second() + 1 };
        walk.past = Some(edge);
        walk.step = if walk.bound_is_included { 2 } else { 1 };
        walk.empty_pages = 0;
        self.window.contains(next).then_some(walk)
    }

    fn add_gap(&mut self, gap: Window, reason: GapReason) {
        window::add(self.gaps.entry(reason).or_default(), gap);
    }

    /// The parts of the window of which posts may be missing, in order.
    #[must_use]
    pub fn into_gaps(self) -> Vec<Gap> {
        let (mut gaps, mut told) = (Vec::new(), Vec::new());
        // The wider ones first; no second is in two.
        for (reason, windows) in self.gaps.into_iter().rev() {
            for window in windows {
                gaps.extend(window::without(window, &told).into_iter().map(|window| Gap { window, reason }));
                window::add(&mut told, window);
            }
        }
        gaps.sort_unstable();
        gaps
    }
}

impl Walk {
    fn new(backwards: bool, edge: i64, edge_is_seen: bool, size: u32) -> Self {
        Self {
            backwards,
            edge,
            edge_is_seen,
            step: 0,
            bound_is_included: false,
            past: None,
            size,
            empty_pages: 0,
            brought_new: false,
            short_page: None,
        }
    }

    fn position(&self, second: i64) -> i64 {
        if self.backwards { -second } else { second }
    }

    /// The second of the edge.
    fn second(&self) -> i64 {
        self.edge.abs()
    }

    /// The position after which the next request asks.
    fn bound(&self) -> i64 {
        self.edge - 1 + self.step
    }
}

impl Answer {
    fn distinct_records(&self) -> usize {
        distinct_records(self.unreadable, &self.keys)
    }

    /// Two answers for one page as one.
    fn joined(mut self, other: Self) -> Self {
        let known: HashSet<_> = self.keys.iter().map(|key| key.0.clone()).collect();
        self.keys.extend(other.keys.into_iter().filter(|key| !known.contains(&key.0)));
        self.records = self.records.max(other.records).max(self.keys.len());
        self.unreadable = self.unreadable.max(other.unreadable);
        self.size = self.size.min(other.size);
        self.brought_new |= other.brought_new;
        self
    }
}

/// How many records of a page are not there twice; those that could not be read count.
fn distinct_records(unreadable: usize, keys: &[(PostId, i64)]) -> usize {
    keys.iter().map(|key| &key.0).collect::<HashSet<_>>().len() + unreadable
}

#[cfg(test)]
mod tests;
