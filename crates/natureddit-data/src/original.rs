//! Datasets of the original form: `2022-05-01_2022-05-08.csv` and a folder of that name beside it. Files are named by the
//! last part of their address there, so that two posts may share a name, and nothing is known of a photo but its file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use natureddit_core::fs::{self, FsError, Kind};
use natureddit_core::{ContentHash, Post, PostId, Progress};
use natureddit_image::{ImageLimits, examine};
use rayon::prelude::*;

use crate::dataset::{Dataset, DatasetError, PhotoKey, PostRow, stem};
use crate::dvc::pointer::{Pointer, SUFFIX};
use crate::images::img_stem;
use crate::table::{Row, Table, TableError, format_utc, parse_utc, write_table};

/// The columns of the original's table.
pub const ORIGINAL_COLUMNS: [&str; 8] =
    ["author", "created_utc", "full_link", "id", "subreddit", "title", "url", "img_name"];

/// How the dataset names where such rows came from.
pub const NAME: &str = "original";

/// Of `2022-05-01`.
const DAY_LEN: usize = 10;

/// Files that are in the way of an export and named.
const STRANGERS_NAMED: usize = 5;

/// A dataset of the original form, with a row for every photo that can be read.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) rows: Vec<PostRow>,
    /// Where the photo of each row is.
    pub(crate) photos: BTreeMap<PhotoKey, PathBuf>,
    /// What of the table makes no row, and why.
    pub(crate) refused: Vec<(PathBuf, String)>,
}

impl Original {
    /// Reads a table and the photos in the folder of its name. Photos are renamed by their post, unless they are so already.
    pub(crate) fn read(table: &Path, limits: &ImageLimits, progress: &Progress) -> Result<Self, DatasetError> {
        let images = table.with_extension("");
        let read = Table::read(table)?;
        let columns = read.columns(ORIGINAL_COLUMNS)?;
        let posts = read.rows().map(|row| read_row(row, columns)).collect::<Result<Vec<_>, _>>()?;
        progress.start(&format!("reading {}", images.display()), Some(posts.len() as u64));
        let look = |(post, img_name): (Post, String)| {
            let path = images.join(&img_name);
            let row = describe(post, &img_name, &path, limits);
            progress.advance(1);
            (path, row)
        };
        let seen: Vec<_> = posts.into_par_iter().map(look).collect();
        progress.finish();
        let mut original = Self { rows: Vec::new(), photos: BTreeMap::new(), refused: Vec::new() };
        for (path, row) in seen {
            match row {
                Ok(row) => {
                    original.photos.insert(row.photo_key(), path);
                    original.rows.push(row);
                }
                Err(problem) => original.refused.push((path, problem)),
            }
        }
        Ok(original)
    }
}

