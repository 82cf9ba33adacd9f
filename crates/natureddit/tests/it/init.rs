//! `natureddit init`.

use insta::assert_snapshot;
use natureddit_core::fs;

use crate::natureddit::Natureddit;

#[test]
fn a_project_is_made_in_the_current_folder() {
    assert_snapshot!(Natureddit::new().args(["init"]).snapshot());
}

#[test]
fn a_folder_is_made_and_its_settings_are_right() {
    let mut command = Natureddit::new().args(["init", "deep/project", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&command.run().stdout).unwrap();
    let file = command.dir().join("deep/project/natureddit.toml");
    assert_eq!(made["file"].as_str(), file.to_str());

    let project = file.parent().unwrap().to_str().unwrap();
    let check = Natureddit::new().args(["--project", project, "config", "check"]).run();
    assert_eq!(check.code, Some(0), "{}", check.stderr);
    assert!(check.stdout.ends_with(" is right; every key has its default\n"), "{}", check.stdout);
}

#[test]
fn locks_stay_out_of_version_control_and_an_ignore_file_of_ones_own_stays() {
    let mut command = Natureddit::new().args(["init"]);
    command.run();
    let ignored = fs::read_to_string(&command.dir().join(".gitignore")).unwrap();
    assert_eq!(ignored, "/data/.lock\n/labels/.lock\n/models/*/.lock\n/pipeline/.lock\n/pipeline/tracking/*.lock\n");

    let mut command = Natureddit::new().file(".gitignore", "mine\n").args(["init"]);
    assert_eq!(command.run().code, Some(0));
    assert_eq!(fs::read_to_string(&command.dir().join(".gitignore")).unwrap(), "mine\n");
}

#[test]
fn a_second_init_fails_and_leaves_the_file_as_it_is() {
    let settings = "# mine\n";
    let mut command = Natureddit::new().file("natureddit.toml", settings).args(["init"]);
    command.run();
    assert_eq!(fs::read_to_string(&command.dir().join("natureddit.toml")).unwrap(), settings);
    assert_snapshot!(command.snapshot());
}

#[test]
fn a_folder_that_cannot_be_made_is_told_with_its_cause() {
    assert_snapshot!(Natureddit::new().file("file", "").args(["init", "file/project"]).snapshot());
}

#[test]
fn a_settings_file_to_read_makes_no_sense() {
    assert_snapshot!(Natureddit::new().args(["init", "--config", "x.toml"]).snapshot());
}
