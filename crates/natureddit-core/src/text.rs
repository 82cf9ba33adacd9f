//! Titles as keys: two titles that say the same have one normalised form. And what stands in addresses.

use unicode_normalization::UnicodeNormalization;

/// The form under which titles are compared: NFKC, lower case, without bracketed tags such as `[OC]` or
/// `[4000x3000]` (unless nothing else is left), letters and digits only, single spaces.
#[must_use]
pub fn normalise_title(title: &str) -> String {
    // Most titles are plain English, which NFKC leaves as it is.
    let folded = match title.is_ascii() {
        true => title.to_ascii_lowercase(),
        false => title.nfkc().flat_map(char::to_lowercase).collect(),
    };
    let bare = words(&without_brackets(&folded));
    if bare.is_empty() { words(&folded) } else { bare }
}

/// What a part of an address says (RFC 3986, section 2.1); `None` where a `%` leads nothing or the bytes are no text.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn without_brackets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(['[', '(']) {
        let close = if rest[open..].starts_with('[') { ']' } else { ')' };
        let Some(length) = rest[open..].find(close) else { break };
        out.push_str(&rest[..open]);
        out.push(' ');
        rest = &rest[open + length + 1..];
    }
    out.push_str(rest);
    out
}

fn words(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_decoded_or_refused() {
        assert_eq!(percent_decoded("p%40ss+%C3%A9").as_deref(), Some("p@ss+é"));
        for bad in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(percent_decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn tags_case_and_width_do_not_matter() {
        let plain = normalise_title("Sunrise over Lake Tahoe");
        assert_eq!(normalise_title("Sunrise over  LAKE Tahoe! [OC] [4032×3024] (2021)"), plain);
        assert_eq!(normalise_title("Sunrise over Lake Tahoe"), plain);
    }

    #[test]
    fn a_title_of_tags_only_keeps_its_words() {
        assert_eq!(normalise_title("[OC]"), "oc");
        assert_eq!(normalise_title("[unclosed"), "unclosed");
        assert_eq!(normalise_title("🌲🌲"), "");
    }

    proptest! {
        #[test]
        fn plain_english_is_normalised_as_all_else(title in "[ -~]{0,60}") {
            let folded: String = title.nfkc().flat_map(char::to_lowercase).collect();
            prop_assert_eq!(title.to_ascii_lowercase(), folded);
        }

        #[test]
        fn normalising_twice_changes_nothing(title in ".{0,60}") {
            let once = normalise_title(&title);
            prop_assert_eq!(normalise_title(&once), once);
        }
    }
}
