//! The files of a log of lines: one is appended to, and makes room for the next when it is full; the oldest go.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError, Lock};

use super::PredictionLogError;

/// How much is read at a time to find the end of the last line.
const CHUNK: u64 = 64 * 1024;

/// The file that who has the folder has locked.
const LOCK: &str = ".lock";

/// `predictions-<number>.jsonl` in a folder, of which the highest number is written to.
pub(super) struct Files {
    folder: PathBuf,
    bytes_max: u64,
    files_max: usize,
    number: u64,
    /// `None` before the first line, and after a failure: what that has left is looked at anew.
    open: Option<Open>,
    lock: Lock,
}

struct Open {
    file: File,
    len: u64,
}

impl Files {
    /// Makes the folder where there is none.
    ///
    /// # Errors
    /// When it cannot be made or read, or somebody else writes there.
    pub(super) fn new(folder: &Path, bytes_max: u64, files_max: usize) -> Result<Self, PredictionLogError> {
        let lock = lock(folder)?;
        let number = numbered(folder)?.last().map_or(1, |(number, _)| *number);
        Ok(Self { folder: folder.to_owned(), bytes_max, files_max, number, open: None, lock })
    }

    /// Adds a line, which ends with a newline. A file that was removed meanwhile is made anew, and a folder.
    ///
    /// # Errors
    /// When it could not be written. The next is tried anew, behind the last line that is whole.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), PredictionLogError> {
        let appended = self.keep_folder().and_then(|()| Ok(self.try_append(line)?));
        if appended.is_err() {
            self.open = None;
        }
        appended
    }

    /// Makes the folder again where it was removed, and takes it, which another server may have done already.
    fn keep_folder(&mut self) -> Result<(), PredictionLogError> {
        if self.open.as_ref().is_some_and(|open| is_removed(&open.file)) {
            self.open = None;
        }
        if self.lock.is_removed() {
            self.lock = lock(&self.folder)?;
            tracing::warn!("{} was removed and is made anew", self.folder.display());
        }
        Ok(())
    }

    fn try_append(&mut self, line: &[u8]) -> Result<(), FsError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::behind_the_last_line(&self.path())?,
        };
        if open.len > 0 && open.len.saturating_add(line.len() as u64) > self.bytes_max {
            self.number += 1;
            open = Open::behind_the_last_line(&self.path())?;
            self.remove_oldest()?;
        }
        // One call for a line: what a kill can tear is the last one.
        open.file.write_all(line).map_err(|source| FsError::new("write", &self.path(), source))?;
        open.len += line.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("predictions-{:08}.jsonl", self.number))
    }

    fn remove_oldest(&self) -> Result<(), FsError> {
        let there = numbered(&self.folder)?;
        let surplus = there.len().saturating_sub(self.files_max);
        there.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

impl Open {
    /// Opens a file, made where it is missing, and cuts off a line that a killed program or a full disk has left torn.
    fn behind_the_last_line(path: &Path) -> Result<Self, FsError> {
        let file = fs::append_private(path)?;
        let whole = end_of_last_line(path)?;
        if file.metadata().is_ok_and(|metadata| metadata.len() > whole) {
            file.set_len(whole).map_err(|source| FsError::new("shorten", path, source))?;
        }
        Ok(Self { file, len: whole })
    }
}

/// Takes a folder, made where there is none, for this process.
fn lock(folder: &Path) -> Result<Lock, PredictionLogError> {
    fs::create_private_dir(folder)?;
    fs::try_lock(&folder.join(LOCK))?.ok_or_else(|| PredictionLogError::InUse(folder.to_owned()))
}

/// Whether an open file has no name any more: what is written into it nobody can read.
fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| fs::link_count(&metadata) == 0)
}

/// How long a file is up to and with its last newline.
fn end_of_last_line(path: &Path) -> Result<u64, FsError> {
    let failed = |source| FsError::new("read", path, source);
    let mut file = fs::open(path)?;
    let mut end = file.metadata().map_err(failed)?.len();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut chunk = Vec::new();
        (&file).take(end - start).read_to_end(&mut chunk).map_err(failed)?;
        if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The files with their numbers, the oldest first.
fn numbered(folder: &Path) -> Result<Vec<(u64, PathBuf)>, FsError> {
    let number = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let number = name.strip_prefix("predictions-")?.strip_suffix(".jsonl")?.parse().ok()?;
        Some((number, path))
    };
    let mut there: Vec<_> = fs::read_dir(folder)?.into_iter().filter_map(number).collect();
    there.sort_unstable();
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let there = numbered(folder).unwrap();
        there.iter().map(|(_, path)| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn full_files_make_room_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path(), 8, 2).unwrap();
        // The last is longer than a file may be, and has one of its own.
        for line in ["aaa\n", "bbb\n", "ccc\n", "ddd\n", "eeeeeeeeeeee\n"] {
            files.append(line.as_bytes()).unwrap();
        }
        assert_eq!(names(folder.path()), ["predictions-00000002.jsonl", "predictions-00000003.jsonl"]);
        let read = |name: &str| fs::read_to_string(&folder.path().join(name)).unwrap();
        assert_eq!(read("predictions-00000002.jsonl"), "ccc\nddd\n");
        assert_eq!(read("predictions-00000003.jsonl"), "eeeeeeeeeeee\n");
        assert!(matches!(Files::new(folder.path(), 8, 2), Err(PredictionLogError::InUse(_))));
        drop(files);
        Files::new(folder.path(), 100, 2).unwrap().append(b"fff\n").unwrap();
        assert_eq!(read("predictions-00000003.jsonl"), "eeeeeeeeeeee\nfff\n");
    }

    #[test]
    fn a_file_or_a_folder_that_is_removed_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut files = Files::new(&log, 1 << 20, 2).unwrap();
        let file = log.join("predictions-00000001.jsonl");
        let read = || fs::read_to_string(&file).unwrap();
        files.append(b"aaa\n").unwrap();
        fs::remove_file(&file).unwrap();
        files.append(b"bbb\n").unwrap();
        assert_eq!(read(), "bbb\n");
        for line in ["ccc\n", "ddd\n"] {
            fs::remove_dir_all(&log).unwrap();
            files.append(line.as_bytes()).unwrap();
            assert_eq!(read(), line);
        }
        // It is this process' again.
        assert!(matches!(Files::new(&log, 1 << 20, 2), Err(PredictionLogError::InUse(_))));
        // Another one was faster.
        fs::remove_dir_all(&log).unwrap();
        let other = Files::new(&log, 1 << 20, 2).unwrap();
        assert!(matches!(files.append(b"eee\n"), Err(PredictionLogError::InUse(_))));
        drop(other);
        files.append(b"fff\n").unwrap();
        assert_eq!(read(), "fff\n");
    }

    #[test]
    fn a_line_that_a_killed_program_has_torn_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("predictions-00000007.jsonl");
        let torn = "x".repeat(3 * usize::try_from(CHUNK).unwrap());
        for (before, after) in
            [(format!("aaa\n{torn}"), "aaa\nbbb\n"), (torn.clone(), "bbb\n"), (String::new(), "bbb\n")]
        {
            fs::write_atomic(&file, before).unwrap();
            Files::new(folder.path(), 1 << 20, 2).unwrap().append(b"bbb\n").unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
        }
    }
}
