//! Whole datasets: merged, validated, taken over from the original form and given back in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use natureddit_core::{Clock, Progress, fs};
use natureddit_data::{
    Dataset, DatasetError, Merged, Window, forget_posts, merge, original, sweep_half_written, validate,
};
use natureddit_image::ImageLimits;

use crate::pictures::png;
use crate::reddit::{Answer, Reddit, SINCE, config, files, run};

const LIMITS: ImageLimits = ImageLimits { bytes_max: 1_000_000, pixels_max: 1_000_000 };

fn merged(inputs: &[&Path], out: &Path) -> Merged {
    let inputs: Vec<PathBuf> = inputs.iter().map(|path| path.to_path_buf()).collect();
    merge(&inputs, out, &LIMITS, &Clock::fixed(1_700_000_000), &Progress::silent()).unwrap()
}

/// A dataset of the posts of some seconds; `side` is the size of the photos.
async fn dataset(dir: &Path, seconds: std::ops::Range<i64>, side: u32) {
    let mut reddit = Reddit::new();
    for number in 0..60_i64 {
        let photo = png(side, number as u8);
        reddit.photo(
            ["flowers", "EarthPorn"][number as usize % 2],
            &format!("p{number:03}"),
            number,
            Answer::File(photo),
        );
    }
    reddit.post("flowers", "video", 30, "https://v.redd.it/x");
    let mut config = config(dir);
    config.window = Window::new(SINCE + seconds.start, SINCE + seconds.end).unwrap();
    run(reddit).await.collect(&config).await.unwrap();
}

#[tokio::test]
async fn trap_19_a_merge_does_not_depend_on_the_order_and_changes_no_input() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
    dataset(&a, 0..40, 24).await;
    dataset(&b, 20..60, 30).await;
    dataset(&c, 35..50, 24).await;
    // The smaller photo of one row is all that is left of it, and another post was deleted.
    fs::write_atomic(&Dataset::images_dir(&b).join("p025_0.png"), "scribbled over").unwrap();
    let gone = BTreeSet::from(["p050".parse().unwrap(), "p010".parse().unwrap()]);
    forget_posts(&c, folder.path(), &gone, &Clock::fixed(SINCE)).unwrap();
    let inputs = files(folder.path());

    let orders = [[&a, &b, &c], [&c, &b, &a], [&b, &c, &a]];
    let results: Vec<_> = orders
        .iter()
        .enumerate()
        .map(|(number, order)| {
            let out = folder.path().join(format!("out{number}"));
            let done = merged(&order.map(PathBuf::as_path), &out);
            assert_eq!((done.rows, done.rows_new, done.photos_missing), (58, 58, 1), "{done:?}");
            let all = files(&out);
            merged(&[&a, &b], &out);
            assert!(files(&out) == all, "merging again changes nothing");
            all
        })
        .collect();
    assert!(results[0] == results[1] && results[1] == results[2]);

    let result = Dataset::read(&folder.path().join("out0")).unwrap();
    let row = |id: &str| result.photos_of(&id.parse().unwrap()).next().cloned();
    assert_eq!([row("p030").unwrap().width, row("p025").unwrap().width, row("p005").unwrap().width], [30, 24, 24]);
    assert!(row("p050").is_none() && row("p010").is_none() && result.tombstones.len() == 2);
    assert_eq!(result.dropped.len(), 1);
    let whole = Window::new(SINCE, SINCE + 60).unwrap();
    assert_eq!(result.record.as_ref().unwrap().windows["flowers"], [whole]);
    let found = validate(&folder.path().join("out0"), &LIMITS).unwrap();
    assert_eq!((found.rows, found.photos, found.problems.len()), (58, 58, 0), "{found:?}");
    let now: Vec<_> = files(folder.path()).into_iter().filter(|(path, _)| !path.starts_with("out")).collect();
    assert!(now == inputs.into_iter().collect::<Vec<_>>(), "no input is changed");
}

