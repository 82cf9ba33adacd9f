//! `collect`, `sandbox` and what goes wrong with them, from outside.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use natureddit_sandbox::{AfterMode, Fault, FaultAction, Sandbox, Script};
use tokio::runtime::Runtime;

use crate::collect_hints::collect_from;
use crate::natureddit::{Natureddit, Run};
use crate::truth::{files, sandbox};

/// A simulator and a runtime that serves it while the test waits for the program.
pub(crate) fn reddit() -> (Runtime, Sandbox) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sandbox = runtime.block_on(sandbox(AfterMode::Exclusive, Vec::new()));
    (runtime, sandbox)
}

pub(crate) fn write_settings(dir: &Path, sandbox: &Sandbox) {
    let window = sandbox.window();
    let moment = |second| jiff::Timestamp::from_second(second).unwrap();
    let hosts = sandbox.host_map().into_iter().map(|(host, target)| format!("\"{host}\" = \"{target}\"\n"));
    let text = format!(
        "[collect]\nsince = \"{}\"\nuntil = \"{}\"\n[net.host_map]\n{}",
        moment(window.since),
        moment(window.until),
        hosts.collect::<String>()
    );
    fs::write(dir.join("natureddit.toml"), text).unwrap();
}

fn collect_in(dir: &Path) -> Run {
    let run = Natureddit::new().in_dir(dir).args(["collect"]).run();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run
}

/// The files of a dataset but for the time at which it was retrieved.
pub(crate) fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let without_time = |(name, bytes): (String, Vec<u8>)| {
        if name == "gaps.jsonl" {
            let text = String::from_utf8(bytes).unwrap();
            let without = |part: &str| part.split_once(',').unwrap().1.to_owned();
            let mut parts = text.split("\"asked_at\":");
            let first = parts.next().unwrap().to_owned();
            return (name, parts.map(without).fold(first, |text, part| text + &part).into_bytes());
        }
        if name != "dataset.toml" {
            return (name, bytes);
        }
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("retrieved_at"));
        (name, lines.collect::<Vec<_>>().join("\n").into_bytes())
    };
    files(&dir.join("data")).into_iter().map(without_time).collect()
}

#[test]
fn a_collection_that_is_killed_and_run_again_is_as_one_that_was_not() {
    let (_runtime, sandbox) = reddit();
    let clean = tempfile::tempdir().unwrap();
    write_settings(clean.path(), &sandbox);
    collect_in(clean.path());
    let expected = content(clean.path());
    let media_requests = || sandbox.log().iter().filter(|entry| entry.path.starts_with("/media/")).count();
    for after in [2, 17, 40] {
        let folder = tempfile::tempdir().unwrap();
        write_settings(folder.path(), &sandbox);
        let before = media_requests();
        let mut killed = Natureddit::new().in_dir(folder.path()).args(["collect"]).spawn(Stdio::null());
        while media_requests() < before + after {
            assert!(killed.child.try_wait().unwrap().is_none(), "it ended before it could be killed");
            std::thread::yield_now();
        }
        // On Unix this is SIGKILL.
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
        assert!(folder.path().join("data/.collect.jsonl").is_file(), "killed after {after} photos");
        collect_in(folder.path());
        assert!(content(folder.path()) == expected, "killed after {after} photos");
    }
}

