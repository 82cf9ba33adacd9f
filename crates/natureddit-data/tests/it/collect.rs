use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use natureddit_core::{Clock, ContentHash, PostId, Progress, fs};
use natureddit_data::gap::{Gap, GapReason, Ledger};
use natureddit_data::{AuthorMode, CollectConfig, CollectError, Dataset, PhotoKey, Window, collect};
use serde_json::json;

use crate::pictures::{png, png_bomb, png_of_bytes};
use crate::reddit::{Answer, Reddit, Running, SINCE, config, files, run};

/// How a post as a whole is known among the dropped.
fn whole(id: &str) -> (PostId, String) {
    (id.parse().unwrap(), String::new())
}

#[tokio::test]
async fn posts_become_rows_and_photos() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(30)).await;
    let config = config(folder.path());
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_seen, report.posts_new, report.photos_stored), (30, 30, 30));
    assert!(report.dropped.is_empty() && report.gaps.is_empty(), "{report:?}");

    let dataset = Dataset::read(folder.path()).unwrap();
    let row = dataset.rows()[0];
    assert_eq!((row.post.id.as_str(), row.post.title.as_str()), ("p000", "Photo & title of p000"));
    assert_eq!(row.post.full_link, "https://www.reddit.com/r/flowers/comments/p000/");
    assert_eq!((row.img_name.as_str(), row.width, row.height), ("p000_0.png", 24, 24));
    assert_eq!(fs::read(&Dataset::image_path(folder.path(), row)).unwrap(), png(24, 0));
    let record = dataset.record.as_ref().unwrap();
    assert_eq!((record.posts, record.source.as_str()), (30, "pushshift"));
    assert_eq!(record.windows["flowers"], [config.window]);
}

#[tokio::test]
async fn collecting_again_changes_no_byte_and_fetches_no_photo() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::with_photos(25);
    reddit.post("flowers", "video", 3, "https://v.redd.it/abc");
    let server = run(reddit).await;
    let config = config(folder.path());
    server.collect(&config).await.unwrap();
    let first = files(folder.path());
    let fetched = server.reddit.photo_requests.load(Ordering::SeqCst);

    let later = Clock::fixed(1_800_000_000);
    let report = collect(&config, &server.client, &later, &Progress::silent()).await.unwrap();
    assert_eq!((report.posts_new, report.photos_present, report.photos_stored), (0, 25, 0));
    assert_eq!(files(folder.path()), first);
    assert_eq!(server.reddit.photo_requests.load(Ordering::SeqCst), fetched);
}

#[tokio::test]
async fn authors_that_are_there_follow_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(5)).await;
    let mut config = config(folder.path());
    server.collect(&config).await.unwrap();
    let authors = || -> Vec<String> {
        Dataset::read(folder.path()).unwrap().posts.into_values().map(|row| row.post.author).collect()
    };
    let names = authors();
    assert_eq!(names[0], "author_p000");
    let mut hashes = Vec::new();
    for (mode, changed) in [(AuthorMode::Hash, 5), (AuthorMode::Hash, 0), (AuthorMode::Drop, 5), (AuthorMode::Keep, 0)]
    {
        config.author = mode;
        let report = server.collect(&config).await.unwrap();
        assert_eq!((report.authors_changed, report.posts_new), (changed, 0), "{mode:?}");
        match mode {
            AuthorMode::Hash => hashes = authors(),
            _ => assert_eq!(authors(), [""; 5], "what is gone does not come back"),
        }
    }
    assert!(hashes.iter().all(|hash| hash.len() == 16), "{hashes:?}");
    // And they are those that a dataset has which was hashed from the beginning.
    let anew = tempfile::tempdir().unwrap();
    let config = CollectConfig { author: AuthorMode::Hash, ..crate::reddit::config(anew.path()) };
    server.collect(&config).await.unwrap();
    let rows = Dataset::read(anew.path()).unwrap().posts.into_values();
    assert_eq!(rows.map(|row| row.post.author).collect::<Vec<_>>(), hashes);
}

