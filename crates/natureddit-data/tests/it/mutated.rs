//! Broken records: recorded ones where they are at hand, and those of `fuzz/seeds`, changed in every way. What fuzzing does
//! for hours, this does for seconds and with every run of the tests.

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use natureddit_core::fs;
use natureddit_data::source::fuzzing::{dump_lines, listing, post_json};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use serde_json::Value;

/// The bytes to start from, by what reads them.
struct Seeds {
    posts: Vec<Vec<u8>>,
    listings: Vec<Vec<u8>>,
    dumps: Vec<Vec<u8>>,
}

static SEEDS: LazyLock<Seeds> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder =
        |path: &Path| -> Vec<Vec<u8>> { fs::walk(path).unwrap().iter().map(|path| fs::read(path).unwrap()).collect() };
    let of = |target: &str| folder(&root.join("fuzz/seeds").join(target));
    let mut seeds = Seeds { posts: of("post_json"), listings: of("listing"), dumps: of("dump_lines") };
    let recorded = root.join("../shared/reddit");
    if !recorded.is_dir() {
        // Past the capture of a passing test's output.
        let _ =
            writeln!(std::io::stderr(), "skipped: changed recordings: there is no shared folder beside the project");
        return seeds;
    }
    let json = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes).unwrap();
    let posts: Vec<_> = folder(&recorded.join("posts")).iter().map(|post| json(post)["data"].to_string()).collect();
    seeds.dumps.push(format!("9{}", posts.join("\n")).into_bytes());
    seeds.posts.extend(posts.into_iter().map(String::into_bytes));
    let answers =
        folder(&recorded.join("http")).into_iter().map(|answer| json(&answer)["response"]["json"].to_string());
    // A page of a hundred posts is no better to break than a short one, and takes long.
    seeds.listings.extend(answers.map(String::into_bytes).filter(|answer| answer.len() < 100_000));
    seeds
});

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Remove(Index, usize),
    Repeat(Index, usize),
    Insert(Index, Vec<u8>),
    /// What stands between two quotes becomes something else that JSON knows.
    Retype(Index, &'static str),
    Cut(Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let end = |at: usize, length: usize, bytes: &Vec<u8>| (at + length).min(bytes.len());
        match self {
            Self::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Remove(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..end(at, *length, bytes));
            }
            Self::Repeat(at, length) => {
                let at = at.index(bytes.len());
                let part = bytes[at..end(at, *length, bytes)].to_vec();
                bytes.splice(at..at, part);
            }
            Self::Insert(at, part) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, part.iter().copied());
            }
            Self::Retype(at, value) => {
                let colons: Vec<_> =
                    bytes.windows(2).enumerate().filter(|(_, two)| two[0] == b':').map(|(at, _)| at + 1).collect();
                let Some(&at) = colons.get(at.index(colons.len().max(1))) else { return };
                let length = bytes[at..].iter().position(|byte| b",}]".contains(byte)).unwrap_or(0);
                bytes.splice(at..at + length, value.bytes());
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

/// What stands in place of a value.
const VALUES: [&str; 10] =
    ["null", "7", "-1e308", "\"\"", "[]", "{}", "true", "\"\\ud83d\"", "\"https://\"", "[[[[[[[[[[[]]]]]]]]]]]"];

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (any::<Index>(), 1_usize..60).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (any::<Index>(), 1_usize..60).prop_map(|(at, length)| Change::Repeat(at, length)),
        1 => (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, part)| Change::Insert(at, part)),
        4 => (any::<Index>(), proptest::sample::select(&VALUES[..])).prop_map(|(at, value)| Change::Retype(at, value)),
        1 => any::<Index>().prop_map(Change::Cut),
    ];
    proptest::collection::vec(change, 0..6)
}

fn changed(seeds: &[Vec<u8>], seed: Index, changes: &[Change]) -> Vec<u8> {
    let mut bytes = seeds[seed.index(seeds.len())].clone();
    changes.iter().for_each(|change| change.apply(&mut bytes));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, rng_seed: RngSeed::Fixed(24), ..ProptestConfig::default() })]

    #[test]
    fn changed_posts_never_panic(seed: Index, changes in changes()) {
        post_json(&changed(&SEEDS.posts, seed, &changes));
    }

    #[test]
    fn changed_listings_never_panic(seed: Index, changes in changes()) {
        listing(&changed(&SEEDS.listings, seed, &changes));
    }

    #[test]
    fn random_bytes_are_no_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        post_json(&bytes);
        listing(&bytes);
        dump_lines(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, rng_seed: RngSeed::Fixed(24), ..ProptestConfig::default() })]

    #[test]
    fn changed_dumps_are_read_the_same_in_any_pieces(seed: Index, changes in changes()) {
        dump_lines(&changed(&SEEDS.dumps, seed, &changes));
    }
}

/// A record that is nested deeper than any stack is one that cannot be read.
#[test]
fn deep_nesting_is_refused() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    for depth in [100, 1_000_000] {
        let record = format!("{{\"id\":\"a\",\"created_utc\":1,\"title\":{}}}", deep(depth));
        post_json(record.as_bytes());
        listing(format!("{{\"data\":[{record}]}}").as_bytes());
        dump_lines(format!("x{}", record.replace("{\"id\"", "{\"subreddit\":\"flowers\",\"id\"")).as_bytes());
    }
}
