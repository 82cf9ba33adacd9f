//! Rust source with comments and literals blanked out, so that a word in a sentence is not taken for code.

/// `text` with every comment, string and character literal replaced by spaces; lines stay where they are.
pub(super) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = at + not_code_length(&chars[at..], at.checked_sub(1).map(|before| chars[before]));
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// The part of `code` before its `#[cfg(test)] mod name {`: tests may do what the program may not.
pub(super) fn before_tests(code: &str) -> &str {
    const MARK: &str = "#[cfg(test)]";
    let starts_test_module = |at: usize| {
        let rest = code[at + MARK.len()..].trim_start();
        let head = rest.find(['{', ';']).map_or(rest, |end| &rest[..=end]);
        head.ends_with('{') && contains_word(head, "mod")
    };
    let start = code.match_indices(MARK).map(|(at, _)| at).find(|&at| starts_test_module(at));
    &code[..start.unwrap_or(code.len())]
}

/// Whether `word` stands in `line` and is not a part of a longer name.
pub(super) fn contains_word(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let joins_before = word.starts_with(is_name) && line[..at].ends_with(is_name);
        let joins_after = word.ends_with(is_name) && line[at + word.len()..].starts_with(is_name);
        !joins_before && !joins_after
    })
}

/// How many characters at the start of `rest` are one comment or literal; 0 where code stands.
fn not_code_length(rest: &[char], before: Option<char>) -> usize {
    match rest {
        ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment_length(rest),
        ['"', ..] => string_length(rest),
        ['r', '"' | '#', ..] if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' || matches!(c, 'b' | 'c')) => {
            raw_string_length(rest)
        }
        ['\'', '\\', ..] => rest.iter().skip(3).position(|&c| c == '\'').map_or(rest.len(), |at| at + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string_length(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"..."` or `r#"..."#` with any number of `#`; 0 for a raw name such as `r#type`.
fn raw_string_length(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = 2 + hashes;
    let found = rest[body..].windows(closing.len()).position(|window| window == closing);
    found.map_or(rest.len(), |at| body + at + closing.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        for (text, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y", 'z', '\'', '\u{1F98A}')"#, "f(      ,    ,     ,            )"),
            (r###"g(r#"a"b"#, br"\", r#type)"###, "g(        , b    , r#type)"),
            ("fn h<'a>(x: &'a str) {}", "fn h<'a>(x: &'a str) {}"),
            ("\"open", "     "),
            ("/* open", "       "),
        ] {
            assert_eq!(code_only(text), code, "{text}");
        }
    }

    #[test]
    fn lines_are_kept() {
        let text = "a\n/* b\nc */ \"d\ne\"\nf";
        assert_eq!(code_only(text).lines().count(), text.lines().count());
    }

    #[test]
    fn the_test_module_is_cut_and_a_test_item_is_not() {
        assert_eq!(before_tests("fn a() {}\n#[cfg(test)]\nmod tests { x }"), "fn a() {}\n");
        assert_eq!(before_tests("#[cfg(test)]\npub(crate) mod tests {"), "");
        assert_eq!(before_tests("#[cfg(test)]\nmod tests;\nfn a() {}"), "#[cfg(test)]\nmod tests;\nfn a() {}");
        assert_eq!(before_tests("#[cfg(test)]\nuse a;\nfn modern() {}"), "#[cfg(test)]\nuse a;\nfn modern() {}");
    }

    #[test]
    fn a_word_is_not_found_inside_a_longer_one() {
        assert!(contains_word("unsafe { f() }", "unsafe"));
        assert!(!contains_word("#![deny(unsafe_code)]", "unsafe"));
        assert!(contains_word("x; println!(\"\")", "println!"));
        assert!(!contains_word("eprintln!(\"\")", "println!"));
        assert!(contains_word("#[allow(dead_code)]", "#[allow("));
    }
}