/// Without what differs from run to run: how long it took, and how far a step was at some moment.
fn without_times(stderr: &str) -> String {
    let lines = stderr.lines().filter(|line| !line.contains(r#""event":"progress""#));
    let without = |line: &str| {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "finish" {
            event["seconds"] = "[TIME]".into();
        }
        event.to_string()
    };
    lines.map(without).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_collection_as_json_is_one_document_and_an_event_a_line() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    let run = Natureddit::new().in_dir(folder.path()).args(["collect", "--json"]).run();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut result: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(result["seconds"].take().is_number());
    insta::assert_snapshot!(format!("{result:#}\n{}", without_times(&run.stderr)));
    let quiet = Natureddit::new().in_dir(folder.path()).args(["collect", "--json", "--quiet"]).run();
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_collection_ends_with_a_table() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    let times = |line: &str| {
        if line.starts_with("posts from") { line.split(", collected").next().unwrap() } else { line }.to_owned()
    };
    let table = |run: Run| run.stdout.lines().map(times).collect::<Vec<_>>().join("\n");
    let (first, second) = (table(collect_in(folder.path())), table(collect_in(folder.path())));
    insta::assert_snapshot!(format!("{first}\n\nagain\n\n{second}"));
}

/// The simulator asks for a long wait, and the program says so while it waits.
#[test]
fn a_wait_for_a_limit_is_told() {
    for (args, told) in [
        (
            vec!["collect", "--json"],
            r#"{"event":"waiting","host":"api.pullpush.io","reason":"retry_after","seconds":600.0}"#,
        ),
        (vec!["collect"], "waiting 600 s for api.pullpush.io (as it asks)"),
    ] {
        let (runtime, sandbox) = reddit();
        let folder = tempfile::tempdir().unwrap();
        write_settings(folder.path(), &sandbox);
        let action = FaultAction::TooManyPage { retry_after: 600 };
        let script = Script { faults: vec![Fault::new("/pullpush/", 2, 1, action)], ..Script::default() };
        sandbox.play(script);
        let mut natureddit = Natureddit::new().in_dir(folder.path());
        for arg in args {
            natureddit = natureddit.args([arg]);
        }
        let mut running = natureddit.spawn(Stdio::null());
        let lines = BufReader::new(running.child.stderr.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).find(|line| line.contains("waiting")).map(|line| line.trim() == told);
        assert_eq!(told, Some(true));
        drop(runtime);
    }
}

#[test]
fn two_collections_of_one_folder_are_refused() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let lock = natureddit_core::fs::try_lock(&data.join(".lock")).unwrap().unwrap();
    let run = Natureddit::new().in_dir(folder.path()).args(["collect"]).run();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("is in use by another collection"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: wait until it is done"), "{}", run.stderr);
    drop(lock);
}

#[test]
fn a_post_is_forgotten_for_good_and_the_dataset_stays_whole() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    collect_in(folder.path());
    let run = |args: &[&str], code: i32| {
        let mut natureddit = Natureddit::new().in_dir(folder.path());
        for arg in args {
            natureddit = natureddit.args([arg]);
        }
        let run = natureddit.run();
        assert_eq!(run.code, Some(code), "{args:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    };
    let table = || fs::read_to_string(folder.path().join("data/posts.csv")).unwrap();
    let gone = fs::read_dir(folder.path().join("data/images")).unwrap().next().unwrap().unwrap().file_name();
    let gone = gone.to_str().unwrap().split('_').next().unwrap().to_owned();
    let (rows, name) = (table().lines().count(), format!(",{gone},"));
    assert!(table().contains(&name));

    let told = run(&["dataset", "forget", &format!("t3_{gone}")], 0);
    assert!(told.starts_with("1 post forgotten: 1 row, 1 photo, ") && told.lines().count() == 1, "{told}");
    let told = run(&["dataset", "forget", "nobody"], 0);
    assert_eq!(told, "the dataset has no post nobody; it is not collected from now on\n");
    let tombstones = || fs::read_to_string(folder.path().join("data/tombstones.csv")).unwrap();
    assert!(tombstones().contains("\nnobody,"));
    // The name of an author, for instance, must not be kept for good.
    run(&["dataset", "forget", "Some_Author"], 1);
    assert!(!tombstones().contains("Some_Author"));
    collect_in(folder.path());
    assert!(!table().contains(&name) && table().lines().count() == rows - 1);
    run(&["dataset", "validate"], 0);
    let exported = run(&["--json", "dataset", "export", "--out", "out"], 0);
    let exported: serde_json::Value = serde_json::from_str(&exported).unwrap();
    run(&["dataset", "import", exported["table"].as_str().unwrap()], 0);
    assert_eq!(table().lines().count(), rows - 1);

    fs::write(folder.path().join("data/images/stray.jpg"), "no photo").unwrap();
    assert!(run(&["dataset", "validate"], 1).contains("stray.jpg: no row names this file"));
    assert!(run(&["dataset", "status"], 0).contains("2 forgotten\n"));
    // A row stays when its photo is lost.
    let stored = folder.path().join("data/images");
    fs::remove_file(stored.join("stray.jpg")).unwrap();
    fs::remove_file(fs::read_dir(stored).unwrap().next().unwrap().unwrap().path()).unwrap();
    let rows = natureddit_data::Dataset::read(&folder.path().join("data")).unwrap().posts.len();
    let told = run(&["dataset", "status"], 0);
    assert!(told.contains(&format!(": {rows} posts, {rows} rows, {} photos, ", rows - 1)), "{told}");
    let refused = Natureddit::new().in_dir(folder.path()).args(["collect", "sync-deletions"]).run();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("NATUREDDIT_REDDIT_CLIENT_ID"), "{}", refused.stderr);
}

#[test]
fn a_folder_without_photos_has_nothing_to_do_with_the_port() {
    for settings in ["", "[sandbox]\nphotos = \"nope\"\n"] {
        let args = if settings.is_empty() { vec!["sandbox", "--photos", "nope"] } else { vec!["sandbox"] };
        let mut natureddit = Natureddit::new().file("natureddit.toml", settings);
        for arg in args {
            natureddit = natureddit.args([arg]);
        }
        let run = natureddit.run();
        assert_eq!(run.code, Some(1));
        let told = |text: &str| run.stderr.contains(text);
        assert!(told("error: the folder of photos") && told("nope is not there"), "{}", run.stderr);
        assert!(
            told("hint: name a folder that holds one folder a class: fauna/*") && !told("--port"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_script_of_faults_is_checked_before_the_simulator_starts() {
    let args = ["sandbox", "--port", "0", "--posts", "3", "--script", "faults.json"];
    let wrong = Natureddit::new().file("faults.json", r#"{"faults": [{"do": "explode"}]}"#).args(args).run();
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(1), ""));
    for told in
        ["error: faults.json is no script of faults", "unknown variant `explode`", "hint: for example: {\"faults\""]
    {
        assert!(wrong.stderr.contains(told), "{}", wrong.stderr);
    }
    let missing = Natureddit::new().args(args).run();
    assert!(missing.stderr.contains("could not read faults.json"), "{}", missing.stderr);

    let script = r#"{"faults": [{"path_contains": "/reddit/search", "times": 99, "do": {"status": {"code": 418}}}]}"#;
    let sandbox = Natureddit::new().file("faults.json", script).args(args).args(["--varied", "--json"]);
    let mut running = sandbox.spawn(Stdio::piped());
    let mut told = String::new();
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    while !told.contains("\n}") {
        assert!(stdout.read_line(&mut told).unwrap() > 0, "{told}");
    }
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let target = told["host_map"]["api.pullpush.io"].as_str().unwrap();
    let collected = collect_from("https://api.pullpush.io", target);
    assert!(collected.stderr.contains("status 418"), "{}", collected.stderr);
}

#[test]
fn ctrl_c_ends_the_simulator_with_a_word() {
    let sandbox = Natureddit::new().args(["sandbox", "--port", "0", "--posts", "3"]);
    let mut running = sandbox.spawn(Stdio::piped());
    let first = BufReader::new(running.child.stdout.take().unwrap()).lines().next();
    assert!(first.unwrap().unwrap().contains("3 posts on http://127.0.0.1:"));
    running.interrupt();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let mut stderr = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(stderr.starts_with("stopped; "), "{stderr:?}");
}

#[test]
fn a_taken_port_has() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = Natureddit::new().args(["sandbox", "--posts", "3", "--port", &port]).run();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("hint: `--port 0` takes any free port"), "{}", run.stderr);
}

#[test]
fn the_hint_is_about_the_file_that_is_wrong() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    collect_in(folder.path());
    let told = |args: &[&str]| {
        let run =
            args.iter().fold(Natureddit::new().in_dir(folder.path()), |natureddit, arg| natureddit.args([*arg])).run();
        format!("{}{}", run.stdout, run.stderr)
    };
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("mine.csv", "id,choice\nabc,fungus\n");
    let bad_line = told(&["label", "import", "mine.csv"]);
    assert!(bad_line.contains("hint: nothing was imported: mend line 2 or leave it out; the choices"), "{bad_line}");
    file("mine.csv", "name,choice\nabc,fauna\n");
    assert!(told(&["label", "import", "mine.csv"]).contains("hint: the file needs a header line"));

    fs::create_dir_all(folder.path().join("labels")).unwrap();
    file("labels/labels.csv", "id,img_name,choice,labelled_by,labelled_at\nabc,x\n");
    file("mine.csv", "id,choice\nabc,fauna\n");
    for args in [&["label", "import", "mine.csv"][..], &["dataset", "status"]] {
        let damaged = told(args);
        assert!(damaged.contains("labels.csv") && damaged.contains("hint: these are people's choices"), "{damaged}");
    }
    fs::remove_dir_all(folder.path().join("labels")).unwrap();

    let record = folder.path().join("data/dataset.toml");
    let whole = fs::read(&record).unwrap();
    file("data/dataset.toml", "posts = \"many\"\n");
    let damaged = told(&["dataset", "status"]);
    assert!(damaged.contains("dataset.toml away: the next `natureddit collect` writes it anew"), "{damaged}");
    fs::write(&record, whole).unwrap();

    assert!(!told(&["dataset", "status"]).contains("warning:"));
    fs::remove_file(folder.path().join("data/posts.csv")).unwrap();
    let missing = told(&["dataset", "status"]);
    assert!(missing.contains("warning: posts.csv is not there, but a record of "), "{missing}");
}

#[test]
fn what_reddit_refuses_is_told_as_refused() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    collect_in(folder.path());
    let sync = || Natureddit::new().in_dir(folder.path()).args(["collect", "sync-deletions"]);
    let wrong = sync().env("NATUREDDIT_REDDIT_CLIENT_ID", "nobody").env("NATUREDDIT_REDDIT_CLIENT_SECRET", "x").run();
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.stderr.contains("hint: nothing was changed; Reddit refused NATUREDDIT_REDDIT_CLIENT_ID"),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stderr.contains("what was collected is kept"), "{}", wrong.stderr);
    let without = sync().run();
    assert!(without.stderr.contains("hint: nothing was changed; Reddit knows: set NATUREDDIT"), "{}", without.stderr);
}

