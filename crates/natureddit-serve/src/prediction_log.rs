//! The prediction log: a line of JSON for each prediction, or for a share of them, as `docs/interop/torchserve.md` describes it.
//!
//! Requests hand over what is to be written and go on. One thread writes; where it does not keep up, or the disk is full,
//! predictions are left out and counted.

mod files;
mod sketch;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use natureddit_core::fs::FsError;
use natureddit_core::{ClassNames, Clock, ContentHash};
use natureddit_model::{Features, Prediction};
use serde::Serialize;

use self::files::Files;
use self::sketch::{SKETCH_LEN, sketch};
use crate::access::RequestId;
use crate::loaded::LoadedModel;
use crate::metrics::LogCounts;
use crate::request::PredictionInput;

/// Predictions that wait to be written; one more is left out.
const QUEUE_LEN_MAX: usize = 1_024;

/// What titles and photos may take that wait to be written, in bytes.
const CONTENT_BYTES_MAX: usize = 64 << 20;

/// What is written down of predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionLogConfig {
    /// The folder of the files, which is made where it is missing.
    pub folder: PathBuf,
    /// The share of requests that are written down, from 0 to 1. Their ids decide.
    pub sample: f64,
    /// Whether the title and the photo are written down as well.
    pub content: bool,
    /// A file that would be longer makes room for the next, in bytes.
    pub file_bytes_max: u64,
    /// Files that are kept; at least 1.
    pub files_max: usize,
}

/// Why predictions cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum PredictionLogError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FsError),
    /// Another server has it.
    #[error("another process writes predictions into {}", .0.display())]
    InUse(PathBuf),
    /// There is no thread to write.
    #[error("could not start a thread")]
    Thread(#[source] io::Error),
}

/// Dropping it writes what waits.
pub(crate) struct PredictionLog {
    queue: Option<SyncSender<Entry>>,
    thread: Option<JoinHandle<()>>,
    sample: f64,
    content: bool,
    /// Of titles and photos that wait.
    content_bytes: Arc<AtomicUsize>,
    pub(crate) counts: Arc<LogCounts>,
    clock: Clock,
}

impl PredictionLog {
    /// Starts the thread that writes. Reads and writes files: not for an async thread.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub(crate) fn start(config: &PredictionLogConfig, clock: Clock) -> Result<Self, PredictionLogError> {
        let files = Files::new(&config.folder, config.file_bytes_max, config.files_max)?;
        let (queue, entries) = mpsc::sync_channel(QUEUE_LEN_MAX);
        let counts = Arc::new(LogCounts::new());
        let writer = Writer { files, counts: Arc::clone(&counts), warned: None };
        let thread = thread::Builder::new().name("prediction log".to_owned()).spawn(move || writer.run(&entries));
        let thread = Some(thread.map_err(PredictionLogError::Thread)?);
        let (sample, content) = (config.sample, config.content);
        Ok(Self { queue: Some(queue), thread, sample, content, content_bytes: Arc::default(), counts, clock })
    }

    /// What is to be written of the input of a request; `None` where it is not among those that are written down.
    pub(crate) fn sampled(&self, id: &RequestId, input: &PredictionInput) -> Option<Given> {
        if id.draw_for_log() >= self.sample {
            return None;
        }
        let (text, image) = (input.text(), input.image());
        let content = self.content.then(|| Content::new(text, image, &self.content_bytes)).flatten();
        if self.content && content.is_none() {
            self.counts.queue_full.inc();
            return None;
        }
        Some(Given { has_title: text.is_some(), has_photo: image.is_some(), content })
    }

    /// Has a prediction written down, unless too many wait. `index` is its place among those of one request.
    pub(crate) fn write(
        &self,
        id: &RequestId,
        index: Option<usize>,
        model: &LoadedModel,
        prediction: &mut Prediction,
        given: Given,
    ) {
        let features = prediction.features.take();
        let entry = Entry {
            id: id.clone(),
            index,
            time: self.clock.now(),
            model: model.shared_name(),
            version: model.version(),
            bundle: model.bundle,
            classes: model.classes.clone(),
            prediction: prediction.clone(),
            features,
            given,
        };
        if self.queue.as_ref().is_none_or(|queue| queue.try_send(entry).is_err()) {
            self.counts.queue_full.inc();
        }
    }
}

