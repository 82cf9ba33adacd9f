//! The drawn corpus: deterministic, varied, and with everything planted that must be.

use std::collections::BTreeMap;

use natureddit_image::{ImageLimits, decode, inspect};
use natureddit_sandbox::{DropReason, Outcome, Sandbox, SandboxConfig};
use serde_json::Value;

use crate::{Client, classes, config};

const LIMITS: ImageLimits = ImageLimits { bytes_max: 50_000_000, pixels_max: 100_000_000 };

async fn by_id(client: &Client, sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let mut posts = BTreeMap::new();
    let ids: Vec<_> = sandbox.truth().posts.iter().map(|post| post.id.to_string()).collect();
    for some in ids.chunks(100) {
        let page = client.search(&format!("size=100&ids={}", some.join(","))).await;
        posts.extend(page.into_iter().map(|post| (post["id"].as_str().unwrap().to_owned(), post)));
    }
    posts
}

fn url(post: &Value) -> String {
    post["url"].as_str().unwrap().replace("&amp;", "&")
}

#[tokio::test]
async fn one_seed_gives_one_corpus_to_the_byte() {
    let (first, second) = (Sandbox::start(config(7, 60)).await.unwrap(), Sandbox::start(config(7, 60)).await.unwrap());
    assert_eq!(first.truth(), second.truth());
    let clients = [Client::new(&first), Client::new(&second)];
    let pages = [clients[0].search("size=100").await, clients[1].search("size=100").await];
    assert_eq!(pages[0], pages[1]);
    let photos: Vec<_> = pages[0].iter().filter(|post| post["post_hint"] == "image").map(url).take(4).collect();
    for photo in photos {
        let answers = [clients[0].get(&photo).await.unwrap(), clients[1].get(&photo).await.unwrap()];
        let [a, b] = answers.map(reqwest::Response::bytes);
        assert_eq!(a.await.unwrap(), b.await.unwrap(), "{photo}");
    }
    let other = Sandbox::start(config(8, 60)).await.unwrap();
    assert_ne!(first.truth().posts, other.truth().posts);
    assert_eq!(clients[0].simulator("/_sim/truth.json").await, serde_json::to_value(first.truth()).unwrap());
}

