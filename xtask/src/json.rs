//! The JSON reader that the reports of our own program need (RFC 8259): whole documents, no streaming.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Deeper nesting is refused, so that no input can exhaust the stack.
const DEPTH_MAX: usize = 64;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads one document; the error says what was wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { chars: text.chars().peekable() };
        let value = reader.value(0)?;
        match reader.next_solid() {
            None => Ok(value),
            Some(found) => Err(format!("`{found}` after the end of the document")),
        }
    }

    /// The value at a path of keys, such as `["embedding", "seconds"]`.
    pub(crate) fn get(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(self, |value, key| match value {
            Json::Object(fields) => fields.get(*key),
            _ => None,
        })
    }

    /// The number at a path of keys.
    pub(crate) fn number(&self, path: &[&str]) -> Option<f64> {
        match self.get(path) {
            Some(Json::Number(number)) => Some(*number),
            _ => None,
        }
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// The next character that is not white space.
    fn next_solid(&mut self) -> Option<char> {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
        self.chars.next()
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        match self.next_solid() {
            Some('{') => self.object(depth),
            Some('[') => self.list(depth),
            Some('"') => Ok(Json::Text(self.text()?)),
            Some('n') => self.rest_of("null", Json::Null),
            Some('t') => self.rest_of("true", Json::Bool(true)),
            Some('f') => self.rest_of("false", Json::Bool(false)),
            Some(first @ ('-' | '0'..='9')) => self.number(first),
            Some(other) => Err(format!("`{other}` where a value should start")),
            None => Err("the document ends where a value should start".to_owned()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut fields = BTreeMap::new();
        loop {
            match self.next_solid() {
                Some('}') if fields.is_empty() => return Ok(Json::Object(fields)),
                Some('"') => {}
                other => return Err(format!("{other:?} where a key should start")),
            }
            let key = self.text()?;
            if self.next_solid() != Some(':') {
                return Err(format!("no `:` after the key `{key}`"));
            }
            fields.insert(key, self.value(depth + 1)?);
            match self.next_solid() {
                Some(',') => {}
                Some('}') => return Ok(Json::Object(fields)),
                other => return Err(format!("{other:?} where `,` or `}}` should be")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        let mut values = Vec::new();
        while self.chars.next_if(char::is_ascii_whitespace).is_some() {}
        if self.chars.next_if_eq(&']').is_some() {
            return Ok(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            match self.next_solid() {
                Some(',') => {}
                Some(']') => return Ok(Json::List(values)),
                other => return Err(format!("{other:?} where `,` or `]` should be")),
            }
        }
    }

    fn rest_of(&mut self, word: &str, value: Json) -> Result<Json, String> {
        let is_same = word.chars().skip(1).all(|c| self.chars.next() == Some(c));
        if is_same { Ok(value) } else { Err(format!("a word that starts like `{word}` and is not")) }
    }

    fn number(&mut self, first: char) -> Result<Json, String> {
        let mut digits = String::from(first);
        while let Some(c) = self.chars.next_if(|c| matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-')) {
            digits.push(c);
        }
        digits.parse().map(Json::Number).map_err(|_| format!("`{digits}` is not a number"))
    }

    /// The rest of a string whose opening quote has been read.
    fn text(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) if c >= ' ' => text.push(c),
                other => return Err(format!("{other:?} inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.chars.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let code = match self.four_hex_digits()? {
                    high @ 0xD800..0xDC00 => 0x10000 + ((high - 0xD800) << 10) + self.low_surrogate()?,
                    code => code,
                };
                char::from_u32(code).ok_or("half of a surrogate pair")?
            }
            other => return Err(format!("{other:?} after a backslash")),
        })
    }

    /// The ten bits that the second half of a surrogate pair adds.
    fn low_surrogate(&mut self) -> Result<u32, String> {
        let is_escape = self.chars.next() == Some('\\') && self.chars.next() == Some('u');
        match if is_escape { self.four_hex_digits()? } else { 0 } {
            low @ 0xDC00..0xE000 => Ok(low - 0xDC00),
            _ => Err("half of a surrogate pair".to_owned()),
        }
    }

    fn four_hex_digits(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.chars.next().and_then(|c| c.to_digit(16));
            code = code * 16 + digit.ok_or("fewer than four hex digits after \\u")?;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_its_numbers_are_found_by_path() {
        let text = r#" {"steps": [{"name": "collect \"é\" 🦊", "seconds": 1.5}, {}], "empty": [ ],
            "embedding": {"photos": 897, "seconds": 6.25e0}, "ok": true, "none": null} "#;
        let report = Json::parse(text).unwrap();
        assert_eq!(report.number(&["embedding", "photos"]), Some(897.0));
        assert_eq!(report.number(&["embedding", "seconds"]), Some(6.25));
        assert_eq!(report.get(&["ok"]), Some(&Json::Bool(true)));
        assert_eq!(report.get(&["empty"]), Some(&Json::List(vec![])));
        let Some(Json::List(steps)) = report.get(&["steps"]) else { panic!("no steps") };
        assert_eq!(steps[0].get(&["name"]), Some(&Json::Text("collect \"é\" 🦊".to_owned())));
        assert_eq!(report.number(&["embedding", "none"]), None);
    }

    #[test]
    fn a_surrogate_pair_is_one_character() {
        assert_eq!(Json::parse(r#""\ud83e\udd8a\u00e9\n""#), Ok(Json::Text("🦊é\n".to_owned())));
    }

    #[test]
    fn what_is_not_json_is_refused_without_a_panic() {
        let deep = "[".repeat(10_000);
        for text in [
            "",
            "{",
            "[1,",
            "{\"a\" 1}",
            "{\"a\":1,}",
            "nul",
            "1 2",
            "\"\n\"",
            "\"\\ud83e\"",
            "\"\\ud83e\\u0000\"",
            "-",
            &deep,
        ] {
            assert!(Json::parse(text).is_err(), "{text:.20}");
        }
    }
}