#[test]
fn a_placeholder_of_the_settings_is_one() {
    let (_runtime, sandbox) = reddit();
    let folder = tempfile::tempdir().unwrap();
    write_settings(folder.path(), &sandbox);
    collect_in(folder.path());
    let rows = fs::read_to_string(folder.path().join("data/posts.csv")).unwrap();
    let first = rows.lines().nth(1).unwrap().split(',').find(|cell| cell.len() == 64).unwrap().to_owned();
    let settings = fs::read_to_string(folder.path().join("natureddit.toml")).unwrap();
    let settings = settings.replace("[collect]\n", &format!("[collect]\nplaceholder_sha256 = [\"{first}\"]\n"));
    fs::write(folder.path().join("natureddit.toml"), settings).unwrap();
    fs::remove_dir_all(folder.path().join("data")).unwrap();
    let again = collect_in(folder.path());
    assert!(again.stdout.contains("placeholder"), "{}", again.stdout);
    assert!(!fs::read_to_string(folder.path().join("data/posts.csv")).unwrap().contains(&first));
}

#[test]
fn a_file_of_labels_that_is_not_there_needs_no_header() {
    let args = ["label", "import", "nofile.csv"];
    let run = Natureddit::new().file("natureddit.toml", "").args(args).run();
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("could not read nofile.csv\n  caused by: there is no such file")
            && !run.stderr.contains("header"),
        "{}",
        run.stderr
    );
}

