//! What every request sees.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::{Semaphore, watch};

use crate::api::{RateWindow, Tokens};
use crate::changes::Changes;
use crate::clock::SimClock;
use crate::config::{AfterMode, ArcticShiftConfig, OauthConfig, SandboxConfig};
use crate::corpus::{Corpus, Media, later};
use crate::fault::FaultScript;
use crate::index::Posts;
use crate::log::RequestLog;
use crate::script::Script;
use crate::truth::Truth;

/// Posts settle within a day and a half; a simulator that was given no time starts after that.
const SETTLED: i64 = 2 * 86_400;

/// What every request sees.
pub(crate) struct State {
    pub(crate) posts: Posts,
    pub(crate) media: BTreeMap<String, Media>,
    pub(crate) truth: Truth,
    pub(crate) after: AfterMode,
    pub(crate) size_max: usize,
    pub(crate) oauth: OauthConfig,
    pub(crate) arctic_shift: ArcticShiftConfig,
    pub(crate) tokens: Tokens,
    pub(crate) oauth_rate: RateWindow,
    pub(crate) arctic_rate: RateWindow,
    pub(crate) clock: SimClock,
    pub(crate) faults: FaultScript,
    pub(crate) changes: Changes,
    /// The place of the post that a file belongs to.
    pub(crate) owners: HashMap<String, usize>,
    /// Tells that the simulator ends.
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) log: RequestLog,
    /// Pictures drawn at one time: as many as there are processors.
    pub(crate) drawing: Semaphore,
}

impl State {
    /// The state of a simulator that nobody has asked yet.
    pub(crate) fn new(mut corpus: Corpus, config: SandboxConfig) -> Self {
        let mut events = later::plan(&config, &mut corpus.truth);
        events.extend(config.events);
        let owners = corpus.posts.iter().enumerate();
        let owners = owners.flat_map(|(at, post)| post.files().into_iter().map(move |file| (file, at))).collect();
        let starts_at = config.starts_at.unwrap_or(corpus.truth.window.until + SETTLED);
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        Self {
            posts: Posts::new(corpus.posts).with_subreddits(&config.subreddits),
            media: corpus.media,
            truth: corpus.truth,
            after: config.after,
            size_max: config.size_max.max(1),
            oauth_rate: RateWindow::new(config.oauth.requests_max, config.oauth.window_seconds),
            arctic_rate: RateWindow::new(config.arctic_shift.requests_max, config.arctic_shift.window_seconds),
            oauth: config.oauth,
            arctic_shift: config.arctic_shift,
            tokens: Tokens::default(),
            clock: SimClock::new(config.clock, starts_at),
            faults: FaultScript::new(config.faults),
            changes: Changes::new(events, &config.later),
            owners,
            stopping: watch::Sender::new(false),
            log: RequestLog::default(),
            drawing: Semaphore::new(processors),
        }
    }

    /// Plans more that goes wrong.
    pub(crate) fn play(&self, script: Script) {
        self.faults.add(script.faults);
        self.changes.add(script.events);
    }
}
