//! The daily update from outside: its seven tasks, two machines that share a dataset, and what must not get lost.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use natureddit_core::ClassNames;
use natureddit_sandbox::{Sandbox, SandboxConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::collecting::{content, write_settings};
use crate::natureddit::{Natureddit, Run};

/// The days of the simulator's window.
const FIRST: &str = "2022-08-03";
const SECOND: &str = "2022-08-04";

/// A simulator whose posts are of two days.
fn reddit() -> (Runtime, Sandbox) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let classes = ["fauna", "flora", "landscape"].map(str::to_owned).to_vec();
    let config = SandboxConfig::new(12, 90, ClassNames::new(classes).unwrap());
    let sandbox = runtime.block_on(Sandbox::start(config)).unwrap();
    (runtime, sandbox)
}

/// Machines that share a remote of git and one of DVC.
struct Team {
    folder: TempDir,
    sandbox: Sandbox,
    _runtime: Runtime,
}

impl Team {
    fn new() -> Self {
        let (runtime, sandbox) = reddit();
        let team = Self { folder: tempfile::tempdir().unwrap(), sandbox, _runtime: runtime };
        git(team.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]);
        git(team.folder.path(), &["init", "--quiet", "--initial-branch=main", "ann"]);
        let ann = team.named("ann");
        team.introduce("ann");
        git(&ann, &["remote", "add", "origin", "../origin.git"]);
        write_settings(&ann, &team.sandbox);
        let remote = team.named("remote");
        ok(Natureddit::new().in_dir(&ann).args(["dvc", "init", "--remote", remote.to_str().unwrap()]));
        fs::write(ann.join(".gitignore"), "/data/.lock\n/labels/.lock\n").unwrap();
        git(&ann, &["add", "natureddit.toml", ".gitignore"]);
        git(&ann, &["commit", "--quiet", "--message", "first"]);
        git(&ann, &["push", "--quiet", "--set-upstream", "origin", "main"]);
        team
    }

    fn named(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn introduce(&self, name: &str) {
        let machine = self.named(name);
        git(&machine, &["config", "user.name", name]);
        git(&machine, &["config", "user.email", &format!("{name}@example.org")]);
    }

    fn clone_as(&self, name: &str) -> PathBuf {
        git(self.folder.path(), &["clone", "--quiet", "origin.git", name]);
        self.introduce(name);
        self.named(name)
    }
}

/// What git prints.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn ok(mut command: Natureddit) -> Run {
    let run = command.run();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run
}

fn daily(machine: &Path, date: &str) -> Value {
    let run = ok(Natureddit::new().in_dir(machine).args(["daily", "--date", date, "--json"]));
    serde_json::from_str(&run.stdout).unwrap()
}

fn task(machine: &Path, name: &str, date: &str) -> Run {
    Natureddit::new().in_dir(machine).args(["task", name, "--date", date]).run()
}

const TASKS: [&str; 7] =
    ["pull_dataset", "load_settings", "obtain_posts", "resize_images", "merge_datasets", "update_dvc", "push"];

/// The posts and photos of a dataset.
fn data(project: &Path) -> BTreeMap<String, Vec<u8>> {
    let is_data = |name: &str| name == "posts.csv" || name == "dropped.csv" || name.starts_with("images/");
    content(project).into_iter().filter(|(name, _)| is_data(name)).collect()
}

/// What one collection over both days makes.
fn collected_at_once(team: &Team) -> BTreeMap<String, Vec<u8>> {
    let alone = tempfile::tempdir().unwrap();
    write_settings(alone.path(), &team.sandbox);
    ok(Natureddit::new().in_dir(alone.path()).args(["collect"]));
    let expected = data(alone.path());
    assert!(expected.len() > 10);
    expected
}

