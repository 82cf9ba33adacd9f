//! When posts are made: minutes apart, and now and then several in one second.

use std::ops::Range;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::truth::Window;

/// 2022-01-01T00:00:00Z.
const EPOCH: i64 = 1_640_995_200;
const HOUR: i64 = 3_600;
/// Posts of one subreddit in one second: fewer than a page of 100, or no client could page past them.
const SUBREDDIT_TIES_MAX: usize = 90;
/// The most posts in one second.
const TIES_MAX: usize = 150;
/// The first post of the big tie: it lies across the edge of a first page of 100.
const BIG_TIE_FIRST: usize = 93;

/// While a subreddit has so many posts, no second ends: a tie lies across the edge of its own first page of 100.
const SUBREDDIT_EDGE: Range<usize> = 96..106;

/// A rising time for each post, given the subreddit each is in.
pub(super) fn times(rng: &mut ChaCha8Rng, subreddits: &[usize]) -> Vec<i64> {
    let mut now = EPOCH + rng.random_range(0..300 * 24) * HOUR + rng.random_range(0..HOUR);
    let mut times = Vec::with_capacity(subreddits.len());
    // The window begins and ends with a tie.
    let mut tie_left = 2;
    let last_tie = subreddits.len().saturating_sub(3);
    let mut in_second: Vec<usize> = Vec::new();
    let mut posted: Vec<usize> = Vec::new();
    for (at, &subreddit) in subreddits.iter().enumerate() {
        if in_second.len() <= subreddit {
            in_second.resize(subreddit + 1, 0);
            posted.resize(subreddit + 1, 0);
        }
        let at_edge = posted.iter().any(|posts| SUBREDDIT_EDGE.contains(posts));
        if at > 0 && ((tie_left == 0 && !at_edge) || in_second[subreddit] == SUBREDDIT_TIES_MAX) {
            now += if rng.random_bool(0.1) { 1 } else { rng.random_range(20..900) };
            in_second.fill(0);
            tie_left = if at == BIG_TIE_FIRST {
                (subreddits.len() / 4).clamp(2, TIES_MAX)
            } else if rng.random_bool(0.08) {
                rng.random_range(2..9)
            } else {
                1
            };
            if at < BIG_TIE_FIRST {
                tie_left = tie_left.min(BIG_TIE_FIRST - at);
            }
            if at == last_tie {
                tie_left = subreddits.len() - at;
            }
        }
        tie_left = tie_left.saturating_sub(1);
        in_second[subreddit] += 1;
        posted[subreddit] += 1;
        times.push(now);
    }
    times
}

/// Full hours around the times.
pub(super) fn window(times: impl Iterator<Item = i64> + Clone) -> Window {
    let first = times.clone().min().unwrap_or(EPOCH);
    let last = times.max().unwrap_or(EPOCH);
    Window { since: first.div_euclid(HOUR) * HOUR, until: (last.div_euclid(HOUR) + 1) * HOUR }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    #[test]
    fn a_big_tie_lies_across_the_edge_of_the_first_page() {
        let subreddits: Vec<_> = (0..700).map(|at| at % 4).collect();
        let times = times(&mut ChaCha8Rng::seed_from_u64(9), &subreddits);
        assert_eq!(times[BIG_TIE_FIRST], times[BIG_TIE_FIRST + TIES_MAX - 1]);
        assert_ne!(times[BIG_TIE_FIRST], times[BIG_TIE_FIRST + TIES_MAX]);
        assert!(times[0] == times[1] && times[698] == times[699]);
    }

    #[test]
    fn a_tie_lies_across_the_edge_of_the_first_page_of_every_subreddit() {
        let subreddits: Vec<_> = (0..700).map(|at| at % 4).collect();
        let times = times(&mut ChaCha8Rng::seed_from_u64(9), &subreddits);
        for subreddit in 0..4 {
            let own: Vec<_> = times.iter().skip(subreddit).step_by(4).collect();
            assert_eq!(own[97], own[104], "subreddit {subreddit}");
        }
    }

    proptest! {
        #[test]
        fn times_rise_and_no_subreddit_fills_a_page_in_one_second(
            seed: u64,
            subreddits in prop::collection::vec(0usize..3, 1..900),
        ) {
            let times = times(&mut ChaCha8Rng::seed_from_u64(seed), &subreddits);
            prop_assert!(times.is_sorted());
            for subreddit in 0..3 {
                let own: Vec<_> = times.iter().zip(&subreddits).filter(|t| *t.1 == subreddit).map(|t| t.0).collect();
                prop_assert!(own.chunk_by(|a, b| a == b).all(|tie| tie.len() <= SUBREDDIT_TIES_MAX));
            }
            let window = window(times.iter().copied());
            prop_assert!(times.iter().all(|t| (window.since..window.until).contains(t)));
        }
    }
}
