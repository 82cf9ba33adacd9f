//! A repository of DVC from its work tree to a remote and back. That the real tool agrees is shown by
//! `cargo xtask interop`; here is what can be shown without it.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use natureddit_core::{Clock, Progress};
use natureddit_data::dvc::hash::{HashKind, Md5, ObjectId};
use natureddit_data::dvc::remote::{Access, AwsFiles};
use natureddit_data::dvc::{Change, CheckedOut, DvcError, DvcOptions, DvcRepo, Keep};
use natureddit_net::{ClientConfig, HostMap, Pacing, RetryPolicy};
use tempfile::TempDir;

use crate::remotes::bucket;

/// A repository with a remote in a folder beside it.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.init("repo", "");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn init(&self, name: &str, more: &str) {
        let dvc = self.path(name).join(".dvc");
        fs::create_dir_all(&dvc).unwrap();
        let config = format!("[core]\n    remote = origin\n['remote \"origin\"']\n    url = ../../remote\n{more}");
        fs::write(dvc.join("config"), config).unwrap();
    }

    fn open(&self, name: &str) -> DvcRepo {
        DvcRepo::open(&self.path(name), options()).unwrap()
    }

    /// A clone: the pointers and the settings, as git would bring them.
    fn clone_as(&self, name: &str) -> DvcRepo {
        self.init(name, "");
        for entry in fs::read_dir(self.path("repo/data")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "dvc") {
                fs::create_dir_all(self.path(name).join("data")).unwrap();
                fs::copy(&path, self.path(name).join("data").join(path.file_name().unwrap())).unwrap();
            }
        }
        self.open(name)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Every file below a folder and its content.
    fn files(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        fn walk(folder: &Path, above: &str, files: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = format!("{above}{}", entry.file_name().to_str().unwrap());
                match entry.path().is_dir() {
                    true => walk(&entry.path(), &format!("{name}/"), files),
                    false => _ = files.insert(name, fs::read(entry.path()).unwrap()),
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(&self.path(name), "", &mut files);
        files
    }

    fn targets(&self, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| self.path("repo").join(name)).collect()
    }
}

fn options() -> DvcOptions {
    let client = ClientConfig {
        user_agent: "test".into(),
        connect_timeout: Duration::from_secs(1),
        total_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(1),
        retry: RetryPolicy { retries_max: 0, backoff: Duration::ZERO, backoff_max: Duration::ZERO },
        redirects_max: 0,
        requests_per_host_max: 1,
        host_map: HostMap::default(),
    };
    DvcOptions {
        fsync: true,
        jobs: 0,
        lock_wait: Duration::ZERO,
        object_bytes_max: 1_000_000,
        config_files: Vec::new(),
        access: Access { client, pacing: Pacing::none(), aws: None, aws_files: AwsFiles::default(), token: None },
        clock: Clock::System,
        progress: Progress::silent(),
    }
}

/// The photos and the table of the examples.
fn filled() -> Bench {
    let bench = Bench::new();
    bench.write("repo/data/x.csv", "a,b\n1,2\n");
    for (name, content) in
        [("b.jpg", "hello"), ("a.jpg", "world"), ("a-b.jpg", "dash"), ("sub/c.jpg", "hello"), ("empty", "")]
    {
        bench.write(&format!("repo/data/imgs/{name}"), content);
    }
    fs::create_dir_all(bench.path("repo/data/imgs/hollow")).unwrap();
    bench
}

