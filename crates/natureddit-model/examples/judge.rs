//! What the head says of real photos and titles that it has not learnt from, for `cargo xtask bench model` to judge beside
//! scikit-learn on the very same folds.
//!
//! usage: `judge PHOTOS FOLDER SEEDS [key=value ...]`
//!
//! PHOTOS is a folder with `posts.csv` (`id,title,img_name,choice,source,...`), its photos, and `titles_reddit.csv`
//! (`title,choice,...`). All are embedded once, with the default encoders, and kept in FOLDER, into which is written:
//!
//! | file | holds |
//! |---|---|
//! | `features.f32` | raw little-endian numbers [posts, 1,280 of the photo + 384 of the title] |
//! | `posts.csv` | `class,group`, then a column for each way to deal the posts: each post's fold |
//! | `answers.csv` | `deal,post,learnt,asked` and a probability for each class, from the head that did not learn the post |
//!
//! Posts are dealt into five folds for each of SEEDS seeds, by groups as the pipeline has them (photos whose perceptual
//! hashes are near, equal normalised titles), and once by their source. Of what a fold learns from, one group in nine stops the training instead. Training has
//! the program's defaults, or what is set in their place, such as `learning_rate=0.001`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use natureddit_core::text::normalise_title;
use natureddit_core::{Class, ClassNames, ContentHash, Progress, fs};
use natureddit_model::train::{Control, Sample, train_head};
use natureddit_model::{Embedder, Features, Head, ModelInput, read_features, write_features};
use natureddit_testkit::{DefaultTrainer, LIMITS, assets, default_trainer};
use rayon::prelude::*;

type Failure = Box<dyn Error + Send + Sync>;
type Table = Vec<BTreeMap<String, String>>;

const FOLDS: usize = 5;
/// One in so many groups that a fold learns from stops the training, as in the program's cross-validation.
const EVAL_SHARE: u16 = 9;
/// `examples.near_duplicate_distance_max`.
const DISTANCE_MAX: u32 = 6;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [photos, folder, seeds, settings @ ..] = args.as_slice() else { return Err("give PHOTOS FOLDER SEEDS".into()) };
    let folder = Path::new(folder);
    let settings = default_trainer(settings);
    let rows = Rows::read(Path::new(photos), &folder.join("features.safetensors"))?;
    let deals = rows.deals(seeds.parse()?);
    rows.write(folder, &deals)?;

    let count = |deal: &Deal| deal.fold_of.iter().max().map_or(0, |last| last + 1);
    let tasks: Vec<(&Deal, usize)> = deals.iter().flat_map(|deal| (0..count(deal)).map(move |at| (deal, at))).collect();
    let judge = |(deal, fold): &(&Deal, usize)| rows.judge(deal, *fold, &settings);
    let answers: Vec<Vec<Answer>> = tasks.par_iter().map(judge).collect::<Result<_, _>>()?;
    let mut table = csv::Writer::from_writer(Vec::new());
    for Answer { deal, post, learnt, asked, probabilities } in answers.iter().flatten() {
        let words = [deal.clone(), post.to_string(), (*learnt).to_owned(), asked.name().to_owned()];
        table.write_record(words.into_iter().chain(probabilities.iter().map(f32::to_string)))?;
    }
    fs::write_atomic(&folder.join("answers.csv"), table.into_inner()?)?;
    Ok(())
}

/// A post, or a title without a photo.
struct Row {
    features: Features,
    class: Class,
    /// Normalised.
    title: String,
}

struct Rows {
    classes: ClassNames,
    posts: Vec<Row>,
    /// Of each post, the place of the first post of its group.
    groups: Vec<usize>,
    sources: Vec<String>,
    titles: Vec<Row>,
}

/// One way to deal the posts into folds.
struct Deal {
    name: String,
    fold_of: Vec<usize>,
}

struct Answer {
    deal: String,
    post: usize,
    learnt: &'static str,
    asked: Part,
    probabilities: Vec<f32>,
}

