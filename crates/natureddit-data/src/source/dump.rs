//! Dumps: files of posts, one JSON object a line, compressed with zstd (window log 31) or plain. They are streamed: what is
//! held is a line, a few posts on their way, the ids of the posts that were taken, and what zstd needs to look back: up to
//! the 2 GiB that the archives' files ask for.
//!
//! A line that cannot be of a wanted subreddit is not parsed: every line names its subreddit as `"subreddit": "name"`, so
//! one in which no such pair names a wanted one is passed over. What is left is parsed and decided by its own field.

mod lines;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use memchr::memmem::Finder;
use natureddit_core::fs::FsError;
use tokio::sync::mpsc;

use super::reddit_json::{Escaping, Record};
use super::{Batch, Sieve, SourceError, Step, Walked, Wish};
use crate::gap::{Gap, GapReason};
use crate::submission::Submission;
use crate::window::{self, Window};

use lines::{Line, Lines};

/// How the dataset names this source.
pub const NAME: &str = "dump";

/// Posts that go from the reading thread to the collection at once.
const BATCH_POSTS: usize = 500;

/// Batches that wait for the collection.
const BATCHES_WAITING: usize = 2;

/// Lines of a file that are named when they cannot be read; the others are counted.
const LINES_NAMED: u64 = 3;

/// A dump that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The file cannot be opened.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It cannot be read to its end: cut short or damaged.
    #[error("{path} cannot be read to its end; it may be cut short or damaged", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of another kind.
    #[error("{path} is no dump: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// The thread that reads it ended without a word.
    #[error("{path} was not read to its end: the reading thread failed", path = path.display())]
    Thread {
        /// The file.
        path: PathBuf,
    },
}

/// A walk through the files of a dump.
#[derive(Debug)]
pub struct DumpWalk {
    files: VecDeque<PathBuf>,
    line_bytes_max: usize,
    names: Arc<[String]>,
    sieves: Vec<Sieve>,
    /// What the files read so far cover of each subreddit.
    covered: Vec<Vec<Window>>,
    reading: Option<Reading>,
    done: VecDeque<Walked>,
    is_over: bool,
}

/// A file under way.
#[derive(Debug)]
struct Reading {
    path: PathBuf,
    /// The first and last second of each subreddit.
    spans: Vec<Option<(i64, i64)>>,
    parcels: mpsc::Receiver<Parcel>,
}

/// What the reading thread sends.
#[derive(Debug)]
enum Parcel {
    /// Posts with the place of their subreddit among the wishes, and the lines that could not be read.
    Posts(Vec<(usize, Submission)>, u64),
    End(Result<(), DumpError>),
}

