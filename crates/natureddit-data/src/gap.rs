//! `gaps.jsonl`: which windows of which subreddits were asked for, what came, and what could not be covered and why.
//!
//! One line is one window of one subreddit as it was last asked for: a later line that covers an earlier one takes its
//! place. A line is written before the first page is asked for, with all that was never covered as a gap, so that a
//! killed run leaves a gap and no silence; it is replaced when the window is done.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use natureddit_core::fs;
use serde::{Deserialize, Serialize};

use crate::dataset::DatasetError;
use crate::table::write_if_changed;
use crate::window::{self, Window};

/// The file in the folder of the dataset.
pub const GAPS_FILE: &str = "gaps.jsonl";

/// The longest ledger that is read: a line has some 200 bytes.
const LEDGER_BYTES_MAX: u64 = 1 << 28;

/// Why posts of a time may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The run was stopped before it came there: killed, or the source failed.
    Stopped,
    /// The posts had just been made when the source was asked, which may take a while to show them.
    Fresh,
    /// The source lists no more than its newest posts, and these did not reach back so far.
    ListingCap,
    /// A page was full of posts of one second, which may hold more.
    FullSecond,
    /// The source stayed silent where it had to give what it had given before.
    Silent,
    /// The source itself counts more posts than it gave.
    FewerThanCounted,
    /// The source does not show the subreddit: private, banned or unknown.
    Refused,
    /// The dump does not reach there.
    OutsideDump,
}

impl GapReason {
    /// A stable name: `listing_cap`, as the ledger has it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Fresh => "fresh",
            Self::ListingCap => "listing_cap",
            Self::FullSecond => "full_second",
            Self::Silent => "silent",
            Self::FewerThanCounted => "fewer_than_counted",
            Self::Refused => "refused",
            Self::OutsideDump => "outside_dump",
        }
    }

    /// What it means, to be read after "posts may be missing: ".
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Stopped => "the run stopped before it came there",
            Self::Fresh => "the source may not have shown the newest posts yet",
            Self::ListingCap => "the listing did not reach back so far",
            Self::FullSecond => "a page was full of posts of one second",
            Self::Silent => "the source gave nothing where it had given posts before",
            Self::FewerThanCounted => "the source counts more posts than it gave",
            Self::Refused => "the source does not show the subreddit",
            Self::OutsideDump => "the dump does not reach there",
        }
    }
}

/// A time of which the source may not have given every post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The time.
    #[serde(flatten)]
    pub window: Window,
    /// Why.
    pub reason: GapReason,
}

/// One window of one subreddit that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The subreddit.
    pub subreddit: String,
    /// The first second.
    since: Timestamp,
    /// The moment it ends before.
    until: Timestamp,
    /// Which source was asked.
    pub source: String,
    /// When.
    pub asked_at: Timestamp,
    /// How many posts of the window came.
    pub posts: u64,
    /// What could not be covered.
    pub gaps: Vec<Gap>,
}

/// A gap that no later run has covered, and who left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenGap {
    /// The subreddit.
    pub subreddit: String,
    /// The source that left it.
    pub source: String,
    /// The time and the reason.
    #[serde(flatten)]
    pub gap: Gap,
}

impl Ask {
    /// A window that was walked to its end.
    pub(crate) fn done(
        subreddit: &str,
        window: Window,
        source: &str,
        asked_at: Timestamp,
        posts: u64,
        gaps: Vec<Gap>,
    ) -> Self {
        // A window lies between 1970 and 9999.
        let moment = |second| Timestamp::from_second(second).unwrap_or_default();
        let (since, until) = (moment(window.since()), moment(window.until()));
        Self { subreddit: subreddit.to_owned(), since, until, source: source.to_owned(), asked_at, posts, gaps }
    }

    /// The window; `None` where somebody edited the file into an impossible one.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        Window::new(self.since.as_second(), self.until.as_second()).ok()
    }

    /// What ledgers that were merged are sorted by.
    fn order(&self) -> impl Ord + use<> {
        let subreddit = self.subreddit.to_ascii_lowercase();
        (subreddit, self.since, self.until, self.asked_at, self.source.clone(), self.posts, self.gaps.clone())
    }

    pub(crate) fn is_of(&self, subreddit: &str) -> bool {
        self.subreddit.eq_ignore_ascii_case(subreddit)
    }
}

/// The ledger of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    path: PathBuf,
    asks: Vec<Ask>,
}

