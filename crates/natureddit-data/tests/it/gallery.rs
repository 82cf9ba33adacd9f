//! Galleries: their first picture or all, taken once, whatever happens in between.

use std::sync::atomic::Ordering;

use natureddit_core::{ClassNames, Clock, fs};
use natureddit_data::{Dataset, GalleryMode, LabelImport, Labels};
use serde_json::{Value, json};

use crate::pictures::png;
use crate::reddit::{Answer, Reddit, config, files, run};

/// A gallery `g` of pictures `m0`, `m1`, ... with a status each, and a post with one photo.
fn reddit(statuses: &[&str]) -> Reddit {
    let mut reddit = Reddit::new();
    reddit.photo("flowers", "single", 3, Answer::File(png(24, 200)));
    let mut metadata = json!({});
    for (number, status) in statuses.iter().enumerate() {
        let path = format!("m{number}.png?width=1&amp;s=abc");
        metadata[format!("m{number}")] = match *status {
            "valid" => json!({"status": "valid", "s": {"u": format!("https://i.redd.it/{path}")}}),
            status => json!({"status": status}),
        };
        reddit.photos.insert(format!("/media/i.redd.it/m{number}.png"), Answer::File(png(24, number as u8)));
    }
    let items: Vec<Value> = (0..statuses.len()).map(|number| json!({"media_id": format!("m{number}")})).collect();
    let post = reddit.post("flowers", "g", 5, "https://www.reddit.com/gallery/g");
    post["is_gallery"] = json!(true);
    post["gallery_data"] = json!({ "items": items });
    post["media_metadata"] = metadata;
    reddit
}

fn names(dir: &std::path::Path) -> Vec<String> {
    Dataset::read(dir).unwrap().rows().into_iter().map(|row| row.img_name.clone()).collect()
}

#[tokio::test]
async fn the_first_or_every_still_picture_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(reddit(&["failed", "valid", "valid", "unprocessed"])).await;
    let mut config = config(folder.path());
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_seen, report.posts_new, report.photos_stored), (2, 2, 2));
    assert_eq!(names(folder.path()), ["single_0.png", "g_m1.png"]);

    config.gallery = GalleryMode::All;
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_new, report.photos_stored, report.photos_present), (0, 1, 2));
    assert_eq!((report.photos_may_come, report.dropped["gallery_pending"]), (1, 1));
    assert_eq!(names(folder.path()), ["single_0.png", "g_m1.png", "g_m2.png"]);
    let dropped = fs::read_to_string(&folder.path().join("dropped.csv")).unwrap();
    assert_eq!(dropped, "id,media_id,subreddit,created_utc,reason\ng,m3,flowers,2022-05-01T00:00:05,gallery_pending\n");
    let before = files(folder.path());
    let fetched = server.reddit.photo_requests.load(Ordering::SeqCst);
    server.collect(&config).await.unwrap();
    assert!(files(folder.path()) == before);
    assert_eq!(server.reddit.photo_requests.load(Ordering::SeqCst), fetched);

    // Reddit has processed the last picture.
    let server = run(reddit(&["failed", "valid", "valid", "valid"])).await;
    assert_eq!(server.collect(&config).await.unwrap().photos_stored, 1);
    assert_eq!(names(folder.path()), ["single_0.png", "g_m1.png", "g_m2.png", "g_m3.png"]);
    assert!(Dataset::read(folder.path()).unwrap().dropped.is_empty());
    // All at once gives the same.
    let at_once = tempfile::tempdir().unwrap();
    let all = natureddit_data::CollectConfig { data_dir: at_once.path().to_owned(), ..config.clone() };
    server.collect(&all).await.unwrap();
    assert!(files(at_once.path()) == files(folder.path()));
}

#[tokio::test]
async fn the_photos_of_one_post_are_labelled_together_or_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(reddit(&["valid", "valid"])).await;
    let mut config = config(&folder.path().join("data"));
    config.gallery = GalleryMode::All;
    server.collect(&config).await.unwrap();
    let dataset = Dataset::read(&config.data_dir).unwrap();
    let classes = ClassNames::new(vec!["fauna".into(), "flora".into()]).unwrap();
    let mut labels = Labels::read(&folder.path().join("labels")).unwrap();
    let file = folder.path().join("choices.csv");
    let mut import = |csv: &str| {
        fs::write_atomic(&file, csv).unwrap();
        let done = labels.import(&file, &classes, &dataset, "ann", &Clock::fixed(0)).unwrap();
        let choices = labels.latest();
        (done, dataset.rows().into_iter().map(|row| choices.of(row).unwrap_or("").to_owned()).collect::<Vec<_>>())
    };
    let done = |added, unchanged, unknown_photos: &[&str]| {
        let unknown_photos = unknown_photos.iter().map(|&photo| photo.to_owned()).collect();
        LabelImport { added, unchanged, unknown_photos, ..LabelImport::default() }
    };
    assert_eq!(import("id,choice\ng,flora\n"), (done(2, 0, &[]), vec![String::new(), "flora".into(), "flora".into()]));
    // One photo has its own choice, whatever its extension; the only photo of a post is meant by any name.
    let csv = "id,img_name,choice\ng,g_m1.jpg,fauna\nsingle,other.jpg,fauna\ng,g_m7.jpg,fauna\n";
    assert_eq!(import(csv), (done(2, 0, &["g_m7.jpg"]), vec!["fauna".into(), "flora".into(), "fauna".into()]));
    assert_eq!(import("id,choice\ng,flora\n").0, done(1, 1, &[]));
}
