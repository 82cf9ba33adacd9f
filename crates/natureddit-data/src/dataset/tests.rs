use jiff::Timestamp;

use super::*;
use crate::window::Window;

pub(crate) fn row(id: &str, created_utc: i64) -> PostRow {
    PostRow {
        post: Post {
            id: id.parse().unwrap(),
            author: "someone".into(),
            created_utc,
            full_link: format!("https://www.reddit.com/comments/{id}"),
            subreddit: "flowers".into(),
            title: "=A \"rose\",\r\nseen\u{0} \u{1f339}\tthere".into(),
            url: format!("https://i.redd.it/{id}.jpg"),
            flair: String::new(),
            over_18: false,
        },
        img_name: format!("{id}_0.jpg"),
        source: "pushshift".into(),
        width: 3,
        height: 2,
        sha256: ContentHash::of(id.as_bytes()),
        phash: "0123456789abcdef".parse().unwrap(),
    }
}

pub(crate) fn dropped(id: &str) -> DroppedPost {
    DroppedPost { id: id.parse().unwrap(), subreddit: "flowers".into(), created_utc: 8, reason: "self_post".into() }
}

fn collected(second: i64) -> record::Collected {
    record::Collected {
        retrieved_at: Timestamp::from_second(second).unwrap(),
        source: "pushshift",
        covered: vec![("flowers".into(), vec![Window::new(0, 100).unwrap()])],
    }
}

fn dataset() -> Dataset {
    let mut dataset = Dataset::default();
    for (id, second) in [("b", 7), ("a", 9), ("c", 7)] {
        dataset.insert(row(id, second));
    }
    let dropped = dropped("d");
    dataset.dropped.insert(dropped.id.clone(), dropped);
    dataset
}

#[test]
fn a_dataset_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = dataset();
    written.write(folder.path(), collected(5)).unwrap();
    let read = Dataset::read(folder.path()).unwrap();
    assert_eq!(read, written);
    let order: Vec<_> = read.rows().into_iter().map(|row| row.post.id.as_str()).collect();
    assert_eq!(order, ["b", "c", "a"]);
    assert_eq!(read.rows()[0].post.title, "=A \"rose\",\nseen \u{1f339}\tthere");
}

#[test]
fn the_tables_are_these_bytes() {
    let folder = tempfile::tempdir().unwrap();
    dataset().write(folder.path(), collected(5)).unwrap();
    let posts = fs::read_to_string(&folder.path().join(POSTS_FILE)).unwrap();
    let expected = "author,created_utc,full_link,id,subreddit,title,url,img_name,source,flair,over_18,width,height,sha256,phash\n\
        someone,1970-01-01T00:00:07,https://www.reddit.com/comments/b,b,flowers,\"=A \"\"rose\"\",\nseen \u{1f339}\tthere\",\
        https://i.redd.it/b.jpg,b_0.jpg,pushshift,,false,3,2,\
        3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d,0123456789abcdef\n";
    assert!(posts.starts_with(expected), "{posts}");
    let dropped = fs::read_to_string(&folder.path().join(DROPPED_FILE)).unwrap();
    assert_eq!(dropped, "id,subreddit,created_utc,reason\nd,flowers,1970-01-01T00:00:08,self_post\n");
}

#[test]
fn the_record_keeps_its_time_while_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = dataset();
    dataset.write(folder.path(), collected(5)).unwrap();
    let first = fs::read_to_string(&folder.path().join(RECORD_FILE)).unwrap();
    assert!(first.contains("retrieved_at = \"1970-01-01T00:00:05Z\""), "{first}");
    dataset.write(folder.path(), collected(6)).unwrap();
    assert_eq!(fs::read_to_string(&folder.path().join(RECORD_FILE)).unwrap(), first);
    dataset.insert(row("e", 1));
    dataset.write(folder.path(), collected(7)).unwrap();
    assert_eq!(dataset.record.unwrap().retrieved_at.as_second(), 7);
}

#[test]
fn a_broken_row_is_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(POSTS_FILE);
    dataset().write(folder.path(), collected(5)).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, problem) in [
        ("a_0.jpg", "../../a.jpg", "line 6: img_name: not a file name: \"../../a.jpg\""),
        ("1970-01-01T00:00:09", "noon", "line 6: created_utc: not a time such as 2022-05-01T00:00:00: \"noon\""),
        ("comments/a,a,", "comments/a,b,", "line 6: the post b is there twice"),
        ("false,3,2,ca9", "false,-3,2,ca9", "line 6: width: invalid digit found in string"),
        (",phash\n", ",phash,note\n", "line 2: 15 columns instead of 16"),
        (",phash\n", ",note\n", "the header has no column \"phash\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        fs::write_atomic(&path, bad).unwrap();
        let error = Dataset::read(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.ends_with(problem), "{error}");
    }
}

#[test]
fn a_folder_without_a_dataset_is_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Dataset::read(folder.path()).unwrap(), Dataset::default());
}

#[test]
fn a_post_in_both_tables_is_a_post() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = dataset();
    dataset.write(folder.path(), collected(5)).unwrap();
    let path = folder.path().join(DROPPED_FILE);
    let torn = fs::read_to_string(&path).unwrap() + "a,flowers,1970-01-01T00:00:09,timeout\n";
    fs::write_atomic(&path, torn).unwrap();
    assert_eq!(Dataset::read(folder.path()).unwrap(), dataset);
}
