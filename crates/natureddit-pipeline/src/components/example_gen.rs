//! ExampleGen: labelled posts and extra titles, in splits that share no group.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use natureddit_core::text::normalise_title;
use natureddit_core::{ClassNames, PostId};
use natureddit_data::{Dataset, Label, LabelledTitle, Labels, PostRow, Titles};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{read_json, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::examples::{Example, ExampleSource, JudgedPosts, write_parquet, write_split};
use crate::grouping::{Member, group};
use crate::split::{Dealt, HashBuckets, Split, SplitBy};

/// The file with the [`ExampleCounts`].
pub const EXAMPLES_FILE: &str = "examples.json";

/// Makes examples of a dataset and its labels.
pub struct ExampleGen {
    /// What is told apart; a label of another name makes no example.
    pub classes: ClassNames,
    /// How large each split is.
    pub hash_buckets: HashBuckets,
    /// What decides on an example's split.
    pub split_by: SplitBy,
    /// Photos whose perceptual hashes differ in at most so many of 64 bits are one group.
    pub near_duplicate_distance_max: u32,
    /// Whether the examples are written as Parquet as well.
    pub parquet: bool,
}

/// What became of the dataset and the labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExampleCounts {
    /// What decided on the splits, as text: under another rule, what one has for the test another may have learnt from.
    /// Empty in examples that were made before it was told.
    #[serde(default)]
    pub split_rule: String,
    /// Posts in each split, by class.
    pub posts: BTreeMap<Split, BTreeMap<String, usize>>,
    /// Titles without a photo, all in the training split, by class.
    pub titles: BTreeMap<String, usize>,
    /// Groups that have a labelled post.
    pub groups: usize,
    /// Posts nobody chose a class for.
    pub posts_unlabelled: usize,
    /// Labels whose choice is no class.
    pub labels_of_other_classes: usize,
    /// Labels of posts that are not in the dataset, or of a photo that its post has not.
    pub labels_without_post: usize,
    /// Extra titles whose choice is no class.
    pub titles_of_other_classes: usize,
    /// Extra titles that equal one the model is judged by, or are of such a post.
    pub titles_dropped: usize,
    /// Extra titles without a letter or digit.
    pub titles_without_words: usize,
}

/// The [rule](ExampleCounts::split_rule) by which examples were split, where it is told.
pub(super) fn split_rule(examples: &Path) -> anyhow::Result<Option<String>> {
    let counts: Option<ExampleCounts> = read_json(&examples.join(EXAMPLES_FILE))?;
    Ok(counts.map(|counts| counts.split_rule).filter(|rule| !rule.is_empty()))
}

/// A dataset of no post: nothing was collected yet, or its table is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the dataset has no post")]
pub struct NothingCollected;

/// A dataset and labels of which no photo can be learnt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no photo of the dataset has a label among {classes}")]
pub struct NothingLabelled {
    /// What is told apart.
    pub classes: ClassNames,
}

impl Component for ExampleGen {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "ExampleGen",
                version: 4,
                inputs: &[Port::new("dataset", ArtifactType::Dataset), Port::new("labels", ArtifactType::Labels)],
                outputs: &[Port::new("examples", ArtifactType::Examples)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({
            "classes": self.classes,
            "hash_buckets": self.hash_buckets,
            "parquet": self.parquet,
            "split_by": self.split_by,
            "near_duplicate_distance_max": self.near_duplicate_distance_max,
        })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let (dataset, labels) = rayon::join(|| Dataset::read(io.input("dataset")), || Labels::read(io.input("labels")));
        let (dataset, labels) = (dataset?, labels?);
        let titles = Titles::read(io.input("labels"))?;
        let (splits, counts) = self.examples(&dataset, &labels, titles.all());
        let posts: usize = counts.posts.values().flat_map(BTreeMap::values).sum();
        if posts == 0 {
            anyhow::ensure!(!dataset.rows().is_empty(), NothingCollected);
            return Err(NothingLabelled { classes: self.classes.clone() }.into());
        }
        set_properties(cx, &splits);
        for (split, examples) in splits {
            write_split(io.output("examples"), split, &examples)?;
            if self.parquet {
                write_parquet(io.output("examples"), split, &examples)?;
            }
            cx.set_detail(split.name(), examples.len());
            cx.examples.keep(io.output("examples"), split, examples.into())?;
        }
        cx.set_detail("titles_dropped", counts.titles_dropped);
        cx.set_detail("labels_of_other_classes", counts.labels_of_other_classes);
        cx.set_detail("titles_of_other_classes", counts.titles_of_other_classes);
        write_json(&io.output("examples").join(EXAMPLES_FILE), &counts)
    }
}

/// The examples of each split.
type Splits = BTreeMap<Split, Vec<Example>>;

impl ExampleGen {
    fn split_rule(&self) -> String {
        json!([self.split_by, self.hash_buckets, self.near_duplicate_distance_max]).to_string()
    }

