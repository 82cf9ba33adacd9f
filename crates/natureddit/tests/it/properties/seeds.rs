//! Which seeds are run: a few, all, or the one that failed.

/// Names the seeds: nothing, `all`, or a number.
const VARIABLE: &str = "NATUREDDIT_TEST_SEEDS";

#[expect(clippy::disallowed_methods, reason = "a test has no config that could read it")]
fn wish() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|wish| !wish.is_empty())
}

/// Whether everything is wanted.
pub(super) fn is_full() -> bool {
    wish().as_deref() == Some("all")
}

/// Runs a property with each seed: the first `few` unless all are wanted or one is named.
pub(super) fn each_seed(few: u64, all: u64, property: impl Fn(u64)) {
    let seeds = match wish().as_deref() {
        None => 0..few,
        Some("all") => 0..all,
        Some(seed) => {
            let seed: u64 = seed.parse().unwrap_or_else(|_| panic!("{VARIABLE} is a number or `all`, not {seed:?}"));
            seed..seed + 1
        }
    };
    for seed in seeds {
        let _told = Told(seed);
        property(seed);
    }
}

/// Tells the seed if the property fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was seed {0}: run it alone with {VARIABLE}={0}", self.0);
        }
    }
}
