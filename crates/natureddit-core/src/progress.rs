//! How long work tells of its advance without knowing who watches.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// What happened to a step of long work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressEvent<'a> {
    /// A step began; `total` items where known. A step that is under way ends.
    Start {
        /// What the step does, a few words: `embedding photos`.
        what: &'a str,
        /// How many items it has.
        total: Option<u64>,
        /// What an item is.
        unit: Unit,
    },
    /// So many more items are done.
    Advance(u64),
    /// The step brought in a photo of so many bytes; what its items are is something else.
    Photo {
        /// The size of its file.
        bytes: u64,
    },
    /// A request waits before it is sent. That the wait is over is not told.
    Wait(Wait<'a>),
    /// The step could not cover a time.
    Gap {
        /// The subreddit, without `r/`.
        subreddit: &'a str,
        /// The first moment of which posts may be missing.
        since: Timestamp,
        /// The moment before which they may be missing.
        until: Timestamp,
        /// Why, one word: `listing_cap`.
        reason: &'a str,
    },
    /// The step ended.
    Finish,
}

/// A request waits for its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait<'a> {
    /// The host.
    pub host: &'a str,
    /// How long from now.
    pub wait: Duration,
    /// Why.
    pub reason: WaitReason,
}

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// An API is asked no faster than the settings say.
    Pace,
    /// The host named a time in `Retry-After`.
    RetryAfter,
    /// The host said that its limit is used up, and when the next window begins.
    RateLimit,
    /// The host failed without saying when to come again.
    BackOff,
}

impl WaitReason {
    /// A stable name: `rate_limit`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Pace => "pace",
            Self::RetryAfter => "retry_after",
            Self::RateLimit => "rate_limit",
            Self::BackOff => "back_off",
        }
    }
}

/// What the items of a step are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Photos, epochs: a plain count.
    Items,
    /// Posts, whose photos are counted beside them.
    Posts,
    /// Bytes, shown as KiB and MiB.
    Bytes,
}

type Watch = dyn Fn(ProgressEvent<'_>) + Send + Sync;

/// Where progress goes; cheap to clone, silent by default.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Watch>>);

impl Progress {
    /// Tells `watch` of every event.
    pub fn new(watch: impl Fn(ProgressEvent<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watch)))
    }

    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// Begins a step of `total` items.
    pub fn start(&self, what: &str, total: Option<u64>) {
        self.tell(ProgressEvent::Start { what, total, unit: Unit::Items });
    }

    /// Begins a step of `total` bytes.
    pub fn start_bytes(&self, what: &str, total: Option<u64>) {
        self.tell(ProgressEvent::Start { what, total, unit: Unit::Bytes });
    }

    /// Begins a step whose items are posts; how many is not known before.
    pub fn start_posts(&self, what: &str) {
        self.tell(ProgressEvent::Start { what, total: None, unit: Unit::Posts });
    }

    /// So many more items are done.
    pub fn advance(&self, items: u64) {
        self.tell(ProgressEvent::Advance(items));
    }

    /// The step brought in a photo of so many bytes.
    pub fn photo(&self, bytes: u64) {
        self.tell(ProgressEvent::Photo { bytes });
    }

    /// A request waits for its host.
    pub fn wait(&self, wait: Wait<'_>) {
        self.tell(ProgressEvent::Wait(wait));
    }

    /// Posts of a subreddit may be missing from a time.
    pub fn gap(&self, subreddit: &str, since: Timestamp, until: Timestamp, reason: &str) {
        self.tell(ProgressEvent::Gap { subreddit, since, until, reason });
    }

    /// Ends the step.
    pub fn finish(&self) {
        self.tell(ProgressEvent::Finish);
    }

    fn tell(&self, event: ProgressEvent<'_>) {
        if let Some(watch) = &self.0 {
            watch(event);
        }
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Progress(watched)" } else { "Progress(silent)" })
    }
}
