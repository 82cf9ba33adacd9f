//! Taking connections: at most so many, a word to clients that speak plain HTTP to the HTTPS port, and an end to those whose
//! clients take no answer.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::compat::Compat;
use crate::error;
use crate::metrics;

/// How much of a request in plain HTTP is read before its connection is closed: what a client has sent and nobody reads
/// makes the system throw away the answer.
const PLAIN_BYTES_MAX: u64 = 64 * 1024;

/// Takes connections, before TLS and before HTTP.
#[derive(Clone)]
pub(crate) struct Door {
    permits: Arc<Semaphore>,
    connections_max: usize,
    /// Whether the latest client was turned away, so that a crowd is logged once.
    crowded: Arc<AtomicBool>,
    /// Clients that were.
    pub(crate) turned_away: IntCounter,
    /// How long a client may take to begin the TLS handshake; `None` where plain HTTP is served.
    tls_timeout: Option<Duration>,
    /// How long a client may take nothing of what is written to it.
    write_timeout: Duration,
    compat: Compat,
}

impl Door {
    /// For at most `connections_max` at a time.
    pub(crate) fn new(
        connections_max: usize,
        tls_timeout: Option<Duration>,
        write_timeout: Duration,
        compat: Compat,
    ) -> Self {
        let connections_max = connections_max.min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(connections_max));
        let turned_away = metrics::turned_away();
        Self { permits, connections_max, crowded: Arc::default(), turned_away, tls_timeout, write_timeout, compat }
    }

    /// Another that lets in as many, and counts those it turns away together with this one.
    pub(crate) fn another(&self) -> Self {
        let permits = Arc::new(Semaphore::new(self.connections_max));
        Self { permits, crowded: Arc::default(), ..self.clone() }
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.connections_max.saturating_sub(self.permits.available_permits())
    }

    fn enter(&self) -> io::Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let crowded = permit.is_err();
        if !self.crowded.swap(crowded, Ordering::Relaxed) && crowded {
            tracing::warn!(connections_max = self.connections_max, "too many connections: more are turned away");
        }
        permit
            .inspect_err(|_| self.turned_away.inc())
            .map_err(|_| io::Error::new(io::ErrorKind::QuotaExceeded, "too many connections"))
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Door {
    type Stream = Connection;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Connection, S)>> + Send>>;

    fn accept(&self, mut stream: TcpStream, service: S) -> Self::Future {
        let permit = self.enter();
        let (tls_timeout, write_timeout, compat) = (self.tls_timeout, self.write_timeout, self.compat);
        Box::pin(async move {
            let permit = permit?;
            if let Some(timeout) = tls_timeout {
                expect_tls(&mut stream, timeout, compat).await?;
            }
            Ok((Connection { stream, write_timeout, stalled: None, _permit: permit }, service))
        })
    }
}

/// A connection that counts as long as it lives.
pub(crate) struct Connection {
    stream: TcpStream,
    write_timeout: Duration,
    /// Ends when the client has taken nothing for too long; `None` while it takes what comes.
    stalled: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// What became of a write, or an error where it makes no progress for too long: who reads no answers would hold the
    /// connection for ever.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(write_timeout)));
        stalled.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer")))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.in_time(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // Neither of these waits for the client, nor says anything of what it took: the time that runs goes on.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Looks at the first byte: that of a TLS handshake is no letter, that of a request in plain HTTP is one. Who speaks
/// plain HTTP would otherwise be told nothing, or by curl that the answer is HTTP/0.9.
async fn expect_tls(stream: &mut TcpStream, timeout: Duration, compat: Compat) -> io::Result<()> {
    let mut first = [0];
    let count = tokio::time::timeout(timeout, stream.peek(&mut first)).await??;
    if count == 0 || !first[0].is_ascii_uppercase() {
        return Ok(());
    }
    tokio::time::timeout(timeout, answer_plain_http(stream, compat)).await??;
    Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on the HTTPS port"))
}

async fn answer_plain_http(stream: &mut TcpStream, compat: Compat) -> io::Result<()> {
    let (status, body) = error::plain_http(compat);
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(PLAIN_BYTES_MAX), &mut tokio::io::sink()).await.map(drop)
}

/// Logs why a connection was not taken (without an address: why none could be) and goes on.
pub(crate) fn log_refused(address: Option<&SocketAddr>, error: &io::Error) {
    match address {
        None => tracing::warn!("no connection can be accepted: {error}"),
        // Scanners and clients that do not trust the certificate are no news to anybody but who looks for them.
        Some(client) => tracing::debug!(%client, "a connection was not taken: {error}"),
    }
}
