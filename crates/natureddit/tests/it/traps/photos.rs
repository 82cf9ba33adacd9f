//! Files that break or deceive whoever decodes, turns, shrinks or encodes them.

use natureddit_data::Shrink;
use natureddit_image::{ImageLimits, Photo, decode, inspect};
use natureddit_sandbox::{Fault, FaultAction, Script, zoo};

use super::Trial;

const LIMITS: ImageLimits = ImageLimits { bytes_max: 50_000_000, pixels_max: 100_000_000 };

/// Posts of files of the zoo, each with the file's name without its extension, dots and dashes as id.
async fn of_zoo(names: &[&str]) -> Trial {
    let urls: Vec<_> = names.iter().map(|name| format!("https://i.redd.it/zoo-{name}")).collect();
    let ids: Vec<_> = names.iter().map(|name| id(name)).collect();
    let posts: Vec<_> = ids.iter().zip(&urls).map(|(id, url)| (id.as_str(), url.as_str())).collect();
    Trial::of_posts(&posts).await
}

fn id(name: &str) -> String {
    name.replace(['-', '.'], "")
}

fn original(name: &str) -> Vec<u8> {
    zoo().into_iter().find(|file| file.name == name).unwrap().bytes
}

fn shown(bytes: &[u8]) -> Photo {
    decode(bytes, &LIMITS).unwrap()
}

/// The mean difference of a value.
fn difference(one: &Photo, other: &Photo) -> f64 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let sum: f64 = one.rgb.iter().zip(&other.rgb).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / one.rgb.len() as f64
}

/// A small file may promise more pixels than any memory holds, and a body may be longer than it says, or not say.
#[tokio::test(flavor = "multi_thread")]
async fn trap_12_bombs_are_refused_by_their_header_and_long_bodies_by_their_length() {
    let mut trial = of_zoo(&["mosaic.jpg", "bomb.jpg", "bomb.png", "rgb-16.png", "rgba-16.png"]).await;
    trial.config.photos.limits.bytes_max = 100_000;
    assert!(original("rgb-16.png").len() > 200_000 && original("mosaic.jpg").len() < 100_000);
    trial.sandbox.play(Script { faults: vec![Fault::new("rgba-16", 1, 9, FaultAction::Chunked)], events: vec![] });
    trial.collect().await.unwrap();
    assert_eq!(trial.row("mosaicjpg").width, 800);
    assert_eq!(["bombjpg", "bombpng"].map(|id| trial.reason(id)), ["too_many_pixels", "too_many_pixels"]);
    assert_eq!(["rgb16png", "rgba16png"].map(|id| trial.reason(id)), ["too_many_bytes", "too_many_bytes"]);
}

