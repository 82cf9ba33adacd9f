//! Where photos come from: originals before previews, placeholders told as such, and what was not there yet asked for again.

use natureddit_core::fs;
use natureddit_data::{CollectConfig, Dataset, SourceConfig, Window};
use serde_json::json;

use crate::pictures::{png, png_of_bytes};
use crate::reddit::{Answer, Reddit, SINCE, config, run};

const PREVIEW: &str = "https://preview.redd.it/abc.png?width=1&amp;s=2";

/// A gallery of one picture behind a signed preview.
fn gallery(reddit: &mut Reddit, status: &str) {
    let post = reddit.post("flowers", "g", 5, "https://www.reddit.com/gallery/g");
    post["is_gallery"] = json!(true);
    post["gallery_data"] = json!({"items": [{"media_id": "abc"}]});
    post["media_metadata"] = json!({"abc": {"status": status, "s": {"u": PREVIEW}}});
}

#[tokio::test]
async fn the_original_comes_before_the_preview() {
    let (original, preview) = (Answer::File(png(30, 1)), Answer::File(png(24, 2)));
    for (at_original, width, reason) in [
        (original, 30, ""),
        (Answer::Status(404), 24, ""),
        // It may be there later, and which of both is stored must not depend on the hour.
        (Answer::File(b"<html>busy</html>".to_vec()), 0, "html"),
        (Answer::Status(503), 0, "http_503"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut reddit = Reddit::new();
        gallery(&mut reddit, "valid");
        reddit.photo("flowers", "other", 1, Answer::File(png(24, 9)));
        reddit.photos.insert("/media/i.redd.it/abc.png".into(), at_original);
        reddit.photos.insert("/media/preview.redd.it/abc.png".into(), preview.clone());
        run(reddit).await.collect(&config(folder.path())).await.unwrap();
        let dataset = Dataset::read(folder.path()).unwrap();
        let id = "g".parse().unwrap();
        assert_eq!(dataset.photos_of(&id).next().map_or(0, |row| row.width), width);
        let dropped = dataset.dropped.get(&(id, "abc".into())).map_or("", |post| post.reason.as_str());
        assert_eq!(dropped, reason);
    }
}

#[tokio::test]
async fn a_placeholder_is_no_photo_whatever_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::new();
    reddit.post("flowers", "gone", 1, "https://i.imgur.com/abcde.jpg");
    reddit.post("flowers", "page", 2, "https://imgur.com/fghij");
    reddit.photo("flowers", "there", 3, Answer::File(png(24, 1)));
    for name in ["abcde", "fghij"] {
        let to = Answer::To("https://i.imgur.com/removed.png".into());
        reddit.photos.insert(format!("/media/i.imgur.com/{name}.jpg"), to);
    }
    reddit.photos.insert("/media/i.imgur.com/removed.png".into(), Answer::File(png_of_bytes(9_000)));
    let report = run(reddit).await.collect(&config(folder.path())).await.unwrap();
    assert_eq!((report.posts_new, report.dropped["placeholder"], report.photos_may_come), (1, 2, 0));
    let dropped = fs::read_to_string(&folder.path().join("dropped.csv")).unwrap();
    assert!(dropped.contains("gone,,flowers,2022-05-01T00:00:01,placeholder\n"), "{dropped}");
}

/// Photos of different addresses share the last part of them: `4.jpg` is many a photo.
#[tokio::test]
async fn trap_17_photos_of_one_name_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::new();
    let addresses = ["i.redd.it/a/4.jpg", "i.redd.it/b/4.jpg", "i.imgur.com/4.jpg"];
    for (number, address) in (0..).zip(addresses) {
        reddit.post("flowers", &format!("p{number}"), number, &format!("https://{address}"));
        reddit.photos.insert(format!("/media/{address}"), Answer::File(png(24, number as u8)));
    }
    // And two posts of one address.
    reddit.post("flowers", "p3", 3, "https://i.imgur.com/4.jpg");
    // A picture of a gallery may be called as a post is.
    gallery(&mut reddit, "valid");
    reddit.photos.insert("/media/i.redd.it/abc.png".into(), Answer::File(png(24, 7)));
    reddit.photo("flowers", "abc", 9, Answer::File(png(24, 8)));
    run(reddit).await.collect(&config(folder.path())).await.unwrap();
    let dataset = Dataset::read(folder.path()).unwrap();
    let photo = |id: &str| {
        let id = id.parse().unwrap();
        let row = dataset.photos_of(&id).next().unwrap();
        (row.img_name.clone(), fs::read(&Dataset::image_path(folder.path(), row)).unwrap())
    };
    for (id, name, seed) in [
        ("p0", "p0_0.png", 0),
        ("p1", "p1_0.png", 1),
        ("p2", "p2_0.png", 2),
        ("p3", "p3_0.png", 2),
        ("g", "g_abc.png", 7),
        ("abc", "abc_0.png", 8),
    ] {
        assert_eq!(photo(id), (name.to_owned(), png(24, seed)));
    }
    assert_eq!(fs::read_dir(&Dataset::images_dir(folder.path())).unwrap().len(), 6);
}

#[tokio::test]
async fn what_was_not_there_yet_is_asked_for_again_by_the_run_of_another_day() {
    let folder = tempfile::tempdir().unwrap();
    let base_url = "https://arctic.example".parse().unwrap();
    let source = SourceConfig::ArcticShift { base_url, page_bytes_max: 1_000_000 };
    let mut config = CollectConfig { source, ..config(folder.path()) };
    let mut reddit = Reddit::new();
    gallery(&mut reddit, "unprocessed");
    reddit.photo("flowers", "slow", 7, Answer::Status(503));
    reddit.photo("flowers", "gone", 8, Answer::Status(404));
    reddit.photo("flowers", "there", 9, Answer::File(png(24, 1)));
    let report = run(reddit).await.collect(&config).await.unwrap();
    assert_eq!((report.posts_new, report.photos_may_come), (1, 2));

    let mut reddit = Reddit::new();
    gallery(&mut reddit, "valid");
    reddit.photos.insert("/media/i.redd.it/abc.png".into(), Answer::File(png(24, 2)));
    reddit.photo("flowers", "slow", 7, Answer::File(png(24, 3)));
    reddit.photo("flowers", "gone", 8, Answer::File(png(24, 4)));
    config.window = Window::new(SINCE + 86_400, SINCE + 2 * 86_400).unwrap();
    let report = run(reddit).await.collect(&config).await.unwrap();
    assert_eq!((report.posts_seen, report.posts_new), (2, 2));
    let dataset = Dataset::read(folder.path()).unwrap();
    let names: Vec<_> = dataset.rows().into_iter().map(|row| row.img_name.as_str()).collect();
    assert_eq!(names, ["g_abc.png", "slow_0.png", "there_0.png"]);
    assert_eq!(dataset.dropped.len(), 1, "what is gone is not asked for again");
}

#[tokio::test]
async fn a_forgetting_that_was_cut_off_is_finished_by_the_next_collection() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(4)).await;
    server.collect(&config(folder.path())).await.unwrap();
    let tombstones = "id,deleted_at\np001,2022-05-01T00:00:00\n";
    fs::write_atomic(&folder.path().join("tombstones.csv"), tombstones).unwrap();
    let report = server.collect(&config(folder.path())).await.unwrap();
    assert_eq!((report.posts_new, report.posts_forgotten), (0, 1));
    let names: Vec<_> = fs::read_dir(&Dataset::images_dir(folder.path())).unwrap();
    assert_eq!(names.len(), 3);
    assert!(!fs::read_to_string(&folder.path().join("posts.csv")).unwrap().contains("p001"));
}
