use std::io::Write;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use futures_util::StreamExt;
use natureddit_net::{Client, NetError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Counter, client_of, config, serve};

const SITE: &str = "https://site.example";

fn url(path: &str) -> String {
    format!("{SITE}{path}")
}

#[tokio::test]
async fn path_query_agent_and_accept_reach_the_mapped_server() {
    let echo = async |uri: Uri, headers: HeaderMap| {
        let text = |name| headers[name].to_str().unwrap();
        format!("{uri} {} {}", text(header::USER_AGENT), text(header::ACCEPT))
    };
    let client = client_of(Router::new().route("/a/b.jpg", get(echo))).await;
    let response = client.get(&url("/a/b.jpg?s=1&t=%20")).accept("image/jpeg").send().await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.body, "/a/b.jpg?s=1&t=%20 natureddit-test/1.0 image/jpeg");
    assert_eq!(response.content_type.as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(response.final_url.as_str(), url("/a/b.jpg?s=1&t=%20"));
}

#[tokio::test]
async fn failures_that_may_pass_are_retried_and_others_are_not() {
    let flaky = Counter::default();
    let handler = {
        let flaky = flaky.clone();
        async move || match flaky.next() {
            0 => StatusCode::TOO_MANY_REQUESTS.into_response(),
            1 => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response(),
            2 => StatusCode::REQUEST_TIMEOUT.into_response(),
            _ => "at last".into_response(),
        }
    };
    let gone = Counter::default();
    let count_gone = gone.clone();
    let router = Router::new().route("/flaky", get(handler)).route(
        "/gone",
        get(async move || {
            count_gone.next();
            (StatusCode::NOT_FOUND, "no such photo")
        }),
    );
    let client = client_of(router).await;
    assert_eq!(client.get(&url("/flaky")).send().await.unwrap().body, "at last");
    assert_eq!(flaky.get(), 4);

    let response = client.get(&url("/gone")).bytes_max(3).send().await.unwrap();
    assert_eq!((response.status, gone.get()), (404, 1));
    let error = response.require_success().unwrap_err();
    assert_eq!(error.to_string(), "https://site.example/gone answered with status 404");
}

#[tokio::test]
async fn after_the_last_retry_the_refusal_is_the_answer() {
    let count = Counter::default();
    let counted = count.clone();
    let handler = async move || {
        counted.next();
        StatusCode::BAD_GATEWAY
    };
    let client = client_of(Router::new().route("/", get(handler))).await;
    assert_eq!(client.get(SITE).send().await.unwrap().status, 502);
    assert_eq!(count.get(), 4);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_asked_for_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let client = Client::new(config(address)).unwrap();
    assert_eq!(client.get(SITE).send().await.unwrap().body, "whole");
    server.await.unwrap();
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_its_query() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let client = Client::new(config(address)).unwrap();
    let error = client.get(&url("/a?token=hunter2")).send().await.unwrap_err();
    assert_eq!(error.code(), "connection");
    assert_eq!(error.to_string(), "the connection for https://site.example/a?... failed");
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        assert!(!error.to_string().contains("hunter2"), "{error}");
        cause = error.source();
    }
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_limit_of_time() {
    let router = Router::new().route("/", get(async || std::future::pending::<()>().await));
    let mut config = config(serve(router).await);
    config.retry.retries_max = 0;
    let client = Client::new(config).unwrap();
    let error = client.get(SITE).total_timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert_eq!(error.to_string(), "https://site.example/ did not answer within 0.05 s");
}

#[tokio::test]
async fn a_silence_ends_a_download_long_before_the_whole_may() {
    let begun = || {
        Body::from_stream(
            futures_util::stream::once(async { Ok::<_, std::io::Error>(vec![7; 10]) })
                .chain(futures_util::stream::pending()),
        )
    };
    let router = Router::new()
        .route("/none", get(async || std::future::pending::<()>().await))
        .route("/begun", get(async move || begun()));
    let mut config = config(serve(router).await);
    (config.read_timeout, config.retry.retries_max) = (Duration::from_millis(50), 0);
    let client = Client::new(config).unwrap();
    for path in ["/none", "/begun"] {
        let error = client.get(&url(path)).send().await.unwrap_err();
        assert_eq!(error.to_string(), format!("https://site.example{path} did not answer within 0.05 s"));
    }
}

