//! Which photo a post has, and what a host gives in its place.

use natureddit_core::fs;
use natureddit_data::{Dataset, GalleryMode};
use natureddit_image::{ImageLimits, inspect};
use natureddit_sandbox::{Fault, FaultAction, SandboxConfig, Script};
use serde_json::Value;

use super::{Trial, drawn, small_photos, trial_of_small, varied};
use crate::truth::{arctic_shift, check_rows_and_reasons, client, pushshift, reddit_oauth};

fn galleries(posts: &[Value]) -> Vec<&Value> {
    posts.iter().filter(|post| post["is_gallery"] == true && post["removed_by_category"].is_null()).collect()
}

/// The pictures of a gallery that can be had, in its author's order.
fn pictures(gallery: &Value) -> Vec<String> {
    let items = gallery["gallery_data"]["items"].as_array().unwrap();
    let media = |item: &&Value| &gallery["media_metadata"][item["media_id"].as_str().unwrap()];
    let good = |item: &&Value| media(item)["status"] == "valid" && media(item)["s"]["u"].is_string();
    let kept = items.iter().filter(|item| item["is_deleted"] != true).filter(good);
    kept.map(|item| item["media_id"].as_str().unwrap().to_owned()).collect()
}

/// The first of `media_metadata` is not the first of the gallery, and some pictures have no address at all.
#[tokio::test(flavor = "multi_thread")]
async fn trap_07_a_gallery_is_in_its_own_order_and_a_picture_without_an_address_stops_nothing() {
    let mut trial = Trial::new(varied(13), pushshift()).await;
    let records = trial.records().await;
    let galleries: Vec<_> = galleries(&records).into_iter().filter(|post| !pictures(post).is_empty()).collect();
    let metadata = |post: &&&Value| post["media_metadata"].as_object().unwrap().clone();
    let first_of_map = |post: &&&Value| metadata(post).keys().next().cloned();
    assert!(galleries.iter().any(|post| first_of_map(&post) != pictures(post).first().cloned()), "the trap is set");
    let without_address =
        |post: &&&Value| metadata(post).values().any(|m| m["status"] == "valid" && m["s"]["u"].is_null());
    assert!(galleries.iter().any(|post| without_address(&post)), "the trap is set");

    for (mode, count) in [(GalleryMode::First, 1), (GalleryMode::All, usize::MAX)] {
        trial.config.gallery = mode;
        trial.collect_anew(pushshift()).await.unwrap();
        let dataset = trial.dataset();
        for post in &galleries {
            let id = post["id"].as_str().unwrap();
            let mut expected: Vec<_> =
                pictures(post).iter().take(count).map(|media| format!("{id}_{media}.jpg")).collect();
            expected.sort_unstable();
            let id = id.parse().unwrap();
            let names: Vec<_> = dataset.photos_of(&id).map(|row| row.img_name.clone()).collect();
            assert_eq!(names, expected, "{mode:?}");
        }
    }
}

/// `&amp;` in a signed address is refused, as is every other change of one; undoing it twice spoils a title that speaks of
/// `&amp;`.
#[tokio::test(flavor = "multi_thread")]
async fn trap_08_entities_are_undone_once_and_a_signed_address_is_not_altered() {
    // Only the signed preview of a picture is there, and the archive gives it escaped.
    let gone = FaultAction::Status { code: 404, retry_after: None };
    let original = Fault { host: "i.redd.it".into(), ..Fault::new("", 1, 100_000, gone) };
    let of = SandboxConfig { faults: vec![original], ..drawn(11, 90) };
    let mut trial = Trial::new(of, pushshift()).await;
    trial.config.gallery = GalleryMode::All;
    let records = trial.records().await;
    let galleries = galleries(&records);
    let source = |post: &Value| post["media_metadata"][&pictures(post)[0]]["s"]["u"].as_str().unwrap().to_owned();
    let status = async |url: &str| client(&trial.sandbox).get(url).send().await.unwrap().status;
    let url = source(galleries[0]);
    assert_eq!((status(&url).await, status(&url.replace('&', "&amp;")).await), (200, 403), "the trap is set");
    assert_eq!(status(&url.replace("&format=pjpg", "")).await, 403, "the trap is set");

    let before = trial.requests("/media/preview.redd.it/").len();
    let ended = trial.collect().await;
    let asked = trial.requests("/media/preview.redd.it/").split_off(before);
    assert!(!asked.is_empty() && asked.iter().all(|entry| entry.status == 200), "{asked:?} {ended:?}");
    let photos = |post: &&Value| trial.dataset().photos_of(&post["id"].as_str().unwrap().parse().unwrap()).count();
    assert!(galleries.iter().all(|post| photos(post) == pictures(post).len()));
}

/// The other half: a title is undone once where the source escapes, and never where it does not.
#[tokio::test(flavor = "multi_thread")]
async fn trap_08_a_title_is_as_its_author_wrote_it_from_every_source() {
    let titles = ["&amp; was typed &lt;so&gt; by its author", "R&D <3 \"fox\"", "&amp;amp;"];
    let photos = small_photos(&titles);
    let of = SandboxConfig { photos: Some(photos.path().to_owned()), ..drawn(3, 1) };
    let mut trial = trial_of_small(of, pushshift()).await;
    for source in [pushshift(), arctic_shift(), reddit_oauth()] {
        trial.collect_anew(source).await.unwrap();
        let mut found: Vec<_> = trial.dataset().posts.into_values().map(|row| row.post.title).collect();
        found.sort_unstable();
        let mut expected = titles.map(str::to_owned);
        expected.sort_unstable();
        assert_eq!(found, expected, "{}", trial.config.source.name());
    }
}

