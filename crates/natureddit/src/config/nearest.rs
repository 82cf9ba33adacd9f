//! Which key was meant by one that does not exist.

use toml::{Table, Value};

use super::document::join;

/// The valid key that `name` in the table `path` was probably meant to be: one of the same table that is spelt nearly
/// the same, else the one key of that very name in another table.
pub(super) fn key(path: &str, name: &str, siblings: &Table, example: &Table) -> Option<String> {
    let near = spelling(name, siblings.keys().map(String::as_str)).map(|sibling| join(path, sibling));
    near.or_else(|| {
        let mut places = Vec::new();
        places_of(name, "", example, &mut places);
        (places.len() == 1).then(|| places.remove(0))
    })
}

/// The candidate at most a third of whose letters differ, the nearest first; of equals the one of the same length,
/// since a wrong letter is likelier than a missing one.
pub(crate) fn spelling<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let scored = candidates.map(|candidate| {
        let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
        (distance, candidate.len().abs_diff(word.len()), candidate)
    });
    let (distance, _, candidate) = scored.min()?;
    (distance <= (candidate.len() / 3).max(1)).then_some(candidate)
}

fn places_of(name: &str, path: &str, table: &Table, places: &mut Vec<String>) {
    for (key, value) in table {
        let whole = join(path, key);
        if let Value::Table(below) = value {
            places_of(name, &whole, below, places);
        }
        if key == name {
            places.push(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_spelling_wins_and_a_far_one_is_not_guessed() {
        let words = ["port", "posts", "seed"];
        assert_eq!(spelling("post", words.into_iter()), Some("port"));
        assert_eq!(spelling("psots", words.into_iter()), Some("posts"));
        assert_eq!(spelling("SEED", words.into_iter()), Some("seed"));
        assert_eq!(spelling("colour", words.into_iter()), None);
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_to_its_own() {
        let example: Table = toml::from_str("[trainer]\nepochs_max = 1\n[serve]\nthreads = 0\n").unwrap();
        let serve = example["serve"].as_table().unwrap();
        assert_eq!(key("serve", "epochs_max", serve, &example).as_deref(), Some("trainer.epochs_max"));
        assert_eq!(key("", "threads", &example, &example).as_deref(), Some("serve.threads"));
        assert_eq!(key("", "colour", &example, &example), None);
    }
}