/// A photo is turned by a tag that the next writer drops: it must be undone before its sides are measured.
#[tokio::test(flavor = "multi_thread")]
async fn trap_13_every_orientation_is_undone_before_the_long_side_is_measured() {
    let names: Vec<_> = (1..=8).map(|orientation| format!("exif-{orientation}.jpg")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let upright = shown(&original("exif-1.jpg"));
    for (long_side_max, size) in [(1_980, (240, 160)), (120, (120, 80))] {
        let mut trial = of_zoo(&names).await;
        trial.config.photos.shrink = Some(Shrink { long_side_max, jpeg_quality: 90 });
        trial.collect().await.unwrap();
        let expected = upright.resize(size.0, size.1);
        for (orientation, name) in (1..).zip(&names) {
            let (row, bytes) = (trial.row(&id(name)), trial.file(&id(name)));
            assert_eq!((row.width, row.height), size, "{name}");
            assert!(difference(&shown(&bytes), &expected) < 6.0, "{name}: {}", difference(&shown(&bytes), &expected));
            let tag = if long_side_max == 120 { 1 } else { orientation };
            assert_eq!(inspect(&bytes, &LIMITS).unwrap().orientation, tag, "a file that stays keeps its tag: {name}");
        }
    }
}

/// Transparent, deep, indexed and printers' colours cannot be written as they are in every format.
#[tokio::test(flavor = "multi_thread")]
async fn trap_14_no_kind_of_pixel_loses_its_post() {
    let names = [
        "rgba.png",
        "rgba-16.png",
        "rgb-16.png",
        "grey-16.png",
        "grey-1.png",
        "grey-alpha.png",
        "palette.png",
        "palette-alpha.png",
        "grey.jpg",
        "cmyk.jpg",
        "ycck.jpg",
    ];
    for long_side_max in [1_980, 120] {
        let mut trial = of_zoo(&names).await;
        trial.config.photos.shrink = Some(Shrink { long_side_max, jpeg_quality: 90 });
        trial.collect().await.unwrap();
        for name in names {
            let (row, before) = (trial.row(&id(name)), shown(&original(name)));
            assert_eq!(row.width.max(row.height), before.width.max(before.height).min(long_side_max), "{name}");
            let after = shown(&trial.file(&id(name)));
            // At half the size, in which JPEG keeps colours.
            let half = |photo: &Photo| photo.resize(after.width / 2, after.height / 2);
            let lost = difference(&half(&after), &half(&before.resize(after.width, after.height)));
            assert!(lost < 12.0, "{name}: {lost}");
        }
    }
}

/// That a picture moves is told by its frames only, whatever it is called.
#[tokio::test(flavor = "multi_thread")]
async fn trap_15_what_moves_is_dropped_with_a_reason() {
    let trial = of_zoo(&["still.webp", "animated.webp", "animated.png", "animated.gif"]).await;
    trial.collect().await.unwrap();
    assert_eq!(trial.row("stillwebp").img_name, "stillwebp_0.webp");
    let reasons = ["animatedwebp", "animatedpng", "animatedgif"].map(|id| trial.reason(id));
    assert_eq!(reasons, ["animated", "animated", "animated"]);
}

/// A square has no longer side, a strip shrinks to nothing, and every encoding loses something, the profile first.
#[tokio::test(flavor = "multi_thread")]
async fn trap_16_squares_shrink_strips_stay_and_what_fits_is_stored_as_it_came() {
    let sizes = [
        ("1000x1000.jpg", (1_000, 1_000)),
        ("1980x1200.jpg", (1_980, 1_200)),
        ("1981x1200.jpg", (1_980, 1_199)),
        ("2400x2400.jpg", (1_980, 1_980)),
        ("5000x2.jpg", (1_980, 1)),
        ("1x3000.jpg", (1, 1_980)),
        ("3000x1.jpg", (1_980, 1)),
        ("p3.jpg", (240, 160)),
        ("p3.png", (240, 160)),
    ];
    let names: Vec<_> = sizes.iter().map(|(name, _)| *name).collect();
    let mut trial = of_zoo(&names).await;
    trial.collect().await.unwrap();
    for (name, size) in sizes {
        let row = trial.row(&id(name));
        assert_eq!((row.width, row.height), size, "{name}");
        let before = shown(&original(name));
        let fits = (before.width, before.height) == size;
        assert_eq!(trial.file(&id(name)) == original(name), fits, "{name}: not a byte is changed of what fits");
    }
    // What is encoded again without its profile shows the colours that it had with it.
    trial.config.photos.shrink = Some(Shrink { long_side_max: 120, jpeg_quality: 90 });
    trial.config.data_dir = trial.dir().with_file_name("smaller");
    trial.collect().await.unwrap();
    let after = shown(&trial.file("p3jpg"));
    let from = |name: &str| difference(&after, &shown(&original(name)).resize(120, 80));
    // The same file without its profile.
    assert!(from("p3.jpg") < from("jpeg-named.png") / 2.0, "{} {}", from("p3.jpg"), from("jpeg-named.png"));
}
