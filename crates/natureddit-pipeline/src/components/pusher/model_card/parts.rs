//! The sections.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use natureddit_model::EncoderRecord;
use natureddit_model::metrics::Metrics;
use serde_json::Value;

use super::ModelCard;
use super::counts::{Counts, subreddit};
use super::document::Block;
use crate::components::evaluator::{Evaluation, Slice, SliceKind};
use crate::split::Split;

/// So many subreddits and slices of a kind are named; the others are one row.
const NAMED_MAX: usize = 20;
/// So many of its worst mistakes and parts are told.
const WORST_MAX: usize = 3;
/// What the bootstrap cannot tell; 3 / n is the rule of three (Hanley and Lippman-Hand 1983).
const WITHOUT_WIDTH: &str = "An interval without width, as of a figure that is 1, does not say that it is certain: where no \
    post was answered wrong, no resample has a mistake. With none among n posts that are independent, up to 3 / n of all may be \
    answered wrong (95 %).";

impl ModelCard<'_> {
    pub(super) fn details(&self) -> Vec<Block> {
        let manifest = self.manifest;
        let encoders = [("photos", &manifest.image_encoder), ("titles", &manifest.text_encoder)];
        let encoders = encoders.map(|(kind, encoder)| {
            let EncoderRecord { name, precision, features, licence, .. } = encoder;
            format!("encoder of {kind}: {name} in {precision}, {features} features, licence {licence}")
        });
        let pushed = format!("pushed {} (UTC)", self.pushed_at.strftime("%Y-%m-%d %H:%M"));
        let producer = format!("written by {}", manifest.producer);
        vec![
            Block::Heading("Model details"),
            Block::Text(format!(
                "It says of a post of Reddit, by its title, its photo or both, which of these it shows: {}. {} turn photo \
                 and title into numbers; a small head, trained for this project, turns those into a probability of each class.",
                manifest.classes,
                of_encoders([&manifest.image_encoder, &manifest.text_encoder])
            )),
            Block::List([pushed].into_iter().chain(encoders).chain([producer]).collect()),
        ]
    }

    pub(super) fn intended_use(&self) -> Vec<Block> {
        vec![
            Block::Heading("Intended use"),
            Block::Text(format!(
                "To sort and to find posts like those it was trained on. Every post gets one of {}, also one that shows none of \
                 them: what comes from elsewhere must be looked at before it is believed. It is not made for decisions about people, \
                 nor to tell whether an animal or a plant is dangerous.",
                self.manifest.classes
            )),
        ]
    }

    pub(super) fn training_data(&self) -> Vec<Block> {
        let Some(counts) = &self.counts else { return Vec::new() };
        let mut blocks = vec![Block::Heading("Data")];
        if let Some([first, last]) = counts.window() {
            let learnt: u64 = counts.titles.values().sum();
            blocks.push(Block::Text(format!(
                "Posts from {first} to {last} (UTC), labelled by people; {} of them are marked as not safe for work. Posts of one \
                 author and near-duplicates are all in one split, unless the settings split otherwise. {learnt} more labelled \
                 titles without a photo were learnt from.",
                counts.over_18
            )));
        }
        blocks.push(by_split("posts by class", &counts.classes, counts));
        blocks.push(by_split("posts by subreddit", &largest(&counts.subreddits), counts));
        blocks
    }

    pub(super) fn training(&self) -> Vec<Block> {
        let mut facts = Vec::new();
        if let Some(training) = &self.training {
            facts.push(format!("rows learnt from: {}", training.train_rows));
            facts.push(format!("rows that decided when to stop: {}", training.eval_rows));
            facts.push(format!("epoch taken: {} of {}", training.best_epoch, training.epochs.len()));
            if let Some(tuning) = &training.tuning {
                facts.push(format!("tuning epoch taken: {} of {}", tuning.best_epoch, tuning.epochs.len()));
            }
            facts.push(format!("weight of a title without a photo: {}", training.extra_title_weight));
        }
        let settings = self.manifest.lineage.get("trainer").and_then(|text| serde_json::from_str(text).ok());
        if let Some(Value::Object(settings)) = settings {
            facts.extend(settings.iter().map(|(name, value)| format!("{name} = {value}")));
        }
        vec![Block::Heading("Training"), Block::List(facts)]
    }

    pub(super) fn quality(&self) -> Vec<Block> {
        let Some(Evaluation { metrics, .. }) = &self.evaluation else { return Vec::new() };
        let percent = (metrics.confidence * 1e4).round() / 1e2;
        vec![
            Block::Heading("Quality"),
            Block::Text(format!(
                "On {} test posts of {} groups that it did not learn from, with {percent} % bootstrap intervals over groups.",
                metrics.examples, metrics.groups
            )),
            table(&["figure", "value", "interval"], figures(metrics)),
            table(&["class", "precision", "recall", "F1", "posts"], of_classes(metrics)),
            Block::Text(WITHOUT_WIDTH.to_owned()),
            Block::Text(
                "Calibration: of the posts answered with so much confidence, so many were answered right.".to_owned(),
            ),
            table(&["confidence", "right", "posts"], reliability(metrics)),
        ]
    }

    pub(super) fn slices(&self) -> Vec<Block> {
        let Some(evaluation) = &self.evaluation else { return Vec::new() };
        let mut rows = Vec::new();
        for kind in [SliceKind::Subreddit, SliceKind::Title, SliceKind::Photo, SliceKind::Month] {
            rows.extend(named_slices(evaluation, kind).take(NAMED_MAX).map(slice_row));
        }
        vec![
            Block::Heading("Parts of the test posts"),
            table(&["part", "posts", "accuracy", "macro-F1", "interval of macro-F1"], rows),
        ]
    }

    pub(super) fn limits(&self) -> Vec<Block> {
        let mut limits: Vec<String> = Vec::new();
        if let Some(evaluation) = &self.evaluation {
            limits.extend(confusions(&evaluation.metrics));
            limits.extend(weakest(evaluation));
            let (ece, [_, high]) = (evaluation.metrics.ece, evaluation.metrics.ece_interval);
            limits
                .push(format!("its confidence is off by {ece:.3} on average; the interval of that ends at {high:.3}"));
        }
        if let Some(counts) = &self.counts {
            let learnt = counts.of_split(Split::Train);
            limits.push(format!("it learnt from {learnt} posts; what is rare among them it has hardly seen"));
        }
        limits.extend(
            [
                "it knows no other class: a city, a person or a drawing is answered with one of its classes, too",
                "titles are read best in English, and of a long one the beginning (model.title_tokens_max in the settings); an animated picture is refused",
                "the labels are those of few people, and its mistakes may be theirs",
                "posts that were deleted after the training may still have shaped it, until it is trained again",
            ]
            .map(str::to_owned),
        );
        vec![Block::Heading("Limits and known failures"), Block::List(limits)]
    }

    pub(super) fn lineage(&self) -> Vec<Block> {
        let told = [
            ("git revision of the project", &self.dataset.git_revision),
            ("MD5 of posts.csv, as DVC has it", &self.dataset.posts_md5),
            ("MD5 of the photos, as DVC has it", &self.dataset.images_md5),
        ];
        let mut facts: Vec<String> =
            told.iter().filter_map(|(name, value)| Some(format!("{name}: {}", value.as_ref()?))).collect();
        // The settings of the training have a section of their own.
        let made_from = self.manifest.lineage.iter().filter(|(key, _)| *key != "trainer");
        facts.extend(made_from.map(|(key, value)| format!("{}: {value}", key.replace('_', " "))));
        for (kind, encoder) in [("photos", &self.manifest.image_encoder), ("titles", &self.manifest.text_encoder)] {
            facts.push(format!("encoder of {kind}: {}", encoder.hash));
        }
        vec![Block::Heading("Lineage"), Block::List(facts)]
    }
}

