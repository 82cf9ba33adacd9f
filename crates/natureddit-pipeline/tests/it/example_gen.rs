//! ExampleGen on a dataset on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use natureddit_core::{ClassNames, Clock, Progress, fs};
use natureddit_pipeline::components::example_gen::{ExampleCounts, ExampleGen, NothingLabelled};
use natureddit_pipeline::examples::{ExampleSource, PARQUET_FILE};
use natureddit_pipeline::metadata::{Direction, NodeId};
use natureddit_pipeline::runner::RunnerConfig;
use natureddit_pipeline::split::{HashBuckets, SplitBy};
use natureddit_pipeline::{
    Example, Graph, Input, Metadata, Node, PropertyValue, RunOptions, RunReport, Runner, Split, read_split,
};
use tempfile::TempDir;

const POSTS_HEADER: &str =
    "author,created_utc,full_link,id,subreddit,title,url,img_name,source,flair,over_18,width,height,sha256,phash\n";

/// A project with `posts.csv`, `labels.csv` and `titles.csv`, given as few columns as matter here.
struct Project(TempDir);

impl Project {
    /// Posts as (id, author, title, phash), labels as (id, choice), titles as (id, title, choice).
    fn new(posts: &[[&str; 4]], labels: &[[&str; 2]], titles: &[[&str; 3]]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.posts(posts);
        project.labels(labels);
        let titles: String = titles.iter().map(|row| row.join(",") + "\n").collect();
        project.write("labels/titles.csv", &format!("id,title,choice\n{titles}"));
        project
    }

    fn posts(&self, posts: &[[&str; 4]]) {
        let mut text = POSTS_HEADER.to_owned();
        for (at, [id, author, title, phash]) in posts.iter().enumerate() {
            let sha256 = natureddit_core::ContentHash::of(id.as_bytes());
            let time = 1_600_000_000 + at;
            text += &format!("{author},{time},l,{id},pics,{title},u,{id}.jpg,s,,false,1,1,{sha256},{phash}\n");
        }
        self.write("data/posts.csv", &text);
    }

    fn labels(&self, labels: &[[&str; 2]]) {
        let lines: String = labels.iter().map(|[id, choice]| format!("{id},{id}.jpg,{choice},me,now\n")).collect();
        self.write("labels/labels.csv", &format!("id,img_name,choice,labelled_by,labelled_at\n{lines}"));
    }

    fn write(&self, path: &str, text: &str) {
        fs::write_atomic(&self.0.path().join(path), text).unwrap();
    }

    fn run(&self) -> RunReport {
        self.run_with(SplitBy::Group, false)
    }

    fn run_with(&self, split_by: SplitBy, parquet: bool) -> RunReport {
        let dir = self.0.path();
        let component = ExampleGen {
            classes: ClassNames::new(["fauna", "flora", "landscape"].map(String::from).to_vec()).unwrap(),
            hash_buckets: HashBuckets { train: 8, eval: 1, test: 1 },
            split_by,
            near_duplicate_distance_max: 6,
            parquet,
        };
        let node = Node::new(component)
            .with("dataset", Input::files(dir.join("data"), &["posts.csv"]))
            .with("labels", Input::files(dir.join("labels"), &["labels.csv", "titles.csv"]));
        let config = RunnerConfig {
            pipeline: "natureddit".into(),
            project_dir: dir.to_owned(),
            pipeline_root: dir.join("pipeline"),
        };
        let runner = Runner::new(config, Clock::fixed(0), Progress::silent());
        runner.run(&Graph::new(vec![node]).unwrap(), &RunOptions::default(), &mut |_| {}).unwrap()
    }

    /// The examples of a run that went well, and its counts.
    fn examples(&self) -> (BTreeMap<Split, Vec<Example>>, ExampleCounts) {
        self.read(&self.run())
    }

    fn read(&self, report: &RunReport) -> (BTreeMap<Split, Vec<Example>>, ExampleCounts) {
        assert_eq!(report.failure(), None);
        let folder = self.0.path().join(&report.components[0].outputs["examples"].uri);
        let splits = Split::ALL.into_iter().map(|split| (split, read_split(&folder, split).unwrap())).collect();
        (splits, read_counts(&folder))
    }
}

fn read_counts(folder: &Path) -> ExampleCounts {
    serde_json::from_slice(&fs::read(&folder.join("examples.json")).unwrap()).unwrap()
}

/// Ids whose hash falls into the bucket of that split.
fn ids(split: Split, count: usize) -> Vec<String> {
    let buckets = HashBuckets { train: 8, eval: 1, test: 1 };
    let ids = (0..).map(|number| format!("{}{number}", split.name()));
    ids.filter(|id| buckets.split(id) == split).take(count).collect()
}

