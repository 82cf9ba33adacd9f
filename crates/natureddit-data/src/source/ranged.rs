//! The walk through sources that give pages of a range of time.

use std::collections::{BTreeMap, HashSet, VecDeque};

use natureddit_core::ContentHash;

use super::answer::Page;
use super::arctic_shift::{self, ArcticShift};
use super::pushshift::{self, Pushshift};
use super::{Batch, SourceError, Step, Walked, Wish};
use crate::gap::{Gap, GapReason};
use crate::id_set::IdSet;
use crate::paging::{PageRequest, Pager};
use crate::window::Window;

const DAY: i64 = 86_400;

/// An API that gives pages of a range of time.
#[derive(Clone, Debug)]
pub(super) enum RangedApi {
    Pushshift(Pushshift),
    ArcticShift(ArcticShift),
}

/// A walk through such an API, one window after the other.
#[derive(Debug)]
pub struct RangedWalk {
    api: RangedApi,
    page_size: u32,
    wishes: VecDeque<Wish>,
    /// The subreddit and its windows that are still to come.
    subreddit: Option<(String, VecDeque<Window>)>,
    current: Option<Current>,
}

/// One window under way.
#[derive(Debug)]
struct Current {
    window: Window,
    pager: Pager,
    posts: u64,
    /// Pages overlap, so that the same record comes more than once.
    unreadable: HashSet<ContentHash>,
    /// Every post that came, also beside the window, and how many of each day.
    came: IdSet,
    days: BTreeMap<i64, u64>,
}

impl RangedApi {
    fn page_size_max(&self) -> u32 {
        match self {
            Self::Pushshift(_) => pushshift::PAGE_SIZE_MAX,
            Self::ArcticShift(_) => arctic_shift::PAGE_SIZE_MAX,
        }
    }

    async fn page(&mut self, subreddit: &str, request: PageRequest) -> Result<Page, SourceError> {
        match self {
            Self::Pushshift(api) => api.page(subreddit, request).await,
            Self::ArcticShift(api) => api.page(subreddit, request).await,
        }
    }

    async fn counts(&self, subreddit: &str, window: Window) -> Option<BTreeMap<i64, u64>> {
        match self {
            Self::Pushshift(_) => None,
            Self::ArcticShift(api) => api.counts(subreddit, window).await,
        }
    }
}

impl RangedWalk {
    pub(super) fn new(api: RangedApi, wishes: Vec<Wish>, page_size: u32) -> Self {
        Self { api, page_size, wishes: wishes.into(), subreddit: None, current: None }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Step>, SourceError> {
        let Some((subreddit, windows)) = &mut self.subreddit else { return Ok(self.begin()) };
        let subreddit = subreddit.clone();
        if self.current.is_none() {
            let Some(window) = windows.pop_front() else { return Ok(self.begin()) };
            self.current = Some(Current::new(window, self.page_size, self.api.page_size_max()));
        }
        let Some(current) = &mut self.current else { return Ok(None) };
        if let Some(request) = current.pager.next_page() {
            let page = self.api.page(&subreddit, request).await?;
            return current.accept(page, &subreddit).map(|batch| Some(Step::Posts(batch)));
        }
        let counts = self.api.counts(&subreddit, current.window).await;
        let done =
            self.current.take().map(|current| Step::Done(current.into_walked(subreddit, &counts.unwrap_or_default())));
        Ok(done)
    }
}

impl RangedWalk {
    /// Goes on to the next subreddit, if there is one.
    fn begin(&mut self) -> Option<Step> {
        self.subreddit = self.wishes.pop_front().map(|Wish { subreddit, windows }| (subreddit, windows.into()));
        self.subreddit.as_ref().map(|(subreddit, _)| Step::Begin(format!("r/{subreddit}")))
    }
}

impl Current {
    fn new(window: Window, page_size: u32, page_size_max: u32) -> Self {
        let pager = Pager::new(window, page_size, page_size_max);
        Self { window, pager, posts: 0, unreadable: HashSet::new(), came: IdSet::default(), days: BTreeMap::new() }
    }

    fn accept(&mut self, page: Page, subreddit: &str) -> Result<Batch, SourceError> {
        let keys: Vec<_> = page.submissions.iter().map(|s| (s.post.id.clone(), s.post.created_utc)).collect();
        let is_measuring = self.pager.is_measuring();
        let new = self.pager.accept(page.records(), page.size, &keys);
        let new = new.map_err(|source| SourceError::Paging { subreddit: subreddit.to_owned(), source })?;
        if is_measuring {
            // Its posts may be of a day of the window, but not of the window: they would hide that others are missing.
            return Ok(Batch { submissions: Vec::new(), unreadable: 0 });
        }
        for (id, second) in keys {
            *self.days.entry(second.div_euclid(DAY) * DAY).or_default() += u64::from(self.came.insert(&id));
        }
        let unreadable = page.unreadable.into_iter().filter(|hash| self.unreadable.insert(*hash)).count() as u64;
        let mut is_new = vec![false; page.submissions.len()];
        new.into_iter().for_each(|position| is_new[position] = true);
        let submissions = page.submissions.into_iter().zip(is_new).filter_map(|(post, is_new)| is_new.then_some(post));
        let submissions: Vec<_> = submissions.collect();
        self.posts += submissions.len() as u64;
        Ok(Batch { submissions, unreadable })
    }

    /// The window as it was walked. `counts` is how many posts of each day the source counts itself.
    fn into_walked(self, subreddit: String, counts: &BTreeMap<i64, u64>) -> Walked {
        let mut gaps = self.pager.into_gaps();
        let unreadable = self.unreadable.len() as u64;
        for (&day, &count) in counts {
            let came = self.days.get(&day).copied().unwrap_or(0);
            let (since, until) = (day.max(self.window.since()), (day + DAY).min(self.window.until()));
            // Records that could not be read are of an unknown day.
            if count > came + unreadable
                && let Ok(window) = Window::new(since, until)
            {
                tracing::info!(subreddit, %window, count, came, "the source counts more posts than it gave");
                gaps.push(Gap { window, reason: GapReason::FewerThanCounted });
            }
        }
        gaps.sort_unstable();
        Walked { subreddit, window: self.window, posts: self.posts, gaps }
    }
}
