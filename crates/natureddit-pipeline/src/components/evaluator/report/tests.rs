use std::path::Path;

use natureddit_core::{Class, ContentHash, fs};
use natureddit_image::{ImageLimits, Photo};
use natureddit_model::metrics::{Bootstrap, evaluate, evaluate_part, paired_test};
use natureddit_model::{Features, Prediction};

use super::*;
use crate::components::evaluator::slices::slices;
use crate::components::evaluator::verdict::{Champion, rulings};
use crate::components::evaluator::{Answered, Comparison, EvaluatorConfig};
use crate::examples::{Example, ExampleSource};

const CONFIG: EvaluatorConfig = EvaluatorConfig {
    bootstrap: Bootstrap { samples: 50, confidence: 0.95, seed: 1 },
    test_examples_min: 6,
    class_examples_min: 2,
    slice_examples_min: 5,
    majority_gain_min: 0.1,
    macro_f1_min: Some(0.9),
    accuracy_min: None,
    recall_min: None,
    ece_max: None,
    slice_macro_f1_min: Some(0.7),
    slice_accuracy_min: None,
    champion_loss_max: 0.0,
    champion_p_max: 1.0,
    quantisation_loss_max: 0.01,
    quantisation_p_max: 0.05,
    quantisation_posts_max: 100,
    mistakes_max: 3,
    thumbnail_side_max: 16,
};

const TITLES: [&str; 4] = ["<script>alert(1)</script>", "A \"bird\" & more", "", "Fields"];

/// Ten posts by turns of two classes. The first has the only photo that is there.
fn posts(images_dir: &Path) -> Vec<(Example, Features)> {
    let photo = Photo { width: 40, height: 20, rgb: [90, 140, 60].repeat(800) }.to_jpeg(80);
    fs::write_atomic(&images_dir.join("p0.jpg"), &photo).unwrap();
    let post = |at: usize| {
        let example = Example {
            id: format!("p{at}").parse().unwrap(),
            title: TITLES.get(at).copied().unwrap_or("A post").to_owned(),
            img_name: format!("p{at}.jpg"),
            sha256: Some(ContentHash::of(if at == 0 { &photo } else { b"gone" })),
            choice: ["fauna", "flora"][at % 2].to_owned(),
            group: format!("g{}", at / 2),
            source: ExampleSource::Post,
            author: "somebody_secret".to_owned(),
            subreddit: ["birds", "<b>flowers"][usize::from(at > 3)].to_owned(),
            flair: String::new(),
            created_utc: [1_609_668_000, 1_612_346_400][at / 5],
            over_18: false,
            width: 40,
            height: 20,
            phash: None,
            label_source: "ann".to_owned(),
        };
        (example, Features { image: Some(vec![0.0]), text: (at != 2).then(|| vec![0.0]) })
    };
    (0..10).map(post).collect()
}

/// The answers of a model that is wrong about some of the posts, and the surer of itself the earlier a post comes.
fn answered(posts: &[(Example, Features)], wrong: impl Fn(usize) -> bool) -> Vec<Answered<'_>> {
    let mut answered = Vec::new();
    for (at, (example, features)) in posts.iter().enumerate() {
        let truth = at % 2;
        let sure = 0.95 - at as f32 * 0.03;
        let first = if (truth == 0) == wrong(at) { 1.0 - sure } else { sure };
        let prediction = Prediction::new(vec![first, 1.0 - first]);
        let judged = Judged { truth: Class(truth), prediction, group: example.group.clone() };
        answered.push(Answered { example, features, judged });
    }
    answered
}

fn page(images_dir: &Path) -> String {
    page_of(&posts(images_dir), images_dir)
}

