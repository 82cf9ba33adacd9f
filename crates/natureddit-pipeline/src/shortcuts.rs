//! How well one column alone tells the class: a model that learns it has learned nothing of photo and title.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::examples::{Example, ExampleSource};

/// What the probes found. In each the most frequent class of every value is learnt from the training split and judged on
/// the eval and test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortcuts {
    /// Posts learnt from.
    pub examples_learnt: usize,
    /// Posts judged on.
    pub examples_judged: usize,
    /// The accuracy of always naming the most frequent class.
    pub majority_accuracy: f64,
    /// Each column alone, the best first.
    pub columns: Vec<Shortcut>,
}

/// What one column tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortcut {
    /// `subreddit`, `flair` or `photo_size`.
    pub column: String,
    /// The share of judged posts whose class it tells.
    pub accuracy: f64,
    /// Different values in the training split.
    pub values: usize,
    /// Judged posts whose value the training split does not have; they are said to be of the most frequent class.
    pub values_unseen: usize,
}

/// Probes the columns that say where a post is from and how large its photo is; `None` where a side has no posts.
#[must_use]
pub fn probe_shortcuts<'a>(
    train: impl IntoIterator<Item = &'a Example>,
    judged: impl IntoIterator<Item = &'a Example>,
) -> Option<Shortcuts> {
    let train: Vec<&Example> = train.into_iter().filter(|example| is_post(example)).collect();
    let judged: Vec<&Example> = judged.into_iter().filter(|example| is_post(example)).collect();
    let all = train.iter().map(|example| ((), example.choice.as_str()));
    let majority = *majority_by(all).get(&())?;
    if judged.is_empty() {
        return None;
    }
    let share = |count: usize| count as f64 / judged.len() as f64;
    let probe = |(column, value): Column| {
        let learnt = majority_by(train.iter().map(|example| (value(example), example.choice.as_str())));
        let told = |example: &Example| learnt.get(&value(example)).copied();
        Shortcut {
            column: column.to_owned(),
            accuracy: share(judged.iter().filter(|e| told(e).unwrap_or(majority) == e.choice).count()),
            values: learnt.len(),
            values_unseen: judged.iter().filter(|example| told(example).is_none()).count(),
        }
    };
    let mut columns: Vec<Shortcut> = COLUMNS.into_iter().map(probe).collect();
    columns.sort_by(|one, other| other.accuracy.total_cmp(&one.accuracy));
    Some(Shortcuts {
        examples_learnt: train.len(),
        examples_judged: judged.len(),
        majority_accuracy: share(judged.iter().filter(|example| example.choice == majority).count()),
        columns,
    })
}

/// A name and how to find its value.
type Column = (&'static str, fn(&Example) -> Value<'_>);

/// The value of a column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Value<'a> {
    Text(&'a str),
    /// Width and height.
    Size(u32, u32),
}

const COLUMNS: [Column; 3] = [
    ("subreddit", |example| Value::Text(&example.subreddit)),
    ("flair", |example| Value::Text(&example.flair)),
    ("photo_size", |example| Value::Size(example.width, example.height)),
];

fn is_post(example: &Example) -> bool {
    example.source == ExampleSource::Post
}

/// The most frequent class of each value; of equally frequent ones the first by name.
fn majority_by<'a, K: Ord>(pairs: impl Iterator<Item = (K, &'a str)>) -> BTreeMap<K, &'a str> {
    let mut counts: BTreeMap<K, BTreeMap<&str, usize>> = BTreeMap::new();
    for (value, class) in pairs {
        *counts.entry(value).or_default().entry(class).or_default() += 1;
    }
    let most = |classes: BTreeMap<&'a str, usize>| {
        classes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(class, _)| class)
    };
    counts.into_iter().filter_map(|(value, classes)| Some((value, most(classes)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(subreddit: &str, choice: &str, width: u32) -> Example {
        Example {
            source: ExampleSource::Post,
            subreddit: subreddit.into(),
            width,
            height: 100,
            ..Example::title_alone("p".parse().unwrap(), String::new(), choice.into())
        }
    }

    #[test]
    fn a_column_that_is_nearly_the_class_is_found() {
        let train: Vec<Example> = (0..40)
            .map(|at| post(["birds", "flowers"][at % 2], ["fauna", "flora"][at % 2], [640, 800][at / 20]))
            .collect();
        let judged = [
            post("birds", "fauna", 640),
            post("flowers", "flora", 800),
            post("flowers", "fauna", 640),
            post("lakes", "fauna", 12),
            Example::title_alone("t".parse().unwrap(), "A title".into(), "flora".into()),
        ];
        let found = probe_shortcuts(&train, &judged).unwrap();
        assert_eq!((found.examples_learnt, found.examples_judged), (40, 4));
        assert_eq!(found.majority_accuracy, 0.75, "fauna is the first of two equally frequent classes");
        let told = |column: &str| found.columns.iter().find(|shortcut| shortcut.column == column).unwrap();
        let subreddit = told("subreddit");
        assert_eq!((subreddit.accuracy, subreddit.values, subreddit.values_unseen), (0.75, 2, 1));
        assert_eq!((told("photo_size").accuracy, told("photo_size").values_unseen), (0.75, 1));
        assert_eq!(probe_shortcuts(&train, &[]), None);
        assert_eq!(probe_shortcuts(&[], &judged), None);
    }
}
