//! A set of post ids that stays small: a walk holds the ids of all its posts, and there may be millions.

use std::collections::HashSet;

use natureddit_core::PostId;

/// The ids that Reddit gives have 6 or 7 characters; so many fit into a number.
const NUMBER_CHARS_MAX: usize = 12;

/// Which posts came. An id of lower-case letters and digits takes some ten bytes, any other what its text takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdSet {
    numbers: HashSet<u64>,
    others: HashSet<PostId>,
}

impl IdSet {
    /// Adds an id, and says whether it is new.
    pub(crate) fn insert(&mut self, id: &PostId) -> bool {
        match number(id.as_str()) {
            Some(number) => self.numbers.insert(number),
            None => self.others.insert(id.clone()),
        }
    }

    /// Whether it has an id.
    pub(crate) fn contains(&self, id: &PostId) -> bool {
        match number(id.as_str()) {
            Some(number) => self.numbers.contains(&number),
            None => self.others.contains(id),
        }
    }
}

/// An id as a number of base 37, in which no digit is zero, so that no two ids have the same.
fn number(id: &str) -> Option<u64> {
    if id.len() > NUMBER_CHARS_MAX {
        return None;
    }
    id.bytes().try_fold(0, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number * 37 + u64::from(digit) + 1)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_number_fits() {
        assert!(number(&"z".repeat(NUMBER_CHARS_MAX)).is_some());
        assert_eq!(number("A"), None);
        assert!(number("0") != number("00") && number("0a") != number("a"));
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_ids(ids in proptest::collection::vec("[0a-bA_-]{1,3}|[0-9a-z]{11,14}", 0..60)) {
            let (mut set, mut expected) = (IdSet::default(), BTreeSet::new());
            for id in &ids {
                let id: PostId = id.parse().unwrap();
                prop_assert_eq!(set.contains(&id), expected.contains(&id));
                prop_assert_eq!(set.insert(&id), expected.insert(id.clone()));
                prop_assert!(set.contains(&id));
            }
        }
    }
}
