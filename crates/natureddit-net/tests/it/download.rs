//! A file that is pulled by its address: resumed, limited, and from allowed addresses alone.

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use natureddit_core::{Progress, fs};
use natureddit_net::{Client, DownloadError, FileDownload, HostMap, JudgeAddress, NetError};
use tempfile::TempDir;
use url::Url;

use crate::assets::site::Site;
use crate::server::{Counter, client_of, config};

const BYTES_MAX: u64 = 1_000;

/// Pulls from `site.example`, which alone is allowed, into a file of the folder.
async fn pull(client: &Client, path: &str, folder: &TempDir) -> Result<Vec<u8>, DownloadError> {
    let partial = folder.path().join("partial");
    let judge = JudgeAddress::new(|url| matches!(url.host_str(), Some("site.example" | "127.0.0.1" | "localhost")));
    let file = FileDownload {
        what: "pulling a file",
        partial: partial.clone(),
        bytes: None,
        bytes_max: BYTES_MAX,
        judge: Some(judge),
    };
    file.run(client, &format!("http://site.example{path}"), &Progress::silent()).await?;
    Ok(fs::read(&partial).unwrap())
}

#[tokio::test]
async fn a_redirect_is_followed_to_an_allowed_public_address_and_no_other() {
    let asked = Counter::default();
    let counted = asked.clone();
    let to = |to: &'static str| get(move || async move { Redirect::temporary(to) });
    let router = Router::new()
        .route("/file", get(|| async { "content" }))
        .route("/near", to("/file"))
        .route("/away", to("http://elsewhere.example/file"))
        .route("/inside", to("http://127.0.0.1:1/file"))
        .route("/inside-by-name", to("http://localhost:1/file"))
        .fallback(move || async move { counted.next().to_string() });
    let (client, folder) = (client_of(router).await, tempfile::tempdir().unwrap());
    assert_eq!(pull(&client, "/near", &folder).await.unwrap(), b"content");
    let refused = async |path: &str| {
        let folder = tempfile::tempdir().unwrap();
        let error = pull(&client, path, &folder).await.unwrap_err();
        assert!(!folder.path().join("partial").exists());
        let DownloadError::Net(error) = error else { panic!("{error}") };
        error
    };
    let away = refused("/away").await;
    assert!(matches!(&away, NetError::NotAllowed { url } if url == "http://elsewhere.example/file"), "{away}");
    assert_eq!(away.code(), "not_allowed");
    assert!(matches!(refused("/inside").await, NetError::AddressRefused { .. }));
    assert!(matches!(refused("/inside-by-name").await, NetError::AddressRefused { .. }));
    assert_eq!(asked.get(), 0);
}

#[tokio::test]
async fn what_is_longer_than_the_limit_is_not_taken_whether_it_says_so_or_not() {
    let endless =
        || async { Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[7; 100])))) };
    let router = Router::new()
        .route("/announced", get(|| async { vec![7_u8; 1_001] }))
        .route("/most", get(|| async { vec![7_u8; 1_000] }))
        .route("/endless", get(endless));
    let (client, folder) = (client_of(router).await, tempfile::tempdir().unwrap());
    for path in ["/announced", "/endless"] {
        let error = pull(&client, path, &folder).await.unwrap_err();
        assert!(matches!(error, DownloadError::Net(NetError::TooManyBytes { bytes_max: BYTES_MAX, .. })), "{error}");
        let _ = fs::remove_file(&folder.path().join("partial"));
    }
    assert_eq!(pull(&client, "/most", &folder).await.unwrap().len(), 1_000);
}

async fn client_of_site(site: &Site) -> Client {
    let config = config(([127, 0, 0, 1], site.serve().await).into());
    Client::new(config).unwrap()
}

#[tokio::test]
async fn what_breaks_off_is_continued_within_the_limit_of_the_whole() {
    let content: Vec<u8> = (0..900_u32).map(|at| at as u8).collect();
    let site = Site::new("/file", content.clone(), &[300, 200]);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(pull(&client_of_site(&site).await, "/file", &folder).await.unwrap(), content);
    assert_eq!(site.asked(), ["", "bytes=300-", "bytes=500-"]);
    // It breaks off again and again.
    let site = Site::new("/file", content.clone(), &[100; 6]);
    let folder = tempfile::tempdir().unwrap();
    let error = pull(&client_of_site(&site).await, "/file", &folder).await.unwrap_err();
    assert!(matches!(error, DownloadError::CutOff { bytes: 600, bytes_expected: 900 }), "{error}");
    let error = pull(&client_of_site(&site).await, "/other", &tempfile::tempdir().unwrap()).await.unwrap_err();
    assert!(matches!(error, DownloadError::Status { status: 404 }), "{error}");
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_never_asked() {
    let (asked, host_map) = (Counter::default(), HostMap::default());
    let counted = asked.clone();
    let address = crate::server::serve(Router::new().fallback(move || async move { counted.next().to_string() })).await;
    let client = Client::new(natureddit_net::ClientConfig { host_map, ..config(address) }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = FileDownload {
        what: "pulling a file",
        partial: folder.path().join("partial"),
        bytes: None,
        bytes_max: BYTES_MAX,
        judge: Some(JudgeAddress::new(|_: &Url| false)),
    };
    let url = format!("http://user:hunter2@{address}/file?key=hidden");
    let error = file.run(&client, &url, &Progress::silent()).await.unwrap_err().to_string();
    assert!(error.contains("is not an address that is allowed here"), "{error}");
    assert!(!error.contains("hunter2") && !error.contains("hidden"), "{error}");
    assert_eq!(asked.get(), 0);
}
