//! What is collected from the simulated Reddit, against what the simulator says a correct client makes of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use natureddit_core::{ClassNames, Clock, PostId, Progress, Secret, fs};
use natureddit_data::gap::GapReason;
use natureddit_data::source::RedditOauthConfig;
use natureddit_data::{
    AuthorMode, CollectConfig, CollectError, CollectReport, Dataset, GalleryMode, PhotoConfig, Shrink, SourceConfig,
    Window, collect,
};
use natureddit_image::ImageLimits;
use natureddit_net::{Client, ClientConfig, HostMap, RetryPolicy};
use natureddit_sandbox::{
    AfterMode, CLIENT_ID, CLIENT_SECRET, DropReason, Fault, FaultAction, Outcome, SUBREDDITS, Sandbox, SandboxConfig,
};
use serde_json::Value;
use url::Url;

/// Enough for every reason to drop a post.
const POSTS: usize = 90;

pub(crate) async fn sandbox(after: AfterMode, faults: Vec<Fault>) -> Sandbox {
    let classes = ["fauna", "flora", "landscape"].map(str::to_owned).to_vec();
    let config = SandboxConfig { after, faults, ..SandboxConfig::new(11, POSTS, ClassNames::new(classes).unwrap()) };
    Sandbox::start(config).await.unwrap()
}

pub(crate) fn client(sandbox: &Sandbox) -> Client {
    let wait = Duration::from_millis(1);
    Client::new(client_config(sandbox, RetryPolicy { retries_max: 2, backoff: wait, backoff_max: wait })).unwrap()
}

pub(crate) fn client_config(sandbox: &Sandbox, retry: RetryPolicy) -> ClientConfig {
    let hosts = sandbox.host_map().into_iter().map(|(host, target)| (host, Url::parse(&target).unwrap()));
    ClientConfig {
        user_agent: "natureddit-test/1.0".into(),
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(30),
        total_timeout: Duration::from_secs(60),
        retry,
        redirects_max: 3,
        requests_per_host_max: 4,
        host_map: HostMap::new(hosts),
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

async fn collect_into(dir: &Path, sandbox: &Sandbox) -> Result<CollectReport, CollectError> {
    collect_from(dir, sandbox, pushshift()).await
}

pub(crate) fn pushshift() -> SourceConfig {
    SourceConfig::Pushshift { base_url: url("https://api.pullpush.io"), page_bytes_max: 16_000_000 }
}

pub(crate) fn arctic_shift() -> SourceConfig {
    let base_url = url("https://arctic-shift.photon-reddit.com");
    SourceConfig::ArcticShift { base_url, page_bytes_max: 16_000_000 }
}

pub(crate) fn reddit_oauth() -> SourceConfig {
    reddit_app(CLIENT_SECRET)
}

fn reddit_app(secret: &str) -> SourceConfig {
    SourceConfig::RedditOauth(RedditOauthConfig {
        token_base_url: url("https://www.reddit.com"),
        base_url: url("https://oauth.reddit.com"),
        client_id: CLIENT_ID.into(),
        client_secret: Secret::new(secret.into()),
        page_bytes_max: 16_000_000,
    })
}

async fn collect_from(dir: &Path, sandbox: &Sandbox, source: SourceConfig) -> Result<CollectReport, CollectError> {
    let config = config(dir, sandbox, source);
    collect(&config, &client(sandbox), &Clock::fixed(1_700_000_000), &Progress::silent()).await
}

/// Everything that the simulator has, in pages of a few posts.
pub(crate) fn config(dir: &Path, sandbox: &Sandbox, source: SourceConfig) -> CollectConfig {
    let window = sandbox.window();
    CollectConfig {
        source,
        subreddits: SUBREDDITS.map(str::to_owned).to_vec(),
        window: Window::new(window.since, window.until).unwrap(),
        page_size: 7,
        include_over_18: false,
        hydrate: None,
        author: AuthorMode::Keep,
        gallery: GalleryMode::First,
        photos: PhotoConfig {
            bytes_min: 5_000,
            limits: ImageLimits { bytes_max: 50_000_000, pixels_max: 100_000_000 },
            shrink: Some(Shrink { long_side_max: 1980, jpeg_quality: 90 }),
            in_flight_max: 12,
        },
        placeholders: Vec::new(),
        data_dir: dir.to_owned(),
        base_dir: None,
    }
}

/// How the collector calls what the simulator planted.
pub(crate) fn code(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Video => "video",
        DropReason::SelfPost => "self_post",
        DropReason::Link => "not_a_photo",
        DropReason::Over18 => "over_18",
        DropReason::Removed | DropReason::Deleted => "removed",
        DropReason::NotFound => "http_404",
        DropReason::Html => "html",
        DropReason::Truncated => "truncated",
        DropReason::TooSmall => "too_few_bytes",
        DropReason::Placeholder => "placeholder",
        DropReason::Empty => "empty",
        DropReason::TooManyPixels => "too_many_pixels",
        DropReason::Animated => "animated",
        DropReason::Album => "album",
        DropReason::Promoted => "promoted",
        DropReason::Quarantined => "quarantined",
        DropReason::GalleryEmpty => "gallery_empty",
    }
}

pub(crate) fn check_rows_and_reasons(dir: &Path, sandbox: &Sandbox) {
    let dataset = Dataset::read(dir).unwrap();
    let (mut rows, mut dropped) = (BTreeMap::new(), BTreeMap::new());
    for post in &sandbox.truth().posts {
        match post.outcome {
            Outcome::Row { .. } => _ = rows.insert(post.id.clone(), (post.created_utc, post.title.clone())),
            Outcome::Drop { reason } => _ = dropped.insert(post.id.clone(), code(reason).to_owned()),
        }
    }
    let found = dataset.posts.values().map(|row| (row.post.id.clone(), (row.post.created_utc, row.post.title.clone())));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), rows);
    let found = dataset.dropped.values().map(|post| (post.id.clone(), post.reason.clone()));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), dropped);
    assert!(DropReason::ALL.iter().all(|reason| sandbox.truth().drops.contains_key(reason)), "all are planted");
}

