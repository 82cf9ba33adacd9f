//! Reading an archive. Nothing in it is believed: not how large a file is, where it belongs, nor that it is what it seems.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{PLAIN_NAME, is_plain_name};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use zip::ZipArchive;
use zip::read::{Config, ZipFile};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::manifest::{ArchiveManifest, version_number};
use super::{ARCHIVE_MANIFEST, ArchiveError};
use crate::bundle::{FileRecord, MANIFEST_BYTES_MAX, Manifest, ModelBundle};
use crate::error::ModelError;

/// How the names of archives end.
const ENDING: &str = "mar";
/// Entries; ours has ten, and the archives of others a hundred.
const ENTRIES_MAX: usize = 4_096;
/// What an archive may have unpacked: ONNX keeps at most 2 GB in a file, and there are two.
const UNPACKED_BYTES_MAX: u64 = 5 << 30;
/// A file is at most so many times as large as its part of the archive; JSON gets to a tenth of this.
const RATIO_MAX: u64 = 100;
/// Smaller files may be of one letter.
const RATIO_BYTES_MIN: u64 = 1 << 20;

/// What an archive says to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedModel {
    /// The model.
    pub name: String,
    /// Its version.
    pub version: u64,
}

/// Whether a path is named as an archive and is no folder.
#[must_use]
pub fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == ENDING) && path.is_file()
}

impl ArchivedModel {
    /// What a model archive says to hold. Whether that is so is not looked at.
    ///
    /// # Errors
    /// [`ArchiveError`], also for an archive without a bundle.
    pub fn read(path: &Path) -> Result<Self, ArchiveError> {
        Self::of(&mut Archive::open(path)?)
    }

    fn of(archive: &mut Archive<'_>) -> Result<Self, ArchiveError> {
        let manifest: Option<ArchiveManifest> = archive.json(ARCHIVE_MANIFEST)?;
        let has_bundle = archive.zip.index_for_name(ModelBundle::MANIFEST).is_some();
        let path = archive.path.to_owned();
        let model = match manifest {
            Some(manifest) if has_bundle => manifest.model,
            Some(ArchiveManifest { model, .. }) => {
                return Err(match model.handler {
                    Some(handler) => ArchiveError::ForeignCode { path, handler },
                    None => archive.refused("it holds no bundle"),
                });
            }
            None => return Err(archive.refused(format!("it has no {ARCHIVE_MANIFEST}"))),
        };
        let bad = |reason| ArchiveError::Manifest { path: path.clone(), entry: ARCHIVE_MANIFEST, reason };
        if !is_plain_name(&model.model_name) {
            return Err(bad(format!("modelName is {:?} and must be {PLAIN_NAME}", model.model_name)));
        }
        let version = version_number(&model.model_version)
            .ok_or_else(|| bad(format!("modelVersion is {:?} and must be a whole number", model.model_version)))?;
        Ok(Self { name: model.model_name, version })
    }
}

impl ModelBundle {
    /// Reads a bundle from its folder or from a model archive, and checks every file as [`ModelBundle::read`] does. An
    /// archive is unpacked into a temporary folder that only this user may look into; it goes with the last of the bundle's
    /// clones.
    ///
    /// # Errors
    /// As [`ModelBundle::read`]; [`ModelError::Archive`] for an archive that is not what it should be.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if !path.is_file() && path.extension().is_none_or(|extension| extension != ENDING) {
            return Ok(Self::read(path)?);
        }
        let unpacked = unpack(path)?;
        let whole = Self::read(unpacked.path());
        let broken = |source| ArchiveError::Bundle { path: path.to_owned(), source: Box::new(source) };
        let mut bundle = whole.map_err(broken)?;
        bundle.keep(Arc::new(unpacked));
        Ok(bundle)
    }
}

/// Unpacks the bundle of an archive, and nothing else in it.
fn unpack(path: &Path) -> Result<TempDir, ArchiveError> {
    let mut archive = Archive::open(path)?;
    ArchivedModel::of(&mut archive)?;
    let manifest: Option<Manifest> = archive.json(ModelBundle::MANIFEST)?;
    let manifest = manifest.ok_or_else(|| archive.refused("it holds no bundle"))?;
    let names = manifest.file_names();
    let records: Vec<(&str, FileRecord)> =
        names.iter().filter_map(|&name| Some((name, *manifest.files.get(name)?))).collect();
    let total = records.iter().fold(0_u64, |total, (_, record)| total.saturating_add(record.bytes));
    if total > UNPACKED_BYTES_MAX {
        return Err(archive.refused(too_large(total)));
    }
    let folder = private_folder().map_err(|e| FsError::new("create", &std::env::temp_dir(), e))?;
    for (name, record) in records {
        archive.take(name, record.bytes, folder.path())?;
    }
    let manifest = archive.bytes(ModelBundle::MANIFEST)?.unwrap_or_default();
    fs::write_unsynced(&folder.path().join(ModelBundle::MANIFEST), manifest)?;
    Ok(folder)
}

fn too_large(total: u64) -> String {
    format!("its files have {total} bytes, and {UNPACKED_BYTES_MAX} are taken")
}

