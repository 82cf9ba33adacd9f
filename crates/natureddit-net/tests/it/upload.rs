use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, put};
use futures_util::StreamExt;
use natureddit_core::{Secret, fs};
use natureddit_net::{BodySink, Client, ClientConfig, HostMap, NetError, Pacing, UploadMethod};
use tempfile::TempDir;
use url::Url;

use crate::server::{Counter, config, serve};

/// A client for a server that is named by its address, and that address.
async fn named(router: Router) -> (Client, String) {
    let address = serve(router).await;
    let config = ClientConfig { host_map: HostMap::default(), ..config(address) };
    let base = Url::parse(&format!("http://{address}")).unwrap();
    (Client::for_server(config, Pacing::none(), &base).unwrap(), format!("http://{address}"))
}

fn file(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write_unsynced(&path, content).unwrap();
    (folder, path)
}

#[tokio::test]
async fn a_file_is_sent_in_chunks_and_whole_again_after_a_failure_that_may_pass() {
    let content: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (_folder, path) = file(&content);
    let (tries, came) = (Counter::default(), Arc::new(Mutex::new(Vec::new())));
    let handler = {
        let came = Arc::clone(&came);
        async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers[header::TRANSFER_ENCODING], "chunked");
            assert_eq!(headers["x-key"], "hunter2");
            came.lock().unwrap().push(body);
            if tries.next() == 0 { StatusCode::BAD_GATEWAY } else { StatusCode::CREATED }
        }
    };
    let router = Router::new().route("/file", put(handler)).layer(axum::extract::DefaultBodyLimit::disable());
    let (client, base) = named(router).await;
    let upload = client.upload(UploadMethod::Put, &format!("{base}/file"), &path);
    let response = upload.header_auth("x-key", &Secret::new("hunter2".into())).send().await.unwrap();
    assert_eq!(response.status, 201);
    let came = std::mem::take(&mut *came.lock().unwrap());
    assert!(came.len() == 2 && came.iter().all(|body| *body == content));

    let error = client.upload(UploadMethod::Post, &base, &path.with_file_name("absent")).send().await.unwrap_err();
    assert!(matches!(error, NetError::File(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_takes_nothing_more_is_not_waited_for() {
    // More than fits between here and there.
    let (_folder, path) = file(&vec![1; 30_000_000]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = ClientConfig { read_timeout: Duration::from_millis(50), ..config(address) };
    config.retry.retries_max = 0;
    let client = Client::new(config).unwrap();
    let upload = client.upload(UploadMethod::Post, "https://site.example/file", &path).send();
    let error = tokio::select! {
        sent = upload => sent.unwrap_err(),
        _ = async { let _open = listener.accept().await; std::future::pending::<()>().await } => unreachable!(),
    };
    assert!(matches!(error, NetError::Timeout { after, .. } if after == Duration::from_millis(50)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_comes_late_is_waited_for_as_long_as_is_asked() {
    let (_folder, path) = file(b"content");
    let late = async |_: Bytes| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        StatusCode::CREATED
    };
    let address = serve(Router::new().route("/file", put(late))).await;
    let read_timeout = Duration::from_millis(50);
    let mut config = ClientConfig { host_map: HostMap::default(), read_timeout, ..config(address) };
    config.retry.retries_max = 0;
    let base = Url::parse(&format!("http://{address}")).unwrap();
    let client = Client::for_server(config, Pacing::none(), &base).unwrap();
    let upload = || client.upload(UploadMethod::Put, &format!("http://{address}/file"), &path);
    let error = upload().send().await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { after, .. } if after == read_timeout), "{error:?}");
    assert_eq!(upload().upload_silence_max(Duration::from_secs(60)).send().await.unwrap().status, 201);
}

#[tokio::test]
async fn only_the_named_server_may_be_private() {
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/elsewhere", get(async || Redirect::temporary("http://127.9.9.9/").into_response()))
        .route("/up", put(async || Redirect::temporary("/").into_response()));
    let (client, base) = named(router).await;
    assert_eq!(client.get(&base).send().await.unwrap().body, "here");
    let error = client.get(&format!("{base}/elsewhere")).send().await.unwrap_err();
    assert!(matches!(error, NetError::AddressRefused { .. }), "{error:?}");
    // What is uploaded is meant for one server.
    let (_folder, path) = file(b"x");
    let upload = client.upload(UploadMethod::Put, &format!("{base}/up"), &path);
    assert_eq!(upload.send().await.unwrap().status, 307);
}

#[tokio::test]
async fn a_document_is_posted_as_json_again_where_that_may_help_or_only_once() {
    let tries = Counter::default();
    let handler = {
        let tries = tries.clone();
        async move |headers: HeaderMap, body: String| {
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            if tries.next().is_multiple_of(2) { (StatusCode::BAD_GATEWAY, body) } else { (StatusCode::OK, body) }
        }
    };
    let (client, base) = named(Router::new().route("/", axum::routing::post(handler))).await;
    let post = || client.post_json(&base, r#"{"key": "value"}"#.to_owned());
    let answer = post().send().await.unwrap();
    assert_eq!((answer.status, &*answer.body, tries.get()), (200, br#"{"key": "value"}"#.as_slice(), 2));
    assert_eq!(post().without_retries().send().await.unwrap().status, 502);
    assert_eq!(tries.get(), 3);
    assert!(!format!("{:?}", post()).contains("value"));
}

#[derive(Default)]
struct Gathered {
    body: Vec<u8>,
    restarts: usize,
}

impl BodySink for Gathered {
    type Error = NetError;

    async fn restart(&mut self) -> Result<(), NetError> {
        self.body.clear();
        self.restarts += 1;
        Ok(())
    }

    async fn take(&mut self, part: Bytes) -> Result<(), NetError> {
        self.body.extend_from_slice(&part);
        Ok(())
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_comes_again_from_its_start() {
    let tries = Counter::default();
    let handler = async move |headers: HeaderMap| {
        assert_eq!(headers[header::ACCEPT_ENCODING], "identity");
        let whole = tries.next() > 0;
        let parts = [Ok("half"), if whole { Ok(" and half") } else { Err(std::io::Error::other("the end")) }];
        // What came so far is sent before the next.
        let parts = futures_util::stream::iter(parts).then(async |part| {
            tokio::task::yield_now().await;
            part
        });
        axum::body::Body::from_stream(parts)
    };
    let router =
        Router::new().route("/", get(handler)).route("/gone", get(async || (StatusCode::NOT_FOUND, "no such object")));
    let (client, base) = named(router).await;
    let mut sink = Gathered::default();
    assert_eq!(client.get(&base).verbatim().read_into(&mut sink).await.unwrap(), 200);
    assert_eq!((sink.body.as_slice(), sink.restarts), (&b"half and half"[..], 2));

    let mut sink = Gathered::default();
    assert_eq!(client.get(&format!("{base}/gone")).read_into(&mut sink).await.unwrap(), 404);
    assert_eq!(sink.restarts, 0);
}
