//! Connections over TLS that block a thread: no runtime takes the processor's time from the server that is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use natureddit_core::fs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Outcome;

/// Longer silence is a broken connection: more than any server here takes for an answer.
const SILENCE_MAX: Duration = Duration::from_mins(2);
/// Larger heads of answers are refused, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A server, and the path that is asked for.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) host: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl Target {
    /// Of `https://HOST:PORT/PATH`.
    pub(crate) fn new(url: &str, certificate: &Path) -> Outcome<Self> {
        let rest = url.strip_prefix("https://").ok_or("an address begins with https://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = host.to_socket_addrs()?.next().ok_or("the host has no address")?;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&fs::read(certificate)?) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(Self {
            address,
            path: path.to_owned(),
            host: host.to_owned(),
            name: ServerName::try_from(name)?.to_owned(),
            tls: Arc::new(tls.with_root_certificates(roots).with_no_client_auth()),
        })
    }

    /// Opens a connection; the handshake comes with the first request.
    pub(crate) fn connect(&self) -> io::Result<Connection> {
        let socket = self.connect_plainly()?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), self.name.clone()).map_err(io::Error::other)?;
        Ok(Connection { stream: StreamOwned::new(tls, socket), unread: Vec::new() })
    }

    /// Opens a connection without TLS.
    pub(crate) fn connect_plainly(&self) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(self.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        socket.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(socket)
    }

    /// A request of this path: its head and body in one piece.
    pub(crate) fn request(&self, method: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let (path, host, length) = (&self.path, &self.host, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether nothing more can be asked on the connection.
    closes: bool,
}

/// A connection that is kept alive.
pub(crate) struct Connection {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    unread: Vec<u8>,
}

impl Connection {
    /// Sends a request and reads the answer. A server may answer before it has read all: then the answer counts.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let sent = self.stream.write_all(request).and_then(|()| self.stream.flush());
        let answer = self.answer();
        match sent {
            Ok(()) => answer,
            Err(broken) => answer.map(|answer| Answer { closes: true, ..answer }).map_err(|_| broken),
        }
    }

    /// Reads an answer.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let head_end = self.fill(|unread| unread.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4))?;
        let head = String::from_utf8_lossy(&self.unread[..head_end]).to_ascii_lowercase();
        self.unread.drain(..head_end);
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let status = head.split(' ').nth(1).and_then(|code| code.trim().parse().ok());
        let status = status.ok_or_else(|| bad("no status in an answer"))?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = match length {
            Some(length) => length.trim().parse().map_err(|_| bad("no number of bytes in an answer"))?,
            None => return Err(bad("an answer that does not say how long it is")),
        };
        self.fill(|unread| (unread.len() >= length).then_some(length))?;
        let body = self.unread.drain(..length).collect();
        let closes = head.lines().any(|line| line.starts_with("connection:") && line.contains("close"));
        Ok(Answer { status, body, closes })
    }

    /// Reads until `complete` says how many bytes are.
    fn fill(&mut self, complete: impl Fn(&[u8]) -> Option<usize>) -> io::Result<usize> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(length) = complete(&self.unread) {
                return Ok(length);
            }
            let read = self.stream.read(&mut bytes)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.unread.extend_from_slice(&bytes[..read]);
            if self.unread.len() > HEAD_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a long answer"));
            }
        }
    }
}

/// Exchanges on one connection after the other: on the last one as long as it stays open.
pub(crate) struct Client<'a> {
    target: &'a Target,
    open: Option<Connection>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(target: &'a Target) -> Self {
        Self { target, open: None }
    }

    /// Sends a request and reads the answer; a failure is not tried again.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => self.target.connect()?,
        };
        let answer = connection.exchange(request)?;
        if !answer.closes {
            self.open = Some(connection);
        }
        Ok(answer)
    }
}