/// The photo of a gallery is the first that its author put there and Reddit could process, to the byte.
async fn check_galleries(dir: &Path, sandbox: &Sandbox) {
    let (client, dataset) = (client(sandbox), Dataset::read(dir).unwrap());
    let ids: Vec<_> = dataset.posts.keys().map(|key| key.id.as_str()).collect();
    let url = format!("https://api.pullpush.io/reddit/search/submission/?size=100&ids={}", ids.join(","));
    let answer = client.get(&url).accept("application/json").bytes_max(16_000_000).send().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let galleries: Vec<_> = answer["data"].as_array().unwrap().iter().filter(|p| p["is_gallery"] == true).collect();
    assert!(!galleries.is_empty());
    for post in galleries {
        let items = post["gallery_data"]["items"].as_array().unwrap();
        let media = items.iter().map(|item| &post["media_metadata"][item["media_id"].as_str().unwrap()]);
        let first = media.into_iter().find(|media| media["status"] == "valid").unwrap();
        let address = first["s"]["u"].as_str().unwrap().replace("&amp;", "&");
        let expected = client.get(&address).accept("image/jpeg").bytes_max(50_000_000).send().await.unwrap();
        let id: PostId = post["id"].as_str().unwrap().parse().unwrap();
        let row = dataset.photos_of(&id).next().unwrap();
        assert!(expected.body == fs::read(&Dataset::image_path(dir, row)).unwrap(), "{}", row.post.id);
    }
}

pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
    fs::walk(dir).unwrap().iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

pub(crate) fn in_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

#[test]
fn the_dataset_is_what_the_simulator_says_it_must_be_whatever_after_includes() {
    let mut datasets = Vec::new();
    for after in [AfterMode::Exclusive, AfterMode::Inclusive] {
        let folder = tempfile::tempdir().unwrap();
        in_a_runtime(async {
            let sandbox = sandbox(after, Vec::new()).await;
            let report = collect_into(folder.path(), &sandbox).await.unwrap();
            assert_eq!((report.posts_seen, report.gaps.len()), (POSTS as u64, 0));
            check_rows_and_reasons(folder.path(), &sandbox);
            check_galleries(folder.path(), &sandbox).await;
        });
        datasets.push(files(folder.path()));
    }
    assert!(datasets[0] == datasets[1]);
}

#[test]
fn posts_of_every_kind_become_what_the_simulator_says() {
    let classes = ["fauna", "flora", "landscape"].map(str::to_owned).to_vec();
    let config = SandboxConfig { varied: true, ..SandboxConfig::new(13, 150, ClassNames::new(classes).unwrap()) };
    let folder = tempfile::tempdir().unwrap();
    in_a_runtime(async {
        let sandbox = Sandbox::start(config).await.unwrap();
        assert!(DropReason::VARIED.iter().all(|reason| sandbox.truth().drops.contains_key(reason)));
        collect_into(folder.path(), &sandbox).await.unwrap();
        check_rows_and_reasons(folder.path(), &sandbox);
    });
}

