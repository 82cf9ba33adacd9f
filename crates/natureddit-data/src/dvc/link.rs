//! From the cache into the work tree.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use natureddit_core::fs::{self, FsError, Kind};

use super::config::LinkType;
use super::error::DvcError;
use super::hash::ObjectId;
use super::pointer::Content;
use super::repo::DvcRepo;
use super::scan::Current;

/// New files look as if they were made so long ago, so that whoever changes them next, even in the same tick of the file
/// system's clock, changes their time.
const SETTLED: jiff::SignedDuration = jiff::SignedDuration::from_secs(3);

impl DvcRepo {
    /// Puts an object, which is there and right, into the work tree in place of what was there, in a folder that is there.
    pub(super) fn place(&self, id: ObjectId, path: &Path, is_executable: bool) -> Result<(), DvcError> {
        let object = self.cache.path(id);
        // A file system counts the names of a file, and of empty ones there may be many.
        let is_empty = fs::metadata(&object)?.len() == 0;
        let types = &self.cache.links;
        let no_reflinks = &self.cache.has_no_reflinks;
        for (at, kind) in types.iter().enumerate() {
            if *kind == LinkType::Reflink && no_reflinks.load(Ordering::Relaxed) {
                continue;
            }
            let placed = match kind {
                LinkType::Hardlink if is_empty => self.copy(&object, path, copy_content),
                LinkType::Reflink => self.copy(&object, path, reflink),
                LinkType::Copy => self.copy(&object, path, copy_content),
                LinkType::Hardlink => fs::hard_link(&object, path, &self.partial(path)),
                LinkType::Symlink => fs::symlink(&object, path, &self.partial(path)),
            };
            match placed {
                Ok(()) => {
                    if is_executable {
                        make_executable(path)?;
                    }
                    let print = fs::fingerprint(path)?;
                    self.cache.remember_placed(path, print, id);
                    return Ok(());
                }
                // The last one says what is wrong; one before may only be unknown to the file system.
                Err(error) if at + 1 == types.len() && *kind == LinkType::Copy => return Err(error.into()),
                Err(error) if error.source.kind() == io::ErrorKind::StorageFull => return Err(error.into()),
                Err(error) => {
                    use io::ErrorKind::{CrossesDevices, Unsupported};
                    if *kind == LinkType::Reflink && matches!(error.source.kind(), Unsupported | CrossesDevices) {
                        no_reflinks.store(true, Ordering::Relaxed);
                    }
                    tracing::debug!(%error, "the next type of link is tried");
                }
            }
        }
        Err(DvcError::NoLink { path: path.to_owned() })
    }

    /// A name for a file that is being made: not in the work tree, where one that a kill left would be taken for data.
    fn partial(&self, path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default();
        fs::beside(&self.partials().join(name))
    }

    fn copy(
        &self,
        object: &Path,
        path: &Path,
        copy: impl FnOnce(&Path, &Path) -> io::Result<std::fs::File>,
    ) -> Result<(), FsError> {
        let partial = self.partial(path);
        let made = copy(object, &partial).map_err(|e| FsError::new("copy to", path, e)).and_then(|file| {
            let settled = self.options.clock.now().checked_sub(SETTLED).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            fs::set_modified(&file, path, settled)
        });
        made.and_then(|()| fs::rename_unsynced(&partial, path)).inspect_err(|_| {
            // It is of no use to anybody; that it could not be removed changes nothing for the caller.
            let _ = fs::remove_file(&partial);
        })
    }

    /// Makes links of what was just stored, where links are configured and bytes of their own are not.
    pub(super) fn relink(&self, target: &Path, now: &Current) -> Result<(), DvcError> {
        // As the real tool has it: files of a folder that have bytes of their own keep them where that is the first choice.
        let has_links = self.cache.links.iter().any(|kind| matches!(kind, LinkType::Hardlink | LinkType::Symlink));
        let Some(first) = self.cache.links.first().filter(|_| has_links) else { return Ok(()) };
        let keeps_bytes = matches!(first, LinkType::Copy | LinkType::Reflink);
        let Some(tree) = &now.tree else {
            return if *first == LinkType::Copy { Ok(()) } else { self.relink_one(target, &now.content) };
        };
        if keeps_bytes {
            return Ok(());
        }
        for (name, &md5) in &tree.files {
            let id = ObjectId { kind: now.content.id.kind, md5, is_dir: false };
            let content = Content { id, bytes: None, files: None, is_executable: false };
            self.relink_one(&target.join(name), &content)?;
        }
        Ok(())
    }

    fn relink_one(&self, path: &Path, content: &Content) -> Result<(), DvcError> {
        let object = self.cache.path(content.id);
        let is_linked = match fs::kind(path)? {
            Kind::Link => fs::read_link(path)? == object,
            _ => fs::fingerprint(path)? == fs::fingerprint(&object)? && fs::link_count(&fs::metadata(path)?) > 1,
        };
        if is_linked { Ok(()) } else { self.place(content.id, path, content.is_executable) }
    }
}

/// What a link leads to becomes executable with it, as the real tool has it.
fn make_executable(path: &Path) -> Result<(), FsError> {
    let metadata = fs::metadata(path)?;
    let mode = fs::permissions(&metadata);
    if mode & 0o100 != 0 { Ok(()) } else { fs::set_permissions(&fs::open(path)?, path, mode | 0o100) }
}

fn reflink(from: &Path, to: &Path) -> io::Result<std::fs::File> {
    reflink_copy::reflink(from, to)?;
    let file = std::fs::OpenOptions::new().read(true).open(to)?;
    // It came with the permissions of the object, which nobody may write.
    fs::set_permissions(&file, to, fs::new_file_mode()).map_err(|e| e.source)?;
    Ok(file)
}

fn copy_content(from: &Path, to: &Path) -> io::Result<std::fs::File> {
    let mut object = fs::open(from).map_err(|e| e.source)?;
    let mut file = fs::create(to).map_err(|e| e.source)?;
    io::copy(&mut object, &mut file)?;
    Ok(file)
}
