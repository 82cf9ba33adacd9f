//! Writing an archive.

use std::io::{self, Seek, Write};
use std::mem::ManuallyDrop;
use std::path::Path;

use natureddit_core::fs::{self, FsError};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::manifest::ArchiveManifest;
use super::{ARCHIVE_MANIFEST, HANDLER};
use crate::bundle::ModelBundle;

/// What TorchServe runs.
const HANDLER_PROGRAM: &str = include_str!("handler.py");

/// Files above it get the longer fields of ZIP64.
const LONG_FILE_BYTES: u64 = u32::MAX as u64;

impl ModelBundle {
    /// Writes the bundle as a model archive that says to be of `version`; this program and TorchServe serve it. The same
    /// bundle and version give the same bytes.
    ///
    /// # Errors
    /// With the path of the archive; it is there whole or, as before, not at all.
    pub fn write_archive(&self, path: &Path, version: u64) -> Result<(), FsError> {
        fs::write_atomic_with(path, |file| self.write_entries(file, version))
    }

    fn write_entries(&self, file: impl Write + Seek, version: u64) -> io::Result<()> {
        // Dropped after an error it would try to go on, and print that it cannot.
        let mut archive = ManuallyDrop::new(ZipWriter::new(file));
        self.fill(&mut archive, version)?;
        ManuallyDrop::into_inner(archive).finish()?.flush()
    }

    fn fill(&self, archive: &mut ZipWriter<impl Write + Seek>, version: u64) -> io::Result<()> {
        let mut manifest = serde_json::to_string_pretty(&ArchiveManifest::of(&self.manifest, version))?;
        manifest.push('\n');
        archive.start_file(ARCHIVE_MANIFEST, options(CompressionMethod::Deflated))?;
        archive.write_all(manifest.as_bytes())?;
        let mut names: Vec<&str> = self.manifest.files.keys().map(String::as_str).collect();
        names.extend([HANDLER, Self::MANIFEST]);
        names.sort_unstable();
        for name in names {
            let is_text = !name.ends_with(".onnx") && !name.ends_with(".safetensors");
            let method = if is_text { CompressionMethod::Deflated } else { CompressionMethod::Stored };
            if name == HANDLER {
                archive.start_file(name, options(method))?;
                archive.write_all(HANDLER_PROGRAM.as_bytes())?;
                continue;
            }
            let path = self.dir().join(name);
            let bytes = fs::metadata(&path).map_err(io::Error::other)?.len();
            archive.start_file(name, options(method).large_file(bytes > LONG_FILE_BYTES))?;
            io::copy(&mut fs::open(&path).map_err(io::Error::other)?, archive)?;
        }
        Ok(())
    }
}

fn options(method: CompressionMethod) -> SimpleFileOptions {
    let options = SimpleFileOptions::default().compression_method(method);
    options.last_modified_time(DateTime::default()).unix_permissions(0o644)
}