#[test]
fn every_source_gives_the_rows_that_the_simulator_says() {
    let rows = |dir: &Path| {
        let rows = Dataset::read(dir).unwrap().posts.into_values();
        rows.map(|row| natureddit_data::PostRow { source: String::new(), ..row }).collect::<Vec<_>>()
    };
    in_a_runtime(async {
        let sandbox = sandbox(AfterMode::Exclusive, Vec::new()).await;
        let searched = tempfile::tempdir().unwrap();
        collect_into(searched.path(), &sandbox).await.unwrap();
        let archived = tempfile::tempdir().unwrap();
        let report = collect_from(archived.path(), &sandbox, arctic_shift()).await.unwrap();
        assert_eq!((report.posts_seen, report.gaps.len()), (POSTS as u64, 0), "the archive counts what it gave");
        check_rows_and_reasons(archived.path(), &sandbox);
        // What was removed is in no listing.
        let listed = tempfile::tempdir().unwrap();
        let report = collect_from(listed.path(), &sandbox, reddit_oauth()).await.unwrap();
        assert_eq!(report.gaps.len(), 0);
        assert_eq!(rows(archived.path()), rows(searched.path()));
        assert_eq!(rows(listed.path()), rows(searched.path()));
    });
}

#[test]
fn an_installed_app_collects_without_a_secret() {
    in_a_runtime(async {
        let sandbox = sandbox(AfterMode::Exclusive, Vec::new()).await;
        let (with_secret, installed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        collect_from(with_secret.path(), &sandbox, reddit_app(CLIENT_SECRET)).await.unwrap();
        collect_from(installed.path(), &sandbox, reddit_app("")).await.unwrap();
        let table = |folder: &tempfile::TempDir| fs::read(&folder.path().join("posts.csv")).unwrap();
        assert!(table(&installed) == table(&with_secret));
        let error = collect_from(installed.path(), &sandbox, reddit_app("wrong")).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "Reddit gives no token: it answers with status 401");
    });
}

/// How often each host of photos was asked, by its name, when the originals answer with a status.
fn photo_requests(status: u16) -> BTreeMap<String, u64> {
    let mut requests = BTreeMap::new();
    in_a_runtime(async {
        let action = FaultAction::Status { code: status, retry_after: None };
        let fault = Fault { host: "i.redd.it".into(), ..Fault::new("", 1, 1_000, action) };
        let sandbox = sandbox(AfterMode::Exclusive, vec![fault]).await;
        let folder = tempfile::tempdir().unwrap();
        // Where every photo is refused the collection fails, which is not what is asked here.
        let _ = collect_into(folder.path(), &sandbox).await;
        for entry in sandbox.log() {
            if let Some(host) = entry.path.strip_prefix("/media/").and_then(|path| path.split('/').next()) {
                *requests.entry(host.to_owned()).or_default() += 1;
            }
        }
    });
    requests
}

#[test]
fn who_is_refused_a_photo_takes_no_other_route_to_it() {
    let (gone, refused) = (photo_requests(404), photo_requests(403));
    assert!(gone["preview.redd.it"] > 0, "{gone:?}");
    assert!(!refused.contains_key("preview.redd.it"), "{refused:?}");
    assert_eq!(refused["i.redd.it"], gone["i.redd.it"], "and asks no second time");
}

/// Twice with what is no photo, as a host that is not well for a moment, or always.
#[test]
fn a_photo_that_comes_spoilt_is_fetched_three_times() {
    let clean = tempfile::tempdir().unwrap();
    in_a_runtime(async {
        collect_into(clean.path(), &sandbox(AfterMode::Exclusive, Vec::new()).await).await.unwrap();
    });
    let rows = Dataset::read(clean.path()).unwrap().posts.into_values();
    let row = rows.into_iter().find(|row| row.post.url.starts_with("https://i.redd.it/")).unwrap();
    let photo = row.post.url.replace("https://", "/media/");
    for (action, reason) in
        [(FaultAction::Empty, "empty"), (FaultAction::Html, "html"), (FaultAction::MalformedJson, "truncated")]
    {
        for times in [2, 1_000] {
            let folder = tempfile::tempdir().unwrap();
            in_a_runtime(async {
                let sandbox = sandbox(AfterMode::Exclusive, vec![Fault::new(&photo, 1, times, action.clone())]).await;
                collect_into(folder.path(), &sandbox).await.unwrap();
                let asked = sandbox.log().iter().filter(|entry| entry.path.starts_with(&photo)).count();
                assert_eq!(asked, 3, "{action:?} {times} times");
            });
            let key = (row.post.id.clone(), String::new());
            let dropped = Dataset::read(folder.path()).unwrap().dropped.remove(&key).map(|post| post.reason);
            assert_eq!(dropped.as_deref(), (times > 2).then_some(reason), "{action:?} {times} times");
            assert_eq!(files(folder.path()) == files(clean.path()), times == 2, "{action:?} {times} times");
        }
    }
}