/// A new folder that only this user may look into, from its beginning.
fn private_folder() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("natureddit-model-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

/// An archive whose list of entries was looked through.
struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<File>,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path) -> Result<Self, ArchiveError> {
        let bad = |source| ArchiveError::Zip { path: path.to_owned(), source };
        let refused = |reason: String| ArchiveError::Refused { path: path.to_owned(), reason };
        // Before it is opened, for a pipe of that name may have no other end.
        if !fs::metadata(path)?.is_file() {
            return Err(refused("it is not a file".to_owned()));
        }
        // The list is counted before it is kept in memory.
        let entries = ZipIterable::try_new(fs::open(path)?, Config::default()).map_err(bad)?.len();
        if entries > ENTRIES_MAX {
            return Err(refused(format!("it has {entries} entries, and {ENTRIES_MAX} are read")));
        }
        let mut zip = ZipArchive::new(fs::open(path)?).map_err(bad)?;
        if zip.has_duplicate_names() {
            return Err(refused("a name is in it twice".to_owned()));
        }
        if zip.has_overlapping_files().map_err(bad)? {
            return Err(refused("files in it overlap".to_owned()));
        }
        let mut total = 0_u64;
        for at in 0..zip.len() {
            let entry = zip.by_index_raw(at).map_err(bad)?;
            total = total.saturating_add(entry.size());
            if let Some(reason) = why_refused(&entry) {
                let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
                return Err(refused(format!("{name:?} {reason}")));
            }
        }
        // Also of what is not unpacked: whoever opens such an archive next may unpack all.
        if total > UNPACKED_BYTES_MAX {
            return Err(refused(too_large(total)));
        }
        Ok(Self { path, zip })
    }

    fn refused(&self, reason: impl Into<String>) -> ArchiveError {
        ArchiveError::Refused { path: self.path.to_owned(), reason: reason.into() }
    }

    /// What a manifest in it says; `None` where there is none.
    fn json<T: DeserializeOwned>(&mut self, entry: &'static str) -> Result<Option<T>, ArchiveError> {
        let Some(bytes) = self.bytes(entry)? else { return Ok(None) };
        let bad =
            |e: serde_json::Error| ArchiveError::Manifest { path: self.path.to_owned(), entry, reason: e.to_string() };
        serde_json::from_slice(&bytes).map(Some).map_err(bad)
    }

    fn bytes(&mut self, entry: &'static str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let bad = |source| ArchiveError::Zip { path: self.path.to_owned(), source };
        let found = match self.zip.by_name(entry) {
            Ok(found) => found,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(bad(error)),
        };
        let mut bytes = Vec::new();
        found.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| bad(ZipError::Io(e)))?;
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            let reason = format!("it has more than {MANIFEST_BYTES_MAX} bytes");
            return Err(ArchiveError::Manifest { path: self.path.to_owned(), entry, reason });
        }
        Ok(Some(bytes))
    }

    /// Puts a file into a folder. The name is one of a bundle's own.
    fn take(&mut self, name: &str, bytes_expected: u64, folder: &Path) -> Result<(), ArchiveError> {
        let bad = |source| ArchiveError::Zip { path: self.path.to_owned(), source };
        let refused = |reason| ArchiveError::Refused { path: self.path.to_owned(), reason };
        let found = match self.zip.by_name(name) {
            Ok(found) => found,
            Err(ZipError::FileNotFound) => return Err(refused(format!("{name} is missing"))),
            Err(error) => return Err(bad(error)),
        };
        let packed = found.compressed_size();
        if bytes_expected > RATIO_BYTES_MIN && bytes_expected / RATIO_MAX > packed {
            return Err(refused(format!("{name} would become {bytes_expected} bytes of {packed}")));
        }
        let to = folder.join(name);
        let mut file = fs::create(&to)?;
        // The size that the archive states is only a claim: the limit is on what comes out.
        let copied = io::copy(&mut found.take(bytes_expected.saturating_add(1)), &mut file);
        let bytes = copied.map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                bad(ZipError::Io(e))
            }
            _ => FsError::new("write", &to, e).into(),
        })?;
        if bytes == bytes_expected {
            return Ok(());
        }
        Err(refused(format!("{name} has not the {bytes_expected} bytes that manifest.json says")))
    }
}

/// What speaks against an entry, whether it is wanted or not: an archive that has such a one is not to be trusted.
fn why_refused<R: Read + ?Sized>(entry: &ZipFile<'_, R>) -> Option<&'static str> {
    const KIND: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    const FOLDER: u32 = 0o040_000;
    let Ok(name) = entry.name() else { return Some("is no name") };
    let leads_out = |part: &str| part == ".." || part == ".";
    if name.is_empty() || name.starts_with('/') || name.contains(['\\', ':', '\0']) || name.split('/').any(leads_out) {
        return Some("leads out of the folder");
    }
    let kind = entry.unix_mode().map_or(0, |mode| mode & KIND);
    if entry.is_symlink() || ![0, REGULAR, FOLDER].contains(&kind) {
        return Some("is a link or a device");
    }
    entry.encrypted().then_some("is encrypted")
}