#[tokio::test]
async fn a_dataset_that_is_merged_into_is_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    dataset(&a, 0..20, 24).await;
    dataset(&b, 10..30, 24).await;
    // A photo that only its row remembers can be fetched again; the row stays.
    fs::remove_file(&Dataset::images_dir(&a).join("p003_0.png")).unwrap();
    let done = merged(&[&b], &a);
    assert_eq!((done.rows, done.rows_new, done.rows_replaced), (30, 10, 0));
    let error =
        merge(&[folder.path().join("nowhere")], &a, &LIMITS, &Clock::fixed(0), &Progress::silent()).unwrap_err();
    assert!(matches!(&error, DatasetError::NoDataset { .. }), "{error}");
    let lock = fs::try_lock(&a.join(".lock")).unwrap().unwrap();
    let error = merge(&[b], &a, &LIMITS, &Clock::fixed(0), &Progress::silent()).unwrap_err();
    assert!(matches!(&error, DatasetError::Locked { .. }), "{error}");
    drop(lock);
}

#[tokio::test]
async fn every_broken_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    dataset(dir, 0..8, 24).await;
    assert_eq!(validate(dir, &LIMITS).unwrap().problems, []);
    let images = Dataset::images_dir(dir);
    fs::remove_file(&images.join("p000_0.png")).unwrap();
    fs::write_atomic(&images.join("p001_0.png"), "scribbled over").unwrap();
    fs::write_atomic(&images.join("p002_0.png"), png(30, 1)).unwrap();
    fs::write_atomic(&images.join("stray.png"), png(30, 1)).unwrap();
    fs::write_atomic(&dir.join("tombstones.csv"), "id,deleted_at\np003,2022-05-01T00:00:00\n").unwrap();
    let path = dir.join("posts.csv");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("2022-05-01T00:00:04,", "noon,").replace(",p006_0.png,", ",p005_0.png,") + "too,short\n";
    fs::write_atomic(&path, text).unwrap();
    fs::write_atomic(&dir.join("gaps.jsonl"), "{}\n").unwrap();
    fs::write_atomic(&dir.join("dataset.toml"), "no record").unwrap();
    let found = validate(dir, &LIMITS).unwrap();
    let problems: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    let expected = [
        "dataset.toml: ",
        "gaps.jsonl: ",
        "posts.csv, line 2: there is no photo ",
        "posts.csv, line 3: ",
        "posts.csv, line 3: ",
        "posts.csv, line 4: ",
        "posts.csv, line 4: ",
        "posts.csv, line 5: the post p003 was deleted",
        "posts.csv, line 6: created_utc: not a time such as 2022-05-01T00:00:00: \"noon\"",
        "posts.csv, line 8: the photo \"p005_0.png\" is that of line 7 as well, of the post p005",
        "posts.csv, line 10: 2 columns instead of 15",
        // Last, for most of them follow from what is broken above.
        "images/p004_0.png: no row that can be read names this file",
        "images/p006_0.png: no row that can be read names this file",
        "images/stray.png: no row that can be read names this file",
    ];
    for (expected, problem) in expected.into_iter().zip(&problems) {
        let named = problem.strip_prefix(&format!("{}/", dir.display()));
        assert!(named.is_some_and(|named| named.starts_with(expected)), "{expected}\n{problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

/// Two datasets of the same days have one name, and one of them may lie where the other is to be written.
#[tokio::test]
async fn trap_19_an_input_of_the_same_days_is_neither_removed_nor_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, data] = ["a", "b", "data"].map(|name| folder.path().join(name));
    let of_day = async |dir: &Path, seconds: std::ops::Range<i64>| {
        dataset(dir, seconds, 24).await;
        original::export(&Dataset::read(dir).unwrap(), dir, dir, |_| None).unwrap()
    };
    let (first, second) = (of_day(&a, 0..20).await, of_day(&b, 10..30).await);
    assert_eq!(first.file_name(), second.file_name());
    let inputs = files(folder.path());
    // Into another folder, and one of the inputs lies beside what the result is called.
    let done = merged(&[&first, &second], &data);
    assert_eq!(done.rows, 30);
    assert!(inputs.iter().all(|(path, bytes)| files(folder.path()).get(path) == Some(bytes)), "no input is changed");
    let merged = Dataset::read(&data).unwrap();
    original::export(&merged, &data, &a, |_| None).unwrap();
    // The other way round it would lose the first twenty seconds.
    let error = original::export(&Dataset::read(&b).unwrap(), &b, &a, |_| None).unwrap_err();
    assert!(matches!(&error, DatasetError::WouldLose { id, .. } if id.as_str() == "p000"), "{error}");
    let table = fs::read_to_string(&first).unwrap();
    assert!(table.contains(",p000,") && table.contains(",p029,"));
}

