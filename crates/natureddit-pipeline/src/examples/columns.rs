//! The columns of examples, in the order of the table: what the TFRecord, the Parquet file, the statistics and the
//! schema call them.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use super::{Example, ExampleSource};
use crate::wire::example::{Feature, Features, Values};

/// A column and the kind of its cells.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its cells are.
    pub kind: ColumnKind,
    /// The cell of an example. A text that is empty is missing, as in TFX's CsvExampleGen; so is a number that a title
    /// without a photo cannot have.
    pub cell: fn(&Example) -> Cell<'_>,
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Texts, UTF-8.
    Text,
    /// Whole numbers.
    Int,
}

/// A cell of an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing is there.
    Missing,
    /// A text, not empty.
    Text(Cow<'a, str>),
    /// A whole number; a flag is 0 or 1.
    Int(i64),
}

const fn text(name: &'static str, cell: fn(&Example) -> Cell<'_>) -> Column {
    Column { name, kind: ColumnKind::Text, cell }
}

const fn int(name: &'static str, cell: fn(&Example) -> Cell<'_>) -> Column {
    Column { name, kind: ColumnKind::Int, cell }
}

/// Every column, in the order of the table.
pub const COLUMNS: [Column; 16] = [
    text("id", |example| borrowed(example.id.as_str())),
    text("title", |example| borrowed(&example.title)),
    text("img_name", |example| borrowed(&example.img_name)),
    text("sha256", |example| owned(example.sha256)),
    text("choice", |example| borrowed(&example.choice)),
    text("group", |example| borrowed(&example.group)),
    text("source", |example| borrowed(source_name(example.source))),
    text("author", |example| borrowed(&example.author)),
    text("subreddit", |example| borrowed(&example.subreddit)),
    text("flair", |example| borrowed(&example.flair)),
    int("created_utc", |example| number(example, example.created_utc)),
    int("over_18", |example| number(example, example.over_18.into())),
    int("width", |example| number(example, example.width.into())),
    int("height", |example| number(example, example.height.into())),
    text("phash", |example| owned(example.phash)),
    text("label_source", |example| borrowed(&example.label_source)),
];

/// The cells of an example, in the order of [`COLUMNS`].
#[must_use]
pub fn cells(example: &Example) -> [Cell<'_>; COLUMNS.len()] {
    COLUMNS.map(|column| (column.cell)(example))
}

fn source_name(source: ExampleSource) -> &'static str {
    match source {
        ExampleSource::Post => "post",
        ExampleSource::Title => "title",
    }
}

fn borrowed(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Missing } else { Cell::Text(text.into()) }
}

fn owned<'a>(value: Option<impl Display>) -> Cell<'a> {
    value.map_or(Cell::Missing, |value| Cell::Text(value.to_string().into()))
}

fn number(example: &Example, value: i64) -> Cell<'static> {
    if example.source == ExampleSource::Title && value == 0 { Cell::Missing } else { Cell::Int(value) }
}

/// A cell that is not as in a labelled post or title.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column}: {message}")]
pub struct ColumnError {
    /// The column.
    pub column: &'static str,
    /// What is wrong.
    pub message: String,
}

/// The bytes of the example as TFX's CsvExampleGen would write it.
pub(crate) fn to_bytes(example: &Example) -> Vec<u8> {
    let cells = cells(example);
    let features = COLUMNS.iter().zip(&cells).map(|(column, cell)| (column.name, feature(column.kind, cell)));
    Features::new(features).to_bytes()
}

/// A missing cell is an empty list of the column's kind.
fn feature<'a>(kind: ColumnKind, cell: &'a Cell<'_>) -> Feature<'a> {
    match (kind, cell) {
        (ColumnKind::Text, Cell::Text(text)) => Feature::Bytes(Values::from_buf([text.as_bytes()])),
        (ColumnKind::Text, _) => Feature::Bytes(Values::new()),
        (ColumnKind::Int, Cell::Int(value)) => Feature::Ints(Values::from_buf([*value])),
        (ColumnKind::Int, _) => Feature::Ints(Values::new()),
    }
}

/// Reads an example again. Columns it does not know are passed over; one that is not there is missing everywhere.
pub(super) fn from_features(features: Features<'_>) -> Result<Example, ColumnError> {
    let features = Source(features);
    let mut example = Example::title_alone(
        features.parsed("id")?.ok_or_else(|| error("id", "it is missing"))?,
        features.text("title")?,
        features.text("choice")?,
    );
    example.img_name = features.text("img_name")?;
    example.sha256 = features.parsed("sha256")?;
    example.group = features.text("group")?;
    example.source = match features.read("source")? {
        "post" => ExampleSource::Post,
        "title" => ExampleSource::Title,
        other => return Err(error("source", format!("neither post nor title: {other:?}"))),
    };
    example.author = features.text("author")?;
    example.subreddit = features.text("subreddit")?;
    example.flair = features.text("flair")?;
    example.created_utc = features.int("created_utc")?;
    example.over_18 = features.int::<u32>("over_18")? != 0;
    example.width = features.int("width")?;
    example.height = features.int("height")?;
    example.phash = features.parsed("phash")?;
    example.label_source = features.text("label_source")?;
    Ok(example)
}

struct Source<'a>(Features<'a>);

impl<'a> Source<'a> {
    /// The text of a column; empty where it is missing.
    fn read(&self, column: &'static str) -> Result<&'a str, ColumnError> {
        match self.0.get(column) {
            Feature::Unset => Ok(""),
            Feature::Bytes(values) => {
                let value = one(column, values)?.unwrap_or_default();
                str::from_utf8(value).map_err(|_| error(column, "not UTF-8"))
            }
            _ => Err(error(column, "not a text")),
        }
    }

    fn text(&self, column: &'static str) -> Result<String, ColumnError> {
        self.read(column).map(str::to_owned)
    }

    fn parsed<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<Option<T>, ColumnError> {
        let text = self.read(column)?;
        let parsed = (!text.is_empty()).then(|| text.parse());
        parsed.transpose().map_err(|reason: T::Err| error(column, reason.to_string()))
    }

    /// The number of a column; 0 where it is missing.
    fn int<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, ColumnError> {
        let value = match self.0.get(column) {
            Feature::Unset => 0,
            Feature::Ints(values) => one(column, values)?.unwrap_or_default(),
            _ => return Err(error(column, "not a whole number")),
        };
        T::try_from(value).map_err(|_| error(column, format!("out of range: {value}")))
    }
}

fn one<T: Copy>(column: &'static str, values: &[T]) -> Result<Option<T>, ColumnError> {
    if values.len() > 1 {
        return Err(error(column, format!("{} values, not one", values.len())));
    }
    Ok(values.first().copied())
}

fn error(column: &'static str, message: impl Into<String>) -> ColumnError {
    ColumnError { column, message: message.into() }
}
