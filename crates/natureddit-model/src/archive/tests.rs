//! Archives of good will and of ill.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use natureddit_core::fs;
use natureddit_testkit::tiny_bundle;
use proptest::prelude::*;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::*;
use crate::bundle::{Manifest, ModelBundle};
use crate::error::ModelError;

/// A folder with a small bundle in `bundle`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    tiny_bundle(&folder.path().join("bundle"), "shapes", 1);
    folder
}

/// The archive of that bundle.
fn archived(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("shapes.mar");
    ModelBundle::read(&folder.path().join("bundle")).unwrap().write_archive(&path, 3).unwrap();
    path
}

/// The entries of that archive, to be changed.
fn entries() -> Vec<(String, Vec<u8>)> {
    static ENTRIES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(read_entries);
    ENTRIES.clone()
}

fn read_entries() -> Vec<(String, Vec<u8>)> {
    let folder = folder();
    let mut zip = ZipArchive::new(fs::open(&archived(&folder)).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let read = |name: String| {
        let mut bytes = Vec::new();
        std::io::copy(&mut zip.by_name(&name).unwrap(), &mut bytes).unwrap();
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

fn zipped(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<ModelBundle, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mar");
    fs::write_unsynced(&path, bytes).unwrap();
    ModelBundle::open(&path).map_err(of_archive)
}

fn of_archive(error: ModelError) -> ArchiveError {
    match error {
        ModelError::Archive(error) => *error,
        other => panic!("{other:?}"),
    }
}

/// Why it is refused, without the path.
fn refused(bytes: &[u8]) -> String {
    match open(bytes).unwrap_err() {
        ArchiveError::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn with(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut entries = entries();
    entries.push((name.to_owned(), bytes.to_vec()));
    zipped(&entries)
}

/// The archive with one of its files changed, or left out.
fn changed(name: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let kept = |(found, bytes): (String, Vec<u8>)| {
        let bytes = if found == name { change(&bytes)? } else { bytes };
        Some((found, bytes))
    };
    zipped(&entries().into_iter().filter_map(kept).collect::<Vec<_>>())
}

#[test]
fn an_archive_holds_the_bundle_and_is_the_same_when_it_is_made_again() {
    let folder = folder();
    let path = archived(&folder);
    let once = fs::read(&path).unwrap();
    assert!(once == fs::read(&archived(&folder)).unwrap());
    assert_eq!(ArchivedModel::read(&path).unwrap(), ArchivedModel { name: "shapes".to_owned(), version: 3 });

    let opened = ModelBundle::open(&path).unwrap();
    let original = ModelBundle::open(&folder.path().join("bundle")).unwrap();
    assert_eq!(opened.manifest, original.manifest);
    let unpacked = opened.dir().to_owned();
    assert!(unpacked != original.dir());
    let names: Vec<PathBuf> = fs::walk(&unpacked).unwrap();
    assert!(names.len() == 7 && !names.iter().any(|name| name.ends_with(HANDLER)), "{names:?}");
    for name in original.manifest.files.keys().map(String::as_str).chain([ModelBundle::MANIFEST]) {
        assert_eq!(fs::read(&unpacked.join(name)).unwrap(), fs::read(&original.dir().join(name)).unwrap(), "{name}");
    }
    let clone = opened.clone();
    drop(opened);
    assert!(unpacked.is_dir());
    drop(clone);
    assert!(!unpacked.exists(), "what was unpacked goes with the bundle");
}

#[cfg(unix)]
#[test]
fn nobody_else_may_look_into_what_is_unpacked() {
    let folder = folder();
    let opened = ModelBundle::open(&archived(&folder)).unwrap();
    assert_eq!(fs::permissions(&fs::metadata(opened.dir()).unwrap()) & 0o077, 0);
}

#[test]
fn torchserve_finds_what_it_asks_for() {
    let folder = folder();
    let mut zip = ZipArchive::new(fs::open(&archived(&folder)).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert!(names.is_sorted() && names[..2] == [ARCHIVE_MANIFEST, HANDLER], "{names:?}");
    assert_eq!(zip.by_name("image_encoder.onnx").unwrap().compression(), CompressionMethod::Stored);
    assert_eq!(zip.by_name("tokenizer.json").unwrap().compression(), CompressionMethod::Deflated);
    let manifest: serde_json::Value = serde_json::from_reader(zip.by_name(ARCHIVE_MANIFEST).unwrap()).unwrap();
    assert_eq!(
        manifest,
        serde_json::json!({
            "createdOn": "01/01/1980 00:00:00",
            "runtime": "python",
            "model": { "modelName": "shapes", "handler": "handler.py", "modelVersion": "3" },
            "archiverVersion": concat!("natureddit ", env!("CARGO_PKG_VERSION")),
        })
    );
}

#[test]
fn the_archive_of_a_program_is_refused_and_says_so() {
    let manifest = br#"{"createdOn":"23/11/2026 10:22:42","runtime":"python","model":{"modelName":"naturedditTI",
        "serializedFile":"model_weight.pt","handler":"handler.py","modelFile":"full_model.py","modelVersion":"1.0"},
        "archiverVersion":"0.12.0"}"#;
    let foreign = [(ARCHIVE_MANIFEST, manifest.as_slice()), ("handler.py", b"import os"), ("model_weight.pt", b"x")];
    let foreign = zipped(&foreign.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    let error = open(&foreign).unwrap_err();
    let ArchiveError::ForeignCode { handler, .. } = &error else { panic!("{error:?}") };
    assert_eq!(handler, "handler.py");
    assert!(error.to_string().contains("code of a model archive is not run here"), "{error}");
    assert_eq!(refused(&changed(ARCHIVE_MANIFEST, |_| None)), "it has no MAR-INF/MANIFEST.json");
}

#[test]
fn no_entry_leads_out_of_the_folder() {
    for name in ["../x", "a/../../x", "/etc/x", "..\\x", "C:x", "./labels.json", "a/.."] {
        let reason = refused(&with(name, b"x"));
        assert!(reason.ends_with("leads out of the folder"), "{name}: {reason}");
    }
}

#[test]
fn links_and_names_that_are_there_twice_are_refused() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("labels.json", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let link = zip.finish().unwrap().into_inner();
    assert_eq!(refused(&link), "\"labels.json\" is a link or a device");

    // No writer makes such a one; a name is changed in both places where it stands.
    let mut twice = with("labels.jsoN", b"{}");
    let at = |bytes: &[u8]| bytes.windows(11).position(|name| name == b"labels.jsoN");
    while let Some(at) = at(&twice) {
        twice[at + 10] = b'n';
    }
    assert_eq!(refused(&twice), "a name is in it twice");
}

#[test]
fn what_is_too_much_is_refused_before_it_is_unpacked() {
    let many: Vec<_> = (0..5_000).map(|at| (format!("{at}"), Vec::new())).collect();
    assert_eq!(refused(&zipped(&many)), "it has 5000 entries, and 4096 are read");

    // Two files that are none of a bundle's and say to be huge, in the list at the end: its fields are as ZIP has them.
    let mut huge = entries();
    huge.extend(["huge-1", "huge-2"].map(|name| (name.to_owned(), b"x".to_vec())));
    let mut huge = zipped(&huge);
    for name in [b"huge-1", b"huge-2"] {
        let at = huge.windows(6).rposition(|found| found == name).unwrap();
        huge[at - 22..at - 18].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    }
    assert!(refused(&huge).starts_with("its files have 8589"), "{}", refused(&huge));

    let claim = |name: &str, bytes: u64| {
        changed(ModelBundle::MANIFEST, |manifest| {
            let mut manifest: Manifest = serde_json::from_slice(manifest).unwrap();
            manifest.files.get_mut(name).unwrap().bytes = bytes;
            Some(serde_json::to_vec(&manifest).unwrap())
        })
    };
    assert_eq!(refused(&claim("labels.json", 7)), "labels.json has not the 7 bytes that manifest.json says");
    assert_eq!(refused(&claim("labels.json", 700)), "labels.json has not the 700 bytes that manifest.json says");
    assert!(refused(&claim("text_encoder.onnx", 6 << 30)).starts_with("its files have 64424"));
    assert!(refused(&claim("text_encoder.onnx", u64::MAX)).starts_with("its files have 18446744073709551615 bytes"));
    assert!(
        refused(&claim("text_encoder.onnx", 1 << 30)).starts_with("text_encoder.onnx would become 1073741824 bytes")
    );

    let long = changed(ModelBundle::MANIFEST, |_| Some(vec![b' '; 2 << 20]));
    let error = open(&long).unwrap_err().to_string();
    assert!(error.contains("it has more than 1048576 bytes"), "{error}");
}

#[test]
fn a_bundle_that_is_not_whole_is_refused() {
    assert_eq!(refused(&changed("tokenizer.json", |_| None)), "tokenizer.json is missing");
    let other = changed("labels.json", |labels| Some(labels.iter().map(u8::to_ascii_uppercase).collect()));
    let error = open(&other).unwrap_err();
    assert!(matches!(error, ArchiveError::Bundle { .. }), "{error:?}");
    for (name, version) in [("../x", "1"), ("x", "1.5")] {
        let manifest = changed(ARCHIVE_MANIFEST, |_| {
            Some(format!(r#"{{"model":{{"modelName":"{name}","modelVersion":"{version}"}}}}"#).into())
        });
        let error = open(&manifest).unwrap_err();
        assert!(matches!(error, ArchiveError::Manifest { .. }), "{error:?}");
    }
    let missing = of_archive(ModelBundle::open(Path::new("/nowhere.mar")).unwrap_err());
    assert!(matches!(missing, ArchiveError::File(error) if error.is_not_found()));
}

proptest! {
    #[test]
    fn whatever_a_file_holds_it_is_no_bundle(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes).is_err());
    }

    /// A byte changed anywhere: refused, or the same bundle, for times and the like are of no interest.
    #[test]
    fn a_damaged_archive_is_refused_or_gives_the_same_bundle(at in any::<prop::sample::Index>(), change in 1_u8..) {
        let mut bytes = zipped(&entries());
        let whole = open(&bytes).unwrap().manifest;
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        if let Ok(bundle) = open(&bytes) {
            prop_assert_eq!(bundle.manifest, whole);
        }
    }
}
