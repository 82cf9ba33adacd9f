//! Model archives and TorchServe's config.properties from outside.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use insta::assert_snapshot;
use natureddit_testkit::tiny_bundle;

use crate::natureddit::Natureddit;
use crate::the_loop::{json, with_assets};

/// A project whose model has the versions 1 and 2, and a candidate that was not pushed.
fn project() -> Natureddit {
    let natureddit = Natureddit::new().file("natureddit.toml", "");
    for (folder, seed) in [("models/naturedditTI/1", 1), ("models/naturedditTI/2", 2), ("candidate", 3)] {
        tiny_bundle(&natureddit.dir().join(folder), "naturedditTI", seed);
    }
    natureddit
}

#[test]
fn help_of_archive_has_its_examples() {
    assert_snapshot!(Natureddit::new().args(["model", "archive", "--help"]).snapshot());
}

#[test]
fn help_of_serve_has_its_examples() {
    assert_snapshot!(Natureddit::new().args(["serve", "--help"]).snapshot());
}

#[test]
fn a_version_becomes_an_archive_that_is_not_written_over_unless_it_is_asked_for() {
    let kept = project();
    let dir = kept.dir();
    let run = |args: &[&str]| Natureddit::new().in_dir(&dir).args(["model", "archive"]).arguments(args).run();
    let first = json(&run(&["--json"]));
    assert_eq!((&first["version"], &first["file"]), (&2.into(), &"naturedditTI.mar".into()));
    let again = run(&[]);
    assert_eq!(again.code, Some(1));
    assert_eq!(
        again.stderr,
        "error: naturedditTI.mar is there already\nhint: --force writes over it; --out names another\n"
    );
    let same = json(&run(&["2", "--force", "--json"]));
    assert_eq!(first["sha256"], same["sha256"]);
    natureddit_core::fs::create_dir_all(&dir.join("store")).unwrap();
    let other = json(&run(&["naturedditTI/1", "--out", "store/x.mar", "--json"]));
    assert_eq!(other["version"], 1);
    assert_ne!(other["sha256"], same["sha256"]);
    let told = |args: &[&str]| run(args).stdout;
    let here = told(&["2", "--force"]);
    assert!(
        here.ends_with("\n  torchserve --start --model-store . --models naturedditTI=naturedditTI.mar\n"),
        "{here}"
    );
    let there = told(&["1", "--force", "--out", "store/x.mar"]);
    for line in ["serve --models naturedditTI=store/x.mar\n", "--model-store store --models naturedditTI=x.mar\n"] {
        assert!(there.contains(line), "{there}");
    }
    let candidate = json(&run(&["candidate", "--out", "c.mar", "--json"]));
    assert_eq!(candidate["version"], 1);
    for (args, why) in [
        (vec!["--out", "x.zip"], "--out x.zip is no name of a model archive"),
        (vec!["--out", "models/x.mar"], "lies in a folder that the project keeps for itself"),
        (vec!["../secret"], "neither a model nor the folder of a bundle"),
    ] {
        let refused = run(&args);
        assert!(refused.code == Some(2) && refused.stderr.contains(why), "{args:?}: {}", refused.stderr);
    }
    let nowhere = run(&["7", "--out", "n.mar"]);
    assert!(nowhere.code == Some(1) && nowhere.stderr.contains("version 7 of naturedditTI"), "{}", nowhere.stderr);
}

#[test]
fn an_archive_of_a_python_program_is_refused_with_the_way_out() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let manifest = r#"{"model":{"modelName":"naturedditTI","handler":"handler.py","modelVersion":"1.0"}}"#;
    for (name, content) in [("MAR-INF/MANIFEST.json", manifest), ("handler.py", "import torch\n")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, content.as_bytes()).unwrap();
    }
    let foreign = zip.finish().unwrap().into_inner();
    let natureddit = with_assets().file("store/naturedditTI.mar", foreign);
    assert_snapshot!(natureddit.args(["--quiet", "serve", "--model-store", "store"]).snapshot());
}

