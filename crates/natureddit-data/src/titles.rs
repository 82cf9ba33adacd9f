//! `titles.csv`: labelled titles without a photo, which the text half of the model learns from as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use natureddit_core::{ClassNames, PostId};
use serde::Serialize;

use crate::labels::{lock, read_choice, two_choices};
use crate::table::{Row, Table, TableError, without_control, write_table};

/// The name of the file in the folder of labels.
pub const TITLES_FILE: &str = "titles.csv";

/// The columns of `titles.csv`.
pub const TITLE_COLUMNS: [&str; 3] = ["id", "title", "choice"];

/// A title and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledTitle {
    /// The post it was written for.
    pub id: PostId,
    /// The title, not empty.
    pub title: String,
    /// The name of the class.
    pub choice: String,
}

/// Every labelled title by its post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Titles {
    path: PathBuf,
    titles: BTreeMap<PostId, LabelledTitle>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TitleImport {
    /// Titles added.
    pub added: u64,
    /// Titles whose text or choice is another now.
    pub changed: u64,
    /// Titles that were there already.
    pub unchanged: u64,
}

impl Titles {
    /// Reads `titles.csv` in a folder; one that is not there is empty. As with labels, a choice may be no class any more.
    ///
    /// # Errors
    /// [`TableError`] with the file and line.
    pub fn read(labels_dir: &Path) -> Result<Self, TableError> {
        let path = labels_dir.join(TITLES_FILE);
        let titles = match Table::read_optional(&path)? {
            Some(table) => read_titles(&table, table.only_columns(TITLE_COLUMNS)?, None)?,
            None => Vec::new(),
        };
        let titles = titles.into_iter().map(|title| (title.id.clone(), title)).collect();
        Ok(Self { path, titles })
    }

    /// Every title, in the order of the ids.
    pub fn all(&self) -> impl Iterator<Item = &LabelledTitle> {
        self.titles.values()
    }

    /// Removes the titles of these posts from the file in a folder, and says how many there were.
    pub(crate) fn forget(labels_dir: &Path, ids: &BTreeSet<PostId>) -> Result<u64, TableError> {
        if !labels_dir.join(TITLES_FILE).exists() {
            return Ok(0);
        }
        let _lock = lock(labels_dir)?;
        let mut titles = Self::read(labels_dir)?;
        let before = titles.titles.len();
        titles.titles.retain(|id, _| !ids.contains(id));
        if titles.titles.len() < before {
            titles.write()?;
        }
        Ok((before - titles.titles.len()) as u64)
    }

    fn write(&self) -> Result<(), TableError> {
        let cells = |title: &LabelledTitle| [title.id.to_string(), title.title.clone(), title.choice.clone()];
        Ok(write_table(&self.path, TITLE_COLUMNS, self.titles.values().map(cells))?)
    }

    /// Adds the titles of a CSV file that has at least the columns `id`, `title` and `choice`; a title whose id is known
    /// takes the place of the known one. What others have added since the titles were read is read first, and nobody adds
    /// meanwhile.
    ///
    /// # Errors
    /// [`TableError::Locked`] while another import is under way, and else the one naming the first bad line, or one
    /// with another choice than a line before it for the same post; then nothing is added.
    pub fn import(&mut self, file: &Path, classes: &ClassNames) -> Result<TitleImport, TableError> {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        let _lock = lock(&folder)?;
        *self = Self::read(&folder)?;
        let mut import = TitleImport::default();
        let mut titles = self.titles.clone();
        let table = Table::read(file)?;
        let mut lines: BTreeMap<PostId, (u64, String)> = BTreeMap::new();
        let read = read_titles(&table, table.columns(TITLE_COLUMNS)?, Some(classes))?;
        for (line, title) in table.rows().map(Row::line).zip(read) {
            let first = lines.entry(title.id.clone()).or_insert_with(|| (line, title.choice.clone()));
            if first.1 != title.choice {
                return Err(two_choices(file, [first.0, line], &first.1, &title.choice));
            }
            match titles.insert(title.id.clone(), title.clone()) {
                None => import.added += 1,
                Some(old) if old == title => import.unchanged += 1,
                Some(_) => import.changed += 1,
            }
        }
        self.titles = titles;
        self.write()?;
        Ok(import)
    }
}

/// Where `classes` are given, a choice must be one of them.
fn read_titles(
    table: &Table,
    [id, title, choice]: [usize; 3],
    classes: Option<&ClassNames>,
) -> Result<Vec<LabelledTitle>, TableError> {
    let read = |row: Row<'_>| {
        let text = without_control(row.text(title));
        if text.trim().is_empty() {
            return Err(row.error("title: there is none".to_owned()));
        }
        let choice = match classes {
            Some(classes) => read_choice(row, choice, classes)?,
            None => row.text(choice).to_owned(),
        };
        Ok(LabelledTitle { id: row.parse(id, "id")?, title: text, choice })
    };
    table.rows().map(read).collect()
}
