//! `natureddit config check`.

use insta::assert_snapshot;

use crate::natureddit::Natureddit;

fn check(settings: &str) -> Natureddit {
    Natureddit::new().file("natureddit.toml", settings).args(["config", "check"])
}

#[test]
fn good_settings_are_right_and_the_keys_they_set_are_told() {
    assert_snapshot!(check("[trainer]\nseed = 1\nepochs_max = 5\n").snapshot());
}

#[test]
fn good_settings_as_json() {
    assert_snapshot!(check("[trainer]\nseed = 1\n").args(["--json"]).snapshot());
}

#[test]
fn the_settings_of_a_folder_above_are_found() {
    let mut command = Natureddit::new().file("natureddit.toml", "").file("data/images/x", "");
    let images = command.dir().join("data/images");
    command = command.args(["config", "check"]).in_dir(&images);
    assert_snapshot!(command.snapshot());
}

#[test]
fn outside_of_a_project_the_way_to_make_one_is_told() {
    assert_snapshot!(Natureddit::new().args(["--project", ".", "config", "check"]).snapshot());
}

#[test]
fn a_typo_is_told_with_the_nearest_key() {
    assert_snapshot!(check("[project]\nname = \"x\"\n[collekt]\n").snapshot());
}

#[test]
fn a_typo_in_a_table_is_told_with_the_nearest_key_of_the_table() {
    assert_snapshot!(check("[collect]\n\npage_sise = 10\n").snapshot());
}

#[test]
fn a_key_in_the_wrong_table_is_sent_to_its_own() {
    assert_snapshot!(check("[serve]\nepochs_max = 10\n").snapshot());
}

#[test]
fn an_error_as_json_is_on_both_outputs() {
    assert_snapshot!(check("[collect]\npage_sise = 10\n").args(["--json"]).snapshot());
}

#[test]
fn a_wrong_type_is_told_with_an_example() {
    assert_snapshot!(check("[collect]\nsubreddits = \"EarthPorn\"\n").snapshot());
}

#[test]
fn a_value_out_of_range_is_told_with_the_range() {
    assert_snapshot!(check("[trainer]\nepochs_max = 0\n").snapshot());
}

#[test]
fn a_wrong_word_is_told_with_the_choices() {
    assert_snapshot!(check("[trainer]\nclass_weights = \"balance\"\n").snapshot());
}

#[test]
fn a_wrong_duration_is_told_with_the_form_and_the_range() {
    assert_snapshot!(check("[net]\ntotal_timeout = \"60\"\n").snapshot());
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    assert_snapshot!(check("[trainer]\nseed =\n").snapshot());
}

#[test]
fn what_is_not_text_is_told_with_its_line() {
    let command = Natureddit::new().file("natureddit.toml", b"[trainer]\nseed = \xff\n").args(["config", "check"]);
    assert_snapshot!(command.snapshot());
}

#[test]
fn a_settings_file_that_is_not_there_is_told_with_its_cause() {
    assert_snapshot!(Natureddit::new().args(["--config", "other.toml", "config", "check"]).snapshot());
}

#[test]
fn a_certificate_that_is_not_there_is_told() {
    assert_snapshot!(check("[serve.tls]\ncert_file = \"tls/c.pem\"\nkey_file = \"tls/k.pem\"\n").snapshot());
}

#[test]
fn a_schema_that_is_not_there_is_told() {
    let settings = "[schema]\nfile = \"schema.pbtxt\"\n";
    let run = check(settings).run();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: schema.file names "), "{}", run.stderr);
    assert!(run.stderr.contains("/schema.pbtxt, which is no file\nhint: make it, "), "{}", run.stderr);
    assert_eq!(check(settings).file("schema.pbtxt", "").run().code, Some(0));
}

/// A field of a protobuf message with a message or a text in it; all are short.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

/// A value of an ONNX graph: `float32` of [any, sizes...].
fn value(name: &str, sizes: &[u8]) -> Vec<u8> {
    let size = |size: &u8| field(1, &[1 << 3, *size]);
    let shape = [field(1, &field(2, b"batch")), sizes.iter().flat_map(size).collect()].concat();
    let tensor = [vec![1 << 3, 1], field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

#[test]
fn encoders_that_cannot_be_used_are_told() {
    let graph = [field(11, &value("pixels", &[3, 64, 64])), field(12, &value("features", &[7]))].concat();
    let told = |size: u32, file: Option<&[u8]>| {
        let command = check(&format!("[encoders.mine]\nfile = \"mine.onnx\"\nsize = {size}\n"));
        let mut command = match file {
            Some(bytes) => command.file("mine.onnx", bytes),
            None => command,
        };
        let run = command.run();
        let begins = "error: encoders.mine names no encoder that can be used\n  caused by: ";
        assert!(run.code == Some(0) || run.stderr.starts_with(begins), "{}", run.stderr);
        (run.code, run.stderr)
    };
    assert_eq!(told(64, Some(&field(7, &graph))), (Some(0), String::new()));
    let (code, stderr) = told(32, Some(&field(7, &graph)));
    assert!(
        code == Some(1) && stderr.contains("pixels has the shape [any, 3, 64, 64] and must take [any, 3, 32, 32]"),
        "{stderr}"
    );
    assert!(stderr.contains("\nhint: mend encoders.mine, or the files that it names"), "{stderr}");
    let (code, stderr) = told(64, None);
    assert!(code == Some(1) && stderr.contains("/mine.onnx"), "{stderr}");
    let (code, stderr) = told(64, Some(b"<html>"));
    assert!(code == Some(1) && stderr.contains("mine.onnx is no encoder that can be used: "), "{stderr}");
    let folder = check("[model]\ntext_encoder = \"./mine\"\n").file("mine/config.json", "{}").run();
    assert!(
        folder.stderr.starts_with("error: model.text_encoder names no encoder that can be used\n"),
        "{}",
        folder.stderr
    );
}
