//! `labels.csv`: who chose which class for a photo of a post, and when. Lines are only ever added; of several for one photo
//! the last counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError, Lock};
use natureddit_core::{ClassNames, Clock, PostId};
use serde::Serialize;

use crate::dataset::{Dataset, PhotoKey, PostRow, lock_swept, stem};
use crate::table::{Row, Table, TableError, format_utc, table_bytes, write_table};

/// The name of the file in the folder of labels.
pub const LABELS_FILE: &str = "labels.csv";

/// The columns of `labels.csv`.
pub const LABEL_COLUMNS: [&str; 5] = ["id", "img_name", "choice", "labelled_by", "labelled_at"];

/// One choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The post.
    pub id: PostId,
    /// Its photo at that time.
    pub img_name: String,
    /// The name of the class.
    pub choice: String,
    /// Who chose.
    pub labelled_by: String,
    /// When, as ISO 8601, UTC.
    pub labelled_at: String,
}

/// Every choice, in the order they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    path: PathBuf,
    labels: Vec<Label>,
    /// Where the file has each of [`LABEL_COLUMNS`]; whoever edits it may put them in another order.
    columns: [usize; 5],
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LabelImport {
    /// Choices added.
    pub added: u64,
    /// Choices that were the latest already.
    pub unchanged: u64,
    /// Ids that the dataset does not have.
    pub unknown_ids: u64,
    /// Names of photos that their posts, which the dataset has, do not have.
    pub unknown_photos: Vec<String>,
    /// Rows whose choice is left empty: nobody has decided yet.
    pub undecided: u64,
}

impl Labels {
    /// Reads `labels.csv` in a folder; one that is not there is empty.
    ///
    /// # Errors
    /// [`TableError`] with the file and line.
    pub fn read(labels_dir: &Path) -> Result<Self, TableError> {
        let path = labels_dir.join(LABELS_FILE);
        let Some(table) = Table::read_optional(&path)? else {
            return Ok(Self { path, labels: Vec::new(), columns: std::array::from_fn(|column| column) });
        };
        let columns = table.only_columns(LABEL_COLUMNS)?;
        let labels = table.rows().map(|row| read_label(row, columns)).collect::<Result<_, _>>()?;
        Ok(Self { path, labels, columns })
    }

    /// Every choice, in the order they were made.
    #[must_use]
    pub fn all(&self) -> &[Label] {
        &self.labels
    }