impl DumpWalk {
    pub(super) fn new(files: Vec<PathBuf>, line_bytes_max: usize, wishes: Vec<Wish>) -> Self {
        let names = wishes.iter().map(|wish| wish.subreddit.clone()).collect();
        let covered = vec![Vec::new(); wishes.len()];
        let sieves = wishes.into_iter().map(Sieve::new).collect();
        Self {
            files: files.into(),
            line_bytes_max,
            names,
            sieves,
            covered,
            reading: None,
            done: VecDeque::new(),
            is_over: false,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Step>, SourceError> {
        loop {
            if let Some(reading) = &mut self.reading {
                match reading.parcels.recv().await {
                    Some(Parcel::Posts(posts, unreadable)) => {
                        return Ok(Some(Step::Posts(self.sift(posts, unreadable))));
                    }
                    Some(Parcel::End(end)) => {
                        end?;
                        self.finish_file();
                    }
                    None => return Err(DumpError::Thread { path: reading.path.clone() }.into()),
                }
            } else if let Some(path) = self.files.pop_front() {
                let name =
                    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
                self.reading = Some(Reading::start(path, self.line_bytes_max, Arc::clone(&self.names)));
                return Ok(Some(Step::Begin(name)));
            } else {
                if !self.is_over {
                    self.finish();
                }
                return Ok(self.done.pop_front().map(Step::Done));
            }
        }
    }

    /// The posts of the wished windows.
    fn sift(&mut self, posts: Vec<(usize, Submission)>, unreadable: u64) -> Batch {
        let mut submissions = Vec::new();
        for (at, post) in posts {
            let second = post.post.created_utc;
            if let Some(reading) = &mut self.reading {
                let (first, last) = reading.spans[at].unwrap_or((second, second));
                reading.spans[at] = Some((first.min(second), last.max(second)));
            }
            if self.sieves[at].takes(&post) {
                submissions.push(post);
            }
        }
        Batch { submissions, unreadable }
    }

    /// Notes what a file that was read to its end covers.
    fn finish_file(&mut self) {
        let Some(Reading { path, spans, .. }) = self.reading.take() else { return };
        for ((covered, span), name) in self.covered.iter_mut().zip(spans).zip(self.names.iter()) {
            if let Some(window) = reach(&path, name, span) {
                window::add(covered, window);
            }
        }
    }

    fn finish(&mut self) {
        self.is_over = true;
        for (sieve, covered) in self.sieves.iter().zip(&self.covered) {
            for (&window, &posts) in sieve.wish.windows.iter().zip(&sieve.posts) {
                let gaps = window::without(window, covered).into_iter();
                let gaps = gaps.map(|window| Gap { window, reason: GapReason::OutsideDump }).collect();
                self.done.push_back(Walked { subreddit: sieve.wish.subreddit.clone(), window, posts, gaps });
            }
        }
    }
}

/// The time of which a file holds every post of a subreddit. `RS_2022-05` holds a whole month; `NAME_submissions` holds a
/// subreddit from its beginning to the file's last post; of any other file only what lies between two posts is sure.
fn reach(path: &Path, subreddit: &str, span: Option<(i64, i64)>) -> Option<Window> {
    let name = path.file_name()?.to_str()?;
    if let Some(month) = name.strip_prefix("RS_").and_then(|rest| rest.get(..7)) {
        let first: Date = format!("{month}-01").parse().ok()?;
        let second = |date: Date| {
            Some(TimeZone::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?.as_second())
        };
        return Window::new(second(first)?, second(first.checked_add(1.month()).ok()?)?).ok();
    }
    let (first, last) = span?;
    let whole = name.split_once("_submissions").is_some_and(|(of, _)| of.eq_ignore_ascii_case(subreddit));
    Window::new(if whole { 0 } else { first }, last + 1).ok()
}

impl Reading {
    fn start(path: PathBuf, line_bytes_max: usize, names: Arc<[String]>) -> Self {
        let (sender, parcels) = mpsc::channel(BATCHES_WAITING);
        let (file, spans) = (path.clone(), vec![None; names.len()]);
        // When nobody takes its parcels any more, it ends with the next one.
        tokio::task::spawn_blocking(move || {
            let end = read(&file, line_bytes_max, &names, &sender);
            let _ = sender.blocking_send(Parcel::End(end));
        });
        Self { path, spans, parcels }
    }
}

/// Sends the posts of the named subreddits in a file.
fn read(path: &Path, line_bytes_max: usize, names: &[String], sender: &mpsc::Sender<Parcel>) -> Result<(), DumpError> {
    let mut lines = Lines::open(path, line_bytes_max)?;
    let filter = Filter::new(names);
    let (mut posts, mut unreadable, mut unreadable_before) = (Vec::new(), 0, 0);
    loop {
        let end = match lines.next() {
            Ok(Some(line)) => {
                match filter.post_of(&line) {
                    Ok(post) => posts.extend(post),
                    Err(()) => {
                        unreadable += 1;
                        if unreadable_before + unreadable <= LINES_NAMED {
                            let why = match line {
                                Line::Whole(_) => "no post can be read from a line",
                                Line::TooLong => "a line is over collect.dump.line_bytes_max",
                            };
                            tracing::warn!(path = %path.display(), line = lines.number(), "{why}");
                        }
                    }
                }
                None
            }
            Ok(None) => Some(Ok(())),
            Err(source) => Some(Err(DumpError::Read { path: path.to_owned(), source })),
        };
        if end.is_some() || posts.len() >= BATCH_POSTS {
            let parcel = Parcel::Posts(std::mem::take(&mut posts), unreadable);
            unreadable_before += std::mem::take(&mut unreadable);
            let is_heard = sender.blocking_send(parcel).is_ok();
            if let Some(end) = end.or((!is_heard).then_some(Ok(()))) {
                if unreadable_before > LINES_NAMED {
                    tracing::warn!(path = %path.display(), lines = unreadable_before, "no post can be read from so many lines");
                }
                return end;
            }
        }
    }
}

/// What is made of an unpacked dump in one piece: its posts, and how many lines cannot be read.
pub(super) fn read_all(
    dump: impl io::Read + Send + 'static,
    line_bytes_max: usize,
    names: &[String],
) -> io::Result<(Vec<(usize, Submission)>, usize)> {
    let (mut lines, filter) = (Lines::new(Box::new(dump), line_bytes_max), Filter::new(names));
    let (mut posts, mut unreadable) = (Vec::new(), 0);
    while let Some(line) = lines.next()? {
        match filter.post_of(&line) {
            Ok(post) => posts.extend(post),
            Err(()) => unreadable += 1,
        }
    }
    Ok((posts, unreadable))
}

/// Which lines are posts of the named subreddits.
struct Filter<'a> {
    names: &'a [String],
    key: Finder<'static>,
}

impl<'a> Filter<'a> {
    fn new(names: &'a [String]) -> Self {
        Self { names, key: Finder::new("\"subreddit\"") }
    }

