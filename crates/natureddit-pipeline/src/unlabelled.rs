//! Posts without a label, in the order in which labelling them teaches the model most.
//!
//! Margin sampling (Settles 2009, "Active Learning Literature Survey", section 3.1): those come first whose two most probable
//! classes are nearest to each other, for the model has not learnt to tell them apart there. Of photos that are
//! near-duplicates of one another one is enough.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use natureddit_core::{ContentHash, PostId};
use natureddit_data::{Dataset, Labels, PostRow};
use serde::Serialize;

use crate::components::bulk_inferrer::PredictedPost;
use crate::grouping::near_photos;

/// The posts to label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unlabelled {
    /// Those the model is least sure of first, of near-duplicates one. Without answers of a model the order is drawn by the
    /// posts' ids, so that the first of them are of all times and subreddits.
    pub posts: Vec<UnlabelledPost>,
    /// How many were left out because another stands for them.
    pub near_duplicates: usize,
    /// How many were left out because their photo is gone or the model cannot read it.
    pub unreadable: usize,
}

/// A post without a label.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlabelledPost {
    /// The post.
    pub id: PostId,
    /// Its photo.
    pub img_name: String,
    /// Its title.
    pub title: String,
    /// What the model says of it.
    pub answer: Option<UnsureAnswer>,
}

/// What a model says of a post without a label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnsureAnswer {
    /// The most probable class.
    pub suggested: String,
    /// Its probability.
    pub probability: f32,
    /// That less the probability of the next class: 0 quite unsure, 1 quite sure.
    pub margin: f32,
}

/// What the order follows from.
pub struct LabellingNeed<'a> {
    /// The posts; those that were deleted are passed over.
    pub dataset: &'a Dataset,
    /// What is labelled already.
    pub labels: &'a Labels,
    /// Where the photos are.
    pub images_dir: &'a Path,
    /// What the model in use says; `None` where there is no model.
    pub answers: Option<&'a [PredictedPost]>,
    /// Photos whose perceptual hashes differ in at most so many bits are near-duplicates.
    pub near_duplicate_distance_max: u32,
}

impl LabellingNeed<'_> {
    /// The posts to label, the most useful first.
    #[must_use]
    pub fn unlabelled(&self) -> Unlabelled {
        let choices = self.labels.latest();
        let is_open = |row: &&PostRow| choices.of(row).is_none() && !self.dataset.tombstones.has(&row.post.id);
        let open: Vec<&PostRow> = self.dataset.rows().into_iter().filter(is_open).collect();
        let mut found = self.answered(&open);
        let unreadable = open.len() - found.len();
        if self.answers.is_some() {
            // Stable: of equally sure ones the older comes first.
            found.sort_by(|(_, a), (_, b)| margin(a.as_ref()).total_cmp(&margin(b.as_ref())));
        } else {
            let drawn = |row: &PostRow| ContentHash::of(row.img_name.as_bytes()).as_bytes().to_owned();
            found.sort_by_cached_key(|(row, _)| drawn(row));
        }
        let hashes: Vec<Option<u64>> = found.iter().map(|(row, _)| Some(row.phash.bits())).collect();
        let sets = near_photos(&hashes, self.near_duplicate_distance_max);
        let (mut seen, count) = (HashSet::new(), found.len());
        let first_of_set = found.into_iter().zip(sets).filter(|(_, set)| seen.insert(*set)).map(|(post, _)| post);
        let posts: Vec<UnlabelledPost> = first_of_set.map(|(row, answer)| post(row, answer)).collect();
        Unlabelled { near_duplicates: count - posts.len(), unreadable, posts }
    }

    /// The posts that can be labelled, in the same order: a person sees the photo, and so could the model if there is one.
    fn answered<'r>(&self, open: &[&'r PostRow]) -> Vec<(&'r PostRow, Option<UnsureAnswer>)> {
        let seen = open.iter().copied().filter(|row| self.images_dir.join(&row.img_name).is_file());
        let Some(answers) = self.answers else { return seen.map(|row| (row, None)).collect() };
        let known: HashMap<(&PostId, &str), &PredictedPost> =
            answers.iter().map(|answer| ((&answer.id, answer.img_name.as_str()), answer)).collect();
        let answer = |row: &'r PostRow| {
            let answer = known.get(&(&row.post.id, row.img_name.as_str()))?;
            Some((row, Some(UnsureAnswer::of(answer))))
        };
        seen.filter_map(answer).collect()
    }
}

impl UnsureAnswer {
    fn of(answer: &PredictedPost) -> Self {
        let mut sorted = answer.probabilities.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let [first, second] = [0, 1].map(|at| sorted.get(at).copied().unwrap_or(0.0));
        Self { suggested: answer.label.clone(), probability: first, margin: first - second }
    }
}

fn margin(answer: Option<&UnsureAnswer>) -> f32 {
    answer.map_or(0.0, |answer| answer.margin)
}

fn post(row: &PostRow, answer: Option<UnsureAnswer>) -> UnlabelledPost {
    let PostRow { post, img_name, .. } = row;
    UnlabelledPost { id: post.id.clone(), img_name: img_name.clone(), title: post.title.clone(), answer }
}

