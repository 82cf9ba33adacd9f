//! Dump files.

use std::io::Write as _;
use std::process::Command;

use natureddit_core::fs;
use natureddit_sandbox::{DumpConfig, DumpFormat, DumpReport, Sandbox};
use serde_json::Value;

use crate::config;

#[tokio::test]
async fn a_dump_holds_a_post_a_line_oldest_first() {
    let sandbox = Sandbox::start(config(95, 120)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("EarthPorn_submissions.ndjson");
    let dump = DumpConfig { format: DumpFormat::Lines, subreddit: Some("earthporn".into()), ..DumpConfig::default() };
    let report = sandbox.write_dump(&path, &dump).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let ids: Vec<_> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    let own = sandbox.truth().posts.iter().filter(|post| post.subreddit == "EarthPorn");
    assert_eq!(ids, own.map(|post| Value::from(post.id.as_str())).collect::<Vec<_>>());
    assert_eq!((report, text.ends_with('\n')), (DumpReport { posts: ids.len(), unreadable: 0 }, true));

    let dump = DumpConfig { format: DumpFormat::Lines, with_flaws: true, ..DumpConfig::default() };
    let report = sandbox.write_dump(&path, &dump).unwrap();
    let bytes = fs::read(&path).unwrap();
    let lines: Vec<_> = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    let posts: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!((posts.len(), lines.len() - posts.len()), (report.posts, report.unreadable));
    assert!(report.posts == 120 && report.unreadable > 0 && !bytes.ends_with(b"\n"));
    assert!(posts.iter().any(|post| post["created_utc"].is_string()));
    assert!(posts.iter().any(|post| post["created_utc"].is_f64()));
}

#[tokio::test]
async fn a_compressed_dump_needs_a_large_window() {
    let sandbox = Sandbox::start(config(96, 90)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [packed, plain] = ["RS_2022-04.zst", "RS_2022-04"].map(|name| folder.path().join(name));
    sandbox.write_dump(&packed, &DumpConfig::default()).unwrap();
    sandbox.write_dump(&plain, &DumpConfig { format: DumpFormat::Lines, ..DumpConfig::default() }).unwrap();
    let unpack = |options: &[&str]| Command::new("zstd").args(["-d", "-c", "-q"]).args(options).arg(&packed).output();
    let Ok(refused) = unpack(&[]) else {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "skipped: there is no zstd program");
        return;
    };
    assert!(!refused.status.success());
    assert_eq!(unpack(&["--long=31"]).unwrap().stdout, fs::read(&plain).unwrap());
}