impl Ledger {
    /// Reads the ledger in the folder of a dataset; one that is not there is empty.
    ///
    /// # Errors
    /// [`DatasetError::Ledger`] with the first line that cannot be read.
    pub fn read(dir: &Path) -> Result<Self, DatasetError> {
        let path = dir.join(GAPS_FILE);
        let bytes = fs::optional(fs::read_limited(&path, LEDGER_BYTES_MAX))?.unwrap_or_default();
        let lines = (1..).zip(bytes.split(|&byte| byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty());
        let read = |(line, json): (u64, &[u8])| {
            serde_json::from_slice(json).map_err(|source| DatasetError::Ledger { path: path.clone(), line, source })
        };
        let asks = lines.map(read).collect::<Result<_, _>>()?;
        Ok(Self { path, asks })
    }

    /// A ledger of the lines of several, in an order that does not depend on theirs. Of what was asked more than once of one
    /// source the ask counts that missed least, and of these the last.
    pub(crate) fn merged(dir: &Path, asks: impl IntoIterator<Item = Ask>) -> Self {
        let missed = |ask: &Ask| ask.gaps.iter().map(|gap| gap.window.until() - gap.window.since()).sum::<i64>();
        let rank = |ask: &Ask| (missed(ask), Reverse(ask.asked_at), ask.order());
        let mut best: BTreeMap<_, Ask> = BTreeMap::new();
        for ask in asks {
            let key = (ask.subreddit.to_ascii_lowercase(), ask.since, ask.until, ask.source.clone());
            if best.get(&key).is_none_or(|other| rank(&ask) < rank(other)) {
                best.insert(key, ask);
            }
        }
        let mut asks: Vec<Ask> = best.into_values().collect();
        asks.sort_by_cached_key(Ask::order);
        Self { path: dir.join(GAPS_FILE), asks }
    }

    /// What was asked, in order.
    #[must_use]
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// The gaps that no other ask has covered, by subreddit and time.
    #[must_use]
    pub fn open_gaps(&self) -> Vec<OpenGap> {
        // Runs that came soon after each other leave the same gap.
        let mut windows: BTreeMap<(&str, &str, GapReason), Vec<Window>> = BTreeMap::new();
        for ask in &self.asks {
            let covered = self.covered(&ask.subreddit);
            for gap in &ask.gaps {
                let known = windows.entry((&ask.subreddit, &ask.source, gap.reason)).or_default();
                window::without(gap.window, &covered).into_iter().for_each(|part| window::add(known, part));
            }
        }
        let mut open = Vec::new();
        for ((subreddit, source, reason), windows) in windows {
            open.extend(windows.into_iter().map(|window| OpenGap {
                subreddit: subreddit.to_owned(),
                source: source.to_owned(),
                gap: Gap { window, reason },
            }));
        }
        open.sort_by_cached_key(|open| (open.subreddit.to_ascii_lowercase(), open.gap));
        open
    }

    /// The time before a moment that nobody ever asked for: from the last moment that was asked for up to there.
    #[must_use]
    pub fn never_asked_before(&self, second: i64) -> Option<Window> {
        let asked = self.asks.iter().filter_map(Ask::window).filter(|window| window.since() < second);
        Window::new(asked.map(Window::until).max()?, second).ok()
    }

    /// The windows of a subreddit of which some ask brought every post.
    fn covered(&self, subreddit: &str) -> Vec<Window> {
        let mut covered = Vec::new();
        for ask in self.asks.iter().filter(|ask| ask.is_of(subreddit)) {
            let gaps: Vec<_> = ask.gaps.iter().map(|gap| gap.window).collect();
            let parts = ask.window().map_or_else(Vec::new, |window| window::without(window, &gaps));
            parts.into_iter().for_each(|part| window::add(&mut covered, part));
        }
        covered
    }

    /// Notes what of a window is about to be asked for and was never covered, so that it is a gap until it is done.
    pub(crate) fn begin(&mut self, subreddit: &str, window: Window, source: &str, asked_at: Timestamp) {
        let gaps = window::without(window, &self.covered(subreddit)).into_iter();
        let gaps: Vec<_> = gaps.map(|window| Gap { window, reason: GapReason::Stopped }).collect();
        if !gaps.is_empty() {
            self.asks.push(Ask::done(subreddit, window, source, asked_at, 0, gaps));
        }
    }

    /// Notes an ask in place of those of the same subreddit whose window it covers. One that says the same as the one it
    /// replaces keeps the time of that.
    pub(crate) fn note(&mut self, mut ask: Ask) {
        let Some(window) = ask.window() else { return };
        let covers = |old: &Ask| {
            old.is_of(&ask.subreddit) && old.window().is_none_or(|old| window::without(old, &[window]).is_empty())
        };
        let same = self.asks.iter().find(|old| Ask { asked_at: ask.asked_at, ..(*old).clone() } == ask);
        let asked_at = same.map_or(ask.asked_at, |same| same.asked_at);
        self.asks.retain(|old| !covers(old));
        ask.asked_at = asked_at;
        self.asks.push(ask);
    }

    /// Writes the ledger; one without lines is not there.
    pub(crate) fn write(&self) -> Result<(), DatasetError> {
        if self.asks.is_empty() {
            return Ok(fs::remove_file(&self.path)?);
        }
        let mut bytes = Vec::new();
        for (line, ask) in (1..).zip(&self.asks) {
            let json = serde_json::to_vec(ask);
            bytes.extend(json.map_err(|source| DatasetError::Ledger { path: self.path.clone(), line, source })?);
            bytes.push(b'\n');
        }
        Ok(write_if_changed(&self.path, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(since: i64, until: i64) -> Window {
        Window::new(since, until).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn gap(since: i64, until: i64, reason: GapReason) -> Gap {
        Gap { window: window(since, until), reason }
    }

    fn done(since: i64, until: i64, asked_at: i64, gaps: &[Gap]) -> Ask {
        Ask::done("flowers", window(since, until), "pushshift", at(asked_at), 3, gaps.to_vec())
    }

    fn open(ledger: &Ledger) -> Vec<Gap> {
        ledger.open_gaps().into_iter().map(|open| open.gap).collect()
    }

    #[test]
    fn what_was_skipped_lies_behind_the_last_ask_before() {
        let ledger = |asks: &[Ask]| Ledger::merged(Path::new(""), asks.iter().cloned());
        assert_eq!(ledger(&[]).never_asked_before(50), None);
        let two = ledger(&[done(10, 20, 100, &[]), done(0, 15, 100, &[]), done(60, 70, 100, &[])]);
        assert_eq!(two.never_asked_before(50), Some(window(20, 50)));
        assert_eq!(two.never_asked_before(20), None);
        assert_eq!(two.never_asked_before(15), None);
        assert_eq!(two.never_asked_before(5), None);
        assert_eq!(two.never_asked_before(90), Some(window(70, 90)));
    }

    #[test]
    fn a_reason_is_called_the_same_everywhere() {
        let all = [GapReason::Stopped, GapReason::ListingCap, GapReason::FullSecond, GapReason::Silent];
        for reason in all.into_iter().chain([GapReason::FewerThanCounted, GapReason::Refused, GapReason::OutsideDump]) {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
    }

    #[test]
    fn a_later_run_closes_the_gaps_it_covers() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::read(folder.path()).unwrap();
        ledger.write().unwrap();
        assert!(!folder.path().join(GAPS_FILE).exists());
        let full = gap(10, 11, GapReason::FullSecond);
        ledger.note(done(0, 100, 1000, &[full, gap(40, 60, GapReason::Silent)]));
        assert_eq!(open(&ledger), [full, gap(40, 60, GapReason::Silent)]);
        // Another subreddit closes nothing.
        ledger.begin("EarthPorn", window(0, 100), "pushshift", at(1000));
        ledger.note(done(50, 200, 2000, &[]));
        let stopped = gap(0, 100, GapReason::Stopped);
        assert_eq!(open(&ledger), [stopped, full, gap(40, 50, GapReason::Silent)]);
        ledger.write().unwrap();
        assert_eq!(Ledger::read(folder.path()).unwrap(), ledger);
        let line = r#"{"subreddit":"flowers","since":"1970-01-01T00:00:50Z","until":"1970-01-01T00:03:20Z","source":"pushshift","asked_at":"1970-01-01T00:33:20Z","posts":3,"gaps":[]}"#;
        let text = fs::read_to_string(&folder.path().join(GAPS_FILE)).unwrap();
        assert_eq!(text.lines().last(), Some(line));
        let since = r#""gaps":[{"since":"1970-01-01T00:00:10Z","until":"1970-01-01T00:00:11Z","reason":"full_second"}"#;
        assert!(text.contains(since), "{text}");
    }

    #[test]
    fn a_line_takes_the_place_of_those_it_covers() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::read(folder.path()).unwrap();
        ledger.note(done(10, 20, 1000, &[]));
        ledger.begin("Flowers", window(0, 100), "pushshift", at(2000));
        assert_eq!(open(&ledger), [gap(0, 10, GapReason::Stopped), gap(20, 100, GapReason::Stopped)]);
        ledger.note(done(0, 100, 2000, &[]));
        assert_eq!(ledger.asks().len(), 1);
        let before = ledger.clone();
        ledger.note(done(0, 100, 3000, &[]));
        assert_eq!(ledger, before, "nothing is new but the time");
        ledger.begin("flowers", window(20, 50), "pushshift", at(3000));
        assert_eq!(ledger, before, "it is covered");
        ledger.note(done(0, 100, 4000, &[gap(5, 6, GapReason::Silent)]));
        assert_eq!(ledger.asks()[0].asked_at, at(4000));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write_atomic(&folder.path().join(GAPS_FILE), "\n{\"subreddit\": 7}\n").unwrap();
        let error = Ledger::read(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("gaps.jsonl, line 2 cannot be read"), "{error}");
    }
}