/// The tables of the original form that a path names: itself, or all below it whose names are ranges of days. One that is
/// only pointed to counts too.
///
/// # Errors
/// A folder that cannot be read.
pub fn tables(path: &Path) -> Result<Vec<PathBuf>, FsError> {
    if fs::optional(fs::kind(path))? != Some(Kind::Folder) {
        let table = without_suffix(path).unwrap_or_else(|| path.to_owned());
        return Ok(if table.exists() || Pointer::path_of(&table).exists() { vec![table] } else { Vec::new() });
    }
    let (mut tables, mut folders) = (BTreeSet::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for (name, kind) in fs::entries(&folder)? {
            let path = folder.join(&name);
            let is_hidden = name.to_string_lossy().starts_with('.');
            match kind {
                Kind::Folder if !is_hidden && !is_range(&path) => folders.push(path),
                Kind::File => {
                    let table = without_suffix(&path).unwrap_or(path);
                    let is_table = table.extension().is_some_and(|ending| ending == "csv");
                    if is_table && is_range(&table.with_extension("")) {
                        tables.insert(table);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(tables.into_iter().collect())
}

/// What a pointer beside it points to, by its name.
fn without_suffix(path: &Path) -> Option<PathBuf> {
    Some(PathBuf::from(path.to_str()?.strip_suffix(SUFFIX)?))
}

/// Whether something is called `2022-05-01_2022-05-08`.
fn is_range(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_day = |text: &str| text.len() == DAY_LEN && text.parse::<Date>().is_ok();
    name.split_once('_').is_some_and(|(first, last)| is_day(first) && is_day(last))
}

fn read_row(row: Row<'_>, columns: [usize; 8]) -> Result<(Post, String), TableError> {
    let [author, created_utc, full_link, id, subreddit, title, url, img_name] = columns;
    let text = |column| row.text(column).to_owned();
    let created_utc = parse_utc(row.text(created_utc));
    let img_name = text(img_name);
    if !crate::dataset::is_file_name(&img_name) {
        return Err(row.error(format!("img_name: not a file name: {img_name:?}")));
    }
    let post = Post {
        id: row.parse(id, "id")?,
        author: text(author),
        created_utc: created_utc.ok_or_else(|| row.error("created_utc: not a time".to_owned()))?,
        full_link: text(full_link),
        subreddit: text(subreddit),
        title: text(title),
        url: text(url),
        flair: String::new(),
        over_18: false,
    };
    Ok((post, img_name))
}

fn describe(post: Post, img_name: &str, path: &Path, limits: &ImageLimits) -> Result<PostRow, String> {
    let bytes = fs::read_limited(path, limits.bytes_max).map_err(|e| e.to_string())?;
    let (photo, phash) = examine(&bytes, limits).map_err(|e| e.to_string())?;
    // What this program exported has names that no two posts share.
    let own = stem(img_name).strip_prefix(post.id.as_str()).is_some_and(|rest| rest.starts_with('_'));
    let stem = if own { stem(img_name).to_owned() } else { img_stem(&post.id, "") };
    Ok(PostRow {
        img_name: format!("{stem}.{}", photo.format.extension()),
        source: NAME.to_owned(),
        width: photo.width,
        height: photo.height,
        sha256: ContentHash::of(&bytes),
        phash,
        post,
    })
}

/// Writes a dataset in the original form: `<first day>_<last day>.csv` below `out_dir` and the folder of photos beside it;
/// the path of the table. Names of photos are those of the dataset, which no two posts share. Where a choice is known, the
/// table has a column more.
///
/// # Errors
/// [`DatasetError`]; [`DatasetError::Empty`] where there is no row, [`DatasetError::WouldLose`] where another dataset of
/// these days lies there, [`DatasetError::Strangers`] where photos lie there that this one does not have.
pub fn export(
    dataset: &Dataset,
    data_dir: &Path,
    out_dir: &Path,
    choice: impl Fn(&PostRow) -> Option<String>,
) -> Result<PathBuf, DatasetError> {
    let rows = dataset.rows();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Err(DatasetError::Empty { path: data_dir.to_owned() });
    };
    let day = |row: &PostRow| format_utc(row.post.created_utc)[..10].to_owned();
    let name = format!("{}_{}", day(first), day(last));
    let (images, table) = (out_dir.join(&name), out_dir.join(format!("{name}.csv")));
    refuse_to_lose(&table, dataset)?;
    refuse_strangers(&images, &rows)?;
    fs::create_dir_all(&images)?;
    for row in &rows {
        fs::copy(&Dataset::image_path(data_dir, row), &images.join(&row.img_name))?;
    }
    let cells = |row: &PostRow| -> [String; 8] {
        let Post { author, created_utc, full_link, id, subreddit, title, url, .. } = row.post.clone();
        [author, format_utc(created_utc), full_link, id.to_string(), subreddit, title, url, row.img_name.clone()]
    };
    let choices: Vec<_> = rows.iter().map(|row| choice(row)).collect();
    if choices.iter().all(Option::is_none) {
        write_table(&table, ORIGINAL_COLUMNS, rows.iter().map(|row| cells(row)))?;
        return Ok(table);
    }
    let [a, b, c, d, e, f, g, h] = ORIGINAL_COLUMNS;
    let labelled = rows.iter().zip(choices).map(|(row, choice)| {
        let [a, b, c, d, e, f, g, h] = cells(row);
        [a, b, c, d, e, f, g, h, choice.unwrap_or_default()]
    });
    write_table(&table, [a, b, c, d, e, f, g, h, "choice"], labelled)?;
    Ok(table)
}

/// Photos of an earlier export that are not of this one would look like part of it. They may be somebody's, so they are not
/// removed.
fn refuse_strangers(images: &Path, rows: &[&PostRow]) -> Result<(), DatasetError> {
    let own: BTreeSet<_> = rows.iter().map(|row| row.img_name.as_str()).collect();
    let there = fs::optional(fs::read_dir(images))?.unwrap_or_default();
    let names = there.iter().filter_map(|path| path.file_name()).map(OsStr::to_string_lossy);
    let strangers: Vec<_> = names.filter(|name| !name.starts_with('.') && !own.contains(&**name)).collect();
    if strangers.is_empty() {
        return Ok(());
    }
    let more = if strangers.len() > STRANGERS_NAMED { ", ..." } else { "" };
    let names = strangers[..strangers.len().min(STRANGERS_NAMED)].join(", ") + more;
    Err(DatasetError::Strangers { folder: images.to_owned(), count: strangers.len(), names })
}

/// Two datasets of the same days have one name: the table of another is not written over, unless all of its posts are in
/// this one or were deleted.
fn refuse_to_lose(table: &Path, dataset: &Dataset) -> Result<(), DatasetError> {
    let Some(there) = Table::read_optional(table)? else { return Ok(()) };
    let [column] = there.columns(["id"])?;
    for row in there.rows() {
        let id: PostId = row.parse(column, "id")?;
        if !dataset.has_post(&id) && !dataset.tombstones.has(&id) {
            return Err(DatasetError::WouldLose { path: table.to_owned(), id });
        }
    }
    Ok(())
}