/// A filter on the end of the raw address drops `.JPG`, queries and imgur's pages, and takes pages whose query ends like a
/// photo.
#[tokio::test(flavor = "multi_thread")]
async fn trap_09_a_photo_is_told_by_its_path_not_by_the_end_of_its_address() {
    let trial = Trial::new(varied(13), pushshift()).await;
    trial.collect().await.unwrap();
    check_rows_and_reasons(trial.dir(), &trial.sandbox);
    let urls: Vec<_> = trial.dataset().posts.into_values().map(|row| row.post.url).collect();
    let has = |fits: &dyn Fn(&str) -> bool| urls.iter().any(|url| fits(url));
    assert!(has(&|url| url.contains("i.imgur.com/") && url.contains(".JPG?")), "{urls:?}");
    assert!(has(&|url| url.starts_with("https://imgur.com/") && !url.ends_with(".jpg")), "{urls:?}");

    let trial = Trial::of_posts(&[
        ("query", "https://i.redd.it/zoo-mosaic.jpg?width=640&crop=smart"),
        ("fragment", "https://i.redd.it/zoo-grey.jpg#top"),
        ("page", "https://example.com/view?file=a.jpg"),
        ("paged", "https://example.com/a.jpg/comments"),
    ])
    .await;
    trial.collect().await.unwrap();
    assert_eq!((trial.row("query").width, trial.row("fragment").width), (800, 800));
    assert_eq!([trial.reason("page"), trial.reason("paged")], ["not_a_photo", "not_a_photo"]);
}

/// Whoever asks as a browser does gets WebP, or a web page under a photo's name; and a name tells nothing of its file.
#[tokio::test(flavor = "multi_thread")]
async fn trap_10_the_original_is_asked_for_and_the_content_decides_what_it_is() {
    const WISH: &str = "image/jpeg,image/png;q=0.9,*/*;q=0.1";
    let trial = Trial::new(varied(13), pushshift()).await;
    let records = trial.records().await;
    let is_kept = |post: &&Value| trial.sandbox.truth().labels().any(|(id, _)| post["id"] == id.as_str());
    let is_jpeg = |post: &&Value| {
        post["url"].as_str().is_some_and(|url| url.starts_with("https://i.redd.it/") && url.ends_with(".jpg"))
    };
    let url = records.iter().filter(is_jpeg).find(is_kept).unwrap()["url"].as_str().unwrap().to_owned();
    let start = async |accept: &'static str| {
        let answer = client(&trial.sandbox).get(&url).accept(accept).bytes_max(50_000_000).send().await.unwrap();
        answer.body[..4].to_vec()
    };
    assert_eq!(start("text/html,image/webp,*/*").await, b"<!DO", "the trap is set");
    assert_eq!(start("image/avif,image/webp,*/*").await, b"RIFF", "the trap is set");

    let before = trial.requests("/media/").len();
    trial.collect().await.unwrap();
    let asked = &trial.requests("/media/")[before..];
    assert!(asked.len() > 90 && asked.iter().all(|entry| entry.accept == WISH));
    let limits = ImageLimits { bytes_max: 50_000_000, pixels_max: 100_000_000 };
    for row in trial.dataset().posts.values() {
        let bytes = fs::read(&Dataset::image_path(trial.dir(), row)).unwrap();
        let extension = inspect(&bytes, &limits).unwrap().format.extension();
        assert!(row.img_name.ends_with(&format!(".{extension}")), "{}", row.img_name);
    }

    let trial = Trial::of_posts(&[
        ("named", "https://i.redd.it/zoo-jpeg-named.png"),
        ("page", "https://i.redd.it/zoo-page.jpg"),
    ])
    .await;
    trial.collect().await.unwrap();
    assert_eq!((trial.row("named").img_name.as_str(), trial.reason("page").as_str()), ("named_0.jpg", "html"));
}

/// The body of an error is no photo, however long; nor is the notice that a host leads to when a photo is gone.
#[tokio::test(flavor = "multi_thread")]
async fn trap_11_an_error_or_a_notice_is_no_photo() {
    let trial = Trial::of_posts(&[
        ("good", "https://i.redd.it/zoo-mosaic.jpg"),
        ("error", "https://i.redd.it/zoo-grey.jpg"),
        ("made", "https://i.redd.it/zoo-cmyk.jpg"),
        ("gone", "https://i.imgur.com/abcdefg.jpg"),
        ("page", "https://imgur.com/hijklmn"),
    ])
    .await;
    let long = |code| FaultAction::Answer {
        code,
        headers: [("content-type".to_owned(), "image/jpeg".to_owned())].into(),
        body: "x".repeat(9_000),
    };
    let faults = vec![Fault::new("zoo-grey", 1, 9, long(403)), Fault::new("zoo-cmyk", 1, 9, long(201))];
    trial.sandbox.play(Script { faults, events: vec![] });
    trial.collect().await.unwrap();
    assert_eq!(trial.row("good").width, 800);
    let reasons = ["error", "made", "gone", "page"].map(|id| trial.reason(id));
    assert_eq!(reasons, ["http_403", "http_201", "placeholder", "placeholder"]);
    assert_eq!(fs::read_dir(&Dataset::images_dir(trial.dir())).unwrap().len(), 1);
    assert!(!trial.requests("/media/i.imgur.com/removed.png").is_empty(), "the trap is set");
}
