//! Titles as people write them: most name what the picture shows, some give nothing away.

mod words;

use std::collections::HashSet;

use natureddit_core::text::normalise_title;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::scene::Kind;
use words::{
    ADJECTIVES, ANIMAL_TITLES, CAMERAS, EMOJI, LANDSCAPE_TITLES, NEUTRAL_TITLES, PLACES, PLANT_TITLES, REMARKS, TIMES,
    WITHOUT_ARTICLE,
};

/// How often a title does not tell what is shown.
const NEUTRAL_SHARE: f64 = 0.07;
/// How often a title that was already given is drawn again before it is accepted.
const TRIES_MAX: usize = 12;

/// Makes titles and remembers them, since equal titles are rare on Reddit too.
#[derive(Default)]
pub(crate) struct Captions {
    given: HashSet<String>,
}

impl Captions {
    /// A title for a picture of `subject`; `kind` is `None` for classes that no scene shows.
    pub(crate) fn title(&mut self, rng: &mut ChaCha8Rng, kind: Option<Kind>, subject: &str) -> String {
        let mut title = compose(rng, kind, subject);
        for _ in 1..TRIES_MAX {
            if self.given.insert(normalise_title(&title)) {
                break;
            }
            title = compose(rng, kind, subject);
        }
        title
    }
}

/// What people call something of a class when they do not name it closer.
pub(crate) fn vague_subject<'a>(rng: &mut ChaCha8Rng, class: &'a str) -> &'a str {
    let names: &[&str] = match class {
        "fauna" => &["animal", "wild animal", "little creature", "wildlife encounter"],
        "flora" => &["plant", "flower", "wild plant", "beauty from the garden"],
        "landscape" => &["view", "landscape", "vista", "scenic spot"],
        other => return other,
    };
    pick(rng, names)
}

fn compose(rng: &mut ChaCha8Rng, kind: Option<Kind>, subject: &str) -> String {
    let telling = match kind {
        Some(Kind::Fauna) => ANIMAL_TITLES,
        Some(Kind::Flora) => PLANT_TITLES,
        Some(Kind::Landscape) => LANDSCAPE_TITLES,
        None => &["{A}, {p}", "Saw {a} {t}", "{S} in {p}", "{D} {s}"],
    };
    let templates = if rng.random_bool(NEUTRAL_SHARE) { NEUTRAL_TITLES } else { telling };
    let template = pick(rng, templates);
    let mut title = fill(rng, template, subject);
    if rng.random_bool(0.12) {
        title = decorated(rng, &title);
    }
    if rng.random_bool(0.3) {
        title.push_str(if rng.random_bool(0.8) { " [OC]" } else { " (OC)" });
    }
    if rng.random_bool(0.3) {
        title.push_str(&resolution(rng));
    }
    if rng.random_bool(0.03) {
        title.insert(0, ' ');
    }
    title
}

/// Puts words for the marks of a template: `{s}` the subject, `{a}` with its article, `{p}` a place, `{t}` a time,
/// `{c}` a camera, `{d}` an adjective; capital marks begin a sentence.
fn fill(rng: &mut ChaCha8Rng, template: &str, subject: &str) -> String {
    let mut title = String::with_capacity(template.len() + 24);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        title.push_str(before);
        let (mark, after) = after.split_once('}').unwrap_or((after, ""));
        let word = match mark.to_ascii_lowercase().as_str() {
            "s" => subject.to_owned(),
            "a" => with_article(subject),
            "p" => pick(rng, PLACES).to_owned(),
            "t" => pick(rng, TIMES).to_owned(),
            "c" => pick(rng, CAMERAS).to_owned(),
            _ => pick(rng, ADJECTIVES).to_owned(),
        };
        title.push_str(&if mark.starts_with(char::is_uppercase) { capitalised(&word) } else { word });
        rest = after;
    }
    title.push_str(rest);
    title
}

fn with_article(subject: &str) -> String {
    let plural = subject.ends_with('s') && !subject.ends_with("us") && !subject.ends_with("is");
    if plural || WITHOUT_ARTICLE.contains(&subject) {
        return subject.to_owned();
    }
    let vowel = subject.starts_with(['a', 'e', 'i', 'o', 'u']) && !subject.starts_with("eu");
    format!("{} {subject}", if vowel { "an" } else { "a" })
}

/// Emoji, quotes, a second line or a remark with signs that HTML escapes.
fn decorated(rng: &mut ChaCha8Rng, title: &str) -> String {
    match rng.random_range(0..5) {
        0 => format!("{title} {}", pick(rng, EMOJI)),
        1 => format!("\"{title}\""),
        2 => format!("{title}\n{}", pick(rng, REMARKS)),
        3 => format!("{title} & {}", pick(rng, REMARKS)),
        _ => format!("{title}, {} <3", pick(rng, REMARKS)),
    }
}

fn resolution(rng: &mut ChaCha8Rng) -> String {
    let (width, height) =
        pick(rng, &[(4000, 3000), (6000, 4000), (5472, 3648), (3024, 4032), (1920, 1280), (2048, 1365)]);
    let (width, height) = (width - rng.random_range(0..90), height - rng.random_range(0..90));
    match rng.random_range(0..4) {
        0 => format!(" [{width} x {height}]"),
        1 => format!(" [{width} × {height}]"),
        2 => format!(" ({width}x{height})"),
        _ => format!(" [{width}x{height}]"),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// One of a list that is never empty.
fn pick<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    *list.choose(rng).unwrap_or(&list[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn titles_are_many_and_mostly_name_their_subject() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut captions = Captions::default();
        let titles: Vec<_> = (0..600).map(|_| captions.title(&mut rng, Some(Kind::Fauna), "otter")).collect();
        let distinct: HashSet<_> = titles.iter().map(|t| normalise_title(t)).collect();
        assert!(distinct.len() > 500, "{}", distinct.len());
        let naming = titles.iter().filter(|t| t.to_lowercase().contains("otter")).count();
        assert!((500..590).contains(&naming), "{naming}");
        assert!(titles.iter().all(|t| !t.contains(['{', '}'])));
        for sign in ["\n", "&", "\"", "[OC]"] {
            assert!(titles.iter().any(|t| t.contains(sign)), "{sign:?}");
        }
    }

    #[test]
    fn articles_fit_their_words() {
        let cases =
            [("owl", "an owl"), ("tulips", "tulips"), ("cactus", "a cactus"), ("wheat", "wheat"), ("iris", "an iris")];
        for (subject, expected) in cases {
            assert_eq!(with_article(subject), expected);
        }
    }
}
