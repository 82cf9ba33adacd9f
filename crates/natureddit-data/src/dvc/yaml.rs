//! YAML as the real tool writes it: texts quoted only where they must be, and files changed line by line, so that comments
//! and the order of keys stay.

/// A line of a mapping in a list.
pub(super) fn line(key: &str, text: &str) -> String {
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}');
    let is_plain = !text.chars().any(is_odd) && is_plain(text);
    match () {
        () if is_plain => format!("{key}:{}", folded(text, INDENT + key.len() + 1)),
        () if text.contains('\'') || text.chars().any(is_odd) => format!("{key}: {}", double_quoted(text)),
        () => format!("{key}: '{text}'"),
    }
}

/// Where the keys of an item begin.
const INDENT: usize = 2;
/// Lines are broken behind so many columns.
const WIDTH: usize = 80;

/// A plain text behind a key that ends at `column`, broken where the real tool breaks it: a single space at which the line
/// is full becomes a line break, and so it is before a word that does not fit.
fn folded(text: &str, column: usize) -> String {
    const BREAK: &str = "\n    ";
    let next = BREAK.len() - 1;
    let mut line = String::from(" ");
    let mut column = column + 1;
    let mut rest = text;
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        let (spaces, behind) = behind.split_at(behind.find(|c| c != ' ').unwrap_or(behind.len()));
        let length = word.chars().count();
        if column + length > WIDTH && column > next {
            line.push_str(BREAK);
            column = next;
        }
        line.push_str(word);
        column += length;
        if spaces.len() == 1 && column >= WIDTH {
            line.push_str(BREAK);
            column = next;
        } else {
            line.push_str(spaces);
            column += spaces.len();
        }
        rest = behind;
    }
    line
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => quoted.push_str(&format!("\\x{:02X}", c as u32)),
            '\u{85}' => quoted.push_str("\\N"),
            '\u{a0}' => quoted.push_str("\\_"),
            '\u{2028}' => quoted.push_str("\\L"),
            '\u{2029}' => quoted.push_str("\\P"),
            c if c.is_control() || c == '\u{feff}' => quoted.push_str(&format!("\\u{:04X}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a reader takes the text for itself: not for an indicator, a number, a date or a truth value of YAML 1.2.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let second_is_space = text.chars().nth(1).is_none_or(char::is_whitespace);
    let is_indicator =
        matches!(first, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`')
            || (matches!(first, '-' | '?' | ':') && second_is_space);
    let breaks = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let edges = text.starts_with(' ') || text.ends_with(' ') || text.starts_with("---") || text.starts_with("...");
    !(is_indicator || breaks || edges || means_something(text))
}

fn means_something(text: &str) -> bool {
    const WORDS: [&str; 14] =
        ["~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "<<", "=", ".nan", ".NaN"];
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    WORDS.contains(&text)
        || text == ".NAN"
        || matches!(unsigned, ".inf" | ".Inf" | ".INF")
        || is_integer(unsigned)
        || is_float(unsigned)
        || is_date(text)
}

fn is_integer(text: &str) -> bool {
    let all = |digits: &str, accepted: fn(u8) -> bool| {
        !digits.is_empty() && digits.bytes().all(|byte| byte == b'_' || accepted(byte))
    };
    let prefixed = |prefix: &str, accepted| text.strip_prefix(prefix).is_some_and(|digits| all(digits, accepted));
    all(text, |byte| byte.is_ascii_digit())
        || prefixed("0b", |byte| matches!(byte, b'0' | b'1'))
        || prefixed("0o", |byte| matches!(byte, b'0'..=b'7'))
        || prefixed("0x", |byte| byte.is_ascii_hexdigit())
}

fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            let has_digit = whole.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
            is_number(whole) && is_number(part) && (has_digit || (whole.is_empty() && !part.is_empty()))
        }
        None => {
            exponent.is_some() && mantissa.bytes().next().is_some_and(|b| b.is_ascii_digit()) && is_number(mantissa)
        }
    };
    exponent_fits && mantissa_fits
}

/// `2021-01-01`, with or without a time behind it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let is_number = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let behind = &rest[digits..];
    let is_time = |text: &str| {
        text.starts_with(['T', 't', ' ', '\t'])
            && text.contains(':')
            && !text.contains(|c: char| {
                !(c.is_ascii_digit() || matches!(c, 'T' | 't' | ' ' | '\t' | ':' | '.' | 'Z' | '+' | '-'))
            })
    };
    is_number(year, 4..=4)
        && is_number(month, 1..=2)
        && (1..=2).contains(&digits)
        && if behind.is_empty() { month.len() == 2 && digits == 2 } else { is_time(behind) }
}

/// Sets the keys of an item of a list at the top of a file: those that are there get their new value, others are added
/// behind the last one, and those without a value are removed. `None` where the file is not written as the real tool
/// writes it (flow style, several documents).
pub(super) fn set_item(text: &str, list: &str, at: usize, values: &[(&str, Option<String>)]) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (range, indent) = item(&lines, list, at)?;
    let key_at = |lines: &[String], end: usize, key: &str| {
        (range.start..end).find(|&at| {
            let line = &lines[at];
            let body = line.get(indent..).unwrap_or_default();
            let is_first = at == range.start;
            let before = line.get(..indent).unwrap_or_default();
            (is_first || before.chars().all(|c| c == ' ')) && body.strip_prefix(key).is_some_and(|b| b.starts_with(':'))
        })
    };
    let mut end = range.end;
    for (key, value) in values {
        match (key_at(&lines, end, key), value) {
            (Some(at), Some(value)) => lines[at] = with_value(&lines[at], indent + key.len() + 1, value)?,
            // The first line carries the dash of the item.
            (Some(at), None) if at == range.start => return None,
            (Some(at), None) => {
                lines.remove(at);
                end -= 1;
            }
            (None, Some(value)) => {
                lines.insert(end, format!("{}{key}: {value}", " ".repeat(indent)));
                end += 1;
            }
            (None, None) => {}
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The lines of an item of a block list, and where its keys begin.
fn item(lines: &[String], list: &str, at: usize) -> Option<(std::ops::Range<usize>, usize)> {
    let head = lines.iter().position(|line| line.strip_prefix(list).is_some_and(|rest| rest.trim_end() == ":"))?;
    let is_blank = |line: &String| line.trim().is_empty() || line.trim_start().starts_with('#');
    let first = (head + 1..lines.len()).find(|&at| !is_blank(&lines[at]))?;
    let dash = lines[first].len() - lines[first].trim_start().len();
    let is_dash =
        |line: &String| line.get(dash..).is_some_and(|rest| rest.starts_with("- ")) && line[..dash].trim().is_empty();
    let starts: Vec<usize> = (first..lines.len()).filter(|&at| is_dash(&lines[at])).collect();
    let start = *starts.get(at)?;
    let body = &lines[start][dash + 1..];
    let indent = dash + 1 + (body.len() - body.trim_start().len());
    let belongs = |line: &String| is_blank(line) || line.get(..indent).is_some_and(|before| before.trim().is_empty());
    let mut end = (start + 1..lines.len()).find(|&at| !belongs(&lines[at])).unwrap_or(lines.len());
    while end > start + 1 && is_blank(&lines[end - 1]) {
        end -= 1;
    }
    Some((start..end, indent))
}

/// The line with another value; a comment behind it stays where it is, if there is room. `None` for a value over several
/// lines.
fn with_value(line: &str, colon: usize, value: &str) -> Option<String> {
    let (head, tail) = line.split_at_checked(colon)?;
    let comment = tail.find(" #").map_or("", |at| &tail[at + 1..]);
    let old = tail.strip_suffix(comment)?.trim();
    let changed = format!("{head} {value}");
    let room = (line.len() - comment.len()).saturating_sub(changed.len()).max(1);
    let changed = if comment.is_empty() { changed } else { changed + &" ".repeat(room) + comment };
    (!matches!(old, "" | "|" | ">")).then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_the_real_tool_quotes_them() {
        // Written by dvc 3.67.1.
        for plain in [
            "it's",
            "é",
            "日本",
            "a,b",
            "q\"q",
            "c:d",
            "y",
            "No",
            ".hid",
            "-x",
            "12:30:45",
            "a  b",
            "emoji😀",
            "2022-05-01_2022-05-08.csv",
            "x.csv",
            "1.2.3",
            "2021-1-1",
            "0o9",
            "e5",
        ] {
            assert_eq!(line("path", plain), format!("path: {plain}"));
        }
        for quoted in [
            "a: b",
            "x #y",
            "123",
            "true",
            "null",
            "@at",
            "~",
            "1e3",
            "[x]",
            "{y}",
            "*s",
            "&a",
            "!t",
            "%p",
            "`b",
            "e: ",
            " lead",
            "?",
            "? q",
            "0x1F",
            "2021-01-01",
            "=",
            "|p",
            ">g",
            "1.5",
            "1_0",
            "<<",
            "...",
            "---",
            "x:",
            "-",
            "- z",
            "",
            ".5",
            "-7",
        ] {
            assert_eq!(line("path", quoted), format!("path: '{quoted}'"));
        }
        assert_eq!(line("path", "tab\tt"), "path: \"tab\\tt\"");
        assert_eq!(line("path", "nl\nx"), "path: \"nl\\nx\"");
        assert_eq!(line("path", "'q'"), "path: \"'q'\"");
    }

    #[test]
    fn long_texts_are_broken_where_the_real_tool_breaks_them() {
        for (text, expected) in [
            (
                "a long name with spaces that goes well beyond the eighty columns where a writer breaks its lines.bin",
                "path: a long name with spaces that goes well beyond the eighty columns where a\n    writer breaks its lines.bin",
            ),
            (
                "eighty columns would end within this name, just at a place that  has two spaces, or  more",
                "path: eighty columns would end within this name, just at a place that  has two\n    spaces, or  more",
            ),
        ] {
            // What is broken before a word keeps its space.
            assert_eq!(line("path", text).replace(" \n", "\n"), expected);
        }
        let long =
            "alongnamewithoutspacesthatgoeswellbeyondtheeightycolumnswhereawriterwouldbreakitslinesifitcould.bin";
        assert_eq!(line("path", long), format!("path: \n    {long}"));
    }

    const FILE: &str = "# ours\nouts:\n- md5: aaaa.dir  # old\n  size: 5\n  nfiles: 1\n  desc: the photos\n  path: ds\n- path: \
                        x.csv\n  md5: bbbb\nmeta:\n  owner: me\n";

    #[test]
    fn a_change_keeps_comments_and_the_order_of_keys() {
        let values = [
            ("md5", Some("cccc.dir".to_owned())),
            ("size", Some("9".into())),
            ("nfiles", None),
            ("hash", Some("md5".into())),
        ];
        let changed = set_item(FILE, "outs", 0, &values).unwrap();
        let expected = "# ours\nouts:\n- md5: cccc.dir  # old\n  size: 9\n  desc: the photos\n  path: ds\n  hash: md5\n- path: \
                        x.csv\n  md5: bbbb\nmeta:\n  owner: me\n";
        assert_eq!(changed, expected);
        let changed = set_item(FILE, "outs", 1, &[("md5", Some("dddd".into())), ("size", Some("3".into()))]).unwrap();
        assert!(changed.contains("- path: x.csv\n  md5: dddd\n  size: 3\nmeta:"), "{changed}");
        let moved = set_item("outs:\n- size: 5   # few\n", "outs", 0, &[("size", Some("12345".into()))]).unwrap();
        assert_eq!(moved, "outs:\n- size: 12345 # few\n");
    }

    #[test]
    fn what_is_written_otherwise_is_not_touched() {
        assert_eq!(set_item("outs: [{md5: a, path: x}]\n", "outs", 0, &[("md5", Some("b".into()))]), None);
        assert_eq!(set_item(FILE, "outs", 2, &[("md5", Some("b".into()))]), None);
        assert_eq!(set_item(FILE, "deps", 0, &[("md5", Some("b".into()))]), None);
        assert_eq!(set_item("outs:\n- md5: |\n    a\n  path: x\n", "outs", 0, &[("md5", Some("b".into()))]), None);
    }
}
