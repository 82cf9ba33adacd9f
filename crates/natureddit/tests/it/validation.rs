//! A schema that a person curated, and what `run` says of examples that are not as it wants them.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::natureddit::Run;
use crate::the_loop::{component, copied, json, run_pipeline, with_assets};

/// The warnings of a run that went well.
fn warnings(report: &Value) -> Vec<&str> {
    report["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap()).collect()
}

fn run(dir: &Path) -> Run {
    with_assets().in_dir(dir).args(["run", "--json"]).run()
}

#[test]
fn a_curated_schema_takes_the_place_of_the_inferred_one() {
    let (_folder, dir) = copied();
    let before = run_pipeline(&dir);
    let uri = component(&before, "SchemaGen")["outputs"]["schema"]["uri"].as_str().unwrap();
    let inferred = fs::read_to_string(dir.join(uri).join("schema.pbtxt")).unwrap();
    assert_eq!(component(&before, "ExampleValidator")["outcome"], "cached");
    let curate = |text: String| fs::write(dir.join("schema.pbtxt"), text).unwrap();
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    let set = |more: &str| {
        let settings = format!("{settings}\n[schema]\nfile = \"schema.pbtxt\"\n{more}");
        fs::write(dir.join("natureddit.toml"), settings).unwrap();
    };

    set("");
    let without = inferred.replace("  value: \"landscape\"\n", "");
    assert_ne!(without, inferred);
    curate(without);
    let report = json(&run(&dir));
    assert_eq!(component(&report, "ImportSchema")["outcome"], "ran");
    assert_eq!(component(&report, "Transform")["outcome"], "cached", "what was found is no part of its key");
    let said = "train: choice: Examples contain values missing from the schema: landscape (~";
    assert!(warnings(&report).iter().any(|warning| warning.starts_with(said)), "{report}");
    assert_eq!(warnings(&run_pipeline(&dir)), warnings(&report), "also when it was cached");

    let known = with_assets().in_dir(&dir).args(["lineage", "schema.pbtxt"]).run();
    assert_eq!(known.code, Some(0), "{}", known.stderr);
    let unknown = with_assets().in_dir(&dir).args(["lineage", "naturedditTI/99"]).run();
    assert_eq!(unknown.code, Some(1), "{}", unknown.stdout);

    curate(format!("{inferred}feature {{ name: \"gone\" type: INT presence {{ min_count: 1 }} }}\n"));
    let Run { code, stderr, .. } = run(&dir);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("train: gone: Column is completely missing"), "{stderr}");
    assert!(stderr.contains("hint: [validator] in natureddit.toml says what stops a run"), "{stderr}");
    set("[validator]\ncolumns = \"warn\"\n");
    assert!(warnings(&json(&run(&dir))).contains(&"train: gone: Column is completely missing"));

    curate(format!("{inferred}sparse_feature {{ name: \"x\" }}\n"));
    let Run { code, stderr, .. } = run(&dir);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("schema.pbtxt, line ") && stderr.contains("\"sparse_feature\" is not known here"),
        "{stderr}"
    );
}
