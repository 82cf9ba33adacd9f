//! What every request sees.

use std::collections::BTreeMap;

use tokio::sync::Semaphore;

use crate::api::{RateWindow, Tokens};
use crate::clock::SimClock;
use crate::config::{AfterMode, ArcticShiftConfig, OauthConfig, SandboxConfig};
use crate::corpus::{Corpus, Media};
use crate::fault::FaultScript;
use crate::index::Posts;
use crate::log::RequestLog;
use crate::truth::Truth;

/// Posts settle within a day and a half; a simulator that was given no time starts after that.
const SETTLED: i64 = 2 * 86_400;

/// What every request sees.
pub(crate) struct State {
    pub(crate) posts: Posts,
    pub(crate) media: BTreeMap<String, Media>,
    pub(crate) truth: Truth,
    pub(crate) after: AfterMode,
    pub(crate) oauth: OauthConfig,
    pub(crate) arctic_shift: ArcticShiftConfig,
    pub(crate) tokens: Tokens,
    pub(crate) oauth_rate: RateWindow,
    pub(crate) arctic_rate: RateWindow,
    pub(crate) clock: SimClock,
    pub(crate) faults: FaultScript,
    pub(crate) log: RequestLog,
    /// Pictures drawn at one time: as many as there are processors.
    pub(crate) drawing: Semaphore,
}

impl State {
    /// The state of a simulator that nobody has asked yet.
    pub(crate) fn new(corpus: Corpus, config: SandboxConfig) -> Self {
        let starts_at = config.starts_at.unwrap_or(corpus.truth.window.until + SETTLED);
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        Self {
            posts: Posts::new(corpus.posts),
            media: corpus.media,
            truth: corpus.truth,
            after: config.after,
            oauth_rate: RateWindow::new(config.oauth.requests_max, config.oauth.window_seconds),
            arctic_rate: RateWindow::new(config.arctic_shift.requests_max, config.arctic_shift.window_seconds),
            oauth: config.oauth,
            arctic_shift: config.arctic_shift,
            tokens: Tokens::default(),
            clock: SimClock::new(config.clock, starts_at),
            faults: FaultScript::new(config.faults),
            log: RequestLog::default(),
            drawing: Semaphore::new(processors),
        }
    }
}
