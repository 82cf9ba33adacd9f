use jiff::Timestamp;
use natureddit_core::{ContentHash, Post};
use proptest::prelude::*;

use super::*;
use crate::record;
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

fn store(dir: &Path) -> DatasetStore {
    let mut dataset = DatasetStore::open(dir).unwrap();
    for (id, second) in [("b", 7), ("a", 9), ("c", 7)] {
        dataset.insert(row(id, second)).unwrap();
    }
    dataset.drop_post(dropped("d")).unwrap();
    dataset
}

fn written(dir: &Path) -> Dataset {
    store(dir).write(collected(5)).unwrap();
    Dataset::read(dir).unwrap()
}

#[test]
fn a_dataset_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let read = written(folder.path());
    let order: Vec<_> = read.rows().into_iter().map(|row| row.post.id.as_str()).collect();
    assert_eq!(order, ["b", "c", "a"]);
    assert_eq!(read.rows()[0].post.title, "=A \"rose\",\nseen \u{1f339}\tthere");
    let opened = DatasetStore::open(folder.path()).unwrap();
    assert_eq!((opened.changes(), opened.written()), (0, 4));
    let rows: Vec<_> = opened.rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.iter().collect::<Vec<_>>(), read.rows());
    assert_eq!(opened.record, read.record);
}

#[test]
fn the_tables_are_these_bytes() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
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
    let mut dataset = store(folder.path());
    dataset.write(collected(5)).unwrap();
    let first = fs::read_to_string(&folder.path().join(RECORD_FILE)).unwrap();
    assert!(first.contains("retrieved_at = \"1970-01-01T00:00:05Z\""), "{first}");
    dataset.write(collected(6)).unwrap();
    assert_eq!(fs::read_to_string(&folder.path().join(RECORD_FILE)).unwrap(), first);
    dataset.insert(row("e", 1)).unwrap();
    dataset.write(collected(7)).unwrap();
    assert_eq!(dataset.record.unwrap().retrieved_at.as_second(), 7);
}

#[test]
fn a_broken_row_is_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(POSTS_FILE);
    written(folder.path());
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, problem) in [
        ("a_0.jpg", "../../a.jpg", "line 6: img_name: not a file name: \"../../a.jpg\""),
        ("1970-01-01T00:00:09", "noon", "line 6: created_utc: not a time such as 2022-05-01T00:00:00: \"noon\""),
        ("comments/c,c,flowers", "comments/c,b,flowers", "line 4: the post b is there twice with \"b_0.jpg\""),
        ("false,3,2,ca9", "false,-3,2,ca9", "line 6: width: invalid digit found in string"),
        (",phash\n", ",phash,note\n", "the header has an unknown column \"note\""),
        (",phash\n", ",note\n", "the header has no column \"phash\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let bad = bad.replacen("c_0.jpg", "b_0.jpg", usize::from(to.ends_with("b,flowers")));
        fs::write_atomic(&path, bad).unwrap();
        let error = Dataset::read(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.ends_with(problem), "{error}");
        assert_eq!(DatasetStore::open(folder.path()).unwrap_err().to_string(), error);
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
    let dataset = written(folder.path());
    let path = folder.path().join(DROPPED_FILE);
    let sound = fs::read_to_string(&path).unwrap();
    fs::write_atomic(&path, sound.clone() + "a,,flowers,1970-01-01T00:00:09,timeout\n").unwrap();
    assert_eq!(Dataset::read(folder.path()).unwrap(), dataset);
    DatasetStore::open(folder.path()).unwrap().write(collected(5)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), sound);
}