#[tokio::test]
async fn a_subreddit_of_which_nobody_has_a_post_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(5)).await;
    let mut config = config(folder.path());
    config.subreddits.push("flowrs".into());
    assert_eq!(server.collect(&config).await.unwrap().subreddits_unknown, ["flowrs"]);
    // A day without posts says nothing of a subreddit that had some.
    config.window = Window::new(SINCE + 86_400, SINCE + 2 * 86_400).unwrap();
    assert_eq!(server.collect(&config).await.unwrap().subreddits_unknown, ["flowrs"]);
}

#[tokio::test]
async fn ties_at_the_edge_of_pages_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::new();
    for number in 0..230 {
        // 120 posts of one second lie across the edges of every page.
        let second = if (55..175).contains(&number) { 55 } else { number };
        reddit.post("flowers", &format!("p{number}"), second, "https://v.redd.it/x");
    }
    reddit.size_max = 100;
    let server = run(reddit).await;
    let config = config(folder.path());
    let report = server.collect(&config).await.unwrap();
    assert_eq!(report.gaps.len(), 1);
    let second = Window::new(SINCE + 55, SINCE + 56).unwrap();
    assert_eq!((report.gaps[0].subreddit.as_str(), report.gaps[0].window), ("flowers", second));
    let json = serde_json::to_value(&report.gaps[0]).unwrap();
    assert_eq!(json["since"], "2022-05-01T00:00:55Z");
    let windows = &Dataset::read(folder.path()).unwrap().record.unwrap().windows;
    let (since, until) = (config.window.since(), config.window.until());
    let around = [Window::new(since, SINCE + 55).unwrap(), Window::new(SINCE + 56, until).unwrap()];
    assert_eq!(windows["flowers"], around, "what is missing is not covered");
    assert_eq!(windows["EarthPorn"], [config.window]);
    assert_eq!(report.posts_seen, 230 - 20);
    let ids = Dataset::read(folder.path()).unwrap().dropped;
    for number in (0..55).chain(175..230) {
        assert!(ids.contains_key(&whole(&format!("p{number}"))), "p{number}");
    }
}