    /// The choices that count.
    #[must_use]
    pub fn latest(&self) -> Choices<'_> {
        // A map keeps the last of several values for one key.
        Choices(self.labels.iter().map(|label| ((&label.id, stem(&label.img_name)), label)).collect())
    }

    /// How many rows of a CSV file have a choice that is not the label of their photo: somebody has decided, and it is not
    /// imported. None where the file is no such table.
    #[must_use]
    pub fn not_imported(&self, file: &Path) -> usize {
        let Ok(table) = Table::read(file) else { return 0 };
        let Ok([id, choice]) = table.columns(["id", "choice"]) else { return 0 };
        let img_name = table.columns(["img_name"]).ok();
        let mut latest: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
        for ((of, photo), label) in self.latest().0 {
            latest.entry(of.as_str()).or_default().push((photo, &label.choice));
        }
        let is_open = |row: &Row<'_>| {
            let img_name = img_name.map_or("", |[column]| row.text(column));
            let (choice, labels) = (row.text(choice).trim(), latest.get(row.text(id).trim()));
            let is_it =
                |(photo, label): &(&str, &str)| (img_name.is_empty() || *photo == stem(img_name)) && *label == choice;
            !choice.is_empty() && !labels.is_some_and(|labels| labels.iter().any(is_it))
        };
        table.rows().filter(is_open).count()
    }

    /// Adds the choices of a CSV file that has at least the columns `id` and `choice`. Without a column `img_name` a choice
    /// is for every photo of its post. A choice that is the latest already is not added again, and a row whose choice is empty
    /// is passed over. A photo may stand there twice where only one row changes its choice. What others have added since the labels were read is read first, and nobody adds meanwhile.
    ///
    /// # Errors
    /// [`TableError::Locked`] while another import is under way, and else the one naming the first line with a bad id, a choice that is no class,
    /// or another choice than a line before it for the same photo; then nothing is added.
    pub fn import(
        &mut self,
        file: &Path,
        classes: &ClassNames,
        dataset: &Dataset,
        labelled_by: &str,
        clock: &Clock,
    ) -> Result<LabelImport, TableError> {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        let _lock = lock(&folder)?;
        *self = Self::read(&folder)?;
        let labelled_at = format_utc(clock.now().as_second());
        let mut import = LabelImport::default();
        let mut added = Vec::new();
        let latest = self.latest();
        let mut latest: BTreeMap<PhotoKey, String> =
            dataset.posts.values().filter_map(|row| Some((row.photo_key(), latest.of(row)?.to_owned()))).collect();
        let mut changes = Changes { file, before: latest.clone(), changed: BTreeMap::new() };
        for Chosen { line, id, img_name, choice } in read_choices(file, classes)? {
            let Some(choice) = choice else {
                import.undecided += 1;
                continue;
            };
            let rows = chosen_rows(dataset, &id, &img_name);
            if rows.is_empty() && dataset.has_post(&id) {
                import.unknown_photos.push(img_name.clone());
            }
            import.unknown_ids += u64::from(!dataset.has_post(&id));
            for row in rows {
                let key = row.photo_key();
                let is_old = latest.get(&key) == Some(&choice);
                if is_old || !changes.admit((key.clone(), img_name.is_empty()), line, &choice)? {
                    import.unchanged += 1;
                    continue;
                }
                latest.insert(key, choice.clone());
                added.push(Label {
                    id: id.clone(),
                    img_name: row.img_name.clone(),
                    choice: choice.clone(),
                    labelled_by: labelled_by.to_owned(),
                    labelled_at: labelled_at.clone(),
                });
            }
        }
        import.added = added.len() as u64;
        self.append(added)?;
        Ok(import)
    }

    /// Removes every choice for these posts from the file in a folder, and says how many there were.
    pub(crate) fn forget(labels_dir: &Path, ids: &BTreeSet<PostId>) -> Result<u64, TableError> {
        if !labels_dir.join(LABELS_FILE).exists() {
            return Ok(0);
        }
        let _lock = lock(labels_dir)?;
        let Self { path, labels, columns } = Self::read(labels_dir)?;
        let kept: Vec<_> = labels.iter().filter(|label| !ids.contains(&label.id)).collect();
        if kept.len() < labels.len() {
            let cells = kept.iter().map(|&label| in_order(label_cells(label), columns));
            let names = in_order(LABEL_COLUMNS.map(str::to_owned), columns);
            write_table(&path, names.each_ref().map(String::as_str), cells)?;
        }
        Ok((labels.len() - kept.len()) as u64)
    }

    /// Adds lines: old bytes and new ones are written as one, so that no crash leaves half a line.
    fn append(&mut self, added: Vec<Label>) -> Result<(), FsError> {
        if added.is_empty() {
            return Ok(());
        }
        let mut bytes = fs::optional(fs::read(&self.path))?.unwrap_or_default();
        if bytes.last().is_some_and(|&byte| byte != b'\n') {
            bytes.push(b'\n');
        }
        let header = bytes.is_empty().then_some(LABEL_COLUMNS);
        let lines = table_bytes(header, added.iter().map(|label| in_order(label_cells(label), self.columns)));
        bytes.extend(lines.map_err(|e| FsError::new("write", &self.path, e))?);
        fs::write_atomic(&self.path, &bytes)?;
        self.labels.extend(added);
        Ok(())
    }
}

/// What the rows of a file have changed so far.
struct Changes<'a> {
    file: &'a Path,
    /// The choices before the file.
    before: BTreeMap<PhotoKey, String>,
    /// The line and choice by photo, those for all photos of a post apart from those for one of them.
    changed: BTreeMap<(PhotoKey, bool), (u64, String)>,
}

impl Changes<'_> {
    /// Whether a choice is to be added; not one that stands beside a changed one and was left as it was.
    fn admit(&mut self, of: (PhotoKey, bool), line: u64, choice: &str) -> Result<bool, TableError> {
        match self.changed.get(&of) {
            Some(_) if self.before.get(&of.0).is_some_and(|before| before == choice) => return Ok(false),
            Some((first, other)) if other != choice => {
                return Err(two_choices(self.file, [*first, line], other, choice));
            }
            _ => {}
        }
        self.changed.insert(of, (line, choice.to_owned()));
        Ok(true)
    }
}