/// What weights the encoders began with.
fn of_encoders(encoders: [&EncoderRecord; 2]) -> &'static str {
    match encoders.map(|encoder| encoder.name.starts_with("random:")) {
        [false, false] => "Pretrained encoders",
        [true, true] => "Encoders that began with random weights, and not with pretrained ones,",
        [true, false] => "Encoders, that of photos begun with random weights and that of titles pretrained,",
        [false, true] => "Encoders, that of photos pretrained and that of titles begun with random weights,",
    }
}

fn table(header: &[&str], rows: Vec<Vec<String>>) -> Block {
    Block::Table { header: header.iter().map(|&name| name.to_owned()).collect(), rows }
}

fn by_split(name: &str, rows: &BTreeMap<String, BTreeMap<Split, u64>>, counts: &Counts) -> Block {
    let cells = |name: &str, of: &dyn Fn(Split) -> u64| {
        let numbers = Split::ALL.map(of);
        [name.to_owned()]
            .into_iter()
            .chain(numbers.iter().chain([&numbers.iter().sum()]).map(u64::to_string))
            .collect::<Vec<String>>()
    };
    let mut table_rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, splits)| cells(name, &|split| splits.get(&split).copied().unwrap_or_default()))
        .collect();
    table_rows.push(cells("all", &|split| counts.of_split(split)));
    table(&[name, "train", "eval", "test", "all"], table_rows)
}

/// The largest, and all others as one.
fn largest(rows: &BTreeMap<String, BTreeMap<Split, u64>>) -> BTreeMap<String, BTreeMap<Split, u64>> {
    let mut ordered: Vec<_> = rows.iter().collect();
    ordered.sort_by_key(|(_, splits)| Reverse(splits.values().sum::<u64>()));
    let (named, others) = ordered.split_at(ordered.len().min(NAMED_MAX));
    let mut shown: BTreeMap<_, _> = named.iter().map(|&(name, splits)| (name.clone(), splits.clone())).collect();
    if !others.is_empty() {
        let mut together: BTreeMap<Split, u64> = BTreeMap::new();
        for (split, count) in others.iter().flat_map(|(_, splits)| splits.iter()) {
            *together.entry(*split).or_default() += count;
        }
        shown.insert(format!("({} others)", others.len()), together);
    }
    shown
}