#[tokio::test]
async fn bad_photos_are_dropped_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::new();
    let html = format!("<!doctype html><title>gone</title>{}", "<p>removed</p>".repeat(1000));
    let truncated = png(60, 1);
    let answers = [
        ("empty", "empty", Answer::File(Vec::new())),
        ("html", "html", Answer::File(html.into_bytes())),
        ("truncated", "truncated", Answer::File(truncated[..truncated.len() / 2].to_vec())),
        ("bomb", "too_many_pixels", Answer::File(png_bomb())),
        ("small", "too_few_bytes", Answer::File(png_of_bytes(4_999))),
        ("fits", "", Answer::File(png_of_bytes(5_000))),
        ("long", "too_many_bytes", Answer::File(png_of_bytes(200_001))),
        ("text", "not_an_image", Answer::File(vec![b'x'; 9_000])),
        ("gone", "http_404", Answer::Status(404)),
        ("forbidden", "http_403", Answer::Status(403)),
        ("down", "http_503", Answer::Status(503)),
        ("nothing", "http_204", Answer::Status(204)),
    ];
    for (id, _, answer) in &answers {
        reddit.photo("flowers", id, 1, answer.clone());
    }
    reddit.post("flowers", "private", 2, "https://localhost/a.jpg");
    reddit.post("flowers", "self", 2, "https://www.reddit.com/r/flowers/comments/self/")["is_self"] = json!(true);
    reddit.post("flowers", "nsfw", 2, "https://i.redd.it/fits.jpg")["over_18"] = json!(true);
    reddit.post("flowers", "ad", 2, "https://i.redd.it/fits.jpg")["promoted"] = json!(true);
    reddit.post("flowers", "gone2", 2, "https://i.redd.it/fits.jpg")["removed_by_category"] = json!("moderator");
    let server = run(reddit).await;
    let mut config = config(folder.path());
    config.photos.bytes_min = 5_000;
    config.photos.limits.bytes_max = 200_000;
    let report = server.collect(&config).await.unwrap();

    let dataset = Dataset::read(folder.path()).unwrap();
    let reasons = answers.iter().map(|(id, reason, _)| (*id, *reason)).filter(|(_, reason)| !reason.is_empty());
    let others = [
        ("private", "address_refused"),
        ("self", "self_post"),
        ("nsfw", "over_18"),
        ("ad", "promoted"),
        ("gone2", "removed"),
    ];
    for (id, reason) in reasons.chain(others) {
        assert_eq!(dataset.dropped[&whole(id)].reason, reason, "{id}");
        assert_eq!(report.dropped[reason], 1, "{reason}");
    }
    assert_eq!(dataset.posts.len(), 1);
    assert_eq!(fs::read_dir(&Dataset::images_dir(folder.path())).unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_fails_now_and_then_gives_the_same_dataset() {
    let (clean, flaky) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(Reddit::with_photos(20)).await.collect(&config(clean.path())).await.unwrap();
    let server = run(Reddit::with_photos(20)).await;
    server.reddit.fails_first.store(true, Ordering::SeqCst);
    server.collect(&config(flaky.path())).await.unwrap();
    assert_eq!(files(flaky.path()), files(clean.path()));
}

#[tokio::test]
async fn a_server_that_goes_down_leaves_what_came_and_the_next_run_completes_it() {
    let clean = tempfile::tempdir().unwrap();
    run(Reddit::with_photos(40)).await.collect(&config(clean.path())).await.unwrap();
    let expected = files(clean.path());
    for answered in 0..48 {
        let folder = tempfile::tempdir().unwrap();
        let server = run(Reddit::with_photos(40)).await;
        server.reddit.answers_left.store(answered, Ordering::SeqCst);
        let error = server.collect(&config(folder.path())).await.unwrap_err();
        let CollectError::Source { report, .. } = &error else { panic!("{error}") };
        let kept = Dataset::read(folder.path()).unwrap();
        assert_eq!(kept.posts.len() as u64, report.posts_new);
        assert!(error.to_string().starts_with("collecting stopped early"), "{error}");

        server.reddit.answers_left.store(-1, Ordering::SeqCst);
        server.collect(&config(folder.path())).await.unwrap();
        assert_eq!(files(folder.path()), expected, "down after {answered} answers");
    }
}

/// Runs a future until `is_time` says so when it is polled, and drops it where it stands.
async fn killed_when<F: Future>(mut is_time: impl FnMut() -> bool, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| if is_time() { Poll::Ready(None) } else { future.as_mut().poll(cx).map(Some) }).await
}

/// Dropping a runtime waits for the files that are being written, so that the next run is alone as it would be in a new
/// process.
fn in_a_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(work)
}

