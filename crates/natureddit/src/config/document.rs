//! A settings file as its author wrote it: which keys it sets on which lines, compared with the example.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::error::Place;
use super::raw::RawConfig;
use super::{ConfigError, encoders, nearest};

/// Tables whose keys are the user's own; their values are texts.
const OPEN_TABLES: [&str; 1] = ["net.host_map"];

/// A settings file that sets only keys of the example, to values of the same types.
#[derive(Debug)]
pub(super) struct Document {
    file: Box<str>,
    /// The line of every key that is not a table.
    lines: BTreeMap<String, usize>,
    table: Table,
}

impl Document {
    /// A file that sets nothing.
    pub(super) fn empty(file: Box<str>) -> Self {
        Self { file, lines: BTreeMap::new(), table: Table::new() }
    }

    /// Parses `text` and compares it with the example, whose keys and value types are all there are; `file` is how
    /// errors name it. The error nearest to the top is reported.
    pub(super) fn parse(file: Box<str>, text: &str, example: &Table) -> Result<Self, ConfigError> {
        let syntax = |error: &toml::de::Error| {
            let line = error.span().map(|span| line_at(text, span.start));
            let message = error.message().trim().replace('\n', ", ");
            ConfigError::Syntax { place: Place { file: file.clone(), line }, message }
        };
        let spanned = DeTable::parse(text).map_err(|e| syntax(&e))?;
        let mut comparison = Comparison { file: &file, text, example, lines: BTreeMap::new(), problems: Vec::new() };
        comparison.table("", spanned.get_ref(), example);
        let Comparison { lines, problems, .. } = comparison;
        if let Some((_, problem)) = problems.into_iter().min_by_key(|(line, _)| *line) {
            return Err(problem);
        }
        let table = toml::from_str(text).map_err(|e| syntax(&e))?;
        Ok(Self { file, lines, table })
    }

    /// Where a key is set.
    pub(super) fn place(&self, key: &str) -> Place {
        Place { file: self.file.clone(), line: self.lines.get(key).copied() }
    }

    /// Whether the file sets a key.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// The value of a key of a table, or of one in a table, as the file sets it; nothing for one that it does not set.
    pub(super) fn shown(&self, table: &str, key: &str) -> String {
        let found = match table.split_once('.') {
            Some((outer, inner)) => self.table.get(outer).and_then(|outer| outer.get(inner)),
            None => self.table.get(table),
        };
        found.and_then(|table| table.get(key)).map(Value::to_string).unwrap_or_default()
    }

    /// The keys the file sets, sorted.
    pub(super) fn keys(&self) -> Vec<String> {
        self.lines.keys().cloned().collect()
    }

    /// The values of `base`, replaced by those the file sets.
    pub(super) fn merged_onto(&self, mut base: Table) -> Table {
        if let Some(Value::Table(declared)) = self.table.get(encoders::TABLE) {
            let examples = declared.keys().map(|name| (name.clone(), Value::Table(encoder_example())));
            base.insert(encoders::TABLE.to_owned(), Value::Table(examples.collect()));
        }
        merge(&mut base, &self.table);
        base
    }
}

/// What an encoder of the user's is where he does not say it.
fn encoder_example() -> Table {
    toml::from_str(encoders::EXAMPLE).unwrap_or_default()
}

fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// One walk through a file beside the example.
struct Comparison<'a> {
    file: &'a str,
    text: &'a str,
    example: &'a Table,
    lines: BTreeMap<String, usize>,
    /// With the line each is on.
    problems: Vec<(usize, ConfigError)>,
}

impl Comparison<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>, example: &Table) {
        for (name, value) in table {
            let key = join(path, name.get_ref());
            let line = line_at(self.text, name.span().start);
            match example.get(name.get_ref().as_ref()) {
                Some(expected) => self.value(&key, line, value.get_ref(), expected),
                None if OPEN_TABLES.contains(&path) => {
                    self.value(&key, line, value.get_ref(), &Value::String(String::new()));
                }
                None if path == encoders::TABLE => {
                    self.value(&key, line, value.get_ref(), &Value::Table(encoder_example()));
                }
                None => {
                    let nearest = nearest::key(path, name.get_ref(), example, self.example);
                    let place = self.place(line);
                    self.problems.push((line, ConfigError::UnknownKey { key, place, nearest }));
                }
            }
        }
    }

    fn value(&mut self, key: &str, line: usize, value: &DeValue<'_>, expected: &Value) {
        if let (DeValue::Table(table), Value::Table(example)) = (value, expected) {
            return self.table(key, table, example);
        }
        let items = match (value, expected) {
            (DeValue::Array(items), Value::Array(example)) if !items.is_empty() && example.is_empty() => {
                Some(Value::Array(vec![item_taken(key, self.example)]))
            }
            _ => None,
        };
        let of_type = items.as_ref().unwrap_or(expected);
        if fits(value, of_type) {
            self.lines.insert(key.to_owned(), line);
            return;
        }
        let name = key.rsplit('.').next().unwrap_or(key);
        let example = match expected {
            Value::Table(_) => format!("[{key}]"),
            value => format!("{name} = {value}"),
        };
        let (expected, found) = (type_of_example(of_type), type_of(value));
        let place = self.place(line);
        self.problems.push((line, ConfigError::WrongType { key: key.to_owned(), place, expected, found, example }));
    }

    fn place(&self, line: usize) -> Place {
        Place { file: self.file.into(), line: Some(line) }
    }
}

/// `table.key`, or the key itself at the top.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether a value has the type of the example's; a whole number may stand for a number.
fn fits(value: &DeValue<'_>, expected: &Value) -> bool {
    match (value, expected) {
        (DeValue::String(_), Value::String(_))
        | (DeValue::Integer(_), Value::Integer(_) | Value::Float(_))
        | (DeValue::Float(_), Value::Float(_))
        | (DeValue::Boolean(_), Value::Boolean(_)) => true,
        // What a list holds is told by the example's first item.
        (DeValue::Array(items), Value::Array(example)) => {
            items.iter().all(|item| example.first().is_some_and(|first| fits(item.get_ref(), first)))
        }
        _ => false,
    }
}

/// An item of a list that the example leaves empty: the first of these that the settings can be read with.
fn item_taken(key: &str, example: &Table) -> Value {
    let text = Value::String(String::new());
    let is_read = |item: &Value| {
        let mut example = example.clone();
        let list = Value::Array(vec![item.clone()]);
        set(&mut example, key, list) && example.try_into::<RawConfig>().is_ok()
    };
    // A number may be written as an integer, so that integers come last.
    let items = [text.clone(), Value::Float(0.0), Value::Integer(0)];
    items.into_iter().find(is_read).unwrap_or(text)
}

/// Sets a key that is there already, and says whether it is.
fn set(table: &mut Table, key: &str, value: Value) -> bool {
    match key.split_once('.') {
        Some((name, rest)) => {
            table.get_mut(name).and_then(Value::as_table_mut).is_some_and(|table| set(table, rest, value))
        }
        None => table.get_mut(key).map(|place| *place = value).is_some(),
    }
}

fn type_of_example(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(items) => match items.first() {
            Some(Value::Integer(_)) => "an array of integers",
            Some(Value::Float(_)) => "an array of numbers",
            _ => "an array of strings",
        },
        Value::Table(_) => "a table",
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(items) if items.iter().any(|item| !matches!(item.get_ref(), DeValue::String(_))) => {
            "an array of other things"
        }
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}
