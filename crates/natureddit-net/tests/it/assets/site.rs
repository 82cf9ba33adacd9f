//! A server on loopback whose file can break off: a hub, or a package index.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the server answers.
#[derive(Clone)]
pub(crate) struct Site {
    /// The path of the file.
    pub(crate) path: &'static str,
    content: Arc<Vec<u8>>,
    /// After how many bytes each answer breaks off; those after the last are whole.
    cuts: Arc<Mutex<Vec<usize>>>,
    pub(crate) ranges: bool,
    /// Whether the length is announced.
    pub(crate) has_length: bool,
    /// Other paths, their media types and contents.
    pub(crate) pages: BTreeMap<String, (&'static str, String)>,
    /// The `Range` header of each request for the file.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(crate) fn new(path: &'static str, content: Vec<u8>, cuts: &[usize]) -> Self {
        let cuts = Arc::new(Mutex::new(cuts.iter().rev().copied().collect()));
        let (content, pages, asked) = (Arc::new(content), BTreeMap::new(), Arc::default());
        Self { path, content, cuts, ranges: true, has_length: true, pages, asked }
    }

    /// Serves until the test ends, and says on which port.
    pub(crate) async fn serve(&self) -> u16 {
        let site = self.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                site.answer(stream).await.unwrap();
            }
        });
        port
    }

    /// Answers one request and closes the connection.
    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path == self.path {
            self.answer_file(&head, &mut stream).await?;
        } else {
            let page = self.pages.get(path);
            let status = if page.is_some() { "200 OK" } else { "404 Not Found" };
            let (kind, body) = page.map_or(("text/plain", "no such page"), |(kind, body)| (*kind, body));
            stream.write_all(head_of(status, &format!("content-type: {kind}\r\n"), body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        let _ = stream.shutdown().await;
        Ok(())
    }

    async fn answer_file(&self, head: &str, stream: &mut TcpStream) -> io::Result<()> {
        let range = head.lines().find_map(|line| line.strip_prefix("range: ")).unwrap_or_default();
        self.asked.lock().unwrap().push(range.to_owned());
        let from = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
        let from: usize = from.filter(|_| self.ranges).map_or(0, |from| from.parse().unwrap());
        let rest = &self.content[from..];
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let head = match self.has_length {
            true => head_of(status, "", rest.len()),
            false => format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n"),
        };
        stream.write_all(head.as_bytes()).await?;
        let cut = self.cuts.lock().unwrap().pop().unwrap_or(rest.len());
        // A client that has seen enough may be gone.
        let _ = stream.write_all(&rest[..cut]).await;
        Ok(())
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn head_of(status: &str, more: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n")
}
