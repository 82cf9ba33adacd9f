//! Every source gives the same dataset, and says in `gaps.jsonl` what it could not cover.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use natureddit_core::fs;
use natureddit_data::gap::{GapReason, Ledger};
use natureddit_data::{CollectConfig, Dataset, SourceConfig, Window};
use serde_json::json;

use crate::reddit::{Reddit, SINCE, config, files, run};

fn arctic_shift() -> SourceConfig {
    SourceConfig::ArcticShift { base_url: "https://arctic.example".parse().unwrap(), page_bytes_max: 1_000_000 }
}

fn dump(files: Vec<PathBuf>) -> SourceConfig {
    SourceConfig::Dump { files, line_bytes_max: 100_000 }
}

fn config_of(dir: &Path, source: SourceConfig) -> CollectConfig {
    CollectConfig { source, ..config(dir) }
}

/// `count` posts without a photo, so that only pages are asked for; `ties` a second.
fn videos(count: usize, ties: usize) -> Reddit {
    let mut reddit = Reddit::new();
    for number in 0..count {
        reddit.post("flowers", &format!("p{number:04}"), (number / ties) as i64, "https://v.redd.it/x");
    }
    reddit
}

fn open_gaps(dir: &Path) -> Vec<(String, i64, i64, GapReason)> {
    let open = Ledger::read(dir).unwrap().open_gaps().into_iter();
    let gap = |open: natureddit_data::gap::OpenGap| {
        let window = open.gap.window;
        (open.subreddit, window.since() - SINCE, window.until() - SINCE, open.gap.reason)
    };
    open.map(gap).collect()
}

fn write_dump(dir: &Path, reddit: &Reddit) -> PathBuf {
    let path = dir.join("RS_2022-05.ndjson");
    let lines: Vec<_> = reddit.posts.iter().map(ToString::to_string).collect();
    fs::write_atomic(&path, lines.join("\n")).unwrap();
    path
}

/// The table of posts without the column that names the source.
fn posts_of(dir: &Path) -> String {
    let table = fs::read_to_string(&dir.join("posts.csv")).unwrap();
    ["pushshift", "arctic_shift", "dump"].iter().fold(table, |table, name| table.replace(&format!(",{name},"), ",-,"))
}

#[tokio::test]
async fn every_source_gives_the_same_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(30)).await;
    let file = write_dump(folder.path(), &server.reddit);
    let mut tables = Vec::new();
    let sources = [config(folder.path()).source, arctic_shift(), dump(vec![file])];
    for (number, source) in sources.into_iter().enumerate() {
        let dir = folder.path().join(number.to_string());
        let mut config = config_of(&dir, source);
        // May has not ended, so that the file reaches over the window.
        config.window = Window::new(SINCE, SINCE + 86_400).unwrap();
        let report = server.collect(&config).await.unwrap();
        assert_eq!(
            (report.posts_new, report.gaps.len(), report.records_unreadable),
            (30, 0, 0),
            "{number}: {report:?}"
        );
        assert!(open_gaps(&dir).is_empty());
        let before = files(&dir);
        server.collect(&config).await.unwrap();
        assert!(files(&dir) == before, "a second run changes no byte");
        // Arctic Shift gives texts as they are.
        tables.push(posts_of(&dir).replace("&amp;", "&"));
    }
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[0], tables[2]);
}

