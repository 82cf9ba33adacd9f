//! Registering model archives by their addresses.

use std::io::{Cursor, Write};
use std::path::Path;

use natureddit_core::fs;
use natureddit_model::ModelBundle;
use natureddit_serve::{AllowedUrls, ArchiveSource, SettingsByVersion};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::fixture::logged;
use crate::management::{Managed, add, loader, store};

/// The archive of the model `nature` in this version.
fn archive(version: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, file) = (folder.path().join("bundle"), folder.path().join("nature.mar"));
    natureddit_testkit::tiny_bundle(&bundle, "nature", 1);
    ModelBundle::read(&bundle).unwrap().write_archive(&file, version).unwrap();
    fs::read(&file).unwrap()
}

/// An archive of TorchServe's, which is answered by its handler.
fn with_python() -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let manifest = json!({"model": {"modelName": "nature", "modelVersion": "1.0", "handler": "evil.py"}});
    for (name, content) in [("MAR-INF/MANIFEST.json", manifest.to_string()), ("evil.py", "import os".to_owned())] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What is at an address.
fn fetch(url: &Url, partial: &Path) -> Result<(), String> {
    let content = match url.path() {
        "/stable/nature.mar" | "/stable/again.mar" => archive(2),
        "/stable/third.mar" => archive(3),
        "/stable/python.mar" => with_python(),
        "/stable/garbage.mar" => b"no archive".to_vec(),
        "/stable/half.mar" => {
            fs::write_unsynced(partial, "half").unwrap();
            return Err("the connection broke after 4 of 9 bytes".to_owned());
        }
        other => panic!("{other} was fetched"),
    };
    fs::write_unsynced(partial, content).unwrap();
    Ok(())
}

/// A server with version 1 of `nature`, which allows archives below one address.
async fn start() -> Managed {
    start_with(store(&[1])).await
}

async fn start_with(store: TempDir) -> Managed {
    let allowed = AllowedUrls::new(["https://models.example/stable/".to_owned()]).unwrap();
    let loader = loader(store.path(), SettingsByVersion::new()).fetching(ArchiveSource::new(allowed, fetch));
    Managed::start_of(store, loader, |_| {}).await
}

async fn register(managed: &Managed, url: &str) -> (u16, Value) {
    let query: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    managed.manage(Method::POST, &format!("/models?url={query}")).await
}

/// The names in the store, but for those that the server keeps for itself.
fn names(managed: &Managed) -> Vec<String> {
    let paths = fs::read_dir(managed.store.path()).unwrap();
    let names = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name != "keys" && name != ".served.json").collect()
}

#[tokio::test]
async fn an_archive_is_fetched_into_the_store_and_served_also_after_a_restart() {
    let managed = start().await;
    let url = "https://user:hunter2@models.example/stable/nature.mar?signature=hidden-one";
    let (code, registered) = register(&managed, url).await;
    assert_eq!(
        (code, &registered["status"]),
        (200, &json!("Model \"nature\" Version: 2 registered with 1 initial workers"))
    );
    managed.manage(Method::PUT, "/models/nature/2/set-default").await;
    assert_eq!(managed.label().await, "flora");
    assert_eq!(names(&managed), ["nature", "nature.mar"]);
    let (_, described) = managed.manage(Method::GET, "/models/nature/2").await;
    assert_eq!(described[0]["modelUrl"], "nature.mar");
    let managed = managed.restart().await;
    assert_eq!(managed.label().await, "flora");
    let log = logged();
    assert!(log.contains("https://models.example/stable/nature.mar"));
    assert!(!log.contains("hunter2") && !log.contains("hidden-one"));
}

#[tokio::test]
async fn a_version_of_an_archive_that_is_unregistered_stays_away_after_a_restart() {
    let managed = start().await;
    assert_eq!(register(&managed, "https://models.example/stable/nature.mar").await.0, 200);
    assert_eq!(managed.manage(Method::DELETE, "/models/nature/2").await.0, 200);
    let managed = managed.restart().await;
    assert_eq!(managed.manage(Method::GET, "/models/nature/2").await.0, 404);
    assert_eq!(managed.manage(Method::POST, "/models?url=nature.mar").await.0, 200);
    let managed = managed.restart().await;
    assert_eq!(managed.manage(Method::GET, "/models/nature/2").await.0, 200);
}

#[tokio::test]
async fn what_is_there_already_is_a_conflict() {
    let managed = start().await;
    assert_eq!(register(&managed, "https://models.example/stable/nature.mar").await.0, 200);
    // By the name of its file, by its version, and by a version that is only a folder of the store.
    add(managed.store.path(), 3);
    let conflict = "ConflictStatusException";
    for (name, message) in [
        ("nature", "Model file already exists nature.mar: it can be registered by that name"),
        ("again", "Model version 2 is already registered for model nature"),
        ("third", "Model version 3 of nature already exists in the model store: it can be registered as nature/3"),
    ] {
        let (code, body) = register(&managed, &format!("https://models.example/stable/{name}.mar")).await;
        assert_eq!((code, &body["type"], &body["message"]), (409, &json!(conflict), &json!(message)));
    }
    assert_eq!(names(&managed), ["nature", "nature.mar"]);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_or_has_no_name_is_never_fetched() {
    let managed = start().await;
    for (url, kind, message) in [
        (
            "https://user:hunter3@models.example/other/nature.mar?signature=hidden-two",
            "InvalidArchiveURLException",
            "Given URL https://models.example/other/nature.mar does not match any allowed URL(s)",
        ),
        (
            "file:///etc/nature.mar",
            "InvalidArchiveURLException",
            "Given URL file:///etc/nature.mar does not match any allowed URL(s)",
        ),
        ("https://user:hunter3@:x/nature.mar", "BadRequestException", "url is no address: empty host"),
        (
            "https://models.example/stable/..%2Fnature.mar",
            "BadRequestException",
            "url must end in the name of an archive, NAME.mar, which is 1 to 64 letters, digits, '-', '_' or '.', beginning \
             with a letter or digit",
        ),
    ] {
        let (code, body) = register(&managed, url).await;
        assert_eq!((code, &body["type"], &body["message"]), (400, &json!(kind), &json!(message)), "{url}");
    }
    // A server for which nothing is set allows none.
    let plain = Managed::start(store(&[1])).await;
    let (code, body) = register(&plain, "https://models.example/stable/nature.mar").await;
    assert_eq!((code, &body["type"]), (400, &json!("InvalidArchiveURLException")));
    let log = logged();
    assert!(!log.contains("hunter3") && !log.contains("hidden-two"));
}

#[tokio::test]
async fn what_is_refused_or_breaks_off_leaves_nothing_behind() {
    let managed = start().await;
    for (name, kind, part) in [
        ("python", "InvalidModelException", "answers by its own Python program \"evil.py\""),
        ("garbage", "InvalidModelException", "is no model archive that can be read"),
        (
            "half",
            "DownloadArchiveException",
            "Failed to download archive from: https://models.example/stable/half.mar: the connection broke after 4 of 9",
        ),
    ] {
        let (code, body) = register(&managed, &format!("https://models.example/stable/{name}.mar")).await;
        assert_eq!((code, &body["type"]), (400, &json!(kind)), "{body}");
        assert!(body["message"].as_str().unwrap().contains(part), "{body}");
    }
    assert_eq!(names(&managed), ["nature"]);
    assert_eq!(managed.label().await, "fauna");
}
