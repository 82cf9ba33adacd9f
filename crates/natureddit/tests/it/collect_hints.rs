//! What `collect` says when it cannot do what it was asked, and what to do about it.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;

use crate::collecting::reddit;
use crate::natureddit::{Natureddit, Run};

/// A project whose source is this host, at which nothing listens or which the simulator does not know.
pub(crate) fn collect_from(base_url: &str, target: &str) -> Run {
    let host = url::Url::parse(base_url).unwrap().host_str().unwrap().to_owned();
    let settings = format!(
        "[collect.pushshift]\nbase_url = \"{base_url}\"\n[net]\nretries_max = 0\n[net.host_map]\n\"{host}\" = \"{target}\"\n"
    );
    let args = ["collect", "--since", "2022-05-01", "--until", "2022-05-02"];
    Natureddit::new().file("natureddit.toml", settings).args(args).run()
}

#[test]
fn the_hint_depends_on_what_failed_and_nothing_is_told_as_done() {
    let (_runtime, sandbox) = reddit();
    let wrong_path = collect_from("https://wrong.example", &format!("http://{}/nothing", sandbox.address()));
    assert_eq!(wrong_path.code, Some(1));
    assert!(wrong_path.stderr.contains("after 2022-04-30T23:59:59Z"), "{}", wrong_path.stderr);
    assert!(wrong_path.stderr.contains("hint: check collect.pushshift.base_url"), "{}", wrong_path.stderr);
    assert!(!wrong_path.stderr.contains("done:"), "{}", wrong_path.stderr);

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = collect_from("https://down.example", &format!("http://{free}"));
    assert!(nobody.stderr.contains("run the same command again"), "{}", nobody.stderr);
    // Not what each layer of the client calls it.
    let causes: Vec<_> = nobody.stderr.lines().filter_map(|line| line.trim().strip_prefix("caused by: ")).collect();
    assert!(causes[1].starts_with("the connection for https://down.example/"), "{}", nobody.stderr);
    assert!(causes.len() == 3 && causes[2].starts_with("Connection refused"), "{}", nobody.stderr);
    let told = format!("hint: net.host_map sends down.example to http://{free}/: does it listen?");
    assert!(nobody.stderr.contains(&told), "{}", nobody.stderr);
    let port = free.port();
    let direct = Natureddit::new()
        .file(
            "natureddit.toml",
            format!("[collect.pushshift]\nbase_url = \"http://no-such-host.invalid:{port}\"\n[net]\nretries_max = 0\n"),
        )
        .args(["collect", "--since", "2022-05-01", "--until", "2022-05-02"])
        .run();
    let told = format!("hint: can this machine reach http://no-such-host.invalid:{port}/, collect.pushshift.base_url?");
    assert!(direct.stderr.contains(&told), "{}", direct.stderr);
}

#[test]
fn a_collection_without_a_window_is_a_usage_error_with_an_example() {
    let run = Natureddit::new().file("natureddit.toml", "").args(["collect"]).run();
    assert_eq!(run.code, Some(2));
    let hint = "hint: for example: --last 1d, or --since 2022-05-01 --until 2022-05-08";
    assert!(run.stderr.contains(hint), "{}", run.stderr);
}

