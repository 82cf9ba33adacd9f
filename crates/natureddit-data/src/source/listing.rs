//! The walk through Reddit's listings of new posts: newest first, page by page, back to the beginning of the oldest window.
//!
//! A listing ends after some thousand posts, whatever lies behind. Where the common listing of several subreddits ends
//! before the windows begin, each is walked alone, for each has a thousand of its own; what is still not reached is a gap.
//! A page with fewer posts than were asked for may lack some, and is asked for a second time; both answers count as one.
//! A page that brings nothing may mean that the post it was to follow is gone: then it is asked for again after earlier
//! posts, before its silence is believed.

use std::collections::{HashSet, VecDeque};

use natureddit_net::NetError;

use super::reddit_oauth::{ListingPage, OauthError, PAGE_SIZE_MAX, RedditOauth};
use super::{Batch, Sieve, SourceError, Step, Walked, Wish};
use crate::gap::{Gap, GapReason};
use crate::window::Window;

/// Listings with fewer posts than this ended because there were no more: the cap is a thousand, of which some may be gone.
const CAPPED_POSTS_MIN: usize = 800;

/// Posts older than every window, one after the other, after which no newer ones follow: pinned ones are out of order.
const OLD_POSTS_MAX: usize = 10;

/// Earlier posts after which a page is asked for when the one before brought nothing.
const ANCHORS_MAX: usize = 3;

/// A walk through listings.
#[derive(Debug)]
pub struct ListingWalk {
    reddit: RedditOauth,
    page_size: u32,
    sieves: Vec<Sieve>,
    /// Which subreddits are still to be walked together.
    groups: VecDeque<Vec<usize>>,
    current: Option<Current>,
    done: VecDeque<Walked>,
}

/// One listing under way.
#[derive(Debug)]
struct Current {
    group: Vec<usize>,
    seen: HashSet<String>,
    /// Of which there was a post, in lower case.
    subreddits: HashSet<String>,
    /// The names of the latest posts, newest last; the next page follows the last of them.
    anchors: Vec<String>,
    /// How many of them were tried in vain.
    tried: usize,
    /// The beginning of the oldest window.
    since: i64,
    /// The oldest post in the order of the listing.
    reached: Option<i64>,
    old_in_a_row: usize,
    /// The first answer for a page that is asked for a second time.
    first: Option<ListingPage>,
}

/// How a listing stands after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    GoesOn,
    /// Everything back to the beginning of the windows came.
    Complete,
    /// The listing is as long as listings get.
    Capped,
    /// It said that there was more, and gave nothing.
    Silent,
}

