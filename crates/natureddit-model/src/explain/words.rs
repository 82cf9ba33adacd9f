//! The words of a title as a person sees them.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Where the words stand, in bytes: those of Unicode's word boundaries (UAX #29), each with the punctuation that touches it.
/// Punctuation alone between spaces is a word, an emoji is one, and so is each sign of a script without spaces.
pub(super) fn words(title: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    // Whether the next segment belongs to the last word, and whether that is punctuation only.
    let (mut touches, mut is_bare) = (false, false);
    for (start, segment) in title.split_word_bound_indices() {
        let end = start + segment.len();
        if segment.trim().is_empty() {
            touches = false;
            continue;
        }
        let is_punctuation = segment.chars().all(is_punctuation);
        match words.last_mut().filter(|_| touches && (is_punctuation || is_bare)) {
            Some(word) => {
                word.end = end;
                is_bare &= is_punctuation;
            }
            None => {
                words.push(start..end);
                is_bare = is_punctuation;
            }
        }
        touches = true;
    }
    words
}

/// The title without a word; what stood on both sides of it is held apart as before.
pub(super) fn without(title: &str, word: &Range<usize>) -> String {
    [&title[..word.start], &title[word.end..]].concat()
}

fn is_punctuation(c: char) -> bool {
    let is_of_a_block = matches!(
        c,
        '\u{a1}'..='\u{bf}' | '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{fe10}'..='\u{fe6f}' | '\u{ff01}'..='\u{ff0f}'
    );
    c.is_ascii_punctuation() || (is_of_a_block && !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(title: &str) -> Vec<&str> {
        words(title).into_iter().map(|at| &title[at]).collect()
    }

    #[test]
    fn words_are_those_that_a_person_sees() {
        assert_eq!(seen("A fox, in the snow!"), ["A", "fox,", "in", "the", "snow!"]);
        assert_eq!(
            seen("[OC] Don't \u{201c}move\u{201d}: 3.5 m"),
            ["[OC]", "Don't", "\u{201c}move\u{201d}:", "3.5", "m"]
        );
        assert_eq!(seen("fox - hare... r/birds"), ["fox", "-", "hare...", "r/", "birds"]);
        assert_eq!(seen("🦊🦊 caf\u{e9} 👩\u{200d}🌾"), ["🦊", "🦊", "caf\u{e9}", "👩\u{200d}🌾"]);
        assert_eq!(seen("雪の狐"), ["雪", "の", "狐"]);
        assert_eq!(seen(" \t\n "), [""; 0]);
        assert_eq!(seen("?!"), ["?!"]);
    }

    #[test]
    fn a_title_without_a_word_keeps_the_others_apart() {
        let title = "a red fox";
        let left: Vec<String> = words(title).iter().map(|word| without(title, word)).collect();
        assert_eq!(left, [" red fox", "a  fox", "a red "]);
    }

    proptest! {
        #[test]
        fn every_sign_is_in_one_word_or_is_white_space(title in any::<String>()) {
            let mut end = 0;
            for word in words(&title) {
                prop_assert!(word.start >= end && word.start < word.end);
                prop_assert!(title[end..word.start].trim().is_empty());
                end = word.end;
            }
            prop_assert!(title[end..].trim().is_empty());
        }
    }
}
