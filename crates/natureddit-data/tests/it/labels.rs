use std::path::Path;

use natureddit_core::{ClassNames, Clock, fs};
use natureddit_data::{Dataset, LabelImport, Labels, TableError, TitleImport, Titles};

use crate::reddit::{Reddit, config, run};

fn classes() -> ClassNames {
    ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec()).unwrap()
}

async fn dataset(dir: &Path) -> Dataset {
    run(Reddit::with_photos(4)).await.collect(&config(dir)).await.unwrap();
    Dataset::read(dir).unwrap()
}

fn import(labels_dir: &Path, csv: &str, dataset: &Dataset) -> Result<LabelImport, String> {
    let file = labels_dir.join("import.csv");
    fs::write_atomic(&file, csv).unwrap();
    let mut labels = Labels::read(labels_dir).unwrap();
    let clock = Clock::fixed(1_651_363_200);
    let result = labels.import(&file, &classes(), dataset, "ann", &clock).map_err(|e| e.to_string());
    assert_eq!(labels, Labels::read(labels_dir).unwrap());
    result
}

/// The choices that count, by post.
fn latest<'a>(labels: &'a Labels, dataset: &'a Dataset) -> Vec<(&'a str, &'a str)> {
    let choices = labels.latest();
    dataset.rows().into_iter().filter_map(|row| Some((row.post.id.as_str(), choices.of(row)?))).collect()
}

#[tokio::test]
async fn choices_are_added_once_and_the_latest_wins() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder.path().join("data")).await;
    let dir = folder.path().join("labels");
    let csv = "choice,note,id\nfauna,x,p000\nflora,y,t3_p001\nfauna,z,p999\n";
    let expected = LabelImport { added: 2, unknown_ids: 1, ..LabelImport::default() };
    assert_eq!(import(&dir, csv, &dataset), Ok(expected));
    let written = fs::read_to_string(&dir.join("labels.csv")).unwrap();
    assert_eq!(
        written,
        "id,img_name,choice,labelled_by,labelled_at\n\
         p000,p000_0.png,fauna,ann,2022-05-01T00:00:00\n\
         p001,p001_0.png,flora,ann,2022-05-01T00:00:00\n"
    );
    let again = LabelImport { unchanged: 2, unknown_ids: 1, ..LabelImport::default() };
    assert_eq!(import(&dir, csv, &dataset), Ok(again));
    assert_eq!(fs::read_to_string(&dir.join("labels.csv")).unwrap(), written);

    import(&dir, "id,choice\np000,landscape\n", &dataset).unwrap();
    let labels = Labels::read(&dir).unwrap();
    assert_eq!(labels.all().len(), 3);
    assert_eq!(latest(&labels, &dataset), [("p000", "landscape"), ("p001", "flora")]);
}

#[tokio::test]
async fn a_choice_that_is_left_empty_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder.path().join("data")).await;
    let dir = folder.path().join("labels");
    import(&dir, "id,choice\np000,fauna\n", &dataset).unwrap();
    let csv = "id,img_name,choice\np000,p000_0.png,\np001,p001_0.png,flora\np002,,  \np999,,\n";
    let expected = LabelImport { added: 1, undecided: 3, ..LabelImport::default() };
    assert_eq!(import(&dir, csv, &dataset), Ok(expected));
    let labels = Labels::read(&dir).unwrap();
    assert_eq!(latest(&labels, &dataset), [("p000", "fauna"), ("p001", "flora")]);
    // Its id is looked at all the same.
    let error = import(&dir, "id,choice\n../a,\n", &dataset).unwrap_err();
    assert!(error.contains("line 2: id: not a post id"), "{error}");
}

#[tokio::test]
async fn one_bad_line_keeps_the_whole_import_out() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder.path().join("data")).await;
    let dir = folder.path().join("labels");
    for (csv, problem) in [
        (
            "id,choice\np000,fauna\np001,Flora\n",
            "line 3: choice: \"Flora\" is none of the classes fauna, flora, landscape",
        ),
        ("id,choice\n../a,fauna\n", "line 2: id: not a post id (1 to 32 letters, digits, '-' or '_'): \"../a\""),
        ("id,choice\np000\n", "line 2: 1 columns instead of 2"),
        ("id,label\np000,fauna\n", "the header has no column \"choice\""),
    ] {
        let error = import(&dir, csv, &dataset).unwrap_err();
        assert!(error.contains("import.csv") && error.ends_with(problem), "{error}");
        assert!(!dir.join("labels.csv").exists());
    }
}

#[tokio::test]
async fn two_choices_for_one_photo_are_refused_unless_one_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder.path().join("data")).await;
    let dir = folder.path().join("labels");
    let error = import(&dir, "id,choice\np000,fauna\np001,flora\np000,flora\n", &dataset).unwrap_err();
    assert!(error.ends_with("import.csv, line 4: choice: \"flora\" for what line 2 says is \"fauna\""), "{error}");
    assert!(!dir.join("labels.csv").exists());
    // The same choice twice is one.
    let twice = LabelImport { added: 1, unchanged: 1, ..LabelImport::default() };
    assert_eq!(import(&dir, "id,choice\np000,fauna\np000,fauna\n", &dataset), Ok(twice.clone()));
    // A row that nobody mended says nothing, before the mended one or after it.
    for (csv, choice) in [
        ("id,choice\np000,fauna\np000,flora\n", "flora"),
        ("id,img_name,choice\np000,p000_0.png,fauna\np000,p000_0.png,flora\n", "fauna"),
    ] {
        assert_eq!(import(&dir, csv, &dataset), Ok(twice.clone()), "{csv}");
        assert_eq!(latest(&Labels::read(&dir).unwrap(), &dataset), [("p000", choice)]);
    }
    let error = import(&dir, "id,choice\np000,flora\np000,landscape\n", &dataset).unwrap_err();
    assert!(error.contains("line 3: ") && error.contains("line 2 says is \"flora\""), "{error}");
}

