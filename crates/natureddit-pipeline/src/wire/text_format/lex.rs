//! Words, texts and signs of the text format.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use super::{Result, TextError};

/// What a text is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a word or a number.
    Plain(String),
    /// A text in quotes, without them.
    Text(String),
    /// A brace, a colon, a comma.
    Sign(char),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(word) => write!(f, "{word:?}"),
            Self::Text(_) => write!(f, "a text"),
            Self::Sign(sign) => write!(f, "{sign:?}"),
        }
    }
}

/// Goes through a text.
pub(super) struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { chars: text.chars().peekable(), line: 1 }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn error(&self, message: impl Into<String>) -> TextError {
        TextError { line: self.line, message: message.into() }
    }

    /// The next token; `None` when the text is over.
    pub(super) fn next(&mut self) -> Result<Option<Token>> {
        self.skip_space();
        let Some(&first) = self.chars.peek() else { return Ok(None) };
        if first == '"' || first == '\'' {
            return self.text(first).map(|text| Some(Token::Text(text)));
        }
        if !is_plain(first) {
            self.chars.next();
            return Ok(Some(Token::Sign(first)));
        }
        let mut word = String::new();
        while let Some(&next) = self.chars.peek().filter(|&&next| is_plain(next)) {
            word.push(next);
            self.chars.next();
        }
        Ok(Some(Token::Plain(word)))
    }

    /// The next token when it is a text.
    pub(super) fn next_text(&mut self) -> Result<Option<String>> {
        self.skip_space();
        match self.chars.peek() {
            Some(&quote) if quote == '"' || quote == '\'' => self.text(quote).map(Some),
            _ => Ok(None),
        }
    }

    /// Passes over a sign; whether it was there.
    pub(super) fn skip(&mut self, sign: char) -> Result<bool> {
        self.skip_space();
        Ok(self.chars.next_if_eq(&sign).is_some())
    }

    /// Passes over the comma or semicolon that may follow a field.
    pub(super) fn skip_separator(&mut self) -> Result<()> {
        if !self.skip(',')? {
            self.skip(';')?;
        }
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(&next) = self.chars.peek() {
            if next == '#' {
                while self.chars.next_if(|&next| next != '\n').is_some() {}
            } else if next.is_whitespace() {
                self.line += usize::from(next == '\n');
                self.chars.next();
            } else {
                break;
            }
        }
    }

    fn text(&mut self, quote: char) -> Result<String> {
        self.chars.next();
        let mut bytes = Vec::new();
        let mut buffer = [0; 4];
        loop {
            match self.chars.next() {
                None | Some('\n') => return Err(self.error("a text has no closing quote")),
                Some('\\') => self.escape(&mut bytes)?,
                Some(end) if end == quote => break,
                Some(other) => bytes.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes()),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.error("a text is not UTF-8"))
    }

    /// What follows a backslash: a letter, up to three octal digits, or hexadecimal ones.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let unknown = |this: &Self| this.error("an escape that is not known");
        let next = self.chars.next().ok_or_else(|| unknown(self))?;
        bytes.push(match next {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'v' => 11,
            '\\' | '\'' | '"' | '?' => next as u8,
            '0'..='7' => {
                let rest = self.digits(2, 8);
                let value = next.to_digit(8).unwrap_or_default() * 8_u32.pow(rest.len() as u32);
                let value = value + u32::from_str_radix(&rest, 8).unwrap_or_default();
                u8::try_from(value).map_err(|_| unknown(self))?
            }
            'x' | 'X' => u8::from_str_radix(&self.digits(2, 16), 16).map_err(|_| unknown(self))?,
            'u' | 'U' => {
                let digits = self.digits(if next == 'u' { 4 } else { 8 }, 16);
                let letter = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                let letter = letter.ok_or_else(|| unknown(self))?;
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(unknown(self)),
        });
        Ok(())
    }

    fn digits(&mut self, count_max: usize, radix: u32) -> String {
        let mut digits = String::new();
        while digits.len() < count_max {
            let Some(digit) = self.chars.next_if(|next| next.is_digit(radix)) else { break };
            digits.push(digit);
        }
        digits
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-' | '+')
}