#[test]
fn two_days_by_two_machines_are_the_dataset_that_one_collection_makes() {
    let team = Team::new();
    let ann = team.named("ann");
    let first = daily(&ann, FIRST);
    assert!(first["tasks"]["merge_datasets"]["posts_new"].as_u64().unwrap() > 0, "{first}");
    assert_eq!(first["tasks"]["push"]["upstream"], "origin/main");
    let message = git(&ann, &["log", "-1", "--format=%B"]);
    let new = &first["tasks"]["merge_datasets"]["posts_new"];
    assert!(
        message.starts_with(&format!("Dataset of {FIRST}: {new} new posts\n\nPosts from {FIRST}T00:00:00Z")),
        "{message}"
    );
    let bob = team.clone_as("bob");
    let second = daily(&bob, SECOND);
    assert_eq!(second["tasks"]["merge_datasets"]["rows_replaced"], 0);
    daily(&ann, SECOND);

    let expected = collected_at_once(&team);
    for machine in [&ann, &bob] {
        assert!(data(machine) == expected, "{}", machine.display());
        assert_eq!(git(machine, &["status", "--porcelain"]), "", "all is committed");
    }
    assert_eq!(git(&ann, &["rev-parse", "HEAD"]), git(&bob, &["rev-parse", "HEAD"]), "nothing was new to ann");
    assert!(fs::read_dir(ann.join("data/.daily").join(SECOND)).unwrap().all(|entry| !entry.unwrap().path().is_dir()));
}

#[test]
fn a_task_that_is_run_again_ends_in_the_same_state() {
    let team = Team::new();
    let ann = team.named("ann");
    for name in TASKS {
        let run = task(&ann, name, FIRST);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        let again = task(&ann, name, FIRST);
        assert_eq!(again.code, Some(0), "{name}: {}", again.stderr);
    }
    let (head, before) = (git(&ann, &["rev-parse", "HEAD"]), data(&ann));
    // Also from elsewhere.
    ok(Natureddit::new().in_dir(&team.named("origin.git")).args(["daily", "--date", FIRST, "--project", "../ann"]));
    assert_eq!(git(&ann, &["rev-parse", "HEAD"]), head);
    assert!(data(&ann) == before);
}

#[test]
fn a_task_says_which_one_comes_before_it() {
    let team = Team::new();
    let ann = team.named("ann");
    for (name, before) in
        [("obtain_posts", "load_settings"), ("resize_images", "load_settings"), ("merge_datasets", "load_settings")]
    {
        let run = task(&ann, name, FIRST);
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(&format!("the task {before} of {FIRST} is not done")), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("hint: natureddit task {before} --date {FIRST}")), "{}", run.stderr);
    }
    assert_eq!(task(&ann, "load_settings", FIRST).code, Some(0));
    assert_eq!(task(&ann, "obtain_posts", FIRST).code, Some(0));
    let run = task(&ann, "merge_datasets", FIRST);
    assert!(run.stderr.contains("the task resize_images of"), "{}", run.stderr);
    assert_eq!(task(&ann, "resize_images", "2999-01-01").code, Some(2));
}

#[test]
fn nothing_but_the_dataset_is_committed() {
    let team = Team::new();
    let ann = team.named("ann");
    fs::write(ann.join("notes.txt"), "of ann").unwrap();
    fs::write(ann.join("staged.txt"), "of ann").unwrap();
    git(&ann, &["add", "staged.txt"]);
    fs::create_dir_all(ann.join("labels")).unwrap();
    fs::write(ann.join("labels/titles.csv"), "title,choice\nA rose,flora\n").unwrap();
    daily(&ann, FIRST);
    assert_eq!(git(&ann, &["status", "--porcelain"]), "A  staged.txt\n?? notes.txt\n");
    let committed = git(&ann, &["show", "--name-only", "--format=", "HEAD"]);
    let expected = [
        "data/.gitignore",
        "data/dataset.toml",
        "data/dropped.csv.dvc",
        "data/gaps.jsonl",
        "data/images.dvc",
        "data/posts.csv.dvc",
        "labels/titles.csv",
    ];
    assert_eq!(committed.lines().collect::<Vec<_>>(), expected);
}