impl Rows {
    fn read(photos: &Path, cache: &Path) -> Result<Self, Failure> {
        let table = |name: &str| -> Result<Table, Failure> {
            let content = fs::read(&photos.join(name))?;
            Ok(csv::Reader::from_reader(content.as_slice()).deserialize().collect::<Result<_, _>>()?)
        };
        let (posts, titles) = (table("posts.csv")?, table("titles_reddit.csv")?);
        let files =
            posts.iter().map(|line| fs::read(&photos.join(&line["img_name"]))).collect::<Result<Vec<_>, _>>()?;
        let (image, text) = (assets().pair.image.features, assets().pair.text.features);
        if fs::optional(fs::metadata(cache))?.is_none() {
            write_features(cache, &embed(&posts, &files, &titles)?, image, text)?;
        }
        let features = read_features(cache, image, text)?;
        if features.len() != posts.len() + titles.len() {
            return Err("the cached features are of other photos".into());
        }
        let classes = ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec())?;
        let mut features = features.into_iter();
        let mut rows = |table: &Table| -> Result<Vec<Row>, Failure> {
            let row = |(line, features): (&BTreeMap<String, String>, Features)| {
                let class = classes.class(&line["choice"]).ok_or("an unknown class")?;
                Ok(Row { features, class, title: normalise_title(&line["title"]) })
            };
            table.iter().zip(features.by_ref()).map(row).collect()
        };
        let sources = posts.iter().map(|line| line["source"].clone()).collect();
        let posts = rows(&posts)?;
        let groups = groups(&posts, &files)?;
        let titles = rows(&titles)?;
        Ok(Self { classes, posts, groups, sources, titles })
    }

    fn deals(&self, seeds: u64) -> Vec<Deal> {
        let by_seed = |seed| {
            let name = format!("seed {seed}");
            Deal { fold_of: folds(&name, &self.groups), name }
        };
        let sources: BTreeSet<&String> = self.sources.iter().collect();
        let place = |source: &String| sources.iter().take_while(|other| **other != source).count();
        let by_source = Deal { name: "source".to_owned(), fold_of: self.sources.iter().map(place).collect() };
        (0..seeds).map(by_seed).chain([by_source]).collect()
    }

    fn write(&self, folder: &Path, deals: &[Deal]) -> Result<(), Failure> {
        let parts = self.posts.iter().flat_map(|post| [&post.features.image, &post.features.text]);
        let bytes: Vec<u8> = parts.flatten().flatten().flat_map(|number| number.to_le_bytes()).collect();
        fs::write_atomic(&folder.join("features.f32"), bytes)?;
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(["class", "group"].into_iter().chain(deals.iter().map(|deal| deal.name.as_str())))?;
        for (at, (post, group)) in self.posts.iter().zip(&self.groups).enumerate() {
            let folds = deals.iter().map(|deal| deal.fold_of[at].to_string());
            table.write_record([post.class.0.to_string(), group.to_string()].into_iter().chain(folds))?;
        }
        fs::write_atomic(&folder.join("posts.csv"), table.into_inner()?)?;
        Ok(())
    }

    /// What heads that did not learn a fold say of its posts.
    fn judge(&self, deal: &Deal, fold: usize, settings: &DefaultTrainer) -> Result<Vec<Answer>, Failure> {
        let is_eval = |at: usize| {
            let hash = drawn(&format!("eval {}", deal.name), self.groups[at]);
            u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]).is_multiple_of(EVAL_SHARE)
        };
        let (held, others): (Vec<usize>, Vec<usize>) = (0..self.posts.len()).partition(|&at| deal.fold_of[at] == fold);
        let (eval, train): (Vec<usize>, Vec<usize>) = others.into_iter().partition(|&at| is_eval(at));
        let judged: BTreeSet<&str> = held.iter().chain(&eval).map(|&at| self.posts[at].title.as_str()).collect();
        let posts = |places: &[usize]| places.iter().map(|&at| (&self.posts[at], 1.0)).collect::<Vec<_>>();
        let train = posts(&train);
        let told = self.titles.iter().filter(|title| !judged.contains(title.title.as_str()));
        let more: Vec<(&Row, f32)> =
            train.iter().copied().chain(told.map(|title| (title, settings.extra_title_weight))).collect();
        let eval = posts(&eval);

        let mut answers = Vec::new();
        for (learnt, rows, part, asked) in [
            ("both", &train, Part::Both, &[Part::Both, Part::Title, Part::Photo][..]),
            ("title", &train, Part::Title, &[Part::Title]),
            ("photo", &train, Part::Photo, &[Part::Photo]),
            ("both and titles", &more, Part::Both, &[Part::Both, Part::Title, Part::Photo]),
            ("title and titles", &more, Part::Title, &[Part::Title]),
        ] {
            let head = self.learn(rows, &eval, part, settings)?;
            for &asked in asked {
                answers.extend(held.iter().map(|&post| {
                    let probabilities = head.probabilities(&asked.of(&self.posts[post].features));
                    Answer { deal: deal.name.clone(), post, learnt, asked, probabilities }
                }));
            }
        }
        Ok(answers)
    }

    fn learn(
        &self,
        train: &[(&Row, f32)],
        eval: &[(&Row, f32)],
        part: Part,
        settings: &DefaultTrainer,
    ) -> Result<Head, Failure> {
        let [train, eval] = [train, eval].map(|rows| {
            let rows = rows.iter().map(|(row, weight)| (part.of(&row.features), row.class, *weight));
            rows.filter(|(features, ..)| features.image.is_some() || features.text.is_some()).collect::<Vec<_>>()
        });
        let [train, eval] = [&train, &eval].map(|rows| {
            rows.iter()
                .map(|(features, class, weight)| Sample { features, class: *class, weight: *weight })
                .collect::<Vec<_>>()
        });
        let progress = Progress::silent();
        let control = Control::new(&progress);
        Ok(train_head(&train, &eval, &self.classes, &assets().pair, &settings.config, &control)?.head)
    }
}