/// The page of that model beside a pushed one that is right about everything.
fn page_of(posts: &[(Example, Features)], images_dir: &Path) -> String {
    let classes = ClassNames::new(vec!["fauna".to_owned(), "flora".to_owned()]).unwrap();
    let candidate = answered(posts, |at| matches!(at, 0..=2 | 8));
    let judged = |answered: &[Answered<'_>]| -> Vec<Judged> {
        answered.iter().map(|answered| answered.judged.clone()).collect()
    };
    let (ours, theirs) = (judged(&candidate), judged(&answered(posts, |_| false)));
    let metrics = evaluate(&ours, &classes, &CONFIG.bootstrap);
    let slices = slices(&candidate, &classes, &CONFIG.bootstrap, CONFIG.slice_examples_min);
    let champion = Champion::Compared(Box::new(Comparison {
        metrics: evaluate(&theirs, &classes, &CONFIG.bootstrap),
        candidate_macro_f1: evaluate_part(&ours, &classes, &CONFIG.bootstrap).macro_f1,
        paired: paired_test(&ours, &theirs, &classes, &CONFIG.bootstrap, 0.0),
    }));
    let rulings = rulings(&metrics, &slices, &champion, &CONFIG);
    let limits = ImageLimits { bytes_max: 100_000, pixels_max: 10_000 };
    let photos = Photos { images_dir, limits, side_max: CONFIG.thumbnail_side_max };
    let mistakes = Mistakes::find(&candidate, &classes, CONFIG.mistakes_max, &photos);
    let report = Report {
        model: "natureddit<TI>",
        origin: &[("model", "abc".to_owned())],
        classes: &classes,
        config: &CONFIG,
        evaluation: &Evaluation::new(metrics, slices, (champion, None), &rulings),
        rulings: &rulings,
        candidate: &ours,
        champion: Some(&theirs),
        mistakes: &mistakes,
    };
    report.render()
}

/// What stands in the page's body, a tag a line, without the drawings.
fn lines(page: &str) -> String {
    let body = page.split("<body>").nth(1).unwrap();
    let mut parts = body.split("<svg");
    let mut lines = parts.next().unwrap().to_owned();
    for part in parts {
        let (tag, rest) = part.split_once('>').unwrap();
        let (_, after) = rest.split_once("</svg>").unwrap();
        lines += &format!("<svg{tag}></svg>{after}");
    }
    lines.replace("><", ">\n<")
}

/// The page without what stands between `start` and the next quotation mark.
fn elided(page: &str, start: &str) -> String {
    let mut parts = page.split(start);
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text += &format!("{start}...{}", &part[part.find('"').unwrap()..]);
    }
    text
}

#[test]
fn the_page_says_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    // The bytes of a JPEG depend on the encoder that is built in.
    let page = elided(&page(folder.path()), "data:image/jpeg;base64,");
    insta::assert_snapshot!(lines(&page));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(page(folder.path()), page(folder.path()));
}

#[test]
fn what_strangers_wrote_is_text_and_authors_are_not_named() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    assert!(!page.contains("<script") && !page.contains("<b>flowers") && !page.contains("natureddit<TI>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("A &quot;bird&quot; &amp; more"));
    assert!(page.contains("&lt;b&gt;flowers"));
    assert!(!page.contains("somebody_secret"));
}

#[test]
fn a_photo_that_is_not_safe_for_work_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut posts = posts(folder.path());
    posts[0].0.over_18 = true;
    let page = page_of(&posts, folder.path());
    assert!(page.contains("<span>not safe for work</span>") && !page.contains("data:image/jpeg"));
}

#[test]
fn the_page_fetches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let addresses = ["src=\"", "href=\"", "url("].map(|start| page.matches(start).count());
    assert_eq!(addresses, [1, 0, 0], "one photo, as data");
    assert!(page.contains("src=\"data:image/jpeg;base64,") && page.contains("default-src 'none'"));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

/// The posts 0, 1, 2 and 8 are wrong, the first the surest; of 1 and 2 the photo's file is not there.
#[test]
fn the_surest_mistakes_come_first_and_a_photo_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not there"));
    assert!(place("photo of post p0") < place("<dd>p1 in") && place("<dd>p1 in") < place("<dd>p2 in"));
    assert!(!page.contains("<dd>p8 in") && page.contains("4 answers are wrong. Here are the 3"));
    assert_eq!(page.matches("photo missing").count(), 2);
    assert!(page.contains("width=\"16\" height=\"8\""));
    assert!(page.contains("(no title)"));
}