const FAR: [&str; 6] = [
    "0000000000000000",
    "ffffffff00000000",
    "00000000ffffffff",
    "ffff0000ffff0000",
    "0000ffff0000ffff",
    "ff00ff00ff00ff00",
];

#[test]
fn labelled_posts_and_extra_titles_become_examples() {
    let train = ids(Split::Train, 3);
    let (eval, test) = (&ids(Split::Eval, 1)[0], &ids(Split::Test, 1)[0]);
    let posts = [
        [&train[0], "ann", "A fox", FAR[0]],
        [&train[1], "bob", "A rose", FAR[1]],
        [&train[2], "cid", "Nobody looked", FAR[2]],
        [eval, "dee", "A lake [OC]", FAR[3]],
        [test, "eve", "A hill", FAR[4]],
    ];
    let labels = [
        [&train[0], "flora"],
        [&train[1], "flora"],
        [eval, "landscape"],
        [test, "landscape"],
        [&train[0], "fauna"],
        ["gone", "fauna"],
    ];
    let titles = [
        ["t1", "A wolf", "fauna"],
        ["t2", "a LAKE", "landscape"],
        ["t3", "A fox", "fauna"],
        ["t4", "🌲", "flora"],
        ["t5", "A mushroom", "fungi"],
        [test, "Another title of the judged post", "landscape"],
    ];
    let (splits, counts) = Project::new(&posts, &labels, &titles).examples();

    let ids = |split: Split| -> Vec<&str> { splits[&split].iter().map(|example| example.id.as_str()).collect() };
    assert_eq!(ids(Split::Train), [&train[0], &train[1], "t1", "t3"]);
    assert_eq!((ids(Split::Eval), ids(Split::Test)), (vec![eval.as_str()], vec![test.as_str()]));
    let fox = &splits[&Split::Train][0];
    assert_eq!((fox.choice.as_str(), fox.img_name.clone()), ("fauna", format!("{}.jpg", train[0])), "the latest wins");
    assert_eq!((fox.author.as_str(), fox.subreddit.as_str(), fox.label_source.as_str()), ("ann", "pics", "me"));
    assert_eq!((fox.created_utc, fox.over_18, fox.width, fox.height), (1_600_000_000, false, 1, 1));
    assert_eq!(fox.phash.map(|hash| hash.to_string()).as_deref(), Some(FAR[0]));
    let wolf = &splits[&Split::Train][2];
    assert_eq!((wolf.source, wolf.sha256, wolf.img_name.as_str()), (ExampleSource::Title, None, ""));

    let one = |class: &str| BTreeMap::from([(class.to_owned(), 1)]);
    let expected = ExampleCounts {
        split_rule: r#"[{"by":"group"},{"eval":1,"test":1,"train":8},6]"#.to_owned(),
        posts: BTreeMap::from([
            (Split::Train, BTreeMap::from([("fauna".to_owned(), 1), ("flora".to_owned(), 1)])),
            (Split::Eval, one("landscape")),
            (Split::Test, one("landscape")),
        ]),
        titles: BTreeMap::from([("fauna".to_owned(), 2)]),
        groups: 4,
        posts_unlabelled: 1,
        labels_of_other_classes: 0,
        labels_without_post: 1,
        titles_of_other_classes: 1,
        titles_dropped: 2,
        titles_without_words: 1,
    };
    assert_eq!(counts, expected);
}

#[test]
fn a_group_is_on_the_side_of_its_oldest_post() {
    let (train, test) = (&ids(Split::Train, 1)[0], ids(Split::Test, 4));
    // An author, a title and a photo chain these into one group; the oldest one is of the training side.
    let posts = [
        [train, "ann", "One", FAR[0]],
        [&test[0], "ann", "Two", FAR[1]],
        [&test[1], "bob", "two!", FAR[2]],
        [&test[2], "cid", "Three", "00000000ffffff3f"],
        [&test[3], "dee", "Four", FAR[3]],
    ];
    let labels = [[&test[2], "fauna"], [&test[3], "flora"]];
    let (splits, counts) = Project::new(&posts, &labels, &[]).examples();
    assert_eq!(splits[&Split::Train][0].id.as_str(), test[2], "unlabelled posts chain as well");
    assert_eq!(splits[&Split::Train][0].group, *train);
    assert_eq!(splits[&Split::Test][0].group, test[3]);
    assert_eq!(counts.groups, 2);
}