fn with_properties(properties: &str) -> Natureddit {
    Natureddit::new().file("natureddit.toml", "").file("ts/config.properties", properties)
}

#[test]
fn what_the_file_of_torchserve_cannot_say_is_told_with_its_line() {
    let serve = |properties: &str| with_properties(properties).args(["serve", "--ts-config", "ts/config.properties"]);
    assert_snapshot!("bad_value", serve("# batches\nbatch_size=0\n").snapshot());
    assert_snapshot!("keystore", serve("keystore=keystore.p12\n").snapshot());
    assert_snapshot!("no_file", Natureddit::new().args(["serve", "--ts-config", "config.properties"]).snapshot());
    // The environment names it as well, and its variables are asked where a value names them.
    let by_variable = with_properties("model_store=$$STORE_OF_NOBODY$$/models\n");
    assert_snapshot!("not_set", by_variable.env("TS_CONFIG_FILE", "ts/config.properties").args(["serve"]).snapshot());
}

#[test]
fn a_server_without_a_model_speaks_http_where_the_file_of_torchserve_says_so() {
    let properties = "inference_address=http://127.0.0.1:0\nmanagement_address=http://127.0.0.1:0\n\
         metrics_address=http://127.0.0.1:0\nmetrics_mode=prometheus\nload_models=none\nnumber_of_netty_threads=32\nbatch_sise=4\n";
    let natureddit = with_properties(properties).args(["serve", "--ts-config", "ts/config.properties"]);
    let mut serving = natureddit.spawn(Stdio::piped());
    let mut told = BufReader::new(serving.child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let ready = told.next().unwrap();
    let url = ready.strip_prefix("serving on ").and_then(|rest| rest.split_once("  (")).unwrap().0;
    let metrics = told.find_map(|line| line.strip_prefix("metrics at ").map(str::to_owned)).unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    // Without this reqwest has no cryptography; the second test to install it is told that it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let ping = client.get(format!("{url}/ping")).send().unwrap();
    assert!(ping.status().is_success());
    let counted = client.get(metrics).send().unwrap().text().unwrap();
    assert!(counted.contains("\nRequests2XX{Level=\"Host\",Hostname="), "{counted}");
    serving.interrupt();
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    let mut told = String::new();
    serving.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    for note in [
        "config.properties line 6: number_of_netty_threads has no effect: there is no Java here",
        "config.properties line 7: batch_sise is no key of TorchServe; batch_size is one",
    ] {
        assert!(told.contains(note), "{told}");
    }
}

/// Serves no model, logs more than a pipe holds, and is stopped.
fn answers_all_and_stops(stderr: Stdio) {
    let properties = "inference_address=http://127.0.0.1:0\nload_models=none\n";
    let natureddit = with_properties(properties).env("NATUREDDIT_LOG", "natureddit_serve=info").args([
        "serve",
        "--ts-config",
        "ts/config.properties",
        "--management-address",
        "off",
        "--metrics-address",
        "off",
    ]);
    let mut serving = natureddit.spawn_with(Stdio::piped(), stderr);
    let ready = BufReader::new(serving.child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let url = ready.strip_prefix("serving on ").and_then(|rest| rest.split_once("  (")).unwrap().0;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    // A line has 256 bytes of a path, and a pipe takes 64 kB.
    let long = "x".repeat(300);
    for _ in 0..400 {
        assert_eq!(client.get(format!("{url}/{long}")).send().unwrap().status(), 404);
    }
    serving.interrupt();
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_whose_log_is_on_a_full_disk_answers() {
    answers_all_and_stops(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into());
}

#[test]
fn a_server_whose_log_nobody_reads_answers_and_stops() {
    let (_unread, stderr) = std::io::pipe().unwrap();
    answers_all_and_stops(stderr.into());
}