#[tokio::test]
async fn datasets_of_the_original_form_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let images = dir.join("2022-05-01_2022-05-02");
    let line = |id: &str, name: &str| {
        format!(
            "ann,2022-05-01T00:00:07,https://www.reddit.com/{id},{id},flowers,\"A, \"\"rose\"\"\",https://x.example/{name},{name}\n"
        )
    };
    let header = "author,created_utc,full_link,id,subreddit,title,url,img_name\n";
    // Two posts of one file, and one whose file is missing.
    let table = dir.join("2022-05-01_2022-05-02.csv");
    fs::write_atomic(&table, [header, &line("a", "4.jpg"), &line("b", "4.jpg"), &line("c", "nowhere.jpg")].concat())
        .unwrap();
    fs::write_atomic(&images.join("4.jpg"), png(24, 1)).unwrap();
    let data = dir.join("data");
    let done = merged(&[&table], &data);
    assert_eq!((done.rows, done.refused.len()), (2, 1));
    let dataset = Dataset::read(&data).unwrap();
    let names: Vec<_> =
        dataset.rows().into_iter().map(|row| (row.img_name.as_str(), row.source.as_str(), row.width)).collect();
    // The extension tells what it is.
    assert_eq!(names, [("a_0.png", "original", 24), ("b_0.png", "original", 24)]);
    assert_eq!(validate(&data, &LIMITS).unwrap().problems, []);

    let out = dir.join("out");
    let exported =
        original::export(&dataset, &data, &out, |row| (row.post.id.as_str() == "a").then(|| "flora".into())).unwrap();
    assert_eq!(exported, out.join("2022-05-01_2022-05-01.csv"));
    let text = fs::read_to_string(&exported).unwrap();
    let expected = "author,created_utc,full_link,id,subreddit,title,url,img_name,choice\n\
        ann,2022-05-01T00:00:07,https://www.reddit.com/a,a,flowers,\"A, \"\"rose\"\"\",https://x.example/4.jpg,a_0.png,flora\n\
        ann,2022-05-01T00:00:07,https://www.reddit.com/b,b,flowers,\"A, \"\"rose\"\"\",https://x.example/4.jpg,b_0.png,\n";
    assert_eq!(text, expected);
    // What is not of this export is somebody's, or of a post that was deleted since.
    fs::write_atomic(&exported.with_extension("").join("c_0.png"), png(24, 3)).unwrap();
    let error = original::export(&dataset, &data, &out, |_| None).unwrap_err().to_string();
    assert!(error.ends_with("2022-05-01_2022-05-01 are not of this dataset (1): c_0.png"), "{error}");
    assert_eq!(fs::read_to_string(&exported).unwrap(), expected, "nothing is written then");
    fs::remove_file(&exported.with_extension("").join("c_0.png")).unwrap();
    original::export(&dataset, &data, &out, |row| (row.post.id.as_str() == "a").then(|| "flora".into())).unwrap();
    // What was exported is the same dataset.
    let again = dir.join("again");
    merged(&[&exported], &again);
    assert_eq!(Dataset::read(&again).unwrap().posts, dataset.posts);
    let empty = original::export(&Dataset::default(), &data, &out, |_| None).unwrap_err();
    assert!(matches!(empty, DatasetError::Empty { .. }));
}

#[test]
fn what_a_killed_writer_left_half_written_goes_with_the_next_deletion_or_a_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let [data, labels] = ["data", "labels"].map(|name| folder.path().join(name));
    let leave = || {
        let left = [data.join(".posts.csv.0123-4.partial"), labels.join(".labels.csv.0123-5.partial")];
        left.iter().for_each(|path| fs::write_atomic(path, "p010,a title").unwrap());
        left
    };
    fs::write_atomic(&labels.join("titles.csv"), "id,title,choice\np011,a fox,fauna\n").unwrap();
    let left = leave();
    forget_posts(&data, &labels, &BTreeSet::new(), &Clock::fixed(SINCE)).unwrap();
    assert!(left.iter().all(|path| !path.exists()));
    let left = leave();
    sweep_half_written(&data, &labels).unwrap();
    assert!(left.iter().all(|path| !path.exists()));
}
