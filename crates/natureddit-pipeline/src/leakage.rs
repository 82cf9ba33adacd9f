//! Whether what belongs together lies in more than one split, so that the model would be judged by what it has learned.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use natureddit_core::text::normalise_title;
use natureddit_image::PerceptualHash;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::examples::Example;
use crate::grouping::{is_person, near_photos};
use crate::split::Split;

/// At most so many of each kind are told with their names.
const TOLD_MAX: usize = 20;

/// What lies in more than one split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leakage {
    /// Posts of which photos lie in several splits.
    pub posts: usize,
    /// Authors whose posts lie in several splits.
    pub authors: usize,
    /// Titles, normalised, that lie in several splits.
    pub titles: usize,
    /// Photos that lie, with their near duplicates, in several splits.
    pub photos: usize,
    /// Some of them.
    pub examples: Vec<Leak>,
}

/// One thing that lies in more than one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// `post`, `author`, `title` or `photo`.
    pub what: String,
    /// Its name; of a photo that of one of its files.
    pub name: String,
    /// Where it lies, and one post of each.
    pub splits: BTreeMap<Split, String>,
}

impl Leakage {
    /// Whether anything was found.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.posts + self.authors + self.titles + self.photos > 0
    }
}

impl fmt::Display for Leakage {
    /// `2 authors and 1 photo lie in more than one split: author ann (train p1, test p2)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.posts, "post"), (self.authors, "author"), (self.titles, "title"), (self.photos, "photo")];
        let counted: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
            .collect();
        let verb = if counted.len() == 1 && counted[0].starts_with("1 ") { "lies" } else { "lie" };
        write!(f, "{} {verb} in more than one split", counted.join(", "))?;
        match self.examples.first() {
            Some(leak) => {
                let places: Vec<String> = leak.splits.iter().map(|(split, post)| format!("{split} {post}")).collect();
                write!(f, ": {} {} ({})", leak.what, leak.name, places.join(", "))
            }
            None => Ok(()),
        }
    }
}

/// Looks for what lies in more than one split. Photos are near duplicates when at most so many of the 64 bits of their
/// perceptual hashes differ.
#[must_use]
pub fn find_leakage(splits: &BTreeMap<Split, Arc<[Example]>>, near_duplicate_distance_max: u32) -> Leakage {
    let all: Vec<Placed<'_>> =
        splits.iter().flat_map(|(split, examples)| examples.iter().map(|example| (*split, example))).collect();
    let titles: Vec<String> = all.par_iter().map(|(_, example)| normalise_title(&example.title)).collect();
    let hashes: Vec<Option<u64>> = all.iter().map(|(_, example)| example.phash.map(PerceptualHash::bits)).collect();
    let photos = near_photos(&hashes, near_duplicate_distance_max);
    let mut leakage = Leakage::default();
    let told = &mut leakage.examples;
    leakage.posts = crossing(&all, "post", told, |_, example| Some((&example.id, example.id.as_str())));
    leakage.authors = crossing(&all, "author", told, |_, example| {
        is_person(&example.author).then_some((&example.author, example.author.as_str()))
    });
    leakage.titles =
        crossing(&all, "title", told, |at, _| Some(titles[at].as_str()).filter(|t| !t.is_empty()).map(|t| (t, t)));
    leakage.photos =
        crossing(&all, "photo", told, |at, example| hashes[at].map(|_| (photos[at], example.img_name.as_str())));
    leakage
}

/// An example and where it lies.
type Placed<'a> = (Split, &'a Example);

/// How many keys lie in more than one split; some are told, in the order of their keys. `key` gives an example's key and
/// the name by which it is told.
fn crossing<'a, K: Copy + Ord + Hash>(
    all: &[Placed<'a>],
    what: &str,
    told: &mut Vec<Leak>,
    key: impl Fn(usize, &'a Example) -> Option<(K, &'a str)>,
) -> usize {
    let keyed =
        || all.iter().enumerate().filter_map(|(at, (split, example))| Some((key(at, example)?, split, example)));
    let mut split_of = HashMap::with_capacity(all.len());
    let mut crossing: BTreeMap<K, (Option<&str>, BTreeMap<Split, String>)> = BTreeMap::new();
    for ((key, _), split, _) in keyed() {
        if *split_of.entry(key).or_insert(split) != split {
            crossing.entry(key).or_default();
        }
    }
    if crossing.is_empty() {
        return 0;
    }
    for ((key, name), split, example) in keyed() {
        if let Some((first_name, splits)) = crossing.get_mut(&key) {
            first_name.get_or_insert(name);
            splits.entry(*split).or_insert_with(|| example.id.to_string());
        }
    }
    let count = crossing.len();
    let leaks = crossing.into_values().take(TOLD_MAX);
    let leak = |(name, splits): (Option<&str>, _)| Leak {
        what: what.to_owned(),
        name: name.unwrap_or_default().to_owned(),
        splits,
    };
    told.extend(leaks.map(leak));
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::ExampleSource;

    /// Posts as (split, id, author, title, perceptual hash).
    fn splits(posts: &[(Split, &str, &str, &str, &str)]) -> BTreeMap<Split, Arc<[Example]>> {
        let mut splits: BTreeMap<Split, Vec<Example>> = BTreeMap::new();
        for &(split, id, author, title, phash) in posts {
            splits.entry(split).or_default().push(Example {
                source: ExampleSource::Post,
                author: author.into(),
                img_name: format!("{id}.jpg"),
                phash: phash.parse().ok(),
                ..Example::title_alone(id.parse().unwrap(), title.into(), "fauna".into())
            });
        }
        splits.into_iter().map(|(split, posts)| (split, posts.into())).collect()
    }

    #[test]
    fn what_was_planted_is_found_and_nothing_else() {
        use Split::{Eval, Test, Train};
        let clean = [
            (Train, "p1", "ann", "A fox", "0000000000000000"),
            (Train, "p2", "ann", "A hen", "0000000000000003"),
            (Eval, "p3", "[deleted]", "A rose", "ffff0000ffff0000"),
            (Test, "p4", "[deleted]", "", "0000ffff0000ffff"),
            (Test, "p5", "", "", "00000000ffffffff"),
        ];
        assert!(!find_leakage(&splits(&clean), 6).is_found());

        let mut leaky = clean.to_vec();
        leaky.extend([
            (Eval, "p6", "ann", "A lake", "ff00ff00ff00ff00"),
            (Test, "p7", "bob", "a FOX!", "00ff00ff00ff00ff"),
            (Test, "p8", "cid", "A hill", "000000000000000f"),
        ]);
        let leakage = find_leakage(&splits(&leaky), 6);
        let Leakage { posts, authors, titles, photos, .. } = leakage;
        assert_eq!((posts, authors, titles, photos), (0, 1, 1, 1));
        let told = "1 author, 1 title, 1 photo lie in more than one split: author ann (train p1, eval p6)";
        assert_eq!(leakage.to_string(), told);
        // Two bits lie between p2 and p8, four between p1 and p8.
        assert_eq!(find_leakage(&splits(&leaky), 1).photos, 0);
    }
}
