//! Encoders in eight bits, the default, through the whole program.

#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::the_loop::{component, copied, json, run_pipeline, with_assets};

fn manifest(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("models/naturedditTI/1/manifest.json")).unwrap()
}

#[test]
fn the_model_of_the_demo_is_in_eight_bits_judged_beside_floats_and_served_as_it_learnt() {
    let (_folder, dir) = copied();
    let manifest: Value = serde_json::from_slice(&manifest(&dir)).unwrap();
    assert_eq!(
        (&manifest["image_encoder"]["precision"], &manifest["text_encoder"]["precision"]),
        (&"int8".into(), &"int8".into())
    );
    let shown = with_assets().in_dir(&dir).args(["model", "show"]).run().stdout;
    assert!(shown.contains("photo: efficientnet_lite0 in int8, 1280 features"), "{shown}");

    let evaluation = &run_pipeline(&dir)["evaluation"];
    let found = &evaluation["quantisation"];
    assert!(found["fp32_macro_f1"].as_f64().unwrap() > 0.8 && found["test_posts"].as_u64().unwrap() > 20, "{found}");
    assert!(evaluation["reasons"].to_string().contains("with encoders in eight bits against"), "{evaluation}");

    let skew = with_assets().in_dir(&dir).args(["model", "verify-skew", "--rows", "40", "--json"]).run();
    assert_eq!(json(&skew)["holds"], true, "{}", skew.stdout);
    // It compares the file with the bundle before it is written.
    let export = with_assets().in_dir(&dir).args(["model", "export", "--out", "model.onnx"]).run();
    assert_eq!(export.code, Some(0), "{}", export.stderr);
}

#[test]
fn the_same_data_and_settings_give_the_same_model_on_one_thread_and_on_all() {
    let (_folder, dir) = copied();
    let on_all = manifest(&dir);
    for made in ["pipeline", "models"] {
        fs::remove_dir_all(dir.join(made)).unwrap();
    }
    let settings = fs::read_to_string(dir.join("natureddit.toml")).unwrap();
    fs::write(dir.join("natureddit.toml"), format!("{settings}\n[serve]\nthreads = 1\n")).unwrap();
    let run = with_assets().env("RAYON_NUM_THREADS", "1").in_dir(&dir).args(["run", "--json"]).run();
    let report = json(&run);
    assert_eq!(component(&report, "Transform")["details"]["encoders_calibrated"], 2);
    assert_eq!(report["pushed"]["version"], 1, "{}", report["evaluation"]["reasons"]);
    let on_one = manifest(&dir);
    assert!(on_one == on_all, "{}\n{}", String::from_utf8_lossy(&on_one), String::from_utf8_lossy(&on_all));
}