#[derive(Clone, Copy)]
enum Part {
    Both,
    Title,
    Photo,
}

impl Part {
    fn of(self, features: &Features) -> Features {
        let Features { image, text } = features.clone();
        match self {
            Self::Both => Features { image, text },
            Self::Title => Features { image: None, text },
            Self::Photo => Features { image, text: None },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Title => "title",
            Self::Photo => "photo",
        }
    }
}

/// The group of each post: a chain of equal titles and near photos leads from each of it to each other.
fn groups(posts: &[Row], files: &[Vec<u8>]) -> Result<Vec<usize>, Failure> {
    let hash = |file: &Vec<u8>| natureddit_image::examine(file, &LIMITS.image).map(|(_, hash)| hash);
    let hashes = files.par_iter().map(hash).collect::<Result<Vec<_>, _>>()?;
    let mut groups: Vec<usize> = (0..posts.len()).collect();
    for (one, other) in (0..posts.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
        let is_near = hashes[one].distance(hashes[other]) <= DISTANCE_MAX;
        if is_near || (posts[one].title == posts[other].title && !posts[one].title.is_empty()) {
            let (first, second) = (groups[one].min(groups[other]), groups[one].max(groups[other]));
            groups.iter_mut().filter(|group| **group == second).for_each(|group| *group = first);
        }
    }
    Ok(groups)
}

/// What decides by chance about a group.
fn drawn(what: &str, group: usize) -> ContentHash {
    ContentHash::of(format!("{what} {group}").as_bytes())
}

/// Deals whole groups into folds of nearly equal size, the largest first, each into the smallest fold; what is as large goes by
/// chance.
fn folds(name: &str, groups: &[usize]) -> Vec<usize> {
    let mut sizes = BTreeMap::new();
    groups.iter().for_each(|group| *sizes.entry(*group).or_insert(0_usize) += 1);
    let mut order: Vec<(usize, usize)> = sizes.into_iter().collect();
    order.sort_by_key(|&(group, size)| (Reverse(size), drawn(name, group)));
    let (mut filled, mut fold_of) = ([0; FOLDS], BTreeMap::new());
    for (group, size) in order {
        let smallest = (0..FOLDS).min_by_key(|&fold| filled[fold]).unwrap_or_default();
        filled[smallest] += size;
        fold_of.insert(group, smallest);
    }
    groups.iter().map(|group| fold_of[group]).collect()
}

fn embed(posts: &Table, files: &[Vec<u8>], titles: &Table) -> Result<Vec<Features>, Failure> {
    let assets = assets();
    let mut embedder = Embedder::build(&assets.pair, &assets.files, &assets.runtime, LIMITS, 2)?;
    let both = posts.iter().zip(files).map(|(line, file)| ModelInput { text: Some(&line["title"]), image: Some(file) });
    let alone = titles.iter().map(|line| ModelInput { text: Some(&line["title"]), image: None });
    let inputs: Vec<ModelInput<'_>> = both.chain(alone).collect();
    Ok(embedder.embed(&inputs)?.into_iter().collect::<Result<_, _>>()?)
}