#[tokio::test]
async fn trap_12_a_body_over_the_limit_is_refused_however_it_is_announced() {
    let bomb = gzip_of(&vec![0; 10_000_000]);
    assert!(bomb.len() < 100_000);
    let endless = || Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![7; 4096])));
    let router = Router::new()
        .route("/honest", get(async || vec![7_u8; 1001]))
        .route("/fits", get(async || vec![7_u8; 1000]))
        .route("/endless", get(async move || endless()))
        .route("/bomb", get(async move || ([(header::CONTENT_ENCODING, "gzip")], bomb)));
    let client = client_of(router).await;
    assert_eq!(client.get(&url("/fits")).bytes_max(1000).send().await.unwrap().body.len(), 1000);
    for path in ["/honest", "/endless", "/bomb"] {
        let error = client.get(&url(path)).bytes_max(1000).send().await.unwrap_err();
        assert!(matches!(error, NetError::TooManyBytes { bytes_max: 1000, .. }), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_content_length_that_lies_cannot_bring_more_than_it_says() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nfour and many more").await;
    });
    let client = Client::new(config(address)).unwrap();
    assert_eq!(client.get(SITE).bytes_max(10).send().await.unwrap().body, "fou");
}

#[tokio::test]
async fn redirects_are_followed_to_their_limit_and_through_the_host_map() {
    let router = Router::new()
        .route("/1", get(async || Redirect::temporary("/2?x=1")))
        .route("/2", get(async || Redirect::permanent("https://SITE.example/3")))
        .route("/3", get(async || "here"))
        .route("/loop", get(async || Redirect::temporary("/loop")))
        .route("/nowhere", get(async || StatusCode::FOUND));
    let client = client_of(router).await;
    let response = client.get(&url("/1")).send().await.unwrap();
    assert_eq!((response.final_url.as_str(), &response.body[..]), ("https://site.example/3", &b"here"[..]));
    let error = client.get(&url("/loop")).send().await.unwrap_err();
    assert_eq!(error.to_string(), "https://site.example/loop redirects more than 3 times");
    assert_eq!(client.get(&url("/nowhere")).send().await.unwrap_err().code(), "bad_redirect");
}

#[tokio::test]
async fn only_the_host_map_leads_to_loopback() {
    let hits = Counter::default();
    let counted = hits.clone();
    let secret = async move || {
        counted.next();
        "secret"
    };
    let address = serve(Router::new().route("/secret", get(secret))).await;
    let to = |location: String| get(async move || Redirect::temporary(&location));
    let router = Router::new()
        .route("/literal", to(format!("http://{address}/secret")))
        .route("/name", to(format!("http://localhost:{}/secret", address.port())))
        .route("/mapped", to(format!("http://[::ffff:127.0.0.1]:{}/secret", address.port())))
        .route("/file", to("file:///etc/passwd".into()));
    let client = client_of(router).await;
    for path in ["/literal", "/name", "/mapped"] {
        let error = client.get(&url(path)).send().await.unwrap_err();
        assert!(matches!(error, NetError::AddressRefused { .. }), "{path}: {error}");
    }
    for direct in [format!("http://{address}/secret"), format!("http://localhost:{}/secret", address.port())] {
        assert_eq!(client.get(&direct).send().await.unwrap_err().code(), "address_refused");
    }
    assert_eq!(client.get(&url("/file")).send().await.unwrap_err().code(), "bad_url");
    assert_eq!(
        client.get("no address?key=hunter2").send().await.unwrap_err().to_string(),
        "not an http or https address: no address"
    );
    assert_eq!(hits.get(), 0);
}

#[tokio::test]
async fn a_download_comes_in_chunks_from_where_it_was_asked() {
    let ranged = async |headers: HeaderMap| match headers.get(header::RANGE) {
        Some(range) if range == "bytes=4-" => (StatusCode::PARTIAL_CONTENT, "world"),
        _ => (StatusCode::OK, "the world"),
    };
    let client = client_of(Router::new().route("/", get(ranged))).await;
    let mut download = client.get(SITE).bytes_from(4).bytes_max(5).open().await.unwrap();
    assert_eq!((download.status, download.content_length), (206, Some(5)));
    let mut body = Vec::new();
    while let Some(chunk) = download.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    assert_eq!(body, b"world");
}

#[test]
fn a_request_can_be_sent_from_a_task_that_moves_between_threads() {
    fn needs_send<T: Send>(_: impl FnOnce(Client) -> T) {}
    needs_send(|client| async move { client.get(SITE).send().await });
    needs_send(|client| async move { client.get(SITE).open().await.unwrap().chunk().await });
}

/// `bytes` as a gzip file.
fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(bytes).unwrap();
    let archive = zip.finish().unwrap().into_inner();
    // A zip member's data is the raw deflate stream that gzip also holds; gzip puts ten bytes before it, CRC-32 and
    // length after it.
    let name_and_extra = usize::from(u16::from_le_bytes([archive[26], archive[27]]))
        + usize::from(u16::from_le_bytes([archive[28], archive[29]]));
    let mut read = zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
    let member = read.by_index(0).unwrap();
    let (start, length, crc) = (30 + name_and_extra, member.compressed_size() as usize, member.crc32());
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend_from_slice(&archive[start..start + length]);
    gzip.extend_from_slice(&crc.to_le_bytes());
    gzip.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    gzip
}