impl ListingWalk {
    pub(super) fn new(reddit: RedditOauth, wishes: Vec<Wish>, page_size: u32) -> Self {
        let sieves: Vec<_> = wishes.into_iter().map(Sieve::new).collect();
        let groups = VecDeque::from([(0..sieves.len()).collect()]);
        let page_size = page_size.min(PAGE_SIZE_MAX);
        Self { reddit, page_size, sieves, groups, current: None, done: VecDeque::new() }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Step>, SourceError> {
        loop {
            if let Some(walked) = self.done.pop_front() {
                return Ok(Some(Step::Done(walked)));
            }
            let Some(current) = &mut self.current else {
                let Some(group) = self.groups.pop_front().filter(|group| !group.is_empty()) else { return Ok(None) };
                let since =
                    group.iter().filter_map(|&at| self.sieves[at].wish.windows.first()).map(|w| w.since()).min();
                let name = names(&self.sieves, &group);
                self.current = Some(Current::new(group, since.unwrap_or_default()));
                return Ok(Some(Step::Begin(format!("r/{name}"))));
            };
            let name = names(&self.sieves, &current.group);
            let page = match self.reddit.new_posts(&name, current.after(), self.page_size).await {
                Ok(page) => page,
                Err(error) if is_refusal(&error) => {
                    self.refused(&error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let page = match current.first.take() {
                Some(first) => first.joined(page),
                None if (1..self.page_size as usize).contains(&page.names.len()) => {
                    current.first = Some(page);
                    continue;
                }
                None => page,
            };
            let standing = current.accept(&page);
            let batch = self.sift(page);
            match standing {
                Standing::GoesOn => {}
                Standing::Complete => {
                    self.leave_unseen();
                    self.finish(GapReason::ListingCap, None);
                }
                Standing::Capped => self.not_reached(GapReason::ListingCap),
                Standing::Silent => self.not_reached(GapReason::Silent),
            }
            return Ok(Some(Step::Posts(batch)));
        }
    }

    /// The new posts of the wished windows, in the spelling of the wishes.
    fn sift(&mut self, page: ListingPage) -> Batch {
        let mut batch = Batch { submissions: Vec::new(), unreadable: page.unreadable };
        for mut post in page.submissions {
            let named = |sieve: &&mut Sieve| sieve.wish.subreddit.eq_ignore_ascii_case(&post.post.subreddit);
            let Some(sieve) = self.sieves.iter_mut().find(named) else { continue };
            if sieve.takes(&post) {
                post.post.subreddit.clone_from(&sieve.wish.subreddit);
                batch.submissions.push(post);
            }
        }
        batch
    }

    /// Ends a listing that did not reach back to the windows.
    fn not_reached(&mut self, reason: GapReason) {
        let reached = self.current.as_ref().and_then(|current| current.reached);
        if !self.walk_alone() {
            // Its last second may hold more.
            self.finish(reason, Some(reached.map_or(i64::MAX, |second| second + 1)));
        }
    }

    /// Leaves the subreddits of a common listing to be walked one by one.
    fn walk_alone(&mut self) -> bool {
        let Some(current) = self.current.take_if(|current| current.group.len() > 1) else { return false };
        self.groups.extend(current.group.into_iter().map(|at| vec![at]));
        true
    }

    /// Leaves the subreddits of which a common listing showed nothing to be walked alone: it leaves out those that are
    /// private, banned or misspelt without a word.
    fn leave_unseen(&mut self) {
        let Some(current) = self.current.as_mut().filter(|current| current.group.len() > 1) else { return };
        let shown = |at: &usize| current.subreddits.contains(&self.sieves[*at].wish.subreddit.to_ascii_lowercase());
        let (shown, unseen): (Vec<_>, Vec<_>) = current.group.iter().copied().partition(shown);
        current.group = shown;
        self.groups.extend(unseen.into_iter().map(|at| vec![at]));
    }

    /// Ends the listing of one subreddit that Reddit does not show; several are walked alone to see which it is.
    fn refused(&mut self, error: &OauthError) {
        if !self.walk_alone() {
            tracing::info!(%error, "Reddit does not show this subreddit");
            self.finish(GapReason::Refused, Some(i64::MAX));
        }
    }

    /// Notes what came of the windows of a listing. What lies before `covered_from` is a gap.
    fn finish(&mut self, reason: GapReason, covered_from: Option<i64>) {
        let Some(current) = self.current.take() else { return };
        for at in current.group {
            let sieve = &self.sieves[at];
            for (&window, &posts) in sieve.wish.windows.iter().zip(&sieve.posts) {
                let until = covered_from.unwrap_or(0).min(window.until());
                let gap = Window::new(window.since(), until).ok();
                let gaps = gap.map(|window| Gap { window, reason }).into_iter().collect();
                self.done.push_back(Walked { subreddit: sieve.wish.subreddit.clone(), window, posts, gaps });
            }
        }
    }
}

/// A group as Reddit's addresses name it: `flowers+EarthPorn`.
fn names(sieves: &[Sieve], group: &[usize]) -> String {
    group.iter().map(|&at| sieves[at].wish.subreddit.as_str()).collect::<Vec<_>>().join("+")
}

/// Whether Reddit said that it does not show a subreddit: private, banned, quarantined or unknown. Any other failure says
/// nothing of the subreddit.
fn is_refusal(error: &OauthError) -> bool {
    let OauthError::Net { source: NetError::Status { status, .. }, .. } = error else { return false };
    matches!(status, 302 | 403 | 404 | 451)
}

impl Current {
    fn new(group: Vec<usize>, since: i64) -> Self {
        Self {
            group,
            seen: HashSet::new(),
            subreddits: HashSet::new(),
            anchors: Vec::new(),
            tried: 0,
            since,
            reached: None,
            old_in_a_row: 0,
            first: None,
        }
    }

    /// The post that the next page follows.
    fn after(&self) -> Option<&str> {
        self.anchors.len().checked_sub(1 + self.tried).map(|at| self.anchors[at].as_str())
    }

    fn accept(&mut self, page: &ListingPage) -> Standing {
        let mut brought_new = false;
        for name in &page.names {
            if self.seen.insert(name.clone()) {
                brought_new = true;
                self.anchors.push(name.clone());
            }
        }
        if brought_new {
            return self.after_news(page);
        }
        if self.seen.is_empty() {
            self.tried += 1;
            return if self.tried == 1 { Standing::GoesOn } else { Standing::Complete };
        }
        // After an earlier post comes the latest one again, and the listing says that it ends there.
        if page.after.is_none() && page.names.last() == self.anchors.last() {
            return self.end();
        }
        self.tried += 1;
        match self.tried <= ANCHORS_MAX.min(self.anchors.len() - 1) {
            true => Standing::GoesOn,
            false if self.seen.len() >= CAPPED_POSTS_MIN => Standing::Capped,
            false => Standing::Silent,
        }
    }

    fn after_news(&mut self, page: &ListingPage) -> Standing {
        self.tried = 0;
        self.subreddits.extend(page.submissions.iter().map(|post| post.post.subreddit.to_ascii_lowercase()));
        for second in page.submissions.iter().map(|post| post.post.created_utc) {
            self.old_in_a_row = if second < self.since { self.old_in_a_row + 1 } else { 0 };
            // Not the oldest of all, for a pinned post is older than those that follow it.
            self.reached = Some(second);
        }
        match page.after {
            _ if self.old_in_a_row >= OLD_POSTS_MAX => Standing::Complete,
            Some(_) => Standing::GoesOn,
            None => self.end(),
        }
    }

    fn end(&self) -> Standing {
        if self.seen.len() >= CAPPED_POSTS_MIN { Standing::Capped } else { Standing::Complete }
    }
}