    /// As [`Filter::post`], of a line as it was read.
    fn post_of(&self, line: &Line<'_>) -> Result<Option<(usize, Submission)>, ()> {
        match line {
            Line::Whole(line) => self.post(line.trim_ascii()),
            Line::TooLong => Err(()),
        }
    }

    /// The post of a line with the place of its subreddit; `None` where it is of another. An error is a line that is no
    /// post at all.
    fn post(&self, line: &[u8]) -> Result<Option<(usize, Submission)>, ()> {
        if line.is_empty() {
            return Ok(None);
        }
        if !(line.starts_with(b"{") && line.ends_with(b"}")) {
            return Err(());
        }
        if !self.may_be_wanted(line) {
            return Ok(None);
        }
        let record = Record::of_line(line)?;
        let name = record.subreddit();
        let Some(at) = self.names.iter().position(|wanted| wanted.eq_ignore_ascii_case(name)) else { return Ok(None) };
        let post = record.into_submission(&self.names[at], Escaping::EntitiesUnlessSeen);
        post.map(|post| Some((at, post))).ok_or(())
    }

    /// Whether some `"subreddit"` of a line has a wanted value, or one that would have to be unescaped to know.
    fn may_be_wanted(&self, line: &[u8]) -> bool {
        self.key.find_iter(line).any(|at| {
            let rest = line[at + self.key.needle().len()..].trim_ascii_start();
            let Some(rest) = rest.strip_prefix(b":") else { return false };
            let Some(value) = rest.trim_ascii_start().strip_prefix(b"\"") else { return false };
            let wanted = |name: &String| {
                let (name, end) = (name.as_bytes(), value.get(name.len()));
                end == Some(&b'"') && value[..name.len()].eq_ignore_ascii_case(name)
            };
            // Names have at most some twenty characters; an escape in one is never written, but would be allowed.
            self.names.iter().any(wanted)
                || value[..value.len().min(128)].split(|&b| b == b'"').next().is_some_and(|name| name.contains(&b'\\'))
        })
    }
}

#[cfg(test)]
mod tests;
