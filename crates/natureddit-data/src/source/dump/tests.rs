use std::io::Write;

use natureddit_core::fs;
use serde_json::{Value, json};

use super::*;
use crate::source::SourceConfig;

const MAY: i64 = 1_651_363_200;

fn post(id: &str, subreddit: &str, created_utc: impl Into<Value>) -> String {
    let created_utc: Value = created_utc.into();
    json!({"author": "x", "created_utc": created_utc, "id": id, "subreddit": subreddit, "title": "a \u{1f339} \u{e9}"})
        .to_string()
}

/// Compressed, with the window of 2 GiB that archives name. To compress with it would take as much memory, so it is only
/// written into the frame's header.
fn zst(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(text).unwrap();
    let mut packed = encoder.finish().unwrap();
    assert_eq!(packed[4] & 0b0010_0000, 0, "the header names a window");
    packed[5] = (31 - 10) << 3;
    packed
}

fn wish(subreddit: &str, since: i64, until: i64) -> Wish {
    Wish { subreddit: subreddit.into(), windows: vec![Window::new(since, until).unwrap()] }
}

/// Everything a walk gives: ids, unreadable lines, windows; and how it ended.
async fn all(files: &[PathBuf], wishes: Vec<Wish>) -> (Vec<String>, u64, Vec<Walked>, Option<SourceError>) {
    let config = SourceConfig::Dump { files: files.to_vec(), line_bytes_max: 10_000 };
    let mut walk = DumpWalk::new(files.to_vec(), 10_000, wishes);
    assert_eq!(config.name(), "dump");
    let (mut ids, mut unreadable, mut done) = (Vec::new(), 0, Vec::new());
    loop {
        match walk.next().await {
            Ok(Some(Step::Begin(_))) => {}
            Ok(Some(Step::Posts(batch))) => {
                ids.extend(batch.submissions.iter().map(|post| post.post.id.to_string()));
                unreadable += batch.unreadable;
            }
            Ok(Some(Step::Done(walked))) => done.push(walked),
            Ok(None) => return (ids, unreadable, done, None),
            Err(error) => return (ids, unreadable, done, Some(error)),
        }
    }
}

fn lines() -> String {
    let nested = json!({"id": "n", "created_utc": MAY, "subreddit": "pics", "author": "x",
        "crosspost_parent_list": [{"id": "p", "subreddit": "flowers", "author": "x"}], "selftext": "\"subreddit\": \"flowers\""});
    [
        post("a", "flowers", MAY),
        post("b", "Flowers", format!("{}", MAY + 1)),
        nested.to_string(),
        post("c", "flowersandmore", MAY),
        "{\"id\": \"torn\", \"subreddit\": \"flowers\", \"crea".to_owned(),
        String::new(),
        json!({"id": "bad", "subreddit": "flowers", "title": ["a"], "created_utc": MAY + 3}).to_string(),
        json!({"id": "timeless", "subreddit": "flowers"}).to_string(),
        format!("{{\"id\": \"long\", \"subreddit\": \"flowers\", \"selftext\": \"{}\"}}", "x".repeat(20_000)),
        post("a", "flowers", MAY),
        "{\"id\":\"e\",\"created_utc\":1651363204.0,\"subreddit\":\"flo\\u0077ers\",\"author\":\"x\"}".to_owned(),
        post("late", "flowers", MAY + 500),
        post("f", "EarthPorn", MAY + 5),
    ]
    .join("\n")
}

#[tokio::test]
async fn a_dump_gives_the_same_posts_plain_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (folder.path().join("posts.ndjson"), folder.path().join("posts.zst"));
    fs::write_atomic(&plain, lines()).unwrap();
    fs::write_atomic(&packed, zst(lines().as_bytes())).unwrap();
    for file in [plain, packed] {
        let wishes =
            vec![wish("flowers", MAY, MAY + 100), wish("EarthPorn", MAY, MAY + 100), wish("pics2", MAY, MAY + 1)];
        let (ids, unreadable, done, end) = all(&[file], wishes).await;
        assert!(end.is_none(), "{end:?}");
        assert_eq!(ids, ["a", "b", "bad", "e", "f"], "the last line has no newline");
        assert_eq!(unreadable, 3, "torn, without a time, too long");
        let gap = |since, until| Gap { window: Window::new(since, until).unwrap(), reason: GapReason::OutsideDump };
        assert_eq!((done[0].posts, &done[0].gaps[..]), (4, &[][..]));
        assert_eq!((done[1].posts, &done[1].gaps[..]), (1, &[gap(MAY, MAY + 5), gap(MAY + 6, MAY + 100)][..]));
        assert_eq!((done[2].posts, &done[2].gaps[..]), (0, &[gap(MAY, MAY + 1)][..]));
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_the_first_post_is_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("\u{feff}{}\n{}", post("a", "flowers", MAY), post("b", "flowers", MAY + 1));
    let (plain, packed) = (folder.path().join("posts.ndjson"), folder.path().join("posts.zst"));
    fs::write_atomic(&plain, &text).unwrap();
    fs::write_atomic(&packed, zst(text.as_bytes())).unwrap();
    for file in [plain, packed] {
        let (ids, unreadable, _, end) = all(&[file], vec![wish("flowers", MAY, MAY + 2)]).await;
        assert!(end.is_none(), "{end:?}");
        assert_eq!((ids, unreadable), (vec!["a".to_owned(), "b".to_owned()], 0));
    }
}