#[cfg(test)]
mod tests {
    use natureddit_core::fs;
    use tempfile::TempDir;

    use super::*;

    const POSTS_HEADER: &str =
        "author,created_utc,full_link,id,subreddit,title,url,img_name,source,flair,over_18,width,height,sha256,phash\n";

    /// Posts as (id, phash), with a photo each; those of `gone` were deleted, and `labelled` have a label.
    fn project(posts: &[(&str, &str)], labelled: &[&str], gone: &[&str]) -> (TempDir, Dataset, Labels) {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: String| fs::write_atomic(&folder.path().join(path), text).unwrap();
        let sha256 = ContentHash::of(b"photo");
        let row = |(at, (id, phash)): (usize, &(&str, &str))| {
            format!("a,{},l,{id},pics,Of {id},u,{id}.jpg,s,,false,1,1,{sha256},{phash}\n", 1_600_000_000 + at)
        };
        write("posts.csv", POSTS_HEADER.to_owned() + &posts.iter().enumerate().map(row).collect::<String>());
        posts.iter().for_each(|(id, _)| write(&format!("images/{id}.jpg"), "photo".to_owned()));
        let tombstone = |id: &&str| format!("{id},2022-05-01T00:00:00\n");
        write("tombstones.csv", "id,deleted_at\n".to_owned() + &gone.iter().map(tombstone).collect::<String>());
        let label = |id: &&str| format!("{id},{id}.jpg,fauna,me,now\n");
        let header = "id,img_name,choice,labelled_by,labelled_at\n".to_owned();
        write("labels.csv", header + &labelled.iter().map(label).collect::<String>());
        let (dataset, labels) = (Dataset::read(folder.path()).unwrap(), Labels::read(folder.path()).unwrap());
        (folder, dataset, labels)
    }

    fn answer(id: &str, probabilities: [f32; 3]) -> PredictedPost {
        let probabilities = probabilities.to_vec();
        PredictedPost {
            id: id.parse().unwrap(),
            img_name: format!("{id}.jpg"),
            label: "flora".to_owned(),
            probabilities,
        }
    }

    const POSTS: [(&str, &str); 7] = [
        ("sure", "00000000000000ff"),
        ("labelled", "000000000000ff00"),
        ("gone", "0000000000ff0000"),
        ("torn", "00000000ff000000"),
        ("copy", "ff00000000000001"),
        ("torn2", "0f0f0f0f0f0f0f0f"),
        ("near", "ff00000000000000"),
    ];

    #[test]
    fn the_least_sure_come_first_and_near_duplicates_once() {
        let (folder, dataset, labels) = project(&POSTS, &["labelled"], &["gone"]);
        let answers = [
            answer("sure", [0.01, 0.98, 0.01]),
            answer("labelled", [0.33, 0.34, 0.33]),
            answer("gone", [0.33, 0.34, 0.33]),
            answer("copy", [0.2, 0.6, 0.2]),
            answer("near", [0.45, 0.5, 0.05]),
            answer("torn2", [0.33, 0.34, 0.33]),
        ];
        fs::remove_file(&folder.path().join("images/torn2.jpg")).unwrap();
        let need = |near_duplicate_distance_max| {
            LabellingNeed {
                dataset: &dataset,
                labels: &labels,
                images_dir: &folder.path().join("images"),
                answers: Some(&answers),
                near_duplicate_distance_max,
            }
            .unlabelled()
        };
        let ids = |found: &Unlabelled| found.posts.iter().map(|post| post.id.to_string()).collect::<Vec<_>>();
        let found = need(6);
        assert_eq!(ids(&found), ["near", "sure"]);
        assert_eq!((found.near_duplicates, found.unreadable), (1, 2), "without an answer, and without a photo");
        let UnsureAnswer { suggested, probability, margin } = found.posts[0].answer.clone().unwrap();
        assert_eq!((suggested.as_str(), probability), ("flora", 0.5));
        assert!((margin - 0.05).abs() < 1e-6, "{margin}");
        let found = need(0);
        assert_eq!((ids(&found), found.near_duplicates), (vec!["near".into(), "copy".into(), "sure".into()], 0));
    }

    #[test]
    fn without_a_model_the_order_is_drawn_and_the_same_each_time() {
        let (folder, dataset, labels) = project(&POSTS, &["labelled"], &["gone"]);
        let images_dir = &folder.path().join("images");
        let need = LabellingNeed {
            dataset: &dataset,
            labels: &labels,
            images_dir,
            answers: None,
            near_duplicate_distance_max: 6,
        };
        let found = need.unlabelled();
        let ids: HashSet<String> = found.posts.iter().map(|post| post.id.to_string()).collect();
        let one_of_two = ids.contains("near") != ids.contains("copy");
        assert!(ids.len() == 4 && ids.contains("torn") && ids.contains("torn2") && one_of_two, "{ids:?}");
        assert!(found.posts.iter().all(|post| post.answer.is_none()) && found.near_duplicates == 1);
        assert_eq!(need.unlabelled(), found);
    }
}
