//! `natureddit tracking`, and what a run says of it.

use crate::natureddit::Natureddit;

fn project() -> Natureddit {
    Natureddit::new().file("natureddit.toml", "")
}

#[test]
fn without_a_run_there_is_nothing_to_list_or_show() {
    let list = project().args(["tracking", "list"]).run();
    assert_eq!(list.stdout, "no run was tracked yet\nserver: none; runs are kept here only\n");
    let show = project().args(["tracking", "show"]).run();
    assert_eq!(show.code, Some(1));
    assert_eq!(show.stderr, "error: no run was tracked yet\nhint: `natureddit run` makes one\n");
}

#[test]
fn without_a_server_nothing_can_be_sent() {
    let send = project().args(["tracking", "send"]).run();
    let hint = "hint: set tracking.uri in natureddit.toml, or MLFLOW_TRACKING_URI\n";
    assert_eq!((send.code, send.stderr), (Some(1), format!("error: no MLflow server is named\n{hint}")));

    let send = project().args(["tracking", "send"]).env("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db").run();
    assert!(send.stderr.contains("hint: MLFLOW_TRACKING_URI is no http or https address"), "{}", send.stderr);
}

#[test]
fn a_password_in_the_settings_is_refused_and_not_repeated() {
    let settings = "[tracking]\nuri = \"https://ann:hunter2@host.example\"\n";
    let run = Natureddit::new().file("natureddit.toml", settings).args(["config", "check"]).run();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("MLFLOW_TRACKING_PASSWORD") && !run.stderr.contains("hunter2"), "{}", run.stderr);
}

/// A run that fails is tracked too, and a server that is not there does not change how it ends.
#[test]
fn a_failed_run_is_listed_and_waits_for_its_server() {
    const POSTS: &str = "author,created_utc,full_link,id,subreddit,title,url,img_name,source,flair,over_18,width,height,sha256,phash\n\
        ann,1651363200,l,p1,pics,A fox,u,p1.jpg,s,,false,1,1,\
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,00000000ffffffff\n";
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let uri = format!("http://{free}");
    let mut command = project().file("data/posts.csv", POSTS).args(["run"]).env("MLFLOW_TRACKING_URI", &uri);
    let run = command.run();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let told = run.stderr.lines().filter(|line| line.contains("tracking: ")).collect::<Vec<_>>();
    assert!(told.len() == 1 && told[0].contains("1 run could not be sent"), "{}", run.stderr);
    assert!(told[0].contains("`natureddit tracking send`"), "{}", run.stderr);
    let mut command = command.args(["--quiet"]);
    let quiet = command.run().stderr;
    assert!(quiet.contains("1 run could not be sent") || quiet.contains("2 runs could not be sent"), "{quiet}");

    let send = ["tracking", "send", "--json"];
    let send = Natureddit::new().args(send).in_dir(&command.dir()).env("MLFLOW_TRACKING_URI", &uri).run();
    let sent: serde_json::Value = serde_json::from_str(&send.stdout).unwrap();
    assert_eq!((send.code, sent["hint"].is_string()), (Some(1), true), "{}", send.stdout);
    assert!(sent["problem"].as_str().unwrap().contains("failed"), "{sent}");

    let list = Natureddit::new().args(["tracking", "list", "--json"]).in_dir(&command.dir()).run();
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let listed = &list["runs"][0];
    assert_eq!((listed["status"].as_str(), listed["sent"].as_str()), (Some("failed"), Some("waiting")));
}