    fn examples<'a>(
        &self,
        dataset: &Dataset,
        labels: &Labels,
        titles: impl Iterator<Item = &'a LabelledTitle>,
    ) -> (Splits, ExampleCounts) {
        let mut counts = ExampleCounts { split_rule: self.split_rule(), ..Default::default() };
        let mut splits = self.posts(dataset, labels, &mut counts);
        let titles = self.titles_learnt(titles, &splits, &mut counts);
        splits.entry(Split::Train).or_default().extend(titles);
        (splits, counts)
    }

    /// The labelled posts in their splits, in the order of the dataset. All posts are grouped, also those without a
    /// label: a label that comes later then moves nobody.
    fn posts(&self, dataset: &Dataset, labels: &Labels, counts: &mut ExampleCounts) -> Splits {
        let rows = dataset.rows();
        let members: Vec<Member<'_>> = rows.iter().map(|row| member(row)).collect();
        let groups = group(&members, self.near_duplicate_distance_max);
        let created: HashMap<&PostId, i64> = rows.iter().map(|row| (&row.post.id, row.post.created_utc)).collect();
        let choices = labels.latest();
        let photos: HashSet<_> = rows.iter().map(|row| (&row.post.id, row.stem())).collect();
        let is_there = |(id, stem): (&PostId, &str)| match stem.is_empty() {
            true => created.contains_key(id),
            false => photos.contains(&(id, stem)),
        };
        counts.labels_without_post = choices.photos().filter(|photo| !is_there(*photo)).count();
        let mut chosen = Vec::new();
        for (row, group) in rows.into_iter().zip(groups) {
            match choices.label_of(row) {
                None => counts.posts_unlabelled += 1,
                Some(label) if self.classes.class(&label.choice).is_none() => counts.labels_of_other_classes += 1,
                Some(label) => chosen.push((row, label, group)),
            }
        }
        let labelled = chosen.into_par_iter().map(|(row, label, group)| (example(row, label, group), created[group]));
        let labelled: Vec<(Example, i64)> = labelled.collect();
        counts.groups = labelled.iter().map(|(example, _)| &example.group).collect::<HashSet<_>>().len();
        self.dealt(labelled, counts)
    }

    /// Puts examples, each with the time when its group began, into their splits.
    fn dealt(&self, labelled: Vec<(Example, i64)>, counts: &mut ExampleCounts) -> Splits {
        let dealt: Vec<Dealt<'_>> =
            labelled.iter().map(|(example, began)| Dealt { example, group_began: *began }).collect();
        let split_of = self.split_by.splits(&self.hash_buckets, &dealt);
        let mut splits: Splits = Split::ALL.into_iter().map(|split| (split, Vec::new())).collect();
        for ((example, _), split) in labelled.into_iter().zip(split_of) {
            *counts.posts.entry(split).or_default().entry(example.choice.clone()).or_default() += 1;
            splits.entry(split).or_default().push(example);
        }
        splits
    }

    /// The extra titles that may be learnt from: none that the model is judged by.
    fn titles_learnt<'a>(
        &self,
        titles: impl Iterator<Item = &'a LabelledTitle>,
        splits: &Splits,
        counts: &mut ExampleCounts,
    ) -> Vec<Example> {
        let judged = JudgedPosts::new([&splits[&Split::Eval], &splits[&Split::Test]].into_iter().flatten());
        let mut learnt = Vec::new();
        for LabelledTitle { id, title, choice } in titles {
            if self.classes.class(choice).is_none() {
                counts.titles_of_other_classes += 1;
            } else if normalise_title(title).is_empty() {
                counts.titles_without_words += 1;
            } else if judged.are_told_by(id, title) {
                counts.titles_dropped += 1;
            } else {
                *counts.titles.entry(choice.clone()).or_default() += 1;
                learnt.push(Example::title_alone(id.clone(), title.clone(), choice.clone()));
            }
        }
        learnt
    }
}

/// What TFX tells of an Examples artifact: its span is the day of the newest post, in days since 1970-01-01.
fn set_properties(cx: &mut ExecutionContext, splits: &Splits) {
    const SECONDS_A_DAY: i64 = 86_400;
    let newest = splits.values().flatten().map(|example| example.created_utc).max().unwrap_or_default();
    cx.set_property("examples", "span", newest.div_euclid(SECONDS_A_DAY));
    cx.set_property("examples", "version", 0_i64);
    cx.set_property("examples", "split_names", r#"["train", "eval", "test"]"#);
    cx.set_property("examples", "payload_format", "FORMAT_TF_EXAMPLE");
    cx.set_property("examples", "file_format", "tfrecords_gzip");
}

fn member(row: &PostRow) -> Member<'_> {
    let post = &row.post;
    Member {
        id: &post.id,
        created_utc: post.created_utc,
        author: &post.author,
        title: &post.title,
        perceptual_hash: Some(row.phash.bits()),
    }
}

fn example(row: &PostRow, label: &Label, group: &PostId) -> Example {
    let PostRow { post, img_name, width, height, sha256, phash, .. } = row;
    Example {
        id: post.id.clone(),
        title: post.title.clone(),
        img_name: img_name.clone(),
        sha256: Some(*sha256),
        choice: label.choice.clone(),
        group: group.to_string(),
        source: ExampleSource::Post,
        author: post.author.clone(),
        subreddit: post.subreddit.clone(),
        flair: post.flair.clone(),
        created_utc: post.created_utc,
        over_18: post.over_18,
        width: *width,
        height: *height,
        phash: Some(*phash),
        label_source: label.labelled_by.clone(),
    }
}