#[test]
fn what_is_added_is_written_as_the_real_tool_writes_it() {
    let bench = filled();
    let added = bench.open("repo").add(&bench.targets(&["data/x.csv", "data/imgs"])).unwrap();
    assert!(added.iter().all(|added| added.is_changed));
    let pointer = fs::read_to_string(bench.path("repo/data/x.csv.dvc")).unwrap();
    let expected = "outs:\n- md5: e5ebd4c02cefbe7955977c67ada242b7\n  size: 8\n  hash: md5\n  path: x.csv\n";
    assert_eq!(pointer, expected);
    let files = bench.files("repo/.dvc/cache");
    // Five contents, for two of the six files are alike, and the list.
    assert_eq!(files.len(), 6, "{:?}", files.keys());
    assert_eq!(files["files/md5/5d/41402abc4b2a76b9719d911017c592"], b"hello");
    let list = files.iter().find(|(name, _)| name.ends_with(".dir")).unwrap().1;
    assert!(list.starts_with(b"[{\"md5\": \"") && !list.ends_with(b"\n"));
    let metadata = fs::metadata(bench.path("repo/.dvc/cache/files/md5/5d/41402abc4b2a76b9719d911017c592")).unwrap();
    assert!(metadata.permissions().readonly());
    // The second time nothing is changed.
    let again = bench.open("repo").add(&bench.targets(&["data/x.csv", "data/imgs"])).unwrap();
    assert!(again.iter().all(|added| !added.is_changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_pulled_elsewhere() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/x.csv", "data/imgs"])).unwrap();
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 6);
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 0);
    let other = bench.clone_as("other");
    let pulled = other.pull(&[], None, false).await.unwrap();
    assert_eq!((pulled.fetched.objects, pulled.checked_out.added), (6, 6));
    let wanted: BTreeMap<_, _> =
        bench.files("repo/data").into_iter().filter(|(name, _)| !name.starts_with(".git")).collect();
    assert_eq!(bench.files("other/data"), wanted);
    let again = other.pull(&[], None, false).await.unwrap();
    assert_eq!((again.fetched.objects, again.checked_out), (0, CheckedOut::default()));
    assert!(other.status(&[]).unwrap().is_empty());
    let cloud = other.cloud_status(&[], None).await.unwrap();
    assert!(cloud[0].new.is_empty() && cloud[0].deleted.is_empty() && cloud[0].missing.is_empty());
}

