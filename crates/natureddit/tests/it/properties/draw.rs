//! Cases that follow from a seed: a corpus, a source and its habits, and a schedule of faults.

use natureddit_sandbox::{AfterMode, Fault, FaultAction, LostAnchor, SUBREDDITS};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Where posts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Pushshift,
    ArcticShift,
    RedditOauth,
    Dump,
}

impl From {
    pub(super) const ALL: [Self; 4] = [Self::Pushshift, Self::ArcticShift, Self::RedditOauth, Self::Dump];
    /// Those that are asked over the network.
    pub(super) const ASKED: [Self; 3] = [Self::Pushshift, Self::ArcticShift, Self::RedditOauth];

    /// What only the paths of its own requests contain.
    fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Pushshift => &["/pullpush/"],
            Self::ArcticShift => &["/arctic/api/posts/search?", "/arctic/api/posts/search?", "/arctic/"],
            Self::RedditOauth => &["/new?", "/new?", "/api/v1/access_token"],
            Self::Dump => &[],
        }
    }
}

/// Everything that a run depends on. What it comes to must depend on the corpus alone.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) from: From,
    pub(super) posts: usize,
    /// Whether no post has a photo to fetch.
    pub(super) posts_only: bool,
    pub(super) page_size: u32,
    /// Of the collection that nothing goes wrong with.
    pub(super) page_size_of_reference: u32,
    /// How bounds are taken, by both archives.
    pub(super) after: AfterMode,
    /// What `limit=auto` gives, and the largest page that is not too slow.
    pub(super) auto_limit: usize,
    pub(super) timeout_above: Option<usize>,
    pub(super) lost_anchor: LostAnchor,
    pub(super) token_seconds: i64,
    pub(super) faults: Vec<Fault>,
}

/// The faults of the script that a client can notice. The numbers are drawn.
pub(super) fn told(rng: &mut ChaCha8Rng) -> Vec<FaultAction> {
    let status = |code| FaultAction::Status { code, retry_after: None };
    let mut faults: Vec<_> = [401, 403, 404, 408, 451, 500, 502, 503, 504, 520, 522].map(status).to_vec();
    faults.extend([
        FaultAction::Status { code: 429, retry_after: Some(1) },
        FaultAction::Answer { code: 503, headers: [("retry-after".into(), "1".into())].into(), body: "busy".into() },
        FaultAction::Answer { code: 200, headers: [].into(), body: "{\"data\": null, \"error\": \"Timeout\"}".into() },
        FaultAction::TooManyPage { retry_after: 1 },
        FaultAction::TooManyJson,
        FaultAction::TooManyHeaders { reset: 1 },
        FaultAction::Revoke,
        FaultAction::Reset,
        FaultAction::Truncated,
        FaultAction::Stall { milliseconds: rng.random_range(1..20) },
        FaultAction::Drip { milliseconds: 1 },
        FaultAction::Empty,
        FaultAction::Html,
        FaultAction::MalformedJson,
        FaultAction::Gzip,
        FaultAction::Chunked,
        FaultAction::Shuffled,
        FaultAction::Twice,
    ]);
    faults
}

/// The faults of the script that hide posts and say nothing. Pages have about `page` records, of which the first and last
/// ones mostly come with another page too, so that only one in the middle is missed.
pub(super) fn hiding(rng: &mut ChaCha8Rng, page: usize) -> [FaultAction; 5] {
    [
        FaultAction::ShortPage { keep: rng.random_range(1..12) },
        FaultAction::ShortPage { keep: 0 },
        FaultAction::MissingRecord { at: 0 },
        FaultAction::MissingRecord { at: rng.random_range(page / 3..=page * 2 / 3) },
        FaultAction::MissingRecord { at: rng.random_range(page / 3..=page * 2 / 3) },
    ]
}

pub(super) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

impl Case {
    /// A case without faults; its numbers follow from the seed.
    pub(super) fn new(rng: &mut ChaCha8Rng, seed: u64, from: From) -> Self {
        let after = *[AfterMode::Exclusive, AfterMode::Inclusive].choose(rng).unwrap();
        let size = |rng: &mut ChaCha8Rng| if rng.random_bool(0.7) { rng.random_range(1..=30) } else { 100 };
        Self {
            seed,
            from,
            posts: rng.random_range(40..300),
            posts_only: true,
            page_size: size(rng),
            page_size_of_reference: size(rng),
            after,
            auto_limit: *[100, 250, 1_000].choose(rng).unwrap(),
            timeout_above: *[None, None, Some(60)].choose(rng).unwrap(),
            lost_anchor: *[LostAnchor::Continues, LostAnchor::Ends, LostAnchor::Restarts].choose(rng).unwrap(),
            token_seconds: *[3, 86_400].choose(rng).unwrap(),
            faults: Vec::new(),
        }
    }

    /// A case with a schedule of faults: any number of those that are told, and one that hides posts.
    pub(super) fn drawn(seed: u64) -> Self {
        let mut rng = rng(seed);
        let from = *From::ALL.choose(&mut rng).unwrap();
        let mut case = Self::new(&mut rng, seed, from);
        case.draw_faults(&mut rng);
        case
    }

    pub(super) fn draw_faults(&mut self, rng: &mut ChaCha8Rng) {
        let paths = self.from.paths();
        for _ in 0..rng.random_range(0..5) {
            let Some(path) = paths.choose(rng) else { break };
            let (nth, times) = (rng.random_range(1..25), *[1, 1, 2, 3, 7].choose(rng).unwrap());
            let action = told(rng).choose(rng).unwrap().clone();
            self.faults.push(Fault::new(path, nth, times, action));
        }
        if let Some(path) = paths.choose(rng)
            && rng.random_bool(0.7)
        {
            // A page of `limit=auto` that lacks a record is known by the counts alone: these must come.
            for fault in self.faults.iter_mut().filter(|fault| fault.path_contains == "/arctic/") {
                fault.path_contains = "/arctic/api/posts/search?".into();
            }
            let page = self.page();
            let pages = self.posts.div_ceil(page);
            let nth = rng.random_range(1..=pages.min(24) as u64);
            self.faults.push(Fault::new(path, nth, 1, hiding(rng, page).choose(rng).unwrap().clone()));
        }
        // A fault that keeps another from being met must not leave it to a time when nobody looks.
        self.faults.sort_by_key(|fault| fault.nth);
    }

    /// How many records most pages have at most: each archive is asked for one subreddit at a time.
    fn page(&self) -> usize {
        let posts = if self.from == From::RedditOauth { self.posts } else { self.posts / SUBREDDITS.len() };
        posts.min(self.page_size as usize)
    }

    /// Adds faults of the photos' hosts.
    pub(super) fn draw_photo_faults(&mut self, rng: &mut ChaCha8Rng) {
        for _ in 0..rng.random_range(1..5) {
            let (nth, times) = (rng.random_range(1..20), *[1, 2, 3, 7].choose(rng).unwrap());
            let action = told(rng).into_iter().chain(hiding(rng, 1)).collect::<Vec<_>>().choose(rng).unwrap().clone();
            self.faults.push(Fault::new("/media/", nth, times, action));
        }
    }
}