#[test]
fn labels_that_match_no_post_are_an_error_that_says_what_they_may_be() {
    for (file, hint) in [
        ("id,choice\nabc,fauna\n", "hint: the dataset has no posts yet: `natureddit collect --last 1d`"),
        ("id,title,choice\nabc,A fox,fauna\n", "`natureddit label import mine.csv --titles` takes them"),
    ] {
        let natureddit = Natureddit::new().file("natureddit.toml", "").file("mine.csv", file);
        let run = natureddit.args(["label", "import", "mine.csv"]).run();
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stderr.contains("none of the 1 ids of mine.csv is in the dataset"), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{}", run.stderr);
    }
}

#[test]
fn a_demo_takes_no_project_of_somebody_else() {
    for option in ["--project", "--config"] {
        let run = Natureddit::new().args(["demo", option, "mine"]).run();
        assert_eq!(run.code, Some(2));
        assert!(
            run.stderr.contains(&format!("it takes no {option}\nhint: name its folder with --dir")),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_demo_of_too_few_posts_is_refused_before_it_begins() {
    for (args, hint) in [
        (["--posts", "3"], "hint: draw more: --posts 600 --labelled 0.7"),
        (["--labelled", "0.1"], "hint: label more of them: --labelled 1"),
    ] {
        let mut demo = Natureddit::new().args(["demo", "--no-serve"]).args(args);
        let run = demo.run();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains("too few") && run.stderr.contains(hint), "{}", run.stderr);
        assert!(!demo.dir().join("natureddit-demo").exists());
    }
}

#[test]
fn a_demo_with_other_posts_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "# Made by `natureddit demo`\n[sandbox]\nport = 1\nseed = 7\nposts = 60\nphotos = \"\"\n";
    fs::write(folder.path().join("natureddit.toml"), settings).unwrap();
    let dir = folder.path().to_str().unwrap();
    let run = Natureddit::new().args(["demo", "--posts", "50", "--no-serve", "--dir", dir]).run();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("holds a demo with other posts"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: name another folder with --dir"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("natureddit.toml")).unwrap(), settings);
}