/// So many that they are hashed side by side, of such lengths that none ends where another does.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_folder_only_the_file_that_is_named_is_fetched() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    repo.push(&[], None).await.unwrap();
    let clone = bench.clone_as("clone");
    let target = bench.path("clone/data/imgs/a.jpg");
    let pulled = clone.pull(std::slice::from_ref(&target), None, false).await.unwrap();
    // With the list that names it.
    assert_eq!((pulled.fetched.objects, pulled.checked_out.added), (2, 1));
    assert_eq!(bench.files("clone/data/imgs").keys().collect::<Vec<_>>(), ["a.jpg"]);
    assert_eq!(clone.pull(&[target], None, false).await.unwrap().fetched.objects, 0);
    let rest = clone.pull(&[], None, false).await.unwrap();
    assert_eq!((rest.fetched.objects, rest.checked_out.added), (3, 4));
    assert!(clone.status(&[]).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_may_be_as_long_as_the_file_system_takes() {
    let bench = Bench::new();
    let name = "z".repeat(255);
    bench.write(&format!("repo/data/q/{name}"), "content");
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/q"])).unwrap();
    fs::remove_dir_all(bench.path("repo/data/q")).unwrap();
    repo.checkout(&[], false).unwrap();
    assert_eq!(fs::read(bench.path(&format!("repo/data/q/{name}"))).unwrap(), b"content");
}

#[test]
fn a_pointer_that_git_could_not_merge_is_told_as_that() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/x.csv"])).unwrap();
    let path = bench.path("repo/data/x.csv.dvc");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n")).unwrap();
    let error = repo.status(&[]).unwrap_err().to_string();
    assert!(error.ends_with("x.csv.dvc has two versions, which git could not merge"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_are_hashed_as_each_of_them_alone() {
    let bench = Bench::new();
    let content = |number: usize| -> Vec<u8> { (0..number * number * 7).map(|at| (at * number) as u8).collect() };
    for number in 0..90 {
        bench.write(&format!("repo/data/many/{number}.jpg"), content(number));
    }
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/many"])).unwrap();
    let object = |number: usize| {
        let md5 = Md5::of(&content(number));
        ObjectId { kind: HashKind::Md5, md5, is_dir: false }.path()
    };
    for number in 0..90 {
        assert_eq!(fs::read(bench.path("repo/.dvc/cache").join(object(number))).unwrap(), content(number));
    }
    // One that is lost is stored again, though nothing changed.
    fs::remove_file(bench.path("repo/.dvc/cache").join(object(50))).unwrap();
    assert!(!repo.add(&bench.targets(&["data/many"])).unwrap()[0].is_changed);
    assert!(bench.path("repo/.dvc/cache").join(object(50)).exists());
    // Of one that is spoilt, nothing is sent under its name, nor put into a work tree.
    drop(repo);
    fs::remove_file(bench.path("repo/.dvc/tmp/natureddit.state")).unwrap();
    let spoilt = bench.path("repo/.dvc/cache").join(object(60));
    fs::remove_file(&spoilt).unwrap();
    fs::write(&spoilt, content(61)).unwrap();
    let repo = bench.open("repo");
    let error = repo.push(&[], None).await.unwrap_err();
    assert!(matches!(&error, DvcError::Corrupt { .. }), "{error}");
    assert!(!bench.path("remote").join(object(60)).exists() && !spoilt.exists());
    repo.add(&bench.targets(&["data/many"])).unwrap();
    assert_eq!(fs::read(&spoilt).unwrap(), content(60));
    // 0.jpg is empty, and all the others differ.
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 91);
    let other = bench.clone_as("other");
    assert_eq!(other.pull(&[], None, false).await.unwrap().checked_out.added, 90);
    assert_eq!(bench.files("other/data/many"), bench.files("repo/data/many"));
    // Again with the list at hand, and one file that is not as it says.
    bench.write("other/data/many/7.jpg", "changed");
    let error = other.pull(&[], None, false).await.unwrap_err();
    assert!(matches!(error, DvcError::WouldLose { .. }), "{error}");
    let pulled = other.pull(&[], None, true).await.unwrap();
    assert_eq!((pulled.fetched.objects, pulled.checked_out.modified), (0, 1));
    assert_eq!(bench.files("other/data/many"), bench.files("repo/data/many"));
}

#[test]
fn changes_are_seen_without_the_state_of_before() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs", "data/x.csv"])).unwrap();
    bench.write("repo/data/imgs/new.jpg", "new");
    // As long as before, and within the same moment.
    bench.write("repo/data/imgs/a.jpg", "WORLD");
    fs::remove_file(bench.path("repo/data/imgs/b.jpg")).unwrap();
    fs::remove_file(bench.path("repo/data/x.csv")).unwrap();
    let status = repo.status(&[]).unwrap();
    let of = |path: &str| status.iter().find(|status| status.path == path).unwrap();
    let imgs = of("data/imgs");
    assert_eq!(imgs.change, Change::Modified);
    assert_eq!(
        (&imgs.added[..], &imgs.modified[..], &imgs.deleted[..]),
        (&["new.jpg".to_owned()][..], &["a.jpg".to_owned()][..], &["b.jpg".to_owned()][..])
    );
    assert_eq!(of("data/x.csv").change, Change::Deleted);
}

#[test]
fn nothing_is_lost_by_a_checkout() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    bench.write("repo/data/imgs/a.jpg", "not added");
    bench.write("repo/data/imgs/new.jpg", "nor this");
    // A content that the cache has may go.
    bench.write("repo/data/imgs/copy.jpg", "hello");
    let error = repo.checkout(&[], false).unwrap_err();
    assert!(matches!(&error, DvcError::WouldLose { count: 2, .. }), "{error}");
    assert_eq!(fs::read(bench.path("repo/data/imgs/a.jpg")).unwrap(), b"not added");
    assert!(bench.path("repo/data/imgs/copy.jpg").exists());
    let done = repo.checkout(&[], true).unwrap();
    assert_eq!(done, CheckedOut { added: 0, modified: 1, deleted: 2 });
    assert_eq!(fs::read(bench.path("repo/data/imgs/a.jpg")).unwrap(), b"world");
    assert!(!bench.path("repo/data/imgs/new.jpg").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_object_reaches_no_work_tree() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    repo.push(&[], None).await.unwrap();
    let hello = "files/md5/5d/41402abc4b2a76b9719d911017c592";
    let spoil = |path: PathBuf| {
        fs::remove_file(&path).unwrap();
        fs::write(&path, "HELLO").unwrap();
    };
    // In the remote: named, kept aside, and the others come.
    spoil(bench.path("remote").join(hello));
    let other = bench.clone_as("other");
    let error = other.pull(&[], None, false).await.unwrap_err();
    assert!(matches!(&error, DvcError::Corrupt { .. }) && error.to_string().contains("5d41402a"), "{error}");
    assert!(!bench.path("other/data/imgs").exists());
    assert!(!bench.path("other/.dvc/cache").join(hello).exists());
    // In the cache: neither pushed nor checked out.
    spoil(bench.path("repo/.dvc/cache").join(hello));
    fs::remove_file(bench.path("repo/data/imgs/b.jpg")).unwrap();
    let error = repo.checkout(&[], false).unwrap_err();
    assert!(matches!(&error, DvcError::Corrupt { .. }), "{error}");
    assert!(!bench.path("repo/data/imgs/b.jpg").exists());
    // The work tree still has it under another name, and that mends both.
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    fs::remove_file(bench.path("remote").join(hello)).unwrap();
    fs::remove_dir_all(bench.path("remote")).unwrap();
    repo.push(&[], None).await.unwrap();
    assert_eq!(fs::read(bench.path("remote").join(hello)).unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_dvc_2_stays_as_it_is_until_it_changes() {
    let bench = Bench::new();
    let legacy = "outs:\n- md5: 8008342073a9d4724b3ecac99c9ab78f.dir\n  size: 5\n  nfiles: 1\n  path: ds\n";
    let list = r#"[{"md5": "7d793037a0760186574b0282f2f435e7", "relpath": "a.jpg"}]"#;
    bench.write("remote/80/08342073a9d4724b3ecac99c9ab78f.dir", list);
    bench.write("remote/7d/793037a0760186574b0282f2f435e7", "world");
    // Of a text with CR LF the hash is that with LF.
    bench.write("remote/e5/ebd4c02cefbe7955977c67ada242b7", "a,b\r\n1,2\r\n");
    bench.write("repo/data/ds.dvc", legacy);
    let table = "outs:\n- md5: e5ebd4c02cefbe7955977c67ada242b7\n  size: 10\n  path: x.csv\n";
    bench.write("repo/data/x.csv.dvc", table);
    let repo = bench.open("repo");
    repo.pull(&[], None, false).await.unwrap();
    assert_eq!(fs::read(bench.path("repo/data/x.csv")).unwrap(), b"a,b\r\n1,2\r\n");
    repo.add(&bench.targets(&["data/ds", "data/x.csv"])).unwrap();
    assert_eq!(fs::read_to_string(bench.path("repo/data/ds.dvc")).unwrap(), legacy);
    assert_eq!(fs::read_to_string(bench.path("repo/data/x.csv.dvc")).unwrap(), table);
    bench.write("repo/data/ds/b.jpg", "more");
    repo.add(&bench.targets(&["data/ds"])).unwrap();
    let upgraded =
        "outs:\n- md5: 11f13eff838ed022a2e938c7aa363191.dir\n  size: 9\n  nfiles: 2\n  path: ds\n  hash: md5\n";
    assert_eq!(fs::read_to_string(bench.path("repo/data/ds.dvc")).unwrap(), upgraded);
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 3);
    assert!(bench.path("remote/files/md5/7d/793037a0760186574b0282f2f435e7").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_what_nothing_points_to() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    fs::remove_file(bench.path("repo/data/imgs/a.jpg")).unwrap();
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    // The old list and the photo.
    let would = repo.gc(Keep::default(), false, None, false).await.unwrap();
    assert_eq!((would.objects, would.is_removed), (2, false));
    let before = bench.files("repo/.dvc/cache").len();
    let done = repo.gc(Keep::default(), false, None, true).await.unwrap();
    assert_eq!((done.objects, bench.files("repo/.dvc/cache").len()), (2, before - 2));
    assert!(repo.status(&[]).unwrap().is_empty());
    assert_eq!(repo.gc(Keep::default(), false, None, true).await.unwrap().objects, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_half_written_is_garbage_unless_others_may_be_writing_it() {
    let half_written = ["files/md5/.new.0123456789abcdef-0.partial", "files/md5/5d/.41.0123456789abcdef-1.partial"];
    for (config, folder, expected) in [("", "repo/.dvc/cache", 2), ("[cache]\n    dir = ../../shared\n", "shared", 0)] {
        let bench = filled();
        bench.init("repo", config);
        let repo = bench.open("repo");
        repo.add(&bench.targets(&["data/imgs"])).unwrap();
        for name in half_written {
            let path = bench.path(&format!("{folder}/{name}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"half").unwrap();
        }
        let done = repo.gc(Keep::default(), false, None, true).await.unwrap();
        assert_eq!((done.partials, done.objects, done.bytes), (expected, 0, 4 * expected as u64));
        let left = half_written.iter().filter(|name| bench.path(&format!("{folder}/{name}")).exists()).count();
        assert_eq!(left, 2 - expected);
    }
}

#[test]
fn links_are_of_the_type_that_is_configured() {
    for (kind, is_link) in [("hardlink", false), ("symlink", true), ("copy", false)] {
        let bench = filled();
        bench.init("repo", &format!("[cache]\n    type = {kind}\n"));
        let repo = bench.open("repo");
        repo.add(&bench.targets(&["data/imgs"])).unwrap();
        fs::remove_dir_all(bench.path("repo/data/imgs")).unwrap();
        repo.checkout(&[], false).unwrap();
        let path = bench.path("repo/data/imgs/b.jpg");
        assert_eq!(fs::symlink_metadata(&path).unwrap().is_symlink(), is_link, "{kind}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().readonly(), kind != "copy", "{kind}");
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert!(repo.status(&[]).unwrap().is_empty(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_whose_object_is_gone_is_a_file_that_is_gone() {
    let bench = filled();
    bench.init("repo", "[cache]\n    type = symlink\n");
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    repo.push(&[], None).await.unwrap();
    fs::remove_file(bench.path("repo/.dvc/cache/files/md5/7d/793037a0760186574b0282f2f435e7")).unwrap();
    let status = repo.status(&[]).unwrap();
    assert_eq!((status[0].change, status[0].deleted.as_slice()), (Change::Modified, ["a.jpg".to_owned()].as_slice()));
    let error = repo.add(&bench.targets(&["data/imgs"])).unwrap_err();
    assert!(matches!(&error, DvcError::LeadsNowhere { path } if path.ends_with("a.jpg")), "{error}");
    let pulled = repo.pull(&[], None, false).await.unwrap();
    assert_eq!(pulled.fetched.objects, 1);
    assert_eq!(fs::read(bench.path("repo/data/imgs/a.jpg")).unwrap(), b"world");
    assert!(repo.status(&[]).unwrap().is_empty());
}

#[test]
fn what_cannot_be_added_is_said_and_left() {
    let bench = filled();
    bench.write("repo/.dvcignore", "*.tmp\n");
    bench.write("repo/data/y.tmp", "y");
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    for (target, words) in [
        ("data/none", "is not there"),
        ("data/imgs.dvc", "it is a pointer"),
        ("data", "overlaps with data/imgs"),
        ("data/y.tmp", ".dvcignore"),
        ("../remote", "not in the repository"),
    ] {
        let target = DvcRepo::absolute(&bench.path("repo"), Path::new(target));
        let error = repo.add(&[target]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = DvcRepo::open(&bench.path("repo"), options()).unwrap_err();
    assert!(matches!(error, DvcError::Busy { .. }), "{error}");
    drop(repo);
    let error = DvcRepo::open(bench.folder.path(), options()).unwrap_err();
    assert!(matches!(error, DvcError::NoRepository { .. }), "{error}");
}

#[test]
fn a_list_leads_nowhere_by_a_link() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    fs::remove_dir_all(bench.path("repo/data/imgs/sub")).unwrap();
    fs::create_dir_all(bench.path("outside")).unwrap();
    std::os::unix::fs::symlink(bench.path("outside"), bench.path("repo/data/imgs/sub")).unwrap();
    let error = repo.checkout(&[], true).unwrap_err();
    assert!(matches!(error, DvcError::InTheWay { .. }), "{error}");
    assert!(bench.files("outside").is_empty());
}

#[test]
fn a_file_of_a_tracked_folder_is_added_alone() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    bench.write("repo/data/imgs/new.jpg", "new");
    bench.write("repo/data/imgs/other.jpg", "other");
    repo.add(&bench.targets(&["data/imgs/new.jpg"])).unwrap();
    let status = repo.status(&[]).unwrap();
    assert_eq!((status[0].added.as_slice(), status[0].modified.len()), (&["other.jpg".to_owned()][..], 0));
    let pointer = fs::read_to_string(bench.path("repo/data/imgs.dvc")).unwrap();
    assert!(pointer.contains("size: 22\n  nfiles: 6\n"), "{pointer}");
}

#[test]
fn a_pointer_that_leads_out_of_the_data_is_refused() {
    for path in ["../../evil", "../.git/hooks/post-checkout", "../.dvc/config", ".."] {
        let bench = filled();
        let repo = bench.open("repo");
        repo.add(&bench.targets(&["data/x.csv"])).unwrap();
        let pointer = fs::read_to_string(bench.path("repo/data/x.csv.dvc")).unwrap();
        bench.write("repo/data/x.csv.dvc", pointer.replace("path: x.csv", &format!("path: {path}")));
        let error = repo.checkout(&[], true).unwrap_err().to_string();
        assert!(error.contains("to point to"), "{path}: {error}");
        assert!(!bench.path("evil").exists() && !bench.path("repo/.git").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_folder_lost_is_pushed_again() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    repo.push(&[], None).await.unwrap();
    fs::remove_file(bench.path("remote/files/md5/5d/41402abc4b2a76b9719d911017c592")).unwrap();
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 1);
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_bucket_lost_is_pushed_again() {
    let server = bucket::start().await;
    let bench = filled();
    let config = format!(
        "[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://bucket/pre\n    endpointurl = http://{}\n    \
         access_key_id = key-1\n    secret_access_key = hush\n",
        server.address
    );
    fs::write(bench.path("repo/.dvc/config"), config).unwrap();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 5);
    let is_hello = |key: &String| key.ends_with("files/md5/5d/41402abc4b2a76b9719d911017c592");
    let key = server.store().objects.keys().find(|key| is_hello(key)).cloned().unwrap();
    server.store().objects.remove(&key);
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 1);
    assert_eq!(repo.push(&[], None).await.unwrap().objects, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stages_made_is_no_garbage() {
    let bench = filled();
    let repo = bench.open("repo");
    repo.add(&bench.targets(&["data/imgs"])).unwrap();
    bench.write("repo/dvc.lock", "schema: '2.0'\n");
    let error = repo.gc(Keep::default(), false, None, true).await.unwrap_err();
    assert!(matches!(error, DvcError::Stages { .. }), "{error}");
}
