//! Messages as protobuf's printers write them: a field a line, two spaces for each message around it.

use std::convert::Infallible;
use std::fmt::{Debug, Write as _};

use crate::wire::message::{Fields, Message, Word};

/// The message as text.
pub(crate) fn print(mut message: impl Message) -> String {
    let mut printer = Printer { text: String::new(), depth: 0 };
    match message.fields(&mut printer) {
        Ok(()) => printer.text,
        Err(never) => match never {},
    }
}

struct Printer {
    text: String,
    depth: usize,
}

type Written = Result<(), Infallible>;

impl Printer {
    fn line(&mut self, line: &str) {
        let spaces = 2 * self.depth;
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{:spaces$}{line}", "");
    }

    fn quoted(&mut self, name: &str, text: &str) {
        let mut quoted = String::with_capacity(text.len() + 2);
        for letter in text.chars() {
            match letter {
                '\n' => quoted += "\\n",
                '\r' => quoted += "\\r",
                '\t' => quoted += "\\t",
                '"' | '\'' | '\\' => quoted.extend(['\\', letter]),
                control if control.is_ascii_control() => _ = write!(quoted, "\\{:03o}", control as u32),
                other => quoted.push(other),
            }
        }
        self.line(&format!("{name}: \"{quoted}\""));
    }

    /// The shortest digits that are read as the same number, always with a point or an exponent.
    fn number(&mut self, name: &str, value: &impl Debug) {
        let digits = format!("{value:?}").to_ascii_lowercase();
        self.line(&format!("{name}: {digits}"));
    }

    fn block<M: Message>(&mut self, name: &str, message: &mut M) -> Written {
        self.line(&format!("{name} {{"));
        self.depth += 1;
        message.fields(self)?;
        self.depth -= 1;
        self.line("}");
        Ok(())
    }
}

impl Fields for Printer {
    type Error = Infallible;

    fn text(&mut self, name: &str, _: u64, slot: &mut Option<String>) -> Written {
        slot.iter().for_each(|text| self.quoted(name, text));
        Ok(())
    }

    fn texts(&mut self, name: &str, _: u64, slot: &mut Vec<String>) -> Written {
        slot.iter().for_each(|text| self.quoted(name, text));
        Ok(())
    }

    fn int(&mut self, name: &str, _: u64, slot: &mut Option<i64>) -> Written {
        slot.iter().for_each(|value| self.line(&format!("{name}: {value}")));
        Ok(())
    }

    fn double(&mut self, name: &str, _: u64, slot: &mut Option<f64>) -> Written {
        slot.iter().for_each(|value| self.number(name, value));
        Ok(())
    }

    fn float(&mut self, name: &str, _: u64, slot: &mut Option<f32>) -> Written {
        slot.iter().for_each(|value| self.number(name, value));
        Ok(())
    }

    fn flag(&mut self, name: &str, _: u64, slot: &mut Option<bool>) -> Written {
        slot.iter().for_each(|value| self.line(&format!("{name}: {value}")));
        Ok(())
    }

    fn word<W: Word>(&mut self, name: &str, _: u64, slot: &mut Option<W>) -> Written {
        let word = W::WORDS.iter().find(|(.., word)| Some(*word) == *slot);
        word.iter().for_each(|(word, ..)| self.line(&format!("{name}: {word}")));
        Ok(())
    }

    fn message<M: Message>(&mut self, name: &str, _: u64, slot: &mut Option<M>) -> Written {
        slot.iter_mut().try_for_each(|message| self.block(name, message))
    }

    fn messages<M: Message>(&mut self, name: &str, _: u64, slot: &mut Vec<M>) -> Written {
        slot.iter_mut().try_for_each(|message| self.block(name, message))
    }
}
