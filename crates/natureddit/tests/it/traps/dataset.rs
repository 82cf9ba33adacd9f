//! What tables and groups make of posts.

use natureddit_core::fs;
use natureddit_data::PostRow;
use natureddit_pipeline::grouping::{Member, group};
use natureddit_sandbox::SandboxConfig;
use serde_json::json;

use super::{MAY, Trial, drawn, small_photos, trial_of_small};
use crate::truth::{arctic_shift, files, pushshift, reddit_oauth};

fn by_its_photo(row: &PostRow) -> Member<'_> {
    let perceptual_hash = Some(u64::from_str_radix(&row.phash.to_string(), 16).unwrap());
    Member { id: &row.post.id, created_utc: row.post.created_utc, author: "", title: "", perceptual_hash }
}

/// One picture is posted twice under two ids, with other bytes: both are kept, and no split comes between them.
#[tokio::test(flavor = "multi_thread")]
async fn trap_18_copies_of_a_photo_are_kept_and_grouped() {
    let trial = Trial::new(drawn(14, 120), pushshift()).await;
    trial.collect().await.unwrap();
    let dataset = trial.dataset();
    let rows = dataset.rows();
    // Nothing but the photo may join them here.
    // As `pipeline.near_duplicate_distance_max` is by default.
    let groups = group(&rows.iter().map(|row| by_its_photo(row)).collect::<Vec<_>>(), 6);
    let at = |id: &natureddit_core::PostId| rows.iter().position(|row| row.post.id == *id).unwrap();
    let mut copies = 0;
    for post in &trial.sandbox.truth().posts {
        let Some(first) = &post.same_picture_as else { continue };
        let (copy, first) = (at(&post.id), at(first));
        assert_ne!(rows[copy].sha256, rows[first].sha256, "the trap is set");
        assert_eq!(groups[copy], groups[first], "{}", post.id);
        copies += 1;
    }
    assert!(copies >= 2);
    let mut distinct = groups.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > rows.len() * 9 / 10, "{} groups of {} photos", distinct.len(), rows.len());
}

/// Titles hold line breaks, quotes, formulas, controls and half characters.
#[tokio::test(flavor = "multi_thread")]
async fn trap_20_every_title_survives_the_table() {
    let titles = [
        "two\r\nlines, \"quoted\"",
        "=HYPERLINK(\"https://example.com\",\"a fox\")",
        "a null \0, a bell \u{7} and an escape \u{1b}[31m",
        "  spaces around\t",
        "\"",
        "\u{feff}a mark at the start",
        "\u{202e}backwards\u{202c} and no\u{200b}thing",
        "e\u{301}te\u{301} \u{1f98a} \u{5bcc}\u{58eb}\u{5c71}",
        "a line break at the end\n",
        "-1+1;@SUM(A1)|'",
    ];
    let photos = small_photos(&titles);
    let of = SandboxConfig { photos: Some(photos.path().to_owned()), ..drawn(3, 1) };
    let mut trial = trial_of_small(of, pushshift()).await;
    // The rule: no control character but newlines and tabs.
    let plain = |title: &str| title.chars().filter(|&c| c >= ' ' || c == '\n' || c == '\t').collect::<String>();
    let mut expected = titles.map(plain).to_vec();
    expected.sort_unstable();
    for source in [pushshift(), arctic_shift(), reddit_oauth()] {
        trial.collect_anew(source).await.unwrap();
        let table = fs::read(&trial.dir().join("posts.csv")).unwrap();
        // A reader of RFC 4180 that knows nothing of this program; every row has as many cells as the header.
        let mut reader = csv::Reader::from_reader(table.as_slice());
        let title = reader.headers().unwrap().iter().position(|cell| cell == "title").unwrap();
        let mut found: Vec<_> = reader.records().map(|row| row.unwrap()[title].to_owned()).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", trial.config.source.name());
        let mut ours: Vec<_> = trial.dataset().posts.into_values().map(|row| row.post.title).collect();
        ours.sort_unstable();
        assert_eq!(ours, expected);
        let before = files(trial.dir());
        trial.collect().await.unwrap();
        assert!(files(trial.dir()) == before, "read and written again, it is the same");
    }
}

/// Half of a UTF-16 pair is no character, and one of them must not take a page with it.
#[tokio::test(flavor = "multi_thread")]
async fn trap_20_half_a_character_costs_a_character() {
    let mut trial = Trial::of_records(&[json!({
        "id": "half", "author": "someone", "created_utc": MAY, "subreddit": "flowers", "title": "HERE a fox",
        "url": "https://i.redd.it/zoo-mosaic.jpg", "permalink": "/r/flowers/comments/half/", "is_self": false})])
    .await;
    let natureddit_data::SourceConfig::Dump { files, .. } = &mut trial.config.source else { unreachable!() };
    let lines = fs::read_to_string(&files[0]).unwrap().replace("HERE", "\\ud83d");
    fs::write_atomic(&files[0], lines).unwrap();
    trial.collect().await.unwrap();
    assert_eq!(trial.row("half").post.title, "\u{fffd} a fox");
}
