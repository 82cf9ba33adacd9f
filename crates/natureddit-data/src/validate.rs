//! `dataset validate`: every row that is broken, by file and line, and every photo that is not what its row says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, PostId};
use natureddit_image::{ImageError, ImageLimits, decode};
use serde::Serialize;

use crate::dataset::{
    self, DROPPED_FILE, Dataset, DatasetError, DroppedPost, POSTS_FILE, PostRow, RECORD_FILE, TableRow,
};
use crate::gap::{GAPS_FILE, Ledger};
use crate::table::{Table, TableError};
use crate::tombstones::Tombstones;

/// What is wrong with one thing of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, where the file is a table.
    pub line: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.path.display(), self.problem),
            None => write!(f, "{}: {}", self.path.display(), self.problem),
        }
    }
}

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// Rows of the table of posts.
    pub rows: u64,
    /// Photos that were read and decoded.
    pub photos: u64,
    /// In order of the files and lines; files that no row names come last, for a broken table leaves many of them.
    pub problems: Vec<Problem>,
}

/// Looks at every row and every photo of a dataset, and changes nothing.
///
/// # Errors
/// [`FsError`] where a file cannot be looked at at all.
pub fn validate(dir: &Path, limits: &ImageLimits) -> Result<Validation, FsError> {
    let mut found = Validation::default();
    let tombstones = match Tombstones::read(dir) {
        Ok(tombstones) => tombstones,
        Err(error) => {
            found.note(error)?;
            Tombstones::default()
        }
    };
    let mut ids: BTreeSet<PostId> = BTreeSet::new();
    let mut names: BTreeMap<String, (u64, PostId)> = BTreeMap::new();
    let problems_before = found.problems.len();
    let rows = found.table::<PostRow>(dir)?;
    let is_whole = found.problems.len() == problems_before;
    found.rows = rows.len() as u64;
    for (line, row) in rows {
        if tombstones.has(&row.post.id) {
            found.push(&dir.join(POSTS_FILE), Some(line), format!("the post {} was deleted", row.post.id));
        }
        if let Some((first, id)) = names.get(&row.img_name) {
            let problem = format!("the photo {:?} is that of line {first} as well, of the post {id}", row.img_name);
            found.push(&dir.join(POSTS_FILE), Some(line), problem);
        } else {
            names.insert(row.img_name.clone(), (line, row.post.id.clone()));
            found.photo(dir, line, &row, limits)?;
        }
        ids.insert(row.post.id);
    }
    for (line, post) in found.table::<DroppedPost>(dir)? {
        if post.media_id.is_empty() && ids.contains(&post.id) {
            found.push(&dir.join(DROPPED_FILE), Some(line), format!("the post {} is in the dataset", post.id));
        }
    }
    if let Err(error) = Ledger::read(dir) {
        found.push(&dir.join(GAPS_FILE), None, error.to_string());
    }
    found.record(dir)?;
    found.problems.sort();
    found.orphans(dir, &names, is_whole)?;
    Ok(found)
}

impl Validation {
    fn push(&mut self, path: &Path, line: Option<u64>, problem: String) {
        self.problems.push(Problem { path: path.to_owned(), line, problem });
    }

    /// Notes what is wrong with a table; that it cannot be read at all is an error.
    fn note(&mut self, error: TableError) -> Result<(), FsError> {
        match error {
            TableError::Fs(error) => return Err(error),
            TableError::Line { path, line, problem } => self.push(&path, Some(line), problem),
            TableError::NoColumn { path, column } => {
                self.push(&path, Some(1), format!("there is no column {column:?}"));
            }
            TableError::Empty { path } => self.push(&path, Some(1), "there is no header".to_owned()),
            TableError::Separator { path, separator } => {
                self.push(&path, Some(1), format!("columns are separated by {separator} instead of commas"));
            }
            TableError::UnknownColumn { path, column } => {
                self.push(&path, Some(1), format!("there is an unknown column {column:?}"));
            }
            TableError::RepeatedColumn { path } => self.push(&path, Some(1), "there is a column twice".to_owned()),
            TableError::Locked { folder } => self.push(&folder, None, "it is being changed".to_owned()),
        }
        Ok(())
    }

    /// The record, which commands that look at a dataset cannot do without.
    fn record(&mut self, dir: &Path) -> Result<(), FsError> {
        match dataset::read_record(dir) {
            Err(DatasetError::Fs(error)) => return Err(error),
            Err(DatasetError::Record { path, source }) => self.push(&path, None, source.message().to_owned()),
            Err(error) => self.push(&dir.join(RECORD_FILE), None, error.to_string()),
            Ok(_) => {}
        }
        Ok(())
    }

    /// The rows of a table that can be read, with their lines.
    fn table<R: TableRow>(&mut self, dir: &Path) -> Result<Vec<(u64, R)>, FsError> {
        let (table, broken) = match Table::read_lenient(&dir.join(R::FILE)) {
            Ok(read) => read,
            Err(TableError::Fs(error)) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return self.note(error).map(|()| Vec::new()),
        };
        for error in broken {
            self.note(error)?;
        }
        let columns = match R::columns(table.header()) {
            Ok(columns) => columns,
            Err(error) => return self.note(error).map(|()| Vec::new()),
        };
        let mut rows = Vec::new();
        for row in table.rows() {
            match R::read(row, columns) {
                Ok(value) => rows.push((row.line(), value)),
                Err(error) => self.note(error)?,
            }
        }
        Ok(rows)
    }

    fn photo(&mut self, dir: &Path, line: u64, row: &PostRow, limits: &ImageLimits) -> Result<(), FsError> {
        let table = dir.join(POSTS_FILE);
        let path = Dataset::image_path(dir, row);
        let Some(bytes) = fs::optional(fs::read(&path))? else {
            self.push(&table, Some(line), format!("there is no photo {}", path.display()));
            return Ok(());
        };
        self.photos += 1;
        if ContentHash::of(&bytes) != row.sha256 {
            self.push(&table, Some(line), format!("{} is not the photo that was stored", path.display()));
        }
        match decode(&bytes, limits) {
            Err(error @ (ImageError::TooManyBytes { .. } | ImageError::TooManyPixels { .. })) => {
                self.push(&table, Some(line), format!("{} is over a limit of the settings: {error}", path.display()));
            }
            Err(error) => self.push(&table, Some(line), format!("{} is no photo: {error}", path.display())),
            Ok(photo) if (photo.width, photo.height) != (row.width, row.height) => {
                let size = format!("{} x {} pixels", photo.width, photo.height);
                self.push(&table, Some(line), format!("{} has {size}", path.display()));
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// Files that no row names, in order of their names; a row that cannot be read may name them.
    fn orphans(&mut self, dir: &Path, names: &BTreeMap<String, (u64, PostId)>, is_whole: bool) -> Result<(), FsError> {
        let problem = if is_whole { "no row names this file" } else { "no row that can be read names this file" };
        for path in fs::optional(fs::read_dir(&Dataset::images_dir(dir)))?.unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with('.') && !names.contains_key(&name) {
                self.push(&path, None, problem.to_owned());
            }
        }
        Ok(())
    }
}