#[test]
fn a_run_that_is_killed_anywhere_and_run_again_gives_the_same_dataset() {
    let clean = tempfile::tempdir().unwrap();
    in_a_runtime(async {
        run(Reddit::with_photos(24)).await.collect(&config(clean.path())).await.unwrap();
    });
    let expected = files(clean.path());
    for polls in (0..).step_by(2) {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let mut left = polls;
        let is_time = || {
            left -= 1;
            left < 0
        };
        let finished = in_a_runtime(async {
            let server = run(Reddit::with_photos(24)).await;
            killed_when(is_time, server.collect(&config)).await.is_some()
        });
        let posts = Dataset::read(folder.path()).unwrap().posts;
        if posts.is_empty() {
            // Photos without a row are removed, also when nothing brings them again.
            let empty = Window::new(SINCE + 80_000, SINCE + 86_400).unwrap();
            in_a_runtime(async {
                let config = CollectConfig { window: empty, ..config.clone() };
                run(Reddit::with_photos(24)).await.collect(&config).await.unwrap();
            });
            let rows = Dataset::read(folder.path()).unwrap().posts;
            let images = Dataset::images_dir(folder.path());
            let photos = fs::optional(fs::read_dir(&images)).unwrap().unwrap_or_default();
            assert_eq!(photos.len(), rows.len(), "killed after {polls} polls");
            assert!(rows.values().all(|row| images.join(&row.img_name).is_file()));
        }
        fs::write_atomic(&folder.path().join(".posts.csv.1-2.partial"), "torn").unwrap();
        fs::write_atomic(&folder.path().join("images/.p000_0.png.1-3.partial"), "torn").unwrap();
        in_a_runtime(async {
            run(Reddit::with_photos(24)).await.collect(&config).await.unwrap();
        });
        assert_eq!(files(folder.path()), expected, "killed after {polls} polls");
        if finished {
            assert!(polls > 20, "killed in too few places: {polls}");
            return;
        }
    }
}

#[test]
fn rows_are_written_at_intervals_and_noted_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.subreddits = vec!["flowers".into()];
    let killed_after = |photos: usize, config: &CollectConfig| {
        in_a_runtime(async {
            let server = run(Reddit::with_photos(700)).await;
            let is_time = || server.reddit.photo_requests.load(Ordering::SeqCst) > photos;
            assert!(killed_when(is_time, server.collect(config)).await.is_none());
        });
        Dataset::read(folder.path()).unwrap().posts.len()
    };
    let kept = killed_after(320, &config);
    assert!((200..=300).contains(&kept), "{kept}");
    assert!(folder.path().join(".collect.jsonl").is_file());
    // A killed run costs only the photos that were under way.
    in_a_runtime(async {
        let server = run(Reddit::with_photos(700)).await;
        let report = server.collect(&config).await.unwrap();
        assert_eq!(report.photos_stored + report.photos_present, 350);
        assert!(report.photos_present > 310, "{report:?}");
    });
    assert!(!folder.path().join(".collect.jsonl").exists());
    let mine = Dataset::images_dir(folder.path()).join("mine_0.jpg");
    fs::write_atomic(&mine, "a file of the user's").unwrap();
    in_a_runtime(async { run(Reddit::with_photos(700)).await.collect(&config).await.unwrap() });
    assert!(mine.exists());
}

#[tokio::test]
async fn rows_that_are_there_win_and_other_windows_are_added() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::new();
    reddit.photo("flowers", "early", 10, Answer::File(png(24, 1)));
    reddit.photo("flowers", "late", 200, Answer::File(png(24, 2)));
    let server = run(reddit).await;
    let mut config = config(folder.path());
    config.window = Window::new(SINCE, SINCE + 100).unwrap();
    server.collect(&config).await.unwrap();

    let path = folder.path().join("posts.csv");
    let edited = fs::read_to_string(&path).unwrap().replace("Photo & title", "My title");
    fs::write_atomic(&path, &edited).unwrap();
    config.window = Window::new(SINCE, SINCE + 300).unwrap();
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_new, report.photos_present), (1, 1));
    let dataset = Dataset::read(folder.path()).unwrap();
    let titles: Vec<_> = dataset.rows().iter().map(|row| row.post.title.clone()).collect();
    assert_eq!(titles, ["My title of early", "Photo & title of late"]);
    assert_eq!(dataset.record.unwrap().windows["flowers"], [config.window]);
}

#[tokio::test]
async fn a_photo_that_is_gone_or_changed_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(3)).await;
    let config = config(folder.path());
    server.collect(&config).await.unwrap();
    let expected = files(folder.path());
    let image = |name: &str| Dataset::images_dir(folder.path()).join(name);
    fs::remove_file(&image("p000_0.png")).unwrap();
    fs::write_atomic(&image("p001_0.png"), "scribbled over").unwrap();
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.photos_stored, report.photos_present, report.posts_new), (2, 1, 0));
    assert_eq!(files(folder.path()), expected);
}

