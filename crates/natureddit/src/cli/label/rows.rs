//! Posts to look at, as a table that `label import` takes once its column choice is filled in or mended.

use std::collections::BTreeSet;

use anyhow::anyhow;
use natureddit_core::PostId;
use natureddit_pipeline::label_quality::{Conflict, ConflictKind, Conflicting, LabelQuality, Suspect};
use natureddit_pipeline::unlabelled::{UnlabelledPost, UnsureAnswer};
use serde::Serialize;

use crate::cli::words::printable;

/// So much of a title is told.
const TITLE_CHARS: usize = 50;

/// Why somebody should look at a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// Models that did not see it say something else than its label.
    LikelyWrong,
    /// Its photo is a near-duplicate of one with another label.
    NearPhotos,
    /// Its title is that of a post with another label.
    SameTitle,
    /// It has no label, and the model in use is not sure of it.
    Unsure,
    /// It has no label, and there is no model to ask.
    Unlabelled,
}

impl Reason {
    /// As the table names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LikelyWrong => "likely_wrong",
            Self::NearPhotos => "near_photos",
            Self::SameTitle => "same_title",
            Self::Unsure => "unsure",
            Self::Unlabelled => "unlabelled",
        }
    }
}

/// A post to look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) id: PostId,
    pub(super) img_name: String,
    /// The label it has; a row that nobody mends is imported as what is there already.
    pub(super) choice: Option<String>,
    pub(super) suggested: Option<String>,
    /// Of what is suggested.
    pub(super) probability: Option<f32>,
    /// The lower, the more it should be looked at.
    pub(super) margin: Option<f32>,
    pub(super) reason: Reason,
    /// The number of the set of posts that are alike, counted from 1.
    pub(super) set: Option<usize>,
    pub(super) title: String,
}

impl Row {
    fn of_suspect(suspect: &Suspect) -> Self {
        let Suspect { id, img_name, title, given, suggested, probability, margin, .. } = suspect;
        Self {
            id: id.clone(),
            img_name: img_name.clone(),
            choice: Some(given.clone()),
            suggested: Some(suggested.clone()),
            probability: Some(*probability),
            margin: Some(*margin),
            reason: Reason::LikelyWrong,
            set: None,
            title: title.clone(),
        }
    }

    fn of_set(kind: ConflictKind, set: usize, post: &Conflicting) -> Self {
        let Conflicting { id, img_name, title, given } = post;
        Self {
            id: id.clone(),
            img_name: img_name.clone(),
            choice: Some(given.clone()),
            suggested: None,
            probability: None,
            margin: None,
            reason: match kind {
                ConflictKind::Photo => Reason::NearPhotos,
                ConflictKind::Title => Reason::SameTitle,
            },
            set: Some(set),
            title: title.clone(),
        }
    }

    /// A row that waits for a choice.
    pub(super) fn of_unlabelled(post: UnlabelledPost) -> Self {
        let UnlabelledPost { id, img_name, title, answer } = post;
        let reason = if answer.is_some() { Reason::Unsure } else { Reason::Unlabelled };
        let (suggested, probability, margin) = match answer {
            Some(UnsureAnswer { suggested, probability, margin }) => (Some(suggested), Some(probability), Some(margin)),
            None => (None, None, None),
        };
        Self { id, img_name, choice: None, suggested, probability, margin, reason, set: None, title }
    }

    fn cells(&self) -> [String; 9] {
        let number = |number: Option<f32>| number.map_or_else(String::new, |number| format!("{number:.6}"));
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            self.id.to_string(),
            self.img_name.clone(),
            text(&self.choice),
            text(&self.suggested),
            number(self.probability),
            number(self.margin),
            self.reason.name().to_owned(),
            self.set.map_or_else(String::new, |set| set.to_string()),
            self.title.clone(),
        ]
    }
}

/// A row a post: the suspects, then those of the sets that are not suspects.
pub(super) fn of_quality(quality: &LabelQuality) -> Vec<Row> {
    let mut rows: Vec<Row> = quality.likely_wrong.iter().map(Row::of_suspect).collect();
    let mut told: BTreeSet<(&PostId, &str)> =
        quality.likely_wrong.iter().map(|suspect| (&suspect.id, suspect.img_name.as_str())).collect();
    for (number, Conflict { kind, posts }) in quality.conflicts.iter().enumerate() {
        for post in posts {
            if told.insert((&post.id, &post.img_name)) {
                rows.push(Row::of_set(*kind, number + 1, post));
            }
        }
    }
    rows
}

/// The table.
pub(super) fn table(rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["id", "img_name", "choice", "suggested", "probability", "margin", "reason", "set", "title"])?;
    rows.iter().try_for_each(|row| table.write_record(row.cells()))?;
    table.into_inner().map_err(|error| anyhow!("could not finish the table: {}", error.error()))
}

/// The beginning of a title, on one line.
pub(super) fn brief(title: &str) -> String {
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(TITLE_CHARS).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    printable(&cut).into_owned() + more
}
