//! Help, version and command lines that make no sense.

use insta::assert_snapshot;

use crate::natureddit::Natureddit;

#[test]
fn help_has_examples() {
    assert_snapshot!(Natureddit::new().args(["--help"]).snapshot());
}

#[test]
fn without_a_command_the_help_is_shown_and_the_exit_code_is_that_of_a_wrong_command_line() {
    let run = Natureddit::new().run();
    assert_eq!(run.code, Some(2));
    assert!(run.stdout.is_empty());
    assert!(run.stderr.contains("Examples:"), "{}", run.stderr);
}

#[test]
fn help_of_a_command_has_its_examples() {
    assert_snapshot!(Natureddit::new().args(["init", "--help"]).snapshot());
}

#[test]
fn version() {
    assert_snapshot!(Natureddit::new().args(["--version"]).snapshot());
}

#[test]
fn an_unknown_command_is_a_usage_error_with_the_nearest_one() {
    assert_snapshot!(Natureddit::new().args(["doktor"]).snapshot());
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    assert_snapshot!(Natureddit::new().args(["doctor", "--jsom"]).snapshot());
}

#[test]
fn two_ways_to_name_the_project_are_a_usage_error() {
    assert_snapshot!(Natureddit::new().args(["--project", "a", "--config", "b", "doctor"]).snapshot());
}

#[test]
fn the_project_is_named_once_on_both_sides_of_the_command() {
    assert_snapshot!(Natureddit::new().args(["--project", "a", "doctor", "--config", "b"]).snapshot());
}

#[test]
fn a_log_filter_that_is_none_is_told() {
    let command = Natureddit::new().args(["config", "check"]).env("NATUREDDIT_LOG", "natureddit=loud");
    assert_snapshot!(command.snapshot());
}

#[test]
fn a_log_format_that_is_none_is_told() {
    let command = Natureddit::new().args(["config", "check"]).env("NATUREDDIT_LOG_FORMAT", "xml");
    assert_snapshot!(command.snapshot());
}

#[test]
fn nothing_is_coloured_without_a_terminal() {
    let run = Natureddit::new().args(["config", "check"]).run();
    assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
}

#[test]
fn a_usage_error_as_json_is_on_both_outputs() {
    assert_snapshot!(Natureddit::new().args(["doctor", "--jsom", "--json"]).snapshot());
}

#[test]
fn a_project_that_is_not_there_is_told_as_that() {
    assert_snapshot!(Natureddit::new().args(["--project", "nowhere", "dataset", "status"]).snapshot());
}