#[tokio::test]
async fn a_photo_that_cannot_be_had_again_costs_no_row_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(4)).await;
    let config = config(folder.path());
    server.collect(&config).await.unwrap();
    let before = Dataset::read(folder.path()).unwrap();
    let image = |name: &str| Dataset::images_dir(folder.path()).join(name);
    fs::remove_file(&image("p000_0.png")).unwrap();
    fs::write_atomic(&image("p001_0.png"), "scribbled over by hand").unwrap();
    fs::write_atomic(&image("p002_0.png"), png(12, 99)).unwrap();
    let mut gone = Reddit::with_photos(4);
    gone.photos.clear();
    let report = run(gone).await.collect(&config).await.unwrap();
    assert_eq!((report.photos_missing, report.photos_changed, report.photos_present), (2, 1, 1));
    assert_eq!((report.photos_may_come, report.posts_new, report.dropped.len()), (0, 0, 0));

    let after = Dataset::read(folder.path()).unwrap();
    assert!(after.posts.keys().eq(before.posts.keys()) && after.dropped.is_empty());
    let id = |id: &str| PhotoKey { id: id.parse().unwrap(), img_name: format!("{id}_0.png") };
    assert_eq!(after.posts[&id("p000")], before.posts[&id("p000")]);
    assert_eq!(fs::read_to_string(&image("p001_0.png")).unwrap(), "scribbled over by hand");
    let changed = &after.posts[&id("p002")];
    assert_eq!((changed.width, changed.height), (12, 12));
    assert_eq!(changed.sha256, ContentHash::of(&png(12, 99)), "the row describes the file that is there");
    assert_eq!(changed.post, before.posts[&id("p002")].post);

    assert_eq!(server.collect(&config).await.unwrap().photos_stored, 2);
}

#[tokio::test]
async fn photo_hosts_that_are_down_fail_the_run_and_cost_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(5)).await;
    let config = config(folder.path());
    server.collect(&config).await.unwrap();
    let posts = fs::read_to_string(&folder.path().join("posts.csv")).unwrap();
    fs::remove_dir_all(&Dataset::images_dir(folder.path())).unwrap();
    let mut down = Reddit::with_photos(6);
    down.photos.values_mut().for_each(|answer| *answer = Answer::Status(503));
    let error = run(down).await.collect(&config).await.unwrap_err();
    assert_eq!(error.to_string(), "every one of 6 photos failed, most of them with http_503");
    let CollectError::EveryPhotoFailed { report, .. } = error else { panic!("{error}") };
    assert_eq!((report.photos_missing, report.dropped["http_503"], report.photos_may_come), (5, 1, 6));
    assert_eq!(fs::read_to_string(&folder.path().join("posts.csv")).unwrap(), posts);
    let report = run(Reddit::with_photos(6)).await.collect(&config).await.unwrap();
    assert_eq!((report.photos_stored, report.posts_new), (6, 1));
    assert!(Dataset::read(folder.path()).unwrap().dropped.is_empty());
}

#[tokio::test]
async fn a_folder_takes_one_collection_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(3)).await;
    let config = config(folder.path());
    let lock = fs::try_lock(&folder.path().join(".lock")).unwrap().unwrap();
    let partial = folder.path().join(".posts.csv.1-2.partial");
    fs::write_atomic(&partial, "being written by the other").unwrap();
    let error = server.collect(&config).await.unwrap_err();
    assert!(matches!(&error, CollectError::Locked { .. }), "{error}");
    assert!(partial.exists());
    drop(lock);
    assert_eq!(server.collect(&config).await.unwrap().posts_new, 3);
}