#[test]
fn a_post_may_have_several_photos() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = store(folder.path());
    let photo = |img_name: &str| PostRow { img_name: img_name.into(), ..row("g", 8) };
    let picture = |media_id: &str| DroppedPost { media_id: media_id.into(), reason: "http_404".into(), ..dropped("g") };
    let said = |dataset: &DatasetStore| dataset.dropped().unwrap().count();
    dataset.drop_post(dropped("g")).unwrap();
    dataset.drop_post(picture("m2")).unwrap();
    assert_eq!(said(&dataset), 2, "what was said of the whole gallery is moot");
    dataset.insert(photo("g_m1.jpg")).unwrap();
    // Written or not, it is the same dataset.
    for write_between in [false, true] {
        if write_between {
            dataset.write(collected(5)).unwrap();
        }
        dataset.insert(photo("g_m3.png")).unwrap();
        dataset.insert(photo("g_m1.jpg")).unwrap();
        assert_eq!(dataset.insert(photo("g_m1.png")).unwrap().unwrap().img_name, "g_m1.jpg");
        let id = "g".parse().unwrap();
        let names: Vec<_> = dataset.photos_of(&id).unwrap().into_iter().map(|row| row.img_name).collect();
        assert_eq!(names, ["g_m1.png", "g_m3.png"]);
    }
    dataset.write(collected(5)).unwrap();
    let read = Dataset::read(folder.path()).unwrap();
    let order: Vec<_> = read.rows().into_iter().map(|row| row.img_name.as_str()).collect();
    assert_eq!(order, ["b_0.jpg", "c_0.jpg", "g_m1.png", "g_m3.png", "a_0.jpg"]);
    let record = read.record.as_ref().unwrap();
    assert_eq!((read.post_count(), record.posts, record.photos, record.dropped), (4, 4, 5, 2));
    assert_eq!(record.posts_by_subreddit["flowers"], 4);

    dataset.insert(photo("g_m2.jpg")).unwrap();
    assert_eq!(said(&dataset), 1, "the picture is there now");
    dataset.drop_post(picture("m4")).unwrap();
    dataset.drop_post(dropped("g")).unwrap();
    assert_eq!(said(&dataset), 2, "the whole post says it all");
}

#[test]
fn a_table_in_another_order_or_form_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(POSTS_FILE);
    let dataset = written(folder.path());
    let sound = fs::read_to_string(&path).unwrap();
    let (header, rows) = sound.split_once('\n').unwrap();
    let mut rows: Vec<_> = rows.split_inclusive("abcdef\n").collect();
    rows.reverse();
    let turned = format!("{header}\n{}", rows.concat());
    for other in
        [turned, sound.replacen("someone", "\"someone\"", 1), format!("\u{feff}{sound}"), sound.replace('T', "t")]
    {
        fs::write_atomic(&path, &other).unwrap();
        let Ok(mut opened) = DatasetStore::open(folder.path()) else { panic!("{other}") };
        let expected = Dataset::read(folder.path()).unwrap();
        assert_eq!(
            opened.rows().unwrap().map(Result::unwrap).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
            expected.rows()
        );
        opened.write(collected(5)).unwrap();
        assert_eq!(Dataset::read(folder.path()).unwrap().posts, expected.posts);
        if expected.posts == dataset.posts {
            assert_eq!(fs::read_to_string(&path).unwrap(), sound);
        }
    }
}

#[test]
fn a_table_that_is_changed_while_it_is_open_is_an_error_and_not_another_row() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let opened = DatasetStore::open(folder.path()).unwrap();
    // In place, as no program of ours does.
    let path = folder.path().join(POSTS_FILE);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(200).unwrap();
    let error = opened.photos_of(&"a".parse().unwrap()).unwrap_err();
    assert!(matches!(error, TableError::Fs(_)), "{error}");
}

proptest! {
    // Every step may write and sync three files.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is inserted, dropped, removed and written in whatever order: what is on disk is what a map would hold.
    #[test]
    fn a_store_is_a_map_on_disk(steps in proptest::collection::vec((0_u8..5, 0_u8..12, 0_u8..3), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut dataset = DatasetStore::open(folder.path()).unwrap();
        let mut expected: BTreeMap<String, PostRow> = BTreeMap::new();
        for (step, post, variant) in steps {
            let id = format!("p{post}");
            match step {
                0 | 1 => {
                    let new = PostRow { width: u32::from(variant) + 1, ..row(&id, i64::from(post % 4)) };
                    let old = dataset.insert(new.clone()).unwrap();
                    let new = dataset.photos_of(&new.post.id).unwrap().remove(0);
                    prop_assert_eq!(old, expected.insert(id, new));
                }
                2 => {
                    let removed = dataset.remove_post(&id.parse().unwrap()).unwrap();
                    prop_assert_eq!(removed, expected.remove(&id).into_iter().collect::<Vec<_>>());
                }
                3 => dataset.write(collected(5)).unwrap(),
                _ => {
                    dataset.write(collected(5)).unwrap();
                    dataset = DatasetStore::open(folder.path()).unwrap();
                    prop_assert_eq!(dataset.changes(), 0);
                }
            }
        }
        dataset.write(collected(5)).unwrap();
        let read = Dataset::read(folder.path()).unwrap();
        prop_assert_eq!(read.record.as_ref().unwrap().photos, expected.len() as u64);
        let found: BTreeMap<_, _> = read.posts.into_values().map(|row| (row.post.id.to_string(), row)).collect();
        prop_assert_eq!(found, expected);
    }
}
