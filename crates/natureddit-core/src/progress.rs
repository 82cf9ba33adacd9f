//! How long work tells of its advance without knowing who watches.

use std::sync::Arc;

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
    /// The step ended.
    Finish,
}

/// What the items of a step are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Photos, posts, epochs: a plain count.
    Items,
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

    /// So many more items are done.
    pub fn advance(&self, items: u64) {
        self.tell(ProgressEvent::Advance(items));
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