#[tokio::test]
async fn every_reason_to_drop_is_planted_and_is_what_it_says() {
    let sandbox = Sandbox::start(config(21, 160)).await.unwrap();
    let client = Client::new(&sandbox);
    let truth = sandbox.truth();
    assert!(DropReason::ALL.iter().all(|reason| truth.drops.contains_key(reason)), "{:?}", truth.drops);
    let posts = by_id(&client, &sandbox).await;
    for (post, reason) in truth.posts.iter().filter_map(|post| match post.outcome {
        Outcome::Drop { reason } => Some((post, reason)),
        Outcome::Row { .. } => None,
    }) {
        assert_eq!(post.choice, None);
        let wire = &posts[post.id.as_str()];
        match reason {
            DropReason::Video => assert_eq!(wire["is_video"], true),
            DropReason::SelfPost => assert_eq!(wire["is_self"], true),
            DropReason::Link => assert!(url(wire).starts_with("https://www.flickr.com/photos/")),
            DropReason::Over18 => assert_eq!(wire["over_18"], true),
            DropReason::Removed => assert_eq!(wire["removed_by_category"], "moderator"),
            DropReason::Deleted => assert_eq!(wire["author"], "[deleted]"),
            DropReason::NotFound => assert_eq!(client.get(&url(wire)).await.unwrap().status(), 404),
            DropReason::TooSmall => {
                let bytes = client.bytes(&url(wire)).await;
                assert!(bytes.len() < 5_000 && inspect(&bytes, &LIMITS).is_ok());
            }
            DropReason::Empty => assert!(client.bytes(&url(wire)).await.is_empty()),
            DropReason::Html => assert!(client.bytes(&url(wire)).await.starts_with(b"<!DOCTYPE html>")),
            DropReason::Album
            | DropReason::Placeholder
            | DropReason::Promoted
            | DropReason::Quarantined
            | DropReason::GalleryEmpty => panic!("{reason:?} is planted unasked"),
            DropReason::TooManyPixels | DropReason::Truncated | DropReason::Animated => {
                let bytes = client.bytes(&url(wire)).await;
                let error = decode(&bytes, &LIMITS).unwrap_err();
                println!("{reason:?}: {} bytes, {error}", bytes.len());
                assert!(bytes.len() > 5_120, "{reason:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_kept_photo_can_be_read_and_reposts_look_the_same() {
    let sandbox = Sandbox::start(config(22, 80)).await.unwrap();
    let client = Client::new(&sandbox);
    let posts = by_id(&client, &sandbox).await;
    let (mut hashes, mut formats, mut reposts) = (BTreeMap::new(), BTreeMap::new(), 0);
    for post in &sandbox.truth().posts {
        let Outcome::Row { photos } = post.outcome else { continue };
        let wire = &posts[post.id.as_str()];
        if wire["is_gallery"] == true {
            assert_eq!(check_gallery(&client, wire).await, photos);
            continue;
        }
        let answer = client.get(&url(wire)).await.unwrap();
        let declared = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let bytes = answer.bytes().await.unwrap();
        let info = inspect(&bytes, &LIMITS).unwrap();
        assert!(bytes.len() > 5_120 && info.format.media_type() == declared, "{}", post.id);
        *formats.entry(declared).or_insert(0) += 1;
        let photo = decode(&bytes, &LIMITS).unwrap();
        let size = &wire["preview"]["images"][0]["source"];
        assert_eq!(
            (size["width"].as_u64(), size["height"].as_u64()),
            (Some(photo.width.into()), Some(photo.height.into()))
        );
        let hash = photo.perceptual_hash();
        if let Some(original) = &post.same_picture_as {
            reposts += 1;
            assert!(hash.distance(hashes[original]) <= 6, "{} and {original}", post.id);
        }
        hashes.insert(post.id.clone(), hash);
    }
    assert!(reposts > 0 && formats.len() >= 2, "{reposts} {formats:?}");
}

/// How many photos of a gallery can be had at the signed addresses and at the originals behind them.
async fn check_gallery(client: &Client, wire: &Value) -> usize {
    let mut photos = 0;
    for item in wire["gallery_data"]["items"].as_array().unwrap() {
        let media = &wire["media_metadata"][item["media_id"].as_str().unwrap()];
        if media["status"] != "valid" {
            continue;
        }
        let escaped = media["s"]["u"].as_str().unwrap();
        assert_eq!(client.get(escaped).await.unwrap().status(), 403);
        let preview = client.bytes(&escaped.replace("&amp;", "&")).await;
        let original = escaped.split('?').next().unwrap().replace("preview.", "i.");
        assert_eq!(preview, client.bytes(&original).await);
        photos += usize::from(decode(&preview, &LIMITS).is_ok());
    }
    photos
}

#[tokio::test]
async fn the_truth_counts_what_it_lists() {
    let sandbox = Sandbox::start(config(23, 300)).await.unwrap();
    let truth = sandbox.truth();
    assert_eq!(truth.posts.len(), 300);
    assert_eq!(truth.labels().count(), truth.counts.values().sum::<usize>());
    assert_eq!(truth.counts.values().sum::<usize>() + truth.drops.values().sum::<usize>(), 300);
    assert!(truth.counts.len() == 3 && truth.counts.values().all(|&count| count > 60), "{:?}", truth.counts);
    assert!(truth.posts.is_sorted_by_key(|post| (post.created_utc, post.id.clone())));
    assert!(truth.posts.is_sorted_by_key(|post| post.id.clone()), "ids rise with time");
}

#[tokio::test]
async fn a_corpus_that_cannot_be_made_is_refused() {
    let cases = [
        (SandboxConfig { posts: 0, ..config(1, 1) }, "at least one post"),
        (SandboxConfig { subreddits: Vec::new(), ..config(1, 1) }, "at least one subreddit"),
        (SandboxConfig { classes: classes(&["fauna", "cars"]), ..config(1, 1) }, "\"cars\""),
    ];
    for (config, expected) in cases {
        let error = Sandbox::start(config).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let first = Sandbox::start(config(1, 1)).await.unwrap();
    let taken = SandboxConfig { port: first.address().port(), ..config(1, 1) };
    assert!(Sandbox::start(taken).await.err().unwrap().to_string().contains("cannot listen on 127.0.0.1:"));
}