/// Everything before `push`.
fn all_but_push(machine: &Path, date: &str) {
    for name in &TASKS[..6] {
        let run = task(machine, name, date);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
    }
}

#[test]
fn a_rejected_push_goes_on_top_of_what_others_pushed() {
    let team = Team::new();
    let (ann, bob) = (team.named("ann"), team.clone_as("bob"));
    all_but_push(&ann, FIRST);
    fs::write(bob.join("README"), "of bob").unwrap();
    git(&bob, &["add", "README"]);
    git(&bob, &["commit", "--quiet", "--message", "bob's"]);
    git(&bob, &["push", "--quiet"]);
    // A change of ann's own, which is none of the program's business, is in the way and stays.
    fs::write(ann.join("natureddit.toml"), fs::read_to_string(ann.join("natureddit.toml")).unwrap() + "\n# ann\n")
        .unwrap();
    let run = task(&ann, "push", FIRST);
    assert!(run.code == Some(1) && run.stderr.contains("hint: commit or stash your changes"), "{}", run.stderr);
    git(&ann, &["checkout", "--", "natureddit.toml"]);
    let run = task(&ann, "push", FIRST);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let log = git(&ann, &["log", "--format=%an", "origin/main"]);
    assert_eq!(log.lines().collect::<Vec<_>>(), ["ann", "bob", "ann"]);
    assert_eq!(fs::read_to_string(ann.join("README")).unwrap(), "of bob");
}

#[test]
fn commits_of_others_are_not_moved() {
    let team = Team::new();
    let (ann, bob) = (team.named("ann"), team.clone_as("bob"));
    all_but_push(&ann, FIRST);
    for (machine, name) in [(&bob, "README"), (&ann, "LICENSE")] {
        fs::write(machine.join(name), "x").unwrap();
        git(machine, &["add", name]);
        git(machine, &["commit", "--quiet", "--message", name]);
    }
    git(&bob, &["push", "--quiet"]);
    let head = git(&ann, &["rev-parse", "HEAD"]);
    let run = task(&ann, "push", FIRST);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("origin/main has commits that are not here"), "{}", run.stderr);
    assert_eq!(git(&ann, &["rev-parse", "HEAD"]), head);
}

#[test]
fn two_versions_of_the_dataset_are_reported_and_neither_is_lost() {
    let team = Team::new();
    let (ann, bob) = (team.named("ann"), team.clone_as("bob"));
    all_but_push(&ann, FIRST);
    let before = content(&ann);
    let head = git(&ann, &["rev-parse", "HEAD"]);
    daily(&bob, SECOND);
    let run = task(&ann, "push", FIRST);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("origin/main changed the same files: data/"), "{}", run.stderr);
    assert_eq!((git(&ann, &["rev-parse", "HEAD"]), git(&ann, &["status", "--porcelain"])), (head, String::new()));
    assert!(content(&ann) == before);

    // As the hint says.
    let copy = team.named("copy");
    fs::rename(ann.join("data"), &copy).unwrap();
    git(&ann, &["reset", "--quiet", "--keep", "@{upstream}"]);
    ok(Natureddit::new().in_dir(&ann).args(["dvc", "pull"]));
    ok(Natureddit::new().in_dir(&ann).args(["dataset", "merge", copy.to_str().unwrap()]));
    let both = data(&ann);
    daily(&ann, SECOND);
    assert!(data(&ann) == both);
    assert!(data(&bob).len() < both.len());
}

#[test]
fn what_was_changed_here_and_not_versioned_stays() {
    let team = Team::new();
    let (ann, bob) = (team.named("ann"), team.clone_as("bob"));
    daily(&ann, FIRST);
    ok(Natureddit::new().in_dir(&ann).args(["collect"]));
    let collected = data(&ann);
    let run = task(&ann, "pull_dataset", SECOND);
    assert!(run.code == Some(0) && run.stdout.contains("no version holds its changes yet"), "{}", run.stdout);
    assert!(data(&ann) == collected);

    daily(&bob, SECOND);
    let run = task(&ann, "pull_dataset", SECOND);
    assert!(run.code == Some(1) && run.stderr.contains("origin/main has another version"), "{}", run.stderr);
    assert!(data(&ann) == collected);
}