#[test]
fn the_name_of_a_file_says_what_it_holds() {
    let reach = |name: &str, span| reach(Path::new("/x").join(name).as_path(), "flowers", span);
    let window = |since, until| Window::new(since, until).ok();
    assert_eq!(reach("RS_2022-05.zst", None), window(MAY, 1_654_041_600));
    assert_eq!(reach("RS_2021-12.zst", Some((1, 2))), window(1_638_316_800, 1_640_995_200));
    assert_eq!(reach("Flowers_submissions.zst", Some((MAY, MAY + 9))), window(0, MAY + 10));
    assert_eq!(reach("pics_submissions.zst", Some((MAY, MAY + 9))), window(MAY, MAY + 10));
    assert_eq!(reach("flowers_submissions.zst", None), None);
    assert_eq!(reach("RS_what.zst", Some((1, 2))), None);
}

#[tokio::test]
async fn what_is_no_dump_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, reason) in [
        ("RS_2011-01.zst_blocks", &b"{}"[..], "it is of the old block format; only .zst and plain NDJSON are read"),
        ("RS.gz", b"\x1f\x8b\x08\x00\x00\x00", "it is compressed with gzip; unpack it first"),
        ("RS.bz2", b"BZh91AY", "it is compressed with bzip2; unpack it first"),
        ("RS.xz", b"\xfd7zXZ\x00", "it is compressed with xz; unpack it first"),
        ("page.html", b"<html>", "it is neither compressed with zstd nor NDJSON"),
    ] {
        let path = folder.path().join(name);
        fs::write_atomic(&path, bytes).unwrap();
        let (.., end) = all(&[path], vec![wish("flowers", MAY, MAY + 1)]).await;
        let message = end.unwrap().to_string();
        assert!(message.ends_with(&format!("{name} is no dump: {reason}")), "{message}");
    }
    let (.., end) = all(&[folder.path().to_owned()], vec![wish("flowers", MAY, MAY + 1)]).await;
    let message = end.unwrap().to_string();
    assert!(message.ends_with("is no dump: it is a folder; name the files in it"), "{message}");
    let (.., end) = all(&[folder.path().join("nowhere.zst")], vec![wish("flowers", MAY, MAY + 1)]).await;
    assert!(end.unwrap().to_string().contains("nowhere.zst"));
}

#[tokio::test]
async fn a_dump_that_is_cut_short_covers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..4_000).map(|n| post(&format!("p{n}"), "flowers", MAY + n) + "\n").collect();
    let whole = zst(text.as_bytes());
    let path = folder.path().join("RS_2022-05.zst");
    fs::write_atomic(&path, &whole[..whole.len() - 9]).unwrap();
    let (ids, _, done, end) = all(std::slice::from_ref(&path), vec![wish("flowers", MAY, MAY + 9_000)]).await;
    assert!(matches!(end, Some(SourceError::Dump(DumpError::Read { .. }))), "{end:?}");
    assert!(done.is_empty() && ids.len() >= 2_000, "{}", ids.len());
    fs::write_atomic(&path, &whole).unwrap();
    let (ids, _, done, end) = all(&[path], vec![wish("flowers", MAY, MAY + 9_000)]).await;
    assert!(end.is_none() && done[0].gaps.is_empty(), "{end:?}");
    assert_eq!(ids.len(), 4_000);
}

#[tokio::test]
async fn the_recorded_dump_is_read_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reddit/EarthPornSample_submissions.zst");
    if !path.is_file() {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "skipped: the recorded dump: there is no shared folder beside the project");
        return;
    }
    let names = ["nature", "EarthPorn", "pics", "flowers", "wildlifephotography", "itookapicture"];
    let wishes = names.iter().map(|name| wish(name, 0, 2_000_000_000)).collect();
    let (ids, unreadable, done, end) = all(&[path], wishes).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(unreadable, 0);
    assert!(ids.len() > 100 && done.iter().map(|walked| walked.posts).sum::<u64>() == ids.len() as u64, "{done:?}");
}