fn figure(value: f64) -> String {
    format!("{value:.3}")
}

fn range([low, high]: [f64; 2]) -> String {
    format!("{low:.3} – {high:.3}")
}

fn figures(metrics: &Metrics) -> Vec<Vec<String>> {
    let rows = [
        ("accuracy", metrics.accuracy, metrics.accuracy_interval),
        ("macro-F1", metrics.macro_f1, metrics.macro_f1_interval),
        ("expected calibration error", metrics.ece, metrics.ece_interval),
        ("Brier score (0 best, 2 worst)", metrics.brier, metrics.brier_interval),
    ];
    let mut rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, value, interval)| vec![name.to_owned(), figure(value), range(interval)]).collect();
    for selective in &metrics.selective {
        let name = format!("accuracy on the surest {:.0} %", selective.coverage * 100.0);
        rows.push(vec![name, figure(selective.accuracy), range(selective.interval)]);
    }
    rows.push(vec!["macro-F1 of the most frequent class".to_owned(), figure(metrics.majority_macro_f1), String::new()]);
    rows
}

fn of_classes(metrics: &Metrics) -> Vec<Vec<String>> {
    let with = |value, interval| format!("{} ({})", figure(value), range(interval));
    let row = |class: &natureddit_model::metrics::ClassReport| {
        vec![
            class.name.clone(),
            with(class.precision, class.precision_interval),
            with(class.recall, class.recall_interval),
            with(class.f1, class.f1_interval),
            class.support.to_string(),
        ]
    };
    metrics.per_class.iter().map(row).collect()
}

fn reliability(metrics: &Metrics) -> Vec<Vec<String>> {
    let filled = metrics.reliability.iter().filter(|bin| bin.examples > 0);
    filled.map(|bin| vec![figure(bin.confidence), figure(bin.accuracy), bin.examples.to_string()]).collect()
}

/// Slices that may be named; the largest first, months in their order.
fn named_slices(evaluation: &Evaluation, kind: SliceKind) -> impl Iterator<Item = &Slice> {
    let is_named = move |slice: &&Slice| kind != SliceKind::Subreddit || subreddit(&slice.name) == slice.name;
    evaluation.slices.iter().filter(move |slice| slice.kind == kind).filter(is_named)
}

fn slice_row(slice: &Slice) -> Vec<String> {
    let metrics = &slice.metrics;
    let few = if slice.judged { "" } else { ", too few to judge by" };
    vec![
        format!("{} {}{few}", slice.kind.label(), slice.name),
        metrics.examples.to_string(),
        figure(metrics.accuracy),
        figure(metrics.macro_f1),
        range(metrics.macro_f1_interval),
    ]
}

/// What it takes for what most often.
fn confusions(metrics: &Metrics) -> Vec<String> {
    let mut pairs: Vec<(u64, &str, &str, u64)> = Vec::new();
    for (truth, row) in metrics.per_class.iter().zip(&metrics.confusion) {
        let wrong =
            metrics.per_class.iter().zip(row).filter(|(answer, count)| answer.name != truth.name && **count > 0);
        pairs.extend(wrong.map(|(answer, count)| (*count, truth.name.as_str(), answer.name.as_str(), truth.support)));
    }
    pairs.sort_by_key(|(count, ..)| Reverse(*count));
    let told = |(count, truth, answer, all): &(u64, &str, &str, u64)| {
        format!("{count} of {all} test posts of {truth} were taken for {answer}")
    };
    pairs.iter().take(WORST_MAX).map(told).collect()
}

/// The parts with the lowest accuracy that have enough posts for a verdict, where they are below the whole.
fn weakest(evaluation: &Evaluation) -> Vec<String> {
    let kinds = [SliceKind::Subreddit, SliceKind::Title, SliceKind::Photo, SliceKind::Month];
    let mut parts: Vec<&Slice> = kinds
        .into_iter()
        .flat_map(|kind| named_slices(evaluation, kind))
        .filter(|slice| slice.judged && slice.metrics.accuracy < evaluation.metrics.accuracy)
        .collect();
    parts.sort_by(|a, b| a.metrics.accuracy.total_cmp(&b.metrics.accuracy));
    let told = |slice: &&Slice| {
        let Slice { kind, name, metrics, .. } = slice;
        format!(
            "it is weaker than on the whole where {} is {name}: accuracy {:.3} on {} posts",
            kind.label(),
            metrics.accuracy,
            metrics.examples
        )
    };
    parts.iter().take(WORST_MAX).map(told).collect()
}