/// The error of a line that chooses otherwise than one before it.
pub(crate) fn two_choices(file: &Path, [first, line]: [u64; 2], other: &str, choice: &str) -> TableError {
    let problem = format!("choice: {choice:?} for what line {first} says is {other:?}");
    TableError::Line { path: file.to_owned(), line, problem }
}

/// The choice that counts for each photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices<'a>(HashMap<(&'a PostId, &'a str), &'a Label>);

impl<'a> Choices<'a> {
    /// The choice for the photo of a row. A photo that was fetched again may have another extension; and a choice that
    /// names no photo is for all of the post.
    #[must_use]
    pub fn of(&self, row: &PostRow) -> Option<&'a str> {
        self.label_of(row).map(|label| label.choice.as_str())
    }

    /// As [`Choices::of`], with who chose it and when.
    #[must_use]
    pub fn label_of(&self, row: &PostRow) -> Option<&'a Label> {
        let id = &row.post.id;
        self.0.get(&(id, row.stem())).or_else(|| self.0.get(&(id, ""))).copied()
    }

    /// The photos that there are choices for, in any order: the post, and the photo's name without its extension, which is
    /// empty where the choice is for all of the post.
    pub fn photos(&self) -> impl Iterator<Item = (&'a PostId, &'a str)> {
        self.0.keys().copied()
    }
}

/// The photos that a choice is for. The name of a photo only tells the photos of one post apart: elsewhere its files may
/// have other names.
fn chosen_rows<'a>(dataset: &'a Dataset, id: &'a PostId, img_name: &str) -> Vec<&'a PostRow> {
    let mut rows: Vec<_> = dataset.photos_of(id).collect();
    if rows.len() > 1 && !img_name.is_empty() {
        rows.retain(|row| row.stem() == stem(img_name));
    }
    rows
}

/// Keeps others from changing the files in a folder of labels.
pub(crate) fn lock(labels_dir: &Path) -> Result<Lock, TableError> {
    let lock = lock_swept(labels_dir)?;
    lock.ok_or_else(|| TableError::Locked { folder: labels_dir.to_owned() })
}

/// Cells of [`LABEL_COLUMNS`] as a file has them.
fn in_order(cells: [String; 5], columns: [usize; 5]) -> [String; 5] {
    let mut ordered = [const { String::new() }; 5];
    for (cell, column) in cells.into_iter().zip(columns) {
        ordered[column] = cell;
    }
    ordered
}

/// A row of a file that is imported.
struct Chosen {
    line: u64,
    id: PostId,
    /// Empty where the choice is for all photos of the post.
    img_name: String,
    /// `None` where it is left empty.
    choice: Option<String>,
}

/// The rows of a file, in order; all of them are good or there is an error.
fn read_choices(file: &Path, classes: &ClassNames) -> Result<Vec<Chosen>, TableError> {
    let table = Table::read(file)?;
    let [id, choice] = table.columns(["id", "choice"])?;
    let img_name = table.columns(["img_name"]).ok();
    let read = |row: Row<'_>| {
        let img_name = img_name.map_or("", |[column]| row.text(column)).to_owned();
        let is_decided = !row.text(choice).trim().is_empty();
        let choice = is_decided.then(|| read_choice(row, choice, classes)).transpose()?;
        Ok(Chosen { line: row.line(), id: row.parse(id, "id")?, img_name, choice })
    };
    table.rows().map(read).collect()
}

/// A column as the name of a class.
pub(crate) fn read_choice(row: Row<'_>, column: usize, classes: &ClassNames) -> Result<String, TableError> {
    let choice = row.text(column);
    if classes.class(choice).is_none() {
        return Err(row.error(format!("choice: {choice:?} is none of the classes {classes}")));
    }
    Ok(choice.to_owned())
}

fn read_label(row: Row<'_>, [id, img_name, choice, by, at]: [usize; 5]) -> Result<Label, TableError> {
    let text = |column| row.text(column).to_owned();
    Ok(Label {
        id: row.parse(id, "id")?,
        img_name: text(img_name),
        choice: text(choice),
        labelled_by: text(by),
        labelled_at: text(at),
    })
}

fn label_cells(label: &Label) -> [String; 5] {
    let Label { id, img_name, choice, labelled_by, labelled_at } = label.clone();
    [id.to_string(), img_name, choice, labelled_by, labelled_at]
}
