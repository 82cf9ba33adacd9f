//! A hub on loopback that can break off.

use std::io;
use std::sync::{Arc, Mutex};

use natureddit_core::fs;
use natureddit_net::assets::SourceError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::fixture::{Fixture, HUB, asset, content, recorded, refusals};

/// How a hub answers.
#[derive(Clone)]
struct Hub {
    content: Arc<Vec<u8>>,
    /// After how many bytes each answer breaks off; those after the last are whole.
    cuts: Arc<Mutex<Vec<usize>>>,
    ranges: bool,
    /// The `Range` header of each request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn new(content: Vec<u8>, cuts: &[usize]) -> Self {
        let cuts = Arc::new(Mutex::new(cuts.iter().rev().copied().collect()));
        Self { content: Arc::new(content), cuts, ranges: true, asked: Arc::default() }
    }

    async fn serve(&self, fixture: &mut Fixture) {
        let hub = self.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                hub.answer(stream).await.unwrap();
            }
        });
        fixture.config.hub_url = format!("http://127.0.0.1:{port}/mirror/").parse().unwrap();
    }

    /// Answers one request and closes the connection.
    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let range = head.lines().find_map(|line| line.strip_prefix("range: ")).unwrap_or_default();
        self.asked.lock().unwrap().push(range.to_owned());
        let from = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
        let from: usize = from.filter(|_| self.ranges).map_or(0, |from| from.parse().unwrap());
        let rest = &self.content[from..];
        let status = match head.lines().next() {
            Some("GET /mirror/owner/model/resolve/main/onnx/weights.bin HTTP/1.1") if from > 0 => "206 Partial Content",
            Some("GET /mirror/owner/model/resolve/main/onnx/weights.bin HTTP/1.1") => "200 OK",
            _ => "404 Not Found",
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", rest.len());
        stream.write_all(head.as_bytes()).await?;
        let cut = self.cuts.lock().unwrap().pop().unwrap_or(rest.len());
        // A client that has seen enough may be gone.
        let _ = stream.write_all(&rest[..cut]).await;
        let _ = stream.shutdown().await;
        Ok(())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_file_is_fetched_verified_and_counted() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    Hub::new(weights.clone(), &[]).serve(&mut fixture).await;
    let (progress, events) = recorded();
    let path = fixture.store().pull(&asset(&weights, &[HUB]), &progress).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
    assert_eq!(fixture.cached_names(), ["weights.bin", "weights.bin.stamp"]);
    let events = events.lock().unwrap();
    assert_eq!(events.first().unwrap(), "start pulling weights, Some(100000)");
    assert_eq!(events.last().unwrap(), "finish");
    let advances = events.iter().filter_map(|event| event.strip_prefix("advance "));
    assert_eq!(advances.map(|bytes| bytes.parse::<u64>().unwrap()).sum::<u64>(), 100_000);
}

#[tokio::test]
async fn a_broken_download_is_continued_where_it_broke() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    let hub = Hub::new(weights.clone(), &[30_000, 20_000]);
    hub.serve(&mut fixture).await;
    let path = fixture.pull(&asset(&weights, &[HUB])).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
    assert_eq!(hub.asked(), ["", "bytes=30000-", "bytes=50000-"]);
}

#[tokio::test]
async fn what_a_run_has_got_the_next_run_continues() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    let hub = Hub::new(weights.clone(), &[1000; 6]);
    hub.serve(&mut fixture).await;
    let asset = asset(&weights, &[HUB]);
    let refusals = refusals(fixture.pull(&asset).await.unwrap_err());
    assert!(matches!(refusals[..], [SourceError::CutOff { bytes: 6000, .. }]), "{refusals:?}");
    fixture.pull(&asset).await.unwrap();
    assert_eq!(hub.asked().last().unwrap(), "bytes=6000-");
}

#[tokio::test]
async fn a_server_without_ranges_starts_anew() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    let hub = Hub { ranges: false, ..Hub::new(weights.clone(), &[30_000]) };
    hub.serve(&mut fixture).await;
    let path = fixture.pull(&asset(&weights, &[HUB])).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
}

#[tokio::test]
async fn another_content_is_refused_and_leaves_nothing() {
    let mut fixture = Fixture::new();
    let weights = content(5000);
    let mut other = weights.clone();
    other[0] ^= 1;
    Hub::new(other, &[]).serve(&mut fixture).await;
    let refused = refusals(fixture.pull(&asset(&weights, &[HUB])).await.unwrap_err());
    assert!(matches!(refused[..], [SourceError::WrongContent { .. }]), "{refused:?}");
    assert_eq!(fixture.cached_names(), [""; 0]);
}

#[tokio::test]
async fn a_longer_or_a_shorter_file_is_refused() {
    for bytes in [4999, 5001, 50_000] {
        let mut fixture = Fixture::new();
        Hub::new(content(bytes), &[]).serve(&mut fixture).await;
        assert_eq!(refusals(fixture.pull(&asset(&content(5000), &[HUB])).await.unwrap_err()).len(), 1, "{bytes}");
        assert_eq!(fixture.store().cached(&asset(&content(5000), &[HUB])).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_refusal_of_the_hub_is_told() {
    let mut fixture = Fixture::new();
    Hub::new(Vec::new(), &[]).serve(&mut fixture).await;
    fixture.config.hub_url.set_path("/elsewhere");
    let refused = refusals(fixture.pull(&asset(b"weights", &[HUB])).await.unwrap_err());
    assert!(matches!(refused[..], [SourceError::Status { status: 404 }]), "{refused:?}");
}
