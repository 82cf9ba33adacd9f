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
    DroppedPost {
        id: id.parse().unwrap(),
        media_id: String::new(),
        subreddit: "flowers".into(),
        created_utc: 8,
        reason: "self_post".into(),
    }
}

fn collected(second: i64) -> record::Collected {
    record::Collected {
        retrieved_at: Timestamp::from_second(second).unwrap(),
        source: "pushshift".into(),
        covered: vec![("flowers".into(), vec![Window::new(0, 100).unwrap()])],
    }
}

fn dataset() -> Dataset {
    let mut dataset = Dataset::default();
    for (id, second) in [("b", 7), ("a", 9), ("c", 7)] {
        dataset.insert(row(id, second));
    }
    dataset.drop_post(dropped("d"));
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
    assert_eq!(dropped, "id,media_id,subreddit,created_utc,reason\nd,,flowers,1970-01-01T00:00:08,self_post\n");
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
        ("comments/c,c,flowers", "comments/c,b,flowers", "line 4: the post b is there twice with \"b_0.jpg\""),
        ("false,3,2,ca9", "false,-3,2,ca9", "line 6: width: invalid digit found in string"),
        (",phash\n", ",phash,note\n", "line 2: 15 columns instead of 16"),
        (",phash\n", ",note\n", "the header has no column \"phash\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let bad = bad.replacen("c_0.jpg", "b_0.jpg", usize::from(to.ends_with("b,flowers")));
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
    let torn = fs::read_to_string(&path).unwrap() + "a,,flowers,1970-01-01T00:00:09,timeout\n";
    fs::write_atomic(&path, torn).unwrap();
    assert_eq!(Dataset::read(folder.path()).unwrap(), dataset);
}

#[test]
fn a_post_may_have_several_photos() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = dataset();
    let photo = |img_name: &str| PostRow { img_name: img_name.into(), ..row("g", 8) };
    let picture = |media_id: &str| DroppedPost { media_id: media_id.into(), reason: "http_404".into(), ..dropped("g") };
    dataset.drop_post(dropped("g"));
    dataset.drop_post(picture("m2"));
    assert_eq!(dataset.dropped.len(), 2, "what was said of the whole gallery is moot");
    dataset.insert(photo("g_m1.jpg"));
    dataset.insert(photo("g_m3.png"));
    assert_eq!(dataset.insert(photo("g_m1.png")).unwrap().img_name, "g_m1.jpg");
    dataset.write(folder.path(), collected(5)).unwrap();
    let read = Dataset::read(folder.path()).unwrap();
    assert_eq!(read, dataset);
    let id = "g".parse().unwrap();
    assert_eq!(read.photos_of(&id).map(|row| row.img_name.as_str()).collect::<Vec<_>>(), ["g_m1.png", "g_m3.png"]);
    let order: Vec<_> = read.rows().into_iter().map(|row| row.img_name.as_str()).collect();
    assert_eq!(order, ["b_0.jpg", "c_0.jpg", "g_m1.png", "g_m3.png", "a_0.jpg"]);
    let record = read.record.as_ref().unwrap();
    assert_eq!((read.post_count(), record.posts, record.photos, record.dropped), (4, 4, 5, 2));
    assert_eq!(record.posts_by_subreddit["flowers"], 4);

    dataset.insert(photo("g_m2.jpg"));
    assert_eq!(dataset.dropped.len(), 1, "the picture is there now");
    dataset.drop_post(picture("m4"));
    dataset.drop_post(dropped("g"));
    assert!(!dataset.dropped.contains_key(&(id, "m4".into())), "the whole post says it all");
}