/// A common listing leaves out what Reddit does not show, without a word.
#[test]
fn a_subreddit_that_is_not_shown_is_a_gap_also_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    in_a_runtime(async {
        let sandbox = sandbox(AfterMode::Exclusive, Vec::new()).await;
        let hidden = ["private_x", "banned_x", "no_such_sub"];
        let mut config = config(folder.path(), &sandbox, reddit_oauth());
        config.subreddits = hidden.into_iter().chain(["flowers"]).map(str::to_owned).collect();
        let report = collect(&config, &client(&sandbox), &Clock::fixed(1_700_000_000), &Progress::silent()).await;
        let gaps: Vec<_> = report.unwrap().gaps.into_iter().map(|gap| (gap.subreddit, gap.reason)).collect();
        assert_eq!(gaps, hidden.map(|name| (name.to_owned(), GapReason::Refused)));
    });
    let covered = Dataset::read(folder.path()).unwrap().record.unwrap().windows;
    let covered: Vec<_> =
        covered.into_iter().filter(|(_, windows)| !windows.is_empty()).map(|(name, _)| name).collect();
    assert_eq!(covered, ["flowers"]);
}

#[test]
fn no_fault_of_the_other_sources_changes_the_dataset() {
    for (source, path) in [(arctic_shift as fn() -> SourceConfig, "/arctic/api/posts/search"), (reddit_oauth, "/new")] {
        let clean = tempfile::tempdir().unwrap();
        in_a_runtime(async {
            collect_from(clean.path(), &sandbox(AfterMode::Exclusive, Vec::new()).await, source()).await.unwrap();
        });
        let status = |code| FaultAction::Status { code, retry_after: None };
        for action in [status(503), status(401), FaultAction::Reset, FaultAction::Truncated, FaultAction::Empty] {
            let folder = tempfile::tempdir().unwrap();
            in_a_runtime(async {
                let faults = vec![Fault::new(path, 2, 2, action.clone())];
                let sandbox = sandbox(AfterMode::Exclusive, faults).await;
                let mut ends = Vec::new();
                while ends.len() < 4 && ends.last().is_none_or(Result::is_err) {
                    ends.push(collect_from(folder.path(), &sandbox, source()).await);
                }
                assert!(ends.last().unwrap().is_ok(), "{path} {action:?}: {ends:?}");
            });
            assert!(files(folder.path()) == files(clean.path()), "{path} {action:?}");
        }
    }
}

#[test]
fn no_fault_changes_the_dataset() {
    let clean = tempfile::tempdir().unwrap();
    in_a_runtime(async {
        collect_into(clean.path(), &sandbox(AfterMode::Exclusive, Vec::new()).await).await.unwrap();
    });
    let actions = [
        FaultAction::Status { code: 503, retry_after: None },
        FaultAction::Status { code: 429, retry_after: Some(1) },
        FaultAction::Reset,
        FaultAction::Truncated,
        FaultAction::Empty,
    ];
    for action in actions {
        let fault = |path: &str, nth| Fault::new(path, nth, 2, action.clone());
        let folder = tempfile::tempdir().unwrap();
        in_a_runtime(async {
            let faults = vec![fault("/pullpush/", 3), fault("/media/", 5), fault("/media/", 30)];
            let sandbox = sandbox(AfterMode::Exclusive, faults).await;
            // A fault that no repetition mends stops a run or costs a photo; the next run goes on from there.
            let ends = [
                collect_into(folder.path(), &sandbox).await,
                collect_into(folder.path(), &sandbox).await,
                collect_into(folder.path(), &sandbox).await,
                collect_into(folder.path(), &sandbox).await,
            ];
            assert!(ends[3].is_ok(), "{action:?}: {:?}", ends[3]);
            let is_lost = ends[0].as_ref().is_err_and(|error| !matches!(error, CollectError::Source { .. }));
            assert!(!is_lost, "{action:?}: {:?}", ends[0]);
            check_rows_and_reasons(folder.path(), &sandbox);
        });
        assert!(files(folder.path()) == files(clean.path()), "{action:?}");
    }
}
