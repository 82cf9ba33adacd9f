//! Repositories of the original layout: tables and folders called after their days, of which there may only be pointers.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::path::Path;

use natureddit_core::Class;
use natureddit_testkit::photo;

use crate::natureddit::{Natureddit, Run};

const HEADER: &str = "author,created_utc,full_link,id,subreddit,title,url,img_name\n";

fn line(id: &str, day: &str) -> String {
    format!("ann,{day}T00:00:07,https://www.reddit.com/{id},{id},flowers,A rose,https://x.example/{id}.jpg,{id}.jpg\n")
}

/// A table and its photos.
fn write_days(folder: &Path, name: &str, day: &str, ids: &[&str]) {
    let rows: String = ids.iter().map(|id| line(id, day)).collect();
    fs::create_dir_all(folder.join(name)).unwrap();
    fs::write(folder.join(format!("{name}.csv")), HEADER.to_owned() + &rows).unwrap();
    for (seed, id) in (0..).zip(ids) {
        fs::write(folder.join(name).join(format!("{id}.jpg")), photo(Class(1), seed)).unwrap();
    }
}

fn natureddit<const N: usize>(folder: &Path, args: [&str; N]) -> Run {
    Natureddit::new().in_dir(folder).args(args).run()
}

#[test]
fn what_a_repository_only_points_to_is_pulled_and_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let data = old.join("data");
    let (first, second) = ("2022-05-01_2022-05-08", "2022-05-08_2022-05-15");
    write_days(&data, first, "2022-05-01", &["aa1", "aa2"]);
    write_days(&data, second, "2022-05-08", &["bb1"]);
    fs::write(data.join("notes.csv"), "not,a,dataset\n").unwrap();
    let remote = folder.path().join("remote");
    assert_eq!(natureddit(&old, ["dvc", "init", "--remote", remote.to_str().unwrap()]).code, Some(0));
    for name in [first, second] {
        let (table, photos) = (format!("data/{name}.csv"), format!("data/{name}"));
        let run = natureddit(&old, ["dvc", "add", &table, &photos]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    assert_eq!(natureddit(&old, ["dvc", "push"]).code, Some(0));
    // As a fresh clone has it: of the first days there are pointers only.
    fs::remove_dir_all(old.join(".dvc/cache")).unwrap();
    fs::remove_dir_all(data.join(first)).unwrap();
    fs::remove_file(data.join(format!("{first}.csv"))).unwrap();

    fs::create_dir(&new).unwrap();
    assert_eq!(natureddit(&new, ["init"]).code, Some(0));
    let run = natureddit(&new, ["dataset", "import", "../old"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.starts_with("3 rows, 3 of them new"), "{}", run.stdout);
    assert_eq!(natureddit(&new, ["dataset", "validate"]).code, Some(0));
    assert!(data.join(first).join("aa1.jpg").is_file(), "pulled, and left where it was");
    let run = natureddit(&new, ["dataset", "import", "../old/data/2022-05-08_2022-05-15.csv.dvc"]);
    assert!(run.stdout.starts_with("3 rows, 0 of them new"), "{}", run.stdout);

    let run = natureddit(&new, ["dataset", "import", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("hint: name a table such as"), "{}", run.stderr);
}
