//! Real photos from a folder.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use natureddit_core::fs;
use natureddit_sandbox::{Sandbox, SandboxConfig};

use crate::{Client, classes, config};

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write_atomic(&path, bytes).unwrap();
}

fn with_photos(folder: &Path, names: &[&str]) -> SandboxConfig {
    SandboxConfig { photos: Some(folder.to_owned()), classes: classes(names), ..config(41, 1) }
}

#[tokio::test]
async fn a_folder_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "cats/tom.JPG", b"tom's bytes");
    write(folder.path(), "cats/Felix the cat.png", b"felix");
    write(folder.path(), "dogs/rex.jpg", b"rex");
    write(folder.path(), "dogs/notes.txt", b"not a photo");
    write(folder.path(), "posts.csv", b"id,title,img_name,choice\nab12,\"Rex, <good> boy\",dogs/rex.jpg,dogs\n");
    let sandbox = Sandbox::start(with_photos(folder.path(), &["cats", "dogs"])).await.unwrap();
    let client = Client::new(&sandbox);
    let truth = sandbox.truth();
    assert_eq!(truth.counts.values().copied().collect::<Vec<_>>(), [2, 1]);
    assert!(truth.drops.is_empty());
    let labels: Vec<_> = truth.labels().map(|(id, choice)| (id.to_string(), choice)).collect();
    assert!(labels.contains(&("ab12".into(), "dogs")) && labels.contains(&("tom".into(), "cats")), "{labels:?}");
    let posts = client.search("size=100").await;
    let rex = posts.iter().find(|post| post["id"] == "ab12").unwrap();
    assert_eq!((&rex["title"], &rex["url"]), (&"Rex, &lt;good&gt; boy".into(), &"https://i.redd.it/ab12.jpg".into()));
    assert_eq!(client.bytes("https://i.redd.it/ab12.jpg").await, b"rex");
    assert_eq!(client.bytes("https://i.redd.it/tom.jpg").await, b"tom's bytes");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_bad_folder_is_refused_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let refusal =
        async || Sandbox::start(with_photos(folder.path(), &["cats", "dogs"])).await.err().unwrap().to_string();
    write(folder.path(), "cats/tom.jpg", b"tom");
    assert!(refusal().await.starts_with("no photos of class \"dogs\""));
    write(folder.path(), "dogs/rex.jpg", b"rex");
    for (row, expected) in [
        ("a,A,../secret.jpg,cats", "does not lie in the folder"),
        ("a,A,cats/gone.jpg,cats", "\"cats/gone.jpg\" is not a photo"),
        ("a,A,cats/tom.jpg,birds", "\"birds\" is not a class"),
    ] {
        write(folder.path(), "posts.csv", format!("id,title,img_name,choice\n{row}\n").as_bytes());
        let error = refusal().await;
        assert!(error.starts_with("row 1 of ") && error.contains(expected), "{error}");
    }
    write(folder.path(), "posts.csv", b"id,title\na,A\n");
    assert!(refusal().await.contains("posts.csv"));
}

#[cfg(unix)]
#[tokio::test]
async fn photos_that_are_links_are_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let refusal =
        async || Sandbox::start(with_photos(folder.path(), &["cats", "dogs"])).await.err().unwrap().to_string();
    write(folder.path(), "cats/tom.jpg", b"tom");
    write(folder.path(), "elsewhere/rex.jpg", b"rex");
    fs::create_dir_all(&folder.path().join("dogs")).unwrap();
    std::os::unix::fs::symlink("../elsewhere/rex.jpg", folder.path().join("dogs/rex.jpg")).unwrap();
    let told = refusal().await;
    assert!(told.starts_with("the photos of class \"dogs\" in ") && told.ends_with("which are not followed"), "{told}");
    write(folder.path(), "dogs/max.jpg", b"max");
    write(folder.path(), "posts.csv", b"id,title,img_name,choice\na,A,dogs/rex.jpg,dogs\n");
    let told = refusal().await;
    assert!(told.ends_with("\"dogs/rex.jpg\" is a symbolic link, which is not followed"), "{told}");
}

#[tokio::test]
async fn the_shared_photos_are_all_served_under_their_own_ids() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/photos"));
    if !folder.join("posts.csv").exists() {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "skipped: {} is absent", folder.display());
        return;
    }
    let sandbox = Sandbox::start(with_photos(&folder, &["fauna", "flora", "landscape"])).await.unwrap();
    let client = Client::new(&sandbox);
    let truth = sandbox.truth();
    let files = ["fauna", "flora", "landscape"].map(|class| fs::walk(&folder.join(class)).unwrap().len());
    assert_eq!(truth.labels().count(), files.iter().sum::<usize>());
    let ids: BTreeSet<_> = truth.posts.iter().map(|post| post.id.as_str()).collect();
    assert_eq!(ids.len(), truth.posts.len());
    let own = fs::read(&folder.join("fauna/da0031.jpg")).unwrap();
    assert_eq!(client.bytes("https://i.redd.it/da0031.jpg").await, own);
    let frog = truth.posts.iter().find(|post| post.id.as_str() == "da0031").unwrap();
    assert_eq!((frog.title.as_str(), frog.choice.as_deref()), ("Bullfrog at the reserve, Wisconsin", Some("fauna")));
    sandbox.stop().await;
}
