//! Counts, sizes and names as people read them.

use std::borrow::Cow;

use indicatif::{BinaryBytes, HumanCount};

/// `no posts`, `1 post`, `1,234 posts`: for words whose plural ends with an `s`.
pub(super) fn counted(count: u64, one: &str) -> String {
    format!("{} {one}{}", HumanCount(count), plural(count))
}

/// What makes several of one.
pub(super) fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `is` or `are`.
pub(super) fn is_or_are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// `was` or `were`.
pub(super) fn was_or_were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// `18.00 MiB`.
pub(super) fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// A text from elsewhere, such as the name of a file, which must not steer the terminal: control characters but the ends of
/// lines, and those that turn the direction of writing, are shown as `\u{1b}`.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c == '\n' || !(c.is_control() || turns_writing(c));
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// Unicode's `Bidi_Control`: with one of these, `gpj.exe` is shown as `exe.jpg`.
fn turns_writing(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `4.2 s`, `3 min 07 s`, `2 h 05 min`.
pub(super) fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_several() {
        let told = [0, 1, 2, 1_234].map(|count| counted(count, "post"));
        assert_eq!(told, ["0 posts", "1 post", "2 posts", "1,234 posts"]);
        assert_eq!([is_or_are(0), is_or_are(1), is_or_are(2)], ["are", "is", "are"]);
    }

    #[test]
    fn a_name_does_not_steer_the_terminal() {
        assert_eq!(printable("a.jpg: 日本 é\nb"), "a.jpg: 日本 é\nb");
        assert_eq!(printable("a\u{1b}[2J\r\u{9b}1m"), r"a\u{1b}[2J\u{d}\u{9b}1m");
        assert_eq!(printable("\u{202e}gpj.exe\u{2069}"), r"\u{202e}gpj.exe\u{2069}");
    }

    #[test]
    fn a_time_is_told_in_units_of_its_size() {
        let told = [0.04, 59.4, 60.0, 187.2, 7_500.0].map(time);
        assert_eq!(told, ["0.0 s", "59.4 s", "1 min 00 s", "3 min 07 s", "2 h 05 min"]);
    }
}
