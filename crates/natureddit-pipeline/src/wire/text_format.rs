//! Protobuf's [text format](https://protobuf.dev/reference/protobuf/textformat-spec/): what Python's `text_format` writes,
//! and what people write by hand.

mod lex;
mod print;

use std::str::FromStr;

use super::message::{Fields, Message, Word};
use lex::{Lexer, Token};
pub(crate) use print::print;

/// A text that is no such message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) message: String,
}

type Result<T> = std::result::Result<T, TextError>;

/// Messages within messages, at most.
const DEPTH_MAX: usize = 32;

/// Reads a message. A field that the message has not is an error.
pub(crate) fn parse<M: Message>(text: &str) -> Result<M> {
    let mut lexer = Lexer::new(text);
    let entries = read_entries(&mut lexer, None, 0)?;
    build(&entries)
}

/// A field as it was written.
struct Entry {
    name: String,
    line: usize,
    value: Value,
}

enum Value {
    /// A number or a word.
    Plain(String),
    Text(String),
    Message(Vec<Entry>),
}

/// Reads fields until `end`, or until the text is over.
fn read_entries(lexer: &mut Lexer<'_>, end: Option<char>, depth: usize) -> Result<Vec<Entry>> {
    if depth > DEPTH_MAX {
        return Err(lexer.error("messages lie too deep within each other"));
    }
    let mut entries = Vec::new();
    loop {
        match (lexer.next()?, end) {
            (None, None) => return Ok(entries),
            (None, Some(end)) => return Err(lexer.error(format!("{end:?} is missing at the end"))),
            (Some(Token::Sign(sign)), Some(end)) if sign == end => return Ok(entries),
            (Some(Token::Plain(name)), _) => {
                read_values(lexer, &name, depth, &mut entries)?;
                lexer.skip_separator()?;
            }
            (Some(other), _) => return Err(lexer.error(format!("{other} is not the name of a field"))),
        }
    }
}

/// Reads the value of a field, or every value of a list in brackets.
fn read_values(lexer: &mut Lexer<'_>, name: &str, depth: usize, entries: &mut Vec<Entry>) -> Result<()> {
    let line = lexer.line();
    let mut push = |value| entries.push(Entry { name: name.to_owned(), line, value });
    let is_scalar = lexer.skip(':')?;
    if !lexer.skip('[')? {
        push(read_value(lexer, name, is_scalar, depth)?);
        return Ok(());
    }
    if lexer.skip(']')? {
        return Ok(());
    }
    loop {
        push(read_value(lexer, name, is_scalar, depth)?);
        if lexer.skip(']')? {
            return Ok(());
        }
        if !lexer.skip(',')? {
            return Err(lexer.error(format!("{name}: ',' or ']' is missing")));
        }
    }
}

fn read_value(lexer: &mut Lexer<'_>, name: &str, is_scalar: bool, depth: usize) -> Result<Value> {
    match lexer.next()? {
        Some(Token::Sign('{')) => Ok(Value::Message(read_entries(lexer, Some('}'), depth + 1)?)),
        Some(Token::Sign('<')) => Ok(Value::Message(read_entries(lexer, Some('>'), depth + 1)?)),
        Some(Token::Plain(word)) if is_scalar => Ok(Value::Plain(word)),
        Some(Token::Text(mut text)) if is_scalar => {
            // Texts beside each other are one.
            while let Some(more) = lexer.next_text()? {
                text += &more;
            }
            Ok(Value::Text(text))
        }
        Some(other) => Err(lexer.error(format!("{name}: {other} where a value should be"))),
        None => Err(lexer.error(format!("{name}: the text ends where a value should be"))),
    }
}

fn build<M: Message>(entries: &[Entry]) -> Result<M> {
    let mut message = M::default();
    for entry in entries {
        let mut setter = Setter { entry, is_known: false };
        message.fields(&mut setter)?;
        if !setter.is_known {
            return Err(entry.error(format!("the field {:?} is not known here", entry.name)));
        }
    }
    Ok(message)
}

impl Entry {
    fn error(&self, message: impl Into<String>) -> TextError {
        TextError { line: self.line, message: message.into() }
    }