#[tokio::test]
async fn arctic_shift_is_asked_for_less_when_it_is_too_slow() {
    for (slow_above, auto) in [(usize::MAX, 660), (usize::MAX, 100), (30, 660), (3, 660)] {
        let folder = tempfile::tempdir().unwrap();
        let mut reddit = videos(1_000, 2);
        (reddit.slow_above, reddit.auto_limit) = (slow_above, auto);
        let server = run(reddit).await;
        let mut config = config_of(folder.path(), arctic_shift());
        config.subreddits = vec!["flowers".into()];
        let report = server.collect(&config).await.unwrap();
        assert_eq!((report.posts_seen, report.gaps.len()), (1_000, 0), "{slow_above} {auto}: {report:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = videos(10, 2);
    reddit.slow_above = 0;
    let error = run(reddit).await.collect(&config_of(folder.path(), arctic_shift())).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    let cause = std::error::Error::source(cause).unwrap().to_string();
    assert!(cause.ends_with("answered with status 422"), "{cause}");
    assert_eq!(open_gaps(folder.path())[0], ("EarthPorn".into(), 0, 86_400, GapReason::Stopped));
}

#[tokio::test]
async fn what_the_source_counts_and_does_not_give_is_a_gap_until_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut reddit = videos(300, 1);
    for number in 0..5 {
        reddit.post("flowers", &format!("q{number}"), 86_400 + number, "https://v.redd.it/x");
    }
    reddit.hidden = vec!["p0007".into(), "q3".into()];
    reddit.counts = true;
    let mut config = config_of(folder.path(), arctic_shift());
    config.subreddits = vec!["flowers".into()];
    config.window = Window::new(SINCE + 5, SINCE + 86_403).unwrap();
    let server = run(reddit).await;
    let report = server.collect(&config).await.unwrap();
    assert_eq!(report.gaps.len(), 1, "the second hidden post lies beside the window");
    assert_eq!(open_gaps(folder.path()), [("flowers".into(), 5, 86_400, GapReason::FewerThanCounted)]);
    let covered = Dataset::read(folder.path()).unwrap().record.unwrap().windows;
    assert_eq!(covered["flowers"], [Window::new(SINCE + 86_400, SINCE + 86_403).unwrap()]);

    // The next run is of another day, and fills the gap all the same.
    let mut reddit = videos(300, 1);
    reddit.counts = true;
    config.window = Window::new(SINCE + 200_000, SINCE + 300_000).unwrap();
    let report = run(reddit).await.collect(&config).await.unwrap();
    assert_eq!((report.posts_seen, report.gaps.len()), (295, 0));
    assert_eq!(open_gaps(folder.path()), []);
    assert!(Dataset::read(folder.path()).unwrap().dropped.contains_key(&("p0007".parse().unwrap(), String::new())));
}

#[tokio::test]
async fn a_run_that_fails_leaves_a_gap_that_the_next_one_fills() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(12)).await;
    let mut config = config(folder.path());
    server.reddit.answers_left.store(2, Ordering::SeqCst);
    server.collect(&config).await.unwrap_err();
    let stopped = |subreddit: &str| (subreddit.to_owned(), 0, 86_400, GapReason::Stopped);
    assert_eq!(open_gaps(folder.path()), [stopped("EarthPorn"), stopped("flowers")]);
    // The day after: only that day is asked for.
    server.reddit.answers_left.store(-1, Ordering::SeqCst);
    config.window = Window::new(SINCE + 86_400, SINCE + 2 * 86_400).unwrap();
    assert_eq!(server.collect(&config).await.unwrap().posts_seen, 12);
    assert_eq!(open_gaps(folder.path()), []);
    let ledger = Ledger::read(folder.path()).unwrap();
    assert_eq!(ledger.asks().len(), 2);
    assert_eq!((ledger.asks()[0].posts, ledger.asks()[0].source.as_str()), (6, "pushshift"));
    let both = Window::new(SINCE, SINCE + 2 * 86_400).unwrap();
    assert_eq!(ledger.asks()[0].window(), Some(both));
}

#[tokio::test]
async fn a_dump_covers_what_it_reaches_and_a_second_file_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(Reddit::with_photos(8)).await;
    let data = folder.path().join("data");
    let (first, second) = (folder.path().join("a.ndjson"), folder.path().join("b.ndjson"));
    let line = |id: &str, seconds: i64| {
        json!({"id": id, "author": "x", "created_utc": SINCE + seconds, "subreddit": "flowers", "url": "https://v.redd.it/x"}).to_string()
    };
    fs::write_atomic(&first, [line("a", 0), line("b", 400), "{torn".into()].join("\n")).unwrap();
    fs::write_atomic(&second, [line("b", 400), line("c", 999)].join("\n")).unwrap();
    let mut config = config_of(&data, dump(vec![first.clone()]));
    config.subreddits = vec!["flowers".into()];
    config.window = Window::new(SINCE, SINCE + 1_000).unwrap();
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_seen, report.records_unreadable), (2, 1));
    assert_eq!(open_gaps(&data), [("flowers".into(), 401, 1_000, GapReason::OutsideDump)]);
    config.source = dump(vec![first, second]);
    let report = server.collect(&config).await.unwrap();
    assert_eq!((report.posts_seen, report.gaps.len()), (3, 0));
    assert_eq!(open_gaps(&data), []);
    assert_eq!(Dataset::read(&data).unwrap().dropped.len(), 3);
}
