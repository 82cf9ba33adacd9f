//! Whole files on their way: uploads that are read as they are sent, and bodies that are handed on as they come.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use natureddit_core::fs::{self, FsError};
use reqwest::{Body, RequestBuilder};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use url::Url;

use crate::error::{NetError, redacted};
use crate::response::{Patience, transport_error};

/// What is read of a file at a time, and the longest file that is read at once.
const PIECE_BYTES: usize = 1 << 20;

/// Takes the body of an answer.
pub trait BodySink: Send {
    /// What can go wrong.
    type Error: From<NetError> + Send;

    /// A body begins: what came of one before is void.
    fn restart(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes its next part.
    fn take(&mut self, part: Bytes) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A file that is sent.
pub(crate) struct Upload {
    body: Body,
    moved_at: Arc<Mutex<Instant>>,
}

impl Upload {
    /// Opens the file, and reads it where it is short.
    pub(crate) async fn open(path: &Path) -> Result<Self, NetError> {
        let path = path.to_owned();
        let moved_at = Arc::new(Mutex::new(Instant::now()));
        let opened = tokio::task::spawn_blocking(move || open(path)).await;
        // The task neither panics nor is it cancelled, unless the program ends.
        let (path, file, start) = opened.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        let rest = file.map(|file| pieces(path, file));
        let parts = stream::iter([Ok(start)]).chain(stream::iter(rest).flatten());
        let body = Body::wrap_stream(parts.inspect({
            let moved_at = Arc::clone(&moved_at);
            move |_| *moved_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now()
        }));
        Ok(Self { body, moved_at })
    }

    /// Sends it, and gives the head of the answer. Nobody waits longer than the limit of silence for the next part to be
    /// taken, or for the answer after the last one.
    pub(crate) async fn send(
        self,
        request: RequestBuilder,
        url: &Url,
        patience: Patience,
    ) -> Result<reqwest::Response, NetError> {
        let Self { body, moved_at } = self;
        let sending = request.body(body).send();
        tokio::select! {
            sent = sending => sent.map_err(|e| transport_error(url, patience, e)),
            after = silence(&moved_at, patience.read_timeout) => {
                Err(NetError::Timeout { url: redacted(url), after })
            }
        }
    }
}

/// Ends when nothing has moved for so long.
async fn silence(moved_at: &Mutex<Instant>, limit: Duration) -> Duration {
    loop {
        let moved = *moved_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = moved.checked_add(limit) else { return std::future::pending().await };
        if until <= Instant::now() {
            return limit;
        }
        tokio::time::sleep_until(until).await;
    }
}

type Opened = (PathBuf, Option<std::fs::File>, Bytes);

/// The first piece of a file, and the file where there is more.
fn open(path: PathBuf) -> Result<Opened, NetError> {
    use std::io::Read;
    let mut file = fs::open(&path)?;
    let failed = |e| FsError::new("read", &path, e);
    let length = file.metadata().map_err(failed)?.len();
    let mut start = Vec::with_capacity(usize::try_from(length).unwrap_or(PIECE_BYTES).min(PIECE_BYTES));
    file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut start).map_err(failed)?;
    let rest = (start.len() == PIECE_BYTES).then_some(file);
    Ok((path, rest, start.into()))
}

/// The rest of an open file.
fn pieces(path: PathBuf, file: std::fs::File) -> impl Stream<Item = Result<Bytes, FsError>> {
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(PIECE_BYTES);
    stream::unfold(Some((path, file)), async |state| {
        let (path, mut file) = state?;
        let mut piece = bytes::BytesMut::with_capacity(PIECE_BYTES);
        match file.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), Some((path, file)))),
            Err(error) => Some((Err(FsError::new("read", &path, error)), None)),
        }
    })
}
