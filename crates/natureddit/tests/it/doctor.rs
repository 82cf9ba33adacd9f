//! `natureddit doctor`. What it finds depends on the machine, so only what must hold on any is compared.

use serde_json::Value;

use crate::natureddit::{Natureddit, Run};

fn report(command: Natureddit) -> (Run, Value) {
    let mut command = command.args(["doctor", "--json"]);
    let run = command.run();
    let report = serde_json::from_str(&run.stdout).unwrap();
    (run, report)
}

fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|finding| finding["check"] == check).unwrap()
}

#[test]
fn every_check_is_told_and_the_exit_code_follows_from_them() {
    let (run, report) = report(Natureddit::new().file("natureddit.toml", ""));
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let expected =
        ["settings", "project folder", "cache folder", "pip", "encoders", "disk space", "memory", "processor cores"];
    assert_eq!(names, expected);
    let failed = checks.iter().any(|finding| finding["status"] == "fail");
    assert_eq!(report["ok"], !failed);
    assert_eq!(run.code, Some(i32::from(failed)));
    for finding in checks {
        assert_eq!(finding["hint"].is_null(), finding["status"] == "ok", "{finding}");
    }
    assert_eq!(finding(&report, "project folder")["status"], "ok");
}

#[test]
fn outside_of_a_project_the_defaults_are_looked_at() {
    let (_, report) = report(Natureddit::new());
    assert_eq!(finding(&report, "settings")["status"], "warn");
    assert_eq!(finding(&report, "settings")["hint"], "`natureddit init` makes a project here");
}

#[test]
fn wrong_settings_fail_and_the_other_checks_are_still_told() {
    let (run, report) = report(Natureddit::new().file("natureddit.toml", "[asets]\n"));
    assert_eq!(run.code, Some(1));
    let settings = finding(&report, "settings");
    assert_eq!(settings["status"], "fail");
    assert_eq!(settings["found"], "unknown key \"asets\" in natureddit.toml line 1");
    assert_eq!(settings["hint"], "did you mean \"assets\"?");
    assert_eq!(finding(&report, "project folder")["status"], "ok");
}

#[test]
fn a_python_that_is_not_there_is_told_with_what_to_do() {
    let settings = "[assets]\npython = \"python-that-is-not-there\"\n";
    let (_, report) = report(Natureddit::new().file("natureddit.toml", settings));
    let pip = finding(&report, "pip");
    assert_eq!(
        (pip["status"].as_str(), pip["found"].as_str()),
        (Some("warn"), Some("python-that-is-not-there was not found"))
    );
}

#[test]
fn a_cache_that_cannot_be_made_fails() {
    let settings = "[assets]\ncache_dir = \"file/cache\"\n";
    let (run, report) = report(Natureddit::new().file("natureddit.toml", settings).file("file", ""));
    assert_eq!(run.code, Some(1));
    assert_eq!(finding(&report, "cache folder")["status"], "fail");
}

#[test]
fn people_get_a_line_for_each_check() {
    let run = Natureddit::new().file("natureddit.toml", "").args(["doctor"]).run();
    assert!(run.stdout.starts_with("ok    settings "), "{}", run.stdout);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
}