#[test]
fn new_posts_and_labels_leave_old_examples_in_their_splits() {
    let names: Vec<String> = (0..60).map(|number| format!("p{number}")).collect();
    // Hashes that are far from each other: the number's hash.
    let hashes: Vec<String> =
        names.iter().map(|id| natureddit_core::ContentHash::of(id.as_bytes()).to_string()[..16].to_owned()).collect();
    let authors: Vec<String> = (0..60).map(|number| format!("author{}", number % 25)).collect();
    let post = |at: usize| [names[at].as_str(), authors[at].as_str(), names[at].as_str(), hashes[at].as_str()];
    let label = |at: usize| [names[at].as_str(), ["fauna", "flora"][at % 2]];
    let (old_posts, all_posts): (Vec<_>, Vec<_>) = ((0..40).map(post).collect(), (0..60).map(post).collect());
    let project = Project::new(&old_posts, &(0..30).map(label).collect::<Vec<_>>(), &[]);
    let (before, _) = project.examples();
    project.posts(&all_posts);
    project.labels(&(0..60).map(label).collect::<Vec<_>>());
    let (after, counts) = project.examples();
    for split in Split::ALL {
        let now: BTreeSet<_> = after[&split].iter().map(|example| &example.id).collect();
        assert!(before[&split].iter().all(|example| now.contains(&example.id)), "{split}");
    }
    assert_eq!(after.values().map(Vec::len).sum::<usize>(), 60);
    assert_eq!(counts.groups, 25);
}

#[test]
fn by_time_the_newest_groups_are_judged_on() {
    let names: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let hashes: Vec<String> =
        names.iter().map(|id| natureddit_core::ContentHash::of(id.as_bytes()).to_string()[..16].to_owned()).collect();
    // The newest post is of the oldest one's author.
    let author = |at: usize| if at == 9 { "p0" } else { names[at].as_str() };
    let posts: Vec<_> =
        (0..10).map(|at| [names[at].as_str(), author(at), names[at].as_str(), hashes[at].as_str()]).collect();
    let labels: Vec<_> = (0..10).map(|at| [names[at].as_str(), ["fauna", "flora"][at % 2]]).collect();
    let project = Project::new(&posts, &labels, &[]);
    let report = project.run_with(SplitBy::Time { eval_from: None, test_from: None }, true);
    let (splits, _) = project.read(&report);
    let ids = |split: Split| -> Vec<&str> { splits[&split].iter().map(|example| example.id.as_str()).collect() };
    assert_eq!((ids(Split::Eval), ids(Split::Test)), (vec!["p7"], vec!["p8"]));
    assert_eq!(ids(Split::Train).last(), Some(&"p9"));

    let output = &report.components[0].outputs["examples"];
    for split in Split::ALL {
        let folder = project.0.path().join(&output.uri).join(split.folder_name());
        assert!(fs::read(&folder.join(PARQUET_FILE)).unwrap().starts_with(b"PAR1"));
    }
    let mut metadata = Metadata::open(&project.0.path().join("pipeline/metadata.db")).unwrap();
    let lineage = metadata.walk(NodeId::Artifact(output.artifact), Direction::Up).unwrap().unwrap();
    let properties = &lineage.nodes[0].properties;
    assert_eq!(properties["span"], PropertyValue::Int(1_600_000_009 / 86_400));
    assert_eq!(properties["version"], PropertyValue::Int(0));
    assert_eq!(properties["split_names"], PropertyValue::from(r#"["train", "eval", "test"]"#));
}

#[test]
fn what_cannot_be_made_into_examples_is_said() {
    let post = ["p1", "ann", "A fox", FAR[0]];
    let nothing = Project::new(&[post], &[["p1", "no_such_class"]], &[]).run();
    let expected = "no photo of the dataset has a label among fauna, flora, landscape";
    assert_eq!(nothing.failure().unwrap().1, expected);
    let failure = nothing.succeeded().unwrap_err();
    assert_eq!(failure.to_string(), "ExampleGen failed");
    let cause = std::error::Error::source(&failure).unwrap();
    assert!(cause.is::<NothingLabelled>(), "whoever knows the cause can tell what to do: {cause:?}");
    let empty = Project::new(&[], &[["p1", "fauna"]], &[]).run();
    assert_eq!(empty.failure().unwrap().1, "the dataset has no post");
    let broken = Project::new(&[["p1", "ann", "A fox", "not a hash"]], &[["p1", "fauna"]], &[]).run();
    let message = broken.failure().unwrap().1;
    assert!(message.contains("posts.csv, line 2: phash: "), "{message}");
}