#[tokio::test]
async fn what_lies_in_the_future_or_was_just_posted_is_not_covered() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(3)).await;
    let config = config(folder.path());
    let windows = async |now: i64| {
        collect(&config, &server.client, &Clock::fixed(now), &Progress::silent()).await.unwrap();
        Dataset::read(folder.path()).unwrap().record.unwrap().windows["flowers"].clone()
    };
    assert_eq!(windows(SINCE - 5).await, []);
    // New posts take a while to be shown: the last quarter of an hour is left to the next run.
    assert_eq!(windows(SINCE + 3_600).await, [Window::new(SINCE, SINCE + 2_700).unwrap()]);
    let open = || Ledger::read(folder.path()).unwrap().open_gaps().into_iter().map(|open| open.gap).collect::<Vec<_>>();
    let fresh = Gap { window: Window::new(SINCE + 2_700, SINCE + 3_600).unwrap(), reason: GapReason::Fresh };
    assert_eq!(open(), [fresh; 2], "of each subreddit");
    assert_eq!(windows(SINCE + 200_000).await, [config.window]);
    assert_eq!(open(), []);
}

#[tokio::test]
async fn an_unreadable_record_is_counted_once_and_a_readable_id_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = Reddit::with_photos(4);
    *reddit.post("flowers", "odd", 90, "https://i.redd.it/odd.jpg") = json!({
        "id": "odd", "created_utc": SINCE + 90, "subreddit": "flowers", "title": ["a", "list"]});
    *reddit.post("flowers", "bad", 90, "https://i.redd.it/bad.jpg") =
        json!({"created_utc": SINCE + 90, "subreddit": "flowers"});
    let report = run(reddit).await.collect(&config(folder.path())).await.unwrap();
    assert_eq!((report.records_unreadable, report.dropped["unreadable"], report.posts_new), (1, 1, 4));
    assert_eq!(Dataset::read(folder.path()).unwrap().dropped[&whole("odd")].reason, "unreadable");
}

#[tokio::test]
async fn an_answer_that_is_no_list_stops_the_run_and_writes_nothing_new() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let server = run(Reddit::with_photos(2)).await;
    server.collect(&config).await.unwrap();
    let before = files(folder.path());
    // Another path of the same server: a photo where a page should be.
    let natureddit_data::SourceConfig::Pushshift { base_url, .. } = &mut config.source else { panic!() };
    *base_url = "https://i.redd.it".parse().unwrap();
    let mut broken = Reddit::new();
    let page = "/media/i.redd.it/reddit/search/submission/".to_owned();
    broken.photos.insert(page, Answer::File(b"<html>blocked by network security</html>".to_vec()));
    let error = run(broken).await.collect(&config).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let expected =
        format!("the answer for r/flowers after {} is no list of posts: it is a web page", "2022-04-30T23:59:59Z");
    assert_eq!(cause, expected);
    assert_eq!(files(folder.path()), before);
}

#[tokio::test]
async fn progress_counts_every_post_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(9)).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let progress = Progress::new(move |event| log.lock().unwrap().push(format!("{event:?}")));
    collect(&config(folder.path()), &server.client, &Clock::fixed(1), &progress).await.unwrap();
    let events = events.lock().unwrap();
    assert_eq!(events.iter().filter(|event| *event == "Advance(1)").count(), 9);
    assert!(events[0].contains("collecting r/flowers"), "{}", events[0]);
    assert_eq!(events.last().unwrap(), "Finish");
}

#[tokio::test]
async fn a_step_that_failed_is_not_told_as_done() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(9)).await;
    server.reddit.answers_left.store(3, Ordering::SeqCst);
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let progress = Progress::new(move |event| log.lock().unwrap().push(format!("{event:?}")));
    collect(&config(folder.path()), &server.client, &Clock::fixed(1), &progress).await.unwrap_err();
    assert!(!events.lock().unwrap().contains(&"Finish".to_owned()));
}

#[test]
fn a_collection_can_run_in_a_task_that_moves_between_threads() {
    fn needs_send<T: Send>(_: impl FnOnce(Running) -> T) {}
    needs_send(|running| async move { running.collect(&config(Path::new("."))).await });
}