impl Drop for PredictionLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes predictions down panicked");
        }
    }
}

/// What is known of an input.
pub(crate) struct Given {
    has_title: bool,
    has_photo: bool,
    /// Only where it is to be written.
    content: Option<Content>,
}

/// The input itself, which counts as long as it waits.
struct Content {
    title: Option<String>,
    photo: Option<Bytes>,
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Content {
    /// `None` where too much waits already.
    fn new(title: Option<&str>, photo: Option<&Bytes>, all: &Arc<AtomicUsize>) -> Option<Self> {
        let bytes = title.map_or(0, str::len) + photo.map_or(0, Bytes::len);
        let before = all.fetch_add(bytes, Ordering::Relaxed);
        // From here on it is given back when it is dropped. A copy: the body's memory is for requests.
        let counted = Self { title: None, photo: None, bytes, all: Arc::clone(all) };
        let title = title.map(str::to_owned);
        let fits = before.saturating_add(bytes) <= CONTENT_BYTES_MAX;
        fits.then(|| counted.holding(title, photo.map(|photo| Bytes::copy_from_slice(photo))))
    }

    fn holding(mut self, title: Option<String>, photo: Option<Bytes>) -> Self {
        (self.title, self.photo) = (title, photo);
        self
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A prediction on its way to the file.
struct Entry {
    id: RequestId,
    index: Option<usize>,
    time: Timestamp,
    model: Arc<str>,
    version: u64,
    bundle: Option<ContentHash>,
    classes: ClassNames,
    prediction: Prediction,
    features: Option<Features>,
    given: Given,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    prediction_id: &'a RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    time: String,
    model: &'a str,
    version: u64,
    bundle: Option<ContentHash>,
    class: &'a str,
    classes: Vec<&'a str>,
    probabilities: &'a [f32],
    has_title: bool,
    has_photo: bool,
    sketch: Option<[i8; SKETCH_LEN]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentBody<'a>>,
}

#[derive(Serialize)]
struct ContentBody<'a> {
    title: Option<&'a str>,
    /// The bytes of the file in base64.
    photo: Option<String>,
}

impl Entry {
    fn line(&self) -> serde_json::Result<Vec<u8>> {
        let content = self.given.content.as_ref().map(|content| ContentBody {
            title: content.title.as_deref(),
            photo: content.photo.as_ref().map(|photo| BASE64_STANDARD.encode(photo)),
        });
        let mut line = serde_json::to_vec(&Line {
            prediction_id: &self.id,
            index: self.index,
            time: format!("{:.3}", self.time),
            model: &self.model,
            version: self.version,
            bundle: self.bundle,
            class: self.classes.name(self.prediction.class),
            classes: self.classes.names().collect(),
            probabilities: &self.prediction.probabilities,
            has_title: self.given.has_title,
            has_photo: self.given.has_photo,
            sketch: self.features.as_ref().and_then(sketch),
            content,
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

const WARNED_EVERY: Duration = Duration::from_mins(1);

/// Owns the files.
struct Writer {
    files: Files,
    counts: Arc<LogCounts>,
    /// When it was said that lines are not written. A full disk still takes a short one now and then, so that this is said
    /// once a minute at most.
    warned: Option<Instant>,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        for entry in entries {
            let written = entry.line().map_err(|error| error.to_string()).and_then(|line| {
                let appended = self.files.append(&line);
                appended.map_err(|error| match error {
                    PredictionLogError::Folder(error) => format!("{error}: {}", error.source),
                    error => error.to_string(),
                })
            });
            match written {
                Ok(()) => self.counts.written.inc(),
                Err(error) => {
                    self.counts.not_written.inc();
                    if self.warned.is_none_or(|at| at.elapsed() >= WARNED_EVERY) {
                        tracing::warn!("predictions are not written down until this is over: {error}");
                        self.warned = Some(Instant::now());
                    }
                }
            }
        }
    }
}