#[tokio::test]
async fn a_photo_that_its_post_does_not_have_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = dataset(&folder.path().join("data")).await;
    // Of a post with one photo the name tells nothing apart; so it has two.
    let mut second = dataset.rows()[0].clone();
    second.img_name = "p000_1.png".to_owned();
    dataset.posts.insert(second.photo_key(), second);
    let csv = "id,img_name,choice\np000,p000_7.png,fauna\np999,x.png,fauna\n";
    let expected =
        LabelImport { unknown_ids: 1, unknown_photos: vec!["p000_7.png".to_owned()], ..LabelImport::default() };
    assert_eq!(import(&folder.path().join("labels"), csv, &dataset), Ok(expected));
}

#[test]
fn titles_are_imported_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("titles_reddit.csv");
    let mut titles = Titles::read(folder.path()).unwrap();
    let csv = "id,subreddit,title,choice,created_utc\nb,x,\"A, rose\",flora,1\na,x,A bear\u{7},fauna,2\n";
    fs::write_atomic(&file, csv).unwrap();
    let first = titles.import(&file, &classes()).unwrap();
    assert_eq!(first, TitleImport { added: 2, changed: 0, unchanged: 0 });
    let written = fs::read_to_string(&folder.path().join("titles.csv")).unwrap();
    assert_eq!(written, "id,title,choice\na,A bear,fauna\nb,\"A, rose\",flora\n");
    let second = titles.import(&file, &classes()).unwrap();
    assert_eq!(second, TitleImport { added: 0, changed: 0, unchanged: 2 });
    assert_eq!(fs::read_to_string(&folder.path().join("titles.csv")).unwrap(), written);
    assert_eq!(Titles::read(folder.path()).unwrap(), titles);
    // A class that the settings had once stops nobody.
    let fewer = ClassNames::new(vec!["fauna".into(), "landscape".into()]).unwrap();
    fs::write_atomic(&file, "id,title,choice\na,A bear,fauna\n").unwrap();
    assert_eq!(titles.import(&file, &fewer).unwrap(), TitleImport { added: 0, changed: 0, unchanged: 1 });

    fs::write_atomic(&file, "id,title,choice\nc,fine,fauna\na, ,fauna\n").unwrap();
    let error = titles.import(&file, &classes()).unwrap_err().to_string();
    assert!(error.ends_with("line 3: title: there is none"), "{error}");
    fs::write_atomic(&file, "id,title,choice\nc,fine,fauna\nc,fine,flora\n").unwrap();
    let error = titles.import(&file, &classes()).unwrap_err().to_string();
    assert!(error.ends_with("line 3: choice: \"flora\" for what line 2 says is \"fauna\""), "{error}");
    assert_eq!(titles.all().count(), 2);
}

#[tokio::test]
async fn labels_are_added_in_the_order_of_the_columns_that_the_file_has() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder.path().join("data")).await;
    let dir = folder.path().join("labels");
    let edited = "choice,id,labelled_at,labelled_by,img_name\nfauna,p000,2022-04-30T00:00:00,bob,p000_0.png\n";
    fs::write_atomic(&dir.join("labels.csv"), edited).unwrap();
    import(&dir, "id,choice\np001,flora\n", &dataset).unwrap();
    let written = fs::read_to_string(&dir.join("labels.csv")).unwrap();
    assert_eq!(written, format!("{edited}flora,p001,2022-05-01T00:00:00,ann,p001_0.png\n"));
    let labels = Labels::read(&dir).unwrap();
    assert_eq!(latest(&labels, &dataset), [("p000", "fauna"), ("p001", "flora")]);
}

#[tokio::test]
async fn two_imports_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder.path().join("data")).await;
    let dir = folder.path().join("labels");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write_atomic(&path, text).unwrap();
        path
    };
    let (first, second) = (file("1.csv", "id,choice\np000,fauna\n"), file("2.csv", "id,choice\np001,flora\n"));
    let clock = Clock::fixed(1_651_363_200);
    let (mut a, mut b) = (Labels::read(&dir).unwrap(), Labels::read(&dir).unwrap());
    a.import(&first, &classes(), &dataset, "ann", &clock).unwrap();
    b.import(&second, &classes(), &dataset, "bob", &clock).unwrap();
    assert_eq!(Labels::read(&dir).unwrap().all().len(), 2);

    let titles = file("3.csv", "id,title,choice\nx,A bear,fauna\n");
    let lock = fs::try_lock(&dir.join(".lock")).unwrap().unwrap();
    let error = a.import(&second, &classes(), &dataset, "ann", &clock).unwrap_err();
    assert!(matches!(&error, TableError::Locked { .. }), "{error}");
    let error = Titles::read(&dir).unwrap().import(&titles, &classes()).unwrap_err();
    assert!(matches!(&error, TableError::Locked { .. }), "{error}");
    drop(lock);
}

#[test]
fn titles_with_columns_of_the_users_own_are_refused_before_they_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    fs::write_atomic(&folder.path().join("titles.csv"), "id,title,choice,note\na,A bear,fauna,mine\n").unwrap();
    let error = Titles::read(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("the header has an unknown column \"note\""), "{error}");
}