#[test]
fn an_empty_window_is_a_usage_error_with_dates() {
    let args = ["collect", "--since", "2022-05-02", "--until", "2022-05-01"];
    let run = Natureddit::new().file("natureddit.toml", "").args(args).run();
    assert_eq!(run.code, Some(2));
    let expected = "error: the window from 2022-05-02T00:00:00Z until 2022-05-01T00:00:00Z is empty";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert!(run.stderr.contains("hint: --until must be later than --since"), "{}", run.stderr);
    for (settings, args, told) in [
        ("", ["--since", "2999-01-01"], "hint: now, for want of --until, must be later than --since"),
        (
            "[collect]\nuntil = \"2022-01-01\"\n",
            ["--since", "2022-05-01"],
            "hint: collect.until must be later than --since",
        ),
        (
            "[collect]\nsince = \"2022-01-01\"\n",
            ["--until", "2021-05-01"],
            "hint: --until must be later than collect.since",
        ),
        ("", ["--last", "99999999d"], "error: --last reaches back to before 1970"),
        ("", ["--last", "9223372036854775807d"], "error: --last reaches back to before 1970"),
        ("", ["--last", "-1d"], "write a number of days, hours or minutes: 1d, 12h, 90m"),
    ] {
        let run = Natureddit::new().file("natureddit.toml", settings).args(["collect"]).args(args).run();
        assert_eq!(run.code, Some(2), "{args:?}");
        assert!(run.stderr.contains(told), "{args:?}: {}", run.stderr);
    }
}

/// What `collect` says of one file of posts in a project.
fn collect_dump(dump: &str, settings: &str) -> (tempfile::TempDir, Run) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("posts.ndjson"), dump).unwrap();
    let settings = format!(
        "[collect]\nsource = \"dump\"\nsubreddits = [\"flowers\", \"flowrs\"]\n{settings}[collect.dump]\nfiles = [\"posts.ndjson\"]\n"
    );
    fs::write(folder.path().join("natureddit.toml"), settings).unwrap();
    let args = ["collect", "--since", "2022-05-01", "--until", "2022-06-01"];
    let run = Natureddit::new().in_dir(folder.path()).args(args).run();
    (folder, run)
}

#[test]
fn lines_of_a_dump_that_are_no_posts_are_named_and_counted() {
    let post = r#"{"id": "a", "created_utc": 1651363200, "subreddit": "flowers", "is_self": true}"#;
    let dump = format!("\u{feff}{post}\ntorn\n{post}\n{}", "torn\n".repeat(4));
    let (folder, run) = collect_dump(&dump, "");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("5 records could not be read"), "{}", run.stdout);
    let named: Vec<_> =
        run.stderr.lines().filter(|line| line.contains("posts.ndjson") && line.contains("line=")).collect();
    assert!(named.len() == 3 && named[0].contains("line=2") && named[1].contains("line=4"), "{}", run.stderr);
    assert!(run.stderr.lines().any(|line| line.contains("posts.ndjson") && line.contains("lines=5")), "{}", run.stderr);
    // It has no author, which is not the same as one who is gone.
    let dropped = fs::read_to_string(folder.path().join("data/dropped.csv")).unwrap();
    assert!(dropped.contains("a,,flowers,2022-05-01T00:00:00,self_post\n"), "{dropped}");
}

#[test]
fn what_is_in_the_place_of_the_dataset_is_told_with_what_to_do() {
    let (folder, run) = collect_dump("", "");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let data = folder.path().join("data");
    let status = || Natureddit::new().in_dir(folder.path()).args(["dataset", "status"]).run();
    for (table, told, hint) in [
        ("", "posts.csv is empty: it has no header", "hint: take "),
        ("author;id\nann;a\n", "separated by semicolons instead of commas", "hint: save it as CSV with commas"),
    ] {
        fs::write(data.join("posts.csv"), table).unwrap();
        let run = status();
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(told) && run.stderr.contains(hint), "{}", run.stderr);
    }
    fs::remove_dir_all(&data).unwrap();
    fs::write(&data, "a file").unwrap();
    let again = Natureddit::new().in_dir(folder.path()).args(["collect", "--last", "1d"]).run();
    for run in [status(), again] {
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains("hint: a file stands where "), "{}", run.stderr);
    }
}

#[test]
fn a_window_that_has_not_begun_is_no_window() {
    let args = ["collect", "--since", "2950-01-01", "--until", "2951-01-01"];
    let run = Natureddit::new().file("natureddit.toml", "").args(args).run();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("the window 2950-01-01T00:00:00Z to 2951-01-01T00:00:00Z has not begun yet"));
}
