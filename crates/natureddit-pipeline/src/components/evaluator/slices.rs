//! How good the model is on parts of the posts: a figure for all may hide one that it fails on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use natureddit_core::ClassNames;
use natureddit_model::metrics::{Bootstrap, Judged, PartMetrics, evaluate_part};
use serde::{Deserialize, Serialize};

use super::Answered;
use crate::examples::Example;

/// What posts are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceKind {
    /// Where they were posted.
    Subreddit,
    /// Whether they have a title that the model could read.
    Title,
    /// Whether they have a photo that the model could see.
    Photo,
    /// The month they were posted in, UTC.
    Month,
    /// Who chose their class.
    LabelSource,
}

impl SliceKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Subreddit, Self::Title, Self::Photo, Self::Month, Self::LabelSource];

    /// Its name for people: `label source`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Subreddit => "subreddit",
            Self::Title => "title",
            Self::Photo => "photo",
            Self::Month => "month",
            Self::LabelSource => "label source",
        }
    }

    /// Which of its slices a post belongs to.
    fn of(self, answered: &Answered<'_>) -> String {
        let Answered { example, features, .. } = answered;
        let presence = |present: bool| if present { "present" } else { "missing" }.to_owned();
        match self {
            Self::Subreddit => example.subreddit.clone(),
            Self::Title => presence(features.text.is_some()),
            Self::Photo => presence(features.image.is_some()),
            Self::Month => month(example),
            Self::LabelSource => example.label_source.clone(),
        }
    }
}

/// A part of the test posts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What the posts are divided by.
    pub kind: SliceKind,
    /// What its posts have in common: `flowers`, `2021-04`; empty where they have none.
    pub name: String,
    /// Whether it has enough posts for a verdict.
    pub judged: bool,
    /// The candidate's figures on it.
    #[serde(flatten)]
    pub metrics: PartMetrics,
}

/// Every slice, the largest of a kind first, months in their order.
pub(super) fn slices(
    answered: &[Answered<'_>],
    classes: &ClassNames,
    bootstrap: &Bootstrap,
    examples_min: usize,
) -> Vec<Slice> {
    SliceKind::ALL.into_iter().flat_map(|kind| of_kind(kind, answered, classes, bootstrap, examples_min)).collect()
}

fn of_kind(
    kind: SliceKind,
    answered: &[Answered<'_>],
    classes: &ClassNames,
    bootstrap: &Bootstrap,
    examples_min: usize,
) -> Vec<Slice> {
    let mut parts: BTreeMap<String, Vec<&Judged>> = BTreeMap::new();
    for answered in answered {
        parts.entry(kind.of(answered)).or_default().push(&answered.judged);
    }
    let slice = |(name, posts): (String, Vec<&Judged>)| Slice {
        kind,
        name,
        judged: posts.len() >= examples_min,
        metrics: evaluate_part(posts, classes, bootstrap),
    };
    let mut slices: Vec<Slice> = parts.into_iter().map(slice).collect();
    if kind != SliceKind::Month {
        slices.sort_by_key(|slice| std::cmp::Reverse(slice.metrics.examples));
    }
    slices
}

/// `2021-04`; empty for a time beyond all calendars.
fn month(example: &Example) -> String {
    let posted = Timestamp::from_second(example.created_utc);
    posted.map_or_else(|_| String::new(), |posted| posted.strftime("%Y-%m").to_string())
}
