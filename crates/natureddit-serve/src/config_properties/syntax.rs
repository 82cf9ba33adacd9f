//! The syntax of Java's `.properties` files, as `java.util.Properties.load` documents it.

/// What separates words.
const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// A key with its value, as they stand in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Where it begins, from 1.
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// A line that cannot be read, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// From 1.
    pub(super) line: usize,
    pub(super) reason: String,
}

/// The pairs of a file in their order. What is not UTF-8 is Latin-1, which is what Java takes every file for.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Pair>, SyntaxError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    };
    let pair = |(line, text): (usize, String)| {
        let (key, value) = split(&text);
        let unescaped = |text| unescape(text).map_err(|reason| SyntaxError { line, reason });
        Ok(Pair { line, key: unescaped(key)?, value: unescaped(value)? })
    };
    logical_lines(&text.replace("\r\n", "\n").replace('\r', "\n")).into_iter().map(pair).collect()
}

/// The lines that are no comment and not blank, each with those that continue it, still escaped.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (at, line) in text.split('\n').enumerate() {
        let line = line.trim_start_matches(BLANKS);
        if !continues {
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            lines.push((at + 1, String::new()));
        }
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        continues = backslashes % 2 == 1;
        if let Some((_, whole)) = lines.last_mut() {
            whole.push_str(if continues { &line[..line.len() - 1] } else { line });
        }
    }
    lines.retain(|(_, whole)| !whole.is_empty());
    lines
}

/// A key ends at the first `=`, `:` or blank that is not escaped; of the two signs one belongs to the separator.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|c: char| {
        let ends = !is_escaped && (matches!(c, '=' | ':') || BLANKS.contains(&c));
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANKS);
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(BLANKS))
}

fn unescape(text: &str) -> Result<String, String> {
    // In Java's units, of which a character may be two escapes.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let meant = match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('u')) => {
                units.push(code_unit(&mut chars)?);
                continue;
            }
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('f')) => '\u{c}',
            ('\\', Some(other)) => other,
            (c, _) => c,
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map_err(|_| "a \\u escape is half of a character".to_owned())
}

/// The four hexadecimal digits behind `\u`.
fn code_unit(chars: &mut std::str::Chars<'_>) -> Result<u16, String> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars.next().and_then(|c| c.to_digit(16)).and_then(|digit| u16::try_from(digit).ok());
        unit = unit << 4 | digit.ok_or("a \\u escape has four hexadecimal digits")?;
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        parse(text.as_bytes()).unwrap().into_iter().map(|pair| (pair.line, pair.key, pair.value)).collect()
    }

    fn pair(line: usize, key: &str, value: &str) -> (usize, String, String) {
        (line, key.to_owned(), value.to_owned())
    }

    /// The examples of Java's own documentation.
    #[test]
    fn any_separator_will_do() {
        for text in
            ["Truth = Beauty", "  Truth:Beauty", "Truth                    :Beauty", "Truth\tBeauty", "Truth Beauty"]
        {
            assert_eq!(pairs(text), [pair(1, "Truth", "Beauty")], "{text:?}");
        }
        assert_eq!(pairs("cheeses"), [pair(1, "cheeses", "")]);
        assert_eq!(pairs("a\\:b\\ c\\=d : = e"), [pair(1, "a:b c=d", "= e")]);
    }

    #[test]
    fn a_line_goes_on_behind_an_odd_number_of_backslashes() {
        let text =
            "fruits   apple, banana, pear, \\\n         cantaloupe, watermelon, \\\r\n         kiwi, mango\nnext=1";
        assert_eq!(
            pairs(text),
            [pair(1, "fruits", "apple, banana, pear, cantaloupe, watermelon, kiwi, mango"), pair(4, "next", "1")]
        );
        assert_eq!(pairs("folder=C:\\\\x\\\\\nb=2"), [pair(1, "folder", "C:\\x\\"), pair(2, "b", "2")]);
        assert_eq!(pairs("a=1\\\n#b"), [pair(1, "a", "1#b")], "in the middle of a value there is no comment");
        assert_eq!(pairs("a=1\\"), [pair(1, "a", "1")]);
        assert_eq!(pairs("\\\n"), []);
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        assert_eq!(pairs("# a=1 \\\n  ! b=2\n\n \t\nc=3\r# d=4\re=5"), [pair(5, "c", "3"), pair(7, "e", "5")]);
        assert_eq!(pairs("\u{feff}a=1"), [pair(1, "a", "1")]);
    }

    #[test]
    fn escapes_are_characters_and_half_of_one_is_refused_with_its_line() {
        assert_eq!(pairs(r"k=\u00fc\uD83E\udd8a\q\t."), [pair(1, "k", "\u{fc}\u{1f98a}q\t.")]);
        let refused = |text: &str| parse(text.as_bytes()).unwrap_err();
        for text in [r"k=\u12", r"k=\u00zz", r"k=\u+123", r"k=\uD83E", r"\udd8a=1"] {
            let error = refused(&format!("# first\n{text}"));
            assert!(error.line == 2 && error.reason.starts_with("a \\u escape"), "{text}: {error:?}");
        }
        assert_eq!(parse(b"k=\xfc").unwrap()[0].value, "\u{fc}", "what is not UTF-8 is Latin-1");
    }

    /// As `java.util.Properties.store` writes a text.
    fn escaped(text: &str) -> String {
        let escape = |c: char| match c {
            '\n' => r"\n".to_owned(),
            '\r' => r"\r".to_owned(),
            '\\' | '=' | ':' | '#' | '!' | ' ' | '\t' | '\u{c}' => format!("\\{c}"),
            c if c.is_ascii() => c.to_string(),
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        text.chars().map(escape).collect()
    }

    proptest! {
        #[test]
        fn whatever_is_in_the_file_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn nor_when_it_is_made_of_what_means_something(text in r"[a#!=: \\\r\n\tu0f\x0c]{0,60}") {
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn what_was_escaped_is_read_as_it_was(key in ".{1,12}", value in "(?s:.{0,20})") {
            let text = format!("{}={}\n", escaped(&key), escaped(&value));
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), [Pair { line: 1, key, value }]);
        }
    }
}