#[test]
fn a_commit_counts_what_it_brings_whenever_that_was_merged() {
    let team = Team::new();
    let ann = team.named("ann");
    let hook = ann.join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho no, says the hook >&2\nexit 1\n").unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&hook).status().unwrap().success());
    let run = Natureddit::new().in_dir(&ann).args(["daily", "--date", FIRST]).run();
    assert!(run.code == Some(1) && run.stderr.contains("no, says the hook"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: a hook may refuse it"), "{}", run.stderr);
    fs::remove_file(&hook).unwrap();
    let done = daily(&ann, FIRST);
    let posts = &done["tasks"]["merge_datasets"]["posts"];
    assert_eq!(done["tasks"]["merge_datasets"]["posts_new"], 0);
    let title = git(&ann, &["log", "-1", "--format=%s"]);
    assert_eq!(title, format!("Dataset of {FIRST}: {posts} new posts\n"));
}

#[test]
fn two_versions_are_told_before_a_third_is_made() {
    let team = Team::new();
    let (ann, bob) = (team.named("ann"), team.clone_as("bob"));
    all_but_push(&ann, FIRST);
    daily(&bob, SECOND);
    let (head, before) = (git(&ann, &["rev-parse", "HEAD"]), content(&ann));
    let run = Natureddit::new().in_dir(&ann).args(["daily", "--date", SECOND]).run();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("origin/main changed the same files: data/"), "{}", run.stderr);
    assert!(git(&ann, &["rev-parse", "HEAD"]) == head && content(&ann) == before);
}

#[test]
fn commits_that_go_nowhere_are_told_at_the_end() {
    let team = Team::new();
    let ann = team.named("ann");
    git(&ann, &["switch", "--quiet", "--detach"]);
    let run = ok(Natureddit::new().in_dir(&ann).args(["daily", "--date", FIRST]));
    assert!(run.stdout.contains("no commit was pushed, and the last one is on no branch"), "{}", run.stdout);
    git(&ann, &["switch", "--quiet", "-c", "own"]);
    let run = ok(Natureddit::new().in_dir(&ann).args(["daily", "--date", SECOND]));
    assert!(run.stdout.contains("no commit was pushed: the branch follows none"), "{}", run.stdout);
}

#[test]
fn what_git_alone_pulled_is_not_taken_for_a_change() {
    let team = Team::new();
    let (ann, bob) = (team.named("ann"), team.named("bob"));
    daily(&ann, FIRST);
    team.clone_as("bob");
    daily(&bob, SECOND);
    git(&ann, &["pull", "--quiet"]);
    let done = daily(&ann, SECOND);
    assert_eq!(done["tasks"]["pull_dataset"]["changed"], Value::Array(Vec::new()), "{done}");
    assert!(data(&ann) == data(&bob));
    assert_eq!(git(&ann, &["rev-parse", "HEAD"]), git(&bob, &["rev-parse", "HEAD"]));
}

/// Runs the update of a day until it is time, and kills it. Whether it did not end before.
fn is_killed_when(machine: &Path, date: &str, is_time: impl Fn() -> bool) -> bool {
    let mut running = Natureddit::new().in_dir(machine).args(["daily", "--date", date]).spawn(Stdio::null());
    while !is_time() {
        if running.child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    // On Unix this is SIGKILL.
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    true
}

/// How many files lie below a folder.
fn count(folder: &Path) -> usize {
    // What is removed meanwhile does not count.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

/// Kills the update of a day after each of its tasks, and in the middle of those that move data, each time further on.
fn kill_everywhere(team: &Team, machine: &Path, date: &str) {
    let day = machine.join("data/.daily").join(date);
    let is_done = |task: &str| day.join(format!("{task}.json")).exists();
    let (images, cache, remote) =
        (machine.join("data/images"), machine.join(".dvc/cache/files"), team.named("remote/files"));
    let media = || team.sandbox.log().iter().filter(|entry| entry.path.starts_with("/media/")).count();
    let before = [media(), count(&images), count(&cache), count(&remote)];
    let points: [(&str, &dyn Fn() -> bool); 11] = [
        ("fetched", &|| count(&cache) > before[2] + 4),
        ("checked out", &|| count(&images) > before[1] + 2),
        ("pull_dataset", &|| is_done("pull_dataset")),
        ("asked", &|| media() > before[0] + 5),
        ("obtain_posts", &|| is_done("obtain_posts")),
        ("resize_images", &|| is_done("resize_images")),
        ("merge_datasets", &|| is_done("merge_datasets")),
        ("versioned", &|| count(&cache) > before[2] + 10 && is_done("merge_datasets")),
        ("update_dvc", &|| is_done("update_dvc")),
        ("sent", &|| count(&remote) > before[3] + 4),
        ("push", &|| is_done("push")),
    ];
    let killed = points.iter().filter(|(_, is_time)| is_killed_when(machine, date, is_time)).count();
    assert!(killed >= 6, "it ended before its time but {killed} times");
}

#[test]
fn an_update_that_is_killed_anywhere_and_run_again_is_as_one_that_was_not() {
    let team = Team::new();
    let ann = team.named("ann");
    kill_everywhere(&team, &ann, FIRST);
    daily(&ann, FIRST);
    let bob = team.clone_as("bob");
    kill_everywhere(&team, &bob, SECOND);
    daily(&bob, SECOND);
    let carol = team.clone_as("carol");
    ok(Natureddit::new().in_dir(&carol).args(["dvc", "pull"]));
    let expected = collected_at_once(&team);
    for machine in [&bob, &carol] {
        assert!(data(machine) == expected, "{}", machine.display());
        assert_eq!(git(machine, &["status", "--porcelain"]), "");
    }
    assert_eq!(
        ok(Natureddit::new().in_dir(&bob).args(["dvc", "status"])).stdout,
        "everything is as the pointers say\n"
    );
}

#[test]
fn a_post_that_is_forgotten_before_it_is_merged_leaves_no_photo() {
    let team = Team::new();
    let ann = team.named("ann");
    for name in &TASKS[..3] {
        assert_eq!(task(&ann, name, FIRST).code, Some(0));
    }
    let obtained = ann.join("data/.daily").join(FIRST).join("posts");
    let images = || -> Vec<String> {
        let names = fs::read_dir(obtained.join("images")).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    };
    let id = images()[0].split('_').next().unwrap().to_owned();
    ok(Natureddit::new().in_dir(&ann).args(["dataset", "forget", &id]));
    assert!(images().iter().all(|name| !name.starts_with(&format!("{id}_"))));
    assert!(!fs::read_to_string(obtained.join("posts.csv")).unwrap().contains(&format!(",{id},")));
    daily(&ann, FIRST);
    assert!(!fs::read_to_string(ann.join("data/posts.csv")).unwrap().contains(&format!(",{id},")));
    assert_eq!(git(&ann, &["ls-files", "data/tombstones.csv"]), "data/tombstones.csv\n");
}

#[test]
fn without_a_repository_there_is_a_word_about_it() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    let run = Natureddit::new().in_dir(folder.path()).args(["daily", "--date", FIRST]).run();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("hint: go into one, or make one: `natureddit dvc init`"), "{}", run.stderr);

    // Without git everything but the commit is done.
    let remote = folder.path().join("remote");
    ok(Natureddit::new().in_dir(folder.path()).args(["dvc", "init", "--remote", remote.to_str().unwrap()]));
    let done = daily(folder.path(), FIRST);
    assert_eq!(done["tasks"]["update_dvc"]["commit"], Value::Null);
    assert!(remote.join("files/md5").is_dir());
}