    fn is_no(&self, what: &str) -> TextError {
        self.error(format!("{} is not {what}", self.name))
    }

    fn as_text(&self) -> Result<String> {
        match &self.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.is_no("a text in quotes")),
        }
    }

    fn plain(&self, what: &str) -> Result<&str> {
        match &self.value {
            Value::Plain(word) => Ok(word),
            _ => Err(self.is_no(what)),
        }
    }

    fn as_message<M: Message>(&self) -> Result<M> {
        match &self.value {
            Value::Message(entries) => build(entries),
            _ => Err(self.is_no("a message in braces")),
        }
    }

    fn number<T: FromStr>(&self) -> Result<T> {
        let word = self.plain("a number")?;
        // What C++ and Python print: 1e-3, inf, nan; and 1.5f, which they read.
        let number =
            if word.starts_with("inf") || word.starts_with("-inf") { word } else { word.trim_end_matches('f') };
        number.parse().map_err(|_| self.is_no("a number"))
    }
}

/// Puts one entry into the field of its name.
struct Setter<'a> {
    entry: &'a Entry,
    is_known: bool,
}

impl Setter<'_> {
    fn is(&mut self, name: &str) -> bool {
        let is = self.entry.name == name;
        self.is_known |= is;
        is
    }

    fn set<T>(&mut self, name: &str, slot: &mut Option<T>, read: impl Fn(&Entry) -> Result<T>) -> Result<()> {
        if self.is(name) {
            if slot.is_some() {
                return Err(self.entry.error(format!("{name} is set twice")));
            }
            *slot = Some(read(self.entry)?);
        }
        Ok(())
    }

    fn add<T>(&mut self, name: &str, slot: &mut Vec<T>, read: impl Fn(&Entry) -> Result<T>) -> Result<()> {
        if self.is(name) {
            slot.push(read(self.entry)?);
        }
        Ok(())
    }
}

impl Fields for Setter<'_> {
    type Error = TextError;

    fn text(&mut self, name: &str, _: u64, slot: &mut Option<String>) -> Result<()> {
        self.set(name, slot, Entry::as_text)
    }

    fn texts(&mut self, name: &str, _: u64, slot: &mut Vec<String>) -> Result<()> {
        self.add(name, slot, Entry::as_text)
    }

    fn int(&mut self, name: &str, _: u64, slot: &mut Option<i64>) -> Result<()> {
        self.set(name, slot, |entry| {
            let word = entry.plain("a whole number")?;
            word.parse().map_err(|_| entry.is_no("a whole number"))
        })
    }

    fn double(&mut self, name: &str, _: u64, slot: &mut Option<f64>) -> Result<()> {
        self.set(name, slot, Entry::number)
    }

    fn float(&mut self, name: &str, _: u64, slot: &mut Option<f32>) -> Result<()> {
        self.set(name, slot, Entry::number)
    }

    fn flag(&mut self, name: &str, _: u64, slot: &mut Option<bool>) -> Result<()> {
        self.set(name, slot, |entry| match entry.plain("true or false")? {
            "true" | "True" | "t" | "1" => Ok(true),
            "false" | "False" | "f" | "0" => Ok(false),
            _ => Err(entry.is_no("true or false")),
        })
    }

    fn word<W: Word>(&mut self, name: &str, _: u64, slot: &mut Option<W>) -> Result<()> {
        self.set(name, slot, |entry| {
            let known: Vec<&str> = W::WORDS.iter().map(|(name, ..)| *name).collect();
            let what = format!("one of {}", known.join(", "));
            let word = entry.plain(&what)?;
            let number = word.parse().ok();
            let found = W::WORDS.iter().find(|(name, code, _)| *name == word || Some(*code) == number);
            found.map(|(.., value)| *value).ok_or_else(|| entry.is_no(&what))
        })
    }

    fn message<M: Message>(&mut self, name: &str, _: u64, slot: &mut Option<M>) -> Result<()> {
        self.set(name, slot, Entry::as_message)
    }

    fn messages<M: Message>(&mut self, name: &str, _: u64, slot: &mut Vec<M>) -> Result<()> {
        self.add(name, slot, Entry::as_message)
    }
}
